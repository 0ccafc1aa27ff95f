//! Opening and unlocking.

use std::ops::ControlFlow;
use std::sync::Arc;

use bkp_core::{Domain, Fault as _, RelPath, Source};
use bkp_crypto::{
    ClassKeys, DEFAULT_KDF_LIMIT, KdfProgress, Keybag, KeybagError, Passphrase, WrappedFileKey,
};

use crate::storage::Layout;
use crate::{
    BundleError, BundlePayloads, BundleRecord, Catalog, InfoPlist, ManifestDb, ManifestMbdb,
    ManifestPlist, Notice, PlistError, StatusPlist, Storage, plist_guard,
};

/// What a file may demand, at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// PBKDF2 rounds of both stages together.
    pub kdf_rounds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { kdf_rounds: DEFAULT_KDF_LIMIT }
    }
}

/// A bundle of which the three property lists have been read, and no catalog yet.
///
/// This much can be told of any bundle, locked or damaged.
#[derive(Debug)]
pub struct Bundle {
    storage: Storage,
    limits: Limits,
    manifest: ManifestPlist,
    info: Option<InfoPlist>,
    status: Option<StatusPlist>,
    keybag: Option<Result<Keybag, KeybagError>>,
    catalog: CatalogFile,
    encrypted: bool,
    notices: Vec<Notice>,
}

/// Which catalog the bundle has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CatalogFile {
    Db,
    Mbdb,
}

/// What opening a catalog finds.
#[derive(Debug)]
pub enum Opened {
    /// The backup is encrypted; [`Backup::unlock`] is the way in.
    Locked(Backup<Locked>),
    /// The backup was never encrypted. It still has a keybag, under the empty passphrase.
    Unlocked(Backup<Unlocked>),
}

/// A backup. What can be done with it depends on `S`.
#[derive(Debug)]
pub struct Backup<S> {
    bundle: Arc<Bundle>,
    state: S,
}

/// Names can be read where the catalog is not encrypted itself (iOS 9 and earlier, iOS 10.0 and
/// 10.1), and payloads cannot.
#[derive(Debug)]
pub struct Locked {
    catalog: Option<Catalog>,
}

/// The catalog is open and payloads can be read.
#[derive(Debug)]
pub struct Unlocked {
    catalog: Catalog,
    payloads: BundlePayloads,
}

const DB: &str = "Manifest.db";
const MBDB: &str = "Manifest.mbdb";
const MAGIC: &[u8] = b"SQLite format 3\0";

impl Bundle {
    /// Reads `Manifest.plist`, and `Info.plist` and `Status.plist` where they can be read.
    ///
    /// # Errors
    ///
    /// Fails when there is no `Manifest.plist` or no catalog, when `Manifest.plist` cannot be
    /// read, or when the layout is that of iOS 3 or earlier.
    pub fn open(storage: Storage, limits: Limits) -> Result<Self, BundleError> {
        let names = storage
            .names()
            .map_err(|source| BundleError::Io { name: "the folder".into(), source })?;
        let has = |name: &str| names.iter().any(|n| n == name);
        if !has(DB) && !has(MBDB) && names.iter().any(|name| name.ends_with(".mdinfo")) {
            return Err(BundleError::Unsupported { what: "the layout of iOS 3 and earlier" });
        }
        let mut notices = Vec::new();
        let manifest =
            read(&storage, "Manifest.plist", &plist_guard::Limits::MANIFEST, ManifestPlist::parse)?;
        let info = read(&storage, "Info.plist", &plist_guard::Limits::INFO, InfoPlist::parse);
        let info = optional(info, &mut notices);
        let status =
            read(&storage, "Status.plist", &plist_guard::Limits::STATUS, StatusPlist::parse);
        let status = optional(status, &mut notices);
        let catalog = match (has(DB), has(MBDB)) {
            (true, true) if major_version(&manifest).is_some_and(|major| major < 10) => {
                CatalogFile::Mbdb
            }
            (true, _) => CatalogFile::Db,
            (false, true) => CatalogFile::Mbdb,
            (false, false) => {
                return Err(BundleError::Missing { name: "Manifest.db or Manifest.mbdb" });
            }
        };
        if major_version(&manifest).is_some_and(|major| major > 10) {
            notices.push(Notice::new(
                "newer-format",
                "Manifest.plist is of a newer version than 10; it is read as if it were of that",
            ));
        }
        if has("Snapshot") {
            notices.push(Notice::new(
                "unfinished-backup",
                "there is a folder Snapshot, so the last backup did not end; it is not read",
            ));
        }
        for (name, warnings) in [
            ("Manifest.plist", manifest.warnings.as_slice()),
            ("Info.plist", info.as_ref().map(|i| i.warnings.as_slice()).unwrap_or_default()),
            ("Status.plist", status.as_ref().map(|s| s.warnings.as_slice()).unwrap_or_default()),
        ] {
            let notice = |w| Notice::new("plist-oddity", format!("{name}: {w}"));
            notices.extend(warnings.iter().map(notice));
        }
        let encrypted = is_encrypted(&storage, &manifest, catalog, &mut notices);
        let keybag = manifest.keybag.as_deref().map(Keybag::parse);
        Ok(Self { storage, limits, manifest, info, status, keybag, catalog, encrypted, notices })
    }

    /// Opens the catalog, if that needs no passphrase.
    ///
    /// # Errors
    ///
    /// Fails when the catalog cannot be read, or the bundle is encrypted and its keybag cannot.
    pub fn open_catalog(self: &Arc<Self>) -> Result<Opened, BundleError> {
        let bundle = Arc::clone(self);
        if !self.encrypted {
            let catalog = self.load(None)?;
            let payloads = self.payloads(None);
            let state = Unlocked { catalog, payloads };
            return Ok(Opened::Unlocked(Backup { bundle, state }));
        }
        self.usable_keybag()?;
        let locked = self.catalog_is_encrypted();
        let catalog = if locked { None } else { Some(self.load(None)?) };
        Ok(Opened::Locked(Backup { bundle, state: Locked { catalog } }))
    }

    /// Opens the catalog of an encrypted bundle where that is not encrypted itself, whatever
    /// state the keybag is in: enough to compare stored bytes with their digests. Nothing for a
    /// bundle that is not encrypted, and for one whose catalog needs the passphrase.
    ///
    /// # Errors
    ///
    /// Fails when the catalog cannot be read.
    pub fn open_stored(self: &Arc<Self>) -> Result<Option<Backup<Locked>>, BundleError> {
        if !self.encrypted || self.catalog_is_encrypted() {
            return Ok(None);
        }
        let catalog = self.load(None)?;
        if let Catalog::Db(db) = &catalog
            && db.has_encrypted_cells()?
        {
            return Ok(None);
        }
        let state = Locked { catalog: Some(catalog) };
        Ok(Some(Backup { bundle: Arc::clone(self), state }))
    }

    fn catalog_is_encrypted(&self) -> bool {
        self.catalog == CatalogFile::Db && self.manifest.manifest_key.is_some()
    }

    /// Returns the files of the bundle.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Opens the catalog as it is stored: its bytes tell one state of a backup from another.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be opened.
    pub fn stored_catalog(&self) -> Result<Box<dyn std::io::Read + Send>, BundleError> {
        let name = match self.catalog {
            CatalogFile::Db => DB,
            CatalogFile::Mbdb => MBDB,
        };
        let stored = self.storage.open(name).map_err(|source| BundleError::file(name, source))?;
        Ok(Box::new(stored))
    }

    /// Reads `Manifest.plist` as it is stored.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, or is longer than is ever read of it.
    pub fn manifest_bytes(&self) -> Result<Vec<u8>, BundleError> {
        stored(&self.storage, "Manifest.plist", &plist_guard::Limits::MANIFEST)
    }

    /// Reads `Info.plist` as it is stored; nothing when there is none.
    ///
    /// # Errors
    ///
    /// Fails as [`manifest_bytes`](Self::manifest_bytes) does.
    pub fn info_bytes(&self) -> Result<Option<Vec<u8>>, BundleError> {
        present(stored(&self.storage, "Info.plist", &plist_guard::Limits::INFO))
    }

    /// Reads `Status.plist` as it is stored; nothing when there is none.
    ///
    /// # Errors
    ///
    /// Fails as [`manifest_bytes`](Self::manifest_bytes) does.
    pub fn status_bytes(&self) -> Result<Option<Vec<u8>>, BundleError> {
        present(stored(&self.storage, "Status.plist", &plist_guard::Limits::STATUS))
    }

    /// Returns whether a journal lies beside the catalog, so that the catalog's file alone is not
    /// its whole state.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be listed.
    pub fn has_sidecars(&self) -> Result<bool, BundleError> {
        for name in ["Manifest.db-wal", "Manifest.db-journal"] {
            let len = self.storage.len(name).map_err(|source| BundleError::file(name, source))?;
            if len.is_some_and(|len| len > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns what `Manifest.plist` says.
    #[must_use]
    pub fn manifest(&self) -> &ManifestPlist {
        &self.manifest
    }

    /// Returns what `Info.plist` says, if it could be read.
    #[must_use]
    pub fn info(&self) -> Option<&InfoPlist> {
        self.info.as_ref()
    }

    /// Returns what `Status.plist` says, if it could be read.
    #[must_use]
    pub fn status(&self) -> Option<&StatusPlist> {
        self.status.as_ref()
    }

    /// Returns the keybag, or why it cannot be read; nothing when there is none.
    #[must_use]
    pub fn keybag(&self) -> Option<Result<&Keybag, &KeybagError>> {
        self.keybag.as_ref().map(Result::as_ref)
    }

    /// Returns whether payloads are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Returns the first two numbers of the version of the system that made the backup, so that
    /// 10.10 comes after 10.2: those of `Manifest.plist`, else of `Info.plist`. None where neither
    /// says a version.
    #[must_use]
    pub fn system_version(&self) -> Option<(u32, u32)> {
        let told = self.manifest.lockdown.product_version.as_deref();
        two_numbers(told.or_else(|| self.info.as_ref()?.product_version.as_deref())?)
    }

    /// Returns what was odd about the bundle and lost nothing.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Returns what files may demand, at most.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn usable_keybag(&self) -> Result<&Keybag, BundleError> {
        match &self.keybag {
            Some(Ok(keybag)) => Ok(keybag),
            Some(Err(error)) => Err(BundleError::Keybag(error.clone())),
            None => Err(BundleError::NoKeybag),
        }
    }

    fn load(&self, key: Option<&bkp_crypto::FileKey>) -> Result<Catalog, BundleError> {
        Ok(match self.catalog {
            CatalogFile::Db => Catalog::Db(ManifestDb::open(&self.storage, key)?),
            CatalogFile::Mbdb => Catalog::Mbdb(ManifestMbdb::open(&self.storage)?),
        })
    }

    fn payloads(&self, keys: Option<Arc<ClassKeys>>) -> BundlePayloads {
        let layout = match self.catalog {
            CatalogFile::Db => Layout::Sharded,
            CatalogFile::Mbdb => Layout::Flat,
        };
        BundlePayloads { storage: self.storage.clone(), layout, keys }
    }
}

/// Returns the number before the first dot of `Version`.
fn major_version(manifest: &ManifestPlist) -> Option<u32> {
    two_numbers(manifest.version.as_deref()?).map(|(major, _)| major)
}

/// Reads the first two numbers of a version. What is no second number counts as 0.
fn two_numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim().split('.').map(|part| part.trim().parse().ok());
    let major = numbers.next()??;
    Some((major, numbers.next().flatten().unwrap_or(0)))
}

/// Reads a property list as it is stored.
fn stored(
    storage: &Storage,
    name: &'static str,
    limits: &plist_guard::Limits,
) -> Result<Vec<u8>, BundleError> {
    let limit = u64::try_from(limits.bytes).unwrap_or(u64::MAX);
    storage.read(name, limit).map_err(|source| BundleError::file(name, source))
}

fn present(file: Result<Vec<u8>, BundleError>) -> Result<Option<Vec<u8>>, BundleError> {
    match file {
        Err(BundleError::Missing { .. }) => Ok(None),
        file => file.map(Some),
    }
}

fn read<T>(
    storage: &Storage,
    name: &'static str,
    limits: &plist_guard::Limits,
    parse: impl FnOnce(&[u8]) -> Result<T, PlistError>,
) -> Result<T, BundleError> {
    let bytes = stored(storage, name, limits)?;
    parse(&bytes).map_err(|source| {
        // A bomb is called one even where something else is wrong with it as well.
        let source = match plist_guard::check(&bytes, limits) {
            Err(limit @ PlistError::LimitExceeded { .. }) => limit,
            _ => source,
        };
        BundleError::Plist { name, source }
    })
}

/// Only `Manifest.plist` is needed to read a backup; of the others a failure is told.
fn optional<T>(plist: Result<T, BundleError>, notices: &mut Vec<Notice>) -> Option<T> {
    match plist {
        Ok(plist) => Some(plist),
        Err(BundleError::Missing { name }) => {
            notices.push(Notice::new("missing-plist", format!("there is no {name}")));
            None
        }
        Err(error) => {
            let mut message = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                message.push_str(": ");
                message.push_str(&cause.to_string());
            }
            notices.push(Notice::new(error.code(), message));
            None
        }
    }
}

/// Decides whether payloads are encrypted. `IsEncrypted` says so; where it contradicts the
/// catalog's own bytes, those are believed.
fn is_encrypted(
    storage: &Storage,
    manifest: &ManifestPlist,
    catalog: CatalogFile,
    notices: &mut Vec<Notice>,
) -> bool {
    let keyed = manifest.manifest_key.is_some();
    let said = manifest.is_encrypted.unwrap_or(keyed);
    if said || !keyed || catalog == CatalogFile::Mbdb {
        return said;
    }
    let mut start = [0; 16];
    let plain = storage.open(DB).is_ok_and(|mut file| {
        std::io::Read::read_exact(&mut file, &mut start).is_ok() && start == *MAGIC
    });
    if !plain {
        notices.push(Notice::new(
            "state-contradiction",
            "Manifest.plist says that the backup is not encrypted, and Manifest.db is",
        ));
    }
    !plain
}

impl Opened {
    /// Opens a bundle and, if that needs no passphrase, its catalog.
    ///
    /// # Errors
    ///
    /// Fails as [`Bundle::open`] and [`Bundle::open_catalog`] do.
    pub fn open(storage: Storage, limits: Limits) -> Result<Self, BundleError> {
        Arc::new(Bundle::open(storage, limits)?).open_catalog()
    }

    /// Returns what can be told of any bundle.
    #[must_use]
    pub fn bundle(&self) -> &Arc<Bundle> {
        match self {
            Self::Locked(backup) => &backup.bundle,
            Self::Unlocked(backup) => &backup.bundle,
        }
    }

    /// Returns the catalog, if it can be read.
    #[must_use]
    pub fn catalog(&self) -> Option<&Catalog> {
        match self {
            Self::Locked(backup) => backup.catalog(),
            Self::Unlocked(backup) => Some(backup.catalog()),
        }
    }
}

impl<S> Backup<S> {
    /// Returns what can be told of any bundle.
    #[must_use]
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }
}

impl Backup<Locked> {
    /// Returns the catalog where it is not encrypted itself. Its payloads are.
    #[must_use]
    pub fn catalog(&self) -> Option<&Catalog> {
        self.state.catalog.as_ref()
    }

    /// Returns a way to find out whether payloads are there, without opening any.
    #[must_use]
    pub fn payloads(&self) -> BundlePayloads {
        self.bundle.payloads(None)
    }

    /// Unlocks the keybag and opens the catalog. Borrows, so that a caller can ask for another
    /// passphrase and try again. `progress` hears of the key derivation, which takes seconds,
    /// and can end it.
    ///
    /// A keybag of which some classes do not open is no error: see [`Backup::class_keys`].
    ///
    /// # Errors
    ///
    /// Fails with [`BundleError::Unlock`] when the passphrase is wrong, the derivation is too
    /// long or was ended, and with other variants when the catalog cannot be opened.
    pub fn unlock(
        &self,
        passphrase: &Passphrase,
        progress: &mut dyn FnMut(KdfProgress) -> ControlFlow<()>,
    ) -> Result<Backup<Unlocked>, BundleError> {
        let bundle = &self.bundle;
        let keybag = bundle.usable_keybag()?;
        let keys = keybag.unlock(passphrase, bundle.limits.kdf_rounds, progress)?;
        let manifest_key = match (&bundle.manifest.manifest_key, bundle.catalog) {
            (Some(bytes), CatalogFile::Db) => {
                let WrappedFileKey { class, key } = WrappedFileKey::parse(bytes)
                    .map_err(|_| BundleError::ManifestKeyLength { len: bytes.len() })?;
                Some(keys.unwrap(class, &key).map_err(BundleError::ManifestKey)?)
            }
            _ => None,
        };
        let mut catalog = bundle.load(manifest_key.as_ref())?;
        if let Catalog::Db(db) = &mut catalog
            && manifest_key.is_none()
        {
            db.unlock_cells(passphrase)?;
        }
        let payloads = bundle.payloads(Some(Arc::new(keys)));
        Ok(Backup { bundle: Arc::clone(bundle), state: Unlocked { catalog, payloads } })
    }
}

impl Backup<Unlocked> {
    /// Returns the catalog.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.state.catalog
    }

    /// Returns the class keys; nothing when the backup is not encrypted.
    #[must_use]
    pub fn class_keys(&self) -> Option<&ClassKeys> {
        self.state.payloads.keys.as_deref()
    }

    /// Finds an entry by its names.
    ///
    /// # Errors
    ///
    /// Fails when the entry's row cannot be read.
    pub fn find(
        &self,
        domain: &Domain,
        path: &RelPath,
    ) -> Result<Option<BundleRecord>, BundleError> {
        self.state.catalog.find(domain, path)
    }
}

impl Source for Backup<Unlocked> {
    type Record = BundleRecord;
    type Error = BundleError;
    type Payloads = BundlePayloads;

    fn records(
        &self,
    ) -> Result<impl Iterator<Item = Result<BundleRecord, BundleError>>, BundleError> {
        Ok(self.state.catalog.records())
    }

    fn payloads(&self) -> &BundlePayloads {
        &self.state.payloads
    }
}

#[cfg(test)]
mod tests {
    use super::two_numbers;

    #[test]
    fn a_version_is_two_numbers() {
        let system = two_numbers;
        assert!(system("10.10") > system("10.2") && system("9.3.6") < system("10.2"));
        assert_eq!([system("17"), system(" 9.3.6")], [Some((17, 0)), Some((9, 3))]);
        assert_eq!([system("x"), system(""), system(".2"), system("-1.0")], [None; 4]);
    }
}
