//! `bkp ls`.

use bkp_testkit::{BundleSpec, EntrySpec, Stored, cases, hex};
use serde_json::Value;

use crate::sandbox::{Sandbox, hostile_names, snapshot};

#[test]
fn the_contract_holds_and_every_entry_is_there() {
    let sandbox = Sandbox::new();
    for spec in [cases::plain_db(), cases::encrypted_db(1_000), cases::encrypted_mbdb()] {
        let truth = sandbox.bundle(&spec);
        let lines = sandbox.run_unlocked(&["ls", "backup", "--jsonl"]).exits(0).lines();
        let (summary, entries) = lines.split_last().unwrap();
        assert_eq!(summary["type"], "summary");
        assert_eq!(summary["schema_version"], 1);
        assert_eq!(summary["entries"], truth.counts.rows);
        assert_eq!(summary["files"], truth.counts.files);
        assert_eq!(summary["directories"], truth.counts.directories);
        assert_eq!(summary["symlinks"], truth.counts.symlinks);
        assert_eq!(entries.len(), truth.entries.len());
        for (line, truth) in entries.iter().zip(&truth.entries) {
            assert_eq!(line["type"], "entry");
            assert_eq!(line["file_id"].as_str().unwrap().as_bytes(), truth.file_id);
            assert_eq!(line["domain"].as_str().unwrap().as_bytes(), truth.domain);
            assert_eq!(line["relative_path"].as_str().unwrap().as_bytes(), truth.path);
            let kind = match truth.kind {
                1 => "file",
                2 => "directory",
                _ => "symlink",
            };
            assert_eq!(line["kind"], kind);
            if truth.kind == 1 {
                assert_eq!(line["size"], truth.len);
                assert_eq!(line["modified"], "2024-05-18T09:30:00Z");
            }
            assert_eq!(line["stored"], truth.stored);
            assert!(line["mode"].is_u64());
            assert!(line["protection_class"].is_u64() || line["protection_class"].is_null());
            let digest = &line["digest"];
            assert!(digest.is_null() || digest.as_str().unwrap().len() == 40, "{digest}");
        }
        std::fs::remove_dir_all(sandbox.path("backup")).unwrap();
    }
}

#[test]
fn a_digest_is_that_of_the_stored_bytes() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::encrypted_db(1_000));
    let lines = sandbox.run_unlocked(&["ls", "backup", "--jsonl"]).exits(0).lines();
    let with_digest: Vec<&Value> = lines.iter().filter(|line| line["digest"].is_string()).collect();
    assert!(!with_digest.is_empty());
    for line in with_digest {
        let id = line["file_id"].as_str().unwrap();
        let stored = std::fs::read(sandbox.path(format!("backup/{}/{id}", &id[..2]))).unwrap();
        let digest = <sha1::Sha1 as sha1::Digest>::digest(&stored);
        assert_eq!(line["digest"], hex(&digest));
    }
}

#[test]
fn names_of_an_old_backup_are_listed_without_a_password() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::encrypted_mbdb());
    let lines = sandbox.run(&["ls", "backup", "--jsonl"]).exits(0).lines();
    assert_eq!(lines.len(), truth.entries.len() + 1);
    let file = lines.iter().find(|line| line["kind"] == "file").unwrap();
    assert_eq!(file["stored"], true);
}

#[test]
fn one_document_holds_the_same() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&BundleSpec::new(3).with(|spec| spec.entries = hostile_names()));
    let lines = sandbox.run(&["ls", "backup", "--jsonl"]).exits(3).lines();
    let json = sandbox.run(&["ls", "backup", "--json"]).exits(3).json();
    assert_eq!((&json["schema_version"], &json["kind"]), (&1.into(), &"ls".into()));
    let of_type =
        |kind: &str| -> Vec<&Value> { lines.iter().filter(|line| line["type"] == kind).collect() };
    let entries: Vec<&Value> = json["entries"].as_array().unwrap().iter().collect();
    assert_eq!(entries, of_type("entry"));
    assert_eq!(json["problems"].as_array().unwrap().len(), of_type("problem").len());
    assert_eq!(json["summary"]["entries"], entries.len());
    // Nothing chosen is a document too.
    let json = sandbox.run(&["ls", "backup", "--json", "--min-size", "1T"]).json();
    assert_eq!(json["entries"], Value::Array(Vec::new()));
}

#[test]
fn hostile_rows_are_reported_and_the_rest_is_listed() {
    let sandbox = Sandbox::new();
    let spec = BundleSpec::new(3).with(|spec| {
        spec.add_parents = false;
        spec.entries = hostile_names();
    });
    sandbox.bundle(&spec);
    let lines = sandbox.run(&["ls", "backup", "--jsonl"]).exits(3).lines();
    let problems: Vec<&Value> = lines.iter().filter(|line| line["type"] == "problem").collect();
    assert_eq!(problems.len(), 3);
    for problem in &problems {
        assert_eq!(problem["code"], "hostile-name");
        assert!(problem["message"].as_str().unwrap().contains("not followed"));
    }
    assert_eq!(problems[0]["relative_path"], "../../escape.txt");
    assert_eq!(problems[1]["domain"], "SysContainerDomain-../../..");
    let listed: Vec<&Value> = lines.iter().filter(|line| line["type"] == "entry").collect();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["relative_path"], "good.txt");
    let run = sandbox.run(&["ls", "backup"]).exits(3).says("hostile-name");
    assert_eq!(run.text(), "HomeDomain:good.txt\n");
}

#[test]
fn names_cannot_act_on_the_terminal() {
    let sandbox = Sandbox::new();
    let spec = BundleSpec::new(3).with(|spec| {
        spec.add_parents = false;
        spec.entries = vec![
            EntrySpec::file("HomeDomain", "a\x1b[2Jb\nc", "x"),
            EntrySpec::file("HomeDomain", "invoice\u{202e}fdp.exe", "x"),
        ];
    });
    sandbox.bundle(&spec);
    let run = sandbox.run(&["ls", "backup"]).exits(0);
    assert_eq!(run.text(), "HomeDomain:a\\u{1b}[2Jb\\nc\nHomeDomain:invoice\\u{202e}fdp.exe\n");
}

#[test]
fn names_that_are_not_utf8_have_a_twin() {
    let sandbox = Sandbox::new();
    let spec = cases::plain_mbdb().with(|spec| {
        spec.add_parents = false;
        spec.entries = vec![EntrySpec::file("HomeDomain", b"caf\xe9".to_vec(), "x")];
    });
    sandbox.bundle(&spec);
    let lines = sandbox.run(&["ls", "backup", "--jsonl"]).exits(0).lines();
    assert_eq!(lines[0]["relative_path"], "caf\u{fffd}");
    assert_eq!(lines[0]["relative_path_b64"], "Y2Fm6Q==");
    assert!(lines[0].get("domain_b64").is_none());
}

#[test]
fn filters_and_sorting() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_db());
    let run = sandbox.run(&["ls", "backup", "--type", "file", "--sort", "size"]).exits(0);
    let names: Vec<&str> = run.text().lines().take(2).collect();
    assert_eq!(
        names,
        ["CameraRollDomain:Media/DCIM/100APPLE/IMG_0001.JPG", "HomeDomain:Library/SMS/sms.db"]
    );
    let args = ["--include", "HomeDomain:**", "--exclude", "HomeDomain:Library/SMS/**", "--type"];
    let run = sandbox.run(&[&["ls", "backup", "--sort", "path"], &args[..], &["file"]].concat());
    assert_eq!(
        run.exits(0).text(),
        "HomeDomain:Library/Notes/note.txt\nHomeDomain:Library/block\n"
    );
    sandbox.file("globs", "# mine\nHomeDomain:**\n");
    let from = sandbox.run(&["ls", "backup", "--include-from", "globs"]).exits(0);
    let direct = sandbox.run(&["ls", "backup", "--include", "HomeDomain:**"]).exits(0);
    assert_eq!(from.text(), direct.text());
    let run = sandbox.run(&["ls", "backup", "--include", "NoDomain:**"]).exits(4);
    assert!(run.stdout.is_empty());
    assert!(run.stderr.contains("warning[rule-never-matched]: "), "{}", run.stderr);
    sandbox.run(&["ls", "backup", "--include", "HomeDomain:{"]).exits(2).says("bad-pattern");
    sandbox.run(&["ls", "backup", "--include-from", "none"]).exits(2).says("rules-unreadable");
}

#[test]
fn the_long_text_is_what_it_was() {
    let sandbox = Sandbox::new();
    let spec = cases::plain_db().with(|spec| {
        spec.entries[1].stored = Stored::Missing;
    });
    sandbox.bundle(&spec);
    snapshot("ls-long.txt", sandbox.run(&["ls", "-l", "backup"]).exits(0).text());
}
