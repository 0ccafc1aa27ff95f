//! Kinds of enrolment, on the same and on another device.

use super::Fate;
use crate::requirement::{Ground, says};

/// Where a backup goes, as the rows of a table tell it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Side {
    /// To the device it came from.
    Same,
    /// To another one.
    Different,
    /// To either.
    Any,
    /// It cannot be told.
    Unknown,
}

/// An enrolment, as the rows of [`SCENARIOS`] tell them apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum EnrolmentCase {
    /// Not enrolled.
    NotEnrolled,
    /// By a profile, unsupervised, in Intune.
    IntuneByod,
    /// By a profile, unsupervised, in another MDM, another tenant or one that is not known.
    OtherByod,
    /// In another MDM or tenant, by a profile or by ADE, and now assigned to Intune.
    ReassignedToIntune,
    /// By a profile, supervised by Configurator.
    ConfiguratorSupervised,
    /// By ADE.
    Ade,
    /// By ADE of Apple Business Essentials, with an Employee plan.
    AdeEmployeePlan,
    /// From an account: User Enrollment or account-driven device enrolment.
    AccountDriven,
    /// A Shared iPad, or one in Return-to-Service mode.
    SharedIpad,
    /// What the backup says is not enough.
    Unknown,
}

impl EnrolmentCase {
    /// All cases.
    pub const ALL: [Self; 10] = [
        Self::NotEnrolled,
        Self::IntuneByod,
        Self::OtherByod,
        Self::ReassignedToIntune,
        Self::ConfiguratorSupervised,
        Self::Ade,
        Self::AdeEmployeePlan,
        Self::AccountDriven,
        Self::SharedIpad,
        Self::Unknown,
    ];

    /// Returns the words that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotEnrolled => "not enrolled",
            Self::IntuneByod => "Intune BYOD unsupervised",
            Self::OtherByod => "other BYOD",
            Self::ReassignedToIntune => "other MDM or tenant, now assigned to Intune",
            Self::ConfiguratorSupervised => "profile-based, supervised by Configurator",
            Self::Ade => "ADE",
            Self::AdeEmployeePlan => "ADE of Business Essentials, Employee plan",
            Self::AccountDriven => "account-driven",
            Self::SharedIpad => "Shared iPad or Return to Service",
            Self::Unknown => "not known",
        }
    }
}

/// A row of the main table: iOS 18 and earlier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Scenario {
    /// Its number.
    pub number: u8,
    /// Where the backup goes.
    pub side: Side,
    /// The enrolments that it is about.
    pub cases: &'static [EnrolmentCase],
    /// Whether the backup is encrypted; none when that does not matter.
    pub encrypted: Option<bool>,
    /// The management configuration: supervision and the ADE record.
    pub management: Fate,
    /// The enrolment profile.
    pub enrolment_profile: Fate,
    /// All other profiles.
    pub other_profiles: Fate,
    /// What the administrator or the user does next.
    pub next_step: &'static str,
    /// What the row rests on.
    pub grounds: &'static [Ground],
    /// Numbers of the open questions that concern it.
    pub conflicts: &'static [u8],
}

use EnrolmentCase as Case;
use Fate::{Absent, Kept, ManagedStripped, Stopped, Stripped};

/// The main table. A case is found by the first row that fits it.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        number: 1,
        side: Side::Same,
        cases: &[Case::NotEnrolled],
        encrypted: None,
        management: Kept,
        enrolment_profile: Absent,
        other_profiles: Kept,
        next_step: "Make a new passcode. If the device is in ABM: document 000 expects ADE, devices were seen not to run it.",
        grounds: &[says(1, "18"), says(0, "8"), Ground::Device],
        conflicts: &[4],
    },
    Scenario {
        number: 2,
        side: Side::Same,
        cases: &[Case::IntuneByod],
        encrypted: Some(true),
        management: Kept,
        enrolment_profile: Kept,
        other_profiles: Kept,
        next_step: "Connect the device, so that it checks in. The server decides.",
        grounds: &[says(1, "19"), says(0, "5")],
        conflicts: &[1],
    },
    Scenario {
        number: 3,
        side: Side::Same,
        cases: &[Case::IntuneByod, Case::OtherByod, Case::ConfiguratorSupervised],
        encrypted: Some(false),
        management: Kept,
        enrolment_profile: Absent,
        other_profiles: Kept,
        next_step: "Enrol again by hand: an unencrypted backup has no enrolment profile.",
        grounds: &[says(1, "11"), Ground::Inference],
        conflicts: &[2, 12],
    },
    Scenario {
        number: 4,
        side: Side::Same,
        cases: &[Case::OtherByod],
        encrypted: Some(true),
        management: Kept,
        enrolment_profile: Kept,
        other_profiles: Kept,
        next_step: "Connect the device, so that it checks in with that vendor's server.",
        grounds: &[says(1, "19")],
        conflicts: &[1],
    },
    Scenario {
        number: 5,
        side: Side::Same,
        cases: &[Case::ReassignedToIntune],
        encrypted: Some(true),
        management: Kept,
        enrolment_profile: Kept,
        other_profiles: Kept,
        next_step: "Document 000 expects ADE in its table and the old state in its prose. Be ready for both.",
        grounds: &[says(0, "7"), says(0, "8")],
        conflicts: &[4],
    },
    Scenario {
        number: 6,
        side: Side::Same,
        cases: &[Case::ConfiguratorSupervised],
        encrypted: Some(true),
        management: Kept,
        enrolment_profile: Kept,
        other_profiles: Kept,
        next_step: "Connect the device, so that it checks in.",
        grounds: &[says(1, "19")],
        conflicts: &[1],
    },
    Scenario {
        number: 7,
        side: Side::Same,
        cases: &[Case::Ade],
        encrypted: Some(true),
        management: Kept,
        enrolment_profile: Kept,
        other_profiles: Kept,
        next_step: "Connect the device, so that it checks in.",
        grounds: &[says(1, "19")],
        conflicts: &[1],
    },
    Scenario {
        number: 8,
        side: Side::Same,
        cases: &[Case::Ade, Case::AdeEmployeePlan, Case::ReassignedToIntune],
        encrypted: Some(false),
        management: Kept,
        enrolment_profile: Absent,
        other_profiles: Kept,
        next_step: "Make an encrypted backup, or enrol again: the device may look supervised and be unmanaged.",
        grounds: &[says(1, "11"), Ground::Inference],
        conflicts: &[2, 12],
    },
    Scenario {
        number: 9,
        side: Side::Same,
        cases: &[Case::AdeEmployeePlan],
        encrypted: Some(true),
        management: Kept,
        enrolment_profile: Kept,
        other_profiles: Kept,
        next_step: "The user enrols again with the Managed Apple Account.",
        grounds: &[says(1, "23")],
        conflicts: &[],
    },
    Scenario {
        number: 10,
        side: Side::Same,
        cases: &[Case::AccountDriven],
        encrypted: None,
        management: Kept,
        enrolment_profile: Stripped,
        other_profiles: ManagedStripped,
        next_step: "Enrol again with the same Managed Apple Account, which then offers its own restore. The removal was seen in iOS 26 only.",
        grounds: &[says(1, "27"), Ground::SingleReport],
        conflicts: &[8],
    },
    Scenario {
        number: 11,
        side: Side::Different,
        cases: &[Case::NotEnrolled],
        encrypted: None,
        management: Stripped,
        enrolment_profile: Absent,
        other_profiles: Stripped,
        next_step: "Make a new passcode. If the device is in ABM or ASM, it enrols through ADE.",
        grounds: &[says(1, "24"), says(1, "25"), Ground::Device],
        conflicts: &[11],
    },
    Scenario {
        number: 12,
        side: Side::Different,
        cases: &[Case::IntuneByod],
        encrypted: None,
        management: Stripped,
        enrolment_profile: Stripped,
        other_profiles: Stripped,
        next_step: "If the device is in ABM, it enrols through ADE (tested by the document). Otherwise enrol by hand.",
        grounds: &[says(0, "3"), says(1, "24"), says(1, "25")],
        conflicts: &[11],
    },
    Scenario {
        number: 13,
        side: Side::Different,
        cases: &[Case::OtherByod, Case::ReassignedToIntune, Case::Unknown],
        encrypted: None,
        management: Stripped,
        enrolment_profile: Stripped,
        other_profiles: Stripped,
        next_step: "If the device is in ABM, it enrols through ADE (tested by the document). Otherwise enrol it.",
        grounds: &[says(0, "3"), says(1, "24"), says(1, "25")],
        conflicts: &[11],
    },
    Scenario {
        number: 14,
        side: Side::Different,
        cases: &[Case::ConfiguratorSupervised],
        encrypted: None,
        management: Stripped,
        enrolment_profile: Stripped,
        other_profiles: Stripped,
        next_step: "Supervision is not carried over. If the device is in ABM, it enrols through ADE. Otherwise prepare and enrol it again.",
        grounds: &[says(1, "24")],
        conflicts: &[11],
    },
    Scenario {
        number: 15,
        side: Side::Different,
        cases: &[Case::Ade, Case::AdeEmployeePlan],
        encrypted: None,
        management: Stripped,
        enrolment_profile: Stripped,
        other_profiles: Stripped,
        next_step: "If the device is in ABM or ASM, it fetches and applies its own configuration. If it is not, it stays unmanaged: tell the administrator.",
        grounds: &[says(1, "24"), says(1, "25")],
        conflicts: &[11],
    },
    Scenario {
        number: 16,
        side: Side::Different,
        cases: &[Case::AccountDriven],
        encrypted: None,
        management: Stripped,
        enrolment_profile: Stripped,
        other_profiles: Stripped,
        next_step: "Enrol again with the same Managed Apple Account.",
        grounds: &[says(1, "24"), says(1, "27")],
        conflicts: &[8, 11],
    },
    Scenario {
        number: 17,
        side: Side::Any,
        cases: &[Case::SharedIpad],
        encrypted: None,
        management: Stopped,
        enrolment_profile: Stopped,
        other_profiles: Stopped,
        next_step: "Sign in anew: such a device takes no backup and no restore.",
        grounds: &[says(1, "10"), Ground::SingleReport],
        conflicts: &[],
    },
    Scenario {
        number: 18,
        side: Side::Unknown,
        cases: &Case::ALL,
        encrypted: None,
        management: Stopped,
        enrolment_profile: Stopped,
        other_profiles: Stopped,
        next_step: "Find out the real serial number and UDID. Nothing is done before.",
        grounds: &[says(0, "9"), says(1, "19"), says(1, "24")],
        conflicts: &[3],
    },
];

impl Scenario {
    /// Finds the row of a case. There is none for an unknown enrolment on the same device.
    #[must_use]
    pub fn of(side: Side, case: EnrolmentCase, encrypted: bool) -> Option<&'static Self> {
        SCENARIOS.iter().find(|row| {
            (row.side == side || (row.side == Side::Any && side != Side::Unknown))
                && row.cases.contains(&case)
                && row.encrypted.is_none_or(|wanted| wanted == encrypted)
        })
    }
}

/// A condition that changes what a restore to the same device does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Overlay {
    /// Its name in code and reports.
    pub name: &'static str,
    /// The condition.
    pub condition: &'static str,
    /// The enrolment profile.
    pub enrolment_profile: Fate,
    /// What else it does.
    pub effect: &'static str,
    /// What the administrator or the user does next.
    pub next_step: &'static str,
    /// What the row rests on.
    pub grounds: &'static [Ground],
}

/// What can come on top of a same-device row.
pub const OVERLAYS: &[Overlay] = &[
    Overlay {
        name: "acme-is-identity",
        condition: "the MDM identity is a hardware-bound ACME certificate",
        enrolment_profile: Stripped,
        effect: "Enrolment is removed, and every profile that uses the key.",
        next_step: "A device of ABM or ASM runs ADE by itself. Otherwise enrol by hand.",
        grounds: &[says(1, "21")],
    },
    Overlay {
        name: "acme-elsewhere",
        condition: "another profile has a hardware-bound ACME certificate",
        enrolment_profile: Kept,
        effect: "That profile alone is removed.",
        next_step: "MDM sends it again.",
        grounds: &[says(1, "21"), Ground::Device],
    },
    Overlay {
        name: "accepted",
        condition: "the certificate is valid and the server accepts the device",
        enrolment_profile: Kept,
        effect: "Everything stays.",
        next_step: "Nothing.",
        grounds: &[says(1, "19")],
    },
    Overlay {
        name: "rejected",
        condition: "the server refuses the check-in",
        enrolment_profile: Stripped,
        effect: "The configurations that belong to it and the remove-on-unenrol apps go with it.",
        next_step: "Enrol again.",
        grounds: &[says(1, "20")],
    },
    Overlay {
        name: "certificate-expired",
        condition: "the management certificate has expired",
        enrolment_profile: Kept,
        effect: "The device returns to the state of the backup, and check-in fails.",
        next_step: "Enrol again: there is no other way to renew.",
        grounds: &[says(0, "6"), says(0, "7")],
    },
    Overlay {
        name: "retired",
        condition: "the device was retired in MDM",
        enrolment_profile: Stripped,
        effect: "Check-in fails; the same follows as when the server refuses.",
        next_step: "Enrol again.",
        grounds: &[says(0, "6"), says(1, "20")],
    },
    Overlay {
        name: "old-backup",
        condition: "the backup is weeks or months old",
        enrolment_profile: Kept,
        effect: "The older it is, the likelier its management state is no longer valid.",
        next_step: "Make a new backup if the device still works.",
        grounds: &[says(0, "4")],
    },
    Overlay {
        name: "offline",
        condition: "the device has not been online since, or the server's answer is not known",
        enrolment_profile: Kept,
        effect: "The state stays as it is until the first connection; then the server accepts or refuses it.",
        next_step: "Connect the device. Nothing is decided before.",
        grounds: &[says(1, "19"), says(1, "20")],
    },
];

impl Overlay {
    /// Finds a row by its name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        OVERLAYS.iter().find(|row| row.name == name)
    }
}
