//! The payloads: read, hashed and decrypted on every core.
//!
//! ```text
//! a file with a digest       stored bytes ─▶ SHA-1, of many at once     no key is needed
//! with read_data             stored bytes ─▶ SHA-1 ─▶ CBC ─▶ padding, length, database
//! any other                  its length alone
//! ```

mod lane;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use bkp_bundle::{BundleError, BundlePayloads, BundleRecord, Catalog, PayloadError};
use bkp_core::{
    Access, Entry, EntryKind, FileId, Jobs, Monitor, Payload, Payloads, Problem, Select, Sink,
    Source, Stage, Stager, Verdict,
};
use bkp_kernels::Sha1Kernel;

use super::finding::Finding;
use super::log::Log;
use super::subset::Choice;
use lane::Lane;

/// Bytes read at a time of a payload that is decrypted: what is hashed, and then decrypted in place,
/// is still in the cache.
const CHUNK: usize = 128 << 10;
/// Bytes read at a time of each of the files that are hashed together, all of which fit into the
/// cache of a core.
const PIECE: usize = 64 << 10;
/// Files open at once, by all workers together. Systems allow a process as few as 256.
const OPEN_FILES: usize = 192;

/// What is to be done with payloads.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) choice: Choice,
    pub(super) read_data: bool,
    pub(super) databases: bool,
    pub(super) encrypted: bool,
    /// Files whose key does not unwrap: their stored bytes can be hashed all the same. Sorted.
    pub(super) locked: Vec<FileId>,
    /// Files without a key in an encrypted backup. Sorted.
    pub(super) keyless: Vec<FileId>,
    /// Files of which nothing says how long they are. Sorted.
    pub(super) unmeasured: Vec<FileId>,
}

impl Plan {
    fn access(&self, entry: &Entry) -> Access {
        if !self.choice.takes(&entry.id) {
            Access::None
        } else if self.read_data && self.locked.binary_search(&entry.id).is_err() {
            Access::Plaintext
        } else if entry.digest.is_some() {
            Access::Stored
        } else {
            Access::None
        }
    }

    /// Returns true if the payload is stored as ciphertext.
    fn is_encrypted(&self, entry: &Entry) -> bool {
        self.encrypted && self.keyless.binary_search(&entry.id).is_err()
    }
}

/// The catalog without the rows' own bytes, and payloads that are hashed as they are decrypted.
pub(super) struct Contents<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) payloads: CheckedPayloads,
}

#[derive(Clone, Debug)]
pub(super) struct CheckedPayloads(pub(super) BundlePayloads);

impl Source for Contents<'_> {
    type Record = BundleRecord;
    type Error = BundleError;
    type Payloads = CheckedPayloads;

    /// Rows that cannot be read were told of by the walk.
    fn records(
        &self,
    ) -> Result<impl Iterator<Item = Result<BundleRecord, BundleError>>, BundleError> {
        let records = self.catalog.records();
        Ok(records.filter_map(Result::ok).map(|record| Ok(record.without_raw())))
    }

    fn payloads(&self) -> &CheckedPayloads {
        &self.payloads
    }
}

impl Payloads<BundleRecord> for CheckedPayloads {
    type Error = BundleError;

    fn open(&self, record: &BundleRecord) -> Result<Box<dyn Payload>, BundleError> {
        self.0.open_checked(record)
    }

    fn open_stored(&self, record: &BundleRecord) -> Result<Box<dyn Payload>, BundleError> {
        self.0.open_stored(record)
    }
}

/// Only files have payloads.
pub(super) struct Files;

impl Select for Files {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        if entry.kind == EntryKind::File { Verdict::Keep(None) } else { Verdict::Drop(None) }
    }
}

/// The half that the workers share.
#[derive(Debug)]
pub(super) struct ContentStager {
    payloads: BundlePayloads,
    plan: Plan,
    kernel: Sha1Kernel,
    /// Files that a worker hashes together.
    lanes: usize,
    /// Held while a large database is in memory, so that there is one of them at a time.
    large: Mutex<()>,
}

/// What became of one payload.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Bytes read; nothing when the payload was only looked at.
    read: Option<u64>,
    /// Its digest was taken and compared.
    hashed: bool,
    /// It is a database that was checked, or one that was passed over.
    database: Option<bool>,
    findings: Vec<Finding>,
}

impl Stager for ContentStager {
    type Staged = Checked;
    type Error = Finding;

    fn access(&self, entry: &Entry) -> Access {
        self.plan.access(entry)
    }

    /// Holds as many files as there are lanes, and takes the next one as each ends.
    fn stage(&self, jobs: &mut dyn Jobs<Checked, Finding>) {
        let mut chunk = vec![0; CHUNK];
        let mut lanes: Vec<Lane> = Vec::with_capacity(self.lanes);
        let mut buffers: Vec<Vec<u8>> = Vec::new();
        let mut left = Vec::with_capacity(self.lanes);
        loop {
            while lanes.len() < self.lanes {
                let job = if lanes.is_empty() { jobs.next() } else { jobs.try_next() };
                let Some(mut job) = job else { break };
                match self.plan.access(&job.entry) {
                    Access::None => {
                        let looked = self.look(&job.entry);
                        jobs.done(job, looked);
                    }
                    Access::Plaintext => {
                        let read = self.read(&mut job, &mut chunk);
                        jobs.done(job, read);
                    }
                    Access::Stored => {
                        let buffer = buffers.pop().unwrap_or_else(|| vec![0; PIECE]);
                        lanes.push(Lane::new(job, buffer));
                    }
                }
            }
            if lanes.is_empty() {
                return;
            }
            lanes.iter_mut().for_each(Lane::fill);
            let mut pieces: Vec<_> = lanes.iter_mut().map(Lane::piece).collect();
            // All of what is left only where too few files are left to keep the lanes busy.
            self.kernel.advance(&mut pieces);
            left.clear();
            left.extend(pieces.iter().map(|piece| piece.bytes.len()));
            lanes.iter_mut().zip(&left).for_each(|(lane, &left)| lane.left(left));
            for lane in lanes.extract_if(.., |lane| lane.has_ended()) {
                let (job, result, buffer) = lane.end(self);
                buffers.push(buffer);
                jobs.done(job, result);
            }
        }
    }
}

impl ContentStager {
    /// Looks at a payload that is not to be read.
    fn look(&self, entry: &Entry) -> Result<Checked, Finding> {
        let missing = || PayloadError::Missing { id: entry.id };
        let len = self
            .payloads
            .stored_len(entry)
            .and_then(|len| len.ok_or_else(missing))
            .map_err(|error| Finding::of(&error))?;
        let database = || self.payloads.is_stored_database(entry).unwrap_or(false);
        let findings = self.length(entry, len, &database).into_iter().collect();
        Ok(Checked { findings, ..Checked::default() })
    }

    /// Compares the stored length with what the catalog says. Source: FORMAT.md 2.6.
    fn length(&self, entry: &Entry, stored: u64, database: &dyn Fn() -> bool) -> Option<Finding> {
        const BLOCK: u64 = 16;
        let (id, recorded) = (entry.id, entry.metadata.size_hint);
        if self.plan.unmeasured.binary_search(&id).is_ok() {
            return None;
        }
        if !self.plan.is_encrypted(entry) {
            return (stored != recorded).then(|| {
                let database = database();
                let error = PayloadError::Size { id, found: stored, recorded, database };
                Finding::of(&error)
            });
        }
        let stray = stored % BLOCK;
        if let Some(stray) = usize::try_from(stray).ok().filter(|&stray| stray > 0) {
            return Some(Finding::of(&PayloadError::Truncated { id, stray }));
        }
        let padded = (recorded / BLOCK).saturating_add(1).saturating_mul(BLOCK);
        // As it is, for the writers that do not pad, and for empty files of newer systems.
        (stored != padded && stored != recorded).then(|| {
            let message = format!(
                "payload {id} is stored in {stored} bytes; the {recorded} bytes that the catalog \
                 says would take {padded}"
            );
            Finding::warning("size-mismatch", message)
        })
    }
}

/// Tells the log of those files alone that are read, so that progress is progress.
pub(super) struct Watch<'l> {
    log: &'l Log<'l>,
    stager: Arc<ContentStager>,
}

impl Monitor for Watch<'_> {
    fn advanced(&self, stage: Stage, entry: &Entry, bytes: u64) {
        if self.stager.access(entry) != Access::None {
            self.log.advanced(stage, entry, bytes);
        }
    }

    fn problem(&self, problem: Problem<'_>) {
        self.log.problem(problem);
    }

    fn cancelled(&self) -> bool {
        self.log.cancelled()
    }
}

/// Counts what the workers did and takes down what they found.
pub(super) struct Verifier<'l> {
    log: &'l Log<'l>,
    stager: Arc<ContentStager>,
    tally: Tally,
}

/// What was done with payloads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Files read to their end, and their bytes.
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Files whose digest was compared.
    pub(super) digests: u64,
    /// Files that are there and were not read.
    pub(super) looked: u64,
    pub(super) databases: u64,
    pub(super) databases_skipped: u64,
}

impl<'l> Verifier<'l> {
    pub(super) fn new(
        log: &'l Log<'l>,
        payloads: BundlePayloads,
        plan: Plan,
        threads: NonZeroUsize,
    ) -> Self {
        let kernel = Sha1Kernel::detect();
        // One for each lane. With more, those wait in turn, and the longest one ends later.
        let lanes = (OPEN_FILES / threads).clamp(1, kernel.lanes());
        let stager = ContentStager { payloads, plan, kernel, lanes, large: Mutex::new(()) };
        Self { log, stager: Arc::new(stager), tally: Tally::default() }
    }

    /// Returns what stands between the driver and the log.
    pub(super) fn watch(&self) -> Watch<'l> {
        Watch { log: self.log, stager: Arc::clone(&self.stager) }
    }
}

impl Sink for Verifier<'_> {
    type Stager = ContentStager;
    type Staged = Checked;
    type Error = Finding;
    type Summary = Tally;

    fn stager(&self) -> Arc<ContentStager> {
        Arc::clone(&self.stager)
    }

    fn commit(&mut self, entry: &Entry, checked: Checked) -> Result<(), Finding> {
        let Checked { read, hashed, database, findings } = checked;
        let tally = &mut self.tally;
        match read {
            Some(bytes) => {
                tally.files += 1;
                tally.bytes = tally.bytes.saturating_add(bytes);
            }
            None => tally.looked += 1,
        }
        tally.digests += u64::from(hashed);
        tally.databases += u64::from(database == Some(true));
        tally.databases_skipped += u64::from(database == Some(false));
        findings.into_iter().for_each(|finding| self.log.add(finding.at(entry)));
        Ok(())
    }

    fn finish(self) -> Result<Tally, Finding> {
        Ok(self.tally)
    }
}

#[cfg(test)]
mod tests;
