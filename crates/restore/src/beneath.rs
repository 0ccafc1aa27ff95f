//! Reaching directories and new files below a root, never through a link.
//!
//! ```text
//! a directory    one component at a time, each opened without following links
//! a new file     one call where the system resolves a whole path without following links (Linux
//!                5.6); else, and where anything stands in the way, by its directory
//! ```

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat, statat};
use rustix::io::Errno;

use crate::names::split;

/// Open directories for each worker. Files come in the order of the catalog, so a few serve
/// almost all of them; more would meet the limit of open files, which is 256 on some systems.
const SLOTS: usize = 8;

/// How a file is opened that must not have been there.
pub(crate) const NEW: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A worker's open directories below one root.
#[derive(Debug)]
pub(crate) struct Handles {
    root: Arc<OwnedFd>,
    slots: Vec<Slot>,
    clock: u64,
    /// Whether the system has not yet refused to resolve whole paths.
    whole_paths: bool,
}

#[derive(Debug)]
struct Slot {
    path: Vec<u8>,
    fd: OwnedFd,
    used: u64,
}

/// Why a directory could not be reached.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// A component is a link.
    Symlink,
    /// A component is something else than a directory.
    NotDirectory,
    /// The system said no.
    System(Errno),
}

impl Handles {
    pub(crate) fn new(root: Arc<OwnedFd>) -> Self {
        Self { root, slots: Vec::with_capacity(SLOTS), clock: 0, whole_paths: true }
    }

    /// Creates a file at a stored path by one call, which follows no link anywhere on the path.
    ///
    /// Nothing is returned when the system cannot do that and when it fails, most often because a
    /// directory is missing: the way by [`make`](Self::make) says what is wrong.
    pub(crate) fn create(&mut self, path: &[u8], mode: Mode) -> Option<OwnedFd> {
        if !self.whole_paths {
            return None;
        }
        match create_whole(self.root.as_fd(), path, mode) {
            Ok(file) => Some(file),
            // Older systems, and containers that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {
                self.whole_paths = false;
                None
            }
            Err(_) => None,
        }
    }

    /// Opens the directory at a stored path, creating what is missing of it with mode 0700.
    pub(crate) fn make(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>, Obstacle> {
        self.reach(path, true)
    }

    /// Opens the directory at a stored path.
    pub(crate) fn open(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>, Obstacle> {
        self.reach(path, false)
    }

    fn reach(&mut self, path: &[u8], make: bool) -> Result<BorrowedFd<'_>, Obstacle> {
        if path.is_empty() {
            return Ok(self.root.as_fd());
        }
        let at = match self.find(path) {
            Some(at) => at,
            None => match self.descend(path, make) {
                // So many files are open that ours may be what is too much.
                Err(Obstacle::System(Errno::MFILE | Errno::NFILE)) if !self.slots.is_empty() => {
                    self.slots.clear();
                    self.descend(path, make)?
                }
                reached => reached?,
            },
        };
        self.slots.get(at).map(|slot| slot.fd.as_fd()).ok_or(Obstacle::System(Errno::BADF))
    }

    fn find(&mut self, path: &[u8]) -> Option<usize> {
        let at = self.slots.iter().position(|slot| slot.path == path)?;
        self.clock = self.clock.wrapping_add(1);
        self.slots.get_mut(at)?.used = self.clock;
        Some(at)
    }

    /// Goes down from the nearest directory that is open. The last two on the way are kept open.
    fn descend(&mut self, path: &[u8], make: bool) -> Result<usize, Obstacle> {
        let (mut above, _) = split(path);
        let start = loop {
            if above.is_empty() {
                break None;
            }
            match self.find(above) {
                Some(at) => break Some(at),
                None => above = split(above).0,
            }
        };
        let mut fd: Option<OwnedFd> = None;
        let skip = if above.is_empty() { 0 } else { above.len().saturating_add(1) };
        let mut end = above.len();
        for name in path.get(skip..).unwrap_or_default().split(|&b| b == b'/') {
            let from = match (&fd, start.and_then(|at| self.slots.get(at))) {
                (Some(fd), _) => fd.as_fd(),
                (None, Some(slot)) => slot.fd.as_fd(),
                (None, None) => self.root.as_fd(),
            };
            let next = step(from, name, make)?;
            if let Some(parent) = fd.replace(next)
                && split(path).0.len() == end
            {
                self.keep(path.get(..end).unwrap_or_default(), parent);
            }
            end = end.saturating_add(name.len()).saturating_add(usize::from(end > 0));
        }
        let fd = fd.ok_or(Obstacle::System(Errno::NOENT))?;
        Ok(self.keep(path, fd))
    }

    /// Keeps a directory open in place of the one that was not needed for the longest time.
    fn keep(&mut self, path: &[u8], fd: OwnedFd) -> usize {
        self.clock = self.clock.wrapping_add(1);
        let slot = Slot { path: path.to_vec(), fd, used: self.clock };
        let oldest = self.slots.iter().enumerate().min_by_key(|(_, slot)| slot.used);
        match oldest.map(|(at, _)| at) {
            Some(at) if self.slots.len() >= SLOTS => {
                if let Some(place) = self.slots.get_mut(at) {
                    *place = slot;
                }
                at
            }
            _ => {
                self.slots.push(slot);
                self.slots.len().saturating_sub(1)
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn create_whole(root: BorrowedFd<'_>, path: &[u8], mode: Mode) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(root, path, NEW, mode, resolve)
}

#[cfg(not(target_os = "linux"))]
fn create_whole(_: BorrowedFd<'_>, _: &[u8], _: Mode) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// Opens a directory in a directory.
pub(crate) fn open_dir(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

fn step(dir: BorrowedFd<'_>, name: &[u8], make: bool) -> Result<OwnedFd, Obstacle> {
    let opened = match open_dir(dir, name) {
        Err(Errno::NOENT) if make => match mkdirat(dir, name, Mode::RWXU) {
            // Another worker was quicker.
            Ok(()) | Err(Errno::EXIST) => open_dir(dir, name),
            Err(error) => Err(error),
        },
        opened => opened,
    };
    opened.map_err(|error| match error {
        // What a link is answered with differs between systems.
        Errno::NOTDIR | Errno::LOOP | Errno::MLINK => {
            match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                    Obstacle::Symlink
                }
                _ => Obstacle::NotDirectory,
            }
        }
        error => Obstacle::System(error),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use rustix::fs::{CWD, Mode};

    use super::{Handles, open_dir};

    /// The way by one call refuses what the way by directories refuses. What it returns nothing for
    /// is left as it was.
    #[test]
    fn one_call_follows_no_link_and_stays_below_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, root.join("link")).unwrap();
        symlink("real", root.join("inner")).unwrap();
        symlink(outside.join("made"), root.join("last")).unwrap();
        fs::write(root.join("taken"), b"first").unwrap();
        let name = std::os::unix::ffi::OsStrExt::as_bytes(root.as_os_str());
        let mut handles = Handles::new(Arc::new(open_dir(CWD, name).unwrap()));
        let mode = Mode::RUSR | Mode::WUSR;
        let absolute = outside.join("absolute");
        let absolute = std::os::unix::ffi::OsStrExt::as_bytes(absolute.as_os_str());
        assert!(handles.create(b"real/file", mode).is_none());
        handles.make(b"real").unwrap();
        for path in
            [&b"link/file"[..], b"inner/file", b"last", b"taken", b"taken/file", b"../up", absolute]
        {
            assert!(handles.create(path, mode).is_none(), "{}", path.escape_ascii());
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert_eq!(fs::read_dir(root.join("real")).unwrap().count(), 0);
        assert_eq!(fs::read(root.join("taken")).unwrap(), b"first");
        // Where the system cannot do it, it says so once and is asked no more.
        let made = handles.create(b"real/file", mode).is_some();
        assert_eq!(made, handles.whole_paths);
        assert_eq!(root.join("real/file").exists(), made);
        handles.whole_paths = false;
        assert!(handles.create(b"real/other", mode).is_none());
        assert!(!root.join("real/other").exists());
    }
}
