use std::collections::HashSet;

use bkp_core::{Domain, RelPath};

use super::{
    AUDIT, AppType, Assignment, AuditClass, CONFLICTS, ERAS, EXPIRED_CERTIFICATE, EnrolmentCase,
    FLAG_OUTCOMES, Fate, ITEMS, NEW_DEVICE, OVERLAYS, PREVENTED_BACKUP, Placeholder,
    PreventedBackup, SCENARIOS, STATEMENTS, Scenario, Side, TARGETS, WINDOWS, WindowsCapability,
    text,
};
use crate::{Era, Ground};

/// The text of all tables, as it is committed. `BKP_UPDATE_SNAPSHOTS=1` renews it.
#[test]
fn tables_are_as_they_are_committed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tables.txt");
    if std::env::var_os("BKP_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, text()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    for (number, (ours, theirs)) in text().lines().zip(committed.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {}", number + 1);
    }
    assert_eq!(text(), committed);
}

/// Every combination but one has a row; the one is an unknown enrolment on the same device.
#[test]
fn every_case_has_a_row() {
    let mut used = HashSet::new();
    for side in [Side::Same, Side::Different, Side::Unknown] {
        for case in EnrolmentCase::ALL {
            for encrypted in [false, true] {
                match Scenario::of(side, case, encrypted) {
                    Some(row) => {
                        used.insert(row.number);
                    }
                    None => assert_eq!((side, case), (Side::Same, EnrolmentCase::Unknown)),
                }
            }
        }
    }
    assert_eq!(used.len(), SCENARIOS.len());
}

#[test]
fn the_main_table_follows_its_two_rules() {
    for row in SCENARIOS {
        let fates = [row.management, row.enrolment_profile, row.other_profiles];
        match row.side {
            Side::Same => assert_eq!(row.management, Fate::Kept, "{}", row.number),
            Side::Different => {
                assert!(fates.iter().all(|f| matches!(f, Fate::Stripped | Fate::Absent)));
            }
            Side::Any | Side::Unknown => assert_eq!(fates, [Fate::Stopped; 3]),
        }
        if row.encrypted == Some(false) {
            assert_eq!(row.enrolment_profile, Fate::Absent);
        }
    }
}

#[test]
fn rows_rest_on_something_that_exists() {
    let grounds = SCENARIOS
        .iter()
        .map(|row| (row.grounds, row.conflicts))
        .chain(OVERLAYS.iter().map(|row| (row.grounds, &[][..])))
        .chain(ITEMS.iter().map(|row| (row.grounds, row.conflicts)))
        .chain(FLAG_OUTCOMES.iter().map(|row| (row.grounds, &[][..])))
        .chain(NEW_DEVICE.iter().map(|row| (row.grounds, &[][..])))
        .chain(EXPIRED_CERTIFICATE.iter().map(|row| (row.grounds, row.conflicts)))
        .chain(PREVENTED_BACKUP.iter().map(|row| (row.grounds, &[][..])))
        .chain(TARGETS.iter().map(|row| (row.grounds, &[][..])))
        .chain(ERAS.iter().map(|row| (row.grounds, row.conflicts)))
        .chain(AUDIT.iter().map(|row| (row.grounds, row.conflicts)))
        .chain(WINDOWS.iter().map(|row| (row.grounds, &[][..])));
    let mut referred = HashSet::new();
    for (grounds, conflicts) in grounds {
        assert!(!grounds.is_empty());
        for ground in grounds {
            if let Ground::Requirement(requirement) = ground {
                let known = requirement.statement().is_some() || requirement.document() == 3;
                assert!(known, "{requirement}");
            }
        }
        for number in conflicts {
            assert!(CONFLICTS.iter().any(|conflict| conflict.number == *number), "{number}");
            referred.insert(*number);
        }
    }
    referred.extend(crate::strip::STRIPPED.iter().flat_map(|rule| rule.conflicts));
    assert_eq!(referred.len(), CONFLICTS.len(), "{referred:?}");
    let numbers: Vec<_> = CONFLICTS.iter().map(|conflict| conflict.number).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
}

#[test]
fn statements_are_numbered_as_the_documents_number_them() {
    for (document, count) in [(0, 9), (1, 27), (4, 12)] {
        let items: Vec<_> = STATEMENTS
            .iter()
            .filter(|row| row.requirement.document() == document)
            .map(|row| row.requirement.item().to_owned())
            .collect();
        assert_eq!(items, (1..=count).map(|n: i32| n.to_string()).collect::<Vec<_>>());
    }
    assert_eq!(STATEMENTS.len(), 48);
}

#[test]
fn s000_3_every_old_enrolment_ends_in_the_new_ade_profile() {
    assert_eq!(NEW_DEVICE.len(), 3);
    assert!(NEW_DEVICE.iter().all(|row| row.works));
}

#[test]
fn s000_8_the_table_is_reported_with_its_conflict() {
    let ade: Vec<_> =
        EXPIRED_CERTIFICATE.iter().filter(|row| row.comes_back_with == "ADE").collect();
    assert_eq!(ade.len(), 2);
    assert!(ade.iter().all(|row| row.conflicts == [4]));
    assert!(EXPIRED_CERTIFICATE[0].comes_back_with.contains("old management profile"));
}

#[test]
fn s004_5_apps_come_back_by_type_and_assignment() {
    for (app, assignment, icon, words) in [
        (AppType::Store, Assignment::Required, Placeholder::Waiting, "by itself"),
        (AppType::Store, Assignment::Available, Placeholder::Waiting, "by itself"),
        (AppType::StoreUserLicence, Assignment::Required, Placeholder::Waiting, "by itself"),
        (AppType::StoreUserLicence, Assignment::Available, Placeholder::Waiting, "by itself"),
        (AppType::StoreDeviceLicence, Assignment::Required, Placeholder::Cloud, "8 hours"),
        (AppType::StoreDeviceLicence, Assignment::Available, Placeholder::Cloud, "Company Portal"),
        (AppType::InHouse, Assignment::Required, Placeholder::Cloud, "8 hours"),
        (AppType::InHouse, Assignment::Available, Placeholder::Cloud, "Company Portal"),
    ] {
        let row = PreventedBackup::of(app, assignment).unwrap();
        assert_eq!(row.icon, icon);
        assert!(row.same.contains(words), "{}", row.same);
    }
    assert_eq!(PREVENTED_BACKUP.len(), AppType::ALL.len() * 2);
}

#[test]
fn s004_10_a_new_device_needs_no_manual_sync() {
    for row in PREVENTED_BACKUP {
        assert!(!row.new.contains("Sync by hand"), "{}", row.new);
    }
}

#[test]
fn s001_4_classes_that_an_unencrypted_backup_should_not_have() {
    for (domain, path, class) in [
        ("KeychainDomain", "keychain-backup.plist", Some("saved passwords")),
        ("HomeDomain", "Library/CallHistoryDB/CallHistory.storedata", Some("call history")),
        ("HomeDomain", "Library/CallHistoryTransactions/x", Some("call history")),
        ("HealthDomain", "Health/healthdb_secure.sqlite", Some("health")),
        ("HealthDomain", "MedicalID/x", Some("health")),
        ("HomeDomain", "Library/Safari/History.db", Some("website history")),
        ("HomeDomain", "Library/Safari/History.db-wal", Some("website history")),
        ("SystemPreferencesDomain", "SystemConfiguration/com.apple.wifi.plist", Some("Wi-Fi")),
        ("SystemPreferencesDomain", "com.apple.wifi.known-networks.plist", Some("Wi-Fi")),
        ("HealthDomain", "Health", None),
        ("HealthDomain", "", None),
        ("HomeDomain", "Library/CallHistoryDB", None),
        ("HomeDomain", "Library/Safari/Bookmarks.db", None),
        ("HomeDomain", "Library/Safari/x/History.db", None),
        ("KeychainDomain", "TrustStore.sqlite3", None),
        ("RootDomain", "Library/CallHistoryDB/x", None),
        ("SystemPreferencesDomain", "SystemConfiguration/preferences.plist", None),
    ] {
        let found = AuditClass::of(&Domain::new(domain).unwrap(), &RelPath::new(path).unwrap());
        assert_eq!(found.map(|class| class.name), class, "{domain}:{path}");
    }
    // A file that is in both kinds of backup counts only where it can be read.
    assert_eq!(AUDIT.iter().filter(|class| class.only_if_readable).count(), 1);
    assert_eq!(AUDIT.len(), 5);
}

#[test]
fn eras_and_targets_are_complete() {
    for era in [
        Era::Unknown,
        Era::Classic,
        Era::IgnoresProfileOnRequest,
        Era::RemovesProfilesOnRequest,
        Era::EnrolsAgain,
    ] {
        assert_eq!(ERAS.iter().filter(|row| row.era == era).count(), 1);
    }
    assert_eq!(TARGETS.len(), 3);
}

#[test]
fn windows_conditions_of_each_capability() {
    let count = |capability| WINDOWS.iter().filter(|row| row.capability == capability).count();
    assert_eq!(count(WindowsCapability::BackUp), 2);
    assert_eq!(count(WindowsCapability::Restore), 5);
    assert_eq!(count(WindowsCapability::RestorePage), 1);
    assert_eq!(count(WindowsCapability::Content), 1);
}

/// The document for administrators lists every statement, and the tests that it names exist.
#[test]
fn the_document_lists_every_statement() {
    const SOURCES: [&str; 7] = [
        include_str!("tests.rs"),
        include_str!("../checklist.rs"),
        include_str!("../windows.rs"),
        include_str!("../apps/tests.rs"),
        include_str!("../plan/tests.rs"),
        include_str!("../strip/tests.rs"),
        include_str!("../mobileconfig.rs"),
    ];
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let read = |path: &str| std::fs::read_to_string(format!("{root}{path}")).unwrap();
    let document = read("docs/managed-devices.md");
    // Of the program, those that need a bundle.
    let of_program = [read("tests/tests/plan.rs"), read("tests/tests/restore.rs")];
    for row in STATEMENTS {
        assert!(document.contains(&format!("| {} |", row.requirement)), "{}", row.requirement);
    }
    let named: HashSet<&str> =
        document.split('`').filter(|word| word.starts_with("s00") && !word.contains(' ')).collect();
    assert!(named.len() > 30, "{}", named.len());
    for name in named {
        let written = format!("fn {name}()");
        let all = SOURCES.into_iter().chain(of_program.iter().map(String::as_str));
        assert!(all.into_iter().any(|source| source.contains(&written)), "{name}");
    }
}
