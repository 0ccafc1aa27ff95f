//! Writing a zip to anything that takes bytes: no seeking, and the same bytes for the same input.
//!
//! The `zip` crate, which the tests read and write with, was weighed for this (9.4). What keeps it
//! from being used is its writer without seeking, `ZipWriter::new_stream`:
//!
//! * It puts zeros into every local header and the checksum behind the content, also where both
//!   are known before. A stored member of that form has no end that can be seen, so programs that
//!   read a zip as a stream refuse it; here that is so for files above 4 MiB alone.
//! * All content passes through its `Write`. Here files are read into the place where they are
//!   sealed and written from, and the headers are put around them.
//! * It holds some two hundred bytes and the name for each member until the end, where forty
//!   are enough: of a million members 40 MB and not some 300 MB.

use std::io::Write;

use super::{CENTRAL, DATA, DESCRIPTOR, END, END64, IN_ZIP64, LOCAL, LOCATOR, STORED, ZIP64};
use crate::error::ArchiveError;
use crate::name::MemberName;

/// The version of the format that a member or a large archive needs.
const PLAIN_VERSION: u16 = 20;
const ZIP64_VERSION: u16 = 45;
/// Attributes are those of Unix.
const MADE_ON_UNIX: u16 = 3 << 8;
/// A regular file that its owner alone may read and write.
const ATTRIBUTES: u32 = 0o100_600 << 16;
/// 1980-01-01, midnight: the first moment that a zip can state. Times of a bundle's files say when
/// they were copied and nothing of the device, so they are not kept.
const DATE: u16 = 1 << 5 | 1;

/// Where the checksum stands in a local header.
pub(crate) const CRC_AT: usize = 14;

/// Writes stored members one after another.
#[derive(Debug)]
pub(crate) struct ZipWriter<W> {
    out: W,
    at: u64,
    written: Vec<Written>,
    /// Once the directory is begun: its start, how many of its entries are written, and where the
    /// member of the next one begins.
    directory: Option<(u64, usize, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Written {
    name: MemberName,
    crc: u32,
    len: u64,
    /// Whether the checksum stands behind the content.
    described: bool,
}

/// What tells how a member is written.
struct Form {
    name: String,
    large: bool,
}

impl Form {
    fn of(name: MemberName, len: u64) -> Self {
        Self { name: name.to_string(), large: len >= IN_ZIP64.into() }
    }

    fn local_len(&self) -> u64 {
        30 + self.name.len() as u64 + if self.large { 20 } else { 0 }
    }

    fn descriptor_len(&self) -> u64 {
        if self.large { 24 } else { 16 }
    }
}

/// A field of 32 bits, or the sign that it is elsewhere.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(IN_ZIP64)
}

/// The length of a list of bytes that is short by what it is made of.
fn short(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes()
}

impl<W: Write> ZipWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, at: 0, written: Vec::new(), directory: None }
    }

    /// Returns where it is written to, for what is put there beside this writer: it must be
    /// [counted](Self::count).
    pub(crate) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Returns how many bytes the zip has so far.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Goes back to where a member began whose bytes were taken away.
    pub(crate) fn rewind(&mut self, at: u64) {
        self.at = at;
    }

    /// Counts bytes that were put into what this writer writes to.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.at += bytes as u64;
    }

    /// Notes a member of which the header and the content are written.
    pub(crate) fn note(&mut self, name: MemberName, crc: u32, len: u64) {
        self.written.push(Written { name, crc, len, described: false });
    }

    /// Begins a member whose content comes in pieces, and its checksum behind them. Its length
    /// is known.
    pub(crate) fn begin(&mut self, name: MemberName, len: u64) -> Result<(), ArchiveError> {
        let header = local_header(name, len, None);
        self.put(&header)
    }

    /// Writes a piece of the content of the member that was begun.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.out.write_all(bytes).map_err(|source| ArchiveError::io("write", source))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Ends the member that was begun with this name and length.
    pub(crate) fn end(&mut self, name: MemberName, len: u64, crc: u32) -> Result<(), ArchiveError> {
        let large = Form::of(name, len).large;
        let mut descriptor = Vec::with_capacity(24);
        descriptor.extend_from_slice(&DATA.to_le_bytes());
        descriptor.extend_from_slice(&crc.to_le_bytes());
        for _stored_and_plain in 0..2 {
            if large {
                descriptor.extend_from_slice(&len.to_le_bytes());
            } else {
                descriptor.extend_from_slice(&narrow(len).to_le_bytes());
            }
        }
        self.put(&descriptor)?;
        self.written.push(Written { name, crc, len, described: true });
        Ok(())
    }

    /// Writes at most so many further entries of the directory, and returns whether all are
    /// written. No member can be written from then on.
    pub(crate) fn entries(&mut self, most: usize) -> Result<bool, ArchiveError> {
        let (start, done, mut offset) = self.directory.unwrap_or((self.at, 0, 0));
        let end = done.saturating_add(most).min(self.written.len());
        let mut entry = Vec::with_capacity(160);
        for at in done..end {
            entry.clear();
            offset = self.written[at].central(offset, &mut entry);
            self.put(&entry)?;
        }
        self.directory = Some((start, end, offset));
        Ok(end == self.written.len())
    }

    /// Writes what comes behind the directory.
    pub(crate) fn tail(&mut self) -> Result<(), ArchiveError> {
        while !self.entries(usize::MAX)? {}
        let start = self.directory.map_or(self.at, |(start, ..)| start);
        let count = self.written.len() as u64;
        let end = self.at;
        let len = end - start;
        let mut tail = Vec::with_capacity(98);
        let large = count >= u16::MAX.into() || len.max(start) >= IN_ZIP64.into();
        if large {
            tail.extend_from_slice(&END64.to_le_bytes());
            // The bytes of this record after this field.
            tail.extend_from_slice(&44_u64.to_le_bytes());
            tail.extend_from_slice(&(MADE_ON_UNIX | ZIP64_VERSION).to_le_bytes());
            tail.extend_from_slice(&ZIP64_VERSION.to_le_bytes());
            tail.extend_from_slice(&[0; 8]);
            for value in [count, count, len, start] {
                tail.extend_from_slice(&value.to_le_bytes());
            }
            tail.extend_from_slice(&LOCATOR.to_le_bytes());
            tail.extend_from_slice(&[0; 4]);
            tail.extend_from_slice(&end.to_le_bytes());
            tail.extend_from_slice(&1_u32.to_le_bytes());
        }
        tail.extend_from_slice(&END.to_le_bytes());
        tail.extend_from_slice(&[0; 4]);
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        tail.extend_from_slice(&count.to_le_bytes());
        tail.extend_from_slice(&count.to_le_bytes());
        tail.extend_from_slice(&narrow(len).to_le_bytes());
        tail.extend_from_slice(&narrow(start).to_le_bytes());
        tail.extend_from_slice(&[0; 2]);
        self.put(&tail)
    }
}

/// Makes a local header. Without a checksum it says that a descriptor follows, and its checksum
/// and sizes are zero.
pub(crate) fn local_header(name: MemberName, len: u64, crc: Option<u32>) -> Vec<u8> {
    let form = Form::of(name, len);
    let mut header = Vec::with_capacity(96);
    header.extend_from_slice(&LOCAL.to_le_bytes());
    let described = crc.is_none();
    start(described, form.large, &mut header);
    let len = if described { 0 } else { len };
    debug_assert_eq!(header.len(), CRC_AT);
    header.extend_from_slice(&crc.unwrap_or(0).to_le_bytes());
    let field = if form.large { IN_ZIP64 } else { narrow(len) };
    header.extend_from_slice(&field.to_le_bytes());
    header.extend_from_slice(&field.to_le_bytes());
    header.extend_from_slice(&short(form.name.len()));
    header.extend_from_slice(&short(if form.large { 20 } else { 0 }));
    header.extend_from_slice(form.name.as_bytes());
    if form.large {
        extra(&[len, len], &mut header);
    }
    header
}

/// Writes what local and central headers have in common: version, flags, method, time.
fn start(described: bool, large: bool, to: &mut Vec<u8>) {
    let version = if large { ZIP64_VERSION } else { PLAIN_VERSION };
    let flags = if described { DESCRIPTOR } else { 0 };
    for field in [version, flags, STORED, 0, DATE] {
        to.extend_from_slice(&field.to_le_bytes());
    }
}

fn extra(values: &[u64], to: &mut Vec<u8>) {
    to.extend_from_slice(&ZIP64.to_le_bytes());
    to.extend_from_slice(&short(values.len() * 8));
    for value in values {
        to.extend_from_slice(&value.to_le_bytes());
    }
}

impl Written {
    /// Writes the central header of a member that begins at `offset`, and returns where the next
    /// one does.
    fn central(&self, offset: u64, to: &mut Vec<u8>) -> u64 {
        let &Self { name, crc, len, described } = self;
        let form = Form::of(name, len);
        let far = offset >= IN_ZIP64.into();
        let mut large = Vec::new();
        if form.large {
            large.extend([len, len]);
        }
        if far {
            large.push(offset);
        }
        to.extend_from_slice(&CENTRAL.to_le_bytes());
        let version = if large.is_empty() { PLAIN_VERSION } else { ZIP64_VERSION };
        to.extend_from_slice(&(MADE_ON_UNIX | version).to_le_bytes());
        start(described, !large.is_empty(), to);
        to.extend_from_slice(&crc.to_le_bytes());
        to.extend_from_slice(&narrow(len).to_le_bytes());
        to.extend_from_slice(&narrow(len).to_le_bytes());
        to.extend_from_slice(&short(form.name.len()));
        to.extend_from_slice(&short(if large.is_empty() { 0 } else { 4 + large.len() * 8 }));
        // No comment, the first disk, no internal attributes.
        to.extend_from_slice(&[0; 6]);
        to.extend_from_slice(&ATTRIBUTES.to_le_bytes());
        to.extend_from_slice(&narrow(offset).to_le_bytes());
        to.extend_from_slice(form.name.as_bytes());
        if !large.is_empty() {
            extra(&large, to);
        }
        let behind = if described { form.descriptor_len() } else { 0 };
        offset + form.local_len() + len + behind
    }
}
