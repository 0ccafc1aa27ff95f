//! Management configuration and profiles.

use super::{AdeState, Decision, Enrolment, Situation, Subject};
use crate::era::Era;
use crate::mobileconfig::Acme;
use crate::policy_file::Server;
use crate::requirement::{Ground, says};
use crate::tables::{Conflict, EnrolmentCase, EraRow, Fate, Overlay, Scenario, Side, conflict};

/// Finds the enrolment, as the main table tells enrolments apart.
pub(super) fn case(situation: &Situation) -> EnrolmentCase {
    let device = &situation.facts.device;
    let mdm = &situation.policy.mdm;
    let server = mdm.source_server.or(device.server);
    let reassigned = server == Some(Server::Other) && mdm.server == Some(Server::Intune);
    match device.enrolment {
        Enrolment::None => EnrolmentCase::NotEnrolled,
        Enrolment::Unknown => EnrolmentCase::Unknown,
        Enrolment::SharedIpad => EnrolmentCase::SharedIpad,
        Enrolment::AccountDriven => EnrolmentCase::AccountDriven,
        Enrolment::Profile | Enrolment::Ade if reassigned => EnrolmentCase::ReassignedToIntune,
        Enrolment::Ade if mdm.employee_plan == Some(true) => EnrolmentCase::AdeEmployeePlan,
        Enrolment::Ade => EnrolmentCase::Ade,
        Enrolment::Profile if device.supervised == Some(true) => {
            EnrolmentCase::ConfiguratorSupervised
        }
        Enrolment::Profile if server == Some(Server::Intune) => EnrolmentCase::IntuneByod,
        Enrolment::Profile => EnrolmentCase::OtherByod,
    }
}

/// Returns when the management certificate expires: as the administrator says, or as the
/// enrolment profile does.
pub(super) fn certificate_expires(situation: &Situation) -> Option<i64> {
    let profiles = &situation.facts.device.profiles;
    let stated = profiles.iter().filter(|profile| profile.is_enrolment);
    let stated = stated.filter_map(|profile| profile.certificate_expires).min();
    situation.policy.mdm.certificate_expires.or(stated)
}

/// Returns true when the certificate will have expired by the time of the restore.
pub(super) fn certificate_expired(situation: &Situation) -> bool {
    certificate_expires(situation)
        .zip(situation.restore_at)
        .is_some_and(|(expires, restore_at)| expires <= restore_at)
}

/// Returns true for enrolments whose profile checks in with a server after a restore.
pub(super) fn checks_in(case: EnrolmentCase) -> bool {
    matches!(
        case,
        EnrolmentCase::IntuneByod
            | EnrolmentCase::OtherByod
            | EnrolmentCase::ReassignedToIntune
            | EnrolmentCase::ConfiguratorSupervised
            | EnrolmentCase::Ade
            | EnrolmentCase::AdeEmployeePlan
    )
}

/// Returns what comes on top of a row for the same device.
pub(super) fn overlays(situation: &Situation, case: EnrolmentCase) -> Vec<&'static Overlay> {
    let mut names = Vec::new();
    if !checks_in(case) {
        return Vec::new();
    }
    let profiles = &situation.facts.device.profiles;
    let acme = |wanted| profiles.iter().any(|profile| profile.acme == wanted);
    if acme(Acme::MdmIdentity) {
        names.push("acme-is-identity");
    }
    if acme(Acme::Elsewhere) {
        names.push("acme-elsewhere");
    }
    let mdm = &situation.policy.mdm;
    let expired = certificate_expired(situation);
    if expired {
        names.push("certificate-expired");
    }
    match (mdm.retired, mdm.accepts_checkin) {
        (Some(true), _) => names.push("retired"),
        (_, Some(false)) => names.push("rejected"),
        (_, Some(true)) if !expired => names.push("accepted"),
        (_, Some(true)) => {}
        // Both branches are shown.
        (_, None) => names.extend(["offline", "accepted", "rejected"]),
    }
    names.into_iter().filter_map(Overlay::named).collect()
}

/// Returns whether an ADE profile, or a change of server, makes iOS 26 ignore the backup's profile;
/// none when that is not known.
fn ignored_on_request(situation: &Situation) -> Option<bool> {
    let mdm = &situation.policy.mdm;
    let source = mdm.source_server.or(situation.facts.device.server);
    let changed = mdm.server.zip(source).map(|(now, then)| now != then);
    match (mdm.ignores_profile_from_backup, changed) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

pub(super) fn decisions(
    situation: &Situation,
    side: Side,
    case: EnrolmentCase,
    scenario: Option<&'static Scenario>,
    era: Era,
) -> Vec<Decision> {
    let device = &situation.facts.device;
    let enrolment_profiles = device.profiles.iter().any(|profile| profile.is_enrolment);
    let other_profiles = device.profiles.iter().any(|profile| !profile.is_enrolment);
    let copy = |present: bool| match (present, side) {
        (false, _) => Fate::Absent,
        (true, Side::Different) => Fate::Stripped,
        (true, _) => Fate::Kept,
    };
    let (fates, step, grounds, numbers) = match scenario {
        Some(row) => (
            (row.management, row.enrolment_profile, row.other_profiles),
            Some(row.next_step),
            row.grounds.to_vec(),
            row.conflicts,
        ),
        None => ((Fate::Open, Fate::Open, Fate::Open), None, vec![says(1, "19")], &[][..]),
    };
    let conflicts: Vec<&'static Conflict> = numbers.iter().filter_map(|n| conflict(*n)).collect();
    let one = |subject, present, after_restore| Decision {
        subject,
        in_copy: copy(present),
        // What is not there can neither stay nor go.
        after_restore: if present || after_restore == Fate::Open {
            after_restore
        } else {
            Fate::Absent
        },
        placeholder: None,
        next_steps: Vec::new(),
        grounds: grounds.clone(),
        conflicts: conflicts.clone(),
    };
    let mut management = one(Subject::ManagementConfiguration, device.cloud_configuration, fates.0);
    management.next_steps.extend(step);
    let mut enrolment = one(Subject::EnrolmentProfile, enrolment_profiles, fates.1);
    let mut others = one(Subject::OtherProfiles, other_profiles, fates.2);
    if side == Side::Same {
        let lay = overlays(situation, case);
        let undecided = lay.iter().any(|overlay| overlay.name == "offline");
        for overlay in lay {
            // Of branches that are not decided, neither changes what is expected.
            let branch = undecided && matches!(overlay.name, "accepted" | "rejected");
            add(&mut enrolment, overlay.grounds, (!branch).then_some(overlay.next_step));
            if overlay.enrolment_profile == Fate::Stripped && enrolment.after_restore == Fate::Kept
            {
                enrolment.after_restore = if branch { Fate::Open } else { Fate::Stripped };
            }
            if overlay.enrolment_profile == Fate::Stripped
                && !branch
                && others.after_restore == Fate::Kept
            {
                others.after_restore = Fate::ManagedStripped;
                add(&mut others, overlay.grounds, None);
            }
            if overlay.name == "acme-is-identity"
                && device.ade == AdeState::Yes
                && management.after_restore == Fate::Kept
            {
                // So that ADE runs again, the device drops its old record of it.
                management.after_restore = Fate::Stripped;
                add(&mut management, &[says(1, "21"), Ground::Device], None);
            }
            if overlay.name == "acme-elsewhere" && others.after_restore == Fate::Kept {
                others.after_restore = Fate::Open;
                add(&mut others, overlay.grounds, Some(overlay.next_step));
            }
        }
        lay_era(situation, case, era, [&mut management, &mut enrolment, &mut others]);
    }
    let mut all = vec![management, enrolment, others];
    if side == Side::Different {
        all.push(Decision {
            subject: Subject::TrustSettings,
            in_copy: Fate::Stripped,
            after_restore: Fate::Stripped,
            placeholder: None,
            next_steps: vec!["Trust root certificates of the user's own again, where needed."],
            grounds: vec![says(1, "24"), Ground::Device],
            conflicts: Vec::new(),
        });
    }
    all
}

/// Changes what is expected of the same device by its version of iOS.
fn lay_era(situation: &Situation, case: EnrolmentCase, era: Era, decisions: [&mut Decision; 3]) {
    let ade = matches!(
        case,
        EnrolmentCase::Ade | EnrolmentCase::AdeEmployeePlan | EnrolmentCase::ReassignedToIntune
    );
    let Some(row) = EraRow::of(era).filter(|_| checks_in(case) || case == EnrolmentCase::Unknown)
    else {
        return;
    };
    let [management, enrolment, others] = decisions;
    let change = |decision: &mut Decision, fate| {
        if decision.after_restore != Fate::Absent {
            decision.after_restore = fate;
        }
        add(decision, row.grounds, Some(row.effect));
        decision.conflicts.extend(row.conflicts.iter().filter_map(|number| conflict(*number)));
    };
    let drop_if = |decision: &mut Decision, fate| {
        if decision.after_restore == Fate::Kept || fate == Fate::Stripped {
            change(decision, fate);
        }
    };
    let requested = match ignored_on_request(situation) {
        Some(true) => Some(Fate::Stripped),
        Some(false) => None,
        None => Some(Fate::Open),
    };
    match (era, requested, row.fates) {
        (Era::EnrolsAgain, _, Some((m, e, o))) => {
            change(management, m);
            change(enrolment, e);
            change(others, o);
        }
        (Era::IgnoresProfileOnRequest, Some(fate), _) if ade => drop_if(enrolment, fate),
        (Era::RemovesProfilesOnRequest, Some(fate), _) if ade => {
            drop_if(enrolment, fate);
            drop_if(others, fate);
        }
        _ => {}
    }
}

fn add(decision: &mut Decision, grounds: &[Ground], step: Option<&'static str>) {
    for ground in grounds {
        if !decision.grounds.contains(ground) {
            decision.grounds.push(*ground);
        }
    }
    if let Some(step) = step
        && !decision.next_steps.contains(&step)
    {
        decision.next_steps.push(step);
    }
}
