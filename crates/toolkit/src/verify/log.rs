//! Findings as they come: told to the monitor, counted by code, and kept up to a limit.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bkp_core::{Entry, Monitor, Problem, Stage};

use super::CodeCount;
use super::finding::{Finding, Grade};
use super::meaning::meaning;

pub(super) struct Log<'m> {
    monitor: &'m dyn Monitor,
    keep: usize,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    counts: BTreeMap<(Grade, &'static str), u64>,
    kept: Vec<Finding>,
}

impl<'m> Log<'m> {
    pub(super) fn new(monitor: &'m dyn Monitor, keep: usize) -> Self {
        Self { monitor, keep, found: Mutex::new(Found::default()) }
    }

    /// Takes a finding down.
    pub(super) fn add(&self, finding: Finding) {
        self.add_at(None, finding);
    }

    fn add_at(&self, entry: Option<&Entry>, finding: Finding) {
        self.monitor.problem(Problem { entry, fault: &finding });
        let mut found = self.found();
        let count = found.counts.entry((finding.grade, finding.code)).or_default();
        *count = count.saturating_add(1);
        if usize::try_from(*count).is_ok_and(|count| count <= self.keep) {
            found.kept.push(finding);
        }
    }

    /// Returns what was kept, in the order it came, and the counts: damage first.
    pub(super) fn finish(self) -> (Vec<Finding>, Vec<CodeCount>) {
        let Found { counts, kept } =
            self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut counts: Vec<_> = counts
            .into_iter()
            .map(|((grade, code), count)| CodeCount { code, grade, count, meaning: meaning(code) })
            .collect();
        counts.sort_by(|a, b| b.grade.cmp(&a.grade).then(a.code.cmp(b.code)));
        (kept, counts)
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands between the driver and the caller's monitor.
impl Monitor for Log<'_> {
    fn advanced(&self, stage: Stage, entry: &Entry, bytes: u64) {
        self.monitor.advanced(stage, entry, bytes);
    }

    fn problem(&self, problem: Problem<'_>) {
        if let Some(finding) = Finding::of_problem(&problem) {
            self.add_at(problem.entry, finding);
        }
    }

    fn cancelled(&self) -> bool {
        self.monitor.cancelled()
    }
}
