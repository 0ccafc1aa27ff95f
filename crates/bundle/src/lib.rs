//! Device backup bundles: reading them, and writing every file that they are made of.
//!
//! ```text
//! Manifest.plist   keybag, wrapped manifest key, device facts
//! Manifest.db      SQLite catalog, itself encrypted        (Manifest.mbdb until iOS 9)
//! Info.plist       device facts, in clear
//! Status.plist     whether the backup is complete, in clear
//! 3d/3d0d7e5f…     payloads, named by FileId and sharded by its first byte (flat until iOS 9)
//! ```
//!
//! [`Bundle::open`] reads what needs no password, [`Bundle::open_catalog`] finds out whether one
//! is needed, and [`Backup::unlock`] takes it. An unlocked backup is a
//! [`Source`](bkp_core::Source), and [`Keychain::find`] finds its keychain. SQLite never sees the
//! original file.
//!
//! [`CatalogWriter`] makes a catalog of either form, from rows as they are, patched or new, in little
//! memory; [`mbfile::patch`] and [`mbfile::encode`] are what it does to one row of `Manifest.db`. The
//! property lists are changed by [`ManifestPlist::edit`] and
//! [`InfoPlist::without_applications`], and made anew by their `compose`. All of these take bytes
//! and give bytes. Nothing in this crate writes to a disk but the scratch file of a large catalog,
//! which is encrypted, has no name, and is made where the caller says.

#![forbid(unsafe_code)]

mod backup;
mod bplist;
mod catalog;
mod catalog_writer;
mod database;
mod device_description;
mod error;
mod info_plist;
mod keychain;
#[cfg(test)]
mod made;
mod manifest_db;
mod manifest_mbdb;
mod manifest_plist;
mod mbdb;
pub mod mbfile;
mod payload;
pub mod plist_guard;
mod plist_tree;
#[cfg(test)]
mod real;
mod record;
mod row_patch;
mod scratch;
pub mod sqlite_image;
mod status_plist;
mod storage;
mod stored_index;
#[cfg(test)]
mod testing;

pub use backup::{Backup, Bundle, Limits, Locked, Opened, Unlocked};
pub use catalog::{Catalog, Records};
pub use catalog_writer::{
    CatalogKind, CatalogReader, CatalogWriteError, CatalogWriter, FinishedCatalog, carries_digest,
};
pub use database::{DatabaseError, DatabaseReport, check_database};
pub use device_description::DeviceDescription;
pub use error::{BundleError, CatalogError, Notice, PayloadError};
pub use info_plist::{InfoApplication, InfoPlist, NewInfo};
pub use keychain::{
    AttributeValue, FoundKeychain, Keychain, KeychainItem, KeychainItemError, KeychainTable,
    OpenedItem, PersistentRef,
};
pub use manifest_db::{DbRecords, ManifestDb};
pub use manifest_mbdb::{ManifestMbdb, MbdbRows};
pub use manifest_plist::{Application, Lockdown, ManifestEdit, ManifestPlist, NewManifest};
pub use mbdb::{Mbdb, MbdbError, MbdbRecord, MbdbRecords, MbdbXattrs};
pub use mbfile::{Field, FieldSet, MAX_BLOB, MbFile, MbFileError, Xattrs, parse_xattrs};
pub use payload::{BundlePayloads, StoredBlob};
pub use plist_guard::{PlistError, PlistWarning};
pub use record::{BundleRecord, RowError, RowFault};
pub use row_patch::{Patch, RowPatch};
pub use scratch::ScratchPlace;
pub use status_plist::{NewStatus, StatusPlist};
pub use storage::{Layout, Storage, StorageBackend, Stored};
pub use stored_index::StoredIndex;
