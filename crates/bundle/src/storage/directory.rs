//! A directory on a disk, opened once and read beneath its handle.

use std::fs::File;
use std::io;
use std::path::Path;
#[cfg(not(unix))]
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Bytes, StorageBackend, Stored};

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file; links are not followed")
}

#[derive(Debug)]
pub(super) struct Directory {
    #[cfg(unix)]
    handle: rustix::fd::OwnedFd,
    #[cfg(not(unix))]
    path: PathBuf,
    /// Shards that were found to be folders and no links, by their number.
    real: [AtomicBool; 256],
}

impl Directory {
    /// A payload's name leads through a shard, which must not be a link either.
    fn check_shard(&self, name: &str) -> io::Result<()> {
        let Some((shard, _)) = name.split_once('/') else { return Ok(()) };
        let known = u8::from_str_radix(shard, 16).ok().and_then(|n| self.real.get(usize::from(n)));
        if known.is_some_and(|known| known.load(Ordering::Relaxed)) {
            return Ok(());
        }
        if !self.is_folder(shard)? {
            return Err(not_regular());
        }
        if let Some(known) = known {
            known.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(unix)]
impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        use rustix::fs::{CWD, Mode, OFlags, openat};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { handle, real: [const { AtomicBool::new(false) }; 256] })
    }

    fn is_folder(&self, name: &str) -> io::Result<bool> {
        use rustix::fs::{AtFlags, FileType, statat};
        let stat = statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    /// `NONBLOCK`, or a FIFO of that name would hang the program; it changes nothing for files.
    fn open_file(&self, name: &str) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&self.handle, name, flags, Mode::empty()) {
            Ok(fd) => Ok(fd.into()),
            Err(rustix::io::Errno::LOOP) => Err(not_regular()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(unix)]
impl StorageBackend for Directory {
    fn kind(&self) -> &'static str {
        "directory"
    }

    fn open(&self, name: &str) -> io::Result<Stored> {
        self.check_shard(name)?;
        let file = self.open_file(name)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(not_regular());
        }
        Ok(Stored::new(Bytes::File(file), metadata.len()))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        use rustix::fs::{AtFlags, FileType, statat};
        self.check_shard(name)?;
        let stat = statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(not_regular());
        }
        u64::try_from(stat.st_size).map_err(io::Error::other)
    }

    fn list(&self, folder: &str, each: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
        let folder = if folder.is_empty() { "." } else { folder };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = openat(&self.handle, folder, flags, Mode::empty())?;
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            // Names that are not UTF-8 are no names of a bundle's own files.
            let Ok(name) = entry.file_name().to_str() else { continue };
            let kind = match entry.file_type() {
                // Not every file system tells the kind with the name.
                FileType::Unknown => {
                    let stat = statat(&dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            if !matches!(name, "." | "..") {
                each(name, kind == FileType::RegularFile);
            }
        }
        Ok(())
    }
}

#[cfg(not(unix))]
impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !std::fs::metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path: path.into(), real: [const { AtomicBool::new(false) }; 256] })
    }

    fn is_folder(&self, name: &str) -> io::Result<bool> {
        Ok(std::fs::symlink_metadata(self.path.join(name))?.is_dir())
    }
}

#[cfg(not(unix))]
impl StorageBackend for Directory {
    fn kind(&self) -> &'static str {
        "directory"
    }

    fn open(&self, name: &str) -> io::Result<Stored> {
        let len = self.len(name)?;
        Ok(Stored::new(Bytes::File(File::open(self.path.join(name))?), len))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.check_shard(name)?;
        let metadata = std::fs::symlink_metadata(self.path.join(name))?;
        if metadata.is_file() { Ok(metadata.len()) } else { Err(not_regular()) }
    }

    fn list(&self, folder: &str, each: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        let path = self.path.join(folder);
        if !std::fs::symlink_metadata(&path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            if let Some(name) = entry.file_name().to_str() {
                each(name, entry.file_type()?.is_file());
            }
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{ErrorKind, Read as _};

    use crate::Storage;

    #[test]
    fn links_and_fifos_are_refused_without_hanging() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), b"abc").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        let status =
            std::process::Command::new("mkfifo").arg(dir.path().join("fifo")).status().unwrap();
        assert!(status.success());
        let storage = Storage::directory(dir.path()).unwrap();
        let mut text = String::new();
        storage.open("file").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        assert_eq!(storage.len("file").unwrap(), Some(3));
        for odd in ["link", "dir", "fifo"] {
            assert_eq!(storage.open(odd).unwrap_err().kind(), ErrorKind::InvalidInput, "{odd}");
            assert_eq!(storage.len(odd).unwrap_err().kind(), ErrorKind::InvalidInput, "{odd}");
        }
        assert_eq!(storage.open("none").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(storage.len("none").unwrap(), None);
        assert_eq!(storage.names().unwrap(), ["dir", "fifo", "file", "link"]);
        std::fs::write(dir.path().join("dir/inner"), b"").unwrap();
        std::os::unix::fs::symlink("dir", dir.path().join("dir-link")).unwrap();
        let list = |folder| {
            let mut names = Vec::new();
            storage.list(folder, &mut |name, _| names.push(name.to_owned())).map(|()| {
                names.sort();
                names
            })
        };
        assert_eq!(list("").unwrap(), ["dir", "dir-link", "fifo", "file", "link"]);
        assert_eq!(list("dir").unwrap(), ["inner"]);
        for odd in ["dir-link", "file"] {
            assert_eq!(list(odd).unwrap_err().kind(), ErrorKind::NotADirectory, "{odd}");
        }
        assert_eq!(list("none").unwrap_err().kind(), ErrorKind::NotFound);
        let id = bkp_core::FileId::from_bytes([0xab; 20]);
        let shard = dir.path().join("ab");
        std::fs::create_dir(&shard).unwrap();
        std::fs::write(shard.join(id.to_string()), b"x").unwrap();
        std::fs::write(shard.join("AC".repeat(20)), b"x").unwrap();
        std::os::unix::fs::symlink("x", shard.join("ad".repeat(20))).unwrap();
        assert_eq!(storage.blobs(Some(0xab)).unwrap(), [id]);
        assert_eq!(storage.blobs(Some(0xac)).unwrap(), []);
        assert_eq!(storage.blobs(None).unwrap(), []);
        // A shard that is a link leads nowhere.
        std::os::unix::fs::symlink("ab", dir.path().join("ba")).unwrap();
        for (shard, found) in [("ab", true), ("ba", false)] {
            let name = format!("{shard}/{id}");
            assert_eq!(storage.open(&name).is_ok(), found, "{name}");
            assert_eq!(storage.len(&name).is_ok(), found, "{name}");
        }
        assert_eq!(storage.open("cc/x").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
