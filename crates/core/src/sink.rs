//! Where entries go.

use std::sync::Arc;

use crate::{Entry, Fault, Payload};

/// A destination: a directory tree, a bundle, a sealed archive, a verifier.
///
/// Writing is split in two so that one driver can be parallel without making any destination
/// think about threads. The [`Stager`] does the heavy part on every worker at once;
/// [`commit`](Sink::commit) runs for one entry at a time, in catalog order whatever the number
/// of threads.
///
/// Nothing is final until [`finish`](Sink::finish) returns. Dropping a sink before that must
/// leave the destination as if never begun.
pub trait Sink {
    /// The half that the workers share.
    type Stager: Stager<Staged = Self::Staged, Error = Self::Error> + 'static;
    /// What staging an entry leaves for the commit.
    type Staged: Send;
    /// Why an entry could not be written.
    type Error: Fault;
    /// What a finished destination says of itself.
    type Summary;

    /// Returns the half that the workers share. Called once, before the first entry.
    fn stager(&self) -> Arc<Self::Stager>;

    /// Records a staged entry. Called by the driver on one thread, in catalog order, only for
    /// entries whose staging succeeded.
    ///
    /// # Errors
    ///
    /// An error here ends the run, since the destination's catalog is no longer sound.
    fn commit(&mut self, entry: &Entry, staged: Self::Staged) -> Result<(), Self::Error>;

    /// Hears of an entry that could not be staged, in its place in the order of commits. Its
    /// payload is not in the destination. A destination with a catalog of its own may keep the
    /// row, so that it can be seen what is missing; all others have nothing to do.
    ///
    /// # Errors
    ///
    /// An error here ends the run, as one of [`commit`](Self::commit) does.
    fn lost(&mut self, _entry: &Entry) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Makes the destination final. Called once, after the last commit.
    ///
    /// # Errors
    ///
    /// Fails when the catalog cannot be written or the destination cannot be moved into place.
    fn finish(self) -> Result<Self::Summary, Self::Error>
    where
        Self: Sized;
}

/// The half of a [`Sink`] that consumes payloads.
pub trait Stager: Send + Sync {
    /// What staging an entry leaves for the commit.
    type Staged: Send;
    /// Why an entry could not be written.
    type Error: Fault;

    /// Says what this entry's payload should be opened as, by its row as the catalog has it. Called
    /// by the driver before a job is handed out; only regular files have payloads.
    fn access(&self, _entry: &Entry) -> Access {
        Access::Plaintext
    }

    /// Works until the queue is empty. Called once on each worker thread.
    ///
    /// A plain sink is a loop of one: take a job, do it, hand it back. A sink that works on many
    /// files at once takes as many jobs as it has lanes, and hands each back as it ends.
    fn stage(&self, jobs: &mut dyn Jobs<Self::Staged, Self::Error>);
}

/// What a sink wants of a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Decrypted.
    Plaintext,
    /// As it is stored, without any key.
    Stored,
    /// Not at all: the row is enough.
    None,
}

/// A worker's supply of jobs.
pub trait Jobs<T, E> {
    /// Takes the next job, waiting for one if need be. Jobs whose payload cannot be opened are
    /// reported by the driver and never handed out. `None` means that the run has no more, or
    /// was cancelled.
    ///
    /// A sink that still holds jobs must not wait here, since the driver may be waiting for one
    /// of those; it asks with [`try_next`](Jobs::try_next).
    fn next(&mut self) -> Option<Job>;

    /// Takes the next job if there is one ready.
    fn try_next(&mut self) -> Option<Job>;

    /// Hands a job back with what became of it. An error is the entry's own: it is reported and
    /// counted, and the run goes on unless told otherwise.
    fn done(&mut self, job: Job, result: Result<T, E>);
}

/// One entry to be staged.
///
/// Dropping a job without handing it back is a bug in the sink, and the driver's final count
/// turns it into an error.
#[must_use]
pub struct Job {
    pub(crate) seq: u64,
    /// The entry, as the transform left it.
    pub entry: Entry,
    /// Its bytes: present for regular files, unless [`Stager::access`] said not to open them.
    pub payload: Option<Box<dyn Payload>>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("seq", &self.seq)
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}
