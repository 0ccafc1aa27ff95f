//! Choosing entries.

use crate::Entry;

/// Decides whether an entry takes part in a run, and says why.
pub trait Select: Sync {
    /// Judges one entry by its catalog row alone; payloads are never opened to decide. Called by
    /// the driver and by reports, in catalog order, any number of times for the same entry; the
    /// answer must not depend on the order.
    fn judge(&self, entry: &Entry) -> Verdict<'_>;
}

/// A decision and the rule that made it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict<'a> {
    /// Take the entry. The rule is absent when the default decided.
    Keep(Option<&'a str>),
    /// Leave the entry. The rule is absent when the default decided.
    Drop(Option<&'a str>),
}

impl Verdict<'_> {
    /// Returns true for [`Verdict::Keep`].
    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep(_))
    }
}

/// Keeps every entry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everything;

impl Select for Everything {
    fn judge(&self, _: &Entry) -> Verdict<'_> {
        Verdict::Keep(None)
    }
}
