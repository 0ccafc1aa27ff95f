//! Finding the backup that a path means.

use std::io;
use std::path::{Path, PathBuf};

use crate::Found;

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
    /// The path is a file.
    #[error("{} is a file; a backup is a folder", path.display())]
    File {
        /// The path.
        path: PathBuf,
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
            Self::Several { .. } => "several-backups",
        }
    }
}

/// Finds the backup that a path means: the folder itself, or the only one directly in it.
///
/// # Errors
///
/// Fails when there is none, or more than one; those are then listed.
pub fn locate(path: &Path) -> Result<PathBuf, LocateError> {
    let fail = |source| LocateError::Io { path: path.into(), source };
    if !std::fs::metadata(path).map_err(fail)?.is_dir() {
        return Err(LocateError::File { path: path.into() });
    }
    if is_bundle(path).map_err(fail)? {
        return Ok(path.into());
    }
    let within = bundles_in(path, |_| false).map_err(fail)?;
    match within.as_slice() {
        [] => Err(LocateError::NotABackup { path: path.into() }),
        [only] => Ok(only.clone()),
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
            Ok(_) => false,
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
    use super::{LocateError, locate};

    #[test]
    fn the_folder_itself_or_the_only_one_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert!(matches!(locate(&root.join("none")), Err(LocateError::Io { .. })));
        assert!(matches!(locate(root), Err(LocateError::NotABackup { .. })));
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a/Manifest.plist"), b"").unwrap();
        std::fs::create_dir(root.join("other")).unwrap();
        assert_eq!(locate(root).unwrap(), root.join("a"));
        assert_eq!(locate(&root.join("a")).unwrap(), root.join("a"));
        let file = locate(&root.join("a/Manifest.plist"));
        assert!(matches!(file, Err(LocateError::File { .. })));
        std::fs::create_dir(root.join("b")).unwrap();
        std::fs::write(root.join("b/Manifest.db"), b"").unwrap();
        let Err(LocateError::Several { found, .. }) = locate(root) else { panic!() };
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].path, root.join("b"));
    }
}
