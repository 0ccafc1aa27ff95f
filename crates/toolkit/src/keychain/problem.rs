//! What was wrong with a keychain while it was listed.

use bkp_bundle::{KeychainItemError, KeychainTable, Notice, PlistError};
use bkp_core::{Fault, Severity};

/// What was wrong with a keychain while it was listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeychainProblem {
    /// The backup holds no keychain.
    #[error("the backup holds no keychain")]
    Absent,
    /// An item that should have opened did not.
    #[error("{table} item {index}")]
    Item {
        /// The table.
        table: KeychainTable,
        /// Its place in the table, from 0.
        index: usize,
        /// Why.
        source: KeychainItemError,
    },
    /// Items of a form that is not read.
    #[error("{form}; items like this: {count}")]
    Unsupported {
        /// How many.
        count: usize,
        /// The form.
        form: String,
    },
    /// The file cannot be read to its end.
    #[error("the keychain cannot be read beyond {items} items, and what follows is lost")]
    Damaged {
        /// The items before.
        items: usize,
        /// Why.
        source: PlistError,
    },
    /// Something odd that lost nothing.
    #[error("{}", notice.message)]
    Odd {
        /// What was found.
        notice: Notice,
    },
}

impl Fault for KeychainProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Absent => "no-keychain",
            Self::Item { source, .. } => source.code(),
            Self::Unsupported { .. } => "unsupported-keychain-item",
            Self::Damaged { source: PlistError::LimitExceeded { .. }, .. } => "limit-exceeded",
            Self::Damaged { .. } => "keychain-damaged",
            Self::Odd { notice } => notice.code,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Absent | Self::Unsupported { .. } | Self::Odd { .. } => Severity::Notice,
            Self::Item { .. } | Self::Damaged { .. } => Severity::Failure,
        }
    }
}
