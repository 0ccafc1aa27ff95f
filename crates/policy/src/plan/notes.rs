//! What an administrator should know besides the decisions.

use super::device::{certificate_expired, certificate_expires, checks_in, overlays};
use super::{AdeState, Note, Situation};
use crate::era::Era;
use crate::identity::Identity;
use crate::policy_file::Server;
use crate::requirement::{Ground, says};
use crate::tables::{
    EXPIRED_CERTIFICATE, EnrolmentCase, EraRow, NEW_DEVICE, Overlay, Side, TARGETS,
};

const DAY: i64 = 86_400;

/// The age from which a backup is called old: two weeks. The document says "weeks or months".
const OLD: i64 = 14;

/// Days before its end from which a certificate is worth a word.
const SOON: i64 = 30;

/// Returns true when a copy must stay encrypted.
pub(super) fn encryption_holds(situation: &Situation, side: Side) -> bool {
    let profiles = side == Side::Same && !situation.facts.device.profiles.is_empty();
    profiles || situation.restrictions().force_encrypted_backup == Some(true)
}

pub(super) fn stay_encrypted() -> Note {
    note(
        "stays-encrypted",
        "The backup holds profiles, or a profile forces encryption: a copy stays encrypted.",
        &[says(1, "9"), says(1, "11")],
    )
}

fn note(
    name: &'static str,
    text: impl Into<std::borrow::Cow<'static, str>>,
    grounds: &[Ground],
) -> Note {
    Note { name, text: text.into(), grounds: grounds.to_vec() }
}

pub(super) fn all(
    situation: &Situation,
    identity: &Identity,
    case: EnrolmentCase,
    era: Era,
) -> Vec<Note> {
    let mut notes = Vec::new();
    let side = match identity {
        Identity::Same(_) => Side::Same,
        Identity::Different(_) => Side::Different,
        Identity::Unknown(_) => Side::Unknown,
    };
    if let Identity::Different(proof) = identity
        && proof.target().udid.is_none()
        && proof.source().serial.is_near(&proof.target().serial)
    {
        notes.push(note(
            "serials-alike",
            "The serial numbers differ in one place only. Check for a slip, or give the target's UDID.",
            &[says(0, "9")],
        ));
    }
    if side == Side::Same {
        same_device(situation, case, era, &mut notes);
    } else if case != EnrolmentCase::NotEnrolled {
        let old = match case {
            EnrolmentCase::IntuneByod => 0,
            EnrolmentCase::ConfiguratorSupervised => 1,
            _ => 2,
        };
        let tested = NEW_DEVICE.get(old).filter(|_| situation.policy.target.in_abm == Some(true));
        if let Some(row) = tested.filter(|row| row.works) {
            let text =
                format!("Intune tested this move to a new ADE device; old device: {}.", row.old);
            notes.push(note("new-ade-device", text, row.grounds));
        }
    }
    target(situation, side, &mut notes);
    backup(situation, case, side, &mut notes);
    notes.extend(of_answers(situation));
    notes
}

fn same_device(situation: &Situation, case: EnrolmentCase, era: Era, notes: &mut Vec<Note>) {
    for overlay in overlays(situation, case) {
        let Overlay { name, condition, effect, grounds, .. } = overlay;
        notes.push(note(name, format!("If {condition}: {effect}"), grounds));
    }
    if let Some(row) = EraRow::of(era).filter(|_| case != EnrolmentCase::NotEnrolled) {
        notes.push(note("ios-version", row.effect, row.grounds));
    }
    if certificate_expired(situation) {
        let intune = situation.policy.mdm.source_server.or(situation.facts.device.server)
            == Some(Server::Intune);
        let row = match case {
            EnrolmentCase::NotEnrolled => EXPIRED_CERTIFICATE.get(1),
            _ if intune => EXPIRED_CERTIFICATE.first(),
            _ => EXPIRED_CERTIFICATE.get(2),
        };
        if let Some(row) = row {
            let text = format!(
                "Intune's table for an expired certificate says of {}: comes back with {}.",
                row.enrolled, row.comes_back_with
            );
            notes.push(note("intune-expired-certificate", text, row.grounds));
        }
    } else if checks_in(case)
        && let Some((expires, at)) = certificate_expires(situation).zip(situation.restore_at)
    {
        let days = expires.saturating_sub(at).div_euclid(DAY);
        if days < SOON {
            let text = format!("The management certificate expires {days} days after the restore.");
            notes.push(note("certificate-expires-soon", text, &[says(0, "6")]));
        }
    }
}

/// Says what the organisation's records make of the target; every row that may hold.
fn target(situation: &Situation, side: Side, notes: &mut Vec<Note>) {
    let target = &situation.policy.target;
    let may_hold = TARGETS.iter().filter(|row| {
        target.in_abm.is_none_or(|known| known == row.in_abm)
            && (target.mdm_assigned.is_none()
                || row.mdm_assigned.is_none()
                || target.mdm_assigned == row.mdm_assigned)
    });
    for row in may_hold {
        let words = match (row.in_abm, row.mdm_assigned) {
            (true, Some(true)) => "If the target is in ABM or ASM with an MDM server assigned",
            (true, _) => "If the target is in ABM or ASM without an MDM server",
            (false, _) => "If the target is not in ABM or ASM",
        };
        let effect = if side == Side::Same { row.same } else { row.different };
        notes.push(note("target", format!("{words}: {effect}"), row.grounds));
    }
}

fn backup(situation: &Situation, case: EnrolmentCase, side: Side, notes: &mut Vec<Note>) {
    let facts = &situation.facts;
    let age = facts.made.zip(situation.restore_at).map(|(made, at)| at.saturating_sub(made));
    if let Some(days) = age.map(|age| age.div_euclid(DAY)).filter(|days| *days >= OLD)
        && side == Side::Same
        && checks_in(case)
    {
        let text = format!(
            "The backup is {days} days old. The older it is, the likelier its management state is no longer valid."
        );
        notes.push(note("old-backup", text, &[says(0, "4")]));
    }
    if !facts.encrypted {
        notes.push(note(
            "unencrypted",
            "The backup is not encrypted: passwords, call history, health, website history and Wi-Fi are not in it.",
            &[says(1, "4"), says(1, "6")],
        ));
    }
    if !facts.encrypted && facts.device.profiles.iter().any(|profile| profile.is_enrolment) {
        notes.push(note(
            "enrolment-profile-unencrypted",
            "An enrolment profile is in an unencrypted backup, where it should not be.",
            &[says(1, "11")],
        ));
    }
    if !facts.encrypted && situation.restrictions().force_encrypted_backup == Some(true) {
        notes.push(note(
            "encryption-was-forced",
            "Backups must be encrypted by a restriction, and this one is not.",
            &[says(1, "9"), says(1, "12")],
        ));
    }
    if facts.encrypted && encryption_holds(situation, side) {
        notes.push(stay_encrypted());
    }
    if side == Side::Different {
        for profile in facts.device.profiles.iter().filter(|profile| !profile.brought.is_empty()) {
            let text = format!(
                "The profile {} goes, and what it brought may stay behind: {}.",
                profile.identifier,
                profile.brought.join(", ")
            );
            notes.push(note("brought-by-profile", text, &[says(1, "8")]));
        }
    }
    if facts.device.ade != AdeState::No {
        notes.push(note(
            "reason-needed",
            "The source is managed through ADE, or its record of that could not be read: a copy needs a reason, which goes into the run record.",
            &[says(1, "10")],
        ));
    }
    if case == EnrolmentCase::AccountDriven {
        notes.push(note(
            "account-driven",
            "Managed apps of such an enrolment always go at unenrolment. Their data is in the backup of the managed account, which restores no whole device.",
            &[says(1, "14"), says(1, "17"), says(1, "27")],
        ));
    }
    if case == EnrolmentCase::Unknown {
        notes.push(note(
            "enrolment-unknown",
            "How the source was enrolled is not known. What is left out does not depend on it; what the device does may.",
            &[says(1, "11")],
        ));
    }
    notes.push(note("new-passcode", "The user makes a new passcode.", &[says(1, "18")]));
}

/// Tells of answers to MDM commands that are not used.
pub(super) fn of_answers(situation: &Situation) -> Vec<Note> {
    let mut notes = Vec::new();
    let managed = situation.managed_applications.as_ref().and_then(|list| list.udid.as_deref());
    let installed = situation.installed_applications.as_ref().and_then(|list| list.udid.as_deref());
    for (command, udid) in
        [("ManagedApplicationList", managed), ("InstalledApplicationList", installed)]
    {
        if situation.is_foreign(udid) {
            let text = format!(
                "The answer to {command} names another device than this backup, and is not used."
            );
            notes.push(note("foreign-answer", text, &[Ground::Inference]));
        }
    }
    notes
}
