//! `bkp inspect`.

use bkp_testkit::{Encryption, cases};
use serde_json::Value;

use crate::sandbox::{Sandbox, snapshot};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn has(value: &Value, names: &[&str]) {
    for name in names {
        assert!(value.get(name).is_some(), "no {name} in {:?}", keys(value));
    }
}

#[test]
fn the_contract_holds_for_an_unlocked_backup() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::encrypted_db(1_000));
    let run = sandbox.run_unlocked(&["inspect", "backup", "--json"]).exits(0);
    let json = run.json();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["kind"], "inspect");
    has(
        &json["device"],
        &["name", "product_type", "product_version", "build_version", "serial_number"],
    );
    assert_eq!(json["device"]["unique_device_id"], truth.udid);
    assert_eq!((&json["encrypted"], &json["unlocked"]), (&true.into(), &true.into()));
    has(&json["backup"], &["version", "date", "snapshot_state", "is_full"]);
    assert_eq!(json["backup"]["snapshot_state"], "finished");
    let catalog = &json["catalog"];
    assert_eq!(catalog["format"], "manifest.db");
    assert_eq!(catalog["entries"], truth.counts.rows);
    assert_eq!(catalog["files"], truth.counts.files);
    assert_eq!(catalog["directories"], truth.counts.directories);
    assert_eq!(catalog["symlinks"], truth.counts.symlinks);
    let domains: std::collections::BTreeSet<_> =
        truth.entries.iter().map(|entry| &entry.domain).collect();
    assert_eq!(catalog["domains"], domains.len());
    has(&json["keybag"], &["version", "type", "uuid", "iterations"]);
    assert_eq!(json["keybag"]["double_protection_iterations"], 1_000);
    let classes = json["keybag"]["classes"].as_array().unwrap();
    assert_eq!(classes.len(), truth.class_keys.len());
    for class in classes {
        has(class, &["class", "wrap", "key_type"]);
        assert_eq!(class["opens"], true);
    }
    assert!(json.get("management").is_some() && json["warnings"].is_array());
}

#[test]
fn a_locked_backup_is_described_and_never_asks() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::encrypted_db(1_000));
    let json = sandbox.run(&["inspect", "backup", "--json"]).exits(0).json();
    assert_eq!((&json["encrypted"], &json["unlocked"]), (&true.into(), &false.into()));
    assert!(json["catalog"].is_null());
    assert!(json["keybag"]["classes"][0]["opens"].is_null());
    // Asking for the password where there is nobody to ask is a failure.
    sandbox.run(&["inspect", "backup", "--unlock"]).exits(13).says("password-needed");
}

#[test]
fn names_of_an_old_backup_need_no_password() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::encrypted_mbdb());
    let json = sandbox.run(&["inspect", "backup", "--json"]).exits(0).json();
    assert_eq!(json["catalog"]["format"], "manifest.mbdb");
    assert_eq!(json["catalog"]["files"], truth.counts.files);
    assert!(json["keybag"]["double_protection_iterations"].is_null());
    let json = sandbox.run_unlocked(&["inspect", "backup", "--json"]).exits(0).json();
    assert_eq!(json["unlocked"], true);
}

#[test]
fn the_text_is_what_it_was() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::encrypted_db(1_000));
    let run = sandbox.run(&["inspect", "backup"]).exits(0);
    snapshot("inspect-locked.txt", run.text());
    let run = sandbox.run_unlocked(&["inspect", "backup"]).exits(0);
    snapshot("inspect-unlocked.txt", run.text());
    sandbox.bundle_at("plain", &cases::plain_mbdb());
    snapshot("inspect-plain-mbdb.txt", sandbox.run(&["inspect", "plain"]).exits(0).text());
}

#[test]
fn colours_only_where_they_are_wanted() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_db());
    assert!(!sandbox.run(&["inspect", "backup"]).text().contains('\x1b'));
    assert!(sandbox.run(&["inspect", "backup", "--color", "always"]).text().contains('\x1b'));
    let mut command = sandbox.command(["inspect", "backup", "--color", "always", "--color=never"]);
    assert_eq!(command.env("NO_COLOR", "1").output().unwrap().status.code(), Some(2));
}

#[test]
fn the_folder_above_one_backup_and_above_several() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("all/one", &cases::plain_db());
    sandbox.run(&["inspect", "all", "--json"]).exits(0);
    sandbox.bundle_at("all/two", &cases::encrypted_db(1_000));
    let run = sandbox.run(&["inspect", "all"]).exits(10).says("several-backups");
    assert!(run.stderr.contains("all/one") && run.stderr.contains("all/two"), "{}", run.stderr);
    let error = sandbox.run(&["inspect", "all", "--json"]).exits(10).error();
    assert_eq!(error["code"], "several-backups");
    assert_eq!(error["backups"].as_array().unwrap().len(), 2);
    assert_eq!(error["backups"][1]["encrypted"], true);
    assert_eq!(error["backups"][1]["path"], "all/two");
}

#[test]
fn a_damaged_class_key_is_told_and_shows_in_the_exit_code() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&damaged_class());
    let json = sandbox.run_unlocked(&["inspect", "backup", "--json"]).exits(15).json();
    let closed: Vec<_> = json["keybag"]["classes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|class| class["opens"] == false)
        .collect();
    assert_eq!(closed.len(), 1);
    assert_eq!(json["unlocked"], true);
}

/// A bundle of which one class key, not that of Manifest.db, has a changed byte.
pub(crate) fn damaged_class() -> bkp_testkit::BundleSpec {
    let spec = cases::encrypted_db(1_000);
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path()).unwrap();
    let plist = std::fs::read(dir.path().join("Manifest.plist")).unwrap();
    // The keybag is one data object of the binary list: its records start with `UUID`, and the
    // class of each follows as `CLAS`, with the wrapped key as `WPKY`.
    let class = find(&plist, b"CLAS\0\0\0\x04\0\0\0\x01").expect("class 1");
    let key = class + find(&plist[class..], b"WPKY").unwrap() + 8;
    let mut damaged = plist;
    damaged[key + 3] ^= 1;
    spec.with(|spec| {
        spec.raw_files.push(("Manifest.plist".into(), damaged));
        assert_eq!(spec.encryption.as_ref().map(|e: &Encryption| e.iterations), Some(1_000));
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
