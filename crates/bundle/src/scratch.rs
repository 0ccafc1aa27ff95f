//! Bytes that wait for the end of a run: in memory while they are few, sealed on a disk from there.
//!
//! ```text
//! append ──▶ tail, in memory ──(4 MiB)──▶ AES-256-CTR ──▶ a file without a name, mode 0600
//! read_at ◀──────┴───────────────────────────────────────────┘
//! ```
//!
//! A catalog that is made anew is plaintext until it is encrypted at the very end, and no plaintext
//! may be on a disk, not even for a moment and not after a crash. So whatever leaves memory is
//! encrypted under a key that is drawn for this one file and is nowhere else: once the process is
//! gone, by whatever end, the bytes are noise to everybody.
//!
//! The file only grows and no byte of it is written twice, so that no counter is used twice. After
//! a write that failed nothing more is written, for the same reason.

mod place;
#[cfg(unix)]
mod sealed;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;

pub use place::ScratchPlace;

#[cfg(unix)]
use sealed::SealedFile;

/// Bytes that are kept in memory before there is a file. Catalogs of some thousand rows never need
/// one.
pub(crate) const KEEP: usize = 4 << 20;
/// Bytes that are written to the file at once; whole blocks of the cipher.
const CHUNK: usize = 256 << 10;

/// A list of bytes that grows at its end and is read anywhere.
pub(crate) struct Scratch {
    place: ScratchPlace,
    /// Bytes in memory from which on there is a file.
    keep: usize,
    #[cfg(unix)]
    file: Option<SealedFile>,
    /// Bytes that are in the file; `tail` comes after them.
    stored: u64,
    tail: Vec<u8>,
    /// A write failed, so that what is in the file is not known.
    failed: bool,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stored, tail, failed, .. } = self;
        f.debug_struct("Scratch")
            .field("stored", stored)
            .field("tail", &tail.len())
            .field("failed", failed)
            .finish_non_exhaustive()
    }
}

impl Scratch {
    /// Begins an empty one, which needs `place` once it has more than `keep` bytes.
    pub(crate) fn new(place: ScratchPlace, keep: usize) -> Self {
        Self {
            place,
            keep: keep.max(CHUNK),
            #[cfg(unix)]
            file: None,
            stored: 0,
            tail: Vec::new(),
            failed: false,
        }
    }

    /// Returns how many bytes there are.
    pub(crate) fn len(&self) -> u64 {
        self.stored.saturating_add(self.tail.len() as u64)
    }

    /// Adds bytes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tail.extend_from_slice(bytes);
        if self.tail.len() >= self.keep { self.spill() } else { Ok(()) }
    }

    /// Moves whole chunks from memory to the file.
    #[cfg(unix)]
    fn spill(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(io::Error::other("a write to the scratch file has failed before"));
        }
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(SealedFile::create(&self.place)?),
        };
        let whole = self.tail.len() - self.tail.len() % CHUNK;
        let (chunks, rest) = self.tail.split_at_mut(whole);
        file.write(self.stored, chunks)?;
        self.stored += whole as u64;
        // The rest moves, so that what was kept until there was a file is given back.
        let mut tail = Vec::with_capacity(2 * CHUNK);
        tail.extend_from_slice(rest);
        self.tail = tail;
        self.keep = CHUNK;
        self.failed = false;
        Ok(())
    }

    /// Where a file cannot be made that nobody else sees, everything stays in memory.
    #[cfg(not(unix))]
    fn spill(&mut self) -> io::Result<()> {
        let Self { place, keep, failed, .. } = self;
        let _ = (place, failed);
        *keep = usize::MAX;
        Ok(())
    }

    /// Reads bytes that are there. What is beyond the end is an error.
    pub(crate) fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let in_file = usize::try_from(self.stored.saturating_sub(at)).unwrap_or(usize::MAX);
        let (front, back) = out.split_at_mut(in_file.min(out.len()));
        if !front.is_empty() {
            self.read_file(at, front)?;
        }
        let start = at.saturating_add(front.len() as u64).saturating_sub(self.stored);
        let tail = usize::try_from(start).ok().and_then(|start| self.tail.get(start..));
        match tail.and_then(|tail| tail.get(..back.len())) {
            Some(bytes) => back.copy_from_slice(bytes),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    #[cfg(unix)]
    fn read_file(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        match &self.file {
            Some(file) => file.read(at, out),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    #[cfg(not(unix))]
    fn read_file(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
