//! Bundles of the testkit, which shares no code with this crate, read back and compared.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use bkp_core::{EntryKind, Fault as _, Payloads as _, Source as _};
use bkp_crypto::{Passphrase, SecretString};
use bkp_testkit::{BundleSpec, IndexSet, PlistForm, Truth, cases};
use sha2::{Digest as _, Sha256};

use crate::{Backup, BundleError, BundleRecord, Limits, Opened, Storage, Unlocked};

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
}

fn read(backup: &Backup<Unlocked>) -> Found {
    let mut found =
        Found { records: BTreeMap::new(), bytes: BTreeMap::new(), codes: BTreeMap::new() };
    for record in backup.records().unwrap() {
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
