//! Reads iOS-style backup bundles.

#![forbid(unsafe_code)]

mod bplist;
mod info_plist;
mod manifest_plist;
mod mbdb;
mod mbfile;
pub mod plist_guard;
mod sqlite_image;
mod status_plist;
#[cfg(test)]
mod testing;

pub use info_plist::{InfoApplication, InfoPlist};
pub use manifest_plist::{Application, Lockdown, ManifestPlist};
pub use mbdb::{Mbdb, MbdbError, MbdbRecord, MbdbRecords, MbdbXattrs};
pub use mbfile::{Field, FieldSet, MAX_BLOB, MbFile, MbFileError, Xattrs, parse_xattrs};
pub use plist_guard::{PlistError, PlistWarning};
pub use sqlite_image::{
    JournalOutcome, JournalSummary, SqliteHeader, SqliteImageError, WalSummary, leave_wal_mode,
    replay_wal, roll_back,
};
pub use status_plist::StatusPlist;
