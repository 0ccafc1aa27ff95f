use std::collections::HashSet;
use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::{all, find, hostile_rows, odd_rows, plist_bombs};

/// Every case is written, twice alike, and nothing appears beside its folder.
#[test]
fn every_case_is_written_inside_its_folder() {
    let mut names = HashSet::new();
    for case in all() {
        assert!(names.insert(case.name.clone()), "{} stands twice", case.name);
        if case.name == "full-kdf" {
            // Seconds of work, and no other code than encrypted-db.
            continue;
        }
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("a/b/bundle");
        case.spec.write(&inner).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        for (folder, only) in [("a", "b"), ("a/b", "bundle")] {
            let names: Vec<_> = fs::read_dir(outer.path().join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            assert_eq!(names, [only], "{} escaped", case.name);
        }
    }
    assert!(find("wal").is_some() && find("no such case").is_none());
}

fn rows(dir: &Path) -> Connection {
    let db = Connection::open_with_flags(
        format!("file:{}?immutable=1", dir.join("Manifest.db").display()),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI,
    );
    db.unwrap()
}

#[test]
fn odd_rows_are_what_they_claim() {
    let dir = tempfile::tempdir().unwrap();
    let truth = odd_rows(false).write(dir.path()).unwrap();
    let db = rows(dir.path());
    let one = |sql: &str| -> i64 { db.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(one("SELECT count(*) FROM Files WHERE flags = 16 AND file IS NULL"), 2);
    assert_eq!(one("SELECT count(*) FROM Files WHERE domain IS NULL"), 1);
    assert_eq!(one("SELECT count(*) FROM Files WHERE typeof(domain) = 'blob'"), 1);
    assert_eq!(one("SELECT count(*) FROM Files WHERE typeof(relativePath) = 'blob'"), 1);
    assert_eq!(one("SELECT count(*) FROM Files WHERE fileID != lower(fileID)"), 1);
    let state = |path: &str| {
        let entry = truth.entry("HomeDomain", path).unwrap();
        (entry.stored, entry.intact, entry.len)
    };
    assert_eq!(state("payload/empty-blob-0-bytes"), (true, true, 0));
    assert_eq!(state("payload/missing-blob"), (false, false, 100));
    assert_eq!(state("payload/short-blob"), (true, false, 100));
    assert_eq!(state("payload/size-too-big"), (true, true, 1000));
    assert_eq!(state("column/id-in-upper-case"), (true, true, 16));
    let twins = truth.entries.iter().filter(|entry| entry.path.starts_with(b"name/twin-caf"));
    let ids: HashSet<_> = twins.map(|entry| entry.file_id.clone()).collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn flags_are_text_where_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    find("flags-as-text").unwrap().spec.write(dir.path()).unwrap();
    let sql = "SELECT group_concat(DISTINCT typeof(flags) || flags) FROM Files";
    let kinds: String = rows(dir.path()).query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(kinds, "text1,text2,text4");
}

#[test]
fn encrypted_odd_payloads_have_the_lengths_they_claim() {
    let dir = tempfile::tempdir().unwrap();
    let truth = odd_rows(true).write(dir.path()).unwrap();
    let len = |path: &str| {
        let entry = truth.entry("HomeDomain", format!("payload/{path}")).unwrap();
        let id = String::from_utf8(entry.file_id.clone()).unwrap();
        fs::metadata(dir.path().join(&id[..2]).join(&id)).map(|data| data.len()).ok()
    };
    assert_eq!(len("empty-blob-0-bytes"), Some(0));
    assert_eq!(len("empty-blob-16-bytes"), Some(16));
    assert_eq!(len("one-less-than-a-block"), Some(16));
    assert_eq!(len("one-block"), Some(32));
    assert_eq!(len("no-padding"), Some(4096));
    assert_eq!(len("missing-blob"), None);
    assert_eq!(len("plain-in-encrypted"), Some(100));
    assert_eq!(len("short-blob"), Some(37));
}

#[test]
fn hostile_names_are_in_the_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = hostile_rows();
    spec.encryption = None;
    let truth = spec.write(dir.path()).unwrap();
    let db = rows(dir.path());
    for (column, value) in [
        ("fileID", "../../x"),
        ("domain", "../../escape-domain"),
        ("domain", ".."),
        ("domain", "names.jsonl"),
        ("relativePath", "/var/tmp/escape-absolute"),
        ("relativePath", "link/escape-through-relative"),
        ("relativePath", "../../escape-column"),
    ] {
        let sql = format!("SELECT count(*) FROM Files WHERE {column} = ?1");
        let count: i64 = db.query_row(&sql, [value], |row| row.get(0)).unwrap();
        assert!(count >= 1, "{column} {value} is not there");
    }
    let links: i64 = db
        .query_row(
            "SELECT count(*) FROM Files WHERE flags = 2 AND relativePath LIKE '%link%'",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(links, 0, "a link became a directory");
    assert!(truth.entry("HomeDomain", "last.txt").unwrap().intact);
}

/// The bombs are well-formed where they are meant to be: only their size kills.
#[test]
fn bombs_have_the_shape_they_claim() {
    for bomb in plist_bombs() {
        assert_eq!(bomb.xml, bomb.bytes.starts_with(b"<?xml"), "{}", bomb.name);
        assert!(bomb.bytes.len() < 4 << 20, "{}: a bomb is small", bomb.name);
    }
    let bomb = |name| plist_bombs().into_iter().find(|bomb| bomb.name == name).unwrap().bytes;
    let shallow = plist::Value::from_reader(std::io::Cursor::new(super::bombs::shallow_twin()));
    assert_eq!(shallow.unwrap().as_array().unwrap().len(), 10);
    // Eight levels of ten references and a text of 1,000 bytes, with four-byte offsets.
    assert_eq!(bomb("shared-8").len(), 8 + 8 * 41 + 1004 + 9 * 4 + 32);
}
