#![allow(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::io::Cursor;

use plist::{Dictionary, Uid, Value};
use rusqlite::{Connection, MAIN_DB};

use super::{Field, MAX_BLOB, MbFile, MbFileError, parse_xattrs};
use crate::testing::{Noise, lay_out, shared};

/// What another, plain reading of the same archive finds: no limits, no borrowing, and the
/// `plist` crate underneath.
#[derive(Debug, PartialEq)]
struct Reference {
    texts: [Option<Vec<u8>>; 2],
    numbers: [Option<i64>; 10],
    bytes: [Option<Vec<u8>>; 3],
    unknown: u32,
}

fn reference(blob: &[u8]) -> Reference {
    let value = Value::from_reader(Cursor::new(blob)).unwrap();
    let archive = value.as_dictionary().unwrap();
    let objects = archive["$objects"].as_array().unwrap();
    let at = |uid: &Uid| &objects[usize::try_from(uid.get()).unwrap()];
    let top = archive["$top"].as_dictionary().unwrap();
    let root = at(top["root"].as_uid().unwrap()).as_dictionary().unwrap();
    let get = |key: &str| {
        root.get(key).map(|value| match value {
            Value::Uid(uid) => at(uid),
            other => other,
        })
    };
    let text = |key| get(key).map(|v| v.as_string().unwrap().as_bytes().to_vec());
    let number = |key| get(key).map(|v| v.as_signed_integer().unwrap());
    let bytes = |key| {
        get(key).map(|v| match v {
            Value::Data(bytes) => bytes.clone(),
            wrapper => wrapper.as_dictionary().unwrap()["NS.data"].as_data().unwrap().to_vec(),
        })
    };
    const TEXTS: [&str; 2] = ["RelativePath", "Target"];
    const NUMBERS: [&str; 10] = [
        "Mode",
        "InodeNumber",
        "UserID",
        "GroupID",
        "LastModified",
        "LastStatusChange",
        "Birth",
        "Size",
        "ProtectionClass",
        "Flags",
    ];
    const BYTES: [&str; 3] = ["Digest", "EncryptionKey", "ExtendedAttributes"];
    let known = |key: &str| {
        key == "$class" || TEXTS.contains(&key) || NUMBERS.contains(&key) || BYTES.contains(&key)
    };
    Reference {
        texts: TEXTS.map(text),
        numbers: NUMBERS.map(number),
        bytes: BYTES.map(bytes),
        unknown: u32::try_from(root.keys().filter(|key| !known(key)).count()).unwrap(),
    }
}

fn ours(file: &MbFile<'_>) -> Reference {
    let text = |text: &Option<Cow<'_, [u8]>>| text.as_ref().map(|text| text.to_vec());
    Reference {
        texts: [text(&file.relative_path), text(&file.target)],
        numbers: [
            file.mode.map(i64::from),
            file.inode.map(u64::cast_signed),
            file.uid.map(i64::from),
            file.gid.map(i64::from),
            file.modified,
            file.changed,
            file.born,
            file.size.map(u64::cast_signed),
            file.protection_class.map(i64::from),
            file.flags.map(i64::from),
        ],
        bytes: [file.digest, file.encryption_key, file.extended_attributes]
            .map(|bytes| bytes.map(<[u8]>::to_vec)),
        unknown: file.unknown,
    }
}

fn binary(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.to_writer_binary(&mut out).unwrap();
    out
}

fn dict<const N: usize>(items: [(&str, Value); N]) -> Value {
    Value::Dictionary(items.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Dictionary>())
}

fn uid(n: u64) -> Value {
    Value::Uid(Uid::new(n))
}

fn array(items: impl Into<Vec<Value>>) -> Value {
    Value::Array(items.into())
}

fn archive(root: u64, objects: Vec<Value>) -> Value {
    dict([
        ("$version", 100_000.into()),
        ("$archiver", "NSKeyedArchiver".into()),
        ("$top", dict([("root", uid(root))])),
        ("$objects", array(objects)),
    ])
}

/// The shape of an encrypted backup's regular file.
fn file_blob() -> Vec<u8> {
    let xattrs = binary(&dict([("com.apple.TextEncoding", Value::Data(b"utf-8;134".to_vec()))]));
    binary(&archive(
        1,
        vec![
            "$null".into(),
            dict([
                ("LastModified", 1_577_836_800.into()),
                ("ProtectionClass", 3.into()),
                ("Flags", 128.into()),
                ("GroupID", (-2).into()),
                ("ExtendedAttributes", uid(6)),
                ("$class", uid(7)),
                ("LastStatusChange", 1_577_836_801.into()),
                ("RelativePath", uid(2)),
                ("Birth", 1_577_836_799.into()),
                ("EncryptionKey", uid(4)),
                ("Size", 253_952.into()),
                ("Mode", 0o100_644.into()),
                ("UserID", 501.into()),
                ("Digest", uid(3)),
                ("InodeNumber", 4_295_038_976_i64.into()),
            ]),
            "Library/SMS/sms.db".into(),
            Value::Data((0..20).collect()),
            dict([("NS.data", Value::Data((0..44).collect())), ("$class", uid(5))]),
            dict([("$classname", "NSMutableData".into())]),
            Value::Data(xattrs),
            dict([("$classname", "MBFile".into())]),
        ],
    ))
}

fn link_blob() -> Vec<u8> {
    binary(&archive(
        2,
        vec![
            "$null".into(),
            "Ünïcode/ссылка 🔗".into(),
            dict([
                ("RelativePath", uid(1)),
                ("Target", uid(3)),
                ("Mode", 0o120_755.into()),
                ("UserID", (-2).into()),
                ("Digest", Value::Data(vec![7; 20])),
                ("EncryptionKey", Value::Data(vec![9; 44])),
                ("FutureKey", array([])),
            ]),
            "/var/db/timezone/zoneinfo/Europe/Vienna".into(),
        ],
    ))
}

#[test]
fn every_field_of_a_regular_file() {
    let blob = file_blob();
    let file = MbFile::parse(&blob).unwrap();
    assert_eq!(file.relative_path.as_deref(), Some(&b"Library/SMS/sms.db"[..]));
    assert!(matches!(file.relative_path, Some(Cow::Borrowed(_))), "the path was copied");
    assert_eq!(file.target, None);
    assert_eq!(file.mode, Some(0o100_644));
    assert_eq!(file.inode, Some(4_295_038_976));
    assert_eq!((file.uid, file.gid), (Some(501), Some(-2)));
    assert_eq!(file.modified, Some(1_577_836_800));
    assert_eq!(file.changed, Some(1_577_836_801));
    assert_eq!(file.born, Some(1_577_836_799));
    assert_eq!(file.size, Some(253_952));
    assert_eq!((file.protection_class, file.flags), (Some(3), Some(128)));
    assert_eq!(file.digest.unwrap(), (0..20).collect::<Vec<u8>>());
    assert_eq!(file.encryption_key.unwrap(), (0..44).collect::<Vec<u8>>());
    assert!(file.bad.is_empty() && file.repeated.is_empty());
    assert_eq!((file.unknown, file.unreadable), (0, 0));
    let xattrs = parse_xattrs(file.extended_attributes.unwrap()).unwrap();
    assert_eq!(xattrs.unusable, 0);
    assert_eq!(xattrs.items, [(b"com.apple.TextEncoding".into(), &b"utf-8;134"[..])]);
}

#[test]
fn a_link_with_inline_data_and_a_root_elsewhere() {
    let blob = link_blob();
    let file = MbFile::parse(&blob).unwrap();
    assert_eq!(file.relative_path.as_deref(), Some("Ünïcode/ссылка 🔗".as_bytes()));
    assert_eq!(file.target.as_deref(), Some(&b"/var/db/timezone/zoneinfo/Europe/Vienna"[..]));
    assert_eq!((file.digest, file.encryption_key), (Some(&[7; 20][..]), Some(&[9; 44][..])));
    assert_eq!((file.uid, file.gid, file.unknown), (Some(-2), None, 1));
    assert_eq!(ours(&file), reference(&blob));
}

#[test]
fn one_bad_field_leaves_the_others() {
    let blob = binary(&archive(
        1,
        vec![
            "$null".into(),
            dict([
                ("RelativePath", uid(2)),
                ("Mode", array([])),
                ("Size", (-1).into()),
                ("UserID", 4_294_967_296_i64.into()),
                ("GroupID", 4_294_967_294_i64.into()),
                ("Digest", uid(99)),
                ("Target", uid(0)),
                ("Birth", "1577836800".into()),
                ("LastModified", 1_577_836_800.75.into()),
                ("LastStatusChange", uid(3)),
                ("InodeNumber", (-5).into()),
            ]),
            "a/b".into(),
            dict([("NS.time", Value::Real(1.5))]),
        ],
    ));
    let file = MbFile::parse(&blob).unwrap();
    let bad: Vec<_> = file.bad.iter().collect();
    assert_eq!(bad, [Field::Mode, Field::UserId, Field::Size, Field::Digest]);
    assert_eq!(file.relative_path.as_deref(), Some(&b"a/b"[..]));
    assert_eq!(file.gid, Some(-2), "ids are 32 bits, signed or not");
    assert_eq!((file.target, file.size, file.digest), (None, None, None));
    assert_eq!((file.born, file.modified), (Some(1_577_836_800), Some(1_577_836_800)));
    assert_eq!(file.changed, Some(978_307_201));
    assert_eq!(file.inode, Some(5_u64.wrapping_neg()));
}

/// Every width of offset, reference, integer and UID that the format has, laid out by hand.
#[test]
fn every_width() {
    for offset_size in 2..=8_usize {
        for ref_size in 1..=8_u8 {
            for int in [
                vec![0x10, 7],
                vec![0x11, 0, 7],
                vec![0x12, 0, 0, 0, 7],
                [&[0x13][..], &7_i64.to_be_bytes()].concat(),
                [&[0x14][..], &7_i128.to_be_bytes()].concat(),
            ] {
                for uid_width in 1..=16_u8 {
                    let reference = |n: u64| {
                        let bytes = n.to_be_bytes();
                        bytes[8 - usize::from(ref_size)..].to_vec()
                    };
                    let refs = |marker: u8, list: &[u64]| {
                        let mut out = vec![marker];
                        list.iter().for_each(|&n| out.extend(reference(n)));
                        out
                    };
                    let text =
                        |s: &str| [&[0x50 | u8::try_from(s.len()).unwrap()], s.as_bytes()].concat();
                    let mut uid = vec![0x80 | (uid_width - 1)];
                    uid.resize(usize::from(uid_width), 0);
                    uid.push(1);
                    let objects = [
                        refs(0xd2, &[1, 2, 3, 4]), // 0 top
                        text("$top"),              // 1
                        text("$objects"),          // 2
                        refs(0xd1, &[5, 6]),       // 3 $top
                        refs(0xa2, &[7, 8]),       // 4 $objects
                        text("root"),              // 5
                        uid,                       // 6
                        text("$null"),             // 7
                        refs(0xd1, &[9, 10]),      // 8 root
                        text("Size"),              // 9
                        int.clone(),               // 10
                    ];
                    let blob = lay_out(&objects, offset_size, ref_size, 0);
                    let file = MbFile::parse(&blob).unwrap();
                    assert_eq!(file.size, Some(7), "{offset_size} {ref_size} {uid_width}");
                }
            }
        }
    }
}

#[test]
fn a_lone_surrogate_is_kept_apart() {
    let objects = |unit: [u8; 2]| {
        [
            vec![0xd2, 1, 2, 3, 4],
            b"\x54$top".to_vec(),
            b"\x58$objects".to_vec(),
            vec![0xd1, 5, 6],
            vec![0xa2, 7, 8],
            b"\x54root".to_vec(),
            vec![0x80, 1],
            b"\x55$null".to_vec(),
            vec![0xd1, 9, 10],
            b"\x5cRelativePath".to_vec(),
            [&[0x61][..], &unit].concat(),
        ]
    };
    let one = lay_out(&objects([0xd8, 0x01]), 2, 1, 0);
    let two = lay_out(&objects([0xd8, 0x02]), 2, 1, 0);
    let path = |blob| MbFile::parse(blob).unwrap().relative_path.unwrap().into_owned();
    assert_eq!(path(&one), [0xed, 0xa0, 0x81]);
    assert_eq!(path(&two), [0xed, 0xa0, 0x82]);
}

#[test]
fn a_repeated_key_is_told_and_the_last_counts() {
    let objects = [
        vec![0xd2, 1, 2, 3, 4],
        b"\x54$top".to_vec(),
        b"\x58$objects".to_vec(),
        vec![0xd1, 5, 6],
        vec![0xa2, 7, 8],
        b"\x54root".to_vec(),
        vec![0x80, 1],
        b"\x55$null".to_vec(),
        vec![0xd2, 9, 11, 10, 12],
        b"\x54Size".to_vec(),
        vec![0x10, 7],
        b"\x64\0S\0i\0z\0e".to_vec(), // the same key in UTF-16
        vec![0x10, 8],
    ];
    let blob = lay_out(&objects, 1, 1, 0);
    let file = MbFile::parse(&blob).unwrap();
    assert_eq!(file.size, Some(8));
    assert!(file.repeated.contains(Field::Size));
    assert_eq!(reference(&blob).numbers[7], Some(8), "the plist crate reads it otherwise");
}

#[test]
fn what_is_no_mbfile() {
    assert_eq!(MbFile::parse(b""), Err(MbFileError::NotBinary));
    assert_eq!(MbFile::parse(b"<?xml version=\"1.0\"?>"), Err(MbFileError::NotBinary));
    let long = vec![b'b'; MAX_BLOB + 1];
    assert!(matches!(MbFile::parse(&long), Err(MbFileError::LimitExceeded { .. })));
    assert_eq!(MbFile::parse(&long[..MAX_BLOB]), Err(MbFileError::NotBinary));
    for (value, what) in [
        (array([]), "top-level dictionary"),
        (dict([]), "$objects"),
        (dict([("$objects", array([]))]), "$top"),
        (dict([("$objects", array([])), ("$top", dict([]))]), "$top.root"),
        (archive(0, vec!["$null".into()]), "root dictionary"),
    ] {
        let blob = binary(&value);
        assert_eq!(MbFile::parse(&blob), Err(MbFileError::NotMbFile { what }));
    }
    let blob = binary(&archive(9, vec!["$null".into()]));
    assert!(matches!(MbFile::parse(&blob), Err(MbFileError::Malformed { .. })));
}

#[test]
fn a_key_repeated_many_times_costs_one_value() {
    // 100,000 times RelativePath, each naming one UTF-16 string of 400,000 units.
    let n = 100_000_u32;
    let mut root = vec![0xdf, 0x12];
    root.extend(n.to_be_bytes());
    root.extend((0..n).flat_map(|_| [0, 9]));
    root.extend((0..n).flat_map(|_| [0, 10]));
    let mut name = vec![0x6f, 0x12];
    name.extend(200_000_u32.to_be_bytes());
    name.resize(name.len() + 400_000, 0x41);
    let objects = [
        vec![0xd2, 0, 1, 0, 2, 0, 3, 0, 4],
        b"\x54$top".to_vec(),
        b"\x58$objects".to_vec(),
        vec![0xd1, 0, 5, 0, 6],
        vec![0xa2, 0, 7, 0, 8],
        b"\x54root".to_vec(),
        vec![0x80, 1],
        b"\x55$null".to_vec(),
        root,
        b"\x5cRelativePath".to_vec(),
        name,
    ];
    let blob = lay_out(&objects, 4, 2, 0);
    let file = MbFile::parse(&blob).unwrap();
    assert_eq!(file.relative_path.unwrap().len(), 600_000);
    assert!(file.repeated.contains(Field::RelativePath));
}

/// A changed blob may say anything, and must not panic, hang or grow.
fn survive(blob: &[u8]) {
    if let Ok(file) = MbFile::parse(blob) {
        assert!(file.relative_path.is_none_or(|path| path.len() <= blob.len() * 2));
        if let Some(xattrs) = file.extended_attributes {
            let _ = parse_xattrs(xattrs);
        }
    }
    if let Ok(xattrs) = parse_xattrs(blob) {
        assert!(xattrs.items.len() + xattrs.unusable <= blob.len());
    }
}

#[test]
fn every_prefix_and_every_changed_byte() {
    let xattrs = binary(&dict([("a", Value::Data(vec![1])), ("ü", Value::Data(vec![2; 300]))]));
    for blob in [file_blob(), link_blob(), xattrs] {
        for end in 0..blob.len() {
            assert!(MbFile::parse(&blob[..end]).is_err(), "a cut at {end} was accepted");
            survive(&blob[..end]);
        }
        let mut changed = blob.clone();
        for at in 0..blob.len() {
            for value in 0..=255 {
                changed[at] = value;
                survive(&changed);
            }
            changed[at] = blob[at];
        }
    }
}

#[test]
fn random_damage() {
    let mut noise = Noise(0x5eed);
    let blobs = [file_blob(), link_blob()];
    for round in 0..200_000 {
        let mut blob = blobs[round % 2].clone();
        for _ in 0..=noise.below(4) {
            let at = noise.below(blob.len());
            blob[at] = noise.next().to_le_bytes()[0];
        }
        survive(&blob);
    }
}

#[test]
fn real_rows_read_as_the_plist_crate_reads_them() {
    let Some(path) = shared("bundles/ios13.3-unencrypted/Manifest.db") else { return };
    let mut image = std::fs::read(path).unwrap();
    image[18..20].copy_from_slice(&[1, 1]);
    let mut db = Connection::open_in_memory().unwrap();
    db.deserialize_read_exact(MAIN_DB, &image[..], image.len(), true).unwrap();
    let mut query = db.prepare("SELECT file, relativePath FROM Files").unwrap();
    let mut rows = query.query([]).unwrap();
    let (mut count, mut with_xattrs, mut digests, mut links) = (0, 0, 0, 0);
    while let Some(row) = rows.next().unwrap() {
        let blob = row.get_ref(0).unwrap().as_blob().unwrap();
        let file = MbFile::parse(blob).unwrap();
        assert_eq!(ours(&file), reference(blob));
        assert_eq!(
            file.relative_path.as_deref(),
            Some(row.get_ref(1).unwrap().as_bytes().unwrap())
        );
        assert!(file.bad.is_empty() && file.repeated.is_empty() && file.unreadable == 0);
        count += 1;
        digests += u32::from(file.digest.is_some());
        links += u32::from(file.target.is_some());
        if let Some(value) = file.extended_attributes {
            with_xattrs += 1;
            let ours = parse_xattrs(value).unwrap();
            assert_eq!(ours.unusable, 0);
            let theirs = Value::from_reader(Cursor::new(value)).unwrap();
            let theirs: Vec<_> = theirs.as_dictionary().unwrap().iter().collect();
            assert_eq!(ours.items.len(), theirs.len());
            for ((name, value), (key, data)) in ours.items.iter().zip(theirs) {
                assert_eq!((&**name, *value), (key.as_bytes(), data.as_data().unwrap()));
            }
        }
    }
    assert_eq!(count, 1746);
    println!("{count} rows, {digests} digests, {links} links, {with_xattrs} with attributes");
    assert!(with_xattrs > 0 && digests > 0 && links > 0);
}

#[test]
fn wrapped_values_that_name_their_bytes() {
    let blob = binary(&archive(
        1,
        vec![
            "$null".into(),
            dict([("EncryptionKey", uid(2)), ("Digest", uid(4)), ("RelativePath", uid(5))]),
            dict([("NS.data", uid(3))]),
            Value::Data(vec![9; 44]),
            dict([("NS.bytes", Value::Data(vec![7; 20]))]),
            dict([("NS.string", "a/b".into())]),
        ],
    ));
    let file = MbFile::parse(&blob).unwrap();
    assert_eq!((file.encryption_key, file.digest), (Some(&[9; 44][..]), Some(&[7; 20][..])));
    assert_eq!(file.relative_path.as_deref(), Some(&b"a/b"[..]));
    assert!(file.bad.is_empty());
}
