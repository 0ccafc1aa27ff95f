//! What runs on the calling thread between the catalog and the workers, and puts their results
//! back in order.

use std::collections::{HashMap, VecDeque};

use crossbeam_channel::{Receiver, Sender};

use super::worker::{Batch, Done};
use crate::{Entry, Fault};

/// A batch is handed out at this many entries, so that waking a worker costs little beside them.
const BATCH_ENTRIES: usize = 64;
/// A batch is handed out at this many bytes, so that no worker sits on much of the work.
const BATCH_BYTES: u64 = 4 << 20;
/// So many entries may wait for one that is not staged yet.
const WINDOW: usize = 32_768;

/// The workers are gone: the run was cancelled, or one of them panicked.
pub(super) struct WorkersGone;

/// The two ends of the queues, and what is between them.
pub(super) struct Feed<R, T, S, K> {
    jobs: Option<Sender<Batch<R>>>,
    results: Receiver<Vec<Done<T, S, K>>>,
    batch: Batch<R>,
    batch_bytes: u64,
    /// Places of entries that were chosen and not settled, in catalog order.
    order: VecDeque<u64>,
    /// What became of each of them, as far as that is known.
    settled: VecDeque<Option<Done<T, S, K>>>,
    /// Results of files that were fetched before the catalog came to them: a few.
    early: HashMap<u64, Done<T, S, K>>,
}

impl<R: AsRef<Entry>, T, S: Fault, K: Fault> Feed<R, T, S, K> {
    pub(super) fn new(jobs: Sender<Batch<R>>, results: Receiver<Vec<Done<T, S, K>>>) -> Self {
        Self {
            jobs: Some(jobs),
            results,
            batch: Batch::new(),
            batch_bytes: 0,
            order: VecDeque::new(),
            settled: VecDeque::new(),
            early: HashMap::new(),
        }
    }

    /// Says that the entry at this place in the catalog will be settled next after those before.
    pub(super) fn expect(&mut self, seq: u64) {
        self.order.push_back(seq);
        self.settled.push_back(self.early.remove(&seq));
    }

    /// Puts a result in its place.
    fn settle(&mut self, done: Done<T, S, K>) {
        let place = self.order.binary_search(&done.seq);
        match place.ok().and_then(|at| self.settled.get_mut(at)) {
            Some(slot) => *slot = Some(done),
            None => drop(self.early.insert(done.seq, done)),
        }
    }

    /// Queues a record, which may wait for its batch to fill.
    pub(super) fn push(&mut self, seq: u64, record: R) -> Result<(), WorkersGone> {
        let bytes = record.as_ref().metadata.size_hint;
        self.batch_bytes = self.batch_bytes.saturating_add(bytes);
        self.batch.push_back((seq, record));
        if self.batch.len() >= BATCH_ENTRIES || self.batch_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands the batch out, waiting for room.
    pub(super) fn flush(&mut self) -> Result<(), WorkersGone> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        match &self.jobs {
            Some(jobs) if !batch.is_empty() => jobs.send(batch).map_err(|_| WorkersGone),
            _ => Ok(()),
        }
    }

    /// Hands out the last batch and says that there are no more.
    pub(super) fn close(&mut self) -> Result<(), WorkersGone> {
        self.flush()?;
        self.jobs = None;
        Ok(())
    }

    /// Returns the next result in catalog order. With `wait`, or when too many entries are under
    /// way, waits for it.
    pub(super) fn next(&mut self, wait: bool) -> Result<Option<Done<T, S, K>>, WorkersGone> {
        loop {
            match self.settled.front_mut().map(Option::take) {
                None => return Ok(None),
                Some(None) => {}
                Some(done) => {
                    self.order.pop_front();
                    self.settled.pop_front();
                    return Ok(done);
                }
            }
            let wait = wait || self.order.len() >= WINDOW;
            if wait {
                self.flush()?;
            }
            let arrived = if wait {
                self.results.recv().map_err(|_| WorkersGone)?
            } else if let Ok(arrived) = self.results.try_recv() {
                arrived
            } else {
                return Ok(None);
            };
            arrived.into_iter().for_each(|done| self.settle(done));
        }
    }
}
