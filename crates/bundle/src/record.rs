//! One row of a bundle's catalog, with what it takes to open its payload.

use bkp_core::{Domain, Entry, Fault, Place, ProtectionClass, RelPath, Severity};
use bkp_core::{NameError, ParseFileIdError};
use bkp_crypto::WrappedFileKey;

/// A row that names an entry.
#[derive(Debug)]
pub struct BundleRecord {
    pub(crate) entry: Entry,
    /// Its rowid in `Manifest.db`, its number from 0 in `Manifest.mbdb`.
    pub(crate) row: i64,
    /// `EncryptionKey`, in encrypted bundles.
    pub(crate) key: Option<WrappedFileKey>,
    /// What is odd about the row and loses nothing.
    pub(crate) fault: Option<RowFault>,
}

impl BundleRecord {
    /// Returns true if these are the record's names.
    pub(crate) fn is(&self, domain: &Domain, path: &RelPath) -> bool {
        self.entry.domain == *domain && self.entry.path == *path
    }

    /// Returns true if the row carries a wrapped key for its payload.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Returns the class that the row's wrapped key names, where there is a key. On a device it
    /// is the entry's own protection class.
    #[must_use]
    pub fn key_class(&self) -> Option<ProtectionClass> {
        self.key.as_ref().map(|key| key.class)
    }

    /// Returns which row this is: its rowid in `Manifest.db`, its number from 0 in
    /// `Manifest.mbdb`.
    #[must_use]
    pub fn row(&self) -> i64 {
        self.row
    }

    /// Returns what is wrong with the row, where an entry could be made of it all the same.
    #[must_use]
    pub fn fault(&self) -> Option<&RowFault> {
        self.fault.as_ref()
    }

    /// Forgets the source's own row, which is most of what a record takes in memory.
    #[must_use]
    pub fn without_raw(mut self) -> Self {
        self.entry.raw = None;
        self
    }
}

impl AsRef<Entry> for BundleRecord {
    fn as_ref(&self) -> &Entry {
        &self.entry
    }
}

impl From<BundleRecord> for Entry {
    fn from(record: BundleRecord) -> Self {
        record.entry
    }
}

/// A row that cannot be made an entry, or only an incomplete one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("row {row}: {fault}")]
pub struct RowError {
    /// Which row: its rowid in `Manifest.db`, its number from 0 in `Manifest.mbdb`.
    pub row: i64,
    /// The domain as the row spells it. Unchecked.
    pub domain: Box<[u8]>,
    /// The path as the row spells it. Unchecked.
    pub path: Box<[u8]>,
    /// What is wrong.
    #[source]
    pub fault: RowFault,
}

/// What is wrong with a row.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// A name that could not be placed under a directory.
    #[error("{0}; it was not followed")]
    Name(NameError),
    /// A `fileID` that names no payload.
    #[error("{0}; it was not followed")]
    FileId(ParseFileIdError),
    /// A column that must be there is NULL or of another type.
    #[error("column {column} is {found}, expected {expected}")]
    Column {
        /// The column.
        column: &'static str,
        /// What its type is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The row of a file whose upload had not ended: in-progress flags and nothing to restore.
    #[error("flags {flags}: left by an unfinished backup, holds nothing")]
    Unfinished {
        /// The `flags` column.
        flags: i64,
    },
    /// Neither the flags nor the mode say what this is.
    #[error("flags {flags} and mode {mode:o} name no kind of file")]
    Kind {
        /// The `flags` column, where there is one.
        flags: i64,
        /// The mode.
        mode: u32,
    },
    /// The MBFile blob is not there or cannot be read.
    #[error("the MBFile blob {reason}; {consequence}")]
    Metadata {
        /// What is wrong with it.
        reason: Box<str>,
        /// What that means for the entry.
        consequence: &'static str,
    },
    /// A symbolic link whose target is not told or cannot be used.
    #[error("a link without a usable target")]
    LinkTarget,
    /// There may be a wrapped key, in a part of the blob that is damaged.
    #[error("the MBFile blob is damaged where EncryptionKey may be")]
    KeyUnreadable,
    /// The wrapped key is not 44 bytes.
    #[error("EncryptionKey has {len} bytes, expected 44")]
    Key {
        /// Its length.
        len: usize,
    },
}

impl RowFault {
    /// Returns the stable code of the fault.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) | Self::FileId(_) => "hostile-name",
            Self::Column { .. } | Self::Kind { .. } | Self::LinkTarget => "bad-row",
            Self::Unfinished { .. } => "unfinished-row",
            Self::Metadata { .. } => "bad-metadata",
            Self::Key { .. } | Self::KeyUnreadable => "key-unwrap-failed",
        }
    }
}

impl Fault for RowError {
    fn code(&self) -> &'static str {
        self.fault.code()
    }

    fn severity(&self) -> Severity {
        match self.fault {
            RowFault::Unfinished { .. } => Severity::Notice,
            _ => Severity::Failure,
        }
    }

    fn place(&self) -> Option<Place<'_>> {
        Some(Place { domain: &self.domain, path: &self.path })
    }
}
