//! `bkp diff`.

use std::fs;
use std::path::PathBuf;

use bkp_testkit::{BundleSpec, Encryption, EntrySpec, PlistEdit, PlistValue, Stored, cases};
use serde_json::Value;

use crate::sandbox::{Sandbox, snapshot, tree};

const HOME: &str = "HomeDomain";

/// Something added, removed and changed; a name that would act on a terminal among them.
fn later() -> BundleSpec {
    cases::plain_db().with(|spec| {
        spec.entries.remove(1);
        spec.entries.push(EntrySpec::file(HOME, "Library/a\x1b[2Jb", "new"));
        for entry in &mut spec.entries {
            match &entry.path[..] {
                b"Library/block" => *entry = EntrySpec::noise(HOME, "Library/block", 17),
                b"Documents/a.txt" => {
                    *entry = EntrySpec::file(entry.domain.clone(), "Documents/a.txt", "b");
                    entry.modified += 3600;
                    entry.mode = Some(0o100_600);
                }
                b"Library/link" => *entry = EntrySpec::symlink(HOME, "Library/link", "elsewhere"),
                _ => {}
            }
        }
        let version = PlistValue::text("26.0");
        spec.manifest_plist = vec![PlistEdit::Set("SystemDomainsVersion".into(), version)];
    })
}

fn summary(json: &Value) -> [u64; 4] {
    ["added", "removed", "changed", "same"].map(|key| json["summary"][key].as_u64().unwrap())
}

#[test]
fn the_answer_for_a_person() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("old", &cases::plain_db());
    sandbox.bundle_at("new", &later());
    let before = [tree(&sandbox.path("old")), tree(&sandbox.path("new"))];
    let run = sandbox.run(&["diff", "old", "new"]).exits(0);
    snapshot("diff.txt", run.text());
    assert_eq!(run.stderr, "");
    sandbox.run(&["diff", "old", "new", "--exit-code"]).exits(4);
    sandbox.run(&["diff", "old", "old", "--exit-code"]).exits(0);
    assert_eq!([tree(&sandbox.path("old")), tree(&sandbox.path("new"))], before);
}

#[test]
fn documents_and_lines_say_the_same() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("old", &cases::plain_db());
    sandbox.bundle_at("new", &later());
    let json = sandbox.run(&["diff", "old", "new", "--json"]).exits(0).json();
    assert_eq!((&json["kind"], &json["schema_version"]), (&"diff".into(), &1.into()));
    assert_eq!(summary(&json)[..3], [1, 2, 3]);
    let differences = json["differences"].as_array().unwrap();
    let path = |found: &Value| found["relative_path"].as_str().unwrap().to_owned();
    let paths: Vec<_> = differences.iter().map(path).collect();
    assert_eq!(
        paths,
        [
            "Documents/a.txt",
            "Library/Notes",
            "Library/Notes/note.txt",
            "Library/a\u{1b}[2Jb",
            "Library/block",
            "Library/link"
        ]
    );
    assert_eq!(differences[0]["what"], serde_json::json!(["content", "mode", "times"]));
    assert_eq!(differences[0]["a"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(differences[4]["evidence"], "digest");
    assert_eq!(differences[5]["b"]["target"], "elsewhere");
    assert_eq!(json["notes"][0]["fact"], "system_domains_version");
    let lines = sandbox.run(&["diff", "old", "new", "--jsonl"]).exits(0).lines();
    let of = |sort: &str| lines.iter().filter(|line| line["type"] == sort).collect::<Vec<_>>();
    assert_eq!((of("note").len(), of("difference").len(), of("problem").len()), (1, 6, 0));
    for (line, found) in of("difference").iter().zip(differences) {
        assert_eq!(
            (&line["a"], &line["b"], &line["what"]),
            (&found["a"], &found["b"], &found["what"])
        );
    }
    let last = lines.last().unwrap();
    assert_eq!((&last["type"], &last["kind"]), (&"summary".into(), &"diff".into()));
    assert_eq!(last["changed"], json["summary"]["changed"]);
    let same = sandbox.run(&["diff", "old", "old", "--json"]).exits(0).json();
    assert_eq!(same["differences"], Value::Array(Vec::new()));
}

/// Encrypted under one password and under another, and without any.
#[test]
fn passwords() {
    let sandbox = Sandbox::new();
    let with = |password: &str| {
        let encryption = Encryption { password: password.into(), dpic: Some(9), iterations: 9 };
        cases::encrypted_db(1).with(|spec| spec.encryption = Some(encryption))
    };
    sandbox.bundle_at("plain", &cases::plain_db());
    sandbox.bundle_at("one", &with("one"));
    sandbox.bundle_at("same", &with("one"));
    sandbox.bundle_at("two", &with("two"));
    sandbox.file("pw1", "one");
    sandbox.file("pw2", "two");
    let same = |args: &[&str]| {
        let args = [&["diff", "--json", "--content", "--exit-code"], args].concat();
        let json = sandbox.run(&args).exits(0).json();
        assert_eq!(summary(&json)[..3], [0, 0, 0]);
        assert_eq!(json["summary"]["files_by_content"], 10);
    };
    same(&["plain", "plain"]);
    same(&["one", "plain", "--password-file", "pw1"]);
    same(&["plain", "one", "--password-file", "pw1"]);
    same(&["one", "same", "--password-file", "pw1"]);
    same(&["one", "same", "--password-file-b", "pw1"]);
    same(&["one", "two", "--password-file", "pw1", "--password-file-b", "pw2"]);
    // Standard input is read once, for both.
    let args = ["diff", "one", "same", "--exit-code", "--password-file", "-"];
    assert_eq!(sandbox.run_with_stdin(&args, b"one\n").code, 0);

    sandbox.run(&["diff", "one", "plain"]).exits(13).says("password-needed");
    let wrong = sandbox.run(&["diff", "one", "two", "--password-file", "pw1", "--json"]).exits(12);
    assert_eq!(wrong.stdout, b"", "nothing is written before both are open");
    assert!(wrong.error()["help"].to_string().contains("backup B"), "{wrong:?}");
    // Nothing of an older catalog has to be read where digests decide.
    sandbox.bundle_at("old", &cases::encrypted_mbdb());
    sandbox.run(&["diff", "old", "old", "--exit-code"]).exits(0);
    sandbox.run(&["diff", "old", "old", "--content"]).exits(13);
}

#[test]
fn what_cannot_be_compared_has_its_exit_code() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("old", &cases::plain_db());
    sandbox
        .bundle_at("new", &cases::plain_db().with(|spec| spec.entries[0].stored = Stored::Missing));
    let json = sandbox.run(&["diff", "old", "new", "--json"]).exits(3).json();
    assert_eq!(json["problems"][0]["code"], "missing-blob");
    assert!(json["problems"][0]["message"].as_str().unwrap().starts_with("in backup B: "));
    assert_eq!(summary(&json)[..3], [0, 0, 0]);
    assert_eq!(json["summary"]["files_unknown"], 1);
    sandbox.run(&["diff", "old", "new"]).exits(3).says("missing-blob");
    let absent = sandbox.run(&["diff", "old", "absent"]).exits(10).says("not-found");
    assert!(absent.stderr.contains("this is about backup B"));
    let lines = sandbox.run(&["diff", "old", "new", "--jsonl", "--exit-code"]).exits(3).lines();
    assert_eq!(lines[0]["type"], "problem");
}

#[test]
fn filters_apply() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("old", &cases::plain_db());
    sandbox.bundle_at("new", &later());
    let args = ["diff", "old", "new", "--json", "--include", "HomeDomain:Library/Notes"];
    let json = sandbox.run(&args).exits(0).json();
    assert_eq!(summary(&json), [0, 2, 0, 0]);
    assert!(json["summary"]["left_out"].as_u64().unwrap() > 20);
    let args = ["diff", "old", "new", "--exclude", "NoSuchDomain"];
    sandbox.run(&args).exits(4).says("rule-never-matched");
}

#[test]
fn every_case_of_the_testkit_ends_in_one_of_the_known_ways() {
    for case in cases::all().iter().filter(|case| case.name != "full-kdf") {
        let sandbox = Sandbox::new();
        sandbox.bundle(&case.spec);
        sandbox.bundle_at("plain", &cases::plain_db());
        for pair in [["backup", "plain"], ["backup", "backup"]] {
            let args = [&["diff", "--json"], &pair[..]].concat();
            let run = sandbox.run_unlocked(&args);
            let known = [0, 1, 3, 4, 10, 11, 12, 15, 20, 21];
            assert!(known.contains(&run.code), "{}: {run:?}", case.name);
            // A property list of which nothing can be read fails without a code of its own.
            assert!(run.code != 1 || run.error()["code"] == "plist-damaged", "{run:?}");
            if [0, 3, 4].contains(&run.code) {
                let same = summary(&run.json())[..3] == [0, 0, 0];
                assert!(same || pair[0] != pair[1], "{}: {run:?}", case.name);
            }
        }
    }
}

/// A real backup differs from itself in nothing, and from one of whose files one was touched in
/// that one.
#[test]
fn a_real_backup() {
    let Some(data) = std::env::var_os("BKP_SHARED_DATA").map(PathBuf::from) else {
        println!("skipped: BKP_SHARED_DATA is not set");
        return;
    };
    let path = data.join("bundles/ios9.3-encrypted-mbdb");
    let path = path.to_str().unwrap();
    let sandbox = Sandbox::new();
    // One payload is missing in both.
    let json = sandbox.run(&["diff", path, path, "--json"]).exits(3).json();
    assert_eq!(summary(&json), [0, 0, 0, 756]);
    assert_eq!(json["summary"]["files_by_digest"], 264);
    assert_eq!(json["summary"]["files_by_metadata"], 56);
    assert_eq!(json["summary"]["files_unknown"], 1);
    sandbox.file("real-password", "20201225");
    let args = ["diff", path, path, "--json", "--content", "--password-file", "real-password"];
    let json = sandbox.run(&args).exits(3).json();
    assert_eq!(summary(&json), [0, 0, 0, 756]);
    assert_eq!(json["summary"]["files_by_content"], 320);

    // The last record is changed by a copy of the catalog: its time of modification.
    let copy = sandbox.path("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let catalog = copy.join("Manifest.mbdb");
    let mut bytes = fs::read(&catalog).unwrap();
    // The last record has no attributes; before their count stand class, size and three times.
    let at = bytes.len() - 22;
    assert_eq!(bytes.last(), Some(&0));
    bytes[at + 3] ^= 1;
    fs::remove_file(&catalog).unwrap();
    fs::write(&catalog, bytes).unwrap();
    let args = ["diff", path, "copy", "--json", "--password-file", "real-password"];
    let json = sandbox.run(&args).exits(3).json();
    assert_eq!(summary(&json), [0, 0, 1, 755]);
    assert_eq!(json["differences"][0]["what"], serde_json::json!(["times"]));
}
