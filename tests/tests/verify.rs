//! `bkp verify`.

use std::fs;
use std::path::PathBuf;

use bkp_testkit::{BundleSpec, DigestRule, EntrySpec, Stored, cases};
use serde_json::Value;

use crate::sandbox::{Sandbox, hostile_names, snapshot, tree};

const HOME: &str = "HomeDomain";

/// The codes of a document's problems, sorted, and once each.
fn codes(json: &Value) -> Vec<&str> {
    let problems = json["problems"].as_array().expect("no array of problems");
    let mut codes: Vec<_> = problems.iter().map(|p| p["code"].as_str().expect("no code")).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn number(json: &Value, field: &str) -> u64 {
    json[field].as_u64().unwrap_or_else(|| panic!("{field} in {json}"))
}

#[test]
fn sound_backups_are_sound() {
    let sandbox = Sandbox::new();
    for (name, spec) in [
        ("plain", cases::plain_db()),
        ("encrypted", cases::encrypted_db(1_000)),
        ("mbdb", cases::encrypted_mbdb()),
    ] {
        let truth = sandbox.bundle_at(name, &spec);
        let before = tree(&sandbox.path(name));
        for more in [&[][..], &["--read-data"], &["--sqlite"], &["--read-data-subset", "1/2"]] {
            let args = [&["verify", name, "--json"], more].concat();
            let json = sandbox.run_unlocked(&args).exits(0).json();
            assert_eq!((&json["kind"], &json["schema_version"]), (&"verify".into(), &1.into()));
            assert_eq!(json["ok"], true);
            assert_eq!(json["problems"], Value::Array(Vec::new()));
            assert_eq!(number(&json, "entries"), truth.counts.rows as u64);
            assert_eq!(number(&json, "files"), truth.counts.files as u64);
            assert!(number(&json, "bytes_checked") > 0);
            let (checked, not_read) = (number(&json, "files_checked"), number(&json, "not_read"));
            assert_eq!(checked + not_read, number(&json, "files"));
            assert!(number(&json, "without_digest") > 0);
        }
        assert_eq!(tree(&sandbox.path(name)), before, "{name} was changed");
    }
}

#[test]
fn the_password_is_asked_for_only_where_it_is_needed() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("db", &cases::encrypted_db(1_000));
    sandbox.bundle_at("mbdb", &cases::encrypted_mbdb());
    sandbox.run(&["verify", "db"]).exits(13).says("password-needed");
    let json = sandbox.run(&["verify", "mbdb", "--json"]).exits(0).json();
    assert_eq!((&json["encrypted"], &json["read_data"]), (&true.into(), &false.into()));
    assert!(number(&json, "digests_checked") > 0);
    for more in ["--read-data", "--sqlite", "--read-data-subset=5%"] {
        sandbox.run(&["verify", "mbdb", more]).exits(13).says("password-needed");
    }
    sandbox.file("wrong", "wrong");
    let args = ["verify", "mbdb", "--password-file", "wrong"];
    sandbox.run(&args).exits(12).says("wrong-password");
    sandbox.run(&["verify", "mbdb", "--read-data-subset", "11/10"]).exits(2).says("usage");
}

/// Each kind of damage has its own code and the exit code of damage, with JSON and without.
#[test]
fn damage_has_its_code() {
    let noise = |path: &str| EntrySpec::noise(HOME, path, 100);
    let twins = ["one", "two"].map(|path| noise(path).with(|entry| entry.inode = Some(77_777)));
    let orphan = format!("ab/{}", "ab".repeat(20));
    let add = |entries: &[EntrySpec]| {
        let entries = entries.to_vec();
        cases::plain_db().with(|spec| spec.entries.extend(entries))
    };
    let stored = |stored| add(&[noise("victim").with(|entry| entry.stored = stored)]);
    for (code, spec) in [
        ("digest-mismatch", stored(Stored::Flipped(40))),
        (
            "digest-mismatch",
            add(&[noise("victim").with(|entry| entry.digest = DigestRule::Bytes(vec![1; 20]))]),
        ),
        ("missing-digest", add(&[noise("v").with(|entry| entry.digest = DigestRule::Omitted)])),
        ("truncated-blob", stored(Stored::CutTo(50))),
        ("missing-blob", stored(Stored::Missing)),
        ("duplicate-inode", add(&twins)),
        ("orphan-blob", cases::plain_db().with(|spec| spec.raw_files.push((orphan, vec![1])))),
        (
            "missing-parent",
            cases::plain_db().with(|spec| {
                spec.add_parents = false;
                spec.entries = vec![EntrySpec::directory(HOME, ""), noise("Library/x")];
            }),
        ),
        (
            "hostile-name",
            cases::plain_db().with(|spec| {
                spec.add_parents = false;
                spec.entries = hostile_names();
            }),
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.bundle(&spec);
        let before = tree(&sandbox.path("backup"));
        let json = sandbox.run(&["verify", "backup", "--json"]).exits(20).json();
        assert_eq!(json["ok"], false);
        assert!(codes(&json).contains(&code), "{code}: {json}");
        let run = sandbox.run(&["verify", "backup"]).exits(20);
        assert!(run.text().contains(&format!("\nerror[{code}]: ")), "{}", run.text());
        assert!(run.text().lines().last().is_some_and(|line| line.contains("damaged: ")));
        assert_eq!(tree(&sandbox.path("backup")), before, "the backup was changed");
    }
}

#[test]
fn sizes_alone_are_warnings() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_db().with(|spec| {
        spec.entries[0].recorded_size = Some(4096);
    }));
    for more in [&[][..], &["--read-data"]] {
        let args = [&["verify", "backup", "--json"], more].concat();
        let json = sandbox.run(&args).exits(4).json();
        assert_eq!((codes(&json), &json["ok"]), (vec!["size-mismatch"], &true.into()));
        assert_eq!(json["problems"][0]["severity"], "warning");
        let meaning = json["problems"][0]["meaning"].as_str().unwrap();
        assert!(meaning.contains("databases"), "{meaning}");
    }
}

/// A bundle with a few of many problems.
fn troubled() -> BundleSpec {
    cases::plain_db().with(|spec| {
        spec.entries.extend((0..7).map(|n| {
            EntrySpec::noise(HOME, format!("missing/{n}"), 10)
                .with(|entry| entry.stored = Stored::Missing)
        }));
        spec.entries.push(EntrySpec::noise(HOME, "a\x1b[2Jb", 10).with(|entry| {
            entry.recorded_size = Some(11);
        }));
        spec.user_version = 3;
    })
}

#[test]
fn the_report_for_a_person() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&troubled());
    let run = sandbox.run(&["verify", "backup"]).exits(20);
    snapshot("verify.txt", run.text());
    assert_eq!(run.stderr, "");
    let all = sandbox.run(&["verify", "backup", "--all"]).exits(20);
    assert_eq!(all.text().matches("is not in the bundle").count(), 7);
    assert_eq!(sandbox.run(&["verify", "backup", "-v"]).exits(20).stdout, all.stdout);
    sandbox.bundle_at("sound", &cases::plain_db());
    snapshot("verify-sound.txt", sandbox.run(&["verify", "sound"]).exits(0).text());
}

#[test]
fn lines_are_written_as_they_come_and_end_with_a_summary() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&troubled());
    let lines = sandbox.run(&["verify", "backup", "--jsonl"]).exits(20).lines();
    let (summary, problems) = lines.split_last().unwrap();
    assert_eq!((&summary["type"], &summary["kind"]), (&"summary".into(), &"verify".into()));
    assert!(problems.iter().all(|line| line["type"] == "problem"));
    assert_eq!(number(summary, "damage") + number(summary, "warnings"), problems.len() as u64);
    let json = sandbox.run(&["verify", "backup", "--json"]).exits(20).json();
    for (line, problem) in problems.iter().zip(json["problems"].as_array().unwrap()) {
        for field in ["code", "severity", "domain", "relative_path", "row", "message", "meaning"] {
            assert_eq!(line[field], problem[field], "{field}");
        }
    }
    let codes: Vec<_> = summary["by_code"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["missing-blob", "size-mismatch", "user-version"]);
}

#[test]
fn names_that_are_not_utf8_have_a_twin() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_mbdb().with(|spec| {
        spec.entries.push(
            EntrySpec::noise(HOME, b"caf\xe9".to_vec(), 9)
                .with(|entry| entry.stored = Stored::Missing),
        );
    }));
    let json = sandbox.run(&["verify", "backup", "--json"]).exits(20).json();
    assert_eq!(json["problems"][0]["relative_path"], "caf\u{fffd}");
    assert_eq!(json["problems"][0]["relative_path_b64"], "Y2Fm6Q==");
    assert!(json["problems"][0].get("domain_b64").is_none());
}

#[test]
fn every_case_of_the_testkit_ends_in_one_of_the_known_ways() {
    for case in cases::all().iter().filter(|case| case.name != "full-kdf") {
        let sandbox = Sandbox::new();
        sandbox.bundle(&case.spec);
        let before = tree(&sandbox.path("backup"));
        let run = sandbox.run_unlocked(&["verify", "backup", "--sqlite", "--json"]);
        let known = [0, 4, 10, 11, 12, 15, 20, 21];
        assert!(known.contains(&run.code), "{}: {run:?}", case.name);
        // What cannot even be opened is told on stderr.
        if [0, 4, 20].contains(&run.code) && !run.stdout.is_empty() {
            assert_eq!(run.json()["ok"], run.code != 20, "{}", case.name);
        }
        assert_eq!(tree(&sandbox.path("backup")), before, "{} was changed", case.name);
    }
}

#[test]
fn what_cannot_be_opened_is_damaged() {
    let sandbox = Sandbox::new();
    for file in ["Manifest.plist", "Manifest.db"] {
        sandbox.bundle_at(file, &cases::plain_db());
        sandbox.file(&format!("{file}/{file}"), "no such thing");
        let error = sandbox.run(&["verify", file, "--json"]).exits(20).error();
        assert_eq!(error["exit_code"], 20);
    }
    sandbox.run(&["verify", "absent"]).exits(10).says("not-found");
}

/// A real backup, where they are at hand.
fn real(name: &str) -> Option<String> {
    let Some(data) = std::env::var_os("BKP_SHARED_DATA").map(PathBuf::from) else {
        println!("skipped: BKP_SHARED_DATA is not set");
        return None;
    };
    Some(data.join("bundles").join(name).to_str().unwrap().to_owned())
}

fn named<'j>(json: &'j Value, code: &str) -> Vec<&'j str> {
    let problems = json["problems"].as_array().unwrap().iter();
    let paths =
        problems.filter(|p| p["code"] == code).map(|p| p["relative_path"].as_str().unwrap());
    let mut paths: Vec<_> = paths.collect();
    paths.sort_unstable();
    paths
}

#[test]
fn a_real_encrypted_backup_without_its_password() {
    let Some(path) = real("ios9.3-encrypted-mbdb") else { return };
    let sandbox = Sandbox::new();
    let json = sandbox.run(&["verify", &path, "--json"]).exits(20).json();
    assert_eq!((number(&json, "files"), number(&json, "entries")), (321, 757));
    assert_eq!((number(&json, "files_checked"), number(&json, "digests_checked")), (264, 264));
    assert_eq!(number(&json, "without_digest"), 57);
    assert_eq!(codes(&json), ["missing-blob", "size-mismatch"]);
    assert_eq!(named(&json, "missing-blob"), ["Media/DCIM/100APPLE/IMG_0001.mp4"]);
    assert_eq!(named(&json, "size-mismatch").len(), 7);

    sandbox.file("pw", "20201225");
    let args = ["verify", &path, "--json", "--sqlite", "--password-file", "pw"];
    let json = sandbox.run(&args).exits(20).json();
    assert_eq!((number(&json, "files_checked"), number(&json, "digests_checked")), (320, 264));
    assert_eq!(codes(&json), ["database-unchecked", "missing-blob", "size-mismatch"]);
    assert_eq!(named(&json, "size-mismatch").len(), 7);
    assert_eq!(number(&json["databases"], "checked"), 37);
}

#[test]
fn a_real_unencrypted_backup() {
    let Some(path) = real("ios13.3-unencrypted") else { return };
    let sandbox = Sandbox::new();
    for more in [&[][..], &["--read-data"]] {
        let args = [&["verify", &path, "--json"], more].concat();
        let json = sandbox.run(&args).exits(20).json();
        assert_eq!((number(&json, "files"), number(&json, "digests_checked")), (348, 311));
        assert_eq!(codes(&json), ["exposed-wifi", "missing-blob", "size-mismatch"]);
        assert_eq!(
            named(&json, "missing-blob"),
            [
                "Library/SpringBoard/LockBackground.cpbitmap",
                "Library/SpringBoard/LockBackgrounddark.cpbitmap",
                "Library/SpringBoard/OriginalLockBackground.cpbitmap",
                "Library/SpringBoard/OriginalLockBackgrounddark.cpbitmap",
            ]
        );
        assert_eq!(named(&json, "size-mismatch").len(), 16);
        let problems = json["problems"].as_array().unwrap().iter();
        for problem in problems.filter(|problem| problem["code"] != "exposed-wifi") {
            let size = problem["code"] == "size-mismatch";
            assert_eq!(problem["severity"], if size { "warning" } else { "damage" });
            let message = problem["message"].as_str().unwrap();
            assert_eq!(size, message.contains("(a database, copied while in use)"), "{message}");
        }
    }
}

/// An extraction that hashed is proven later, and a change of a file without a digest is found.
#[test]
fn a_record_is_compared() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::encrypted_db(100));
    let password = ["--password-file", "password"];
    let extract = ["extract", "backup", "-o", "out", "--hash"];
    sandbox.file("password", cases::PASSWORD);
    sandbox.run(&[&extract[..], &password].concat()).exits(0);
    let record = fs::read(sandbox.path("out.bkp-run.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["files"].as_array().unwrap().len(), truth.counts.files);

    let verify = ["verify", "backup", "--json", "--against", "out.bkp-run.json"];
    sandbox.run(&verify).exits(13);
    let verify = [&verify[..], &password].concat();
    sandbox.run(&verify).exits(0);

    // A photograph carries no digest: nothing but the record can tell.
    let photo = truth.entry("CameraRollDomain", "Media/DCIM/100APPLE/IMG_0001.JPG").unwrap();
    let id = String::from_utf8(photo.file_id.clone()).unwrap();
    let blob = sandbox.path(format!("backup/{}/{id}", &id[..2]));
    let mut bytes = fs::read(&blob).unwrap();
    bytes[100] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let without = ["verify", "backup", "--json", "--read-data"];
    sandbox.run(&[&without[..], &password].concat()).exits(0);
    let run = sandbox.run(&verify).exits(20);
    let report = run.json();
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0]["code"], "record-mismatch");
    assert_eq!(problems[0]["domain"], "CameraRollDomain");

    // Another backup altogether.
    fs::remove_dir_all(sandbox.path("backup")).unwrap();
    sandbox.bundle(&cases::plain_db());
    let run = sandbox.run(&verify).exits(20);
    assert!(String::from_utf8_lossy(&run.stdout).contains("the catalog has SHA-256"));
    fs::write(sandbox.path("out.bkp-run.json"), b"{}").unwrap();
    assert_eq!(sandbox.run(&verify).exits(1).error()["code"], "bad-record");
}
