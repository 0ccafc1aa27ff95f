//! An archive's file, read by position.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bkp_crypto::ByteSource;

use crate::ArchiveError;

/// A file on a disk as a [`ByteSource`]: any place of it, from any thread. It is never written.
#[derive(Debug)]
pub struct ArchiveFile {
    file: File,
    len: u64,
}

impl ArchiveFile {
    /// Opens a regular file.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be opened, and when it is something else: a folder, a pipe.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        use rustix::fs::{CWD, Mode, OFlags, openat};
        let failed = |source| ArchiveError::Open { path: path.to_owned(), source };
        // A pipe of that name would hang the program until somebody writes to it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(CWD, path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        let file = File::from(file);
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            let text = "not a regular file";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, text)));
        }
        Ok(Self { file, len: metadata.len() })
    }
}

impl ByteSource for ArchiveFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}
