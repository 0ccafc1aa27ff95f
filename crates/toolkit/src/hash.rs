//! What files hold, as SHA-256.

use std::io::{self, Read as _};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use bkp_bundle::{Backup, BundleError, Unlocked};
use bkp_core::{
    Access, Entry, EntryKind, Fault, FileId, Identity, Job, Jobs, Monitor, Payload, Report,
    RunError, RunOptions, Select, Sink, Stager, Transform,
};
use sha2::{Digest as _, Sha256};

/// Bytes read at a time; payloads decrypt in this buffer.
const CHUNK: usize = 256 * 1024;

/// SHA-256 of a file's plaintext. Source: FIPS 180-4.
pub type ContentHash = [u8; 32];

/// Why one file could not be hashed, or a hash not passed on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// A payload could not be read to its end.
    #[error("cannot read the payload {id} to its end")]
    Read {
        /// The payload.
        id: FileId,
        /// What the system said.
        source: io::Error,
    },
    /// The caller could not take a hash. Ends the run.
    #[error("cannot pass on what was found")]
    Output(#[source] io::Error),
}

impl Fault for HashError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "unreadable-blob",
            Self::Output(_) => "cannot-write-output",
        }
    }
}

/// Hands every chosen entry to `found`, files with the SHA-256 of their plaintext.
///
/// Files are decrypted and hashed on every core; `found` is called on the calling thread, in the
/// order of the catalog. A file that cannot be read is a problem for the monitor and is not handed
/// over. Of a file that is damaged, what could be recovered is hashed, and the damage is a problem.
///
/// # Errors
///
/// Fails when the catalog cannot be listed, when `found` fails, and when the monitor cancels.
pub fn hash_files(
    backup: &Backup<Unlocked>,
    select: &dyn Select,
    threads: Option<NonZeroUsize>,
    found: &mut dyn FnMut(&Entry, Option<&ContentHash>) -> io::Result<()>,
    monitor: &dyn Monitor,
) -> Result<Report<()>, RunError<BundleError, HashError>> {
    let mut options = RunOptions::default();
    if let Some(threads) = threads {
        options.threads = threads;
    }
    bkp_core::run(backup, select, &Identity, HashSink { found }, &options, monitor)
}

struct HashSink<'f> {
    found: &'f mut dyn FnMut(&Entry, Option<&ContentHash>) -> io::Result<()>,
}

impl Sink for HashSink<'_> {
    type Stager = Hasher;
    type Staged = Option<ContentHash>;
    type Error = HashError;
    type Summary = ();

    fn stager(&self) -> Arc<Hasher> {
        Arc::new(Hasher)
    }

    fn commit(&mut self, entry: &Entry, hash: Option<ContentHash>) -> Result<(), HashError> {
        (self.found)(entry, hash.as_ref()).map_err(HashError::Output)
    }

    fn finish(self) -> Result<(), HashError> {
        Ok(())
    }
}

struct Hasher;

impl Stager for Hasher {
    type Staged = Option<ContentHash>;
    type Error = HashError;

    fn access(&self, entry: &Entry) -> Access {
        if entry.kind == EntryKind::File { Access::Plaintext } else { Access::None }
    }

    fn stage(&self, jobs: &mut dyn Jobs<Option<ContentHash>, HashError>) {
        let mut chunk = vec![0; CHUNK];
        while let Some(mut job) = jobs.next() {
            let hash = hash(&mut job, &mut chunk)
                .map_err(|source| HashError::Read { id: job.entry.id, source });
            jobs.done(job, hash);
        }
    }
}

fn hash(job: &mut Job, chunk: &mut [u8]) -> io::Result<Option<ContentHash>> {
    let Some(payload) = &mut job.payload else { return Ok(None) };
    let mut hash = Sha256::new();
    loop {
        match payload.read(chunk) {
            Ok(0) => return Ok(Some(hash.finalize().into())),
            Ok(count) => hash.update(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The SHA-256 of files that pass by: a [`Transform`] that changes nothing.
///
/// A file that is not read to its end has none. Clones share what they take.
#[derive(Clone, Debug, Default)]
pub struct Hashes(Arc<Mutex<Vec<(FileId, ContentHash)>>>);

impl Hashes {
    /// Takes what has passed, ordered by fileID.
    #[must_use]
    pub fn take(&self) -> Vec<(FileId, ContentHash)> {
        let mut hashes =
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        hashes.sort_unstable();
        hashes
    }
}

impl Transform for Hashes {
    fn payload(&self, entry: &Entry, payload: Box<dyn Payload>) -> Box<dyn Payload> {
        let (id, hash, to) = (entry.id, Some(Sha256::new()), self.clone());
        Box::new(Passing { id, payload, hash, to })
    }
}

/// A payload that is hashed as it is read.
struct Passing {
    id: FileId,
    payload: Box<dyn Payload>,
    /// Gone once the end has been met.
    hash: Option<Sha256>,
    to: Hashes,
}

impl io::Read for Passing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.payload.read(buf)?;
        if let Some(hash) = &mut self.hash {
            hash.update(buf.get(..n).unwrap_or_default());
        }
        if n == 0
            && !buf.is_empty()
            && let Some(hash) = self.hash.take()
        {
            let mut to = self.to.0.lock().unwrap_or_else(PoisonError::into_inner);
            to.push((self.id, hash.finalize().into()));
        }
        Ok(n)
    }
}

impl Payload for Passing {
    fn faults(&self) -> Vec<Box<dyn Fault>> {
        self.payload.faults()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::num::NonZeroUsize;

    use bkp_core::{Entry, Everything, NullMonitor, RunError};
    use bkp_testkit::{Node, Stored, cases};

    use super::{ContentHash, HashError, hash_files};
    use crate::testing::{Codes, open};

    #[test]
    fn every_file_has_the_hash_of_its_plaintext_in_catalog_order() {
        for spec in [cases::encrypted_db(100), cases::plain_db(), cases::encrypted_mbdb()] {
            let dir = tempfile::tempdir().unwrap();
            let truth = spec.write(dir.path()).unwrap();
            // What the writer put in, by its own account.
            let known: Vec<_> = truth
                .entries
                .iter()
                .map(|entry| (entry.file_id.clone(), (entry.kind == 1).then_some(entry.sha256)))
                .collect();
            let backup = open(dir.path());
            for threads in [1, 2, 7].map(NonZeroUsize::new) {
                let mut seen = Vec::new();
                let mut found = |entry: &Entry, hash: Option<&ContentHash>| {
                    seen.push((entry.id.to_hex().to_vec(), hash.copied()));
                    Ok(())
                };
                let codes = Codes::default();
                let report = hash_files(&backup, &Everything, threads, &mut found, &codes).unwrap();
                assert_eq!(codes.0.into_inner().unwrap(), Vec::<&str>::new());
                assert_eq!(report.done, truth.counts.rows as u64);
                assert_eq!(seen, known);
            }
        }
    }

    #[test]
    fn a_lost_payload_costs_one_hash_and_a_damaged_one_is_told() {
        let spec = cases::encrypted_db(100).with(|spec| {
            let files = spec.entries.iter_mut().filter(|e| matches!(e.node, Node::File { .. }));
            for (entry, stored) in files.zip([Stored::Missing, Stored::CutTo(7)]) {
                entry.stored = stored;
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let truth = spec.write(dir.path()).unwrap();
        let mut hashes = 0;
        let mut found = |_: &Entry, hash: Option<&ContentHash>| {
            hashes += usize::from(hash.is_some());
            Ok(())
        };
        let codes = Codes::default();
        let report = hash_files(&open(dir.path()), &Everything, None, &mut found, &codes).unwrap();
        assert_eq!((report.failed, report.damaged), (1, 1));
        assert_eq!(hashes, truth.counts.files - 1);
        assert_eq!(
            codes.0.into_inner().unwrap(),
            ["missing-blob", "truncated-blob", "size-mismatch"]
        );
    }

    #[test]
    fn who_cannot_take_a_hash_ends_the_run() {
        let dir = tempfile::tempdir().unwrap();
        cases::plain_db().write(dir.path()).unwrap();
        let mut calls = 0;
        let mut found = |_: &Entry, _: Option<&ContentHash>| {
            calls += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        };
        let failed = hash_files(&open(dir.path()), &Everything, None, &mut found, &NullMonitor);
        let Err(RunError::Sink(HashError::Output(error))) = failed else { panic!("{failed:?}") };
        assert_eq!((error.kind(), calls), (io::ErrorKind::BrokenPipe, 1));
    }
}
