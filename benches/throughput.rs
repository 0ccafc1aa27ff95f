//! Whole commands over generated bundles, each beside its floor in the same minute.
//!
//! ```text
//! cargo bench --bench throughput            bundles A, B and L as below
//! cargo bench --bench throughput -- 16      a sixteenth of each, for a quick look
//! ```
//!
//! | bundle | what | compared with |
//! |---|---|---|
//! | A | 1 GiB in 3,000 files, log-normal sizes | `cp -r` of the bundle, for extract |
//! | B | 20,000 files of 0.2 to 16 KB | `cp -r` of the bundle, for extract |
//! | L | 200,000 rows | user time and memory of `ls --jsonl` |
//!
//! Input is read once before, so that it is cached; output goes to memory where the system has
//! `/dev/shm`. Every output is a new folder: removing trees between runs slows some file systems
//! down for minutes. A row is the best of three runs.

#![allow(missing_docs)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bkp_testkit::BulkSpec;

const ROUNDS: u32 = 3;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--measure") {
        return measure_child(&args[1..]);
    }
    let divisor = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(1);
    let work = tempfile::tempdir().expect("a folder to work in");
    let memory = Path::new("/dev/shm");
    let out = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let out = out.expect("a folder for output");
    let password = work.path().join("password");
    fs::write(&password, "test\n").expect("a password file");

    for (name, mut spec) in [("A", BulkSpec::shape_a()), ("B", BulkSpec::shape_b())] {
        let bundle = work.path().join(name);
        spec.files /= divisor;
        spec.total = spec.total.map(|total| total / divisor as u64);
        spec.write(&bundle).expect("a bundle");
        warm(&bundle);
        let floor = best(|round| {
            let target = out.path().join(format!("{name}-cp-{round}"));
            vec!["cp".into(), "-r".into(), bundle.clone(), target]
        });
        let ours = best(|round| {
            let target = out.path().join(format!("{name}-bkp-{round}"));
            let mut command = vec![env!("CARGO_BIN_EXE_bkp").into(), "extract".into()];
            command.extend([bundle.clone(), "-o".into(), target]);
            command.extend(["--progress".into(), "never".into(), "--password-file".into()]);
            command.push(password.clone());
            command
        });
        row(&format!("extract {name}"), &ours, Some(("cp -r", &floor)));
        let ours = best(|_| {
            let mut command = vec![env!("CARGO_BIN_EXE_bkp").into(), "verify".into()];
            command.extend([bundle.clone(), "--read-data".into(), "--password-file".into()]);
            command.extend([password.clone(), "--progress".into(), "never".into()]);
            command
        });
        row(&format!("verify {name}"), &ours, None);
    }

    let bundle = work.path().join("L");
    let mut spec = BulkSpec::shape_l();
    spec.rows /= divisor;
    spec.write(&bundle).expect("a bundle of rows");
    warm(&bundle);
    let catalog = fs::metadata(bundle.join("Manifest.db")).expect("a catalog").len();
    let ours = best(|_| {
        let mut command = vec![env!("CARGO_BIN_EXE_bkp").into(), "ls".into(), "--jsonl".into()];
        command.extend([bundle.clone(), "--password-file".into(), password.clone()]);
        command
    });
    row("ls L", &ours, None);
    println!("{:<12} catalog image {:.0} MiB", "", mib(catalog));
}

/// Reads everything once.
fn warm(folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            warm(&path);
        } else {
            fs::read(&path).expect("a file");
        }
    }
}

/// What a process cost.
struct Cost {
    wall: f64,
    user: f64,
    system: f64,
    peak: u64,
}

impl Cost {
    fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

fn best(command: impl Fn(u32) -> Vec<PathBuf>) -> Cost {
    let runs = (0..ROUNDS).map(|round| measure(&command(round)));
    runs.min_by(|a, b| a.cpu().total_cmp(&b.cpu())).expect("at least one round")
}

/// Runs a command in a process of its own whose only child it is, since a system tells what
/// children cost only in sum.
fn measure(command: &[PathBuf]) -> Cost {
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this)
        .arg("--measure")
        .args(command)
        .stderr(Stdio::inherit())
        .output()
        .expect("this program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let &[wall, user, system, peak] = numbers.as_slice() else {
        panic!("{command:?} gave {text:?}");
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "KiB of memory")]
    Cost { wall, user, system, peak: peak as u64 }
}

fn measure_child(command: &[String]) {
    let (program, args) = command.split_first().expect("a command");
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(args)
        .stdout(Stdio::piped())
        // Databases have a size that is not theirs, as on a device, and each is a warning.
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut sink = vec![0; 1 << 20];
    while stdout.read(&mut sink).expect("output") > 0 {}
    let status = child.wait().expect("the command ends");
    // 4 is "done, with warnings only".
    assert!(matches!(status.code(), Some(0 | 4)), "{command:?}: {status}");
    let wall = start.elapsed().as_secs_f64();
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)
        .expect("resource usage");
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::new(
            u64::try_from(time.tv_sec()).unwrap_or(0),
            u32::try_from(time.tv_usec()).unwrap_or(0) * 1000,
        )
        .as_secs_f64()
    };
    println!(
        "{wall} {} {} {}",
        seconds(usage.user_time()),
        seconds(usage.system_time()),
        usage.max_rss()
    );
}

#[expect(clippy::cast_precision_loss, reason = "for a person")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn row(name: &str, ours: &Cost, floor: Option<(&str, &Cost)>) {
    println!(
        "{name:<12} bkp: wall {:.2} s, user {:.2} s, system {:.2} s, peak {:.0} MiB",
        ours.wall,
        ours.user,
        ours.system,
        mib(ours.peak << 10)
    );
    if let Some((floor_name, floor)) = floor {
        println!(
            "{:<12} {floor_name}: wall {:.2} s, user {:.2} s, system {:.2} s",
            "", floor.wall, floor.user, floor.system
        );
        println!(
            "{:<12} ratio: cpu {:.2}, wall {:.2}",
            "",
            ours.cpu() / floor.cpu(),
            ours.wall / floor.wall
        );
    }
}
