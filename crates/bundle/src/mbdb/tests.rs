#![allow(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use super::{Mbdb, MbdbError, MbdbRecord};
use crate::testing::{Noise, shared};

fn string(out: &mut Vec<u8>, string: Option<&[u8]>) {
    match string {
        None => out.extend([0xff, 0xff]),
        Some(bytes) => {
            out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
            out.extend(bytes);
        }
    }
}

/// A file of three records: a root, a file with everything, and a link.
fn sample() -> Vec<u8> {
    let mut out = b"mbdb\x05\x00".to_vec();
    for text in [Some(&b"HomeDomain"[..]), Some(b""), None, None, None] {
        string(&mut out, text);
    }
    out.extend(0o040_755_u16.to_be_bytes());
    out.extend(2_u64.to_be_bytes());
    for n in [501_u32, 501, 1, 2, 3] {
        out.extend(n.to_be_bytes());
    }
    out.extend(0_u64.to_be_bytes());
    out.extend([0, 0]);

    for text in [&b"HomeDomain"[..], b"Library/a", b"", &[7; 20], &[9; 44]].map(Some) {
        string(&mut out, text);
    }
    out.extend(0o100_644_u16.to_be_bytes());
    out.extend(0x0102_0304_0506_0708_u64.to_be_bytes());
    for n in [0xffff_fffe_u32, 0xffff_fffe, 0xf000_0000, 5, 6] {
        out.extend(n.to_be_bytes());
    }
    out.extend(0x1_0000_0001_u64.to_be_bytes());
    out.extend([3, 2]);
    for text in [&b"name"[..], &[0xff, 0, 0x80], b"empty", b""] {
        string(&mut out, Some(text));
    }

    for text in [Some(&b"HomeDomain"[..]), Some(b"l"), Some(b"../t"), None, None] {
        string(&mut out, text);
    }
    out.extend(0o120_755_u16.to_be_bytes());
    out.extend([0; 38]);
    out
}

#[test]
fn every_field() {
    let bytes = sample();
    let mbdb = Mbdb::parse(&bytes).unwrap();
    let records: Vec<MbdbRecord<'_>> = mbdb.records().map(Result::unwrap).collect();
    let [root, file, link] = &records[..] else { panic!("{} records", records.len()) };

    assert_eq!((root.offset, root.domain, root.path), (6, &b"HomeDomain"[..], Some(&b""[..])));
    assert_eq!((root.target, root.digest, root.encryption_key), (None, None, None));
    assert_eq!((root.mode, root.inode, root.xattrs.len()), (0o040_755, 2, 0));
    assert!(root.xattrs.is_empty());

    assert_eq!((file.path, file.target), (Some(&b"Library/a"[..]), Some(&b""[..])));
    assert_eq!((file.digest, file.encryption_key), (Some(&[7; 20][..]), Some(&[9; 44][..])));
    assert_eq!((file.mode, file.inode), (0o100_644, 0x0102_0304_0506_0708));
    assert_eq!((file.uid, file.gid), (-2, -2));
    assert_eq!((file.modified, file.changed, file.born), (0xf000_0000, 5, 6));
    assert_eq!((file.size, file.protection_class), (0x1_0000_0001, 3));
    let xattrs: Vec<_> = file.xattrs.collect();
    assert_eq!(xattrs, [(&b"name"[..], &[0xff, 0, 0x80][..]), (b"empty", b"")]);

    assert_eq!(link.target, Some(&b"../t"[..]));
    for record in &records {
        assert_eq!(mbdb.record_at(record.offset).as_ref(), Ok(record));
    }
    assert!(mbdb.record_at(0).is_err());
    assert!(mbdb.record_at(usize::MAX).is_err());
}

#[test]
fn headers() {
    assert_eq!(Mbdb::parse(b"").err(), Some(MbdbError::NotMbdb));
    assert_eq!(Mbdb::parse(b"mbdb\x05").err(), Some(MbdbError::NotMbdb));
    assert_eq!(Mbdb::parse(b"mbdx\x05\x00").err(), Some(MbdbError::NotMbdb));
    for (major, minor) in [(4, 0), (5, 1), (6, 0)] {
        let error = Mbdb::parse(&[b'm', b'b', b'd', b'b', major, minor]).err();
        assert_eq!(error, Some(MbdbError::UnsupportedVersion { major, minor }));
    }
    assert_eq!(Mbdb::parse(b"mbdb\x05\x00").unwrap().records().count(), 0);
}

/// Reads everything, and returns how many records were sound and what ended them.
fn read(bytes: &[u8]) -> (usize, Option<MbdbError>) {
    let Ok(mbdb) = Mbdb::parse(bytes) else { return (0, None) };
    let (mut sound, mut end) = (0, None);
    let mut next = 6;
    for item in mbdb.records() {
        assert!(end.is_none(), "a record after an error");
        match item {
            Ok(record) => {
                assert!(record.offset >= next, "records overlap");
                next = record.offset + 1;
                let count = record.xattrs.len();
                assert_eq!(record.xattrs.count(), count, "attributes were not checked");
                sound += 1;
            }
            Err(error) => end = Some(error),
        }
    }
    if let Some(MbdbError::Malformed { index, record_offset, offset, .. }) = &end {
        assert_eq!(*index, sound);
        assert!(record_offset <= offset && *offset <= bytes.len());
    }
    (sound, end)
}

#[test]
fn every_cut_names_the_record() {
    let bytes = sample();
    let starts: Vec<_> =
        Mbdb::parse(&bytes).unwrap().records().map(|record| record.unwrap().offset).collect();
    for end in 6..bytes.len() {
        let whole = starts.iter().skip(1).filter(|&&start| start <= end).count();
        let (sound, error) = read(&bytes[..end]);
        assert_eq!(sound, whole, "cut at {end}");
        if end == 6 || starts.contains(&end) {
            assert_eq!(error, None, "cut at {end}");
        } else {
            let Some(MbdbError::Malformed { record_offset, .. }) = error else { panic!("{end}") };
            assert_eq!(record_offset, starts[whole], "cut at {end}");
        }
    }
}

#[test]
fn every_changed_byte() {
    let bytes = sample();
    let mut changed = bytes.clone();
    for at in 0..bytes.len() {
        for value in 0..=255 {
            changed[at] = value;
            read(&changed);
        }
        changed[at] = bytes[at];
    }
}

#[test]
fn zeroed_space_is_no_records() {
    let mut bytes = sample();
    let end = bytes.len();
    bytes.resize(end + 100_000, 0);
    let (sound, error) = read(&bytes);
    assert_eq!(sound, 3);
    let expected = MbdbError::Malformed {
        index: 3,
        record_offset: end,
        offset: end + 2,
        what: "has no domain",
    };
    assert_eq!(error, Some(expected));
}

/// Counts from an independent reading of the same bundle.
#[test]
fn a_real_file() {
    let Some(path) = shared("bundles/ios9.3-encrypted-mbdb/Manifest.mbdb") else { return };
    let bytes = std::fs::read(path).unwrap();
    let mbdb = Mbdb::parse(&bytes).unwrap();
    let mut domains = BTreeMap::<&[u8], u32>::new();
    let (mut kinds, mut with_xattrs) = ([0; 3], 0);
    for record in mbdb.records() {
        let record = record.unwrap();
        *domains.entry(record.domain).or_default() += 1;
        let kind = match record.mode >> 12 {
            0o04 => 0,
            0o10 => 1,
            0o12 => 2,
            other => panic!("mode {other:o}"),
        };
        kinds[kind] += 1;
        with_xattrs += u32::from(!record.xattrs.is_empty());
        assert!(record.xattrs.clone().all(|(name, _)| name.starts_with(b"com.apple.")));
        assert_eq!(kind == 2, record.target.is_some_and(|target| !target.is_empty()));
        assert_eq!(kind == 1, record.encryption_key.is_some_and(|key| key.len() == 44));
        assert!(record.digest.is_none_or(|digest| digest.len() == 20));
        assert!(record.path.is_some());
        assert_eq!(mbdb.record_at(record.offset), Ok(record));
    }
    assert_eq!((domains.len(), kinds, with_xattrs), (97, [429, 321, 7], 3));

    let Some(path) = shared("truth/ios9.3-encrypted-mbdb.json") else { return };
    let truth = std::fs::read_to_string(path).unwrap();
    for (domain, count) in domains {
        let line = format!("\"{}\": {count}", std::str::from_utf8(domain).unwrap());
        assert!(truth.contains(&line), "{line}");
    }

    for end in (6..bytes.len()).step_by(61) {
        read(&bytes[..end]);
    }
    let mut noise = Noise(0xdb);
    let mut changed = bytes.clone();
    for _ in 0..500 {
        let at = noise.below(bytes.len());
        changed[at] = noise.next().to_le_bytes()[0];
        read(&changed);
        changed[at] = bytes[at];
    }
}

#[test]
fn a_file_of_another_tool() {
    let Some(path) = shared("bundles/thirdparty-9.0.1-encrypted-mbdb/Manifest.mbdb") else {
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    let (sound, error) = read(&bytes);
    assert_eq!((sound, error), (1, None));
}
