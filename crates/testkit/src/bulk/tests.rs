use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use aes::cipher::{Array, BlockModeDecrypt, KeyIvInit};
use rusqlite::Connection;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{BulkProgress, BulkSpec};
use crate::{BundleSpec, Encryption, Filler, SizeMix, hex};

fn spec(encryption: Option<Encryption>) -> BulkSpec {
    BulkSpec {
        seed: 5,
        files: 140,
        total: Some(3 << 20),
        mix: SizeMix::Mixed,
        rows: 400,
        filler: Filler::Folders,
        sparse: false,
        keychain: true,
        encryption,
        threads: None,
    }
}

/// All files below a folder with their bytes, by path.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = files(&entry.path()).into_iter();
            found.extend(below.map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn open(dir: &Path) -> Connection {
    let path = format!("file:{}?immutable=1", dir.join("Manifest.db").display());
    Connection::open(path).unwrap()
}

fn number(db: &Connection, what: &str) -> i64 {
    db.query_row(what, [], |row| row.get(0)).unwrap()
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
    assert_eq!((seen, counts.blobs, counts.files), (140, 140, 140));
    assert_eq!((bytes, counts.blob_bytes, counts.content_bytes), (3 << 20, 3 << 20, 3 << 20));
    assert_eq!((counts.rows, counts.files + counts.directories + counts.symlinks), (400, 400));
    assert_eq!(spec(None).plan().unwrap(), counts);
    let db = open(dir.path());
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    for (flags, count) in [(1, counts.files), (2, counts.directories), (4, counts.symlinks)] {
        let count = i64::try_from(count).unwrap();
        assert_eq!(
            number(&db, &format!("SELECT count(*) FROM Files WHERE flags = {flags}")),
            count
        );
    }
    // Every entry's parent has a row, and every domain a root.
    let orphans = "SELECT count(*) FROM Files f WHERE relativePath != '' AND NOT EXISTS
        (SELECT 1 FROM Files p WHERE p.domain = f.domain AND p.flags = 2
         AND p.relativePath = rtrim(rtrim(f.relativePath, replace(f.relativePath, '/', '')), '/'))";
    assert_eq!(number(&db, orphans), 0);
    let roots = number(&db, "SELECT count(*) FROM Files WHERE relativePath = '' AND flags = 2");
    assert_eq!(roots, number(&db, "SELECT count(DISTINCT domain) FROM Files"));
    // Each container has its entry in Manifest.plist, and nothing else has one.
    let manifest = plist::Value::from_file(dir.path().join("Manifest.plist")).unwrap();
    let apps = manifest.as_dictionary().unwrap()["Applications"].as_dictionary().unwrap();
    let mut listed: Vec<String> = apps.keys().cloned().collect();
    let mut rows = db
        .prepare("SELECT DISTINCT substr(domain, instr(domain, '-') + 1) FROM Files WHERE domain LIKE 'AppDomain%'")
        .unwrap();
    let mut used: Vec<String> =
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    listed.sort();
    used.sort();
    assert_eq!(listed, used);
    // Nothing is left of the work.
    let names = files(dir.path()).into_keys().filter(|name| !name.contains('/'));
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["Info.plist", "Manifest.db", "Manifest.plist", "Status.plist"]
    );
}

/// What a row's archive says, read by an independent parser.
struct Archive {
    root: plist::Dictionary,
    objects: Vec<plist::Value>,
}

impl Archive {
    fn of(bytes: &[u8]) -> Self {
        let value = plist::Value::from_reader(std::io::Cursor::new(bytes)).unwrap();
        let objects = value.as_dictionary().unwrap()["$objects"].as_array().unwrap().clone();
        Self { root: objects[1].as_dictionary().unwrap().clone(), objects }
    }

    fn number(&self, key: &str) -> i64 {
        self.root[key].as_signed_integer().unwrap()
    }

    fn data(&self, key: &str) -> Option<Vec<u8>> {
        let at = usize::try_from(self.root.get(key)?.as_uid().unwrap().get()).unwrap();
        Some(self.objects[at].as_data().unwrap().to_vec())
    }
}

#[test]
fn rows_are_shaped_like_those_of_a_device() {
    const DIGESTS: [&str; 11] = [
        "HomeDomain",
        "KeyboardDomain",
        "RootDomain",
        "WirelessDomain",
        "SystemPreferencesDomain",
        "ManagedPreferencesDomain",
        "DatabaseDomain",
        "InstallDomain",
        "KeychainDomain",
        "HealthDomain",
        "HomeKitDomain",
    ];
    let dir = tempfile::tempdir().unwrap();
    let spec = BulkSpec { files: 2_000, mix: SizeMix::Small, total: None, ..spec(None) };
    spec.write(dir.path()).unwrap();
    let db = open(dir.path());
    let mut rows = db.prepare("SELECT fileID, domain, flags, file FROM Files").unwrap();
    let rows: Vec<(String, String, u8, Vec<u8>)> = rows
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut inodes = Vec::new();
    let (mut with_xattrs, mut wrong_sizes, mut digests) = (0, 0, 0);
    for (id, domain, flags, archive) in &rows {
        let archive = Archive::of(archive);
        with_xattrs += usize::from(archive.data("ExtendedAttributes").is_some());
        if *flags != 1 {
            assert!(archive.data("Digest").is_none());
            continue;
        }
        inodes.push(archive.number("InodeNumber"));
        let blob = fs::read(dir.path().join(&id[..2]).join(id)).unwrap();
        assert_eq!(archive.data("Digest").is_some(), DIGESTS.contains(&&**domain), "{domain}");
        if let Some(digest) = archive.data("Digest") {
            assert_eq!(digest, Sha1::digest(&blob)[..]);
            digests += 1;
        }
        if archive.number("Size") != i64::try_from(blob.len()).unwrap() {
            assert!(blob.starts_with(b"SQLite format 3\0"), "only databases have a wrong size");
            wrong_sizes += 1;
        }
        assert!((1..=4).contains(&archive.number("ProtectionClass")));
    }
    let count = inodes.len();
    inodes.sort_unstable();
    inodes.dedup();
    assert_eq!((inodes.len(), count), (2_000, 2_000));
    assert_eq!(wrong_sizes, 4);
    assert!(digests > 300 && with_xattrs > 30, "{digests} {with_xattrs}");
    // Known from every device (FORMAT.md 2.3).
    assert!(rows.iter().any(|row| row.0 == "3d0d7e5fb2ce288813306e4d4636395e047a3d28"));
    assert!(rows.iter().any(|row| row.0 == "51a4616e576dd33cd2abadfea874eb8ff246bf0e"));
}

#[test]
fn an_encrypted_one_is_made_of_whole_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let encryption = Some(Encryption::new("test"));
    let counts = spec(encryption.clone()).write(dir.path()).unwrap();
    assert_eq!(spec(encryption.clone()).plan().unwrap(), counts);
    let blobs = files(dir.path()).into_iter().filter(|(path, _)| path.contains('/'));
    let lengths: Vec<u64> = blobs.map(|(_, bytes)| bytes.len() as u64).collect();
    assert!(lengths.iter().all(|len| *len > 0 && len % 16 == 0), "{lengths:?}");
    assert_eq!((lengths.len(), lengths.iter().sum()), (counts.blobs, counts.blob_bytes));
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
fn bytes_follow_from_the_seed_whatever_the_threads() {
    for encryption in [None, Some(Encryption::new("test"))] {
        let write = |threads, seed| {
            let dir = tempfile::tempdir().unwrap();
            let threads = NonZeroUsize::new(threads);
            let counts =
                BulkSpec { threads, seed, ..spec(encryption.clone()) }.write(dir.path()).unwrap();
            (files(dir.path()), counts)
        };
        let (one, counts) = write(1, 5);
        let (three, same) = write(3, 5);
        assert_eq!(counts, same);
        assert_eq!(one.keys().collect::<Vec<_>>(), three.keys().collect::<Vec<_>>());
        for (path, bytes) in &one {
            assert!(three[path] == *bytes, "{path}");
        }
        assert!(write(3, 6).0 != three);
    }
}

#[test]
fn sparse_payloads_are_zeros_and_have_their_digests() {
    let spec = BulkSpec { sparse: true, total: Some(20 << 20), files: 400, ..spec(None) };
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    let counts = spec
        .write_with(dir.path(), &mut |entry| {
            let id = String::from_utf8(entry.file_id.clone()).unwrap();
            let blob = fs::read(dir.path().join(&id[..2]).join(id)).unwrap();
            assert_eq!(entry.sha256[..], Sha256::digest(&blob)[..]);
            let fixed = blob.starts_with(b"SQLite") || blob.starts_with(b"bplist");
            assert!(fixed || blob.iter().all(|byte| *byte == 0));
            seen += blob.len();
            Ok(())
        })
        .unwrap();
    assert_eq!((seen, counts.content_bytes), (20 << 20, 20 << 20));
    let db = open(dir.path());
    let mut rows = db.prepare("SELECT fileID, file FROM Files WHERE flags = 1").unwrap();
    let mut checked = 0;
    let rows = rows
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .unwrap();
    for (id, archive) in rows.map(Result::unwrap) {
        if let Some(digest) = Archive::of(&archive).data("Digest") {
            let blob = fs::read(dir.path().join(&id[..2]).join(&id)).unwrap();
            assert_eq!(hex(&digest), hex(&Sha1::digest(&blob)), "{id}");
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn rows_without_payloads_are_files_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let spec = BulkSpec { filler: Filler::MissingFiles, files: 10, rows: 1_000, ..spec(None) };
    let counts = spec.write(dir.path()).unwrap();
    assert_eq!((counts.rows, counts.blobs), (1_000, 10));
    assert!(counts.files > 700, "{counts:?}");
    assert_eq!(spec.plan().unwrap(), counts);
}

#[test]
fn a_spec_that_contradicts_itself_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    for bad in [
        BulkSpec { sparse: true, ..spec(Some(Encryption::new("test"))) },
        BulkSpec { files: 0, ..spec(None) },
        BulkSpec { rows: usize::MAX, ..spec(None) },
    ] {
        let error = bad.write(&target).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert_eq!(bad.plan().unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
        assert!(!target.exists());
    }
}

#[test]
fn progress_reaches_the_end_and_breaks_off() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, catalog) = (AtomicU64::new(0), AtomicU64::new(0));
    spec(None)
        .write_watched(&dir.path().join("whole"), &|progress| {
            match progress {
                BulkProgress::Payloads { bytes: done, .. } => {
                    bytes.fetch_max(done, Ordering::Relaxed)
                }
                BulkProgress::Catalog { bytes: done } => catalog.fetch_max(done, Ordering::Relaxed),
            };
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(bytes.into_inner(), 3 << 20);
    let image = fs::metadata(dir.path().join("whole/Manifest.db")).unwrap().len();
    assert_eq!(catalog.into_inner(), image);
    for (name, when) in [("a", 1 << 20), ("b", u64::MAX)] {
        let error = spec(None)
            .write_watched(&dir.path().join(name), &|progress| match progress {
                BulkProgress::Payloads { bytes, .. } if bytes < when => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            })
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
        assert!(!dir.path().join(name).join("Manifest.db-journal").exists());
    }
}
