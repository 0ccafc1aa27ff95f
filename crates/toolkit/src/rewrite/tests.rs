use std::fs;

use bkp_core::Domain;

use super::apps::Apps;
use super::check_destination;

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
