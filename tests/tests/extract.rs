//! `bkp extract`.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use bkp_testkit::{BundleSpec, Encryption, EntrySpec, Stored, Truth, cases};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::inspect::damaged_class;
use crate::sandbox::{Sandbox, hostile_names, tree};

/// Fails unless every intact file is below `out` with its bytes.
fn check(sandbox: &Sandbox, out: &str, truth: &Truth) {
    let mut files = 0;
    for entry in &truth.entries {
        let mut path = sandbox.path(out);
        path.push(std::ffi::OsStr::from_bytes(&entry.domain));
        path.push(std::ffi::OsStr::from_bytes(&entry.path));
        match entry.kind {
            1 if entry.intact => {
                let bytes = fs::read(&path).expect("a file is missing");
                assert_eq!(bytes.len() as u64, entry.len, "{}", path.display());
                assert_eq!(Sha256::digest(&bytes)[..], entry.sha256, "{}", path.display());
                files += 1;
            }
            2 => assert!(path.is_dir(), "{}", path.display()),
            4 => {
                let target = fs::read_link(&path).unwrap();
                assert_eq!(Some(target.as_os_str().as_bytes()), entry.target.as_deref());
            }
            _ => {}
        }
    }
    assert!(files > 0);
}

#[test]
fn every_file_comes_out_as_it_was() {
    let sandbox = Sandbox::new();
    for (n, spec) in [
        cases::plain_db(),
        cases::encrypted_db(1_000),
        cases::plain_mbdb(),
        cases::encrypted_mbdb(),
    ]
    .iter()
    .enumerate()
    {
        let (backup, out) = (format!("backup{n}"), format!("out{n}"));
        let truth = sandbox.bundle_at(&backup, spec);
        let args = ["extract", &backup, "-o", &out, "--names", "raw"];
        let run = sandbox.run_unlocked(&args).exits(0);
        assert!(!run.stdout.is_empty());
        check(&sandbox, &out, &truth);
        assert!(!sandbox.path(format!("{out}/names.jsonl")).exists());
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::encrypted_db(1_000));
    for threads in ["1", "4"] {
        let out = format!("out{threads}");
        let args = ["extract", "backup", "-o", &out, "--names=raw", "--threads", threads];
        sandbox.run_unlocked(&args).exits(0);
        check(&sandbox, &out, &truth);
    }
    sandbox.run(&["extract", "backup", "-o", "x", "--threads", "0"]).exits(2);
}

#[test]
fn the_document_and_the_run_record_count_everything() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::encrypted_db(1_000));
    let args = ["extract", "backup", "-o", "out", "--json", "--exclude", "CameraRollDomain:**"];
    let json = sandbox.run_unlocked(&args).exits(0).json();
    assert_eq!((&json["schema_version"], &json["kind"]), (&1.into(), &"extract".into()));
    let count = |json: &Value, name: &str| json[name].as_u64().unwrap_or_else(|| panic!("{name}"));
    assert_eq!(count(&json, "listed"), truth.counts.rows as u64);
    assert!(count(&json, "skipped") > 0);
    assert_eq!(
        count(&json, "listed"),
        count(&json, "done") + count(&json, "skipped") + count(&json, "failed")
    );
    assert_eq!(json["problems"], Value::Array(Vec::new()));
    assert!(!sandbox.path("out/CameraRollDomain").exists());
    let record = fs::read(sandbox.path("out.bkp-run.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["schema_version"], 1);
    assert_eq!(record["counts"]["listed"], truth.counts.rows);
    assert_eq!(record["source"]["udid"], truth.udid);
    let arguments = record["arguments"].to_string();
    assert!(arguments.contains("CameraRollDomain:**"), "{arguments}");
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_would_be_done() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::encrypted_db(1_000));
    sandbox.file("pw", cases::PASSWORD);
    let before = tree(&sandbox.path("."));
    for json in [&["--json"][..], &[]] {
        let run = sandbox.run_unlocked(&[&["extract", "backup", "-o", "out", "-n"], json].concat());
        let run = run.exits(0);
        if !json.is_empty() {
            assert_eq!(run.json()["dry_run"], true);
            assert_eq!(run.json()["files"], truth.counts.files);
        }
    }
    // The sandbox writes the password file anew, and nothing else may differ.
    let same = |line: &&String| !line.contains("/pw ");
    let after = tree(&sandbox.path("."));
    assert!(before.iter().filter(same).skip(1).eq(after.iter().filter(same).skip(1)));
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_destination_that_is_not_empty_is_left_alone() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::plain_db());
    fs::create_dir_all(sandbox.path("out/HomeDomain")).unwrap();
    sandbox.file("out/mine", "mine").file("out/HomeDomain/x", "x");
    let before = tree(&sandbox.path("out"));
    for dry in [&[][..], &["-n"]] {
        let run = sandbox.run(&[&["extract", "backup", "-o", "out"], dry].concat()).exits(30);
        run.says("destination-not-empty");
        assert_eq!(tree(&sandbox.path("out")), before);
    }
    let args = ["extract", "backup", "-o", "out", "--overwrite", "--names", "raw"];
    sandbox.run(&args).exits(0);
    check(&sandbox, "out", &truth);
    assert_eq!(fs::read(sandbox.path("out/mine")).unwrap(), b"mine");
    // An empty folder is as good as none.
    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.run(&["extract", "backup", "-o", "empty"]).exits(0);
}

#[test]
fn hostile_names_are_left_out_and_reported() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&BundleSpec::new(3).with(|spec| {
        spec.add_parents = false;
        spec.entries = hostile_names();
    }));
    let run = sandbox.run(&["extract", "backup", "-o", "deep/er/out"]);
    run.exits(1).says("parent-missing");
    fs::create_dir_all(sandbox.path("deep/er")).unwrap();
    let run = sandbox.run(&["extract", "backup", "-o", "deep/er/out", "--json"]).exits(3);
    let json = run.json();
    assert_eq!((&json["done"], &json["failed"]), (&1.into(), &3.into()));
    assert_eq!(json["problems"].as_array().unwrap().len(), 3);
    assert_eq!(json["problems"][0]["code"], "hostile-name");
    let escaped = tree(&sandbox.path("deep"));
    assert!(!escaped.iter().any(|line| line.contains("escape.txt")), "{escaped:?}");
    let record = fs::read_to_string(sandbox.path("deep/er/out.bkp-run.json")).unwrap();
    assert_eq!(record.matches("hostile-name").count(), 3);
}

#[test]
fn losses_and_oddities_do_not_end_the_run() {
    let sandbox = Sandbox::new();
    let noise = |path: &str| EntrySpec::noise("HomeDomain", path, 64);
    let spec = BundleSpec::new(5).with(|spec| {
        spec.encryption = Some(Encryption::new(cases::PASSWORD));
        spec.entries = vec![
            noise("good"),
            noise("missing").with(|entry| entry.stored = Stored::Missing),
            noise("unpadded").with(|entry| entry.stored = Stored::Unpadded),
        ];
    });
    let truth = sandbox.bundle(&spec);
    let args = ["extract", "backup", "-o", "out", "--names", "raw"];
    let run = sandbox.run_unlocked(&args).exits(3);
    assert!(run.stderr.contains("error[missing-blob]: HomeDomain:missing: "), "{}", run.stderr);
    assert!(run.stderr.contains("warning[bad-padding]: HomeDomain:unpadded: "), "{}", run.stderr);
    check(&sandbox, "out", &truth);
    assert!(!sandbox.path("out/HomeDomain/missing").exists());
    let args = ["extract", "backup", "-o", "odd", "--exclude", "HomeDomain:missing"];
    sandbox.run_unlocked(&args).exits(4);
}

#[test]
fn a_damaged_class_key_costs_its_files_and_no_others() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&damaged_class());
    let args = ["extract", "backup", "-o", "out", "--names", "raw"];
    let run = sandbox.run_unlocked(&args).exits(15);
    let run = run.says("class-key-damaged").says("key-unwrap-failed");
    assert!(run.stderr.contains("KeychainDomain:keychain-backup.plist"), "{}", run.stderr);
    assert!(!sandbox.path("out/KeychainDomain/keychain-backup.plist").exists());
    let note = fs::read(sandbox.path("out/HomeDomain/Library/Notes/note.txt")).unwrap();
    assert_eq!(note, b"hello");
    assert!(truth.entry("HomeDomain", "Library/Notes/note.txt").is_some());
}

#[test]
fn a_rule_explains_itself() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_db());
    let rules = ["--exclude", "HomeDomain:**", "--include", "HomeDomain:Library/SMS/**"];
    let explain = |name: &str| {
        let args = [&["extract", "backup", "-o", "out", "--explain", name], &rules[..]].concat();
        String::from_utf8(sandbox.run(&args).exits(0).stdout).unwrap()
    };
    let text = explain("HomeDomain:Library/SMS/sms.db");
    assert!(text.contains("kept") && text.contains("HomeDomain:Library/SMS/**"), "{text}");
    let text = explain("HomeDomain:Library/Notes/note.txt");
    assert!(text.contains("left out") && text.contains("- HomeDomain:**"), "{text}");
    assert!(explain("KeychainDomain:keychain-backup.plist").contains("no rule matches"));
    assert!(!sandbox.path("out").exists());
    let args = ["extract", "backup", "-o", "out", "--explain", "HomeDomain:nothing"];
    sandbox.run(&args).exits(10).says("entry-not-found");
}

#[test]
fn the_record_lists_what_rules_left_out() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::plain_db());
    let rules = ["--exclude", "KeychainDomain", "--exclude", "HomeDomain:Library/Notes"];
    sandbox.run(&[&["extract", "backup", "-o", "out"], &rules[..]].concat()).exits(0);
    let record = fs::read(sandbox.path("out.bkp-run.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let left_out = record["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 4);
    assert_eq!(record["counts"]["skipped"], 4);
    let note = truth.entry("HomeDomain", "Library/Notes/note.txt").unwrap();
    let id = String::from_utf8(note.file_id.clone()).unwrap();
    let row = left_out.iter().find(|row| row["file_id"] == id).expect("the note is listed");
    assert_eq!(row["rule"], "- HomeDomain:Library/Notes");
}

#[test]
fn names_that_other_file_systems_cannot_hold() {
    let sandbox = Sandbox::new();
    let spec = BundleSpec::new(5).with(|spec| {
        spec.entries = vec![
            EntrySpec::file("HomeDomain", "CON", "1"),
            EntrySpec::file("HomeDomain", "a:b", "2"),
        ];
    });
    sandbox.bundle(&spec);
    sandbox.run(&["extract", "backup", "-o", "out"]).exits(4).says("renamed");
    let names = fs::read_to_string(sandbox.path("out/names.jsonl")).unwrap();
    assert_eq!(names.lines().count(), 2, "{names}");
    for line in names.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let stored = sandbox.path("out").join(line["stored_as"].as_str().unwrap());
        assert_eq!(fs::read(stored).unwrap().len(), 1);
    }
    assert!(!sandbox.path("out/HomeDomain/a:b").exists());
    sandbox.run(&["extract", "backup", "-o", "hashed", "--names", "hashed"]).exits(0);
    assert!(!sandbox.path("hashed/HomeDomain").exists());
}

#[test]
fn progress_as_json() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::encrypted_db(1_000));
    let args = ["extract", "backup", "-o", "out", "--progress", "json"];
    let run = sandbox.run_unlocked(&args).exits(0);
    let lines: Vec<Value> =
        run.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().all(|line| line["kind"] == "progress" && line["schema_version"] == 1));
    assert_eq!(lines[0]["phase"], "deriving the key");
    let last = lines.last().unwrap();
    assert_eq!(last["phase"], "extracting");
    assert_eq!(last["done"], last["total"]);
    // Without a terminal there is none, unless it is wanted.
    let run = sandbox.run_unlocked(&["extract", "backup", "-o", "out2"]).exits(0);
    assert_eq!(run.stderr, "");
}
