//! Rows that are odd yet sound: a reader loses none of them. Source: FORMAT.md 2.5, 2.6, 2.7, 7.

use crate::{
    BundleSpec, Cell, DigestForm, DigestRule, EntrySpec, FileKeyRule, PlistValue, Stored, fixtures,
};

const HOME: &str = "HomeDomain";

/// A bundle of everything that is odd yet sound.
///
/// In an unencrypted one, what is odd about the ciphertext is simply right.
#[must_use]
pub fn odd_rows(encrypted: bool) -> BundleSpec {
    let mut spec = if encrypted { super::encrypted_db(10_000) } else { super::plain_db() };
    spec.entries = payloads();
    spec.entries.extend(names());
    spec.entries.extend(nodes());
    spec.entries.extend(columns());
    spec.entries.extend(archives());
    spec.entries.push(EntrySpec::file(HOME, "last.txt", "after all of these"));
    spec.raw_files = vec![
        ("DDNABackup.plist".into(), b"not ours".to_vec()),
        ("homeScreen.png".into(), fixtures::PIXEL_PNG.to_vec()),
        ("Manifest.plist.backup".into(), b"not ours".to_vec()),
    ];
    spec
}

/// Odd in length, padding or presence.
fn payloads() -> Vec<EntrySpec> {
    let file = |path: &str, content: &[u8], change: fn(&mut EntrySpec)| {
        EntrySpec::file(HOME, format!("payload/{path}"), content).with(change)
    };
    // The least SQLite takes for a database; a live one is longer than its recorded size.
    let database = fixtures::database("CREATE TABLE t(x)").unwrap_or_default();
    vec![
        file("empty-blob-0-bytes", b"", |entry| entry.stored = Stored::Empty),
        file("empty-blob-16-bytes", b"", |_| ()),
        file("one-byte", b"1", |_| ()),
        file("one-less-than-a-block", &[7; 15], |_| ()),
        file("one-block", &[7; 16], |_| ()),
        file("block-multiple", &[b'A'; 4096], |_| ()),
        // Content that looks like padding must survive.
        file("ends-like-padding", &[4; 20], |_| ()),
        file("a-block-of-padding", &[16; 16], |_| ()),
        file("size-too-big", &[b'B'; 1000], |entry| entry.recorded_size = Some(5000)),
        file("size-too-small", &[b'C'; 5000], |entry| entry.recorded_size = Some(1000)),
        file("live-grown.db", &database, |entry| entry.recorded_size = Some(4096)),
        file("live-shrunk.db", &database, |entry| entry.recorded_size = Some(1 << 20)),
        file("no-padding", &[b'D'; 4096], |entry| entry.stored = Stored::Unpadded),
        file("missing-blob", &[b'E'; 100], |entry| entry.stored = Stored::Missing),
        file("plain-in-encrypted", &[b'F'; 100], |entry| entry.key = FileKeyRule::Omitted),
        file("short-blob", &[b'G'; 100], |entry| entry.stored = Stored::CutTo(37)),
        file("no-digest-where-one-belongs", b"x", |entry| entry.digest = DigestRule::Omitted),
        EntrySpec::file("MediaDomain", "payload/digest-where-none-belongs", "x")
            .with(|entry| entry.digest = DigestRule::Present(DigestForm::Reference)),
    ]
}

/// Names that are legal on the device and trouble elsewhere.
fn names() -> Vec<EntrySpec> {
    let long = "L".repeat(251) + ".txt";
    let deep = vec!["directory"; 40].join("/");
    [
        "Gru\u{308}\u{df}e decomposed.txt",
        "twin-cafe\u{301}",
        "twin-caf\u{e9}",
        "Case-Twin",
        "case-twin",
        "emoji \u{1f600} \u{65e5}\u{672c}",
        "right-to-left \u{202e}txt.exe",
        "colon:name",
        "what?",
        "star*",
        "quote\"",
        "pipe|less<greater>",
        "back\\slash",
        "AUX",
        "con.txt",
        "trailing dot.",
        "trailing space ",
        " leading space",
        "-dash",
        "percent%20sign_under",
        "tab\tand\nnewline",
        ".hidden",
        "...",
        long.as_str(),
        deep.as_str(),
    ]
    .iter()
    .map(|name| EntrySpec::file(HOME, format!("name/{name}"), *name))
    .collect()
}

/// Odd in mode, owner, attributes or target.
fn nodes() -> Vec<EntrySpec> {
    let file = |path: &str, change: fn(&mut EntrySpec)| {
        EntrySpec::file(HOME, format!("node/{path}"), path).with(change)
    };
    let link = |path: &str, target: &str| {
        EntrySpec::symlink(HOME, format!("node/{path}"), target.as_bytes())
    };
    vec![
        file("negative-group", |entry| entry.gid = Some(-2)),
        file("negative-owner", |entry| entry.uid = Some(-2)),
        file("setuid", |entry| entry.mode = Some(0o104_755)),
        file("no-permissions", |entry| entry.mode = Some(0o100_000)),
        file("restricted-flag", |entry| entry.bsd_flags = 0x80),
        file("class-1", |entry| entry.class = Some(1)),
        file("class-2", |entry| entry.class = Some(2)),
        file("born-1970", |entry| entry.born = 0),
        file("born-before-1970", |entry| entry.born = -86_400),
        file("modified-after-2038", |entry| entry.modified = 4_000_000_000),
        file("xattrs", |entry| {
            entry.xattrs = vec![
                ("com.apple.TextEncoding".into(), b"utf-8;134217984".to_vec()),
                ("com.apple.lastuseddate#PS".into(), vec![0xff, 0xfe, 0, 1]),
                ("com.apple.empty".into(), Vec::new()),
            ];
        }),
        EntrySpec::directory(HOME, "node/directory-with-xattr").with(|entry| {
            entry.bsd_flags = 0x80;
            entry.xattrs = vec![("com.apple.rootless".into(), Vec::new())];
        }),
        EntrySpec::directory(HOME, "node/directory-of-class-4").with(|entry| entry.class = Some(4)),
        link("absolute", "/private/var/mobile/x"),
        link("relative", "class-1"),
        link("up", "../last.txt"),
        link("dangling", "nowhere/at/all"),
        link("colon", "/Overlay/device+carrier+00000:0:1.plist"),
        link("loop", "loop"),
        EntrySpec::file(
            "SysSharedContainerDomain-systemgroup.com.example.odd",
            "Library/mode-0",
            "uid and gid -2",
        ),
        // An id with the separator in it.
        EntrySpec::file("AppDomainGroup-TESTKIT001.groups.com.example-odd", "x", "dash in id"),
        EntrySpec::file("UnheardOfDomain", "x", "a domain of tomorrow"),
    ]
}

/// Odd in the columns of the row.
fn columns() -> Vec<EntrySpec> {
    let file = |path: &str| EntrySpec::file(HOME, format!("column/{path}"), path);
    vec![
        file("domain-as-blob").with(|entry| entry.row.domain = Some(Cell::Blob(HOME.into()))),
        file("path-as-blob").with(|entry| {
            entry.row.path = Some(Cell::Blob(b"column/path-as-blob".to_vec()));
        }),
        file("id-not-the-hash")
            .with(|entry| entry.row.file_id = Some(Cell::text("00ff".repeat(10)))),
        file("id-in-upper-case").with(|entry| {
            let id = crate::file_id(HOME, "column/id-in-upper-case").to_uppercase();
            entry.row.file_id = Some(Cell::text(id));
        }),
        // Rows an interrupted backup leaves behind (FORMAT.md 2.3).
        EntrySpec::file(HOME, "column/unfinished", "").with(|entry| {
            entry.stored = Stored::Missing;
            entry.row.domain = Some(Cell::Null);
            entry.row.path = Some(Cell::Null);
            entry.row.flags = Some(Cell::Integer(16));
            entry.row.file = Some(Cell::Null);
        }),
        EntrySpec::file(HOME, "column/unfinished-with-name", "").with(|entry| {
            entry.stored = Stored::Missing;
            entry.row.flags = Some(Cell::Integer(16));
            entry.row.file = Some(Cell::Null);
        }),
    ]
}

/// Odd in the MBFile archive.
fn archives() -> Vec<EntrySpec> {
    let file = |path: &str| EntrySpec::file(HOME, format!("archive/{path}"), path);
    vec![
        file("unknown-keys").with(|entry| {
            entry.extra_keys = vec![
                ("FutureText".into(), PlistValue::text("kept")),
                ("FutureNumber".into(), PlistValue::Int(42)),
                ("FutureFlag".into(), PlistValue::Bool(true)),
                ("FutureData".into(), PlistValue::Data(vec![1, 2, 3])),
                ("FutureList".into(), PlistValue::Array(vec![PlistValue::Int(1)])),
            ];
        }),
        file("digest-by-reference")
            .with(|entry| entry.digest = DigestRule::Present(DigestForm::Reference)),
        file("digest-inline").with(|entry| entry.digest = DigestRule::Present(DigestForm::Inline)),
        file("digest-wrapped")
            .with(|entry| entry.digest = DigestRule::Present(DigestForm::Wrapped)),
        file("birth-omitted").with(|entry| entry.omit_keys = vec!["Birth".into()]),
        file("flags-omitted").with(|entry| entry.omit_keys = vec!["Flags".into()]),
    ]
}
