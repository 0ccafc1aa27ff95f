//! One file under way.

use std::io::{self, Read as _};
use std::sync::PoisonError;

use bkp_bundle::{DatabaseError, PayloadError, check_database};
use bkp_core::{Access, Entry, Job, Payload};
use sha1::{Digest as _, Sha1};

use super::{Checked, ContentStager, Plan};
use crate::verify::finding::Finding;

/// How a SQLite database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// The longest database that is loaded into memory, in bytes.
const LONGEST_DATABASE: u64 = 1 << 30;
/// Of databases longer than this one is in memory at a time.
const LARGE_DATABASE: u64 = 16 << 20;

/// A payload that is being read.
pub(super) struct Lane {
    job: Job,
    /// Of stored bytes. A payload that is decrypted hashes on its own.
    hash: Option<Sha1>,
    checked: Checked,
    read: u64,
    database: bool,
}

impl Lane {
    pub(super) fn new(job: Job, plan: &Plan) -> Self {
        let hash = (plan.access(&job.entry) == Access::Stored).then(Sha1::new);
        let hashed = job.entry.digest.is_some();
        let checked = Checked { hashed, ..Checked::default() };
        Self { job, hash, checked, read: 0, database: false }
    }

    pub(super) fn into_job(self) -> Job {
        self.job
    }

    /// Reads and hashes one piece; says what became of the payload once it has ended.
    pub(super) fn step(
        &mut self,
        stager: &ContentStager,
        buffer: &mut [u8],
    ) -> Option<Result<Checked, Finding>> {
        let Job { entry, payload: Some(payload), .. } = &mut self.job else {
            return Some(Ok(std::mem::take(&mut self.checked)));
        };
        let n = match payload.read(buffer) {
            Ok(0) => return Some(Ok(self.end(stager))),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return None,
            Err(source) => return Some(Err(unreadable(entry, source))),
        };
        let bytes = buffer.get(..n).unwrap_or_default();
        let first = self.read == 0;
        self.read = self.read.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        if first && bytes.starts_with(MAGIC) {
            self.database = true;
            if stager.plan.databases && self.hash.is_none() {
                let mut rest = Rest { payload: &mut **payload, read: 0 };
                let result = stager.database(entry, bytes, &mut rest, &mut self.checked);
                self.read = self.read.saturating_add(rest.read);
                if let Err(source) = result {
                    return Some(Err(unreadable(entry, source)));
                }
            }
        }
        None
    }

    fn end(&mut self, stager: &ContentStager) -> Checked {
        let mut checked = std::mem::take(&mut self.checked);
        checked.read = Some(self.read);
        let (Some(hash), Some(recorded)) = (self.hash.take(), self.job.entry.digest) else {
            return checked;
        };
        let (entry, id) = (&self.job.entry, self.job.entry.id);
        let found: [u8; 20] = hash.finalize().into();
        let wrong = found != recorded;
        if wrong {
            checked.findings.push(Finding::of(&PayloadError::Digest { id, found, recorded }));
        }
        let database = self.database;
        if let Some(mut length) = stager.length(entry, self.read, &|| database) {
            // Changed and too short: the end is gone.
            let short = self.read < entry.metadata.size_hint;
            if wrong && short && !database && length.code == "size-mismatch" {
                length = Finding::damage("truncated-blob", length.message);
            }
            checked.findings.push(length);
        }
        checked
    }
}

fn unreadable(entry: &Entry, source: io::Error) -> Finding {
    Finding::of(&PayloadError::Io { id: entry.id, source })
}

/// Counts what is read of a payload.
struct Rest<'p> {
    payload: &'p mut dyn Payload,
    read: u64,
}

impl io::Read for Rest<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.payload.read(buf)?;
        self.read = self.read.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        Ok(n)
    }
}

impl ContentStager {
    /// Checks a database of which the first bytes have been read. What the check leaves unread is
    /// read as of any payload.
    fn database(
        &self,
        entry: &Entry,
        start: &[u8],
        rest: &mut Rest<'_>,
        checked: &mut Checked,
    ) -> io::Result<()> {
        // Found and opened a moment ago.
        let len = self.payloads.stored_len(entry).ok().flatten().unwrap_or_default();
        checked.database = Some(len <= LONGEST_DATABASE);
        if len > LONGEST_DATABASE {
            let message = format!(
                "the database of {len} stored bytes was not checked; the limit is {LONGEST_DATABASE}"
            );
            checked.findings.push(Finding::warning("database-skipped", message));
            return Ok(());
        }
        let _alone = (len > LARGE_DATABASE)
            .then(|| self.large.lock().unwrap_or_else(PoisonError::into_inner));
        let damaged = |what| Finding::damage("database-damaged", what);
        match check_database(&mut start.chain(rest), len) {
            Ok(report) => {
                checked.findings.extend(report.problems.into_iter().map(damaged));
                let unchecked = |why| Finding::warning("database-unchecked", why);
                checked.findings.extend(report.unchecked.map(unchecked));
            }
            Err(DatabaseError::Read(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                checked
                    .findings
                    .push(damaged("it is shorter than the header of a database".into()));
            }
            Err(DatabaseError::Read(error)) => return Err(error),
            Err(DatabaseError::Header(error)) => checked.findings.push(damaged(error.to_string())),
            Err(error) => {
                let message = format!("the database was not checked: {error}");
                checked.findings.push(Finding::warning("database-unchecked", message));
            }
        }
        Ok(())
    }
}
