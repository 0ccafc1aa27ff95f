//! Databases that were made to do harm. The many small cases are in `fixtures/cases`; here are
//! those that are about time and memory, and about what is never asked of SQLite.

use std::time::{Duration, Instant};

use bkp_core::{Domain, Fault as _, RelPath};
use bkp_testkit::faults::pages;
use rusqlite::{Connection, MAIN_DB};

use super::ManifestDb;
use crate::{BundleError, Storage};

fn open(image: Vec<u8>) -> Result<ManifestDb, BundleError> {
    ManifestDb::open(&Storage::memory([("Manifest.db".to_owned(), image)]), None)
}

fn built(sql: &str) -> Vec<u8> {
    let mut db = Connection::open_in_memory().unwrap();
    db.execute_batch(sql).unwrap();
    db.serialize(MAIN_DB).unwrap().to_vec()
}

/// Codes of everything that is not a record, and how many records there are.
fn list(db: &ManifestDb) -> (Vec<&'static str>, usize) {
    let mut codes = Vec::new();
    let mut records = 0;
    for record in db.records() {
        match record {
            Ok(_) => records += 1,
            Err(error) => codes.push(error.code()),
        }
    }
    (codes, records)
}

fn quickly<T>(run: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = run();
    assert!(begun.elapsed() < Duration::from_secs(20), "took {:?}", begun.elapsed());
    result
}

const FILES: &str = "CREATE TABLE Files(fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT,
    flags INTEGER, file BLOB);";

#[test]
fn a_schema_that_never_ends_is_given_up() {
    let error = quickly(|| open(pages::named("schema-tower").unwrap()).unwrap_err());
    assert_eq!(error.code(), "limit-exceeded", "{error:?}");
}

#[test]
fn rows_that_never_end_are_given_up() {
    let db = open(pages::named("files-tower").unwrap()).unwrap();
    quickly(|| {
        let (codes, records) = list(&db);
        // The one row, once; and that the next is the same.
        assert_eq!((codes, records), (vec!["bad-metadata", "catalog-damaged"], 0));
        let (domain, path) = (Domain::new("HomeDomain").unwrap(), RelPath::new("b").unwrap());
        assert!(db.find(&domain, &path).unwrap().is_none());
    });
    let db = open(pages::named("properties-tower").unwrap()).unwrap();
    quickly(|| db.quick_check());
    let error = BundleError::from(quickly(|| db.property("salt").unwrap_err()));
    assert_eq!(error.code(), "limit-exceeded", "{error:?}");
    // The sound twin, so that the towers are what is refused.
    let db = open(pages::named("sound").unwrap()).unwrap();
    assert_eq!(list(&db), (vec!["bad-metadata"], 0));
    assert_eq!(db.property("k").unwrap().unwrap(), b"v");
}

/// What verification asks of a sound catalog is allowed.
#[test]
fn checks_are_authorised() {
    let db = open(built(&format!("{FILES} PRAGMA user_version = 2;"))).unwrap();
    assert_eq!(db.user_version().unwrap(), 2);
    assert_eq!(db.quick_check(), crate::DatabaseReport::default());
}

/// No more is listed than twice what there is.
#[test]
fn rows_that_share_their_bytes_do_not_multiply_them() {
    let image = pages::named("shared-overflow").unwrap();
    let len = image.len();
    let db = open(image).unwrap();
    let (codes, records) = quickly(|| list(&db));
    assert_eq!((codes.last(), records), (Some(&"hostile-catalog"), 0));
    assert!(codes.len() < len * 2 / 100_000 + 3, "{} rows of {len} bytes", codes.len());
}

/// One call of a function is one step, however long it takes: such a column is not read at all.
#[test]
fn columns_that_are_computed_are_not_computed() {
    for storage in ["VIRTUAL", "STORED"] {
        let expression = "(hex(zeroblob(100000)) LIKE '%0%0%0%0%0%0%0%0%0%0%1')";
        let table = format!(
            "CREATE TABLE Files(fileID TEXT, domain TEXT, relativePath TEXT, flags INTEGER, \
             file BLOB GENERATED ALWAYS AS {expression} {storage});"
        );
        let error = quickly(|| open(built(&table)).unwrap_err());
        assert_eq!(error.code(), "hostile-catalog", "{error:?}");
    }
}

#[test]
fn a_row_that_is_too_long_costs_itself_alone() {
    let image = built(&format!(
        "{FILES} INSERT INTO Files VALUES ('a', 'D', 'a', 2, NULL);
         INSERT INTO Files(rowid, fileID, file) VALUES (10, 'b', zeroblob(17000000));
         INSERT INTO Files(rowid, fileID, domain) VALUES (20, 'c', 'D');"
    ));
    let db = open(image).unwrap();
    let found: Vec<_> =
        db.records().map(|record| record.map(drop).unwrap_err().to_string()).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[1], "row 10 of Manifest.db has a column of more than 16777216 bytes");
}

/// A million rows of nothing are a million rows that cannot be read, and take seconds.
#[test]
fn a_million_rows_of_nothing() {
    let image = built(&format!(
        "{FILES} WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 1000000)
         INSERT INTO Files SELECT NULL, NULL, NULL, NULL, NULL FROM n;"
    ));
    let db = open(image).unwrap();
    let begun = Instant::now();
    let mut rows = 0_usize;
    for record in db.records() {
        assert_eq!(record.unwrap_err().code(), "bad-row");
        rows += 1;
    }
    assert_eq!(rows, 1_000_000);
    assert!(begun.elapsed() < Duration::from_secs(60), "took {:?}", begun.elapsed());
}

#[test]
fn schemas_of_many_megabytes() {
    // One statement of 2 MiB: SQLite refuses the schema.
    let comment = "x".repeat(2 << 20);
    let long = built(&format!("{FILES} CREATE TABLE t(a /* {comment} */);"));
    assert_eq!(quickly(|| open(long).unwrap_err()).code(), "catalog-damaged");
    // Twenty thousand tables: more than are loaded. A thousand are no reason to lose the files.
    let tables = |count: usize| {
        built(&format!(
            "{FILES} PRAGMA writable_schema = 1;
             WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT {count})
             INSERT INTO sqlite_master
                 SELECT 'table', 't' || n, 't' || n, 2, 'CREATE TABLE t' || n || '(a)' FROM n;"
        ))
    };
    let many = tables(20_000);
    assert_eq!(quickly(|| open(many).unwrap_err()).code(), "catalog-damaged");
    assert_eq!(list(&quickly(|| open(tables(1_000)).unwrap())), (vec![], 0));
}

/// A file of zeros without end costs nothing to make, and would be read into memory.
#[test]
fn a_catalog_of_terabytes_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("Manifest.db");
    std::fs::write(&path, built(FILES)).unwrap();
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len((4 << 30) + 4096).unwrap();
    let storage = Storage::directory(dir.path()).unwrap();
    let error = quickly(|| ManifestDb::open(&storage, None).unwrap_err());
    assert_eq!(error.code(), "limit-exceeded");
}

/// SQLite gives text as UTF-8, whatever it stores. Half a character becomes a mark, and is no way
/// out.
#[test]
fn databases_in_utf16() {
    for encoding in ["UTF-16le", "UTF-16be"] {
        let id = "0".repeat(39);
        let db = open(built(&format!(
            "PRAGMA encoding = '{encoding}'; {FILES}
             INSERT INTO Files VALUES ('{id}1', 'HomeDomain', 'Gr\u{fc}\u{df}e \u{1f600}', 1, NULL);
             INSERT INTO Files VALUES ('{id}2', 'HomeDomain', '../x', 1, NULL);
             INSERT INTO Files VALUES ('{id}3', 'HomeDomain', CAST(x'00d8' AS TEXT), 1, NULL);"
        )))
        .unwrap();
        let found: Vec<_> = db
            .records()
            .map(|record| match record {
                Ok(record) => record.as_ref().path.to_string_lossy().into_owned(),
                Err(error) => error.code().to_owned(),
            })
            .collect();
        assert_eq!(found[..2], ["Gr\u{fc}\u{df}e \u{1f600}", "hostile-name"], "{encoding}");
        assert_eq!(found.len(), 3, "{encoding}: {found:?}");
        let (domain, path) = ("HomeDomain", "Gr\u{fc}\u{df}e \u{1f600}");
        let (domain, path) = (Domain::new(domain).unwrap(), RelPath::new(path).unwrap());
        assert!(db.find(&domain, &path).unwrap().is_some(), "{encoding}");
    }
}

/// Whatever is asked beyond reading two tables and the schema is refused when it is prepared.
#[test]
fn nothing_but_reading_is_authorised() {
    let db =
        open(built(&format!("{FILES} CREATE TABLE Other(a); CREATE VIEW v AS SELECT 1;"))).unwrap();
    for sql in [
        "SELECT * FROM Other",
        "SELECT * FROM v",
        "SELECT hex(fileID) FROM Files",
        "SELECT load_extension('x')",
        "SELECT fts5(1)",
        "INSERT INTO Files VALUES (1, 2, 3, 4, 5)",
        "DELETE FROM Files",
        "CREATE TABLE n(a)",
        "CREATE TEMP TABLE n(a)",
        "DROP TABLE Files",
        "ATTACH ':memory:' AS a",
        "PRAGMA writable_schema = 1",
        "PRAGMA query_only = 0",
        "VACUUM INTO 'never.db'",
        "BEGIN",
        "SAVEPOINT s",
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT n FROM n",
        "SELECT * FROM pragma_table_list",
        "SELECT * FROM json_each('[1]')",
        "ANALYZE",
        "REINDEX",
    ] {
        let result = db.db.prepare(sql).and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        });
        assert!(result.is_err(), "{sql} was not refused");
    }
    assert_eq!(list(&db), (vec![], 0));
}
