//! Ready bundles by name, each for one thing a reader must cope with.

use crate::{BundleSpec, DeviceFacts, Encryption, EntrySpec, ManifestKind};

/// The password of every encrypted case.
pub const PASSWORD: &str = "test";

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
