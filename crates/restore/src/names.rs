//! How entries are named on a disk.

mod fold;
mod map;
mod portable;
mod twins;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bkp_core::Entry;

pub(crate) use map::{NameMap, exact};
pub use portable::decode;
pub use twins::{Twins, TwinsWalk};

/// The file at the root of a destination that says which name became which.
pub(crate) const MAP: &str = "names.jsonl";

/// How entries are named on a disk.
#[derive(Debug)]
#[non_exhaustive]
pub enum Naming {
    /// `<domain>/<path>`, byte for byte. Not every disk can hold every such name.
    Raw,
    /// `<domain>/<path>` with what some disk cannot hold written as `%XX`, and back again with
    /// [`decode`]. The walk that [`Twins`] comes from found the names that a disk without case
    /// would take for one. What differs is listed in `names.jsonl`.
    Portable(Twins),
    /// `<first two digits>/<forty digits>` of the file id, as in a backup. Everything is listed
    /// in `names.jsonl`; directories exist only there.
    Hashed,
}

/// Portable, for a catalog that has no names which differ by case alone.
impl Default for Naming {
    fn default() -> Self {
        Self::Portable(Twins::default())
    }
}

/// Where an entry is stored: a path relative to the destination, never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stored {
    path: Vec<u8>,
    /// Whether the path differs from `<domain>/<path>`.
    pub(crate) changed: bool,
}

impl Naming {
    /// Says where an entry is stored; nowhere for a directory under hashed names.
    pub(crate) fn stored(&self, entry: &Entry) -> Option<Stored> {
        match self {
            Self::Raw => {
                let mut path = entry.domain.as_bytes().to_vec();
                if !entry.path.is_root() {
                    path.push(b'/');
                    path.extend_from_slice(entry.path.as_bytes());
                }
                Some(Stored { path, changed: false })
            }
            Self::Portable(twins) => {
                let (path, changed) = portable::encode(&entry.domain, &entry.path, twins);
                Some(Stored { path, changed })
            }
            Self::Hashed if entry.kind == bkp_core::EntryKind::Directory => None,
            Self::Hashed => {
                let hex = entry.id.to_hex();
                let mut path = Vec::with_capacity(43);
                path.extend(hex.iter().take(2));
                path.push(b'/');
                path.extend(hex);
                Some(Stored { path, changed: true })
            }
        }
    }
}

impl Stored {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.path
    }

    pub(crate) fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    /// Splits into the directory, empty at the root of the destination, and the name in it.
    pub(crate) fn split(&self) -> (&[u8], &[u8]) {
        split(&self.path)
    }
}

/// Splits a stored path into the directory and the name in it.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|&b| b == b'/');
    match slash.and_then(|at| path.split_at_checked(at)) {
        Some((directory, name)) => (directory, name.get(1..).unwrap_or_default()),
        None => (&[], path),
    }
}
