//! Writing a bundle into one file, plain or sealed, in one pass over its bytes.
//!
//! Small files are read in parallel, a batch ahead of the one that is written. A large one is read
//! a piece ahead.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use bkp_bundle::{Layout, Storage, Stored};
use bkp_core::FileId;
use bkp_crypto::{SealWriter, Sealing};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use sha2::{Digest as _, Sha256};

use crate::error::{ArchiveError, escaped};
use crate::name::MemberName;
use crate::zip::ZipWriter;

/// A file up to this length is read whole, so that its checksum can stand before it.
const SMALL: u64 = 4 << 20;
/// Bytes of small files that are read together.
const BATCH: u64 = 8 << 20;
/// Small files that are read together.
const BATCH_FILES: usize = 512;
/// Bytes of a large file that are read at once.
const PIECE: usize = 1 << 20;

/// A content that is written in place of a file of the bundle.
#[allow(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait Replacement: fmt::Debug + Send + Sync {
    /// Returns how many bytes it has.
    fn len(&self) -> u64;

    /// Reads it from its start. Called once for each archive; a read that fails, or one that ends
    /// after more or fewer bytes than [`len`](Self::len), ends the archive.
    fn open(&self) -> Box<dyn io::Read + Send + '_>;
}

impl Replacement for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn open(&self) -> Box<dyn io::Read + Send + '_> {
        Box::new(self.as_slice())
    }
}

/// Which files of a bundle go into an archive.
#[derive(Clone, Debug)]
pub struct PackPlan {
    /// Names with lengths, sorted.
    files: Vec<(MemberName, u64)>,
    /// Contents that are written in place of the bundle's own, or beside them.
    replaced: BTreeMap<MemberName, Arc<dyn Replacement>>,
    foreign: Vec<String>,
}

impl PackPlan {
    /// Plans to pack all files of a bundle, and lists those beside them that are not its own.
    ///
    /// # Errors
    ///
    /// Fails when a folder of the bundle cannot be listed or a file has no length, as a link.
    pub fn new(source: &Storage) -> Result<Self, ArchiveError> {
        let mut files = Vec::new();
        let mut foreign = Vec::new();
        let mut shards = Vec::new();
        let failed = |name: &str, source| ArchiveError::Source { name: name.into(), source };
        let mut found = Vec::new();
        let mut take = |name: String| match MemberName::parse(name.as_bytes()) {
            Some(MemberName::RunRecord) | None => foreign.push(name),
            Some(member) => found.push(member),
        };
        let list = |folder: &str, each: &mut dyn FnMut(&str, bool)| {
            source.list(folder, each).map_err(|error| failed(folder, error))
        };
        list("", &mut |name, is_file| {
            if !is_file && name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
                shards.push(name.to_owned());
            } else {
                take(name.to_owned());
            }
        })?;
        shards.sort_unstable();
        for shard in shards {
            list(&shard, &mut |name, _| take(format!("{shard}/{name}")))?;
        }
        for member in found {
            let name = member.to_string();
            // A link of a file's name is an error here, and is not left out in silence.
            let len = source.len(&name).map_err(|error| failed(&name, error))?;
            // What went away since it was listed is as if it had not been there.
            files.extend(len.map(|len| (member, len)));
        }
        files.sort_unstable_by_key(|(name, _)| *name);
        files.shrink_to_fit();
        foreign.sort_unstable();
        Ok(Self { files, replaced: BTreeMap::new(), foreign })
    }

    /// Leaves out every file that `keep` says no to.
    pub fn retain(&mut self, mut keep: impl FnMut(&MemberName) -> bool) {
        self.files.retain(|(name, _)| keep(name));
        self.replaced.retain(|name, _| keep(name));
    }

    /// Writes `content` in place of the bundle's own file, or as another one: a new catalog, for
    /// instance.
    pub fn replace(&mut self, name: MemberName, content: impl Replacement + 'static) {
        let len = content.len();
        match self.files.binary_search_by(|(other, _)| other.cmp(&name)) {
            Ok(at) => {
                if let Some(file) = self.files.get_mut(at) {
                    file.1 = len;
                }
            }
            Err(at) => self.files.insert(at, (name, len)),
        }
        self.replaced.insert(name, Arc::new(content));
    }

    /// Returns true if there is a payload of this id, wherever in the bundle it lies.
    #[must_use]
    pub fn has_blob(&self, id: &FileId) -> bool {
        [Layout::Sharded, Layout::Flat].into_iter().any(|layout| {
            let name = MemberName::Blob(*id, layout);
            self.files.binary_search_by(|(other, _)| other.cmp(&name)).is_ok()
        })
    }

    /// Returns the files with their lengths, in the order of the archive.
    #[must_use]
    pub fn files(&self) -> &[(MemberName, u64)] {
        &self.files
    }

    /// Returns the bytes of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, len)| *len).fold(0, u64::saturating_add)
    }

    /// Returns the names that are no bundle's own, which are never packed.
    #[must_use]
    pub fn foreign(&self) -> &[String] {
        &self.foreign
    }
}

/// A file that is in the archive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PackedMember {
    /// Its name.
    pub name: MemberName,
    /// Its bytes.
    pub len: u64,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
}

/// Makes the record of the run of what was packed.
pub type MakeRecord<'a> = &'a mut (dyn FnMut(&[PackedMember]) -> Vec<u8> + Send);

/// Hears of a payload that cannot be read and is left out.
pub type OnLost<'a> = &'a mut (dyn FnMut(MemberName, ArchiveError) + Send);

/// How an archive is written.
#[derive(Default)]
pub struct PackOptions<'a> {
    /// What it is sealed with. Plain when there is none.
    pub seal: Option<Sealing>,
    /// Whether SHA-256 of every file is taken.
    pub hash: bool,
    /// Makes the last member, `bkp-run.json`, once everything else is written. It is given the
    /// files if their hashes are taken, and nothing if not.
    pub record: Option<MakeRecord<'a>>,
    /// Hears of payloads that cannot be read, or changed, and are left out. Without it the first
    /// one ends the run. A long one of which a part is written already ends it in any case.
    pub lost: Option<OnLost<'a>>,
}

impl fmt::Debug for PackOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seal, hash, record, lost } = self;
        f.debug_struct("PackOptions")
            .field("seal", seal)
            .field("hash", hash)
            .field("record", &record.is_some())
            .field("lost", &lost.is_some())
            .finish()
    }
}

/// What was packed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pack {
    /// Files in the archive, the record of the run not counted.
    pub files: u64,
    /// The bytes they have.
    pub bytes: u64,
    /// The bytes of the zip, before it was sealed.
    pub zip_bytes: u64,
    /// The files, if their hashes were taken.
    pub members: Vec<PackedMember>,
}

/// Writes the files of a plan into an archive, and returns where it was written to.
///
/// The bytes of a plain archive follow from the files alone. `out` is only ever written forward;
/// it is for the caller to sync and to rename. After an error what was written is no archive.
/// `progress` is given the bytes that were written since it was called last.
///
/// # Errors
///
/// Fails when a file cannot be read or changed since the plan was made, when `out` fails, and when
/// `progress` asks to stop. A file that is missing in the archive would be a loss in silence, so
/// the first one that cannot be read ends it, unless [`PackOptions::lost`] hears of it.
pub fn pack<W: Write + Send>(
    source: &Storage,
    plan: &PackPlan,
    out: W,
    options: PackOptions<'_>,
    progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
) -> Result<(W, Pack), ArchiveError> {
    let PackOptions { seal, hash, record, lost } = options;
    let run = Run { source, plan, hash, progress };
    match seal {
        None => run.write(out, record, lost),
        Some(sealing) => {
            let (sealed, packed) = run.write(SealWriter::new(out, sealing)?, record, lost)?;
            let mut out = sealed.finish()?;
            out.flush().map_err(|source| ArchiveError::io("write", source))?;
            Ok((out, packed))
        }
    }
}

struct Run<'a> {
    source: &'a Storage,
    plan: &'a PackPlan,
    hash: bool,
    progress: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
}

/// A small file that has been read.
struct Read {
    name: MemberName,
    content: Vec<u8>,
    crc: u32,
    sha256: [u8; 32],
}

/// What is read together: small files, or one large one.
enum Batch<'a> {
    Small(&'a [(MemberName, u64)]),
    Large(MemberName, u64),
}

/// Cuts the files of a plan into batches.
struct Batches<'a>(&'a [(MemberName, u64)]);

impl<'a> Iterator for Batches<'a> {
    type Item = Batch<'a>;

    fn next(&mut self) -> Option<Batch<'a>> {
        let &(name, len) = self.0.first()?;
        let mut bytes = 0;
        let small = self.0.iter().take(BATCH_FILES).take_while(|(_, len)| {
            bytes += *len.min(&SMALL);
            *len <= SMALL && bytes <= BATCH
        });
        let count = small.count();
        let (batch, rest) = self.0.split_at(count.max(1));
        self.0 = rest;
        Some(if count == 0 { Batch::Large(name, len) } else { Batch::Small(batch) })
    }
}

impl Run<'_> {
    fn write<W: Write + Send>(
        &self,
        out: W,
        record: Option<MakeRecord<'_>>,
        mut lost: Option<OnLost<'_>>,
    ) -> Result<(W, Pack), ArchiveError> {
        let mut zip = ZipWriter::new(out);
        let mut packed = Pack::default();
        let mut ahead: Vec<Read> = Vec::new();
        for batch in Batches(&self.plan.files) {
            match batch {
                Batch::Small(files) => {
                    let before = std::mem::take(&mut ahead);
                    let (written, read) = rayon::join(
                        || self.put(&mut zip, &mut packed, before),
                        || files.par_iter().map(|file| self.read(*file)).collect::<Vec<_>>(),
                    );
                    written?;
                    for (&(name, _), read) in files.iter().zip(read) {
                        ahead.extend(without_lost(name, read, &mut lost)?);
                    }
                }
                Batch::Large(name, len) => {
                    self.put(&mut zip, &mut packed, std::mem::take(&mut ahead))?;
                    if let Some(file) = without_lost(name, self.open(name, len), &mut lost)? {
                        self.large(&mut zip, &mut packed, (name, len), file)?;
                    }
                }
            }
        }
        self.put(&mut zip, &mut packed, ahead)?;
        if let Some(record) = record {
            let content = record(&packed.members);
            zip.member(MemberName::RunRecord, crc32fast::hash(&content), &content)?;
        }
        let (out, zip_bytes) = zip.finish()?;
        packed.zip_bytes = zip_bytes;
        Ok((out, packed))
    }

    fn put<W: Write>(
        &self,
        zip: &mut ZipWriter<W>,
        packed: &mut Pack,
        files: Vec<Read>,
    ) -> Result<(), ArchiveError> {
        for Read { name, content, crc, sha256 } in files {
            zip.member(name, crc, &content)?;
            self.count(packed, PackedMember { name, len: content.len() as u64, sha256 });
            self.advance(content.len())?;
        }
        Ok(())
    }

    fn count(&self, packed: &mut Pack, member: PackedMember) {
        packed.files += 1;
        packed.bytes += member.len;
        if self.hash {
            packed.members.push(member);
        }
    }

    fn advance(&self, bytes: usize) -> Result<(), ArchiveError> {
        match (self.progress)(bytes as u64) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ArchiveError::Cancelled),
        }
    }

    /// Reads a small file.
    fn read(&self, (name, len): (MemberName, u64)) -> Result<Read, ArchiveError> {
        let content = match self.plan.replaced.get(&name) {
            Some(replacement) => {
                let mut content = Vec::new();
                let read = replacement.open().read_to_end(&mut content);
                read.map_err(|error| failed(name, error))?;
                content
            }
            None => {
                let mut file = self.stored(name, len)?;
                let mut content = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
                let read = (&mut file).take(len.saturating_add(1)).read_to_end(&mut content);
                read.map_err(|error| failed(name, error))?;
                content
            }
        };
        if content.len() as u64 != len {
            return Err(changed(name, len));
        }
        let sha256 = if self.hash { Sha256::digest(&content).into() } else { [0; 32] };
        Ok(Read { name, crc: crc32fast::hash(&content), content, sha256 })
    }

    fn open(
        &self,
        name: MemberName,
        len: u64,
    ) -> Result<Box<dyn io::Read + Send + '_>, ArchiveError> {
        Ok(match self.plan.replaced.get(&name) {
            Some(content) => content.open(),
            None => Box::new(self.stored(name, len)?),
        })
    }

    fn stored(&self, name: MemberName, len: u64) -> Result<Stored, ArchiveError> {
        let file = self.source.open(&name.to_string()).map_err(|error| failed(name, error))?;
        if file.len() == len { Ok(file) } else { Err(changed(name, len)) }
    }

    /// Reads and writes a large file, one piece ahead.
    fn large<W: Write + Send>(
        &self,
        zip: &mut ZipWriter<W>,
        packed: &mut Pack,
        (name, len): (MemberName, u64),
        mut file: Box<dyn io::Read + Send + '_>,
    ) -> Result<(), ArchiveError> {
        zip.begin(name, len)?;
        let (mut crc, mut sha256) = (crc32fast::Hasher::new(), Sha256::new());
        let mut done = 0;
        let (mut piece, mut next) = (Vec::with_capacity(PIECE), Vec::with_capacity(PIECE));
        fill(&mut *file, &mut piece).map_err(|error| failed(name, error))?;
        while !piece.is_empty() {
            done += piece.len() as u64;
            if done > len {
                return Err(changed(name, len));
            }
            let (written, read) = rayon::join(
                || {
                    crc.update(&piece);
                    if self.hash {
                        sha256.update(&piece);
                    }
                    zip.put(&piece)
                },
                || fill(&mut *file, &mut next),
            );
            written?;
            read.map_err(|error| failed(name, error))?;
            self.advance(piece.len())?;
            std::mem::swap(&mut piece, &mut next);
        }
        if done != len {
            return Err(changed(name, len));
        }
        zip.end(name, len, crc.finalize())?;
        self.count(packed, PackedMember { name, len, sha256: sha256.finalize().into() });
        Ok(())
    }
}

/// Takes what was read of a payload, or tells of one that could not be. No other file of a bundle
/// can be done without.
fn without_lost<T>(
    name: MemberName,
    read: Result<T, ArchiveError>,
    lost: &mut Option<OnLost<'_>>,
) -> Result<Option<T>, ArchiveError> {
    match (read, lost) {
        (Ok(read), _) => Ok(Some(read)),
        (
            Err(error @ (ArchiveError::Source { .. } | ArchiveError::SourceChanged { .. })),
            Some(lost),
        ) if name.is_blob() => {
            lost(name, error);
            Ok(None)
        }
        (Err(error), _) => Err(error),
    }
}

/// Reads the next piece of a file; nothing at its end.
fn fill(file: &mut dyn io::Read, piece: &mut Vec<u8>) -> io::Result<()> {
    piece.clear();
    file.take(PIECE as u64).read_to_end(piece).map(drop)
}

fn failed(name: MemberName, source: io::Error) -> ArchiveError {
    ArchiveError::Source { name: escaped(name.to_string().as_bytes()), source }
}

fn changed(name: MemberName, expected: u64) -> ArchiveError {
    ArchiveError::SourceChanged { name: escaped(name.to_string().as_bytes()), expected }
}
