//! What runs on a worker thread: jobs are opened as the sink asks for them, and results go back
//! in batches.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender};

use crate::{
    Access, Entry, EntryKind, Fault, Job, Jobs, Monitor, Payloads, Stage, Stager, Transform,
};

/// Kept records with their places in the catalog.
pub(super) type Batch<R> = VecDeque<(u64, R)>;

/// What became of one entry.
#[derive(Debug)]
pub(super) enum Outcome<T, S, K> {
    Staged(T),
    SourceFailed(S),
    SinkFailed(K),
}

/// An outcome on its way back.
#[derive(Debug)]
pub(super) struct Done<T, S, K> {
    pub(super) seq: u64,
    pub(super) entry: Entry,
    pub(super) outcome: Outcome<T, S, K>,
    pub(super) faults: Vec<Box<dyn Fault>>,
}

/// What every worker of a run shares.
pub(super) struct Bench<'r, P, G> {
    pub(super) payloads: &'r P,
    pub(super) transform: &'r dyn Transform,
    pub(super) stager: &'r G,
    pub(super) monitor: &'r dyn Monitor,
    /// Set once the run has failed: nothing more is to be started.
    pub(super) stop: &'r AtomicBool,
}

/// The way back to the calling thread.
type Outbox<T, S, K> = Sender<Vec<Done<T, S, K>>>;

pub(super) struct Worker<'r, R, P: Payloads<R>, G: Stager> {
    bench: &'r Bench<'r, P, G>,
    queue: Receiver<Batch<R>>,
    outbox: Outbox<G::Staged, P::Error, G::Error>,
    local: Batch<R>,
    results: Vec<Done<G::Staged, P::Error, G::Error>>,
}

impl<'r, R: AsRef<Entry> + Into<Entry>, P: Payloads<R>, G: Stager> Worker<'r, R, P, G> {
    pub(super) fn new(
        bench: &'r Bench<'r, P, G>,
        queue: Receiver<Batch<R>>,
        outbox: Outbox<G::Staged, P::Error, G::Error>,
    ) -> Self {
        Self { bench, queue, outbox, local: Batch::new(), results: Vec::new() }
    }

    pub(super) fn run(mut self) {
        let stager = self.bench.stager;
        stager.stage(&mut self);
        self.send();
    }

    /// A receiver that is gone has failed already and needs no results.
    fn send(&mut self) {
        if !self.results.is_empty() {
            let _ = self.outbox.send(std::mem::take(&mut self.results));
        }
    }

    fn stopped(&self) -> bool {
        self.bench.stop.load(Ordering::Relaxed) || self.bench.monitor.cancelled()
    }

    fn take(&mut self, wait: bool) -> Option<Job> {
        loop {
            if self.stopped() {
                return None;
            }
            let Some((seq, record)) = self.local.pop_front() else {
                self.send();
                self.local =
                    if wait { self.queue.recv().ok()? } else { self.queue.try_recv().ok()? };
                continue;
            };
            let access = match record.as_ref().kind {
                EntryKind::File => self.bench.stager.access(record.as_ref()),
                _ => Access::None,
            };
            let opened = match access {
                Access::Plaintext => self.bench.payloads.open(&record).map(Some),
                Access::Stored => self.bench.payloads.open_stored(&record).map(Some),
                Access::None => Ok(None),
            };
            let entry = self.bench.transform.entry(record.into());
            match opened {
                Ok(payload) => {
                    let payload = payload.map(|p| self.bench.transform.payload(&entry, p));
                    return Some(Job { seq, entry, payload });
                }
                Err(error) => {
                    let (outcome, faults) = (Outcome::SourceFailed(error), Vec::new());
                    self.results.push(Done { seq, entry, outcome, faults });
                }
            }
        }
    }
}

impl<R: AsRef<Entry> + Into<Entry>, P: Payloads<R>, G: Stager> Jobs<G::Staged, G::Error>
    for Worker<'_, R, P, G>
{
    fn next(&mut self) -> Option<Job> {
        self.take(true)
    }

    fn try_next(&mut self) -> Option<Job> {
        self.take(false)
    }

    fn done(&mut self, job: Job, result: Result<G::Staged, G::Error>) {
        let Job { seq, entry, payload } = job;
        let faults = payload.map_or_else(Vec::new, |payload| payload.faults());
        let outcome = match result {
            Ok(staged) => {
                self.bench.monitor.advanced(Stage::Staged, &entry, entry.metadata.size_hint);
                Outcome::Staged(staged)
            }
            Err(error) => Outcome::SinkFailed(error),
        };
        self.results.push(Done { seq, entry, outcome, faults });
    }
}
