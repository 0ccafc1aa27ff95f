//! `Manifest.db`, decrypted into memory and never onto a disk.
//!
//! SQLite never sees the original: opening it in place would replay a `-wal` or a `-journal` into
//! the evidence and leave new files beside it. The bytes are read, what the side files hold is
//! applied to the copy in memory, and the copy is queried read-only.

mod guard;
mod image;
pub(crate) mod row;
#[cfg(test)]
mod tests;
mod write;

use std::cell::OnceCell;
use std::collections::VecDeque;

use bkp_core::{Domain, FileId, RelPath};
use bkp_crypto::{FileKey, LegacyCells, Passphrase};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _};

use crate::catalog::scan;
use crate::database::{self, Budget, DatabaseReport};
use crate::{BundleError, BundleRecord, CatalogError, Notice, Storage};
use row::RowReader;
pub(crate) use write::{Database, DbWriter, Position, Row};

/// The catalog of iOS 10 and later, read-only. Source: FORMAT.md 2.
#[derive(Debug)]
pub struct ManifestDb {
    db: Connection,
    budget: Budget,
    /// iOS 10.0 encrypted the `file` cells and nothing else; this opens them.
    cells: Option<LegacyCells>,
    bytes: u64,
    notices: Vec<Notice>,
    /// Rows by the index of their ids, once they have been counted.
    indexed: OnceCell<Option<u64>>,
}

/// Rows are fetched so many at a time.
const PAGE: u32 = 512;
const COLUMNS: &str = "SELECT rowid, fileID, domain, relativePath, flags, file FROM Files";
const PAGE_OF_ROWS: &str = "SELECT rowid, fileID, domain, relativePath, flags, file FROM Files \
    NOT INDEXED WHERE rowid >= ?1 ORDER BY rowid LIMIT ?2";

impl ManifestDb {
    /// Loads the catalog of a bundle, decrypting it when there is a key.
    pub(crate) fn open(storage: &Storage, key: Option<&FileKey>) -> Result<Self, BundleError> {
        let image::Image { mut db, bytes, notices } = image::load(storage, key)?;
        let budget = guard::arm(&mut db).map_err(CatalogError::Database)?;
        let this = Self { db, budget, cells: None, bytes, notices, indexed: OnceCell::new() };
        if !this.is_table("Files")? {
            return Err(CatalogError::NoFilesTable.into());
        }
        this.query(|db| db.prepare(COLUMNS).map(drop))?;
        Ok(this)
    }

    /// Runs one query, which may take so many steps and no more.
    fn query<T>(
        &self,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, CatalogError> {
        self.budget.allow(guard::STEPS);
        let result = run(&self.db);
        self.budget.lift();
        result.map_err(|source| match source.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => {
                CatalogError::ExcessiveWork { steps: guard::STEPS }
            }
            Some(ErrorCode::AuthorizationForStatementDenied) => CatalogError::Forbidden(source),
            _ => CatalogError::Database(source),
        })
    }

    /// Tells whether there is a table of this name. It must be an ordinary one: a view or a
    /// virtual table runs somebody's code when it is read, and so does a column that is computed.
    /// A column called `rowid` would hide the number that rows are listed by.
    fn is_table(&self, name: &'static str) -> Result<bool, CatalogError> {
        let found = self.query(|db| {
            let mut statement = db.prepare(
                "SELECT type, rootpage, sql FROM sqlite_master WHERE name = ?1 COLLATE NOCASE",
            )?;
            let mut rows = statement.query([name])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let text = |i| row.get_ref(i).ok().and_then(|value| value.as_bytes().ok());
                let root = row.get::<_, i64>(1).is_ok_and(|page| page > 0);
                found.push(text(0) == Some(b"table") && root && text(2).is_some_and(is_ordinary));
            }
            Ok(found)
        })?;
        if found.is_empty() {
            return Ok(false);
        }
        if found.contains(&false) {
            return Err(CatalogError::NotATable { name });
        }
        let plain = self.query(|db| {
            let mut statement = db.prepare(&format!("PRAGMA table_xinfo({name})"))?;
            let mut columns = statement.query([])?;
            while let Some(column) = columns.next()? {
                let name = column.get_ref(1)?;
                let hides = name.as_bytes().is_ok_and(|n| n.eq_ignore_ascii_case(b"rowid"));
                if hides || column.get::<_, i64>(6)? != 0 {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        if plain { Ok(true) } else { Err(CatalogError::NotATable { name }) }
    }

    /// Prepares for the encrypted `file` cells of iOS 10.0, where the salt is there.
    pub(crate) fn unlock_cells(&mut self, passphrase: &Passphrase) -> Result<(), BundleError> {
        let salt = self.property("salt")?;
        let hash = self.property("passwordHash")?;
        if let (Some(salt), Some(hash)) = (salt, hash) {
            self.cells =
                Some(LegacyCells::new(passphrase, &salt, &hash).map_err(BundleError::Cells)?);
        }
        Ok(())
    }

    /// Returns whether the `file` cells are encrypted, as iOS 10.0 did it.
    ///
    /// # Errors
    ///
    /// Fails when the database cannot be queried.
    pub fn has_encrypted_cells(&self) -> Result<bool, CatalogError> {
        Ok(self.property("salt")?.is_some() && self.property("passwordHash")?.is_some())
    }

    /// Returns `PRAGMA user_version`: 2 on every device seen. Source: FORMAT.md 2.1.
    ///
    /// # Errors
    ///
    /// Fails when the database cannot be queried.
    pub fn user_version(&self) -> Result<i64, CatalogError> {
        self.query(|db| db.query_row("PRAGMA user_version", [], |row| row.get(0)))
    }

    /// Has SQLite look through every page of the catalog.
    #[must_use]
    pub fn quick_check(&self) -> DatabaseReport {
        database::quick_check(&self.db, &self.budget, self.bytes)
    }

    fn property(&self, key: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        if !self.is_table("Properties")? {
            return Ok(None);
        }
        let value = self.query(|db| {
            db.query_row("SELECT value FROM Properties WHERE key = ?1", [key], |row| {
                Ok(match row.get_ref(0)? {
                    ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Some(bytes.to_vec()),
                    _ => None,
                })
            })
            .optional()
        })?;
        Ok(value.flatten())
    }

    /// Returns the bytes that the catalog takes in memory.
    #[must_use]
    pub fn image_bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns what was noticed while the catalog was loaded.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Lists the rows in the order of the table. Rows that cannot be read are items, and so are
    /// stretches of rows that a damaged page hides.
    #[must_use]
    pub fn records(&self) -> DbRecords<'_> {
        DbRecords {
            db: self,
            rows: RowReader::new(self.cells.as_ref()),
            from: Some(i64::MIN),
            page: VecDeque::new(),
            given: 0,
            seen: 0,
            complete: true,
        }
    }

    /// Finds an entry by its names.
    ///
    /// # Errors
    ///
    /// Fails when the row cannot be read.
    pub fn find(
        &self,
        domain: &Domain,
        path: &RelPath,
    ) -> Result<Option<BundleRecord>, BundleError> {
        // Rows whose id is the hash, as devices write it, are found by the index. Whatever goes
        // wrong here, the walk below finds it as well.
        let id = FileId::of(domain, path).to_string();
        let found = self.query(|db| {
            let mut statement = db.prepare(&format!("{COLUMNS} WHERE fileID = ?1"))?;
            let mut rows = statement.query([id])?;
            let row = rows.next()?;
            Ok(row.map(|row| RowReader::new(self.cells.as_ref()).read(row).0))
        });
        if let Ok(Some(Ok(record))) = found
            && record.is(domain, path)
        {
            return Ok(Some(record));
        }
        // The id is not the hash of the names, or a column is of an odd type.
        scan(self.records(), domain, path)
    }

    /// Counts the rows by the index of their ids, where there is one. A damaged page of the table
    /// can lose rows without any error; the index still has them.
    fn indexed_rows(&self) -> Option<u64> {
        *self.indexed.get_or_init(|| {
            // A row takes a handful of instructions, and more bytes than that.
            self.budget.allow(self.bytes.saturating_add(guard::STEPS));
            let count = || -> rusqlite::Result<u64> {
                let mut statement = self
                    .db
                    .prepare("SELECT fileID FROM Files INDEXED BY sqlite_autoindex_Files_1")?;
                let mut rows = statement.query([])?;
                let mut count = 0;
                while rows.next()?.is_some() {
                    count += 1;
                }
                Ok(count)
            };
            let count = count();
            self.budget.lift();
            count.ok()
        })
    }

    /// Fetches a page of rows that starts at `from`. Returns where the next one starts.
    fn fetch(
        &self,
        from: i64,
        rows: &mut RowReader<'_>,
        page: &mut VecDeque<Result<BundleRecord, BundleError>>,
        given: &mut u64,
    ) -> Option<i64> {
        // Text in UTF-16 grows by half when it is read.
        let most = self.bytes.saturating_mul(2);
        let mut last = None;
        let result = self.query(|db| {
            let mut statement = db.prepare_cached(PAGE_OF_ROWS)?;
            let mut found = statement.query((from, PAGE))?;
            let mut count = 0;
            while let Some(row) = found.next()? {
                let id = row.get(0)?;
                if id < from || last.is_some_and(|last| id <= last) {
                    return Err(rusqlite::Error::IntegralValueOutOfRange(0, id)); // pages in a ring
                }
                last = Some(id);
                let (record, len) = rows.read(row);
                *given = given.saturating_add(len);
                page.push_back(record);
                count += 1;
                if *given > most {
                    return Ok(false);
                }
            }
            Ok(count == PAGE)
        });
        let next = match last {
            Some(last) => last.checked_add(1),
            None => Some(from),
        };
        if *given > most {
            page.push_back(Err(CatalogError::Inflated { bytes: self.bytes }.into()));
            return None;
        }
        match result {
            Ok(true) => next,
            Ok(false) => None,
            Err(CatalogError::Database(source)) => {
                let (error, resumed) = self.pass_over(last, next?, source);
                page.push_back(Err(error.into()));
                resumed
            }
            Err(error) => {
                page.push_back(Err(error.into()));
                None
            }
        }
    }

    /// Finds out which rows cannot be read from `next` on, and where reading goes on.
    fn pass_over(
        &self,
        last: Option<i64>,
        next: i64,
        source: rusqlite::Error,
    ) -> (CatalogError, Option<i64>) {
        match self.seek(next) {
            // It is there, and what is wrong is inside it.
            Ok(Some(row)) if row >= next => {
                let resumed = row.checked_add(1);
                let error = if source.sqlite_error_code() == Some(ErrorCode::TooBig) {
                    CatalogError::LongRow { row, limit: database::LONGEST }
                } else {
                    CatalogError::DamagedRows { after: row.checked_sub(1), next: resumed, source }
                };
                (error, resumed)
            }
            _ => {
                // No device numbers rows below zero.
                let resumed = self.next_readable(next.max(0));
                (CatalogError::DamagedRows { after: last, next: resumed, source }, resumed)
            }
        }
    }

    /// Finds the first row from a number on.
    fn seek(&self, from: i64) -> Result<Option<i64>, CatalogError> {
        self.query(|db| {
            db.query_row(
                "SELECT rowid FROM Files NOT INDEXED WHERE rowid >= ?1 ORDER BY rowid LIMIT 1",
                [from],
                |row| row.get(0),
            )
            .optional()
        })
    }

    /// Finds a row beyond a damaged page, by ever longer steps.
    fn next_readable(&self, from: i64) -> Option<i64> {
        let mut step = 1_i64;
        loop {
            let start = from.checked_add(step)?;
            match self.seek(start) {
                Ok(found) => return found.filter(|&id| id >= start),
                Err(_) => step = step.checked_mul(2)?,
            }
        }
    }
}

/// Tells the statement of a table from that of a virtual one. SQLite stores both in this spelling,
/// whatever was typed.
fn is_ordinary(statement: &[u8]) -> bool {
    const START: &[u8] = b"CREATE TABLE ";
    statement.get(..START.len()).is_some_and(|head| head.eq_ignore_ascii_case(START))
}

/// The rows of a [`ManifestDb`].
#[derive(Debug)]
pub struct DbRecords<'db> {
    db: &'db ManifestDb,
    rows: RowReader<'db>,
    from: Option<i64>,
    page: VecDeque<Result<BundleRecord, BundleError>>,
    /// Bytes that the rows held so far.
    given: u64,
    /// Rows that came, readable or not.
    seen: u64,
    /// Whether nothing has been told of that hides rows.
    complete: bool,
}

impl DbRecords<'_> {
    /// Counts what was fetched. After the last page, says so if rows were lost without a word.
    fn count(&mut self) {
        for item in &self.page {
            match item {
                Err(BundleError::Catalog(_)) => self.complete = false,
                _ => self.seen = self.seen.saturating_add(1),
            }
        }
        if self.from.is_none()
            && self.complete
            && let Some(indexed) = self.db.indexed_rows().filter(|&indexed| indexed > self.seen)
        {
            let error = CatalogError::RowsMissing { found: self.seen, indexed };
            self.page.push_back(Err(error.into()));
        }
    }
}

impl Iterator for DbRecords<'_> {
    type Item = Result<BundleRecord, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && let Some(from) = self.from
        {
            self.from = self.db.fetch(from, &mut self.rows, &mut self.page, &mut self.given);
            self.count();
        }
        self.page.pop_front()
    }
}
