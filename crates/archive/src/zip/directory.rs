//! The directory of a zip, read as bytes that somebody may have made up.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use bkp_crypto::ByteSource;

use super::bytes::{Fields, extra};
use super::end::{End, damaged, find_end, read};
use super::{CENTRAL, DEFLATED, ENCRYPTED, IN_ZIP64, STORED, ZIP64};
use crate::error::{ArchiveError, Refusal, escaped};
use crate::name::MemberName;

/// Bytes of a central header, and of a local one, without what is of variable length.
const CENTRAL_LEN: u64 = 46;
pub(super) const LOCAL_LEN: u64 = 30;
/// Bytes of the directory that are read at once.
const CHUNK: usize = 256 << 10;
/// What deflate cannot exceed: 258 bytes for two bits, and a little for a short stream.
const DEFLATE_RATIO: u64 = 1032;
/// Names that are no bundle's, of which at most so many are kept.
const FOREIGN: usize = 100_000;
/// Folders that the bundle may be in, each within the one before.
const DEPTH: usize = 4;

/// How much a zip may claim before it is believed to be an attack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ArchiveLimits {
    /// The most members.
    pub members: u64,
    /// How many times its own size a zip may unpack to. Not held against `free_of_ratio` bytes.
    pub ratio: u64,
    /// The bytes that a zip may unpack to whatever the ratio.
    pub free_of_ratio: u64,
}

impl Default for ArchiveLimits {
    /// Ten million members; a hundredfold, above one gibibyte.
    fn default() -> Self {
        Self { members: 10_000_000, ratio: 100, free_of_ratio: 1 << 30 }
    }
}

/// One file of the bundle in a zip.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    /// Its name in the bundle.
    pub name: MemberName,
    /// Its bytes, uncompressed.
    pub len: u64,
    /// CRC-32 of them.
    pub crc: u32,
    /// Whether it is compressed.
    pub compressed: bool,
    /// The bytes it has in the zip.
    pub(super) stored: u64,
    /// Where its local header is.
    pub(super) offset: u64,
}

/// What a zip holds: members of a bundle, sorted by name, and other names.
#[derive(Debug)]
pub(crate) struct Directory {
    /// The folder that the bundle is in, with the slash at its end.
    pub(super) prefix: Vec<u8>,
    pub(crate) members: Vec<Member>,
    /// Names beside the bundle's own, without the prefix. Not all, if there are very many.
    pub(crate) foreign: BTreeSet<Box<str>>,
    /// How many there are, with those whose names are not text.
    pub(crate) foreign_count: u64,
    /// Where members begin, sorted, and after them where the directory does.
    pub(super) starts: Vec<u64>,
}

fn refused(refusal: Refusal) -> ArchiveError {
    ArchiveError::refused(refusal, b"")
}

impl Directory {
    /// Reads and checks the whole directory. Nothing is allocated that the bytes which are there
    /// do not account for.
    pub(crate) fn read(
        source: &dyn ByteSource,
        limits: &ArchiveLimits,
    ) -> Result<Self, ArchiveError> {
        let end = find_end(source)?;
        if end.members > limits.members {
            return Err(refused(Refusal::TooManyMembers));
        }
        if end.members.saturating_mul(CENTRAL_LEN) > end.len {
            return Err(refused(Refusal::LyingSize));
        }
        let mut walk = Walk::new(Vec::new());
        walk.all(source, &end)?;
        if walk.total > limits.free_of_ratio
            && walk.total > source.len().saturating_mul(limits.ratio)
        {
            return Err(refused(Refusal::Bomb));
        }
        let starts = walk.starts(end.start)?;
        let mut roots = std::mem::take(&mut walk.roots);
        if !roots.is_empty() && !roots.contains(&Vec::new()) {
            let depth = |root: &Vec<u8>| root.iter().filter(|&&b| b == b'/').count();
            let least = roots.iter().map(depth).min();
            roots.retain(|root| Some(depth(root)) == least);
            let count = roots.len();
            let Some(root) = roots.pop_first().filter(|_| count == 1) else {
                return Err(ArchiveError::SeveralBackups { count });
            };
            walk = Walk::new(root);
            walk.all(source, &end)?;
        }
        let Walk { prefix, mut members, foreign, foreign_count, .. } = walk;
        members.sort_unstable_by_key(|member| member.name);
        if let Some(pair) = members.windows(2).find(|pair| match pair {
            [a, b] => a.name == b.name,
            _ => false,
        }) {
            let name = pair.first().map(|member| member.name.to_string()).unwrap_or_default();
            return Err(ArchiveError::refused(Refusal::DuplicateName, name.as_bytes()));
        }
        members.shrink_to_fit();
        Ok(Self { prefix, members, foreign, foreign_count, starts })
    }

    /// Finds a member.
    pub(crate) fn find(&self, name: &MemberName) -> Option<&Member> {
        let at = self.members.binary_search_by(|member| member.name.cmp(name)).ok()?;
        self.members.get(at)
    }
}

/// Reads the directory in chunks.
struct Chunks<'a> {
    source: &'a dyn ByteSource,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl Chunks<'_> {
    /// Makes sure that `len` bytes are in the buffer and returns them.
    fn peek(&mut self, len: usize) -> Result<&[u8], ArchiveError> {
        let there = self.buffer.len().saturating_sub(self.used);
        if there < len {
            self.buffer.drain(..self.used);
            self.used = 0;
            let left = self.end.saturating_sub(self.at);
            let want = u64::try_from(CHUNK.max(len)).unwrap_or(u64::MAX);
            let more = read(self.source, self.at, left.min(want))?;
            self.at = self.at.saturating_add(u64::try_from(more.len()).unwrap_or(u64::MAX));
            self.buffer.extend_from_slice(&more);
        }
        let end = self.used.saturating_add(len);
        self.buffer.get(self.used..end).ok_or_else(|| damaged("its directory is cut off"))
    }

    fn skip(&mut self, len: usize) {
        self.used = self.used.saturating_add(len);
    }

    fn ended(&self) -> bool {
        self.at >= self.end && self.used >= self.buffer.len()
    }
}

/// A central header as it is stored.
struct Central<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    stored: u64,
    len: u64,
    attributes: u32,
    offset: u64,
    name: &'a [u8],
}

/// One pass over the directory.
struct Walk {
    prefix: Vec<u8>,
    members: Vec<Member>,
    foreign: BTreeSet<Box<str>>,
    foreign_count: u64,
    /// Where every entry begins and ends, members or not.
    spans: Vec<(u64, u64)>,
    /// The folders that hold a `Manifest.plist`.
    roots: BTreeSet<Vec<u8>>,
    /// What everything unpacks to.
    total: u64,
}

impl Walk {
    fn new(prefix: Vec<u8>) -> Self {
        Self {
            prefix,
            members: Vec::new(),
            foreign: BTreeSet::new(),
            foreign_count: 0,
            spans: Vec::new(),
            roots: BTreeSet::new(),
            total: 0,
        }
    }

    fn all(&mut self, source: &dyn ByteSource, end: &End) -> Result<(), ArchiveError> {
        let &End { members, start, len } = end;
        let end = start.saturating_add(len);
        let mut chunks = Chunks { source, at: start, end, buffer: Vec::new(), used: 0 };
        let fixed = usize::try_from(CENTRAL_LEN).unwrap_or(46);
        for _ in 0..members {
            let mut lengths = Fields(chunks.peek(fixed)?.get(28..).unwrap_or_default());
            let mut length = || lengths.u16().map_or(0, usize::from);
            let (name, extra, comment) = (length(), length(), length());
            let whole = fixed.saturating_add(name).saturating_add(extra).saturating_add(comment);
            let entry = parse_central(chunks.peek(whole)?, name, extra)?;
            self.entry(&entry, start)?;
            chunks.skip(whole);
        }
        if chunks.ended() { Ok(()) } else { Err(damaged("its directory has more than it counts")) }
    }

    /// Checks an entry and keeps what is needed of it. `directory` is where the directory begins.
    fn entry(&mut self, entry: &Central<'_>, directory: u64) -> Result<(), ArchiveError> {
        let &Central { flags, method, crc, stored, len, attributes, offset, name } = entry;
        let refuse = |refusal| Err(ArchiveError::refused(refusal, name));
        let folder = name.ends_with(b"/");
        if !is_safe(name.strip_suffix(b"/").unwrap_or(name)) {
            return refuse(Refusal::Traversal);
        }
        // Other systems leave these bits zero.
        match (attributes >> 16) & 0o170_000 {
            0 => {}
            0o100_000 if !folder => {}
            0o040_000 if folder => {}
            _ => return refuse(Refusal::SpecialFile),
        }
        let unsupported = |what| Err(ArchiveError::Unsupported { name: escaped(name), what });
        if flags & ENCRYPTED != 0 {
            return unsupported("encrypted");
        }
        let believable = match method {
            STORED => stored == len,
            DEFLATED => len <= stored.saturating_mul(DEFLATE_RATIO),
            _ => return unsupported("compressed in a way other than deflate"),
        };
        // The local header has the same name, and its own extra fields make it longer at most.
        let name_len = u64::try_from(name.len()).unwrap_or(u64::MAX);
        let end = offset
            .checked_add(LOCAL_LEN)
            .and_then(|end| end.checked_add(name_len))
            .and_then(|end| end.checked_add(stored));
        let Some(end) = end.filter(|&end| end <= directory) else {
            return refuse(Refusal::LyingSize);
        };
        let total = self.total.checked_add(len);
        let (true, Some(total)) = (believable && !(folder && len > 0), total) else {
            return refuse(Refusal::LyingSize);
        };
        self.total = total;
        self.spans.push((offset, end));

        let manifest: &[u8] = b"Manifest.plist";
        if let Some(root) = name.strip_suffix(manifest)
            && (root.is_empty() || root.ends_with(b"/"))
            && root.iter().filter(|&&b| b == b'/').count() <= DEPTH
            && !root.starts_with(b"__MACOSX/")
            && self.roots.len() < 16
        {
            self.roots.insert(root.to_vec());
        }
        let within = name.strip_prefix(self.prefix.as_slice()).filter(|within| !within.is_empty());
        let Some(within) = within else { return Ok(()) };
        match MemberName::parse(within) {
            Some(name) => {
                let compressed = method == DEFLATED;
                self.members.push(Member { name, len, crc, compressed, stored, offset });
            }
            // A shard's own entry says nothing.
            None if matches!(within, [a, b, b'/'] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) =>
                {}
            None => {
                self.foreign_count = self.foreign_count.saturating_add(1);
                if self.foreign.len() < FOREIGN
                    && let Ok(text) = std::str::from_utf8(within)
                {
                    self.foreign.insert(text.into());
                }
            }
        }
        Ok(())
    }

    /// Returns where entries begin, sorted, having found that none shares a byte with another.
    fn starts(&mut self, directory: u64) -> Result<Vec<u64>, ArchiveError> {
        let mut spans = std::mem::take(&mut self.spans);
        spans.sort_unstable();
        let overlap = spans.windows(2).any(|pair| match pair {
            [(_, end), (start, _)] => end > start,
            _ => false,
        });
        if overlap {
            return Err(refused(Refusal::Overlap));
        }
        Ok(spans.into_iter().map(|(start, _)| start).chain([directory]).collect())
    }
}

fn parse_central(bytes: &[u8], name: usize, extra_len: usize) -> Result<Central<'_>, ArchiveError> {
    let mut fields = Fields(bytes);
    let mut parse = || {
        let signature = fields.u32()?;
        let (_made, _needed) = (fields.u16()?, fields.u16()?);
        let (flags, method) = (fields.u16()?, fields.u16()?);
        let _time = fields.u32()?;
        let (crc, stored, len) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let _lengths = fields.bytes(6)?;
        let (disk, _internal) = (fields.u16()?, fields.u16()?);
        let (attributes, offset) = (fields.u32()?, fields.u32()?);
        let (name, extras) = (fields.bytes(name)?, fields.bytes(extra_len)?);
        // Only what is too large for its place is in the extra field, in this order.
        let mut large = extra(extras, ZIP64);
        let mut widen = |value: u32| match (&mut large, value) {
            (Some(large), IN_ZIP64) => large.u64(),
            _ => Some(value.into()),
        };
        let (len, stored, offset) = (widen(len)?, widen(stored)?, widen(offset)?);
        let disk = match (&mut large, disk) {
            (Some(large), u16::MAX) => large.u32()?,
            _ => disk.into(),
        };
        let central = Central { flags, method, crc, stored, len, attributes, offset, name };
        (signature == CENTRAL && disk == 0).then_some(central)
    };
    parse().ok_or_else(|| damaged("an entry of its directory is none, or of another part"))
}

/// Returns true for a name that stays below the folder it is put in, on every system.
fn is_safe(name: &[u8]) -> bool {
    let component = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    !name.iter().any(|b| matches!(b, 0 | b'\\'))
        && name.get(1) != Some(&b':')
        && name.len() <= bkp_core::limits::PATH
        && name.split(|&b| b == b'/').all(component)
}
