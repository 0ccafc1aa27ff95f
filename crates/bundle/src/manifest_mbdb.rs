//! `Manifest.mbdb` as a catalog.

use std::sync::Arc;

use bkp_core::{Domain, Entry, FileId, Metadata, ProtectionClass, RelPath};

use crate::catalog::scan;
use crate::manifest_db::row::{kind, wrapped_key};
use crate::mbdb::{Mbdb, MbdbRecord, MbdbRecords};
use crate::record::{RowError, RowFault};
use crate::{BundleError, BundleRecord, CatalogError, Storage};

/// The catalog of iOS 4 to 9. Never encrypted itself. Source: FORMAT.md 5.
#[derive(Debug)]
pub struct ManifestMbdb {
    bytes: Arc<[u8]>,
}

const NAME: &str = "Manifest.mbdb";
/// A record takes a hundred bytes or so, and a device has a million files at the very most.
const LIMIT: u64 = 1 << 30;

impl ManifestMbdb {
    pub(crate) fn open(storage: &Storage) -> Result<Self, BundleError> {
        let bytes: Arc<[u8]> =
            storage.read(NAME, LIMIT).map_err(|source| BundleError::file(NAME, source))?.into();
        Mbdb::parse(&bytes).map_err(CatalogError::Mbdb)?;
        Ok(Self { bytes })
    }

    /// Lists the records in the order of the file. A damaged record is the last item: nothing
    /// says where the next one starts.
    #[must_use]
    pub fn records(&self) -> MbdbRows<'_> {
        MbdbRows { records: Mbdb::parse(&self.bytes).ok().map(|mbdb| mbdb.records()), row: 0 }
    }

    /// Finds an entry by its names.
    ///
    /// # Errors
    ///
    /// Fails when its record cannot be read.
    pub fn find(
        &self,
        domain: &Domain,
        path: &RelPath,
    ) -> Result<Option<BundleRecord>, BundleError> {
        scan(self.records(), domain, path)
    }
}

/// The records of a [`ManifestMbdb`].
#[derive(Debug)]
pub struct MbdbRows<'c> {
    records: Option<MbdbRecords<'c>>,
    row: i64,
}

impl Iterator for MbdbRows<'_> {
    type Item = Result<BundleRecord, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.records.as_mut()?.next()? {
            Ok(found) => {
                let row = self.row;
                self.row = row.saturating_add(1);
                Some(record(&found, row).map_err(|fault| {
                    let domain = found.domain.into();
                    let path = found.path.unwrap_or_default().into();
                    RowError { row, domain, path, fault }.into()
                }))
            }
            Err(error) => {
                self.records = None;
                Some(Err(CatalogError::Mbdb(error).into()))
            }
        }
    }
}

fn record(found: &MbdbRecord<'_>, row: i64) -> Result<BundleRecord, RowFault> {
    let domain = Domain::new(found.domain).map_err(RowFault::Name)?;
    let path = RelPath::new(found.path.unwrap_or_default()).map_err(RowFault::Name)?;
    // The blob is named by the hash: this catalog states no id.
    let id = FileId::of(&domain, &path);
    let mode = u32::from(found.mode);
    let mut entry = Entry::new(id, domain, path, kind(None, mode, found.target)?);
    entry.metadata = Metadata {
        size_hint: found.size,
        mode,
        uid: found.uid,
        gid: found.gid,
        modified: found.modified.into(),
        changed: found.changed.into(),
        born: found.born.into(),
        inode: found.inode,
        flags: 0,
    };
    entry.protection = Some(ProtectionClass(found.protection_class.into()));
    entry.digest = found.digest.and_then(|digest| digest.try_into().ok());
    entry.raw = Some(found.raw.into());
    let key = found.encryption_key.map(wrapped_key).transpose()?;
    Ok(BundleRecord { entry, row, key, fault: None })
}
