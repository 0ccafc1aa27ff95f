//! The archive of a row. Source: FORMAT.md 2.5 and 3.2.

use super::recipe::archive;
use super::{Draft, plist};
use crate::cases::plist_bombs;
use crate::{PlistValue, binary_plist};

const OK: &str = "ok";
/// The archive cannot be read, and the file can.
const BAD: &str = "payload/bad-metadata";
/// A key may have been in what cannot be read.
const KEY: &str = "row/key-unwrap-failed";
const SIZE: &str = "payload/size-mismatch";

pub(super) fn bytes() -> Vec<Draft> {
    let mut cases = fields();
    cases.extend(graphs());
    let sound = archive().encode();
    for (name, title, bytes) in plist::broken_binary(&sound) {
        // A table one entry longer takes that entry from the trailer, and nothing refers to it.
        cases.push(Draft::new(format!("binary-{name}"), title, BAD, bytes));
    }
    let swap = |from: &[u8], to: &[u8]| {
        let mut bytes = sound.clone();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap_or(0);
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    for (name, title, expect, bytes) in [
        ("key-unknown", "a key is an object of no known kind", KEY, swap(b"\x55Flags", &[0x70])),
        ("key-long", "a key claims more than there is", KEY, swap(b"\x55Flags", b"\x5f\x12\xff")),
        ("key-other", "a key has another letter", OK, swap(b"\x55Flags", b"\x55Flagz")),
        ("key-size", "the key Size has another letter", SIZE, swap(b"\x54Size", b"\x54Sise")),
        ("mode-wild", "the mode is an integer of no width", OK, swap(b"\x11\x81\xa4", b"\x17")),
        ("size-wild", "the size is a real of no width", SIZE, swap(b"\x10\x05", b"\x20")),
        ("path-cut", "the path claims more than there is", OK, swap(b"\x58note", b"\x5f\x12\xff")),
        ("objects-none", "the archive has no $objects", BAD, swap(b"$objects", b"$objectz")),
        ("top-none", "the archive has no $top", BAD, swap(b"\x54$top", b"\x54$tap")),
        ("root-none", "$top has no root", BAD, swap(b"\x54root", b"\x54boot")),
        ("xml", "XML", BAD, crate::xml_plist(&PlistValue::dict([("a", PlistValue::Int(1))]))),
        ("empty", "no bytes", BAD, Vec::new()),
        ("encrypted-cell", "noise, as the cells of iOS 10.0", BAD, vec![0xa7; 480]),
    ] {
        cases.push(Draft::new(name, title, expect, bytes));
    }
    cases
}

/// Fields that are absent, or hold something else.
fn fields() -> Vec<Draft> {
    let mut cases = vec![Draft::new("sound", "nothing is wrong", OK, archive().encode())];
    let numbers = [
        "LastModified",
        "Flags",
        "GroupID",
        "LastStatusChange",
        "Birth",
        "Size",
        "InodeNumber",
        "Mode",
        "UserID",
        "ProtectionClass",
    ];
    let other = |key: &str, value: Option<PlistValue>| {
        let mut file = archive();
        file.omit = vec![key.to_owned()];
        file.extra = value.map(|value| (key.to_owned(), value)).into_iter().collect();
        file.encode()
    };
    for key in numbers {
        let expect = if key == "Size" { SIZE } else { OK };
        let name = key.to_lowercase();
        for (what, title, value) in [
            ("absent", "is not there", None),
            ("text", "is text", Some(PlistValue::text("a file"))),
            ("huge", "is as large as can be", Some(PlistValue::Int(i64::MAX))),
            ("least", "is as small as can be", Some(PlistValue::Int(i64::MIN))),
        ] {
            let title = format!("{key} {title}");
            cases.push(Draft::new(format!("{name}-{what}"), title, expect, other(key, value)));
        }
    }
    for (key, name, value, expect) in [
        ("RelativePath", "path-absent", None, OK),
        ("RelativePath", "path-number", Some(PlistValue::Int(1)), OK),
        ("RelativePath", "path-hostile", Some(PlistValue::text("../../x")), OK),
        ("$class", "class-absent", None, OK),
        ("Size", "size-real", Some(PlistValue::Real(5.0)), OK),
        ("Size", "size-numeral", Some(PlistValue::text("5")), OK),
        ("Size", "size-negative", Some(PlistValue::Int(-5)), SIZE),
        ("Size", "size-nan", Some(PlistValue::Real(f64::NAN)), SIZE),
        ("Size", "size-infinite", Some(PlistValue::Real(f64::INFINITY)), SIZE),
        ("Size", "size-uid-wild", Some(PlistValue::Uid(200)), SIZE),
        ("Size", "size-uid-null", Some(PlistValue::Uid(0)), SIZE),
        ("Size", "size-uid-root", Some(PlistValue::Uid(1)), SIZE),
        ("Size", "size-true", Some(PlistValue::Bool(true)), SIZE),
        ("LastModified", "modified-date", Some(PlistValue::Date(1_716_024_600)), OK),
        ("Mode", "mode-directory", Some(PlistValue::Int(0o040_755)), OK),
        ("Digest", "digest-number", Some(PlistValue::Int(1)), OK),
        ("Digest", "digest-short", Some(PlistValue::Data(vec![1; 19])), OK),
        ("Target", "target-of-a-file", Some(PlistValue::text("/x")), OK),
        ("ExtendedAttributes", "xattrs-noise", Some(PlistValue::Data(vec![7; 40])), OK),
        ("EncryptionKey", "key-of-44", Some(PlistValue::Data(vec![4; 44])), OK),
        ("EncryptionKey", "key-of-43", Some(PlistValue::Data(vec![4; 43])), KEY),
        ("EncryptionKey", "key-number", Some(PlistValue::Int(4)), KEY),
    ] {
        let title = format!("{key}: {}", name.replace('-', " "));
        cases.push(Draft::new(format!("field-{name}"), title, expect, other(key, value)));
    }
    let mut twice = archive();
    twice.extra = vec![("Size".into(), PlistValue::Int(7))];
    cases.push(Draft::new("size-twice", "Size stands twice", SIZE, twice.encode()));
    cases
}

/// Archives whose objects are not one MBFile.
fn graphs() -> Vec<Draft> {
    let root =
        || PlistValue::dict([("Mode", PlistValue::Int(0o100_644)), ("Size", PlistValue::Int(5))]);
    let null = || PlistValue::text("$null");
    let file = |top: PlistValue, objects: Vec<PlistValue>| {
        binary_plist(&PlistValue::dict([
            ("$archiver", PlistValue::text("NSKeyedArchiver")),
            ("$top", top),
            ("$objects", PlistValue::Array(objects)),
        ]))
    };
    let top = |value| PlistValue::dict([("root", value)]);
    let at = |index| top(PlistValue::Uid(index));
    [
        ("least", "the least that is an archive", OK, file(at(1), vec![null(), root()])),
        ("root-first", "the root is object 0", OK, file(at(0), vec![root()])),
        ("root-empty", "the root has no keys", SIZE, file(at(0), vec![PlistValue::Dict(vec![])])),
        ("root-beyond", "the root is beyond the objects", BAD, file(at(9), vec![null(), root()])),
        ("root-null", "the root is null", BAD, file(at(0), vec![null(), root()])),
        ("root-uid", "the root is a reference", BAD, {
            file(at(0), vec![PlistValue::Uid(1), root()])
        }),
        ("root-array", "the root is an array", BAD, file(at(0), vec![PlistValue::Array(vec![])])),
        ("root-number", "root is a number", BAD, file(top(PlistValue::Int(1)), vec![null()])),
        ("root-inline", "the root is in $top", BAD, file(top(root()), vec![null()])),
        ("top-text", "$top is text", BAD, file(null(), vec![null(), root()])),
        ("top-empty", "$top is empty", BAD, file(PlistValue::Dict(vec![]), vec![null(), root()])),
        ("objects-empty", "no objects", BAD, file(at(1), vec![])),
        ("array", "the file is an array", BAD, binary_plist(&PlistValue::Array(vec![root()]))),
        ("dict-empty", "the file is empty", BAD, binary_plist(&PlistValue::Dict(vec![]))),
        (
            "objects-dict",
            "$objects is a dictionary",
            BAD,
            binary_plist(&PlistValue::dict([("$top", at(0)), ("$objects", root())])),
        ),
    ]
    .into_iter()
    .map(|(name, title, expect, bytes)| Draft::new(format!("graph-{name}"), title, expect, bytes))
    .collect()
}

pub(super) fn recipes() -> Vec<Draft> {
    let mut cases = Vec::new();
    for bomb in plist_bombs().into_iter().filter(|bomb| !bomb.xml) {
        let body = format!("base plain\nbomb-row {}\n", bomb.name);
        cases.push(Draft::new(format!("bomb-{}", bomb.name), bomb.about, BAD, body));
    }
    let zeros = "00".repeat(40);
    let set = |value: &str| {
        format!("base plain\nsql UPDATE Files SET file = {value} WHERE relativePath = 'note.txt'\n")
    };
    let encrypted = |line: String| format!("base encrypted\n{line}\n");
    let lost = "payload/key-unwrap-failed";
    for (name, title, expect, body) in [
        ("cell-null", "NULL", BAD, set("NULL")),
        ("cell-text", "text", BAD, set("'bplist00'")),
        ("cell-number", "a number", BAD, set("7")),
        ("cell-real", "a real", BAD, set("7.5")),
        ("cell-1mib", "1 MiB of zeros", BAD, set("zeroblob(1048576)")),
        ("cell-1mib-1", "a byte more than 1 MiB", BAD, set("zeroblob(1048577)")),
        ("cell-16mib", "16 MiB, as much as a column may be", BAD, set("zeroblob(16777216)")),
        ("cell-16mib-1", "a byte more than 16 MiB", "row/limit-exceeded", {
            set("zeroblob(16777217)")
        }),
        (
            "directory-null",
            "a directory without an archive",
            "row/bad-metadata",
            "base plain\nsql UPDATE Files SET file = NULL WHERE relativePath = ''\n".into(),
        ),
        ("key-none", "no key in an encrypted bundle", "payload/plaintext-blob", {
            encrypted("key none".into())
        }),
        ("key-empty", "a key of no bytes", KEY, encrypted("key ".into())),
        ("key-4", "a key of a class alone", KEY, encrypted("key 03000000".into())),
        ("key-43", "a key of 43 bytes", KEY, encrypted(format!("key 03000000{}", &zeros[2..]))),
        ("key-45", "a key of 45 bytes", KEY, encrypted(format!("key 03000000{zeros}00"))),
        ("key-zeros", "a key that does not unwrap", lost, {
            encrypted(format!("key 03000000{zeros}"))
        }),
        ("key-class-0", "a key of class 0", lost, encrypted(format!("key 00000000{zeros}"))),
        ("key-class-99", "a key of class 99", lost, encrypted(format!("key 63000000{zeros}"))),
        ("key-class-device", "a key of a class bound to the device", lost, {
            encrypted("key-class 9".into())
        }),
        ("key-class-big-endian", "the class is big-endian", lost, {
            encrypted(format!("key 00000003{zeros}"))
        }),
        ("key-cell-null", "NULL where the key was", lost, {
            // The key is in the archive, and Manifest.db is not encrypted in this one.
            "base encrypted-open-db\nsql UPDATE Files SET file = NULL \
             WHERE relativePath = 'note.txt'\n"
                .into()
        }),
    ] {
        let draft = Draft::new(name, title, expect, body);
        cases.push(if name == "directory-null" { draft.reads(3) } else { draft });
    }
    for class in [3, 4] {
        let title = format!("another key, wrapped for class {class}");
        let body = encrypted(format!("key-class {class}"));
        let expect = "payload/bad-padding payload/size-mismatch";
        cases.push(Draft::new(format!("key-other-{class}"), title, expect, body).reads(2));
    }
    cases
}
