//! An empty catalog, made by SQLite.

use rusqlite::{Connection, MAIN_DB};

use super::pages::PAGE;

/// Page size and auto-vacuum are fixed by the first table, so they come before it. With auto-vacuum
/// SQLite keeps roots at the front of the file.
const EMPTY: &str = "
    PRAGMA page_size = 4096;
    PRAGMA encoding = 'UTF-8';
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA user_version = 2;
    BEGIN;
    CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, flags INTEGER, file BLOB);
    CREATE INDEX FilesDomainIdx ON Files(domain);
    CREATE INDEX FilesRelativePathIdx ON Files(relativePath);
    CREATE INDEX FilesFlagsIdx ON Files(flags);
    CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB);
    COMMIT";

/// The first pages of every catalog: header and schema, pointer map, empty roots.
#[derive(Debug)]
pub(super) struct Template {
    /// The pages one behind the other.
    pub(super) pages: Vec<u8>,
    /// How many there are.
    pub(super) count: u32,
    /// The root of the table of files.
    pub(super) files: u32,
    /// Those of its indexes.
    pub(super) ids: u32,
    pub(super) domains: u32,
    pub(super) paths: u32,
    pub(super) flags: u32,
}

impl Template {
    pub(super) fn new() -> rusqlite::Result<Self> {
        let mut db = Connection::open_in_memory()?;
        db.execute_batch(EMPTY)?;
        let pages = db.serialize(MAIN_DB)?.to_vec();
        let root = |name: &str| {
            let sql = "SELECT rootpage FROM sqlite_master WHERE name = ?1";
            db.query_row(sql, [name], |row| row.get::<_, u32>(0))
        };
        Ok(Self {
            count: u32::try_from(pages.len() / PAGE).unwrap_or(u32::MAX),
            pages,
            files: root("Files")?,
            ids: root("sqlite_autoindex_Files_1")?,
            domains: root("FilesDomainIdx")?,
            paths: root("FilesRelativePathIdx")?,
            flags: root("FilesFlagsIdx")?,
        })
    }
}
