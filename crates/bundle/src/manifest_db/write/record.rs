//! Rows and index entries as SQLite stores them: varints, records, cells, overflow.
//!
//! ```text
//! record       header length │ a type for each value │ the values
//! table cell   length of the record │ rowid │ record, or its start │ first overflow page
//! index cell   length of the record │ record, or its start │ first overflow page
//! ```
//!
//! Source: "Database File Format" of the SQLite documentation, sections 1.5, 1.6 and 2.1.

use std::io;

use super::pages::{PAGE, Pages};

/// The longest record that a leaf of a table holds whole.
pub(super) const TABLE_MOST: usize = PAGE - 35;
/// The longest record that a page of an index holds whole: four fit into every page.
pub(super) const INDEX_MOST: usize = (PAGE - 12) * 64 / 255 - 23;
/// What a page holds at least of a record that overflows.
const LEAST: usize = (PAGE - 12) * 32 / 255 - 23;
/// What an overflow page holds beside the number of the next.
pub(super) const OVERFLOW: usize = PAGE - 4;

/// A cell, without the child that it has on an inner page.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) bytes: Vec<u8>,
    /// Its first overflow page, of which the page that the cell comes to is the parent.
    pub(super) overflow: Option<u32>,
}

impl Cell {
    /// Makes the cell of a row. What its page does not hold goes to overflow pages at once.
    pub(super) fn row(&mut self, pages: &mut Pages, rowid: u32, record: &[u8]) -> io::Result<()> {
        self.bytes.clear();
        put_varint(&mut self.bytes, record.len() as u64);
        put_varint(&mut self.bytes, rowid.into());
        self.put(pages, record, TABLE_MOST)
    }

    /// Makes the cell of an index entry.
    pub(super) fn entry(&mut self, pages: &mut Pages, record: &[u8]) -> io::Result<()> {
        self.bytes.clear();
        put_varint(&mut self.bytes, record.len() as u64);
        self.put(pages, record, INDEX_MOST)
    }

    fn put(&mut self, pages: &mut Pages, record: &[u8], most: usize) -> io::Result<()> {
        let (here, rest) = record.split_at(local(record.len(), most));
        self.bytes.extend_from_slice(here);
        self.overflow = None;
        if !rest.is_empty() {
            let first = pages.overflow(rest)?;
            self.bytes.extend_from_slice(&first.to_be_bytes());
            self.overflow = Some(first);
        }
        Ok(())
    }
}

/// Returns how much of a record is in its cell: all of it, or so much that its overflow pages are
/// full.
fn local(len: usize, most: usize) -> usize {
    if len <= most {
        return len;
    }
    let full = LEAST + (len - LEAST) % OVERFLOW;
    if full <= most { full } else { LEAST }
}

/// A row of the table of files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'r> {
    /// The file id, as text.
    pub(crate) id: &'r [u8],
    pub(crate) domain: &'r [u8],
    pub(crate) path: &'r [u8],
    pub(crate) flags: u8,
    pub(crate) blob: &'r [u8],
}

impl Row<'_> {
    /// Writes the record of a row. Names are text whatever their bytes are, so that they come
    /// back as they were.
    pub(super) fn record(&self, out: &mut Vec<u8>) {
        let Self { id, domain, path, flags, blob } = *self;
        let flags = Integer::of(flags.into());
        // At most 35 bytes, so the length of the header takes one.
        out.clear();
        out.push(0);
        for text in [id, domain, path] {
            put_varint(out, text_type(text));
        }
        out.push(flags.kind);
        put_varint(out, blob_type(blob));
        put_header_length(out);
        for value in [id, domain, path, flags.bytes(), blob] {
            out.extend_from_slice(value);
        }
    }
}

/// Writes the record of an index entry: a text, and the row that has it.
pub(super) fn text_entry(out: &mut Vec<u8>, text: &[u8], rowid: u32) {
    let rowid = Integer::of(rowid);
    out.clear();
    out.push(0);
    put_varint(out, text_type(text));
    out.push(rowid.kind);
    put_header_length(out);
    out.extend_from_slice(text);
    out.extend_from_slice(rowid.bytes());
}

/// Writes the record of an index entry: a number, and the row that has it.
pub(super) fn integer_entry(out: &mut Vec<u8>, value: u8, rowid: u32) {
    let (value, rowid) = (Integer::of(value.into()), Integer::of(rowid));
    out.clear();
    out.extend_from_slice(&[3, value.kind, rowid.kind]);
    out.extend_from_slice(value.bytes());
    out.extend_from_slice(rowid.bytes());
}

/// Puts the length of a header, whose first byte was left for it, into its place.
fn put_header_length(record: &mut [u8]) {
    let len = u8::try_from(record.len()).unwrap_or(u8::MAX);
    debug_assert!(len < 0x80, "the length of a header of {len} bytes takes one");
    if let Some(first) = record.first_mut() {
        *first = len;
    }
}

fn text_type(text: &[u8]) -> u64 {
    13 + 2 * text.len() as u64
}

fn blob_type(blob: &[u8]) -> u64 {
    12 + 2 * blob.len() as u64
}

/// A number in as few bytes as SQLite gives it: none for 0 and 1, which have types of their own.
struct Integer {
    kind: u8,
    value: [u8; 6],
    len: usize,
}

impl Integer {
    /// Numbers have a sign, so the highest bit of the first byte is never theirs.
    fn of(value: u32) -> Self {
        let (kind, len) = match value {
            0 => (8, 0),
            1 => (9, 0),
            2..0x80 => (1, 1),
            0x80..0x8000 => (2, 2),
            0x8000..0x80_0000 => (3, 3),
            0x80_0000..0x8000_0000 => (4, 4),
            _ => (5, 6),
        };
        let [a, b, c, d] = value.to_be_bytes();
        Self { kind, value: [0, 0, a, b, c, d], len }
    }

    fn bytes(&self) -> &[u8] {
        &self.value[6 - self.len..]
    }
}

/// Writes a number seven bits a byte, the highest first. Nine bytes would hold all 64 bits; no
/// length or row here has more than 63.
pub(super) fn put_varint(out: &mut Vec<u8>, value: u64) {
    debug_assert!(value < 1 << 56, "{value} takes nine bytes");
    let groups = (u64::BITS - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let bits = u8::try_from(value >> (7 * group) & 0x7f).unwrap_or_default();
        out.push(if group == 0 { bits } else { bits | 0x80 });
    }
}

#[cfg(test)]
mod tests {
    use super::{INDEX_MOST, Integer, LEAST, OVERFLOW, TABLE_MOST, local, put_varint};

    /// The figures of the file format's document for pages of 4,096 bytes, and its formulas.
    #[test]
    fn thresholds_are_those_of_the_format() {
        assert_eq!((TABLE_MOST, INDEX_MOST, LEAST, OVERFLOW), (4061, 1002, 489, 4092));
        assert_eq!(local(4061, TABLE_MOST), 4061);
        // K = M + (P - M) % (U - 4) = 489 + 3573: one more than fits, so it is M.
        assert_eq!(local(4062, TABLE_MOST), 489);
        // The overflow page is full.
        assert_eq!(local(489 + 4092, TABLE_MOST), 489);
        assert_eq!(local(490 + 4092, TABLE_MOST), 490);
        assert_eq!((local(1002, INDEX_MOST), local(1003, INDEX_MOST)), (1002, 489));
    }

    /// Known answers: the examples of the format's document for variable-length integers.
    #[test]
    fn varints_have_the_bytes_of_the_format() {
        let varint = |value| {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            out
        };
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(0x7f), [0x7f]);
        assert_eq!(varint(0x80), [0x81, 0x00]);
        assert_eq!(varint(0x3fff), [0xff, 0x7f]);
        assert_eq!(varint(0x4000), [0x81, 0x80, 0x00]);
        assert_eq!(varint(u32::MAX.into()), [0x8f, 0xff, 0xff, 0xff, 0x7f]);
    }

    #[test]
    fn integers_take_the_fewest_bytes() {
        let of = |value| {
            let integer = Integer::of(value);
            (integer.kind, integer.bytes().to_vec())
        };
        assert_eq!(of(0), (8, vec![]));
        assert_eq!(of(1), (9, vec![]));
        assert_eq!(of(2), (1, vec![2]));
        assert_eq!(of(127), (1, vec![127]));
        assert_eq!(of(128), (2, vec![0, 128]));
        assert_eq!(of(0x7fff), (2, vec![0x7f, 0xff]));
        assert_eq!(of(0x8000), (3, vec![0, 0x80, 0]));
        assert_eq!(of(0x80_0000), (4, vec![0, 0x80, 0, 0]));
        assert_eq!(of(0x8000_0000), (5, vec![0, 0, 0x80, 0, 0, 0]));
    }
}
