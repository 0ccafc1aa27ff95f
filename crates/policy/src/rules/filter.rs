//! Filters by what the catalog says of an entry besides its name.

use std::str::FromStr;

use bkp_core::{DomainKind, Entry, EntryKind};

use crate::PolicyError;

/// A type of entry, as a filter names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EntryType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

impl EntryType {
    /// Returns the type's name: `file`, `directory` or `symlink`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
        }
    }
}

impl FromStr for EntryType {
    type Err = PolicyError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::File, Self::Directory, Self::Symlink]
            .into_iter()
            .find(|kind| kind.name() == word)
            .ok_or_else(|| PolicyError::UnknownType { word: word.into() })
    }
}

/// A filter that may be set, with the words that name it.
type Stated<T> = Option<(T, Box<str>)>;

/// Filters with the words that say which of them stopped an entry. An entry must pass all.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) min_size: Stated<u64>,
    pub(super) max_size: Stated<u64>,
    pub(super) newer: Stated<i64>,
    pub(super) older: Stated<i64>,
    pub(super) types: Stated<Vec<EntryType>>,
    pub(super) bundle_ids: Stated<Vec<Box<[u8]>>>,
    /// Whether `bundle_ids` are compared without regard to ASCII case.
    pub(super) ignore_case: bool,
}

impl Filters {
    pub(super) fn is_empty(&self) -> bool {
        let Self { min_size, max_size, newer, older, types, bundle_ids, ignore_case: _ } = self;
        min_size.is_none()
            && max_size.is_none()
            && newer.is_none()
            && older.is_none()
            && types.is_none()
            && bundle_ids.is_none()
    }

    /// Returns the first filter that the entry does not pass.
    pub(super) fn stops(&self, entry: &Entry) -> Option<&str> {
        let Self { min_size, max_size, newer, older, types, bundle_ids, ignore_case } = self;
        let size = if entry.kind == EntryKind::File { entry.metadata.size_hint } else { 0 };
        let modified = entry.metadata.modified;
        stops(min_size, |&min| size < min)
            .or_else(|| stops(max_size, |&max| size > max))
            .or_else(|| stops(newer, |&from| modified < from))
            .or_else(|| stops(older, |&to| modified >= to))
            .or_else(|| stops(types, |types| !types.iter().any(|kind| is_type(entry, *kind))))
            .or_else(|| {
                stops(bundle_ids, |ids| !ids.iter().any(|id| belongs_to(entry, id, *ignore_case)))
            })
    }
}

/// Returns the words of a filter that is set and whose value stops the entry.
fn stops<T>(filter: &Stated<T>, stop: impl Fn(&T) -> bool) -> Option<&str> {
    filter.as_ref().filter(|(value, _)| stop(value)).map(|(_, words)| &**words)
}

fn is_type(entry: &Entry, kind: EntryType) -> bool {
    match kind {
        EntryType::File => entry.kind == EntryKind::File,
        EntryType::Directory => entry.kind == EntryKind::Directory,
        EntryType::Symlink => matches!(entry.kind, EntryKind::Symlink(_)),
    }
}

/// Returns true when the entry's domain belongs to the app: its container, its stand-in, a group
/// of exactly that name, and its extensions, whose identifiers continue the app's after a dot.
fn belongs_to(entry: &Entry, id: &[u8], ignore_case: bool) -> bool {
    let same = |a: &[u8]| if ignore_case { a.eq_ignore_ascii_case(id) } else { a == id };
    let Some(owner) = entry.domain.owner() else { return false };
    match entry.domain.kind() {
        DomainKind::App | DomainKind::AppPlaceholder | DomainKind::AppGroup => same(owner),
        DomainKind::AppPlugin => match owner.split_at_checked(id.len()) {
            Some((app, [] | [b'.', ..])) => same(app),
            _ => false,
        },
        _ => false,
    }
}
