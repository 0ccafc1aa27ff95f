//! Whether a device would take the backup: what FORMAT.md says that a restore checks or needs,
//! beyond what every verification looks at.
//!
//! ```text
//! before     Status and Manifest.plist key by key, versions, keybag, the catalog's first page
//! row        each row of the walk: archive keys, classes, sizes, attributes, mbdb nulls
//! after      domains, the keychain's keybag
//! ```
//!
//! What is known of devices is damage, what is inferred or only the practice of other tools is a
//! warning. Sources: FORMAT.md 1.2, 1.3, 2, 3, 4, 5, 6 and 8.

mod page;
mod plists;
mod row;
#[cfg(test)]
mod tests;

use bkp_bundle::{Bundle, BundleError, Catalog, Keychain, Opened};
use bkp_core::{Domain, DomainKind};
use bkp_crypto::{CbcReader, Keybag, WrappedFileKey};
use serde::Serialize;

use super::CodeCount;
use super::finding::{Finding, Grade, chain};
use super::log::Log;
use super::walk::Rows;
use page::Shape;

pub(super) use row::row;

/// That a backup is to be judged as a device would judge it.
#[derive(Clone, Debug, Default)]
pub struct Restorable {
    /// The names at the top of the bundle's folder, where the caller can list it: files that
    /// SQLite left beside the catalog are found among them.
    pub names: Vec<String>,
}

/// What a device would make of a backup, as far as the backup tells.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RestorableFacts {
    /// Nothing was found that makes a restore fail.
    pub ok: bool,
    /// What the backup asks of a device.
    pub target: RestoreTarget,
    /// Problems that make a restore fail.
    pub blocking: u64,
    /// The codes of those.
    pub blocking_codes: Vec<&'static str>,
    /// What was not checked, and why.
    pub not_checked: Vec<NotChecked>,
}

/// What a backup asks of a device. A system that is older than `product_version` refuses it (203).
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RestoreTarget {
    /// The device that the backup is of.
    pub unique_device_id: Option<String>,
    /// Its model.
    pub product_type: Option<String>,
    /// The version of its system.
    pub product_version: Option<String>,
    /// `SystemDomainsVersion`, which must be in the range that the device knows.
    pub system_domains_version: Option<String>,
    /// Bytes of all files as the catalog says. The device wants so much free space (106).
    pub bytes: u64,
}

/// Something that was not checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NotChecked {
    /// What.
    pub what: &'static str,
    /// Why not.
    pub why: &'static str,
}

/// Codes of damage that a restore passes over.
const HARMLESS: [&str; 3] = ["database-damaged", "orphan-blob", "record-mismatch"];

/// Domains without an owner in their name that devices are known to have. Source: FORMAT.md 6.1.
const SYSTEM_DOMAINS: [&[u8]; 19] = [
    b"BackupDomain",
    b"BooksDomain",
    b"CameraRollDomain",
    b"DatabaseDomain",
    b"HealthDomain",
    b"HomeDomain",
    b"HomeKitDomain",
    b"InstallDomain",
    b"KeyboardDomain",
    b"KeychainDomain",
    b"ManagedPreferencesDomain",
    b"MediaDomain",
    b"MobileDeviceDomain",
    b"NetworkDomain",
    b"ProtectedDomain",
    b"RootDomain",
    b"SystemPreferencesDomain",
    b"TonesDomain",
    b"WirelessDomain",
];

impl RestorableFacts {
    pub(super) fn new(
        bundle: &Bundle,
        bytes: u64,
        by_code: &[CodeCount],
        not_checked: Vec<NotChecked>,
    ) -> Self {
        let blocks = |count: &&CodeCount| {
            count.grade == Grade::Damage && HARMLESS.binary_search(&count.code).is_err()
        };
        let blocking_codes: Vec<_> =
            by_code.iter().filter(blocks).map(|count| count.code).collect();
        let blocking =
            by_code.iter().filter(blocks).fold(0, |sum: u64, c| sum.saturating_add(c.count));
        let manifest = bundle.manifest();
        let lockdown = &manifest.lockdown;
        let info = bundle.info();
        let said = |own: &Option<String>, other: Option<&Option<String>>| {
            own.clone().or_else(|| other.cloned().flatten())
        };
        let target = RestoreTarget {
            unique_device_id: said(
                &lockdown.unique_device_id,
                info.map(|info| &info.target_identifier),
            ),
            product_type: said(&lockdown.product_type, info.map(|info| &info.product_type)),
            product_version: said(
                &lockdown.product_version,
                info.map(|info| &info.product_version),
            ),
            system_domains_version: manifest.system_domains_version.clone(),
            bytes,
        };
        Self { ok: blocking == 0, target, blocking, blocking_codes, not_checked }
    }
}

/// Checks what needs no row.
pub(super) fn before(
    asked: &Restorable,
    bundle: &Bundle,
    opened: &Opened,
    catalog: &Catalog,
    log: &Log<'_>,
) {
    plists::check(bundle, catalog, log);
    if let Some(Ok(keybag)) = bundle.keybag() {
        keybag_shape(keybag, bundle.is_encrypted(), log);
    }
    for name in ["Manifest.db-shm", "Manifest.db-wal", "Manifest.db-journal"] {
        let there = asked.names.iter().any(|other| other == name);
        // One that holds something was told of when the catalog was loaded.
        if there && !catalog.notices().iter().any(|notice| notice.message.starts_with(name)) {
            let message = format!("{name} lies beside the catalog; delete it from a copy");
            log.add(Finding::warning("side-file", message));
        }
    }
    if let Catalog::Db(db) = catalog {
        if db.has_encrypted_cells().unwrap_or(false) {
            let message = "the cells of the catalog are encrypted, as iOS 10.0 alone did it";
            log.add(Finding::warning("encrypted-cells", message));
        }
        // With side files the stored bytes are not what the catalog is.
        if !catalog.notices().iter().any(|notice| notice.code == "side-file") {
            match stored_shape(bundle, opened) {
                Ok(shape) => shape.tell(log),
                Err(error) => log.add(Finding::of(&error)),
            }
        }
    }
}

/// Reads the catalog as it is stored, from its first page to its length.
fn stored_shape(bundle: &Bundle, opened: &Opened) -> Result<Shape, BundleError> {
    let io = |source| BundleError::Io { name: "Manifest.db".into(), source };
    let key = match (opened, &bundle.manifest().manifest_key) {
        (Opened::Unlocked(backup), Some(bytes)) => {
            backup.class_keys().zip(WrappedFileKey::parse(bytes).ok())
        }
        _ => None,
    };
    let stored = bundle.stored_catalog()?;
    match key {
        Some((keys, WrappedFileKey { class, key })) => {
            let key = keys.unwrap(class, &key).map_err(BundleError::ManifestKey)?;
            let mut plain = CbcReader::new(stored, &key);
            let start = page::first(&mut plain).map_err(io)?;
            // Padding is seen by the length of what is stored, so the rest is not decrypted.
            let stored = bundle.stored_catalog()?;
            Ok(Shape::of(&start, Some(page::length(stored).map_err(io)?)))
        }
        None => {
            let mut stored = stored;
            Ok(Shape::of(&page::first(&mut stored).map_err(io)?, None))
        }
    }
}

/// What other readers insist on, and what devices write. Source: FORMAT.md 3.
fn keybag_shape(keybag: &Keybag, encrypted: bool, log: &Log<'_>) {
    let mut odd = Vec::new();
    match keybag.bag_type() {
        Some(1) => {}
        Some(kind) => odd.push(format!("it is of type {kind}, and that of a backup is 1")),
        None => odd.push("it has no type".to_owned()),
    }
    let unknown: Vec<String> =
        keybag.unknown_items().iter().map(|item| item.tag.to_string()).collect();
    if !unknown.is_empty() {
        let tags = unknown.get(..unknown.len().min(10)).unwrap_or_default().join(", ");
        odd.push(format!("it has items that no device writes: {tags}"));
    }
    let mut wraps = Vec::new();
    for class in keybag.classes() {
        let number = class.class().0;
        if class.key_type().is_some_and(|kind| kind != 0) {
            odd.push(format!("the key of class {number} is no AES key"));
        }
        let password_alone = match number {
            1..=4 => true,
            6..=8 => encrypted,
            5 | 9..=11 => false,
            _ => {
                odd.push(format!("class {number} is none of a backup"));
                continue;
            }
        };
        if class.wrap() != Some(if password_alone { 2 } else { 3 }) {
            wraps.push(number.to_string());
        }
    }
    if !wraps.is_empty() {
        let wraps = wraps.join(", ");
        odd.push(format!("the classes {wraps} are wrapped otherwise than a device does it"));
    }
    for odd in odd.into_iter().take(20) {
        log.add(Finding::warning("keybag-shape", format!("the keybag is unusual: {odd}")));
    }
}

/// Checks what the rows together say, and the keychain. Returns what could not be checked.
pub(super) fn after(
    opened: &Opened,
    catalog: &Catalog,
    rows: &Rows,
    read_data: bool,
    log: &Log<'_>,
) -> Vec<NotChecked> {
    for domain in rows.domains.iter().filter(|domain| !is_known(domain)) {
        let what = match catalog {
            Catalog::Db(_) => "a device skips a domain that it does not know",
            Catalog::Mbdb(_) => "a device refuses the whole backup for a domain it does not know",
        };
        let message = format!("the domain is none that devices are known to have; {what}");
        let finding = Finding::warning("unknown-domain", message);
        log.add(finding.at_names(domain.as_bytes(), b""));
    }
    let mut unchecked = Vec::new();
    let mut not = |what, why| unchecked.push(NotChecked { what, why });
    match opened {
        Opened::Unlocked(backup) => match Keychain::find(backup) {
            Ok(Some(found)) => keychain(&found, opened.bundle(), log),
            Ok(None) => {}
            // The payload itself is told of where payloads are read.
            Err(error) => {
                let message = format!("the keychain cannot be read: {}", chain(&error));
                let names = (&b"KeychainDomain"[..], &b"keychain-backup.plist"[..]);
                log.add(Finding::warning("keychain-unread", message).at_names(names.0, names.1));
            }
        },
        Opened::Locked(_) => {
            let why = "the backup is locked; give its password";
            not("whether the password opens the keybag, and its keys those of the files", why);
            not("whether the keychain is of this keybag", why);
        }
    }
    if !read_data && rows.without_digest > 0 {
        not("the content of files without a digest", "not asked for; --read-data reads it");
    }
    if matches!(catalog, Catalog::Db(_)) {
        not("bits of the flags column that mark an unfinished row", "they are not kept of a row");
    }
    not("free space, Find My, the versions that the device supports", "only the device knows them");
    unchecked
}

fn is_known(domain: &Domain) -> bool {
    match domain.kind() {
        DomainKind::System | DomainKind::Other => {
            SYSTEM_DOMAINS.binary_search(&domain.as_bytes()).is_ok()
        }
        _ => true,
    }
}

/// A keychain that names another keybag fails the restore. Source: FORMAT.md 4.
fn keychain(found: &bkp_bundle::FoundKeychain, bundle: &Bundle, log: &Log<'_>) {
    let at = found.record.as_ref();
    for notice in found.keychain.notices() {
        if notice.code == "keybag-uuid-mismatch" {
            let message = format!("{}; a restore fails", notice.message);
            log.add(Finding::damage("keychain-keybag", message).at(at));
        }
    }
    let version = bundle.manifest().lockdown.product_version.as_deref();
    let named = plists::version(version).is_some_and(|version| version >= 10.0);
    if named && found.keychain.keybag_uuid().is_none() {
        let message = "the keychain names no keybag, and systems since iOS 10 write one";
        log.add(Finding::warning("keychain-keybag", message).at(at));
    }
}
