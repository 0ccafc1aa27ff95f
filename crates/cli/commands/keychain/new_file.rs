//! A file that only its owner can read, whole or not there at all, and never in place of another.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::display::Name;
use crate::error::{CommandError, Kind};

/// A file that is to be.
#[derive(Debug)]
pub(super) struct NewFile<'p> {
    path: &'p Path,
    /// Where it is written first, in the same folder.
    temporary: PathBuf,
}

impl<'p> NewFile<'p> {
    /// Refuses a name that is taken.
    pub(super) fn at(path: &'p Path) -> Result<Self, CommandError> {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let Some(name) = path.file_name() else {
            let message = format!("{} names no file", shown(path));
            return Err(CommandError::new(Kind::Usage, "usage", message));
        };
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.tmp", std::process::id()));
        Ok(Self { path, temporary: path.with_file_name(temporary) })
    }

    /// Writes the file, syncs it, gives it its name and syncs the folder. After a crash there is
    /// the whole file, or perhaps one ending in `.tmp`, which only its owner can read either.
    pub(super) fn write(
        self,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<&'p Path, CommandError> {
        let Self { path, temporary } = &self;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary);
        let file = file.map_err(|error| failed(path, &error))?;
        let named = fill(file, content).and_then(|()| give_name(temporary, path));
        if let Err(error) = named {
            let _ = fs::remove_file(temporary);
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => exists(path),
                _ => failed(path, &error),
            });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(|error| failed(path, &error))?;
        Ok(self.path)
    }
}

fn fill(file: File, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    content(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()
}

/// Renames without replacing. Where the file system cannot, as over a network, a second name does
/// the same.
fn give_name(temporary: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, temporary, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(temporary, path)?;
            fs::remove_file(temporary)
        }
        result => Ok(result?),
    }
}

fn shown(path: &Path) -> Name<'_> {
    Name(path.as_os_str().as_bytes())
}

fn exists(path: &Path) -> CommandError {
    let message = format!("{} exists, and is not overwritten", shown(path));
    CommandError::new(Kind::DestinationExists, "destination-exists", message)
        .help("name a new file")
}

fn failed(path: &Path, error: &io::Error) -> CommandError {
    let mut failed = CommandError::of(Kind::Failed, "cannot-write", error);
    failed.message = format!("cannot write {}: {}", shown(path), failed.message);
    failed
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::NewFile;
    use crate::error::Kind;

    #[test]
    fn it_is_new_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        let names = || std::fs::read_dir(dir.path()).unwrap().count();
        // What fails leaves nothing.
        let failed = NewFile::at(&path).unwrap().write(|out| {
            out.write_all(b"half")?;
            Err(std::io::ErrorKind::StorageFull.into())
        });
        assert_eq!((failed.unwrap_err().kind, names()), (Kind::NoSpace, 0));
        // One that appears meanwhile stays as it is.
        let file = NewFile::at(&path).unwrap();
        std::fs::write(&path, "other").unwrap();
        let error = file.write(|out| out.write_all(b"mine")).unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::DestinationExists, "destination-exists"));
        assert_eq!(std::fs::read(&path).unwrap(), b"other");
        assert_eq!(NewFile::at(&path).unwrap_err().kind, Kind::DestinationExists);
        std::fs::remove_file(&path).unwrap();
        NewFile::at(&path).unwrap().write(|out| out.write_all(b"mine")).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), names()), (b"mine".to_vec(), 1));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        // A link that leads nowhere is a name that is taken.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert_eq!(NewFile::at(&link).unwrap_err().kind, Kind::DestinationExists);
        assert_eq!(
            NewFile::at(dir.path().join("..").as_path()).unwrap_err().kind,
            Kind::DestinationExists
        );
    }
}
