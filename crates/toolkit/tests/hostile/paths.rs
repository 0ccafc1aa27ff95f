//! A hundred thousand names that want out of the destination, or into each other's place.
//!
//! ```text
//! cage/
//!   canary/                  must stay as it is, to the byte and the second
//!   HomeDomain -> canary     links with the names of domains, beside the destinations
//!   Raw/  Portable/  Hashed/ new destinations
//!   Raw-over/ ...            destinations with such links inside, written in place
//! ```
//!
//! What a row holds is its own number, so a file says which row it is of, whatever it is called.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bkp_bundle::{Backup, Limits, Opened, Storage, Unlocked};
use bkp_core::{Domain, Entry, Everything, Monitor, Problem, RelPath, Severity, Stage};
use bkp_testkit::faults::seeds;
use bkp_testkit::{Cell, Row};
use bkp_toolkit::{ExtractOptions, NamePolicy, extract};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};

use crate::noise::Noise;

const ROWS: usize = 100_000;

const DOMAINS: [&[u8]; 32] = [
    b"HomeDomain",
    b"CameraRollDomain",
    b"MediaDomain",
    b"AppDomain-com.example.a",
    b"AppDomainGroup-group.x",
    b"homedomain",
    b"HOMEDOMAIN",
    b"AppDomain-\xc3\xa9",
    b"AppDomain-e\xcc\x81",
    b"CON",
    b"aux.x",
    b"names.jsonl",
    b"Names.JSONL",
    b"bkp-run.json",
    b"a:b",
    b"end.",
    b"end ",
    b" begin",
    b"~",
    b"..a",
    b"...",
    b"back\\slash",
    b"..\\..\\bkp-escape",
    b"%2e%2e",
    b"%41",
    b"A",
    b"\xff\xfe",
    b"\x01\x1b[2J",
    b"\xe2\x80\xaenoitaripsnoc",
    b"-rf",
    b"\xef\xbc\x8e\xef\xbc\x8e",
    b"C:",
];

const BAD_DOMAINS: [&[u8]; 10] = [
    b"",
    b".",
    b"..",
    b"../bkp-escape",
    b"../../canary",
    b"/var/tmp",
    b"HomeDomain/..",
    b"HomeDomain/../../canary",
    b"SysContainerDomain-../../../../bkp-escape",
    b"HomeDomain\0",
];

const COMPONENTS: [&[u8]; 72] = [
    b"a",
    b"A",
    b"b",
    b"secret.txt",
    b"Secret.TXT",
    b"Photo.JPG",
    b"photo.jpg",
    b"PHOTO.JPG",
    b"\xc3\xa9",
    b"e\xcc\x81",
    b"\xc3\x89",
    b"E\xcc\x81",
    b"\xc3\x9f",
    b"ss",
    b"SS",
    b"\xc5\xbf",
    b"s",
    b"\xe2\x84\xaa",
    b"k",
    b"K",
    b"\xc4\xb0",
    b"i\xcc\x87",
    b"\xc4\xb1",
    b"\xef\xac\x81",
    b"fi",
    b"\xea\xb0\x80",
    b"\xe1\x84\x80\xe1\x85\xa1",
    b"CON",
    b"con",
    b"Aux.txt",
    b"COM1",
    b"COM\xc2\xb9",
    b"NUL.tar.gz",
    b"LPT9 .x",
    b"CONIN$",
    b"a.",
    b"a..",
    b"a ",
    b"a. .",
    b" a",
    b"a:b",
    b"a::$DATA",
    b"a?b",
    b"a*",
    b"a\"b",
    b"a<b>",
    b"a|b",
    b"back\\slash",
    b"..\\bkp-escape",
    b"%",
    b"%41",
    b"%2F",
    b"%2e%2e",
    b"%~",
    b"~",
    b"tab\t",
    b"line\n",
    b"\x1b[2J",
    b"\x7f",
    b"\xe2\x80\xaegpj.exe",
    b"\xe2\x80\x8bx",
    b"x\xe2\x80\x8d",
    b"\xef\xbb\xbfx",
    b"x",
    b"\xff\xfe",
    b"a\xc3",
    b"\xed\xa0\x80",
    b"..\xc0\xaf..",
    b"names.jsonl",
    b"...",
    b"..a",
    b"\xf0\x9f\x98\x80",
];

const BAD_COMPONENTS: [&[u8]; 4] = [b"..", b".", b"", b"nul\0"];

const TARGETS: [&str; 6] = ["../../../canary", "../canary/secret.txt", ".", "..", "/var/tmp", "a"];

/// What a row is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Name {
    domain: Vec<u8>,
    path: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Kind {
    File,
    Directory,
    Link(usize),
}

/// Makes up the names of row `n`.
fn name(n: usize) -> Name {
    let mut noise = Noise::new(u64::try_from(n).unwrap() + 77);
    let mut domain = match noise.below(30) {
        0 => noise.pick(&BAD_DOMAINS).to_vec(),
        // Most are in few domains, so that there is something to collide with.
        1..=9 => noise.pick(&DOMAINS).to_vec(),
        _ => noise.pick(&DOMAINS[..5]).to_vec(),
    };
    if noise.below(400) == 0 {
        domain.resize([255, 256, 1024, 1025][noise.below(4)], b'D');
    }
    let mut path = Vec::new();
    let depth = if noise.below(500) == 0 { 17 } else { 1 + noise.below(5) };
    for level in 0..depth {
        let mut component = match noise.below(60) {
            0 => noise.pick(&BAD_COMPONENTS).to_vec(),
            _ => noise.pick(&COMPONENTS).to_vec(),
        };
        if depth == 17 {
            // About as long as a path may be, or longer.
            component.resize(235 + noise.below(10), b'l');
        } else if noise.below(200) == 0 {
            component.resize([254, 255, 256][noise.below(3)], b'n');
        } else if level + 1 == depth && noise.below(3) > 0 {
            component.extend(format!("{n}").bytes());
        }
        if level > 0 {
            path.push(b'/');
        }
        path.extend(component);
    }
    match noise.below(100) {
        0 => path.insert(0, b'/'),
        1 => path.push(b'/'),
        2 => path = [b"../../canary/bkp-escape", &path[..]].concat(),
        3 => path = [b"/var/tmp/bkp-escape", &path[..]].concat(),
        4 => path.clear(),
        _ => {}
    }
    let kind = match noise.below(20) {
        0 => Kind::Link(noise.below(TARGETS.len())),
        1 => Kind::Directory,
        _ => Kind::File,
    };
    Name { domain, path, kind }
}

fn id(n: usize) -> String {
    format!("{:02x}{n:038x}", n & 0xff)
}

/// The number of a row, from its id; nothing for an id that was derived from the names.
fn number(id: &str) -> Option<usize> {
    let n = usize::from_str_radix(id.get(2..)?, 16).ok()?;
    (self::id(n) == id).then_some(n)
}

fn bundle(names: &[Name]) -> Backup<Unlocked> {
    let file = seeds::short_archive(1, b"00000000");
    let directory = seeds::short_archive(2, b"");
    let links = TARGETS.map(|target| seeds::short_archive(4, target.as_bytes()));
    let row = |(n, name): (usize, &Name)| {
        let (flags, archive) = match name.kind {
            Kind::File => (1, &file),
            Kind::Directory => (2, &directory),
            Kind::Link(target) => (4, &links[target]),
        };
        Row {
            file_id: Cell::text(id(n)),
            domain: Cell::Text(name.domain.clone()),
            path: Cell::Text(name.path.clone()),
            flags: Cell::Integer(flags),
            file: Cell::Blob(archive.clone()),
        }
    };
    let rows: Vec<Row> = names.iter().enumerate().map(row).collect();
    let manifest = b"<plist><dict><key>IsEncrypted</key><false/></dict></plist>".to_vec();
    let mut files = vec![
        ("Manifest.plist".to_owned(), manifest),
        ("Manifest.db".to_owned(), seeds::catalog(4096, &rows).unwrap()),
    ];
    files.extend((0..names.len()).map(|n| {
        let id = id(n);
        (format!("{}/{id}", &id[..2]), format!("{n:08}").into_bytes())
    }));
    match Opened::open(Storage::memory(files), Limits::default()).unwrap() {
        Opened::Unlocked(backup) => backup,
        Opened::Locked(_) => unreachable!("nothing is encrypted"),
    }
}

/// What is at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Node {
    File(Vec<u8>),
    Link(Vec<u8>),
    Directory,
}

/// Takes a path, what is there, and its mode and time.
type See<'s> = &'s mut dyn FnMut(&[u8], Node, (u32, i64));

/// Walks a tree by handles: its paths are longer than a system call takes. No link is followed.
fn walk(dir: BorrowedFd<'_>, prefix: &mut Vec<u8>, see: See<'_>) {
    let start = prefix.len();
    let mut names = Vec::new();
    for entry in Dir::read_from(dir).unwrap() {
        let name = entry.unwrap().file_name().to_bytes().to_vec();
        if !matches!(name.as_slice(), b"." | b"..") {
            names.push(name);
        }
    }
    for name in names {
        prefix.extend(&name);
        let stat = statat(dir, &*name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        let facts = (stat.st_mode, stat.st_mtime);
        let open = |flags| openat(dir, &*name, flags | OFlags::NOFOLLOW, Mode::empty()).unwrap();
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                see(prefix, Node::Directory, facts);
                let below = open(OFlags::RDONLY | OFlags::DIRECTORY);
                prefix.push(b'/');
                walk(below.as_fd(), prefix, see);
            }
            FileType::Symlink => {
                let target = readlinkat(dir, &*name, Vec::new()).unwrap();
                see(prefix, Node::Link(target.into_bytes()), facts);
            }
            FileType::RegularFile => {
                let mut content = Vec::new();
                File::from(open(OFlags::RDONLY)).read_to_end(&mut content).unwrap();
                see(prefix, Node::File(content), facts);
            }
            other => panic!("{}: {other:?}", prefix.escape_ascii()),
        }
        prefix.truncate(start);
    }
}

fn open_dir(path: &Path) -> OwnedFd {
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
}

fn tree(path: &Path) -> BTreeMap<Vec<u8>, (Node, (u32, i64))> {
    let mut found = BTreeMap::new();
    walk(open_dir(path).as_fd(), &mut Vec::new(), &mut |path, node, facts| {
        found.insert(path.to_vec(), (node, facts));
    });
    found
}

/// Counts problems by code, and notes of which rows there was one that lost it.
#[derive(Default)]
struct Problems(Mutex<(BTreeMap<&'static str, usize>, HashSet<usize>)>);

impl Monitor for Problems {
    fn advanced(&self, _: Stage, _: &Entry, _: u64) {}

    fn problem(&self, problem: Problem<'_>) {
        let (codes, lost) = &mut *self.0.lock().unwrap();
        *codes.entry(problem.fault.code()).or_default() += 1;
        if problem.fault.severity() != Severity::Failure {
            return;
        }
        let text = problem.fault.to_string();
        let row = text.strip_prefix("row ").and_then(|text| text.split(':').next()?.parse().ok());
        match (row, problem.entry) {
            (Some::<usize>(row), _) => lost.extend([row - 1]),
            // Links are made after their entries are gone, and then there is only a name.
            (None, Some(entry)) => lost.extend(number(&entry.id.to_string())),
            (None, None) => panic!("of which row is {text}"),
        }
    }
}

/// Reads the map: stored name to domain and path. Directories that are nowhere else are left out.
fn map(target: &Path) -> HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)> {
    let path = target.join("names.jsonl");
    // A link of this name was there before, and nothing needed a map.
    if !path.symlink_metadata().is_ok_and(|facts| facts.is_file()) {
        return HashMap::new();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let exact = |key: &str| match line.get(format!("{key}_b64")) {
            Some(exact) => STANDARD.decode(exact.as_str().unwrap()).unwrap(),
            None => line[key].as_str().unwrap().as_bytes().to_vec(),
        };
        let stored = line["stored_as"].as_str()?.as_bytes().to_vec();
        Some((stored, (exact("domain"), exact("relative_path"))))
    };
    let mut map = HashMap::new();
    for (stored, names) in text.lines().filter_map(line) {
        let shown = stored.escape_ascii().to_string();
        // A directory may have two rows of one name; two names never have one place.
        if let Some(other) = map.insert(stored, names.clone()) {
            assert_eq!(other, names, "two entries are stored as {shown}");
        }
    }
    map
}

/// Extracts into a folder and looks at every name in it. `old` says that the folder had files of
/// this content and hostile links before.
fn run(
    backup: &Backup<Unlocked>,
    names: &[Name],
    target: &Path,
    policy: NamePolicy,
    old: &BTreeMap<Vec<u8>, (Node, (u32, i64))>,
) {
    let overwrite = !old.is_empty();
    let options = ExtractOptions {
        target: target.to_owned(),
        names: policy,
        overwrite,
        threads: None,
        hashes: None,
    };
    let problems = Problems::default();
    let report = extract(backup, &Everything, &options, &problems).unwrap();
    let (codes, lost) = problems.0.into_inner().unwrap();
    println!("{policy:?}, overwrite {overwrite}: {report:?}\n  {codes:?}");
    assert_eq!(report.listed, u64::try_from(names.len()).unwrap());
    assert_eq!(report.listed, report.done + report.skipped + report.failed);

    let map = map(target);
    let mut found = HashSet::new();
    walk(open_dir(target).as_fd(), &mut Vec::new(), &mut |stored, node, _| {
        let shown = stored.escape_ascii();
        if old.get(stored).is_some_and(|(old, _)| *old == node) {
            return;
        }
        let content = match node {
            Node::Directory => return,
            Node::Link(to) => {
                assert!(TARGETS.iter().any(|target| target.as_bytes() == to), "{shown}");
                return;
            }
            Node::File(_) if stored == b"names.jsonl" => return,
            Node::File(content) => content,
        };
        let text = String::from_utf8(content).unwrap_or_default();
        let n: usize = text.parse().unwrap_or_else(|_| panic!("{shown} holds {text:?}"));
        assert!(found.insert(n), "row {n} is in two files");
        let Name { domain, path, kind } = &names[n];
        assert_eq!(*kind, Kind::File, "{shown}");
        // What the file is called leads back to the names of the row whose bytes it has.
        let plain = [domain, &b"/"[..], path].concat();
        match policy {
            NamePolicy::Raw => assert_eq!(stored, plain, "row {n}"),
            NamePolicy::Hashed => assert_eq!(stored.get(3..), Some(id(n).as_bytes()), "row {n}"),
            NamePolicy::Portable if !map.contains_key(stored) => assert_eq!(stored, plain),
            NamePolicy::Portable => {}
        }
        if let Some(names) = map.get(stored) {
            assert_eq!(*names, (domain.clone(), path.clone()), "{shown} is mapped to another");
        } else {
            assert_ne!(policy, NamePolicy::Hashed, "{shown} is not in the map");
        }
    });
    // Every file is there, or was told of; no row is both.
    for (n, name) in names.iter().enumerate().filter(|(_, name)| name.kind == Kind::File) {
        assert_ne!(found.contains(&n), lost.contains(&n), "row {n}: {name:?}");
        let legal = Domain::new(&name.domain).is_ok() && RelPath::new(&name.path).is_ok();
        assert!(legal || !found.contains(&n), "row {n}: {name:?}");
    }
    let files = u64::try_from(found.len()).unwrap();
    assert_eq!(files, report.summary.files);
    // The names are hostile, and not so hostile that nothing is left to be tested.
    assert!(codes["hostile-name"] > names.len() / 50, "{codes:?}");
    let enough = if overwrite { 10 } else { 2 };
    assert!(found.len() > names.len() / enough, "{} files", found.len());
}

/// Links and files that a destination has before it is written in place.
fn prepare(target: &Path, canary: &Path) {
    std::fs::create_dir_all(target.join("CameraRollDomain/b")).unwrap();
    std::fs::create_dir_all(target.join("00")).unwrap();
    for (link, to) in [
        ("HomeDomain", Path::new("../canary")),
        ("AppDomain-com.example.a", canary),
        ("MediaDomain", Path::new("nowhere")),
        ("CameraRollDomain/a", Path::new("../../canary")),
        ("CameraRollDomain/secret.txt", Path::new("../../canary/secret.txt")),
        ("CameraRollDomain/x", &canary.join("secret.txt")),
        ("CameraRollDomain/b/b", Path::new("..")),
        ("CameraRollDomain/%41", Path::new("../../canary")),
        ("01", Path::new("../canary")),
        ("names.jsonl", Path::new("../canary/secret.txt")),
    ] {
        symlink(to, target.join(link)).unwrap();
    }
    symlink(canary.join("secret.txt"), target.join("00").join(id(0x100))).unwrap();
    for file in ["CameraRollDomain/K", "CameraRollDomain/fi", "CameraRollDomain/s"] {
        std::fs::write(target.join(file), b"old").unwrap();
    }
}

/// A place in memory where there is one: this is about names, not about a disk.
fn cage() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(dir) = tempfile::tempdir_in(memory)
    {
        return dir;
    }
    tempfile::tempdir().unwrap()
}

#[test]
fn a_hundred_thousand_names_stay_inside() {
    let cage = cage();
    let canary = cage.path().join("canary");
    std::fs::create_dir_all(canary.join("b")).unwrap();
    for file in ["secret.txt", "b/a", "a", "x"] {
        std::fs::write(canary.join(file), b"canary").unwrap();
    }
    symlink("secret.txt", canary.join("link")).unwrap();
    for link in ["HomeDomain", "names.jsonl", "Raw.link", "AppDomain-com.example.a"] {
        symlink("canary", cage.path().join(link)).unwrap();
    }
    let before = tree(&canary);
    let listing = || {
        let mut names: Vec<_> = std::fs::read_dir(cage.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };

    let names: Vec<Name> = (0..ROWS).map(name).collect();
    let backup = bundle(&names);
    let mut expected = listing();
    for policy in [NamePolicy::Raw, NamePolicy::Portable, NamePolicy::Hashed] {
        let target = cage.path().join(format!("{policy:?}"));
        run(&backup, &names, &target, policy, &BTreeMap::new());
        expected.push(target.file_name().unwrap().to_owned());
        std::fs::remove_dir_all(&target).unwrap();
        expected.pop();
    }
    // In place, with the links inside.
    let fewer = &names[..ROWS / 5];
    let backup = bundle(fewer);
    for policy in [NamePolicy::Raw, NamePolicy::Portable, NamePolicy::Hashed] {
        let target = cage.path().join(format!("{policy:?}-over"));
        prepare(&target, &canary);
        let old = tree(&target);
        run(&backup, fewer, &target, policy, &old);
        expected.push(target.file_name().unwrap().to_owned());
    }
    expected.sort();
    assert_eq!(listing(), expected, "something appeared beside the destinations");
    assert_eq!(tree(&canary), before, "the canary is not what it was");
    for outside in ["/var/tmp", "/tmp", "/", "/dev/shm"] {
        for entry in std::fs::read_dir(outside).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let escaped = name.as_bytes().starts_with(OsStr::new("bkp-escape").as_bytes());
            assert!(!escaped, "{outside}/{} escaped", name.display());
        }
    }
}
