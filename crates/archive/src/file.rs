//! An archive's file, read at any place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bkp_crypto::ByteSource;

use crate::ArchiveError;
use crate::map::Map;

/// Reads of so many bytes are made by position. The system copies that much faster than a map can
/// be walked through page by page, and an error of the disk is an error then.
const LONG: usize = 64 << 10;

/// A file on a disk as a [`ByteSource`]: any place of it, from any thread. It is never written.
#[derive(Debug)]
pub struct ArchiveFile {
    file: File,
    len: u64,
    map: Option<Map>,
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
        Self::of(file.into()).map_err(failed)
    }

    /// Uses a file that is open, through a read-only map where there can be one.
    ///
    /// # Errors
    ///
    /// Fails when it is something else than a regular file.
    pub fn of(file: File) -> io::Result<Self> {
        let mut opened = Self::by_position(file)?;
        opened.map = Map::new(&opened.file, opened.len);
        Ok(opened)
    }

    /// Uses a file that is open, and never a map: for a disk that fails, where an error is wanted
    /// and not the end of the process.
    ///
    /// # Errors
    ///
    /// Fails when it is something else than a regular file.
    pub fn by_position(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let text = "not a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self { file, len: metadata.len(), map: None })
    }
}

impl ArchiveFile {
    /// Returns true when it is read through a map.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.map.is_some()
    }
}

impl ByteSource for ArchiveFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match &self.map {
            Some(map) if buf.len() < LONG => map.read(&self.file, offset, buf),
            _ => self.file.read_exact_at(buf, offset),
        }
    }
}
