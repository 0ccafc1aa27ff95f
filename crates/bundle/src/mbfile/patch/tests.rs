use bkp_core::{Domain, Entry, EntryKind, ProtectionClass, RelPath};
use bkp_crypto::WrappedFileKey;
use bkp_testkit::PlistValue;
use rusqlite::Connection;

use super::super::{MbFile, encode};
use super::{Archive, patch};
use crate::testing::{Noise, shared};
use crate::{MbFileError, Patch, RowPatch};

fn key(class: u32, fill: u8) -> WrappedFileKey {
    let mut bytes = [fill; 44];
    bytes[..4].copy_from_slice(&class.to_le_bytes());
    WrappedFileKey::parse(&bytes).unwrap()
}

/// Every blob of the real catalogs.
fn real_blobs() -> Vec<Vec<u8>> {
    let Some(path) = shared("bundles/ios13.3-unencrypted/Manifest.db") else { return Vec::new() };
    // A copy in memory, so that nothing can touch the original.
    let mut image = std::fs::read(path).unwrap();
    image[18..20].fill(1);
    let mut db = Connection::open_in_memory().unwrap();
    let len = image.len();
    db.deserialize_read_exact("main", image.as_slice(), len, true).unwrap();
    let mut rows = db.prepare("SELECT file FROM Files").unwrap();
    let blobs = rows.query_map([], |row| row.get(0)).unwrap();
    let blobs: Vec<Vec<u8>> = blobs.collect::<Result<_, _>>().unwrap();
    assert_eq!(blobs.len(), 1746);
    blobs
}

#[test]
fn real_blobs_come_out_as_they_went_in() {
    for blob in real_blobs() {
        assert_eq!(Archive::read(&blob).unwrap().write(), blob);
    }
}

#[test]
fn a_key_put_into_real_blobs_and_taken_out_again_leaves_no_trace() {
    for blob in real_blobs() {
        let file = MbFile::parse(&blob).unwrap();
        let digest = file.digest.map(|digest| digest.try_into().unwrap());
        let with = RowPatch {
            key: Patch::Set(key(3, 7)),
            digest: Patch::Set([9; 20]),
            size: Some(1 << 40),
            ..RowPatch::default()
        };
        let patched = patch(&blob, &with).unwrap();
        let seen = MbFile::parse(&patched).unwrap();
        assert_eq!(seen.encryption_key, Some(&key(3, 7).to_bytes()[..]));
        assert_eq!((seen.digest, seen.size), (Some(&[9; 20][..]), Some(1 << 40)));
        assert_eq!((seen.mode, seen.inode), (file.mode, file.inode));
        assert_eq!(seen.extended_attributes, file.extended_attributes);
        let without = RowPatch {
            key: Patch::Remove,
            digest: digest.map_or(Patch::Remove, Patch::Set),
            size: file.size,
            ..RowPatch::default()
        };
        assert_eq!(patch(&patched, &without).unwrap(), blob);
    }
}
