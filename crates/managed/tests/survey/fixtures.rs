//! Every synthetic bundle gives exactly its expectation.

use bkp_core::Fault as _;
use bkp_managed::{
    Basis, EnrolmentKind, Home, RestrictionSource, StateKind, Survey, survey_opened,
};
use bkp_testkit::managed::{self, Expectation};
use bkp_testkit::{BundleSpec, ManifestKind};

use crate::written;

fn survey(spec: &BundleSpec) -> Survey {
    survey_opened(&written(spec).1).unwrap()
}

/// Says what a survey found in the words of an expectation.
fn found(survey: &Survey) -> Expectation {
    let word = |value: &str| -> &'static str { String::from(value).leak() };
    let exposures = survey.exposures.iter().map(|exposure| {
        let json = serde_json::to_value(exposure.kind).unwrap();
        word(json.as_str().unwrap())
    });
    let apps = survey.managed_apps.iter().flatten();
    Expectation {
        enrolment: survey.enrolment.kind.name(),
        enrolled: survey.enrolment.enrolled,
        supervised: survey.supervised,
        in_backup: survey.enrolment.in_backup,
        hardware_bound: survey.enrolment.identity_hardware_bound,
        profiles: survey
            .installed()
            .filter_map(|profile| profile.identifier.as_deref().map(word))
            .collect(),
        managed_apps: apps.map(|app| (word(&app.bundle_id), app.flags.unwrap_or(-1))).collect(),
        books: survey.books.count,
        book_backup: survey.books.backup_allowed,
        forced_encryption: survey.restriction("forceEncryptedBackup"),
        exposures: exposures.collect(),
        udid_conflict: survey.identity.udid_conflict,
        serial_conflict: survey.identity.serial_conflict,
        problems: survey.problems.iter().map(|problem| problem.code()).collect(),
    }
}

#[test]
fn every_fixture_gives_its_expectation() {
    for case in managed::all() {
        let survey = survey(&case.spec);
        assert_eq!(found(&survey), case.expected, "{}: {:#?}", case.name, survey.problems);
        assert_eq!(survey.basis, Basis::Contents);
        // It can be told to machines.
        serde_json::to_string(&survey).unwrap();
    }
}

#[test]
fn a_profile_is_told_in_full() {
    let survey = survey(&managed::ade());
    let profile = survey.installed().find(|p| p.identifier.as_deref() == Some(managed::WIFI));
    let profile = profile.unwrap();
    assert_eq!((profile.scope, profile.read), (Home::System, true));
    assert_eq!(profile.display_name.as_deref(), Some("Example Network"));
    assert_eq!(profile.organization.as_deref(), Some("Example Organisation"));
    assert_eq!(profile.installed_by_mdm, Some(true));
    assert_eq!(profile.installed_interactively, Some(false));
    assert_eq!(profile.managing_profile.as_deref(), Some(managed::ENROLMENT));
    assert_eq!(profile.removable, Some(true));
    assert_eq!(profile.install_date.unwrap().0, 1_709_287_200);
    assert_eq!(profile.certificate_expiry.unwrap().0, 1_740_823_200);
    assert_eq!(profile.signer_certificates, 1);
    assert_eq!(
        profile.payload_types(),
        [
            "com.apple.wifi.managed",
            "com.apple.security.root",
            "com.apple.webClip.managed",
            "com.apple.font"
        ]
    );
    let brings: Vec<_> = profile.payloads.iter().map(|p| p.brings.as_deref().unwrap()).collect();
    assert_eq!(brings, ["example-net", "example-root.cer", "Example Desk", "Example Sans"]);

    let enrolment = survey.enrolment_profile().unwrap();
    assert_eq!(enrolment.removable, Some(false));
    assert_eq!(enrolment.installed_by_mdm, Some(false));
    let mdm = enrolment.mdm().unwrap();
    assert_eq!(mdm.server_url.as_deref(), Some("https://mdm.example.org/mdm"));
    assert_eq!(mdm.access_rights, Some(8191));
    // The payload that the enrolment names, whatever the case of its UUID.
    let identity = enrolment.mdm_identity().unwrap();
    assert_eq!(identity.payload_type.as_deref(), Some("com.apple.security.scep"));

    let restriction = &survey.restrictions[0];
    assert_eq!(survey.restrictions.len(), 1);
    assert_eq!(restriction.source, RestrictionSource::ProfileTruth);
    assert_eq!(restriction.set_by, [managed::ENROLMENT]);
    let cloud = survey.cloud.as_ref().unwrap();
    assert_eq!(cloud.organization_name.as_deref(), Some("Example Organisation"));
    assert_eq!(cloud.skip_setup, ["Restore"]);
    assert_eq!((cloud.is_mandatory, cloud.is_mdm_unremovable), (Some(true), Some(true)));
    assert_eq!(survey.enrolment.server_url.as_deref(), Some("https://mdm.example.org/mdm"));
    let evidence = &survey.enrolment.evidence;
    assert!(evidence.iter().any(|e| e.says.contains("ConfigurationSource is 1")), "{evidence:?}");
}

#[test]
fn an_account_driven_enrolment_is_of_the_user() {
    let survey = survey(&managed::account_driven());
    assert_eq!(survey.enrolment_profile().unwrap().scope, Home::User);
    let record = survey.mdm.as_ref().unwrap();
    assert_eq!((record.user_enrollment, record.has_identity_reference), (Some(true), true));
    assert_eq!(survey.dates.last_polling_success.unwrap().0, 1_709_287_200 + 86_400);
    // The push magic is a secret and is told nowhere.
    assert!(!serde_json::to_string(&survey).unwrap().contains("PUSH-MAGIC"));
    assert!(!format!("{survey:?}").contains("PUSH-MAGIC"));
}

#[test]
fn listed_profiles_know_their_stubs() {
    let survey = survey(&managed::byod_unencrypted());
    let listed: Vec<_> = survey
        .listed_profiles
        .iter()
        .map(|listed| (&*listed.identifier, listed.hidden, listed.has_stub))
        .collect();
    assert_eq!(
        listed,
        [
            (managed::WIFI, false, true),
            (managed::OWN, false, true),
            (managed::ENROLMENT, true, false)
        ]
    );
    assert_eq!(survey.enrolment.profile.as_deref(), Some(managed::ENROLMENT));
}

#[test]
fn near_misses_are_no_files_of_management() {
    let (plain, near) = (survey(&managed::none()), survey(&managed::near_misses()));
    assert_eq!(plain.files, near.files);
    assert!(plain.profiles.is_empty() && near.profiles.is_empty());
    assert_eq!(near.books.files, 0);
}

/// Without the password, an old catalog tells by names alone that there are profiles.
#[test]
fn names_alone() {
    let old = |spec: BundleSpec| {
        spec.with(|spec| {
            spec.manifest = ManifestKind::Mbdb;
            spec.keybag.version = 3;
            if let Some(encryption) = &mut spec.encryption {
                encryption.dpic = None;
            }
        })
    };
    let dir = tempfile::tempdir().unwrap();
    old(managed::ade()).write(dir.path()).unwrap();
    let survey = survey_opened(&crate::open(dir.path(), None)).unwrap();
    assert_eq!(survey.basis, Basis::Names);
    assert_eq!(survey.enrolment.kind, EnrolmentKind::Unknown);
    assert_eq!((survey.enrolment.enrolled, survey.supervised), (None, None));
    assert_eq!(survey.profiles.len(), 3);
    assert!(survey.profiles.iter().all(|p| !p.read && p.file.kind == StateKind::ProfileStub));
    assert!(survey.problems.is_empty());
    // And where not even names can be read, there is nothing to tell.
    let dir = tempfile::tempdir().unwrap();
    managed::ade().write(dir.path()).unwrap();
    assert!(survey_opened(&crate::open(dir.path(), None)).is_none());
}
