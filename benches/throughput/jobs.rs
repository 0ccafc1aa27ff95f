//! What is measured, and beside what.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bundles::{Bundles, Place, bkp};
use crate::cost::{Cost, measure};
use crate::options::Options;
use crate::peers;
use crate::primitives;

/// One command of ours, and what it is measured against.
pub(crate) struct Job<'b> {
    pub(crate) name: &'static str,
    /// Bytes of payloads that it goes through, where that is what it does and they are known.
    bytes: u64,
    target: Option<Target>,
    ours: Vec<OsString>,
    beside: Vec<Beside<'b>>,
    /// Makes what the job begins with.
    before: Option<Vec<OsString>>,
}

/// A floor or a peer.
struct Beside<'b> {
    name: &'static str,
    run: Run<'b>,
}

enum Run<'b> {
    Command(Vec<OsString>),
    /// In this process, on one thread.
    Here(Box<dyn Fn() + 'b>),
}

/// What a row is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At most so many times the processor time of the first beside it.
    Cpu(f64),
    /// At most so many times its wall time.
    Wall(f64),
    /// At most so many times the user time of the best beside it, the bare loop left aside.
    BestPeer(f64),
    /// At most so many seconds of user time.
    User(f64),
    /// At least so many 10^9 bytes a second of processor time.
    Rate(f64),
}

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) bytes: u64,
    pub(crate) target: Option<Target>,
    /// Nothing where this build has no such command.
    pub(crate) ours: Option<Cost>,
    pub(crate) beside: Vec<(&'static str, Cost)>,
}

/// Writes a command line out of words and paths.
macro_rules! line {
    ($($word:expr),* $(,)?) => { vec![$(OsString::from($word)),*] };
}

/// Measures how long a person waits for the first answer.
pub(crate) fn open(place: &Place, options: &Options) -> Row {
    let bundles = place.rounds();
    let Bundles { encrypted, password_file, .. } = &bundles;
    let ours = line![bkp(), "ls", encrypted, "--password-file", password_file];
    let mut beside = vec![here("pbkdf2 crate", primitives::derive)];
    beside.extend(peers("open", encrypted, &bundles));
    let target = Some(Target::BestPeer(0.75));
    let job = Job { name: "open", bytes: 0, target, ours, beside, before: None };
    race(&job, &bundles, options.rounds)
}

/// Returns the jobs over payloads.
pub(crate) fn all(bundles: &Bundles) -> Vec<Job<'_>> {
    let Bundles { plain, encrypted, password_file, shape, .. } = bundles;
    let (out, zip, sealed) =
        (&bundles.out(), &bundles.input("pack.zip"), &bundles.input("pack.bkpz"));
    let quiet = |mut line: Vec<OsString>| {
        line.extend(line!["--progress", "never"]);
        line
    };
    let locked = |line: Vec<OsString>| {
        let mut line = quiet(line);
        line.extend(line!["--password-file", password_file]);
        line
    };
    let new = |mut line: Vec<OsString>| {
        line.extend(line!["--new-password-file", password_file]);
        line
    };
    let copy = |from: &Path| vec![command("cp", line!["cp", "--reflink=auto", "-r", from, out])];
    let link = || vec![command("cp -l", line!["cp", "-r", "-l", encrypted, out])];
    let and = |mut beside: Vec<Beside<'static>>, more: Vec<Beside<'static>>| {
        beside.extend(more);
        beside
    };
    let stored = encrypted.clone();
    let job = |name, target, beside, ours| Job {
        name,
        bytes: shape.bytes.unwrap_or(0),
        target,
        ours,
        beside,
        before: None,
    };
    let kept = Some(Target::Cpu(1.15));
    let coded = Some(Target::Wall(1.0 / 0.75));
    let packed = Some(Target::Wall(1.0 / 0.85));
    let hashed = digested(bundles);
    let sealing = |mut line: Vec<OsString>| {
        line.extend(line!["--seal-password-file", password_file]);
        line
    };
    let list = and(vec![], peers("list", encrypted, bundles));
    let extract = and(copy(encrypted), peers("extract", encrypted, bundles));
    let pack = |name, target, beside, ours, before| Job {
        name,
        bytes: shape.bytes.unwrap_or(0),
        target,
        ours,
        beside,
        before,
    };
    let (plain_source, hash_source) = (plain.clone(), stored.clone());
    vec![
        job("list", None, list, locked(line![bkp(), "ls", "--jsonl", encrypted])),
        job(
            "extract",
            Some(Target::Cpu(1.2)),
            extract,
            locked(line![bkp(), "extract", encrypted, "-o", out]),
        ),
        Job {
            bytes: hashed,
            ..job(
                "verify",
                None,
                vec![here("sha1 crate", move || primitives::digest(&hash_source, hashed))],
                locked(line![bkp(), "verify", encrypted]),
            )
        },
        job(
            "verify --read-data",
            Some(Target::Rate(1.6)),
            vec![here("sha1 and cbc crates", move || primitives::decrypt(&stored))],
            locked(line![bkp(), "verify", "--read-data", encrypted]),
        ),
        job("filter", kept, copy(encrypted), locked(line![bkp(), "filter", encrypted, "-o", out])),
        job(
            "filter --link",
            None,
            link(),
            locked(line![bkp(), "filter", "--link", encrypted, "-o", out]),
        ),
        job(
            "rekey",
            kept,
            copy(encrypted),
            new(locked(line![bkp(), "rekey", encrypted, "-o", out])),
        ),
        job(
            "rekey --link",
            None,
            link(),
            new(locked(line![bkp(), "rekey", "--link", encrypted, "-o", out])),
        ),
        job(
            "encrypt",
            coded,
            and(copy(plain), vec![here("cbc crate", move || primitives::encrypt(&plain_source))]),
            new(quiet(line![bkp(), "encrypt", plain, "-o", out, "--kdf-iterations", "10000"])),
        ),
        job(
            "rekey --full",
            coded,
            copy(encrypted),
            new(locked(line![bkp(), "rekey", "--full", encrypted, "-o", out])),
        ),
        job(
            "decrypt",
            None,
            copy(encrypted),
            locked(line![bkp(), "decrypt", encrypted, "-o", out]),
        ),
        pack(
            "pack",
            packed,
            copy(encrypted),
            quiet(line![bkp(), "pack", encrypted, "-o", out.with_extension("zip")]),
            None,
        ),
        pack(
            "pack, sealed",
            packed,
            copy(encrypted),
            sealing(quiet(line![bkp(), "pack", encrypted, "-o", out.with_extension("bkpz")])),
            None,
        ),
        pack(
            "unpack",
            packed,
            copy(encrypted),
            quiet(line![bkp(), "unpack", zip, "-o", out]),
            Some(quiet(line![bkp(), "pack", encrypted, "-o", zip])),
        ),
        pack(
            "unpack, sealed",
            packed,
            copy(encrypted),
            sealing(quiet(line![bkp(), "unpack", sealed, "-o", out])),
            Some(sealing(quiet(line![bkp(), "pack", encrypted, "-o", sealed]))),
        ),
    ]
}

/// Returns the jobs over a catalog that is all there is.
pub(crate) fn of_rows(bundles: &Bundles) -> Vec<Job<'_>> {
    let Bundles { plain, encrypted, password_file, shape, .. } = bundles;
    let password = line!["--password-file", password_file, "--progress", "never"];
    let locked = |line: Vec<OsString>| [line, password.clone()].concat();
    let job = |name, ours| Job { name, bytes: 0, target: None, ours, beside: vec![], before: None };
    let at = |rows, target| (shape.rows == rows).then_some(target);
    let listed = at(200_000, Target::User(0.35));
    let written = at(200_000, Target::User(1.2));
    vec![
        Job { target: listed, ..job("list", locked(line![bkp(), "ls", "--jsonl", encrypted])) },
        job("list, files missing", line![bkp(), "ls", "--jsonl", plain]),
        job("verify", locked(line![bkp(), "verify", encrypted])),
        job("verify, files missing", line![bkp(), "verify", plain, "--progress", "never"]),
        Job {
            target: written,
            ..job(
                "filter",
                locked(line![bkp(), "filter", "--link", encrypted, "-o", bundles.out()]),
            )
        },
    ]
}

fn command(name: &'static str, line: Vec<OsString>) -> Beside<'static> {
    Beside { name, run: Run::Command(line) }
}

fn here<'b>(name: &'static str, run: impl Fn() + 'b) -> Beside<'b> {
    Beside { name, run: Run::Here(Box::new(run)) }
}

/// Returns the peers for a job, but not for a large backup, on which some are at work for minutes.
fn peers(job: &str, backup: &Path, bundles: &Bundles) -> Vec<Beside<'static>> {
    let out = bundles.out();
    if bundles.shape.bytes.is_some_and(|bytes| bytes > 3 << 29) {
        return Vec::new();
    }
    peers::all().into_iter().map(|p| command(p.name, p.command(job, backup, &out))).collect()
}

/// Asks how many bytes `verify` compares with a digest: some domains have none.
fn digested(bundles: &Bundles) -> u64 {
    let output = Command::new(bkp())
        .args(["verify", "--json", "--progress", "never"])
        .arg(&bundles.plain)
        .output()
        .expect("bkp runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    json["bytes_checked"].as_u64().expect("bytes_checked")
}

/// Returns true if this build has the command of a line.
fn is_there(line: &[OsString]) -> bool {
    let Some(command) = line.get(1) else { return false };
    let help = Command::new(bkp())
        .arg(command)
        .arg("--help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    help.is_ok_and(|status| status.success())
}

/// Runs a job and what is beside it, in turns.
pub(crate) fn race(job: &Job<'_>, bundles: &Bundles, rounds: usize) -> Row {
    let &Job { name, bytes, target, ref ours, ref beside, ref before } = job;
    let mut row = Row { name, bytes, target, ours: None, beside: Vec::new() };
    if !is_there(ours) {
        return row;
    }
    if let Some(before) = before {
        measure(before);
    }
    let mut costs = vec![Vec::new(); beside.len() + 1];
    for _ in 0..rounds {
        for (contender, costs) in costs.iter_mut().enumerate() {
            costs.push(match beside.get(contender).map(|beside| &beside.run) {
                Some(Run::Here(run)) => Cost::of(run),
                Some(Run::Command(line)) => measure(line),
                None => measure(ours),
            });
            bundles.clear();
        }
    }
    if before.is_some() {
        bundles.clear_inputs();
    }
    row.ours = costs.pop().map(|costs| Cost::median(&costs));
    let medians = costs.iter().map(|costs| Cost::median(costs));
    row.beside = beside.iter().map(|beside| beside.name).zip(medians).collect();
    row
}
