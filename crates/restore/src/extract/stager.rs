//! What runs on the workers: directories, and files with their bytes.

use std::collections::HashSet;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bkp_core::{Entry, EntryKind, Job, Jobs, Payload, Stager};
use rustix::fs::{
    AtFlags, Dev, FileType, Mode, RawMode, Stat, Timespec, Timestamps, UTIME_OMIT, fchmod, fstat,
    futimens, openat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::beneath::{Handles, NEW, Obstacle};
use crate::names::Stored;
use crate::stream::{BUFFER, Full, fill, write_all};
use crate::{Naming, RestoreError, Staging};

/// What a file has until it is done, where others could look into its directory.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The type bits of `st_mode`.
const KIND: u32 = 0o170_000;

/// The half of an [`ExtractDir`](crate::ExtractDir) that the workers share.
#[derive(Debug)]
pub struct ExtractStager {
    root: Arc<OwnedFd>,
    naming: Naming,
    /// Files of this run, when the destination is written in place: these never make way.
    own: Option<Mutex<HashSet<(Dev, u64)>>>,
    /// Stored paths of links, which are empty files for now.
    links: Mutex<HashSet<Box<[u8]>>>,
    full: Full,
    /// Permission bits that a new file may lack although they were asked for.
    umask: Mode,
}

/// What is known of an entry once its bytes are written.
#[derive(Debug)]
pub struct Staged {
    pub(super) bytes: u64,
    /// None for a directory that exists only in the map.
    pub(super) stored: Option<Stored>,
    pub(super) notices: Vec<RestoreError>,
}

impl ExtractStager {
    pub(super) fn new(staging: &Staging, naming: Naming) -> Self {
        let (root, umask) = (staging.tree(), staging.umask());
        let own = staging.in_place().then(Mutex::default);
        Self { root, naming, own, links: Mutex::default(), full: Full::default(), umask }
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Fails once the disk has been full.
    pub(super) fn check_space(&self) -> Result<(), RestoreError> {
        self.full.check()
    }

    fn one(
        &self,
        handles: &mut Handles,
        buffer: &mut [u8],
        job: &mut Job,
    ) -> Result<Staged, RestoreError> {
        let entry = &job.entry;
        let Some(stored) = self.naming.stored(entry) else {
            return Ok(Staged { bytes: 0, stored: None, notices: Vec::new() });
        };
        let mut notices = Vec::new();
        let path = stored.as_path();
        if entry.path.is_root() && entry.kind != EntryKind::Directory && !self.hashed() {
            return Err(RestoreError::RootNotDirectory { path: path.to_owned() });
        }
        if contradicts(entry) {
            let (mode, kind) = (entry.metadata.mode, entry.kind.name());
            notices.push(RestoreError::ModeContradictsKind { path: path.to_owned(), mode, kind });
        }
        let bytes = match entry.kind {
            EntryKind::Directory => {
                handles.make(stored.as_bytes()).map_err(|why| self.unreachable(why, &stored))?;
                0
            }
            EntryKind::Symlink(_) => {
                drop(self.create(handles, &stored, PRIVATE)?);
                locked(&self.links).insert(stored.as_bytes().into());
                0
            }
            _ => {
                let mut payload = job.payload.as_deref_mut();
                // Read before anything is created, so that what cannot be read leaves no trace.
                let first = fill(&mut payload, buffer, path)?;
                let mode = permissions(entry.metadata.mode);
                let first_mode = if mode & self.umask == Mode::empty() { mode } else { PRIVATE };
                let file = self.create(handles, &stored, first_mode)?;
                let mut file = Unfinished { handles, stored: &stored, file, mode: first_mode };
                let written = file.write(&mut payload, buffer, first, path)?;
                notices.extend(file.finish(entry, path));
                written
            }
        };
        Ok(Staged { bytes, stored: Some(stored), notices })
    }

    fn hashed(&self) -> bool {
        matches!(self.naming, Naming::Hashed)
    }

    /// Creates a file that was not there, and the directories it lies in.
    fn create(
        &self,
        handles: &mut Handles,
        stored: &Stored,
        mode: Mode,
    ) -> Result<OwnedFd, RestoreError> {
        let path = stored.as_path();
        let file = match handles.create(stored.as_bytes(), mode) {
            Some(file) => file,
            None => {
                let (directory, name) = stored.split();
                let dir = handles.make(directory).map_err(|why| self.unreachable(why, stored))?;
                self.create_in(dir, name, path, mode)?
            }
        };
        if let Some(own) = &self.own {
            let stat = fstat(&file).map_err(RestoreError::on("create", path))?;
            locked(own).insert(identity(&stat));
        }
        Ok(file)
    }

    /// Creates a file in a directory. One that is there makes way if it may.
    fn create_in(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        path: &Path,
        mode: Mode,
    ) -> Result<OwnedFd, RestoreError> {
        let create = || openat(dir, name, NEW, mode);
        let file = match create() {
            Err(Errno::EXIST) => {
                self.make_way(dir, name, path)?;
                create()
            }
            created => created,
        };
        file.map_err(|error| match error {
            Errno::EXIST => RestoreError::NameCollision { path: path.to_owned() },
            error => RestoreError::system("create", path, error),
        })
    }

    /// Unlinks a regular file or a link, if that was asked for and it is none of this run's.
    pub(super) fn make_way(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        path: &Path,
    ) -> Result<(), RestoreError> {
        let collision = || RestoreError::NameCollision { path: path.to_owned() };
        let own = self.own.as_ref().ok_or_else(collision)?;
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(RestoreError::on("replace", path))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !matches!(kind, FileType::RegularFile | FileType::Symlink)
            || locked(own).contains(&identity(&stat))
        {
            return Err(collision());
        }
        unlinkat(dir, name, AtFlags::empty()).map_err(RestoreError::on("replace", path))
    }

    /// Says why a directory could not be reached. A link that is an empty file for now is told
    /// from a file.
    fn unreachable(&self, why: Obstacle, stored: &Stored) -> RestoreError {
        let path = stored.as_path();
        if matches!(why, Obstacle::NotDirectory) {
            let links = locked(&self.links);
            let mut above = stored.as_bytes();
            while !above.is_empty() {
                if links.contains(above) {
                    return RestoreError::ThroughSymlink { path: path.to_owned() };
                }
                above = crate::names::split(above).0;
            }
        }
        unreachable(why, path)
    }
}

impl Stager for ExtractStager {
    type Staged = Staged;
    type Error = RestoreError;

    fn stage(&self, jobs: &mut dyn Jobs<Staged, RestoreError>) {
        let mut handles = Handles::new(Arc::clone(&self.root));
        let mut buffer = vec![0; BUFFER];
        while let Some(mut job) = jobs.next() {
            let result = self.one(&mut handles, &mut buffer, &mut job);
            self.full.note(&result);
            jobs.done(job, result);
        }
    }
}

/// A file that is unlinked again unless it is finished.
struct Unfinished<'d> {
    handles: &'d mut Handles,
    stored: &'d Stored,
    file: OwnedFd,
    /// What it was created with.
    mode: Mode,
}

impl Unfinished<'_> {
    /// Writes the `first` bytes of the buffer and all that follows. On an error nothing is left.
    fn write(
        &mut self,
        payload: &mut Option<&mut (dyn Payload + 'static)>,
        buffer: &mut [u8],
        first: usize,
        path: &Path,
    ) -> Result<u64, RestoreError> {
        let mut copy = || {
            let (mut total, mut length) = (0u64, first);
            loop {
                let bytes = buffer.get(..length).unwrap_or_default();
                write_all(self.file.as_fd(), bytes).map_err(RestoreError::on("write", path))?;
                total = total.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                if length < buffer.len() {
                    return Ok(total);
                }
                length = fill(payload, buffer, path)?;
            }
        };
        copy().inspect_err(|_| {
            let (directory, name) = self.stored.split();
            if let Ok(dir) = self.handles.open(directory) {
                let _ = unlinkat(dir, name, AtFlags::empty());
            }
        })
    }

    /// Sets mode and time. What the file system cannot hold of these is a notice.
    fn finish(&self, entry: &Entry, path: &Path) -> Option<RestoreError> {
        let mode = permissions(entry.metadata.mode);
        let mut set = futimens(&self.file, &times(entry.metadata.modified));
        if mode != self.mode {
            set = set.and(fchmod(&self.file, mode));
        }
        let source = set.err()?.into();
        Some(RestoreError::Metadata { path: path.to_owned(), source })
    }
}

/// Returns true when the mode says that the entry is of another kind than its row.
fn contradicts(entry: &Entry) -> bool {
    let kind = match entry.kind {
        EntryKind::Directory => 0o040_000,
        EntryKind::Symlink(_) => 0o120_000,
        _ => 0o100_000,
    };
    !matches!(entry.metadata.mode & KIND, 0) && entry.metadata.mode & KIND != kind
}

/// The permission bits of a mode, and nothing that would run as somebody else.
pub(super) fn permissions(mode: u32) -> Mode {
    let bits = u16::try_from(mode & 0o777).unwrap_or_default();
    Mode::from_raw_mode(RawMode::from(bits))
}

/// A modification time in seconds since the Unix epoch, and no time of access.
pub(super) fn times(modified: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified, tv_nsec: 0 },
    }
}

pub(super) fn unreachable(why: Obstacle, path: &Path) -> RestoreError {
    let path = path.to_owned();
    match why {
        Obstacle::Symlink => RestoreError::ThroughSymlink { path },
        Obstacle::NotDirectory => RestoreError::ParentNotDirectory { path },
        Obstacle::System(error) => RestoreError::system("create", &path, error),
    }
}

/// What no other file on this machine has while it exists.
fn identity(stat: &Stat) -> (Dev, u64) {
    (stat.st_dev, stat.st_ino)
}

/// A worker that panicked while it held a set has left the set as good as before.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
