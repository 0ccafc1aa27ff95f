//! One file under way: hashed beside others, or decrypted alone.

use std::io::{self, Read as _};
use std::sync::PoisonError;

use bkp_bundle::{DatabaseError, PayloadError, check_database};
use bkp_core::{Entry, Job, Payload};
use bkp_kernels::{Sha1Piece, Sha1Stream};

use super::{Checked, ContentStager};
use crate::verify::finding::Finding;

/// How a SQLite database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// The longest database that is loaded into memory, in bytes.
const LONGEST_DATABASE: u64 = 1 << 30;
/// Of databases longer than this one is in memory at a time.
const LARGE_DATABASE: u64 = 16 << 20;

/// A payload of stored bytes that is being hashed.
pub(super) struct Lane {
    job: Job,
    hash: Sha1Stream,
    /// Where its bytes are read to, how many of the last step there are, and how many of those are
    /// hashed.
    buffer: Vec<u8>,
    filled: usize,
    hashed: usize,
    read: u64,
    database: bool,
    /// There is nothing more to read, or it cannot be read.
    last: bool,
    failed: Option<io::Error>,
}

impl Lane {
    pub(super) fn new(job: Job, buffer: Vec<u8>) -> Self {
        let (hash, database) = (Sha1Stream::new(), false);
        let (filled, hashed, read) = (0, 0, 0);
        Self { job, hash, buffer, filled, hashed, read, database, last: false, failed: None }
    }

    /// Fills the buffer, or reads to the end, if all that was read is hashed.
    pub(super) fn fill(&mut self) {
        if self.hashed < self.filled {
            return;
        }
        (self.filled, self.hashed) = (0, 0);
        let Some(payload) = &mut self.job.payload else {
            self.last = true;
            return;
        };
        while let Some(rest @ [_, ..]) = self.buffer.get_mut(self.filled..) {
            match payload.read(rest) {
                Ok(0) => {
                    self.last = true;
                    break;
                }
                Ok(n) => self.filled = self.filled.saturating_add(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    (self.failed, self.last) = (Some(error), true);
                    break;
                }
            }
        }
        let bytes = self.buffer.get(..self.filled).unwrap_or_default();
        self.database |= self.read == 0 && bytes.starts_with(MAGIC);
        self.read = self.read.saturating_add(u64::try_from(self.filled).unwrap_or(u64::MAX));
    }

    /// Returns what was read and is not hashed, to be hashed with what others read.
    pub(super) fn piece(&mut self) -> Sha1Piece<'_> {
        let bytes = self.buffer.get(self.hashed..self.filled).unwrap_or_default();
        Sha1Piece { stream: &mut self.hash, bytes, last: self.last }
    }

    /// Takes note of how many of the bytes that were read are not hashed yet.
    pub(super) fn left(&mut self, bytes: usize) {
        self.hashed = self.filled.saturating_sub(bytes);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.last && self.hashed >= self.filled
    }

    /// Says what became of the payload, and gives the buffer back.
    pub(super) fn end(self, stager: &ContentStager) -> (Job, Result<Checked, Finding>, Vec<u8>) {
        let Self { job, hash, buffer, read, database, failed, .. } = self;
        if let Some(source) = failed {
            let finding = unreadable(&job.entry, source);
            return (job, Err(finding), buffer);
        }
        let (entry, id) = (&job.entry, job.entry.id);
        let hashed = entry.digest.is_some();
        let mut checked = Checked { read: Some(read), hashed, ..Checked::default() };
        if let Some(recorded) = entry.digest {
            let found = hash.finish();
            let wrong = found != recorded;
            if wrong {
                checked.findings.push(Finding::of(&PayloadError::Digest { id, found, recorded }));
            }
            if let Some(mut length) = stager.length(entry, read, &|| database) {
                // Changed and too short: the end is gone.
                let short = read < entry.metadata.size_hint;
                if wrong && short && !database && length.code == "size-mismatch" {
                    length = Finding::damage("truncated-blob", length.message);
                }
                checked.findings.push(length);
            }
        }
        (job, Ok(checked), buffer)
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
    /// Reads a payload that is decrypted, and hashes on its own.
    pub(super) fn read(&self, job: &mut Job, buffer: &mut [u8]) -> Result<Checked, Finding> {
        let hashed = job.entry.digest.is_some();
        let mut checked = Checked { hashed, ..Checked::default() };
        let Job { entry, payload: Some(payload), .. } = job else { return Ok(checked) };
        let mut read = 0_u64;
        loop {
            let n = match payload.read(buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(unreadable(entry, source)),
            };
            let bytes = buffer.get(..n).unwrap_or_default();
            let first = read == 0;
            read = read.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            if self.plan.databases && first && bytes.starts_with(MAGIC) {
                let mut rest = Rest { payload: &mut **payload, read: 0 };
                let result = self.database(entry, bytes, &mut rest, &mut checked);
                read = read.saturating_add(rest.read);
                if let Err(source) = result {
                    return Err(unreadable(entry, source));
                }
            }
        }
        checked.read = Some(read);
        Ok(checked)
    }

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
