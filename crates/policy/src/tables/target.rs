//! What is known of the target: its organisation's records, and its version of iOS.

use super::Fate;
use crate::Era;
use crate::requirement::{Ground, says};

/// What a device does that ABM or ASM knows, or does not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TargetRow {
    /// Whether ABM or ASM knows the serial number.
    pub in_abm: bool,
    /// Whether an MDM server is assigned there; none when that does not matter.
    pub mdm_assigned: Option<bool>,
    /// What happens on another device.
    pub different: &'static str,
    /// What happens on the same one.
    pub same: &'static str,
    /// What the row rests on.
    pub grounds: &'static [Ground],
}

/// Rows for a target that is known to ABM or ASM, or not. No program can look this up.
pub const TARGETS: &[TargetRow] = &[
    TargetRow {
        in_abm: true,
        mdm_assigned: Some(true),
        different: "It downloads and applies a configuration of its own (ADE).",
        same: "ADE runs only after the loss of a hardware-bound identity, or on iOS 27 and later.",
        grounds: &[says(1, "25"), says(1, "21")],
    },
    TargetRow {
        in_abm: true,
        mdm_assigned: Some(false),
        different: "No configuration is assigned: it stays unmanaged. Assign an MDM server first.",
        same: "As the backup was.",
        grounds: &[says(1, "25")],
    },
    TargetRow {
        in_abm: false,
        mdm_assigned: None,
        different: "It stays unmanaged. Enrol it by hand.",
        same: "As the backup was.",
        grounds: &[says(1, "24"), says(1, "25")],
    },
];

/// What a version of iOS changes for a restore to the same device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EraRow {
    /// The versions.
    pub era: Era,
    /// Management configuration, enrolment profile and other profiles, where the era decides.
    pub fates: Option<(Fate, Fate, Fate)>,
    /// What changes.
    pub effect: &'static str,
    /// What the row rests on.
    pub grounds: &'static [Ground],
    /// Numbers of the open questions that concern it.
    pub conflicts: &'static [u8],
}

/// Eras. The text of a prediction depends on them; what is left out of a copy does not.
pub const ERAS: &[EraRow] = &[
    EraRow {
        era: Era::Unknown,
        fates: None,
        effect: "The version of the target is not known: what follows holds for iOS 18 and earlier. From 27 on, management state is not restored at all.",
        grounds: &[says(1, "19")],
        conflicts: &[7],
    },
    EraRow {
        era: Era::Classic,
        fates: None,
        effect: "As the main table says.",
        grounds: &[says(1, "19"), Ground::Device],
        conflicts: &[],
    },
    EraRow {
        era: Era::IgnoresProfileOnRequest,
        fates: None,
        effect: "If the ADE profile tells devices not to use the profile of a backup, or the MDM server has changed, the enrolment profile is dropped and ADE runs.",
        grounds: &[Ground::SingleReport],
        conflicts: &[7],
    },
    EraRow {
        era: Era::RemovesProfilesOnRequest,
        fates: None,
        effect: "If the ADE profile tells devices not to use the profile of a backup, or the MDM server has changed, the enrolment profile is dropped and ADE runs. All other profiles are dropped too.",
        grounds: &[Ground::SingleReport],
        conflicts: &[7],
    },
    EraRow {
        era: Era::EnrolsAgain,
        fates: Some((Fate::Stripped, Fate::Stripped, Fate::Open)),
        effect: "Management configuration, enrolment profile and supervision are not restored. The device enrols again through ADE.",
        grounds: &[Ground::SingleReport],
        conflicts: &[7],
    },
];

impl EraRow {
    /// Finds the row of an era.
    pub(crate) fn of(era: Era) -> Option<&'static Self> {
        ERAS.iter().find(|row| row.era == era)
    }
}
