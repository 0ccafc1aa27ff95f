//! The driver.
//!
//! ```text
//! this thread                            workers
//! records ─ select ─▶ batches of jobs ─▶ open ─ transform ─ sink.stage
//! sink.commit ◀── in catalog order ◀──── results
//! ```
//!
//! The catalog is read, and entries are committed, on the calling thread; a bounded number of
//! entries is between the two, so memory does not grow with the catalog. A few of the longest
//! files are fetched first, or one of them met last would leave every other worker idle.

mod feed;
mod longest;
mod worker;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Fault, Monitor, Problem, Select, Severity, Sink, Source, Stage, Transform};
use feed::{Feed, WorkersGone};
pub use longest::Longest;
use worker::{Bench, Done, Outcome, Worker};

/// How a run goes about its work.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Worker threads. The calling thread works besides, lightly.
    pub threads: NonZeroUsize,
    /// How many of the longest files are staged before all others. They are found by a walk of
    /// the catalog of their own; 0 spares that walk.
    pub longest_first: usize,
    /// Whether the first failed entry ends the run.
    pub stop_on_problem: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { threads, longest_first: 64, stop_on_problem: false }
    }
}

/// What a run did. Every entry that was listed is counted as done, skipped or failed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report<S> {
    /// What the destination says of itself.
    pub summary: S,
    /// Rows in the catalog, readable or not.
    pub listed: u64,
    /// Entries in the destination.
    pub done: u64,
    /// Entries that the selection left out.
    pub skipped: u64,
    /// Rows that could not be read and entries that could not be staged.
    pub failed: u64,
    /// Entries in the destination of which some bytes could not be recovered.
    pub damaged: u64,
    /// Oddities that lost nothing.
    pub notices: u64,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError<S: Fault, K: Fault> {
    /// The catalog could not be read.
    #[error("cannot read the source")]
    Source(#[source] S),
    /// The destination could not be written.
    #[error("cannot write the destination")]
    Sink(#[source] K),
    /// The worker threads could not be started.
    #[error("cannot start worker threads")]
    Threads(#[source] rayon::ThreadPoolBuildError),
    /// The monitor asked for an end.
    #[error("cancelled")]
    Cancelled,
    /// A sink did not hand back every job it took, so that nothing can be said of the result.
    #[error("{listed} entries were listed, and only {accounted} are accounted for")]
    Unaccounted {
        /// Rows listed.
        listed: u64,
        /// Rows done, skipped or failed.
        accounted: u64,
    },
}

/// What [`run`] returns for a source and a sink.
pub type RunResult<S, K> =
    Result<Report<<K as Sink>::Summary>, RunError<<S as Source>::Error, <K as Sink>::Error>>;

/// Moves every chosen entry from `source` to `sink`.
///
/// Entries are committed in catalog order whatever the number of threads, so the same input
/// gives the same output.
///
/// # Errors
///
/// Fails when the catalog cannot be listed, when the sink refuses a commit, when the monitor
/// cancels, or at the first problem if [`RunOptions::stop_on_problem`] is set. The sink is then
/// dropped unfinished.
pub fn run<S, K>(
    source: &S,
    select: &dyn Select,
    transform: &dyn Transform,
    sink: K,
    options: &RunOptions,
    monitor: &dyn Monitor,
) -> RunResult<S, K>
where
    S: Source,
    K: Sink,
{
    let longest =
        Longest::of_source(source, select, options.longest_first).map_err(RunError::Source)?;
    run_longest_first(source, select, transform, sink, longest, options, monitor)
}

/// Does what [`run`] does, with the longest files found already. They must be of the same source
/// and the same selection.
///
/// # Errors
///
/// Fails as [`run`] does.
pub fn run_longest_first<S, K>(
    source: &S,
    select: &dyn Select,
    transform: &dyn Transform,
    mut sink: K,
    longest: Longest<S::Record>,
    options: &RunOptions,
    monitor: &dyn Monitor,
) -> RunResult<S, K>
where
    S: Source,
    K: Sink,
{
    let &RunOptions { threads, longest_first: _, stop_on_problem } = options;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .build()
        .map_err(RunError::Threads)?;
    let stager = sink.stager();
    let stop = AtomicBool::new(false);
    let bench =
        Bench { payloads: source.payloads(), transform, stager: &*stager, monitor, stop: &stop };
    let mut settle = Settle { sink: &mut sink, stop_on_problem, monitor, tally: Tally::default() };
    let (jobs, queue) = crossbeam_channel::bounded(threads.get().saturating_mul(2));
    let (outbox, results) = crossbeam_channel::unbounded();

    pool.in_place_scope(|scope| {
        for _ in 0..threads.get() {
            let worker = Worker::new(&bench, queue.clone(), outbox.clone());
            scope.spawn(|_| worker.run());
        }
        drop((queue, outbox));
        // The feed is dropped on the way out, whatever the way, and that ends the workers.
        let result = pump(source, select, longest, Feed::new(jobs, results), &mut settle);
        stop.store(true, Ordering::Relaxed);
        result
    })?;

    let Tally { listed, done, skipped, failed, damaged, notices } = settle.tally;
    let accounted = done.saturating_add(skipped).saturating_add(failed);
    if accounted != listed {
        return Err(RunError::Unaccounted { listed, accounted });
    }
    let summary = sink.finish().map_err(RunError::Sink)?;
    Ok(Report { summary, listed, done, skipped, failed, damaged, notices })
}

type FeedOf<S, K> =
    Feed<<S as Source>::Record, <K as Sink>::Staged, <S as Source>::Error, <K as Sink>::Error>;
type RunErrorOf<S, K> = RunError<<S as Source>::Error, <K as Sink>::Error>;

/// Moves the catalog into the feed and what comes out of it into the sink.
fn pump<S: Source, K: Sink>(
    source: &S,
    select: &dyn Select,
    longest: Longest<S::Record>,
    mut feed: FeedOf<S, K>,
    settle: &mut Settle<'_, K>,
) -> Result<(), RunErrorOf<S, K>> {
    let gone = |WorkersGone| RunError::Cancelled;
    let mut fetched = HashSet::new();
    for (seq, record) in longest.into_records() {
        fetched.insert(seq);
        feed.push(seq, record).map_err(gone)?;
        feed.flush().map_err(gone)?;
    }
    for (seq, record) in (0u64..).zip(source.records().map_err(RunError::Source)?) {
        settle.tally.listed += 1;
        match record {
            Err(error) => settle.unreadable(error)?,
            Ok(record) if select.judge(record.as_ref()).is_keep() => {
                settle.monitor.advanced(Stage::Selected, record.as_ref(), 0);
                feed.expect(seq);
                if !fetched.contains(&seq) {
                    feed.push(seq, record).map_err(gone)?;
                }
            }
            Ok(_) => settle.tally.skipped += 1,
        }
        while let Some(done) = feed.next(false).map_err(gone)? {
            settle.one(done)?;
        }
        if settle.monitor.cancelled() {
            return Err(RunError::Cancelled);
        }
    }
    feed.close().map_err(gone)?;
    loop {
        match feed.next(true) {
            Ok(Some(done)) => settle.one(done)?,
            Ok(None) => return Ok(()),
            Err(WorkersGone) if settle.monitor.cancelled() => return Err(RunError::Cancelled),
            // A job was dropped by the sink: the count at the end says so.
            Err(WorkersGone) => return Ok(()),
        }
    }
}

/// The last station: counts, reports and commits.
struct Settle<'r, K> {
    sink: &'r mut K,
    stop_on_problem: bool,
    monitor: &'r dyn Monitor,
    tally: Tally,
}

impl<K: Sink> Settle<'_, K> {
    /// A row that is no entry. One that holds nothing to lose counts as left out.
    fn unreadable<S: Fault>(&mut self, error: S) -> Result<(), RunError<S, K::Error>> {
        self.monitor.problem(Problem { entry: None, fault: &error });
        if error.severity() == Severity::Notice {
            self.tally.skipped += 1;
            self.tally.notices += 1;
        } else {
            self.tally.failed += 1;
            if self.stop_on_problem {
                return Err(RunError::Source(error));
            }
        }
        Ok(())
    }

    fn one<S: Fault>(
        &mut self,
        done: Done<K::Staged, S, K::Error>,
    ) -> Result<(), RunError<S, K::Error>> {
        let Done { seq: _, entry, outcome, faults } = done;
        let mut worst = Severity::Notice;
        for fault in &faults {
            self.monitor.problem(Problem { entry: Some(&entry), fault: &**fault });
            match fault.severity() {
                Severity::Notice => self.tally.notices += 1,
                severity => worst = worst.max(severity),
            }
        }
        let error = match outcome {
            Outcome::Staged(staged) => {
                self.sink.commit(&entry, staged).map_err(RunError::Sink)?;
                self.monitor.advanced(Stage::Committed, &entry, 0);
                self.tally.done += 1;
                self.tally.damaged += u64::from(worst > Severity::Notice);
                return Ok(());
            }
            Outcome::SourceFailed(error) => {
                self.monitor.problem(Problem { entry: Some(&entry), fault: &error });
                RunError::Source(error)
            }
            Outcome::SinkFailed(error) => {
                self.monitor.problem(Problem { entry: Some(&entry), fault: &error });
                RunError::Sink(error)
            }
        };
        self.tally.failed += 1;
        if self.stop_on_problem {
            return Err(error);
        }
        self.sink.lost(&entry).map_err(RunError::Sink)
    }
}

/// The counts of a [`Report`], while they grow.
#[derive(Debug, Default)]
struct Tally {
    listed: u64,
    done: u64,
    skipped: u64,
    failed: u64,
    damaged: u64,
    notices: u64,
}
