//! Real bundles of phones in no organisation, and real profiles: where the folder is at hand that
//! `BKP_SHARED_DATA` names.

use std::path::PathBuf;

use bkp_core::{Fault as _, Severity};
use bkp_managed::{Basis, EnrolmentKind, survey_apps, survey_opened};
use bkp_testkit::{EntrySpec, managed};

use crate::{open, written};

fn data() -> Option<PathBuf> {
    let data = std::env::var_os("BKP_SHARED_DATA").map(PathBuf::from);
    if data.is_none() {
        println!("skipped: BKP_SHARED_DATA is not set");
    }
    data
}

#[test]
fn real_phones_are_not_managed() {
    let Some(data) = data() else { return };
    for (name, password, supervised) in [
        ("ios13.3-unencrypted", None, Some(false)),
        ("ios9.3-encrypted-mbdb", Some("20201225"), Some(false)),
        ("thirdparty-9.0.1-encrypted-mbdb", Some("0000"), None),
    ] {
        let opened = open(&data.join("bundles").join(name), password);
        let survey = survey_opened(&opened).unwrap();
        println!("{name}: {survey:#?}");
        assert_eq!(survey.basis, Basis::Contents, "{name}");
        assert_eq!(survey.enrolment.kind, EnrolmentKind::None, "{name}");
        assert_eq!(survey.enrolment.enrolled, Some(false), "{name}");
        assert_eq!(survey.supervised, supervised, "{name}");
        assert!(survey.profiles.is_empty() && survey.listed_profiles.is_empty(), "{name}");
        assert!(survey.managed_apps.is_none() && survey.mdm.is_none(), "{name}");
        assert!(survey.restrictions.is_empty(), "{name}: {:?}", survey.restrictions);
        assert_eq!(survey.books.count, 0, "{name}");
        let lost = survey.problems.iter().filter(|p| p.severity() > Severity::Notice);
        assert_eq!(lost.count(), 0, "{name}: {:?}", survey.problems);
        let apps = survey_apps(&opened, &[], None).unwrap();
        assert!(apps.apps.iter().all(|app| app.managed.is_none()), "{name}");
        assert!(!apps.apps.iter().any(|app| app.managed_configuration == Some(true)), "{name}");
    }
}

/// The unencrypted one holds a list of Wi-Fi networks, and nothing else that it should not.
#[test]
fn a_real_unencrypted_backup_is_audited() {
    let Some(data) = data() else { return };
    let opened = open(&data.join("bundles/ios13.3-unencrypted"), None);
    let exposures = bkp_managed::audit(&opened);
    assert_eq!(exposures.len(), 1, "{exposures:?}");
    assert_eq!(
        exposures[0].first,
        "SystemPreferencesDomain:SystemConfiguration/com.apple.wifi.plist"
    );
}

#[test]
fn plug_ins_of_a_real_phone_have_their_apps() {
    let Some(data) = data() else { return };
    let opened = open(&data.join("bundles/ios13.3-unencrypted"), None);
    let apps = survey_apps(&opened, &[], None).unwrap();
    let owned: usize = apps.apps.iter().map(|app| app.plugins.len()).sum();
    println!("{} apps, {owned} plug-ins, {} of none", apps.apps.len(), apps.orphan_plugins.len());
    let maps = apps.apps.iter().find(|app| app.bundle_id == "com.apple.Maps").unwrap();
    let plugin = "com.apple.Maps.MapsSpotlightIndexExtension";
    assert!(maps.plugins.iter().any(|found| found.bundle_id == plugin));
    assert!(!apps.groups.is_empty());
}

/// Public profiles, as they would lie in the store: one of an enrolment, one that is not signed,
/// one in an envelope.
#[test]
fn real_profiles() {
    let Some(data) = data() else { return };
    let spec = managed::none().with(|spec| {
        for name in ["mdm-enroll", "dns-unsigned", "dns-signed"] {
            let file = data.join("profiles").join(format!("{name}.mobileconfig"));
            let (domain, folder) = (
                "SysSharedContainerDomain-systemgroup.com.apple.configurationprofiles",
                "Library/ConfigurationProfiles",
            );
            let path = format!("{folder}/profile-{name}.stub");
            spec.entries.push(EntrySpec::file(domain, path, std::fs::read(file).unwrap()));
        }
    });
    let survey = survey_opened(&written(&spec).1).unwrap();
    assert_eq!(survey.profiles.len(), 3);
    let enrolment = survey.enrolment_profile().unwrap();
    assert_eq!(enrolment.identifier.as_deref(), Some("com.github.micromdm.nanomdm"));
    assert_eq!(enrolment.payload_types(), ["com.apple.security.scep", "com.apple.mdm"]);
    let identity = enrolment.mdm_identity().unwrap();
    assert_eq!(identity.payload_type.as_deref(), Some("com.apple.security.scep"));
    assert_eq!(survey.enrolment.kind, EnrolmentKind::Profile);
    let dns = &survey.profiles[1];
    assert!(dns.read && !dns.payloads.is_empty());
    let codes: Vec<_> = survey.problems.iter().map(|problem| problem.code()).collect();
    assert!(codes.contains(&"signed-profile") && !survey.profiles[2].read, "{codes:?}");
}
