use std::fs;

use bkp_bundle::{Backup, Unlocked};
use bkp_core::{Everything, NullMonitor, Select as _};
use bkp_policy::{AdeState, Enrolment, PolicyError, Server, Signal, Situation, plan};
use bkp_testkit::{BundleSpec, managed};

use crate::testing::open;

use super::{Given, GivenError, GivenFiles, StagingRows, StagingSelect, Surveyed, staged_for};

fn situation(spec: &BundleSpec) -> (tempfile::TempDir, Backup<Unlocked>, Situation) {
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path()).unwrap();
    let backup = open(dir.path());
    let Surveyed { situation, .. } = super::situation(&backup, Given::default(), 0, &NullMonitor);
    (dir, backup, situation)
}

/// Every fixture's enrolment is told as the fixture states it.
#[test]
fn facts_are_those_of_the_fixtures() {
    for case in managed::all() {
        let (_dir, _, situation) = situation(&case.spec);
        let facts = &situation.facts;
        let enrolment = match case.expected.enrolment {
            "none" => Enrolment::None,
            "profile" => Enrolment::Profile,
            "ade" => Enrolment::Ade,
            "account-driven" => Enrolment::AccountDriven,
            "shared-ipad" => Enrolment::SharedIpad,
            _ => Enrolment::Unknown,
        };
        assert_eq!(facts.device.enrolment, enrolment, "{}", case.name);
        assert_eq!(facts.device.supervised, case.expected.supervised, "{}", case.name);
        assert_eq!(facts.encrypted, case.spec.encryption.is_some(), "{}", case.name);
        let ade = case.name.starts_with("ade") || case.name == "shared-ipad";
        let expected = if ade { AdeState::Yes } else { AdeState::No };
        assert_eq!(facts.device.ade, expected, "{}", case.name);
        let certain = facts.source.device().is_ok();
        assert_eq!(certain, case.name != "identity-conflict", "{}", case.name);
        let identifiers: Vec<&str> =
            facts.device.profiles.iter().map(|profile| &*profile.identifier).collect();
        for known in &case.expected.profiles {
            assert!(identifiers.contains(known), "{}: {identifiers:?}", case.name);
        }
        let enrolling = facts.device.profiles.iter().filter(|profile| profile.is_enrolment);
        assert_eq!(enrolling.count() > 0, identifiers.contains(&managed::ENROLMENT));
        if identifiers.contains(&managed::ENROLMENT) {
            assert_eq!(facts.device.server, Some(Server::Other), "{}", case.name);
        }
        assert_eq!(facts.managed_books > 0, case.expected.books > 0, "{}", case.name);
        assert!(facts.device.settings_of_profiles.is_empty(), "{}", case.name);
    }
}

#[test]
fn apps_bring_their_signals_and_plugins() {
    let (_dir, _, situation) = situation(&managed::apps());
    let app = |id: &str| situation.facts.apps.iter().find(|app| &*app.bundle_id == id).unwrap();
    let one = app("com.example.flag1");
    assert_eq!(one.plugins, ["com.example.flag1.widget".into()]);
    assert_eq!(one.groups, None);
    let table = one.statements.iter().find(|said| said.signal == Signal::MdmAppManagement).unwrap();
    assert_eq!((table.managed, table.flags.unwrap().bits()), (Some(true), 1));
    assert!(one.statements.iter().any(|said| said.signal == Signal::StoreLicence));
    // A purchase of a person is no sign of management.
    assert!(app("com.example.free").statements.is_empty());
    assert!(app("com.example.free").installed);
}

#[test]
fn what_cannot_be_read_of_ade_is_unknown() {
    let spec = managed::none().with(|spec| {
        let cloud = |path: &[u8]| path.ends_with(b"/CloudConfigurationDetails.plist");
        let entry = spec.entries.iter_mut().find(|entry| cloud(&entry.path)).unwrap();
        *entry = bkp_testkit::EntrySpec::file(
            std::str::from_utf8(&entry.domain).unwrap(),
            std::str::from_utf8(&entry.path).unwrap(),
            "no property list",
        );
    });
    let (_dir, _, situation) = situation(&spec);
    assert_eq!(situation.facts.device.ade, AdeState::Unknown);
    assert!(situation.facts.device.cloud_configuration);
}

/// The caller's rules come first, and none of them brings back what management leaves out.
#[test]
fn no_rule_of_the_caller_overrules_management() {
    let (_dir, backup, mut situation) = situation(&managed::byod_encrypted());
    situation.policy.target.identity.serial = Some("OTHER00001".into());
    let plan = plan(&situation);
    let leave_out = plan.leave_out(None).unwrap();
    let select = StagingSelect { rules: &Everything, leave_out: &leave_out };
    let rows = StagingRows::of(&backup, &select, &leave_out);
    assert!(rows.left_out.len() > 5);
    assert!(rows.left_out.iter().all(|row| row.requirement.to_string().starts_with("001-")));
    let rules = bkp_policy::Rules::builder().include("HomeDomain:**").build().unwrap();
    let select = StagingSelect { rules: &rules, leave_out: &leave_out };
    let kept: Vec<_> = backup
        .catalog()
        .records()
        .flatten()
        .filter(|record| select.judge(record.as_ref()).is_keep())
        .map(|record| record.as_ref().to_string())
        .collect();
    assert!(kept.iter().all(|name| name.starts_with("HomeDomain:")) && !kept.is_empty());
    assert!(!kept.iter().any(|name| name.ends_with("PayloadManifest.plist")), "{kept:?}");
    // What the caller's rules leave out is theirs.
    let rows = StagingRows::of(&backup, &select, &leave_out);
    assert!(rows.left_out.iter().all(|row| row.domain.as_bytes() == b"HomeDomain"));
}

#[test]
fn what_is_given_is_read_and_what_is_not_usable_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        fs::write(dir.path().join(name), content).unwrap();
        dir.path().join(name)
    };
    let plist =
        |body: &str| format!("<?xml version=\"1.0\"?><plist version=\"1.0\">{body}</plist>");
    file(
        "answer.plist",
        &plist(
            "<dict><key>ManagedApplicationList</key><dict><key>com.example.a</key><dict>\
             <key>Status</key><string>Managed</string><key>ManagementFlags</key><integer>4</integer>\
             </dict></dict></dict>",
        ),
    );
    file(
        "books.mobileconfig",
        &plist(
            "<dict><key>PayloadType</key><string>Configuration</string><key>PayloadContent</key>\
             <array><dict><key>PayloadType</key><string>com.apple.applicationaccess</string>\
             <key>allowEnterpriseBookBackup</key><false/></dict></array></dict>",
        ),
    );
    let policy = file(
        "policy.toml",
        "managed_application_list = \"answer.plist\"\nprofiles = [\"books.mobileconfig\"]\n\
         [target]\nserial = \"F2LXXXXXXXXX\"\nios = \"18.5\"",
    );
    let files = GivenFiles {
        policy: Some(&policy),
        target_serial: Some("f2lxxxxxxxxx"),
        target_ios: Some("26.4"),
        ..GivenFiles::default()
    };
    let given = Given::read(&files).unwrap();
    assert_eq!(given.managed_applications.unwrap().apps.len(), 1);
    assert_eq!(given.profile_restrictions.allow_enterprise_book_backup, Some(false));
    assert_eq!(given.policy.target.ios.unwrap().to_string(), "26.4");

    let broken = file("broken.toml", "[target]\nserial = \"F2LXXXXXXXXX\"\nseriall = 1");
    let files = |policy| GivenFiles { policy: Some(policy), ..GivenFiles::default() };
    match Given::read(&files(&broken)) {
        Err(GivenError::Policy(PolicyError::PolicyKey { line, key, .. })) => {
            assert_eq!((line, &*key), (3, "target.seriall"));
        }
        other => panic!("{other:?}"),
    }
    let missing = dir.path().join("missing.toml");
    assert!(matches!(Given::read(&files(&missing)), Err(GivenError::Read { .. })));
    let other = GivenFiles { target_serial: Some("OTHER00001"), ..files(&policy) };
    assert!(matches!(
        Given::read(&other),
        Err(GivenError::Policy(PolicyError::OtherTarget { .. }))
    ));
    let bomb = file("bomb.plist", "<plist><array>");
    let given = GivenFiles { managed_applications: Some(&bomb), ..GivenFiles::default() };
    assert!(matches!(Given::read(&given), Err(GivenError::Plist { .. })));
    let given = GivenFiles { target_ios: Some("19"), ..GivenFiles::default() };
    assert!(matches!(Given::read(&given), Err(GivenError::Version(_))));
}

#[test]
fn a_record_beside_a_backup_names_its_device() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("bundle");
    fs::create_dir(&bundle).unwrap();
    assert_eq!(staged_for(&bundle).unwrap(), None);
    let record = dir.path().join("bundle.bkp-run.json");
    fs::write(&record, "{\"schema_version\":1,\"left_out\":[{\"x\":[1,2]}]}").unwrap();
    assert_eq!(staged_for(&bundle).unwrap(), None);
    fs::write(&record, "{\"x\":[{}],\"staging\":{\"target_serial\":\"A\",\"new\":1}}").unwrap();
    assert_eq!(staged_for(&bundle).unwrap().unwrap().target_serial, "A");
    // Also through a link to the folder.
    std::os::unix::fs::symlink("bundle", dir.path().join("link")).unwrap();
    assert!(staged_for(&dir.path().join("link")).unwrap().is_some());
    for bad in ["", "{", "{\"staging\":{}}", "{\"staging\":\"A\"}", "[]x"] {
        fs::write(&record, bad).unwrap();
        assert!(staged_for(&bundle).is_err(), "{bad}");
    }
    fs::remove_file(&record).unwrap();
    fs::create_dir(&record).unwrap();
    assert!(staged_for(&bundle).is_err());
}
