//! `bkp verify --restorable`.

use std::path::PathBuf;

use bkp_testkit::{BundleSpec, KeychainSpec, PlistEdit, PlistValue, Stored, cases};
use serde_json::Value;

use crate::sandbox::{Sandbox, snapshot, tree};

/// A ready case with a keychain that is one.
fn sound(spec: BundleSpec) -> BundleSpec {
    let keychain = KeychainSpec::default().entry(&spec);
    spec.with(|spec| {
        spec.entries.retain(|entry| entry.domain != b"KeychainDomain");
        spec.entries.push(keychain);
    })
}

fn count(json: &Value, code: &str) -> usize {
    json["problems"].as_array().unwrap().iter().filter(|p| p["code"] == code).count()
}

#[test]
fn sound_backups_can_be_restored() {
    let sandbox = Sandbox::new();
    for (name, spec) in [
        ("plain", cases::plain_db()),
        ("encrypted", cases::encrypted_db(1_000)),
        ("mbdb", cases::encrypted_mbdb()),
    ] {
        sandbox.bundle_at(name, &sound(spec));
        let before = tree(&sandbox.path(name));
        let args = ["verify", name, "--restorable", "--json"];
        let json = sandbox.run_unlocked(&args).exits(0).json();
        let judged = &json["restorable"];
        assert_eq!((&json["ok"], &judged["ok"]), (&true.into(), &true.into()));
        assert_eq!(judged["blocking"], 0);
        assert!(judged["target"]["product_version"].is_string(), "{judged}");
        assert!(judged["target"]["bytes"].as_u64().unwrap() > 100_000);
        assert!(!judged["not_checked"].as_array().unwrap().is_empty());
        let json = sandbox.run_unlocked(&["verify", name, "--json"]).exits(0).json();
        assert!(json["restorable"].is_null());
        assert_eq!(tree(&sandbox.path(name)), before, "{name} was changed");
    }
    let text = sandbox.run(&["verify", "plain", "--restorable"]).exits(0);
    snapshot("verify-restorable.txt", text.text());
}

#[test]
fn what_a_device_refuses_is_damage() {
    let sandbox = Sandbox::new();
    let set = |key: &str, value: &str| PlistEdit::Set(key.into(), PlistValue::text(value));
    sandbox.bundle(&sound(cases::plain_db()).with(|spec| {
        spec.status_plist = vec![set("Version", "4.0")];
        spec.manifest_plist = vec![set("SystemDomainsVersion", "26.0")];
        spec.entries[0].stored = Stored::Missing;
    }));
    // A device that is not asked about says nothing of versions.
    let json = sandbox.run(&["verify", "backup", "--json"]).exits(20).json();
    assert_eq!(count(&json, "status-version"), 0);
    let json = sandbox.run(&["verify", "backup", "--restorable", "--json"]).exits(20).json();
    let judged = &json["restorable"];
    assert_eq!(judged["ok"], false);
    assert_eq!(judged["blocking"], 2);
    assert_eq!(judged["blocking_codes"], serde_json::json!(["missing-blob", "status-version"]));
    assert_eq!((count(&json, "status-version"), count(&json, "system-domains-version")), (1, 1));
    let run = sandbox.run(&["verify", "backup", "--restorable"]).exits(20);
    assert!(run.text().contains("would fail: 2 problems (missing-blob, status-version)"));
    let lines = sandbox.run(&["verify", "backup", "--restorable", "--jsonl"]).exits(20).lines();
    assert_eq!(lines.last().unwrap()["restorable"], *judged);
}

#[test]
fn what_lies_beside_the_catalog_is_seen() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&sound(cases::plain_db()));
    sandbox.file("backup/Manifest.db-shm", "");
    let json = sandbox.run(&["verify", "backup", "--restorable", "--json"]).exits(4).json();
    assert_eq!((count(&json, "side-file"), &json["restorable"]["ok"]), (1, &true.into()));
}

#[test]
fn without_the_password_as_far_as_it_goes() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("mbdb", &sound(cases::encrypted_mbdb()));
    sandbox.bundle_at("db", &sound(cases::encrypted_db(1_000)));
    let json = sandbox.run(&["verify", "mbdb", "--restorable", "--json"]).exits(0).json();
    let not = json["restorable"]["not_checked"].as_array().unwrap();
    let locked = not.iter().filter(|not| not["why"].as_str().unwrap().contains("password"));
    assert_eq!(locked.count(), 2);
    sandbox.run(&["verify", "db", "--restorable"]).exits(13).says("password-needed");
}

/// Real and foreign backups, where they are at hand. The last was made by another project for its
/// own tests, and no device could take it.
#[test]
fn real_backups() {
    let Some(data) = std::env::var_os("BKP_SHARED_DATA").map(PathBuf::from) else {
        println!("skipped: BKP_SHARED_DATA is not set");
        return;
    };
    let sandbox = Sandbox::new();
    for (name, password, expected) in [
        ("ios13.3-unencrypted", None, "missing-blob"),
        ("ios9.3-encrypted-mbdb", Some("20201225"), "missing-blob"),
        (
            "thirdparty-9.0.1-encrypted-mbdb",
            Some("0000"),
            "manifest-version missing-parent status-incomplete status-version \
             system-domains-version",
        ),
    ] {
        let path = data.join("bundles").join(name);
        let mut args = vec!["verify", path.to_str().unwrap(), "--restorable", "--json"];
        if let Some(password) = password {
            sandbox.file("real-password", password);
            args.extend(["--password-file", "real-password"]);
        }
        let json = sandbox.run(&args).exits(20).json();
        let codes = json["restorable"]["blocking_codes"].as_array().unwrap();
        let codes: Vec<_> = codes.iter().map(|code| code.as_str().unwrap()).collect();
        assert_eq!(codes.join(" "), expected, "{name}: {}", json["by_code"]);
    }
}
