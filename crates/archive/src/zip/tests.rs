//! Zips that somebody made up, written field by field.

use std::io::{Cursor, Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bkp_core::Fault as _;
use bkp_crypto::ByteSource;
use zip::write::SimpleFileOptions;

use super::{ArchiveLimits, Directory, ZipWriter, local_header};
use crate::{ArchiveError, MemberName};

const BLOB: &str = "3d/3d0d7e5fb2ce288813306e4d4636395e047a3d28";

/// A member of which any field can be a lie.
#[derive(Clone)]
struct Entry {
    name: Vec<u8>,
    local_name: Option<Vec<u8>>,
    content: Vec<u8>,
    method: u16,
    local_method: Option<u16>,
    flags: u16,
    crc: u32,
    local_crc: Option<u32>,
    stored: Option<u32>,
    len: u32,
    attributes: u32,
    offset: Option<u32>,
    extra: Vec<u8>,
}

impl Entry {
    fn new(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.into(),
            local_name: None,
            content: content.into(),
            method: 0,
            local_method: None,
            flags: 0,
            crc: crc32fast::hash(content),
            local_crc: None,
            stored: None,
            len: u32::try_from(content.len()).unwrap(),
            attributes: 0,
            offset: None,
            extra: Vec::new(),
        }
    }

    fn deflated(name: &str, content: &[u8], len: u32) -> Self {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        let stored = encoder.finish().unwrap();
        Self { method: 8, content: stored, len, ..Self::new(name, content) }
    }
}

/// What the end record says, when it is not the truth.
#[derive(Clone, Default)]
struct EndLies {
    members: Option<u16>,
    len: Option<u32>,
    start: Option<u32>,
    comment: Vec<u8>,
}

fn zip_with(entries: &[Entry], lies: &EndLies) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = entry.offset.unwrap_or(u32::try_from(bytes.len()).unwrap());
        let stored = entry.stored.unwrap_or(u32::try_from(entry.content.len()).unwrap());
        let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);
        let u16 = |value: usize| u16::try_from(value).unwrap().to_le_bytes();
        bytes.extend_from_slice(b"PK\x03\x04\x14\0");
        bytes.extend_from_slice(&entry.flags.to_le_bytes());
        bytes.extend_from_slice(&entry.local_method.unwrap_or(entry.method).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for field in [entry.local_crc.unwrap_or(entry.crc), stored, entry.len] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&u16(local_name.len()));
        bytes.extend_from_slice(&u16(entry.extra.len()));
        bytes.extend_from_slice(local_name);
        bytes.extend_from_slice(&entry.extra);
        bytes.extend_from_slice(&entry.content);
        central.extend_from_slice(b"PK\x01\x02\x14\x03\x14\0");
        central.extend_from_slice(&entry.flags.to_le_bytes());
        central.extend_from_slice(&entry.method.to_le_bytes());
        central.extend_from_slice(&[0; 4]);
        for field in [entry.crc, stored, entry.len] {
            central.extend_from_slice(&field.to_le_bytes());
        }
        central.extend_from_slice(&u16(entry.name.len()));
        central.extend_from_slice(&[0; 8]);
        central.extend_from_slice(&entry.attributes.to_le_bytes());
        central.extend_from_slice(&offset.to_le_bytes());
        central.extend_from_slice(&entry.name);
    }
    let start = u32::try_from(bytes.len()).unwrap();
    let count = lies.members.unwrap_or(u16::try_from(entries.len()).unwrap());
    bytes.extend_from_slice(&central);
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    let len = u32::try_from(central.len()).unwrap();
    bytes.extend_from_slice(&lies.len.unwrap_or(len).to_le_bytes());
    bytes.extend_from_slice(&lies.start.unwrap_or(start).to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(lies.comment.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(&lies.comment);
    bytes
}

fn made(entries: &[Entry]) -> Vec<u8> {
    zip_with(entries, &EndLies::default())
}

fn directory(zip: &[u8]) -> Result<Directory, ArchiveError> {
    let begun = Instant::now();
    let result = Directory::read(&zip.to_vec(), &ArchiveLimits::default());
    assert!(begun.elapsed() < Duration::from_secs(1), "slow");
    result
}

fn code(zip: &[u8]) -> &'static str {
    directory(zip).map(drop).unwrap_err().code()
}

/// Reads every member; the first error if there is one.
fn contents(zip: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ArchiveError> {
    let directory = directory(zip)?;
    let source: Arc<dyn ByteSource> = Arc::new(zip.to_vec());
    let read = |member: &super::Member| {
        let mut bytes = Vec::new();
        let mut reader = directory.open(&source, member)?;
        reader.read_to_end(&mut bytes).map_err(ArchiveError::read)?;
        Ok((member.name.to_string(), bytes))
    };
    directory.members.iter().map(read).collect()
}

#[test]
fn sound_zips_of_others_are_read() {
    let zip = made(&[
        Entry::deflated(BLOB, &[7; 100_000], 100_000),
        Entry::new("Manifest.plist", b"plist"),
        Entry::new("Status.plist", b""),
        Entry::deflated("Info.plist", b"", 0),
    ]);
    let expected = [
        ("Info.plist", vec![]),
        ("Manifest.plist", b"plist".to_vec()),
        ("Status.plist", vec![]),
        (BLOB, vec![7; 100_000]),
    ];
    let expected: Vec<_> = expected.map(|(name, bytes)| (name.to_owned(), bytes)).into();
    assert_eq!(contents(&zip).unwrap(), expected);
    // Written by a library, compressed and not, with folders and all.
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let deflated = stored.compression_method(zip::CompressionMethod::Deflated);
    writer.add_directory("3d", stored).unwrap();
    for (name, bytes) in &expected {
        let options = if name.starts_with('M') { stored } else { deflated };
        writer.start_file(name.as_str(), options.unix_permissions(0o644)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    let zip = writer.finish().unwrap().into_inner();
    assert_eq!(contents(&zip).unwrap(), expected);
    assert_eq!(directory(&zip).unwrap().foreign_count, 0);
    // And as a stream, with checksums behind the content.
    let mut writer = zip::ZipWriter::new_stream(Vec::new());
    for (name, bytes) in &expected {
        writer.start_file(name.as_str(), deflated).unwrap();
        writer.write_all(bytes).unwrap();
    }
    let zip = writer.finish().unwrap().into_inner();
    assert_eq!(contents(&zip).unwrap(), expected);
}

#[test]
fn a_bundle_in_a_folder_is_found_and_two_are_not_guessed_at() {
    let zip = made(&[
        Entry::new("backups/", b""),
        Entry::new("backups/UDID/Manifest.plist", b"a"),
        Entry::new("__MACOSX/Manifest.plist", b"mac"),
        Entry::new(&format!("backups/UDID/{BLOB}"), b"b"),
        Entry::new("backups/UDID/notes.txt", b"c"),
    ]);
    let found = contents(&zip).unwrap();
    let expected = [("Manifest.plist", b"a"), (BLOB, b"b")];
    assert_eq!(found, expected.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    let foreign = directory(&zip).unwrap().foreign;
    assert_eq!(foreign.iter().map(|name| &**name).collect::<Vec<_>>(), ["notes.txt"]);
    let two = ["a", "b"].map(|udid| Entry::new(&format!("{udid}/Manifest.plist"), b""));
    assert_eq!(code(&made(&two)), "several-backups");
    // One above the other: the upper one.
    let nested = ["", "old/"].map(|udid| Entry::new(&format!("{udid}Manifest.plist"), b""));
    assert_eq!(contents(&made(&nested)).unwrap().len(), 1);
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in [
        "../Info.plist",
        "a/../../Info.plist",
        "/etc/passwd",
        "..",
        "a/..",
        "a//b",
        "./a",
        "",
        "/",
        "a\\..\\b",
        "C:/a",
        "a\0b",
    ] {
        let zip = made(&[Entry::new("Manifest.plist", b""), Entry::new(name, b"")]);
        assert_eq!(code(&zip), "zip-traversal", "{name}");
    }
    let long = "a".repeat(4097);
    assert_eq!(code(&made(&[Entry::new(&long, b"")])), "zip-traversal");
    assert!(directory(&made(&[Entry::new(&long[1..], b"")])).is_ok());
}

#[test]
fn links_and_devices_are_refused() {
    for (mode, accepted) in [
        (0o100_644_u32, true),
        (0o644, true),
        (0o120_777, false),
        (0o020_644, false),
        (0o060_644, false),
        (0o010_644, false),
        (0o140_644, false),
        (0o040_755, false),
    ] {
        let entry = Entry { attributes: mode << 16, ..Entry::new("Info.plist", b"target") };
        let result = directory(&made(&[entry]));
        assert_eq!(result.is_ok(), accepted, "{mode:o}");
        if let Err(error) = result {
            assert_eq!(error.code(), "zip-special-file");
        }
    }
    let folder = Entry { attributes: 0o100_644 << 16, ..Entry::new("3d/", b"") };
    assert_eq!(code(&made(&[folder])), "zip-special-file");
}

#[test]
fn the_same_name_twice_is_refused() {
    let zip = made(&[Entry::new("Info.plist", b"a"), Entry::new("Info.plist", b"b")]);
    assert_eq!(code(&zip), "zip-duplicate-name");
    let zip =
        made(&[Entry::new(BLOB, b"a"), Entry::new("Info.plist", b"a"), Entry::new(BLOB, b"b")]);
    assert_eq!(code(&zip), "zip-duplicate-name");
}

#[test]
fn members_that_share_bytes_are_refused() {
    let first = Entry::new("Info.plist", &[1; 100]);
    let second = |offset| Entry { offset: Some(offset), ..Entry::new("Status.plist", &[1; 10]) };
    let end = 30 + 10 + 100;
    for offset in [0, 1, 39, 40, 139] {
        assert_eq!(code(&made(&[first.clone(), second(offset)])), "zip-overlap", "{offset}");
    }
    assert!(contents(&made(&[first.clone(), second(end)])).is_ok());
    // The extra field of the first local header moves its content into the second.
    let mut zip = made(&[first, second(end)]);
    zip[28] = 1;
    let error = contents(&zip).unwrap_err();
    assert_eq!(error.code(), "zip-overlap");
}

#[test]
fn sizes_that_lie_are_refused() {
    let sound = Entry::new("Info.plist", &[1; 100]);
    let mut behind = sound.clone();
    behind.stored = Some(1 << 30);
    behind.len = 1 << 30;
    assert_eq!(code(&made(&[behind])), "zip-lying-size");
    for len in [0, 99, 101, u32::MAX - 1] {
        let other = Entry { len, ..sound.clone() };
        assert_eq!(code(&made(&[other])), "zip-lying-size", "{len}");
    }
    let far = Entry { offset: Some(u32::MAX - 1), ..sound.clone() };
    assert_eq!(code(&made(&[far])), "zip-lying-size");
    let folder = Entry { name: b"3d/".to_vec(), ..sound };
    assert_eq!(code(&made(&[folder])), "zip-lying-size");
    // Deflated: less, more, and other than what is there.
    let content = [5; 5000];
    assert!(contents(&made(&[Entry::deflated("Info.plist", &content, 5000)])).is_ok());
    for len in [0, 1, 4999, 5001, 10_000] {
        let error = contents(&made(&[Entry::deflated("Info.plist", &content, len)])).unwrap_err();
        assert_eq!(error.code(), "zip-damaged", "{len}");
    }
    let whole = Entry::deflated("Info.plist", &content, 5000);
    let most = u32::try_from(whole.content.len()).unwrap() * 1032;
    assert!(directory(&made(&[Entry { len: most, ..whole.clone() }])).is_ok());
    assert_eq!(code(&made(&[Entry { len: most + 1, ..whole.clone() }])), "zip-lying-size");
    // Bytes behind the compressed stream.
    let mut more = whole;
    more.content.push(0);
    assert_eq!(contents(&made(&[more])).unwrap_err().code(), "zip-damaged");
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![0; 64 << 20];
    let entry = Entry::deflated(BLOB, &zeros, 64 << 20);
    // One of them is no bomb: databases have empty pages.
    assert!(directory(&made(std::slice::from_ref(&entry))).is_ok());
    let many: Vec<_> =
        (0..17).map(|n| Entry { name: format!("junk{n}").into_bytes(), ..entry.clone() }).collect();
    assert_eq!(code(&made(&many)), "zip-bomb");
    assert!(directory(&made(&many[..16])).is_ok(), "exactly what is free of the ratio");
}

#[test]
fn what_is_not_read_is_said() {
    let sound = Entry::new("Info.plist", b"abc");
    for flags in [1, 1 << 6, 1 << 13] {
        assert_eq!(code(&made(&[Entry { flags, ..sound.clone() }])), "zip-unsupported");
    }
    for method in [1, 9, 12, 14, 93, 99] {
        assert_eq!(code(&made(&[Entry { method, ..sound.clone() }])), "zip-unsupported");
    }
}

#[test]
fn headers_that_contradict_are_refused() {
    let sound = Entry::new("Info.plist", b"abc");
    let code = |entry: Entry| contents(&made(&[entry])).unwrap_err().code();
    let name = b"info.plist".to_vec();
    assert_eq!(code(Entry { local_name: Some(name), ..sound.clone() }), "zip-contradiction");
    let longer = b"Info.plist2".to_vec();
    assert_eq!(code(Entry { local_name: Some(longer), ..sound.clone() }), "zip-contradiction");
    assert_eq!(code(Entry { local_method: Some(8), ..sound.clone() }), "zip-contradiction");
    assert_eq!(code(Entry { local_crc: Some(1), ..sound.clone() }), "zip-contradiction");
    // Another checksum in both is damage.
    assert_eq!(code(Entry { crc: 1, ..sound.clone() }), "zip-damaged");
    let mut zip = made(&[sound]);
    zip[3] = 9;
    assert_eq!(contents(&zip).unwrap_err().code(), "zip-contradiction");
}

#[test]
fn ends_that_lie_are_refused() {
    let entries = [Entry::new("Info.plist", b"abc"), Entry::new("Manifest.plist", b"abc")];
    let with = |lies: EndLies| code(&zip_with(&entries, &lies));
    assert_eq!(with(EndLies { members: Some(1), ..EndLies::default() }), "zip-damaged");
    assert_eq!(with(EndLies { members: Some(3), ..EndLies::default() }), "zip-lying-size");
    assert_eq!(with(EndLies { members: Some(60_000), ..EndLies::default() }), "zip-lying-size");
    assert_eq!(with(EndLies { start: Some(0), ..EndLies::default() }), "zip-damaged");
    assert_eq!(with(EndLies { len: Some(u32::MAX), ..EndLies::default() }), "zip-damaged");
    let sound =
        zip_with(&entries, &EndLies { comment: b"a comment".to_vec(), ..EndLies::default() });
    assert!(contents(&sound).is_ok());
    // An end record in the comment of another, which is the one that counts.
    let comment = made(&[]);
    let hidden = zip_with(&entries, &EndLies { comment, ..EndLies::default() });
    assert_eq!(code(&hidden), "zip-damaged");
    assert_eq!(code(b"PK\x05\x06"), "zip-damaged");
    assert_eq!(code(b""), "zip-damaged");
    assert!(contents(&made(&[])).unwrap().is_empty());
    for len in 0..sound.len() {
        assert!(directory(&sound[..len]).is_err(), "{len}");
    }
}

/// A zip64 end record that states so many members.
fn zip64(count: u64, len: u64) -> Vec<u8> {
    let mut zip = vec![0; usize::try_from(len).unwrap()];
    let end64 = zip.len() as u64;
    zip.extend_from_slice(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\x03\x2d\0\0\0\0\0\0\0\0\0");
    for field in [count, count, len, 0] {
        zip.extend_from_slice(&field.to_le_bytes());
    }
    zip.extend_from_slice(b"PK\x06\x07\0\0\0\0");
    zip.extend_from_slice(&end64.to_le_bytes());
    zip.extend_from_slice(&[1, 0, 0, 0]);
    zip.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    zip.extend_from_slice(&[0xFF; 12]);
    zip.extend_from_slice(&[0, 0]);
    zip
}

#[test]
fn members_beyond_the_limit_are_refused_before_they_are_read() {
    assert_eq!(code(&zip64(10_000_001, 0)), "zip-too-many-members");
    assert_eq!(code(&zip64(u64::MAX, 1000)), "zip-too-many-members");
    // So many may be, but are not there.
    assert_eq!(code(&zip64(10_000_000, 46_000)), "zip-lying-size");
    assert_eq!(code(&zip64(1000, 46_000)), "zip-damaged");
    assert!(directory(&zip64(0, 0)).is_ok());
    let entries = ["Info.plist", "Manifest.plist", "Status.plist"].map(|n| Entry::new(n, b""));
    let zip = made(&entries);
    for (members, accepted) in [(2, false), (3, true), (4, true)] {
        let limits = ArchiveLimits { members, ..ArchiveLimits::default() };
        assert_eq!(Directory::read(&zip, &limits).is_ok(), accepted);
    }
}

/// No change of a byte brings it down, and what is read after one is what was written.
#[test]
fn any_byte_may_change() {
    let sound = made(&[
        Entry::new("Manifest.plist", b"the manifest"),
        Entry::deflated("Info.plist", &[b'x'; 300], 300),
    ]);
    let all = contents(&sound).unwrap();
    let mut refused = 0;
    for at in 0..sound.len() {
        for value in [0, 1, 0x7F, 0x80, 0xFF, sound[at] ^ 1, sound[at].wrapping_add(1)] {
            let mut changed = sound.clone();
            changed[at] = value;
            match contents(&changed) {
                Err(_) => refused += 1,
                Ok(found) => assert!(found.iter().all(|member| all.contains(member)), "{at}"),
            }
        }
    }
    assert!(refused > sound.len(), "{refused}");
}

fn written(files: &[(&str, &[u8])], described: bool) -> Vec<u8> {
    let mut writer = ZipWriter::new(Vec::new());
    for (name, content) in files {
        let name = MemberName::parse(name.as_bytes()).unwrap();
        let (len, crc) = (content.len() as u64, crc32fast::hash(content));
        if described {
            writer.begin(name, len).unwrap();
            writer.put(content).unwrap();
            writer.end(name, len, crc).unwrap();
        } else {
            member(&mut writer, name, content);
        }
    }
    // An entry at a time, and then none.
    while !writer.entries(1).unwrap() {}
    writer.tail().unwrap();
    let zip = writer.out().clone();
    assert_eq!(zip.len() as u64, writer.at());
    zip
}

/// Writes a member with its checksum before it.
fn member<W: std::io::Write>(writer: &mut ZipWriter<W>, name: MemberName, content: &[u8]) {
    let (len, crc) = (content.len() as u64, crc32fast::hash(content));
    writer.put(&local_header(name, len, Some(crc))).unwrap();
    writer.put(content).unwrap();
    writer.note(name, crc, len);
}

/// What is written is read by a library and by this crate.
#[test]
fn written_zips_are_read() {
    let files: [(&str, &[u8]); 3] =
        [("Info.plist", b"info"), ("Manifest.plist", b""), (BLOB, &[9; 70_000])];
    let expected: Vec<_> = files.iter().map(|(n, b)| ((*n).to_owned(), b.to_vec())).collect();
    for described in [false, true] {
        let zip = written(&files, described);
        assert_eq!(contents(&zip).unwrap(), expected);
        let mut theirs = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        assert_eq!(theirs.len(), 3);
        for (at, (name, content)) in expected.iter().enumerate() {
            let mut file = theirs.by_index(at).unwrap();
            assert_eq!(file.name().unwrap(), name.as_str());
            assert_eq!(file.unix_mode(), Some(0o100_600));
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!(&bytes, content);
        }
    }
}

/// A file of many gigabytes: long writes are of zeros, and only short ones are kept.
#[derive(Debug, Default)]
struct Sparse {
    parts: Vec<(u64, Vec<u8>)>,
    len: u64,
}

impl std::io::Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() < 4096 {
            self.parts.push((self.len, bytes.to_vec()));
        }
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl ByteSource for Sparse {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        let end = offset + buf.len() as u64;
        if end > self.len {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buf.fill(0);
        for (start, part) in &self.parts {
            let (from, to) = ((*start).max(offset), (start + part.len() as u64).min(end));
            if from < to {
                let at = |place: u64, base: u64| usize::try_from(place - base).unwrap();
                buf[at(from, offset)..at(to, offset)]
                    .copy_from_slice(&part[at(from, *start)..at(to, *start)]);
            }
        }
        Ok(())
    }
}

/// Beyond four gigabytes, and beyond 65,534 members.
#[test]
fn large_archives_are_zip64() {
    let large = (4_u64 << 30) + 5;
    let names: Vec<_> = (0_u32..66_000)
        .map(|n| {
            let mut id = [0; 20];
            id[..4].copy_from_slice(&n.to_be_bytes());
            MemberName::Blob(bkp_core::FileId::from_bytes(id), bkp_bundle::Layout::Sharded)
        })
        .collect();
    let mut writer = ZipWriter::new(Sparse { parts: Vec::new(), len: 0 });
    let zeros = vec![0; 1 << 20];
    writer.begin(MemberName::parse(b"Info.plist").unwrap(), large).unwrap();
    for _ in 0..4 << 10 {
        writer.put(&zeros).unwrap();
    }
    writer.put(&[0; 5]).unwrap();
    // It takes a while to compute the right one, and nobody reads so far.
    writer.end(MemberName::parse(b"Info.plist").unwrap(), large, 1).unwrap();
    for name in &names {
        member(&mut writer, *name, b"x");
    }
    writer.tail().unwrap();
    let sparse = std::mem::take(writer.out());
    let directory = Directory::read(&sparse, &ArchiveLimits::default()).unwrap();
    assert_eq!(directory.members.len(), 66_001);
    let first = directory.find(&MemberName::parse(b"Info.plist").unwrap()).unwrap();
    assert_eq!(first.len, large);
    let source: Arc<dyn ByteSource> = Arc::new(sparse);
    for name in [names[0], names[65_999]] {
        let mut bytes = Vec::new();
        let member = directory.find(&name).unwrap();
        directory.open(&source, member).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"x");
    }
    assert!(directory.open(&source, first).is_ok());
}
