//! The catalog of a bundle, whichever form it has.

use bkp_core::{Domain, RelPath};

use crate::manifest_db::DbRecords;
use crate::manifest_mbdb::MbdbRows;
use crate::{BundleError, BundleRecord, CatalogKind, ManifestDb, ManifestMbdb, Notice};

/// What a bundle says it holds.
#[derive(Debug)]
pub enum Catalog {
    /// `Manifest.db`, iOS 10 and later.
    Db(ManifestDb),
    /// `Manifest.mbdb`, iOS 4 to 9.
    Mbdb(ManifestMbdb),
}

impl Catalog {
    /// Returns the format's name, which is its file's: `manifest.db` or `manifest.mbdb`.
    #[must_use]
    pub fn format(&self) -> &'static str {
        match self {
            Self::Db(_) => "manifest.db",
            Self::Mbdb(_) => "manifest.mbdb",
        }
    }

    /// Returns which form this catalog has.
    #[must_use]
    pub fn kind(&self) -> CatalogKind {
        match self {
            Self::Db(_) => CatalogKind::Db,
            Self::Mbdb(_) => CatalogKind::Mbdb,
        }
    }

    /// Returns whether each row is encrypted on its own, as iOS 10.0 did (FORMAT.md 2.3).
    ///
    /// # Errors
    ///
    /// Fails when the catalog cannot be queried.
    pub fn has_encrypted_cells(&self) -> Result<bool, BundleError> {
        match self {
            Self::Db(db) => Ok(db.has_encrypted_cells()?),
            Self::Mbdb(_) => Ok(false),
        }
    }

    /// Lists the rows in the order of the catalog. A row that cannot be read is an item.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        match self {
            Self::Db(db) => Records(AnyRecords::Db(db.records())),
            Self::Mbdb(mbdb) => Records(AnyRecords::Mbdb(mbdb.records())),
        }
    }

    /// Finds an entry by its names.
    ///
    /// # Errors
    ///
    /// Fails when the entry's row cannot be read.
    pub fn find(
        &self,
        domain: &Domain,
        path: &RelPath,
    ) -> Result<Option<BundleRecord>, BundleError> {
        match self {
            Self::Db(db) => db.find(domain, path),
            Self::Mbdb(mbdb) => mbdb.find(domain, path),
        }
    }

    /// Returns what was noticed while the catalog was loaded.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        match self {
            Self::Db(db) => db.notices(),
            Self::Mbdb(_) => &[],
        }
    }
}

/// Looks for an entry by its names, row by row.
pub(crate) fn scan(
    records: impl Iterator<Item = Result<BundleRecord, BundleError>>,
    domain: &Domain,
    path: &RelPath,
) -> Result<Option<BundleRecord>, BundleError> {
    for record in records {
        match record {
            Ok(record) if record.is(domain, path) => return Ok(Some(record)),
            Err(error) if error.is_at(domain, path) => return Err(error),
            _ => {}
        }
    }
    Ok(None)
}

/// The rows of a [`Catalog`].
#[derive(Debug)]
pub struct Records<'c>(AnyRecords<'c>);

#[derive(Debug)]
enum AnyRecords<'c> {
    Db(DbRecords<'c>),
    Mbdb(MbdbRows<'c>),
}

impl Iterator for Records<'_> {
    type Item = Result<BundleRecord, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            AnyRecords::Db(records) => records.next(),
            AnyRecords::Mbdb(records) => records.next(),
        }
    }
}
