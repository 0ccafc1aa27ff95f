//! `Status.plist`: whether the device finished.

use crate::plist_guard::{Fields, Limits, PlistError, PlistWarning};
use crate::plist_tree::Node;
use crate::{CatalogKind, bplist};

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

    /// Writes the file of a finished backup, as a device of the catalog's time does.
    ///
    /// The version is 3.3 beside `Manifest.db` and 2.4 beside `Manifest.mbdb`, the states are
    /// "new" and "finished", and `IsFullBackup` is false as in every real one.
    #[must_use]
    pub fn compose(new: &NewStatus) -> Vec<u8> {
        let NewStatus { uuid, date, catalog } = new;
        let hex: String = uuid.iter().map(|byte| format!("{byte:02X}")).collect();
        let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
        let uuid = groups.map(|group| hex.get(group).unwrap_or_default()).join("-");
        let version = match catalog {
            CatalogKind::Db => "3.3",
            CatalogKind::Mbdb => "2.4",
        };
        bplist::write(&Node::dict([
            ("IsFullBackup", Node::Bool(false)),
            ("Version", Node::text(version)),
            ("UUID", Node::text(&uuid)),
            ("Date", Node::unix_date(*date)),
            ("BackupState", Node::text("new")),
            ("SnapshotState", Node::text("finished")),
        ]))
    }
}

/// What a new `Status.plist` is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewStatus {
    /// `UUID` of this state of the backup: random, and another one each time.
    pub uuid: [u8; 16],
    /// `Date`, in seconds since the Unix epoch.
    pub date: i64,
    /// The catalog that it stands beside.
    pub catalog: CatalogKind,
}
