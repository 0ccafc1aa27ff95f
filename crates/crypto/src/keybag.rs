//! Keybags: the wrapped class keys of a backup (FORMAT.md 3).
//!
//! ```text
//! VERS TYPE UUID HMCK WRAP SALT ITER [DPWT DPIC DPSL]     the header
//! UUID CLAS WRAP KTYP WPKY                                one record for each class,
//! UUID CLAS WRAP KTYP WPKY                                from the second UUID on
//! ...
//! ```
//!
//! Each item is a four-byte tag, a length and a value; integers are big-endian.

mod issue;
mod layout;
mod parse;
mod unlock;

use bkp_core::ProtectionClass;

use crate::error::Tag;
use crate::kdf::KdfParams;
use crate::secret::{ClassKey, DeviceBoundKey};
use crate::wrap::WrappedKey;
use layout::Place;

pub use issue::{FileClasses, Reissue};
pub use unlock::{ClassKeys, ClassState};

/// What a keybag may cost before it is looked at.
pub mod limits {
    /// Bytes of a keybag. Devices write 1,388.
    pub const KEYBAG: usize = 1 << 20;
    /// Items of a keybag. Devices write 65.
    pub const ITEMS: usize = 4096;
    /// Bytes of a salt. Devices write 20. It is less than a class record has, so that a salt with
    /// a damaged length cannot swallow one and pass for a wrong password.
    pub const SALT: usize = 64;
}

/// A keybag. It is locked: everything secret in it is wrapped.
///
/// One comes from [`parse`](Self::parse), or is made: by [`reissue`](Self::reissue) of another, or
/// new by [`generate`](Self::generate) or [`generate_plain`](Self::generate_plain).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keybag {
    version: Option<u32>,
    bag_type: Option<u32>,
    uuid: [u8; 16],
    wrap: Option<u32>,
    hmck: Option<Vec<u8>>,
    kdf: KdfParams,
    /// `DPWT`: 1 where the header has a first derivation stage.
    dpwt: Option<u32>,
    classes: Vec<ClassRecord>,
    unknown: Vec<UnknownItem>,
    /// The header's items in their order.
    layout: Vec<Place>,
}

/// One class of a keybag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClassRecord {
    uuid: [u8; 16],
    class: ProtectionClass,
    wrap: Option<u32>,
    key_type: Option<u32>,
    key: Option<[u8; 40]>,
    /// The record's items in their order.
    layout: Vec<Place>,
}

/// An item that is not known, or not where it stands. It is passed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnknownItem {
    /// The item's tag.
    pub tag: Tag,
    /// Where it starts in the keybag.
    pub offset: usize,
    /// The bytes of its value.
    pub len: usize,
}

impl Keybag {
    /// Returns `VERS`: 3 on iOS 9, 5 on iOS 13 and later.
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        self.version
    }

    /// Returns `TYPE`: 1 for a backup.
    #[must_use]
    pub fn bag_type(&self) -> Option<u32> {
        self.bag_type
    }

    /// Returns the `UUID` of the keybag, which a keychain backup names.
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    /// Returns `WRAP` of the header: 0 in backups.
    #[must_use]
    pub fn wrap(&self) -> Option<u32> {
        self.wrap
    }

    /// Returns `HMCK`: forty zero bytes in backups.
    #[must_use]
    pub fn hmck(&self) -> Option<&[u8]> {
        self.hmck.as_deref()
    }

    /// Returns the salts and work factors.
    #[must_use]
    pub fn kdf(&self) -> &KdfParams {
        &self.kdf
    }

    /// Returns the class records in the keybag's order; there is one at least.
    #[must_use]
    pub fn classes(&self) -> &[ClassRecord] {
        &self.classes
    }

    /// Returns the items that were passed over, in the keybag's order.
    #[must_use]
    pub fn unknown_items(&self) -> &[UnknownItem] {
        &self.unknown
    }
}

impl ClassRecord {
    /// Returns the `UUID` of the record.
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    /// Returns `CLAS`.
    #[must_use]
    pub fn class(&self) -> ProtectionClass {
        self.class
    }

    /// Returns `WRAP`, a bit field of what wraps the key: 1 the device, 2 the passphrase.
    #[must_use]
    pub fn wrap(&self) -> Option<u32> {
        self.wrap
    }

    /// Returns `KTYP`: 0 for AES.
    #[must_use]
    pub fn key_type(&self) -> Option<u32> {
        self.key_type
    }

    /// Returns true when the record has a wrapped key, `WPKY`.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Says what can be made of the wrapped key.
    fn wrapped(&self) -> Wrapped {
        match (self.wrap, self.key) {
            (Some(2), Some(key)) => Wrapped::Passphrase(WrappedKey::from_bytes(key)),
            (Some(3), Some(key)) => Wrapped::PassphraseAndDevice(WrappedKey::from_bytes(key)),
            (Some(1), Some(_)) => Wrapped::Device,
            _ => Wrapped::Opaque,
        }
    }
}

/// A class key by what wraps it.
enum Wrapped {
    /// `WRAP` 2.
    Passphrase(WrappedKey<ClassKey>),
    /// `WRAP` 3: the passphrase outside, the device inside.
    PassphraseAndDevice(WrappedKey<DeviceBoundKey>),
    /// `WRAP` 1.
    Device,
    /// Another `WRAP`, or no key.
    Opaque,
}

#[cfg(test)]
mod tests;
