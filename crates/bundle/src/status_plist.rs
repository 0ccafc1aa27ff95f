//! `Status.plist`: whether the device finished.

use crate::plist_guard::{Fields, Limits, PlistError, PlistWarning};

/// What `Status.plist` says. Source: FORMAT.md 1.2.
///
/// Every field may be absent. A value of another type is absent as well, with a warning.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct StatusPlist {
    /// `UUID`.
    pub uuid: Option<String>,
    /// `Date`, in seconds since the Unix epoch.
    pub date: Option<i64>,
    /// `Version`: "2.4" to "3.3".
    pub version: Option<String>,
    /// `BackupState`: "new", "old" or "empty".
    pub backup_state: Option<String>,
    /// `SnapshotState`: "finished", "uploading", "moving" or "removing".
    pub snapshot_state: Option<String>,
    /// `IsFullBackup`: false in every real backup.
    pub is_full_backup: Option<bool>,
    /// Values that could not be used.
    pub warnings: Vec<PlistWarning>,
}

impl StatusPlist {
    /// Reads the file, XML or binary.
    ///
    /// # Errors
    ///
    /// Fails when the file as a whole cannot be read: see [`PlistError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PlistError> {
        let mut fields = Fields::open(bytes, &Limits::STATUS)?;
        let mut plist = Self::default();
        while let Some(key) = fields.key()? {
            let key = key.as_str();
            match key {
                "UUID" => plist.uuid = fields.string(key)?,
                "Date" => plist.date = fields.date(key)?,
                "Version" => plist.version = fields.version(key)?,
                "BackupState" => plist.backup_state = fields.string(key)?,
                "SnapshotState" => plist.snapshot_state = fields.string(key)?,
                "IsFullBackup" => plist.is_full_backup = fields.bool(key)?,
                _ => fields.skip()?,
            }
        }
        plist.warnings = fields.finish()?;
        Ok(plist)
    }
}
