//! Kill and error sweeps over every command that writes.
//!
//! ```text
//! count     one undisturbed run under strace: how often does each thread make each call?
//! points    (call, number, what happens there): all of them, or an even sample
//! run       the command once for each point, on every core, in memory
//! judge     the source, the destination, what lies beside it, the exit code, what was said
//! ```
//!
//! What must hold after each run stands in `judge.rs`. A command is added with one line in
//! [`COMMANDS`]. `docs/campaigns.md` tells how to run all points and what the last run found.

#[path = "sweeps/calls.rs"]
mod calls;
#[path = "sweeps/judge.rs"]
mod judge;
#[path = "sweeps/place.rs"]
mod place;
#[path = "sweeps/points.rs"]
mod points;
#[path = "sweeps/table.rs"]
mod table;
#[path = "sweeps/traced.rs"]
mod traced;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bkp_testkit::{BundleSpec, Encryption, EntrySpec, KeychainSpec};

use judge::{Outcome, Reference};
use place::Place;
use points::{Point, Sweep, points};
use table::Table;

/// A command line to sweep.
#[derive(Debug)]
struct Swept {
    name: &'static str,
    /// The source, which is written to the folder `backup`.
    source: fn() -> BundleSpec,
    /// The words after `bkp`. It writes `out`, and `--json` follows.
    line: &'static str,
    output: Output,
}

/// What a command writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Output {
    /// A tree of readable files.
    Tree,
    /// A backup, and the file with its password if it is encrypted. What is in the source's files
    /// and names must then be nowhere beside it.
    Bundle(Option<&'static str>),
    /// The same in an archive, which the key file opens where it is sealed. What is in a sealed
    /// one is nowhere else.
    Archive { password: Option<&'static str>, sealed: bool },
}

/// What is swept: a line for each command.
#[rustfmt::skip]
const COMMANDS: &[Swept] = &[
    Swept { name: "extract", source: sealed, output: Output::Tree,
        line: "extract backup -o out --names raw --password-file pw" },
    Swept { name: "filter", source: sealed, output: Output::Bundle(Some("pw")),
        line: "filter backup -o out --exclude AppDomain-com.example.app --password-file pw" },
    Swept { name: "filter, large catalog", source: wide, output: Output::Bundle(Some("pw")),
        line: "filter backup -o out --exclude AppDomain-com.example.app --password-file pw" },
    Swept { name: "rekey", source: sealed, output: Output::Bundle(Some("new")),
        line: "rekey backup -o out --password-file pw --new-password-file new" },
    Swept { name: "rekey --link", source: sealed, output: Output::Bundle(Some("new")),
        line: "rekey backup -o out --link --password-file pw --new-password-file new" },
    Swept { name: "rekey --full", source: sealed, output: Output::Bundle(Some("new")),
        line: "rekey backup -o out --full --password-file pw --new-password-file new" },
    Swept { name: "encrypt", source: plain, output: Output::Bundle(Some("new")),
        line: "encrypt backup -o out --new-password-file new --kdf-iterations 1" },
    Swept { name: "restore", source: sealed, output: Output::Bundle(Some("pw")),
        line: "restore backup -o out --target-serial ANOTHERPHONE --password-file pw" },
    Swept { name: "decrypt", source: sealed, output: Output::Bundle(None),
        line: "decrypt backup -o out --password-file pw" },
    Swept { name: "pack", source: sealed,
        output: Output::Archive { password: Some("pw"), sealed: false },
        line: "pack backup -o out --password-file pw" },
    Swept { name: "pack --exclude", source: sealed,
        output: Output::Archive { password: Some("pw"), sealed: false },
        line: "pack backup -o out --exclude AppDomain-com.example.app --password-file pw" },
    Swept { name: "pack --seal-key-file", source: plain,
        output: Output::Archive { password: None, sealed: true },
        line: "pack backup -o out --seal-key-file key --verify" },
    Swept { name: "unpack", source: sealed, output: Output::Bundle(Some("pw")),
        line: "unpack packed -o out" },
];

/// How many workers the commands are swept with.
const THREADS: [&str; 2] = ["1", "2"];

/// The password of the sealed source.
const PASSWORD: &str = "canary-password-1a2f";
/// The one that it gets.
const NEW_PASSWORD: &str = "canary-password-2b60";
/// The key of sealed archives.
const KEY: &[u8; 32] = b"canary-key-3c97-of-exactly-32-by";
/// What lies in files of the source. No other text here holds it.
const CONTENT: &str = "canary-content-7c31";
/// What is in a name of the source.
const NAME: &str = "canary-name-e90d";

/// A backup with a bit of everything, and one file of more than one buffer.
fn plain() -> BundleSpec {
    with_entries(BundleSpec::new(77))
}

/// The same, encrypted, with as little key derivation as there can be.
fn sealed() -> BundleSpec {
    let encryption = Encryption { password: PASSWORD.into(), dpic: Some(1), iterations: 1 };
    with_entries(BundleSpec::new(77).with(|spec| spec.encryption = Some(encryption)))
}

/// One whose catalog, when it is made anew, has to wait in a scratch file: some MiB in few rows.
fn wide() -> BundleSpec {
    let attribute = |n: u8| ("com.example.large".to_owned(), vec![n; 450_000]);
    let folder = |n| {
        EntrySpec::directory("HomeDomain", format!("Library/{NAME}-{n}"))
            .with(|entry| entry.xattrs = vec![attribute(n)])
    };
    sealed().with(|spec| spec.entries.extend((0..12).map(folder)))
}

fn with_entries(mut spec: BundleSpec) -> BundleSpec {
    let file = |domain: &str, path: &str| EntrySpec::file(domain, path, CONTENT.repeat(4));
    spec.entries = vec![
        file("HomeDomain", "Library/SMS/sms.db"),
        file("HomeDomain", &format!("Library/{NAME}.txt")),
        EntrySpec::file("HomeDomain", "Library/empty", ""),
        EntrySpec::symlink("HomeDomain", "Library/link", "/private/var/mobile/x"),
        EntrySpec::noise("CameraRollDomain", "Media/DCIM/100APPLE/IMG_0001.JPG", 300_001),
        file("AppDomain-com.example.app", "Documents/a.txt"),
        file("AppDomainGroup-group.com.example.app", "Library/b.txt"),
        KeychainSpec::default().entry(&spec),
    ];
    spec
}

#[test]
fn a_killed_run_leaves_nothing_that_looks_whole() {
    sweep(Sweep::Kill);
}

#[test]
fn no_failing_call_loses_anything_in_silence() {
    sweep(Sweep::Error);
}

/// Runs every command at every point of a sweep and fails with what was wrong.
fn sweep(kind: Sweep) {
    if !traced::ready() {
        return;
    }
    let mut table = Table::new(kind);
    let mut wrong = Vec::new();
    // One command alone, while it is worked on.
    let only = std::env::var("BKP_SWEEP_COMMAND").unwrap_or_default();
    for swept in COMMANDS.iter().filter(|swept| swept.name.starts_with(&only)) {
        for threads in THREADS {
            sweep_one(kind, swept, threads, &mut table, &mut wrong);
        }
    }
    println!("{}", table.summary());
    table.keep();
    let some: Vec<_> = wrong.iter().take(50).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} points went wrong:\n{}", wrong.len(), some.join("\n"));
    assert!(table.hits() > 0, "no point was hit");
}

fn sweep_one(
    kind: Sweep,
    swept: &'static Swept,
    threads: &str,
    table: &mut Table,
    wrong: &mut Vec<String>,
) {
    let first = Place::new(swept, threads);
    let reference = Reference::of(&first);
    let points = points(kind, &first);
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Outcome)>> = Mutex::default();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let place = Place::new(swept, threads);
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = judge::run(&place, &reference, point);
                    let at = points.iter().position(|other| std::ptr::eq(other, point)).unwrap();
                    found.lock().unwrap().push((at, outcome));
                }
            });
        }
    });
    let found: BTreeMap<usize, Outcome> = found.into_inner().unwrap().into_iter().collect();
    for (at, outcome) in found {
        let point: &Point = &points[at];
        table.add(swept.name, point, &outcome);
        for what in outcome.wrong {
            wrong.push(format!("{} --threads {threads}, {point}: {what}", swept.name));
        }
    }
}
