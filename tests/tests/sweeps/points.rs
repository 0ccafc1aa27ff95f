//! Where a run is disturbed, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::calls::{FAILING, KILLED_AT, What, failures};
use super::judge;
use super::place::Place;
use super::traced::{self, Ended};

/// Which sweep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sweep {
    /// The process is killed.
    Kill,
    /// A call fails, or does less than it was asked for.
    Error,
}

/// One disturbance of one run.
#[derive(Clone, Debug)]
pub(crate) enum Point {
    /// What happens at the nth call of a thread.
    Call { call: &'static str, number: u32, what: What, whose: Whose },
    /// No file may be longer than this: a write ends short, and the next one fails.
    FileSize(u64),
    /// No more files than this may be open.
    OpenFiles(u64),
}

/// Whose calls are counted. strace counts for each thread alone, so without this the main thread,
/// which starts first, would be disturbed in place of the others.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Whose {
    /// Those of the main thread.
    Main,
    /// Those of each thread on a path below the folder of the run.
    On(String),
    /// Those of each thread.
    Any,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { call, number, what, whose } => match whose {
                Whose::Main => write!(f, "{call} {number} of the main thread: {what}"),
                Whose::On(path) => write!(f, "{call} {number} on {path:?}: {what}"),
                Whose::Any => write!(f, "{call} {number} of any thread: {what}"),
            },
            Self::FileSize(bytes) => write!(f, "files of at most {bytes} bytes"),
            Self::OpenFiles(files) => write!(f, "at most {files} open files"),
        }
    }
}

impl Point {
    /// Names the row of the table that the point belongs to.
    pub(crate) fn row(&self) -> &'static str {
        match self {
            Self::Call { call, .. } => call,
            Self::FileSize(_) => "write, cut short",
            Self::OpenFiles(_) => "open, too many files",
        }
    }

    pub(crate) fn kills(&self) -> bool {
        matches!(self, Self::Call { what: What::Kill, .. })
    }

    /// Tells whether this is a failure to bring what was written to the disk, which nobody may
    /// pass over.
    pub(crate) fn is_lost_sync(&self) -> bool {
        let Self::Call { call, what, .. } = self else { return false };
        matches!(*call, "fsync" | "fdatasync" | "syncfs")
            && matches!(what, What::Once(error) | What::FromThenOn(error) if *error != "EINTR")
    }

    /// Tells whether cleaning up afterwards cannot be expected to work: it needs the very calls
    /// that fail. Deep trees are cleared by moving folders up.
    pub(crate) fn hinders_cleaning(&self) -> bool {
        match self {
            Self::Call { call, what, .. } => {
                *what == What::Kill
                    || matches!(
                        *call,
                        "open"
                            | "openat"
                            | "unlink"
                            | "unlinkat"
                            | "rmdir"
                            | "getdents64"
                            | "statx"
                            | "newfstatat"
                            | "fstat"
                            | "rename"
                            | "renameat"
                            | "renameat2"
                    )
            }
            Self::FileSize(_) => false,
            Self::OpenFiles(_) => true,
        }
    }

    /// Runs the command with this disturbance, and tells whether it happened.
    pub(crate) fn run(&self, place: &Place) -> (Ended, bool) {
        match self {
            Self::Call { call, number, what, whose } => {
                let words = [format!("trace={call}"), what.words(call, *number)];
                let ended = traced::traced(place, whose, &words);
                let hit = match what {
                    What::Kill => ended.signal.is_some(),
                    _ => traced::log(place).contains("(INJECTED)"),
                };
                (ended, hit)
            }
            Self::FileSize(bytes) => (limited(place, &format!("--fsize={bytes}")), true),
            Self::OpenFiles(files) => (limited(place, &format!("--nofile={files}")), true),
        }
    }
}

/// Runs the command with less than it may need. The signal that comes with a file of too many
/// bytes is ignored, so that the write fails.
fn limited(place: &Place, limit: &str) -> Ended {
    let words = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh", "prlimit", limit];
    traced::below(place, &words.map(str::to_owned))
}

/// How often calls are made once the program has started.
#[derive(Debug, Default)]
struct Calls {
    /// By call: how many of the main thread belong to the loader.
    loader: BTreeMap<String, u32>,
    /// By call: how many the main thread makes, those of the loader included.
    main: BTreeMap<String, u32>,
    /// By call and place: the most that any other thread makes.
    others: BTreeMap<(String, Whose), u32>,
}

/// Counts the calls of one undisturbed run.
fn count(place: &Place) -> Calls {
    place.clear();
    // Not every machine has every call. `poll`, or `ppoll`, is the first thing that the runtime of
    // the language does.
    let all = KILLED_AT.iter().chain(FAILING).chain(&["poll", "ppoll"]);
    let all: Vec<String> = all.map(|call| format!("?{call}")).collect();
    let ended = traced::traced(place, &Whose::Any, &[format!("trace={}", all.join(","))]);
    judge::must_be_sound(place, &ended);
    let log = traced::log(place);
    let root = format!("<{}", place.root().display());
    let mut calls = Calls::default();
    let mut main = None;
    let mut loading = true;
    let mut others: BTreeMap<(&str, Whose, &str), u32> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else { continue };
        // Of a call that another thread interrupts, the first half has its name.
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        if !call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        if *main.get_or_insert(thread) == thread {
            loading &= !matches!(call, "poll" | "ppoll");
            *calls.main.entry(call.to_owned()).or_default() += 1;
            if loading {
                *calls.loader.entry(call.to_owned()).or_default() += 1;
            }
        } else {
            let whose = path_of(arguments, &root).map_or(Whose::Any, Whose::On);
            *others.entry((call, whose, thread)).or_default() += 1;
        }
    }
    assert!(!loading, "the start of the program was not found:\n{log}");
    for ((call, whose, _), count) in others {
        let most = calls.others.entry((call.to_owned(), whose)).or_default();
        *most = count.max(*most);
    }
    calls
}

/// The path of the first descriptor in a line of the log that is of a path below `root`. Of the
/// current directory strace knows the name too, and does not match it with `-P`.
fn path_of(arguments: &str, root: &str) -> Option<String> {
    let at = arguments.match_indices(root).map(|(at, _)| at);
    let at = at.into_iter().find(|at| !arguments[..*at].ends_with("AT_FDCWD"))?;
    let (path, _) = arguments[at + root.len()..].split_once('>')?;
    Some(path.to_owned())
}

/// Lists the points of a sweep: all, or as many as are wanted, spread evenly.
pub(crate) fn points(kind: Sweep, place: &Place) -> Vec<Point> {
    let calls = count(place);
    let most = largest_file(place);
    let mut points = Vec::new();
    for &call in KILLED_AT.iter().chain(FAILING) {
        let count = |of: &BTreeMap<String, u32>| of.get(call).copied().unwrap_or(0);
        let main = count(&calls.loader) + 1..=count(&calls.main);
        let others = calls.others.iter().filter(|((name, _), _)| name == call);
        let whats: &[What] = match kind {
            Sweep::Kill if KILLED_AT.contains(&call) => &[What::Kill],
            Sweep::Kill => &[],
            Sweep::Error => failures(call),
        };
        for &what in whats {
            let point = |number, whose| Point::Call { call, number, what, whose };
            points.extend(main.clone().map(|number| point(number, Whose::Main)));
            for ((_, whose), &count) in others.clone() {
                points.extend((1..=count).map(|number| point(number, whose.clone())));
            }
        }
    }
    if kind == Sweep::Error {
        let lengths = [0, 1, 15, 16, 34, 35, 100, 511, 512, 4_095, 4_096, 65_535, 65_536];
        let lengths = lengths.into_iter().chain([most / 2, most - 1]);
        let lengths: BTreeSet<u64> = lengths.filter(|length| *length < most).collect();
        points.extend(lengths.into_iter().map(Point::FileSize));
        points.extend((3..24).map(Point::OpenFiles));
    }
    spread(points, wanted())
}

/// The length of the longest file that the command has written.
fn largest_file(place: &Place) -> u64 {
    let out = std::fs::metadata(place.out()).unwrap();
    if out.is_file() {
        return out.len();
    }
    let mut most = 0;
    let mut open = vec![place.out()];
    while let Some(path) = open.pop() {
        for entry in std::fs::read_dir(path).unwrap().map(Result::unwrap) {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                open.push(entry.path());
            } else {
                most = metadata.len().max(most);
            }
        }
    }
    most
}

/// How many points of a command and a number of threads to try: `BKP_SWEEP_POINTS`, or few.
fn wanted() -> usize {
    match std::env::var("BKP_SWEEP_POINTS") {
        Ok(number) => number.parse().expect("BKP_SWEEP_POINTS is a number"),
        Err(_) => 20,
    }
}

/// Takes about `wanted` of them: of each call and what happens there the same number, or all where
/// there are fewer, evenly spread. So those that are rare, as renames and syncs are, are all there.
fn spread(points: Vec<Point>, wanted: usize) -> Vec<Point> {
    let mut groups: BTreeMap<(&str, Option<What>), Vec<Point>> = BTreeMap::new();
    for point in points {
        let what = match &point {
            Point::Call { what, .. } => Some(*what),
            _ => None,
        };
        groups.entry((point.row(), what)).or_default().push(point);
    }
    let taken = |each: usize| groups.values().map(|group| group.len().min(each)).sum::<usize>();
    let longest = groups.values().map(Vec::len).max().unwrap_or(0);
    let each = (1..=longest).find(|each| taken(*each) >= wanted).unwrap_or(longest);
    let mut spread = Vec::new();
    for group in groups.values() {
        let (all, each) = (group.len(), each.min(group.len()));
        spread.extend((0..each).map(|n| group[n * all / each].clone()));
    }
    // One of each may be more than is wanted.
    let (all, some) = (spread.len(), wanted.min(spread.len()));
    if all < some.saturating_mul(2) {
        return spread;
    }
    (0..some).map(|n| spread[n * all / some].clone()).collect()
}
