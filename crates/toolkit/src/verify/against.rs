//! A backup against the record of an earlier run.

use std::collections::HashMap;
use std::io;

use bkp_bundle::{Backup, Bundle, Unlocked};
use bkp_core::{Entry, FileId, Hex, Monitor, Problem, RunError, Select, Stage, Verdict};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::finding::Finding;
use super::log::Log;
use super::{VerifyError, VerifyOptions};
use crate::{ContentHash, hash_files};

/// What a run record says that can be found out again. Its other fields are passed over.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct RecordedRun {
    /// Which backup was read.
    pub source: RecordedSource,
    /// How many entries there were.
    pub counts: RecordedCounts,
    /// What files held, of runs that were asked to say so.
    #[serde(default)]
    pub files: Vec<RecordedFile>,
}

/// Which backup was read.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct RecordedSource {
    /// The device it is of.
    #[serde(default)]
    pub udid: Option<String>,
    /// SHA-256 of the catalog as stored, in hexadecimal.
    #[serde(default)]
    pub manifest_sha256: Option<String>,
}

/// How many entries there were.
#[derive(Clone, Copy, Debug, Deserialize)]
#[non_exhaustive]
pub struct RecordedCounts {
    /// Rows in the catalog.
    pub listed: u64,
}

/// What a file held.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct RecordedFile {
    /// The fileID, forty hexadecimal digits.
    pub file_id: String,
    /// SHA-256 of its plaintext, in hexadecimal.
    pub sha256: String,
}

/// Returns the SHA-256 of the catalog as it is stored, in hexadecimal: it tells one state of a
/// backup from another.
///
/// # Errors
///
/// Fails when the catalog cannot be read.
pub fn catalog_sha256(bundle: &Bundle) -> io::Result<String> {
    let mut stored = bundle.stored_catalog().map_err(io::Error::other)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        match stored.read(&mut chunk) {
            Ok(0) => return Ok(Hex(&hash.finalize()).to_string()),
            Ok(n) => hash.update(chunk.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn mismatch(message: String) -> Finding {
    Finding::damage("record-mismatch", message)
}

fn incomplete(message: String) -> Finding {
    Finding::warning("record-incomplete", message)
}

/// Compares what needs no file.
pub(super) fn identity(bundle: &Bundle, listed: u64, recorded: &RecordedRun, log: &Log<'_>) {
    let lockdown = bundle.manifest().lockdown.unique_device_id.clone();
    let udid = lockdown.or_else(|| bundle.info().and_then(|i| i.target_identifier.clone()));
    if recorded.source.udid.is_some() && recorded.source.udid != udid {
        log.add(mismatch("the record is of another device".into()));
    }
    let then = recorded.counts.listed;
    if then != listed {
        log.add(mismatch(format!("the catalog has {listed} rows, and had {then}")));
    }
    match (&recorded.source.manifest_sha256, catalog_sha256(bundle)) {
        (Some(then), Ok(now)) if !then.eq_ignore_ascii_case(&now) => {
            log.add(mismatch(format!("the catalog has SHA-256 {now}, and had {then}")));
        }
        (Some(_), Ok(_)) => {}
        (None, _) => log.add(incomplete("it does not say what the catalog was".into())),
        (_, Err(error)) => log.add(incomplete(format!("the catalog cannot be hashed: {error}"))),
    }
}

/// The files that a record tells of.
struct Recorded<'r>(&'r HashMap<FileId, ContentHash>);

impl Select for Recorded<'_> {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        if self.0.contains_key(&entry.id) { Verdict::Keep(None) } else { Verdict::Drop(None) }
    }
}

/// Listens for the end alone: what is wrong with rows and payloads has been told.
struct Quiet<'m, 'l>(&'m Log<'l>);

impl Monitor for Quiet<'_, '_> {
    fn advanced(&self, _: Stage, _: &Entry, _: u64) {}
    fn problem(&self, _: Problem<'_>) {}
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// Compares what every recorded file holds.
pub(super) fn files(
    backup: &Backup<Unlocked>,
    recorded: &RecordedRun,
    options: &VerifyOptions,
    log: &Log<'_>,
) -> Result<(), VerifyError> {
    let mut then = HashMap::with_capacity(recorded.files.len());
    for RecordedFile { file_id, sha256 } in &recorded.files {
        match (file_id.parse::<FileId>(), unhex(sha256)) {
            (Ok(id), Some(hash)) => drop(then.insert(id, hash)),
            _ => log.add(incomplete(format!("{file_id:?}, {sha256:?} is no hash of a file"))),
        }
    }
    let mut seen = 0;
    let compare = &mut |entry: &Entry, now: Option<&ContentHash>| {
        if let (Some(then), Some(now)) = (then.get(&entry.id), now) {
            seen += 1;
            if then != now {
                let message = format!("the file has SHA-256 {}, and had {}", Hex(now), Hex(then));
                log.add(mismatch(message).at(entry));
            }
        }
        Ok(())
    };
    match hash_files(backup, &Recorded(&then), options.threads, compare, &Quiet(log)) {
        Ok(_) => {}
        Err(RunError::Cancelled) => return Err(VerifyError::Cancelled),
        Err(error) => return Err(VerifyError::Record(error)),
    }
    if let Some(lost) = then.len().checked_sub(seen).filter(|&lost| lost > 0) {
        log.add(mismatch(format!("{lost} files of the record are not there or cannot be read")));
    }
    Ok(())
}

fn unhex(text: &str) -> Option<ContentHash> {
    let mut hash = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    for (byte, &[high, low]) in hash.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(hash)
}
