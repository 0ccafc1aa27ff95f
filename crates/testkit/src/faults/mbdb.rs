//! Manifest.mbdb. Source: FORMAT.md 5.

use super::Draft;
use super::recipe::{DOMAIN, FILES, NOTE};
use crate::MbdbRecord;

const OK: &str = "ok";
const HEADER: &[u8] = b"mbdb\x05\x00";
/// The catalog is no such catalog.
const CLOSED: &str = "open/catalog-damaged";
/// The list ends there.
const ENDS: &str = "row/catalog-damaged";
const HOSTILE: &str = "row/hostile-name";
const BAD: &str = "row/bad-row";

fn record(path: &str, size: usize) -> MbdbRecord {
    MbdbRecord {
        domain: Some(DOMAIN.into()),
        path: Some(path.into()),
        mode: if path.is_empty() { 0o040_755 } else { 0o100_644 },
        size: size as u64,
        class: 4,
        ..MbdbRecord::default()
    }
}

/// The four records of the base, of which the third may be changed.
fn records(change: impl FnOnce(&mut MbdbRecord)) -> Vec<MbdbRecord> {
    let files = FILES.iter().map(|(path, content)| record(path, content.len()));
    let mut all: Vec<_> = std::iter::once(record("", 0)).chain(files).collect();
    change(&mut all[2]);
    all
}

fn encode(records: &[MbdbRecord]) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    records.iter().for_each(|record| record.encode(&mut out));
    out
}

pub(super) fn bytes() -> Vec<Draft> {
    let mut cases = headers();
    cases.extend(cuts());
    cases.extend(lengths());
    cases.extend(names());
    cases.extend(values());
    cases
}

fn headers() -> Vec<Draft> {
    let sound = encode(&records(|_| ()));
    let with = |header: &[u8]| [header, &sound[6..]].concat();
    let mut cases = vec![Draft::new("sound", "nothing is wrong", OK, sound.clone())];
    for len in 0..6 {
        let title = format!("ends after {len} bytes");
        cases.push(Draft::new(format!("header-cut-{len}"), title, CLOSED, &sound[..len]));
    }
    for (name, header) in [
        ("version-4-0", b"mbdb\x04\x00"),
        ("version-5-1", b"mbdb\x05\x01"),
        ("version-6-0", b"mbdb\x06\x00"),
        ("version-0-5", b"mbdb\x00\x05"),
        ("capitals", b"MBDB\x05\x00"),
        ("index", b"mbdx\x05\x00"),
    ] {
        let title = format!("the header has {}", name.replace('-', " "));
        cases.push(Draft::new(format!("header-{name}"), title, CLOSED, with(header)));
    }
    cases.push(Draft::new("header-alone", "no records", OK, HEADER).reads(0));
    for (name, tail) in [("one-byte", &b"\0"[..]), ("zeros", &[0; 80]), ("ones", &[0xff; 80])] {
        let title = format!("{} after the last record", name.replace('-', " "));
        let bytes = [&sound[..], tail].concat();
        cases.push(Draft::new(format!("tail-{name}"), title, ENDS, bytes).reads(3));
    }
    cases
}

/// The last record ends inside each of its fields.
fn cuts() -> Vec<Draft> {
    let mut all = records(|_| ());
    let last = all.pop().map(|mut last| {
        last.target = Some(b"target".to_vec());
        last.digest = Some(vec![1; 20]);
        last.encryption_key = Some(vec![4; 44]);
        last.xattrs = vec![(b"name".to_vec(), b"value".to_vec())];
        last
    });
    let before = encode(&all);
    let mut tail = Vec::new();
    last.unwrap_or_default().encode(&mut tail);
    let mut at = 0;
    let mut cases = Vec::new();
    for (field, len) in [
        ("domain", 12),
        ("path", 10),
        ("target", 8),
        ("digest", 22),
        ("key", 46),
        ("mode", 2),
        ("inode", 8),
        ("uid", 4),
        ("gid", 4),
        ("modified", 4),
        ("changed", 4),
        ("born", 4),
        ("size", 8),
        ("class", 1),
        ("xattr-count", 1),
        ("xattr-name", 6),
        ("xattr-value", 7),
    ] {
        // Before the field's last byte.
        at += len;
        let bytes = [&before[..], &tail[..at - 1]].concat();
        let title = format!("the last record ends before the last byte of its {field}");
        let expect = ENDS;
        cases.push(Draft::new(format!("cut-{field}"), title, expect, bytes).reads(2));
    }
    cases
}

/// Lengths that lie.
fn lengths() -> Vec<Draft> {
    let mut cases = Vec::new();
    let before = encode(&records(|_| ())[..2]).len();
    // Lengths of the domain and of the path, and the nulls after them.
    for (field, at) in [
        ("domain", before),
        ("path", before + 12),
        ("target", before + 22),
        ("digest", before + 24),
        ("key", before + 26),
    ] {
        let mut bytes = encode(&records(|_| ()));
        bytes[at..at + 2].copy_from_slice(&[0xff, 0xfe]);
        let title = format!("the {field} claims 65,534 bytes");
        cases.push(Draft::new(format!("long-{field}"), title, ENDS, bytes).reads(1));
    }
    let mut bytes = encode(&records(|_| ()));
    let count = bytes.len() - 1;
    bytes[count] = 1;
    let title = "an attribute is counted that is not there";
    cases.push(Draft::new("xattr-one-more", title, ENDS, bytes).reads(2));
    let mut bytes = encode(&records(|note| note.xattrs = vec![(b"a".to_vec(), b"b".to_vec())]));
    let at = before + 12 + 10 + 6 + 39;
    bytes[at] = 0;
    let title = "an attribute is there that is not counted, and passes for a record";
    let expect = "row/bad-row row/catalog-damaged";
    cases.push(Draft::new("xattr-one-less", title, expect, bytes).reads(2));
    for (name, title, domain) in [("null", "null", None), ("empty", "empty", Some(Vec::new()))] {
        let bytes = encode(&records(|note| note.domain = domain));
        let title = format!("the domain is {title}");
        cases.push(Draft::new(format!("domain-{name}"), title, ENDS, bytes).reads(1));
    }
    cases
}

fn names() -> Vec<Draft> {
    let long = |byte: &str, len: usize| byte.repeat(len).into_bytes();
    let deep = |len: usize| "a/".repeat(len / 2).into_bytes()[..len - 1].to_vec();
    let mut cases = Vec::new();
    for (name, path) in [
        ("dots", b"..".to_vec()),
        ("parent", b"../note.txt".to_vec()),
        ("inside", b"a/../../note.txt".to_vec()),
        ("absolute", b"/note.txt".to_vec()),
        ("dot", b"./note.txt".to_vec()),
        ("empty-component", b"a//note.txt".to_vec()),
        ("slash-at-the-end", b"note.txt/".to_vec()),
        ("nul", b"note.txt\0".to_vec()),
        ("256", long("n", 256)),
        ("4097", [deep(4096), b"aa".to_vec()].concat()),
    ] {
        let bytes = encode(&records(|note| note.path = Some(path)));
        let title = format!("the path is hostile: {}", name.replace('-', " "));
        cases.push(Draft::new(format!("path-{name}"), title, HOSTILE, bytes));
    }
    for (name, domain) in [
        ("dots", b"..".to_vec()),
        ("dot", b".".to_vec()),
        ("slash", b"HomeDomain/x".to_vec()),
        ("container", b"SysContainerDomain-../../../x".to_vec()),
        ("nul", b"Home\0Domain".to_vec()),
        ("1025", long("d", 1025)),
    ] {
        let bytes = encode(&records(|note| note.domain = Some(domain)));
        let title = format!("the domain is hostile: {}", name.replace('-', " "));
        cases.push(Draft::new(format!("domain-{name}"), title, HOSTILE, bytes));
    }
    // The blob is named by the hash of the names, so another name has no blob.
    let other = encode(&records(|note| note.path = Some(b"other.txt".to_vec())));
    cases.push(Draft::new("path-other", "no blob has this name", "payload/missing-blob", other));
    let null = encode(&records(|note| note.path = None));
    let title = "a file whose path is null";
    cases.push(Draft::new("path-null", title, "payload/missing-blob", null));
    cases
}

fn values() -> Vec<Draft> {
    let of = |change: fn(&mut MbdbRecord)| encode(&records(change));
    let mut cases: Vec<Draft> = [
        ("mode-0", "no type bits in the mode", BAD, of(|note| note.mode = 0o644)),
        ("mode-pipe", "a named pipe", BAD, of(|note| note.mode = 0o010_644)),
        ("mode-device", "a device", BAD, of(|note| note.mode = 0o060_644)),
        ("mode-socket", "a socket", BAD, of(|note| note.mode = 0o140_644)),
        ("mode-all", "all type bits in the mode", BAD, of(|note| note.mode = 0o170_644)),
        ("link-no-target", "a link without a target", BAD, of(|note| note.mode = 0o120_755)),
        ("link-empty", "a link to nothing", BAD, {
            of(|note| (note.mode, note.target) = (0o120_755, Some(Vec::new())))
        }),
        ("link-nul", "a link to a name with NUL", BAD, {
            of(|note| (note.mode, note.target) = (0o120_755, Some(b"a\0b".to_vec())))
        }),
        ("link-1025", "a link whose target is longer than the limit", BAD, {
            of(|note| (note.mode, note.target) = (0o120_755, Some(vec![b't'; 1025])))
        }),
        ("size-less", "a size too small", "payload/size-mismatch", of(|note| note.size = 4)),
        ("size-huge", "a size as large as can be", "payload/size-mismatch", {
            of(|note| note.size = u64::MAX)
        }),
        ("key-44", "a key in an unencrypted bundle", OK, {
            of(|note| note.encryption_key = Some(vec![4; 44]))
        }),
        ("key-43", "a key of 43 bytes", "row/key-unwrap-failed", {
            of(|note| note.encryption_key = Some(vec![4; 43]))
        }),
        ("digest-19", "a digest of 19 bytes", OK, of(|note| note.digest = Some(vec![1; 19]))),
        ("xattr-bytes", "an attribute that is not UTF-8", OK, {
            of(|note| note.xattrs = vec![(vec![0xff], vec![0xfe; 300])])
        }),
        ("xattr-255", "255 attributes", OK, {
            of(|note| note.xattrs = vec![(b"n".to_vec(), Vec::new()); 255])
        }),
    ]
    .map(|(name, title, expect, bytes)| Draft::new(name, title, expect, bytes))
    .into();
    let directory = of(|note| note.mode = 0o040_755);
    cases.push(Draft::new("mode-directory", "a file that is a directory", OK, directory).reads(2));
    let link = of(|note| (note.mode, note.target) = (0o120_755, Some(b"/etc/passwd".to_vec())));
    cases.push(Draft::new("link", "a file that is a link", OK, link).reads(2));
    let mut all = records(|_| ());
    all.push(all[2].clone());
    let twice = encode(&all);
    cases.push(Draft::new("twice", format!("{NOTE} stands twice"), OK, twice).reads(4));
    cases
}
