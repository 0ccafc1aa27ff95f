//! The outcome of judging a whole catalog: what is taken, and what is not and why.

mod survey;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use bkp_core::{Domain, Entry, EntryKind, FileId, Longest, Metadata, Select, Source, Verdict};
use survey::Survey;

use crate::sqlite::database_of;

/// A closed set of entries: with every entry the directories above it, and with every database
/// its companions.
///
/// A directory cannot be judged alone, since it is needed when anything under it is. So a catalog
/// is walked once to make this, which can be shown to a person, and once more to run it. It is
/// walked twice here when something was left out and there are databases with a `-wal`, `-shm`
/// or `-journal` that stand far from it: a companion is judged with the size and the times of its
/// database, and the two may stand anywhere in the catalog.
///
/// What is kept costs no memory beyond the domains, and the directories that rules alone would
/// have left out; an entry that is left out costs 32 bytes.
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
    domains: Vec<(Domain, Share)>,
}

/// How much of a domain is kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Share {
    /// Some of its entries are kept.
    pub kept: bool,
    /// Some of its entries are left out.
    pub left_out: bool,
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

impl Stamp {
    fn of(entry: &Entry) -> Self {
        let Metadata { size_hint: size, modified, .. } = entry.metadata;
        Self { size, modified }
    }
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

    /// Does what [`of_source`](Self::of_source) does, and finds the longest files for the run on
    /// the way, `most` of them.
    ///
    /// Companions of databases are not among them: what becomes of those is known only after the
    /// walk.
    ///
    /// # Errors
    ///
    /// Fails as `of_source` does.
    pub fn with_longest<S: Source>(
        source: &S,
        select: &'r dyn Select,
        most: usize,
    ) -> Result<(Self, Longest<S::Record>), S::Error> {
        let mut longest = Some(Longest::new(most));
        let mut found = None;
        let selection = Self::of_walk(select, &mut |visit| {
            let Some(mut longest) = longest.take() else {
                source.records()?.flatten().for_each(|record| visit(record.as_ref()));
                return Ok(());
            };
            for record in source.records()? {
                let record = record.ok();
                if let Some(record) = &record {
                    visit(record.as_ref());
                }
                longest.see(record, &Decided(select));
            }
            found = Some(longest);
            Ok(())
        })?;
        Ok((selection, found.unwrap_or_else(|| Longest::new(0))))
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
        if !survey.decide() {
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

    /// Lists the domains of the catalog and how much of each is kept, in the order in which they
    /// come.
    #[must_use]
    pub fn domains(&self) -> impl ExactSizeIterator<Item = (&Domain, Share)> {
        self.domains.iter().map(|(domain, share)| (domain, *share))
    }

    fn rule(&self, row: &Row) -> Option<&'r str> {
        self.rules.get(usize::try_from(row.rule?).ok()?).copied()
    }

    /// Judges a companion of a database as its database would be.
    fn judge_companion(&self, entry: &Entry) -> Option<Verdict<'r>> {
        if self.databases.is_empty() {
            return None;
        }
        let (database, _) = self.names.database_of(entry)?;
        let stamp = (*self.databases.get(&database)?)?;
        let mut entry = entry.clone();
        entry.metadata =
            Metadata { size_hint: stamp.size, modified: stamp.modified, ..entry.metadata };
        Some(self.select.judge(&entry))
    }
}

impl Names {
    /// The database that an entry would belong to by its name, and its path.
    fn database_of<'e>(&self, entry: &'e Entry) -> Option<(NameHash, &'e [u8])> {
        if entry.kind != EntryKind::File {
            return None;
        }
        let path = database_of(entry.path.as_bytes())?;
        Some((self.hash(entry.domain.as_bytes(), path), path))
    }
}

/// Keeps what no database has a say in.
struct Decided<'r>(&'r dyn Select);

impl Select for Decided<'_> {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        match database_of(entry.path.as_bytes()) {
            Some(_) => Verdict::Drop(None),
            None => self.0.judge(entry),
        }
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
