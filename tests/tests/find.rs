//! `bkp find`.

use bkp_testkit::{BundleSpec, EntrySpec, Node, Stored, cases, hex};
use serde_json::Value;

use crate::sandbox::{CANARY, Sandbox, canary_bundle, hostile_names, snapshot};

fn plain() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_db());
    sandbox
}

#[track_caller]
fn finds(sandbox: &Sandbox, args: &[&str], names: &[&str]) {
    let run = sandbox.run(&[&["find", "backup"], args].concat()).exits(0);
    assert_eq!(run.text().lines().collect::<Vec<_>>(), names, "{args:?}");
    assert_eq!(run.stderr.contains("note: nothing found\n"), names.is_empty(), "{}", run.stderr);
}

#[test]
fn names_and_places() {
    let sandbox = plain();
    let photo = "CameraRollDomain:Media/DCIM/100APPLE/IMG_0001.JPG";
    let db = "HomeDomain:Library/SMS/sms.db";
    finds(&sandbox, &["*.db"], &[db]);
    finds(&sandbox, &["*.db", "IMG_*"], &[db, photo]);
    finds(&sandbox, &["*.jpg"], &[]);
    finds(&sandbox, &["*.jpg", "-i"], &[photo]);
    finds(&sandbox, &["SMS"], &["HomeDomain:Library/SMS"]);
    finds(&sandbox, &["HomeDomain:Library/SMS/**"], &[db]);
    finds(&sandbox, &["Library/SMS"], &["HomeDomain:Library/SMS"]);
    finds(
        &sandbox,
        &["AppDomain*:Documents/*"],
        &[
            "AppDomain-com.example.app:Documents/a.txt",
            "AppDomainPlugin-com.example.app.plugin:Documents/c.txt",
        ],
    );
    sandbox.run(&["find", "backup", "a{b"]).exits(2).says("bad-pattern");
    sandbox.run(&["find", "backup", ":x"]).exits(2).says("bad-pattern");
    sandbox.run(&["find", "backup", ""]).exits(2).says("usage");
}

#[test]
fn filters() {
    let sandbox = plain();
    let photo = "CameraRollDomain:Media/DCIM/100APPLE/IMG_0001.JPG";
    let db = "HomeDomain:Library/SMS/sms.db";
    finds(&sandbox, &["--larger", "8K"], &[photo]);
    finds(&sandbox, &["--min-size", "8K"], &[db, photo]);
    finds(&sandbox, &["--larger", "15", "--smaller", "17"], &["HomeDomain:Library/block"]);
    finds(&sandbox, &["--type", "symlink"], &["HomeDomain:Library/link"]);
    finds(&sandbox, &["*.db", "--newer", "2024-05-18T09:30:00Z"], &[db]);
    finds(&sandbox, &["*.db", "--newer", "2024-05-18T09:30:01Z"], &[]);
    finds(&sandbox, &["*.db", "--older", "2024-05-18T09:30:01Z"], &[db]);
    finds(
        &sandbox,
        &["*.txt", "--bundle-id", "com.example.app"],
        &[
            "AppDomain-com.example.app:Documents/a.txt",
            "AppDomainPlugin-com.example.app.plugin:Documents/c.txt",
        ],
    );
    finds(&sandbox, &["*.txt", "--include", "HomeDomain"], &["HomeDomain:Library/Notes/note.txt"]);
    let run = sandbox.run(&["find", "backup", "--exclude", "NoDomain"]).exits(4);
    run.says("rule-never-matched");
    let none = ["find", "backup", "--larger", "10", "--smaller", "11"];
    sandbox.run(&none).exits(2).says("bad-filter");
}

#[test]
fn the_contract_of_lines_and_documents() {
    let sandbox = plain();
    let lines = sandbox.run(&["find", "backup", "*.db", "--jsonl"]).exits(0).lines();
    assert_eq!(lines.len(), 2);
    for field in ["file_id", "domain", "relative_path", "kind", "size", "mode", "modified"] {
        assert!(!lines[0][field].is_null(), "{field}");
    }
    assert_eq!(lines[0]["type"], "entry");
    assert!(lines[0].get("sha256").is_none());
    assert_eq!((&lines[1]["type"], &lines[1]["entries"]), (&"summary".into(), &1.into()));
    assert!(lines[1].get("files_hashed").is_none());
    let json = sandbox.run(&["find", "backup", "*.db", "--json"]).exits(0).json();
    assert_eq!((&json["schema_version"], &json["kind"]), (&1.into(), &"find".into()));
    assert_eq!(json["entries"], Value::Array(vec![lines[0].clone()]));
    let nothing = sandbox.run(&["find", "backup", "no such name", "--json"]).exits(0);
    assert_eq!(nothing.stderr, "");
    assert_eq!(nothing.json()["entries"], Value::Array(Vec::new()));
}

#[test]
fn exact_names_for_other_programs() {
    let sandbox = Sandbox::new();
    let spec = cases::plain_mbdb().with(|spec| {
        spec.add_parents = false;
        spec.entries = vec![
            EntrySpec::file("HomeDomain", b"caf\xe9\n.db".to_vec(), "x"),
            EntrySpec::file("HomeDomain", "b.db", "x"),
        ];
    });
    sandbox.bundle(&spec);
    for command in [&["find", "backup", "*.db", "-0"][..], &["ls", "backup", "--null"]] {
        let run = sandbox.run(command).exits(0);
        assert_eq!(run.stdout, b"HomeDomain:caf\xe9\n.db\0HomeDomain:b.db\0");
    }
    for bad in [&["--json"][..], &["--jsonl"], &["-l"], &["--hash"]] {
        sandbox.run(&[&["find", "backup", "-0"], bad].concat()).exits(2);
    }
}

#[test]
fn contents_are_found_by_their_hash() {
    let sandbox = Sandbox::new();
    for spec in [cases::plain_db(), cases::encrypted_db(1_000), cases::encrypted_mbdb()] {
        let truth = sandbox.bundle(&spec);
        let files: Vec<_> = truth.entries.iter().filter(|entry| entry.kind == 1).collect();
        // Each file, by what the writer says it put in, and every file of the same content.
        for wanted in &files {
            let digits = hex(&wanted.sha256);
            let run = sandbox.run_unlocked(&["find", "backup", "--sha256", &digits, "--jsonl"]);
            let lines = run.exits(0).lines();
            let (summary, found) = lines.split_last().unwrap();
            let same: Vec<_> = files.iter().filter(|file| file.sha256 == wanted.sha256).collect();
            assert_eq!(found.len(), same.len());
            for (line, file) in found.iter().zip(same) {
                assert_eq!(line["file_id"].as_str().unwrap().as_bytes(), file.file_id);
                assert_eq!(line["sha256"], digits);
            }
            assert_eq!(summary["files_hashed"], files.len());
        }
        std::fs::remove_dir_all(sandbox.path("backup")).unwrap();
    }
}

#[test]
fn hashes_come_from_files_too_and_other_filters_spare_work() {
    let sandbox = plain();
    let truth = sandbox.bundle_at("again", &cases::plain_db()).entries;
    let of =
        |path: &str| hex(&truth.iter().find(|entry| entry.path == path.as_bytes()).unwrap().sha256);
    let (db, photo) = (of("Library/SMS/sms.db"), of("Media/DCIM/100APPLE/IMG_0001.JPG"));
    let list =
        format!("# known\n{}  sms.db\n{photo} *x.jpg\n{}\n", db.to_uppercase(), "0".repeat(64));
    sandbox.file("known", list);
    let run = sandbox.run(&["find", "backup", "--sha256-file", "known"]).exits(0);
    let found =
        "HomeDomain:Library/SMS/sms.db\nCameraRollDomain:Media/DCIM/100APPLE/IMG_0001.JPG\n";
    assert_eq!(run.text(), found);
    let args = ["find", "backup", "*.JPG", "--sha256", &db, "--sha256", &photo, "--jsonl"];
    let lines = sandbox.run(&args).exits(0).lines();
    assert_eq!((lines.len(), &lines[1]["files_hashed"]), (2, &1.into()));
    let run = sandbox.run(&["find", "backup", "*.JPG", "--sha256", &db]).exits(0);
    assert!(run.stdout.is_empty());
    assert_eq!(run.stderr, "note: nothing found; files hashed: 1\n");
    sandbox.file("empty", "# nothing\n").file("bad", format!("{db}\nsms.db\n"));
    let with = |file: &str| sandbox.run(&["find", "backup", "--sha256-file", file]).exits(2);
    with("none").says("hashes-unreadable");
    with("empty").says("bad-hash-file");
    assert!(with("bad").says("bad-hash-file").stderr.contains("bad, line 2: "));
    sandbox.run(&["find", "backup", "--sha256", "abc"]).exits(2).says("usage");
}

#[test]
fn the_hash_of_what_is_found() {
    let sandbox = Sandbox::new();
    let truth = sandbox.bundle(&cases::encrypted_db(1_000));
    let lines = sandbox.run_unlocked(&["find", "backup", "--hash", "--jsonl"]).exits(0).lines();
    let (summary, entries) = lines.split_last().unwrap();
    assert_eq!(summary["files_hashed"], truth.counts.files);
    assert_eq!(entries.len(), truth.entries.len());
    for (line, entry) in entries.iter().zip(&truth.entries) {
        match entry.kind {
            1 => assert_eq!(line["sha256"], hex(&entry.sha256)),
            _ => assert!(line["sha256"].is_null()),
        }
    }
    let run = sandbox.run_unlocked(&["find", "backup", "HomeDomain:Library/*", "--hash", "-l"]);
    snapshot("find-hash-long.txt", run.exits(0).text());
}

#[test]
fn what_cannot_be_read_is_told_and_the_search_goes_on() {
    let sandbox = Sandbox::new();
    let spec = cases::encrypted_db(1_000).with(|spec| {
        let files = spec.entries.iter_mut().filter(|e| matches!(e.node, Node::File(_)));
        for (entry, stored) in files.zip([Stored::Missing, Stored::CutTo(7)]) {
            entry.stored = stored;
        }
    });
    let truth = sandbox.bundle(&spec);
    let lines = sandbox.run_unlocked(&["find", "backup", "--hash", "--jsonl"]).exits(3).lines();
    let codes: Vec<_> = lines.iter().filter_map(|line| line["code"].as_str()).collect();
    assert!(codes.contains(&"missing-blob") && codes.contains(&"truncated-blob"), "{codes:?}");
    let summary = lines.last().unwrap();
    assert_eq!(summary["files_hashed"], truth.counts.files - 1);
    assert_eq!(summary["problems"], codes.len());
    let run = sandbox.run_unlocked(&["find", "backup", "--hash"]).exits(3).says("missing-blob");
    assert_eq!(run.text().lines().count(), truth.entries.len() - 1);
    // Names alone need none of that.
    sandbox.run_unlocked(&["find", "backup", "*.db"]).exits(0);
    sandbox.bundle_at("hostile", &BundleSpec::new(3).with(|spec| spec.entries = hostile_names()));
    for args in [&["*.txt"][..], &["*.txt", "--hash"]] {
        let run = sandbox.run(&[&["find", "hostile"], args].concat()).exits(3);
        assert!(run.says("hostile-name").text().ends_with("HomeDomain:good.txt\n"));
    }
}

#[test]
fn a_password_is_asked_for_only_where_it_is_needed() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::encrypted_mbdb());
    sandbox.run(&["find", "backup", "*.db"]).exits(0);
    sandbox.run(&["find", "backup", "*.db", "--hash"]).exits(13).says("password-needed");
    let hash = "0".repeat(64);
    sandbox.run(&["find", "backup", "--sha256", &hash]).exits(13).says("password-needed");
    let explain = ["find", "backup", "--explain", "HomeDomain:Library/SMS/sms.db"];
    sandbox.run(&explain).exits(0);
    sandbox.bundle_at("new", &cases::encrypted_db(1_000));
    sandbox.run(&["find", "new", "*.db"]).exits(13).says("password-needed");
}

#[test]
fn explanations() {
    let sandbox = plain();
    let ask = |command: &str, args: &[&str]| {
        let name = "HomeDomain:Library/SMS/sms.db";
        let run = sandbox.run(&[&[command, "backup", "--explain", name], args].concat()).exits(0);
        run.text().strip_prefix(&format!("{name}: ")).unwrap().trim_end().to_owned()
    };
    assert_eq!(ask("find", &["*.txt"]), "left out: no pattern matches");
    assert_eq!(ask("find", &["*.db"]), "kept: the pattern \"*.db\" matches");
    assert_eq!(ask("find", &["--larger", "1M"]), "left out: larger 1048576");
    assert_eq!(ask("ls", &["--exclude", "HomeDomain"]), "left out: rule 1, \"- HomeDomain\"");
    assert_eq!(ask("ls", &["--type", "symlink"]), "left out: type symlink");
    assert_eq!(ask("extract", &["--include", "*:**/*.db"]), "kept: rule 1, \"+ *:**/*.db\"");
    let args = ["find", "backup", "--json", "--explain", "HomeDomain:Library", "x"];
    let json = sandbox.run(&args).exits(0).json();
    assert_eq!((&json["kind"], &json["keep"]), (&"explain".into(), &false.into()));
    for command in ["find", "ls"] {
        let run = sandbox.run(&[command, "backup", "--explain", "HomeDomain:none"]).exits(10);
        run.says("entry-not-found");
        sandbox.run(&[command, "backup", "--explain", "HomeDomain"]).exits(2).says("bad-name");
    }
}

#[test]
fn the_password_turns_up_nowhere() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&canary_bundle());
    sandbox.file("pw", CANARY);
    let canary = &CANARY.as_bytes()[..11];
    let holds = |bytes: &[u8]| bytes.windows(11).any(|window| window == canary);
    let hash = "0".repeat(64);
    for args in [
        &["--sha256", &hash[..]][..],
        &["--hash", "-l"],
        &["--hash", "--jsonl", "--progress", "json"],
        &["--hash", "--json", "--progress", "always"],
    ] {
        let args = [&["find", "backup", "--password-file", "pw"], args].concat();
        let run = sandbox.run(&args).exits(0);
        assert!(!holds(&run.stdout) && !holds(run.stderr.as_bytes()), "{args:?}");
    }
    assert!(holds(&std::fs::read(sandbox.path("pw")).unwrap()));
}

#[test]
fn an_output_that_nobody_reads_ends_a_search_quietly() {
    let sandbox = Sandbox::new();
    let entries = (0..20_000).map(|n| EntrySpec::symlink("HomeDomain", format!("link-{n}"), "x"));
    sandbox.bundle(&BundleSpec::new(9).with(|spec| spec.entries = entries.collect()));
    for args in [&["find", "backup", "--jsonl"][..], &["find", "backup", "--hash", "--jsonl"]] {
        let mut command = sandbox.command(args);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let run: crate::sandbox::Run = child.wait_with_output().unwrap().into();
        assert_eq!(run.exits(141).stderr, "");
    }
}
