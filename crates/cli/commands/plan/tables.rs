//! The tables of a plan that do not depend on its decisions.

use serde::Serialize;

use bkp_toolkit::policy::tables::{
    COMPANION_NOTES, EXPIRED_CERTIFICATE, NEW_DEVICE, PREVENTED_BACKUP,
};
use bkp_toolkit::policy::{Answer, CheckedStep};

use super::document::grounds;

/// A step of the migration checklist.
#[derive(Debug, Serialize)]
pub(super) struct StepFacts {
    pub(super) step: String,
    pub(super) what: &'static str,
    /// Whether it is done, as far as the backup says; null for what only a person can check.
    pub(super) done: Option<bool>,
    /// What the backup says.
    pub(super) found: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct IntuneFacts {
    pub(super) new_ade_device: Vec<NewDeviceFacts>,
    pub(super) expired_certificate: Vec<ExpiredFacts>,
    pub(super) prevented_app_backup: Vec<PreventedFacts>,
    pub(super) companion_notes: &'static [&'static str],
}

#[derive(Debug, Serialize)]
pub(super) struct NewDeviceFacts {
    pub(super) old_device: &'static str,
    pub(super) works: bool,
    pub(super) requirements: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ExpiredFacts {
    pub(super) enrolled: &'static str,
    pub(super) comes_back_with: &'static str,
    pub(super) requirements: Vec<String>,
    pub(super) conflicts: &'static [u8],
}

#[derive(Debug, Serialize)]
pub(super) struct PreventedFacts {
    pub(super) app: &'static str,
    pub(super) assignment: &'static str,
    pub(super) same_device: &'static str,
    pub(super) new_device: &'static str,
    pub(super) placeholder: &'static str,
    pub(super) requirements: Vec<String>,
}

impl StepFacts {
    pub(super) fn of(step: &CheckedStep) -> Self {
        let yes = |there| if there { "in the backup" } else { "not in the backup" }.to_owned();
        let (done, found) = match step.answer {
            Answer::Person => (None, None),
            Answer::NotKnown => (None, Some("the backup does not say".to_owned())),
            Answer::DaysOld(days) => (None, Some(format!("the backup is {days} days old"))),
            Answer::Apps(count) => (None, Some(format!("{count} apps are installed"))),
            Answer::Installed(there) | Answer::ProfileInstalled(there) => {
                (Some(there), Some(yes(there)))
            }
            _ => (None, None),
        };
        Self { step: step.row.step.to_string(), what: step.row.what, done, found }
    }
}

impl IntuneFacts {
    pub(super) fn new() -> Self {
        Self {
            new_ade_device: NEW_DEVICE
                .iter()
                .map(|row| NewDeviceFacts {
                    old_device: row.old,
                    works: row.works,
                    requirements: grounds(row.grounds).0,
                })
                .collect(),
            expired_certificate: EXPIRED_CERTIFICATE
                .iter()
                .map(|row| ExpiredFacts {
                    enrolled: row.enrolled,
                    comes_back_with: row.comes_back_with,
                    requirements: grounds(row.grounds).0,
                    conflicts: row.conflicts,
                })
                .collect(),
            prevented_app_backup: PREVENTED_BACKUP
                .iter()
                .map(|row| PreventedFacts {
                    app: row.app.name(),
                    assignment: row.assignment.name(),
                    same_device: row.same,
                    new_device: row.new,
                    placeholder: row.icon.name(),
                    requirements: grounds(row.grounds).0,
                })
                .collect(),
            companion_notes: COMPANION_NOTES,
        }
    }
}
