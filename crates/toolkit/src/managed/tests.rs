use bkp_bundle::{Limits, Opened, Storage};
use bkp_core::NullMonitor;
use bkp_testkit::{BundleSpec, Encryption, KeychainItem, KeychainSpec, managed};

use super::{apps, exposed, profiles, stored_info_plist};

fn written(spec: &BundleSpec) -> (tempfile::TempDir, Opened) {
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path()).unwrap();
    let opened = Opened::open(Storage::directory(dir.path()).unwrap(), Limits::default()).unwrap();
    (dir, opened)
}

fn codes(spec: &BundleSpec) -> Vec<&'static str> {
    let (_dir, opened) = written(spec);
    let survey = bkp_managed::survey_opened(&opened).unwrap();
    exposed(&opened, &survey).into_iter().map(|(code, _)| code).collect()
}

#[test]
fn an_unencrypted_backup_is_audited() {
    assert!(codes(&managed::none()).is_empty());
    assert_eq!(
        codes(&managed::exposed()),
        [
            "exposed-call-history",
            "exposed-health",
            "exposed-website-history",
            "exposed-wifi",
            "exposed-enrolment"
        ]
    );
}

/// Items that the device alone opens are no finding; those that the empty password opens are.
#[test]
fn passwords_that_can_be_read_are_told() {
    // Devices seal the keychain of an unencrypted backup for themselves. In a keybag such as an
    // encrypted backup has, the keys of some classes are under the password alone.
    let empty = Encryption { password: String::new(), dpic: None, iterations: 10_000 };
    let readable = managed::none().with(|spec| spec.encryption = Some(empty));
    let keychain = |class, like: &BundleSpec| {
        let item = KeychainItem::password(class, "example", "person", "secret");
        let keychain = KeychainSpec { items: vec![item], ..KeychainSpec::default() };
        managed::none().with(|spec| {
            spec.keybag_bytes = Some(like.keybag_contents().encode());
            spec.entries.push(keychain.entry(like));
        })
    };
    assert_eq!(codes(&keychain(6, &readable)), ["exposed-passwords"]);
    assert!(codes(&keychain(9, &readable)).is_empty());
    assert!(codes(&keychain(6, &managed::none())).is_empty());
}

#[test]
fn listings_say_what_they_are() {
    let mut spec = managed::apps();
    spec.encryption = None;
    let (dir, opened) = written(&spec);
    let listing = serde_json::to_value(profiles(&opened, &NullMonitor).unwrap()).unwrap();
    assert_eq!((&listing["schema_version"], &listing["kind"]), (&1.into(), &"profiles".into()));
    assert_eq!(listing["enrolment"]["kind"], "profile");
    assert_eq!(listing["profiles"].as_array().unwrap().len(), 3);
    let info = stored_info_plist(&Storage::directory(dir.path()).unwrap()).unwrap().unwrap();
    let listing = serde_json::to_value(apps(&opened, Some(&info), &NullMonitor).unwrap()).unwrap();
    assert_eq!((&listing["schema_version"], &listing["kind"]), (&1.into(), &"apps".into()));
    assert_eq!(listing["apps"].as_array().unwrap().len(), 7);
}

#[test]
fn info_plist_is_a_regular_file_or_none() {
    let dir = tempfile::tempdir().unwrap();
    assert!(stored_info_plist(&Storage::directory(dir.path()).unwrap()).unwrap().is_none());
    std::fs::create_dir(dir.path().join("Info.plist")).unwrap();
    assert!(stored_info_plist(&Storage::directory(dir.path()).unwrap()).is_err());
}
