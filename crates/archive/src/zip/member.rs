//! The content of a member, checked against all that is said of it.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::Arc;

use bkp_crypto::ByteSource;
use flate2::bufread::DeflateDecoder;

use super::bytes::{Fields, extra};
use super::directory::{Directory, LOCAL_LEN, Member};
use super::{DEFLATED, DESCRIPTOR, ENCRYPTED, IN_ZIP64, LOCAL, STORED, ZIP64};
use crate::error::{ArchiveError, Refusal};

/// Bytes that are read at once of a compressed member.
const BUFFER: usize = 32 << 10;

/// A range of the archive, from its start.
#[derive(Debug)]
struct Range {
    source: Arc<dyn ByteSource>,
    at: u64,
    end: u64,
}

impl Read for Range {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = buf.len().min(left);
        let Some(buf) = buf.get_mut(..len).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        self.source.read_exact_at(self.at, buf)?;
        self.at = self.at.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        Ok(len)
    }
}

#[derive(Debug)]
enum Content {
    Stored(Range),
    Deflated(Box<DeflateDecoder<BufReader<Range>>>),
}

/// A member from its start. The last bytes are given out once the checksum of all was right.
#[derive(Debug)]
pub(crate) struct MemberReader {
    content: Content,
    crc: crc32fast::Hasher,
    expected: u32,
    left: u64,
}

fn wrong(what: &'static str) -> io::Error {
    ArchiveError::Damaged { what }.into()
}

/// Returns true for an error of the decoder, and false for one of the system.
fn is_bad(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

impl Read for MemberReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let len = buf.len().min(left);
        let Some(buf) = buf.get_mut(..len).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        let count = match &mut self.content {
            Content::Stored(range) => range.read(buf)?,
            Content::Deflated(decoder) => match decoder.read(buf) {
                // What is wrong with the archive itself keeps its name.
                Err(error) if ArchiveError::code_within(&error).is_none() && is_bad(&error) => {
                    return Err(wrong("a member's compressed content is none"));
                }
                result => result?,
            },
        };
        if count == 0 {
            return Err(wrong("a member has less content than it should"));
        }
        self.crc.update(buf.get(..count).unwrap_or_default());
        self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        if self.left == 0 {
            self.check_end()?;
        }
        Ok(count)
    }
}

impl MemberReader {
    /// Finds out whether everything has been read, and is what was written.
    fn check_end(&mut self) -> io::Result<()> {
        if let Content::Deflated(decoder) = &mut self.content {
            let more = decoder.read(&mut [0])? > 0 || !decoder.get_mut().fill_buf()?.is_empty();
            if more {
                return Err(wrong("a member has more content than it should"));
            }
        }
        if self.crc.clone().finalize() == self.expected {
            Ok(())
        } else {
            Err(wrong("a member's checksum is another"))
        }
    }
}

impl Directory {
    /// Opens a member.
    ///
    /// # Errors
    ///
    /// Fails when reading does, and when the local header is none or contradicts the directory.
    pub(crate) fn open(
        &self,
        source: &Arc<dyn ByteSource>,
        member: &Member,
    ) -> Result<MemberReader, ArchiveError> {
        let &Member { name, len, crc, compressed, stored, offset } = member;
        let name = name.to_string();
        let contradiction = || ArchiveError::refused(Refusal::Contradiction, name.as_bytes());
        let mut header = [0; 30];
        source.read_exact_at(offset, &mut header).map_err(ArchiveError::read)?;
        let mut fields = Fields(&header);
        let mut parse = || {
            let (signature, _needed) = (fields.u32()?, fields.u16()?);
            let (flags, method, _time) = (fields.u16()?, fields.u16()?, fields.u32()?);
            let sums = (fields.u32()?, fields.u32()?, fields.u32()?);
            Some((signature, flags, method, sums, (fields.u16()?, fields.u16()?)))
        };
        let Some((LOCAL, flags, method, sums, (name_len, extra_len))) = parse() else {
            return Err(contradiction());
        };
        let mut rest = vec![0; usize::from(name_len).saturating_add(usize::from(extra_len))];
        let at = offset.saturating_add(LOCAL_LEN);
        source.read_exact_at(at, &mut rest).map_err(ArchiveError::read)?;
        let (local_name, extras) = rest.split_at_checked(name_len.into()).unwrap_or_default();
        let same_name = local_name
            .strip_prefix(self.prefix.as_slice())
            .is_some_and(|local| local == name.as_bytes());
        let same_method = method == if compressed { DEFLATED } else { STORED };
        // With a descriptor the sizes may be behind the content. If they are here they are right.
        let mut large = extra(extras, ZIP64);
        let mut widen = |value: u32| match (&mut large, value) {
            (Some(large), IN_ZIP64) => large.u64().unwrap_or(u64::MAX),
            _ => value.into(),
        };
        let local = (sums.0, widen(sums.2), widen(sums.1));
        let same_sums =
            local == (crc, len, stored) || flags & DESCRIPTOR != 0 && matches!(local, (0, 0, 0));
        if !same_name || !same_method || !same_sums || flags & ENCRYPTED != 0 {
            return Err(contradiction());
        }
        let start = at.saturating_add(u64::try_from(rest.len()).unwrap_or(u64::MAX));
        let end = start.saturating_add(stored);
        // What comes next, another member or the directory.
        let next = self.starts.partition_point(|&other| other <= offset);
        if self.starts.get(next).is_none_or(|&next| end > next) {
            return Err(ArchiveError::refused(Refusal::Overlap, name.as_bytes()));
        }
        let range = Range { source: Arc::clone(source), at: start, end };
        let content = if compressed {
            let buffered = BufReader::with_capacity(BUFFER, range);
            Content::Deflated(Box::new(DeflateDecoder::new(buffered)))
        } else {
            Content::Stored(range)
        };
        let mut reader =
            MemberReader { content, crc: crc32fast::Hasher::new(), expected: crc, left: len };
        if len == 0 {
            reader.check_end().map_err(ArchiveError::read)?;
        }
        Ok(reader)
    }
}
