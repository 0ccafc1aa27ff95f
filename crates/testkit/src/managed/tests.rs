use std::collections::HashSet;

use super::{all, find, stub_name};
use crate::file_id;

/// Known values of MANAGED.md section 11.
#[test]
fn names_are_those_of_devices() {
    assert_eq!(
        stub_name(super::ENROLMENT),
        "profile-c85eca039bb920847c09dc0ba4a1afe6dcf0e6ad72aae4a563169bbfc30254ca.stub"
    );
    let (domain, folder) = super::SYSTEM;
    for (name, id) in [
        ("CloudConfigurationDetails.plist", "1e6c0783f9b33d00b152067a0661c8fc8841073f"),
        ("PayloadManifest.plist", "8e7f26685d92296da2100cfaf98173f45da1ce88"),
        ("MDM.plist", "1da473e9183a8afce90ad0110f07ef19397affff"),
        ("MDMAppManagement.plist", "155d3136f4af22776356f501fd024bffc5182194"),
    ] {
        assert_eq!(file_id(domain, format!("{folder}/{name}")), id, "{name}");
    }
    assert_eq!(file_id(domain, ""), "9581eb754ee03b7f535293caf770235f0f37f8a8");
}

#[test]
fn every_case_is_written_and_no_file_stands_twice() {
    let mut names = HashSet::new();
    for case in all() {
        assert!(names.insert(case.name), "{} stands twice", case.name);
        let dir = tempfile::tempdir().unwrap();
        let truth = case.spec.write(dir.path()).unwrap();
        let mut files = HashSet::new();
        for entry in &truth.entries {
            let twice = !files.insert((entry.domain.clone(), entry.path.clone()));
            assert!(!twice, "{}: {}", case.name, String::from_utf8_lossy(&entry.path));
        }
    }
    assert!(find("ade").is_some() && find("no such case").is_none());
    assert!(crate::cases::find("managed-ade").is_some());
}

/// An enrolment profile is in a case exactly where it is expected to be.
#[test]
fn enrolment_profiles_are_where_they_are_expected() {
    let name = stub_name(super::ENROLMENT);
    for case in all() {
        let there = case.spec.entries.iter().any(|entry| {
            let stores = [super::SYSTEM, super::USER, super::state::LEGACY];
            stores.into_iter().any(|(domain, folder)| {
                entry.domain == domain.as_bytes()
                    && entry.path == format!("{folder}/{name}").as_bytes()
            })
        });
        assert_eq!(there, case.expected.in_backup, "{}", case.name);
    }
}
