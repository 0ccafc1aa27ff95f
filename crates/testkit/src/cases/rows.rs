//! Rows that try to escape, or that no reader may believe. Source: FORMAT.md 6 and 7.

use crate::{BundleSpec, Cell, DigestRule, EntrySpec, FileKeyRule, Stored, file_id};

const HOME: &str = "HomeDomain";

/// An encrypted bundle of rows that try to escape, between two that do not.
///
/// Every hostile name holds the word `escape` or stands for itself, and every content is its own
/// name, so that a test can look for both outside the folder it extracts into. The ordinary
/// files are `HomeDomain` `first.txt` and `last.txt`.
#[must_use]
pub fn hostile_rows() -> BundleSpec {
    let mut spec = super::encrypted_db(10_000);
    spec.entries = vec![EntrySpec::file(HOME, "first.txt", "before all of these")];
    spec.entries.extend(paths());
    spec.entries.extend(domains());
    spec.entries.extend(links());
    spec.entries.extend(ids());
    spec.entries.extend(contradictions());
    spec.entries.push(EntrySpec::file(HOME, "last.txt", "after all of these"));
    spec
}

fn paths() -> Vec<EntrySpec> {
    let long_component = "c".repeat(256);
    let long_path = vec!["p".repeat(100); 42].join("/");
    [
        &b"../escape-parent"[..],
        b"../../../../../../../../var/tmp/escape-relative",
        b"/var/tmp/escape-absolute",
        b"a/../../escape-inside",
        b"a/b/..",
        b"a/./escape-dot",
        b".",
        b"..",
        b"a//escape-empty-component",
        b"escape-trailing-slash/",
        b"/",
        b"escape-nul\0.txt",
        b"..\\..\\escape-backslash",
        b"C:\\escape-drive",
        b"\\\\server\\share\\escape-unc",
        b"escape-not-utf8-\xff\xfe",
        long_component.as_bytes(),
        long_path.as_bytes(),
    ]
    .into_iter()
    .map(|path| EntrySpec::file(HOME, path, path))
    .collect()
}

fn domains() -> Vec<EntrySpec> {
    let long = "d".repeat(1025);
    [
        &b"../../escape-domain"[..],
        b"/escape-absolute-domain",
        b"..",
        b".",
        b"",
        b"names.jsonl",
        b"bkp-run.json",
        b"HomeDomain/escape-slash",
        b"SysContainerDomain-../../../../../escape-container",
        b"AppDomain-..",
        b"escape-nul\0",
        b"escape-not-utf8-\xff",
        long.as_bytes(),
    ]
    .into_iter()
    .map(|domain| EntrySpec::file(domain, "escape.txt", domain))
    .collect()
}

/// Links that point outside, and files that go through them.
fn links() -> Vec<EntrySpec> {
    vec![
        EntrySpec::symlink(HOME, "link", "../../../../../../var/tmp"),
        EntrySpec::file(HOME, "link/escape-through-relative", "through a relative link"),
        EntrySpec::symlink(HOME, "absolute-link", "/var/tmp"),
        EntrySpec::file(HOME, "absolute-link/escape-through-absolute", "through an absolute link"),
        EntrySpec::symlink(HOME, "link-to-dot", "."),
        EntrySpec::file(HOME, "link-to-dot/escape-through-dot", "through a link to itself"),
        // The file comes first here.
        EntrySpec::file(HOME, "late/escape-before-link", "before its link"),
        EntrySpec::symlink(HOME, "late", "/var/tmp"),
        EntrySpec::symlink(HOME, "link-without-target", ""),
        EntrySpec::symlink(HOME, "link-with-nul", b"/var/tmp\0x".to_vec()),
        EntrySpec::symlink(HOME, "link-too-long", "t".repeat(1025)),
        // The whole domain is a link.
        EntrySpec::symlink("LinkDomain", "", "/var/tmp"),
        EntrySpec::file("LinkDomain", "escape-through-root", "through a domain's root"),
    ]
}

/// File ids that are no names.
fn ids() -> Vec<EntrySpec> {
    let id = |path: &'static str, id: Cell| {
        EntrySpec::file(HOME, format!("id/{path}"), path).with(|entry| entry.row.file_id = Some(id))
    };
    vec![
        id("traversal", Cell::text("../../x")),
        id("absolute", Cell::text("/etc/passwd")),
        id("dots", Cell::text("..")),
        id("too-short", Cell::text("0".repeat(39))),
        id("too-long", Cell::text("0".repeat(41))),
        id("not-hex", Cell::text("g".repeat(40))),
        id("plus-sign", Cell::text("+".to_owned() + &"0".repeat(39))),
        id("slash-inside", Cell::text("ab/".to_owned() + &"c".repeat(37))),
        id("empty", Cell::text("")),
        id("null", Cell::Null),
        id("number", Cell::Integer(7)),
        id("nul", Cell::Text([&[b'a'; 39][..], &[0]].concat())),
        id("a-manifest", Cell::text("Manifest.db")),
        // The id of another file: two names for one blob.
        id("of-another", Cell::Blob(file_id(HOME, "first.txt").into_bytes())),
    ]
}

/// Rows whose parts do not agree, or are no such thing.
fn contradictions() -> Vec<EntrySpec> {
    let file = |path: &str, change: fn(&mut EntrySpec)| {
        EntrySpec::file(HOME, format!("wrong/{path}"), path).with(change)
    };
    vec![
        file("column-escapes", |entry| {
            entry.row.path = Some(Cell::text("../../escape-column"));
        }),
        file("flags-say-link", |entry| entry.row.flags = Some(Cell::Integer(4))),
        file("flags-3", |entry| entry.row.flags = Some(Cell::Integer(3))),
        file("flags-huge", |entry| entry.row.flags = Some(Cell::Integer(i64::MAX))),
        file("flags-real", |entry| entry.row.flags = Some(Cell::Real(1.5))),
        file("mode-says-directory", |entry| entry.mode = Some(0o040_755)),
        file("mode-says-device", |entry| entry.mode = Some(0o060_644)),
        file("size-negative", |entry| entry.recorded_size = Some(-1)),
        file("size-huge", |entry| entry.recorded_size = Some(i64::MAX)),
        file("modified-huge", |entry| entry.modified = i64::MAX),
        file("modified-least", |entry| entry.modified = i64::MIN),
        file("archive-garbage", |entry| {
            entry.row.file = Some(Cell::Blob(b"this is no archive".to_vec()));
        }),
        file("archive-empty", |entry| entry.row.file = Some(Cell::Blob(Vec::new()))),
        file("archive-null", |entry| entry.row.file = Some(Cell::Null)),
        file("archive-text", |entry| entry.row.file = Some(Cell::text("bplist00"))),
        file("archive-without-mode", |entry| entry.omit_keys = vec!["Mode".into()]),
        file("archive-without-size", |entry| entry.omit_keys = vec!["Size".into()]),
        file("archive-without-path", |entry| entry.omit_keys = vec!["RelativePath".into()]),
        file("key-too-short", |entry| entry.key = FileKeyRule::Bytes(vec![3, 0, 0, 0, 1])),
        file("key-empty", |entry| entry.key = FileKeyRule::Bytes(Vec::new())),
        file("key-of-no-class", |entry| {
            entry.key = FileKeyRule::Bytes([&[99, 0, 0, 0][..], &[0; 40]].concat());
        }),
        file("key-does-not-unwrap", |entry| {
            entry.key = FileKeyRule::Bytes([&[4, 0, 0, 0][..], &[0; 40]].concat());
        }),
        file("digest-wrong", |entry| entry.digest = DigestRule::Bytes(vec![0; 20])),
        file("digest-short", |entry| entry.digest = DigestRule::Bytes(vec![0; 19])),
        file("blob-flipped", |entry| entry.stored = Stored::Flipped(0)),
        EntrySpec::file(HOME, "same-inode-1", "one").with(|entry| entry.inode = Some(7)),
        EntrySpec::file(HOME, "same-inode-2", "two").with(|entry| entry.inode = Some(7)),
        EntrySpec::file(HOME, "file-and-folder", "a file"),
        EntrySpec::file(HOME, "file-and-folder/escape-below-file", "below a file"),
    ]
}
