//! A selection in the making.

mod recent;

use std::collections::{HashMap, HashSet};

use bkp_core::{Domain, Entry, EntryKind, Select, Verdict};

use super::{Counts, NameHash, Names, Row, Selection, Share, Stamp};
use recent::Recent;

/// Companions of databases that are held until their databases are known. A backup has some
/// thousands; where there are more, the catalog is walked again for them.
const HELD: usize = 8192;

/// A selection in the making.
pub(super) struct Survey<'r> {
    selection: Selection<'r>,
    /// Every directory above a kept entry.
    above: HashSet<NameHash>,
    /// Directories that the rules leave out, until all of `above` is known, and the places of
    /// their domains.
    directories: Vec<(NameHash, Row, usize)>,
    /// What is named like a companion of a database, until all databases are known.
    companions: Counts,
    /// The companions themselves, the first so many of them.
    held: Vec<(u64, Entry)>,
    /// The files seen last: a companion's database, as a rule, is one of them.
    recent: Recent,
    /// Whether the rules have left anything out.
    left_out: bool,
    /// Places of rules in the selection's list of them.
    places: HashMap<&'r str, u32>,
    /// Places of domains in the selection's list of them, and that of the last one.
    domains: HashMap<Domain, usize>,
    domain: usize,
    /// The domain and the directory of the last kept entry: most are neighbours.
    last: (Vec<u8>, Vec<u8>),
}

impl<'r> Survey<'r> {
    pub(super) fn new(select: &'r dyn Select) -> Self {
        let selection = Selection {
            select,
            names: Names::default(),
            parents: HashSet::new(),
            databases: HashMap::new(),
            kept: Counts::default(),
            left_out: Counts::default(),
            dropped: Vec::new(),
            rules: Vec::new(),
            domains: Vec::new(),
        };
        Self {
            selection,
            above: HashSet::new(),
            directories: Vec::new(),
            companions: Counts::default(),
            held: Vec::new(),
            recent: Recent::default(),
            left_out: false,
            places: HashMap::new(),
            domains: HashMap::new(),
            domain: 0,
            last: (Vec::new(), Vec::new()),
        }
    }

    /// Judges every entry but companions of databases, whose databases are noted.
    pub(super) fn first(&mut self, seq: u64, entry: &Entry) {
        self.note_database(entry);
        let verdict = self.selection.select.judge(entry);
        self.left_out |= !verdict.is_keep();
        if let Some((name, database)) = self.selection.names.database_of(entry) {
            let stamp = self.selection.databases.entry(name).or_default();
            if stamp.is_none() {
                *stamp = self.recent.find(&entry.domain, database);
            }
            self.companions.add(entry);
            if self.held.len() < HELD {
                let mut held = entry.clone();
                held.raw = None;
                self.held.push((seq, held));
            }
            self.place_of(&entry.domain);
        } else {
            self.settle(seq, entry, verdict);
        }
        if entry.kind == EntryKind::File {
            self.recent.push(entry);
        }
    }

    /// Returns true when there are companions of databases and not everything is kept.
    fn undecided(&self) -> bool {
        self.left_out && self.companions != Counts::default()
    }

    /// Judges the companions, if all of them are at hand and so are their databases. Returns
    /// whether that is so, and the catalog need not be walked again.
    pub(super) fn decide(&mut self) -> bool {
        if !self.undecided() {
            return true;
        }
        let held = u64::try_from(self.held.len()).unwrap_or(u64::MAX);
        let at_hand = held == self.companions.entries();
        if !at_hand || self.selection.databases.values().any(Option::is_none) {
            return false;
        }
        for (seq, entry) in std::mem::take(&mut self.held) {
            self.settle_companion(seq, &entry);
        }
        true
    }

    /// Judges the companions. A database that stands after its companion was noted by the first
    /// walk, and one that stands before it by this one.
    pub(super) fn second(&mut self, seq: u64, entry: &Entry) {
        self.note_database(entry);
        if self.selection.names.database_of(entry).is_some() {
            self.settle_companion(seq, entry);
        }
    }

    fn settle_companion(&mut self, seq: u64, entry: &Entry) {
        let verdict = self.selection.judge_companion(entry);
        let verdict = verdict.unwrap_or_else(|| self.selection.select.judge(entry));
        self.settle(seq, entry, verdict);
    }

    /// Notes what a filter looks at, when an entry is a database with companions.
    fn note_database(&mut self, entry: &Entry) {
        let Selection { databases, names, .. } = &mut self.selection;
        if databases.is_empty() || entry.kind != EntryKind::File {
            return;
        }
        let name = names.hash(entry.domain.as_bytes(), entry.path.as_bytes());
        if let Some(stamp) = databases.get_mut(&name) {
            *stamp = Some(Stamp::of(entry));
        }
    }

    fn settle(&mut self, seq: u64, entry: &Entry, verdict: Verdict<'r>) {
        let domain = self.place_of(&entry.domain);
        match verdict {
            Verdict::Keep(_) => {
                self.note(domain, |share| share.kept = true);
                self.selection.kept.add(entry);
                self.keep_above(entry);
            }
            Verdict::Drop(rule) => {
                let row = Row { seq, id: entry.id, rule: rule.map(|rule| self.place(rule)) };
                if entry.kind == EntryKind::Directory {
                    let Selection { names, .. } = &self.selection;
                    let name = names.hash(entry.domain.as_bytes(), entry.path.as_bytes());
                    self.directories.push((name, row, domain));
                } else {
                    self.note(domain, |share| share.left_out = true);
                    self.selection.left_out.add(entry);
                    self.selection.dropped.push(row);
                }
            }
        }
    }

    /// Notes every directory above an entry, as far as they are not noted yet.
    fn keep_above(&mut self, entry: &Entry) {
        let domain = entry.domain.as_bytes();
        let Some(mut path) = above(entry.path.as_bytes()) else { return };
        if self.last.0 == domain && self.last.1 == path {
            return;
        }
        self.last.0.clear();
        self.last.0.extend_from_slice(domain);
        self.last.1.clear();
        self.last.1.extend_from_slice(path);
        while self.above.insert(self.selection.names.hash(domain, path)) {
            match above(path) {
                Some(next) => path = next,
                None => return,
            }
        }
    }

    /// Returns the place of a domain in the list of them.
    fn place_of(&mut self, domain: &Domain) -> usize {
        let Selection { domains, .. } = &mut self.selection;
        if domains.get(self.domain).is_none_or(|(last, _)| last != domain) {
            self.domain = *self.domains.entry(domain.clone()).or_insert_with(|| {
                domains.push((domain.clone(), Share::default()));
                domains.len().saturating_sub(1)
            });
        }
        self.domain
    }

    fn note(&mut self, domain: usize, note: impl FnOnce(&mut Share)) {
        if let Some((_, share)) = self.selection.domains.get_mut(domain) {
            note(share);
        }
    }

    fn place(&mut self, rule: &'r str) -> u32 {
        let Selection { rules, .. } = &mut self.selection;
        *self.places.entry(rule).or_insert_with(|| {
            rules.push(rule);
            u32::try_from(rules.len().saturating_sub(1)).unwrap_or(u32::MAX)
        })
    }

    pub(super) fn close(self) -> Selection<'r> {
        let undecided = self.undecided();
        let Self { mut selection, above, directories, companions, .. } = self;
        for (name, row, domain) in directories {
            let mut unnamed = Share::default();
            let share = selection.domains.get_mut(domain).map_or(&mut unnamed, |(_, share)| share);
            let counts = if above.contains(&name) {
                selection.parents.insert(name);
                share.kept = true;
                &mut selection.kept
            } else {
                selection.dropped.push(row);
                share.left_out = true;
                &mut selection.left_out
            };
            counts.directories = counts.directories.saturating_add(1);
        }
        selection.dropped.sort_unstable_by_key(|row| row.seq);
        selection.dropped.shrink_to_fit();
        selection.databases.retain(|_, stamp| undecided && stamp.is_some());
        selection.databases.shrink_to_fit();
        if !undecided {
            // What there is of companions is kept, since nothing is left out, and so is all else.
            selection.kept.join(companions);
            let without = selection.domains.iter_mut().filter(|(_, share)| !share.left_out);
            without.for_each(|(_, share)| share.kept = true);
        }
        selection
    }
}

/// Returns the directory above a path, which is empty at the root of a domain.
fn above(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    let end = path.iter().rposition(|&b| b == b'/').unwrap_or(0);
    path.get(..end)
}
