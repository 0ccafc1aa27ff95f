//! Property lists that cost a reader its memory, its stack or its time.
//!
//! The shapes: nesting without end, few objects referred to very often, counts that no file
//! backs, and objects that hold themselves.

use crate::plist_writer::XML_HEAD;
use crate::{BundleSpec, Cell, EntrySpec};

/// A hostile property list.
#[derive(Debug)]
pub struct Bomb {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Whether it is XML; otherwise it is binary.
    pub xml: bool,
    /// The whole file.
    pub bytes: Vec<u8>,
}

impl Bomb {
    /// Puts the bomb into a bundle in place of one row's archive; the row's path is `bomb`.
    #[must_use]
    pub fn in_a_row(&self) -> BundleSpec {
        super::plain_db().with(|spec| {
            spec.entries.push(
                EntrySpec::file("HomeDomain", "bomb", "x")
                    .with(|entry| entry.row.file = Some(Cell::Blob(self.bytes.clone()))),
            );
        })
    }
}

/// Returns every bomb.
#[must_use]
pub fn plist_bombs() -> Vec<Bomb> {
    let binary = |name, about, bytes| Bomb { name, about, xml: false, bytes };
    let xml = |name, about, body: String| {
        let bytes = format!("{XML_HEAD}{body}</plist>\n").into_bytes();
        Bomb { name, about, xml: true, bytes }
    };
    vec![
        binary("deep-1000", "arrays, 1,000 levels deep", deep(1_000)),
        binary("deep-100000", "arrays, 100,000 levels deep", deep(100_000)),
        binary("deep-dict", "dictionaries, 50,000 levels deep", deep_dictionaries(50_000)),
        binary("shared-8", "8 levels of 10 references each: 10^8 strings", shared(8, 10)),
        binary("shared-12", "12 levels of 10 references each: 10^12 strings", shared(12, 10)),
        binary("self", "an array that holds itself", assemble(&[array(&[0])], None)),
        binary(
            "cycle",
            "a dictionary and an array that hold each other",
            assemble(&[dictionary(1, 2), text("k"), array(&[0])], None),
        ),
        binary("huge-data", "data of 2^40 bytes", assemble(&[counted(0x4f, 1 << 40)], None)),
        binary("huge-text", "text of 2^40 bytes", assemble(&[counted(0x5f, 1 << 40)], None)),
        binary("huge-utf16", "2^63 UTF-16 units", assemble(&[counted(0x6f, 1 << 63)], None)),
        binary("huge-array", "an array of 2^33", assemble(&[counted(0xaf, 1 << 33)], None)),
        binary("huge-dict", "a dictionary of 2^63", assemble(&[counted(0xdf, 1 << 63)], None)),
        binary("huge-table", "2^40 objects", assemble(&[vec![9]], Some(1 << 40))),
        binary("no-objects", "no objects", assemble(&[vec![9]], Some(0))),
        binary("wild-reference", "a reference to no object", assemble(&[array(&[77])], None)),
        binary("wild-offset", "an offset outside the file", wild_offset()),
        binary("int-16-bytes", "an integer of 16 bytes", assemble(&[wide_integer()], None)),
        xml(
            "xml-deep-array",
            "arrays, 100,000 levels deep",
            "<array>".repeat(100_000) + &"</array>".repeat(100_000),
        ),
        xml(
            "xml-deep-dict",
            "dictionaries, 100,000 levels deep",
            "<dict><key>k</key>".repeat(100_000) + &"</dict>".repeat(100_000),
        ),
        xml("xml-unclosed", "100,000 arrays, none closed", "<array>".repeat(100_000)),
        Bomb {
            name: "xml-entities",
            about: "entities that grow tenfold, eight times over",
            xml: true,
            bytes: entities(),
        },
    ]
}

/// Puts objects into a file with four-byte offsets and references; `count` is what it claims.
fn assemble(objects: &[Vec<u8>], count: Option<u64>) -> Vec<u8> {
    let mut out = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    for object in objects {
        offsets.extend(word(out.len()));
        out.extend(object);
    }
    let table = out.len() as u64;
    out.extend(offsets);
    out.extend([0, 0, 0, 0, 0, 0, 4, 4]);
    out.extend(count.unwrap_or(objects.len() as u64).to_be_bytes());
    out.extend(0u64.to_be_bytes());
    out.extend(table.to_be_bytes());
    out
}

/// A number as four bytes; bombs stay far below 4 GiB.
fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes()
}

/// An array of at most 14 references.
fn array(references: &[usize]) -> Vec<u8> {
    let mut out = vec![0xa0];
    for reference in references {
        out[0] += 1;
        out.extend(word(*reference));
    }
    out
}

/// A dictionary of one pair.
fn dictionary(key: usize, value: usize) -> Vec<u8> {
    [&[0xd1][..], &word(key), &word(value)].concat()
}

/// An ASCII text of at most 14 bytes.
fn text(text: &str) -> Vec<u8> {
    let mut out = vec![0x50];
    for byte in text.bytes() {
        out[0] += 1;
        out.push(byte);
    }
    out
}

/// A marker that says how many follow, and nothing that does.
fn counted(marker: u8, count: u64) -> Vec<u8> {
    [&[marker, 0x13][..], &count.to_be_bytes()].concat()
}

fn wide_integer() -> Vec<u8> {
    [&[0x14][..], &[0xff; 16]].concat()
}

fn deep(levels: usize) -> Vec<u8> {
    let mut objects: Vec<_> = (1..levels).map(|next| array(&[next])).collect();
    objects.push(vec![9]);
    assemble(&objects, None)
}

/// Object 0 is the outermost dictionary, object 1 the key of all.
fn deep_dictionaries(levels: usize) -> Vec<u8> {
    let mut objects = vec![dictionary(1, 2), text("k")];
    objects.extend((3..=levels).map(|next| dictionary(1, next)));
    objects.push(vec![9]);
    assemble(&objects, None)
}

fn shared(levels: usize, width: usize) -> Vec<u8> {
    let mut objects: Vec<_> = (1..=levels).map(|next| array(&vec![next; width])).collect();
    // A text of 1,000 bytes at the bottom.
    objects.push([&[0x5f, 0x11, 0x03, 0xe8][..], &[b'A'; 1000]].concat());
    assemble(&objects, None)
}

fn wild_offset() -> Vec<u8> {
    let mut bytes = assemble(&[vec![9]], None);
    // The table has one entry, right after the one object.
    bytes[9..13].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    bytes
}

fn entities() -> Vec<u8> {
    let mut out =
        String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE plist [\n<!ENTITY e0 \"boom\">\n");
    for level in 1..=8 {
        let body = format!("&e{};", level - 1).repeat(10);
        out.push_str(&format!("<!ENTITY e{level} \"{body}\">\n"));
    }
    out.push_str("]>\n<plist version=\"1.0\"><string>&e8;</string></plist>\n");
    out.into_bytes()
}

/// The bomb of shared references with one level, which any reader can take.
#[cfg(test)]
pub(super) fn shallow_twin() -> Vec<u8> {
    shared(1, 10)
}
