use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aes::cipher::{Array, BlockModeDecrypt, KeyIvInit};
use aes_kw::{KeyInit as _, KwAes256};
use rusqlite::Connection;

use crate::{
    BundleSpec, Encryption, EntrySpec, ManifestKind, Sidecar, Stored, Truth, file_id, hex,
};

fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(dir).unwrap().to_owned(), fs::read(path).unwrap());
            }
        }
    }
    files
}

fn write(spec: &BundleSpec) -> (tempfile::TempDir, Truth) {
    let dir = tempfile::tempdir().unwrap();
    let truth = spec.write(dir.path()).unwrap();
    (dir, truth)
}

fn sample() -> BundleSpec {
    BundleSpec::new(1).with(|spec| {
        spec.encryption = Some(Encryption::new("test"));
        spec.entries = vec![
            EntrySpec::noise("HomeDomain", "Library/SMS/sms.db", 8192),
            EntrySpec::file("AppDomain-com.example.app", "Documents/a", "hello"),
            EntrySpec::file("HomeDomain", "Library/empty", ""),
            EntrySpec::symlink("HomeDomain", "Library/link", "/private/x"),
        ];
    })
}

fn decrypt(key: &[u8; 32], sealed: &[u8]) -> Vec<u8> {
    let mut data = sealed.to_vec();
    let (blocks, _) = Array::slice_as_chunks_mut(&mut data);
    cbc::Decryptor::<aes::Aes256>::new(key.into(), &[0; 16].into()).decrypt_blocks(blocks);
    let padding = usize::from(data[data.len() - 1]);
    data.truncate(data.len() - padding);
    data
}

/// Opens the bundle from its password alone and reads every file back.
#[test]
fn an_encrypted_bundle_opens_with_its_password() {
    let (dir, truth) = write(&sample());
    let plist = plist::Value::from_file(dir.path().join("Manifest.plist")).unwrap();
    let plist = plist.as_dictionary().unwrap();
    let bag = plist["BackupKeyBag"].as_data().unwrap();
    // The key of class 4, found in the bag by its bytes.
    let at = bag.windows(12).position(|w| w == b"CLAS\0\0\0\x04\0\0\0\x04").unwrap();
    let wpky = at + bag[at..].windows(8).position(|w| w == b"WPKY\0\0\0\x28").unwrap() + 8;
    let mut class_key = [0; 32];
    KwAes256::new((&truth.passcode_key).into())
        .unwrap_key(&bag[wpky..wpky + 40], &mut class_key)
        .unwrap();
    assert_eq!(class_key, truth.class_keys[&4]);
    let manifest_key = plist["ManifestKey"].as_data().unwrap();
    assert_eq!(manifest_key[..4], [4, 0, 0, 0]);
    let mut key = [0; 32];
    KwAes256::new((&class_key).into()).unwrap_key(&manifest_key[4..], &mut key).unwrap();
    let sealed = fs::read(dir.path().join("Manifest.db")).unwrap();
    assert_eq!(sealed.len() % 4096, 16);
    let mut image = decrypt(&key, &sealed);
    image[18..20].copy_from_slice(&[1, 1]);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), image).unwrap();
    let db = Connection::open(file.path()).unwrap();
    let rows: i64 = db.query_row("SELECT count(*) FROM Files", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(rows).unwrap(), truth.counts.rows);
    let archive: Vec<u8> = db
        .query_row("SELECT file FROM Files WHERE relativePath = 'Documents/a'", [], |r| r.get(0))
        .unwrap();
    let archive = plist::Value::from_reader(std::io::Cursor::new(archive)).unwrap();
    let objects = archive.as_dictionary().unwrap()["$objects"].as_array().unwrap();
    let wrapped = objects[3].as_dictionary().unwrap()["NS.data"].as_data().unwrap();
    assert_eq!(wrapped[..4], [3, 0, 0, 0]);
    KwAes256::new((&truth.class_keys[&3]).into()).unwrap_key(&wrapped[4..], &mut key).unwrap();
    let id = file_id("AppDomain-com.example.app", "Documents/a");
    let blob = fs::read(dir.path().join(&id[..2]).join(id)).unwrap();
    assert_eq!(decrypt(&key, &blob), b"hello");
}

#[test]
fn parents_and_counts() {
    let (dir, truth) = write(&sample());
    let counts = truth.counts;
    assert_eq!((counts.files, counts.directories, counts.symlinks, counts.rows), (3, 5, 1, 9));
    assert_eq!((counts.blobs, counts.blob_bytes), (3, 8192 + 16 + 16 + 16));
    assert_eq!(tree(dir.path()).len(), 3 + 4);
    let without = sample().with(|spec| spec.add_parents = false);
    assert_eq!(write(&without).1.counts.directories, 0);
}

#[test]
fn the_same_spec_gives_the_same_bytes() {
    for change in [
        (|_| {}) as fn(&mut BundleSpec),
        |spec| spec.encryption = None,
        |spec| spec.manifest = ManifestKind::Mbdb,
        |spec| {
            spec.encryption = None;
            spec.sidecar = Sidecar::Wal { rows: 3 };
        },
        |spec| {
            spec.encryption = None;
            spec.sidecar = Sidecar::HotJournal;
        },
    ] {
        let spec = sample().with(change);
        let first = tree(write(&spec).0.path());
        assert!(first == tree(write(&spec).0.path()), "two runs differ");
        let other = spec.with(|spec| spec.seed = 2);
        assert!(first != tree(write(&other).0.path()), "the seed changes nothing");
    }
}

/// A link and a file below it: the link is not replaced by a parent directory.
#[test]
fn listed_entries_are_never_added_as_parents() {
    let spec = BundleSpec::new(1).with(|spec| {
        spec.entries = vec![
            EntrySpec::symlink("HomeDomain", "link", "/tmp"),
            EntrySpec::file("HomeDomain", "link/x", "1"),
        ];
    });
    let counts = write(&spec).1.counts;
    assert_eq!((counts.rows, counts.directories, counts.symlinks), (3, 1, 1));
}

#[test]
fn mbdb_records_parse_to_the_exact_end() {
    let (dir, truth) = write(&sample().with(|spec| spec.manifest = ManifestKind::Mbdb));
    let bytes = fs::read(dir.path().join("Manifest.mbdb")).unwrap();
    let mut rest = bytes.strip_prefix(b"mbdb\x05\0").unwrap();
    let mut seen = Vec::new();
    let take = |len: usize, rest: &mut &[u8]| {
        let (head, tail) = rest.split_at(len);
        *rest = tail;
        head.to_vec()
    };
    while !rest.is_empty() {
        let mut strings = Vec::new();
        for _ in 0..5 {
            let len = take(2, &mut rest);
            let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
            strings.push((len != 0xffff).then(|| take(len, &mut rest)));
        }
        let fixed = take(40, &mut rest);
        assert_eq!(fixed[39], 0, "no attributes in this bundle");
        seen.push((strings[0].clone().unwrap(), strings[1].clone().unwrap()));
        let is_file = fixed[0] >> 4 == 8;
        assert_eq!(strings[4].as_ref().map(Vec::len), is_file.then_some(44));
    }
    let expected: Vec<_> =
        truth.entries.iter().map(|entry| (entry.domain.clone(), entry.path.clone())).collect();
    assert_eq!(seen, expected);
    let id = file_id("HomeDomain", "Library/SMS/sms.db");
    assert_eq!(fs::read(dir.path().join(id)).unwrap().len(), 8208, "blobs lie flat");
}

#[test]
fn damage_is_in_the_truth() {
    let file = |path: &str, stored| {
        EntrySpec::noise("HomeDomain", path, 64).with(|entry| entry.stored = stored)
    };
    let spec = sample().with(|spec| {
        spec.entries = vec![
            file("right", Stored::Device),
            file("unpadded", Stored::Unpadded),
            file("missing", Stored::Missing),
            file("cut", Stored::CutTo(17)),
            file("flipped", Stored::Flipped(3)),
            file("empty", Stored::Empty),
            file("other", Stored::Bytes(vec![0; 16])),
        ];
    });
    let (_dir, truth) = write(&spec);
    let state = |path: &str| {
        let entry = truth.entry("HomeDomain", path).unwrap();
        (entry.stored, entry.intact)
    };
    assert_eq!(state("right"), (true, true));
    assert_eq!(state("unpadded"), (true, true));
    assert_eq!(state("missing"), (false, false));
    for path in ["cut", "flipped", "empty", "other"] {
        assert_eq!(state(path), (true, false), "{path}");
    }
}

/// FORMAT.md 2.6: the digest is that of the stored blob, and App and media files have none.
#[test]
fn digests_are_of_the_ciphertext_and_by_domain() {
    let (dir, truth) = write(&sample());
    let image =
        decrypt(&truth.manifest_key.unwrap(), &fs::read(dir.path().join("Manifest.db")).unwrap());
    let id = file_id("HomeDomain", "Library/SMS/sms.db");
    let blob = fs::read(dir.path().join(&id[..2]).join(&id)).unwrap();
    let holds = |blob: &[u8]| {
        let digest = <sha1::Sha1 as sha1::Digest>::digest(blob);
        image.windows(20).any(|window| window == &digest[..])
    };
    assert!(holds(&blob), "{} is not in the catalog", hex(&blob[..4]));
    let id = file_id("AppDomain-com.example.app", "Documents/a");
    assert!(!holds(&fs::read(dir.path().join(&id[..2]).join(&id)).unwrap()));
}

#[test]
fn a_full_folder_and_an_escaping_file_are_refused() {
    let (dir, _) = write(&sample());
    let error = sample().write(dir.path()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    let spec = sample().with(|spec| spec.raw_files.push(("../x".into(), vec![])));
    let fresh = tempfile::tempdir().unwrap();
    let error = spec.write(fresh.path()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
