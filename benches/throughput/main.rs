//! Whole commands over generated bundles, each beside its floor or a peer in the same minute.
//!
//! ```text
//! cargo bench --bench throughput                     bundles of 0.4, 1.3 and 4 GiB
//! cargo bench --bench throughput -- --quick          a small run, to see that it works
//! cargo bench --bench throughput -- --only encrypt   the rows whose name begins so
//! cargo bench --bench throughput -- --growth         a hundred times the smallest bundle
//!
//! --size 4GiB      the largest bundle          --input DIR     bundles, on a disk
//! --rounds 3       of which the median counts  --output DIR    outputs, in memory
//! --markdown FILE  the tables, for a document
//! ```
//!
//! Bundles follow from a seed. They are made on a disk, kept for the next run, and read before each
//! job, so that they are cached. Outputs go to `/dev/shm` where that has room, and are removed
//! after each run. Every GiB is 9,000 files of a device's sizes, and a third more rows are folders
//! and links. Bundles ask for few rounds of key derivation, which would be most of the time of
//! every command; `open` is the row that measures it.
//!
//! Contenders take turns, each in a process of its own, the loops of `floors.rs` too. A figure is
//! the median of its rounds. Peers run where they are: `BKP_CRABAPPLE` is the program in
//! `benches/peers/crabapple`, `BKP_READERS` a Python with `iphone_backup_decrypt` and
//! `pyiosbackup`. The last table says which targets were met; a missed one is no failure.

#![allow(missing_docs)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod catalog;
mod cost;
mod floors;
mod job;
mod jobs;
mod options;
mod peers;
mod place;
mod repeat;
mod report;
mod targets;

use job::{Job, Row};
use jobs::Kind;
use options::{GIB, Options};
use place::{Bundles, Place, Shape, size};
use report::{Growth, Report};
use targets::{Target, Targets};

/// Files of a GiB of payloads.
const FILES: u64 = 9_000;
/// How often the growth run repeats its bundle where payloads are read or linked.
const READ: [u64; 3] = [1, 10, 100];
/// And where they are written, so that outputs fit into memory.
const WRITTEN: [u64; 3] = [1, 5, 25];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [word, command @ ..] if word == "--measure" => return cost::child(command, false),
        [word, command @ ..] if word == "--measure-damaged" => return cost::child(command, true),
        [word, floor @ ..] if word == "--floor" => return floors::run(floor),
        [word, rows, scratch] if word == "--catalog" => {
            return catalog::child(rows, scratch.as_ref());
        }
        _ => {}
    }
    let options = Options::parse(&args).unwrap_or_else(|error| panic!("{error}"));
    let place = Place::new(&options);
    let mut run = Run { options, place, report: Report::default(), targets: Targets::default() };
    run.report.line(&report::machine());
    if run.options.growth {
        run.growth();
    } else {
        run.all();
    }
    run.targets.print(&mut run.report);
    run.report.line(&format!("\nAt the end: {}", report::load()));
    if let Some(file) = &run.options.markdown {
        run.report.write(file, &args);
    }
}

/// A run and what came of it so far.
struct Run {
    options: Options,
    place: Place,
    report: Report,
    targets: Targets,
}

impl Run {
    fn all(&mut self) {
        if self.options.wants("open") {
            let jobs = vec![jobs::open(&self.place)];
            self.section("Opening a backup of 10,000,000 rounds", 0, jobs, true, &mut |_| {});
        }
        let (files, bytes) = self.options.large_files();
        let small = self.options.small_files();
        for (kind, shape) in
            [(Kind::Large, Shape::new(files, Some(bytes))), (Kind::Small, Shape::new(small, None))]
        {
            let bundles = self.place.generate(shape);
            self.payloads(kind, &bundles, true, &mut |_| {});
        }
        self.sizes();
        self.digests();
        self.catalogs();
        self.rows();
    }

    /// Measures jobs, of which those that are not asked for are left out.
    fn section(
        &mut self,
        title: &str,
        bytes: u64,
        jobs: Vec<Job>,
        counts: bool,
        seen: &mut dyn FnMut(&Row),
    ) {
        let jobs: Vec<Job> = jobs.into_iter().filter(|job| self.options.wants(job.name)).collect();
        if jobs.is_empty() {
            return;
        }
        self.report.table(title, &self.place.doubts(bytes));
        for job in jobs {
            let row = job.race(&self.place, self.options.rounds);
            self.report.row(&row);
            if counts {
                self.targets.see(title, &row);
            }
            seen(&row);
        }
    }

    fn payloads(
        &mut self,
        kind: Kind,
        bundles: &Bundles,
        counts: bool,
        seen: &mut dyn FnMut(&Row),
    ) {
        let jobs = jobs::all(&self.place, bundles, kind);
        self.section(&bundles.shape.to_string(), bundles.shape.about(), jobs, counts, seen);
    }

    /// Measures all jobs on three sizes. Targets are judged on the largest.
    fn sizes(&mut self) {
        let mut growth = Growth::default();
        let sizes = self.options.sizes();
        for bytes in sizes {
            let bundles = self.place.generate(of_size(bytes));
            let largest = bytes == sizes[2];
            self.payloads(Kind::Sized, &bundles, largest, &mut |row| growth.see(bytes, row));
        }
        growth.print("Growth in bytes", &mut self.report, &mut self.targets);
    }

    /// Measures what a digest of every file costs.
    fn digests(&mut self) {
        let shape = of_size(self.options.size);
        let names = ["verify, all digests", "verify --read-data, all digests"];
        if !names.iter().any(|name| self.options.wants(name)) {
            return;
        }
        let backup = self.place.digested(shape);
        let jobs = jobs::of_digests(&self.place, &backup, self.options.size);
        let title = format!("{shape}, every file with a digest");
        self.section(&title, self.options.size, jobs, true, &mut |_| {});
    }

    /// Measures the writer of catalogs.
    fn catalogs(&mut self) {
        const NAME: &str = "catalog";
        if !self.options.wants(NAME) {
            return;
        }
        self.report.table("A catalog is written, its rows prepared", &[]);
        let mut growth = Growth::default();
        for rows in self.options.row_counts() {
            let costs: Vec<_> = (0..self.options.rounds)
                .map(|_| {
                    let out = self.place.out(false);
                    let scratch = out.parent().expect("a folder");
                    let args = [rows.to_string().into(), scratch.into()];
                    let cost = cost::ask("--catalog", &args);
                    self.place.clear(&out);
                    cost
                })
                .collect();
            let targets = if rows == 200_000 { vec![Target::Seconds(1.2)] } else { vec![] };
            let ours = Some(cost::Cost::median(&costs));
            let row = Row { name: NAME, bytes: 0, catalog: 0, targets, ours, beside: vec![] };
            self.report.row(&row);
            self.targets.see(&format!("{rows} rows"), &row);
            growth.see(rows, &row);
        }
        growth.print("Growth in rows written", &mut self.report, &mut self.targets);
    }

    /// Measures catalogs that are nearly all there is.
    fn rows(&mut self) {
        let mut growth = Growth::default();
        for rows in self.options.row_counts() {
            let bundles = self.place.rows(rows);
            let jobs = jobs::of_rows(&self.place, &bundles);
            let title = format!("{rows} rows, nearly without payloads");
            self.section(&title, 0, jobs, true, &mut |row| growth.see(rows, row));
        }
        growth.print("Growth in rows", &mut self.report, &mut self.targets);
    }

    /// Measures how cost grows far beyond what a disk need hold.
    fn growth(&mut self) {
        let shape = of_size(self.options.size / 10);
        let (base, most) = (shape.about(), WRITTEN[2]);
        // Both bundles; and an output, with a catalog that grows as well.
        self.place.need(3 * base + READ[2] * shape.rows * 4096, most * base / 4 * 5);
        let bundles = self.place.generate(shape);
        for (times, written) in [(READ, false), (WRITTEN, true)] {
            let mut growth = Growth::default();
            for times in times {
                let shape = Shape {
                    files: shape.files * times,
                    rows: shape.rows * times,
                    bytes: Some(base * times),
                };
                let repeated = Bundles {
                    plain: repeat::repeat(&self.place, &bundles.plain, times),
                    encrypted: repeat::repeat(&self.place, &bundles.encrypted, times),
                    shape,
                };
                let jobs = jobs::all(&self.place, &repeated, Kind::Sized);
                let writes = |job: &Job| !(job.is_links() || is_reader(job.name));
                let jobs = jobs.into_iter().filter(|job| writes(job) == written);
                // An archive to begin with would have to be cached beside the output.
                let jobs = jobs.filter(|job| !job.has_before()).map(Job::alone).collect();
                let bytes = if written { base * times } else { base };
                let title = format!("{shape}: {} repeated {times} times by hard links", size(base));
                self.section(&title, bytes, jobs, true, &mut |row| growth.see(times, row));
            }
            let what = if written { "written" } else { "read or linked" };
            let title = format!("Growth of what is {what}");
            growth.print(&title, &mut self.report, &mut self.targets);
        }
    }
}

fn is_reader(name: &str) -> bool {
    name == "list" || name.starts_with("verify")
}

fn of_size(bytes: u64) -> Shape {
    // Products of whole numbers, so that sizes of one ratio have files of that ratio.
    Shape::new((bytes * FILES / GIB).max(100), Some(bytes))
}
