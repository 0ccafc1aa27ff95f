use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bkp_core::{
    Domain, Entry, EntryKind, Everything, Fault, Identity, Metadata, Monitor, Payload, Payloads,
    Problem, RelPath, Report, RunError, RunOptions, Source, Stage,
};
use rustix::io::Errno;

use super::{ExtractDir, ExtractOptions, Extracted};
use crate::{Naming, RestoreError, Twins};

/// A catalog in memory.
#[derive(Clone, Debug, Default)]
struct Memory(Vec<Row>);

#[derive(Clone, Debug)]
struct Row {
    entry: Entry,
    content: Vec<u8>,
    /// The payload fails after its content.
    breaks: bool,
    /// The payload gives one byte at a time.
    drips: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("no such thing")]
struct Never;

impl Fault for Never {
    fn code(&self) -> &'static str {
        "never"
    }
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        row.entry
    }
}

impl AsRef<Entry> for Row {
    fn as_ref(&self) -> &Entry {
        &self.entry
    }
}

impl Source for Memory {
    type Record = Row;
    type Error = Never;
    type Payloads = Self;

    fn records(&self) -> Result<impl Iterator<Item = Result<Row, Never>>, Never> {
        Ok(self.0.iter().cloned().map(Ok))
    }

    fn payloads(&self) -> &Self {
        self
    }
}

impl Payloads<Row> for Memory {
    type Error = Never;

    fn open(&self, row: &Row) -> Result<Box<dyn Payload>, Never> {
        Ok(Box::new(Bytes { left: Cursor::new(row.content.clone()), row: row.clone() }))
    }

    fn open_stored(&self, row: &Row) -> Result<Box<dyn Payload>, Never> {
        self.open(row)
    }
}

struct Bytes {
    left: Cursor<Vec<u8>>,
    row: Row,
}

impl Read for Bytes {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = if self.row.drips { buf.len().min(1) } else { buf.len() };
        match self.left.read(&mut buf[..most])? {
            0 if self.row.breaks => Err(io::Error::other("broken off")),
            read => Ok(read),
        }
    }
}

impl Payload for Bytes {}

impl Memory {
    fn add(&mut self, name: &[u8], kind: EntryKind, mode: u32, content: &[u8]) -> &mut Row {
        let colon = name.iter().position(|&b| b == b':').unwrap();
        let domain = Domain::new(&name[..colon]).unwrap();
        let path = RelPath::new(&name[colon + 1..]).unwrap();
        let mut entry = Entry::derive(domain, path, kind);
        let size_hint = content.len().try_into().unwrap();
        entry.metadata =
            Metadata { mode, size_hint, modified: 1_500_000_000, ..Metadata::default() };
        self.0.push(Row { entry, content: content.to_vec(), breaks: false, drips: false });
        self.0.last_mut().unwrap()
    }

    fn file(&mut self, name: &str, content: &[u8]) -> &mut Row {
        self.add(name.as_bytes(), EntryKind::File, 0o100_644, content)
    }

    fn directory(&mut self, name: &str) -> &mut Row {
        self.add(name.as_bytes(), EntryKind::Directory, 0o040_755, b"")
    }

    fn link(&mut self, name: &str, target: &str) -> &mut Row {
        let kind = EntryKind::symlink(target.as_bytes()).unwrap();
        self.add(name.as_bytes(), kind, 0o120_755, b"")
    }
}

/// Collects the codes of problems with their entries.
#[derive(Debug, Default)]
struct Problems(Mutex<Vec<String>>);

impl Monitor for Problems {
    fn advanced(&self, _: Stage, _: &Entry, _: u64) {}

    fn problem(&self, problem: Problem<'_>) {
        let entry = problem.entry.map(ToString::to_string).unwrap_or_default();
        self.0.lock().unwrap().push(format!("{} {entry}", problem.fault.code()));
    }
}

fn options(naming: Naming, overwrite: bool) -> ExtractOptions {
    ExtractOptions { naming, overwrite }
}

type Outcome = Result<Report<Extracted>, RunError<Never, RestoreError>>;

fn run(
    source: &Memory,
    target: &Path,
    options: ExtractOptions,
    threads: usize,
) -> (Outcome, Vec<String>) {
    let problems = Problems::default();
    let sink = match ExtractDir::create(target, options) {
        Ok(sink) => sink,
        Err(error) => return (Err(RunError::Sink(error)), Vec::new()),
    };
    let run = RunOptions { threads: NonZeroUsize::new(threads).unwrap(), ..RunOptions::default() };
    let outcome = bkp_core::run(source, &Everything, &Identity, sink, &run, &problems);
    (outcome, problems.0.into_inner().unwrap())
}

fn extract(source: &Memory, target: &Path, naming: Naming) -> Report<Extracted> {
    let (outcome, problems) = run(source, target, options(naming, false), 2);
    let report = outcome.unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    report
}

/// Every name below a directory with its kind, mode, time and content. Links are not followed.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_symlink() {
                std::fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
            } else if meta.is_dir() {
                waiting.push(path.clone());
                Vec::new()
            } else {
                std::fs::read(&path).unwrap()
            };
            let name = path.strip_prefix(root).unwrap().to_owned();
            // The time of the map is that of the run.
            let time = if name == Path::new("names.jsonl") { 0 } else { meta.mtime() };
            found.insert(name, (meta.mode(), time, content));
        }
    }
    found
}

#[test]
fn a_tree_is_what_the_catalog_says() {
    let mut source = Memory::default();
    source.directory("HomeDomain:");
    source.directory("HomeDomain:Library").entry.metadata.mode = 0o040_500;
    source.file("HomeDomain:Library/empty", b"");
    let large: Vec<u8> = (0..1_000_003u32).map(|i| i.to_le_bytes()[0]).collect();
    for length in [1, 262_143, 262_144, 262_145, 524_288, 1_000_003] {
        source.file(&format!("HomeDomain:Library/{length}"), &large[..length]);
    }
    source.file("HomeDomain:Library/drip", &large[..300_000]).drips = true;
    source.file("HomeDomain:Library/private", b"p").entry.metadata.mode = 0o100_400;
    source.link("HomeDomain:Library/link", "../../../../etc/passwd");
    source.file("HomeDomain:deep/down/below", b"no row names its directories");
    source.file("AppDomain-x:a", b"a").entry.metadata.modified = -86_400;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let report = extract(&source, &out, Naming::default());
    assert_eq!((report.listed, report.done, report.failed), (14, 14, 0));
    let Extracted { path, files, directories, symlinks, renamed, late, bytes } = report.summary;
    assert_eq!((files, directories, symlinks, renamed), (11, 2, 1, 0));
    assert_eq!(bytes, 1 + 262_143 + 262_144 + 262_145 + 524_288 + 1_000_003 + 300_000 + 1 + 28 + 1);
    assert!(late.is_empty() && path == out);

    let tree = tree(&out);
    assert_eq!(tree.len(), 14 + 2 + 1);
    for row in &source.0 {
        let path = format!("{}/{}", row.entry.domain, row.entry.path);
        let (mode, time, content) = &tree[Path::new(path.trim_end_matches('/'))];
        assert_eq!(*time, row.entry.metadata.modified, "{path}");
        match &row.entry.kind {
            EntryKind::Symlink(target) => assert_eq!(content[..], target[..]),
            EntryKind::Directory => assert_eq!(mode | 0o700, row.entry.metadata.mode | 0o700),
            _ => {
                assert_eq!((*mode, content), (row.entry.metadata.mode, &row.content), "{path}");
            }
        }
    }
    assert_eq!(tree[Path::new("HomeDomain/Library")].0, 0o040_700);
    assert_eq!(tree[Path::new("HomeDomain/deep")].0, 0o040_700);
    assert!(!out.join("names.jsonl").exists());
}

#[test]
fn one_thread_and_four_make_the_same_tree() {
    let mut source = Memory::default();
    for i in 0..1_500 {
        let (domain, dir) = (i % 7, i % 41);
        source.directory(&format!("AppDomain-{domain}:d{dir}/sub"));
        source.file(&format!("AppDomain-{domain}:d{dir}/sub/F:{i}"), format!("{i}").as_bytes());
        source.link(&format!("AppDomain-{domain}:d{dir}/l{i}"), "x");
    }
    source.0.dedup_by(|a, b| a.entry.id == b.entry.id);
    let mut seen = std::collections::HashSet::new();
    source.0.retain(|row| seen.insert(row.entry.id));
    let dir = tempfile::tempdir().unwrap();
    let trees: Vec<_> = [1, 4]
        .into_iter()
        .map(|threads| {
            let out = dir.path().join(threads.to_string());
            let naming = Naming::Portable(Twins::of_source(&source).unwrap());
            let (outcome, problems) = run(&source, &out, options(naming, false), threads);
            assert_eq!(outcome.unwrap().failed, 0, "{problems:?}");
            let mut tree = tree(&out);
            // Their time is that of the run, since no row names them.
            tree.retain(|path, (mode, ..)| *mode != 0o040_700 || path.ends_with("sub"));
            tree
        })
        .collect();
    assert!(trees[0].contains_key(Path::new("names.jsonl")));
    assert!(trees[0].len() > 3_000);
    assert_eq!(trees[0], trees[1]);
}

#[test]
fn special_bits_and_kinds_are_never_made() {
    let mut source = Memory::default();
    source.file("d:suid", b"x").entry.metadata.mode = 0o107_777;
    source.directory("d:dir").entry.metadata.mode = 0o043_755;
    source.file("d:device", b"x").entry.metadata.mode = 0o020_666;
    source.file("d:none", b"x").entry.metadata.mode = 0;
    source.file("d:huge", b"x").entry.metadata.mode = u32::MAX;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let report = extract(&source, &out, Naming::Raw);
    let mode = |name: &str| out.join(name).symlink_metadata().unwrap().mode();
    assert_eq!(mode("d/suid"), 0o100_777);
    assert_eq!(mode("d/dir"), 0o040_755);
    assert_eq!(mode("d/device"), 0o100_666);
    assert_eq!(mode("d/none"), 0o100_000);
    assert_eq!(mode("d/huge"), 0o100_777);
    let late: Vec<_> = report.summary.late.iter().map(|late| late.item()).collect();
    let mut told: Vec<_> = late.iter().map(|item| item.relative_path.as_deref().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, ["device", "huge"]);
    assert!(late.iter().all(|item| item.code == "mode-kind-mismatch" && item.severity == "notice"));
}

#[test]
fn a_payload_that_breaks_off_leaves_nothing() {
    let mut source = Memory::default();
    source.file("d:short", b"abc").breaks = true;
    source.file("d:long", &[7; 600_000]).breaks = true;
    source.file("d:good", b"abc");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let (outcome, mut problems) = run(&source, &out, options(Naming::Raw, false), 1);
    let report = outcome.unwrap();
    assert_eq!((report.done, report.failed), (1, 2));
    problems.sort();
    assert_eq!(problems, ["source-read d:long", "source-read d:short"]);
    assert_eq!(tree(&out).into_keys().collect::<Vec<_>>(), [Path::new("d"), Path::new("d/good")]);
}

#[test]
fn a_link_is_never_passed_through() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let outside_name = outside.to_str().unwrap();
    let mut source = Memory::default();
    source.link("d:l", outside_name);
    source.file("d:l/in", b"x");
    source.link("d:m/n", outside_name);
    source.file("d:m/n/o/p", b"x");
    source.file("d:f", b"x");
    source.file("d:f/g", b"x");
    source.link("e:", outside_name);
    source.file("e:h", b"x");
    source.file("g:", b"x");
    let out = dir.path().join("out");
    // One thread, so that the rows are staged in their order.
    let (outcome, mut problems) = run(&source, &out, options(Naming::Raw, false), 1);
    let report = outcome.unwrap();
    problems.sort();
    assert_eq!(
        problems,
        [
            "parent-not-directory d:f/g",
            "root-not-directory e:",
            "root-not-directory g:",
            "through-symlink d:l/in",
            "through-symlink d:m/n/o/p",
        ]
    );
    assert_eq!((report.done, report.failed), (4, 5));
    assert!(tree(&outside).is_empty());
    assert_eq!(std::fs::read_link(out.join("d/l")).unwrap(), outside);
    assert_eq!(std::fs::read(out.join("e/h")).unwrap(), b"x");
}

#[test]
fn overwriting_replaces_files_and_links_and_follows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (out, outside) = (dir.path().join("out"), dir.path().join("outside"));
    std::fs::create_dir_all(out.join("d/dir")).unwrap();
    std::fs::create_dir_all(outside.join("sub")).unwrap();
    std::fs::write(outside.join("victim"), b"kept").unwrap();
    std::fs::write(out.join("d/old"), b"old and longer").unwrap();
    std::fs::hard_link(outside.join("victim"), out.join("d/hard")).unwrap();
    symlink(outside.join("victim"), out.join("d/soft")).unwrap();
    symlink(&outside, out.join("e")).unwrap();
    symlink(&outside, out.join("d/through")).unwrap();
    symlink(outside.join("victim"), out.join("names.jsonl")).unwrap();
    std::fs::write(out.join("d/dir/mine"), b"kept").unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, out.join("d/pipe"), rustix::fs::Mode::RWXU).unwrap();
    std::fs::write(out.join("d/other"), b"kept").unwrap();

    let mut source = Memory::default();
    for name in ["old", "hard", "soft", "dir", "pipe", "through/sub/new"] {
        source.file(&format!("d:{name}"), b"new");
    }
    source.file("e:victim", b"new");
    source.file("d:a:b", b"new");
    source.link("d:link", "/etc/passwd");
    let (outcome, mut problems) = run(&source, &out, options(Naming::default(), true), 2);
    let report = outcome.unwrap();
    problems.sort();
    assert_eq!(
        problems,
        [
            "name-collision d:dir",
            "name-collision d:pipe",
            "through-symlink d:through/sub/new",
            "through-symlink e:victim",
        ]
    );
    assert_eq!((report.done, report.failed), (5, 4));
    for name in ["old", "hard", "soft", "a%3Ab"] {
        let path = out.join("d").join(name);
        assert!(path.symlink_metadata().unwrap().is_file());
        assert_eq!(std::fs::read(path).unwrap(), b"new", "{name}");
    }
    assert!(out.join("names.jsonl").symlink_metadata().unwrap().is_file());
    for kept in [outside.join("victim"), out.join("d/dir/mine"), out.join("d/other")] {
        assert_eq!(std::fs::read(kept).unwrap(), b"kept");
    }
    assert_eq!(std::fs::read_dir(outside.join("sub")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2);

    // What this run wrote is not what makes way.
    let mut twice = Memory::default();
    twice.file("d:old", b"first");
    twice.file("d:old", b"second");
    let (outcome, problems) = run(&twice, &out, options(Naming::Raw, true), 1);
    assert_eq!(outcome.unwrap().done, 1);
    assert_eq!(problems, ["name-collision d:old"]);
    assert_eq!(std::fs::read(out.join("d/old")).unwrap(), b"first");
}

#[test]
fn a_destination_that_is_not_empty_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), b"x").unwrap();
    let mut source = Memory::default();
    source.file("d:a", b"x");
    let before = tree(dir.path());
    let (outcome, _) = run(&source, dir.path(), options(Naming::Raw, false), 1);
    let error = outcome.unwrap_err();
    assert!(matches!(error, RunError::Sink(RestoreError::DestinationNotEmpty { .. })), "{error:?}");
    assert_eq!(tree(dir.path()), before);

    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    extract(&source, &empty, Naming::Raw);
    assert_eq!(tree(&empty).len(), 2);
}

#[test]
fn a_run_that_ends_early_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut source = Memory::default();
    for i in 0..300 {
        source.file(&format!("d:{i}"), b"x").breaks = i == 200;
    }
    let sink = ExtractDir::create(&out, options(Naming::Raw, false)).unwrap();
    let run = RunOptions { stop_on_problem: true, ..RunOptions::default() };
    let outcome = bkp_core::run(&source, &Everything, &Identity, sink, &run, &Problems::default());
    assert!(matches!(outcome, Err(RunError::Sink(RestoreError::SourceRead { .. }))));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn long_paths_and_deep_trees() {
    let mut source = Memory::default();
    let deep = format!("d:{}x", "a/".repeat(2_047));
    source.file(&deep, b"bottom");
    let wide = format!("d:{}", vec!["n".repeat(255); 15].join("/"));
    source.file(&wide, b"wide");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    extract(&source, &out, Naming::Raw);
    // Too long for one call, so looked for from handle to handle.
    for row in &source.0 {
        let flags = rustix::fs::OFlags::RDONLY;
        let mut at = rustix::fs::open(&out, flags, rustix::fs::Mode::empty()).unwrap();
        for name in ["d".as_bytes()].into_iter().chain(row.entry.path.components()) {
            at = rustix::fs::openat(&at, name, flags, rustix::fs::Mode::empty()).unwrap();
        }
        let mut content = Vec::new();
        std::fs::File::from(at).read_to_end(&mut content).unwrap();
        assert_eq!(content, row.content);
    }
    // A run over it that is given up removes the depth again.
    drop(ExtractDir::create(&dir.path().join("other"), ExtractOptions::default()).unwrap());
    let root =
        rustix::fs::open(&out, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    crate::remove::clear(std::os::fd::AsFd::as_fd(&root), b"").unwrap();
}

#[test]
fn portable_names_are_listed() {
    let mut source = Memory::default();
    for name in ["Photo.JPG", "photo.jpg", "a:b", "plain", &"?".repeat(255)] {
        source.file(&format!("HomeDomain:{name}"), name.as_bytes());
    }
    source.add(b"HomeDomain:\xff", EntryKind::File, 0o100_600, b"odd");
    source.directory("HomeDomain:CON");
    source.file("names.jsonl:x", b"map");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let naming = Naming::Portable(Twins::of_source(&source).unwrap());
    let report = extract(&source, &out, naming);
    let lines: Vec<serde_json::Value> = std::fs::read_to_string(out.join("names.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((lines.len(), report.summary.renamed), (6, 6));
    assert_eq!(lines[0]["stored_as"], "HomeDomain/%50hoto.%4A%50%47");
    assert_eq!(lines[1]["relative_path"], "a:b");
    assert_eq!(lines[3]["relative_path"], "\u{fffd}");
    assert_eq!(lines[3]["relative_path_b64"], "/w==");
    assert!(lines[1].get("relative_path_b64").is_none());
    assert_eq!(lines[5]["stored_as"], "%6Eames.jsonl/x");
    for line in &lines {
        let name = line["relative_path"].as_str().unwrap();
        let found = out.join(line["stored_as"].as_str().unwrap());
        match name {
            "CON" => assert!(found.is_dir()),
            "\u{fffd}" => assert_eq!(std::fs::read(found).unwrap(), b"odd"),
            "x" => assert_eq!(std::fs::read(found).unwrap(), b"map"),
            _ => assert_eq!(std::fs::read(found).unwrap(), name.as_bytes()),
        }
    }
    assert_eq!(std::fs::read(out.join("HomeDomain/photo.jpg")).unwrap(), b"photo.jpg");
}

#[test]
fn hashed_names_are_those_of_the_backup() {
    let mut source = Memory::default();
    source.directory("HomeDomain:Library/SMS");
    source.file("HomeDomain:Library/SMS/sms.db", b"sms");
    source.link("HomeDomain:l", "target");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    extract(&source, &out, Naming::Hashed);
    let stored = "3d/3d0d7e5fb2ce288813306e4d4636395e047a3d28";
    assert_eq!(std::fs::read(out.join(stored)).unwrap(), b"sms");
    let map = std::fs::read_to_string(out.join("names.jsonl")).unwrap();
    let lines: Vec<_> = map.lines().collect();
    assert_eq!(lines.len(), 3);
    let directory = r#"{"domain":"HomeDomain","relative_path":"Library/SMS","stored_as":null}"#;
    assert_eq!(lines[0], directory);
    assert!(lines[1].ends_with(&format!("\"stored_as\":\"{stored}\"}}")));
}

/// Odd and hostile names below a directory with hostile links: nothing outside changes, what was
/// there stays, and every row is done or failed.
#[test]
fn nothing_gets_out() {
    let parts: [&[u8]; 26] = [
        b"a",
        b"b",
        b"A",
        b"link",
        b"up",
        b"file",
        b"...",
        b"..a",
        b"~",
        b"-rf",
        b"$(x)",
        b"a b",
        b" ",
        b"\n",
        b"\x1b[2J",
        b"\xff\xfe",
        b"%2e%2e",
        b"%2F",
        b"CON",
        b"aux.txt",
        b"end.",
        b"a:b",
        b"\\..\\x",
        "\u{202e}".as_bytes(),
        "\u{e9}".as_bytes(),
        "e\u{301}".as_bytes(),
    ];
    let mut state = 0x9e37_79b9_97f4_a7c1u64;
    let mut below = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(n).unwrap()).unwrap()
    };
    for round in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let (out, outside) = (dir.path().join("canary/out"), dir.path().join("canary/outside"));
        std::fs::create_dir_all(out.join("d/a")).unwrap();
        std::fs::create_dir_all(outside.join("a/b")).unwrap();
        std::fs::write(outside.join("file"), b"canary").unwrap();
        std::fs::write(dir.path().join("file"), b"canary").unwrap();
        for at in ["link", "d/link", "d/a/link", "d/up", "d/a/up", "d/a/%2e%2e"] {
            let target = if at.ends_with("link") { outside.as_path() } else { Path::new("..") };
            symlink(target, out.join(at)).unwrap();
        }
        std::fs::write(out.join("d/file"), b"theirs").unwrap();

        let mut source = Memory::default();
        for i in 0..2_000 {
            let path: Vec<&[u8]> = (0..=below(4)).map(|_| parts[below(parts.len())]).collect();
            let path = path.join(&b'/');
            let domains: [&[u8]; 4] = [b"d", b"D", b"link", b"..d"];
            let domain = domains[below(4)];
            let name = [domain, b":", &path].concat();
            match below(6) {
                0 => source.add(&name, EntryKind::Directory, 0o040_000, b""),
                1 => {
                    let target = [&b"/"[..], b"..", b"../../outside/file", b"x"][below(4)];
                    source.add(&name, EntryKind::symlink(target).unwrap(), 0o120_777, b"")
                }
                _ => source.add(&name, EntryKind::File, 0o106_644, &[1; 300][..i % 300]),
            };
        }
        let naming = match round {
            0 => Naming::Raw,
            1 => Naming::Hashed,
            _ => Naming::Portable(Twins::of_source(&source).unwrap()),
        };
        let target = if round == 3 { dir.path().join("canary/new") } else { out.clone() };
        let before = tree(&dir.path().join("canary/outside"));
        let (outcome, problems) = run(&source, &target, options(naming, round < 3), 4);
        let report = outcome.unwrap();
        assert_eq!(report.done + report.failed, 2_000);
        assert!(report.done > 300, "round {round}: {} done", report.done);
        assert_eq!(problems.len(), usize::try_from(report.failed).unwrap());
        assert_eq!(tree(&outside), before);
        assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"canary");
        let mut top: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        top.sort();
        assert_eq!(top, ["canary", "file"]);
        let inside = tree(&target);
        assert!(inside.values().all(|(mode, ..)| mode & 0o7000 == 0));
        let links = inside.values().filter(|(mode, ..)| mode & 0o170_000 == 0o120_000).count();
        assert!(links > 0);
    }
}

#[test]
fn errors_are_sorted_by_what_can_be_done() {
    for (errno, code) in [
        (Errno::NOSPC, "no-space"),
        (Errno::DQUOT, "no-space"),
        (Errno::ACCESS, "permission-denied"),
        (Errno::PERM, "permission-denied"),
        (Errno::ROFS, "permission-denied"),
        (Errno::IO, "cannot-create"),
        (Errno::ILSEQ, "cannot-create"),
    ] {
        let error = RestoreError::system("write", Path::new("a"), errno);
        assert_eq!(error.code(), code);
        assert!(std::error::Error::source(&error).is_some());
    }
}
