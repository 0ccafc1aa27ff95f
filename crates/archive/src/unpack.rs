//! Taking a bundle out of an archive, whole or not at all.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bkp_restore::Staging;
use rayon::iter::ParallelIterator as _;
use rayon::slice::ParallelSlice as _;
use rustix::fs::{AtFlags, Mode, OFlags, fstatvfs, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use crate::archive::{Archive, TOGETHER};
use crate::error::ArchiveError;
use crate::name::MemberName;
use crate::zip::Member;

/// Bytes that are written at once.
const BUFFER: usize = 256 << 10;

/// What was unpacked.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Unpacked {
    /// Where it is, with links in the path resolved.
    pub target: PathBuf,
    /// Files that were written.
    pub files: u64,
    /// The bytes they have.
    pub bytes: u64,
    /// Members that could not be read, sorted by name. There is no file of that name.
    pub failed: Vec<(MemberName, ArchiveError)>,
    /// How many members have names that are no bundle's own, and were not written.
    pub foreign: u64,
}

/// Writes the files of an archive's bundle into a new or empty folder, on all threads of rayon.
///
/// Only names of a bundle's own files are written, so nothing leads out of the folder; how the
/// archive was made ([`Archive::run_record`]) is no such file. The folder appears whole by one
/// rename. A member that is damaged is left out and told of, and the others are written.
/// `progress` is given the bytes that were written since it was called last, from any thread.
///
/// # Errors
///
/// Fails when the folder is not empty or cannot be made, when a file cannot be written, when there
/// is less space than the members need, and when `progress` asks to stop. No folder is left then.
pub fn unpack(
    archive: &Archive,
    target: &Path,
    progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
) -> Result<Unpacked, ArchiveError> {
    let staging = Staging::begin(target, false)?;
    let members = || archive.members().iter().filter(|m| m.name != MemberName::RunRecord);
    let needed = members().map(|member| member.len).fold(0, u64::saturating_add);
    // A file system that does not say is found out about by writing.
    if let Ok(space) = fstatvfs(staging.dir()) {
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if needed > free {
            return Err(ArchiveError::NoSpace { needed, free });
        }
    }
    let failed = Mutex::new(Vec::new());
    let run = Run {
        archive,
        dir: staging.dir(),
        shards: [const { AtomicBool::new(false) }; 256],
        progress,
    };
    archive.members().par_chunks(TOGETHER).try_for_each_init(
        || vec![0; BUFFER],
        |buffer, members| {
            for member in members.iter().filter(|m| m.name != MemberName::RunRecord) {
                if let Some(error) = run.member(member, buffer)? {
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.push((member.name, error));
                }
            }
            Ok::<_, ArchiveError>(())
        },
    )?;
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_unstable_by_key(|(name, _)| *name);
    let lost = |member: &&Member| failed.binary_search_by_key(&member.name, |f| f.0).is_ok();
    let (mut files, mut bytes) = (0, 0);
    for member in members().filter(|member| !lost(member)) {
        files += 1;
        bytes += member.len;
    }
    let foreign = archive.foreign_count();
    let target = staging.finish()?;
    Ok(Unpacked { target, files, bytes, failed, foreign })
}

struct Run<'a> {
    archive: &'a Archive,
    dir: BorrowedFd<'a>,
    /// The folders of payloads that are there already.
    shards: [AtomicBool; 256],
    progress: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
}

impl Run<'_> {
    /// Writes a member. What is wrong with the member is returned, and what is wrong with the
    /// destination is an error.
    fn member(
        &self,
        member: &Member,
        buffer: &mut [u8],
    ) -> Result<Option<ArchiveError>, ArchiveError> {
        let name = member.name.to_string();
        let failed = |error: io::Error| ArchiveError::Write { name: (*name).into(), source: error };
        let inner = &self.archive.0;
        let mut content = match inner.directory.open(&inner.source, member) {
            Ok(content) => content,
            Err(error) => return Ok(Some(error)),
        };
        self.make_shard(&member.name).map_err(|error| failed(error.into()))?;
        // The folder is ours alone and nobody sees it yet, so there is no link on the way.
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(self.dir, &*name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        loop {
            let count = match content.read(buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => count,
                Err(error) => {
                    let removed = unlinkat(self.dir, &*name, AtFlags::empty());
                    removed.map_err(|error| failed(error.into()))?;
                    return Ok(Some(ArchiveError::read(error)));
                }
            };
            file.write_all(buffer.get(..count).unwrap_or_default()).map_err(failed)?;
            if (self.progress)(count as u64).is_break() {
                return Err(ArchiveError::Cancelled);
            }
        }
    }

    fn make_shard(&self, name: &MemberName) -> Result<(), Errno> {
        let Some(shard) = name.shard() else { return Ok(()) };
        let Some(made) = self.shards.get(usize::from(shard)) else { return Ok(()) };
        if !made.load(Ordering::Relaxed) {
            match mkdirat(self.dir, format!("{shard:02x}"), Mode::RWXU) {
                // Another worker was quicker.
                Ok(()) | Err(Errno::EXIST) => made.store(true, Ordering::Relaxed),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
