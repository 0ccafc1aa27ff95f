//! What runs on the workers: payloads.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bkp_bundle::{CatalogKind, Patch, RowPatch, carries_digest};
use bkp_core::{Access, Entry, EntryKind, FileId, Job, Jobs, Payload, ProtectionClass, Stager};
use bkp_crypto::{CbcEncryptor, ClassKeys, FileKey, WrappedFileKey};
use rustix::fs::{AtFlags, Mode, OFlags, SeekFrom, ftruncate, mkdirat, openat, seek, unlinkat};
use rustix::io::Errno;
use sha1::{Digest as _, Sha1};

use super::PayloadForm;
use crate::adopt::Ladder;
use crate::stream::{BUFFER, Full, fill, write_all};
use crate::{Adoption, RestoreError, Staging};

/// A block of AES, in bytes.
const BLOCK: usize = 16;

/// What holes are made of.
static ZEROS: [u8; BUFFER] = [0; BUFFER];

/// The class of files of which the catalog does not say another: what the device gives to a file
/// of an app that asks for nothing (FORMAT.md 3).
const DEFAULT_CLASS: ProtectionClass = ProtectionClass(3);

/// The half of a [`BundleWriter`](crate::BundleWriter) that the workers share.
#[derive(Debug)]
pub struct BundleStager {
    root: Arc<OwnedFd>,
    sharded: bool,
    form: PayloadForm,
    ladder: Ladder,
    full: Full,
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

/// What a worker holds between jobs.
struct Bench {
    /// A whole number of blocks, and room for one more.
    recode: Vec<u8>,
    copy: Vec<u8>,
}

impl BundleStager {
    pub(super) fn new(staging: &Staging, kind: CatalogKind, form: PayloadForm, link: bool) -> Self {
        let sharded = kind == CatalogKind::Db;
        let (ladder, full) = (Ladder::new(link), Full::default());
        Self { root: staging.tree(), sharded, form, ladder, full }
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

    fn one(&self, bench: &mut Bench, job: &mut Job) -> Result<StagedPayload, RestoreError> {
        if job.entry.kind != EntryKind::File {
            return Ok(StagedPayload { patch: RowPatch::default(), bytes: 0, adoption: None });
        }
        let path = self.place(&job.entry.id);
        let payload = job.payload.as_deref_mut();
        match &self.form {
            PayloadForm::Stored => self.adopt(&path, payload, bench),
            PayloadForm::Plain | PayloadForm::Sparse => {
                self.recode(&path, &job.entry, payload, None, &mut bench.recode)
            }
            PayloadForm::Encrypted(keys) => {
                let fresh = Fresh::new(keys, &job.entry)?;
                self.recode(&path, &job.entry, payload, Some(fresh), &mut bench.recode)
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

    /// Takes a payload as the source has it.
    fn adopt(
        &self,
        path: &Path,
        mut payload: Option<&mut (dyn Payload + 'static)>,
        bench: &mut Bench,
    ) -> Result<StagedPayload, RestoreError> {
        let staged = |bytes, adoption| {
            let patch = RowPatch::default();
            Ok(StagedPayload { patch, bytes, adoption: Some(adoption) })
        };
        let Some(from) = payload.as_deref().and_then(Payload::stored_file) else {
            let first = fill(&mut payload, chunk(&mut bench.recode), path)?;
            let new = self.create(path)?;
            let bytes = new.settle(|| {
                let (mut total, mut length) = (0u64, first);
                loop {
                    let bytes = bench.recode.get(..length).unwrap_or_default();
                    write_all(new.file.as_fd(), bytes).map_err(RestoreError::on("write", path))?;
                    total = total.saturating_add(count(length));
                    if length < BUFFER {
                        return Ok(total);
                    }
                    length = fill(&mut payload, chunk(&mut bench.recode), path)?;
                }
            })?;
            return staged(bytes, Adoption::Copied);
        };
        let len = from.metadata().map_err(|e| RestoreError::system("copy", path, e))?.len();
        if self.linked(from, path)? {
            return staged(len, Adoption::Linked);
        }
        let new = self.create(path)?;
        let adoption = new.settle(|| {
            let (adoption, copied) = self
                .ladder
                .fill(from, &new.file, len, &mut bench.copy)
                .map_err(|error| RestoreError::system("copy", path, error))?;
            if copied < len {
                let text = format!("it became shorter than the {len} bytes it had");
                let source = io::Error::new(io::ErrorKind::UnexpectedEof, text);
                return Err(RestoreError::SourceRead { path: path.to_owned(), source });
            }
            Ok(adoption)
        })?;
        staged(len, adoption)
    }

    /// Gives the source's file a second name, if that was asked for and can be done.
    fn linked(&self, from: &std::fs::File, path: &Path) -> Result<bool, RestoreError> {
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

    /// Writes a payload in plaintext, or under a fresh key.
    fn recode(
        &self,
        path: &Path,
        entry: &Entry,
        mut payload: Option<&mut (dyn Payload + 'static)>,
        fresh: Option<Fresh>,
        buffer: &mut [u8],
    ) -> Result<StagedPayload, RestoreError> {
        let sparse = matches!(self.form, PayloadForm::Sparse);
        let hashed = entry.digest.is_some() || carries_digest(&entry.domain);
        let mut hash = hashed.then(Sha1::new);
        let (mut cipher, key, protection) = match fresh {
            Some(Fresh { cipher, key, protection }) => (Some(cipher), Patch::Set(key), protection),
            None => (None, Patch::Remove, None),
        };
        // Read before anything is created, so that what cannot be read leaves no trace.
        let mut length = fill(&mut payload, chunk(buffer), path)?;
        let new = self.create(path)?;
        let bytes = new.settle(|| {
            let mut total = 0u64;
            loop {
                let last = length < BUFFER;
                let ready = match &mut cipher {
                    Some(_) if last => end(cipher.take(), buffer, length),
                    Some(cipher) => {
                        cipher.encrypt_blocks(chunk(buffer));
                        length
                    }
                    None => length,
                };
                let bytes = buffer.get(..ready).unwrap_or_default();
                if let Some(hash) = &mut hash {
                    hash.update(bytes);
                }
                total = total.saturating_add(count(ready));
                let written = match sparse && ZEROS.get(..ready) == Some(bytes) {
                    // The last hole has nothing behind it that gives the file its length.
                    true if last => ftruncate(&new.file, total),
                    true => seek(&new.file, SeekFrom::Start(total)).map(drop),
                    false => write_all(new.file.as_fd(), bytes),
                };
                written.map_err(RestoreError::on("write", path))?;
                if last {
                    return Ok(total);
                }
                length = fill(&mut payload, chunk(buffer), path)?;
            }
        })?;
        let digest = match hash {
            Some(hash) => Patch::Set(hash.finalize().into()),
            None => Patch::Keep,
        };
        let patch = RowPatch { key, digest, protection, ..RowPatch::default() };
        Ok(StagedPayload { patch, bytes, adoption: None })
    }

    fn create<'s>(&'s self, path: &'s Path) -> Result<Unfinished<'s>, RestoreError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || openat(&self.root, path, flags, Mode::RUSR | Mode::WUSR);
        let file = match create() {
            Err(Errno::NOENT) => {
                self.make_shard(path)?;
                create()
            }
            created => created,
        };
        let file = file.map_err(|error| created(path, error))?;
        Ok(Unfinished { root: self.root.as_fd(), path, file })
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
        let mut bench = Bench { recode: vec![0; BUFFER + BLOCK], copy: Vec::new() };
        while let Some(mut job) = jobs.next() {
            let result = self.one(&mut bench, &mut job);
            self.full.note(&result);
            jobs.done(job, result);
        }
    }
}

/// A cipher under a fresh key, and what its row will say of it.
struct Fresh {
    cipher: CbcEncryptor,
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
        Ok(Self { cipher: CbcEncryptor::new(&key), key: wrapped, protection })
    }
}

/// Encrypts what is left of a file, with its padding, and returns how many bytes that are.
fn end(cipher: Option<CbcEncryptor>, buffer: &mut [u8], length: usize) -> usize {
    let Some(mut cipher) = cipher else { return length };
    let whole = length - length % BLOCK;
    let (blocks, rest) = buffer.split_at_mut(whole);
    cipher.encrypt_blocks(blocks);
    let last = cipher.finish(rest.get(..length - whole).unwrap_or_default());
    if let Some(place) = rest.first_chunk_mut::<BLOCK>() {
        *place = last;
    }
    whole + BLOCK
}

/// The part of a worker's buffer that is read into.
fn chunk(buffer: &mut [u8]) -> &mut [u8] {
    buffer.get_mut(..BUFFER).unwrap_or_default()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn created(path: &Path, error: Errno) -> RestoreError {
    match error {
        Errno::EXIST => RestoreError::NameCollision { path: path.to_owned() },
        error => RestoreError::system("create", path, error),
    }
}

/// A payload that is unlinked again if it could not be written.
struct Unfinished<'s> {
    root: BorrowedFd<'s>,
    path: &'s Path,
    file: OwnedFd,
}

impl Unfinished<'_> {
    fn settle<T>(
        &self,
        write: impl FnOnce() -> Result<T, RestoreError>,
    ) -> Result<T, RestoreError> {
        write().inspect_err(|_| {
            let _ = unlinkat(self.root, self.path, AtFlags::empty());
        })
    }
}
