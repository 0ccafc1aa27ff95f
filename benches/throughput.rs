//! Whole commands over generated bundles, each beside its floor or a peer in the same minute.
//!
//! ```text
//! cargo bench --bench throughput                     bundles of 0.4, 1.3 and 4 GiB
//! cargo bench --bench throughput -- --size 4GiB      the same
//! cargo bench --bench throughput -- --quick          a small run, to see that it works
//! cargo bench --bench throughput -- --only encrypt   the rows whose name begins so
//! ```
//!
//! Bundles follow from a seed and are never kept: they lie in `/dev/shm` where that has room, and
//! else in the temporary folder. Every GiB is 9,000 files of a device's sizes, and a third more rows
//! are folders and links. They ask for few rounds of key derivation, which would be most of the time
//! of every command; `open` is the row that measures it.
//!
//! Contenders take turns. A figure is the median of its rounds, and processor time is what other
//! work on the machine disturbs least. Peers run where they are: `BKP_CRABAPPLE` is the program in
//! `benches/peers/crabapple`, `BKP_READERS` a Python with `iphone_backup_decrypt` and
//! `pyiosbackup`.

#![allow(missing_docs)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "throughput/bundles.rs"]
mod bundles;
#[path = "throughput/cost.rs"]
mod cost;
#[path = "throughput/jobs.rs"]
mod jobs;
#[path = "throughput/options.rs"]
mod options;
#[path = "throughput/peers.rs"]
mod peers;
#[path = "throughput/primitives.rs"]
mod primitives;
#[path = "throughput/table.rs"]
mod table;

use bundles::{Place, Shape};
use options::Options;
use table::{Growth, Table};

const GIB: u64 = 1 << 30;
/// Files of a GiB of payloads.
const FILES: u64 = 9_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, command @ ..] = args.as_slice()
        && first == "--measure"
    {
        return cost::child(command);
    }
    let options = Options::parse(&args).unwrap_or_else(|error| panic!("{error}"));
    let place = Place::new(options.size);
    println!("{}\n", table::machine());

    if options.wants("open") {
        let table = Table::begin("Opening a backup of 10,000,000 rounds");
        table.row(&jobs::open(&place, &options));
    }
    let mut growth = Growth::default();
    for size in options.sizes() {
        let files = (size * FILES / GIB).max(100);
        payloads(&place, with_folders(files, Some(size)), &options, &mut |row| {
            growth.see(size, row);
        });
    }
    growth
        .print("Growth from the smallest to the largest: processor time over work, 1.00 is linear");

    payloads(&place, with_folders(options.small_files(), None), &options, &mut |_| {});

    let mut growth = Growth::default();
    for rows in options.row_counts() {
        let bundles = place.rows(rows);
        let table = Table::begin(&format!("{rows} rows, nearly without payloads"));
        for job in jobs::of_rows(&bundles) {
            if options.wants(job.name) {
                let row = jobs::race(&job, &bundles, options.rounds);
                table.row(&row);
                growth.see(rows, &row);
            }
        }
    }
    growth.print("Growth in rows: processor time over rows, 1.00 is linear");
}

/// A quarter of all rows are folders and links.
fn with_folders(files: u64, bytes: Option<u64>) -> Shape {
    Shape { files, rows: files * 4 / 3, bytes }
}

/// Measures all jobs on one backup.
fn payloads(place: &Place, shape: Shape, options: &Options, seen: &mut dyn FnMut(&jobs::Row)) {
    let bundles = place.generate(shape);
    let table = Table::begin(&shape.to_string());
    for job in jobs::all(&bundles) {
        if options.wants(job.name) {
            let row = jobs::race(&job, &bundles, options.rounds);
            table.row(&row);
            seen(&row);
        }
    }
}
