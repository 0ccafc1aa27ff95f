//! `bkp restore` and `bkp filter --policy`: copies without what management keeps out of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bkp_testkit::{BundleSpec, EntrySpec, PlistValue, binary_plist, cases, managed};
use serde_json::Value;

use crate::removed::traces;
use crate::rewrite::{nothing_left, rows};
use crate::sandbox::{Run, Sandbox, tree};

/// The serial number of every device that the testkit makes up.
pub(crate) const SOURCE: &str = "TESTKIT00001";
/// Another device.
pub(crate) const OTHER: &str = "F2LTESTKIT02";

const SYSTEM: &str = "SysSharedContainerDomain-systemgroup.com.apple.configurationprofiles";
const USER: &str = "HomeDomain";

/// Runs a command over a bundle, with its password if it has one.
pub(crate) fn run(sandbox: &Sandbox, spec: &BundleSpec, args: &[&str]) -> Run {
    match spec.encryption {
        Some(_) => sandbox.run_unlocked(args),
        None => sandbox.run(args),
    }
}

/// The words of a restore.
fn restore<'a>(from: &'a str, serial: &'a str, out: &'a str) -> Vec<&'a str> {
    let reason = "test of a copy";
    vec!["restore", from, "--target-serial", serial, "-o", out, "--reason", reason, "--json"]
}

fn password(spec: &BundleSpec) -> Option<&'static str> {
    spec.encryption.as_ref().map(|_| cases::PASSWORD)
}

pub(crate) fn record(sandbox: &Sandbox, out: &str) -> Value {
    let bytes = fs::read(sandbox.path(format!("{out}.bkp-run.json"))).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// What MANAGED.md section 9 strips by name, written down a second time.
fn is_stripped(name: &str) -> bool {
    let (domain, path) = name.split_once(':').unwrap();
    if name == "KeychainDomain:TrustStore.sqlite3" {
        return true;
    }
    let home = match domain {
        SYSTEM => path.strip_prefix("Library/ConfigurationProfiles/"),
        USER => path
            .strip_prefix("Library/UserConfigurationProfiles/")
            .or_else(|| path.strip_prefix("Library/ConfigurationProfiles/")),
        _ => None,
    };
    let Some(file) = home.filter(|file| !file.contains('/')) else { return false };
    let lists = ["PayloadManifest.plist", "PayloadDependency.plist", "ProfileTruth.plist"];
    let of_system = [
        "MDM.plist",
        "MDMAppManagement.plist",
        "CloudConfigurationDetails.plist",
        "CloudConfigurationSetAsideDetails.plist",
        "MCProfileEvents.plist",
        "SharedDeviceConfiguration.plist",
    ];
    file.starts_with("profile-")
        || lists.contains(&file)
        || (domain == SYSTEM && (of_system.contains(&file) || file.starts_with("PostSetup")))
        || (path.starts_with("Library/ConfigurationProfiles/") && file.contains('+'))
}

/// Domains of apps that do not go to another device, in the fixture of apps.
const APPS_GONE: [&str; 4] = [
    "AppDomain-com.example.flag1",
    "AppDomain-com.example.flag4",
    "AppDomain-com.example.flag5",
    "AppDomainPlugin-com.example.flag1.widget",
];

fn domain(name: &str) -> &str {
    name.split_once(':').unwrap().0
}

/// Fails unless `out` is `source` without the rows that `gone` names: rows byte for byte, payloads
/// byte for byte, and the property lists but for what has to change in them.
fn only_that_is_gone(
    sandbox: &Sandbox,
    source: &str,
    out: &str,
    password: Option<&str>,
    gone: &dyn Fn(&str) -> bool,
) {
    let (from, to) = (sandbox.path(source), sandbox.path(out));
    let (all, kept) = (rows(&from, password), rows(&to, password));
    let expected: BTreeMap<_, _> = all.iter().filter(|(_, (name, _))| !gone(name)).collect();
    assert_eq!(kept.iter().collect::<BTreeMap<_, _>>(), expected, "{source}");
    for id in kept.keys() {
        let blob = Path::new(&id[..2]).join(id);
        let read = |root: &Path| fs::read(root.join(&blob)).ok();
        assert_eq!(read(&to), read(&from), "{source}: {id}");
    }
    identity_is_untouched(&from, &to);
}

/// Compares every key of every property list. Of apps that are gone their entries may be, and the
/// catalog has a key of its own.
fn identity_is_untouched(from: &Path, to: &Path) {
    for (name, may_shrink, may_change) in [
        ("Info.plist", &["Applications", "Installed Applications"][..], &[][..]),
        ("Manifest.plist", &["Applications"], &["ManifestKey"]),
        ("Status.plist", &[], &[]),
    ] {
        let read = |root: &Path| plist::Value::from_file(root.join(name)).ok();
        let (Some(before), Some(after)) = (read(from), read(to)) else {
            assert!(!to.join(name).exists() && !from.join(name).exists());
            continue;
        };
        let (before, after) = (before.into_dictionary().unwrap(), after.into_dictionary().unwrap());
        let keys = |d: &plist::Dictionary| d.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&before), keys(&after), "{name}");
        for (key, value) in &after {
            let old = &before[key.as_str()];
            if may_change.contains(&key.as_str()) || value == old {
                continue;
            }
            assert!(may_shrink.contains(&key.as_str()), "{name}: {key} was changed");
            match (value, old) {
                (plist::Value::Dictionary(now), plist::Value::Dictionary(then)) => {
                    assert!(now.iter().all(|(key, value)| then.get(key) == Some(value)), "{key}");
                }
                (plist::Value::Array(now), plist::Value::Array(then)) => {
                    assert!(now.iter().all(|value| then.contains(value)), "{key}");
                }
                _ => panic!("{name}: {key} was changed"),
            }
        }
    }
}

/// Fails unless `verify` finds nothing wrong, and `verify --restorable` calls it restorable.
fn sound(sandbox: &Sandbox, out: &str, spec: &BundleSpec) {
    let data = run(sandbox, spec, &["verify", out, "--read-data", "--json"]);
    assert!([0, 4].contains(&data.code), "{}", data.stderr);
    let json = data.json();
    assert_eq!(json["ok"], true, "{json}");
    let restorable = run(sandbox, spec, &["verify", out, "--restorable", "--json"]);
    let json = restorable.json();
    assert_eq!(json["restorable"]["blocking"], 0, "{json}");
}

/// Every managed fixture, staged for another device: the strip set, all of it and nothing else, is
/// gone; the copy is sound; a second run finds nothing.
#[test]
fn s001_24_another_device_gets_everything_but_the_strip_set() {
    let sandbox = Sandbox::new();
    for case in managed::all() {
        if ["shared-ipad", "identity-conflict"].contains(&case.name) {
            continue;
        }
        let spec = &case.spec;
        let (source, out, again) =
            (case.name.to_owned(), format!("{}-out", case.name), format!("{}-again", case.name));
        sandbox.bundle_at(&source, spec);
        let before = tree(&sandbox.path(&source));
        let made = run(&sandbox, spec, &restore(&source, OTHER, &out));
        // What is odd or cannot be read is a warning: it goes by its name.
        let odd = !case.expected.problems.is_empty();
        let json = made.exits(if odd { 4 } else { 0 }).json();
        assert_eq!((&json["kind"], &json["restorable"]), (&"restore".into(), &true.into()));
        assert_eq!(json["management"]["device"], "different");
        assert_eq!(tree(&sandbox.path(&source)), before, "the source was changed");
        let books = case.name == "books-disallowed";
        let gone = |name: &str| {
            is_stripped(name) || APPS_GONE.contains(&domain(name)) || (books && is_book(name))
        };
        only_that_is_gone(&sandbox, &source, &out, password(spec), &gone);
        sound(&sandbox, &out, spec);
        // Rows, blobs, names and keys: nothing is found.
        let (from, to) = (sandbox.path(&source), sandbox.path(&out));
        let found = traces((&from, password(spec)), (&to, password(spec)));
        assert!(found.looked_for >= 3, "{}: {found:?}", case.name);
        assert_eq!(found.found, Vec::<String>::new(), "{}", case.name);
        if case.name == "apps" {
            nothing_left(&from, &to, password(spec));
        }
        // The record names every row with its rule and its requirement.
        let record = record(&sandbox, &out);
        assert_eq!(record["staging"]["target_serial"], OTHER);
        assert_eq!(record["staging"]["source_serial"], SOURCE);
        assert_eq!(record["staging"]["reason"], "test of a copy");
        let left: Vec<&Value> = record["left_out"].as_array().unwrap().iter().collect();
        assert_eq!(left.len() as u64, json["skipped"].as_u64().unwrap());
        let names = rows(&from, password(spec));
        for row in left {
            let name = format!(
                "{}:{}",
                row["domain"].as_str().unwrap(),
                row["relative_path"].as_str().unwrap()
            );
            assert_eq!(names[row["file_id"].as_str().unwrap()].0, name);
            assert!(row["requirement"].as_str().unwrap().starts_with("001-"), "{row}");
            assert!(!row["rule"].as_str().unwrap().is_empty());
        }
        // Once is enough.
        let json = run(&sandbox, spec, &restore(&out, OTHER, &again));
        let json = json.exits(0).json();
        assert_eq!((&json["skipped"], &json["restorable"]), (&0.into(), &true.into()));
        assert_eq!(rows(&sandbox.path(&again), password(spec)), rows(&to, password(spec)));
        for name in [&source, &out, &again] {
            fs::remove_dir_all(sandbox.path(name)).unwrap();
        }
    }
}

fn is_book(name: &str) -> bool {
    domain(name) == "SysSharedContainerDomain-systemgroup.com.apple.media.books.managed"
        || name == "BooksDomain:Managed"
        || name.starts_with("BooksDomain:Managed/")
}

/// Names that only look like management stay.
#[test]
fn near_misses_stay() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::near_misses());
    sandbox.run(&restore("backup", OTHER, "out")).exits(0);
    let kept: BTreeSet<String> =
        rows(&sandbox.path("out"), None).into_values().map(|(name, _)| name).collect();
    for (domain, path) in managed::kept() {
        let name = format!("{domain}:{path}");
        assert!(kept.contains(&name) && !is_stripped(&name), "{name}");
    }
}

/// The same device keeps every row as it is, and no option changes that.
#[test]
fn s001_19_the_same_device_keeps_every_row() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "policy.toml",
        "[restrictions]\nallow_enterprise_book_backup = false\nallow_managed_app_backup = false\n\
         [mdm]\nretired = true\n[[app]]\nbundle_id = \"com.example.free\"\nflags = 5\n",
    );
    for case in managed::all() {
        if ["shared-ipad", "identity-conflict"].contains(&case.name) {
            continue;
        }
        let spec = &case.spec;
        let (source, out) = (case.name.to_owned(), format!("{}-out", case.name));
        sandbox.bundle_at(&source, spec);
        let mut line = restore(&source, "testkit00001", &out);
        line.extend(["--policy", "policy.toml", "--target-ios", "27.0"]);
        let made = run(&sandbox, spec, &line);
        // A payload that is missing in the source is missing in the copy, and that is a loss.
        let lost = case.name == "hostile-stubs";
        let json = match (lost, case.expected.problems.is_empty()) {
            (true, _) => made.exits(3).json(),
            (false, false) => made.exits(4).json(),
            (false, true) => made.exits(0).json(),
        };
        assert_eq!((&json["skipped"], &json["management"]["device"]), (&0.into(), &"same".into()));
        only_that_is_gone(&sandbox, &source, &out, password(spec), &|_| false);
        assert_eq!(record(&sandbox, &out)["staging"]["device"], "same");
        for name in [&source, &out] {
            fs::remove_dir_all(sandbox.path(name)).unwrap();
        }
    }
}

/// What is not certain is refused, both sides are shown, and nothing is written.
#[test]
fn s000_9_an_uncertain_device_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::none());
    sandbox.bundle_at("edited", &managed::identity_conflict());
    let text = |bundle: &str, more: &[&str]| {
        let line = [&["restore", bundle, "-o", "out"], more].concat();
        sandbox.run(&line).exits(22).says("unknown-identity").stderr
    };
    for refused in [
        text("edited", &["--target-serial", OTHER]),
        // Neither of the two that it states.
        text("edited", &["--target-serial", SOURCE]),
        text("edited", &["--target-serial", "TESTKIT99999"]),
        text("backup", &["--target-serial", "not a serial"]),
        text("backup", &["--target-serial", SOURCE, "--target-udid", "00008030-001A2B3C4D5E6F70"]),
    ] {
        assert!(refused.contains("the backup: Info.plist has serial number"), "{refused}");
        assert!(refused.contains("the target: serial number"), "{refused}");
        assert!(refused.contains(SOURCE), "{refused}");
    }
    // A policy file that names no target.
    sandbox.file("policy.toml", "");
    text("backup", &["--policy", "policy.toml"]);
    sandbox.run(&["restore", "backup", "-o", "out"]).exits(2).says("target-needed");
    let line = ["restore", "edited", "-o", "out", "--target-serial", OTHER, "--json"];
    let error = sandbox.run(&line).exits(22).error();
    assert_eq!((&error["kind"], &error["code"]), (&"error".into(), &"unknown-identity".into()));
    assert!(error["help"].as_str().unwrap().contains("TESTKIT99999"));
    assert!(!sandbox.path("out").exists() && !sandbox.path("out.bkp-run.json").exists());
}

#[test]
fn s001_10_a_shared_ipad_is_refused() {
    let sandbox = Sandbox::new();
    let spec = managed::shared_ipad();
    sandbox.bundle(&spec);
    for serial in [OTHER, SOURCE] {
        run(&sandbox, &spec, &restore("backup", serial, "out")).exits(22);
    }
    let line = ["restore", "backup", "-o", "out", "--target-serial", OTHER, "--reason", "x"];
    run(&sandbox, &spec, &line).exits(22).says("shared-ipad");
    assert!(!sandbox.path("out").exists() && !sandbox.path("out.bkp-run.json").exists());
}

/// A device that is managed through ADE needs a reason, which the record keeps.
#[test]
fn s001_10_ade_needs_a_reason() {
    let sandbox = Sandbox::new();
    for spec in [managed::ade(), managed::ade_unencrypted()] {
        sandbox.bundle(&spec);
        for serial in [OTHER, SOURCE] {
            let line = ["restore", "backup", "-o", "out", "--target-serial", serial];
            run(&sandbox, &spec, &line).exits(22).says("reason-needed");
        }
        let blank = ["restore", "backup", "-o", "out", "--target-serial", OTHER, "--reason", " "];
        run(&sandbox, &spec, &blank).exits(2);
        assert!(!sandbox.path("out").exists() && !sandbox.path("out.bkp-run.json").exists());
        fs::remove_dir_all(sandbox.path("backup")).unwrap();
    }
}

/// A copy is for one device: another is refused, also when the copy was copied again.
#[test]
fn a_copy_for_one_device_is_refused_for_another() {
    let sandbox = Sandbox::new();
    let spec = managed::byod_encrypted();
    sandbox.bundle(&spec);
    run(&sandbox, &spec, &restore("backup", OTHER, "out")).exits(0);
    run(&sandbox, &spec, &["filter", "out", "-o", "smaller", "--exclude", "HomeDomain"]).exits(0);
    assert_eq!(record(&sandbox, "smaller")["staging"]["target_serial"], OTHER);
    for copy in ["out", "smaller"] {
        for serial in ["F2LTESTKIT09", SOURCE] {
            let line = ["restore", copy, "-o", "more", "--target-serial", serial];
            run(&sandbox, &spec, &line).exits(22).says("staged-for-another");
            let line = ["plan", copy, "--target-serial", serial];
            let refused = run(&sandbox, &spec, &line).exits(22).says("staged-for-another");
            assert!(refused.stderr.contains(OTHER), "{}", refused.stderr);
        }
        run(&sandbox, &spec, &["plan", copy, "--target-serial", OTHER]).exits(0);
    }
    // A record that cannot be read may say the same.
    fs::write(sandbox.path("out.bkp-run.json"), "{").unwrap();
    let line = ["restore", "out", "-o", "more", "--target-serial", OTHER];
    run(&sandbox, &spec, &line).exits(22).says("record-unreadable");
    assert!(!sandbox.path("more").exists() && !sandbox.path("more.bkp-run.json").exists());
}

/// Every file of management state that a profile can set, in one bundle, with what must stay.
fn everything() -> BundleSpec {
    let value = |value: bool| {
        let entry = PlistValue::dict([("value", PlistValue::Bool(value))]);
        let restricted = PlistValue::dict([("allowCamera", entry)]);
        binary_plist(&PlistValue::dict([("restrictedBool", restricted)]))
    };
    managed::byod_encrypted().with(|spec| {
        let names = ["EffectiveUserSettings.plist", "ProfileTruth.plist", "UserSettings.plist"];
        spec.entries
            .retain(|entry| !names.iter().any(|name| entry.path.ends_with(name.as_bytes())));
        let mut add = |domain: &str, path: &str, bytes: &[u8]| {
            spec.entries.push(EntrySpec::file(domain, path, bytes.to_vec()));
        };
        let system = |name: &str| format!("Library/ConfigurationProfiles/{name}");
        for name in [
            "MDM.plist",
            "MDMAppManagement.plist",
            "CloudConfigurationSetAsideDetails.plist",
            "PostSetupAutoInstallProfile.x",
            "MCProfileEvents.plist",
            "PayloadDependency.plist",
            "SharedDeviceConfiguration.plist",
            "com.example+0a1b.stub",
            "phone/profile-00.stub",
            "phone/HoldingTankManifest.plist",
        ] {
            add(SYSTEM, &system(name), b"not read");
        }
        add(SYSTEM, &system("ProfileTruth.plist"), &value(false));
        add(SYSTEM, &system("UserSettings.plist"), &value(true));
        // What a profile set, and what the user chose.
        add(SYSTEM, &system("EffectiveUserSettings.plist"), &value(false));
        add(SYSTEM, &system("Truth.plist"), &value(true));
        add(SYSTEM, &system("MCSettingsEvents.plist"), b"log");
        add("KeychainDomain", "TrustStore.sqlite3", b"trust");
        add("KeychainDomain", "TrustStore.sqlite3-wal", b"trust journal");
        add("KeychainDomain", "keychain-backup.plist", b"keychain");
        add("ProtectedDomain", "trustd/private/TrustStore.sqlite3", b"more trust");
        add("ManagedPreferencesDomain", "mobile/com.example.plist", b"preferences");
    })
}

#[test]
fn computed_settings_go_with_the_profile_that_set_them() {
    let sandbox = Sandbox::new();
    let spec = everything();
    sandbox.bundle(&spec);
    let made = run(&sandbox, &spec, &restore("backup", OTHER, "out"));
    let json = made.exits(4).json();
    let kept: BTreeSet<String> =
        rows(&sandbox.path("out"), password(&spec)).into_values().map(|(name, _)| name).collect();
    let system = |name: &str| format!("{SYSTEM}:Library/ConfigurationProfiles/{name}");
    for name in ["Truth.plist", "MCSettingsEvents.plist", "UserSettings.plist", "ClientTruth.plist"]
    {
        assert!(kept.contains(&system(name)), "{name}");
    }
    for name in ["EffectiveUserSettings.plist", "phone/profile-00.stub", "com.example+0a1b.stub"] {
        assert!(!kept.contains(&system(name)), "{name}");
    }
    assert!(!kept.iter().any(|name| name.contains("TrustStore")));
    assert!(kept.contains("KeychainDomain:keychain-backup.plist"));
    assert!(kept.contains("ManagedPreferencesDomain:mobile/com.example.plist"));
    let rules = |list: &str| -> BTreeSet<String> {
        let rows = json["management"][list].as_array().unwrap();
        rows.iter().map(|row| row["rule"].as_str().unwrap().to_owned()).collect()
    };
    let left: Vec<_> = rules("left_out").into_iter().collect();
    assert_eq!(
        left,
        [
            "app-management",
            "cloud-configuration",
            "computed-settings-of-profiles",
            "enrolment",
            "holding-tank",
            "legacy-profile",
            "post-setup-profile",
            "profile",
            "profile-events",
            "profile-lists",
            "shared-device-configuration",
            "trust-store",
        ]
    );
    let named: Vec<_> = rules("reported").into_iter().collect();
    assert_eq!(named, ["computed-settings", "managed-preferences", "settings-events"]);
    let items = record(&sandbox, "out")["items"].clone();
    let reported =
        |item: &&Value| item["code"] == "management-reported" && item["severity"] == "notice";
    assert!(items.as_array().unwrap().iter().filter(reported).count() >= 3, "{items}");
}

/// Stubs that cannot be read, or must not be, go by their names and are reported.
#[test]
fn hostile_stubs_go_by_name() {
    let sandbox = Sandbox::new();
    let spec = managed::hostile_stubs();
    sandbox.bundle(&spec);
    let json = sandbox.run(&restore("backup", OTHER, "out")).exits(4).json();
    assert!(json["problems"].as_array().unwrap().len() >= 8, "{json}");
    for problem in json["problems"].as_array().unwrap() {
        assert_eq!(problem["severity"], "notice");
        assert!(problem["relative_path"].as_str().unwrap().contains("/profile-"), "{problem}");
    }
    let kept = rows(&sandbox.path("out"), None);
    assert!(!kept.values().any(|(name, _)| name.contains("/profile-")));
}

/// A dry run says what the run does, and writes nothing.
#[test]
fn a_dry_run_says_what_the_run_does() {
    let sandbox = Sandbox::new();
    let spec = managed::apps();
    sandbox.bundle(&spec);
    let mut line = restore("backup", OTHER, "out");
    let made = run(&sandbox, &spec, &[&line[..], &["--dry-run"]].concat()).exits(0).json();
    assert!(!sandbox.path("out").exists() && !sandbox.path("out.bkp-run.json").exists());
    assert!(made["dry_run"] == true && made["run_record"].is_null());
    let real = run(&sandbox, &spec, &line).exits(0).json();
    for field in ["listed", "done", "skipped", "files", "management"] {
        assert_eq!(made[field], real[field], "{field}");
    }
    line[5] = "text";
    line.pop();
    let text = run(&sandbox, &spec, &line).exits(0);
    for words in [
        "for serial number F2LTESTKIT02, another device",
        "profile (001-24)",
        "of com.example.flag1, app-remove-on-unenrol (001-26)",
        "of com.example.flag5, app-no-backup (001-15)",
    ] {
        assert!(text.text().contains(words), "{words}\n{}", text.text());
    }
}

/// A filter by policy leaves out apps that are not to be backed up and books that are disallowed,
/// for whatever device, and no profile.
#[test]
fn s001_15_s001_16_a_filter_by_policy_leaves_out_apps_and_books() {
    let sandbox = Sandbox::new();
    let spec = managed::apps().with(|spec| {
        let books = "SysSharedContainerDomain-systemgroup.com.apple.media.books.managed";
        spec.entries.push(EntrySpec::noise(books, "Library/a.epub", 100));
    });
    sandbox.bundle(&spec);
    sandbox.file(
        "policy.toml",
        "[restrictions]\nallow_enterprise_book_backup = false\n\
         [[app]]\nbundle_id = \"com.example.free\"\ninclude_in_backup = false\n\
         [[group]]\nid = \"group.com.example.flag5\"\napps = [\"com.example.flag5\"]\n\
         [[group]]\nid = \"group.com.example.shared\"\n\
         apps = [\"com.example.free\", \"com.example.flag0\"]\n",
    );
    let line = ["filter", "backup", "-o", "out", "--policy", "policy.toml", "--json"];
    let json = run(&sandbox, &spec, &line).exits(0).json();
    let gone_domains = [
        "AppDomain-com.example.flag4",
        "AppDomain-com.example.flag5",
        "AppDomain-com.example.free",
        "AppDomainGroup-group.com.example.flag5",
    ];
    let gone = |name: &str| gone_domains.contains(&domain(name)) || is_book(name);
    only_that_is_gone(&sandbox, "backup", "out", password(&spec), &gone);
    sound(&sandbox, "out", &spec);
    let (from, to) = (sandbox.path("backup"), sandbox.path("out"));
    assert!(traces((&from, password(&spec)), (&to, password(&spec))).found.is_empty());
    let rules: Vec<_> = json["management"]["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["rule"].as_str().unwrap(), rule["requirement"].as_str().unwrap()))
        .collect();
    assert_eq!(rules.iter().filter(|rule| **rule == ("app-no-backup", "001-15")).count(), 3);
    assert!(rules.contains(&("managed-books-disallowed", "001-16")));
    assert!(record(&sandbox, "out").get("staging").is_none());

    // With globs: an include brings nothing back that the policy leaves out.
    let more = ["--include", "AppDomain-com.example.flag*", "--include", "HomeDomain"];
    let line = ["filter", "backup", "-o", "both", "--policy", "policy.toml"];
    run(&sandbox, &spec, &[&line[..], &more].concat()).exits(0);
    let kept = rows(&sandbox.path("both"), password(&spec));
    let domains: BTreeSet<&str> = kept.values().map(|(name, _)| domain(name)).collect();
    let expected = ["AppDomain-com.example.flag0", "AppDomain-com.example.flag1", "HomeDomain"];
    assert_eq!(domains.into_iter().collect::<Vec<_>>(), expected);
    assert!(kept.values().any(|(name, _)| name.contains("UserConfigurationProfiles/Payload")));
    let left = record(&sandbox, "both")["left_out"].clone();
    let with =
        |rule: &str| left.as_array().unwrap().iter().filter(|row| row["rule"] == rule).count();
    assert!(with("app-no-backup") > 0);

    let explain = |name: &str| {
        let line = ["filter", "backup", "--policy", "policy.toml", "--explain", name, "--json"];
        run(&sandbox, &spec, &line).exits(0).json()
    };
    let flag5 = explain("AppDomain-com.example.flag5:Documents/data");
    assert_eq!(flag5["keep"], false);
    assert!(flag5["explanation"].as_str().unwrap().contains("app-no-backup (001-15)"));
    assert_eq!(explain("AppDomain-com.example.flag1:Documents/data")["keep"], true);
}

/// A broken policy file is refused before anything else: file, line and key are named.
#[test]
fn a_broken_policy_file_stops_everything() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::none());
    sandbox.file("policy.toml", "[target]\nserial = \"F2LTESTKIT02\"\n[mdm]\naccept = true\n");
    for line in [
        &["restore", "backup", "-o", "out", "--policy", "policy.toml"][..],
        &["filter", "backup", "-o", "out", "--policy", "policy.toml"],
        &["plan", "backup", "--policy", "policy.toml"],
    ] {
        let run = sandbox.run(line).exits(2).says("bad-policy-file");
        assert!(
            run.stderr.contains("policy.toml, line 4: mdm.accept: unknown key"),
            "{}",
            run.stderr
        );
    }
    let line = ["filter", "backup", "-o", "out", "--policy", "none.toml"];
    sandbox.run(&line).exits(2).says("policy-unreadable");
    sandbox.file("policy.toml", "[target]\nserial = \"F2LTESTKIT02\"\n");
    let line =
        ["restore", "backup", "-o", "out", "--policy", "policy.toml", "--target-serial", SOURCE];
    sandbox.run(&line).exits(2).says("other-target");
    assert!(!sandbox.path("out").exists() && !sandbox.path("out.bkp-run.json").exists());
}

/// Plaintext made of a backup with profiles is warned of; of one without it is not.
#[test]
fn s001_9_decrypt_warns_when_profiles_ask_for_encryption() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&managed::ade());
    sandbox.run_unlocked(&["decrypt", "backup", "-o", "out"]).exits(4).says("encryption-enforced");
    let spec = managed::none().with(|spec| {
        spec.encryption = managed::ade().encryption;
    });
    sandbox.bundle_at("none", &spec);
    sandbox.run_unlocked(&["decrypt", "none", "-o", "out2"]).exits(0);
}
