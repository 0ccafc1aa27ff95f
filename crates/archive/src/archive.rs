//! Opening an archive: finding out what it is, taking its key, and what it then gives.

use std::fmt;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bkp_bundle::Storage;
use bkp_crypto::{
    ArchiveKey, ByteSource, OnProgress, Passphrase, SealedHeader, SealedReader, SegmentCheck,
    sealed_limits,
};
use rayon::iter::ParallelIterator as _;
use rayon::slice::ParallelSlice as _;
use sha2::{Digest as _, Sha256};

use crate::backend::Backend;
use crate::error::ArchiveError;
use crate::file::ArchiveFile;
use crate::name::MemberName;
use crate::pack::PackedMember;
use crate::zip::{ArchiveLimits, Directory, Member};

/// Members that one thread takes at once: neighbours, which lie in the same segments.
pub(crate) const TOGETHER: usize = 64;
/// The longest record of a run that is read, in bytes.
const RECORD: u64 = 1 << 30;

/// An archive that has been looked at. What is to be done next depends on what it is.
#[derive(Debug)]
pub enum OpenedArchive {
    /// A plain zip: it is open.
    Plain(Archive),
    /// A sealed archive: it wants its key.
    Sealed(SealedArchive),
}

impl OpenedArchive {
    /// Opens a file, whatever sort of archive it is.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be opened, when it is no archive, and when it is refused.
    pub fn open(path: &Path, limits: ArchiveLimits) -> Result<Self, ArchiveError> {
        Self::of(Arc::new(ArchiveFile::open(path)?), limits)
    }

    /// Opens an archive wherever its bytes are.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read, when it is no archive, and when it is refused.
    pub fn of(source: Arc<dyn ByteSource>, limits: ArchiveLimits) -> Result<Self, ArchiveError> {
        let mut start = [0; 8];
        let len = usize::try_from(source.len()).unwrap_or(usize::MAX).min(start.len());
        let there = start.get_mut(..len).unwrap_or_default();
        source.read_exact_at(0, there).map_err(ArchiveError::read)?;
        // A sealed archive that was cut off in its first bytes is still known as one.
        if len >= 5 && sealed_limits::MAGIC.starts_with(there) {
            let header = SealedReader::header(&*source)?;
            return Ok(Self::Sealed(SealedArchive { source, header, limits }));
        }
        // With a first member, or with none.
        if !matches!(there, [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..]) {
            return Err(ArchiveError::NotAnArchive);
        }
        Ok(Self::Plain(Archive::new(source, None, &limits)?))
    }
}

/// A sealed archive whose header has been read and whose key is not known yet.
#[derive(Debug)]
pub struct SealedArchive {
    source: Arc<dyn ByteSource>,
    header: SealedHeader,
    limits: ArchiveLimits,
}

impl SealedArchive {
    /// Returns the header, which tells what sort of key is needed.
    #[must_use]
    pub fn header(&self) -> &SealedHeader {
        &self.header
    }

    /// Opens it with a passphrase. `limit` is the most PBKDF2 rounds that are done.
    ///
    /// # Errors
    ///
    /// Fails when the passphrase is wrong or a key file is needed, when the archive asks for more
    /// rounds than `limit`, when `progress` asks to stop, when the archive was cut off or its end
    /// changed, and when the zip in it is refused.
    pub fn unseal(
        &self,
        passphrase: &Passphrase,
        limit: u64,
        progress: OnProgress<'_>,
    ) -> Result<Archive, ArchiveError> {
        let key = self.header.derive(passphrase, limit, progress)?;
        self.open(&key)
    }

    /// Opens it with the key of a key file.
    ///
    /// # Errors
    ///
    /// Fails when the key is wrong or a passphrase is needed, when the archive was cut off or its
    /// end changed, and when the zip in it is refused.
    pub fn unseal_with_key_file(&self, key: &ArchiveKey) -> Result<Archive, ArchiveError> {
        self.header.check_key_file(key)?;
        self.open(key)
    }

    fn open(&self, key: &ArchiveKey) -> Result<Archive, ArchiveError> {
        let Self { source, header, limits } = self;
        let reader = SealedReader::open(Arc::clone(source), header.clone(), key)?;
        let reader = Arc::new(reader);
        Archive::new(Arc::clone(&reader) as _, Some(reader), limits)
    }
}

/// An open archive. Read only, and cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) source: Arc<dyn ByteSource>,
    pub(crate) sealed: Option<Arc<SealedReader>>,
    pub(crate) directory: Directory,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, sealed: _, directory } = self;
        f.debug_struct("Archive")
            .field("source", source)
            .field("members", &directory.members.len())
            .finish_non_exhaustive()
    }
}

/// What came of reading every member to its end.
#[derive(Debug, Default)]
pub struct MemberCheck {
    /// Members that were read.
    pub members: u64,
    /// The bytes they have.
    pub bytes: u64,
    /// Those that could not be read, or whose checksum is another, sorted by name.
    pub failed: Vec<(MemberName, ArchiveError)>,
}

impl Archive {
    fn new(
        source: Arc<dyn ByteSource>,
        sealed: Option<Arc<SealedReader>>,
        limits: &ArchiveLimits,
    ) -> Result<Self, ArchiveError> {
        let directory = Directory::read(&*source, limits)?;
        Ok(Self(Arc::new(Inner { source, sealed, directory })))
    }

    /// Returns the bundle in it, to be read in place.
    #[must_use]
    pub fn storage(&self) -> Storage {
        Storage::from_backend(Arc::new(Backend(Arc::clone(&self.0))))
    }

    /// Returns true when it is sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.0.sealed.is_some()
    }

    /// Returns what opens the segments of a sealed archive.
    #[must_use]
    pub fn sealed(&self) -> Option<&SealedReader> {
        self.0.sealed.as_deref()
    }

    /// Returns the members that are a bundle's own files, sorted by name.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.0.directory.members
    }

    /// Returns how many other names there are. They are listed and never read.
    #[must_use]
    pub fn foreign_count(&self) -> u64 {
        self.0.directory.foreign_count
    }

    /// Returns those names: in order, and of at most a hundred thousand.
    pub fn foreign(&self) -> impl Iterator<Item = &str> {
        self.0.directory.foreign.iter().map(|name| &**name)
    }

    /// Reads the record of the run that made the archive, if there is one.
    ///
    /// # Errors
    ///
    /// Fails when it is there and cannot be read.
    pub fn run_record(&self) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Some(member) = self.0.directory.find(&MemberName::RunRecord) else { return Ok(None) };
        let mut bytes = Vec::new();
        let reader = self.0.directory.open(&self.0.source, member)?;
        reader.take(RECORD).read_to_end(&mut bytes).map_err(ArchiveError::read)?;
        Ok(Some(bytes))
    }

    /// Opens every segment of a sealed archive; of a plain one there is nothing to say.
    ///
    /// `progress` is given the bytes that were checked since it was called last, from any thread.
    ///
    /// # Errors
    ///
    /// Fails when reading does and when `progress` asks to stop. Damaged segments are no error.
    pub fn check_segments(
        &self,
        progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<Option<SegmentCheck>, ArchiveError> {
        let checked = self.0.sealed.as_ref().map(|sealed| sealed.check_segments(progress));
        Ok(checked.transpose()?)
    }

    /// Reads every member to its end and checks its checksum, on all threads of rayon.
    ///
    /// `progress` is given the bytes that were read since it was called last, from any thread.
    ///
    /// # Errors
    ///
    /// Fails when `progress` asks to stop. Damaged members are no error.
    pub fn check_members(
        &self,
        progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<MemberCheck, ArchiveError> {
        let failed = Mutex::new(Vec::new());
        self.members().par_chunks(TOGETHER).try_for_each_init(
            || vec![0; 256 << 10],
            |buffer, members| {
                for member in members {
                    match self.read_through(member, buffer, &mut |_| {}, progress) {
                        Ok(()) => {}
                        Err(ArchiveError::Cancelled) => return Err(ArchiveError::Cancelled),
                        Err(error) => failed
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((member.name, error)),
                    }
                }
                Ok(())
            },
        )?;
        let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.sort_unstable_by_key(|(name, _)| *name);
        let bytes = self.members().iter().map(|member| member.len).sum();
        Ok(MemberCheck { members: self.members().len() as u64, bytes, failed })
    }

    /// Reads every member that was packed, and finds out whether it is what was written: by its
    /// checksum, its length and its SHA-256. On all threads of rayon.
    ///
    /// `progress` is given the bytes that were read since it was called last, from any thread.
    ///
    /// # Errors
    ///
    /// Fails on the first member that is not, and when `progress` asks to stop.
    pub fn compare(
        &self,
        packed: &[PackedMember],
        progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<(), ArchiveError> {
        packed.par_chunks(TOGETHER).try_for_each_init(
            || vec![0; 256 << 10],
            |buffer, members| {
                for PackedMember { name, len, sha256 } in members {
                    let other = || ArchiveError::NotWritten { name: name.to_string().into() };
                    let member = self.0.directory.find(name).ok_or_else(other)?;
                    let mut hash = Sha256::new();
                    self.read_through(member, buffer, &mut |bytes| hash.update(bytes), progress)?;
                    if (member.len, <[u8; 32]>::from(hash.finalize())) != (*len, *sha256) {
                        return Err(other());
                    }
                }
                Ok(())
            },
        )
    }

    fn read_through(
        &self,
        member: &Member,
        buffer: &mut [u8],
        each: &mut dyn FnMut(&[u8]),
        progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<(), ArchiveError> {
        let mut reader = self.0.directory.open(&self.0.source, member)?;
        loop {
            let count = reader.read(buffer).map_err(ArchiveError::read)?;
            if count == 0 {
                return Ok(());
            }
            each(buffer.get(..count).unwrap_or_default());
            if progress(count as u64).is_break() {
                return Err(ArchiveError::Cancelled);
            }
        }
    }
}
