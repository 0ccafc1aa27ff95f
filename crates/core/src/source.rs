//! Where entries come from.

use std::io::Read;

use crate::{Entry, Fault};

/// A catalog and its payloads: an unlocked backup, an opened archive, a fixture in memory.
///
/// Listing happens on one thread, since a catalog is usually a database; opening payloads
/// happens on many. That is why the two are separate types.
pub trait Source {
    /// A row, with whatever this source needs to open its payload later.
    type Record: AsRef<Entry> + Into<Entry> + Send;
    /// Why a row or a payload could not be read.
    type Error: Fault;
    /// Opens payloads from any thread.
    type Payloads: Payloads<Self::Record, Error = Self::Error>;

    /// Lists every row in the order of the catalog, the same on every call. A row that cannot be
    /// read is an item, not the end.
    ///
    /// # Errors
    ///
    /// Fails when the catalog itself cannot be queried.
    fn records(
        &self,
    ) -> Result<impl Iterator<Item = Result<Self::Record, Self::Error>>, Self::Error>;

    /// Returns the half of this source that may be shared between threads.
    fn payloads(&self) -> &Self::Payloads;
}

/// Opens payloads.
pub trait Payloads<Record>: Sync {
    /// Why a payload could not be opened.
    type Error: Fault;

    /// Returns the plaintext of a regular file.
    ///
    /// # Errors
    ///
    /// Fails when the payload is missing or its key cannot be unwrapped.
    fn open(&self, record: &Record) -> Result<Box<dyn Payload>, Self::Error>;

    /// Returns the payload as it is stored: ciphertext in an encrypted backup. Needs no key.
    ///
    /// # Errors
    ///
    /// Fails when the payload is missing.
    fn open_stored(&self, record: &Record) -> Result<Box<dyn Payload>, Self::Error>;
}

/// The bytes of one file, to be read once from start to end.
///
/// Reads of 64 KiB and more are the fast path: they decrypt in the caller's own buffer.
pub trait Payload: Read + Send {
    /// Returns, after the last byte, what was odd about this payload or could not be recovered
    /// of it. Called by the driver once the sink is done with the job; empty before the end.
    fn faults(&self) -> Vec<Box<dyn Fault>> {
        Vec::new()
    }

    /// Returns the open file whose whole content this payload is, from its start. A sink that
    /// takes stored bytes as they are can then have the system copy or share them. Nothing once
    /// a byte was read, and for a payload that is no file of its own.
    fn stored_file(&self) -> Option<StoredFile<'_>> {
        None
    }
}

/// A payload that is a file of a disk.
#[derive(Clone, Copy, Debug)]
pub struct StoredFile<'p> {
    /// The file, which nobody has read from yet.
    pub file: &'p std::fs::File,
    /// Its length in bytes when it was opened.
    pub len: u64,
}

impl<T: AsRef<[u8]> + Send> Payload for std::io::Cursor<T> {}
