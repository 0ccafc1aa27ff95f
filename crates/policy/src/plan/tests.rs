//! One test for each statement on which a plan can act, named after it.

use bkp_core::{Domain, Entry, EntryKind, RelPath, Select as _};

use super::{
    AdeState, Decision, Enrolment, Plan, ProfileFacts, Refusal, Situation, StagedFor, Subject, plan,
};
use crate::Ground;
use crate::apps::{AppFacts, AppFlags, AppRule, AppStatement, Signal};
use crate::identity::tests_support::source;
use crate::identity::{Identity, UnknownReason};
use crate::mdm_answers::ManagedApplicationList;
use crate::mobileconfig::Acme;
use crate::policy_file::{PolicyFile, Server};
use crate::tables::{AppType, Assignment, EnrolmentCase, Fate, Placeholder};

const SAME: &str = "TESTKIT00001";
const OTHER: &str = "ZZTARGET9999";
const D1: &str = "SysSharedContainerDomain-systemgroup.com.apple.configurationprofiles";
/// 2027-01-31, UTC.
const NOW: i64 = 1_801_353_600;
const DAY: i64 = 86_400;

/// An encrypted backup of a device that is enrolled so, with an enrolment profile and another.
fn enrolled(enrolment: Enrolment, target: &str) -> Situation {
    let mut situation = Situation::default();
    situation.facts.source = source();
    situation.facts.encrypted = true;
    situation.facts.made = Some(NOW - DAY);
    situation.restore_at = Some(NOW);
    let device = &mut situation.facts.device;
    device.enrolment = enrolment;
    device.supervised = Some(enrolment == Enrolment::Ade);
    device.ade = if enrolment == Enrolment::Ade { AdeState::Yes } else { AdeState::No };
    device.cloud_configuration = true;
    device.profiles =
        vec![ProfileFacts { identifier: "com.example.wifi".into(), ..ProfileFacts::default() }];
    if enrolment != Enrolment::None {
        device.profiles.push(ProfileFacts {
            identifier: "com.example.mdm".into(),
            is_enrolment: true,
            ..ProfileFacts::default()
        });
    }
    situation.policy.target.identity.serial = Some(target.into());
    situation
}

fn with_app(mut situation: Situation, id: &str, bits: u64) -> Situation {
    situation.facts.apps.push(AppFacts {
        installed: true,
        statements: vec![AppStatement {
            signal: Signal::MdmAppManagement,
            managed: Some(true),
            flags: Some(AppFlags::from_bits(bits)),
        }],
        ..AppFacts::new(id)
    });
    situation
}

fn about<'p>(plan: &'p Plan, subject: &Subject) -> &'p Decision {
    plan.decisions().iter().find(|decision| decision.subject == *subject).unwrap()
}

/// Management configuration, enrolment profile and other profiles, after the restore.
fn fates(plan: &Plan) -> [Fate; 3] {
    [Subject::ManagementConfiguration, Subject::EnrolmentProfile, Subject::OtherProfiles]
        .map(|subject| about(plan, &subject).after_restore)
}

fn in_copy(plan: &Plan) -> [Fate; 3] {
    [Subject::ManagementConfiguration, Subject::EnrolmentProfile, Subject::OtherProfiles]
        .map(|subject| about(plan, &subject).in_copy)
}

fn note<'p>(plan: &'p Plan, name: &str) -> Option<&'p str> {
    plan.notes().iter().find(|note| note.name == name).map(|note| &*note.text)
}

fn rests_on(decision: &Decision, id: &str) -> bool {
    decision.grounds.iter().any(|ground| ground.to_string() == id)
}

fn keeps(leave_out: &crate::LeaveOut<'_>, domain: &str, path: &str) -> bool {
    let (domain, path) = (Domain::new(domain).unwrap(), RelPath::new(path).unwrap());
    leave_out.judge(&Entry::derive(domain, path, EntryKind::File)).is_keep()
}

const STUB: &str = "Library/ConfigurationProfiles/profile-x.stub";

use Fate::{Absent, Kept, ManagedStripped, Open, Stripped};

#[test]
fn s000_3_s001_25_a_new_device_of_abm_runs_ade_whatever_the_old_enrolment() {
    for (enrolment, server, old) in [
        (Enrolment::Profile, Server::Intune, "Intune BYOD"),
        (Enrolment::Profile, Server::Other, "another MDM"),
        (Enrolment::Ade, Server::Other, "another MDM"),
    ] {
        let mut situation = enrolled(enrolment, OTHER);
        situation.facts.device.server = Some(server);
        situation.policy.target.in_abm = Some(true);
        situation.policy.target.mdm_assigned = Some(true);
        let plan = plan(&situation);
        assert_eq!(fates(&plan), [Stripped; 3]);
        assert!(note(&plan, "new-ade-device").unwrap().contains(old));
        let target: Vec<_> = plan.notes().iter().filter(|note| note.name == "target").collect();
        assert_eq!(target.len(), 1);
        assert!(target[0].text.contains("downloads and applies"));
    }
}

#[test]
fn s001_25_what_abm_says_is_asked_for_and_all_answers_are_shown() {
    for (in_abm, assigned, rows) in [
        (None, None, 3),
        (Some(true), None, 2),
        (Some(true), Some(false), 1),
        (Some(false), None, 1),
    ] {
        let mut situation = enrolled(Enrolment::Ade, OTHER);
        situation.policy.target.in_abm = in_abm;
        situation.policy.target.mdm_assigned = assigned;
        let plan = plan(&situation);
        let shown = plan.notes().iter().filter(|note| note.name == "target").count();
        assert_eq!(shown, rows, "{in_abm:?} {assigned:?}");
    }
}

#[test]
fn s000_4_an_old_backup_is_told_with_its_age() {
    for (days, told) in [(0, false), (13, false), (14, true), (200, true)] {
        let mut situation = enrolled(Enrolment::Ade, SAME);
        situation.facts.made = Some(NOW - days * DAY);
        let plan = plan(&situation);
        assert_eq!(note(&plan, "old-backup").is_some(), told, "{days}");
        if told {
            assert!(note(&plan, "old-backup").unwrap().contains(&format!("{days} days")));
        }
    }
}

#[test]
fn s000_5_s001_19_same_device_keeps_everything_and_the_server_decides() {
    let mut situation = with_app(enrolled(Enrolment::Ade, SAME), "com.example.a", 5);
    situation.facts.managed_books = 3;
    situation.policy.restrictions.allow_enterprise_book_backup = Some(false);
    situation.policy.restrictions.allow_managed_app_backup = Some(false);
    let plan = plan(&situation);
    assert_eq!(in_copy(&plan), [Kept; 3]);
    assert!(plan.decisions().iter().all(|decision| decision.in_copy == Kept));
    // No answer of the server is known: both branches are told.
    assert_eq!(fates(&plan), [Kept, Open, Kept]);
    assert!(["offline", "accepted", "rejected"].iter().all(|name| note(&plan, name).is_some()));
    assert!(plan.apps().domains.is_empty());
    assert!(plan.apps().apps.iter().all(|app| app.left_out.is_none()));
    // No policy leaves anything out.
    let leave_out = plan.leave_out(Some("replacement")).unwrap();
    assert!(leave_out.keeps_everything());
    assert!(keeps(&leave_out, D1, STUB));
    assert!(keeps(&leave_out, "AppDomain-com.example.a", "x"));
    assert!(keeps(&leave_out, "BooksDomain", "Managed/x.epub"));
    // With the server's consent all of it stays.
    situation.policy.mdm.accepts_checkin = Some(true);
    assert_eq!(fates(&super::plan(&situation)), [Kept; 3]);
}

#[test]
fn s000_6_s001_20_a_refused_or_retired_device_loses_its_enrolment() {
    for retired in [false, true] {
        let situation = with_app(enrolled(Enrolment::Profile, SAME), "com.example.a", 1);
        let mut situation = with_app(situation, "com.example.stays", 0);
        if retired {
            situation.policy.mdm.retired = Some(true);
        } else {
            situation.policy.mdm.accepts_checkin = Some(false);
        }
        let plan = plan(&situation);
        assert_eq!(fates(&plan), [Kept, Stripped, ManagedStripped]);
        assert!(rests_on(about(&plan, &Subject::EnrolmentProfile), "001-20"));
        let app = about(&plan, &Subject::App("com.example.a".into()));
        assert_eq!((app.in_copy, app.after_restore), (Kept, Stripped));
        assert!(rests_on(app, "001-20"));
        let stays = about(&plan, &Subject::App("com.example.stays".into()));
        assert_eq!((stays.in_copy, stays.after_restore), (Kept, Kept));
    }
}

#[test]
fn s000_7_s000_8_an_expired_certificate_is_told_with_intunes_table() {
    for (case, server, words) in [
        (Enrolment::Profile, Server::Intune, "old management profile"),
        (Enrolment::Ade, Server::Other, "comes back with ADE"),
        (Enrolment::None, Server::Other, "no MDM"),
    ] {
        for (expires, told) in [(NOW - 1, true), (NOW, true), (NOW + 1, false)] {
            let mut situation = enrolled(case, SAME);
            situation.facts.device.server = Some(server);
            situation.policy.mdm.certificate_expires = Some(expires);
            let plan = plan(&situation);
            let found = note(&plan, "intune-expired-certificate");
            assert_eq!(found.is_some(), told, "{case:?} {expires}");
            assert!(!told || found.unwrap().contains(words), "{found:?}");
            // The state of the backup comes back; check-in fails afterwards.
            assert_eq!(fates(&plan)[0], Kept);
        }
    }
    // What the enrolment profile itself says counts where nothing else is said.
    let mut situation = enrolled(Enrolment::Profile, SAME);
    situation.facts.device.profiles[1].certificate_expires = Some(NOW - 5);
    assert!(note(&plan(&situation), "certificate-expired").is_some());
    situation.facts.device.profiles[1].certificate_expires = Some(NOW + 10 * DAY);
    assert!(note(&plan(&situation), "certificate-expires-soon").unwrap().contains("10 days"));
}

#[test]
fn s000_8_a_device_that_is_now_assigned_to_intune_has_two_expectations() {
    let mut situation = enrolled(Enrolment::Ade, SAME);
    situation.facts.device.server = Some(Server::Other);
    situation.policy.mdm.server = Some(Server::Intune);
    let plan = plan(&situation);
    assert_eq!(plan.case(), EnrolmentCase::ReassignedToIntune);
    assert_eq!(plan.scenario().unwrap().number, 5);
    let decision = about(&plan, &Subject::ManagementConfiguration);
    assert_eq!(decision.conflicts[0].number, 4);
}

#[test]
fn s000_9_another_serial_number_is_another_device() {
    assert!(matches!(plan(&enrolled(Enrolment::Ade, SAME)).identity(), Identity::Same(_)));
    assert!(matches!(plan(&enrolled(Enrolment::Ade, OTHER)).identity(), Identity::Different(_)));
    let slip = plan(&enrolled(Enrolment::Ade, "TESTKIT00002"));
    assert!(note(&slip, "serials-alike").is_some());
    let mut certain = enrolled(Enrolment::Ade, "TESTKIT00002");
    certain.policy.target.identity.udid = Some("00008030-001A2B3C4D5E6F70".into());
    assert!(note(&plan(&certain), "serials-alike").is_none());
}

#[test]
fn s001_8_what_a_profile_brought_is_named() {
    let mut situation = enrolled(Enrolment::Profile, OTHER);
    situation.facts.device.profiles[0].brought = vec!["font Example Sans".into()];
    let different = plan(&situation);
    assert!(note(&different, "brought-by-profile").unwrap().contains("Example Sans"));
    situation.policy.target.identity.serial = Some(SAME.into());
    assert!(note(&plan(&situation), "brought-by-profile").is_none());
}

#[test]
fn s001_9_a_copy_with_profiles_stays_encrypted() {
    let same = enrolled(Enrolment::Profile, SAME);
    assert!(plan(&same).stays_encrypted());
    assert_eq!(same.decrypt_warning().unwrap().name, "stays-encrypted");
    // Profiles go, so nothing asks for encryption but a restriction.
    let mut different = enrolled(Enrolment::Profile, OTHER);
    assert!(!plan(&different).stays_encrypted());
    different.profile_restrictions.force_encrypted_backup = Some(true);
    assert!(plan(&different).stays_encrypted());
    let mut none = enrolled(Enrolment::None, SAME);
    none.facts.device.profiles.clear();
    assert!(!plan(&none).stays_encrypted() && none.decrypt_warning().is_none());
    none.facts.encrypted = false;
    none.facts.device.restrictions.force_encrypted_backup = Some(true);
    assert!(note(&plan(&none), "encryption-was-forced").is_some());
}

#[test]
fn s001_10_a_shared_ipad_is_refused() {
    for target in [SAME, OTHER] {
        let plan = plan(&enrolled(Enrolment::SharedIpad, target));
        assert_eq!(plan.refusal(), Some(&Refusal::SharedIpad));
        assert_eq!(plan.leave_out(Some("x")).unwrap_err().code(), "shared-ipad");
        assert_eq!(plan.scenario().unwrap().number, 17);
        assert!(plan.decisions().is_empty());
    }
}

#[test]
fn s001_11_an_unencrypted_backup_has_no_enrolment_profile() {
    for (enrolment, number) in [(Enrolment::Profile, 3), (Enrolment::Ade, 8)] {
        let mut situation = enrolled(enrolment, SAME);
        situation.facts.encrypted = false;
        situation.facts.device.profiles.pop();
        let clean = plan(&situation);
        assert_eq!(clean.scenario().unwrap().number, number);
        assert_eq!(fates(&clean), [Kept, Absent, Kept]);
        assert!(note(&clean, "enrolment-profile-unencrypted").is_none());
        assert!(note(&clean, "unencrypted").is_some());
        situation.facts.device.profiles[0].is_enrolment = true;
        assert!(note(&plan(&situation), "enrolment-profile-unencrypted").is_some());
    }
}

#[test]
fn s001_12_s001_16_books_go_when_their_backup_is_disallowed() {
    for (policy, profile, backup, left_out) in [
        (None, None, None, false),
        (Some(false), None, None, true),
        (None, Some(false), None, true),
        (None, None, Some(false), true),
        (Some(true), Some(false), Some(false), false),
        (Some(false), Some(true), None, true),
    ] {
        let mut situation = enrolled(Enrolment::Profile, OTHER);
        situation.facts.managed_books = 1;
        situation.policy.restrictions.allow_enterprise_book_backup = policy;
        situation.profile_restrictions.allow_enterprise_book_backup = profile;
        situation.facts.device.restrictions.allow_enterprise_book_backup = backup;
        let plan = plan(&situation);
        let fate = if left_out { Stripped } else { Kept };
        let books = about(&plan, &Subject::Books);
        assert_eq!((books.in_copy, books.after_restore), (fate, fate));
        let leave_out = plan.leave_out(None).unwrap();
        assert_eq!(keeps(&leave_out, "BooksDomain", "Managed/x.epub"), !left_out);
        // A filter by policy does the same, and touches no profile.
        let filter = situation.filter().leave_out;
        assert_eq!(keeps(&filter, "BooksDomain", "Managed/x.epub"), !left_out);
        assert!(keeps(&filter, D1, STUB));
    }
}

#[test]
fn s001_13_s001_26_apps_by_flag_on_another_device() {
    for (bits, rule) in [
        (0, None),
        (1, Some(AppRule::RemoveOnUnenrol)),
        (4, Some(AppRule::NoBackup)),
        (5, Some(AppRule::NoBackup)),
    ] {
        let situation = with_app(enrolled(Enrolment::Profile, OTHER), "com.example.a", bits);
        let plan = plan(&situation);
        assert_eq!(plan.apps().apps[0].left_out, rule);
        let app = about(&plan, &Subject::App("com.example.a".into()));
        let fate = if rule.is_some() { Stripped } else { Kept };
        assert_eq!((app.in_copy, app.after_restore), (fate, fate), "{bits}");
        let leave_out = plan.leave_out(None).unwrap();
        assert_eq!(keeps(&leave_out, "AppDomain-com.example.a", "x"), rule.is_none());
    }
}

#[test]
fn s001_14_s001_17_s001_27_account_driven_enrolments_enrol_again() {
    for (target, others) in [(SAME, ManagedStripped), (OTHER, Stripped)] {
        let plan = plan(&enrolled(Enrolment::AccountDriven, target));
        let enrolment = about(&plan, &Subject::EnrolmentProfile);
        assert_eq!(enrolment.after_restore, Stripped);
        assert_eq!(about(&plan, &Subject::OtherProfiles).after_restore, others);
        let step = about(&plan, &Subject::ManagementConfiguration).next_steps[0];
        assert!(step.contains("same Managed Apple Account"), "{step}");
        assert!(note(&plan, "account-driven").is_some());
    }
}

#[test]
fn s001_15_s001_22_the_app_itself_must_be_installed_and_may_show_a_placeholder() {
    let plan = plan(&with_app(enrolled(Enrolment::Profile, SAME), "com.example.a", 0));
    let app = about(&plan, &Subject::App("com.example.a".into()));
    assert_eq!(app.placeholder, Some(Placeholder::Possible));
    assert!(app.next_steps.iter().any(|step| step.starts_with("Install the app")));
    assert!(rests_on(app, "001-15") && rests_on(app, "001-22"));
}

#[test]
fn s001_18_a_new_passcode_after_any_restore() {
    for target in [SAME, OTHER] {
        assert!(note(&plan(&enrolled(Enrolment::None, target)), "new-passcode").is_some());
    }
}

#[test]
fn s001_21_a_hardware_bound_identity_ends_the_enrolment() {
    let mut situation = enrolled(Enrolment::Ade, SAME);
    situation.policy.mdm.accepts_checkin = Some(true);
    situation.facts.device.profiles[1].acme = Acme::MdmIdentity;
    let identity = plan(&situation);
    // The cloud configuration goes as well, so that ADE runs again.
    assert_eq!(fates(&identity), [Stripped, Stripped, ManagedStripped]);
    assert!(rests_on(about(&identity, &Subject::EnrolmentProfile), "001-21"));
    assert_eq!(in_copy(&identity), [Kept; 3]);
    situation.facts.device.profiles[1].acme = Acme::None;
    situation.facts.device.profiles[0].acme = Acme::Elsewhere;
    assert_eq!(fates(&plan(&situation)), [Kept, Kept, Open]);
    let mut byod = enrolled(Enrolment::Profile, SAME);
    byod.facts.device.profiles[1].acme = Acme::MdmIdentity;
    assert_eq!(fates(&plan(&byod)), [Kept, Stripped, ManagedStripped]);
}

#[test]
fn s001_23_employee_plans_enrol_again() {
    let mut situation = enrolled(Enrolment::Ade, SAME);
    situation.policy.mdm.employee_plan = Some(true);
    let plan = plan(&situation);
    assert_eq!(plan.scenario().unwrap().number, 9);
    let decision = about(&plan, &Subject::ManagementConfiguration);
    assert!(decision.next_steps[0].contains("Managed Apple Account"));
    assert!(rests_on(decision, "001-23"));
}

#[test]
fn s001_24_management_state_does_not_go_to_another_device() {
    for enrolment in [
        Enrolment::None,
        Enrolment::Profile,
        Enrolment::Ade,
        Enrolment::AccountDriven,
        Enrolment::Unknown,
    ] {
        let situation = enrolled(enrolment, OTHER);
        let plan = plan(&situation);
        let profile = if enrolment == Enrolment::None { Absent } else { Stripped };
        assert_eq!(fates(&plan), [Stripped, profile, Stripped], "{enrolment:?}");
        assert_eq!(in_copy(&plan), [Stripped, profile, Stripped], "{enrolment:?}");
        assert!(rests_on(about(&plan, &Subject::ManagementConfiguration), "001-24"));
        let leave_out = plan.leave_out(Some("replacement")).unwrap();
        for path in [STUB, "Library/ConfigurationProfiles/CloudConfigurationDetails.plist"] {
            assert!(!keeps(&leave_out, D1, path), "{path}");
        }
        assert!(keeps(&leave_out, D1, "Library/ConfigurationProfiles/UserSettings.plist"));
        assert!(keeps(&leave_out, "KeychainDomain", "keychain-backup.plist"));
        // A filter has no proof and leaves all of it.
        let filter = situation.filter().leave_out;
        assert!(keeps(&filter, D1, STUB) && filter.keeps_everything());
    }
}

#[test]
fn s001_24_an_uncertain_identity_is_refused_and_strips_nothing() {
    let mut missing = enrolled(Enrolment::Ade, OTHER);
    missing.policy.target.identity.serial = None;
    let mut edited = enrolled(Enrolment::Ade, OTHER);
    edited.facts.source.info_serial = Some("EDITED000001".into());
    let mut mixed = enrolled(Enrolment::Ade, OTHER);
    mixed.policy.target.identity.udid.clone_from(&mixed.facts.source.lockdown_udid);
    for (situation, reason) in [
        (missing, UnknownReason::NoTargetSerial),
        (edited, UnknownReason::SourceConflict { what: "serial numbers" }),
        (mixed, UnknownReason::Mixed { equal: "UDID" }),
    ] {
        let plan = plan(&situation);
        assert_eq!(plan.refusal(), Some(&Refusal::UnknownIdentity { source: reason }));
        assert!(plan.leave_out(Some("x")).is_err());
        assert!(plan.decisions().is_empty() && plan.apps().domains.is_empty());
        assert_eq!(plan.scenario().unwrap().number, 18);
    }
}

#[test]
fn a_source_that_is_managed_through_ade_needs_a_reason() {
    for target in [SAME, OTHER] {
        for ade in [AdeState::Yes, AdeState::Unknown] {
            let mut situation = enrolled(Enrolment::Ade, target);
            situation.facts.device.ade = ade;
            let plan = plan(&situation);
            assert!(plan.needs_reason() && plan.refusal().is_none());
            for blank in [None, Some(""), Some(" \n")] {
                assert_eq!(plan.leave_out(blank).unwrap_err(), Refusal::ReasonNeeded);
            }
            assert!(plan.leave_out(Some("lost device, ticket 1")).is_ok());
        }
    }
    assert!(plan(&enrolled(Enrolment::Profile, OTHER)).leave_out(None).is_ok());
}

#[test]
fn a_bundle_that_was_staged_for_another_target_is_refused() {
    for (staged, refused) in [(OTHER, false), ("zztarget9999 ", false), (SAME, true), ("", true)] {
        let mut situation = enrolled(Enrolment::Profile, OTHER);
        situation.staged_for = Some(StagedFor { serial: staged.into() });
        let plan = plan(&situation);
        assert_eq!(plan.refusal().is_some(), refused, "{staged}");
        assert_eq!(plan.leave_out(None).is_err(), refused);
    }
}

#[test]
fn s004_5_s004_7_s004_9_s004_10_apps_whose_backup_is_prevented() {
    for (app_type, assignment, target, icon, words) in [
        (AppType::StoreUserLicence, Assignment::Required, SAME, Placeholder::Waiting, "by itself"),
        (AppType::StoreDeviceLicence, Assignment::Required, SAME, Placeholder::Cloud, "8 hours"),
        (
            AppType::StoreDeviceLicence,
            Assignment::Required,
            OTHER,
            Placeholder::Cloud,
            "Enrolment starts the sync",
        ),
        (AppType::InHouse, Assignment::Available, OTHER, Placeholder::Cloud, "Company Portal"),
    ] {
        let mut situation = with_app(enrolled(Enrolment::Profile, target), "com.example.a", 4);
        situation.policy.mdm.prevents_app_backup = Some(true);
        let bare = plan(&situation);
        let app = about(&bare, &Subject::App("com.example.a".into()));
        assert!(app.next_steps.iter().any(|step| step.contains("State licence and assignment")));
        situation.facts.apps[0].app_type = Some(app_type);
        situation.facts.apps[0].assignment = Some(assignment);
        let plan = plan(&situation);
        let app = about(&plan, &Subject::App("com.example.a".into()));
        assert_eq!(app.placeholder, Some(icon));
        assert!(app.next_steps.iter().any(|step| step.contains(words)), "{:?}", app.next_steps);
    }
}

#[test]
fn s004_8_same_device_keeps_its_profile_and_a_new_one_enrols() {
    let of = |target| fates(&plan(&enrolled(Enrolment::Profile, target)))[1];
    assert_eq!((of(SAME), of(OTHER)), (Open, Stripped));
}

/// Versions of iOS change what is expected of the same device, and never what is left out.
#[test]
fn eras_change_predictions_only() {
    for (ios, request, expected) in [
        ("18.5", None, [Kept, Kept, Kept]),
        ("26.2", None, [Kept, Open, Kept]),
        ("26.2", Some(true), [Kept, Stripped, Kept]),
        ("26.4", None, [Kept, Open, Open]),
        ("26.4", Some(true), [Kept, Stripped, Stripped]),
        ("27.0", None, [Stripped, Stripped, Open]),
    ] {
        let mut situation = enrolled(Enrolment::Ade, SAME);
        situation.policy.mdm.accepts_checkin = Some(true);
        situation.policy.mdm.ignores_profile_from_backup = request;
        situation.policy.target.ios = Some(ios.parse().unwrap());
        let same = plan(&situation);
        assert_eq!(fates(&same), expected, "{ios} {request:?}");
        assert_eq!(in_copy(&same), [Kept; 3]);
        assert!(note(&same, "ios-version").is_some());
        situation.policy.target.identity.serial = Some(OTHER.into());
        assert_eq!(in_copy(&plan(&situation)), [Stripped; 3]);
    }
    // Both are known and say no.
    let mut situation = enrolled(Enrolment::Ade, SAME);
    situation.policy.mdm.accepts_checkin = Some(true);
    situation.policy.mdm.ignores_profile_from_backup = Some(false);
    situation.policy.mdm.server = Some(Server::Other);
    situation.policy.mdm.source_server = Some(Server::Other);
    situation.policy.target.ios = Some("26.4".parse().unwrap());
    assert_eq!(fates(&plan(&situation)), [Kept; 3]);
    // Another server has the same effect as the request.
    situation.policy.mdm.server = Some(Server::Intune);
    assert_eq!(fates(&plan(&situation)), [Kept, Stripped, Stripped]);
}

fn answer(udid: &str) -> ManagedApplicationList {
    let xml = format!(
        "<plist version=\"1.0\"><dict><key>UDID</key><string>{udid}</string>\
         <key>ManagedApplicationList</key><dict><key>com.example.a</key><dict>\
         <key>Status</key><string>Managed</string><key>ManagementFlags</key><integer>1</integer>\
         </dict></dict></dict></plist>"
    );
    let value = plist::Value::from_reader_xml(xml.as_bytes()).unwrap();
    ManagedApplicationList::from_value("x", &value).unwrap()
}

#[test]
fn an_answer_of_another_device_is_not_used() {
    for (udid, used) in
        [("00000000-0123456789abcdef", true), ("00008030-001A2B3C4D5E6F70", false), ("x", false)]
    {
        let mut situation = enrolled(Enrolment::Profile, OTHER);
        situation.managed_applications = Some(answer(udid));
        let plan = plan(&situation);
        assert_eq!(plan.apps().domains.contains_key("AppDomain-com.example.a"), used, "{udid}");
        assert_eq!(note(&plan, "foreign-answer").is_none(), used);
        assert_eq!(situation.filter().notes.is_empty(), used);
    }
}

/// With no certain identity of the backup there is nothing to compare an answer with, not even
/// one that names no device properly.
#[test]
fn an_answer_that_cannot_be_compared_is_not_used() {
    for udid in ["00000000-0123456789ABCDEF", "x"] {
        let mut situation = enrolled(Enrolment::Profile, OTHER);
        situation.facts.source.info_serial = None;
        let mut list = answer(udid);
        if let Some(app) = list.apps.values_mut().next() {
            app.flags = AppFlags::from_bits(4);
        }
        situation.managed_applications = Some(list);
        let filter = situation.filter();
        assert!(filter.leave_out.keeps_everything(), "{udid}");
        assert_eq!(filter.notes.len(), 1);
    }
}

#[test]
fn a_policy_file_drives_a_plan() {
    let text = br#"
        [target]
        serial = "ZZTARGET9999"
        [[app]]
        bundle_id = "com.example.a"
        flags = 1
        groups = ["group.shared", "group.own"]
        [[app]]
        bundle_id = "com.example.b"
        flags = 0
        groups = ["group.shared"]
    "#;
    let mut situation = enrolled(Enrolment::Profile, OTHER);
    situation.policy = PolicyFile::parse("policy.toml", text).unwrap();
    let plan = plan(&situation);
    let leave_out = plan.leave_out(None).unwrap();
    assert!(!keeps(&leave_out, "AppDomain-com.example.a", "x"));
    assert!(!keeps(&leave_out, "AppDomainGroup-group.own", "x"));
    assert!(keeps(&leave_out, "AppDomainGroup-group.shared", "x"));
    assert!(keeps(&leave_out, "AppDomain-com.example.b", "x"));
}

/// Every row of the main table is reached, and no plan panics: all combinations of what matters.
#[test]
fn all_combinations() {
    let mut rows = std::collections::BTreeSet::new();
    let yes_no = [None, Some(false), Some(true)];
    let enrolments = [
        Enrolment::None,
        Enrolment::Profile,
        Enrolment::Ade,
        Enrolment::AccountDriven,
        Enrolment::SharedIpad,
        Enrolment::Unknown,
    ];
    let servers = [None, Some(Server::Intune), Some(Server::Other)];
    for enrolment in enrolments {
        for target in [SAME, OTHER, ""] {
            for encrypted in [false, true] {
                for server in servers {
                    for supervised in yes_no {
                        for (n, accepts) in yes_no.into_iter().enumerate() {
                            let mut situation =
                                with_app(enrolled(enrolment, target), "com.example.a", 5);
                            situation.facts.encrypted = encrypted;
                            situation.facts.device.server = server;
                            situation.facts.device.supervised = supervised;
                            situation.policy.mdm.accepts_checkin = accepts;
                            situation.policy.mdm.server = Some(Server::Intune);
                            situation.policy.mdm.employee_plan = supervised;
                            let ios = ["18.0", "26.4", "27.0"][n];
                            situation.policy.target.ios = Some(ios.parse().unwrap());
                            let plan = plan(&situation);
                            rows.extend(plan.scenario().map(|row| row.number));
                            check(&plan);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(rows.into_iter().collect::<Vec<_>>(), (1..=18).collect::<Vec<_>>());
}

fn check(plan: &Plan) {
    for decision in plan.decisions() {
        assert!(!decision.grounds.is_empty(), "{decision:?}");
        let cited = decision.grounds.iter().any(|ground| matches!(ground, Ground::Requirement(_)));
        assert!(cited, "{decision:?}");
    }
    let allowed = plan.leave_out(Some("x"));
    match plan.identity() {
        Identity::Same(_) => {
            assert!(plan.decisions().iter().all(|d| matches!(d.in_copy, Kept | Absent)));
            assert!(allowed.is_ok_and(|out| out.keeps_everything()) || plan.refusal().is_some());
        }
        Identity::Different(_) => assert_eq!(allowed.is_ok(), plan.refusal().is_none()),
        Identity::Unknown(_) => assert!(allowed.is_err()),
    }
}
