//! What a restore does with a backup, decided from facts alone.
//!
//! ```text
//! Situation: facts of the backup, target, policy, answers of MDM
//!     │ identity: same, different, unknown          (unknown, Shared iPad: refused)
//!     │ enrolment, encryption ─▶ row of the main table
//!     │ certificate, age, server's answer, version of iOS ─▶ what comes on top
//!     │ apps and books
//!     ▼
//! Plan: decisions and notes ──leave_out(reason)──▶ LeaveOut, or a Refusal
//! ```
//!
//! A copy for the same device keeps everything, and what a plan says of it is a prediction. A
//! copy for another device leaves out what the device would delete by itself.

mod device;
mod facts;
mod items;
mod notes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;

use bkp_core::{Domain, RelPath};

pub use facts::{AdeState, DeviceFacts, Enrolment, Facts, ProfileFacts, Situation, StagedFor};

use crate::apps::{AppDecisions, Purpose, decide_apps};
use crate::era::Era;
use crate::identity::{Identity, Serial, UnknownReason, compare};
use crate::leave_out::LeaveOut;
use crate::requirement::Ground;
use crate::tables::{Conflict, EnrolmentCase, Fate, Placeholder, Scenario, Side};

/// What a decision is about.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Subject {
    /// The management configuration: supervision and the ADE record.
    ManagementConfiguration,
    /// The enrolment profile.
    EnrolmentProfile,
    /// All other profiles.
    OtherProfiles,
    /// Trust in root certificates.
    TrustSettings,
    /// The data of an app, by its bundle identifier.
    App(Box<str>),
    /// Books that MDM installed.
    Books,
}

/// What becomes of one thing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// What it is about.
    pub subject: Subject,
    /// What becomes of it in the copy that is made for the restore.
    pub in_copy: Fate,
    /// What is expected of the device, once restored.
    pub after_restore: Fate,
    /// What may show on the Home Screen meanwhile.
    pub placeholder: Option<Placeholder>,
    /// What the administrator or the user does next.
    pub next_steps: Vec<&'static str>,
    /// What it rests on.
    pub grounds: Vec<Ground>,
    /// The open questions that concern it.
    pub conflicts: Vec<&'static Conflict>,
}

/// Something that the administrator should know.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Note {
    /// Its name, stable: `old-backup`.
    pub name: &'static str,
    /// What it says.
    pub text: Cow<'static, str>,
    /// What it rests on.
    pub grounds: Vec<Ground>,
}

/// Why no copy is made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Source and target can be told neither to be one device nor to be two.
    #[error("it is not certain whether the target is the device this backup came from")]
    UnknownIdentity {
        /// Why.
        #[source]
        source: UnknownReason,
    },
    /// The source is a Shared iPad, or in Return-to-Service mode.
    #[error("a Shared iPad, or a device in Return-to-Service mode, takes no restore")]
    SharedIpad,
    /// The bundle was staged for another target.
    #[error("the run record beside the bundle says that it was made for serial number {staged:?}")]
    StagedForAnother {
        /// The serial number that the record names.
        staged: Box<str>,
    },
    /// The source is managed through ADE, or may be, and no reason was given.
    #[error(
        "the source is managed through ADE: a reason is needed, which goes into the run record"
    )]
    ReasonNeeded,
}

impl Refusal {
    /// Returns the stable code that machine output carries.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownIdentity { .. } => "unknown-identity",
            Self::SharedIpad => "shared-ipad",
            Self::StagedForAnother { .. } => "staged-for-another",
            Self::ReasonNeeded => "reason-needed",
        }
    }
}

/// What a restore does, and what the copy for it leaves out.
#[derive(Debug)]
pub struct Plan {
    identity: Identity,
    refusal: Option<Refusal>,
    case: EnrolmentCase,
    scenario: Option<&'static Scenario>,
    era: Era,
    needs_reason: bool,
    stays_encrypted: bool,
    decisions: Vec<Decision>,
    notes: Vec<Note>,
    apps: AppDecisions,
    books_disallowed: bool,
    settings_of_profiles: BTreeSet<(Domain, RelPath)>,
}

impl Plan {
    /// Returns what the comparison of source and target found.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns why no copy can be made, whatever reason is given.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Returns the enrolment, as the main table tells enrolments apart.
    #[must_use]
    pub fn case(&self) -> EnrolmentCase {
        self.case
    }

    /// Returns the row of the main table that fits; none for an enrolment that is not known, on
    /// the same device.
    #[must_use]
    pub fn scenario(&self) -> Option<&'static Scenario> {
        self.scenario
    }

    /// Returns the era of the target's iOS.
    #[must_use]
    pub fn era(&self) -> Era {
        self.era
    }

    /// Returns true when a copy needs a reason, which goes into the run record.
    #[must_use]
    pub fn needs_reason(&self) -> bool {
        self.needs_reason
    }

    /// Returns true when the copy must stay encrypted: profiles are kept in it, or a profile
    /// forces encryption (001-9, 001-11).
    #[must_use]
    pub fn stays_encrypted(&self) -> bool {
        self.stays_encrypted
    }

    /// Returns the decisions; none when the plan is refused.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Returns what else the administrator should know.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Returns what is decided about each app. For the same device nothing is left out.
    #[must_use]
    pub fn apps(&self) -> &AppDecisions {
        &self.apps
    }

    /// Returns what a copy leaves out. For the same device that is nothing, whatever the policy.
    ///
    /// # Errors
    ///
    /// Fails when the plan is refused, and when a reason is needed and none, or a blank one, is
    /// given.
    pub fn leave_out(&self, reason: Option<&str>) -> Result<LeaveOut<'_>, Refusal> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        if self.needs_reason && reason.is_none_or(|reason| reason.trim().is_empty()) {
            return Err(Refusal::ReasonNeeded);
        }
        self.would_leave_out()
    }

    /// Returns what a copy would leave out, were a reason given where one is needed: to show, and
    /// not to make the copy by.
    ///
    /// # Errors
    ///
    /// Fails when the plan is refused.
    pub fn would_leave_out(&self) -> Result<LeaveOut<'_>, Refusal> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        match &self.identity {
            Identity::Different(proof) => Ok(LeaveOut::for_restore(
                proof,
                &self.settings_of_profiles,
                &self.apps,
                self.books_disallowed,
            )),
            Identity::Same(_) => Ok(LeaveOut::for_filter(&AppDecisions::default(), false)),
            Identity::Unknown(unknown) => {
                Err(Refusal::UnknownIdentity { source: unknown.reason.clone() })
            }
        }
    }
}

/// What a filter by policy leaves out.
#[derive(Debug)]
#[non_exhaustive]
pub struct FilterPlan {
    /// What is decided about each app.
    pub apps: AppDecisions,
    /// The selection.
    pub leave_out: LeaveOut<'static>,
    /// What the administrator should know.
    pub notes: Vec<Note>,
}

/// Decides what a restore does with a backup, and what a copy for it leaves out.
#[must_use]
pub fn plan(situation: &Situation) -> Plan {
    let Situation { facts, policy, .. } = situation;
    let identity = compare(&facts.source, &policy.target.identity);
    let side = match &identity {
        Identity::Same(_) => Side::Same,
        Identity::Different(_) => Side::Different,
        Identity::Unknown(_) => Side::Unknown,
    };
    let case = device::case(situation);
    let refusal = refuse(situation, &identity, case);
    let scenario = Scenario::of(side, case, facts.encrypted);
    let era = Era::of(policy.target.ios);
    let books_disallowed = situation.restrictions().allow_enterprise_book_backup == Some(false);
    let mut plan = Plan {
        needs_reason: facts.device.ade != AdeState::No,
        stays_encrypted: facts.encrypted && notes::encryption_holds(situation, side),
        identity,
        refusal,
        case,
        scenario,
        era,
        decisions: Vec::new(),
        notes: Vec::new(),
        apps: AppDecisions::default(),
        books_disallowed: books_disallowed && side == Side::Different,
        settings_of_profiles: facts.device.settings_of_profiles.clone(),
    };
    if plan.refusal.is_some() {
        return plan;
    }
    let disallowed = situation.restrictions().allow_managed_app_backup == Some(false);
    let purpose = match &plan.identity {
        Identity::Different(proof) => Purpose::Restore(proof),
        Identity::Same(_) | Identity::Unknown(_) => Purpose::Filter,
    };
    let apps = situation.apps();
    plan.apps = decide_apps(&apps, situation.group_owners(), purpose, disallowed);
    if side == Side::Same {
        plan.apps.domains.clear();
        for app in &mut plan.apps.apps {
            app.left_out = None;
        }
    }
    plan.notes = notes::all(situation, &plan.identity, case, era);
    plan.decisions = device::decisions(situation, side, case, scenario, era);
    plan.decisions.extend(items::apps(situation, side, case, &apps, &plan.apps, disallowed));
    plan.decisions.extend(items::books(situation, side, books_disallowed));
    plan
}

fn refuse(situation: &Situation, identity: &Identity, case: EnrolmentCase) -> Option<Refusal> {
    let target = match identity {
        Identity::Unknown(unknown) => {
            return Some(Refusal::UnknownIdentity { source: unknown.reason.clone() });
        }
        Identity::Same(same) => &same.device().serial,
        Identity::Different(proof) => &proof.target().serial,
    };
    if case == EnrolmentCase::SharedIpad {
        return Some(Refusal::SharedIpad);
    }
    let staged = &situation.staged_for.as_ref()?.serial;
    if Serial::new(staged).is_ok_and(|staged| staged == *target) {
        return None;
    }
    Some(Refusal::StagedForAnother { staged: staged.clone() })
}

impl Situation {
    /// Decides what a filter by policy leaves out: apps and managed books that should not be in
    /// any backup, whoever the target is. It strips no profile.
    #[must_use]
    pub fn filter(&self) -> FilterPlan {
        let restrictions = self.restrictions();
        let disallowed = restrictions.allow_managed_app_backup == Some(false);
        let apps = decide_apps(&self.apps(), self.group_owners(), Purpose::Filter, disallowed);
        let books = restrictions.allow_enterprise_book_backup == Some(false);
        let leave_out = LeaveOut::for_filter(&apps, books);
        FilterPlan { apps, leave_out, notes: notes::of_answers(self) }
    }

    /// Returns what to warn of when the backup is about to be decrypted: it holds profiles, or a
    /// profile forces encryption.
    #[must_use]
    pub fn decrypt_warning(&self) -> Option<Note> {
        let same = Side::Same;
        (self.facts.encrypted && notes::encryption_holds(self, same)).then(notes::stay_encrypted)
    }
}
