//! Apps, their licences, plug-ins and groups.

use bkp_core::Fault as _;
use bkp_managed::{AppSurvey, Basis, Guess, Signal, SignalStrength, survey_apps, survey_opened};
use bkp_testkit::{BundleSpec, PlistEdit, PlistValue, cases, managed};

use crate::written;

fn apps(spec: &BundleSpec) -> AppSurvey {
    let (dir, opened) = written(spec);
    let managed = survey_opened(&opened).unwrap().managed_apps.unwrap_or_default();
    let info = std::fs::read(dir.path().join("backup/Info.plist")).unwrap();
    survey_apps(&opened, &managed, Some(&info)).unwrap()
}

#[test]
fn managed_apps_in_full() {
    let survey = apps(&managed::apps());
    assert_eq!(survey.basis, Basis::Contents);
    assert!(survey.problems.is_empty());
    let app = |id: &str| survey.apps.iter().find(|app| app.bundle_id == id).unwrap();
    let flags = |id| {
        let managed = app(id).managed.as_ref().unwrap();
        (managed.flags, managed.remove_on_unenrol, managed.no_backup, managed.removable)
    };
    let yes = Some(true);
    let no = Some(false);
    assert_eq!(flags("com.example.flag0"), (Some(0), no, no, yes));
    assert_eq!(flags("com.example.flag1"), (Some(1), yes, no, no));
    assert_eq!(flags("com.example.flag4"), (Some(4), no, yes, yes));
    assert_eq!(flags("com.example.flag5"), (Some(5), yes, yes, no));
    assert!(app("com.example.free").managed.is_none());

    for (id, signals) in [
        (
            "com.example.flag0",
            &[Signal::ManagedAppTable, Signal::DeviceLicence, Signal::ManagedConfiguration][..],
        ),
        ("com.example.flag1", &[Signal::ManagedAppTable, Signal::DeviceLicence]),
        ("com.example.flag4", &[Signal::ManagedAppTable, Signal::AccountLicence]),
        ("com.example.free", &[Signal::AccountLicence]),
        ("com.example.inhouse", &[Signal::NoStoreRecord]),
        ("com.example.notes", &[]),
    ] {
        assert_eq!(app(id).signals, signals, "{id}");
    }
    let decisive = |signal: &Signal| signal.strength() == SignalStrength::Decisive;
    assert!(app("com.example.flag1").signals.iter().any(decisive));
    assert!(!app("com.example.free").signals.iter().any(decisive));

    let flag1 = app("com.example.flag1");
    assert_eq!(flag1.plugins.len(), 1);
    assert_eq!(flag1.plugins[0].bundle_id, "com.example.flag1.widget");
    assert_eq!((flag1.plugin_data.files, flag1.plugin_data.bytes), (1, 11));
    assert_eq!((flag1.data.files, flag1.has_container, flag1.installed), (2, true, true));
    assert!(flag1.data.bytes > 200);
    let purchase = app("com.example.free").purchase.as_ref().unwrap();
    assert_eq!(purchase.account.as_deref(), Some("person@example.org"));
    assert_eq!(purchase.purchase_date.as_deref(), Some("2024-01-02T03:04:05Z"));
    assert_eq!(purchase.device_licence, Some(false));
}

#[test]
fn owners_of_groups_are_guesses() {
    let survey = apps(&managed::apps());
    let group = |id: &str| survey.groups.iter().find(|group| group.group_id == id).unwrap();
    let own = group("group.com.example.flag5");
    assert_eq!((own.owner, own.data.bytes), (Guess::Guess, 17));
    assert_eq!(own.candidates, ["com.example.flag5"]);
    // Two apps share it, and nothing in the backup says so.
    let shared = group("group.com.example.shared");
    assert_eq!((shared.owner, shared.data.bytes), (Guess::Unknown, 13));
    let app = survey.apps.iter().find(|app| app.bundle_id == "com.example.flag5").unwrap();
    assert_eq!(app.groups, ["group.com.example.flag5"]);
}

#[test]
fn without_info_plist_there_are_no_purchases() {
    let (_dir, opened) = written(&managed::apps());
    let survey = survey_apps(&opened, &[], None).unwrap();
    assert!(survey.apps.iter().all(|app| app.purchase.is_none() && app.managed.is_none()));
    assert!(survey.apps.iter().any(|app| app.bundle_id == "com.example.free"));
}

#[test]
fn a_hostile_purchase_record_costs_itself() {
    let bomb = cases::plist_bombs().into_iter().find(|bomb| bomb.name == "shared-8").unwrap();
    let record =
        |bytes: &[u8]| PlistValue::dict([("iTunesMetadata", PlistValue::Data(bytes.to_vec()))]);
    let sound = bkp_testkit::binary_plist(&PlistValue::dict([(
        "sideLoadedDeviceBasedVPP",
        PlistValue::Bool(true),
    )]));
    let spec = managed::none().with(|spec| {
        let apps = PlistValue::dict([
            ("com.example.bomb", record(&bomb.bytes)),
            ("com.example.noise", record(b"noise")),
            ("com.example.sound", record(&sound)),
        ]);
        spec.info_plist = vec![PlistEdit::Set("Applications".into(), apps)];
    });
    let survey = apps(&spec);
    let codes: Vec<_> = survey.problems.iter().map(|problem| problem.code()).collect();
    assert_eq!(codes, ["limit-exceeded", "plist-damaged"]);
    let app = survey.apps.iter().find(|app| app.bundle_id == "com.example.sound").unwrap();
    assert_eq!(app.signals, [Signal::DeviceLicence]);
}
