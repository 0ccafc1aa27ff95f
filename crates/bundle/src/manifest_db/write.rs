//! `Manifest.db`, written as a device leaves it.
//!
//! ```text
//! page 1   header: WAL mode, auto-vacuum incremental, user_version 2 │ schema
//! page 2   pointer map
//! page 3…  roots of Files, its own index, three more, Properties, its own index; then all else
//! ```
//!
//! The database is built in memory and nothing of it is ever on a disk: what SQLite sorts for an
//! index stays in memory as well. Source: FORMAT.md 2.1 and 2.2.

use bkp_core::{Entry, EntryKind};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, MAIN_DB, serialize};

use crate::catalog_writer::{CatalogImage, CatalogWriteError};

/// Page size and auto-vacuum are fixed by the first table, so they come before it. There is
/// nothing to roll back to: a catalog that fails is thrown away.
const BEGIN: &str = "
    PRAGMA page_size = 4096;
    PRAGMA encoding = 'UTF-8';
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA temp_store = MEMORY;
    PRAGMA user_version = 2;
    CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, flags INTEGER, file BLOB);
    BEGIN";
/// An index that is built from the rows at once is faster, and smaller, than one that grows. With
/// auto-vacuum SQLite keeps roots at the front of the file, whatever was there before.
const END: &str = "
    CREATE INDEX FilesDomainIdx ON Files(domain);
    CREATE INDEX FilesRelativePathIdx ON Files(relativePath);
    CREATE INDEX FilesFlagsIdx ON Files(flags);
    CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB);
    COMMIT";
/// A constraint that fails in the middle of an insert could not be undone without a journal. This
/// way SQLite looks for the id before it writes anything.
const INSERT: &str = "INSERT OR IGNORE INTO Files VALUES (?1, ?2, ?3, ?4, ?5)";

/// A catalog while it grows.
#[derive(Debug)]
pub(crate) struct DbWriter {
    db: Connection,
}

impl DbWriter {
    pub(crate) fn new() -> Result<Self, CatalogWriteError> {
        let begin = || {
            let db = Connection::open_in_memory()?;
            db.execute_batch(BEGIN)?;
            Ok(Self { db })
        };
        begin().map_err(CatalogWriteError::Database)
    }

    /// Adds a row with this MBFile blob. False when there is one of its id.
    pub(crate) fn push(&mut self, entry: &Entry, blob: &[u8]) -> Result<bool, CatalogWriteError> {
        let flags = match entry.kind {
            EntryKind::Directory => 2,
            EntryKind::Symlink(_) => 4,
            _ => 1,
        };
        let id = entry.id.to_hex();
        // Names are text whatever their bytes are, so that they come back as they were.
        let text = |bytes| ToSqlOutput::Borrowed(ValueRef::Text(bytes));
        let insert = || {
            let mut insert = self.db.prepare_cached(INSERT)?;
            insert.execute([
                text(&id),
                text(entry.domain.as_bytes()),
                text(entry.path.as_bytes()),
                ToSqlOutput::Owned(Value::Integer(flags)),
                ToSqlOutput::Borrowed(ValueRef::Blob(blob)),
            ])
        };
        insert().map(|rows| rows == 1).map_err(CatalogWriteError::Database)
    }

    /// Returns the whole file.
    pub(crate) fn finish(self) -> Result<CatalogImage, CatalogWriteError> {
        let Self { mut db } = self;
        let finish = |db: &mut Connection| {
            db.execute_batch(END)?;
            Ok(match db.serialize(MAIN_DB)? {
                serialize::Data::Owned(image) => CatalogImage::sqlite(image),
                serialize::Data::Shared(image) => CatalogImage::bytes(image.to_vec()),
            })
        };
        let mut image = finish(&mut db).map_err(CatalogWriteError::Database)?;
        // A device's database is in WAL mode, which one in memory cannot be.
        if let Some(versions) = image.as_mut_bytes().get_mut(18..20) {
            versions.fill(2);
        }
        Ok(image)
    }
}
