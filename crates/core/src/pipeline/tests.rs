//! The driver over a source in memory.

use std::io::{self, Cursor, Read as _};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, atomic::AtomicU64};

use super::{RunError, RunOptions, run};
use crate::{
    Access, Domain, Entry, EntryKind, Everything, Fault, Identity, Job, Jobs, Monitor, NullMonitor,
    Payload, Payloads, Problem, RelPath, Select, Severity, Sink, Source, Stage, Stager, Transform,
    Verdict,
};

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Oops(String, Severity);

impl Fault for Oops {
    fn code(&self) -> &'static str {
        "oops"
    }

    fn severity(&self) -> Severity {
        self.1
    }
}

fn oops(text: impl Into<String>) -> Oops {
    Oops(text.into(), Severity::Failure)
}

#[derive(Clone)]
enum Bytes {
    Sound(Vec<u8>),
    Odd(Vec<u8>, Severity),
    Missing,
}

#[derive(Clone)]
struct Row(Entry, Bytes);

impl AsRef<Entry> for Row {
    fn as_ref(&self) -> &Entry {
        &self.0
    }
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        row.0
    }
}

struct OddPayload(Cursor<Vec<u8>>, Severity);

impl io::Read for OddPayload {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Payload for OddPayload {
    fn faults(&self) -> Vec<Box<dyn Fault>> {
        vec![Box::new(Oops("odd".into(), self.1))]
    }
}

struct Memory {
    rows: Vec<Result<Row, &'static str>>,
    opener: Opener,
}

struct Opener;

impl Payloads<Row> for Opener {
    type Error = Oops;

    fn open(&self, row: &Row) -> Result<Box<dyn Payload>, Oops> {
        match &row.1 {
            Bytes::Sound(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
            Bytes::Odd(bytes, s) => Ok(Box::new(OddPayload(Cursor::new(bytes.clone()), *s))),
            Bytes::Missing => Err(oops("missing")),
        }
    }

    fn open_stored(&self, row: &Row) -> Result<Box<dyn Payload>, Oops> {
        let Bytes::Sound(bytes) = &row.1 else { return Err(oops("missing")) };
        Ok(Box::new(Cursor::new(bytes.iter().map(|b| !b).collect::<Vec<_>>())))
    }
}

impl Source for Memory {
    type Record = Row;
    type Error = Oops;
    type Payloads = Opener;

    fn records(&self) -> Result<impl Iterator<Item = Result<Row, Oops>>, Oops> {
        Ok(self.rows.iter().map(|row| row.clone().map_err(oops)))
    }

    fn payloads(&self) -> &Opener {
        &self.opener
    }
}

fn row(path: &str, bytes: Bytes) -> Result<Row, &'static str> {
    let mut entry = Entry::derive(
        Domain::new("HomeDomain").unwrap(),
        RelPath::new(path).unwrap(),
        EntryKind::File,
    );
    if let Bytes::Sound(bytes) | Bytes::Odd(bytes, _) = &bytes {
        entry.metadata.size_hint = bytes.len() as u64;
    }
    Ok(Row(entry, bytes))
}

fn memory(rows: Vec<Result<Row, &'static str>>) -> Memory {
    Memory { rows, opener: Opener }
}

fn many(n: usize) -> Memory {
    memory((0..n).map(|i| row(&format!("f{i}"), Bytes::Sound(vec![7; i % 9000]))).collect())
}

/// Keeps everything in memory. Works on up to `lanes` files at once, and reads each by 1 KiB.
struct Tree {
    stager: Arc<TreeStager>,
    files: Vec<(String, Vec<u8>)>,
}

struct TreeStager {
    lanes: usize,
    access: Access,
    lose_one: bool,
    most_open: AtomicUsize,
}

fn tree(lanes: usize) -> Tree {
    let stager = TreeStager {
        lanes,
        access: Access::Plaintext,
        lose_one: false,
        most_open: AtomicUsize::new(0),
    };
    Tree { stager: Arc::new(stager), files: Vec::new() }
}

impl Stager for TreeStager {
    type Staged = Vec<u8>;
    type Error = Oops;

    fn access(&self, _: &Entry) -> Access {
        self.access
    }

    fn stage(&self, jobs: &mut dyn Jobs<Vec<u8>, Oops>) {
        let mut open: Vec<(Job, Vec<u8>)> = Vec::new();
        loop {
            while open.len() < self.lanes {
                let job = if open.is_empty() { jobs.next() } else { jobs.try_next() };
                let Some(job) = job else { break };
                if self.lose_one && job.entry.path.as_bytes() == b"f3" {
                    continue;
                }
                open.push((job, Vec::new()));
            }
            self.most_open.fetch_max(open.len(), Ordering::Relaxed);
            if open.is_empty() {
                return;
            }
            let mut still = Vec::new();
            for (mut job, mut bytes) in open {
                let n = match &mut job.payload {
                    Some(payload) => payload.take(1024).read_to_end(&mut bytes).unwrap(),
                    None => 0,
                };
                if n > 0 {
                    still.push((job, bytes));
                } else if job.entry.path.as_bytes() == b"bad" {
                    jobs.done(job, Err(oops("will not be written")));
                } else {
                    jobs.done(job, Ok(bytes));
                }
            }
            open = still;
        }
    }
}

impl Sink for Tree {
    type Stager = TreeStager;
    type Staged = Vec<u8>;
    type Error = Oops;
    type Summary = Vec<(String, Vec<u8>)>;

    fn stager(&self) -> Arc<TreeStager> {
        Arc::clone(&self.stager)
    }

    fn commit(&mut self, entry: &Entry, staged: Vec<u8>) -> Result<(), Oops> {
        self.files.push((entry.path.to_string(), staged));
        Ok(())
    }

    fn lost(&mut self, entry: &Entry) -> Result<(), Oops> {
        self.files.push((format!("lost {}", entry.path), Vec::new()));
        Ok(())
    }

    fn finish(self) -> Result<Self::Summary, Oops> {
        Ok(self.files)
    }
}

#[derive(Default)]
struct Recorder {
    problems: Mutex<Vec<String>>,
    cancel_after: Option<u64>,
    staged: AtomicU64,
}

impl Monitor for Recorder {
    fn advanced(&self, stage: Stage, _: &Entry, _: u64) {
        self.staged.fetch_add(u64::from(stage == Stage::Staged), Ordering::Relaxed);
    }

    fn problem(&self, problem: Problem<'_>) {
        let name = problem.entry.map_or("?".into(), |e| e.path.to_string());
        self.problems.lock().unwrap().push(format!("{name}: {}", problem.fault));
    }

    fn cancelled(&self) -> bool {
        self.cancel_after.is_some_and(|n| self.staged.load(Ordering::Relaxed) >= n)
    }
}

struct NoCaches;

impl Select for NoCaches {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        if entry.path.as_bytes().starts_with(b"Caches/") {
            Verdict::Drop(Some("caches"))
        } else {
            Verdict::Keep(None)
        }
    }
}

fn threads(n: usize) -> RunOptions {
    RunOptions { threads: NonZeroUsize::new(n).unwrap(), ..RunOptions::default() }
}

#[test]
fn every_row_is_done_skipped_or_failed() {
    let source = memory(vec![
        row("a", Bytes::Sound(b"one".into())),
        row("Caches/b", Bytes::Sound(b"two".into())),
        row("c", Bytes::Missing),
        Err("bad row"),
        row("bad", Bytes::Sound(b"five".into())),
        row("e", Bytes::Odd(b"six".into(), Severity::Notice)),
        row("f", Bytes::Odd(b"sev".into(), Severity::Damage)),
    ]);
    let recorder = Recorder::default();
    let report = run(&source, &NoCaches, &Identity, tree(1), &threads(2), &recorder).unwrap();
    let names: Vec<_> = report.summary.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "lost c", "lost bad", "e", "f"]);
    assert_eq!((report.listed, report.done, report.skipped, report.failed), (7, 3, 1, 3));
    assert_eq!((report.damaged, report.notices), (1, 1));
    let mut problems = recorder.problems.into_inner().unwrap();
    problems.sort();
    let expected = ["?: bad row", "bad: will not be written", "c: missing", "e: odd", "f: odd"];
    assert_eq!(problems, expected);
}

#[test]
fn order_and_bytes_do_not_depend_on_threads_or_lanes() {
    let mut rows = many(1000).rows;
    rows.insert(900, row("long", Bytes::Sound(vec![1; 3 << 20])));
    rows.insert(10, row("longer", Bytes::Sound(vec![2; 5 << 20])));
    let source = memory(rows);
    let want: Vec<_> = source
        .rows
        .iter()
        .flatten()
        .map(|Row(entry, bytes)| match bytes {
            Bytes::Sound(bytes) => (entry.path.to_string(), bytes.clone()),
            _ => unreachable!(),
        })
        .collect();
    for (n, lanes, longest_first) in [(1, 1, 0), (1, 16, 1), (2, 1, 64), (4, 16, 64)] {
        let options = RunOptions { longest_first, ..threads(n) };
        let report =
            run(&source, &Everything, &Identity, tree(lanes), &options, &NullMonitor).unwrap();
        assert!(report.summary == want, "{n} threads, {lanes} lanes");
    }
}

#[test]
fn a_sink_with_lanes_holds_many_jobs_at_once() {
    let sink = tree(16);
    let stager = sink.stager();
    run(&many(500), &Everything, &Identity, sink, &threads(1), &NullMonitor).unwrap();
    assert_eq!(stager.most_open.load(Ordering::Relaxed), 16);
}

/// More entries than may wait for one: the driver must neither stall nor grow.
#[test]
fn a_catalog_longer_than_the_window() {
    let n = 100_000;
    let source = memory((0..n).map(|i| row(&format!("{i}"), Bytes::Sound(vec![]))).collect());
    for lanes in [1, 3] {
        let report =
            run(&source, &Everything, &Identity, tree(lanes), &threads(3), &NullMonitor).unwrap();
        assert_eq!(report.done, n);
    }
}

#[test]
fn stored_bytes_are_had_without_opening() {
    let sink = Tree {
        stager: Arc::new(TreeStager {
            lanes: 1,
            access: Access::Stored,
            lose_one: false,
            most_open: AtomicUsize::new(0),
        }),
        files: Vec::new(),
    };
    let source = memory(vec![row("a", Bytes::Sound(vec![0, 1]))]);
    let report = run(&source, &Everything, &Identity, sink, &threads(1), &NullMonitor).unwrap();
    assert_eq!(report.summary, [("a".into(), vec![255, 254])]);
}

struct Shout;

struct Shouted(Box<dyn Payload>);

impl io::Read for Shouted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buf)?;
        buf[..n].make_ascii_uppercase();
        Ok(n)
    }
}

impl Payload for Shouted {
    fn faults(&self) -> Vec<Box<dyn Fault>> {
        self.0.faults()
    }
}

impl Transform for Shout {
    fn entry(&self, mut entry: Entry) -> Entry {
        entry.path = RelPath::new(entry.path.as_bytes().to_ascii_uppercase()).unwrap();
        entry
    }

    fn payload(&self, _: &Entry, payload: Box<dyn Payload>) -> Box<dyn Payload> {
        Box::new(Shouted(payload))
    }
}

#[test]
fn a_transform_changes_rows_and_payloads() {
    let source = memory(vec![row("a", Bytes::Sound(b"one".into()))]);
    let report = run(&source, &Everything, &Shout, tree(1), &threads(1), &NullMonitor).unwrap();
    assert_eq!(report.summary, [("A".into(), b"ONE".to_vec())]);
}

#[test]
fn stopping_at_the_first_problem_is_a_choice() {
    let source = memory(vec![row("c", Bytes::Missing), row("d", Bytes::Sound(vec![]))]);
    let options = RunOptions { stop_on_problem: true, ..threads(2) };
    let result = run(&source, &Everything, &Identity, tree(1), &options, &NullMonitor);
    assert!(matches!(result, Err(RunError::Source(_))));
}

#[test]
fn cancelling_ends_the_run_soon() {
    let recorder = Recorder { cancel_after: Some(100), ..Recorder::default() };
    let result = run(&many(50_000), &Everything, &Identity, tree(1), &threads(2), &recorder);
    assert!(matches!(result, Err(RunError::Cancelled)));
    assert!(recorder.staged.load(Ordering::Relaxed) < 1000);
}

#[test]
fn a_job_that_a_sink_loses_is_noticed() {
    let mut sink = tree(1);
    Arc::get_mut(&mut sink.stager).unwrap().lose_one = true;
    let result = run(&many(10), &Everything, &Identity, sink, &threads(2), &NullMonitor);
    assert!(matches!(result, Err(RunError::Unaccounted { listed: 10, accounted: 3 })));
}
