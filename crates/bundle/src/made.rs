//! Bundles of the testkit, which shares no code with this crate, read back and compared.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use bkp_core::{EntryKind, Fault as _, Payloads as _, Source as _};
use bkp_crypto::{Passphrase, SecretString};
use bkp_testkit::{BundleSpec, EntrySpec, IndexSet, PlistForm, Stored, Truth, cases};
use sha2::{Digest as _, Sha256};

use crate::{Backup, Bundle, BundleError, BundleRecord, Limits, Opened, Storage, Unlocked};

fn open(dir: &Path) -> Result<Opened, BundleError> {
    Opened::open(Storage::directory(dir).unwrap(), Limits::default())
}

fn unlock(dir: &Path, password: &str) -> Result<Backup<Unlocked>, BundleError> {
    match open(dir)? {
        Opened::Unlocked(backup) => Ok(backup),
        Opened::Locked(backup) => {
            let passphrase = Passphrase::new(SecretString::from(password));
            backup.unlock(&passphrase, &mut |_| ControlFlow::Continue(()))
        }
    }
}

/// Everything a backup gives: good records by name, and the codes of everything else.
struct Found {
    records: BTreeMap<(Vec<u8>, Vec<u8>), BundleRecord>,
    bytes: BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>,
    codes: BTreeMap<&'static str, usize>,
    /// Items of the listing, readable or not.
    rows: usize,
}

fn read(backup: &Backup<Unlocked>) -> Found {
    let mut found =
        Found { records: BTreeMap::new(), bytes: BTreeMap::new(), codes: BTreeMap::new(), rows: 0 };
    for record in backup.records().unwrap() {
        found.rows += 1;
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                *found.codes.entry(error.code()).or_default() += 1;
                continue;
            }
        };
        let entry = record.as_ref();
        let name = (entry.domain.as_bytes().to_vec(), entry.path.as_bytes().to_vec());
        if entry.kind == EntryKind::File {
            match backup.payloads().open(&record) {
                Ok(mut payload) => {
                    let mut bytes = Vec::new();
                    payload.read_to_end(&mut bytes).unwrap();
                    for fault in payload.faults() {
                        *found.codes.entry(fault.code()).or_default() += 1;
                    }
                    found.bytes.insert(name.clone(), bytes);
                }
                Err(error) => *found.codes.entry(error.code()).or_default() += 1,
            }
        }
        found.records.insert(name, record);
    }
    found
}

/// Every entry that the truth says is sound is found, of the right kind and with the right bytes.
fn compare(found: &Found, truth: &Truth) {
    for entry in &truth.entries {
        let name = (entry.domain.clone(), entry.path.clone());
        let shown = format!("{}:{}", entry.domain.escape_ascii(), entry.path.escape_ascii());
        let record = found.records.get(&name).unwrap_or_else(|| panic!("{shown} is not listed"));
        let kind = match &record.as_ref().kind {
            EntryKind::File => 1,
            EntryKind::Directory => 2,
            EntryKind::Symlink(target) => {
                assert_eq!(entry.target.as_deref(), Some(&**target), "{shown}");
                4
            }
            other => panic!("{shown}: {other:?}"),
        };
        assert_eq!(kind, entry.kind, "{shown}");
        if entry.kind == 1 && entry.intact {
            let bytes = found.bytes.get(&name).unwrap_or_else(|| panic!("{shown} has no bytes"));
            assert_eq!(bytes.len() as u64, entry.len, "{shown}");
            assert_eq!(<[u8; 32]>::from(Sha256::digest(bytes)), entry.sha256, "{shown}");
        }
    }
    assert_eq!(found.records.len(), truth.entries.len());
}

/// A whole bundle, with no oddity found where none is.
fn assert_sound(spec: &BundleSpec) {
    let dir = tempfile::tempdir().unwrap();
    let truth = spec.write(dir.path()).unwrap();
    let backup = unlock(dir.path(), cases::PASSWORD).unwrap();
    let found = read(&backup);
    compare(&found, &truth);
    assert_eq!(found.codes, BTreeMap::new());
    assert_eq!(backup.bundle().notices(), []);
    for record in found.records.values() {
        let entry = record.as_ref();
        let again = backup.find(&entry.domain, &entry.path).unwrap().expect("found by name");
        assert_eq!(again.as_ref(), entry);
    }
}

#[test]
fn sound_bundles_of_every_form() {
    let encrypted = || cases::encrypted_db(100);
    for spec in [
        cases::plain_db(),
        encrypted(),
        cases::plain_mbdb(),
        cases::encrypted_mbdb(),
        encrypted().with(|spec| spec.manifest_db_padded = false),
        encrypted().with(|spec| spec.manifest_db_encrypted = false),
        encrypted().with(|spec| spec.plists = PlistForm::Xml),
        encrypted().with(|spec| spec.indexes = IndexSet::New),
        encrypted().with(|spec| spec.plists = PlistForm::Binary),
    ] {
        assert_sound(&spec);
    }
}

#[test]
fn a_wrong_password_is_told_and_another_may_be_tried() {
    let dir = tempfile::tempdir().unwrap();
    cases::encrypted_db(100).write(dir.path()).unwrap();
    let Opened::Locked(backup) = open(dir.path()).unwrap() else { panic!() };
    assert!(backup.catalog().is_none());
    let mut go_on = |_| ControlFlow::Continue(());
    let error = backup.unlock(&Passphrase::new("wrong".into()), &mut go_on).unwrap_err();
    assert_eq!(error.code(), "wrong-password");
    let stop = backup.unlock(&Passphrase::new("test".into()), &mut |_| ControlFlow::Break(()));
    assert_eq!(stop.unwrap_err().code(), "cancelled");
    assert!(backup.unlock(&Passphrase::new("test".into()), &mut go_on).is_ok());
}

#[test]
fn more_rounds_than_the_limit_are_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    cases::encrypted_db(100).write(dir.path()).unwrap();
    let storage = Storage::directory(dir.path()).unwrap();
    for (limit, code) in [(1_099, Some("kdf-limit")), (1_100, None), (1_101, None)] {
        let limits = Limits { kdf_rounds: limit };
        let Ok(Opened::Locked(backup)) = Opened::open(storage.clone(), limits) else { panic!() };
        let mut go_on = |_| ControlFlow::Continue(());
        let result = backup.unlock(&Passphrase::new("test".into()), &mut go_on);
        assert_eq!(result.err().map(|error| error.code()), code, "limit {limit}");
    }
}

#[test]
fn what_is_no_backup_says_so() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(open(dir.path()).unwrap_err().code(), "not-a-backup");
    std::fs::write(dir.path().join("ab.mdinfo"), b"").unwrap();
    assert_eq!(open(dir.path()).unwrap_err().code(), "unsupported-format");
}

#[test]
fn catalogs_that_are_cut_anywhere_are_errors_and_nothing_worse() {
    let dir = tempfile::tempdir().unwrap();
    for spec in [cases::plain_db(), cases::encrypted_db(1), cases::encrypted_mbdb()] {
        let mut spec = spec;
        if let Some(encryption) = &mut spec.encryption {
            encryption.iterations = 1;
        }
        let at = tempfile::tempdir_in(dir.path()).unwrap();
        spec.write(at.path()).unwrap();
        let name = ["Manifest.db", "Manifest.mbdb"]
            .into_iter()
            .find(|name| at.path().join(name).exists())
            .unwrap();
        let whole = std::fs::read(at.path().join(name)).unwrap();
        for cut in (0..whole.len()).step_by(whole.len() / 97) {
            std::fs::write(at.path().join(name), &whole[..cut]).unwrap();
            if let Ok(backup) = unlock(at.path(), cases::PASSWORD) {
                read(&backup);
            }
        }
    }
}

/// A leaf page of zeros hides its rows, and only those.
#[test]
fn a_damaged_page_costs_its_rows_and_no_others() {
    let spec = cases::plain_db().with(|spec| {
        for i in 0..2_000 {
            let path = format!("Library/many/{i:05}");
            spec.entries.push(bkp_testkit::EntrySpec::directory("HomeDomain", path));
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let truth = spec.write(dir.path()).unwrap();
    let path = dir.path().join("Manifest.db");
    let whole = std::fs::read(&path).unwrap();
    let page = whole.len() / 4096 / 2;
    let mut hurt = 0;
    for page in page..page + 8 {
        let mut bytes = whole.clone();
        bytes[page * 4096..][..4096].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        let Ok(backup) = unlock(dir.path(), "") else { continue };
        let found = read(&backup);
        if found.codes.contains_key("catalog-damaged") {
            hurt += 1;
            assert_eq!(found.codes["catalog-damaged"], 1, "page {page}");
        }
        let lost = truth.entries.len() - found.records.len();
        assert!(lost < 30, "page {page}: {lost} rows lost");
    }
    assert!(hurt > 0, "no page of the table was hit");
}

fn write(spec: &BundleSpec) -> (tempfile::TempDir, Truth) {
    let dir = tempfile::tempdir().unwrap();
    let truth = spec.write(dir.path()).unwrap();
    (dir, truth)
}

#[test]
fn rows_that_are_odd_and_sound_lose_nothing() {
    for encrypted in [true, false] {
        let (dir, truth) = write(&cases::odd_rows(encrypted));
        let found = read(&unlock(dir.path(), cases::PASSWORD).unwrap());
        let unfinished = |path: &[u8]| path.starts_with(b"column/unfinished");
        let mut right = 0;
        for entry in truth.entries.iter().filter(|entry| !unfinished(&entry.path)) {
            let name = (entry.domain.clone(), entry.path.clone());
            let shown = entry.path.escape_ascii();
            assert!(found.records.contains_key(&name), "{shown} is not listed");
            if entry.kind == 1 && entry.intact {
                let bytes = found.bytes.get(&name).unwrap_or_else(|| panic!("{shown} is lost"));
                assert_eq!(<[u8; 32]>::from(Sha256::digest(bytes)), entry.sha256, "{shown}");
                right += 1;
            }
        }
        assert!(right > 60, "{right}");
        let mut expected =
            BTreeMap::from([("missing-blob", 1), ("size-mismatch", 5), ("unfinished-row", 2)]);
        if encrypted {
            expected.extend([("bad-padding", 1), ("plaintext-blob", 1), ("truncated-blob", 1)]);
        }
        assert_eq!(found.codes, expected, "encrypted: {encrypted}");
    }
}

#[test]
fn hostile_rows_are_told_and_the_others_read() {
    let (dir, truth) = write(&cases::hostile_rows());
    let found = read(&unlock(dir.path(), cases::PASSWORD).unwrap());
    for path in ["first.txt", "last.txt"] {
        assert!(found.bytes.contains_key(&(b"HomeDomain".to_vec(), path.into())));
    }
    for (domain, path) in found.records.keys() {
        let clean = |name: &[u8]| {
            !name.starts_with(b"/") && !name.split(|&b| b == b'/').any(|part| part == b"..")
        };
        assert!(clean(domain) && clean(path) && !domain.contains(&b'/'));
    }
    let hostile = found.codes["hostile-name"];
    assert!(hostile >= 30, "{hostile}");
    assert!(found.codes["key-unwrap-failed"] >= 4);
    // What is not listed is told of: no row is passed over in silence.
    assert_eq!(found.rows, truth.entries.len());
}

/// Every way in which a keybag is damaged has its code; one damaged class leaves the others.
#[test]
fn damaged_keybags() {
    for (name, _, spec) in cases::damaged_keybags() {
        let (dir, _) = write(&spec);
        let code = unlock(dir.path(), cases::PASSWORD).map_err(|error| error.code());
        match name {
            "wpky-flipped" => {
                let backup = code.unwrap();
                assert_eq!(backup.class_keys().unwrap().damaged().len(), 1);
                let found = read(&backup);
                assert!(found.codes["key-unwrap-failed"] > 0 && !found.bytes.is_empty());
            }
            "type-escrow" | "ktyp-curve25519" => {
                code.unwrap();
            }
            "every-wpky-flipped" => assert_eq!(code.unwrap_err(), "wrong-password"),
            "iter-huge" | "dpic-huge" => assert_eq!(code.unwrap_err(), "kdf-limit", "{name}"),
            "many-records" => assert_eq!(code.unwrap_err(), "limit-exceeded"),
            _ => assert_eq!(code.unwrap_err(), "key-material-damaged", "{name}"),
        }
    }
}

/// A bomb is an error of its own or is passed over, and costs neither time nor memory.
#[test]
fn bombs_do_not_go_off() {
    for bomb in cases::plist_bombs() {
        let (dir, _) = write(&cases::plain_db());
        let started = std::time::Instant::now();
        std::fs::write(dir.path().join("Info.plist"), &bomb.bytes).unwrap();
        let backup = unlock(dir.path(), "").unwrap();
        assert!(!backup.bundle().notices().is_empty(), "{}", bomb.name);
        std::fs::write(dir.path().join("Manifest.plist"), &bomb.bytes).unwrap();
        let code = open(dir.path()).unwrap_err().code();
        let told = ["limit-exceeded", "plist-damaged", "unsupported-format"].contains(&code);
        assert!(told, "{}: {code}", bomb.name);
        if !bomb.xml {
            let (dir, _) = write(&bomb.in_a_row());
            let found = read(&unlock(dir.path(), "").unwrap());
            assert_eq!(found.codes.get("bad-metadata"), Some(&1), "{}", bomb.name);
        }
        assert!(started.elapsed().as_secs() < 5, "{} took long", bomb.name);
    }
}

#[test]
fn the_cells_of_ios_10_0() {
    let (dir, truth) = write(&cases::ios10_0_cells());
    let Opened::Locked(backup) = open(dir.path()).unwrap() else { panic!() };
    assert!(backup.catalog().is_some(), "the database itself is not encrypted");
    let found = read(&unlock(dir.path(), cases::PASSWORD).unwrap());
    compare(&found, &truth);
    assert_eq!(found.codes, BTreeMap::new());
    assert_eq!(unlock(dir.path(), "wrong").unwrap_err().code(), "wrong-password");
}

/// What SQLite would see is read, and the folder stays as it was.
#[test]
fn side_files_are_applied_in_memory() {
    for spec in [cases::with_wal(), cases::with_hot_journal()] {
        let (dir, truth) = write(&spec);
        let listing = |dir: &Path| {
            let mut names: Vec<_> = std::fs::read_dir(dir)
                .unwrap()
                .map(|entry| {
                    let entry = entry.unwrap();
                    let metadata = entry.metadata().unwrap();
                    (entry.file_name(), metadata.len(), metadata.modified().unwrap())
                })
                .collect();
            names.sort();
            names
        };
        let before = listing(dir.path());
        let backup = unlock(dir.path(), "").unwrap();
        compare(&read(&backup), &truth);
        assert!(backup.catalog().notices().iter().any(|notice| notice.code == "side-file"));
        assert_eq!(listing(dir.path()), before);
    }
}

/// The count of cells of a leaf page made smaller hides rows, and SQLite says nothing.
#[test]
fn rows_that_vanish_without_an_error_are_told() {
    let spec = cases::plain_db().with(|spec| {
        for i in 0..200 {
            let path = format!("Library/many/{i:05}");
            spec.entries.push(bkp_testkit::EntrySpec::directory("HomeDomain", path));
        }
    });
    let (dir, truth) = write(&spec);
    let path = dir.path().join("Manifest.db");
    let whole = std::fs::read(&path).unwrap();
    let mut told = 0;
    for page in (4096..whole.len()).step_by(4096) {
        // A leaf of a table, with its count of cells behind the type and the free block.
        if whole[page] != 13 || whole[page + 4] < 2 {
            continue;
        }
        let mut bytes = whole.clone();
        bytes[page + 4] -= 1;
        std::fs::write(&path, &bytes).unwrap();
        let Ok(backup) = unlock(dir.path(), "") else { continue };
        let found = read(&backup);
        if found.records.len() < truth.entries.len() {
            assert_eq!(found.codes.get("catalog-damaged"), Some(&1), "page {}", page / 4096);
            told += 1;
        }
    }
    assert!(told > 5, "{told}");
}

#[test]
fn the_layout_of_ios_3_is_named() {
    let (dir, _) = write(&cases::ios3_layout());
    assert_eq!(open(dir.path()).unwrap_err().code(), "unsupported-format");
}

/// One read proves the digest and gives the plaintext, a byte at a time as well as at once.
#[test]
fn payloads_are_hashed_as_they_are_decrypted() {
    for encrypted in [false, true] {
        let base = if encrypted { cases::encrypted_db(100) } else { cases::plain_db() };
        let dir = tempfile::tempdir().unwrap();
        let spec = base.with(|spec| {
            let file = |path| EntrySpec::noise("HomeDomain", path, 1_000);
            spec.entries = vec![
                file("right"),
                file("wrong").with(|e| e.stored = Stored::Flipped(0)),
                EntrySpec::noise("AppDomain-x", "none", 1_000),
            ];
        });
        spec.write(dir.path()).unwrap();
        let backup = unlock(dir.path(), cases::PASSWORD).unwrap();
        for record in backup.records().unwrap().map(Result::unwrap) {
            if record.as_ref().kind != EntryKind::File {
                continue;
            }
            backup.payloads().check_key(&record).unwrap();
            for step in [1, 7, 1 << 16] {
                let mut payload = backup.payloads().open_checked(&record).unwrap();
                let mut buffer = vec![0; step];
                let mut len = 0;
                loop {
                    match payload.read(&mut buffer).unwrap() {
                        0 => break,
                        n => len += n,
                    }
                    if len < 900 {
                        assert!(payload.faults().is_empty());
                    }
                }
                assert_eq!(len, 1_000);
                let codes: Vec<_> = payload.faults().iter().map(|fault| fault.code()).collect();
                let wrong = record.as_ref().path.as_bytes() == b"wrong";
                assert_eq!(codes, if wrong { vec!["digest-mismatch"] } else { vec![] });
            }
        }
    }
}

#[test]
fn stored_files_with_the_names_of_payloads_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let spec = cases::plain_db().with(|spec| {
        let odd = ["ab".repeat(20), format!("cd/{}", "ab".repeat(20)), "ab/short".into()];
        spec.raw_files = odd.map(|name| (name, vec![1])).into();
    });
    let truth = spec.write(dir.path()).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("ef")).unwrap();
    std::fs::write(dir.path().join("12x"), b"").unwrap();
    let Opened::Unlocked(backup) = open(dir.path()).unwrap() else { panic!() };
    let (mut usual, mut other, mut odd) = (0, 0, 0);
    backup
        .payloads()
        .blobs(&mut |blob| match (blob.usual, blob.other) {
            (true, false) => usual += 1,
            (false, true) => other += 1,
            _ => odd += 1,
        })
        .unwrap();
    assert_eq!((usual, other, odd), (truth.counts.blobs, 1, 1));
}

#[test]
fn catalogs_in_clear_open_without_a_keybag() {
    let stored = |spec: BundleSpec| {
        let dir = tempfile::tempdir().unwrap();
        spec.write(dir.path()).unwrap();
        let storage = Storage::directory(dir.path()).unwrap();
        let bundle = Arc::new(Bundle::open(storage, Limits::default()).unwrap());
        bundle.open_stored().unwrap().map(|backup| backup.catalog().unwrap().records().count())
    };
    let broken = cases::encrypted_mbdb().with(|spec| spec.keybag_bytes = Some(vec![0; 9]));
    assert!(stored(broken).unwrap() > 10);
    assert_eq!(stored(cases::encrypted_mbdb()), stored(cases::encrypted_mbdb()));
    assert_eq!(stored(cases::plain_db()), None);
    assert_eq!(stored(cases::encrypted_db(100)), None);
    assert_eq!(stored(cases::ios10_0_cells()), None);
}
