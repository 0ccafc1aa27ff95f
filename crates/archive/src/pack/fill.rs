//! The first stage: files, and what a zip has around them, become chunks.

use std::fmt;
use std::io::{self, Read};

use bkp_bundle::Storage;
use bkp_crypto::SegmentSealer;

use super::chunk::{Assembler, Chunk};
use super::line::Members;
use super::{MakeRecord, OnLost, PackPlan};
use crate::error::{ArchiveError, escaped};
use crate::name::MemberName;
use crate::zip::{CRC_AT, ZipWriter, local_header};

/// A file up to this length is read whole before any of it is written, so that its checksum can
/// stand before it.
const SMALL: u64 = 4 << 20;
/// The most bytes that one move puts into chunks: a small file with its header.
const MOST: usize = (4 << 20) + 256;
/// Entries of the directory that are written together.
const ENTRIES: usize = 4096;
/// Bytes of the record that are written together.
const PIECE: usize = 1 << 20;

/// Makes chunks of the files of a plan.
pub(super) struct Filler<'a, 'r> {
    source: &'a Storage,
    plan: &'a PackPlan,
    zip: ZipWriter<Assembler>,
    record: Option<MakeRecord<'r>>,
    lost: Option<OnLost<'r>>,
    now: Now<'a>,
    files: u64,
    bytes: u64,
}

/// What is done next.
enum Now<'a> {
    /// The file of this number.
    File(usize),
    /// More of the large file of this number.
    Large(usize, Large<'a>),
    Record,
    /// More of the record, of which so many bytes are written.
    RecordBytes(Vec<u8>, usize),
    Directory,
    End,
}

/// A large file of which a part is written.
struct Large<'a> {
    content: Box<dyn Read + Send + 'a>,
    left: u64,
    crc: crc32fast::Hasher,
}

/// What came of a call.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Filled {
    /// There are chunks, and there will be more.
    Some,
    /// It cannot go on before all that was given out is hashed.
    WantsMembers,
    /// There will be no more.
    All,
}

impl fmt::Debug for Filler<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filler").field("files", &self.files).finish_non_exhaustive()
    }
}

impl<'a, 'r> Filler<'a, 'r> {
    pub(super) fn new(
        source: &'a Storage,
        plan: &'a PackPlan,
        sealer: Option<&SegmentSealer>,
        record: Option<MakeRecord<'r>>,
        lost: Option<OnLost<'r>>,
    ) -> Self {
        let zip = ZipWriter::new(Assembler::new(sealer));
        Self { source, plan, zip, record, lost, now: Now::File(0), files: 0, bytes: 0 }
    }

    /// Returns how many chunks one call fills at most.
    pub(super) fn at_once(&mut self) -> usize {
        self.zip.out().chunks(MOST)
    }

    /// Returns how many chunks so many bytes are at most.
    pub(super) fn chunks(&mut self, bytes: usize) -> usize {
        self.zip.out().chunks(bytes)
    }

    /// Returns how many files there are in the archive, their bytes, and those of the zip.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        (self.files, self.bytes, self.zip.at())
    }

    /// Takes chunks that are to be used again.
    pub(super) fn reuse(&mut self, spare: &mut Vec<Chunk>) {
        self.zip.out().reuse(spare);
    }

    /// Gives out what was filled.
    pub(super) fn take_full(&mut self) -> std::vec::Drain<'_, Chunk> {
        self.zip.out().take_full()
    }

    /// Goes on until there is a chunk to give out. `members` are those of all chunks that were
    /// given out, after [`Filled::WantsMembers`].
    pub(super) fn fill(&mut self, members: Option<&mut Members>) -> Result<Filled, ArchiveError> {
        let mut members = members;
        while !self.zip.out().has_full() {
            self.now = match std::mem::replace(&mut self.now, Now::End) {
                Now::File(at) => self.file(at)?,
                Now::Large(at, large) => self.large(at, large)?,
                Now::Record => match (&mut self.record, members.take()) {
                    (None, _) => Now::Directory,
                    (Some(_), None) => {
                        self.now = Now::Record;
                        return Ok(Filled::WantsMembers);
                    }
                    (Some(record), Some(members)) => {
                        // Those in the chunk that is not full yet are missing.
                        let now = self.zip.out().now();
                        members.take(now);
                        now.spans.clear();
                        let content = record(members.packed());
                        let crc = crc32fast::hash(&content);
                        let (name, len) = (MemberName::RunRecord, content.len() as u64);
                        self.zip.put(&local_header(name, len, Some(crc)))?;
                        self.zip.note(name, crc, len);
                        Now::RecordBytes(content, 0)
                    }
                },
                Now::RecordBytes(content, at) => {
                    let end = content.len().min(at.saturating_add(PIECE));
                    self.zip.put(content.get(at..end).unwrap_or_default())?;
                    match end == content.len() {
                        true => Now::Directory,
                        false => Now::RecordBytes(content, end),
                    }
                }
                Now::Directory => {
                    if self.zip.entries(ENTRIES)? {
                        self.zip.tail()?;
                        self.zip.out().finish();
                        return Ok(Filled::All);
                    }
                    Now::Directory
                }
                Now::End => return Ok(Filled::All),
            };
        }
        Ok(Filled::Some)
    }

    /// Puts a small file into chunks, or begins a large one.
    fn file(&mut self, at: usize) -> Result<Now<'a>, ArchiveError> {
        let Some(&(name, len)) = self.plan.files.get(at) else { return Ok(Now::Record) };
        let next = Now::File(at + 1);
        let opened = self.open(name, len);
        if len > SMALL {
            let Some(content) = self.without_lost(name, opened)? else { return Ok(next) };
            self.zip.begin(name, len)?;
            return Ok(Now::Large(at, Large { content, left: len, crc: crc32fast::Hasher::new() }));
        }
        let (mark, before) = (self.zip.out().mark(), self.zip.at());
        let put = opened.and_then(|mut content| self.small(name, len, &mut *content));
        if self.without_lost(name, put)?.is_none() {
            self.zip.out().rewind(mark);
            self.zip.rewind(before);
        }
        Ok(next)
    }

    fn small(
        &mut self,
        name: MemberName,
        len: u64,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let header = local_header(name, len, Some(0));
        let (before, rest) = header.split_at(CRC_AT);
        let after = rest.get(4..).unwrap_or_default();
        self.zip.put(before)?;
        let place = self.zip.out().leave();
        self.zip.count(4);
        self.zip.put(after)?;
        let mut crc = crc32fast::Hasher::new();
        let mut left = len;
        while left > 0 {
            self.piece(name, len, &mut left, content, &mut crc)?;
        }
        ended(name, len, content)?;
        let crc = crc.finalize();
        self.zip.out().fill(place, crc.to_le_bytes());
        self.zip.note(name, crc, len);
        self.ended(name, len);
        Ok(())
    }

    /// Goes on with a large file.
    fn large(&mut self, at: usize, mut large: Large<'a>) -> Result<Now<'a>, ArchiveError> {
        let Some(&(name, len)) = self.plan.files.get(at) else { return Ok(Now::Record) };
        let Large { content, left, crc } = &mut large;
        if *left > 0 {
            self.piece(name, len, left, &mut **content, crc)?;
            return Ok(Now::Large(at, large));
        }
        ended(name, len, &mut **content)?;
        self.zip.end(name, len, large.crc.finalize())?;
        self.ended(name, len);
        Ok(Now::File(at + 1))
    }

    fn ended(&mut self, name: MemberName, len: u64) {
        self.zip.out().end_content(name, len);
        self.files += 1;
        self.bytes += len;
    }

    /// Reads what comes next of a file, to where it is written from.
    fn piece(
        &mut self,
        name: MemberName,
        len: u64,
        left: &mut u64,
        content: &mut dyn Read,
        crc: &mut crc32fast::Hasher,
    ) -> Result<(), ArchiveError> {
        let room = self.zip.out().room();
        // One byte more tells without another call that there is none.
        let most = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX).min(room.len());
        let room = room.get_mut(..most).unwrap_or_default();
        let count = loop {
            match content.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| failed(name, error))?,
            }
        };
        *left = match (count, left.checked_sub(count as u64)) {
            (0, _) | (_, None) => return Err(changed(name, len)),
            (_, Some(left)) => left,
        };
        crc.update(room.get(..count).unwrap_or_default());
        self.zip.out().took_content(count);
        self.zip.count(count);
        Ok(())
    }

    fn open(&self, name: MemberName, len: u64) -> Result<Box<dyn Read + Send + 'a>, ArchiveError> {
        if let Some(content) = self.plan.replaced.get(&name) {
            return Ok(content.open());
        }
        let file = self.source.open(&name.to_string()).map_err(|error| failed(name, error))?;
        if file.len() == len { Ok(Box::new(file)) } else { Err(changed(name, len)) }
    }

    /// Takes what was read of a payload, or tells of one that could not be. No other file of a
    /// bundle can be done without.
    fn without_lost<T>(
        &mut self,
        name: MemberName,
        read: Result<T, ArchiveError>,
    ) -> Result<Option<T>, ArchiveError> {
        match (read, &mut self.lost) {
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
}

/// Finds out whether a file is at its end.
fn ended(name: MemberName, len: u64, content: &mut dyn Read) -> Result<(), ArchiveError> {
    loop {
        match content.read(&mut [0]) {
            Ok(0) => return Ok(()),
            Ok(_) => return Err(changed(name, len)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(name, error)),
        }
    }
}

fn failed(name: MemberName, source: io::Error) -> ArchiveError {
    ArchiveError::Source { name: escaped(name.to_string().as_bytes()), source }
}

fn changed(name: MemberName, expected: u64) -> ArchiveError {
    ArchiveError::SourceChanged { name: escaped(name.to_string().as_bytes()), expected }
}
