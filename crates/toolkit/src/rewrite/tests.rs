use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bkp_core::{Domain, NullMonitor, Report, Select as _};
use bkp_policy::{Rules, Selection};
use bkp_testkit::{BundleSpec, EntrySpec};

use super::apps::Apps;
use super::{
    LookAhead, RewriteOptions, Rewritten, check_destination, choose, filter, filter_ahead,
};
use crate::testing::open;

#[test]
fn a_container_is_gone_when_nothing_of_it_is_kept() {
    let mut apps = Apps::default();
    let mut see = |domain: &str, kept| apps.see(&Domain::new(domain).unwrap(), kept);
    see("AppDomain-com.example.a", false);
    see("AppDomain-com.example.a", true);
    see("AppDomain-com.example.a", false);
    see("AppDomain-com.example.b", false);
    see("AppDomainGroup-group.b", false);
    see("AppDomainPlugin-com.example.b.share", false);
    // Its stand-in has the same identifier.
    see("AppDomain-com.example.c", false);
    see("AppDomainPlaceholder-com.example.c", true);
    // These are named nowhere.
    see("SysContainerDomain-com.apple.x", false);
    see("HomeDomain", false);
    assert_eq!(
        apps.gone().collect::<Vec<_>>(),
        ["com.example.b", "com.example.b.share", "group.b"]
    );
    assert!(apps.is_gone("group.b"));
    assert!(!apps.is_gone("com.example.a") && !apps.is_gone("com.example.none"));
}

#[test]
fn a_destination_in_the_source_is_found_through_links() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir_all(path("backup/3d")).unwrap();
    fs::create_dir(path("other")).unwrap();
    std::os::unix::fs::symlink("backup", path("link")).unwrap();
    for inside in ["backup", "backup/new", "backup/3d/a/b/c", "link", "link/x/y", "other/../backup"]
    {
        assert!(check_destination(&path("backup"), &path(inside)).is_err(), "{inside}");
        assert!(check_destination(&path("link"), &path(inside)).is_err(), "{inside}");
    }
    for outside in ["other", "new", "backup2", "backup/../new", ".", ".."] {
        assert!(check_destination(&path("backup"), &path(outside)).is_ok(), "{outside}");
    }
    assert!(check_destination(&path("nowhere"), &path("nowhere/x")).is_ok());
}

/// The files below a folder, by their names.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = files(&entry.path()).into_iter();
            found.extend(below.map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// Looking ahead changes the order of the work and nothing that comes out.
#[test]
fn a_bundle_is_the_same_whatever_was_known_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mut spec = BundleSpec::new(3);
    for (domain, name, len) in [
        ("HomeDomain", "Library/long.db", 3 << 20),
        ("HomeDomain", "Library/long.db-wal", 2 << 20),
        ("HomeDomain", "Library/short.db", 100),
        ("HomeDomain", "Library/short.db-wal", 5 << 20),
        ("AppDomain-com.example.gone", "short", 7),
        ("AppDomain-com.example.kept", "longest", 4 << 20),
        ("CameraRollDomain", "Media/1.jpg", 2 << 20),
    ] {
        spec.entries.push(EntrySpec::file(domain, name, vec![7; len]));
    }
    spec.write(&path("backup")).unwrap();
    let backup = open(&path("backup"));
    let options = |name: &str| RewriteOptions { target: path(name), threads: None, link: false };
    let told = |report: &Report<Rewritten>| {
        let Rewritten { applications_left_out, partial_domains, .. } = &report.summary;
        (report.done, report.skipped, applications_left_out.clone(), partial_domains.clone())
    };

    // The log of a short database goes with it, and that of a long one stays.
    let rules = Rules::builder().min_size(1000).build().unwrap();
    let closed = Selection::of_source(&backup, &rules).unwrap();
    let one = filter(&backup, &closed, &options("one"), &NullMonitor).unwrap();
    let (selection, ahead) = choose(&backup, &rules).unwrap();
    assert!(format!("{ahead:?}").contains("longest"));
    let two = filter_ahead(&backup, &selection, ahead, &options("two"), &NullMonitor).unwrap();
    assert_eq!(told(&one), told(&two));
    assert!(two.summary.partial_domains.contains(&"HomeDomain"), "{:?}", told(&two));
    assert_eq!(files(&path("one")), files(&path("two")));
    let records: Vec<_> = backup.catalog().records().map(Result::unwrap).collect();
    let kept = |name: &str| {
        let named =
            |record: &&bkp_bundle::BundleRecord| record.as_ref().path.as_bytes() == name.as_bytes();
        let record = records.iter().find(named).unwrap();
        let id = record.as_ref().id.to_string();
        let there = path("two").join(&id[..2]).join(&id).exists();
        assert_eq!(selection.judge(record.as_ref()).is_keep(), there, "{name}");
        there
    };
    assert!(kept("Library/long.db-wal") && kept("longest") && kept("Media/1.jpg"));
    assert!(!kept("Library/short.db-wal") && !kept("short"));

    let everything = Rules::builder().build().unwrap();
    let one = filter(&backup, &everything, &options("three"), &NullMonitor).unwrap();
    let none = LookAhead::none();
    let two = filter_ahead(&backup, &everything, none, &options("four"), &NullMonitor).unwrap();
    assert_eq!(told(&one), told(&two));
    assert_eq!(files(&path("three")), files(&path("four")));
}
