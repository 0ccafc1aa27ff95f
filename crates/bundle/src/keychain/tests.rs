//! Keychains of the testkit, which shares no code with this crate, and real ones.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use bkp_core::{Fault as _, Severity};
use bkp_crypto::{ClassKeys, Keybag, Passphrase, SealedItem};
use bkp_testkit::{
    BundleSpec, Encryption, EntrySpec, KeychainItem as Spec, KeychainSpec, PlistValue, Sealing,
    binary_plist, cases,
};
use sha2::{Digest as _, Sha256};

use super::{AttributeValue, Keychain, KeychainItemError, KeychainTable, PersistentRef};
use crate::{Backup, Limits, Opened, Storage, Unlocked};

const SECRET: &str = "canary-1c9e-Sëcret";

fn bundle() -> BundleSpec {
    BundleSpec::new(8).with(|spec| {
        let mut encryption = Encryption::new(cases::PASSWORD);
        (encryption.dpic, encryption.iterations) = (None, 1);
        spec.encryption = Some(encryption);
    })
}

/// The class keys of [`bundle`].
fn keys() -> ClassKeys {
    let bytes = bundle().keybag_contents().encode();
    let password = Passphrase::new(cases::PASSWORD.into());
    let mut go_on = |_| ControlFlow::Continue(());
    Keybag::parse(&bytes).unwrap().unlock(&password, 100, &mut go_on).unwrap()
}

fn password(class: u32) -> Spec {
    Spec::password(class, "service", "account", SECRET)
}

fn parse(items: Vec<Spec>) -> Keychain {
    let spec = KeychainSpec { items, ..KeychainSpec::default() };
    Keychain::parse(&spec.contents(&bundle())).unwrap()
}

/// Opens the only item of a keychain.
fn open(item: Spec) -> Result<super::OpenedItem, KeychainItemError> {
    parse(vec![item]).items()[0].open(Some(&keys()))
}

fn code(item: Spec) -> (&'static str, Severity) {
    let error = open(item).unwrap_err();
    (error.code(), error.severity())
}

fn backup(spec: &BundleSpec) -> (tempfile::TempDir, Backup<Unlocked>) {
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path()).unwrap();
    let backup = unlock(dir.path(), cases::PASSWORD);
    (dir, backup)
}

fn unlock(dir: &Path, password: &str) -> Backup<Unlocked> {
    match Opened::open(Storage::directory(dir).unwrap(), Limits::default()).unwrap() {
        Opened::Unlocked(backup) => backup,
        Opened::Locked(backup) => backup
            .unlock(&Passphrase::new(password.into()), &mut |_| ControlFlow::Continue(()))
            .unwrap(),
    }
}

#[test]
fn attributes_of_both_versions() {
    for version in [2, 3] {
        let opened = open(password(6).with(|item| item.version = version)).unwrap();
        let shown: Vec<&str> = opened.attributes().map(|(name, _)| name).collect();
        let names = ["acct", "agrp", "cdat", "mdat", "musr", "pdmn", "svce", "sync", "tomb"];
        assert_eq!(shown, names, "version {version}");
        assert_eq!(opened.secret_names().collect::<Vec<_>>(), ["v_Data"]);
        let Some(AttributeValue::Bytes(secret)) = opened.secret() else { panic!() };
        assert_eq!(secret.as_slice(), SECRET.as_bytes());
        assert_eq!(opened.reveal().count(), 10);
        for (name, value) in opened.attributes() {
            match (name, value) {
                ("acct", AttributeValue::Text(text)) => assert_eq!(text.as_str(), "account"),
                ("svce", AttributeValue::Text(text)) => assert_eq!(text.as_str(), "service"),
                ("agrp" | "pdmn", AttributeValue::Text(_)) => {}
                ("musr", AttributeValue::Bytes(bytes)) => assert!(bytes.is_empty()),
                ("sync" | "tomb", AttributeValue::Integer(0)) => {}
                ("cdat" | "mdat", AttributeValue::Date { seconds: 1_716_024_600, nanos }) => {
                    // The testkit writes half a second where there is a fraction.
                    assert_eq!(*nanos, if version == 3 { 500_000_000 } else { 0 });
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn classes_open_or_say_why() {
    let keys = keys();
    let keychain = parse((5..=12).map(password).collect());
    let mut codes = BTreeMap::new();
    for item in keychain.items() {
        let class = item.class().unwrap().0;
        let code = item.open(Some(&keys)).map_err(|error| (error.code(), error.severity()));
        codes.insert(class, code.map(|_| ()));
    }
    let bound = Err(("device-bound", Severity::Notice));
    assert_eq!(
        codes.into_iter().collect::<Vec<_>>(),
        [
            (5, bound),
            (6, Ok(())),
            (7, Ok(())),
            (8, Ok(())),
            (9, bound),
            (10, bound),
            (11, bound),
            (12, Err(("no-class-key", Severity::Failure))),
        ]
    );
    for item in keychain.items() {
        let error = item.open(None).unwrap_err();
        assert!(error.is_device_bound() && matches!(error, KeychainItemError::NotEncrypted));
    }
}

#[test]
fn newer_forms_are_named() {
    for version in [0, 1, 4, 5, 6, 7, 8, 0x8000_0003] {
        let item = password(6).with(|item| item.version = version);
        let keychain = parse(vec![item.clone()]);
        assert_eq!(keychain.items()[0].version(), Some(version));
        assert_eq!(code(item), ("unsupported-keychain-item", Severity::Notice), "{version}");
    }
    let long = [&[3, 0, 0, 0, 6, 0, 0, 0, 105, 0, 0, 0][..], &[7; 300]].concat();
    let long = password(6).with(|item| item.sealing = Sealing::Bytes(long));
    assert_eq!(code(long).0, "unsupported-keychain-item");
    let mut references = vec![
        (b"genp\0\0\0\0\0\0\x01\x02".to_vec(), PersistentRef::Row(258)),
        (b"genp\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(), PersistentRef::Row(-1)),
        ([&b"genp"[..], &[9; 16]].concat(), PersistentRef::Uuid([9; 16])),
        (b"tkpr-something".to_vec(), PersistentRef::Token),
    ];
    for len in [0, 3, 11, 13] {
        references.push((vec![b'g'; len], PersistentRef::Unknown { len }));
    }
    for (bytes, reference) in references {
        let keychain = parse(vec![password(6).with(|item| item.reference = Some(bytes))]);
        assert_eq!(keychain.items()[0].persistent_ref(), Some(reference));
        assert!(keychain.items()[0].open(Some(&keys())).is_ok(), "no reference keeps an item shut");
    }
}

#[test]
fn damaged_items_are_their_own_problem() {
    let with = |sealing| password(6).with(|item| item.sealing = sealing);
    let plain = |bytes: &[u8]| with(Sealing::Plaintext(bytes.to_vec()));
    let list = |value: &PlistValue| plain(&binary_plist(value)).with(|item| item.version = 2);
    let nested = PlistValue::dict([("a", PlistValue::Array(Vec::new()))]);
    let twice = PlistValue::dict([("a", PlistValue::Int(1)), ("a", PlistValue::Int(2))]);
    let cases = [
        (with(Sealing::Omitted), "bad-keychain-item"),
        (with(Sealing::Bytes(Vec::new())), "bad-keychain-item"),
        (with(Sealing::CutTo(7)), "bad-keychain-item"),
        (with(Sealing::CutTo(51)), "bad-keychain-item"),
        (with(Sealing::CutTo(67)), "bad-keychain-item"),
        (with(Sealing::CutTo(80)), "authentication-failed"),
        (with(Sealing::Flipped(20)), "key-unwrap-failed"),
        (with(Sealing::Flipped(60)), "authentication-failed"),
        (plain(b""), "bad-keychain-plaintext"),
        (plain(b"\x31\x03\x30\x01"), "bad-keychain-plaintext"),
        (list(&PlistValue::Array(Vec::new())), "bad-keychain-plaintext"),
        (list(&PlistValue::Array(vec![PlistValue::Int(1)])), "bad-keychain-plaintext"),
        (list(&PlistValue::Int(1)), "bad-keychain-plaintext"),
        (list(&nested), "bad-keychain-plaintext"),
        (list(&twice), "bad-keychain-plaintext"),
        (list(&PlistValue::dict([("a", PlistValue::Real(1.5))])), "bad-keychain-plaintext"),
    ];
    let mut items = vec![password(6)];
    for (item, _) in &cases {
        items.extend([item.clone(), password(8)]);
    }
    let keychain = parse(items);
    let keys = keys();
    for (at, item) in keychain.items().iter().enumerate() {
        assert_eq!((item.table(), item.index()), (KeychainTable::Genp, at));
        match (at % 2, item.open(Some(&keys))) {
            (0, Ok(_)) => {}
            (1, Err(error)) => {
                assert_eq!(error.code(), cases[at / 2].1, "item {at}: {error:?}");
                assert_eq!(error.severity(), Severity::Failure);
            }
            (_, other) => panic!("item {at}: {other:?}"),
        }
    }
}

/// Whatever is changed in `v_Data`, no plaintext comes of it: not even of the version, which the
/// tag does not cover.
#[test]
fn every_changed_byte_is_an_error() {
    let keys = keys();
    for version in [2, 3] {
        let item = password(6).with(|item| item.version = version);
        let v_data = item.v_data(bkp_testkit::Seed(8), "0").unwrap();
        let open = |bytes: Vec<u8>| {
            super::KeychainItem {
                table: KeychainTable::Genp,
                index: 0,
                v_data: Some(bytes),
                reference: None,
            }
            .open(Some(&keys))
        };
        assert!(open(v_data.clone()).is_ok());
        for at in 0..v_data.len() {
            for bit in 0..8 {
                let mut changed = v_data.clone();
                changed[at] ^= 1 << bit;
                assert!(open(changed).is_err(), "version {version}, byte {at}, bit {bit}");
            }
            assert!(open(v_data[..at].to_vec()).is_err(), "version {version}, cut to {at}");
        }
    }
}

#[test]
fn no_secret_prints() {
    let mut item = password(6);
    item.attributes.push(("sha1".into(), PlistValue::Data(vec![1; 20])));
    item.attributes.push(("account2".into(), PlistValue::text(SECRET)));
    let keychain = parse(vec![item]);
    let opened = keychain.items()[0].open(Some(&keys())).unwrap();
    assert_eq!(opened.secret_names().collect::<Vec<_>>(), ["v_Data", "sha1"]);
    let text = format!("{opened:?} {:?}", opened.secret());
    assert!(text.contains("v_Data") && !text.contains("canary"), "{text}");
    // Numbers would print as a list.
    let list = format!("{:?}", SECRET.as_bytes());
    assert!(!text.contains(list.trim_matches(['[', ']'])), "{text}");
}

fn nested_dict() -> PlistValue {
    let inner = PlistValue::dict([("b", PlistValue::Array(vec![PlistValue::Int(1)]))]);
    PlistValue::dict([("a", inner)])
}

/// XML, tables that are not arrays or not known, and members that are no items.
#[test]
fn odd_files() {
    for xml in [true, false] {
        let spec = KeychainSpec {
            items: vec![password(6)],
            xml,
            extra: vec![
                ("future".into(), PlistValue::Array(vec![nested_dict()])),
                ("inet".into(), PlistValue::text("x")),
                ("cert".into(), PlistValue::Array(vec![PlistValue::Int(1), nested_dict()])),
            ],
            ..KeychainSpec::default()
        };
        let keychain = Keychain::parse(&spec.contents(&bundle())).unwrap();
        let codes: Vec<_> = keychain.notices().iter().map(|notice| notice.code).collect();
        assert_eq!(codes, ["unknown-table", "plist-oddity"]);
        assert!(keychain.damage().is_none());
        let items: Vec<_> =
            keychain.items().iter().map(|item| (item.table().name(), item.index())).collect();
        assert_eq!(items, [("genp", 0), ("cert", 0), ("cert", 1)]);
        let keys = keys();
        let opened: Vec<_> =
            keychain.items().iter().map(|item| item.open(Some(&keys)).is_ok()).collect();
        assert_eq!(opened, [true, false, false]);
        assert_eq!(keychain.items()[1].version(), None);
    }
    for bad in [&b""[..], b"x", b"bplist00", &binary_plist(&PlistValue::Array(Vec::new()))] {
        assert!(Keychain::parse(bad).is_err());
    }
}

/// A file that is damaged in the middle gives the items before.
#[test]
fn damage_costs_what_comes_after() {
    let spec = KeychainSpec {
        items: (0..40).map(|_| password(8)).collect(),
        xml: true,
        ..KeychainSpec::default()
    };
    let whole = spec.contents(&bundle());
    let keychain = Keychain::parse(&whole[..whole.len() / 2]).unwrap();
    assert!(keychain.damage().is_some());
    assert!((10..30).contains(&keychain.items().len()), "{}", keychain.items().len());
    let keys = keys();
    for item in keychain.items() {
        assert!(item.open(Some(&keys)).is_ok());
    }
    let whole = KeychainSpec { xml: false, ..spec }.contents(&bundle());
    for at in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        if let Ok(keychain) = Keychain::parse(&changed) {
            for item in keychain.items() {
                let _ = item.open(Some(&keys));
            }
        }
    }
    for bomb in cases::plist_bombs() {
        if let Ok(keychain) = Keychain::parse(&bomb.bytes) {
            assert!(keychain.items().is_empty(), "{}", bomb.name);
        }
    }
}

#[test]
fn the_keybag_is_compared() {
    for (uuid, codes) in [
        (None, &[][..]),
        (Some(""), &[]),
        (Some("00000000-0000-4000-8000-000000000000"), &["keybag-uuid-mismatch"]),
    ] {
        let keychain = KeychainSpec {
            items: vec![password(6)],
            keybag_uuid: uuid.map(Into::into),
            ..KeychainSpec::default()
        };
        let mut spec = bundle();
        spec.entries = vec![keychain.entry(&spec)];
        let (_dir, backup) = backup(&spec);
        let found = Keychain::find(&backup).unwrap().unwrap();
        let found_codes: Vec<_> = found.keychain.notices().iter().map(|n| n.code).collect();
        assert_eq!(found_codes, codes);
        assert_eq!(found.faults.len(), 0);
        assert!(found.keychain.items()[0].open(backup.class_keys()).is_ok());
        assert_eq!(found.record.as_ref().to_string(), "KeychainDomain:keychain-backup.plist");
    }
}

#[test]
fn a_backup_without_a_keychain_or_with_a_broken_one() {
    let (_dir, none) = backup(&bundle());
    assert!(Keychain::find(&none).unwrap().is_none());
    let mut spec = bundle();
    let path = "keychain-backup.plist";
    spec.entries = vec![EntrySpec::file("KeychainDomain", path, "not a property list")];
    let (_dir, broken) = backup(&spec);
    assert_eq!(Keychain::find(&broken).unwrap_err().code(), "plist-damaged");
    spec.entries[0].stored = bkp_testkit::Stored::Missing;
    let (_dir, missing) = backup(&spec);
    assert_eq!(Keychain::find(&missing).unwrap_err().code(), "missing-blob");
}

/// The limit of the file, to the byte.
#[test]
fn the_length_of_the_file_is_limited() {
    let xml = |len: usize| {
        let (head, tail) = ("<plist><dict/>", "</plist>");
        format!("{head}{}{tail}", " ".repeat(len - head.len() - tail.len())).into_bytes()
    };
    for (len, ok) in [(super::limits::BYTES, true), (super::limits::BYTES + 1, false)] {
        let keychain = Keychain::parse(&xml(len));
        assert_eq!(keychain.is_ok_and(|keychain| keychain.damage().is_none()), ok, "{len}");
    }
}

/// One empty dictionary, many times over.
#[test]
fn the_number_of_items_is_limited() {
    for count in [super::limits::ITEMS - 1, super::limits::ITEMS, super::limits::ITEMS + 1] {
        let reference = |n: u32| n.to_be_bytes();
        let root = [&[0xd1][..], &reference(1), &reference(2)].concat();
        let mut table = vec![0xaf, 0x12];
        table.extend(u32::try_from(count).unwrap().to_be_bytes());
        table.extend(reference(3).repeat(count));
        let objects = [root, b"\x54genp".to_vec(), table, vec![0xd0]];
        let keychain = Keychain::parse(&crate::testing::lay_out(&objects, 4, 4, 0)).unwrap();
        assert_eq!(keychain.items().len(), count.min(super::limits::ITEMS));
        assert_eq!(keychain.damage().is_some(), count > super::limits::ITEMS, "{count}");
        let error = keychain.items()[0].open(None).unwrap_err();
        assert_eq!(error.code(), "bad-keychain-item");
    }
}

#[test]
fn ios_9_encrypted() {
    let Some(dir) = crate::testing::shared("bundles/ios9.3-encrypted-mbdb") else { return };
    let truth = crate::testing::shared("truth/ios9.3-encrypted-mbdb.json").unwrap();
    let truth: serde_json::Value = serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap();
    let truth = truth["keychain"].as_array().unwrap();
    let backup = unlock(&dir, "20201225");
    let found = Keychain::find(&backup).unwrap().unwrap();
    assert_eq!(found.faults.len(), 0);
    let keychain = found.keychain;
    assert_eq!((keychain.items().len(), keychain.notices()), (truth.len(), &[][..]));
    assert_eq!((keychain.keybag_uuid(), keychain.damage().is_none()), (None, true));
    let keys = backup.class_keys().unwrap();
    let mut opened = 0;
    for truth in truth {
        let item = keychain
            .items()
            .iter()
            .find(|item| truth["table"] == item.table().name() && truth["index"] == item.index())
            .unwrap();
        assert_eq!(truth["version"], item.version().unwrap());
        assert_eq!(truth["class"], item.class().unwrap().0);
        assert!(matches!(item.persistent_ref(), Some(PersistentRef::Row(1..))));
        match item.open(Some(keys)) {
            Ok(item_open) => {
                let sealed = SealedItem::parse(item.v_data.as_deref().unwrap()).unwrap();
                let plain = sealed.open(keys).unwrap();
                let sha256 = Sha256::digest(plain.expose());
                assert_eq!(truth["plaintext_der_sha256"], bkp_testkit::hex(&sha256));
                assert_eq!(truth["len"], plain.expose().len());
                // Every value is of a known kind, and the secret among them.
                let other = |value: &AttributeValue| matches!(value, AttributeValue::Other(_));
                assert!(!item_open.reveal().any(|(_, value)| other(value)), "{item_open:?}");
                assert!(matches!(item_open.secret(), Some(AttributeValue::Bytes(_))));
                for name in ["agrp", "pdmn", "cdat", "mdat"] {
                    assert!(item_open.attributes().any(|(other, _)| other == name), "{name}");
                }
                opened += 1;
            }
            Err(error) => {
                assert_eq!(truth["decryptable"], false, "{error:?}");
                assert!(error.is_device_bound());
            }
        }
    }
    assert_eq!(opened, 6);
}

#[test]
fn ios_13_unencrypted() {
    let Some(dir) = crate::testing::shared("bundles/ios13.3-unencrypted") else { return };
    let backup = unlock(&dir, "");
    let keychain = Keychain::find(&backup).unwrap().unwrap().keychain;
    assert!(!keychain.items().is_empty());
    assert_eq!(keychain.notices(), [], "the keybag's UUID is the same");
    assert!(keychain.keybag_uuid().is_some());
    // The empty password opens the keybag, and no item for all that: the classes need the device.
    let keybag = backup.bundle().keybag().unwrap().unwrap();
    let mut go_on = |_| ControlFlow::Continue(());
    let keys = keybag.unlock(&Passphrase::empty(), 20_000, &mut go_on).unwrap();
    for item in keychain.items() {
        assert_eq!(item.version(), Some(3));
        assert!(item.open(backup.class_keys()).unwrap_err().is_device_bound());
        assert!(item.open(Some(&keys)).unwrap_err().is_device_bound());
    }
}
