//! Bundles that a device would not take, with one thing wrong each.

use std::path::PathBuf;

use bkp_testkit::{
    BundleSpec, Cell, DigestForm, DigestRule, EntrySpec, FileKeyRule, IndexSet, KeychainSpec,
    ManifestKind, MbdbRecord, PlistEdit, PlistValue, Stored, cases,
};

use super::{HARMLESS, Restorable, RestorableFacts, SYSTEM_DOMAINS};
use crate::verify::tests::{check, spelled, write};
use crate::verify::{Verification, VerifyOptions};

const HOME: &str = "HomeDomain";

/// Sound, with a keychain that is one.
fn sound(spec: BundleSpec) -> BundleSpec {
    let keychain = KeychainSpec::default().entry(&spec);
    spec.with(|spec| {
        spec.entries.retain(|entry| entry.domain != b"KeychainDomain");
        spec.entries.push(keychain);
    })
}

fn asked(names: &[&str]) -> VerifyOptions {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    VerifyOptions { restorable: Some(Restorable { names }), ..VerifyOptions::default() }
}

fn judged(spec: &BundleSpec) -> Verification {
    check(write(spec).path(), &asked(&[]), true)
}

fn facts(found: &Verification) -> &RestorableFacts {
    found.restorable.as_ref().expect("it was to be judged")
}

#[test]
fn the_tables_are_sorted() {
    assert!(SYSTEM_DOMAINS.is_sorted() && HARMLESS.is_sorted());
}

#[test]
fn sound_bundles_can_be_restored() {
    for spec in [
        cases::plain_db(),
        cases::encrypted_db(100),
        cases::plain_mbdb(),
        cases::encrypted_mbdb(),
        cases::plain_db().with(|spec| spec.indexes = IndexSet::New),
    ] {
        let found = judged(&sound(spec));
        let facts = facts(&found);
        assert_eq!(found.problems, []);
        assert!(facts.ok && facts.blocking == 0 && facts.blocking_codes.is_empty());
        assert!(facts.target.bytes > 100_000 && facts.target.unique_device_id.is_some());
        assert!(facts.not_checked.iter().any(|not| not.what.contains("Find My")));
        // What is not asked for is not said.
        let found = check(write(&cases::plain_db()).path(), &VerifyOptions::default(), true);
        assert!(found.restorable.is_none());
    }
}

/// One change each: what is found without being asked, and what a device would say.
#[test]
fn the_property_lists() {
    let text = |text: &str| PlistValue::text(text);
    let set = |key: &str, value| PlistEdit::Set(key.into(), value);
    let remove = |key: &str| PlistEdit::Remove(key.into());
    let status = |edit| sound(cases::plain_db()).with(|spec| spec.status_plist = vec![edit]);
    let manifest = |edit| sound(cases::plain_db()).with(|spec| spec.manifest_plist = vec![edit]);
    let info = |edit| sound(cases::plain_db()).with(|spec| spec.info_plist = vec![edit]);
    let mbdb = |edit| sound(cases::plain_mbdb()).with(|spec| spec.manifest_plist = vec![edit]);
    for (spec, expected) in [
        (status(set("Version", text("2.4"))), ""),
        (status(set("Version", text("2.3"))), "!status-version"),
        (status(set("Version", text("3.9"))), ""),
        (status(set("Version", text("4.0"))), "!status-version"),
        (status(set("Version", text("new"))), "!status-version"),
        (status(remove("Version")), "!status-version"),
        (status(remove("UUID")), "!status-incomplete"),
        (status(remove("Date")), "!status-incomplete"),
        (status(remove("IsFullBackup")), "!status-incomplete"),
        (status(remove("BackupState")), "!status-incomplete"),
        (status(remove("SnapshotState")), "!status-incomplete, ?unfinished-backup"),
        (status(set("Date", text("today"))), "!status-incomplete, ?plist-oddity"),
        (status(set("BackupState", text("old"))), "!backup-state"),
        (manifest(set("Version", text("7.3"))), "!manifest-version"),
        (manifest(set("Version", text("11.0"))), "!manifest-version, ?newer-format"),
        (manifest(set("Version", text("10.9"))), ""),
        (manifest(remove("Version")), "!manifest-version"),
        (manifest(set("Version", text("9.1"))), "!catalog-kind"),
        (mbdb(set("Version", text("7.4"))), ""),
        (mbdb(set("Version", text("10.0"))), "!catalog-kind"),
        (manifest(remove("SystemDomainsVersion")), "!system-domains-version"),
        (manifest(set("SystemDomainsVersion", text("2.9"))), "!system-domains-version"),
        (manifest(set("SystemDomainsVersion", text("3.0"))), ""),
        (manifest(set("SystemDomainsVersion", text("25.0"))), ""),
        (manifest(set("SystemDomainsVersion", text("26.0"))), "?system-domains-version"),
        (manifest(remove("WasPasscodeSet")), "?manifest-incomplete"),
        (manifest(remove("IsEncrypted")), "?manifest-incomplete"),
        (manifest(set("Lockdown", PlistValue::Dict(Vec::new()))), "?manifest-incomplete"),
        (manifest(set("ManifestKey", PlistValue::Data(vec![4; 44]))), "?manifest-key"),
        (info(set("Product Version", text("16.0"))), "?identity-contradiction"),
        (info(set("Target Identifier", text("another"))), "?identity-contradiction"),
        (
            sound(cases::encrypted_db(100)).with(|spec| spec.manifest_db_encrypted = false),
            "?manifest-key",
        ),
    ] {
        // A ManifestKey whose class is no class of a catalog is told of besides.
        let found = judged(&spec);
        let spelled =
            spelled(&found).replace("?manifest-key, ?manifest-key-class", "?manifest-key");
        assert_eq!(spelled, expected, "{:?}", found.problems);
        assert_eq!(facts(&found).ok, !expected.contains('!'));
    }
    let classless = ["com.example.app", "group.com.example.app", "com.example.app.plugin"]
        .map(|id| (id, PlistValue::Dict(Vec::new())));
    let found = judged(&manifest(set("Applications", PlistValue::dict(classless))));
    assert_eq!(spelled(&found), "?application-incomplete x3");
}

#[test]
fn the_keybag() {
    for encrypted in [false, true] {
        let base = || sound(if encrypted { cases::encrypted_db(100) } else { cases::plain_db() });
        let with = |change: &dyn Fn(&mut bkp_testkit::Keybag)| {
            let mut bag = base().keybag_contents();
            change(&mut bag);
            let spec = base().with(|spec| spec.keybag_bytes = Some(bag.encode()));
            spelled(&judged(&spec))
        };
        assert_eq!(with(&|_| {}), "");
        assert_eq!(with(&|bag| bag.bag_type = 2), "?keybag-shape");
        assert_eq!(with(&|bag| bag.records[0].wrap = 2), "?keybag-shape");
        let uuid = with(&|bag| bag.uuid[0] ^= 1);
        assert_eq!(uuid, "!keychain-keybag");
    }
    let nameless = cases::plain_db();
    let keychain = KeychainSpec { keybag_uuid: Some(String::new()), ..KeychainSpec::default() };
    let keychain = keychain.entry(&nameless);
    let nameless = sound(nameless).with(|spec| {
        spec.entries.pop();
        spec.entries.push(keychain);
    });
    assert_eq!(spelled(&judged(&nameless)), "?keychain-keybag");
    // The keychain of the ready cases is none.
    assert_eq!(spelled(&judged(&cases::plain_db())), "?keychain-unread");
}

#[test]
fn the_catalog_as_a_file() {
    let with = |change: &dyn Fn(&mut BundleSpec)| {
        let spec = sound(cases::plain_db()).with(|spec| change(spec));
        let found = judged(&spec);
        (spelled(&found), facts(&found).ok)
    };
    assert_eq!(with(&|spec| spec.flags_as_text = true), ("?catalog-schema".into(), true));
    assert_eq!(with(&|spec| spec.user_version = 1), ("!user-version".into(), false));
    let unpadded = sound(cases::unpadded_manifest());
    assert_eq!(spelled(&judged(&unpadded)), "?catalog-form");
    let cells = judged(&sound(cases::ios10_0_cells()));
    assert_eq!(spelled(&cells), "?encrypted-cells");
    let dir = write(&sound(cases::plain_db()));
    let beside = ["Manifest.db", "Manifest.db-shm", "Manifest.db-wal"];
    assert_eq!(spelled(&check(dir.path(), &asked(&beside), true)), "?side-file x2");
    // One that holds something is told of once.
    let wal = write(&sound(cases::with_wal()));
    let found = check(wal.path(), &asked(&beside), true);
    assert_eq!(spelled(&found), "?side-file x2");
}

/// What is found of a file with something wrong, in the four sorts of bundles.
fn with_entries(entries: &[EntrySpec]) -> [String; 4] {
    [cases::plain_db(), cases::encrypted_db(100), cases::plain_mbdb(), cases::encrypted_mbdb()].map(
        |base| {
            let found = judged(&sound(base).with(|spec| spec.entries.extend_from_slice(entries)));
            assert_eq!(facts(&found).ok, !spelled(&found).contains('!'));
            spelled(&found)
        },
    )
}

fn with_file(change: impl FnOnce(&mut EntrySpec)) -> [String; 4] {
    with_entries(&[EntrySpec::noise(HOME, "victim", 100).with(change)])
}

#[test]
fn rows_of_files() {
    assert_eq!(with_file(|_| {}), [""; 4]);
    assert_eq!(with_file(|e| e.inode = Some(0)), ["!zero-inode"; 4]);
    assert_eq!(with_file(|e| e.digest = DigestRule::Omitted), ["!missing-digest"; 4]);
    assert_eq!(with_file(|e| e.stored = Stored::Missing), ["!missing-blob"; 4]);
    let plain = with_file(|e| e.key = FileKeyRule::Omitted);
    assert_eq!(plain, ["", "!plaintext-blob", "", "!plaintext-blob"]);
    let class = with_file(|e| e.class = Some(5));
    assert_eq!(class[0], "?odd-class");
    assert_eq!(class[1], "!key-unwrap-failed, ?odd-class");
    for key in ["UserID", "GroupID", "LastModified", "LastStatusChange", "Birth", "Flags"] {
        let found = with_file(|e| e.omit_keys = vec![key.into()]);
        assert_eq!(found[..2], ["?incomplete-metadata", "?incomplete-metadata"], "{key}");
    }
    let attributes = PlistValue::Data(b"no property list".to_vec());
    let found = with_file(|e| e.extra_keys = vec![("ExtendedAttributes".into(), attributes)]);
    assert_eq!(found[..2], ["?bad-attributes", "?bad-attributes"]);
}

#[test]
fn rows_of_no_files() {
    let folder = |change: &dyn Fn(&mut EntrySpec)| {
        with_entries(&[EntrySpec::directory(HOME, "folder").with(|entry| change(entry))])
    };
    let [warning, refused] = ["?size-of-no-file", "!size-of-no-file"];
    assert_eq!(folder(&|e| e.recorded_size = Some(1)), [warning, warning, refused, refused]);
    let archive = bkp_testkit::MbFile {
        path: "folder".into(),
        mode: 0o040_755,
        inode: 5,
        uid: 501,
        gid: 501,
        modified: 0,
        changed: 0,
        born: 0,
        size: 0,
        class: 0,
        flags: 0,
        target: None,
        digest: Some((vec![7; 20], DigestForm::Reference)),
        encryption_key: None,
        xattrs: None,
        omit: Vec::new(),
        extra: Vec::new(),
    };
    let stray = folder(&|e| e.row.file = Some(Cell::Blob(archive.encode())));
    assert_eq!(stray[..2], ["?stray-field", "?stray-field"]);
}

#[test]
fn parents_and_domains() {
    let below = [
        EntrySpec::symlink(HOME, "link", "Library"),
        EntrySpec::file(HOME, "link/below/file", "1"),
    ];
    // The folder in between has its row; the link above it is what a device refuses.
    assert_eq!(with_entries(&below), ["!symlinked-parent"; 4]);
    let entries = [EntrySpec::file("Tahoe", "a", "1")];
    let unknown = with_entries(&entries);
    assert_eq!(unknown, ["?unknown-domain"; 4]);
}

#[test]
fn nulls_of_an_mbdb() {
    let spec = sound(cases::plain_mbdb());
    let dir = write(&spec);
    let path = dir.path().join("Manifest.mbdb");
    let mut bytes = std::fs::read(&path).unwrap();
    let root = MbdbRecord {
        domain: Some(b"RootDomain2".to_vec()),
        path: None,
        mode: 0o040_755,
        ..MbdbRecord::default()
    };
    root.encode(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    let found = check(dir.path(), &asked(&[]), true);
    assert_eq!(spelled(&found), "!null-field, ?unknown-domain");
}

#[test]
fn what_a_restore_passes_over_does_not_block_it() {
    let orphan = format!("ab/{}", "ab".repeat(20));
    let spec = sound(cases::plain_db()).with(|spec| spec.raw_files.push((orphan, vec![1])));
    let found = judged(&spec);
    assert!(!found.ok && facts(&found).ok, "{found:?}");
    assert_eq!(spelled(&found), "!orphan-blob");
}

#[test]
fn what_is_locked_is_judged_as_far_as_it_goes() {
    let spec = sound(cases::encrypted_mbdb()).with(|spec| {
        assert_eq!(spec.manifest, ManifestKind::Mbdb);
        spec.status_plist = vec![PlistEdit::Remove("UUID".into())];
    });
    let dir = write(&spec);
    let found = check(dir.path(), &asked(&[]), false);
    assert_eq!(spelled(&found), "!status-incomplete");
    let locked = |found: &Verification| {
        facts(found).not_checked.iter().filter(|not| not.why.contains("password")).count()
    };
    assert_eq!(locked(&found), 2);
    assert_eq!(locked(&check(dir.path(), &asked(&[]), true)), 0);
}

/// Real backups, where they are at hand: what keeps them from a device is known.
#[test]
fn real_backups() {
    let Some(data) = std::env::var_os("BKP_SHARED_DATA").map(PathBuf::from) else {
        println!("skipped: BKP_SHARED_DATA is not set");
        return;
    };
    for (name, expected) in [
        // Known networks in a plain backup: MANAGED.md 8.8 tells of them.
        ("ios13.3-unencrypted", "!missing-blob x4, ?exposed-wifi, ?size-mismatch x16"),
        ("ios9.3-encrypted-mbdb", "!missing-blob, ?size-mismatch x7"),
    ] {
        let dir = data.join("bundles").join(name);
        let found = check(&dir, &asked(&[]), false);
        assert_eq!(spelled(&found), expected, "{name}");
        assert_eq!(facts(&found).blocking_codes, ["missing-blob"]);
    }
}
