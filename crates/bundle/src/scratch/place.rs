//! Where a scratch file is made.

use std::path::PathBuf;

#[cfg(unix)]
use std::{fs::File, io, sync::Arc};

#[cfg(unix)]
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
#[cfg(unix)]
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};
#[cfg(unix)]
use rustix::io::Errno;

/// A folder in which a scratch file is made, if one is needed at all.
///
/// The file has no name there, and what is written to it is encrypted. It takes up to the bytes of
/// the catalog, and goes when the catalog is written, or the process ends.
#[derive(Clone, Debug)]
pub struct ScratchPlace(Place);

#[derive(Clone, Debug)]
enum Place {
    Path(PathBuf),
    #[cfg(unix)]
    Handle(Arc<OwnedFd>),
}

impl ScratchPlace {
    /// Names a folder, which is looked for when a file is needed.
    #[must_use]
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self(Place::Path(path.into()))
    }

    /// Takes a folder that is open.
    #[cfg(unix)]
    #[must_use]
    pub fn opened(folder: Arc<OwnedFd>) -> Self {
        Self(Place::Handle(folder))
    }

    /// Makes a file that has no name, and that nobody else can open.
    #[cfg(unix)]
    pub(super) fn create(&self) -> io::Result<File> {
        let Self(place) = self;
        match place {
            Place::Path(path) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                nameless(openat(CWD, path, flags, Mode::empty())?.as_fd())
            }
            Place::Handle(folder) => nameless(folder.as_fd()),
        }
    }
}

#[cfg(unix)]
const OWNER: Mode = Mode::RUSR.union(Mode::WUSR);

#[cfg(target_os = "linux")]
fn nameless(folder: BorrowedFd<'_>) -> io::Result<File> {
    // Exclusive: it can never be given a name.
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
    match openat(folder, ".", flags, OWNER) {
        Ok(file) => Ok(file.into()),
        // What a file system or a kernel says that has no such files.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => unlinked(folder),
        Err(error) => Err(error.into()),
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn nameless(folder: BorrowedFd<'_>) -> io::Result<File> {
    unlinked(folder)
}

/// Makes a file and takes its name away at once. A process that is killed between the two leaves an
/// empty file.
#[cfg(unix)]
pub(super) fn unlinked(folder: BorrowedFd<'_>) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let number = bkp_crypto::SystemRandom::bytes::<8>().map_err(io::Error::other)?;
        let name = format!(".bkp-scratch-{:016x}", u64::from_ne_bytes(number));
        match openat(folder, &*name, flags, OWNER) {
            Ok(file) => {
                unlinkat(folder, &*name, AtFlags::empty())?;
                return Ok(file.into());
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
