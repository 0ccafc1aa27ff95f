//! Writing a bundle into one file, plain or sealed, in one pass over its bytes.
//!
//! ```text
//! fill ─▶ hash members ─▶ seal ─▶ hash the archive ─▶ write        chunks, in order
//! ```
//!
//! Each stage does one chunk at a time, and any thread takes whichever stage can go on. So all
//! threads are busy, memory is bounded by the chunks there are, and one thread alone does the same.

mod chunk;
mod fill;
mod line;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use bkp_bundle::{Layout, Storage};
use bkp_core::FileId;
use bkp_crypto::{Sealing, SegmentSealer};

use crate::error::ArchiveError;
use crate::name::MemberName;
use fill::Filler;
use line::Line;

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
    /// Whether SHA-256 of the archive is taken.
    pub hash_archive: bool,
    /// Makes the last member, `bkp-run.json`, once everything else is written. It is given the
    /// files if their hashes are taken, and nothing if not.
    pub record: Option<MakeRecord<'a>>,
    /// Hears of payloads that cannot be read, or changed, and are left out. Without it the first
    /// one ends the run. A long one of which a part is written already ends it in any case.
    pub lost: Option<OnLost<'a>>,
}

impl fmt::Debug for PackOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seal, hash, hash_archive, record, lost } = self;
        f.debug_struct("PackOptions")
            .field("seal", seal)
            .field("hash", hash)
            .field("hash_archive", hash_archive)
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
    /// The bytes of the archive.
    pub archive_bytes: u64,
    /// SHA-256 of the archive, if it was taken.
    pub archive_sha256: Option<[u8; 32]>,
    /// The files, if their hashes were taken.
    pub members: Vec<PackedMember>,
}

/// Writes the files of a plan into an archive, and returns where it was written to.
///
/// Works on as many threads as rayon has where it is called, five at most. The bytes of a plain
/// archive follow from the files alone. `out` is only ever written forward; it is for the caller
/// to sync and to rename. After an error what was written is no archive. `progress` is given the
/// bytes that were written since it was called last.
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
    let PackOptions { seal, hash, hash_archive, record, lost } = options;
    let sealer = seal.map(SegmentSealer::new).transpose()?;
    let filler = Filler::new(source, plan, sealer.as_ref(), record, lost);
    Line::new(filler, hash, sealer, hash_archive, out, progress).run()
}
