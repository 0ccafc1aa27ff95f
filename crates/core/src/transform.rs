//! Changing entries on their way through.

use crate::{Entry, Payload};

/// Rewrites a catalog row, its payload, or both. Called by the driver on the worker threads.
pub trait Transform: Sync {
    /// Rewrites the row.
    #[must_use]
    fn entry(&self, entry: Entry) -> Entry {
        entry
    }

    /// Wraps the payload, to hash it or to change it. What comes out must still give the inner
    /// payload's [`faults`](Payload::faults).
    fn payload(&self, _entry: &Entry, payload: Box<dyn Payload>) -> Box<dyn Payload> {
        payload
    }
}

/// Changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl Transform for Identity {}
