//! What lies in a bundle's folder and is no part of the backup, so that no new bundle has it.
//!
//! What cannot be listed is not told of: the run itself has read all that it needed.

use bkp_archive::{Catalog, MemberName};
use bkp_bundle::{Backup, Unlocked};
use bkp_core::Source as _;

/// The longest list of names.
const MOST: usize = 1_000;

/// Lists the names at the top of the folder that are no part of a bundle, sorted; a thousand at
/// most.
pub(super) fn foreign_files(backup: &Backup<Unlocked>) -> Vec<String> {
    let mut foreign = Vec::new();
    let _ = backup.bundle().storage().list("", &mut |name, is_file| {
        let shard =
            !is_file && name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        // An index of an old catalog is a bundle's own, and no new one has it.
        let own = match MemberName::parse(name.as_bytes()) {
            Some(MemberName::Catalog(Catalog::Mbdx) | MemberName::RunRecord) | None => false,
            Some(_) => is_file,
        };
        if !shard && !own && foreign.len() < MOST {
            foreign.push(name.to_owned());
        }
    });
    foreign.sort_unstable();
    foreign
}

/// Counts the stored files that have the name of a payload.
pub(super) fn stored_payloads(backup: &Backup<Unlocked>) -> u64 {
    let mut blobs = 0u64;
    let _ = backup.payloads().blobs(&mut |blob| {
        blobs = blobs.saturating_add(u64::from(blob.usual || blob.other));
    });
    blobs
}
