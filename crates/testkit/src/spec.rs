//! What a bundle is to be.

use crate::device::DeviceFacts;
use crate::entry::EntrySpec;
use crate::keybag::{KeybagOrder, KeybagShape};
use crate::manifest_db::IndexSet;
use crate::plist_writer::PlistValue;

/// A bundle to write. Every field may be changed before [`write`](BundleSpec::write).
#[derive(Clone, Debug)]
pub struct BundleSpec {
    /// What all keys, salts and noise follow from.
    pub seed: u64,
    /// Which catalog the bundle has.
    pub manifest: ManifestKind,
    /// How it is encrypted; `None` for an unencrypted bundle.
    pub encryption: Option<Encryption>,
    /// Whether an encrypted Manifest.db ends with PKCS#7 padding. Devices pad.
    pub manifest_db_padded: bool,
    /// Whether the class keys protect Manifest.db as well, as since iOS 10.2. Of no effect in a
    /// bundle that is not encrypted or has a Manifest.mbdb.
    pub manifest_db_encrypted: bool,
    /// How the property lists are encoded.
    pub plists: PlistForm,
    /// Which indexes Manifest.db has.
    pub indexes: IndexSet,
    /// Whether the column `flags` is declared TEXT, so that all flags are stored as text.
    pub flags_as_text: bool,
    /// `user_version` of Manifest.db. Devices write 2.
    pub user_version: i32,
    /// Rows of the table `Properties`. Devices since iOS 10.1 write none.
    pub properties: Vec<(String, Vec<u8>)>,
    /// The cell encryption of iOS 10.0. Adds two properties.
    pub cells: Option<CellEncryption>,
    /// The device.
    pub device: DeviceFacts,
    /// The order and version of the keybag.
    pub keybag: KeybagShape,
    /// A keybag to write in place of the right one.
    pub keybag_bytes: Option<Vec<u8>>,
    /// A ManifestKey to write in place of the right one.
    pub manifest_key_bytes: Option<Vec<u8>>,
    /// Whether domain roots and parents are added to the entries.
    pub add_parents: bool,
    /// The entries, in catalog order.
    pub entries: Vec<EntrySpec>,
    /// Files beside Manifest.db that SQLite left there. Unencrypted bundles only.
    pub sidecar: Sidecar,
    /// Changes to Manifest.plist.
    pub manifest_plist: Vec<PlistEdit>,
    /// Changes to Info.plist.
    pub info_plist: Vec<PlistEdit>,
    /// Changes to Status.plist.
    pub status_plist: Vec<PlistEdit>,
    /// Files to write last, by path below the bundle: foreign files, or whole replacements.
    pub raw_files: Vec<(String, Vec<u8>)>,
    /// Files to delete last, by path below the bundle.
    pub remove_files: Vec<String>,
}

/// Which catalog a bundle has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ManifestKind {
    /// Manifest.db and folders of two digits, iOS 10 and newer.
    Db,
    /// Manifest.mbdb and blobs in one folder, iOS 5 to 9.
    Mbdb,
}

/// How a bundle is encrypted.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// The password.
    pub password: String,
    /// DPIC, the rounds of the first stage; `None` before iOS 10.2.
    pub dpic: Option<u32>,
    /// ITER, the rounds of the second stage.
    pub iterations: u32,
}

impl Encryption {
    /// Encrypts in two stages that cost little: 10,000 and 1,000 rounds.
    pub fn new(password: impl Into<String>) -> Self {
        Self { password: password.into(), dpic: Some(10_000), iterations: 1_000 }
    }
}

/// The cell encryption of iOS 10.0. Source: FORMAT.md 2.3.
#[derive(Clone, Debug)]
pub struct CellEncryption {
    /// The `salt` property.
    pub salt: Vec<u8>,
}

/// How the property lists are encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlistForm {
    /// Info.plist in XML, the others binary: what Apple's software writes.
    Apple,
    /// All binary.
    Binary,
    /// All XML.
    Xml,
}

/// A change to the top level of a property list.
#[derive(Clone, Debug)]
pub enum PlistEdit {
    /// Adds or replaces a key.
    Set(String, PlistValue),
    /// Removes a key.
    Remove(String),
}

/// Files beside Manifest.db that SQLite left there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sidecar {
    /// None, as devices leave it.
    None,
    /// The last `rows` rows live only in a valid Manifest.db-wal. A Manifest.db-shm lies there
    /// as well. A reader of Manifest.db alone misses those rows.
    Wal {
        /// How many rows are in the log alone.
        rows: usize,
    },
    /// Manifest.db is in the middle of a transaction that damages every row, and a hot
    /// Manifest.db-journal undoes it. The truth is the state before.
    HotJournal,
}

impl BundleSpec {
    /// An empty unencrypted bundle of an iPhone with iOS 17.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            manifest: ManifestKind::Db,
            encryption: None,
            manifest_db_padded: true,
            manifest_db_encrypted: true,
            plists: PlistForm::Apple,
            indexes: IndexSet::Old,
            flags_as_text: false,
            user_version: 2,
            properties: Vec::new(),
            cells: None,
            device: DeviceFacts::ios17(),
            keybag: KeybagShape {
                order: KeybagOrder::Descending,
                version: 5,
                bag_type: 1,
                plain_iterations: 10_000,
            },
            keybag_bytes: None,
            manifest_key_bytes: None,
            add_parents: true,
            entries: Vec::new(),
            sidecar: Sidecar::None,
            manifest_plist: Vec::new(),
            info_plist: Vec::new(),
            status_plist: Vec::new(),
            raw_files: Vec::new(),
            remove_files: Vec::new(),
        }
    }

    /// Changes some of it, in one expression.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
