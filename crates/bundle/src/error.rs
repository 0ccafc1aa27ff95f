//! Errors, each naming the file it is about.

use std::io;

use bkp_core::{Domain, Fault, FileId, Hex, Place, RelPath, Severity};
use bkp_crypto::{FileKeyError, KeybagError, LegacyError, UnlockError};

use crate::mbdb::MbdbError;
use crate::plist_guard::PlistError;
use crate::record::RowError;
use crate::sqlite_image::SqliteImageError;

/// Why a bundle, its catalog or one of its rows could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file of the bundle could not be read.
    #[error("cannot read {name}")]
    Io {
        /// The file, relative to the bundle.
        name: Box<str>,
        /// What the system said.
        source: io::Error,
    },
    /// A file without which there is no backup is not there.
    #[error("the folder has no {name}, so it is no backup, or not all of one")]
    Missing {
        /// The file, relative to the bundle.
        name: &'static str,
    },
    /// The bundle is of a kind that is not read.
    #[error("{what} is not supported")]
    Unsupported {
        /// What it is.
        what: &'static str,
    },
    /// A property list could not be read.
    #[error("cannot read {name}")]
    Plist {
        /// The property list.
        name: &'static str,
        /// Why.
        source: PlistError,
    },
    /// The bundle is encrypted and Manifest.plist has no keybag.
    #[error("Manifest.plist has no BackupKeyBag, and without it nothing here can be decrypted")]
    NoKeybag,
    /// The keybag could not be parsed.
    #[error("cannot read the keybag in Manifest.plist")]
    Keybag(#[source] KeybagError),
    /// The keybag could not be unlocked.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// `ManifestKey` is not a wrapped key.
    #[error("ManifestKey in Manifest.plist has {len} bytes, expected 44")]
    ManifestKeyLength {
        /// Its length in bytes.
        len: usize,
    },
    /// `ManifestKey` did not unwrap.
    #[error("cannot unwrap the key of Manifest.db")]
    ManifestKey(#[source] FileKeyError),
    /// The encrypted `file` cells of iOS 10.0 do not open.
    #[error("cannot open the encrypted cells of Manifest.db")]
    Cells(#[source] LegacyError),
    /// The catalog could not be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A row is no entry.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A payload could not be opened.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// Why a catalog could not be read, in whole or in part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The bytes are no SQLite database.
    #[error("Manifest.db is not a SQLite database{}", if *encrypted { " after decryption" } else { "" })]
    NotADatabase {
        /// Whether it was decrypted.
        encrypted: bool,
    },
    /// The catalog does not fit into memory, or is far longer than a device's.
    #[error("the catalog of {bytes} bytes is too large")]
    TooLarge {
        /// Its length.
        bytes: u64,
    },
    /// The header of the database is no header.
    #[error("cannot use the header of Manifest.db")]
    Header(#[source] SqliteImageError),
    /// There is no table of files.
    #[error("Manifest.db has no table Files")]
    NoFilesTable,
    /// `Files` or `Properties` is a view or a virtual table, or has columns that are computed, as
    /// no device makes it.
    #[error("{name} in Manifest.db is not an ordinary table; it was not queried")]
    NotATable {
        /// The table.
        name: &'static str,
    },
    /// SQLite could not query the catalog.
    #[error("cannot query Manifest.db")]
    Database(#[source] rusqlite::Error),
    /// The schema wants something run or read that no catalog needs.
    #[error("Manifest.db wants more than its tables to be read; it was not queried")]
    Forbidden(#[source] rusqlite::Error),
    /// A query worked long and gave nothing, as in pages that lead to one another in a ring.
    #[error("a query of Manifest.db was ended after {steps} steps that gave no row")]
    ExcessiveWork {
        /// The limit in force, in instructions of SQLite's machine.
        steps: u64,
    },
    /// The rows hold more than the file does, so pages are used many times over.
    #[error("the rows of Manifest.db hold more than its {bytes} bytes; the rest was not listed")]
    Inflated {
        /// The length of the database.
        bytes: u64,
    },
    /// A row is longer than any that is read.
    #[error("row {row} of Manifest.db has a column of more than {limit} bytes")]
    LongRow {
        /// Its rowid.
        row: i64,
        /// The limit in force.
        limit: i32,
    },
    /// Some rows of the catalog cannot be read, and those around them can.
    #[error("rows {} are on a damaged page of Manifest.db", DamagedRange(*after, *next))]
    DamagedRows {
        /// The last row before, if there is one.
        after: Option<i64>,
        /// The first row beyond, if there is one.
        next: Option<i64>,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The table gave fewer rows than its own index lists, and no error.
    #[error("Manifest.db gives {found} rows and its index lists {indexed}; the others are lost")]
    RowsMissing {
        /// Rows that came.
        found: u64,
        /// Rows in the index.
        indexed: u64,
    },
    /// `Manifest.mbdb` cannot be read, from some record on.
    #[error("cannot read Manifest.mbdb")]
    Mbdb(#[source] MbdbError),
}

/// The rows between two others.
struct DamagedRange(Option<i64>, Option<i64>);

impl std::fmt::Display for DamagedRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(after) => write!(f, "after {after}")?,
            None => f.write_str("from the first")?,
        }
        match self.1 {
            Some(next) => write!(f, " and before {next}"),
            None => f.write_str(" to the last"),
        }
    }
}

/// What is wrong with a payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The bundle has no file of this name.
    #[error("payload {id} is not in the bundle")]
    Missing {
        /// The payload.
        id: FileId,
    },
    /// The payload's file cannot be opened.
    #[error("cannot open payload {id}")]
    Io {
        /// The payload.
        id: FileId,
        /// What the system said.
        source: io::Error,
    },
    /// The payload's key does not unwrap.
    #[error("cannot unwrap the key of payload {id}")]
    Key {
        /// The payload.
        id: FileId,
        /// Why.
        source: FileKeyError,
    },
    /// The row is damaged, and the payload's key was in it.
    #[error("the key of payload {id} was in a row that cannot be read")]
    KeyLost {
        /// The payload.
        id: FileId,
        /// What is wrong with the row.
        source: crate::RowFault,
    },
    /// The row is damaged, and the payload did not need it.
    #[error("the row of payload {id} is incomplete")]
    Row {
        /// The payload.
        id: FileId,
        /// What is wrong with the row.
        source: crate::RowFault,
    },
    /// A payload without a key in an encrypted bundle: taken as plaintext.
    #[error("payload {id} has no key in an encrypted backup, and was taken as it is stored")]
    PlaintextInEncrypted {
        /// The payload.
        id: FileId,
    },
    /// The last block does not end in PKCS #7 padding; every byte was kept.
    #[error("payload {id} has no valid padding; all {kept} bytes were kept")]
    Padding {
        /// The payload.
        id: FileId,
        /// Bytes given out.
        kept: u64,
    },
    /// The payload is not a whole number of cipher blocks.
    #[error("payload {id} is cut off: its last {stray} bytes are part of a block and were lost")]
    Truncated {
        /// The payload.
        id: FileId,
        /// Bytes that cannot be decrypted.
        stray: usize,
    },
    /// The payload ended before its stored length.
    #[error("payload {id} became shorter while it was read: {read} of {stored} stored bytes")]
    Shrank {
        /// The payload.
        id: FileId,
        /// Bytes read.
        read: u64,
        /// Bytes there were when it was opened.
        stored: u64,
    },
    /// The stored bytes are not those that the catalog's digest was taken of.
    #[error("payload {id} has the digest {}, the catalog says {}", Hex(found), Hex(recorded))]
    Digest {
        /// The payload.
        id: FileId,
        /// SHA-1 of the stored bytes.
        found: [u8; 20],
        /// What the catalog says.
        recorded: [u8; 20],
    },
    /// The length is not what the catalog says, as is usual for live databases.
    #[error("payload {id} has {found} bytes, the catalog says {recorded}{}", if *database { " (a database, copied while in use)" } else { "" })]
    Size {
        /// The payload.
        id: FileId,
        /// Bytes given out.
        found: u64,
        /// What the catalog says.
        recorded: u64,
        /// Whether it is a SQLite database, whose recorded size is often another one.
        database: bool,
    },
}

impl BundleError {
    pub(crate) fn file(name: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { name },
            _ => Self::Io { name: name.into(), source },
        }
    }

    /// Returns true if this is about the row with these names.
    pub(crate) fn is_at(&self, domain: &Domain, path: &RelPath) -> bool {
        self.place().is_some_and(|at| at.domain == domain.as_bytes() && at.path == path.as_bytes())
    }
}

impl Fault for BundleError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => "permission-denied",
                io::ErrorKind::FileTooLarge => "limit-exceeded",
                _ => "cannot-read",
            },
            Self::Missing { .. } => "not-a-backup",
            Self::Unsupported { .. } => "unsupported-format",
            Self::Plist { source: PlistError::LimitExceeded { .. }, .. } => "limit-exceeded",
            Self::Plist { source: PlistError::Unsupported { .. }, .. } => "unsupported-format",
            Self::Plist { .. } => "plist-damaged",
            Self::NoKeybag | Self::ManifestKeyLength { .. } | Self::ManifestKey(_) => {
                "key-material-damaged"
            }
            Self::Keybag(KeybagError::TooLarge { .. } | KeybagError::TooManyItems { .. }) => {
                "limit-exceeded"
            }
            Self::Keybag(_) => "key-material-damaged",
            Self::Unlock(error) => match error {
                UnlockError::WrongPassphrase { .. } => "wrong-password",
                UnlockError::Cancelled => "cancelled",
                UnlockError::ExcessiveWork { .. } => "kdf-limit",
                _ => "key-material-damaged",
            },
            Self::Cells(LegacyError::WrongPassphrase) => "wrong-password",
            Self::Cells(_) => "key-material-damaged",
            Self::Catalog(error) => error.code(),
            Self::Row(error) => error.code(),
            Self::Payload(error) => error.code(),
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Row(error) => error.severity(),
            Self::Payload(error) => error.severity(),
            _ => Severity::Failure,
        }
    }

    fn place(&self) -> Option<Place<'_>> {
        match self {
            Self::Row(error) => error.place(),
            _ => None,
        }
    }
}

impl CatalogError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotATable { .. } | Self::Forbidden(_) | Self::Inflated { .. } => {
                "hostile-catalog"
            }
            Self::TooLarge { .. } | Self::ExcessiveWork { .. } | Self::LongRow { .. } => {
                "limit-exceeded"
            }
            _ => "catalog-damaged",
        }
    }
}

impl Fault for PayloadError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing-blob",
            // What the storage says of links, folders and pipes.
            Self::Io { source, .. } if source.kind() == io::ErrorKind::InvalidInput => {
                "irregular-blob"
            }
            Self::Io { .. } => "unreadable-blob",
            Self::Key { .. } | Self::KeyLost { .. } => "key-unwrap-failed",
            Self::Row { .. } => "bad-metadata",
            Self::PlaintextInEncrypted { .. } => "plaintext-blob",
            Self::Padding { .. } => "bad-padding",
            Self::Truncated { .. } | Self::Shrank { .. } => "truncated-blob",
            Self::Digest { .. } => "digest-mismatch",
            Self::Size { .. } => "size-mismatch",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Missing { .. } | Self::Io { .. } | Self::Key { .. } | Self::KeyLost { .. } => {
                Severity::Failure
            }
            Self::Truncated { .. } | Self::Shrank { .. } | Self::Digest { .. } => Severity::Damage,
            Self::Row { .. }
            | Self::PlaintextInEncrypted { .. }
            | Self::Padding { .. }
            | Self::Size { .. } => Severity::Notice,
        }
    }
}

/// Something odd that lost nothing, and is about the bundle rather than one entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// A stable code.
    pub code: &'static str,
    /// What was found.
    pub message: String,
}

impl Notice {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
