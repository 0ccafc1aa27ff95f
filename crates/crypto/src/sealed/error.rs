//! Why a sealed stream was not written or not opened.

use std::io;

use bkp_core::Fault;

use crate::error::{Cancelled, RandomError};

/// A sealed stream could not be written, or did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// The system refused to read or write.
    #[error("cannot {action} the sealed archive")]
    Io {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The system gave no random numbers.
    #[error("the archive cannot be sealed")]
    Random {
        /// What it said.
        #[source]
        source: RandomError,
    },
    /// File: it does not begin as a sealed archive does.
    #[error("not a sealed archive: it begins otherwise")]
    NotSealed,
    /// File: it is of a version that is not read, or its header was changed in that place.
    #[error("sealed archive of version {version}; this program reads version 1")]
    Version {
        /// The version that it states.
        version: u8,
    },
    /// File: the header is not what was written.
    #[error("the header of the sealed archive is damaged")]
    HeaderDamaged,
    /// File: the header asks for a way to make the key that is not known.
    #[error("the sealed archive asks for key derivation {id}, which is not known")]
    UnknownKdf {
        /// The number in the header.
        id: u8,
    },
    /// File: a field of the header has a value that is never written.
    #[error("the header of the sealed archive has {value} as {field}")]
    HeaderField {
        /// The field.
        field: &'static str,
        /// The value.
        value: u64,
    },
    /// Limit: segments are smaller or larger than is accepted. Nothing was allocated.
    #[error("segments of {size} bytes; {least} to {most} are accepted")]
    SegmentSize {
        /// The size asked for.
        size: u32,
        /// The least that is accepted.
        least: u32,
        /// The most that is accepted.
        most: u32,
    },
    /// Limit: the header asks for more work than the caller allows. Nothing was derived.
    #[error("the sealed archive asks for {asked} PBKDF2 rounds, the limit is {limit}")]
    ExcessiveWork {
        /// The rounds.
        asked: u64,
        /// The limit in force.
        limit: u64,
    },
    /// Limit: more segments than their counter can number.
    #[error("a sealed archive has at most 2^32 segments")]
    TooLong,
    /// Caller: so few rounds are not written.
    #[error("{rounds} PBKDF2 rounds are too few to write; at least {least} are needed")]
    FewRounds {
        /// The rounds asked for.
        rounds: u32,
        /// The least there may be.
        least: u32,
    },
    /// Caller: the progress callback asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// Caller: the passphrase is not the one, or the header was changed by somebody who knew how.
    #[error("the sealed archive does not open with this password")]
    WrongPassphrase,
    /// Caller: the key file is not the one, or the header was changed by somebody who knew how.
    #[error("the sealed archive does not open with this key file")]
    WrongKeyFile,
    /// Caller: the archive opens with a passphrase, and a key file was given.
    #[error("the sealed archive opens with a password and not with a key file")]
    NeedsPassphrase,
    /// Caller: the archive opens with a key file, and a passphrase was given.
    #[error("the sealed archive opens with a key file and not with a password")]
    NeedsKeyFile,
    /// File: it ends before its last segment does.
    #[error("the sealed archive was cut off after {len} bytes")]
    Truncated {
        /// The bytes there are.
        len: u64,
    },
    /// File: the last segment is not the one that was written as the last: the file was cut off
    /// or extended, or the segment changed.
    #[error("segment {segment}, the last of the sealed archive, does not open: cut off or changed")]
    LastSegment {
        /// Which one, from zero.
        segment: u64,
    },
    /// File: a segment was changed, or is not in its place.
    #[error("segment {segment} of the sealed archive was changed or moved")]
    Segment {
        /// Which one, from zero.
        segment: u64,
    },
}

impl From<Cancelled> for SealedError {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<SealedError> for io::Error {
    fn from(error: SealedError) -> Self {
        match error {
            SealedError::Io { source, .. } => source,
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

impl Fault for SealedError {
    fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "archive-io",
            Self::Random { .. } => "no-random-numbers",
            Self::NotSealed => "not-sealed",
            Self::Version { .. } => "sealed-version",
            Self::HeaderDamaged => "sealed-header",
            Self::UnknownKdf { .. } => "sealed-kdf",
            Self::HeaderField { .. } => "sealed-header",
            Self::SegmentSize { .. } => "sealed-segment-size",
            Self::ExcessiveWork { .. } => "excessive-kdf",
            Self::TooLong => "sealed-too-long",
            Self::FewRounds { .. } => "few-rounds",
            Self::Cancelled => "cancelled",
            Self::WrongPassphrase => "wrong-password",
            Self::WrongKeyFile => "wrong-key-file",
            Self::NeedsPassphrase => "password-needed",
            Self::NeedsKeyFile => "key-file-needed",
            Self::Truncated { .. } => "sealed-truncated",
            Self::LastSegment { .. } => "sealed-last-segment",
            Self::Segment { .. } => "sealed-segment",
        }
    }
}
