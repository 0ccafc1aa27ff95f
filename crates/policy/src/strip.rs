//! What is left out of a copy that goes to a certainly different device.
//!
//! ```text
//! D1          = SysSharedContainerDomain-systemgroup.com.apple.configurationprofiles
//! system      = Library/ConfigurationProfiles       of D1, and of HomeDomain (older iOS)
//! user        = Library/UserConfigurationProfiles   of HomeDomain
//! holding tank = the folders phone and watch of "system": profiles not yet installed
//! ```
//!
//! The device itself deletes the same when a backup goes to another serial number (001-24). Here it
//! happens earlier, and on the record. Leaving out is all there is: nothing is written in the place
//! of what goes, and the keychain is never touched.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bkp_core::{Domain, RelPath};

use crate::requirement::{Ground, says};
use crate::sqlite::database_of;
use crate::{DifferentDevice, Requirement};

/// A rule that leaves files out, or reports them.
#[derive(Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StripRule {
    /// Its name, stable: `profile`, `cloud-configuration`.
    pub name: &'static str,
    /// The files that it is about.
    pub what: &'static str,
    /// Why they go, or stay.
    pub why: &'static str,
    /// What the rule rests on; for a rule that leaves out, the first is a requirement.
    pub grounds: &'static [Ground],
    /// Numbers of the open questions that concern it.
    pub conflicts: &'static [u8],
}

impl StripRule {
    /// Returns the first requirement that the rule rests on.
    #[must_use]
    pub fn requirement(&self) -> Option<Requirement> {
        self.grounds.iter().find_map(|ground| match ground {
            Ground::Requirement(requirement) => Some(*requirement),
            _ => None,
        })
    }
}

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// It stays.
    Keep,
    /// It is left out.
    Strip(&'static StripRule),
    /// It stays, and is named in the report.
    Report(&'static StripRule),
}

const fn rule(
    name: &'static str,
    what: &'static str,
    why: &'static str,
    grounds: &'static [Ground],
    conflicts: &'static [u8],
) -> StripRule {
    StripRule { name, what, why, grounds, conflicts }
}

static PROFILE: StripRule = rule(
    "profile",
    "profile-* in the system and user folders",
    "configuration profiles belong to the source device's enrolment",
    &[says(1, "24"), says(1, "9")],
    &[],
);
static LEGACY_PROFILE: StripRule = rule(
    "legacy-profile",
    "<identifier>+<hash>.stub in the system folder",
    "profiles under the names of older iOS",
    &[says(1, "24"), says(1, "9")],
    &[],
);
static ENROLMENT: StripRule = rule(
    "enrolment",
    "MDM.plist in the system folder",
    "the record of the source device's enrolment",
    &[says(1, "24"), says(1, "11")],
    &[1],
);
static APP_TABLE: StripRule = rule(
    "app-management",
    "MDMAppManagement.plist in the system folder",
    "the table of apps that the source device's MDM manages",
    &[says(1, "24"), says(1, "13")],
    &[1, 6],
);
static CLOUD_CONFIGURATION: StripRule = rule(
    "cloud-configuration",
    "CloudConfigurationDetails.plist and CloudConfigurationSetAsideDetails.plist in the system folder",
    "the management configuration of the source device: supervision and ADE",
    &[says(1, "24"), says(1, "10")],
    &[],
);
static POST_SETUP: StripRule = rule(
    "post-setup-profile",
    "PostSetup* in the system folder",
    "a profile that waits for the end of the source device's set-up",
    &[says(1, "24")],
    &[],
);
static PROFILE_EVENTS: StripRule = rule(
    "profile-events",
    "MCProfileEvents.plist in the system folder",
    "the log of the profiles that go",
    &[says(1, "24"), says(1, "9")],
    &[],
);
static PROFILE_LISTS: StripRule = rule(
    "profile-lists",
    "PayloadManifest.plist, PayloadDependency.plist and ProfileTruth.plist in the system and user folders",
    "lists and merged restrictions of the profiles that go; both sides stay consistent",
    &[says(1, "24"), says(1, "9")],
    &[11],
);
static HOLDING_TANK: StripRule = rule(
    "holding-tank",
    "profile-* and HoldingTankManifest.plist in the holding tank",
    "profiles that were downloaded and not installed, and their list",
    &[says(1, "24"), says(1, "9")],
    &[11],
);
static SHARED_DEVICE: StripRule = rule(
    "shared-device-configuration",
    "SharedDeviceConfiguration.plist in the system folder",
    "the organisation's text for the source device's lock screen",
    &[says(1, "24"), says(1, "9")],
    &[],
);
static TRUST_STORE: StripRule = rule(
    "trust-store",
    "TrustStore.sqlite3 of KeychainDomain, trustd/private/TrustStore.sqlite3 of ProtectedDomain, with companions",
    "trust in root certificates that profiles or the user set; the device clears it too",
    &[says(1, "24"), says(1, "8"), Ground::Device],
    &[],
);
static COMPUTED_FROM_PROFILES: StripRule = rule(
    "computed-settings-of-profiles",
    "EffectiveUserSettings.plist, PublicEffectiveUserSettings.plist and Truth.plist that hold values of a profile that goes",
    "results computed from profiles that go",
    &[says(1, "24"), says(1, "9")],
    &[],
);

/// The rules that leave out, in the order of the tables.
pub(crate) static STRIPPED: [&StripRule; 12] = [
    &PROFILE,
    &LEGACY_PROFILE,
    &ENROLMENT,
    &APP_TABLE,
    &CLOUD_CONFIGURATION,
    &POST_SETUP,
    &PROFILE_EVENTS,
    &PROFILE_LISTS,
    &HOLDING_TANK,
    &SHARED_DEVICE,
    &TRUST_STORE,
    &COMPUTED_FROM_PROFILES,
];

static COMPUTED: StripRule = rule(
    "computed-settings",
    "EffectiveUserSettings.plist, PublicEffectiveUserSettings.plist and Truth.plist",
    "computed from the user's choices and from profiles; kept unless it is shown that a profile that goes set a value",
    &[Ground::SingleReport],
    &[],
);
static SETTINGS_EVENTS: StripRule = rule(
    "settings-events",
    "MCSettingsEvents.plist in the system folder",
    "tells who changed which setting, and is kept",
    &[Ground::Inference],
    &[],
);
static MANAGED_PREFERENCES: StripRule = rule(
    "managed-preferences",
    "files of ManagedPreferencesDomain beyond the two that every device has",
    "may come from a profile that goes, and may not",
    &[Ground::Inference],
    &[],
);
static CFPREFERENCES: StripRule = rule(
    "cfpreferences-managed",
    "files of SysSharedContainerDomain-systemgroup.com.apple.cfpreferences.managed",
    "only ever seen empty",
    &[Ground::Inference],
    &[],
);
static NOT_BACKED_UP: StripRule = rule(
    "skip-backup-item",
    "MDMEvents*, MultiUserDeviceConfiguration*, com.apple.managedconfiguration.notbackedup.plist, the store of RemoteManagement",
    "devices keep these out of backups: an anomaly",
    &[Ground::SingleReport],
    &[],
);

/// The rules that report, in the order of the tables.
pub(crate) static REPORTED: [&StripRule; 5] =
    [&COMPUTED, &SETTINGS_EVENTS, &MANAGED_PREFERENCES, &CFPREFERENCES, &NOT_BACKED_UP];

/// Judges files by their names, for a copy that goes to another device.
///
/// It cannot be made without the proof that the device is another one.
#[derive(Debug)]
pub struct StripSet<'p> {
    proof: &'p DifferentDevice,
    /// Computed settings that hold values of a profile that goes.
    of_profiles: BTreeSet<(Domain, RelPath)>,
}

impl<'p> StripSet<'p> {
    /// Takes the proof, and names the files of computed settings in which values were found that
    /// a profile set; what is named there and is no such file changes nothing.
    #[must_use]
    pub fn new(
        proof: &'p DifferentDevice,
        of_profiles: impl IntoIterator<Item = (Domain, RelPath)>,
    ) -> Self {
        Self { proof, of_profiles: of_profiles.into_iter().collect() }
    }

    /// Returns the proof.
    #[must_use]
    pub fn proof(&self) -> &DifferentDevice {
        self.proof
    }

    /// Says what becomes of a file. Directories always stay: the caller asks about files and
    /// links only.
    #[must_use]
    pub fn classify(&self, domain: &Domain, path: &RelPath) -> Action {
        match by_name(domain, path) {
            Action::Report(rule)
                if std::ptr::eq(rule, &raw const COMPUTED)
                    && self.of_profiles.contains(&(domain.clone(), path.clone())) =>
            {
                Action::Strip(&COMPUTED_FROM_PROFILES)
            }
            action => action,
        }
    }
}

const D1: &[u8] = b"SysSharedContainerDomain-systemgroup.com.apple.configurationprofiles";
const CFPREFERENCES_DOMAIN: &[u8] =
    b"SysSharedContainerDomain-systemgroup.com.apple.cfpreferences.managed";
const SYSTEM: &[u8] = b"Library/ConfigurationProfiles/";
const USER: &[u8] = b"Library/UserConfigurationProfiles/";

/// Judges by the name alone.
fn by_name(domain: &Domain, path: &RelPath) -> Action {
    let bytes = path.as_bytes();
    match domain.as_bytes() {
        D1 => match bytes.strip_prefix(SYSTEM) {
            Some(rest) => system(rest),
            None => Action::Keep,
        },
        b"HomeDomain" => {
            if let Some(rest) = bytes.strip_prefix(SYSTEM) {
                system(rest)
            } else if let Some(rest) = bytes.strip_prefix(USER) {
                user(rest)
            } else if bytes
                == b"Library/Preferences/com.apple.managedconfiguration.notbackedup.plist"
            {
                Action::Report(&NOT_BACKED_UP)
            } else {
                Action::Keep
            }
        }
        b"KeychainDomain" => trust_store(bytes, b"TrustStore.sqlite3"),
        b"ProtectedDomain" => trust_store(bytes, b"trustd/private/TrustStore.sqlite3"),
        b"ManagedPreferencesDomain" => match bytes {
            b""
            | b"mobile/.GlobalPreferences.plist"
            | b"mobile/com.apple.webcontentfilter.plist" => Action::Keep,
            _ => Action::Report(&MANAGED_PREFERENCES),
        },
        CFPREFERENCES_DOMAIN if !path.is_root() => Action::Report(&CFPREFERENCES),
        name if !path.is_root() && is_remote_management(name) => Action::Report(&NOT_BACKED_UP),
        _ => Action::Keep,
    }
}

fn is_remote_management(domain: &[u8]) -> bool {
    [
        &b"SysContainerDomain-com.apple.remotemanagement"[..],
        b"SysSharedContainerDomain-systemgroup.com.apple.remotemanagement",
    ]
    .iter()
    .any(|start| domain.starts_with(start))
}

fn trust_store(path: &[u8], store: &[u8]) -> Action {
    if path == store || database_of(path) == Some(store) {
        Action::Strip(&TRUST_STORE)
    } else {
        Action::Keep
    }
}

/// Judges what stands in a system folder.
fn system(rest: &[u8]) -> Action {
    match split_folder(rest) {
        (Some(b"phone" | b"watch"), name) => {
            if is_profile(name) || name == b"HoldingTankManifest.plist" {
                Action::Strip(&HOLDING_TANK)
            } else {
                Action::Keep
            }
        }
        (Some(b"PublicInfo"), name) => public_info(name),
        (Some(_), _) => Action::Keep,
        (None, name) => match name {
            b"CloudConfigurationDetails.plist" | b"CloudConfigurationSetAsideDetails.plist" => {
                Action::Strip(&CLOUD_CONFIGURATION)
            }
            b"MDM.plist" => Action::Strip(&ENROLMENT),
            b"MDMAppManagement.plist" => Action::Strip(&APP_TABLE),
            b"MCProfileEvents.plist" => Action::Strip(&PROFILE_EVENTS),
            b"SharedDeviceConfiguration.plist" => Action::Strip(&SHARED_DEVICE),
            b"MCSettingsEvents.plist" => Action::Report(&SETTINGS_EVENTS),
            _ if is_list(name) => Action::Strip(&PROFILE_LISTS),
            _ if is_profile(name) => Action::Strip(&PROFILE),
            _ if is_legacy(name) => Action::Strip(&LEGACY_PROFILE),
            _ if name.starts_with(b"PostSetup") => Action::Strip(&POST_SETUP),
            _ if name.starts_with(b"MDMEvents")
                || name.starts_with(b"MultiUserDeviceConfiguration") =>
            {
                Action::Report(&NOT_BACKED_UP)
            }
            _ => computed(name),
        },
    }
}

/// Judges what stands in the user folder.
fn user(rest: &[u8]) -> Action {
    match split_folder(rest) {
        (Some(b"PublicInfo"), name) => public_info(name),
        (Some(_), _) => Action::Keep,
        (None, name) if is_list(name) => Action::Strip(&PROFILE_LISTS),
        (None, name) if is_profile(name) => Action::Strip(&PROFILE),
        (None, name) => computed(name),
    }
}

fn public_info(name: &[u8]) -> Action {
    if name.contains(&b'/') { Action::Keep } else { computed(name) }
}

fn computed(name: &[u8]) -> Action {
    match name {
        b"EffectiveUserSettings.plist" | b"PublicEffectiveUserSettings.plist" | b"Truth.plist" => {
            Action::Report(&COMPUTED)
        }
        _ => Action::Keep,
    }
}

fn is_list(name: &[u8]) -> bool {
    matches!(name, b"PayloadManifest.plist" | b"PayloadDependency.plist" | b"ProfileTruth.plist")
}

fn is_profile(name: &[u8]) -> bool {
    name.strip_prefix(b"profile-").is_some_and(|rest| !rest.is_empty() && !rest.contains(&b'/'))
}

/// `<identifier>+<hash>.stub`, as iOS named stubs before it hashed the identifier.
fn is_legacy(name: &[u8]) -> bool {
    let Some(stem) = name.strip_suffix(b".stub") else { return false };
    let mut parts = stem.rsplitn(2, |&b| b == b'+');
    let hash = parts.next().unwrap_or_default();
    let id = parts.next().unwrap_or_default();
    !id.is_empty() && !hash.is_empty() && hash.iter().all(u8::is_ascii_alphanumeric)
}

/// Splits the first folder off a path; none when the path is a name alone.
fn split_folder(path: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut parts = path.splitn(2, |&b| b == b'/');
    match (parts.next(), parts.next()) {
        (Some(folder), Some(rest)) => (Some(folder), rest),
        _ => (None, path),
    }
}
