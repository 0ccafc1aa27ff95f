//! A backup among several, described without a password.

use std::path::{Path, PathBuf};

use bkp_archive::{ArchiveError, ArchiveLimits, MemberName, OpenedArchive, Plist};
use bkp_bundle::{Bundle, BundleError, Limits, Storage};
use bkp_core::Fault as _;
use jiff::civil::{Date, DateTime, Time};
use serde::{Serialize, Serializer};

use crate::inspect::{DeviceFacts, Warning, device, made};

/// A backup that was found, as far as it can be told without a password.
///
/// Only the property lists are read: the catalog and the payloads may be damaged all the same.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// Its folder, or the archive that it is in.
    pub path: PathBuf,
    /// The device that was backed up.
    pub device: DeviceFacts,
    /// When the backup was made, in seconds since the Unix epoch.
    pub date: Option<i64>,
    /// Whether it is encrypted; nothing when that cannot be told.
    pub encrypted: Option<bool>,
    /// Whether it was brought to its end.
    pub state: BackupState,
    /// When the host set this copy aside, by the name of the folder: `<UDID>-yyyyMMdd-HHmmss`, in
    /// the host's own time.
    pub archived: Option<DateTime>,
    /// What was odd and lost nothing.
    pub warnings: Vec<Warning>,
    /// Why the backup cannot be used as it is.
    pub problem: Option<Warning>,
}

/// Whether a backup was brought to its end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum BackupState {
    /// `Status.plist` says so, and nothing contradicts it.
    Finished,
    /// `Status.plist` says so, or there is a folder `Snapshot`.
    Unfinished,
    /// `Status.plist` does not say.
    #[default]
    Unknown,
}

impl BackupState {
    /// Returns the state's name: `finished`, `unfinished` or `unknown`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Unfinished => "unfinished",
            Self::Unknown => "unknown",
        }
    }

    fn of(bundle: &Bundle) -> Self {
        let said = bundle.status().and_then(|status| status.snapshot_state.as_deref());
        let contradicted = bundle.notices().iter().any(|n| n.code == "unfinished-backup");
        match said {
            _ if contradicted => Self::Unfinished,
            Some("finished") => Self::Finished,
            Some(_) => Self::Unfinished,
            None => Self::Unknown,
        }
    }
}

impl Serialize for BackupState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Found {
    /// Describes an archive by what it tells without a key. Nothing for a file that is none, and
    /// for a zip that holds no backup unless it was `asked` for.
    pub(crate) fn archive(path: &Path, asked: bool) -> Option<Self> {
        let opened = OpenedArchive::open(path, ArchiveLimits::default());
        let nothing = |problem, warnings| Self {
            path: path.to_owned(),
            device: DeviceFacts::default(),
            date: None,
            encrypted: None,
            state: BackupState::Unknown,
            archived: None,
            warnings,
            problem,
        };
        let warning = |code: &str, message: String| Warning { code: code.to_owned(), message };
        match opened {
            Err(ArchiveError::NotAnArchive) => None,
            Err(error) => {
                let problem = warning(error.code(), error.to_string());
                Some(nothing(Some(problem), Vec::new()))
            }
            Ok(OpenedArchive::Sealed(_)) => {
                let message = "a sealed archive, which tells nothing without its key";
                let mut found = nothing(None, vec![warning("sealed", message.to_owned())]);
                found.encrypted = Some(true);
                Some(found)
            }
            Ok(OpenedArchive::Plain(archive)) => {
                let manifest = MemberName::Plist(Plist::Manifest);
                let found = Self::of(path.to_owned(), Ok(archive.storage()));
                let holds = archive.members().iter().any(|member| member.name == manifest);
                (holds || asked).then_some(found)
            }
        }
    }

    /// Describes the backup in a folder. Never fails: what cannot be read is the problem.
    pub(crate) fn describe(path: PathBuf) -> Self {
        let storage = Storage::directory(&path);
        Self::of(path, storage)
    }

    fn of(path: PathBuf, storage: std::io::Result<Storage>) -> Self {
        let archived = FolderName::of(&path).and_then(|name| name.archived);
        let opened = storage
            .map_err(|source| BundleError::Io { name: "the folder".into(), source })
            .and_then(|storage| Bundle::open(storage, Limits::default()));
        match opened {
            Ok(bundle) => Self {
                device: device(&bundle),
                date: made(&bundle),
                encrypted: Some(bundle.is_encrypted()),
                state: BackupState::of(&bundle),
                archived,
                warnings: bundle.notices().iter().map(Warning::from).collect(),
                problem: without_keybag(&bundle).as_ref().map(Warning::from),
                path,
            },
            Err(error) => Self {
                path,
                device: DeviceFacts::default(),
                date: None,
                encrypted: None,
                state: BackupState::Unknown,
                archived,
                warnings: Vec::new(),
                problem: Some(Warning::from(&error)),
            },
        }
    }
}

/// An encrypted backup of which the keybag cannot be read is of no use to anybody.
fn without_keybag(bundle: &Bundle) -> Option<BundleError> {
    match bundle.keybag() {
        _ if !bundle.is_encrypted() => None,
        None => Some(BundleError::NoKeybag),
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(BundleError::Keybag(error.clone())),
    }
}

/// The name that hosts give the folder of a backup. Source: FORMAT.md section 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FolderName {
    /// When it was set aside.
    archived: Option<DateTime>,
}

impl FolderName {
    /// Reads the last component of a path: a UDID, and the time after it of a copy set aside.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        if is_udid(name) {
            return Some(Self { archived: None });
        }
        let mut parts = name.rsplitn(3, '-');
        let (time, date, udid) = (parts.next()?, parts.next()?, parts.next()?);
        let archived = archive_time(date, time).filter(|_| is_udid(udid))?;
        Some(Self { archived: Some(archived) })
    }
}

/// Forty hexadecimal digits, or eight, a dash and sixteen for devices since 2018.
fn is_udid(name: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    match name.split_once('-') {
        None => name.len() == 40 && hex(name),
        Some((chip, unique)) => chip.len() == 8 && unique.len() == 16 && hex(chip) && hex(unique),
    }
}

/// Reads `yyyyMMdd` and `HHmmss`.
fn archive_time(date: &str, time: &str) -> Option<DateTime> {
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(date, 8) || !digits(time, 6) {
        return None;
    }
    let part = |text: &str, at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
    let year = date.get(..4)?.parse().ok()?;
    let date = Date::new(year, part(date, 4)?, part(date, 6)?).ok()?;
    let time = Time::new(part(time, 0)?, part(time, 2)?, part(time, 4)?, 0).ok()?;
    Some(date.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bkp_testkit::cases;

    use super::{BackupState, FolderName, Found};

    #[test]
    fn names_of_folders() {
        let old = "0123456789abcdef0123456789abcdef01234567";
        let new = "00008110-000A1B2C3D4E5F60";
        for (name, archived) in [
            (old.to_owned(), Some(None)),
            (new.to_owned(), Some(None)),
            (format!("{old}-20240501-120000"), Some(Some("2024-05-01T12:00:00"))),
            (format!("{new}-20231231-235959"), Some(Some("2023-12-31T23:59:59"))),
            (format!("{new}-20231331-235959"), None),
            (format!("{new}-20231231-245959"), None),
            (format!("{new}-20231231"), None),
            (format!("{new}-+0231231-235959"), None),
            (format!("{new}-2023é31-235959"), None),
            (old[1..].to_owned(), None),
            (format!("{}g", &old[1..]), None),
            ("Photos".to_owned(), None),
        ] {
            let found = FolderName::of(&Path::new("/x").join(&name));
            let found = found.map(|name| name.archived.map(|time| time.to_string()));
            assert_eq!(found, archived.map(|a| a.map(str::to_owned)), "{name}");
        }
        assert_eq!(FolderName::of(Path::new("/")), None);
    }

    #[test]
    fn a_backup_is_described_and_a_broken_one_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("00008110-000A1B2C3D4E5F60-20240501-120000");
        let truth = cases::encrypted_db(100).write(&path).unwrap();
        let found = Found::describe(path.clone());
        assert_eq!(found.device.unique_device_id, Some(truth.udid));
        assert_eq!((found.encrypted, found.state), (Some(true), BackupState::Finished));
        assert!(found.problem.is_none() && found.archived.is_some() && found.date.is_some());
        std::fs::create_dir(path.join("Snapshot")).unwrap();
        assert_eq!(Found::describe(path.clone()).state, BackupState::Unfinished);
        std::fs::remove_dir(path.join("Snapshot")).unwrap();
        std::fs::remove_file(path.join("Status.plist")).unwrap();
        assert_eq!(Found::describe(path.clone()).state, BackupState::Unknown);
        std::fs::write(path.join("Manifest.plist"), b"bplist00").unwrap();
        let found = Found::describe(path.clone());
        assert_eq!((found.encrypted, found.date), (None, None));
        assert_eq!(found.problem.unwrap().code, "plist-damaged");
        std::fs::remove_file(path.join("Manifest.plist")).unwrap();
        assert_eq!(Found::describe(path).problem.unwrap().code, "not-a-backup");
    }

    #[test]
    fn a_keybag_that_cannot_be_read_is_a_problem() {
        let dir = tempfile::tempdir().unwrap();
        let spec = cases::encrypted_db(100).with(|spec| spec.keybag_bytes = Some(b"no".to_vec()));
        spec.write(dir.path()).unwrap();
        let found = Found::describe(dir.path().to_owned());
        assert_eq!(found.problem.unwrap().code, "key-material-damaged");
        assert_eq!(found.encrypted, Some(true));
    }
}
