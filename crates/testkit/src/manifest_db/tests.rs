use rusqlite::Connection;

use super::{Cell, IndexSet, Row, Shape, build};

fn rows(count: usize) -> Vec<Row> {
    (0..count)
        .map(|n| Row {
            file_id: Cell::text(format!("{n:040x}")),
            domain: Cell::text("HomeDomain"),
            path: Cell::text(format!("Library/{n}")),
            flags: Cell::Integer(1),
            file: Cell::Blob(vec![0x5a; 700]),
        })
        .collect()
}

fn open(mut image: Vec<u8>) -> (tempfile::NamedTempFile, Connection) {
    // A reader that leaves no trace must take the WAL flag off first.
    image[18..20].copy_from_slice(&[1, 1]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), image).unwrap();
    let db = Connection::open(file.path()).unwrap();
    (file, db)
}

const OLD: Shape<'_> =
    Shape { indexes: IndexSet::Old, flags_as_text: false, user_version: 2, properties: &[] };

/// The header of a real Manifest.db of iOS 13.3, where nothing depends on its content.
#[test]
fn header_is_that_of_a_device() {
    let image = build(&rows(3), &OLD).unwrap();
    assert_eq!(&image[..16], b"SQLite format 3\0");
    assert_eq!(&image[16..24], [0x10, 0, 2, 2, 0, 64, 32, 32]);
    let word = |at: usize| u32::from_be_bytes(image[at..at + 4].try_into().unwrap());
    assert_eq!((word(36), word(44)), (0, 4), "no free page, schema format 4");
    assert_eq!((word(52), word(64)), (9, 1), "largest root page, incremental vacuum");
    assert_eq!((word(56), word(60), word(68)), (1, 2, 0), "UTF-8, user_version, application_id");
}

#[test]
fn schema_and_its_order() {
    let image = build(&rows(3), &OLD).unwrap();
    let (_file, db) = open(image);
    let mut names = db.prepare("SELECT name FROM sqlite_master").unwrap();
    let names: Vec<String> =
        names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        names,
        [
            "Files",
            "sqlite_autoindex_Files_1",
            "FilesDomainIdx",
            "FilesRelativePathIdx",
            "FilesFlagsIdx",
            "Properties",
            "sqlite_autoindex_Properties_1"
        ]
    );
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn every_storage_class_arrives() {
    let odd = Row {
        file_id: Cell::Null,
        domain: Cell::Blob(b"HomeDomain".to_vec()),
        path: Cell::Text(vec![b'a', 0, 0xff]),
        flags: Cell::text("one"),
        file: Cell::Real(1.5),
    };
    let (_file, db) = open(build(&[odd], &Shape { indexes: IndexSet::New, ..OLD }).unwrap());
    let types: String = db
        .query_row(
            "SELECT typeof(fileID) || ' ' || typeof(domain) || ' ' || typeof(relativePath) || ' '
                || typeof(flags) || ' ' || typeof(file) || ' ' || hex(relativePath) FROM Files",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(types, "null blob text text real 6100FF");
}

#[test]
fn properties_are_kept() {
    let properties = [("salt".to_owned(), vec![1, 2, 3])];
    let (_file, db) = open(build(&[], &Shape { properties: &properties, ..OLD }).unwrap());
    let salt: Vec<u8> =
        db.query_row("SELECT value FROM Properties WHERE key = 'salt'", [], |r| r.get(0)).unwrap();
    assert_eq!(salt, [1, 2, 3]);
}
