//! The decision tables, as data: what a restore keeps, what it removes, and what comes next.
//!
//! Every row names the statements it rests on, and the open questions that concern it by their
//! numbers in [`CONFLICTS`]. [`text`] prints all of them; the text is committed beside the crate,
//! so that a change of policy is a visible difference.
//!
//! The rows are what the documents say and what devices were seen to do. What `bkp` itself leaves
//! out of a copy is not decided here: see [`StripSet`](crate::StripSet).

mod audit;
mod checklist;
mod conflicts;
mod enrolment;
mod intune;
mod items;
mod print;
mod statements;
mod target;
#[cfg(test)]
mod tests;

pub use audit::{AUDIT, AuditClass};
pub use checklist::{
    CHECKLIST, Check, ChecklistRow, WINDOWS, WINDOWS_AS_OF, WindowsCapability, WindowsCondition,
    WindowsFact,
};
pub(crate) use conflicts::conflict;
pub use conflicts::{CONFLICTS, Conflict};
pub use enrolment::{EnrolmentCase, OVERLAYS, Overlay, SCENARIOS, Scenario, Side};
pub use intune::{
    AppType, Assignment, COMPANION_NOTES, EXPIRED_CERTIFICATE, ExpiredCertificate, NEW_DEVICE,
    NewDevice, PREVENTED_BACKUP, Placeholder, PreventedBackup,
};
pub use items::{FLAG_OUTCOMES, FlagOutcome, ITEMS, Item, ItemRow};
pub use print::text;
pub use statements::{STATEMENTS, Statement};
pub use target::{ERAS, EraRow, TARGETS, TargetRow};

use std::fmt;

/// What becomes of a part of a backup when it is restored.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fate {
    /// It is there afterwards.
    Kept,
    /// It is not.
    Stripped,
    /// What management brought is not there afterwards; what a person installed is.
    ManagedStripped,
    /// There is none of it in the backup.
    Absent,
    /// There is no restore.
    Stopped,
    /// It depends on what is not known.
    Open,
}

impl Fate {
    /// Returns the word that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Stripped => "stripped",
            Self::ManagedStripped => "managed stripped, others kept",
            Self::Absent => "not present",
            Self::Stopped => "stop",
            Self::Open => "depends",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
