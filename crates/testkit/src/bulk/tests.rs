use std::fs;

use aes::cipher::{Array, BlockModeDecrypt, KeyIvInit};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use super::{BulkSpec, SizeMix};
use crate::{BundleSpec, Encryption};

fn spec(encryption: Option<Encryption>) -> BulkSpec {
    BulkSpec {
        seed: 5,
        files: 40,
        total: Some(3 << 20),
        mix: SizeMix::Mixed,
        rows: 200,
        encryption,
    }
}

#[test]
fn counts_and_content() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    let mut bytes = 0;
    let counts = spec(None)
        .write_with(dir.path(), &mut |entry| {
            let id = String::from_utf8(entry.file_id.clone()).unwrap();
            let blob = fs::read(dir.path().join(&id[..2]).join(id)).unwrap();
            assert_eq!(entry.len, blob.len() as u64);
            assert_eq!(entry.sha256[..], Sha256::digest(&blob)[..]);
            seen += 1;
            bytes += entry.len;
            Ok(())
        })
        .unwrap();
    assert_eq!((seen, counts.blobs, bytes, counts.blob_bytes), (40, 40, 3 << 20, 3 << 20));
    assert!(counts.rows >= 200 && counts.rows < 210, "{counts:?}");
    let path = format!("file:{}?immutable=1", dir.path().join("Manifest.db").display());
    let db = Connection::open(path).unwrap();
    let (rows, files, check): (i64, i64, String) = db
        .query_row(
            "SELECT count(*), sum(flags = 1), (SELECT * FROM pragma_integrity_check) FROM Files",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    let expected = [counts.rows, counts.files].map(|count| i64::try_from(count).unwrap());
    assert_eq!(([rows, files], check.as_str()), (expected, "ok"));
    // Every file's parent has a row.
    let orphans: i64 = db
        .query_row(
            "SELECT count(*) FROM Files f WHERE relativePath != '' AND NOT EXISTS
               (SELECT 1 FROM Files p WHERE p.domain = f.domain AND p.flags = 2
                AND p.relativePath = rtrim(rtrim(f.relativePath,
                    replace(f.relativePath, '/', '')), '/'))",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(orphans, 0);
    let leftovers = fs::read_dir(dir.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".tmp"));
    assert_eq!(leftovers.count(), 0);
}

#[test]
fn an_encrypted_one_is_made_of_whole_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let encryption = Some(Encryption::new("test"));
    let counts = spec(encryption.clone()).write(dir.path()).unwrap();
    assert_eq!(counts.blob_bytes % 16, 0);
    assert!(counts.blob_bytes > 3 << 20);
    // The key of the catalog is that of an ordinary bundle with this seed.
    let twin = tempfile::tempdir().unwrap();
    let key = BundleSpec::new(5)
        .with(|spec| spec.encryption = encryption)
        .write(twin.path())
        .unwrap()
        .manifest_key
        .unwrap();
    let mut image = fs::read(dir.path().join("Manifest.db")).unwrap();
    assert_eq!(image.len() % 4096, 16);
    let (blocks, _) = Array::slice_as_chunks_mut(&mut image);
    cbc::Decryptor::<aes::Aes256>::new((&key).into(), &[0; 16].into()).decrypt_blocks(blocks);
    assert_eq!(&image[..20], b"SQLite format 3\0\x10\0\x02\x02");
    assert_eq!(image[image.len() - 16..], [16; 16]);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let write = || {
        let dir = tempfile::tempdir().unwrap();
        spec(Some(Encryption::new("test"))).write(dir.path()).unwrap();
        fs::read(dir.path().join("Manifest.db")).unwrap()
    };
    assert!(write() == write());
}
