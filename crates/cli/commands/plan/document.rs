//! A plan as machines read it, and as the text is written from.

use std::collections::BTreeMap;

use serde::Serialize;

use bkp_toolkit::StagingRows;
use bkp_toolkit::managed_facts::Group;
use bkp_toolkit::policy::tables::{CONFLICTS, Conflict};
use bkp_toolkit::policy::{
    AppDecision, AppNote, Decision, Ground, Identity, Note, Plan, Situation, SourceIdentity,
    Subject, TargetIdentity,
};

use super::tables::{IntuneFacts, StepFacts};
use crate::json::SCHEMA_VERSION;
use crate::problems::Item;
use crate::staging::{ReportedRow, RuleSummary, by_rule, reported};

/// The whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Document<'p> {
    schema_version: u32,
    kind: &'static str,
    /// `same`, `different` or `unknown`.
    pub(super) device: &'static str,
    pub(super) refusal: Option<RefusalFacts>,
    pub(super) source: SourceFacts<'p>,
    pub(super) target: TargetFacts<'p>,
    pub(super) enrolment: &'static str,
    pub(super) supervised: Option<bool>,
    pub(super) encrypted: bool,
    pub(super) ios_versions: &'static str,
    /// The row of the main table that fits.
    pub(super) scenario: Option<u8>,
    pub(super) reason_needed: bool,
    pub(super) stays_encrypted: bool,
    pub(super) decisions: Vec<DecisionFacts<'p>>,
    pub(super) apps: Vec<AppFacts<'p>>,
    pub(super) left_out: Vec<RuleSummary>,
    pub(super) reported: Vec<ReportedRow>,
    pub(super) groups_not_certain: Vec<GroupFacts<'p>>,
    pub(super) notes: Vec<NoteFacts<'p>>,
    /// The open questions that decisions refer to by their numbers.
    pub(super) conflicts: Vec<ConflictFacts>,
    pub(super) checklist: Vec<StepFacts>,
    pub(super) intune: IntuneFacts,
    pub(super) problems: &'p [Item],
}

#[derive(Debug, Serialize)]
pub(super) struct RefusalFacts {
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// The identity as every place states it.
#[derive(Debug, Serialize)]
pub(super) struct SourceFacts<'p> {
    info_serial_number: Option<&'p str>,
    info_unique_identifier: Option<&'p str>,
    info_target_identifier: Option<&'p str>,
    manifest_serial_number: Option<&'p str>,
    manifest_unique_device_id: Option<&'p str>,
}

#[derive(Debug, Serialize)]
pub(super) struct TargetFacts<'p> {
    serial_number: Option<&'p str>,
    unique_device_id: Option<&'p str>,
    ios: Option<String>,
    in_abm: Option<bool>,
    mdm_assigned: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct DecisionFacts<'p> {
    pub(super) subject: &'static str,
    pub(super) app: Option<&'p str>,
    pub(super) in_copy: &'static str,
    pub(super) after_restore: &'static str,
    pub(super) placeholder: Option<&'static str>,
    pub(super) next_steps: &'p [&'static str],
    /// Ids of requirements.
    pub(super) requirements: Vec<String>,
    /// What else it rests on.
    pub(super) other_grounds: Vec<String>,
    /// Numbers of open questions.
    pub(super) conflicts: Vec<u8>,
}

#[derive(Debug, Serialize)]
pub(super) struct AppFacts<'p> {
    pub(super) bundle_id: &'p str,
    pub(super) left_out: Option<&'static str>,
    pub(super) requirement: Option<String>,
    pub(super) signal: Option<&'static str>,
    pub(super) flags: Option<u8>,
    pub(super) notes: Vec<String>,
}

/// A container that apps share, of which an app goes that may own it.
#[derive(Debug, Serialize)]
pub(super) struct GroupFacts<'p> {
    pub(super) group_id: &'p str,
    pub(super) candidates: &'p [String],
}

#[derive(Debug, Serialize)]
pub(super) struct NoteFacts<'p> {
    name: &'static str,
    pub(super) text: &'p str,
    requirements: Vec<String>,
    other_grounds: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ConflictFacts {
    pub(super) number: u8,
    pub(super) question: &'static str,
    pub(super) stand: &'static str,
}

impl<'p> Document<'p> {
    pub(super) fn of(
        situation: &'p Situation,
        plan: &'p Plan,
        rows: &StagingRows,
        groups: &'p [Group],
        problems: &'p [Item],
    ) -> Self {
        let facts = &situation.facts;
        let intune = IntuneFacts::new();
        let mut numbers: BTreeMap<u8, &'static Conflict> = BTreeMap::new();
        let of_decisions = plan.decisions().iter().flat_map(|decision| &decision.conflicts);
        numbers.extend(of_decisions.map(|conflict| (conflict.number, *conflict)));
        let of_tables = intune.expired_certificate.iter().flat_map(|row| row.conflicts);
        for number in of_tables {
            let known = CONFLICTS.iter();
            numbers.extend(known.filter(|row| row.number == *number).map(|row| (*number, row)));
        }
        Self {
            schema_version: SCHEMA_VERSION,
            kind: "plan",
            device: match plan.identity() {
                Identity::Same(_) => "same",
                Identity::Different(_) => "different",
                Identity::Unknown(_) => "unknown",
            },
            refusal: plan.refusal().map(|refusal| RefusalFacts {
                code: refusal.code(),
                message: crate::error::chain(refusal),
            }),
            source: SourceFacts::of(&facts.source),
            target: TargetFacts::of(situation),
            enrolment: plan.case().name(),
            supervised: facts.device.supervised,
            encrypted: facts.encrypted,
            ios_versions: plan.era().versions(),
            scenario: plan.scenario().map(|scenario| scenario.number),
            reason_needed: plan.needs_reason(),
            stays_encrypted: plan.stays_encrypted(),
            decisions: plan.decisions().iter().map(DecisionFacts::of).collect(),
            apps: plan.apps().apps.iter().filter_map(AppFacts::of).collect(),
            left_out: by_rule(&rows.left_out),
            reported: reported(&rows.reported),
            groups_not_certain: groups_not_certain(plan, groups),
            notes: plan.notes().iter().map(NoteFacts::of).collect(),
            conflicts: numbers
                .into_values()
                .map(|conflict| ConflictFacts {
                    number: conflict.number,
                    question: conflict.question,
                    stand: conflict.stand,
                })
                .collect(),
            checklist: situation.checklist().iter().map(StepFacts::of).collect(),
            intune,
            problems,
        }
    }
}

/// Groups that stay, although an app that goes has a name like theirs.
fn groups_not_certain<'p>(plan: &Plan, groups: &'p [Group]) -> Vec<GroupFacts<'p>> {
    let goes = |id: &String| {
        plan.apps().apps.iter().any(|app| app.left_out.is_some() && *app.bundle_id == **id)
    };
    let stays = |group: &&Group| {
        let domain = format!("AppDomainGroup-{}", group.group_id);
        !plan.apps().domains.contains_key(domain.as_str()) && group.candidates.iter().any(goes)
    };
    groups
        .iter()
        .filter(stays)
        .map(|group| GroupFacts { group_id: &group.group_id, candidates: &group.candidates })
        .collect()
}

impl<'p> SourceFacts<'p> {
    fn of(source: &'p SourceIdentity) -> Self {
        Self {
            info_serial_number: source.info_serial.as_deref(),
            info_unique_identifier: source.info_unique_identifier.as_deref(),
            info_target_identifier: source.info_target_identifier.as_deref(),
            manifest_serial_number: source.lockdown_serial.as_deref(),
            manifest_unique_device_id: source.lockdown_udid.as_deref(),
        }
    }

    /// Every place with what it states.
    pub(super) fn places(&self) -> [(&'static str, Option<&'p str>); 5] {
        [
            ("Info.plist, Serial Number", self.info_serial_number),
            ("Info.plist, Unique Identifier", self.info_unique_identifier),
            ("Info.plist, Target Identifier", self.info_target_identifier),
            ("Manifest.plist, SerialNumber", self.manifest_serial_number),
            ("Manifest.plist, UniqueDeviceID", self.manifest_unique_device_id),
        ]
    }
}

impl<'p> TargetFacts<'p> {
    fn of(situation: &'p Situation) -> Self {
        let target = &situation.policy.target;
        let TargetIdentity { serial, udid } = &target.identity;
        Self {
            serial_number: serial.as_deref(),
            unique_device_id: udid.as_deref(),
            ios: target.ios.map(|version| version.to_string()),
            in_abm: target.in_abm,
            mdm_assigned: target.mdm_assigned,
        }
    }

    /// Everything that was given.
    pub(super) fn places(&self) -> [(&'static str, Option<&str>); 5] {
        let word = |known: Option<bool>| known.map(|known| if known { "yes" } else { "no" });
        [
            ("serial number", self.serial_number),
            ("UDID", self.unique_device_id),
            ("iOS", self.ios.as_deref()),
            ("in ABM or ASM", word(self.in_abm)),
            ("MDM server assigned", word(self.mdm_assigned)),
        ]
    }
}

impl<'p> DecisionFacts<'p> {
    fn of(decision: &'p Decision) -> Self {
        let (subject, app) = match &decision.subject {
            Subject::ManagementConfiguration => ("management-configuration", None),
            Subject::EnrolmentProfile => ("enrolment-profile", None),
            Subject::OtherProfiles => ("other-profiles", None),
            Subject::TrustSettings => ("trust-settings", None),
            Subject::App(app) => ("app", Some(&**app)),
            Subject::Books => ("books", None),
            _ => ("other", None),
        };
        let (requirements, other_grounds) = grounds(&decision.grounds);
        Self {
            subject,
            app,
            in_copy: decision.in_copy.name(),
            after_restore: decision.after_restore.name(),
            placeholder: decision.placeholder.map(|placeholder| placeholder.name()),
            next_steps: &decision.next_steps,
            requirements,
            other_grounds,
            conflicts: decision.conflicts.iter().map(|conflict| conflict.number).collect(),
        }
    }
}

/// Ids of requirements, and what else there is.
pub(super) fn grounds(grounds: &[Ground]) -> (Vec<String>, Vec<String>) {
    let (said, other): (Vec<&Ground>, Vec<&Ground>) =
        grounds.iter().partition(|ground| matches!(ground, Ground::Requirement(_)));
    let words = |grounds: Vec<&Ground>| grounds.iter().map(ToString::to_string).collect();
    (words(said), words(other))
}

impl<'p> AppFacts<'p> {
    /// Apps of which nothing is known to be managed are not listed.
    fn of(app: &'p AppDecision) -> Option<Self> {
        let managed = app.left_out.is_some() || app.signal.is_some() || !app.notes.is_empty();
        managed.then(|| Self {
            bundle_id: &app.bundle_id,
            left_out: app.left_out.map(|rule| rule.name()),
            requirement: app.left_out.map(|rule| rule.requirement().to_string()),
            signal: app.signal.map(|signal| signal.name()),
            flags: app.flags.map(|flags| flags.bits()),
            notes: app.notes.iter().map(words).collect(),
        })
    }
}

fn words(note: &AppNote) -> String {
    match note {
        AppNote::WeakSignal(signal) => {
            format!("{} hints at management, and leaves nothing out", signal.name())
        }
        AppNote::Overruled(signal) => {
            format!("{} says something else, and a stronger sign counts", signal.name())
        }
        AppNote::StateNotKnown(signal) => {
            format!("{} does not say whether it is managed now", signal.name())
        }
        AppNote::GroupShared(group) => {
            format!("the group {group} stays: an app that stays uses it too")
        }
        AppNote::GroupNotProved(group) => {
            format!("the group {group} stays: another app may use it")
        }
        AppNote::PluginShared(plugin) => {
            format!("the plug-in {plugin} stays: it is of an app that stays as well")
        }
        _ => "see the library".to_owned(),
    }
}

impl<'p> NoteFacts<'p> {
    fn of(note: &'p Note) -> Self {
        let (requirements, other_grounds) = grounds(&note.grounds);
        Self { name: note.name, text: &note.text, requirements, other_grounds }
    }

    /// What it rests on, in one line.
    pub(super) fn grounds(&self) -> String {
        [self.requirements.as_slice(), &self.other_grounds].concat().join(", ")
    }
}
