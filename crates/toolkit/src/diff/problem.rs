//! What could not be read of one of two backups.

use std::error::Error;
use std::fmt;

use bkp_core::{Entry, Fault, Monitor, Place, Problem, Severity};

use super::Side;
use crate::inspect::chain;

/// A domain and a path.
type Names = (Box<[u8]>, Box<[u8]>);

/// Something that is wrong with one of two backups: every fault that [`diff`](crate::diff) gives
/// to a monitor is of this type.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DiffProblem {
    /// Which backup.
    pub side: Side,
    /// A stable code, such as `missing-blob`.
    pub code: &'static str,
    /// What it did to the entry.
    pub severity: Severity,
    /// What was found.
    pub message: String,
    /// Domain and path as the catalog spells them, where there is no entry of them. Unchecked.
    pub place: Option<Names>,
}

impl DiffProblem {
    pub(super) fn damage(side: Side, code: &'static str, message: String) -> Self {
        Self { side, code, severity: Severity::Damage, message, place: None }
    }

    pub(super) fn of(side: Side, fault: &dyn Fault) -> Self {
        let place = fault.place().map(|Place { domain, path }| (domain.into(), path.into()));
        let error: &dyn Error = fault;
        let (code, severity) = (fault.code(), fault.severity());
        Self { side, code, severity, message: chain(error), place }
    }

    pub(super) fn tell(&self, entry: Option<&Entry>, monitor: &dyn Monitor) {
        monitor.problem(Problem { entry, fault: self });
    }
}

impl fmt::Display for DiffProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in backup {}: {}", self.side, self.message)
    }
}

impl Error for DiffProblem {}

impl Fault for DiffProblem {
    fn code(&self) -> &'static str {
        self.code
    }

    fn severity(&self) -> Severity {
        self.severity
    }

    fn place(&self) -> Option<Place<'_>> {
        self.place.as_ref().map(|(domain, path)| Place { domain, path })
    }
}
