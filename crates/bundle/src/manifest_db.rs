//! `Manifest.db`, decrypted into memory and never onto a disk.
//!
//! SQLite never sees the original: opening it in place would replay a `-wal` or a `-journal` into
//! the evidence and leave new files beside it. The bytes are read, what the side files hold is
//! applied to the copy in memory, and the copy is queried read-only.

mod image;
pub(crate) mod row;

use std::collections::VecDeque;

use bkp_core::{Domain, FileId, RelPath};
use bkp_crypto::{FileKey, LegacyCells, Passphrase};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _};

use crate::catalog::scan;
use crate::database::{self, Budget, DatabaseReport};
use crate::{BundleError, BundleRecord, CatalogError, Notice, Storage};
use row::RowReader;

/// The catalog of iOS 10 and later, read-only. Source: FORMAT.md 2.
#[derive(Debug)]
pub struct ManifestDb {
    db: Connection,
    budget: Budget,
    /// iOS 10.0 encrypted the `file` cells and nothing else; this opens them.
    cells: Option<LegacyCells>,
    bytes: u64,
    notices: Vec<Notice>,
}

/// Rows are fetched so many at a time.
const PAGE: u32 = 512;
const COLUMNS: &str = "SELECT rowid, fileID, domain, relativePath, flags, file FROM Files";

impl ManifestDb {
    /// Loads the catalog of a bundle, decrypting it when there is a key.
    pub(crate) fn open(storage: &Storage, key: Option<&FileKey>) -> Result<Self, BundleError> {
        let image::Image { mut db, bytes, notices } = image::load(storage, key)?;
        database::harden(&db).map_err(CatalogError::Database)?;
        let budget = Budget::install(&mut db).map_err(CatalogError::Database)?;
        let this = Self { db, budget, cells: None, bytes, notices };
        this.check_schema()?;
        Ok(this)
    }

    /// `Files` must be an ordinary table with the five columns; a view or a virtual table of that
    /// name is somebody's trap.
    fn check_schema(&self) -> Result<(), CatalogError> {
        let real = self
            .db
            .query_row(
                "SELECT type = 'table' AND rootpage > 0 FROM sqlite_master \
                 WHERE name = 'Files' COLLATE NOCASE",
                [],
                |row| row.get::<_, bool>(0),
            )
            .optional()
            .map_err(CatalogError::Database)?;
        match real {
            Some(true) => {
                self.db.prepare(COLUMNS).map(drop).map_err(CatalogError::Database)?;
                Ok(())
            }
            Some(false) => Err(CatalogError::NotATable),
            None => Err(CatalogError::NoFilesTable),
        }
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
        self.db
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(CatalogError::Database)
    }

    /// Has SQLite look through every page of the catalog.
    #[must_use]
    pub fn quick_check(&self) -> DatabaseReport {
        database::quick_check(&self.db, &self.budget, self.bytes)
    }

    fn property(&self, key: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        let has_table = self
            .db
            .query_row(
                "SELECT 1 FROM sqlite_master WHERE name = 'Properties' AND type = 'table'",
                [],
                |_| Ok(()),
            )
            .optional()
            .map_err(CatalogError::Database)?;
        if has_table.is_none() {
            return Ok(None);
        }
        self.db
            .query_row("SELECT value FROM Properties WHERE key = ?1", [key], |row| {
                Ok(match row.get_ref(0)? {
                    ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Some(bytes.to_vec()),
                    _ => None,
                })
            })
            .optional()
            .map(Option::flatten)
            .map_err(CatalogError::Database)
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
        let id = FileId::of(domain, path).to_string();
        let mut statement = self
            .db
            .prepare(&format!("{COLUMNS} WHERE fileID = ?1 COLLATE NOCASE"))
            .map_err(CatalogError::Database)?;
        let mut rows = statement.query([id]).map_err(CatalogError::Database)?;
        if let Ok(Some(row)) = rows.next()
            && let Ok(record) = RowReader::new(self.cells.as_ref()).read(row)
            && record.is(domain, path)
        {
            return Ok(Some(record));
        }
        // The id is not the hash of the names, or a column is of an odd type.
        scan(self.records(), domain, path)
    }

    /// Fetches a page of rows that starts at `from`. Returns where the next one starts.
    fn fetch(
        &self,
        from: i64,
        rows: &mut RowReader<'_>,
        page: &mut VecDeque<Result<BundleRecord, BundleError>>,
    ) -> Option<i64> {
        let mut last = None;
        let mut read = || -> rusqlite::Result<bool> {
            let mut statement = self.db.prepare(&format!(
                "{COLUMNS} NOT INDEXED WHERE rowid >= ?1 ORDER BY rowid LIMIT ?2"
            ))?;
            let mut found = statement.query((from, PAGE))?;
            let mut count = 0;
            while let Some(row) = found.next()? {
                let id = row.get(0)?;
                if id < from || last.is_some_and(|last| id <= last) {
                    return Err(rusqlite::Error::IntegralValueOutOfRange(0, id)); // pages in a ring
                }
                last = Some(id);
                page.push_back(rows.read(row));
                count += 1;
            }
            Ok(count == PAGE)
        };
        let result = read();
        let next = match last {
            Some(last) => last.checked_add(1),
            None => Some(from.max(0)), // no device numbers rows below zero
        };
        match result {
            Ok(true) => next,
            Ok(false) => None,
            Err(source) => {
                let resumed = next.and_then(|next| self.next_readable(next));
                let error = CatalogError::DamagedRows { after: last, next: resumed, source };
                page.push_back(Err(error.into()));
                resumed
            }
        }
    }

    /// Finds a row beyond a damaged page, by ever longer steps.
    fn next_readable(&self, from: i64) -> Option<i64> {
        let seek = |from: i64| {
            self.db
                .query_row(
                    "SELECT rowid FROM Files NOT INDEXED WHERE rowid >= ?1 ORDER BY rowid LIMIT 1",
                    [from],
                    |row| row.get::<_, i64>(0),
                )
                .optional()
        };
        let mut step = 1_i64;
        loop {
            let start = from.checked_add(step)?;
            match seek(start) {
                Ok(found) => return found.filter(|&id| id >= start),
                Err(_) => step = step.checked_mul(2)?,
            }
        }
    }
}

/// The rows of a [`ManifestDb`].
#[derive(Debug)]
pub struct DbRecords<'db> {
    db: &'db ManifestDb,
    rows: RowReader<'db>,
    from: Option<i64>,
    page: VecDeque<Result<BundleRecord, BundleError>>,
}

impl Iterator for DbRecords<'_> {
    type Item = Result<BundleRecord, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && let Some(from) = self.from
        {
            self.from = self.db.fetch(from, &mut self.rows, &mut self.page);
        }
        self.page.pop_front()
    }
}
