use std::ops::ControlFlow;
use std::sync::Mutex;

use bkp_bundle::{Backup, Limits, Opened, Storage, Unlocked};
use bkp_core::{Entry, Monitor, Problem, Severity, Stage};
use bkp_crypto::Passphrase;
use bkp_testkit::{BundleSpec, Encryption, KeychainItem, KeychainSpec, PlistValue, Sealing, cases};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{KeychainListing, Secrets, keychain};

const SECRET: &str = "canary-77d0-Sëcret";

fn open(spec: &BundleSpec) -> (TempDir, Backup<Unlocked>) {
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path()).unwrap();
    let storage = Storage::directory(dir.path()).unwrap();
    let backup = match Opened::open(storage, Limits::default()).unwrap() {
        Opened::Unlocked(backup) => backup,
        Opened::Locked(backup) => backup
            .unlock(&Passphrase::new(cases::PASSWORD.into()), &mut |_| ControlFlow::Continue(()))
            .unwrap(),
    };
    (dir, backup)
}

fn bundle(encrypted: bool) -> BundleSpec {
    BundleSpec::new(8).with(|spec| {
        spec.encryption = encrypted.then(|| {
            let mut encryption = Encryption::new(cases::PASSWORD);
            (encryption.dpic, encryption.iterations) = (None, 1);
            encryption
        });
    })
}

#[derive(Default)]
struct Codes(Mutex<Vec<(&'static str, Severity, String)>>);

impl Monitor for Codes {
    fn advanced(&self, _: Stage, _: &Entry, _: u64) {}
    fn problem(&self, Problem { entry, fault }: Problem<'_>) {
        let place = entry.map(Entry::to_string).unwrap_or_default();
        let text = format!("{place}|{}", crate::inspect::chain(fault));
        self.0.lock().unwrap().push((fault.code(), fault.severity(), text));
    }
}

fn list(
    keychain_spec: &KeychainSpec,
    encrypted: bool,
    secrets: Secrets,
) -> (KeychainListing, Vec<(&'static str, Severity, String)>) {
    let mut spec = bundle(encrypted);
    spec.entries = vec![keychain_spec.entry(&spec)];
    let (_dir, backup) = open(&spec);
    let codes = Codes::default();
    let listing = keychain(&backup, secrets, &codes).unwrap();
    let counts = listing.opened + listing.device_bound + listing.unsupported + listing.failed;
    assert_eq!(listing.items.len(), counts, "every item went one way");
    (listing, codes.0.into_inner().unwrap())
}

fn password(class: u32) -> KeychainItem {
    KeychainItem::password(class, "service", "account", SECRET)
}

fn items(items: Vec<KeychainItem>) -> KeychainSpec {
    KeychainSpec { items, ..KeychainSpec::default() }
}

#[test]
fn the_document_of_an_item() {
    let mut odd = password(8);
    odd.table = "inet".into();
    odd.reference = Some([&b"inet"[..], &[0xab; 16]].concat());
    odd.attributes = vec![
        ("acct".into(), PlistValue::Data(vec![0xff, 0xfe])),
        ("port".into(), PlistValue::Int(443)),
        ("flag".into(), PlistValue::Bool(true)),
        ("ctl".into(), PlistValue::Data(b"a\0b".to_vec())),
        ("sha1".into(), PlistValue::Data(vec![7; 20])),
    ];
    let spec = items(vec![password(6), password(11), odd]);
    let (listing, problems) = list(&spec, true, Secrets::Hidden);
    assert_eq!(problems, []);
    let document = serde_json::to_value(&listing).unwrap();
    let expected = json!({
        "schema_version": 1, "kind": "keychain", "encrypted": true, "revealed": false,
        "keybag_uuid": document["keybag_uuid"],
        "items": [
            {
                "table": "genp", "index": 0, "class": 6, "version": 3, "opened": true,
                "persistent_ref": {"form": "row", "row": 0},
                "attributes": {
                    "acct": "account", "agrp": "com.example.app",
                    "cdat": "2024-05-18T09:30:00.5Z", "mdat": "2024-05-18T09:30:00.5Z",
                    "musr": "", "musr_b64": "", "pdmn": "ak", "svce": "service",
                    "sync": 0, "tomb": 0,
                },
                "hidden": ["v_Data"],
            },
            {
                "table": "genp", "index": 1, "class": 11, "version": 3, "opened": false,
                "reason": "device-bound",
                "message": "the key of protection class 11 is bound to the device",
                "persistent_ref": {"form": "row", "row": 1},
            },
            {
                "table": "inet", "index": 0, "class": 8, "version": 3, "opened": true,
                "persistent_ref": {
                    "form": "uuid", "uuid": "ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB",
                },
                "attributes": {"acct_b64": "//4=", "port": 443, "flag": true, "ctl_b64": "YQBi"},
                "hidden": ["sha1"],
            },
        ],
        "opened": 2, "device_bound": 1, "unsupported": 0, "failed": 0,
    });
    assert_eq!(document, expected);
    let text = serde_json::to_string(&listing).unwrap();
    assert!(text.contains(r#""acct":"account","agrp""#), "in the order of the item: {text}");

    let (listing, _) = list(&spec, true, Secrets::Revealed);
    let document = serde_json::to_value(&listing).unwrap();
    let first = &document["items"][0];
    assert_eq!(first["attributes"]["v_Data"], SECRET);
    assert_eq!(first["attributes"]["v_Data_b64"], "Y2FuYXJ5LTc3ZDAtU8OrY3JldA==");
    assert!(first.get("hidden").is_none());
    assert_eq!(document["items"][2]["attributes"]["sha1_b64"], "BwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    assert_eq!(document["revealed"], true);
}

#[test]
fn secrets_are_nowhere_unless_revealed() {
    let mut key = password(7);
    key.table = "keys".into();
    for version in [2, 3] {
        let spec = items(
            vec![password(6), key.clone()]
                .into_iter()
                .map(|item| item.with(|item| item.version = version))
                .collect(),
        );
        let (listing, _) = list(&spec, true, Secrets::Hidden);
        assert_eq!(listing.opened, 2);
        let base64 = "Y2FuYXJ5LTc3ZDA";
        for text in [serde_json::to_string(&listing).unwrap(), format!("{listing:?}")] {
            assert!(!text.contains("canary") && !text.contains(base64), "{text}");
        }
        let (listing, _) = list(&spec, true, Secrets::Revealed);
        assert!(serde_json::to_string(&listing).unwrap().contains("canary"));
        assert!(!format!("{listing:?}").contains("canary"));
    }
}

#[test]
fn problems_are_told_by_what_they_are() {
    let newer = |version| password(6).with(|item| item.version = version);
    let damaged = password(6).with(|item| item.sealing = Sealing::Flipped(70));
    let spec = items(vec![newer(7), damaged, newer(7), newer(4), password(6), password(9)]);
    let (listing, problems) = list(&spec, true, Secrets::Hidden);
    assert_eq!((listing.opened, listing.device_bound), (1, 1));
    assert_eq!((listing.unsupported, listing.failed), (3, 1));
    let place = "KeychainDomain:keychain-backup.plist|";
    let expected = [
        (
            "authentication-failed",
            Severity::Failure,
            "genp item 1: the item's authentication tag does not match",
        ),
        (
            "unsupported-keychain-item",
            Severity::Notice,
            "the item is of version 4, which is not read; items like this: 1",
        ),
        (
            "unsupported-keychain-item",
            Severity::Notice,
            "the item is of version 7, which is not read; items like this: 2",
        ),
    ];
    let expected =
        expected.map(|(code, severity, text)| (code, severity, format!("{place}{text}")));
    assert_eq!(problems, expected);
}

#[test]
fn an_unencrypted_backup_is_bound_to_its_device() {
    let (listing, problems) = list(&items(vec![password(6), password(9)]), false, Secrets::Hidden);
    assert_eq!(problems, []);
    assert_eq!((listing.encrypted, listing.opened, listing.device_bound), (false, 0, 2));
    let item = &listing.items[0];
    assert_eq!(item.reason, Some("device-bound"));
    assert!(item.message.as_deref().unwrap().contains("bound to the device"));
}

#[test]
fn what_is_odd_about_the_file_is_told() {
    let mut spec = items(vec![password(6)]);
    spec.keybag_uuid = Some("00000000-0000-4000-8000-000000000000".into());
    spec.extra = vec![("future".into(), PlistValue::Int(1))];
    let (listing, problems) = list(&spec, true, Secrets::Hidden);
    assert_eq!(listing.opened, 1);
    let codes: Vec<_> = problems.iter().map(|(code, severity, _)| (*code, *severity)).collect();
    let notice = Severity::Notice;
    assert_eq!(codes, [("unknown-table", notice), ("keybag-uuid-mismatch", notice)]);

    let (_dir, backup) = open(&bundle(true));
    let codes = Codes::default();
    let listing = keychain(&backup, Secrets::Hidden, &codes).unwrap();
    assert!(listing.items.is_empty());
    let codes = codes.0.into_inner().unwrap();
    assert_eq!((codes.len(), codes[0].0, codes[0].1), (1, "no-keychain", notice));

    let cut = items((0..20).map(|_| password(6)).collect());
    let mut spec = bundle(true);
    let bytes = KeychainSpec { xml: true, ..cut }.contents(&spec);
    let half = bytes[..bytes.len() / 2].to_vec();
    let path = "keychain-backup.plist";
    spec.entries = vec![bkp_testkit::EntrySpec::file("KeychainDomain", path, half)];
    let (_dir, backup) = open(&spec);
    let codes = Codes::default();
    let listing = keychain(&backup, Secrets::Hidden, &codes).unwrap();
    assert!(listing.opened > 5 && listing.opened == listing.items.len());
    let codes = codes.0.into_inner().unwrap();
    assert_eq!((codes[0].0, codes[0].1), ("keychain-damaged", Severity::Failure));
}

/// The document is JSON whatever the names hold, and has each name once.
#[test]
fn hostile_names_of_attributes() {
    let mut item = password(6);
    item.attributes = vec![
        ("a\"\u{202e}\\".into(), PlistValue::text("x\u{0}\n")),
        ("b".into(), PlistValue::Data(vec![1])),
        ("b_b64".into(), PlistValue::text("not base64")),
    ];
    let (listing, _) = list(&items(vec![item]), true, Secrets::Revealed);
    let document: Value = serde_json::from_str(&serde_json::to_string(&listing).unwrap()).unwrap();
    let attributes = &document["items"][0]["attributes"];
    assert_eq!(attributes["a\"\u{202e}\\"], "x\u{0}\n");
    assert_eq!(attributes["b_b64"], "AQ==");
}
