//! The backups that a computer has.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::locate::{LocateError, bundles_in, is_bundle};
use crate::{Found, found::FolderName};

/// Returns the folders in which this system's software keeps backups, whether or not they are
/// there. None where no such software exists.
///
/// macOS: `~/Library/Application Support/MobileSync/Backup`. Windows:
/// `%APPDATA%\Apple Computer\MobileSync\Backup` and `%USERPROFILE%\Apple\MobileSync\Backup`, the
/// latter of the apps from the store. Source: FORMAT.md section 1.
#[must_use]
pub fn known_roots() -> Vec<PathBuf> {
    roots_of(std::env::consts::OS, |name| std::env::var_os(name))
}

fn roots_of(system: &str, variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let known: &[(&str, &[&str])] = match system {
        "macos" => &[("HOME", &["Library", "Application Support", "MobileSync", "Backup"])],
        "windows" => &[
            ("APPDATA", &["Apple Computer", "MobileSync", "Backup"]),
            ("USERPROFILE", &["Apple", "MobileSync", "Backup"]),
        ],
        _ => &[],
    };
    let root = |&(name, below): &(&str, &[&str])| {
        let mut path = PathBuf::from(variable(name).filter(|value| !value.is_empty())?);
        path.extend(below);
        Some(path)
    };
    known.iter().filter_map(root).collect()
}

/// Lists the backups of some folders, each by path: those that a folder is or holds, with copies
/// that were set aside.
///
/// A folder that is named like a backup and is none, or cannot be read, is listed with the reason.
/// Archives are listed too: a zip with what it holds, a sealed one as such, since that is all it
/// tells without its key.
/// A backup that is reached twice is listed once. Needs no password and reads no catalog.
///
/// # Errors
///
/// Fails when one of the folders themselves is not there, is no folder or cannot be read.
pub fn list_backups(roots: &[PathBuf]) -> Result<Vec<Found>, LocateError> {
    let mut listed = HashSet::new();
    let mut backups = Vec::new();
    for root in roots {
        let fail = |source| LocateError::Io { path: root.clone(), source };
        if !std::fs::metadata(root).map_err(fail)?.is_dir() {
            let Some(found) = Found::archive(root, true) else {
                return Err(LocateError::File { path: root.clone() });
            };
            if listed.insert(root.canonicalize().unwrap_or_else(|_| root.clone())) {
                backups.push(found);
            }
            continue;
        }
        let paths = if is_bundle(root).map_err(fail)? {
            vec![root.clone()]
        } else {
            let named = |path: &Path| match std::fs::metadata(path) {
                Ok(metadata) if metadata.is_file() => is_named_archive(path),
                _ => FolderName::of(path).is_some(),
            };
            bundles_in(root, named).map_err(fail)?
        };
        for path in paths {
            if path.is_file() {
                let new = listed.insert(path.canonicalize().unwrap_or_else(|_| path.clone()));
                backups.extend(Found::archive(&path, false).filter(|_| new));
            } else if listed.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                backups.push(Found::describe(path));
            }
        }
    }
    Ok(backups)
}

/// Returns true for a file that is called like an archive. Only those are looked into.
fn is_named_archive(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    extension.eq_ignore_ascii_case("zip") || extension.eq_ignore_ascii_case("bkpz")
}

/// What the files below a folder come to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TreeSize {
    /// Files of every sort but folders.
    pub files: u64,
    /// Their lengths together, in bytes.
    pub bytes: u64,
}

/// Adds up the files below a folder, or takes the size of a file. Links are not followed.
///
/// `cancelled` is asked often; once it says yes, the answer is nothing.
///
/// # Errors
///
/// Fails on the first folder or file that cannot be looked at: half a sum is no answer.
pub fn tree_size(
    folder: &Path,
    cancelled: &dyn Fn() -> bool,
) -> Result<Option<TreeSize>, LocateError> {
    let mut size = TreeSize::default();
    let fail = |source| LocateError::Io { path: folder.into(), source };
    let own = std::fs::metadata(folder).map_err(fail)?;
    if own.is_file() {
        return Ok(Some(TreeSize { files: 1, bytes: own.len() }));
    }
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let fail = |path: &Path, source: io::Error| LocateError::Io { path: path.into(), source };
        for entry in std::fs::read_dir(&folder).map_err(|error| fail(&folder, error))? {
            if cancelled() {
                return Ok(None);
            }
            let entry = entry.map_err(|error| fail(&folder, error))?;
            let metadata = entry.metadata().map_err(|error| fail(&entry.path(), error))?;
            if metadata.is_dir() {
                open.push(entry.path());
            } else {
                size.files = size.files.saturating_add(1);
                size.bytes = size.bytes.saturating_add(metadata.len());
            }
        }
    }
    Ok(Some(size))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use bkp_testkit::cases;

    use super::{list_backups, roots_of, tree_size};
    use crate::LocateError;

    const UDID: &str = "00008110-000A1B2C3D4E5F60";

    #[test]
    fn the_roots_of_each_system() {
        let all = |name: &str| Some(OsString::from(format!("/{name}")));
        assert_eq!(
            roots_of("macos", all),
            [PathBuf::from("/HOME/Library/Application Support/MobileSync/Backup")]
        );
        assert_eq!(
            roots_of("windows", all),
            [
                PathBuf::from("/APPDATA/Apple Computer/MobileSync/Backup"),
                PathBuf::from("/USERPROFILE/Apple/MobileSync/Backup"),
            ]
        );
        assert!(roots_of("linux", all).is_empty());
        assert!(roots_of("macos", |_| None).is_empty());
        assert!(roots_of("windows", |_| Some(OsString::new())).is_empty());
    }

    #[test]
    fn backups_broken_ones_and_copies_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let at = |name: &str| root.join(name);
        cases::plain_db().write(&at(UDID)).unwrap();
        cases::encrypted_mbdb().write(&at(&format!("{UDID}-20240501-120000"))).unwrap();
        cases::plain_db().write(&at("renamed")).unwrap();
        std::fs::create_dir(at("0123456789abcdef0123456789abcdef01234567")).unwrap();
        std::fs::create_dir(at("something else")).unwrap();
        std::fs::write(at("00008110-000A1B2C3D4E5F61"), b"a file").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/no/such/disk", at("00008110-000A1B2C3D4E5F62")).unwrap();
        let found = list_backups(&[root.to_owned(), at("renamed")]).unwrap();
        let seen: Vec<_> = found
            .iter()
            .map(|found| {
                let name = found.path.file_name().unwrap().to_str().unwrap();
                (name, found.encrypted, found.problem.as_ref().map(|problem| &*problem.code))
            })
            .collect();
        let archived = format!("{UDID}-20240501-120000");
        let mut expected = vec![
            (UDID, Some(false), None),
            (&*archived, Some(true), None),
            ("00008110-000A1B2C3D4E5F62", None, Some("cannot-read")),
            ("0123456789abcdef0123456789abcdef01234567", None, Some("not-a-backup")),
            ("renamed", Some(false), None),
        ];
        if cfg!(not(unix)) {
            expected.remove(2);
        }
        assert_eq!(seen, expected);
        // A root may be a backup itself, and holds none then.
        assert_eq!(list_backups(&[at("renamed")]).unwrap().len(), 1);
        assert!(list_backups(&[at("something else")]).unwrap().is_empty());
        assert!(matches!(list_backups(&[at("none")]), Err(LocateError::Io { .. })));
        let file = at("00008110-000A1B2C3D4E5F61");
        assert!(matches!(list_backups(&[file]), Err(LocateError::File { .. })));
    }

    #[test]
    fn sizes_are_sums_of_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("x"), [0; 100]).unwrap();
        std::fs::write(root.join("a/b/y"), [0; 23]).unwrap();
        let size = tree_size(root, &|| false).unwrap().unwrap();
        assert_eq!((size.files, size.bytes), (2, 123));
        assert_eq!(tree_size(root, &|| true).unwrap(), None);
        assert!(tree_size(&root.join("none"), &|| false).is_err());
    }
}
