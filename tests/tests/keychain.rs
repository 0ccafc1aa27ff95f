//! `bkp keychain`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use bkp_testkit::{
    BundleSpec, Encryption, EntrySpec, KeychainItem, KeychainSpec, PlistValue, Sealing, cases,
};
use serde_json::Value;

use crate::sandbox::{Run, Sandbox, snapshot, tree};

/// A secret that would be noticed wherever it turns up.
const SECRET: &str = "canary-93ab-Sëcret";
/// What every form of it has.
const TRACES: [&str; 3] = ["canary", "Y2FuYXJ5LTkzYWI", "63616e617279"];

pub(crate) fn bundle(encrypted: bool, keychain: &KeychainSpec) -> BundleSpec {
    let mut spec = BundleSpec::new(21);
    spec.encryption = encrypted.then(|| Encryption::new(cases::PASSWORD));
    spec.entries = vec![
        EntrySpec::file("HomeDomain", "Library/Notes/note.txt", "hello"),
        keychain.entry(&spec),
    ];
    spec
}

fn password(class: u32) -> KeychainItem {
    KeychainItem::password(class, "example.com", "jane", SECRET)
}

/// Every class of both versions, and something of every table.
pub(crate) fn sound() -> KeychainSpec {
    let table = |table: &str, class| password(class).with(|item| item.table = table.into());
    let mut items: Vec<_> = (6..=11).map(password).collect();
    items.push(password(6).with(|item| item.version = 2));
    items.push(table("inet", 8).with(|item| {
        item.attributes.push(("port".into(), PlistValue::Int(993)));
        item.attributes.push(("srvr".into(), PlistValue::text("mail.\u{202e}example")));
    }));
    items.extend([table("cert", 7), table("keys", 9)]);
    items.push(table("keys", 6).with(|item| {
        item.attributes.retain(|(name, _)| name != "v_Data");
        let key = [&[0xff, 0, 1][..], SECRET.as_bytes()].concat();
        item.attributes.push(("v_Data".into(), PlistValue::Data(key)));
    }));
    KeychainSpec { items, ..KeychainSpec::default() }
}

fn items(items: Vec<KeychainItem>) -> KeychainSpec {
    KeychainSpec { items, ..KeychainSpec::default() }
}

#[track_caller]
fn tells_no_secret(run: &Run) {
    let out = String::from_utf8_lossy(&run.stdout);
    for trace in TRACES {
        assert!(!out.contains(trace) && !run.stderr.contains(trace), "{trace}: {run:?}");
    }
}

#[test]
fn the_contract_holds() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&bundle(true, &sound()));
    let run = sandbox.run_unlocked(&["keychain", "backup", "--json"]).exits(0);
    tells_no_secret(&run);
    assert_eq!(run.stderr, "");
    let json = run.json();
    assert_eq!((&json["schema_version"], &json["kind"]), (&1.into(), &"keychain".into()));
    assert_eq!((&json["opened"], &json["device_bound"]), (&7.into(), &4.into()));
    assert!(json["problems"].as_array().unwrap().is_empty());
    let items = json["items"].as_array().unwrap();
    assert_eq!(items.len(), 11);
    let mut next = BTreeMap::new();
    for item in items {
        let index = next.entry(item["table"].as_str().unwrap()).or_insert(0);
        assert_eq!(item["index"], *index);
        *index += 1;
        let class = item["class"].as_u64().unwrap();
        assert_eq!(item["opened"], class <= 8);
        if class <= 8 {
            assert_eq!(item["attributes"]["acct"], "jane");
            assert_eq!(item["attributes"]["sync"], 0);
            assert_eq!(item["hidden"][0], "v_Data");
            assert!(item["attributes"].get("v_Data").is_none() && item.get("reason").is_none());
        } else {
            assert_eq!(item["reason"], "device-bound");
            assert!(item.get("attributes").is_none());
        }
    }
    let revealed = sandbox.run_unlocked(&["keychain", "backup", "--json", "--reveal"]).exits(0);
    let revealed = revealed.json();
    let mut secrets = 0;
    for item in revealed["items"].as_array().unwrap() {
        if item["opened"] == true {
            let attributes = &item["attributes"];
            let key = item["table"] == "keys";
            assert_eq!(attributes.get("v_Data"), (!key).then(|| Value::from(SECRET)).as_ref());
            assert!(attributes["v_Data_b64"].is_string() && item.get("hidden").is_none());
            secrets += 1;
        }
    }
    assert_eq!(secrets, 7);
}

#[test]
fn the_text_is_what_it_was() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&bundle(true, &sound()));
    let run = sandbox.run_unlocked(&["keychain", "backup"]).exits(0);
    tells_no_secret(&run);
    snapshot("keychain.txt", run.text());
    let run = sandbox.run_unlocked(&["keychain", "backup", "--reveal"]).exits(0);
    assert!(run.text().contains(&format!("secret: {SECRET}\n")));
    snapshot("keychain-reveal.txt", run.text());
}

#[test]
fn a_password_is_needed_and_must_be_right() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&bundle(true, &sound()));
    sandbox.run(&["keychain", "backup"]).exits(13).says("password-needed");
    sandbox.file("bad", "wrong");
    let args = ["keychain", "backup", "--json", "--password-file", "bad"];
    let run = sandbox.run(&args).exits(12);
    assert_eq!(run.error()["code"], "wrong-password");
    assert!(run.stdout.is_empty());
}

#[test]
fn an_unencrypted_backup_opens_nothing_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&bundle(false, &sound()));
    let json = sandbox.run(&["keychain", "backup", "--json"]).exits(0).json();
    assert_eq!((&json["opened"], &json["device_bound"]), (&0.into(), &11.into()));
    assert_eq!(json["encrypted"], false);
    let run = sandbox.run(&["keychain", "backup", "--reveal"]).exits(0);
    tells_no_secret(&run);
    assert!(run.text().contains("opened 0 of 11: 11 bound to the device\n"), "{}", run.text());
    assert!(run.text().contains("not encrypted"));
}

#[test]
fn damage_is_told_item_by_item_and_the_rest_opens() {
    let sandbox = Sandbox::new();
    let damaged = |sealing: Sealing| password(6).with(|item| item.sealing = sealing);
    let plaintext = [b"\x31\x02\x30", SECRET.as_bytes()].concat();
    let spec = items(vec![
        password(6),
        damaged(Sealing::Flipped(30)),
        damaged(Sealing::Flipped(80)),
        damaged(Sealing::CutTo(90)),
        damaged(Sealing::CutTo(3)),
        damaged(Sealing::Omitted),
        damaged(Sealing::Plaintext(plaintext)),
        password(8),
        password(11),
    ]);
    sandbox.bundle(&bundle(true, &spec));
    let run = sandbox.run_unlocked(&["keychain", "backup", "--json", "--reveal"]).exits(3);
    let json = run.json();
    assert_eq!((&json["opened"], &json["failed"]), (&2.into(), &6.into()));
    let codes = |values: &Value, field: &str| -> Vec<String> {
        let values = values.as_array().unwrap().iter();
        values.filter_map(|value| value[field].as_str()).map(str::to_owned).collect()
    };
    let mut reasons = codes(&json["items"], "reason");
    assert_eq!(reasons.pop().unwrap(), "device-bound");
    assert_eq!(
        reasons,
        [
            "key-unwrap-failed",
            "authentication-failed",
            "authentication-failed",
            "bad-keychain-item",
            "bad-keychain-item",
            "bad-keychain-plaintext",
        ]
    );
    assert_eq!(codes(&json["problems"], "code"), reasons);
    assert!(!run.stderr.contains("canary"), "no part of a plaintext is in an error");
    let run = sandbox.run_unlocked(&["keychain", "backup"]).exits(3);
    assert!(run.text().ends_with("opened 2 of 9: 1 bound to the device, 6 damaged\n"));
    tells_no_secret(&run.says("authentication-failed"));
}

#[test]
fn newer_forms_and_another_keybag_are_warnings() {
    let sandbox = Sandbox::new();
    let newer = |version| password(6).with(|item| item.version = version);
    sandbox.bundle(&bundle(true, &items(vec![newer(7), password(6), newer(7), newer(4)])));
    let run = sandbox.run_unlocked(&["keychain", "backup"]).exits(4);
    assert_eq!(run.stderr.matches("warning[unsupported-keychain-item]").count(), 2);
    assert!(run.text().ends_with("opened 1 of 4: 3 of a form that is not read\n"));
    let mut spec = items(vec![password(6)]);
    spec.keybag_uuid = Some("00000000-0000-4000-8000-000000000000".into());
    sandbox.bundle_at("other", &bundle(true, &spec));
    sandbox.run_unlocked(&["keychain", "other"]).exits(4).says("keybag-uuid-mismatch");
    sandbox.bundle_at("none", &bundle(true, &spec).with(|spec| spec.entries.truncate(1)));
    let run = sandbox.run_unlocked(&["keychain", "none", "--json"]).exits(4);
    assert_eq!(run.json()["problems"][0]["code"], "no-keychain");
}

#[test]
fn a_file_is_new_whole_and_private() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&bundle(true, &sound()));
    let args = ["keychain", "backup", "--reveal", "-o", "out.json"];
    let run = sandbox.run_unlocked(&args).exits(0);
    tells_no_secret(&run);
    assert!(run.text().ends_with("written to out.json\n"), "{}", run.text());
    let path = sandbox.path("out.json");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let bytes = fs::read(&path).unwrap();
    let shown = sandbox.run_unlocked(&["keychain", "backup", "--reveal", "--json"]).exits(0).stdout;
    assert!(bytes == shown, "the file is what stdout would have been");
    // Before the password is asked for.
    let run = sandbox.run(&args).exits(30).says("destination-exists");
    assert!(run.stdout.is_empty() && fs::read(&path).unwrap() == bytes);
    fs::remove_file(&path).unwrap();
    let json = [&args[..], &["--json"]].concat();
    assert!(sandbox.run_unlocked(&json).exits(0).stdout.is_empty());
    assert!(fs::read(&path).unwrap() == bytes);
    // What fails leaves no file, also not under another name.
    sandbox.file("bad", "wrong");
    let args = ["keychain", "backup", "-o", "none.json", "--password-file", "bad"];
    sandbox.run(&args).exits(12);
    sandbox.run_unlocked(&["keychain", "backup", "-o", "no/such/folder.json"]).exits(1);
    let names: Vec<_> = fs::read_dir(sandbox.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("json"))
        .collect();
    assert_eq!(names, ["out.json"]);
}

#[test]
fn the_source_is_not_changed() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&bundle(true, &sound()));
    let before = tree(&sandbox.path("backup"));
    sandbox.run_unlocked(&["keychain", "backup", "--reveal"]).exits(0);
    assert!(tree(&sandbox.path("backup")) == before);
}

#[test]
fn a_damaged_class_key_takes_its_items_along() {
    let sandbox = Sandbox::new();
    let spec = bundle(true, &items(vec![password(6), password(7)]));
    let mut bag = spec.keybag_contents();
    let record = bag.records.iter_mut().find(|record| record.class == 7).unwrap();
    record.wrapped[3] ^= 1;
    sandbox.bundle(&spec.with(|spec| spec.keybag_bytes = Some(bag.encode())));
    let run = sandbox.run_unlocked(&["keychain", "backup", "--json"]).exits(15);
    assert_eq!(run.json()["items"][1]["reason"], "class-key-damaged");
    assert_eq!(run.json()["opened"], 1);
}

fn shared(path: &str) -> Option<PathBuf> {
    let data = std::env::var_os("BKP_SHARED_DATA").map(PathBuf::from);
    if data.is_none() {
        println!("skipped: BKP_SHARED_DATA is not set");
    }
    data.map(|data| data.join(path))
}

/// Every item of a real backup is as its published truth has it.
#[test]
fn a_real_encrypted_backup() {
    let Some(path) = shared("bundles/ios9.3-encrypted-mbdb") else { return };
    let truth = fs::read(shared("truth/ios9.3-encrypted-mbdb.json").unwrap()).unwrap();
    let truth: Value = serde_json::from_slice(&truth).unwrap();
    let sandbox = Sandbox::new();
    sandbox.file("real", "20201225");
    let args = ["keychain", path.to_str().unwrap(), "--password-file", "real"];
    let json = sandbox.run(&[&args[..], &["--json"]].concat()).exits(0).json();
    assert_eq!(json["opened"], 6);
    let key = |item: &Value| {
        (item["table"].as_str().unwrap().to_owned(), item["index"].as_u64().unwrap())
    };
    let expected: BTreeMap<_, _> = truth["keychain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let opens = item["decryptable"] != false;
            (key(item), (item["class"].clone(), item["version"].clone(), opens))
        })
        .collect();
    let found: BTreeMap<_, _> = json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let opened = item["opened"] == true;
            (key(item), (item["class"].clone(), item["version"].clone(), opened))
        })
        .collect();
    assert_eq!(found, expected);
    let text = sandbox.run(&args).exits(0);
    assert!(text.text().ends_with("opened 6 of 30: 24 bound to the device\n"), "{}", text.text());
    // Of what --reveal tells, nothing is told without it.
    let revealed = sandbox.run(&[&args[..], &["--json", "--reveal"]].concat()).exits(0).json();
    for item in revealed["items"].as_array().unwrap() {
        if let Some(secret) = item["attributes"]["v_Data_b64"].as_str()
            && secret.len() > 16
        {
            assert!(!json.to_string().contains(secret) && !text.text().contains(secret));
        }
    }
}

#[test]
fn a_real_unencrypted_backup() {
    let Some(path) = shared("bundles/ios13.3-unencrypted") else { return };
    let sandbox = Sandbox::new();
    let json = sandbox.run(&["keychain", path.to_str().unwrap(), "--json"]).exits(0).json();
    let items = json["items"].as_array().unwrap();
    assert!(!items.is_empty() && items.iter().all(|item| item["reason"] == "device-bound"));
    assert_eq!((&json["opened"], &json["device_bound"]), (&0.into(), &items.len().into()));
}
