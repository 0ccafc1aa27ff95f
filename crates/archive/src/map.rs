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
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(unix)]
use memmap2::UncheckedAdvice;
use memmap2::{Mmap, MmapOptions};

/// Bytes that are mapped before their pages are given back. They stay in the
/// system's own cache; but as part of the process an archive of many GiB would look like a leak,
/// and would count against limits.
const GIVE_BACK: u64 = 16 << 20;
/// Bytes that the system maps at least where a page is missed, however few are copied: Linux maps
/// the cached pages around it too.
const AROUND: u64 = 64 << 10;

/// A file in memory.
#[derive(Debug)]
pub(crate) struct Map {
    map: Mmap,
    /// Bytes that copies may have mapped since pages were given back.
    mapped: AtomicU64,
}

impl Map {
    /// Maps the first `len` bytes of a file. Nothing where that cannot be done: an empty file, a
    /// system or a file system without maps, too little address space.
    pub(crate) fn new(file: &File, len: u64) -> Option<Self> {
        let len = usize::try_from(len).ok().filter(|len| *len > 0)?;
        // SAFETY: no reference into the map leaves this module, as is said above; it is read only.
        let map = unsafe { MmapOptions::new().len(len).map(file) };
        map.ok().map(|map| Self { map, mapped: AtomicU64::new(0) })
    }

    /// Copies what begins at `offset`, if the file still has all of it.
    pub(crate) fn read(&self, file: &File, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let start = usize::try_from(offset).map_err(|_| short())?;
        let end = start.checked_add(buf.len()).ok_or_else(short)?;
        let there = self.map.get(start..end).ok_or_else(short)?;
        if file.metadata()?.len() < u64::try_from(end).unwrap_or(u64::MAX) {
            return Err(short());
        }
        buf.copy_from_slice(there);
        self.give_back(u64::try_from(buf.len()).unwrap_or(u64::MAX).max(AROUND));
        Ok(())
    }

    /// Counts what a copy mapped, and gives pages back when it was much.
    fn give_back(&self, bytes: u64) {
        let before = self.mapped.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) < GIVE_BACK {
            return;
        }
        self.mapped.store(0, Ordering::Relaxed);
        // SAFETY: the map is of a file and never written, so pages that are given back come again
        // from the file with the same bytes, also under another thread that is copying. Where it
        // cannot be done the process is larger, and nothing else.
        #[cfg(unix)]
        let _ = unsafe { self.map.unchecked_advise(UncheckedAdvice::DontNeed) };
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

    /// Pages that were given back come again with the same bytes.
    #[test]
    fn more_than_is_kept_is_read_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..=250).cycle().take(5 << 20).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mapped = ArchiveFile::open(&path).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut buffer = vec![0; bytes.len()];
                    for _ in 0..8 {
                        // By pieces that are short enough to be read through the map.
                        for (n, piece) in buffer.chunks_mut(40_000).enumerate() {
                            mapped.read_exact_at(n as u64 * 40_000, piece).unwrap();
                        }
                        assert!(buffer == bytes);
                    }
                });
            }
        });
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
