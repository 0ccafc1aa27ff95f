//! Finding the backup that a path means.

use std::io;
use std::path::{Path, PathBuf};

use bkp_bundle::{Bundle, Limits, Storage};

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

/// A backup among several, as far as it can be told without a password.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its folder.
    pub path: PathBuf,
    /// The device's name for itself.
    pub device_name: Option<String>,
    /// The system version it ran.
    pub product_version: Option<String>,
    /// When the backup was made, in seconds since the Unix epoch.
    pub date: Option<i64>,
    /// Whether it is encrypted.
    pub encrypted: Option<bool>,
}

impl Found {
    fn describe(path: PathBuf) -> Self {
        let bundle = Storage::directory(&path)
            .ok()
            .and_then(|storage| Bundle::open(storage, Limits::default()).ok());
        let manifest = bundle.as_ref().map(Bundle::manifest);
        Self {
            device_name: manifest.and_then(|m| m.lockdown.device_name.clone()),
            product_version: manifest.and_then(|m| m.lockdown.product_version.clone()),
            date: manifest.and_then(|m| m.date),
            encrypted: bundle.as_ref().map(Bundle::is_encrypted),
            path,
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
    let mut within = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let candidate = entry.map_err(fail)?.path();
        // What cannot be looked into is passed over, as the folder may hold anything.
        if candidate.is_dir() && is_bundle(&candidate).unwrap_or(false) {
            within.push(candidate);
        }
    }
    within.sort_unstable();
    match within.as_slice() {
        [] => Err(LocateError::NotABackup { path: path.into() }),
        [only] => Ok(only.clone()),
        _ => Err(LocateError::Several {
            path: path.into(),
            found: within.into_iter().map(Found::describe).collect(),
        }),
    }
}

/// A folder with a manifest of any age is a backup, whatever else may be missing from it.
fn is_bundle(path: &Path) -> io::Result<bool> {
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
