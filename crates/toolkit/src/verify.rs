//! What `bkp verify` proves.

mod against;
mod archive;
mod contents;
mod finding;
mod log;
mod meaning;
mod restorable;
mod state;
mod stored;
mod subset;
#[cfg(test)]
mod tests;
mod walk;

use std::num::NonZeroUsize;
use std::sync::Arc;

use bkp_archive::{Archive, ArchiveError};
use bkp_bundle::{BundleError, Catalog, Opened};
use bkp_core::{Identity, Monitor, RunError, RunOptions, Source as _};
use serde::Serialize;

pub use against::{RecordedCounts, RecordedFile, RecordedRun, RecordedSource, catalog_sha256};
pub use archive::ArchiveFacts;
pub use finding::{Finding, Grade};
pub use restorable::{NotChecked, Restorable, RestorableFacts, RestoreTarget};
pub use subset::{ParseSubsetError, Subset};

use crate::HashError;
use contents::{CheckedPayloads, Contents, Files, Plan, Tally, Verifier};
use log::Log;
use subset::Choice;
use walk::Rows;

/// How thoroughly a backup is verified.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Whether every file is decrypted, which needs an unlocked backup. Else stored bytes are
    /// compared with their digests, and files without one are only looked at.
    pub read_data: bool,
    /// Which files are read, and which are only looked at; all are read when absent.
    pub subset: Option<Subset>,
    /// Whether SQLite databases are looked into. Needs `read_data`.
    pub databases: bool,
    /// Worker threads; one for each core when absent.
    pub threads: Option<NonZeroUsize>,
    /// How many findings of each code and grade are kept for [`Verification::problems`]. The
    /// monitor is told of all, and all are counted.
    pub keep: usize,
    /// The record of an earlier run, to be compared with what is there now. Where it holds hashes
    /// of files, the backup must be unlocked, and those files are read once more.
    pub against: Option<Arc<RecordedRun>>,
    /// Whether the backup is also judged as a device would judge it before a restore.
    pub restorable: Option<Restorable>,
    /// The archive that the backup is in, of which every segment and every member is checked
    /// first.
    pub archive: Option<Archive>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            read_data: false,
            subset: None,
            databases: false,
            threads: None,
            keep: usize::MAX,
            against: None,
            restorable: None,
            archive: None,
        }
    }
}

/// Why a backup was not verified to the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The catalog is encrypted and was not unlocked.
    #[error("the catalog is encrypted, and digests are in it; a password is needed")]
    CatalogLocked,
    /// Files are to be decrypted, and the backup was not unlocked.
    #[error("files are encrypted; a password is needed to read them")]
    DataLocked,
    /// The bundle could not be listed.
    #[error("cannot list the bundle")]
    Bundle(#[source] BundleError),
    /// The archive could not be checked to its end.
    #[error("cannot check the archive")]
    Archive(#[source] ArchiveError),
    /// The workers ended early.
    #[error("cannot check the payloads")]
    Run(#[source] RunError<BundleError, Finding>),
    /// Files could not be compared with a record.
    #[error("cannot compare the files with the record")]
    Record(#[source] RunError<BundleError, HashError>),
    /// The monitor asked for an end.
    #[error("cancelled")]
    Cancelled,
}

/// What was proven, and what was found.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// 1.
    pub schema_version: u32,
    /// `verify`.
    pub kind: &'static str,
    /// `manifest.db` or `manifest.mbdb`.
    pub catalog: &'static str,
    /// Whether payloads are encrypted.
    pub encrypted: bool,
    /// Whether payloads were decrypted.
    pub read_data: bool,
    /// Rows that name an entry.
    pub entries: u64,
    /// Rows that do not.
    pub unreadable_rows: u64,
    /// Rows that name a regular file.
    pub files: u64,
    /// Files of which every byte was read, and compared with a digest or decrypted.
    pub files_checked: u64,
    /// Bytes read of those.
    pub bytes_checked: u64,
    /// Files whose digest was compared. Where it differed, a problem says so.
    pub digests_checked: u64,
    /// Files whose row has no digest: those of apps, of the camera roll and of media on every
    /// device. Nothing stored proves their bytes.
    pub without_digest: u64,
    /// Files that are in the bundle and were not read.
    pub not_read: u64,
    /// Stored files with the name of a payload.
    pub blobs: u64,
    /// What part was read, when it was not to be all.
    pub subset: Option<SubsetFacts>,
    /// Databases that were looked into, when they were to be.
    pub databases: Option<DatabaseCounts>,
    /// Problems that lost or changed something, or make a restore fail.
    pub damage: u64,
    /// Problems that did neither.
    pub warnings: u64,
    /// How many problems of each code there are, damage first.
    pub by_code: Vec<CodeCount>,
    /// The problems that were kept, in the order they were found.
    pub problems: Vec<Finding>,
    /// There is no damage.
    pub ok: bool,
    /// What a device would make of the backup, when it was to be judged so. Its problems are among
    /// the others.
    pub restorable: Option<RestorableFacts>,
    /// What the archive came to, where the backup is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveFacts>,
}

/// What part of a backup was read.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SubsetFacts {
    /// What was asked for.
    pub asked: String,
    /// Files chosen.
    pub files: u64,
    /// Their bytes, as the catalog says.
    pub bytes: u64,
    /// Files in all.
    pub of_files: u64,
    /// Bytes of all files, as the catalog says.
    pub of_bytes: u64,
}

/// How many databases were looked into.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct DatabaseCounts {
    /// Databases that SQLite was asked about.
    pub checked: u64,
    /// Databases that are too long for that.
    pub skipped: u64,
}

/// How many problems of one code and severity there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CodeCount {
    /// The code.
    pub code: &'static str,
    /// The severity.
    #[serde(rename = "severity")]
    pub grade: Grade,
    /// How many.
    pub count: u64,
    /// What it means, in one short sentence.
    pub meaning: &'static str,
}

/// Files shorter than this leave no worker idle for long, whenever they come.
const LONG: u64 = 8 << 20;

/// Checks a backup against itself: its property lists, its catalog row by row, and every payload
/// that it names, on every core. Nothing is written.
///
/// ```text
/// archive    where it is in one: every segment, every member's checksum
/// state      Status, keybag, Applications, the catalog as a database
/// walk       every row: names, fileIDs, kinds, inodes, parents, keys
/// stored     every stored file that no row names
/// contents   every payload: there, whole, right digest; with read_data its key and padding
/// restorable only where asked: what a device checks before and during a restore
/// ```
///
/// Digests are of stored bytes, so that no password is needed where the catalog can be read
/// without one. The monitor is told of every [`Finding`] as it comes.
///
/// # Errors
///
/// Fails when the catalog, or with [`read_data`](VerifyOptions::read_data) the backup, was not
/// unlocked, when the bundle cannot be listed, and when the monitor cancels. Damage is no error.
pub fn verify(
    opened: &Opened,
    options: &VerifyOptions,
    monitor: &dyn Monitor,
) -> Result<Verification, VerifyError> {
    let &VerifyOptions { read_data, subset, databases, threads, keep, .. } = options;
    let VerifyOptions { against, restorable, .. } = options;
    let bundle = opened.bundle();
    let catalog = opened.catalog().ok_or(VerifyError::CatalogLocked)?;
    let payloads = match opened {
        Opened::Unlocked(backup) => backup.payloads().clone(),
        Opened::Locked(_) if read_data => return Err(VerifyError::DataLocked),
        Opened::Locked(backup) => {
            // Without the password, neither digests nor names of kinds can be read.
            if let Catalog::Db(db) = catalog
                && db.has_encrypted_cells().map_err(|e| VerifyError::Bundle(e.into()))?
            {
                return Err(VerifyError::CatalogLocked);
            }
            backup.payloads()
        }
    };
    let encrypted = bundle.is_encrypted();
    let log = Log::new(monitor, keep);
    let archive = match &options.archive {
        Some(archive) => Some(archive::check(archive, threads, &log)?),
        None => None,
    };
    state::before(bundle, opened, catalog, &log);
    if let Some(asked) = restorable {
        restorable::before(asked, bundle, opened, catalog, &log);
    }
    let mut rows = walk::walk(catalog, &payloads, encrypted, restorable.is_some(), &log)?;
    state::after(bundle, &rows, &log);
    let judged =
        restorable.is_some().then(|| restorable::after(opened, catalog, &rows, read_data, &log));
    // Before the payloads are read, since the ids take memory that those need.
    let ids = std::mem::take(&mut rows.ids);
    let blobs = stored::check(&payloads, &ids, &log).map_err(VerifyError::Bundle)?;
    drop(ids);

    let choice = Choice::new(subset, rows.bytes);
    let plan = Plan {
        choice,
        read_data,
        databases: databases && read_data,
        encrypted,
        locked: std::mem::take(&mut rows.locked),
        keyless: std::mem::take(&mut rows.keyless),
        unmeasured: std::mem::take(&mut rows.unmeasured),
    };
    let tally = contents(catalog, &payloads, plan, &rows, threads, &log)?;
    let subset = subset.map(|subset| chosen(subset, choice, catalog, &rows));
    if let Some(recorded) = against {
        against::identity(bundle, rows.entries.saturating_add(rows.unreadable), recorded, &log);
        match opened {
            _ if recorded.files.is_empty() => {}
            Opened::Unlocked(backup) => against::files(backup, recorded, options, &log)?,
            Opened::Locked(_) => return Err(VerifyError::DataLocked),
        }
    }

    let Tally { files: files_checked, bytes, digests, looked, .. } = tally;
    let (problems, by_code) = log.finish();
    let restorable =
        judged.map(|unchecked| RestorableFacts::new(bundle, rows.bytes, &by_code, unchecked));
    let Rows { entries, unreadable, files, without_digest, .. } = rows;
    let count = |grade| {
        by_code
            .iter()
            .filter(|c| c.grade == grade)
            .fold(0, |sum: u64, c| sum.saturating_add(c.count))
    };
    let (damage, warnings) = (count(Grade::Damage), count(Grade::Warning));
    Ok(Verification {
        schema_version: 1,
        kind: "verify",
        catalog: catalog.format(),
        encrypted,
        read_data,
        entries,
        unreadable_rows: unreadable,
        files,
        files_checked,
        bytes_checked: bytes,
        digests_checked: digests,
        without_digest,
        not_read: looked,
        blobs,
        subset,
        databases: (databases && read_data).then_some(DatabaseCounts {
            checked: tally.databases,
            skipped: tally.databases_skipped,
        }),
        damage,
        warnings,
        by_code,
        problems,
        ok: damage == 0,
        restorable,
        archive,
    })
}

/// Sends every file through the pipeline.
fn contents(
    catalog: &Catalog,
    payloads: &bkp_bundle::BundlePayloads,
    plan: Plan,
    rows: &Rows,
    threads: Option<NonZeroUsize>,
    log: &Log<'_>,
) -> Result<Tally, VerifyError> {
    let source = Contents { catalog, payloads: CheckedPayloads(payloads.clone()) };
    let mut run = RunOptions::default();
    if let Some(threads) = threads {
        run.threads = threads;
    }
    let sink = Verifier::new(log, payloads.clone(), plan, run.threads);
    if rows.longest < LONG {
        run.longest_first = 0;
    }
    let watch = sink.watch();
    match bkp_core::run(&source, &Files, &Identity, sink, &run, &watch) {
        Ok(report) => Ok(report.summary),
        Err(RunError::Cancelled) => Err(VerifyError::Cancelled),
        Err(error) => Err(VerifyError::Run(error)),
    }
}

/// Adds up what a choice took.
fn chosen(subset: Subset, choice: Choice, catalog: &Catalog, rows: &Rows) -> SubsetFacts {
    let (mut files, mut bytes) = (0_u64, 0_u64);
    for record in catalog.records().filter_map(Result::ok) {
        let entry = record.as_ref();
        if entry.kind == bkp_core::EntryKind::File && choice.takes(&entry.id) {
            files += 1;
            bytes = bytes.saturating_add(entry.metadata.size_hint);
        }
    }
    let (of_files, of_bytes) = (rows.files, rows.bytes);
    SubsetFacts { asked: subset.to_string(), files, bytes, of_files, of_bytes }
}
