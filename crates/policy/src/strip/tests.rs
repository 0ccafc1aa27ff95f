use bkp_core::{Domain, FileId, RelPath};

use super::{Action, REPORTED, STRIPPED, StripSet};
use crate::{DifferentDevice, Ground, identity::tests_support::different};

fn names(text: &str) -> (Domain, RelPath) {
    let (domain, path) = text.split_once(':').unwrap();
    let domain = match domain {
        "D1" => "SysSharedContainerDomain-systemgroup.com.apple.configurationprofiles",
        domain => domain,
    };
    let path = match path.strip_prefix("CP/") {
        Some(rest) => format!("Library/ConfigurationProfiles/{rest}"),
        None => path.replace("UCP/", "Library/UserConfigurationProfiles/"),
    };
    (Domain::new(domain).unwrap(), RelPath::new(path).unwrap())
}

fn judged(proof: &DifferentDevice, text: &str) -> Action {
    let (domain, path) = names(text);
    StripSet::new(proof, []).classify(&domain, &path)
}

const STUB: &str = "profile-c85eca039bb920847c09dc0ba4a1afe6dcf0e6ad72aae4a563169bbfc30254ca.stub";

/// The ids of real rows (iOS 14.3), so that the names here are those of devices.
#[test]
fn names_are_those_that_devices_write() {
    for (name, id, action) in [
        (
            "D1:CP/CloudConfigurationDetails.plist",
            "1e6c0783f9b33d00b152067a0661c8fc8841073f",
            "cloud-configuration",
        ),
        (
            "D1:CP/PayloadManifest.plist",
            "8e7f26685d92296da2100cfaf98173f45da1ce88",
            "profile-lists",
        ),
        (
            "D1:CP/PayloadDependency.plist",
            "4d607fcf6b9a281ae940ac7572e9494f4dfa2042",
            "profile-lists",
        ),
        ("D1:CP/ProfileTruth.plist", "b2998988ede72dc5ec6d24d258f060d2b2e961b1", "profile-lists"),
        (
            "HomeDomain:UCP/PayloadManifest.plist",
            "ecb5489ac8284e6a5fd307eaff829497eeaf500b",
            "profile-lists",
        ),
        (
            "ManagedPreferencesDomain:mobile/.GlobalPreferences.plist",
            "9949a47f42b3816899d85cd0722804010ff92953",
            "",
        ),
        ("D1:", "9581eb754ee03b7f535293caf770235f0f37f8a8", ""),
    ] {
        let (domain, path) = names(name);
        assert_eq!(FileId::of(&domain, &path).to_string(), id, "{name}");
        let found = match judged(&different(), name) {
            Action::Strip(rule) => rule.name,
            _ => "",
        };
        assert_eq!(found, action, "{name}");
    }
}

#[test]
fn s001_24_the_strip_set_and_nothing_else() {
    let proof = different();
    let stub = |folder: &str| format!("{folder}/{STUB}");
    for (name, rule) in [
        (&*stub("D1:CP"), "profile"),
        ("D1:CP/profile-x.pdata", "profile"),
        ("D1:CP/profile-x.plist", "profile"),
        (&*stub("HomeDomain:CP"), "profile"),
        (&*stub("HomeDomain:UCP"), "profile"),
        ("D1:CP/com.example.mdm+8f3b2c.stub", "legacy-profile"),
        ("HomeDomain:CP/com.example.mdm+8f3b2c.stub", "legacy-profile"),
        ("D1:CP/MDM.plist", "enrolment"),
        ("HomeDomain:CP/MDM.plist", "enrolment"),
        ("D1:CP/MDMAppManagement.plist", "app-management"),
        ("D1:CP/CloudConfigurationDetails.plist", "cloud-configuration"),
        ("HomeDomain:CP/CloudConfigurationDetails.plist", "cloud-configuration"),
        ("D1:CP/CloudConfigurationSetAsideDetails.plist", "cloud-configuration"),
        ("D1:CP/PostSetupAutoInstallProfile.plist", "post-setup-profile"),
        ("D1:CP/PostSetupAutoInstallSetAsideProfile", "post-setup-profile"),
        ("D1:CP/PostSetup.plist", "post-setup-profile"),
        ("D1:CP/MCProfileEvents.plist", "profile-events"),
        ("D1:CP/PayloadManifest.plist", "profile-lists"),
        ("HomeDomain:UCP/PayloadDependency.plist", "profile-lists"),
        ("HomeDomain:UCP/ProfileTruth.plist", "profile-lists"),
        ("D1:CP/phone/profile-abc.pdata", "holding-tank"),
        ("D1:CP/watch/profile-abc.stub", "holding-tank"),
        ("D1:CP/phone/HoldingTankManifest.plist", "holding-tank"),
        ("D1:CP/SharedDeviceConfiguration.plist", "shared-device-configuration"),
        ("KeychainDomain:TrustStore.sqlite3", "trust-store"),
        ("KeychainDomain:TrustStore.sqlite3-wal", "trust-store"),
        ("ProtectedDomain:trustd/private/TrustStore.sqlite3", "trust-store"),
        ("ProtectedDomain:trustd/private/TrustStore.sqlite3-shm", "trust-store"),
    ] {
        match judged(&proof, name) {
            Action::Strip(found) => assert_eq!(found.name, rule, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn near_misses_stay() {
    let proof = different();
    for name in [
        "D1:",
        "D1:Library",
        "D1:Library/ConfigurationProfiles",
        "D1:CP/profile-",
        "D1:CP/profile.plist",
        "D1:CP/Profile-x.stub",
        "D1:CP/xprofile-x.stub",
        "D1:CP/profile-x/inside",
        "D1:CP/other/profile-x.stub",
        "D1:CP/phone/deeper/profile-x.stub",
        "D1:CP/phone/other.plist",
        "D1:CP/PublicInfo/profile-x.stub",
        "D1:CP/PublicInfo/MCMeta.plist",
        "D1:CP/PublicInfo/NamespacedUserSettings.plist",
        "D1:CP/UserSettings.plist",
        "D1:CP/ClientTruth.plist",
        "D1:CP/AppAccessibilityParameters.plist",
        "D1:CP/mdm.plist",
        "D1:CP/xPostSetup.plist",
        "D1:CP/MDM.plist.bak",
        "D1:CP/MDM.plist/x",
        "D1:CP/plain.stub",
        "D1:CP/+8f3b.stub",
        "D1:CP/com.example+.stub",
        "D1:CP/com.example+8f 3b.stub",
        "D1:CP/CloudConfigurationDetails.plist2",
        "D1:ConfigurationProfiles/MDM.plist",
        "D1:UCP/ProfileTruth.plist",
        "HomeDomain:UCP/UserSettings.plist",
        "HomeDomain:UCP/ClientTruth.plist",
        "HomeDomain:UCP/MDM.plist",
        "HomeDomain:UCP/PublicInfo/MCMeta.plist",
        "HomeDomain:profile-x.stub",
        "HomeDomain:Library/Preferences/profile-x.stub",
        "HomeDomain:Library/ConfigurationProfilesX/MDM.plist",
        "HomeDomain:Media/Library/ConfigurationProfiles/MDM.plist",
        "RootDomain:CP/MDM.plist",
        "AppDomain-com.example:CP/profile-x.stub",
        "SysSharedContainerDomain-systemgroup.com.apple.configurationprofilesx:CP/MDM.plist",
        "SysSharedContainerDomain-systemgroup.com.apple.icloud.findmydevice.managed:Library/x",
        "ManagedPreferencesDomain:",
        "ManagedPreferencesDomain:mobile/.GlobalPreferences.plist",
        "ManagedPreferencesDomain:mobile/com.apple.webcontentfilter.plist",
        "KeychainDomain:keychain-backup.plist",
        "KeychainDomain:TrustStore.sqlite",
        "KeychainDomain:x/TrustStore.sqlite3",
        "HomeDomain:TrustStore.sqlite3",
        "ProtectedDomain:TrustStore.sqlite3",
        "SysSharedContainerDomain-systemgroup.com.apple.cfpreferences.managed:",
    ] {
        assert_eq!(judged(&proof, name), Action::Keep, "{name}");
    }
}

#[test]
fn what_is_reported_is_kept() {
    let proof = different();
    for (name, rule) in [
        ("D1:CP/MCSettingsEvents.plist", "settings-events"),
        ("D1:CP/EffectiveUserSettings.plist", "computed-settings"),
        ("D1:CP/Truth.plist", "computed-settings"),
        ("D1:CP/PublicInfo/PublicEffectiveUserSettings.plist", "computed-settings"),
        ("HomeDomain:UCP/PublicInfo/Truth.plist", "computed-settings"),
        ("HomeDomain:UCP/EffectiveUserSettings.plist", "computed-settings"),
        (
            "ManagedPreferencesDomain:mobile/com.apple.applicationaccess.plist",
            "managed-preferences",
        ),
        (
            "SysSharedContainerDomain-systemgroup.com.apple.cfpreferences.managed:Library/x",
            "cfpreferences-managed",
        ),
        ("D1:CP/MDMEvents.plist", "skip-backup-item"),
        ("D1:CP/MultiUserDeviceConfiguration.plist", "skip-backup-item"),
        (
            "HomeDomain:Library/Preferences/com.apple.managedconfiguration.notbackedup.plist",
            "skip-backup-item",
        ),
    ] {
        match judged(&proof, name) {
            Action::Report(found) => assert_eq!(found.name, rule, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Computed settings go only when they are named, and naming anything else changes nothing.
#[test]
fn computed_settings_go_when_a_profile_set_them() {
    let proof = different();
    let set = StripSet::new(
        &proof,
        ["D1:CP/Truth.plist", "D1:CP/ClientTruth.plist", "KeychainDomain:keychain-backup.plist"]
            .map(names),
    );
    let of = |name| {
        let (domain, path) = names(name);
        set.classify(&domain, &path)
    };
    assert!(
        matches!(of("D1:CP/Truth.plist"), Action::Strip(rule) if rule.name == "computed-settings-of-profiles")
    );
    assert!(matches!(of("HomeDomain:UCP/PublicInfo/Truth.plist"), Action::Report(_)));
    assert_eq!(of("D1:CP/ClientTruth.plist"), Action::Keep);
    assert_eq!(of("KeychainDomain:keychain-backup.plist"), Action::Keep);
}

#[test]
fn every_rule_that_leaves_out_names_a_requirement() {
    for rule in STRIPPED {
        assert!(matches!(rule.grounds[0], Ground::Requirement(_)), "{}", rule.name);
        assert!(rule.requirement().unwrap().statement().is_some());
    }
    let all = STRIPPED.iter().chain(REPORTED.iter());
    let mut names: Vec<_> = all.map(|rule| rule.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), STRIPPED.len() + REPORTED.len());
}
