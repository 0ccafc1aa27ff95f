//! The file, and the key that it is under.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bkp_crypto::ScratchKey;

use super::ScratchPlace;

pub(super) struct SealedFile {
    file: File,
    key: ScratchKey,
}

impl SealedFile {
    pub(super) fn create(place: &ScratchPlace) -> io::Result<Self> {
        let key = ScratchKey::random().map_err(io::Error::other)?;
        Ok(Self { key, file: place.create()? })
    }

    /// Takes a file that a test has chosen.
    #[cfg(test)]
    pub(super) fn of(file: File) -> Self {
        Self { file, key: ScratchKey::random().unwrap() }
    }

    /// Encrypts bytes in their place and writes them. The caller writes no place twice.
    pub(super) fn write(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.key.apply(at, bytes);
        self.file.write_all_at(bytes, at)
    }

    pub(super) fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, at)?;
        self.key.apply(at, out);
        Ok(())
    }
}
