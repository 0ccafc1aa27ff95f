//! Manifest.db, the catalog since iOS 10. Source: FORMAT.md 2.1 to 2.4.

pub(crate) mod sidecar;

use std::io;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use crate::entry::Cell;

/// Which indexes stand beside the table of files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IndexSet {
    /// iOS 10 to 26: domain, relativePath, flags.
    Old,
    /// iOS 27: (domain, relativePath) in place of domain.
    New,
}

/// A row of the table of files, in column order.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// fileID.
    pub file_id: Cell,
    /// domain.
    pub domain: Cell,
    /// relativePath.
    pub path: Cell,
    /// flags.
    pub flags: Cell,
    /// file.
    pub file: Cell,
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            // Not checked for UTF-8: a hostile manifest is not either.
            Self::Text(value) => ValueRef::Text(value),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

/// What a catalog consists of besides its rows.
#[derive(Clone, Debug)]
pub(crate) struct Shape<'s> {
    pub(crate) indexes: IndexSet,
    pub(crate) flags_as_text: bool,
    pub(crate) user_version: i32,
    pub(crate) properties: &'s [(String, Vec<u8>)],
}

/// Statements that set up the file before anything is in it.
pub(crate) const SETUP: &str = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = 2;";

pub(crate) const CREATE_FILES: &str = "CREATE TABLE Files (fileID TEXT PRIMARY KEY, \
    domain TEXT, relativePath TEXT, flags INTEGER, file BLOB)";

pub(crate) const CREATE_PROPERTIES: &str =
    "CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB)";

impl IndexSet {
    pub(crate) fn create(self) -> &'static str {
        match self {
            Self::Old => {
                "CREATE INDEX FilesDomainIdx ON Files(domain);
                 CREATE INDEX FilesRelativePathIdx ON Files(relativePath);
                 CREATE INDEX FilesFlagsIdx ON Files(flags);"
            }
            Self::New => {
                "CREATE INDEX FilesDomainsRelativePathIdx ON Files(domain, relativePath);
                 CREATE INDEX FilesRelativePathIdx ON Files(relativePath);
                 CREATE INDEX FilesFlagsIdx ON Files(flags);"
            }
        }
    }
}

pub(crate) const INSERT: &str = "INSERT INTO Files VALUES (?1, ?2, ?3, ?4, ?5)";

/// Turns a database error into one of input and output. A full disk stays one.
pub(crate) fn sqlite(error: rusqlite::Error) -> io::Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => io::Error::new(io::ErrorKind::StorageFull, error),
        _ => io::Error::other(error),
    }
}

/// Creates both tables in the order of FORMAT.md 2.1 and inserts the rows.
pub(crate) fn fill(db: &mut Connection, rows: &[Row], shape: &Shape<'_>) -> rusqlite::Result<()> {
    if shape.flags_as_text {
        db.execute_batch(&CREATE_FILES.replace("flags INTEGER", "flags TEXT"))?;
    } else {
        db.execute_batch(CREATE_FILES)?;
    }
    db.execute_batch(shape.indexes.create())?;
    db.execute_batch(CREATE_PROPERTIES)?;
    db.pragma_update(None, "user_version", shape.user_version)?;
    insert(db, rows)?;
    for (key, value) in shape.properties {
        db.execute("INSERT INTO Properties VALUES (?1, ?2)", (key, value))?;
    }
    Ok(())
}

/// Inserts rows in one transaction.
pub(crate) fn insert(db: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    {
        let mut insert = transaction.prepare(INSERT)?;
        for Row { file_id, domain, path, flags, file } in rows {
            insert.execute((file_id, domain, path, flags, file))?;
        }
    }
    transaction.commit()
}

/// Builds the file's bytes.
pub(crate) fn build(rows: &[Row], shape: &Shape<'_>) -> io::Result<Vec<u8>> {
    let mut db = Connection::open_in_memory().map_err(sqlite)?;
    db.execute_batch(SETUP).map_err(sqlite)?;
    fill(&mut db, rows, shape).map_err(sqlite)?;
    let mut image = db.serialize(rusqlite::MAIN_DB).map_err(sqlite)?.to_vec();
    finish_header(&mut image);
    Ok(image)
}

/// Makes the header what a device writes: flagged for WAL, and without this machine's SQLite.
///
/// Offsets are those of the SQLite file format, section 1.3. Without the second patch a new
/// SQLite would change every committed fixture.
pub(crate) fn finish_header(image: &mut [u8]) {
    /// 3.43.2, the version of iOS 17.
    const SQLITE_VERSION_NUMBER: u32 = 3_043_002;
    if let Some(header) = image.get_mut(..100) {
        header[18..20].copy_from_slice(&[2, 2]);
        header[96..100].copy_from_slice(&SQLITE_VERSION_NUMBER.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
