//! A file as read-only memory: the one place of this crate with `unsafe`.
//!
//! # Safety
//!
//! The bytes behind a map are the file's. Nothing can promise that they stay as they are, and this
//! module does not: it never hands out a reference to them. What is asked for is copied out by one
//! call, and everything above treats the copy as bytes of unknown origin, which is checked by tags
//! and checksums. A file that is written meanwhile therefore gives odd bytes, as it would when
//! read by position, and nothing worse.
//!
//! What a map cannot do is fail. A page that is no longer there (the file was cut, the disk gives
//! an error, the share is gone) ends the process with SIGBUS where a read would have returned an
//! error. The length is asked for before every copy, so that a file that was cut is an error
//! still, but for one that is cut in that very moment. An error of the disk is not caught:
//! `ArchiveFile::by_position` reads without a map.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapOptions};

/// A file in memory.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    /// Maps the first `len` bytes of a file. Nothing where that cannot be done: an empty file, a
    /// system or a file system without maps, too little address space.
    pub(crate) fn new(file: &File, len: u64) -> Option<Self> {
        let len = usize::try_from(len).ok()?;
        // SAFETY: no reference into the map leaves this module, as is said above; it is read only.
        let map = unsafe { MmapOptions::new().len(len).map(file) };
        map.ok().map(Self)
    }

    /// Copies what begins at `offset`, if the file still has all of it.
    pub(crate) fn read(&self, file: &File, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let start = usize::try_from(offset).map_err(|_| short())?;
        let end = start.checked_add(buf.len()).ok_or_else(short)?;
        let there = self.0.get(start..end).ok_or_else(short)?;
        if file.metadata()?.len() < u64::try_from(end).unwrap_or(u64::MAX) {
            return Err(short());
        }
        buf.copy_from_slice(there);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::ErrorKind;

    use bkp_crypto::ByteSource as _;

    use crate::ArchiveFile;

    /// Its safe twin reads by position, and both say the same of every range.
    #[test]
    fn a_map_and_positioned_reads_say_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..=250).cycle().take(20_000).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mapped = ArchiveFile::open(&path).unwrap();
        let plain = ArchiveFile::by_position(File::open(&path).unwrap()).unwrap();
        assert!(mapped.is_mapped() && !plain.is_mapped());
        assert_eq!((mapped.len(), plain.len()), (20_000, 20_000));
        for (offset, len) in [(0, 0), (0, 1), (4095, 2), (19_999, 1), (20_000, 0), (0, 20_000)] {
            let (mut a, mut b) = (vec![0; len], vec![0; len]);
            mapped.read_exact_at(offset as u64, &mut a).unwrap();
            plain.read_exact_at(offset as u64, &mut b).unwrap();
            assert_eq!(a, bytes[offset..offset + len]);
            assert_eq!(a, b);
        }
        for (offset, len) in [(20_000, 1), (19_999, 2), (u64::MAX, 1), (u64::MAX - 1, 2)] {
            for file in [&mapped, &plain] {
                assert!(file.read_exact_at(offset, &mut vec![0; len]).is_err());
            }
        }
    }

    /// A file that was cut is an error, and no end of the process.
    #[test]
    fn a_file_that_was_cut_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![7; 100_000]).unwrap();
        let mapped = ArchiveFile::open(&path).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
        let error = mapped.read_exact_at(50_000, &mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        mapped.read_exact_at(500, &mut [0; 10]).unwrap();
        // What cannot be mapped is read by position.
        std::fs::write(&path, "").unwrap();
        let empty = ArchiveFile::open(&path).unwrap();
        assert!(!empty.is_mapped() && empty.is_empty());
    }
}
