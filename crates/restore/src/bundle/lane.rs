//! One payload under way: read, encrypted and hashed beside others, and written.

use std::os::fd::AsFd as _;
use std::path::PathBuf;

use bkp_bundle::{Patch, RowPatch, carries_digest, mbfile};
use bkp_core::{Entry, Job, ProtectionClass};
use bkp_crypto::{CbcLanes, CbcPayload, ClassKeys, FileKey, WrappedFileKey, pad, padding_len};
use bkp_kernels::{Sha1Piece, Sha1Stream};
use rustix::fs::{SeekFrom, ftruncate, seek};

use super::stager::{BundleStager, NewPayload, StagedPayload};
use crate::RestoreError;
use crate::stream::{fill, write_all};

/// A block of AES, in bytes.
const BLOCK: usize = 16;

/// Bytes of a file that are read at a time. Those of all lanes together stay in the cache.
const PIECE: usize = 64 << 10;

/// What holes are made of.
static ZEROS: [u8; PIECE] = [0; PIECE];

/// How the MBFile archive of a row in `Manifest.db` begins.
const ARCHIVE: &[u8] = b"bplist00";

/// The class of files of which the catalog does not say another: what the device gives to a file
/// of an app that asks for nothing (FORMAT.md 3).
const DEFAULT_CLASS: ProtectionClass = ProtectionClass(3);

/// Where the bytes of a payload are while it is under way: room for a piece, and for the block
/// that padding adds to the last one.
#[derive(Debug)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    pub(super) fn new() -> Self {
        Self(vec![0; PIECE + BLOCK])
    }
}

/// A payload that is written in plaintext or under a fresh key.
pub(super) struct Lane<'s> {
    stager: &'s BundleStager,
    job: Job,
    path: PathBuf,
    /// Made when the first bytes are there, so that what cannot be read leaves no trace.
    new: Option<NewPayload<'s>>,
    fresh: Option<Fresh>,
    hash: Option<Sha1Stream>,
    buffer: Buffer,
    /// Bytes of the buffer that are to be written.
    filled: usize,
    written: u64,
    last: bool,
    failed: Option<RestoreError>,
}

/// A key of its own, and what the row will say of it.
struct Fresh {
    cipher: CbcPayload,
    key: WrappedFileKey,
    /// The class, where the row has none that files can have.
    protection: Option<ProtectionClass>,
}

impl Fresh {
    fn new(keys: &ClassKeys, entry: &Entry) -> Result<Self, RestoreError> {
        let own = entry.protection.filter(|class| matches!(class.0, 1..=4));
        let class = own.unwrap_or(DEFAULT_CLASS);
        let key = FileKey::random().map_err(|source| RestoreError::Random { source })?;
        let wrapped =
            keys.wrap(class, &key).map_err(|source| RestoreError::ClassKey { class, source })?;
        let protection = own.is_none().then_some(class);
        Ok(Self { cipher: CbcLanes::new().start(&key), key: wrapped, protection })
    }
}

impl<'s> Lane<'s> {
    /// Starts a payload; `keys` are there if it is to be encrypted.
    pub(super) fn new(
        stager: &'s BundleStager,
        job: Job,
        path: PathBuf,
        keys: Option<&ClassKeys>,
        buffer: Buffer,
    ) -> Self {
        let hashed = job.entry.digest.is_some() || carries_digest(&job.entry.domain);
        let (fresh, failed) = match keys.map(|keys| Fresh::new(keys, &job.entry)).transpose() {
            Ok(fresh) => (fresh, None),
            Err(error) => (None, Some(error)),
        };
        Self {
            stager,
            job,
            path,
            new: None,
            fresh,
            hash: hashed.then(Sha1Stream::new),
            buffer,
            filled: 0,
            written: 0,
            last: false,
            failed,
        }
    }

    /// Reads the next piece, and pads the last one.
    pub(super) fn read(&mut self) {
        let Some(room) = self.buffer.0.get_mut(..PIECE).filter(|_| self.failed.is_none()) else {
            return;
        };
        let mut payload = self.job.payload.as_deref_mut();
        match fill(&mut payload, room, &self.path) {
            Ok(read) => (self.filled, self.last) = (read, read < PIECE),
            Err(error) => {
                self.failed = Some(error);
                return;
            }
        }
        if self.last && self.fresh.is_some() {
            let end = self.filled + padding_len(self.filled);
            if let Some(last) = self.buffer.0.get_mut(self.filled..end) {
                pad(last);
            }
            self.filled = end;
        }
    }

    /// Returns the blocks that are to be encrypted with those of others.
    pub(super) fn blocks(&mut self) -> Option<(&mut CbcPayload, &mut [[u8; BLOCK]])> {
        let fresh = self.fresh.as_mut().filter(|_| self.failed.is_none())?;
        let bytes = self.buffer.0.get_mut(..self.filled)?;
        Some((&mut fresh.cipher, bytes.as_chunks_mut().0))
    }

    /// Returns the bytes that are to be hashed with those of others.
    pub(super) fn piece(&mut self) -> Option<Sha1Piece<'_>> {
        let stream = self.hash.as_mut().filter(|_| self.failed.is_none())?;
        let bytes = self.buffer.0.get(..self.filled)?;
        Some(Sha1Piece { stream, bytes, last: self.last })
    }

    /// Writes the piece.
    pub(super) fn write(&mut self) {
        if self.failed.is_none() {
            self.failed = self.try_write().err();
        }
    }

    fn try_write(&mut self) -> Result<(), RestoreError> {
        let new = match &mut self.new {
            Some(new) => new,
            None => self.new.insert(self.stager.create(&self.path)?),
        };
        let bytes = self.buffer.0.get(..self.filled).unwrap_or_default();
        let written = self.written.saturating_add(u64::try_from(self.filled).unwrap_or(u64::MAX));
        let hole = self.stager.is_sparse() && ZEROS.get(..self.filled) == Some(bytes);
        match hole {
            // The last hole has nothing behind it that would give the file its length.
            true if self.last => ftruncate(&new.file, written),
            true => seek(&new.file, SeekFrom::Start(written)).map(drop),
            false => write_all(new.file.as_fd(), bytes),
        }
        .map_err(RestoreError::on("write", &self.path))?;
        self.written = written;
        Ok(())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.last || self.failed.is_some()
    }

    /// Says what became of the payload, and gives the buffer back. One that could not be written
    /// to its end leaves nothing.
    pub(super) fn end(self) -> (Job, Result<StagedPayload, RestoreError>, Buffer) {
        let Self { mut job, new, fresh, hash, buffer, written, failed, .. } = self;
        if let Some(error) = failed {
            drop(new);
            return (job, Err(error), buffer);
        }
        if let Some(new) = new {
            new.keep();
        }
        let (key, protection) = match fresh {
            Some(Fresh { cipher: _, key, protection }) => (Patch::Set(key), protection),
            None => (Patch::Remove, None),
        };
        let digest = match hash {
            Some(hash) => Patch::Set(hash.finish()),
            None => Patch::Keep,
        };
        let mut patch = RowPatch { key, digest, protection, ..RowPatch::default() };
        // Rows are patched here, on every core. What cannot be is left to the catalog, which says
        // why.
        if let Some(raw) = job.entry.raw.as_deref().filter(|raw| raw.starts_with(ARCHIVE))
            && let Ok(patched) = mbfile::patch(raw, &patch)
        {
            job.entry.raw = Some(patched.into());
            patch = RowPatch::default();
        }
        (job, Ok(StagedPayload { patch, bytes: written, adoption: None }), buffer)
    }
}
