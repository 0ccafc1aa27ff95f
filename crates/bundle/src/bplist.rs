//! Binary property lists, read in place.
//!
//! ```text
//! "bplist00" | objects ... | offset table | 6 unused | offset size | ref size
//!                                         | object count u64 | top object u64 | table offset u64
//! ```
//!
//! Nothing is built and nothing is followed: an [`Object`] borrows its bytes, and a container is a
//! list of references that the caller resolves one at a time. So a graph of shared references costs
//! only what the caller asks for. Source: `CFBinaryPList.c`, as published by Apple.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod write;

use std::borrow::Cow;

pub(crate) use write::write;

/// The first eight bytes of every binary property list that a device writes.
pub(crate) const MAGIC: &[u8; 8] = b"bplist00";
const TRAILER: usize = 32;
/// Seconds from the Unix epoch to 2001-01-01T00:00:00Z, the epoch of property-list dates.
pub(crate) const EPOCH: i64 = 978_307_200;

/// What is wrong with a binary property list, and at which byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Malformed {
    pub(crate) offset: usize,
    pub(crate) what: &'static str,
}

impl Malformed {
    const fn at(offset: usize, what: &'static str) -> Self {
        Self { offset, what }
    }
}

/// A binary property list whose trailer and offset table are in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bplist<'a> {
    /// Everything before the offset table: no object reaches beyond it.
    body: &'a [u8],
    /// The offset table, exactly.
    table: &'a [u8],
    offset_size: usize,
    ref_size: usize,
    top: u64,
}

/// One object, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Object<'a> {
    Null,
    Bool(bool),
    /// An integer of 1, 2 or 4 unsigned bytes or 8 signed ones.
    Int(i64),
    /// An integer of 16 signed bytes, left as it is to keep objects small.
    WideInt(&'a [u8; 16]),
    Real(f64),
    /// Seconds since 2001-01-01T00:00:00Z.
    Date(f64),
    Data(&'a [u8]),
    /// ASCII by the format, and any bytes in practice.
    Ascii(&'a [u8]),
    /// UTF-16, big-endian.
    Utf16(&'a [u8]),
    Uid(u64),
    Array(Refs<'a>),
    Set(Refs<'a>),
    Dict(Dict<'a>),
}

/// References to objects, in file order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refs<'a> {
    bytes: &'a [u8],
    size: usize,
}

/// The keys and the values of a dictionary, in file order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dict<'a> {
    /// The keys and then as many values.
    both: Refs<'a>,
}

/// Reads a big-endian integer of up to eight bytes; more than that saturates unless the excess is
/// zero.
#[inline(always)]
fn be(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_be_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => be_any(bytes),
    }
}

#[cold]
fn be_any(bytes: &[u8]) -> u64 {
    let excess = bytes.len().saturating_sub(8);
    let (high, low) = bytes.split_at_checked(excess).unwrap_or((&[], bytes));
    if high.iter().any(|&b| b != 0) {
        return u64::MAX;
    }
    low.iter().fold(0, |value, &b| value.wrapping_shl(8) | u64::from(b))
}

impl<'a> Bplist<'a> {
    /// Checks the header, the trailer and the place of the offset table.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if !bytes.starts_with(MAGIC) {
            return Err(Malformed::at(0, "no bplist00 header"));
        }
        let Some((before, trailer)) = bytes.split_last_chunk::<TRAILER>() else {
            return Err(Malformed::at(bytes.len(), "no room for the trailer"));
        };
        let end = before.len();
        if end < MAGIC.len() {
            return Err(Malformed::at(end, "no room for the trailer"));
        }
        let [_, _, _, _, _, _, offset_size, ref_size, numbers @ ..] = trailer;
        let (offset_size, ref_size) = (usize::from(*offset_size), usize::from(*ref_size));
        let (count, rest) = numbers.split_at(8);
        let (top, table_at) = rest.split_at(8);
        let (count, top, table_at) = (be(count), be(top), be(table_at));
        if !(1..=8).contains(&offset_size) {
            return Err(Malformed::at(end.saturating_add(6), "offset size is not 1 to 8"));
        }
        if !(1..=8).contains(&ref_size) {
            return Err(Malformed::at(end.saturating_add(7), "reference size is not 1 to 8"));
        }
        let (Ok(count), Ok(table_at)) = (usize::try_from(count), usize::try_from(table_at)) else {
            return Err(Malformed::at(end.saturating_add(8), "object table is beyond the end"));
        };
        let table = count
            .checked_mul(offset_size)
            .and_then(|len| table_at.checked_add(len))
            .and_then(|table_end| before.get(table_at..table_end));
        let (Some(table), Some(body)) = (table, before.get(..table_at)) else {
            return Err(Malformed::at(end.saturating_add(8), "object table is beyond the end"));
        };
        if body.len() < MAGIC.len() {
            return Err(Malformed::at(end.saturating_add(24), "object table is in the header"));
        }
        if usize::try_from(top).ok().is_none_or(|top| top >= count) {
            return Err(Malformed::at(end.saturating_add(16), "top object does not exist"));
        }
        Ok(Self { body, table, offset_size, ref_size, top })
    }

    /// Returns the reference of the top object.
    pub(crate) fn top(&self) -> u64 {
        self.top
    }

    /// Returns the offset of an object's marker byte.
    #[inline]
    pub(crate) fn offset(&self, reference: u64) -> Result<usize, Malformed> {
        usize::try_from(reference)
            .ok()
            .and_then(|index| index.checked_mul(self.offset_size))
            .and_then(|at| self.table.get(at..at.wrapping_add(self.offset_size)))
            .and_then(|entry| usize::try_from(be(entry)).ok())
            .filter(|&at| at >= MAGIC.len() && at < self.body.len())
            .ok_or(Malformed::at(self.body.len(), "reference to an object that does not exist"))
    }

    /// Reads a short ASCII string, which every key that devices write is. `None` means no more
    /// than that [`object`](Self::object) has to look.
    #[inline]
    pub(crate) fn short_ascii(&self, reference: u64) -> Option<&'a [u8]> {
        let at = self.offset(reference).ok()?;
        match *self.body.get(at..)? {
            [0x5f, 0x10, len, ref rest @ ..] => rest.get(..usize::from(len)),
            [marker @ 0x50..=0x5e, ref rest @ ..] => rest.get(..usize::from(marker & 0x0f)),
            _ => None,
        }
    }

    /// Reads an integer of 1 to 8 bytes; as above, `None` means to look again.
    #[inline]
    pub(crate) fn short_int(&self, reference: u64) -> Option<i64> {
        let at = self.offset(reference).ok()?;
        match *self.body.get(at..)? {
            [0x10, a, ..] => Some(a.into()),
            [0x11, a, b, ..] => Some(u16::from_be_bytes([a, b]).into()),
            [0x12, a, b, c, d, ..] => Some(u32::from_be_bytes([a, b, c, d]).into()),
            [0x13, ref rest @ ..] => rest.first_chunk().map(|bytes| i64::from_be_bytes(*bytes)),
            _ => None,
        }
    }

    /// Returns true when an object is a string that spells `name`, which must be ASCII.
    #[inline]
    pub(crate) fn spells(&self, reference: u64, name: &[u8]) -> bool {
        match self.short_ascii(reference) {
            Some(text) => text == name,
            None => self.object(reference).is_ok_and(|object| object.is_text(name)),
        }
    }

    /// Reads one object.
    #[inline]
    pub(crate) fn object(&self, reference: u64) -> Result<Object<'a>, Malformed> {
        let at = self.offset(reference)?;
        let cut = Malformed::at(at, "object runs into the offset table");
        let (&marker, rest) = self.body.get(at..).and_then(<[u8]>::split_first).ok_or(cut)?;
        let low = usize::from(marker & 0x0f);
        match marker >> 4 {
            0x0 => match low {
                0x0 => Ok(Object::Null),
                0x8 => Ok(Object::Bool(false)),
                0x9 => Ok(Object::Bool(true)),
                _ => Err(Malformed::at(at, "unknown kind of object")),
            },
            0x1 => match low {
                0 => Ok(Object::Int(u8::from_be_bytes(*rest.first_chunk().ok_or(cut)?).into())),
                1 => Ok(Object::Int(u16::from_be_bytes(*rest.first_chunk().ok_or(cut)?).into())),
                2 => Ok(Object::Int(u32::from_be_bytes(*rest.first_chunk().ok_or(cut)?).into())),
                3 => Ok(Object::Int(i64::from_be_bytes(*rest.first_chunk().ok_or(cut)?))),
                4 => Ok(Object::WideInt(rest.first_chunk().ok_or(cut)?)),
                _ => Err(Malformed::at(at, "integer of a width that does not exist")),
            },
            0x2 => match low {
                2 => Ok(Object::Real(f32::from_be_bytes(*rest.first_chunk().ok_or(cut)?).into())),
                3 => Ok(Object::Real(f64::from_be_bytes(*rest.first_chunk().ok_or(cut)?))),
                _ => Err(Malformed::at(at, "real of a width that does not exist")),
            },
            0x3 => match low {
                3 => Ok(Object::Date(f64::from_be_bytes(*rest.first_chunk().ok_or(cut)?))),
                _ => Err(Malformed::at(at, "date of a width that does not exist")),
            },
            0x4 => Ok(Object::Data(take(at, low, rest, 1)?.0)),
            0x5 => Ok(Object::Ascii(take(at, low, rest, 1)?.0)),
            0x6 => Ok(Object::Utf16(take(at, low, rest, 2)?.0)),
            0x8 => {
                let width = low.saturating_add(1);
                Ok(Object::Uid(be(rest.get(..width).ok_or(cut)?)))
            }
            0xa => Ok(Object::Array(self.refs(take(at, low, rest, self.ref_size)?.0))),
            0xc => Ok(Object::Set(self.refs(take(at, low, rest, self.ref_size)?.0))),
            0xd => {
                let pair = self.ref_size.wrapping_mul(2);
                Ok(Object::Dict(Dict { both: self.refs(take(at, low, rest, pair)?.0) }))
            }
            _ => Err(Malformed::at(at, "unknown kind of object")),
        }
    }

    fn refs(&self, bytes: &'a [u8]) -> Refs<'a> {
        Refs { bytes, size: self.ref_size }
    }
}

/// Takes `low` units, or as many as the integer object that follows says when `low` is 15.
/// Returns them and what comes after.
#[inline]
fn take(at: usize, low: usize, rest: &[u8], unit: usize) -> Result<(&[u8], &[u8]), Malformed> {
    let (count, rest) = if low < 15 { (low, rest) } else { long_count(at, rest)? };
    count
        .checked_mul(unit)
        .and_then(|len| rest.split_at_checked(len))
        .ok_or(Malformed::at(at, "object runs into the offset table"))
}

fn long_count(at: usize, rest: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let bad = Malformed::at(at, "object has no usable length");
    let (&marker, rest) = rest.split_first().ok_or(bad)?;
    if !(0x10..=0x13).contains(&marker) {
        return Err(bad);
    }
    let width = 1_usize.wrapping_shl(u32::from(marker & 3));
    let (count, rest) = rest.split_at_checked(width).ok_or(bad)?;
    Ok((usize::try_from(be(count)).map_err(|_| bad)?, rest))
}

impl<'a> Refs<'a> {
    /// Returns how many references there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len().checked_div(self.size).unwrap_or(0)
    }

    /// Returns one reference.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<u64> {
        let at = index.checked_mul(self.size)?;
        Some(be(self.bytes.get(at..)?.get(..self.size)?))
    }
}

impl<'a> Dict<'a> {
    /// Returns the references of the keys.
    #[inline]
    pub(crate) fn keys(&self) -> Refs<'a> {
        self.halves().0
    }

    /// Returns the references of the values.
    #[inline]
    pub(crate) fn values(&self) -> Refs<'a> {
        self.halves().1
    }

    #[inline]
    fn halves(&self) -> (Refs<'a>, Refs<'a>) {
        let Refs { bytes, size } = self.both;
        let (keys, values) = bytes.split_at_checked(bytes.len() / 2).unwrap_or_default();
        (Refs { bytes: keys, size }, Refs { bytes: values, size })
    }

    /// Returns the pairs of key and value references.
    #[inline(always)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let (keys, values) = self.halves();
        let mut at = 0_usize;
        std::iter::from_fn(move || {
            let end = at.checked_add(keys.size)?;
            let pair = (be(keys.bytes.get(at..end)?), be(values.bytes.get(at..end)?));
            at = end;
            Some(pair)
        })
    }

    /// Returns the value of a key. Of repeated keys the last one counts.
    pub(crate) fn find(&self, plist: &Bplist<'a>, name: &[u8]) -> Option<u64> {
        let mut found = None;
        for (key, value) in self.iter() {
            if plist.spells(key, name) {
                found = Some(value);
            }
        }
        found
    }
}

impl<'a> Object<'a> {
    /// Returns the value of an integer of any width.
    #[inline]
    pub(crate) fn integer(&self) -> Option<i128> {
        match *self {
            Self::Int(value) => Some(value.into()),
            Self::WideInt(bytes) => Some(i128::from_be_bytes(*bytes)),
            _ => None,
        }
    }

    /// Returns true for a string that spells `name`, which must be ASCII, in either encoding.
    #[inline]
    pub(crate) fn is_text(&self, name: &[u8]) -> bool {
        match self {
            Self::Ascii(bytes) => *bytes == name,
            Self::Utf16(bytes) => {
                bytes.len() == name.len().saturating_mul(2)
                    && bytes.chunks_exact(2).zip(name).all(|(unit, &b)| unit == [0, b])
            }
            _ => false,
        }
    }

    /// Returns a string's bytes as UTF-8. A surrogate without its partner becomes the three bytes
    /// that the UTF-8 pattern gives it (WTF-8), so that no two names become one.
    pub(crate) fn text(&self) -> Option<Cow<'a, [u8]>> {
        match *self {
            Self::Ascii(bytes) => Some(Cow::Borrowed(bytes)),
            Self::Utf16(bytes) => Some(Cow::Owned(wtf8(bytes))),
            _ => None,
        }
    }
}

fn wtf8(bytes: &[u8]) -> Vec<u8> {
    let units = bytes.chunks_exact(2).map(|unit| match *unit {
        [high, low] => u16::from_be_bytes([high, low]),
        _ => 0,
    });
    let mut out = Vec::with_capacity(bytes.len());
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let [high, low] = lone.unpaired_surrogate().to_be_bytes();
                out.extend_from_slice(&[
                    0xe0 | (high >> 4),
                    0x80 | ((high & 0x0f) << 2) | (low >> 6),
                    0x80 | (low & 0x3f),
                ]);
            }
        }
    }
    out
}
