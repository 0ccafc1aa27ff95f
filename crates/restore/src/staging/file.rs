//! A single file that is written out of sight and appears whole.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, openat, renameat, renameat_with, statat};
use rustix::io::Errno;

use super::{Shell, TREE, open_parent};
use crate::RestoreError;

/// A file being written for a place, on the file system of that place.
///
/// ```text
/// parent/
///   .FILE.bkp-partial/      as that of a directory
///     tree      ──rename──▶ parent/FILE
/// ```
///
/// Dropped before [`finish`](Self::finish), all of it is removed. What a killed run left is removed
/// by the next one for the same place.
#[derive(Debug)]
pub struct StagedFile {
    target: PathBuf,
    overwrite: bool,
    // Closed before the folder that it is in is removed.
    file: File,
    shell: Shell,
}

impl StagedFile {
    /// Starts writing what will be at `target`. With `overwrite` a file that is there stays as it
    /// is until the new one takes its place.
    ///
    /// # Errors
    ///
    /// Fails when the directory above `target` is missing, when there is something at `target`
    /// (with `overwrite`: something else than a file), when another run is writing it, and when
    /// something else is in the way.
    pub fn begin(target: &Path, overwrite: bool) -> Result<Self, RestoreError> {
        // A link is resolved, so that it is not what is renamed over.
        let existing = match std::fs::canonicalize(target) {
            Ok(real) => Some(real),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(RestoreError::system("open", target, error)),
        };
        let exists = || RestoreError::DestinationExists { path: target.to_owned() };
        if existing.as_ref().is_some_and(|path| !overwrite || !path.is_file()) {
            return Err(exists());
        }
        let real = existing.as_deref().unwrap_or(target);
        let Some(name) = real.file_name() else { return Err(exists()) };
        let above = match real.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let parent = open_parent(above)?;
        if existing.is_none() && statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            // A link that leads nowhere.
            return Err(exists());
        }
        let shell = Shell::create(parent, name, above)?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&shell.dir, TREE, flags, Mode::RUSR | Mode::WUSR)
            .map_err(RestoreError::on("create", &shell.path))?;
        Ok(Self { target: real.to_owned(), overwrite, file: file.into(), shell })
    }

    /// Returns the file, which only its owner can read and write.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Returns where the file will be, with links in the path resolved if it was there before.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Writes everything to the disk and moves the file into place.
    ///
    /// Until the rename is on the disk a crash leaves no new file, but a partial folder that the
    /// next run removes.
    ///
    /// # Errors
    ///
    /// Fails when the disk reports an error that a write had not, and when something has come into
    /// the destination's place. Everything is removed then.
    pub fn finish(self) -> Result<PathBuf, RestoreError> {
        let Self { target, overwrite, file, shell } = self;
        let on = |action| RestoreError::on(action, &target);
        file.sync_all().map_err(|error| RestoreError::system("sync", &target, error))?;
        drop(file);
        let exists = || RestoreError::DestinationExists { path: target.clone() };
        let (from, to, name) = (&shell.dir, &shell.parent, &shell.target);
        let renamed = match overwrite {
            true => renameat(from, TREE, to, name),
            false => match renameat_with(from, TREE, to, name, RenameFlags::NOREPLACE) {
                // A file system that cannot promise this is asked whether there is something.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(_) => Err(Errno::EXIST),
                        Err(Errno::NOENT) => renameat(from, TREE, to, name),
                        Err(error) => Err(error),
                    }
                }
                result => result,
            },
        };
        renamed.map_err(|error| match error {
            Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY => exists(),
            error => on("rename")(error),
        })?;
        rustix::fs::fsync(to.as_fd()).map_err(on("sync"))?;
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use bkp_core::Fault as _;

    use super::StagedFile;

    fn names(dir: &std::path::Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.zip");
        let staged = StagedFile::begin(&target, false).unwrap();
        staged.file().write_all(b"half").unwrap();
        assert_eq!(names(dir.path()), [".a.zip.bkp-partial"]);
        assert_eq!(StagedFile::begin(&target, false).unwrap_err().code(), "destination-in-use");
        drop(staged);
        assert!(names(dir.path()).is_empty());
        let staged = StagedFile::begin(&target, false).unwrap();
        staged.file().write_all(b"whole").unwrap();
        assert_eq!(staged.finish().unwrap(), target);
        assert_eq!(names(dir.path()), ["a.zip"]);
        assert_eq!(fs::read(&target).unwrap(), b"whole");
    }

    #[test]
    fn what_is_there_is_replaced_only_when_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.zip");
        fs::write(&target, "old").unwrap();
        let code = |overwrite| StagedFile::begin(&target, overwrite).unwrap_err().code();
        assert_eq!(code(false), "destination-exists");
        let staged = StagedFile::begin(&target, true).unwrap();
        staged.file().write_all(b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        staged.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        fs::remove_file(&target).unwrap();
        // What came meanwhile stays.
        let staged = StagedFile::begin(&target, false).unwrap();
        fs::write(&target, "came").unwrap();
        assert_eq!(staged.finish().unwrap_err().code(), "destination-exists");
        assert_eq!(fs::read(&target).unwrap(), b"came");
        fs::remove_file(&target).unwrap();
        fs::create_dir(&target).unwrap();
        assert_eq!(code(true), "destination-exists");
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        let error = StagedFile::begin(&dir.path().join("link"), true).unwrap_err();
        assert_eq!(error.code(), "destination-exists");
        let error = StagedFile::begin(&dir.path().join("no/a.zip"), true).unwrap_err();
        assert_eq!(error.code(), "parent-missing");
        assert_eq!(names(dir.path()), ["a.zip", "link"]);
    }

    /// What a killed run left is removed by the next one.
    #[test]
    fn a_leftover_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.zip");
        let partial = dir.path().join(".a.zip.bkp-partial");
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join(".bkp-partial"), super::super::MAGIC).unwrap();
        fs::write(partial.join("tree"), "half").unwrap();
        StagedFile::begin(&target, false).unwrap().finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"");
        assert_eq!(names(dir.path()), ["a.zip"]);
    }
}
