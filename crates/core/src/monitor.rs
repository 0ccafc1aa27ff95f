//! What a run reports while it is under way.

use crate::{Entry, Fault};

/// Receives progress and the problems that did not stop a run.
///
/// Libraries never print. The command line shows what a monitor receives, and tests assert on it.
pub trait Monitor: Sync {
    /// An entry passed a stage. `bytes` is what its catalog row says of its size. Called from
    /// any thread.
    fn advanced(&self, stage: Stage, entry: &Entry, bytes: u64);

    /// Something was wrong and the run went on. Called from the thread that runs the driver, in
    /// catalog order.
    fn problem(&self, problem: Problem<'_>);

    /// Returns true once the run should wind down. Asked often and from any thread.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Where in the pipeline an entry is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// Chosen by the selection.
    Selected,
    /// Its payload has been consumed.
    Staged,
    /// It is in the destination.
    Committed,
}

/// Something wrong with one entry.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// The entry, when its row could be read at all; else the fault knows its place.
    pub entry: Option<&'a Entry>,
    /// What went wrong.
    pub fault: &'a dyn Fault,
}

/// Ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullMonitor;

impl Monitor for NullMonitor {
    fn advanced(&self, _: Stage, _: &Entry, _: u64) {}
    fn problem(&self, _: Problem<'_>) {}
}
