#![allow(clippy::arithmetic_side_effects)]

use bkp_core::{Domain, Entry, EntryKind, Metadata, ProtectionClass, RelPath};
use bkp_crypto::WrappedFileKey;
use bkp_testkit::{DigestForm, PlistValue};
use rusqlite::Connection;

use super::super::{MbFile, encode};
use super::{Archive, patch};
use crate::testing::{Noise, lay_out, shared};
use crate::{MbFileError, Patch, RowPatch};

/// An archive of each shape, made of invented values by another implementation of the rules, one
/// that is known to reproduce the archives of real devices.
const VECTORS: &str = include_str!("vectors.txt");

fn vector(name: &str) -> Vec<u8> {
    let mut lines = VECTORS.lines().filter_map(|line| line.split_once(' '));
    let (_, hex) = lines.find(|(found, _)| *found == name).unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn key(class: u32, first: u8) -> WrappedFileKey {
    let bytes: Vec<u8> = class.to_le_bytes().into_iter().chain((first..).take(40)).collect();
    WrappedFileKey::parse(&bytes).unwrap()
}

fn digest() -> [u8; 20] {
    std::array::from_fn(|at| 0xa0 + u8::try_from(at).unwrap())
}

const XATTRS: &[u8] = b"bplist00-stand-in";

/// The entry that the vectors are of.
fn entry(path: &str, kind: EntryKind) -> Entry {
    let path = RelPath::new(path).unwrap();
    let mut entry = Entry::derive(Domain::new("HomeDomain").unwrap(), path, kind);
    entry.metadata = Metadata {
        size_hint: 4096,
        mode: 0o100_644,
        uid: 501,
        gid: 501,
        modified: 1_580_000_000,
        changed: 1_580_000_001,
        born: 1_570_000_000,
        inode: 4_295_000_123,
        flags: 0,
    };
    entry.protection = Some(ProtectionClass(3));
    entry
}

#[test]
fn known_answers() {
    let file = entry("Documents/a.txt", EntryKind::File);
    let (key, digest) = (key(3, 0x20), digest());
    for (name, key, digest, xattrs) in [
        ("KEY", Some(&key), None, None),
        ("KEY_XATTRS", Some(&key), None, Some(XATTRS)),
        ("DIGEST_KEY", Some(&key), Some(&digest), None),
        ("DIGEST_KEY_XATTRS", Some(&key), Some(&digest), Some(XATTRS)),
        ("DIGEST_XATTRS", None, Some(&digest), Some(XATTRS)),
    ] {
        assert_eq!(encode(&file, key, digest, xattrs), vector(name), "{name}");
    }
    let mut link = entry("Library/link", EntryKind::symlink(b"../elsewhere").unwrap());
    // A size of its own is not written, and the type bits are found.
    link.metadata = Metadata { mode: 0o755, uid: -2, gid: -2, ..link.metadata };
    link.protection = None;
    assert_eq!(encode(&link, None, None, None), vector("LINK"));
    let mut wide = entry("Documents/u\u{308}.txt", EntryKind::File);
    wide.metadata = Metadata { size_hint: 0, inode: 0, ..wide.metadata };
    wide.protection = Some(ProtectionClass(0));
    assert_eq!(encode(&wide, None, None, None), vector("WIDE"));
}

#[test]
fn changes_lead_from_one_known_answer_to_the_other() {
    let key = || Patch::Set(key(3, 0x20));
    let digest = || Patch::Set(digest());
    let none = RowPatch::default;
    for (from, patch_of, to) in [
        ("KEY", RowPatch { digest: digest(), ..none() }, "DIGEST_KEY"),
        ("KEY_XATTRS", RowPatch { digest: digest(), ..none() }, "DIGEST_KEY_XATTRS"),
        ("DIGEST_KEY", RowPatch { digest: Patch::Remove, ..none() }, "KEY"),
        ("DIGEST_XATTRS", RowPatch { key: key(), ..none() }, "DIGEST_KEY_XATTRS"),
        ("DIGEST_KEY_XATTRS", RowPatch { key: Patch::Remove, ..none() }, "DIGEST_XATTRS"),
        ("DIGEST_XATTRS", RowPatch { key: key(), digest: Patch::Remove, ..none() }, "KEY_XATTRS"),
        (
            "KEY_XATTRS",
            RowPatch { key: Patch::Remove, digest: digest(), ..none() },
            "DIGEST_XATTRS",
        ),
        // What is there already, and nothing to remove.
        (
            "DIGEST_KEY",
            RowPatch { key: key(), digest: digest(), size: Some(4096), ..none() },
            "DIGEST_KEY",
        ),
        ("LINK", RowPatch { key: Patch::Remove, digest: Patch::Remove, ..none() }, "LINK"),
    ] {
        assert_eq!(patch(&vector(from), &patch_of).unwrap(), vector(to), "{from} to {to}");
    }
}

#[test]
fn numbers_change_and_nothing_else_does() {
    let blob = vector("DIGEST_KEY_XATTRS");
    let before = MbFile::parse(&blob).unwrap();
    for number in [0, 1, 255, 256, 65_536, u64::from(u32::MAX) + 1, i64::MAX.cast_unsigned()] {
        let change = RowPatch {
            size: Some(number),
            inode: Some(u64::MAX - number),
            protection: Some(ProtectionClass(1)),
            ..RowPatch::default()
        };
        let patched = patch(&blob, &change).unwrap();
        let after = MbFile::parse(&patched).unwrap();
        let expected = MbFile {
            size: Some(number),
            inode: Some(u64::MAX - number),
            protection_class: Some(1),
            ..before.clone()
        };
        assert_eq!(after, expected);
    }
    // No device has such a size, and it is not lost either.
    let change = RowPatch { size: Some(u64::MAX), ..RowPatch::default() };
    let patched = patch(&blob, &change).unwrap();
    assert_eq!(MbFile::parse(&patched).unwrap().size, Some(u64::MAX));
}

fn foreign(form: DigestForm, extra: Vec<(String, PlistValue)>) -> bkp_testkit::MbFile {
    bkp_testkit::MbFile {
        path: "a".to_owned(),
        mode: 0o100_644,
        inode: 7,
        uid: 501,
        gid: 501,
        modified: 1,
        changed: 2,
        born: 3,
        size: 4,
        class: 3,
        flags: 0,
        target: None,
        digest: Some((vec![1; 20], form)),
        encryption_key: None,
        xattrs: None,
        omit: Vec::new(),
        extra,
    }
}

/// Digests in every form that tools write, beside keys that nobody knows.
#[test]
fn what_is_not_known_stays() {
    let extra = || {
        vec![
            (
                "Whole".to_owned(),
                PlistValue::dict([(
                    "a",
                    PlistValue::Array(vec![
                        PlistValue::Real(0.5),
                        PlistValue::Date(1),
                        PlistValue::Bool(true),
                        PlistValue::Int(-3),
                    ]),
                )]),
            ),
            ("Text".to_owned(), PlistValue::text("behind a reference \u{e4}")),
            ("Bytes".to_owned(), PlistValue::Data(vec![0, 255])),
        ]
    };
    for form in [DigestForm::Reference, DigestForm::Inline, DigestForm::Wrapped] {
        let blob = foreign(form, extra()).encode();
        let change = RowPatch {
            key: Patch::Set(key(4, 0x30)),
            digest: Patch::Set([2; 20]),
            ..RowPatch::default()
        };
        let patched = patch(&blob, &change).unwrap();
        let file = MbFile::parse(&patched).unwrap();
        assert_eq!(file.digest, Some(&[2; 20][..]));
        assert_eq!(file.encryption_key, Some(&key(4, 0x30).to_bytes()[..]));
        assert_eq!((file.unknown, file.bad), (3, crate::FieldSet::default()));
        let values = |blob: &[u8]| {
            let value = plist::Value::from_reader(std::io::Cursor::new(blob)).unwrap();
            let archive = value.into_dictionary().unwrap();
            let objects = archive["$objects"].as_array().unwrap().clone();
            let root = objects[1].as_dictionary().unwrap().clone();
            ["Whole", "Text", "Bytes"].map(|name| match &root[name] {
                plist::Value::Uid(uid) => objects[usize::try_from(uid.get()).unwrap()].clone(),
                value => value.clone(),
            })
        };
        assert_eq!(values(&patched), values(&blob), "{form:?}");
        // Its order was a device's, but for what a device does not write; and so it is again.
        let back =
            RowPatch { key: Patch::Remove, digest: Patch::Set([1; 20]), ..RowPatch::default() };
        let back = patch(&patched, &back).unwrap();
        assert_eq!(values(&back), values(&blob), "{form:?}");
        if form == DigestForm::Reference {
            assert_eq!(back, blob);
        }
    }
}

/// Two fields that name one object: only one of them changes.
#[test]
fn a_shared_object_is_not_changed_for_both() {
    let text = |text: &str| {
        let mut out = vec![0x50 | u8::try_from(text.len().min(15)).unwrap()];
        if text.len() >= 15 {
            out.extend([0x10, u8::try_from(text.len()).unwrap()]);
        }
        out.extend(text.as_bytes());
        out
    };
    let mut objects = vec![
        vec![0xd2, 1, 2, 3, 4],
        text("$top"),
        text("$objects"),
        vec![0xd1, 5, 6],
        vec![0xa3, 7, 8, 9],
        text("root"),
        vec![0x80, 1],
        text("$null"),
        vec![0xd2, 10, 11, 12, 12],
        [&[0x4f, 0x10, 20][..], &[5; 20]].concat(),
        text("Digest"),
        text("ExtendedAttributes"),
        vec![0x80, 2],
    ];
    let blob = lay_out(&objects, 2, 1, 0);
    let change = RowPatch { digest: Patch::Set([6; 20]), ..RowPatch::default() };
    let patched = patch(&blob, &change).unwrap();
    let file = MbFile::parse(&patched).unwrap();
    assert_eq!(file.digest, Some(&[6; 20][..]));
    assert_eq!(file.extended_attributes, Some(&[5; 20][..]));
    let gone = RowPatch { digest: Patch::Remove, ..RowPatch::default() };
    let patched = patch(&blob, &gone).unwrap();
    let file = MbFile::parse(&patched).unwrap();
    assert_eq!((file.digest, file.extended_attributes), (None, Some(&[5; 20][..])));
    // A reference to the root itself, and one that leads nowhere.
    for uid in [1, 200] {
        objects[12] = vec![0x80, uid];
        let patched = patch(&lay_out(&objects, 2, 1, 0), &change).unwrap();
        assert_eq!(MbFile::parse(&patched).unwrap().digest, Some(&[6; 20][..]), "{uid}");
    }
}

#[test]
fn an_archive_that_unfolds_is_refused() {
    // Thirty arrays, each of twice the one before: a billion values.
    let mut objects: Vec<Vec<u8>> = vec![vec![0xa2, 1, 1]];
    for at in 1..30 {
        objects.push(vec![0xa2, at + 1, at + 1]);
    }
    objects.push(vec![0xa0]);
    let blob = lay_out(&objects, 2, 1, 0);
    let Err(error) = Archive::read(&blob) else { panic!("read") };
    assert!(matches!(error, MbFileError::TooMuch { .. }), "{error:?}");
}

#[test]
fn without_a_change_even_damage_stays() {
    for blob in [&b""[..], b"bplist00", b"anything"] {
        assert_eq!(patch(blob, &RowPatch::default()).unwrap(), blob);
        let change = RowPatch { size: Some(1), ..RowPatch::default() };
        assert!(patch(blob, &change).is_err());
    }
}

#[test]
fn every_cut_and_every_flip_ends() {
    let blob = vector("DIGEST_KEY_XATTRS");
    let change = RowPatch {
        key: Patch::Set(key(1, 0x60)),
        digest: Patch::Set([9; 20]),
        size: Some(5),
        inode: Some(6),
        protection: Some(ProtectionClass(1)),
    };
    for cut in 0..blob.len() {
        assert!(patch(&blob[..cut], &change).is_err(), "{cut}");
    }
    let mut noise = Noise(7);
    let mut patched = 0;
    for flip in 0..blob.len() + 2000 {
        let at = if flip < blob.len() { flip } else { noise.below(blob.len()) };
        let mut blob = blob.clone();
        blob[at] ^= u8::try_from(1 + noise.below(255)).unwrap();
        if let Ok(out) = patch(&blob, &change) {
            let file = MbFile::parse(&out).unwrap();
            assert_eq!(file.encryption_key, Some(&key(1, 0x60).to_bytes()[..]), "{at}");
            assert_eq!((file.digest, file.size), (Some(&[9; 20][..]), Some(5)), "{at}");
            assert_eq!((file.inode, file.protection_class), (Some(6), Some(1)), "{at}");
            patched += 1;
        }
    }
    assert!(patched > 500, "{patched}");
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
