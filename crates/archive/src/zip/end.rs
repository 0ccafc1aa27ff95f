//! The end record of a zip, and the one of zip64 before it: where the directory is.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bkp_crypto::ByteSource;

use super::bytes::Fields;
use super::{END, END64, IN_ZIP64, LOCATOR};
use crate::error::ArchiveError;

/// Bytes of an end record, without its comment.
const END_LEN: u64 = 22;
/// Bytes of the locator of a zip64 end record, and of that record as far as it is read.
const LOCATOR_LEN: u64 = 20;
const END64_LEN: u64 = 56;
/// The longest comment an end record can have.
const COMMENT: u64 = 65_535;

pub(super) fn damaged(what: &'static str) -> ArchiveError {
    ArchiveError::Damaged { what }
}

/// What the end record says of the directory.
pub(super) struct End {
    /// Members there are.
    pub(super) members: u64,
    /// Where the directory begins.
    pub(super) start: u64,
    /// Its bytes.
    pub(super) len: u64,
}

/// Finds the end record, which ends where the file does.
pub(super) fn find_end(source: &dyn ByteSource) -> Result<End, ArchiveError> {
    // Almost always there is no comment, and what is in front of the record may lie in segments
    // that nobody needs.
    let found = match find_in_tail(source, END_LEN)? {
        None => find_in_tail(source, END_LEN.saturating_add(COMMENT))?,
        found => found,
    };
    let Some((at, record)) = found else {
        return Err(damaged("it has no end record: cut off, or no zip"));
    };
    let mut fields = Fields(&record);
    let mut parse = || {
        let _signature = fields.u32()?;
        let disks = (fields.u16()?, fields.u16()?);
        let counts = (fields.u16()?, fields.u16()?);
        let (len, start) = (fields.u32()?, fields.u32()?);
        Some((disks, counts, len, start))
    };
    let Some((disks, counts, dir_len, start)) = parse() else {
        return Err(damaged("its end record is cut off"));
    };
    let large = counts.1 == u16::MAX || dir_len == IN_ZIP64 || start == IN_ZIP64;
    let (end, before) = match large.then(|| find_end64(source, at)).transpose()?.flatten() {
        Some((end, before)) => (end, before),
        None => {
            if disks != (0, 0) || counts.0 != counts.1 {
                return Err(damaged("it is one of several parts"));
            }
            let members = u64::from(counts.1);
            (End { members, start: start.into(), len: dir_len.into() }, at)
        }
    };
    if end.start.checked_add(end.len) != Some(before) {
        return Err(damaged("its directory is not where the end record says"));
    }
    Ok(end)
}

/// Looks for the end record in the last bytes, and returns where it is and what is there.
fn find_in_tail(source: &dyn ByteSource, len: u64) -> Result<Option<(u64, Vec<u8>)>, ArchiveError> {
    let len = source.len().min(len);
    let start = source.len().saturating_sub(len);
    let mut tail = read(source, start, len)?;
    // The last one whose comment ends with the file. A comment can hold the bytes of another.
    let at = (0..tail.len()).rev().find(|&at| {
        let mut fields = Fields(tail.get(at..).unwrap_or_default());
        fields.u32() == Some(END)
            && fields.bytes(16).is_some()
            && fields.u16().is_some_and(|comment| usize::from(comment) == fields.0.len())
    });
    Ok(at.map(|at| {
        let place = start.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
        (place, tail.split_off(at))
    }))
}

/// Reads the zip64 end record, if there is one, and tells where it is.
fn find_end64(source: &dyn ByteSource, end: u64) -> Result<Option<(End, u64)>, ArchiveError> {
    let Some(at) = end.checked_sub(LOCATOR_LEN) else { return Ok(None) };
    let locator = read(source, at, LOCATOR_LEN)?;
    let mut fields = Fields(&locator);
    let mut parse = || Some((fields.u32()?, fields.u32()?, fields.u64()?, fields.u32()?));
    let Some((LOCATOR, disk, start, disks)) = parse() else { return Ok(None) };
    if disk != 0 || disks > 1 {
        return Err(damaged("it is one of several parts"));
    }
    let whole = start.checked_add(END64_LEN).is_some_and(|end| end <= at);
    if !whole {
        return Err(damaged("its zip64 end record is not where the locator says"));
    }
    let record = read(source, start, END64_LEN)?;
    let mut fields = Fields(&record);
    let mut parse = || {
        let (signature, _len) = (fields.u32()?, fields.u64()?);
        let (_made, _needed) = (fields.u16()?, fields.u16()?);
        let disks = (fields.u32()?, fields.u32()?);
        let counts = (fields.u64()?, fields.u64()?);
        Some((signature, disks, counts, fields.u64()?, fields.u64()?))
    };
    let Some((END64, (0, 0), counts, len, dir)) = parse() else {
        return Err(damaged("its zip64 end record is none, or of several parts"));
    };
    if counts.0 != counts.1 {
        return Err(damaged("it is one of several parts"));
    }
    Ok(Some((End { members: counts.1, start: dir, len }, start)))
}

/// Reads bytes that are known to be few.
pub(super) fn read(
    source: &dyn ByteSource,
    offset: u64,
    len: u64,
) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    source.read_exact_at(offset, &mut bytes).map_err(ArchiveError::read)?;
    Ok(bytes)
}
