//! `OUT.bkp-run.json`: what a run did, beside what it wrote.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bkp_core::{Entry, Fault as _, FileId, Hex, Problem, Severity};
use rustix::fs::{AtFlags, Mode, OFlags, open, openat, renameat, unlinkat};
use serde::{Deserialize, Serialize, Serializer};

use crate::RestoreError;
use crate::beneath::NEW;
use crate::names::exact;

/// What a run did: enough to do it again, and every entry that did not come through as it was.
///
/// The caller gives times, arguments and source; arguments must hold no secret.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunRecord {
    /// Always 1. Fields are only ever added to a version.
    pub schema_version: u32,
    /// The version of the program.
    pub tool_version: String,
    /// The command, such as `extract`.
    pub command: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// When it began, in RFC 3339; absent where the record is part of what follows from the
    /// source alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub started: String,
    /// When it ended, in RFC 3339; absent as `started` is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub finished: String,
    /// What was read.
    pub source: RunSource,
    /// What was written, where that is a backup itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<RunOutput>,
    /// Which device the output is for, where it was made for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging: Option<RunStaging>,
    /// How many entries went which way.
    pub counts: RunCounts,
    /// Everything that was damaged, lost or odd. Nothing is cut short.
    pub items: Vec<RunItem>,
    /// Everything that the selection left out.
    pub left_out: Vec<RunLeftOut>,
    /// What every file held, when that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<RunFile>,
    /// The archive that was written, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<RunArchive>,
}

/// An archive that a run wrote.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RunArchive {
    /// `zip` or `sealed`.
    pub form: String,
    /// Its bytes; absent in the record that is in the archive itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of them, in hexadecimal; absent in the record that is in the archive itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How many files are in it, this record not counted.
    pub files: u64,
    /// The bytes that those have.
    pub file_bytes: u64,
    /// The files, in the order of the archive; absent beside a sealed archive, which tells nobody
    /// what is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<RunMember>>,
}

/// A file in an archive.
#[derive(Clone, Debug, Serialize)]
pub struct RunMember {
    /// Its name in the bundle.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 of them.
    #[serde(serialize_with = "digits")]
    pub sha256: [u8; 32],
}

/// What a file held. Small, since there may be a million of them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RunFile {
    /// The entry's fileID, by which the source's catalog names it.
    #[serde(serialize_with = "hex")]
    pub file_id: FileId,
    /// SHA-256 of its plaintext.
    #[serde(serialize_with = "digits")]
    pub sha256: [u8; 32],
}

fn digits<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Hex(hash))
}

/// An entry that a selection left out. Small, since there may be a million of them.
#[derive(Clone, Debug, Serialize)]
pub struct RunLeftOut {
    /// The entry's fileID, by which the source's catalog names it.
    #[serde(serialize_with = "hex")]
    pub file_id: FileId,
    /// The rule that said so; absent when the default did.
    pub rule: Option<Arc<str>>,
    /// The requirement that the rule follows, such as `001-24`, where it follows one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirement: Option<Arc<str>>,
    /// What it was called, where the rule is one of management.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<RunName>>,
}

/// The name of an entry that is no longer there to be looked up.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunName {
    /// The domain, with what is not UTF-8 replaced.
    pub domain: String,
    /// The exact domain in base64, when it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_b64: Option<String>,
    /// The path, with what is not UTF-8 replaced.
    pub relative_path: String,
    /// The exact path in base64, when it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_path_b64: Option<String>,
}

impl RunName {
    /// Spells a name for a record.
    #[must_use]
    pub fn new(domain: &[u8], path: &[u8]) -> Self {
        let lossy = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        Self {
            domain: lossy(domain),
            domain_b64: exact(domain),
            relative_path: lossy(path),
            relative_path_b64: exact(path),
        }
    }
}

/// Which device a bundle was made for, so that it is not restored to yet another one.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RunStaging {
    /// The serial number of the device that it is for.
    pub target_serial: String,
    /// The UDID of that device, where it was given.
    #[serde(default)]
    pub target_udid: Option<String>,
    /// The serial number of the device that the backup came from.
    #[serde(default)]
    pub source_serial: Option<String>,
    /// `same` or `different`.
    #[serde(default)]
    pub device: Option<String>,
    /// Why it was made, in the words of whoever made it.
    #[serde(default)]
    pub reason: Option<String>,
}

fn hex<S: Serializer>(id: &FileId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// What a run read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RunSource {
    /// Where it is, as the caller named it.
    pub path: String,
    /// What it is: `directory`, `zip`, `sealed`.
    pub kind: String,
    /// The device it is of.
    pub udid: Option<String>,
    /// SHA-256 of its manifest as stored, in hexadecimal.
    pub manifest_sha256: Option<String>,
}

/// A backup that a run wrote.
#[derive(Clone, Debug, Serialize)]
pub struct RunOutput {
    /// SHA-256 of its manifest as stored, in hexadecimal.
    pub manifest_sha256: String,
}

/// The counts of a [`Report`](bkp_core::Report).
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct RunCounts {
    /// Rows in the catalog.
    pub listed: u64,
    /// Entries in the destination.
    pub done: u64,
    /// Entries that the selection left out.
    pub skipped: u64,
    /// Entries that could not be read or written.
    pub failed: u64,
    /// Entries in the destination of which some bytes could not be recovered.
    pub damaged: u64,
    /// Oddities that lost nothing.
    pub notices: u64,
}

impl<S> From<&bkp_core::Report<S>> for RunCounts {
    fn from(report: &bkp_core::Report<S>) -> Self {
        let bkp_core::Report { summary: _, listed, done, skipped, failed, damaged, notices } =
            *report;
        Self { listed, done, skipped, failed, damaged, notices }
    }
}

/// One entry that did not come through as it was.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunItem {
    /// The stable code, such as `missing-blob`.
    pub code: String,
    /// `notice`, `damage` or `failure`.
    pub severity: &'static str,
    /// The domain, with what is not UTF-8 replaced; absent when it is not known.
    pub domain: Option<String>,
    /// The exact domain in base64, when it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_b64: Option<String>,
    /// The path, with what is not UTF-8 replaced; absent when it is not known.
    pub relative_path: Option<String>,
    /// The exact path in base64, when it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_path_b64: Option<String>,
    /// What happened, with every cause.
    pub message: String,
}

impl RunItem {
    /// Describes a problem of a run.
    #[must_use]
    pub fn of_problem(problem: &Problem<'_>) -> Self {
        let Problem { entry, fault } = problem;
        let mut message = fault.to_string();
        let mut cause = fault.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        let name = entry
            .map(|entry| (entry.domain.as_bytes(), entry.path.as_bytes()))
            .or_else(|| fault.place().map(|place| (place.domain, place.path)));
        Self::named(fault.code(), fault.severity(), name, message)
    }

    /// Describes an entry in the caller's own words: left out by a rule, renamed.
    #[must_use]
    pub fn of_entry(code: &str, severity: Severity, entry: &Entry, message: String) -> Self {
        let name = Some((entry.domain.as_bytes(), entry.path.as_bytes()));
        Self::named(code, severity, name, message)
    }

    fn named(
        code: &str,
        severity: Severity,
        name: Option<(&[u8], &[u8])>,
        message: String,
    ) -> Self {
        let lossy = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        Self {
            code: code.to_owned(),
            severity: match severity {
                Severity::Notice => "notice",
                Severity::Damage => "damage",
                Severity::Failure => "failure",
            },
            domain: name.map(|(domain, _)| lossy(domain)),
            domain_b64: name.and_then(|(domain, _)| exact(domain)),
            relative_path: name.map(|(_, path)| lossy(path)),
            relative_path_b64: name.and_then(|(_, path)| exact(path)),
            message,
        }
    }
}

impl crate::Late {
    /// Describes this for a run's record.
    #[must_use]
    pub fn item(&self) -> RunItem {
        let name = Some((self.domain.as_bytes(), self.path.as_bytes()));
        let mut message = self.error.to_string();
        if let Some(cause) = std::error::Error::source(&self.error) {
            message.push_str(": ");
            message.push_str(&cause.to_string());
        }
        RunItem::named(self.error.code(), self.error.severity(), name, message)
    }
}

impl RunRecord {
    /// Starts a record with nothing counted.
    #[must_use]
    pub fn new(tool_version: &str, command: &str, arguments: Vec<String>) -> Self {
        Self {
            schema_version: 1,
            tool_version: tool_version.to_owned(),
            command: command.to_owned(),
            arguments,
            started: String::new(),
            finished: String::new(),
            source: RunSource::default(),
            output: None,
            staging: None,
            counts: RunCounts::default(),
            items: Vec::new(),
            left_out: Vec::new(),
            files: Vec::new(),
            archive: None,
        }
    }

    /// Returns the record as it is written.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be put into JSON, which no field of it prevents.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RestoreError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| {
            RestoreError::system("write", Path::new("bkp-run.json"), std::io::Error::from(error))
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Writes the record beside `out`, as `OUT.bkp-run.json`, and returns where it is. A record
    /// that was there is replaced.
    ///
    /// It is written under another name, synced, renamed and its folder synced: after a crash
    /// there is the old record or the new one, and perhaps a file ending in `.tmp`.
    ///
    /// # Errors
    ///
    /// Fails when `out` has no name, and when the file cannot be written.
    pub fn write_beside(&self, out: &Path) -> Result<PathBuf, RestoreError> {
        // Beside what a link leads to. A run that failed has left no output, and has a record.
        let real = std::fs::canonicalize(out).unwrap_or_else(|_| out.to_owned());
        let (Some(name), Some(above)) = (real.file_name(), real.parent()) else {
            return Err(RestoreError::DestinationIsMountPoint { path: out.to_owned() });
        };
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let mut name = name.to_owned();
        name.push(".bkp-run.json");
        let path = above.join(&name);
        let mut temporary = OsString::from(".");
        temporary.push(&name);
        temporary.push(format!(".{}.tmp", std::process::id()));

        let on = |action| RestoreError::on(action, &path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = open(above, flags, Mode::empty()).map_err(on("open"))?;
        // One that is there was left by a process of this number that is no more.
        let _ = unlinkat(&dir, &*temporary, AtFlags::empty());
        let file = openat(&dir, &*temporary, NEW, Mode::RUSR | Mode::WUSR).map_err(on("create"))?;
        self.write_to(file)
            .map_err(|error| RestoreError::system("write", &path, error))
            .and_then(|()| renameat(&dir, &*temporary, &dir, &*name).map_err(on("rename")))
            .inspect_err(|_| {
                let _ = unlinkat(&dir, &*temporary, AtFlags::empty());
            })?;
        rustix::fs::fsync(&dir).map_err(on("sync"))?;
        Ok(path)
    }

    fn write_to(&self, file: OwnedFd) -> std::io::Result<()> {
        let mut out = BufWriter::with_capacity(64 << 10, File::from(file));
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")?;
        out.flush()?;
        out.get_ref().sync_all()
    }
}

#[cfg(test)]
mod tests;
