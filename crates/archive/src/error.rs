//! Why an archive was not written, read or unpacked.

use std::fmt;
use std::io;
use std::path::PathBuf;

use bkp_core::{Fault, Severity};
use bkp_crypto::SealedError;
use bkp_restore::RestoreError;

/// An archive could not be written, read or unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The system does not open the archive.
    #[error("cannot open {}", path.display())]
    Open {
        /// The archive.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The archive, or the stream it is written to, failed.
    #[error("cannot {action} the archive")]
    Io {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// What seals the archive: its header, its key, its segments.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// File: it is neither a zip nor a sealed archive.
    #[error("neither a zip nor a sealed archive")]
    NotAnArchive,
    /// File: the zip's directory is not whole, or contradicts itself.
    #[error("the zip is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// File: a member needs what is not read.
    #[error("the zip's member {name} is {what}, which is not read")]
    Unsupported {
        /// The member, escaped.
        name: Box<str>,
        /// What it is: encrypted, or compressed in some way.
        what: &'static str,
    },
    /// File: several backups are in one zip.
    #[error("the zip holds {count} backups; unpack it and name one of them")]
    SeveralBackups {
        /// How many at least.
        count: usize,
    },
    /// File: the zip was made to do harm, or a limit was met. Nothing of it was used.
    #[error("the zip is refused: {refusal}{}", Of(name))]
    Refused {
        /// What was found.
        refusal: Refusal,
        /// The member that it was found at, escaped; empty when it is about the whole.
        name: Box<str>,
    },
    /// System: a file of the bundle could not be read.
    #[error("cannot read {name} of the backup")]
    Source {
        /// The file.
        name: Box<str>,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// File: a file of the bundle changed while it was read.
    #[error("{name} had {expected} bytes when it was listed and changed while it was packed")]
    SourceChanged {
        /// The file.
        name: Box<str>,
        /// The bytes it had.
        expected: u64,
    },
    /// System: a file could not be written while unpacking.
    #[error("cannot write {name}")]
    Write {
        /// The file, below the destination.
        name: Box<str>,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// System: there is less space than the archive says it needs.
    #[error("{needed} bytes are needed and {free} are free")]
    NoSpace {
        /// What the members have together.
        needed: u64,
        /// What there is.
        free: u64,
    },
    /// The destination could not be made or was not empty.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// System: it starts no more threads.
    #[error("cannot start worker threads")]
    Threads {
        /// Why not.
        #[source]
        source: rayon::ThreadPoolBuildError,
    },
    /// File: a member is not what was packed a moment ago: the disk gave back other bytes.
    #[error("{name} does not read back as it was written")]
    NotWritten {
        /// The member.
        name: Box<str>,
    },
    /// Caller: progress asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// Writes " (member x)", or nothing.
struct Of<'a>(&'a str);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (member {})", self.0) }
    }
}

/// What makes a zip one that is not opened at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// More members than the limit.
    TooManyMembers,
    /// A name that leads out of a folder, or is no name.
    Traversal,
    /// A symbolic link, a device or another special file.
    SpecialFile,
    /// Two members of one name.
    DuplicateName,
    /// Two members share bytes, or a member those of the directory.
    Overlap,
    /// Sizes that cannot be true.
    LyingSize,
    /// So much content in so few bytes that it can only be meant to fill a disk.
    Bomb,
    /// The two headers of one member contradict each other.
    Contradiction,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyMembers => "it has more members than the limit",
            Self::Traversal => "a name leads out of the folder",
            Self::SpecialFile => "a member is a link or a special file",
            Self::DuplicateName => "two members have the same name",
            Self::Overlap => "members overlap",
            Self::LyingSize => "a size cannot be true",
            Self::Bomb => "it would unpack to far more than it is",
            Self::Contradiction => "a member's headers contradict each other",
        })
    }
}

impl ArchiveError {
    pub(crate) fn read(source: io::Error) -> Self {
        Self::io("read", source)
    }

    /// Takes an error of an archive out of what carried it through [`io::Read`].
    pub(crate) fn io(action: &'static str, source: io::Error) -> Self {
        let source = match source.downcast::<SealedError>() {
            Ok(sealed) => return Self::Sealed(sealed),
            Err(source) => source,
        };
        match source.downcast::<Self>() {
            Ok(error) => error,
            Err(source) => Self::Io { action, source },
        }
    }

    /// Returns the stable code of what an archive's reader found, where `error` carried it through
    /// [`io::Read`]: a changed segment, a member whose checksum is another.
    #[must_use]
    pub fn code_within(error: &io::Error) -> Option<&'static str> {
        let carried = error.get_ref()?;
        let sealed = carried.downcast_ref::<SealedError>().map(Fault::code);
        sealed.or_else(|| carried.downcast_ref::<Self>().map(Fault::code))
    }

    pub(crate) fn refused(refusal: Refusal, name: &[u8]) -> Self {
        Self::Refused { refusal, name: escaped(name) }
    }
}

/// A name as a person may see it: ASCII, and not endless.
pub(crate) fn escaped(name: &[u8]) -> Box<str> {
    let shown = name.get(..200).unwrap_or(name);
    shown.escape_ascii().to_string().into()
}

impl From<ArchiveError> for io::Error {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Io { source, .. } => source,
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

impl Fault for ArchiveError {
    fn code(&self) -> &'static str {
        match self {
            Self::Open { .. } => "cannot-open-archive",
            Self::Io { .. } => "archive-io",
            Self::Sealed(error) => error.code(),
            Self::NotAnArchive => "not-an-archive",
            Self::Damaged { .. } => "zip-damaged",
            Self::Unsupported { .. } => "zip-unsupported",
            Self::SeveralBackups { .. } => "several-backups",
            Self::Refused { refusal, .. } => match refusal {
                Refusal::TooManyMembers => "zip-too-many-members",
                Refusal::Traversal => "zip-traversal",
                Refusal::SpecialFile => "zip-special-file",
                Refusal::DuplicateName => "zip-duplicate-name",
                Refusal::Overlap => "zip-overlap",
                Refusal::LyingSize => "zip-lying-size",
                Refusal::Bomb => "zip-bomb",
                Refusal::Contradiction => "zip-contradiction",
            },
            Self::Source { .. } => "source-read",
            Self::SourceChanged { .. } => "source-changed",
            Self::Write { .. } => "cannot-create",
            Self::NoSpace { .. } => "no-space",
            Self::Restore(error) => error.code(),
            Self::Threads { .. } => "cannot-start-threads",
            Self::NotWritten { .. } => "not-written",
            Self::Cancelled => "cancelled",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Restore(error) => error.severity(),
            _ => Severity::Failure,
        }
    }
}
