//! `bkp plan`: decisions with their requirements, and nothing written.

use bkp_testkit::managed;
use serde_json::Value;

use crate::restore::{OTHER, SOURCE, run};
use crate::sandbox::{Sandbox, snapshot, tree};

fn decision<'j>(json: &'j Value, subject: &str) -> &'j Value {
    let decisions = json["decisions"].as_array().unwrap();
    decisions.iter().find(|decision| decision["subject"] == subject).unwrap()
}

fn has(list: &Value, id: &str) -> bool {
    list.as_array().unwrap().iter().any(|one| one == id)
}

/// Every fixture is planned for its own device and for another; every decision rests on something.
#[test]
fn every_fixture_is_planned() {
    let sandbox = Sandbox::new();
    for case in managed::all() {
        let spec = &case.spec;
        sandbox.bundle_at(case.name, spec);
        let before = tree(&sandbox.path(case.name));
        for (serial, device) in [(SOURCE, "same"), (OTHER, "different")] {
            let line = ["plan", case.name, "--target-serial", serial, "--json"];
            let run = run(&sandbox, spec, &line);
            let json = run.json();
            assert_eq!((&json["schema_version"], &json["kind"]), (&1.into(), &"plan".into()));
            if ["shared-ipad", "identity-conflict"].contains(&case.name) {
                let code = json["refusal"]["code"].as_str().unwrap().to_owned();
                let expected = match case.name {
                    "shared-ipad" => "shared-ipad",
                    _ => "unknown-identity",
                };
                assert_eq!(code, expected);
                run.exits(22);
                continue;
            }
            run.exits(if case.expected.problems.is_empty() { 0 } else { 4 });
            assert_eq!((&json["device"], &json["refusal"]), (&device.into(), &Value::Null));
            let decisions = json["decisions"].as_array().unwrap();
            assert!(decisions.len() >= 3, "{json}");
            for decision in decisions {
                let said = [&decision["requirements"], &decision["other_grounds"]];
                assert!(said.iter().any(|list| !list.as_array().unwrap().is_empty()), "{decision}");
            }
            let left = json["left_out"].as_array().unwrap();
            assert_eq!(left.is_empty(), device == "same", "{}: {left:?}", case.name);
        }
        assert_eq!(tree(&sandbox.path(case.name)), before, "the source was changed");
    }
}

#[test]
fn s001_24_s001_26_another_device_and_its_reasons() {
    let sandbox = Sandbox::new();
    let spec = managed::apps();
    sandbox.bundle(&spec);
    let line = ["plan", "backup", "--target-serial", OTHER, "--target-ios", "18.5", "--json"];
    let json = run(&sandbox, &spec, &line).exits(0).json();
    let enrolment = decision(&json, "enrolment-profile");
    assert_eq!(enrolment["in_copy"], "stripped");
    assert!(has(&enrolment["requirements"], "001-24"), "{enrolment}");
    assert_eq!(json["ios_versions"], "18 and earlier");
    let app = |id: &str| {
        let apps = json["apps"].as_array().unwrap();
        apps.iter().find(|app| app["bundle_id"] == id).unwrap().clone()
    };
    assert_eq!(app("com.example.flag1")["requirement"], "001-26");
    assert_eq!(app("com.example.flag4")["requirement"], "001-15");
    assert!(app("com.example.flag0")["left_out"].is_null());
    // A group is named and stays: who owns it is a guess.
    let groups = json["groups_not_certain"].as_array().unwrap();
    assert!(
        groups.iter().any(|group| group["group_id"] == "group.com.example.flag5"),
        "{groups:?}"
    );
    // What a profile brought is named.
    let notes = json["notes"].as_array().unwrap();
    let brought: Vec<&str> = notes
        .iter()
        .filter(|note| note["name"] == "brought-by-profile")
        .map(|note| note["text"].as_str().unwrap())
        .collect();
    let text = brought.concat();
    for what in ["font \"Example Sans\"", "web clip \"Example Desk\"", "example-root.cer"] {
        assert!(text.contains(what), "{text}");
    }
}

#[test]
fn s000_5_s001_21_the_same_device_is_predicted() {
    let sandbox = Sandbox::new();
    let spec = managed::ade_acme();
    sandbox.bundle(&spec);
    let plan = |more: &[&str]| {
        let line = [&["plan", "backup", "--target-serial", SOURCE, "--json"], more].concat();
        run(&sandbox, &spec, &line).exits(0).json()
    };
    let json = plan(&[]);
    assert_eq!((&json["reason_needed"], &json["stays_encrypted"]), (&true.into(), &true.into()));
    let enrolment = decision(&json, "enrolment-profile");
    assert_eq!(
        (&enrolment["in_copy"], &enrolment["after_restore"]),
        (&"kept".into(), &"stripped".into())
    );
    assert!(has(&enrolment["requirements"], "001-21"), "{enrolment}");
    // The version of iOS changes the prediction, and not the copy.
    let later = plan(&["--target-ios", "27.0"]);
    assert_eq!(later["ios_versions"], "27 and later");
    assert_eq!(decision(&later, "management-configuration")["after_restore"], "stripped");
    assert_eq!(decision(&later, "management-configuration")["in_copy"], "kept");
    assert!(!later["conflicts"].as_array().unwrap().is_empty());
}

#[test]
fn answers_of_mdm_and_profiles_take_part() {
    let sandbox = Sandbox::new();
    let spec = managed::books_allowed();
    sandbox.bundle(&spec);
    let plist =
        |body: &str| format!("<?xml version=\"1.0\"?><plist version=\"1.0\">{body}</plist>");
    sandbox
        .file(
            "apps.plist",
            plist(
                "<dict><key>ManagedApplicationList</key><dict><key>com.example.notes</key><dict>\
                 <key>Status</key><string>Managed</string><key>ManagementFlags</key>\
                 <integer>1</integer></dict></dict></dict>",
            ),
        )
        .file(
            "installed.plist",
            plist(
                "<dict><key>InstalledApplicationList</key><array><dict><key>Identifier</key>\
                 <string>com.microsoft.azureauthenticator</string></dict></array></dict>",
            ),
        )
        .file(
            "books.mobileconfig",
            plist(
                "<dict><key>PayloadType</key><string>Configuration</string>\
                 <key>PayloadContent</key><array><dict><key>PayloadType</key>\
                 <string>com.apple.applicationaccess</string><key>allowEnterpriseBookBackup</key>\
                 <false/></dict></array></dict>",
            ),
        );
    let line = [
        "plan",
        "backup",
        "--target-serial",
        OTHER,
        "--managed-applications",
        "apps.plist",
        "--installed-applications",
        "installed.plist",
        "--profile",
        "books.mobileconfig",
        "--json",
    ];
    let json = run(&sandbox, &spec, &line).exits(0).json();
    assert_eq!(decision(&json, "books")["in_copy"], "stripped");
    let app = &decision(&json, "app");
    assert_eq!((&app["app"], &app["in_copy"]), (&"com.example.notes".into(), &"stripped".into()));
    let rules: Vec<_> = json["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["rule"].as_str().unwrap())
        .collect();
    assert!(
        rules.contains(&"managed-books-disallowed") && rules.contains(&"app-remove-on-unenrol")
    );
    // A file that is none.
    sandbox.file("apps.plist", "no plist");
    assert_eq!(run(&sandbox, &spec, &line).exits(2).error()["code"], "bad-plist");
}

/// The steps that a backup can answer are answered.
#[test]
fn s002_the_checklist_is_answered_as_far_as_it_can_be() {
    let sandbox = Sandbox::new();
    let spec = managed::apps();
    sandbox.bundle(&spec);
    let line = ["plan", "backup", "--target-serial", OTHER, "--json"];
    let json = run(&sandbox, &spec, &line).exits(0).json();
    let step = |id: &str| {
        let steps = json["checklist"].as_array().unwrap();
        steps.iter().find(|step| step["step"] == id).unwrap().clone()
    };
    assert_eq!(step("002-2.3")["done"], false);
    assert_eq!(step("002-3.2")["done"], true);
    assert!(step("002-1.3")["found"].as_str().unwrap().contains("days old"));
    assert!(step("002-2.1")["done"].is_null() && step("002-2.1")["found"].is_null());
    assert_eq!(json["intune"]["prevented_app_backup"].as_array().unwrap().len(), 8);
    assert_eq!(json["intune"]["new_ade_device"].as_array().unwrap().len(), 3);
}

#[test]
fn s003_readiness_for_windows_is_dated() {
    let sandbox = Sandbox::new();
    sandbox.file("facts.toml", "join = \"hybrid\"\nsupported = true\n");
    let json = sandbox.run(&["plan", "--windows", "facts.toml", "--json"]).exits(0).json();
    assert_eq!((&json["kind"], &json["as_of"]), (&"windows-readiness".into(), &"2025-08".into()));
    let ready = |capability: &str| {
        let all = json["capabilities"].as_array().unwrap();
        all.iter().find(|one| one["capability"] == capability).unwrap()["ready"].clone()
    };
    assert_eq!((ready("back up"), ready("restore")), (true.into(), false.into()));
    assert!(ready("there is something to restore").is_null());
    let text = sandbox.run(&["plan", "--windows", "facts.toml"]).exits(0);
    snapshot("plan-windows.txt", text.text());
    sandbox.file("facts.toml", "join = \"hybrid\"\nsuported = true\n");
    let run = sandbox.run(&["plan", "--windows", "facts.toml"]).exits(2).says("bad-policy-file");
    assert!(run.stderr.contains("facts.toml, line 2: suported"), "{}", run.stderr);
    sandbox.run(&["plan", "--windows", "facts.toml", "--target-serial", OTHER]).exits(2);
    sandbox.run(&["plan"]).exits(2);
}

/// Refused: the facts and both sides are shown all the same, and the exit code says it.
#[test]
fn s001_24_a_refusal_shows_both_sides() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::identity_conflict());
    let line = ["plan", "backup", "--target-serial", OTHER];
    let run = sandbox.run(&line).exits(22).says("unknown-identity");
    for words in ["TESTKIT99999", SOURCE, OTHER, "not certain: nothing is made for it"] {
        assert!(run.text().contains(words), "{words}\n{}", run.text());
    }
    let json = sandbox.run(&[&line[..], &["--json"]].concat()).exits(22);
    assert_eq!(json.error()["code"], "unknown-identity");
    let json = json.json();
    assert_eq!(json["source"]["info_serial_number"], "TESTKIT99999");
    assert_eq!(json["source"]["manifest_serial_number"], SOURCE);
    assert_eq!(json["target"]["serial_number"], OTHER);
    assert!(json["decisions"].as_array().unwrap().is_empty());
}

/// The whole text for a device that does not check in, so that it holds no age.
#[test]
fn the_text_is_what_it_was() {
    let sandbox = Sandbox::new();
    let spec = managed::apps();
    sandbox.bundle(&spec);
    let line = ["plan", "backup", "--target-serial", OTHER, "--target-ios", "18.5"];
    let run = run(&sandbox, &spec, &line).exits(0);
    // How old the backup is depends on the day.
    let days = |line: &str| line.contains("days old");
    let text: String =
        run.text().lines().filter(|line| !days(line)).map(|line| format!("{line}\n")).collect();
    snapshot("plan.txt", &text);
}
