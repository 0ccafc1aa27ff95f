use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::{MAGIC, Staging};
use crate::RestoreError;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn nothing_is_seen_before_the_end_and_nothing_else_after() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let staging = Staging::begin(&target, false).unwrap();
    std::fs::write(staging.path().join("a"), b"x").unwrap();
    assert_eq!(names(dir.path()), [".out.bkp-partial"]);
    assert!(!staging.in_place());
    assert_eq!(staging.finish().unwrap(), target);
    assert_eq!(names(dir.path()), ["out"]);
    assert_eq!(names(&target), ["a"]);
    assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn dropped_is_as_never_begun() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let staging = Staging::begin(&target, false).unwrap();
    std::fs::create_dir_all(staging.path().join("a/b/c")).unwrap();
    std::fs::write(staging.path().join("a/b/c/d"), b"x").unwrap();
    drop(staging);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn destinations_that_will_not_do() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("full")).unwrap();
    std::fs::write(at("full/x"), b"kept").unwrap();
    std::fs::write(at("file"), b"kept").unwrap();
    symlink("nowhere", at("broken")).unwrap();
    let fails = |name: &str, overwrite| Staging::begin(&at(name), overwrite).unwrap_err();
    assert!(matches!(fails("full", false), RestoreError::DestinationNotEmpty { .. }));
    assert!(matches!(fails("file", false), RestoreError::DestinationNotDirectory { .. }));
    assert!(matches!(fails("file", true), RestoreError::DestinationNotDirectory { .. }));
    assert!(matches!(fails("broken", false), RestoreError::DestinationNotDirectory { .. }));
    assert!(matches!(fails("missing/out", false), RestoreError::ParentMissing { .. }));
    assert_eq!(names(dir.path()), ["broken", "file", "full"]);
    assert_eq!(std::fs::read(at("full/x")).unwrap(), b"kept");
}

#[test]
fn an_empty_destination_keeps_its_mode_and_a_link_stays_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    std::fs::create_dir(&real).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o755)).unwrap();
    let link = dir.path().join("link");
    symlink("real", &link).unwrap();
    let staging = Staging::begin(&link, false).unwrap();
    std::fs::write(staging.path().join("a"), b"x").unwrap();
    staging.finish().unwrap();
    assert_eq!(names(dir.path()), ["link", "real"]);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(names(&real), ["a"]);
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn what_comes_into_the_way_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let staging = Staging::begin(&target, false).unwrap();
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join("theirs"), b"x").unwrap();
    assert!(matches!(staging.finish().unwrap_err(), RestoreError::DestinationNotEmpty { .. }));
    assert_eq!(names(dir.path()), ["out"]);
    assert_eq!(names(&target), ["theirs"]);

    let target = dir.path().join("file");
    let staging = Staging::begin(&target, false).unwrap();
    std::fs::write(&target, b"theirs").unwrap();
    assert!(matches!(staging.finish().unwrap_err(), RestoreError::DestinationNotDirectory { .. }));
    assert_eq!(std::fs::read(&target).unwrap(), b"theirs");
}

#[test]
fn what_a_killed_run_left_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let partial = dir.path().join(".out.bkp-partial");
    for magic in [MAGIC, b""] {
        std::fs::create_dir_all(partial.join("tree/HomeDomain/a")).unwrap();
        std::fs::write(partial.join("tree/HomeDomain/a/b"), b"half").unwrap();
        std::fs::write(partial.join(".bkp-partial"), magic).unwrap();
        let staging = Staging::begin(&target, false).unwrap();
        assert!(names(&staging.path()).is_empty());
        drop(staging);
        assert!(names(dir.path()).is_empty());
    }
    // Killed before it was marked.
    std::fs::create_dir(&partial).unwrap();
    drop(Staging::begin(&target, false).unwrap());
    assert!(names(dir.path()).is_empty());

    let refused = || {
        let error = Staging::begin(&target, false).unwrap_err();
        assert!(matches!(error, RestoreError::PartialNotOurs { .. }), "{error}");
    };
    std::fs::write(&partial, b"theirs").unwrap();
    refused();
    std::fs::remove_file(&partial).unwrap();
    std::fs::create_dir_all(partial.join("tree")).unwrap();
    std::fs::write(partial.join("tree/theirs"), b"x").unwrap();
    refused();
    std::fs::write(partial.join(".bkp-partial"), b"something else").unwrap();
    refused();
    std::fs::remove_file(partial.join(".bkp-partial")).unwrap();
    symlink("tree/theirs", partial.join(".bkp-partial")).unwrap();
    refused();
    assert_eq!(std::fs::read(partial.join("tree/theirs")).unwrap(), b"x");
    std::fs::rename(&partial, dir.path().join("elsewhere")).unwrap();
    symlink("elsewhere", &partial).unwrap();
    refused();
    assert_eq!(names(&dir.path().join("elsewhere/tree")), ["theirs"]);
}

#[test]
fn two_runs_do_not_destroy_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let first = Staging::begin(&target, false).unwrap();
    std::fs::write(first.path().join("a"), b"x").unwrap();
    let error = Staging::begin(&target, false).unwrap_err();
    assert!(matches!(error, RestoreError::InUse { .. }), "{error}");
    first.finish().unwrap();
    assert_eq!(names(&target), ["a"]);

    let first = Staging::begin(&target, true).unwrap();
    assert!(first.in_place());
    let error = Staging::begin(&target, true).unwrap_err();
    assert!(matches!(error, RestoreError::InUse { .. }), "{error}");
    drop(first);
    Staging::begin(&target, true).unwrap().finish().unwrap();
    assert_eq!(names(&target), ["a"]);
}

#[test]
fn long_names_have_a_partial_folder_too() {
    let dir = tempfile::tempdir().unwrap();
    let a = dir.path().join("x".repeat(255));
    let b = dir.path().join("x".repeat(254));
    let (first, second) = (Staging::begin(&a, false).unwrap(), Staging::begin(&b, false).unwrap());
    first.finish().unwrap();
    second.finish().unwrap();
    assert_eq!(names(dir.path()).len(), 2);
}
