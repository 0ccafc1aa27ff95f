//! One item: sealed, and opened.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

use bkp_core::ProtectionClass;
use bkp_crypto::{ClassKeys, ItemForm, SealedItem};

use super::attributes::{self, AttributeValue, Attributes};
use super::{KeychainItemError, KeychainTable, der, property_list};

/// One item, sealed.
pub struct KeychainItem {
    pub(super) table: KeychainTable,
    pub(super) index: usize,
    /// Absent when the member of the table is no dictionary, or has no `v_Data` that is data.
    pub(super) v_data: Option<Vec<u8>>,
    pub(super) reference: Option<Vec<u8>>,
}

/// What `v_PersistentRef` says: how an app finds the item again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PersistentRef {
    /// Twelve bytes: the row of the device's database.
    Row(i64),
    /// Twenty bytes: a UUID, on newer devices.
    Uuid([u8; 16]),
    /// An item whose secret is held by a token, such as a smart card.
    Token,
    /// A form that is not known.
    Unknown {
        /// The bytes there are.
        len: usize,
    },
}

/// An item that was opened. Wiped when it is dropped.
pub struct OpenedItem {
    attributes: Attributes,
}

/// Leaves out the bytes, from which a password could be guessed.
impl fmt::Debug for KeychainItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, index, v_data, reference: _ } = self;
        f.debug_struct("KeychainItem")
            .field("table", table)
            .field("index", index)
            .field("len", &v_data.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

impl KeychainItem {
    /// Returns the table it is in.
    #[must_use]
    pub fn table(&self) -> KeychainTable {
        self.table
    }

    /// Returns its place in the table, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns its version, when its head can be read.
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        Some(self.sealed().ok()?.version())
    }

    /// Returns its protection class, when its head can be read and has one.
    #[must_use]
    pub fn class(&self) -> Option<ProtectionClass> {
        self.sealed().ok()?.class()
    }

    /// Returns its persistent reference, when it has one.
    #[must_use]
    pub fn persistent_ref(&self) -> Option<PersistentRef> {
        let bytes = self.reference.as_deref()?;
        if bytes.starts_with(b"tkpr") {
            return Some(PersistentRef::Token);
        }
        // The table's name in four letters comes first.
        let rest = bytes.get(4..).unwrap_or_default();
        Some(match (<[u8; 8]>::try_from(rest), <[u8; 16]>::try_from(rest)) {
            (Ok(row), _) => PersistentRef::Row(i64::from_be_bytes(row)),
            (_, Ok(uuid)) => PersistentRef::Uuid(uuid),
            _ => PersistentRef::Unknown { len: bytes.len() },
        })
    }

    fn sealed(&self) -> Result<SealedItem<'_>, KeychainItemError> {
        let v_data = self.v_data.as_deref().ok_or(KeychainItemError::NoData)?;
        Ok(SealedItem::parse(v_data)?)
    }

    /// Opens the item. `keys` is what [`Backup::class_keys`](crate::Backup::class_keys) returns: nothing for a backup that is
    /// not encrypted, of which no item opens.
    ///
    /// # Errors
    ///
    /// Fails when the item is bound to the device, of a form that is not read, or damaged.
    pub fn open(&self, keys: Option<&ClassKeys>) -> Result<OpenedItem, KeychainItemError> {
        let sealed = self.sealed()?;
        let Some(keys) = keys else { return Err(KeychainItemError::NotEncrypted) };
        let plaintext = sealed.open(keys)?;
        let attributes = match plaintext.form() {
            ItemForm::PropertyList => property_list::parse(plaintext.expose())?,
            ItemForm::Der => der::parse(plaintext.expose())?,
            _ => return Err(KeychainItemError::UnknownForm),
        };
        Ok(OpenedItem { attributes })
    }
}

impl OpenedItem {
    /// Returns the attributes that are no secrets, in the order of the item.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &AttributeValue)> {
        self.attributes.iter().filter(|&(name, value)| !attributes::is_secret(name, value))
    }

    /// Returns the names of the attributes that are left out by [`attributes`](Self::attributes).
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.attributes
            .iter()
            .filter(|&(name, value)| attributes::is_secret(name, value))
            .map(|(name, _)| name)
    }

    /// Reveals the secret, `v_Data`: a password, a key, a certificate. An item may have none.
    #[must_use]
    pub fn secret(&self) -> Option<&AttributeValue> {
        self.attributes.get("v_Data")
    }

    /// Reveals every attribute, secret or not, in the order of the item.
    pub fn reveal(&self) -> impl Iterator<Item = (&str, &AttributeValue)> {
        self.attributes.iter()
    }
}

/// Names the attributes and tells no values.
impl fmt::Debug for OpenedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedItem").field("attributes", &self.attributes).finish()
    }
}
