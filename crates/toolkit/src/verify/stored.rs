//! The files of a bundle that no row accounts for.

use std::collections::HashSet;

use bkp_bundle::{BundleError, BundlePayloads, StoredBlob};
use bkp_core::FileId;

use super::finding::Finding;
use super::log::Log;

/// Tells of files with the name of a payload that no row of a file names, and of payloads that
/// lie where only a forgiving reader looks. Returns how many files with such names there are.
///
/// `ids` are the payloads that rows name, sorted.
pub(super) fn check(
    payloads: &BundlePayloads,
    ids: &[FileId],
    log: &Log<'_>,
) -> Result<u64, BundleError> {
    let mut blobs = 0_u64;
    let mut elsewhere = HashSet::new();
    payloads.blobs(&mut |StoredBlob { name, id, usual, other, .. }| {
        blobs += 1;
        let named = ids.binary_search(&id).is_ok();
        if named && other && !usual {
            elsewhere.insert(id);
        } else if !(named && usual) {
            let message = format!("{name} is named by no row of a file");
            log.add(Finding::damage("orphan-blob", message).of_payload(id));
        }
    })?;
    if elsewhere.is_empty() {
        return Ok(blobs);
    }
    // One that is in its usual place as well has a copy that nobody reads.
    let mut copies = HashSet::new();
    payloads.blobs(&mut |StoredBlob { id, usual, .. }| {
        if usual && elsewhere.contains(&id) {
            copies.insert(id);
        }
    })?;
    let mut elsewhere: Vec<_> = elsewhere.into_iter().collect();
    elsewhere.sort_unstable();
    for id in elsewhere {
        let finding = if copies.contains(&id) {
            let message = format!("a second copy of payload {id} lies where none belongs");
            Finding::damage("orphan-blob", message)
        } else {
            let message = format!("payload {id} lies where those of another version of iOS do");
            Finding::warning("misplaced-blob", message)
        };
        log.add(finding.of_payload(id));
    }
    Ok(blobs)
}
