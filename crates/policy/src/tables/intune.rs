//! What Intune's documents say.

use crate::requirement::{Ground, says};

/// A move from an old device to a new one that enrols through ADE.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NewDevice {
    /// How the old device was enrolled.
    pub old: &'static str,
    /// Whether the new one ends in the Intune ADE profile assigned to it.
    pub works: bool,
    /// What the row rests on.
    pub grounds: &'static [Ground],
}

/// New ADE devices.
pub const NEW_DEVICE: &[NewDevice] = &[
    NewDevice { old: "Intune BYOD", works: true, grounds: &[says(0, "3")] },
    NewDevice { old: "BYOD outside Intune", works: true, grounds: &[says(0, "3")] },
    NewDevice {
        old: "another MDM or Intune tenant, BYOD or ADE",
        works: true,
        grounds: &[says(0, "3")],
    },
];

/// What the same device comes back with when its management certificate has expired.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExpiredCertificate {
    /// How it was enrolled.
    pub enrolled: &'static str,
    /// What it comes back with, by the table of the document.
    pub comes_back_with: &'static str,
    /// What the row rests on.
    pub grounds: &'static [Ground],
    /// Numbers of the open questions that concern it.
    pub conflicts: &'static [u8],
}

/// Expired certificates on the same device. This is what Intune's table states, and no more.
pub const EXPIRED_CERTIFICATE: &[ExpiredCertificate] = &[
    ExpiredCertificate {
        enrolled: "Intune BYOD unsupervised",
        comes_back_with: "the old management profile, whose check-in then fails",
        grounds: &[says(0, "6"), says(0, "8")],
        conflicts: &[],
    },
    ExpiredCertificate {
        enrolled: "no MDM",
        comes_back_with: "ADE",
        grounds: &[says(0, "8")],
        conflicts: &[4],
    },
    ExpiredCertificate {
        enrolled: "another MDM or tenant",
        comes_back_with: "ADE",
        grounds: &[says(0, "8")],
        conflicts: &[4],
    },
];

/// What a newer text of the same document adds (2024-01).
pub const COMPANION_NOTES: &[&str] = &[
    "On another device Setup Assistant goes on at Remote Management; on the same one it ends at the Home Screen with the old state.",
    "A local reset keeps the enrolment; a remote wipe ends it.",
    "Management certificates last one year.",
    "Retire the device before the last backup, or hide the Restore pane of Setup Assistant.",
];

/// Where an app comes from, and who holds its licence.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AppType {
    /// The store, without a volume licence.
    Store,
    /// The store, with a volume licence of the user.
    StoreUserLicence,
    /// The store, with a volume licence of the device.
    StoreDeviceLicence,
    /// In-house (line of business).
    InHouse,
}

impl AppType {
    /// All types.
    pub const ALL: [Self; 4] =
        [Self::Store, Self::StoreUserLicence, Self::StoreDeviceLicence, Self::InHouse];

    /// Returns the words that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "store, no volume licence",
            Self::StoreUserLicence => "store, licence of the user",
            Self::StoreDeviceLicence => "store, licence of the device",
            Self::InHouse => "in-house",
        }
    }
}

/// How an app is assigned in MDM.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Assignment {
    /// It is installed without being asked for.
    Required,
    /// The user may install it.
    Available,
}

impl Assignment {
    /// Returns the word that policy files and reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Available => "available",
        }
    }
}

/// What stands on the Home Screen until an app is back.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Placeholder {
    /// An icon that says "Waiting…": the store installs the app by itself.
    Waiting,
    /// An icon with a cloud: the app waits for MDM.
    Cloud,
    /// Some placeholder may show; it is not known which.
    Possible,
}

impl Placeholder {
    /// Returns the words that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting…",
            Self::Cloud => "cloud",
            Self::Possible => "a placeholder may show",
        }
    }
}

/// How an app comes back when its backup is prevented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PreventedBackup {
    /// The app's type.
    pub app: AppType,
    /// How it is assigned.
    pub assignment: Assignment,
    /// What happens on the same device.
    pub same: &'static str,
    /// What happens on a new one.
    pub new: &'static str,
    /// What shows meanwhile.
    pub icon: Placeholder,
    /// What the row rests on.
    pub grounds: &'static [Ground],
}

const DOWNLOADS: &str = "It downloads by itself, without a sync.";
const SYNC: &str = "Sync by hand, or wait up to about 8 hours for the automatic one.";
const PORTAL: &str = "The user installs it from Company Portal.";
const ENROLMENT: &str = "Enrolment starts the sync; nothing is to be done.";

const BY_STORE: &[Ground] = &[says(4, "5"), says(4, "7"), says(4, "9")];
const BY_SYNC: &[Ground] = &[says(4, "5"), says(4, "6"), says(4, "9"), says(4, "10")];
const BY_USER: &[Ground] = &[says(4, "4"), says(4, "5"), says(4, "9")];

const fn by_itself(app: AppType, assignment: Assignment) -> PreventedBackup {
    PreventedBackup {
        app,
        assignment,
        same: DOWNLOADS,
        new: DOWNLOADS,
        icon: Placeholder::Waiting,
        grounds: BY_STORE,
    }
}

const fn by_mdm(app: AppType, assignment: Assignment) -> PreventedBackup {
    let (same, new, grounds) = match assignment {
        Assignment::Required => (SYNC, ENROLMENT, BY_SYNC),
        Assignment::Available => (PORTAL, PORTAL, BY_USER),
    };
    PreventedBackup { app, assignment, same, new, icon: Placeholder::Cloud, grounds }
}

/// Apps whose backup an administrator prevents.
pub const PREVENTED_BACKUP: &[PreventedBackup] = &[
    by_itself(AppType::Store, Assignment::Required),
    by_itself(AppType::Store, Assignment::Available),
    by_itself(AppType::StoreUserLicence, Assignment::Required),
    by_itself(AppType::StoreUserLicence, Assignment::Available),
    by_mdm(AppType::StoreDeviceLicence, Assignment::Required),
    by_mdm(AppType::StoreDeviceLicence, Assignment::Available),
    by_mdm(AppType::InHouse, Assignment::Required),
    by_mdm(AppType::InHouse, Assignment::Available),
];

impl PreventedBackup {
    /// Finds the row of an app.
    #[must_use]
    pub fn of(app: AppType, assignment: Assignment) -> Option<&'static Self> {
        PREVENTED_BACKUP.iter().find(|row| row.app == app && row.assignment == assignment)
    }
}
