//! `bkp list`, and the time zone of what people read.

use std::fs;

use bkp_testkit::{PlistEdit, PlistForm, PlistValue, cases};

use crate::sandbox::{Sandbox, snapshot, tree};

const ROOT: &str = "home/Library/Application Support/MobileSync/Backup";
const UDID: &str = "00008110-000A1B2C3D4E5F60";

/// A home with a backup, an older copy of it, one that did not end and one that is broken.
fn home() -> Sandbox {
    let sandbox = Sandbox::new();
    let at = |name: &str| format!("{ROOT}/{name}");
    sandbox.bundle_at(&at(UDID), &cases::encrypted_db(1_000));
    sandbox.bundle_at(&at(&format!("{UDID}-20240501-120000")), &cases::plain_db());
    let unfinished = cases::encrypted_mbdb().with(|spec| {
        let state = PlistValue::text("uploading");
        spec.status_plist.push(PlistEdit::Set("SnapshotState".into(), state));
    });
    sandbox.bundle_at(&at("0123456789abcdef0123456789abcdef01234567"), &unfinished);
    sandbox.bundle_at(&at("00008110-000A1B2C3D4E5F99"), &cases::plain_db());
    sandbox.file(&at("00008110-000A1B2C3D4E5F99/Manifest.plist"), "bplist00");
    fs::create_dir(sandbox.path(at("something else"))).unwrap();
    sandbox
}

#[test]
fn the_text_is_what_it_was() {
    let sandbox = home();
    let run = sandbox.run(&["list", ROOT]).exits(3).says("plist-damaged");
    snapshot("list.txt", run.text());
    assert_eq!(run.stderr.lines().count(), 1);
}

#[test]
fn the_contract_holds_and_no_password_is_needed() {
    let sandbox = home();
    let before = tree(&sandbox.path(ROOT));
    let json = sandbox.run(&["list", ROOT, "--json"]).exits(3).json();
    assert_eq!((&json["schema_version"], &json["kind"]), (&1.into(), &"list".into()));
    let backups = json["backups"].as_array().unwrap();
    assert_eq!(backups.len(), 4);
    for backup in backups {
        for field in ["path", "device_name", "product_type", "product_version", "date", "size"] {
            assert!(backup.get(field).is_some(), "{field}");
        }
        for field in ["encrypted", "state", "archived", "problem", "unique_device_id", "files"] {
            assert!(backup.get(field).is_some(), "{field}");
        }
        assert!(backup["size"].is_null() && backup["warnings"].is_array());
        assert!(backup.get("path_b64").is_none() && backup.get("type").is_none());
    }
    let of =
        |name: &str| backups.iter().find(|b| b["path"] == format!("{ROOT}/{name}")).expect(name);
    let (whole, archived) = (of(UDID), of(&format!("{UDID}-20240501-120000")));
    assert_eq!((&whole["encrypted"], &whole["state"]), (&true.into(), &"finished".into()));
    assert_eq!(whole["date"], "2024-05-20T07:59:59Z");
    assert!(whole["archived"].is_null() && whole["problem"].is_null());
    assert_eq!(archived["archived"], "2024-05-01T12:00:00");
    assert_eq!(archived["encrypted"], false);
    assert_eq!(of("0123456789abcdef0123456789abcdef01234567")["state"], "unfinished");
    let broken = of("00008110-000A1B2C3D4E5F99");
    assert_eq!(broken["problem"]["code"], "plist-damaged");
    assert!(broken["problem"]["message"].as_str().unwrap().contains("Manifest.plist"));
    assert!(broken["encrypted"].is_null() && broken["state"] == "unknown");
    // The lines are the same, with a summary.
    let lines = sandbox.run(&["list", ROOT, "--jsonl"]).exits(3).lines();
    let (summary, lines) = lines.split_last().unwrap();
    assert_eq!((&summary["backups"], &summary["problems"]), (&4.into(), &1.into()));
    assert_eq!((&summary["type"], &summary["schema_version"]), (&"summary".into(), &1.into()));
    for (line, backup) in lines.iter().zip(backups) {
        let mut line = line.as_object().unwrap().clone();
        assert_eq!(line.remove("type").unwrap(), "backup");
        assert_eq!(&line, backup.as_object().unwrap());
    }
    assert_eq!(tree(&sandbox.path(ROOT)), before);
}

#[test]
fn roots_that_are_backups_and_roots_that_are_not_there() {
    let sandbox = home();
    let backup = format!("{ROOT}/{UDID}");
    // A root given twice, and a backup within another root, are listed once.
    let json = sandbox.run(&["list", &backup, ROOT, &backup, "--json"]).exits(3).json();
    assert_eq!(json["backups"].as_array().unwrap().len(), 4);
    assert_eq!(json["backups"][0]["path"], backup);
    sandbox.run(&["list", &backup]).exits(0);
    sandbox.run(&["list", "none"]).exits(10).says("not-found");
    sandbox.run(&["list", ROOT, "none"]).exits(10).says("not-found");
    sandbox.file("file", "x");
    sandbox.run(&["list", "file"]).exits(10).says("not-a-backup");
    let error = sandbox.run(&["list", "none", "--jsonl"]).exits(10).error();
    assert_eq!(error["code"], "not-found");
    fs::create_dir(sandbox.path("empty")).unwrap();
    let run = sandbox.run(&["list", "empty"]).exits(0);
    assert_eq!((run.text(), &*run.stderr), ("", "note: no backups in empty\n"));
    let json = sandbox.run(&["list", "empty", "--json"]).exits(0).json();
    assert_eq!(json["backups"], serde_json::json!([]));
}

#[test]
fn the_default_is_where_this_system_keeps_backups() {
    let sandbox = home();
    let run = sandbox.run(&["list"]);
    if cfg!(target_os = "macos") {
        assert_eq!(run.exits(3).text().lines().count(), 4);
        let empty = Sandbox::new().run(&["list"]).exits(0);
        assert_eq!(empty.text(), "");
    } else {
        let run = run.exits(2).says("no-known-folder");
        assert!(run.stderr.contains("help: name the folder: bkp list FOLDER"), "{}", run.stderr);
    }
}

#[test]
fn sizes_are_added_up_when_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_db());
    let mut bytes = 0;
    let mut open = vec![sandbox.path("backup")];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => open.push(entry.path()),
                false => bytes += entry.metadata().unwrap().len(),
            }
        }
    }
    let json = sandbox.run(&["list", "backup", "--size", "--json"]).exits(0).json();
    assert_eq!(json["backups"][0]["size"], bytes);
    assert!(json["backups"][0]["files"].as_u64().unwrap() > 10);
    let run = sandbox.run(&["list", "backup", "--size"]).exits(0);
    assert!(run.text().contains(" KiB"), "{}", run.text());
}

#[test]
fn names_cannot_act_on_the_terminal() {
    let sandbox = Sandbox::new();
    let spec = cases::plain_db().with(|spec| {
        spec.plists = PlistForm::Binary;
        spec.device.name = "a\u{1b}[2J\u{202e}b\nc".into();
    });
    sandbox.bundle_at("evil\u{1b}]0;", &spec);
    let run = sandbox.run(&["list", "."]).exits(0);
    assert_eq!(run.text().lines().count(), 1);
    assert!(run.text().starts_with("a\\u{1b}[2J\\u{202e}b\\nc "), "{}", run.text());
    assert!(run.text().ends_with("evil\\u{1b}]0;\n"), "{}", run.text());
}

#[test]
fn people_read_times_in_the_zone_they_ask_for() {
    let sandbox = home();
    let zone = |zone: &str| ["--tz".to_owned(), zone.to_owned()];
    let text = |args: &[&str], name: &str| {
        let args: Vec<_> = args.iter().map(|&a| a.to_owned()).chain(zone(name)).collect();
        let run: crate::sandbox::Run = sandbox.command(&args).output().unwrap().into();
        run.text().to_owned()
    };
    let plain = format!("{ROOT}/{UDID}-20240501-120000");
    for (name, entry, made) in [
        ("utc", "2024-05-18T09:30:00Z", "2024-05-20T07:59:59Z"),
        ("Europe/Berlin", "2024-05-18T11:30:00+02:00", "2024-05-20T09:59:59+02:00"),
        ("America/St_Johns", "2024-05-18T07:00:00-02:30", "2024-05-20T05:29:59-02:30"),
        ("-05:00", "2024-05-18T04:30:00-05:00", "2024-05-20T02:59:59-05:00"),
    ] {
        assert!(text(&["ls", "-l", &plain], name).contains(entry), "{name}");
        assert!(text(&["find", "-l", &plain, "*.db"], name).contains(entry), "{name}");
        assert!(text(&["inspect", &plain], name).contains(&format!("{made},")), "{name}");
        assert!(text(&["list", &plain], name).contains(&format!(" {made} ")), "{name}");
    }
    // What machines read is in UTC whatever people want.
    for args in [&["inspect", &plain, "--json"][..], &["list", &plain, "--json"]] {
        assert_eq!(text(args, "Europe/Berlin"), text(args, "utc"));
    }
    let lines = text(&["ls", &plain, "--jsonl"], "Europe/Berlin");
    assert!(lines.contains("\"2024-05-18T09:30:00Z\"") && !lines.contains("+02:00"));
    // The zone of this machine, by the variable that says so.
    let mut command = sandbox.command(["ls", "-l", &plain, "--tz", "local"]);
    let run: crate::sandbox::Run = command.env("TZ", "Asia/Kathmandu").output().unwrap().into();
    assert!(run.exits(0).text().contains("2024-05-18T15:15:00+05:45"));
}

#[test]
fn zones_that_are_none() {
    let sandbox = home();
    for bad in ["Mars/Olympus", "UTC+2", "+99:00", ""] {
        let run = sandbox.run(&["list", ROOT, &format!("--tz={bad}")]).exits(2).says("usage");
        assert!(run.stderr.contains(bad), "{}", run.stderr);
        assert!(run.stderr.contains("Europe/Berlin"), "{}", run.stderr);
    }
}

#[test]
fn several_backups_are_told_by_the_same_words() {
    let sandbox = home();
    let error = sandbox.run(&["inspect", ROOT, "--json"]).exits(10).error();
    let listed = sandbox.run(&["list", ROOT, "--json"]).exits(3).json();
    let paths = |value: &serde_json::Value| -> Vec<String> {
        let backups = value["backups"].as_array().unwrap();
        backups.iter().map(|backup| backup["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(paths(&error), paths(&listed));
    assert_eq!(error["backups"][3]["state"], listed["backups"][3]["state"]);
}
