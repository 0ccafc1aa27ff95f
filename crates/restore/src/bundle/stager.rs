//! What runs on the workers: payloads.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bkp_bundle::{CatalogKind, Patch, RowPatch};
use bkp_core::{Access, Entry, EntryKind, FileId, Job, Jobs, Payload, Stager, StoredFile};
use bkp_crypto::{CbcLanes, ClassKeys};
use bkp_kernels::Sha1Kernel;
use rustix::fs::{AtFlags, Mode, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use super::PayloadForm;
use super::lane::{Buffer, Lane};
use crate::adopt::Ladder;
use crate::beneath::NEW;
use crate::stream::{BUFFER, Full, fill, write_all};
use crate::{Adoption, RestoreError, Staging};

/// Files that all workers together may hold open, of the source and of the bundle: a part of the
/// 256 that some systems allow.
const OPEN_FILES: usize = 128;

/// The half of a [`BundleWriter`](crate::BundleWriter) that the workers share.
#[derive(Debug)]
pub struct BundleStager {
    root: Arc<OwnedFd>,
    sharded: bool,
    form: PayloadForm,
    ladder: Ladder,
    full: Full,
    /// Payloads that a worker encrypts and hashes together.
    lanes: usize,
}

/// What is known of an entry once its payload is in place.
#[derive(Debug)]
pub struct StagedPayload {
    /// What became another in its row.
    pub(super) patch: RowPatch,
    /// Bytes as they are stored.
    pub(super) bytes: u64,
    /// How it was taken over, if it was.
    pub(super) adoption: Option<Adoption>,
}

impl BundleStager {
    pub(super) fn new(staging: &Staging, kind: CatalogKind, form: PayloadForm, link: bool) -> Self {
        let (ladder, full) = (Ladder::new(link), Full::default());
        let lanes = match &form {
            // Digests alone are not worth it: payloads are decrypted one after another.
            PayloadForm::Stored | PayloadForm::Plain | PayloadForm::Sparse => 1,
            PayloadForm::Encrypted(_) => {
                let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
                // Some more than there are lanes, since files end in the middle of a step.
                let wanted = CbcLanes::new().lanes().saturating_mul(3) / 2;
                // Each is two files: the one that is read and the one that is written.
                (OPEN_FILES / workers / 2).clamp(1, wanted.max(1))
            }
        };
        let sharded = kind == CatalogKind::Db;
        Self { root: staging.tree(), sharded, form, ladder, full, lanes }
    }

    /// Returns whether zeros become holes.
    pub(super) fn is_sparse(&self) -> bool {
        matches!(self.form, PayloadForm::Sparse)
    }

    pub(super) fn check_space(&self) -> Result<(), RestoreError> {
        self.full.check()
    }

    /// Says what becomes of the row of an entry without its payload.
    pub(super) fn without_payload(&self) -> RowPatch {
        match &self.form {
            PayloadForm::Stored => RowPatch::default(),
            // The old key opens nothing that is left.
            PayloadForm::Plain | PayloadForm::Sparse | PayloadForm::Encrypted(_) => {
                RowPatch { key: Patch::Remove, ..RowPatch::default() }
            }
        }
    }

    /// Returns where a payload goes, below the bundle.
    fn place(&self, id: &FileId) -> PathBuf {
        let hex = id.to_string();
        match hex.get(..2) {
            Some(shard) if self.sharded => [shard, &hex].iter().collect(),
            _ => PathBuf::from(hex),
        }
    }

    /// Takes payloads as the source has them, one after another.
    fn adopt_all(&self, jobs: &mut dyn Jobs<StagedPayload, RestoreError>) {
        let mut copy = Vec::new();
        while let Some(mut job) = jobs.next() {
            let result = match job.entry.kind {
                EntryKind::File => self.adopt(&mut job, &mut copy),
                _ => Ok(StagedPayload::row()),
            };
            self.full.note(&result);
            jobs.done(job, result);
        }
    }

    /// Takes a payload as the source has it.
    fn adopt(&self, job: &mut Job, buffer: &mut Vec<u8>) -> Result<StagedPayload, RestoreError> {
        let path = self.place(&job.entry.id);
        let mut payload = job.payload.as_deref_mut();
        let staged = |bytes, adoption| {
            let patch = RowPatch::default();
            Ok(StagedPayload { patch, bytes, adoption: Some(adoption) })
        };
        let Some(StoredFile { file: from, len }) =
            payload.as_deref().and_then(Payload::stored_file)
        else {
            return staged(self.copy(&path, &mut payload, buffer)?, Adoption::Copied);
        };
        if self.linked(from, &path)? {
            return staged(len, Adoption::Linked);
        }
        let new = self.create(&path)?;
        let (adoption, copied) = self
            .ladder
            .fill(from, &new.file, len, buffer)
            .map_err(|error| RestoreError::system("copy", &path, error))?;
        if copied < len {
            let text = format!("it became shorter than the {len} bytes it had");
            let source = io::Error::new(io::ErrorKind::UnexpectedEof, text);
            return Err(RestoreError::SourceRead { path, source });
        }
        new.keep();
        staged(len, adoption)
    }

    /// Copies a payload that is no file of its own.
    fn copy(
        &self,
        path: &Path,
        payload: &mut Option<&mut (dyn Payload + 'static)>,
        buffer: &mut Vec<u8>,
    ) -> Result<u64, RestoreError> {
        if buffer.len() < BUFFER {
            buffer.resize(BUFFER, 0);
        }
        // Read before anything is created, so that what cannot be read leaves no trace.
        let mut length = fill(payload, buffer, path)?;
        let new = self.create(path)?;
        let mut total = 0u64;
        loop {
            let bytes = buffer.get(..length).unwrap_or_default();
            write_all(new.file.as_fd(), bytes).map_err(RestoreError::on("write", path))?;
            total = total.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            if length < buffer.len() {
                new.keep();
                return Ok(total);
            }
            length = fill(payload, buffer, path)?;
        }
    }

    /// Gives the source's file a second name, if that was asked for and can be done.
    fn linked(&self, from: &File, path: &Path) -> Result<bool, RestoreError> {
        use std::os::unix::ffi::OsStrExt as _;
        let name = path.as_os_str().as_bytes();
        match self.ladder.link(from, self.root.as_fd(), name) {
            Err(Errno::NOENT) => {
                self.make_shard(path)?;
                self.ladder.link(from, self.root.as_fd(), name)
            }
            linked => linked,
        }
        .map_err(|error| created(path, error))
    }

    /// Writes payloads in plaintext or under fresh keys, as many at once as there are lanes.
    fn recode_all(
        &self,
        keys: Option<&ClassKeys>,
        jobs: &mut dyn Jobs<StagedPayload, RestoreError>,
    ) {
        let (cipher, kernel) = (CbcLanes::new(), Sha1Kernel::detect());
        let mut lanes: Vec<Lane<'_>> = Vec::with_capacity(self.lanes);
        let mut buffers: Vec<Buffer> = Vec::new();
        loop {
            while lanes.len() < self.lanes {
                let job = if lanes.is_empty() { jobs.next() } else { jobs.try_next() };
                let Some(job) = job else { break };
                if job.entry.kind == EntryKind::File {
                    let path = self.place(&job.entry.id);
                    let buffer = buffers.pop().unwrap_or_else(Buffer::new);
                    lanes.push(Lane::new(self, job, path, keys, buffer));
                } else {
                    jobs.done(job, Ok(StagedPayload::row()));
                }
            }
            if lanes.is_empty() {
                return;
            }
            lanes.iter_mut().for_each(Lane::read);
            cipher.encrypt(lanes.iter_mut().filter_map(Lane::blocks));
            let mut pieces: Vec<_> = lanes.iter_mut().filter_map(Lane::piece).collect();
            kernel.update(&mut pieces);
            lanes.iter_mut().for_each(Lane::write);
            for lane in lanes.extract_if(.., |lane| lane.has_ended()) {
                let (job, result, buffer) = lane.end();
                self.full.note(&result);
                buffers.push(buffer);
                jobs.done(job, result);
            }
        }
    }

    /// Creates a payload, and the folder it is in.
    pub(super) fn create(&self, path: &Path) -> Result<NewPayload<'_>, RestoreError> {
        let create = || openat(&self.root, path, NEW, Mode::RUSR | Mode::WUSR);
        let file = match create() {
            Err(Errno::NOENT) => {
                self.make_shard(path)?;
                create()
            }
            created => created,
        };
        let file = file.map_err(|error| created(path, error))?;
        Ok(NewPayload { root: self.root.as_fd(), path: path.to_owned(), file, kept: false })
    }

    /// Makes the folder of a payload. Another worker may be quicker.
    fn make_shard(&self, path: &Path) -> Result<(), RestoreError> {
        let Some(shard) = path.parent().filter(|shard| !shard.as_os_str().is_empty()) else {
            return Ok(());
        };
        match mkdirat(&self.root, shard, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(RestoreError::system("create", shard, error)),
        }
    }
}

impl Stager for BundleStager {
    type Staged = StagedPayload;
    type Error = RestoreError;

    fn access(&self, _: &Entry) -> Access {
        match self.form {
            PayloadForm::Stored => Access::Stored,
            PayloadForm::Plain | PayloadForm::Sparse | PayloadForm::Encrypted(_) => {
                Access::Plaintext
            }
        }
    }

    fn stage(&self, jobs: &mut dyn Jobs<StagedPayload, RestoreError>) {
        match &self.form {
            PayloadForm::Stored => self.adopt_all(jobs),
            PayloadForm::Plain | PayloadForm::Sparse => self.recode_all(None, jobs),
            PayloadForm::Encrypted(keys) => self.recode_all(Some(keys), jobs),
        }
    }
}

impl StagedPayload {
    /// A directory or a link, which is a row and nothing more.
    fn row() -> Self {
        Self { patch: RowPatch::default(), bytes: 0, adoption: None }
    }
}

fn created(path: &Path, error: Errno) -> RestoreError {
    match error {
        Errno::EXIST => RestoreError::NameCollision { path: path.to_owned() },
        error => RestoreError::system("create", path, error),
    }
}

/// A payload that is unlinked again unless it is kept.
pub(super) struct NewPayload<'s> {
    root: BorrowedFd<'s>,
    path: PathBuf,
    pub(super) file: OwnedFd,
    kept: bool,
}

impl NewPayload<'_> {
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewPayload<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let _ = unlinkat(self.root, &self.path, AtFlags::empty());
        }
    }
}
