//! Finding the backup that a path means.

use std::io;
use std::path::{Path, PathBuf};

use bkp_archive::{ArchiveError, ArchiveLimits, OpenedArchive};
use bkp_core::Fault as _;

use crate::Found;

/// What a path means.
#[derive(Debug)]
pub enum Located {
    /// The folder of a backup.
    Folder(PathBuf),
    /// An archive. A sealed one wants its key before anything can be told of the backup in it.
    Archive(PathBuf, OpenedArchive),
}

impl Located {
    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Archive(path, _) => path,
        }
    }
}

/// Why a path means no backup, or more than one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// There is nothing at the path, or it cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is a file, and no archive.
    #[error("{} is a file, and neither a zip nor a sealed archive", path.display())]
    File {
        /// The path.
        path: PathBuf,
    },
    /// The path is an archive that cannot be opened.
    #[error("cannot open the archive {}", path.display())]
    Archive {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: ArchiveError,
    },
    /// Neither the folder nor one directly in it is a backup.
    #[error("{} is not a backup, and holds none", path.display())]
    NotABackup {
        /// The path.
        path: PathBuf,
    },
    /// The folder holds more than one backup.
    #[error("{} holds {} backups", path.display(), found.len())]
    Several {
        /// The path.
        path: PathBuf,
        /// The backups, by path.
        found: Vec<Found>,
    },
}

impl LocateError {
    /// Returns the stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "permission-denied"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => "not-found",
            Self::Io { .. } => "cannot-read",
            Self::File { .. } | Self::NotABackup { .. } => "not-a-backup",
            Self::Archive { source, .. } => source.code(),
            Self::Several { .. } => "several-backups",
        }
    }
}

/// Finds the backup that a path means: an archive, the folder itself, or the only one directly in
/// it.
///
/// # Errors
///
/// Fails when there is none, or more than one; those are then listed. Fails when an archive is
/// damaged or refused.
pub fn locate(path: &Path) -> Result<Located, LocateError> {
    let fail = |source| LocateError::Io { path: path.into(), source };
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if metadata.is_file() {
        return match OpenedArchive::open(path, ArchiveLimits::default()) {
            Ok(archive) => Ok(Located::Archive(path.into(), archive)),
            Err(ArchiveError::NotAnArchive) => Err(LocateError::File { path: path.into() }),
            Err(ArchiveError::Open { source, .. }) => Err(fail(source)),
            Err(source) => Err(LocateError::Archive { path: path.into(), source }),
        };
    }
    if !metadata.is_dir() {
        return Err(LocateError::File { path: path.into() });
    }
    if is_bundle(path).map_err(fail)? {
        return Ok(Located::Folder(path.into()));
    }
    let within = bundles_in(path, |_| false).map_err(fail)?;
    match within.as_slice() {
        [] => Err(LocateError::NotABackup { path: path.into() }),
        [only] => Ok(Located::Folder(only.clone())),
        _ => Err(LocateError::Several {
            path: path.into(),
            found: within.into_iter().map(Found::describe).collect(),
        }),
    }
}

/// Lists the backups directly in a folder, by path, and besides them what `named` says is called
/// like one.
pub(crate) fn bundles_in(path: &Path, named: impl Fn(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut within = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let candidate = entry?.path();
        let found = match std::fs::metadata(&candidate) {
            // What cannot be looked into is passed over, as the folder may hold anything.
            Ok(metadata) if metadata.is_dir() => {
                named(&candidate) || is_bundle(&candidate).unwrap_or(false)
            }
            Ok(_) => named(&candidate),
            // A link to a disk that is not there, for one.
            Err(_) => named(&candidate),
        };
        if found {
            within.push(candidate);
        }
    }
    within.sort_unstable();
    Ok(within)
}

/// A folder with a manifest of any age is a backup, whatever else may be missing from it.
pub(crate) fn is_bundle(path: &Path) -> io::Result<bool> {
    for name in ["Manifest.plist", "Manifest.db", "Manifest.mbdb"] {
        if path.join(name).symlink_metadata().is_ok() {
            return Ok(true);
        }
    }
    for entry in std::fs::read_dir(path)? {
        if entry?.path().extension().is_some_and(|extension| extension == "mdinfo") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::{LocateError, Located, locate};

    #[test]
    fn the_folder_itself_or_the_only_one_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert!(matches!(locate(&root.join("none")), Err(LocateError::Io { .. })));
        assert!(matches!(locate(root), Err(LocateError::NotABackup { .. })));
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a/Manifest.plist"), b"").unwrap();
        std::fs::create_dir(root.join("other")).unwrap();
        assert_eq!(locate(root).unwrap().path(), root.join("a"));
        assert_eq!(locate(&root.join("a")).unwrap().path(), root.join("a"));
        let file = locate(&root.join("a/Manifest.plist"));
        assert!(matches!(file, Err(LocateError::File { .. })));
        // The shortest zip there can be, and one that is cut.
        let mut zip = b"PK\x05\x06".to_vec();
        zip.resize(22, 0);
        std::fs::write(root.join("a.zip"), &zip).unwrap();
        let found = locate(&root.join("a.zip")).unwrap();
        assert!(matches!(found, Located::Archive(..)));
        std::fs::write(root.join("a.zip"), &zip[..21]).unwrap();
        assert_eq!(locate(&root.join("a.zip")).unwrap_err().code(), "zip-damaged");
        std::fs::create_dir(root.join("b")).unwrap();
        std::fs::write(root.join("b/Manifest.db"), b"").unwrap();
        let Err(LocateError::Several { found, .. }) = locate(root) else { panic!() };
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].path, root.join("b"));
    }
}
