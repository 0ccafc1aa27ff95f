//! A directory that is built out of sight and appears whole.
//!
//! ```text
//! parent/
//!   .OUT.bkp-partial/      mode 0700
//!     .bkp-partial         marks it as ours, and is locked while a run works on it
//!     tree/  ──rename──▶   parent/OUT
//! ```

mod file;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, open, openat,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::RestoreError;
use crate::beneath::open_dir;
use crate::remove::clear;

pub use file::StagedFile;

/// Marks a folder as one that a run left or is working on.
const MARKER: &[u8] = b".bkp-partial";
/// What is in the marker.
const MAGIC: &[u8] = b"bkp partial output, safe to delete\n";
/// What will be the destination.
const TREE: &[u8] = b"tree";
/// All permission bits.
const ALL: Mode = Mode::RWXU.union(Mode::RWXG).union(Mode::RWXO);
/// The longest name of a destination that fits into the name of its partial folder.
const LONGEST: usize = 200;

/// A directory being built for a place, on the file system of that place.
///
/// A new or empty destination is built beside it and moved into place by one rename in
/// [`finish`](Self::finish); dropped before that, all of it is removed. A destination that has
/// something in it is written in place when overwriting is allowed, and what is written stays.
#[derive(Debug)]
pub struct Staging {
    target: PathBuf,
    tree: Arc<OwnedFd>,
    /// None when the destination is written in place.
    shell: Option<Shell>,
    /// Permission bits that the process takes off what it creates.
    umask: Mode,
}

/// The folder beside the destination.
#[derive(Debug)]
struct Shell {
    parent: OwnedFd,
    /// The destination's name in `parent`.
    target: OsString,
    name: Vec<u8>,
    path: PathBuf,
    dir: OwnedFd,
    /// Holds the lock until it is dropped, which is after everything else here is done.
    _marker: OwnedFd,
}

impl Staging {
    /// Starts building what will be at `target`.
    ///
    /// What an earlier run left half done for the same target is removed, if it is marked as
    /// such and no run is working on it.
    ///
    /// # Errors
    ///
    /// Fails when the directory above `target` is missing, when `target` exists and is not an
    /// empty directory (not even with `overwrite` if it is no directory at all), when it is a
    /// mount point, when another run is writing it, and when something else is in the way.
    pub fn begin(target: &Path, overwrite: bool) -> Result<Self, RestoreError> {
        let on = |action| RestoreError::on(action, target);
        let existing = match std::fs::canonicalize(target) {
            Ok(real) => Some(real),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(RestoreError::system("open", target, error)),
        };
        // A link is resolved, so that it is not what is renamed over.
        let target = existing.as_deref().unwrap_or(target);
        let dir = match &existing {
            None => None,
            Some(path) => Some(open_existing(path)?),
        };
        if let Some(dir) = &dir
            && !is_empty(dir.as_fd()).map_err(on("read"))?
        {
            if !overwrite {
                return Err(RestoreError::DestinationNotEmpty { path: target.to_owned() });
            }
            lock(dir.as_fd(), target)?;
            let tree =
                Arc::new(dir.try_clone().map_err(|e| RestoreError::system("open", target, e))?);
            let (target, umask) = (target.to_owned(), ALL);
            return Ok(Self { target, tree, shell: None, umask });
        }

        let Some(name) = target.file_name() else {
            return Err(RestoreError::DestinationIsMountPoint { path: target.to_owned() });
        };
        let above = match target.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let parent = open_parent(above)?;
        if statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() && dir.is_none() {
            // It exists and leads nowhere: a broken link.
            return Err(RestoreError::DestinationNotDirectory { path: target.to_owned() });
        }
        let mode = match &dir {
            None => Mode::RWXU,
            Some(dir) => {
                let (stat, above) =
                    (fstat(dir).map_err(on("read"))?, fstat(&parent).map_err(on("read"))?);
                if stat.st_dev != above.st_dev {
                    return Err(RestoreError::DestinationIsMountPoint { path: target.to_owned() });
                }
                Mode::from_raw_mode(stat.st_mode) & ALL | Mode::RWXU
            }
        };
        let shell = Shell::create(parent, name, above)?;
        let on = |action| RestoreError::on(action, &shell.path);
        // Asking for every bit tells which ones are taken off. Nobody else gets in meanwhile: the
        // folder above is closed.
        mkdirat(&shell.dir, TREE, ALL).map_err(on("create"))?;
        let tree = open_dir(shell.dir.as_fd(), TREE).map_err(on("open"))?;
        let made = Mode::from_raw_mode(fstat(&tree).map_err(on("read"))?.st_mode) & ALL;
        rustix::fs::fchmod(&tree, mode).map_err(on("create"))?;
        let (target, tree, shell) = (target.to_owned(), Arc::new(tree), Some(shell));
        Ok(Self { target, tree, shell, umask: ALL - made })
    }

    /// Returns where the directory will be, with links in the path resolved if it was there
    /// before.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Returns where the directory is now. For writers that need a path; those that can should
    /// work below [`dir`](Self::dir).
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match &self.shell {
            Some(shell) => shell.path.join(OsStr::from_bytes(TREE)),
            None => self.target.clone(),
        }
    }

    /// Returns the directory.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.tree.as_fd()
    }

    /// Returns true when the destination is written in place, and had something in it.
    #[must_use]
    pub fn in_place(&self) -> bool {
        self.shell.is_none()
    }

    /// Returns the permission bits that a file created here may lack although they were asked
    /// for. All of them where others can look into the directory already: a file must not be
    /// open to them before it is done.
    pub(crate) fn umask(&self) -> Mode {
        self.umask
    }

    pub(crate) fn tree(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.tree)
    }

    /// Writes everything to the disk and moves the directory into place.
    ///
    /// Until the rename is on the disk a crash leaves no destination, but a partial folder that
    /// the next run removes. On Linux the whole file system is synced before the rename, so a
    /// destination that is there is whole. Elsewhere only the folder itself is synced: there, a
    /// power cut soon after the end can still lose content of files.
    ///
    /// # Errors
    ///
    /// Fails when the disk reports an error that a write had not, and when something has come
    /// into the destination's place. Everything is removed then.
    pub fn finish(self) -> Result<PathBuf, RestoreError> {
        let target = self.target.clone();
        let on = |action| RestoreError::on(action, &target);
        sync(self.tree.as_fd()).map_err(on("sync"))?;
        if let Some(shell) = &self.shell {
            // A directory replaces nothing but an empty directory.
            renameat(&shell.dir, TREE, &shell.parent, &shell.target).map_err(
                |error| match error {
                    Errno::NOTEMPTY | Errno::EXIST => {
                        RestoreError::DestinationNotEmpty { path: target.clone() }
                    }
                    Errno::NOTDIR => RestoreError::DestinationNotDirectory { path: target.clone() },
                    error => RestoreError::system("rename", &target, error),
                },
            )?;
            rustix::fs::fsync(&shell.parent).map_err(on("sync"))?;
        }
        Ok(target)
    }
}

#[cfg(target_os = "linux")]
fn sync(tree: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::syncfs(tree)
}

#[cfg(not(target_os = "linux"))]
fn sync(tree: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::fsync(tree)
}

fn open_existing(path: &Path) -> Result<OwnedFd, RestoreError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).map_err(|error| match error {
        Errno::NOTDIR => RestoreError::DestinationNotDirectory { path: path.to_owned() },
        error => RestoreError::system("open", path, error),
    })
}

/// Opens the folder that a destination is to be in.
fn open_parent(above: &Path) -> Result<OwnedFd, RestoreError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(above, flags, Mode::empty()).map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR => RestoreError::ParentMissing { path: above.to_owned() },
        error => RestoreError::system("open", above, error),
    })
}

fn is_empty(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut entries = Dir::read_from(dir)?;
    while let Some(entry) = entries.read() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn lock(fd: BorrowedFd<'_>, path: &Path) -> Result<(), RestoreError> {
    flock(fd, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        Errno::WOULDBLOCK => RestoreError::InUse { path: path.to_owned() },
        error => RestoreError::system("lock", path, error),
    })
}

impl Shell {
    fn create(parent: OwnedFd, target: &OsStr, above: &Path) -> Result<Self, RestoreError> {
        let name = partial_name(target.as_bytes());
        let path = above.join(OsStr::from_bytes(&name));
        let on = |action| RestoreError::on(action, &path);
        loop {
            match mkdirat(&parent, &*name, Mode::RWXU) {
                Ok(()) => break,
                Err(Errno::EXIST) => remove_leftover(parent.as_fd(), &name, &path)?,
                Err(error) => return Err(on("create")(error)),
            }
        }
        let dir = open_dir(parent.as_fd(), &name).map_err(on("open"))?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let marker = openat(&dir, MARKER, flags, Mode::RUSR | Mode::WUSR).map_err(on("create"))?;
        lock(marker.as_fd(), &path)?;
        rustix::io::write(&marker, MAGIC).map_err(on("write"))?;
        let target = target.to_owned();
        Ok(Self { parent, target, name, path, dir, _marker: marker })
    }
}

/// The name of the folder beside a destination. A very long one is cut and told apart by a hash.
fn partial_name(target: &[u8]) -> Vec<u8> {
    use sha1::{Digest as _, Sha1};
    let mut name = vec![b'.'];
    match target.get(..LONGEST) {
        Some(start) if target.len() > LONGEST => {
            name.extend_from_slice(start);
            for byte in Sha1::digest(target).iter().take(8) {
                name.extend_from_slice(format!("{byte:02x}").as_bytes());
            }
        }
        _ => name.extend_from_slice(target),
    }
    name.extend_from_slice(b".bkp-partial");
    name
}

/// Removes what a run left that was killed.
fn remove_leftover(parent: BorrowedFd<'_>, name: &[u8], path: &Path) -> Result<(), RestoreError> {
    let on = |action| RestoreError::on(action, path);
    let not_ours = || RestoreError::PartialNotOurs { path: path.to_owned() };
    let dir = match open_dir(parent, name) {
        Ok(dir) => dir,
        // Its run has just ended.
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => return Err(not_ours()),
        Err(error) => return Err(on("open")(error)),
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let marker = match openat(&dir, MARKER, flags, Mode::empty()) {
        Ok(marker) => marker,
        // Its run was killed before it could mark it, if there is nothing else in it either.
        Err(Errno::NOENT) => {
            let removed = unlinkat(parent, name, AtFlags::REMOVEDIR);
            return removed.map_err(|_| not_ours());
        }
        Err(Errno::LOOP | Errno::MLINK) => return Err(not_ours()),
        Err(error) => return Err(on("open")(error)),
    };
    let stat = fstat(&marker).map_err(on("read"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(not_ours());
    }
    lock(marker.as_fd(), path)?;
    let mut content = [0; MAGIC.len()];
    let length = rustix::io::read(&marker, &mut content).map_err(on("read"))?;
    // A run that was killed at once has not written it yet.
    if content.get(..length) != MAGIC.get(..length) {
        return Err(not_ours());
    }
    // The lock may have come free because its run has ended, removed this folder, and another
    // run has made one of the same name.
    let then = fstat(&dir).map_err(on("read"))?;
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(now) if (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino) => {}
        _ => return Ok(()),
    }
    clear(dir.as_fd(), MARKER).map_err(on("remove"))?;
    remove_shell(parent, name, dir.as_fd()).map_err(on("remove"))
}

/// Removes the folder once nothing but the marker is in it.
fn remove_shell(parent: BorrowedFd<'_>, name: &[u8], dir: BorrowedFd<'_>) -> Result<(), Errno> {
    unlinkat(dir, MARKER, AtFlags::empty())?;
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Removes what is left: everything, or the empty shell of what was moved into place. What cannot
/// be removed now is marked, and the next run tries again.
impl Drop for Shell {
    fn drop(&mut self) {
        let Self { parent, name, dir, .. } = self;
        if clear(dir.as_fd(), MARKER).is_ok() {
            let _ = remove_shell(parent.as_fd(), name, dir.as_fd());
        }
    }
}
