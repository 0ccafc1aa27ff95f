//! The outcome of judging a whole catalog: what is taken, and what is not and why.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use bkp_core::{Entry, EntryKind, FileId, Metadata, Select, Source, Verdict};

use crate::sqlite::database_of;

/// A closed set of entries: with every entry the directories above it, and with every database
/// its companions.
///
/// A directory cannot be judged alone, since it is needed when anything under it is. So a catalog
/// is walked once to make this, which can be shown to a person, and once more to run it. It is
/// walked twice here when something was left out and there are databases with a `-wal`, `-shm`
/// or `-journal`: a companion is judged with the size and the times of its database, and the two
/// may stand anywhere in the catalog.
///
/// What is kept costs no memory beyond the directories that rules alone would have left out; an
/// entry that is left out costs 32 bytes.
pub struct Selection<'r> {
    select: &'r dyn Select,
    names: Names,
    /// Directories that are kept for what is below them.
    parents: HashSet<NameHash>,
    /// The databases that have companions.
    databases: HashMap<NameHash, Option<Stamp>>,
    kept: Counts,
    left_out: Counts,
    dropped: Vec<Row>,
    rules: Vec<&'r str>,
}

/// How many entries, and how many bytes their rows state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Bytes of the regular files, as the catalog states them.
    pub bytes: u64,
}

/// An entry that was left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Dropped<'r> {
    /// Which.
    pub id: FileId,
    /// By which rule or filter; none when the default decided.
    pub rule: Option<&'r str>,
}

/// A [`Dropped`] with its place in the catalog, as small as can be.
#[derive(Debug)]
struct Row {
    seq: u64,
    id: FileId,
    /// Place in `rules`.
    rule: Option<u32>,
}

/// What a filter looks at besides the name.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    size: u64,
    modified: i64,
}

/// A domain and a path, hashed under keys that are drawn for each selection, so that no catalog
/// can be made to collide. 128 bits: by chance two of a million names meet once in 10^26 runs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct NameHash(u64, u64);

#[derive(Debug, Default)]
struct Names(RandomState, RandomState);

impl Names {
    fn hash(&self, domain: &[u8], path: &[u8]) -> NameHash {
        NameHash(self.0.hash_one((domain, path)), self.1.hash_one((domain, path)))
    }
}

/// What is shown each entry of a walk.
type Visit<'v> = dyn FnMut(&Entry) + 'v;

impl<'r> Selection<'r> {
    /// Judges every row of a source. Rows that cannot be read are passed over: the run itself
    /// reports them.
    ///
    /// # Errors
    ///
    /// Fails when the catalog cannot be listed.
    pub fn of_source<S: Source>(source: &S, select: &'r dyn Select) -> Result<Self, S::Error> {
        Self::of_walk(select, &mut |visit| {
            source.records()?.flatten().for_each(|record| visit(record.as_ref()));
            Ok(())
        })
    }

    /// Judges every entry of a list.
    #[must_use]
    pub fn of_entries<'e, I>(entries: I, select: &'r dyn Select) -> Self
    where
        I: IntoIterator<Item = &'e Entry> + Clone,
    {
        let walked = Self::of_walk(select, &mut |visit| {
            entries.clone().into_iter().for_each(visit);
            Ok::<(), Infallible>(())
        });
        match walked {
            Ok(selection) => selection,
            Err(never) => match never {},
        }
    }

    /// `walk` shows every entry in the order of the catalog, the same on every call.
    fn of_walk<E>(
        select: &'r dyn Select,
        walk: &mut dyn FnMut(&mut Visit<'_>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut survey = Survey::new(select);
        let mut seq = 0u64;
        walk(&mut |entry| {
            survey.first(seq, entry);
            seq = seq.saturating_add(1);
        })?;
        if survey.undecided() {
            let mut seq = 0u64;
            walk(&mut |entry| {
                survey.second(seq, entry);
                seq = seq.saturating_add(1);
            })?;
        }
        Ok(survey.close())
    }

    /// Counts what is kept.
    #[must_use]
    pub fn kept(&self) -> &Counts {
        &self.kept
    }

    /// Counts what is left out.
    #[must_use]
    pub fn left_out(&self) -> &Counts {
        &self.left_out
    }

    /// Returns what is left out, in catalog order.
    #[must_use]
    pub fn dropped(&self) -> impl ExactSizeIterator<Item = Dropped<'r>> + '_ {
        self.dropped.iter().map(|row| Dropped { id: row.id, rule: self.rule(row) })
    }

    fn rule(&self, row: &Row) -> Option<&'r str> {
        self.rules.get(usize::try_from(row.rule?).ok()?).copied()
    }

    /// Judges a companion of a database as its database would be.
    fn judge_companion(&self, entry: &Entry) -> Option<Verdict<'r>> {
        let stamp = (*self.databases.get(&self.names.database_of(entry)?)?)?;
        let mut entry = entry.clone();
        entry.metadata =
            Metadata { size_hint: stamp.size, modified: stamp.modified, ..entry.metadata };
        Some(self.select.judge(&entry))
    }
}

impl Names {
    /// The database that an entry would belong to by its name.
    fn database_of(&self, entry: &Entry) -> Option<NameHash> {
        if entry.kind != EntryKind::File {
            return None;
        }
        let path = database_of(entry.path.as_bytes())?;
        Some(self.hash(entry.domain.as_bytes(), path))
    }
}

/// Answers for the catalog it was made of. Directories that are kept for what is below them are
/// kept by no rule.
impl Select for Selection<'_> {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        let verdict = self.judge_companion(entry).unwrap_or_else(|| self.select.judge(entry));
        let kept_below = || {
            entry.kind == EntryKind::Directory
                && !self.parents.is_empty()
                && self
                    .parents
                    .contains(&self.names.hash(entry.domain.as_bytes(), entry.path.as_bytes()))
        };
        match verdict {
            Verdict::Drop(_) if kept_below() => Verdict::Keep(None),
            verdict => verdict,
        }
    }
}

impl fmt::Debug for Selection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, left_out, .. } = self;
        let mut debug = f.debug_struct("Selection");
        debug.field("kept", kept).field("left_out", left_out).finish_non_exhaustive()
    }
}

impl Counts {
    fn add(&mut self, entry: &Entry) {
        let count = match entry.kind {
            EntryKind::Directory => &mut self.directories,
            EntryKind::Symlink(_) => &mut self.symlinks,
            _ => {
                self.bytes = self.bytes.saturating_add(entry.metadata.size_hint);
                &mut self.files
            }
        };
        *count = count.saturating_add(1);
    }

    fn join(&mut self, more: Self) {
        let Self { files, directories, symlinks, bytes } = more;
        self.files = self.files.saturating_add(files);
        self.directories = self.directories.saturating_add(directories);
        self.symlinks = self.symlinks.saturating_add(symlinks);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        let Self { files, directories, symlinks, bytes: _ } = *self;
        files.saturating_add(directories).saturating_add(symlinks)
    }
}

/// A selection in the making.
struct Survey<'r> {
    selection: Selection<'r>,
    /// Every directory above a kept entry.
    above: HashSet<NameHash>,
    /// Directories that the rules leave out, until all of `above` is known.
    directories: Vec<(NameHash, Row)>,
    /// What is named like a companion of a database, until all databases are known.
    companions: Counts,
    /// Whether the rules have left anything out.
    left_out: bool,
    /// Places of rules in the selection's list of them.
    places: HashMap<&'r str, u32>,
    /// The domain and the directory of the last kept entry: most are neighbours.
    last: (Vec<u8>, Vec<u8>),
}

impl<'r> Survey<'r> {
    fn new(select: &'r dyn Select) -> Self {
        let selection = Selection {
            select,
            names: Names::default(),
            parents: HashSet::new(),
            databases: HashMap::new(),
            kept: Counts::default(),
            left_out: Counts::default(),
            dropped: Vec::new(),
            rules: Vec::new(),
        };
        Self {
            selection,
            above: HashSet::new(),
            directories: Vec::new(),
            companions: Counts::default(),
            left_out: false,
            places: HashMap::new(),
            last: (Vec::new(), Vec::new()),
        }
    }

    /// Judges every entry but companions of databases, whose databases are noted.
    fn first(&mut self, seq: u64, entry: &Entry) {
        self.note_database(entry);
        let verdict = self.selection.select.judge(entry);
        self.left_out |= !verdict.is_keep();
        if let Some(database) = self.selection.names.database_of(entry) {
            self.selection.databases.entry(database).or_default();
            self.companions.add(entry);
        } else {
            self.settle(seq, entry, verdict);
        }
    }

    /// Returns true when there are companions of databases and not everything is kept.
    fn undecided(&self) -> bool {
        self.left_out && self.companions != Counts::default()
    }

    /// Judges the companions. A database that stands after its companion was noted by the first
    /// walk, and one that stands before it by this one.
    fn second(&mut self, seq: u64, entry: &Entry) {
        self.note_database(entry);
        if self.selection.names.database_of(entry).is_some() {
            let verdict = self.selection.judge_companion(entry);
            let verdict = verdict.unwrap_or_else(|| self.selection.select.judge(entry));
            self.settle(seq, entry, verdict);
        }
    }

    /// Notes what a filter looks at, when an entry is a database with companions.
    fn note_database(&mut self, entry: &Entry) {
        let Selection { databases, names, .. } = &mut self.selection;
        if databases.is_empty() || entry.kind != EntryKind::File {
            return;
        }
        let name = names.hash(entry.domain.as_bytes(), entry.path.as_bytes());
        if let Some(stamp) = databases.get_mut(&name) {
            let Metadata { size_hint: size, modified, .. } = entry.metadata;
            *stamp = Some(Stamp { size, modified });
        }
    }

    fn settle(&mut self, seq: u64, entry: &Entry, verdict: Verdict<'r>) {
        match verdict {
            Verdict::Keep(_) => {
                self.selection.kept.add(entry);
                self.keep_above(entry);
            }
            Verdict::Drop(rule) => {
                let row = Row { seq, id: entry.id, rule: rule.map(|rule| self.place(rule)) };
                if entry.kind == EntryKind::Directory {
                    let Selection { names, .. } = &self.selection;
                    let name = names.hash(entry.domain.as_bytes(), entry.path.as_bytes());
                    self.directories.push((name, row));
                } else {
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

    fn place(&mut self, rule: &'r str) -> u32 {
        let Selection { rules, .. } = &mut self.selection;
        *self.places.entry(rule).or_insert_with(|| {
            rules.push(rule);
            u32::try_from(rules.len().saturating_sub(1)).unwrap_or(u32::MAX)
        })
    }

    fn close(self) -> Selection<'r> {
        let undecided = self.undecided();
        let Self { mut selection, above, directories, companions, .. } = self;
        for (name, row) in directories {
            let counts = if above.contains(&name) {
                selection.parents.insert(name);
                &mut selection.kept
            } else {
                selection.dropped.push(row);
                &mut selection.left_out
            };
            counts.directories = counts.directories.saturating_add(1);
        }
        selection.dropped.sort_unstable_by_key(|row| row.seq);
        selection.dropped.shrink_to_fit();
        selection.databases.retain(|_, stamp| undecided && stamp.is_some());
        selection.databases.shrink_to_fit();
        if !undecided {
            selection.kept.join(companions);
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
