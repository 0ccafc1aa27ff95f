//! Real bundles against their published truth. They are not in the repository: set
//! `BKP_SHARED_DATA`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::PathBuf;

use bkp_core::{EntryKind, Fault as _, Payloads as _, ProtectionClass, Source as _};
use bkp_crypto::{ClassKeys, Passphrase, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{Backup, BundleError, Limits, Opened, PayloadError, Storage, Unlocked};

fn data() -> Option<PathBuf> {
    let data = std::env::var_os("BKP_SHARED_DATA").map(PathBuf::from);
    if data.is_none() {
        println!("skipped: BKP_SHARED_DATA is not set");
    }
    data
}

fn open(data: &std::path::Path, name: &str, password: &str) -> Backup<Unlocked> {
    let storage = Storage::directory(&data.join("bundles").join(name)).unwrap();
    match Opened::open(storage, Limits::default()).unwrap() {
        Opened::Unlocked(backup) => backup,
        Opened::Locked(backup) => {
            let passphrase = Passphrase::new(SecretString::from(password));
            backup.unlock(&passphrase, &mut |_| ControlFlow::Continue(())).unwrap()
        }
    }
}

fn truth(data: &std::path::Path, name: &str) -> Value {
    let path = data.join("truth").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a backup holds: `domain/path` -> SHA-256 and length, or the code of the failure.
struct Contents {
    files: BTreeMap<String, Result<(String, u64), &'static str>>,
    counts: [u64; 3],
    domains: BTreeMap<String, u64>,
    notices: BTreeMap<&'static str, u64>,
}

fn contents(backup: &Backup<Unlocked>) -> Contents {
    let mut contents = Contents {
        files: BTreeMap::new(),
        counts: [0; 3],
        domains: BTreeMap::new(),
        notices: BTreeMap::new(),
    };
    for record in backup.records().unwrap() {
        let record = record.unwrap();
        let entry = record.as_ref();
        *contents.domains.entry(entry.domain.to_string()).or_default() += 1;
        match entry.kind {
            EntryKind::Directory => contents.counts[1] += 1,
            EntryKind::Symlink(_) => contents.counts[2] += 1,
            _ => {
                contents.counts[0] += 1;
                let result = backup.payloads().open(&record).map(|mut payload| {
                    let mut bytes = Vec::new();
                    payload.read_to_end(&mut bytes).unwrap();
                    for fault in payload.faults() {
                        *contents.notices.entry(fault.code()).or_default() += 1;
                    }
                    (hex(Sha256::digest(&bytes)), bytes.len() as u64)
                });
                let name = format!("{}/{}", entry.domain, entry.path);
                contents.files.insert(name, result.map_err(|error| error.code()));
            }
        }
    }
    contents
}

/// Compares every file with the truth, and returns the names of those that are missing.
fn compare(contents: &Contents, truth: &Value) -> Vec<String> {
    let truth = truth.as_object().unwrap();
    let mut missing = Vec::new();
    let mut right = 0;
    for (name, found) in &contents.files {
        match found {
            Ok((sha256, size)) => {
                let want = &truth[name];
                assert_eq!(want["sha256"], *sha256, "{name}");
                assert_eq!(want["size"], *size, "{name}");
                right += 1;
            }
            Err(code) => {
                assert_eq!(*code, "missing-blob", "{name}");
                missing.push(name.clone());
            }
        }
    }
    assert_eq!(right, truth.len());
    missing
}

fn assert_domains(contents: &Contents, truth: &Value) {
    let domains: BTreeMap<String, u64> = serde_json::from_value(truth["domains"].clone()).unwrap();
    assert_eq!(contents.domains, domains);
}

#[test]
fn ios_13_unencrypted() {
    let Some(data) = data() else { return };
    let name = "ios13.3-unencrypted";
    let truth = truth(&data, name);
    let backup = open(&data, name, "");
    assert!(backup.class_keys().is_none());
    let contents = contents(&backup);
    assert_eq!(contents.counts, [348, 1396, 2]);
    assert_domains(&contents, &truth);
    assert_eq!(compare(&contents, &truth["files"]).len(), 4);
    assert_eq!(contents.notices, BTreeMap::from([("size-mismatch", 16)]));

    let keybag = backup.bundle().keybag().unwrap().unwrap();
    let keys =
        keybag.unlock(&Passphrase::empty(), 20_000, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((keybag.classes().len(), keys.damaged().len()), (11, 0));
}

#[test]
fn ios_9_encrypted() {
    let Some(data) = data() else { return };
    let name = "ios9.3-encrypted-mbdb";
    let truth = truth(&data, name);
    let backup = open(&data, name, "20201225");
    let contents = contents(&backup);
    assert_eq!(contents.counts, [321, 429, 7]);
    assert_domains(&contents, &truth);
    assert_eq!(compare(&contents, &truth["sha256"]).len(), 1);
    assert_eq!(contents.notices.get("bad-padding"), None);
    assert_eq!(contents.notices.get("size-mismatch"), Some(&7));

    let keys = backup.class_keys().unwrap();
    let mut compared = 0;
    for (class, key) in truth["class_keys"].as_object().unwrap() {
        let class = ProtectionClass(class.parse().unwrap());
        assert_eq!(fingerprint(keys, class), hex(Sha256::digest(unhex(key))), "class {class}");
        compared += 1;
    }
    assert_eq!(compared, 11);
}

fn fingerprint(keys: &ClassKeys, class: ProtectionClass) -> String {
    let usable = keys.class_key(class).map(bkp_crypto::ClassKey::fingerprint);
    let bound = || keys.device_bound_key(class).map(bkp_crypto::DeviceBoundKey::fingerprint);
    hex(usable.or_else(bound).unwrap())
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// The catalog of iOS 9 is not encrypted, so names are had without a password.
#[test]
fn ios_9_is_listed_while_locked() {
    let Some(data) = data() else { return };
    let storage = Storage::directory(&data.join("bundles/ios9.3-encrypted-mbdb")).unwrap();
    let Opened::Locked(backup) = Opened::open(storage, Limits::default()).unwrap() else {
        panic!()
    };
    assert_eq!(backup.catalog().unwrap().records().filter(Result::is_ok).count(), 757);
    let wrong = Passphrase::new(SecretString::from("20201226"));
    let error = backup.unlock(&wrong, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.code(), "wrong-password");
    assert_eq!(error.to_string(), "0 of 11 class keys open with this password");
}

/// Another project's fixtures: an unpadded catalog, and a bag that numbers a class oddly.
#[test]
fn third_party_fixtures_open() {
    let Some(data) = data() else { return };
    for (name, damaged) in
        [("thirdparty-10.3-encrypted", 0), ("thirdparty-9.0.1-encrypted-mbdb", 0)]
    {
        let backup = open(&data, name, "0000");
        assert_eq!(backup.class_keys().unwrap().damaged().len(), damaged, "{name}");
        let mut files = 0;
        for record in backup.records().unwrap() {
            let record = record.unwrap_or_else(|error| panic!("{name}: {error}"));
            if record.as_ref().kind == EntryKind::File {
                let mut bytes = Vec::new();
                match backup.payloads().open(&record) {
                    Ok(mut payload) => payload.read_to_end(&mut bytes).unwrap(),
                    Err(BundleError::Payload(PayloadError::Missing { .. })) => continue,
                    Err(error) => panic!("{name}: {error}"),
                };
                files += 1;
            }
        }
        assert_eq!(files, 1, "{name}");
    }
}
