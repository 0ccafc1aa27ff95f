use std::path::Path;

use rusqlite::Connection;

use super::{Files, hot_journal, wal};
use crate::Seed;
use crate::manifest_db::{Cell, IndexSet, Row, Shape};

const SHAPE: Shape<'_> =
    Shape { indexes: IndexSet::Old, flags_as_text: false, user_version: 2, properties: &[] };

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

fn put(files: &Files) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn same(a: &Files, b: &Files) {
    for ((name, a), (_, b)) in a.iter().zip(b) {
        let differ = a.iter().zip(b).position(|(a, b)| a != b);
        assert_eq!((differ, a.len()), (None, b.len()), "{name} differs, first at this offset");
    }
}

/// What real SQLite reads: rows in all, and rows of the right domain.
fn count(dir: &Path) -> (i64, i64) {
    let db = Connection::open(dir.join("Manifest.db")).unwrap();
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    db.query_row("SELECT count(*), sum(domain = 'HomeDomain') FROM Files", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .unwrap()
}

#[test]
fn the_last_rows_are_in_the_log_alone() {
    let files = wal(&rows(200), 50, &SHAPE, Seed(4)).unwrap();
    same(&files, &wal(&rows(200), 50, &SHAPE, Seed(4)).unwrap());
    let dir = put(&files);
    assert_eq!(count(dir.path()), (200, 200));
    let dir = put(&files);
    std::fs::remove_file(dir.path().join("Manifest.db-wal")).unwrap();
    std::fs::remove_file(dir.path().join("Manifest.db-shm")).unwrap();
    assert_eq!(count(dir.path()), (150, 150));
}

/// A log with one changed bit ends before it: the checksums are real.
#[test]
fn the_log_is_checked() {
    let mut files = wal(&rows(200), 50, &SHAPE, Seed(4)).unwrap();
    files[1].1[32 + 24 + 100] ^= 1;
    files.truncate(2);
    assert_eq!(count(put(&files).path()), (150, 150));
}

#[test]
fn the_journal_undoes_the_damage() {
    let files = hot_journal(&rows(200), &SHAPE, Seed(4)).unwrap();
    same(&files, &hot_journal(&rows(200), &SHAPE, Seed(4)).unwrap());
    let dir = put(&files);
    assert_eq!(count(dir.path()), (200, 200));
    assert!(!dir.path().join("Manifest.db-journal").exists(), "the journal was not hot");
    // Without the journal the file shows the transaction that never was.
    let torn = files[0].1.windows(12).any(|window| window == b"UndoneDomain");
    assert!(torn, "nothing was spilled");
}
