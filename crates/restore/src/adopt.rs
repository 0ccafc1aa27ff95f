//! Taking a stored file as it is, by the cheapest way that the file system has.
//!
//! ```text
//! hard link (only when asked for) ─▶ reflink ─▶ copy_file_range ─▶ read and write
//! ```
//!
//! A way that the file systems at hand do not have is tried once, and never again in a run.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::io::Errno;

use crate::stream::write_all;

/// Bytes that are read and written at a time where the system cannot copy by itself.
const BUFFER: usize = 1 << 20;

/// Files up to this length are read and written in one call each, which is cheaper than finding
/// out how else they could be copied.
#[cfg(target_os = "linux")]
const SMALL: u64 = 32 << 10;

/// How a file came to its new place.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Adoption {
    /// It is the same file, under a second name.
    Linked,
    /// It is a file of its own that shares its blocks until one of the two is changed.
    Reflinked,
    /// Its bytes were copied.
    Copied,
}

/// The highest way that is left to try; beyond the last one bytes are read and written.
#[derive(Debug)]
pub(crate) struct Ladder(AtomicU8);

const LINK: u8 = 0;
const REFLINK: u8 = 1;
const RANGE: u8 = 2;

impl Ladder {
    /// Starts at the top; hard links are tried only if `link` is set.
    pub(crate) fn new(link: bool) -> Self {
        Self(AtomicU8::new(if link { LINK } else { REFLINK }))
    }

    /// Goes past a way that is not there.
    fn below(&self, way: u8) {
        self.0.fetch_max(way.saturating_add(1), Ordering::Relaxed);
    }

    fn allows(&self, way: u8) -> bool {
        self.0.load(Ordering::Relaxed) <= way
    }

    /// Gives `name` in `dir` to the file itself, if that was asked for and can be done.
    #[cfg(target_os = "linux")]
    pub(crate) fn link(
        &self,
        file: &File,
        dir: BorrowedFd<'_>,
        name: &[u8],
    ) -> Result<bool, Errno> {
        use std::os::fd::AsRawFd as _;

        use rustix::fs::{AtFlags, CWD, linkat};
        if !self.allows(LINK) {
            return Ok(false);
        }
        // A handle can be linked only through its name under /proc, without a privilege.
        let handle = format!("/proc/self/fd/{}", file.as_raw_fd());
        match linkat(CWD, handle, dir, name, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => Ok(true),
            // Another file system, one without links, a file of somebody else's, or no /proc.
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS) => {
                self.below(LINK);
                Ok(false)
            }
            // The file has as many names as it can have; the next one may not.
            Err(Errno::MLINK) => Ok(false),
            Err(Errno::NOENT) if !std::path::Path::new("/proc/self/fd").exists() => {
                self.below(LINK);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives `name` in `dir` to the file itself, if that was asked for and can be done. Only
    /// Linux can link an open file.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn link(
        &self,
        _file: &File,
        _dir: BorrowedFd<'_>,
        _name: &[u8],
    ) -> Result<bool, Errno> {
        self.below(LINK);
        Ok(false)
    }

    /// Fills a new file with what another holds, from its start, and returns how many bytes that
    /// were.
    pub(crate) fn fill(
        &self,
        from: &File,
        to: &OwnedFd,
        len: u64,
        buffer: &mut Vec<u8>,
    ) -> io::Result<(Adoption, u64)> {
        #[cfg(target_os = "linux")]
        if len > SMALL {
            if self.allows(REFLINK) {
                match rustix::fs::ioctl_ficlone(to, from) {
                    Ok(()) => return Ok((Adoption::Reflinked, from.metadata()?.len())),
                    // What a file system without them answers differs between file systems.
                    Err(
                        Errno::XDEV | Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL | Errno::NOSYS,
                    ) => {
                        self.below(REFLINK);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if self.allows(RANGE)
                && let Some(copied) = self.range(from, to, len)?
            {
                return Ok((Adoption::Copied, copied));
            }
        }
        if buffer.is_empty() {
            buffer.resize(BUFFER, 0);
        }
        let (mut from, mut copied) = (from, 0u64);
        loop {
            let mut filled = 0usize;
            while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
                match from.read(room) {
                    Ok(0) => break,
                    Ok(read) => filled = filled.saturating_add(read),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
                // What is as long as it should be is at its end.
                let so_far = u64::try_from(filled).unwrap_or(u64::MAX);
                if copied.saturating_add(so_far) == len {
                    break;
                }
            }
            write_all(to.as_fd(), buffer.get(..filled).unwrap_or_default())?;
            copied = copied.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
            if filled < buffer.len() || copied == len {
                return Ok((Adoption::Copied, copied));
            }
        }
    }

    /// Copies inside the system. Nothing when it cannot.
    #[cfg(target_os = "linux")]
    fn range(&self, from: &File, to: &OwnedFd, len: u64) -> io::Result<Option<u64>> {
        let mut copied = 0u64;
        while copied < len {
            let rest = usize::try_from(len.saturating_sub(copied)).unwrap_or(usize::MAX);
            // Not more at a time than the system takes.
            let rest = rest.min(1 << 30);
            match rustix::fs::copy_file_range(from, None, to, None, rest) {
                Ok(0) if copied == 0 => {
                    // Some file systems answer so to what they cannot do.
                    self.below(RANGE);
                    return Ok(None);
                }
                Ok(0) => break,
                Ok(n) => copied = copied.saturating_add(u64::try_from(n).unwrap_or(u64::MAX)),
                Err(Errno::INTR) => {}
                Err(
                    Errno::XDEV
                    | Errno::OPNOTSUPP
                    | Errno::NOSYS
                    | Errno::INVAL
                    | Errno::BADF
                    | Errno::PERM,
                ) if copied == 0 => {
                    self.below(RANGE);
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(copied))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use super::{Adoption, LINK, Ladder, RANGE};

    /// Every way gives the same bytes, whatever the file systems at hand can do.
    #[test]
    fn a_file_is_filled_with_what_another_holds() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0u32..1_200_000).flat_map(u32::to_le_bytes).collect();
        for len in [0, 1, 32 << 10, (32 << 10) + 1, 1 << 20, (1 << 20) + 1, bytes.len()] {
            let (from, to) = (dir.path().join("from"), dir.path().join("to"));
            std::fs::write(&from, &bytes[..len]).unwrap();
            let (plain, best) = (Ladder::new(false), Ladder::new(false));
            plain.below(RANGE);
            for ladder in [&plain, &best] {
                let from = File::open(&from).unwrap();
                let new = File::create(&to).unwrap().into();
                let (_, copied) = ladder.fill(&from, &new, len as u64, &mut Vec::new()).unwrap();
                assert_eq!(copied, len as u64);
                assert!(std::fs::read(&to).unwrap() == bytes[..len], "{len} bytes");
            }
        }
    }

    #[test]
    fn a_file_that_became_shorter_is_told_by_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        for len in [100u64, 100_000, 3_000_000] {
            let from = dir.path().join("from");
            std::fs::write(&from, vec![7; 50]).unwrap();
            let new = File::create(dir.path().join("to")).unwrap().into();
            let from = File::open(&from).unwrap();
            let ladder = Ladder::new(false);
            ladder.below(LINK + 1);
            let (way, copied) = ladder.fill(&from, &new, len, &mut Vec::new()).unwrap();
            assert_eq!((way, copied), (Adoption::Copied, 50));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_link_is_the_file_itself() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("from"), "one").unwrap();
        let from = File::open(dir.path().join("from")).unwrap();
        let folder = File::open(dir.path()).unwrap();
        assert!(!Ladder::new(false).link(&from, folder.as_fd(), b"to").unwrap());
        assert!(Ladder::new(true).link(&from, folder.as_fd(), b"to").unwrap());
        let to = std::fs::metadata(dir.path().join("to")).unwrap();
        assert_eq!(to.ino(), from.metadata().unwrap().ino());
        // What is there is never replaced.
        assert!(Ladder::new(true).link(&from, folder.as_fd(), b"to").is_err());
    }
}
