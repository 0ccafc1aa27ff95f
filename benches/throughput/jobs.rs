//! What is measured, beside what, and what it is to reach.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::job::{Job, Line, OUT, line};
use crate::peers;
use crate::place::{Bundles, FEW, Place, bkp};
use crate::report::has;
use crate::targets::Target;

/// A device whose backup none of these is.
const TARGET_SERIAL: &str = "BENCH0000001";
/// 64 `sha256rnds2` of 4 cycles and 2 times 2 between them: a round of PBKDF2 takes no fewer.
const CYCLES_A_ROUND: u64 = 260;
const ROUNDS: u64 = 10_000_000;
/// A wanted share of the speed of a copy, as a limit of time.
const THREE_QUARTERS: f64 = 1.0 / 0.75;
const EIGHTY_FIVE: f64 = 1.0 / 0.85;
/// Every command holds the catalog that it reads, and little else, whatever the size of files.
const MEMORY: Target = Target::Peak(32.0, 1.0);

/// Which backup it is, since the targets differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Bytes are most of the work. Readers by others take part.
    Large,
    /// Files are most of the work. Readers by others take part.
    Small,
    /// One of several sizes, too large for readers by others.
    Sized,
}

/// Command lines over the bundles of a place.
struct Lines {
    password: Line,
    seal: Line,
    new: Line,
}

impl Lines {
    fn new(place: &Place) -> Self {
        let file = place.password_file();
        Self {
            password: line!["--password-file", &file],
            seal: line!["--seal-password-file", &file],
            new: line!["--new-password-file", &file],
        }
    }

    /// Returns a command of ours that asks for no password.
    fn plain(words: Line) -> Line {
        [line![bkp()], words, line!["--progress", "never"]].concat()
    }

    fn locked(&self, words: Line) -> Line {
        [Self::plain(words), self.password.clone()].concat()
    }

    fn renewed(&self, words: Line) -> Line {
        [self.locked(words), self.new.clone()].concat()
    }

    fn sealed(&self, words: Line) -> Line {
        [Self::plain(words), self.seal.clone()].concat()
    }
}

fn copy(from: &Path) -> Line {
    line!["cp", "--reflink=auto", "-r", from, OUT]
}

fn copy_links(from: &Path) -> Line {
    line!["cp", "-r", "-l", from, OUT]
}

/// Measures how long a person waits for the first answer.
pub(crate) fn open(place: &Place) -> Job {
    let backup = place.rounds();
    let cycles = (ROUNDS * CYCLES_A_ROUND).to_string();
    Job::new("open", &backup, Lines::new(place).locked(line!["ls", &backup]))
        .floor("260 cycles a round", line!["cycles", cycles])
        .floor("pbkdf2 crate", line!["crate-key", ROUNDS.to_string()])
        .peers(peers::all("open", &backup))
        .target(Target::PeerUser(0.75))
        // 1.1 times the tuned kernel, which takes 265 cycles.
        .target(Target::User("260 cycles a round", 1.1 * 265.0 / 260.0))
}

/// Returns the jobs over payloads.
pub(crate) fn all(place: &Place, bundles: &Bundles, kind: Kind) -> Vec<Job> {
    let mut jobs = reading(place, bundles, kind);
    jobs.extend(passing(place, bundles));
    jobs.extend(coding(place, bundles));
    jobs.extend(archives(place, bundles));
    jobs
}

fn reading(place: &Place, bundles: &Bundles, kind: Kind) -> Vec<Job> {
    let Bundles { plain: _, encrypted, shape } = bundles;
    let lines = Lines::new(place);
    let bytes = shape.bytes.unwrap_or(0);
    let hashed = digested(&lines, encrypted);
    let peers = |job| if kind == Kind::Sized { vec![] } else { peers::all(job, encrypted) };
    let (copied, waited) = if kind == Kind::Small { (1.0, 0.5) } else { (1.2, 0.6) };
    let extract = lines.locked(line!["extract", encrypted, "-o", OUT]);
    let mut extract = Job::new("extract", encrypted, extract)
        .beside("cp", copy(encrypted))
        .peers(peers("extract"))
        .target(Target::Cpu("cp", copied))
        .target(MEMORY);
    if kind != Kind::Sized {
        extract = extract.target(Target::PeerWall(waited));
    }
    vec![
        Job::new("list", encrypted, lines.locked(line!["ls", "--jsonl", encrypted]))
            .peers(peers("list"))
            .target(MEMORY),
        extract,
        Job::new("verify", encrypted, lines.locked(line!["verify", encrypted]))
            .bytes(hashed)
            .floor("sha1 crate", line!["digest", encrypted, hashed.to_string()])
            .target(MEMORY),
        read_data("verify --read-data", &lines, encrypted, bytes),
    ]
}

fn read_data(name: &'static str, lines: &Lines, backup: &Path, bytes: u64) -> Job {
    let job = Job::new(name, backup, lines.locked(line!["verify", "--read-data", backup]))
        .bytes(bytes)
        .floor("sha1 and cbc crates", line!["decrypt", backup])
        .target(MEMORY);
    // Of small files the bytes are not what takes the time.
    if bytes > 0 { job.target(Target::Rate(1.6)) } else { job }
}

/// Returns the jobs of which payloads stay as they are.
fn passing(place: &Place, bundles: &Bundles) -> Vec<Job> {
    let Bundles { encrypted, .. } = bundles;
    let lines = Lines::new(place);
    let kept = |name, line| {
        Job::new(name, encrypted, line)
            .beside("cp", copy(encrypted))
            .target(Target::Cpu("cp", 1.15))
            .target(Target::Wall("cp", 1.15))
            .target(MEMORY)
    };
    let linked = |name, line| {
        Job::new(name, encrypted, line)
            .beside("cp -l", copy_links(encrypted))
            .floor("key", line!["key", FEW])
            .links()
    };
    let two_keys = Target::Beyond { base: Some("cp -l"), keys: 2.0, key: "key", seconds: 0.1 };
    vec![
        kept("filter", lines.locked(line!["filter", encrypted, "-o", OUT])),
        kept(
            "restore",
            lines.locked(line!["restore", encrypted, "--target-serial", TARGET_SERIAL, "-o", OUT]),
        ),
        kept("rekey", lines.renewed(line!["rekey", encrypted, "-o", OUT])),
        linked("filter --link", lines.locked(line!["filter", "--link", encrypted, "-o", OUT])),
        linked("rekey --link", lines.renewed(line!["rekey", "--link", encrypted, "-o", OUT]))
            .target(two_keys),
    ]
}

/// Returns the jobs that decrypt or encrypt and write.
fn coding(place: &Place, bundles: &Bundles) -> Vec<Job> {
    let Bundles { plain, encrypted, .. } = bundles;
    let lines = Lines::new(place);
    let encrypt = [
        Lines::plain(line!["encrypt", plain, "-o", OUT, "--kdf-iterations", FEW]),
        lines.new.clone(),
    ];
    let coded = |name, from, line, floor, list: PathBuf| {
        Job::new(name, from, line)
            .beside("cp", copy(from))
            .floor("one stream a core", line![floor, from, OUT, list])
            .target(Target::Wall("cp", THREE_QUARTERS))
            .target(Target::Wall("one stream a core", 0.5))
            .target(MEMORY)
    };
    let full = lines.renewed(line!["rekey", "--full", encrypted, "-o", OUT]);
    vec![
        coded("encrypt", plain, encrypt.concat(), "encrypt", list(place, &lines, plain)),
        coded("rekey --full", encrypted, full, "recrypt", list(place, &lines, encrypted)),
        Job::new("decrypt", encrypted, lines.locked(line!["decrypt", encrypted, "-o", OUT]))
            .beside("cp", copy(encrypted))
            .target(MEMORY),
    ]
}

/// Returns the jobs that make archives or read them.
fn archives(place: &Place, bundles: &Bundles) -> Vec<Job> {
    let Bundles { encrypted, .. } = bundles;
    let lines = Lines::new(place);
    let (zip, sealed) = (&place.input("pack.zip"), &place.input("pack.bkpz"));
    let out = |end: &str| OsString::from(format!("{OUT}{end}"));
    let moved = |name, line| {
        Job::new(name, encrypted, line)
            .beside("cp", copy(encrypted))
            .target(Target::Wall("cp", EIGHTY_FIVE))
            .target(MEMORY)
    };
    let make = || lines.sealed(line!["pack", encrypted, "-o", sealed]);
    let list = [lines.sealed(line!["ls", sealed]), lines.password.clone()].concat();
    vec![
        moved("pack", Lines::plain(line!["pack", encrypted, "-o", out(".zip")])),
        moved("pack, sealed", lines.sealed(line!["pack", encrypted, "-o", out(".bkpz")])),
        moved("unpack", Lines::plain(line!["unpack", zip, "-o", OUT]))
            .before(zip.clone(), Lines::plain(line!["pack", encrypted, "-o", zip])),
        moved("unpack, sealed", lines.sealed(line!["unpack", sealed, "-o", OUT]))
            .before(sealed.clone(), make()),
        Job::new("ls, sealed", encrypted, list)
            .floor("600,000 rounds", line!["seal-key"])
            .before(sealed.clone(), make())
            .target(Target::Beyond { base: None, keys: 1.0, key: "600,000 rounds", seconds: 0.3 })
            .target(MEMORY),
    ]
}

/// Returns the jobs over a backup in which every file carries a digest.
pub(crate) fn of_digests(place: &Place, backup: &Path, bytes: u64) -> Vec<Job> {
    let lines = Lines::new(place);
    let hashed = digested(&lines, backup);
    let rate = if has("avx512f") { 4.0 } else { 1.9 };
    vec![
        Job::new("verify, all digests", backup, lines.locked(line!["verify", backup]))
            .bytes(hashed)
            .floor("sha1 crate", line!["digest", backup, u64::MAX.to_string()])
            .target(Target::Rate(rate))
            .target(MEMORY),
        read_data("verify --read-data, all digests", &lines, backup, bytes),
    ]
}

/// Returns the jobs over a catalog that is all there is.
pub(crate) fn of_rows(place: &Place, bundles: &Bundles) -> Vec<Job> {
    let Bundles { plain, encrypted, shape } = bundles;
    let lines = Lines::new(place);
    let rows = shape.rows;
    let with = |job: Job| match rows {
        1_000_000 => job.target(MEMORY).target(Target::Done),
        _ => job.target(MEMORY),
    };
    let filter = lines.locked(line!["filter", "--link", encrypted, "-o", OUT]);
    let mut list = Job::new("list", encrypted, lines.locked(line!["ls", "--jsonl", encrypted]));
    if rows == 200_000 {
        list = list.target(Target::Seconds(0.35));
    }
    vec![
        with(list),
        Job::new("list, files missing", plain, Lines::plain(line!["ls", "--jsonl", plain])),
        with(Job::new("verify", encrypted, lines.locked(line!["verify", encrypted]))),
        Job::new("verify, files missing", plain, Lines::plain(line!["verify", plain])).damaged(),
        with(Job::new("filter", encrypted, filter).links()),
    ]
}

/// Asks how many bytes `verify` compares with a digest: some domains have none.
fn digested(lines: &Lines, backup: &Path) -> u64 {
    let json = answer(&lines.locked(line!["verify", "--json", backup]));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    json["bytes_checked"].as_u64().expect("bytes_checked")
}

/// Writes the ids of all payloads, and whether the row carries a digest.
fn list(place: &Place, lines: &Lines, backup: &Path) -> PathBuf {
    let mut list = String::new();
    for line in answer(&lines.locked(line!["ls", "--jsonl", backup])).lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
        if entry["kind"] == "file" && entry["stored"] == true {
            let (id, digest) = (entry["file_id"].as_str().expect("an id"), &entry["digest"]);
            writeln!(list, "{id} {}", u8::from(!digest.is_null())).expect("memory");
        }
    }
    assert!(!list.is_empty(), "{} has no payloads", backup.display());
    let name = backup.file_name().expect("a name").to_string_lossy();
    let file = place.input(&format!("payloads-of-{name}"));
    fs::write(&file, list).expect("the list is written");
    file
}

/// Runs a command and returns what it says. A plain backup is given a password that it does not
/// ask for.
fn answer(line: &Line) -> String {
    let output = Command::new(&line[0]).args(&line[1..]).output().expect("bkp runs");
    String::from_utf8(output.stdout).expect("text")
}
