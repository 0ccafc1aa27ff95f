//! Damaged stubs: every cut and every changed byte of one costs that one at most.

use bkp_managed::{EnrolmentKind, survey_opened};
use bkp_testkit::managed;
use bkp_testkit::{BundleSpec, EntrySpec, Node, cases};

use crate::written;

fn content(entry: &EntrySpec) -> Vec<u8> {
    match &entry.node {
        Node::File(bkp_testkit::Content::Bytes(bytes)) => bytes.clone(),
        other => panic!("{other:?}"),
    }
}

/// A bundle in which many damaged forms of one stub lie beside a sound one.
fn beside(forms: impl Iterator<Item = Vec<u8>>) -> (BundleSpec, usize) {
    let mut spec = managed::byod_encrypted();
    spec.encryption = None;
    let stub = managed::stub_name(managed::WIFI);
    let mut domain = Vec::new();
    let mut folder = String::new();
    for entry in spec.entries.iter().filter(|entry| entry.path.ends_with(stub.as_bytes())) {
        domain = entry.domain.clone();
        folder = String::from_utf8(entry.path[..entry.path.len() - stub.len()].to_vec()).unwrap();
    }
    let mut count = 0;
    for bytes in forms {
        let path = format!("{folder}profile-damaged-{count:05}.stub");
        spec.entries.push(EntrySpec::file(domain.clone(), path, bytes));
        count += 1;
    }
    (spec, count)
}

fn sound() -> Vec<u8> {
    let spec = managed::byod_encrypted();
    let stub = managed::stub_name(managed::WIFI);
    let entry = spec.entries.iter().find(|entry| entry.path.ends_with(stub.as_bytes()));
    content(entry.unwrap())
}

#[test]
fn every_cut_and_every_changed_byte() {
    let whole = sound();
    let cuts = (0..whole.len()).map(|end| whole[..end].to_vec());
    let flips = (0..whole.len()).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        bytes
    });
    let forms: Vec<Vec<u8>> = cuts.chain(flips).collect();
    // As many as are read of one backup.
    for some in forms.chunks(1500) {
        let (spec, count) = beside(some.iter().cloned());
        let survey = survey_opened(&written(&spec).1).unwrap();
        assert_eq!(survey.profiles.len(), count + 3);
        assert_eq!(survey.enrolment.kind, EnrolmentKind::Profile);
        let read = survey.profiles.iter().filter(|profile| profile.read).count();
        assert!(read >= 3 && survey.problems.len() >= count + 3 - read);
    }
}

#[test]
fn there_is_an_end_to_files() {
    let (spec, count) = beside((0..2100).map(|_| sound()));
    let survey = survey_opened(&written(&spec).1).unwrap();
    assert!(count > 2048 && survey.profiles.len() <= 2048);
    let told = survey.problems.iter().any(|problem| problem.to_string().contains("more than 2048"));
    assert!(told);
}

/// No bomb in any of the files costs more than itself.
#[test]
fn bombs_in_every_file() {
    for bomb in cases::plist_bombs() {
        let mut spec = managed::ade();
        spec.encryption = None;
        for entry in &mut spec.entries {
            if entry.path.starts_with(b"Library/ConfigurationProfiles/") {
                entry.node = Node::File(bkp_testkit::Content::Bytes(bomb.bytes.clone()));
            }
        }
        let survey = survey_opened(&written(&spec).1).unwrap();
        assert_eq!(survey.enrolment.kind, EnrolmentKind::Unknown, "{}", bomb.name);
        assert!(survey.enrolment.enrolled.is_none() && !survey.problems.is_empty());
    }
}
