//! Where management state lies in a backup. Source: MANAGED.md section 1.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Which store of profiles a file belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Home {
    /// The system's, `Library/ConfigurationProfiles` of the group container
    /// `systemgroup.com.apple.configurationprofiles`.
    System,
    /// The user's, `HomeDomain:Library/UserConfigurationProfiles`.
    User,
    /// The system's until iOS 8 or so, `HomeDomain:Library/ConfigurationProfiles`.
    Legacy,
}

/// What a file of management state is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StateKind {
    /// `CloudConfigurationDetails.plist`: the management configuration. Unmanaged phones have one.
    CloudConfiguration,
    /// `CloudConfigurationSetAsideDetails.plist`.
    CloudConfigurationSetAside,
    /// `PayloadManifest.plist`: identifiers of installed profiles.
    PayloadManifest,
    /// `PayloadDependency.plist`.
    PayloadDependency,
    /// `ProfileTruth.plist`: restrictions that profiles set.
    ProfileTruth,
    /// `ClientTruth.plist`: restrictions that parts of the system set.
    ClientTruth,
    /// `UserSettings.plist`.
    UserSettings,
    /// `NamespacedUserSettings.plist`.
    NamespacedUserSettings,
    /// `EffectiveUserSettings.plist`: computed.
    EffectiveUserSettings,
    /// `PublicEffectiveUserSettings.plist`: computed.
    PublicEffectiveUserSettings,
    /// `Truth.plist`: computed.
    Truth,
    /// `MCMeta.plist`: builds of the last migration.
    Meta,
    /// `MCSettingsEvents.plist`: who changed which setting.
    SettingsEvents,
    /// `MCProfileEvents.plist`: installations and removals of profiles.
    ProfileEvents,
    /// `AppAccessibilityParameters.plist`.
    AppAccessibility,
    /// `HoldingTankManifest.plist`: profiles that were downloaded and not installed.
    HoldingTankManifest,
    /// A profile that is installed.
    ProfileStub,
    /// A profile that is not installed: downloaded, or a raw form.
    HeldProfile,
    /// `MDM.plist`: the enrolment.
    MdmRecord,
    /// `MDMAppManagement.plist`: managed apps.
    MdmApps,
    /// A profile that waits for the end of the set-up.
    PostSetupProfile,
    /// `SharedDeviceConfiguration.plist`: texts of the lock screen.
    SharedDeviceConfiguration,
    /// A file that devices mark as not to be backed up.
    SkipBackup,
    /// A file in `ManagedPreferencesDomain` beyond the two that every phone has.
    ManagedPreferences,
    /// A file in the container of managed preferences, which is empty on unmanaged phones.
    ManagedPreferencesContainer,
    /// A file of a managed book, or their list.
    ManagedBook,
}

/// What a name in the catalog means for management.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StatePlace {
    /// What it is.
    pub kind: StateKind,
    /// The store it belongs to; the system's for what belongs to none.
    pub home: Home,
}

/// The domain of the system's store.
pub(crate) const SYSTEM: &str =
    "SysSharedContainerDomain-systemgroup.com.apple.configurationprofiles";
/// The domain of books that an MDM server sent.
const BOOKS: &str = "SysSharedContainerDomain-systemgroup.com.apple.media.books.managed";
const MANAGED_PREFERENCES_CONTAINER: &str =
    "SysSharedContainerDomain-systemgroup.com.apple.cfpreferences.managed";

impl StatePlace {
    /// Tells what the file of these names is; nothing for one that has nothing to do with
    /// management, however similar its name.
    #[must_use]
    pub fn of(domain: &[u8], path: &[u8]) -> Option<Self> {
        let (domain, path) = (std::str::from_utf8(domain).ok()?, std::str::from_utf8(path).ok()?);
        if path.is_empty() {
            return None;
        }
        let at = |home| move |kind| Self { kind, home };
        let system = at(Home::System);
        match domain {
            SYSTEM => {
                let name = path.strip_prefix("Library/ConfigurationProfiles/")?;
                in_store(name, Home::System).map(system)
            }
            "HomeDomain" => {
                if let Some(name) = path.strip_prefix("Library/UserConfigurationProfiles/") {
                    return in_store(name, Home::User).map(at(Home::User));
                }
                if let Some(name) = path.strip_prefix("Library/ConfigurationProfiles/") {
                    return in_store(name, Home::Legacy).map(at(Home::Legacy));
                }
                (path == "Library/Preferences/com.apple.managedconfiguration.notbackedup.plist")
                    .then(|| system(StateKind::SkipBackup))
            }
            "ManagedPreferencesDomain" => {
                // Both are on unmanaged phones.
                let usual =
                    ["mobile/.GlobalPreferences.plist", "mobile/com.apple.webcontentfilter.plist"];
                (!usual.contains(&path) && path != "mobile")
                    .then(|| system(StateKind::ManagedPreferences))
            }
            MANAGED_PREFERENCES_CONTAINER => Some(system(StateKind::ManagedPreferencesContainer)),
            BOOKS => Some(system(StateKind::ManagedBook)),
            "BooksDomain" => path.starts_with("Managed/").then(|| system(StateKind::ManagedBook)),
            _ => None,
        }
    }
}

/// Tells what a file below a store is.
fn in_store(name: &str, home: Home) -> Option<StateKind> {
    use StateKind as Kind;
    let kind = match name {
        "CloudConfigurationDetails.plist" => Kind::CloudConfiguration,
        "CloudConfigurationSetAsideDetails.plist" => Kind::CloudConfigurationSetAside,
        "PayloadManifest.plist" => Kind::PayloadManifest,
        "PayloadDependency.plist" => Kind::PayloadDependency,
        "ProfileTruth.plist" => Kind::ProfileTruth,
        "ClientTruth.plist" => Kind::ClientTruth,
        "UserSettings.plist" => Kind::UserSettings,
        "PublicInfo/NamespacedUserSettings.plist" => Kind::NamespacedUserSettings,
        "EffectiveUserSettings.plist" | "PublicInfo/EffectiveUserSettings.plist" => {
            Kind::EffectiveUserSettings
        }
        "PublicInfo/PublicEffectiveUserSettings.plist" => Kind::PublicEffectiveUserSettings,
        "Truth.plist" | "PublicInfo/Truth.plist" => Kind::Truth,
        "PublicInfo/MCMeta.plist" => Kind::Meta,
        "MCSettingsEvents.plist" => Kind::SettingsEvents,
        "MCProfileEvents.plist" => Kind::ProfileEvents,
        "AppAccessibilityParameters.plist" => Kind::AppAccessibility,
        "MDM.plist" => Kind::MdmRecord,
        "MDMAppManagement.plist" => Kind::MdmApps,
        "SharedDeviceConfiguration.plist" => Kind::SharedDeviceConfiguration,
        _ => return by_pattern(name, home),
    };
    Some(kind)
}

fn by_pattern(name: &str, home: Home) -> Option<StateKind> {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let profile = || {
        let (stem, extension) = file.rsplit_once('.')?;
        let modern = stem.strip_prefix("profile-").is_some_and(|rest| !rest.is_empty());
        match extension {
            "stub" if modern => Some(StateKind::ProfileStub),
            "pdata" | "plist" if modern => Some(StateKind::HeldProfile),
            // `<safe id>+<hash>.stub`, of the oldest systems.
            "stub" if home != Home::User => {
                let (id, hash) = stem.rsplit_once('+')?;
                (!id.is_empty() && !hash.is_empty()).then_some(StateKind::ProfileStub)
            }
            _ => None,
        }
    };
    match folder {
        "" if file.starts_with("MDMEvents") || file.starts_with("MultiUserDeviceConfiguration") => {
            Some(StateKind::SkipBackup)
        }
        "" if file.starts_with("PostSetupAutoInstallProfile") => Some(StateKind::PostSetupProfile),
        "" => profile(),
        "phone" | "watch" if file == "HoldingTankManifest.plist" => {
            Some(StateKind::HoldingTankManifest)
        }
        // Whatever its extension, a profile in the holding tank is not installed.
        "phone" | "watch" => profile().map(|_| StateKind::HeldProfile),
        _ => None,
    }
}

/// Returns the file name of an installed profile's stub: `profile-`, SHA-256 of the identifier in
/// lower-case hexadecimal digits, `.stub`.
#[must_use]
pub fn stub_name(identifier: &str) -> String {
    let mut name = String::from("profile-");
    for byte in Sha256::digest(identifier.as_bytes()) {
        for nibble in [byte >> 4, byte & 15] {
            name.extend(char::from_digit(nibble.into(), 16));
        }
    }
    name.push_str(".stub");
    name
}

#[cfg(test)]
mod tests {
    use bkp_core::{Domain, FileId, RelPath};

    use super::{Home, SYSTEM, StateKind, StatePlace, stub_name};

    /// Known values of MANAGED.md section 11.
    #[test]
    fn file_ids_are_those_of_devices() {
        let library = "Library/ConfigurationProfiles/";
        for (domain, path, id) in [
            (SYSTEM, "CloudConfigurationDetails.plist", "1e6c0783f9b33d00b152067a0661c8fc8841073f"),
            (SYSTEM, "PayloadManifest.plist", "8e7f26685d92296da2100cfaf98173f45da1ce88"),
            (SYSTEM, "PayloadDependency.plist", "4d607fcf6b9a281ae940ac7572e9494f4dfa2042"),
            (SYSTEM, "ProfileTruth.plist", "b2998988ede72dc5ec6d24d258f060d2b2e961b1"),
            (SYSTEM, "MDM.plist", "1da473e9183a8afce90ad0110f07ef19397affff"),
            (SYSTEM, "MDMAppManagement.plist", "155d3136f4af22776356f501fd024bffc5182194"),
            (SYSTEM, "MCProfileEvents.plist", "aeb25de285ea542f7ac7c2070cddd1961e369df1"),
        ] {
            let path = format!("{library}{path}");
            assert!(StatePlace::of(domain.as_bytes(), path.as_bytes()).is_some(), "{path}");
            let of = FileId::of(&Domain::new(domain).unwrap(), &RelPath::new(&path).unwrap());
            assert_eq!(of.to_string(), id, "{path}");
        }
        for (domain, path, id) in [
            (
                "HomeDomain",
                "Library/UserConfigurationProfiles/PayloadManifest.plist",
                "ecb5489ac8284e6a5fd307eaff829497eeaf500b",
            ),
            (
                "ManagedPreferencesDomain",
                "mobile/.GlobalPreferences.plist",
                "9949a47f42b3816899d85cd0722804010ff92953",
            ),
            (SYSTEM, "", "9581eb754ee03b7f535293caf770235f0f37f8a8"),
        ] {
            let of = FileId::of(&Domain::new(domain).unwrap(), &RelPath::new(path).unwrap());
            assert_eq!(of.to_string(), id, "{path}");
        }
    }

    /// Known values of MANAGED.md section 11.
    #[test]
    fn stubs_are_named_by_their_identifiers() {
        for (identifier, name) in [
            (
                "com.example.mdm.enroll",
                "profile-c85eca039bb920847c09dc0ba4a1afe6dcf0e6ad72aae4a563169bbfc30254ca.stub",
            ),
            (
                "Microsoft.Profiles.MDM",
                "profile-b848767212a58925d378595fcc0bb7cee9180462e3120a8c16536210c6988606.stub",
            ),
        ] {
            assert_eq!(stub_name(identifier), name);
        }
    }

    #[test]
    fn kinds_and_near_misses() {
        use StateKind as Kind;
        let kind = |domain: &str, path: &str| {
            StatePlace::of(domain.as_bytes(), path.as_bytes()).map(|p| (p.kind, p.home))
        };
        let store = |name: &str| kind(SYSTEM, &format!("Library/ConfigurationProfiles/{name}"));
        let system = |kind| Some((kind, Home::System));
        for (name, expected) in [
            ("MDM.plist", system(Kind::MdmRecord)),
            ("profile-00ff.stub", system(Kind::ProfileStub)),
            ("profile-00ff.pdata", system(Kind::HeldProfile)),
            ("phone/profile-00ff.stub", system(Kind::HeldProfile)),
            ("watch/HoldingTankManifest.plist", system(Kind::HoldingTankManifest)),
            ("com.example+0a1b.stub", system(Kind::ProfileStub)),
            ("PostSetupAutoInstallProfile.setaside", system(Kind::PostSetupProfile)),
            ("MDMEvents.log", system(Kind::SkipBackup)),
            // Near misses.
            ("profile-.stub", None),
            ("profile-00ff.stub/x", None),
            ("profile-00ff.txt", None),
            ("PublicInfo/profile-00ff.stub", None),
            ("profiles.stub", None),
            ("+0a.stub", None),
            ("mdm.plist", None),
            ("MDM.plist.bak", None),
            ("tablet/profile-00ff.stub", None),
        ] {
            assert_eq!(store(name), expected, "{name}");
        }
        let home = |path: &str| kind("HomeDomain", path);
        assert_eq!(
            home("Library/UserConfigurationProfiles/profile-0.stub"),
            Some((Kind::ProfileStub, Home::User))
        );
        assert_eq!(
            home("Library/ConfigurationProfiles/profile-0.stub"),
            Some((Kind::ProfileStub, Home::Legacy))
        );
        assert_eq!(home("Library/Other/profile-0.stub"), None);
        assert_eq!(kind("AppDomain-x", "Library/ConfigurationProfiles/MDM.plist"), None);
        for (domain, path) in [
            ("ManagedPreferencesDomain", "mobile/.GlobalPreferences.plist"),
            ("ManagedPreferencesDomain", "mobile/com.apple.webcontentfilter.plist"),
            ("SysSharedContainerDomain-systemgroup.com.apple.icloud.findmydevice.managed", "x"),
            ("SysSharedContainerDomain-systemgroup.com.apple.media.shared.books", "x"),
            ("BooksDomain", "Purchases/Purchases.plist"),
        ] {
            assert_eq!(kind(domain, path), None, "{domain}:{path}");
        }
        assert_eq!(kind("BooksDomain", "Managed/a.epub"), system(Kind::ManagedBook));
        assert_eq!(
            kind("ManagedPreferencesDomain", "mobile/com.example.plist"),
            system(Kind::ManagedPreferences)
        );
    }
}
