//! `bkp profiles`, `bkp apps`, and what `bkp inspect` and `bkp verify` say of management.

use bkp_testkit::managed;

use crate::sandbox::{Sandbox, snapshot, tree};

#[test]
fn the_text_is_what_it_was() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::ade_acme());
    snapshot("profiles.txt", sandbox.run_unlocked(&["profiles", "backup"]).exits(0).text());
    sandbox.bundle_at("apps", &managed::apps());
    snapshot("apps.txt", sandbox.run_unlocked(&["apps", "apps"]).exits(0).text());
    sandbox.bundle_at("none", &managed::none());
    snapshot("profiles-none.txt", sandbox.run(&["profiles", "none"]).exits(0).text());
}

#[test]
fn inspect_tells_of_management() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::ade());
    let before = tree(&sandbox.path("backup"));
    let json = sandbox.run_unlocked(&["inspect", "backup", "--json"]).exits(0).json();
    let facts = &json["management"];
    assert_eq!((&facts["enrolment"], &facts["enrolled"]), (&"ade".into(), &true.into()));
    assert_eq!(facts["supervised"], true);
    assert_eq!(facts["profiles"].as_array().unwrap().len(), 3);
    assert_eq!(facts["profiles"][0]["identifier"], managed::ENROLMENT);
    assert_eq!(facts["managed_apps"].as_array().unwrap().len(), 0);
    assert_eq!(facts["managed_books"], 0);
    let run = sandbox.run_unlocked(&["inspect", "backup"]).exits(0);
    let line = "enrolled (ade), supervised, by Example Organisation; 3 profiles, 0 managed apps";
    assert!(run.text().contains(line), "{}", run.text());
    // Locked: nothing can be told, and nothing is.
    let json = sandbox.run(&["inspect", "backup", "--json"]).exits(0).json();
    assert!(json["management"].is_null());
    assert_eq!(tree(&sandbox.path("backup")), before);
}

#[test]
fn an_unmanaged_phone_is_not_managed() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::near_misses());
    let json = sandbox.run(&["inspect", "backup", "--json"]).exits(0).json();
    let facts = &json["management"];
    assert_eq!((&facts["enrolment"], &facts["enrolled"]), (&"none".into(), &false.into()));
    assert_eq!((&facts["supervised"], &facts["managed_books"]), (&false.into(), &0.into()));
    assert!(facts["profiles"].as_array().unwrap().is_empty());
    let warnings = json["warnings"].as_array().unwrap();
    assert!(!warnings.iter().any(|w| w["code"].as_str().unwrap().starts_with("exposed")));
}

#[test]
fn listings_for_machines() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::apps());
    let json = sandbox.run_unlocked(&["profiles", "backup", "--json"]).exits(0).json();
    assert_eq!((&json["schema_version"], &json["kind"]), (&1.into(), &"profiles".into()));
    assert_eq!(json["enrolment"]["kind"], "profile");
    assert!(json["problems"].as_array().unwrap().is_empty());
    let json = sandbox.run_unlocked(&["apps", "backup", "--json"]).exits(0).json();
    assert_eq!((&json["schema_version"], &json["kind"]), (&1.into(), &"apps".into()));
    let app = |id: &str| {
        let apps = json["apps"].as_array().unwrap();
        apps.iter().find(|app| app["bundle_id"] == id).unwrap().clone()
    };
    assert_eq!(app("com.example.flag5")["managed"]["flags"], 5);
    assert_eq!(app("com.example.flag0")["purchase"]["device_licence"], true);
    assert!(app("com.example.free")["managed"].is_null());
    assert_eq!(app("com.example.inhouse")["signals"][0], "no-store-record");
    sandbox.run(&["profiles", "backup"]).exits(13).says("password-needed");
    sandbox.run(&["apps", "backup"]).exits(13).says("password-needed");
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_listed() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::hostile_stubs());
    let run = sandbox.run(&["profiles", "backup", "--json"]).exits(3);
    let json = run.json();
    assert_eq!(json["enrolment"]["kind"], "unknown");
    assert!(json["enrolment"]["enrolled"].is_null());
    let problems = json["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 9);
    for problem in problems {
        assert!(problem["relative_path"].as_str().unwrap().contains("/profile-"), "{problem}");
    }
    let read = json["profiles"].as_array().unwrap().iter().filter(|p| p["read"] == true).count();
    assert_eq!(read, 2);
    // A profile that is listed and not there is odd, and loses nothing of the backup.
    sandbox.bundle_at("byod", &managed::byod_unencrypted());
    sandbox.run(&["profiles", "byod"]).exits(4).says("profile-without-stub");
}

#[test]
fn an_unencrypted_backup_is_audited() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::exposed());
    let codes = [
        "exposed-call-history",
        "exposed-enrolment",
        "exposed-health",
        "exposed-website-history",
        "exposed-wifi",
    ];
    for (command, field, exit) in [("inspect", "warnings", 0), ("verify", "problems", 4)] {
        let json = sandbox.run(&[command, "backup", "--json"]).exits(exit).json();
        let mut found: Vec<_> = json[field]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|found| found["code"].as_str())
            .filter(|code| code.starts_with("exposed"))
            .collect();
        found.sort_unstable();
        assert_eq!(found, codes, "{command}");
    }
}
