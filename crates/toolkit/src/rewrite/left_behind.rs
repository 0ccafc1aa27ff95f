//! What lies in a bundle's folder and is no part of the backup, so that no new bundle has it.

use bkp_bundle::{Backup, Unlocked};

/// The names that a bundle has at its top, besides payloads and their folders.
const KNOWN: [&str; 8] = [
    "Info.plist",
    "Manifest.db",
    "Manifest.db-journal",
    "Manifest.db-shm",
    "Manifest.db-wal",
    "Manifest.mbdb",
    "Manifest.plist",
    "Status.plist",
];

/// The longest list of names.
const MOST: usize = 1_000;

/// What lies beside the backup.
#[derive(Debug, Default)]
pub(super) struct LeftBehind {
    /// Names at the top of the folder that are no part of a bundle, sorted; a thousand at most.
    pub(super) foreign: Vec<String>,
    /// Stored files with the name of a payload.
    pub(super) blobs: u64,
}

impl LeftBehind {
    /// Looks through the folder. What cannot be listed is not told of: the run itself has read
    /// all that it needed.
    pub(super) fn of(backup: &Backup<Unlocked>) -> Self {
        let mut left = Self::default();
        let hex = |name: &str| name.bytes().all(|b| b.is_ascii_hexdigit());
        let _ = backup.bundle().storage().list("", &mut |name, is_file| {
            let shard = !is_file && name.len() == 2 && hex(name);
            let blob = is_file && name.len() == 40 && hex(name);
            if !shard && !blob && !KNOWN.contains(&name) && left.foreign.len() < MOST {
                left.foreign.push(name.to_owned());
            }
        });
        left.foreign.sort_unstable();
        let mut blobs = 0u64;
        let _ = bkp_core::Source::payloads(backup).blobs(&mut |blob| {
            blobs = blobs.saturating_add(u64::from(blob.usual || blob.other));
        });
        Self { blobs, ..left }
    }
}
