//! What `bkp diff` tells: how two backups differ.
//!
//! ```text
//! walk A, walk B     56 bytes a row: hashes of names, metadata, digest, key      sorted, merged
//! read               the files that these do not settle, on every core           SHA-256
//! walk A, walk B     the entries that differ, so many at a time in their order   handed over
//! ```
//!
//! No names are kept of what is the same, so that memory grows with the rows by little and with
//! their names not at all. Where very much differs, the last step is taken again for each
//! [`WINDOW`] entries.

mod content;
mod difference;
mod notes;
mod problem;
mod rows;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::io;
use std::num::NonZeroUsize;

use bkp_bundle::{Backup, BundleError, Catalog, Opened, Unlocked};
use bkp_core::{Monitor, RunError, Select};
use serde::Serialize;

pub use difference::{Aspect, Change, DiffSide, Difference, Evidence};
pub use notes::{DiffNote, diff_notes};
pub use problem::DiffProblem;

use crate::HashError;
use content::Hashed;
use rows::{Names, Pair, Table};

/// Entries that differ and are held at a time.
const WINDOW: usize = 262_144;
/// Rows between two questions whether to go on.
const BEAT: u64 = 1024;

/// One of the two backups.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Side {
    /// The first, which is the older one where that makes sense.
    A,
    /// The second.
    B,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// Which files are read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ContentCheck {
    /// Those that neither digests nor metadata settle: where two digests are of the same sort they
    /// decide; else files of one size and one time of modification are taken for the same.
    #[default]
    WhereNeeded,
    /// All that are in both backups.
    All,
}

/// How two backups are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiffOptions {
    /// Which files are read.
    pub content: ContentCheck,
    /// Worker threads; one for each core when absent.
    pub threads: Option<NonZeroUsize>,
}

/// Why two backups were not compared to the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// A catalog is encrypted and was not unlocked.
    #[error("the catalog of backup {side} is encrypted; a password is needed")]
    CatalogLocked {
        /// Of which backup.
        side: Side,
    },
    /// Files must be read to tell whether they differ, and the backup was not unlocked. Nothing
    /// has been handed over yet.
    #[error("files of backup {side} must be read to compare them; a password is needed")]
    DataLocked {
        /// Of which backup.
        side: Side,
    },
    /// A bundle could not be listed.
    #[error("cannot list backup {side}")]
    Bundle {
        /// Which backup.
        side: Side,
        /// Why.
        source: BundleError,
    },
    /// Files could not be read.
    #[error("cannot read the files of backup {side}")]
    Read {
        /// Of which backup.
        side: Side,
        /// Why.
        source: RunError<BundleError, HashError>,
    },
    /// The caller could not take a difference.
    #[error("cannot pass on what was found")]
    Output(#[source] io::Error),
    /// The monitor asked for an end.
    #[error("cancelled")]
    Cancelled,
}

/// How many entries differ, and what is known of those that do not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DiffReport {
    /// Rows of A that name an entry.
    pub entries_a: u64,
    /// Rows of B that name an entry.
    pub entries_b: u64,
    /// Entries that are in B alone.
    pub added: u64,
    /// Entries that are in A alone.
    pub removed: u64,
    /// Entries that are in both and differ.
    pub changed: u64,
    /// Entries that are in both and do not.
    pub same: u64,
    /// Entries that the selection left out.
    pub left_out: u64,
    /// Files in both whose digests decided.
    pub files_by_digest: u64,
    /// Files in both that were read.
    pub files_by_content: u64,
    /// Files in both whose content was taken for the same by size and time alone.
    pub files_by_metadata: u64,
    /// Files in both that could not be compared.
    pub files_unknown: u64,
    /// Rows of both that could not be read.
    pub unreadable_rows: u64,
}

impl DiffReport {
    /// Returns true when no difference was found.
    #[must_use]
    pub fn is_same(&self) -> bool {
        let Self { added, removed, changed, .. } = self;
        (*added, *removed, *changed) == (0, 0, 0)
    }
}

/// A backup as far as it is open.
#[derive(Clone, Copy)]
struct Open<'b> {
    side: Side,
    opened: &'b Opened,
    catalog: &'b Catalog,
}

impl<'b> Open<'b> {
    fn new(side: Side, opened: &'b Opened) -> Result<Self, DiffError> {
        let locked = DiffError::CatalogLocked { side };
        let Some(catalog) = opened.catalog() else { return Err(locked) };
        if let (Opened::Locked(_), Catalog::Db(db)) = (opened, catalog)
            && db
                .has_encrypted_cells()
                .map_err(|error| DiffError::Bundle { side, source: error.into() })?
        {
            return Err(locked);
        }
        Ok(Self { side, opened, catalog })
    }

    fn unlocked(&self) -> Result<&'b Backup<Unlocked>, DiffError> {
        match self.opened {
            Opened::Unlocked(backup) => Ok(backup),
            Opened::Locked(_) => Err(DiffError::DataLocked { side: self.side }),
        }
    }
}

/// Compares two backups entry by entry, whatever their sort: by their names, their metadata, and
/// what files hold. New keys for the same content are no difference.
///
/// `found` is called for each difference, by domain and path in the order of their bytes. An entry
/// takes part when `select` keeps it as it is in either backup. What cannot be read is a problem
/// for the monitor, each a [`DiffProblem`].
///
/// # Errors
///
/// Fails when a catalog, or with files to be read a backup, was not unlocked, when a bundle cannot
/// be listed, when `found` fails, and when the monitor cancels.
pub fn diff(
    a: &Opened,
    b: &Opened,
    select: &dyn Select,
    options: &DiffOptions,
    found: &mut dyn FnMut(&Difference) -> io::Result<()>,
    monitor: &dyn Monitor,
) -> Result<DiffReport, DiffError> {
    let &DiffOptions { content, threads } = options;
    let (a, b) = (Open::new(Side::A, a)?, Open::new(Side::B, b)?);
    let names = Names::new(a, b);
    let mut report = DiffReport::default();
    let mut pairs = {
        let table_a = Table::read(a, &names, select, monitor)?;
        let table_b = Table::read(b, &names, select, monitor)?;
        rows::merge(table_a, table_b, names.plain(), content, &mut report)
    };
    let mut hashed = [Hashed::default(), Hashed::default()];
    let read: Vec<_> = pairs.iter().filter(|pair| pair.is_to_be_read()).map(Pair::name).collect();
    if !read.is_empty() {
        let backups = [a.unlocked()?, b.unlocked()?];
        for ((backup, side), hashed) in backups.into_iter().zip([Side::A, Side::B]).zip(&mut hashed)
        {
            *hashed = Hashed::read(backup, side, &names, &read, threads, monitor)?;
        }
        drop(read);
        content::settle(&mut pairs, &hashed, &mut report);
    }
    window::tell([a, b], &names, &pairs, &hashed, found, monitor)?;
    Ok(report)
}
