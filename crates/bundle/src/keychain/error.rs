//! Why an item of a keychain does not open.

use bkp_core::{Fault, Severity};
use bkp_crypto::SealedItemError;

use crate::plist_guard::PlistError;

/// Why an item of a keychain does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeychainItemError {
    /// File: the member of the table is no dictionary with data under `v_Data`.
    #[error("there is no v_Data")]
    NoData,
    /// File: the backup is not encrypted, and so every item needs the device.
    #[error("the backup is not encrypted, and all items of such are bound to the device")]
    NotEncrypted,
    /// File: the item is sealed, and stays so.
    #[error(transparent)]
    Sealed(#[from] SealedItemError),
    /// File: the plaintext of version 3 is not what it should be.
    #[error("the plaintext is no DER set of attributes: {what} (offset {offset})")]
    Der {
        /// What was found.
        what: &'static str,
        /// The byte of the plaintext.
        offset: usize,
    },
    /// File: the plaintext of version 2 is no property list.
    #[error("the plaintext is no property list")]
    PropertyList(#[from] PlistError),
    /// File: the plaintext of version 2 is a property list of another shape.
    #[error("the plaintext is no dictionary of attributes: {what}")]
    Dictionary {
        /// What was found.
        what: &'static str,
    },
    /// File: the plaintext is of a form that is not read.
    #[error("the plaintext is of a form that is not read")]
    UnknownForm,
}

impl KeychainItemError {
    /// Returns true when the device's own key is needed, so that nothing here is amiss.
    #[must_use]
    pub fn is_device_bound(&self) -> bool {
        matches!(self, Self::NotEncrypted | Self::Sealed(SealedItemError::DeviceBound { .. }))
    }
}

impl Fault for KeychainItemError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoData => "bad-keychain-item",
            Self::NotEncrypted => "device-bound",
            Self::Sealed(error) => match error {
                SealedItemError::DeviceBound { .. } => "device-bound",
                SealedItemError::Version { .. }
                | SealedItemError::DeviceForm { .. }
                | SealedItemError::LongKey { .. } => "unsupported-keychain-item",
                SealedItemError::NoSuchClass { .. } | SealedItemError::Unusable { .. } => {
                    "no-class-key"
                }
                SealedItemError::ClassDamaged { .. } => "class-key-damaged",
                SealedItemError::Key { .. } => "key-unwrap-failed",
                SealedItemError::Tag => "authentication-failed",
                _ => "bad-keychain-item",
            },
            Self::Der { .. } | Self::PropertyList(_) | Self::Dictionary { .. } => {
                "bad-keychain-plaintext"
            }
            Self::UnknownForm => "unsupported-keychain-item",
        }
    }

    /// What needs the device, or a reader of newer forms, is no failure of the backup.
    fn severity(&self) -> Severity {
        match self.code() {
            "device-bound" | "unsupported-keychain-item" => Severity::Notice,
            _ => Severity::Failure,
        }
    }
}
