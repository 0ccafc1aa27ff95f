//! What management makes of a backup: from its files, and from what an administrator gives, to a
//! plan and to what a copy leaves out.
//!
//! ```text
//! policy file, answers of MDM, profiles ──▶ Given ──────┐
//! backup ──▶ survey, apps ──▶ facts ────────────────────┼──▶ Situation ──▶ plan, filter
//! run record beside it ──▶ the device it was made for ──┘        │ LeaveOut
//!                                                                ▼
//!                                        StagingSelect, LeftOut: rows with rule and requirement
//! ```
//!
//! The decisions are those of [`bkp_policy`]; here is only what needs files.

mod facts;
mod given;
mod record;
mod select;
#[cfg(test)]
mod tests;

use bkp_bundle::{Backup, Unlocked};
use bkp_core::{Fault, Monitor, Place, Problem, Severity};
use bkp_managed::{Group, ManagedError};
use bkp_policy::Situation;

pub use given::{Given, GivenError, GivenFiles};
pub use record::{StagedRecordError, staged_for};
pub use select::{LeftOut, Reported, StagingRows, StagingSelect};

/// A file of management state that could not be read, or is odd.
///
/// A copy takes files as they are stored, or leaves them out by their names. So nothing is lost,
/// and the severity says that.
#[derive(Debug, thiserror::Error)]
#[error("this was not read for its facts, and is kept or left out by its name alone")]
struct NotRead {
    #[source]
    source: ManagedError,
}

impl Fault for NotRead {
    fn code(&self) -> &'static str {
        self.source.code()
    }

    fn severity(&self) -> Severity {
        Severity::Notice
    }

    fn place(&self) -> Option<Place<'_>> {
        self.source.place()
    }
}

/// What a backup and an administrator say, and what is only guessed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Surveyed {
    /// What a plan depends on.
    pub situation: Situation,
    /// Containers that apps share, with owners guessed by their names. Nothing is left out on a
    /// guess.
    pub groups: Vec<Group>,
}

/// Puts together all that a plan depends on.
///
/// `now` is when the restore is to happen, in seconds since the Unix epoch. The run record beside the backup is not
/// looked at: see [`staged_for`]. The monitor is told what could not be read, as notices.
#[must_use]
pub fn situation(
    backup: &Backup<Unlocked>,
    given: Given,
    now: i64,
    monitor: &dyn Monitor,
) -> Surveyed {
    let survey = bkp_managed::survey(backup);
    let managed = survey.managed_apps.as_deref().unwrap_or_default();
    let info = crate::managed::stored_info_plist(backup.bundle().storage()).ok().flatten();
    let apps = bkp_managed::survey_apps_of(backup, managed, info.as_deref());
    let facts = facts::of(backup.bundle(), &survey, &apps);
    let Given { policy, managed_applications, installed_applications, profile_restrictions } =
        given;
    for source in survey.problems.into_iter().chain(apps.problems) {
        monitor.problem(Problem { entry: None, fault: &NotRead { source } });
    }
    let situation = Situation {
        facts,
        policy,
        managed_applications,
        installed_applications,
        profile_restrictions,
        staged_for: None,
        restore_at: Some(now),
    };
    Surveyed { situation, groups: apps.groups }
}
