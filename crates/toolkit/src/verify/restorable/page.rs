//! The first page of `Manifest.db`: its header, and the schema where it fits there.
//!
//! ```text
//! 0    16  18 19 20      52          56        60            64          100
//! magic│size│w r│reserved│ auto_vacuum│encoding │user_version │incremental│ b-tree: the schema
//! ```
//!
//! Source: "Database File Format" of the SQLite documentation, 1.3, 1.6 and 2.1.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::{self, Read};

use crate::verify::finding::Finding;
use crate::verify::log::Log;

/// The longest page there is, in bytes.
const LONGEST: usize = 65_536;
/// Bytes of the header.
const HEADER: usize = 100;
/// The most objects of a schema that are looked at. A device makes seven.
const OBJECTS: usize = 100;
/// The tables, as devices declare them, without spaces, quotes and case.
const TABLES: [(&str, &str); 2] = [
    (
        "files",
        "createtablefiles(fileidtextprimarykey,domaintext,relativepathtext,flagsinteger,fileblob)",
    ),
    ("properties", "createtableproperties(keytextprimarykey,valueblob)"),
];

/// Reads the first page, or what there is of it.
pub(super) fn first(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    reader.take(limit).read_to_end(&mut page)?;
    Ok(page)
}

/// Counts the bytes of a file to its end.
pub(super) fn length(mut stored: Box<dyn Read + Send>) -> io::Result<u64> {
    io::copy(&mut stored, &mut io::sink())
}

/// What is odd about the file that holds the catalog.
#[derive(Debug, Default)]
pub(super) struct Shape {
    form: Vec<String>,
    schema: Vec<String>,
}

impl Shape {
    /// Looks at the first page. `stored` is the length of an encrypted catalog.
    pub(super) fn of(page: &[u8], stored: Option<u64>) -> Self {
        let mut shape = Self::default();
        let Some(header) = page.get(..HEADER) else { return shape };
        let size = match be(header, 16, 2) {
            1 => LONGEST,
            size => size,
        };
        let mut form = |odd: String| shape.form.push(odd);
        if size != 4096 {
            form(format!("its pages have {size} bytes, and those of devices 4096"));
        }
        if be(header, 20, 1) != 0 {
            form("its pages have reserved bytes".into());
        }
        if be(header, 52, 4) == 0 || be(header, 64, 4) == 0 {
            form("auto_vacuum is not incremental".into());
        }
        if be(header, 56, 4) != 1 {
            form("its text is not UTF-8".into());
        }
        let page_size = u64::try_from(size).unwrap_or(u64::MAX);
        if stored.is_some_and(|len| len.checked_rem(page_size) == Some(0)) {
            form("it is encrypted without padding, and some readers refuse that".into());
        }
        let usable = size.saturating_sub(be(header, 20, 1));
        match page.get(..size).and_then(|page| objects(page, usable)) {
            Some(objects) => shape.schema(&objects),
            None => shape.schema.push("its schema does not fit the first page".into()),
        }
        shape
    }

    fn schema(&mut self, objects: &[Object]) {
        for (name, statement) in TABLES {
            match objects.iter().find(|object| object.kind == "table" && object.name == name) {
                None => self.schema.push(format!("it has no table {name}")),
                Some(table) if table.statement != statement => {
                    self.schema.push(format!("the table {name} is declared otherwise"));
                }
                Some(_) => {}
            }
        }
        for Object { kind, name, .. } in objects {
            let ours = kind == "index" || TABLES.iter().any(|(table, _)| table == name);
            if !ours {
                self.schema.push(format!("it has a {kind} that no device makes"));
            }
        }
    }

    pub(super) fn tell(&self, log: &Log<'_>) {
        for (code, odd) in [("catalog-form", &self.form), ("catalog-schema", &self.schema)] {
            for odd in odd {
                log.add(Finding::warning(code, format!("Manifest.db is unusual: {odd}")));
            }
        }
    }
}

/// A row of the schema, in lower case and without spaces and quotes.
#[derive(Debug, Eq, PartialEq)]
struct Object {
    kind: String,
    name: String,
    statement: String,
}

/// Reads a big-endian number of at most four bytes, or 0 beyond the end.
fn be(bytes: &[u8], at: usize, len: usize) -> usize {
    let digits = bytes.get(at..at.saturating_add(len)).unwrap_or_default();
    digits.iter().fold(0, |n, &byte| n.wrapping_shl(8) | usize::from(byte))
}

/// Reads the rows of the schema's b-tree, if that is one leaf.
fn objects(page: &[u8], usable: usize) -> Option<Vec<Object>> {
    const LEAF: u8 = 13;
    if page.get(HEADER) != Some(&LEAF) {
        return None;
    }
    let cells = be(page, HEADER.saturating_add(3), 2);
    if cells > OBJECTS {
        return None;
    }
    let pointers = HEADER.saturating_add(8);
    (0..cells)
        .map(|n| {
            object(page.get(be(page, pointers.saturating_add(n.saturating_mul(2)), 2)..)?, usable)
        })
        .collect()
}

/// Reads a cell: the length of the record, the row's number, and five columns.
fn object(mut cell: &[u8], usable: usize) -> Option<Object> {
    let len = varint(&mut cell)?;
    varint(&mut cell)?;
    if len > usable.saturating_sub(35) {
        return None; // goes on in another page
    }
    let record = cell.get(..len)?;
    let mut head = record;
    let head_len = varint(&mut head)?;
    let read = record.len().saturating_sub(head.len());
    let mut head = head.get(..head_len.checked_sub(read)?)?;
    let mut body = record.get(head_len..)?;
    let mut columns = Vec::with_capacity(5);
    while !head.is_empty() && columns.len() < 5 {
        let (width, is_text) = match varint(&mut head)? {
            0 | 8 | 9 => (0, false),
            n @ 1..=4 => (n, false),
            5 => (6, false),
            6 | 7 => (8, false),
            10 | 11 => return None,
            n => (n.checked_sub(12)?.wrapping_shr(1), n & 1 == 1),
        };
        let (value, rest) = body.split_at_checked(width)?;
        body = rest;
        columns.push(if is_text { plain(value) } else { String::new() });
    }
    let mut columns = columns.into_iter();
    let (kind, name, statement) = (columns.next()?, columns.next()?, columns.nth(2)?);
    Some(Object { kind, name, statement })
}

/// Takes a text to lower case, and drops spaces and quotes.
fn plain(text: &[u8]) -> String {
    let kept = text
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace() && !b"\"'`[];".contains(byte))
        .map(u8::to_ascii_lowercase);
    String::from_utf8_lossy(&kept.collect::<Vec<_>>()).into_owned()
}

/// Reads a number of one to nine bytes, seven bits each. One beyond 2^31 is none.
fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_u64;
    for _ in 0..5 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value = value.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok().filter(|&value| value < 1 << 31);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{Shape, first, length, objects, varint};

    const SETUP: &str = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = 2;";
    const FILES: &str = "CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, \
                         relativePath TEXT, flags INTEGER, file BLOB);";
    const PROPERTIES: &str = "CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB);";

    fn image(statements: &[&str]) -> Vec<u8> {
        let mut db = Connection::open_in_memory().unwrap();
        statements.iter().for_each(|statement| db.execute_batch(statement).unwrap());
        db.serialize(rusqlite::MAIN_DB).unwrap().to_vec()
    }

    fn odd(image: &[u8]) -> Vec<String> {
        let page = first(&mut &image[..]).unwrap();
        let Shape { form, schema } = Shape::of(&page, None);
        [form, schema].concat()
    }

    #[test]
    fn what_devices_make_is_usual() {
        assert_eq!(odd(&image(&[SETUP, FILES, PROPERTIES])), Vec::<String>::new());
        let quoted = FILES.replace("Files", "\"Files\"").replace(", ", ",\n  ");
        let index = "CREATE INDEX Anything ON Files(domain);";
        assert_eq!(odd(&image(&[SETUP, &quoted, PROPERTIES, index])), Vec::<String>::new());
    }

    #[test]
    fn what_is_unusual() {
        for (statements, expected) in [
            (&[FILES, PROPERTIES][..], "auto_vacuum"),
            (&["PRAGMA page_size = 8192; PRAGMA auto_vacuum = 2;", FILES, PROPERTIES], "8192"),
            (&["PRAGMA page_size = 65536; PRAGMA auto_vacuum = 2;", FILES, PROPERTIES], "65536"),
            (&["PRAGMA encoding = 'UTF-16le';", SETUP, FILES, PROPERTIES], "UTF-8"),
            (&[SETUP, FILES], "no table properties"),
            (&[SETUP, &FILES.replace("INTEGER", "TEXT"), PROPERTIES], "files is declared"),
            (&[SETUP, FILES, PROPERTIES, "CREATE VIEW V AS SELECT 1;"], "a view that no device"),
        ] {
            let odd = odd(&image(statements));
            assert!(odd.iter().any(|odd| odd.contains(expected)), "{expected}: {odd:?}");
        }
        let whole = image(&[SETUP, FILES, PROPERTIES]);
        let len = u64::try_from(whole.len()).unwrap();
        for (stored, padded) in [(len, false), (len + 16, true)] {
            let Shape { form, .. } = Shape::of(&whole, Some(stored));
            assert_eq!(form.is_empty(), padded, "{form:?}");
        }
        assert_eq!(length(Box::new(std::io::Cursor::new(whole))).unwrap(), len);
    }

    #[test]
    fn every_cut_and_every_changed_byte() {
        let whole = image(&[SETUP, FILES, PROPERTIES]);
        let mut page = first(&mut &whole[..]).unwrap();
        page.truncate(4096);
        for end in 0..page.len() {
            Shape::of(&page[..end], None);
        }
        for at in 0..page.len() {
            let kept = page[at];
            for value in [0, 1, 0x7f, 0x80, 0xff, kept ^ 1] {
                page[at] = value;
                Shape::of(&page, None);
                objects(&page, 4096);
            }
            page[at] = kept;
        }
        assert_eq!(varint(&mut &[0xff; 9][..]), None);
        assert_eq!(varint(&mut &[0x81, 0x00][..]), Some(128));
    }
}
