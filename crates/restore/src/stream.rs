//! Moving bytes, and noticing that the disk is full.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bkp_core::Payload;
use rustix::io::Errno;

use crate::RestoreError;

/// Bytes that are read at a time: a payload decrypts them while they are in the cache, and most
/// files are shorter.
pub(crate) const BUFFER: usize = 256 << 10;

/// Reads until the buffer is full or the payload ends, and returns how much that was.
pub(crate) fn fill(
    payload: &mut Option<&mut (dyn Payload + 'static)>,
    buffer: &mut [u8],
    path: &Path,
) -> Result<usize, RestoreError> {
    let Some(payload) = payload else { return Ok(0) };
    let mut length = 0usize;
    while let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) {
        match payload.read(room) {
            Ok(0) => break,
            Ok(read) => length = length.saturating_add(read).min(buffer.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(RestoreError::SourceRead { path: path.to_owned(), source }),
        }
    }
    Ok(length)
}

/// Writes all of some bytes, and goes on where a call was interrupted or fell short.
pub(crate) fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What was being written when the disk was full, if it was.
#[derive(Debug, Default)]
pub(crate) struct Full(OnceLock<PathBuf>);

impl Full {
    /// Takes note of an entry that could not be written for want of space.
    pub(crate) fn note<T>(&self, result: &Result<T, RestoreError>) {
        if let Err(RestoreError::NoSpace { path, .. }) = result {
            self.0.get_or_init(|| path.clone());
        }
    }

    /// Fails once the disk has been full: what comes after has no better chance, and a
    /// destination that lacks what happened to be large is no use to anyone.
    pub(crate) fn check(&self) -> Result<(), RestoreError> {
        let Some(path) = self.0.get() else { return Ok(()) };
        let source = io::Error::from(io::ErrorKind::StorageFull);
        Err(RestoreError::NoSpace { action: "write", path: path.clone(), source })
    }
}
