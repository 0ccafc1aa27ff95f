//! Ready bundles by name, each for one thing a reader must cope with.

mod bombs;
mod keybags;
mod odd;
mod old;
mod rows;

use crate::{BundleSpec, DeviceFacts, Encryption, EntrySpec, ManifestKind, Sidecar};

pub use bombs::{Bomb, plist_bombs};
pub use keybags::damaged_keybags;
pub use odd::odd_rows;
pub use old::{ios3_layout, ios10_0_cells};
pub use rows::hostile_rows;

/// The password of every encrypted case.
pub const PASSWORD: &str = "test";

/// A bundle with a name.
#[derive(Debug)]
pub struct Case {
    /// What `bkp-testkit case` calls it.
    pub name: String,
    /// What it is, in one line.
    pub about: &'static str,
    /// The bundle.
    pub spec: BundleSpec,
}

/// Returns every case.
///
/// The property-list bombs stand three times: as Manifest.plist, as Info.plist, and (the binary
/// ones) as the archive of a row.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("plain-db", "unencrypted, Manifest.db", plain_db()),
        ("encrypted-db", "encrypted, Manifest.db", encrypted_db(10_000)),
        ("encrypted-mbdb", "encrypted, Manifest.mbdb", encrypted_mbdb()),
        ("plain-mbdb", "unencrypted, Manifest.mbdb", plain_mbdb()),
        ("full-kdf", "encrypted with 10,000,000 rounds", full_kdf()),
        ("odd-rows", "everything that is odd yet sound, encrypted", odd_rows(true)),
        ("odd-rows-plain", "everything that is odd yet sound, unencrypted", odd_rows(false)),
        ("hostile-rows", "names that try to escape", hostile_rows()),
        ("ios10-0-cells", "Manifest.db with encrypted cells", ios10_0_cells()),
        ("ios3-layout", "a folder of .mdinfo and .mddata files", ios3_layout()),
        ("wal", "the last commits are in Manifest.db-wal alone", with_wal()),
        ("hot-journal", "Manifest.db in the middle of a transaction", with_hot_journal()),
        ("flags-as-text", "the column flags holds text", flags_as_text()),
        ("unpadded-manifest", "encrypted Manifest.db without padding", unpadded_manifest()),
    ]
    .map(|(name, about, spec)| Case { name: name.into(), about, spec })
    .into();
    for (name, about, spec) in damaged_keybags() {
        cases.push(Case { name: format!("keybag-{name}"), about, spec });
    }
    for bomb in plist_bombs() {
        let Bomb { name, about, xml, bytes } = &bomb;
        for (place, file) in [("manifest", "Manifest.plist"), ("info", "Info.plist")] {
            let mut spec = plain_db();
            spec.raw_files.push((file.into(), bytes.clone()));
            cases.push(Case { name: format!("bomb-{place}-{name}"), about, spec });
        }
        if !xml {
            cases.push(Case { name: format!("bomb-row-{name}"), about, spec: bomb.in_a_row() });
        }
    }
    cases.extend(crate::managed::named());
    cases
}

/// Returns the case of this name.
#[must_use]
pub fn find(name: &str) -> Option<Case> {
    all().into_iter().find(|case| case.name == name)
}

/// An unencrypted bundle with a Manifest.db.
#[must_use]
pub fn plain_db() -> BundleSpec {
    BundleSpec::new(1).with(|spec| spec.entries = ordinary())
}

/// An encrypted bundle with a Manifest.db, and this many rounds in the first stage.
#[must_use]
pub fn encrypted_db(dpic: u32) -> BundleSpec {
    plain_db().with(|spec| {
        spec.encryption = Some(Encryption { dpic: Some(dpic), ..Encryption::new(PASSWORD) });
    })
}

/// An encrypted bundle with the 10,000,000 and 10,000 rounds of a device.
#[must_use]
pub fn full_kdf() -> BundleSpec {
    plain_db().with(|spec| {
        spec.encryption = Some(Encryption {
            password: PASSWORD.into(),
            dpic: Some(10_000_000),
            iterations: 10_000,
        });
    })
}

/// An encrypted bundle whose Manifest.db has no padding, as some tools write it.
#[must_use]
pub fn unpadded_manifest() -> BundleSpec {
    encrypted_db(10_000).with(|spec| spec.manifest_db_padded = false)
}

/// An unencrypted bundle whose flags are text, as a tool that rebuilt the database leaves them.
///
/// A case of its own: in a column declared INTEGER, SQLite turns the text `1` into a number.
#[must_use]
pub fn flags_as_text() -> BundleSpec {
    plain_db().with(|spec| spec.flags_as_text = true)
}

/// An unencrypted bundle with a Manifest.mbdb.
#[must_use]
pub fn plain_mbdb() -> BundleSpec {
    plain_db().with(|spec| {
        spec.manifest = ManifestKind::Mbdb;
        spec.device = DeviceFacts::ios9();
        spec.keybag.version = 3;
    })
}

/// An encrypted bundle with a Manifest.mbdb: one stage of key derivation.
#[must_use]
pub fn encrypted_mbdb() -> BundleSpec {
    plain_mbdb().with(|spec| {
        spec.encryption = Some(Encryption { dpic: None, ..Encryption::new(PASSWORD) });
    })
}

/// A bundle whose last 40 rows are in Manifest.db-wal alone, with a Manifest.db-shm.
#[must_use]
pub fn with_wal() -> BundleSpec {
    plain_db().with(|spec| {
        spec.entries.extend(many(100));
        spec.sidecar = Sidecar::Wal { rows: 40 };
    })
}

/// A bundle whose Manifest.db is in the middle of a transaction that its journal undoes.
#[must_use]
pub fn with_hot_journal() -> BundleSpec {
    plain_db().with(|spec| {
        spec.entries.extend(many(200));
        spec.sidecar = Sidecar::HotJournal;
    })
}

/// Files of every sort that a device writes, and nothing odd.
#[must_use]
pub fn ordinary() -> Vec<EntrySpec> {
    vec![
        EntrySpec::noise("HomeDomain", "Library/SMS/sms.db", 8_192),
        EntrySpec::file("HomeDomain", "Library/Notes/note.txt", "hello"),
        EntrySpec::noise("HomeDomain", "Library/block", 16),
        EntrySpec::symlink("HomeDomain", "Library/link", "/private/var/mobile/x"),
        EntrySpec::noise("CameraRollDomain", "Media/DCIM/100APPLE/IMG_0001.JPG", 100_001)
            .with(|entry| entry.xattrs = vec![("com.apple.assetsd.UUID".into(), vec![0xff; 16])]),
        EntrySpec::file("AppDomain-com.example.app", "Documents/a.txt", "a"),
        EntrySpec::file("AppDomainGroup-group.com.example.app", "Library/b.txt", "b"),
        EntrySpec::file("AppDomainPlugin-com.example.app.plugin", "Documents/c.txt", "c"),
        EntrySpec::file("KeychainDomain", "keychain-backup.plist", "not a keychain")
            .with(|entry| entry.class = Some(1)),
        EntrySpec::file("RootDomain", "Library/Preferences/d.plist", "d")
            .with(|entry| entry.class = Some(2)),
        EntrySpec::noise("SysSharedContainerDomain-systemgroup.com.example", "Library/e", 4_097),
    ]
}

/// So many small files in one folder.
fn many(count: usize) -> impl Iterator<Item = EntrySpec> {
    (0..count).map(|n| EntrySpec::noise("HomeDomain", format!("Library/Many/{n:04}"), n))
}

#[cfg(test)]
mod tests;
