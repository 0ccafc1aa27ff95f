//! The keychain of a backup: `KeychainDomain:keychain-backup.plist`.
//!
//! ```text
//! { "keybag-uuid": text,
//!   "genp": [ { "v_Data": data, "v_PersistentRef": data } ... ],     generic passwords
//!   "inet": [ ... ],                                                 internet passwords
//!   "cert": [ ... ],  "keys": [ ... ] }                              certificates, keys
//!
//! v_Data ──▶ SealedItem ──open──▶ DER or a property list ──▶ OpenedItem
//! ```
//!
//! Items of classes 6 to 8 open with the backup's password. Those of classes 9 to 11 need the
//! device, and in a backup that is not encrypted all of them do. Source: FORMAT.md 4.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod attributes;
mod der;
mod error;
mod item;
mod property_list;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bkp_core::{Domain, Fault, Hex, Payloads as _, RelPath, Source as _};

use crate::plist_guard::{Container, Event, Events, Limits, Scalar};
use crate::{Backup, BundleError, BundleRecord, Notice, PlistError, Unlocked};

pub use attributes::AttributeValue;
pub use error::KeychainItemError;
pub use item::{KeychainItem, OpenedItem, PersistentRef};

/// The domain of the keychain.
const DOMAIN: &str = "KeychainDomain";
/// Its path, and its name in errors.
const PATH: &str = "keychain-backup.plist";

/// How much of a keychain is read before it is taken for an attack.
mod limits {
    /// Bytes of the file.
    pub(super) const BYTES: usize = 64 << 20;
    /// Items of all tables. Devices have a few thousand.
    pub(super) const ITEMS: usize = 100_000;
    /// Bytes of an attribute's name. Devices write four to eight.
    pub(super) const NAME: usize = 256;
    /// Attributes of an item. Devices write about twenty.
    pub(super) const ATTRIBUTES: usize = 1024;
}

/// A table of the keychain.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum KeychainTable {
    /// Generic passwords.
    Genp,
    /// Internet passwords.
    Inet,
    /// Certificates.
    Cert,
    /// Keys.
    Keys,
}

impl KeychainTable {
    /// Returns the table's name in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Genp => "genp",
            Self::Inet => "inet",
            Self::Cert => "cert",
            Self::Keys => "keys",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        [Self::Genp, Self::Inet, Self::Cert, Self::Keys]
            .into_iter()
            .find(|table| table.name().as_bytes() == name)
    }
}

impl fmt::Display for KeychainTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The keychain of a backup, with every item still sealed.
#[derive(Debug)]
pub struct Keychain {
    keybag_uuid: Option<String>,
    items: Vec<KeychainItem>,
    notices: Vec<Notice>,
    damage: Option<PlistError>,
}

impl Keychain {
    /// Finds and reads the keychain of a backup; nothing when the backup holds none.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, is longer than 64 MiB, or is no property list with a
    /// dictionary at its root.
    pub fn find(backup: &Backup<Unlocked>) -> Result<Option<FoundKeychain>, BundleError> {
        let (Ok(domain), Ok(path)) = (Domain::new(DOMAIN), RelPath::new(PATH)) else {
            return Ok(None);
        };
        let Some(record) = backup.find(&domain, &path)? else { return Ok(None) };
        let mut payload = backup.payloads().open(&record)?;
        let mut bytes = Vec::new();
        let most = u64::try_from(limits::BYTES).unwrap_or(u64::MAX).saturating_add(1);
        (&mut payload)
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|source| BundleError::Io { name: PATH.into(), source })?;
        let mut keychain =
            Self::parse(&bytes).map_err(|source| BundleError::Plist { name: PATH, source })?;
        keychain.compare_uuid(backup);
        Ok(Some(FoundKeychain { keychain, record, faults: payload.faults() }))
    }

    /// Reads the file, XML or binary. Nothing in it is opened.
    ///
    /// When the file is damaged after its beginning, or has more than 100,000 items, those before
    /// are kept, and [`damage`](Self::damage) tells of it.
    ///
    /// # Errors
    ///
    /// Fails when the file is longer than 64 MiB, or is no property list with a dictionary at its
    /// root.
    pub fn parse(bytes: &[u8]) -> Result<Self, PlistError> {
        let mut events = Events::new(bytes, &Limits::of(limits::BYTES))?;
        if events.next()? != Some(Event::Open(Container::Dict)) {
            let (what, offset) = ("the root is no dictionary", events.offset());
            return Err(PlistError::Malformed { what, offset });
        }
        let mut keychain =
            Self { keybag_uuid: None, items: Vec::new(), notices: Vec::new(), damage: None };
        keychain.damage = keychain.read(&mut events).err();
        Ok(keychain)
    }

    /// Returns the UUID of the keybag that the items were sealed for, as the file spells it.
    #[must_use]
    pub fn keybag_uuid(&self) -> Option<&str> {
        self.keybag_uuid.as_deref()
    }

    /// Returns the items in the order of the file.
    #[must_use]
    pub fn items(&self) -> &[KeychainItem] {
        &self.items
    }

    /// Returns what was odd about the file and lost nothing of its four tables.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Returns why the file could not be read to its end, when it could not.
    #[must_use]
    pub fn damage(&self) -> Option<&PlistError> {
        self.damage.as_ref()
    }

    /// Returns the same for keeps.
    #[must_use]
    pub fn into_damage(self) -> Option<PlistError> {
        self.damage
    }

    fn read(&mut self, events: &mut Events<'_>) -> Result<(), PlistError> {
        while let Some(event) = events.next()? {
            let Event::Key(key) = event else { continue };
            let value = events.next()?;
            match (KeychainTable::of(&key), value) {
                (Some(table), Some(Event::Open(Container::Array))) => self.table(table, events)?,
                (None, Some(Event::Value(Scalar::Text(text)))) if *key == *b"keybag-uuid" => {
                    self.keybag_uuid = Some(String::from_utf8_lossy(&text).into_owned());
                }
                (table, value) => {
                    let (what, code) = match table {
                        Some(_) => ("is no array, and was passed over", "plist-oddity"),
                        None => ("is not known, and was passed over", "unknown-table"),
                    };
                    // A hostile file has a million keys.
                    if self.notices.len() < 100 {
                        let name = key.escape_ascii();
                        self.notices.push(Notice::new(code, format!("{PATH}: {name} {what}")));
                    }
                    skip(value.as_ref(), events)?;
                }
            }
        }
        Ok(())
    }

    /// Reads the members of a table, which has been entered.
    fn table(&mut self, table: KeychainTable, events: &mut Events<'_>) -> Result<(), PlistError> {
        let mut index = 0_usize;
        loop {
            let (mut v_data, mut reference) = (None, None);
            match events.next()? {
                None | Some(Event::Close) => return Ok(()),
                Some(Event::Open(Container::Dict)) => {
                    while let Some(Event::Key(key)) = events.next()? {
                        let value = events.next()?;
                        match (&*key, &value) {
                            (b"v_Data", Some(Event::Value(scalar))) => v_data = data(scalar),
                            (b"v_PersistentRef", Some(Event::Value(scalar))) => {
                                reference = data(scalar);
                            }
                            _ => skip(value.as_ref(), events)?,
                        }
                    }
                }
                other => skip(other.as_ref(), events)?,
            }
            if self.items.len() >= limits::ITEMS {
                let what = "items of a keychain";
                return Err(PlistError::LimitExceeded { what, limit: limits::ITEMS });
            }
            self.items.push(KeychainItem { table, index, v_data, reference });
            index = index.saturating_add(1);
        }
    }

    /// Tells of a keychain that is of another backup. Source: FORMAT.md 4.
    fn compare_uuid(&mut self, backup: &Backup<Unlocked>) {
        let Some(Ok(keybag)) = backup.bundle().keybag() else { return };
        let hex = |text: &str| text.replace('-', "").to_ascii_lowercase();
        let bag = Hex(&keybag.uuid()).to_string();
        if let Some(uuid) = &self.keybag_uuid
            && hex(uuid) != bag
        {
            let uuid = uuid.escape_debug();
            self.notices.push(Notice::new(
                "keybag-uuid-mismatch",
                format!("{PATH} names the keybag {uuid}, and that of the backup is {bag}"),
            ));
        }
    }
}

/// A keychain and where it was found.
pub struct FoundKeychain {
    /// The keychain.
    pub keychain: Keychain,
    /// The catalog's row.
    pub record: BundleRecord,
    /// What was odd about the payload, or could not be recovered of it.
    pub faults: Vec<Box<dyn Fault>>,
}

impl fmt::Debug for FoundKeychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keychain, record, faults } = self;
        f.debug_struct("FoundKeychain")
            .field("keychain", keychain)
            .field("record", record)
            .field("faults", &faults.len())
            .finish()
    }
}

/// Passes over a value whose first event has been taken.
fn skip(value: Option<&Event<'_>>, events: &mut Events<'_>) -> Result<(), PlistError> {
    let mut depth = usize::from(matches!(value, Some(Event::Open(_))));
    while depth > 0 {
        match events.next()? {
            Some(Event::Open(_)) => depth = depth.saturating_add(1),
            Some(Event::Close) => depth = depth.saturating_sub(1),
            Some(_) => {}
            None => break,
        }
    }
    Ok(())
}

fn data(scalar: &Scalar<'_>) -> Option<Vec<u8>> {
    match scalar {
        Scalar::Data(bytes) => Some(bytes.to_vec()),
        Scalar::Base64(text) => {
            let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            STANDARD.decode(digits).ok()
        }
        _ => None,
    }
}
