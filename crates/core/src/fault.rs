//! What errors say of themselves, so that a run can report any of them alike.

use std::error::Error;

/// An error with a stable code, and with the place in the catalog it is about.
pub trait Fault: Error + Send + Sync + 'static {
    /// Returns the stable code that machine output carries, such as `missing-blob`.
    fn code(&self) -> &'static str;

    /// Returns what this did to the entry it is about.
    fn severity(&self) -> Severity {
        Severity::Failure
    }

    /// Returns the names the catalog spells, when the fault is about a row that no
    /// [`Entry`](crate::Entry) could be made of.
    fn place(&self) -> Option<Place<'_>> {
        None
    }
}

/// A row's names exactly as the catalog spells them: unchecked, and never to be made a path of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place<'a> {
    /// The domain.
    pub domain: &'a [u8],
    /// The path.
    pub path: &'a [u8],
}

/// What a [`Fault`] did to its entry.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Nothing was lost, and something was odd.
    Notice,
    /// The entry is in the destination, and some of its bytes could not be recovered.
    Damage,
    /// The entry is not in the destination.
    Failure,
}
