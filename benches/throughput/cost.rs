//! What a process costs.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Seconds, and the most memory at any time in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) user: f64,
    pub(crate) system: f64,
    pub(crate) peak: f64,
}

impl Cost {
    pub(crate) fn cpu(&self) -> f64 {
        self.user + self.system
    }

    /// Takes the median of each figure, and of memory the most.
    pub(crate) fn median(costs: &[Self]) -> Self {
        let median = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = costs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Self {
            wall: median(|cost| cost.wall),
            user: median(|cost| cost.user),
            system: median(|cost| cost.system),
            peak: costs.iter().map(|cost| cost.peak).fold(0.0, f64::max),
        }
    }

    /// Measures what runs in this process, and the memory that it has at most when `run` is over.
    pub(crate) fn of(run: impl FnOnce()) -> Self {
        let (before, start) = (usage(UsageWho::RUSAGE_SELF), Instant::now());
        run();
        let (after, wall) = (usage(UsageWho::RUSAGE_SELF), start.elapsed().as_secs_f64());
        let (user, system) = (after.user - before.user, after.system - before.system);
        Self { wall, user, system, peak: after.peak }
    }

    /// Says it to whoever measures this process.
    pub(crate) fn tell(self) {
        let Self { wall, user, system, peak } = self;
        println!("{wall} {user} {system} {peak}");
    }
}

/// Runs a command in a process of its own whose only child it is, since a system tells what
/// children cost only in sum. Panics when the command does not end as it should; one over a
/// damaged backup says so and has done its work.
pub(crate) fn measure(command: &[OsString], damaged: bool) -> Cost {
    ask(if damaged { "--measure-damaged" } else { "--measure" }, command)
}

/// Runs this program with a word that makes it tell a cost.
pub(crate) fn ask(word: &str, args: &[OsString]) -> Cost {
    let output = Command::new(this())
        .arg(word)
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .expect("this program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let &[wall, user, system, peak] = numbers.as_slice() else {
        panic!("{args:?} gave {text:?}");
    };
    Cost { wall, user, system, peak }
}

/// Returns this program.
pub(crate) fn this() -> OsString {
    std::env::current_exe().expect("this program").into()
}

/// The other side of [`measure`].
pub(crate) fn child(command: &[String], damaged: bool) {
    let (program, args) = command.split_first().expect("a command");
    let start = Instant::now();
    let status = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Databases have a size that is not theirs, as on a device, and each is a warning.
        .stderr(Stdio::null())
        .status()
        .expect("the command starts");
    let wall = start.elapsed().as_secs_f64();
    // 4 is "done, with warnings only", and 20 that something is missing or damaged.
    let done = matches!(status.code(), Some(0 | 4)) || damaged && status.code() == Some(20);
    assert!(done, "{command:?}: {status}");
    Cost { wall, ..usage(UsageWho::RUSAGE_CHILDREN) }.tell();
}

fn usage(who: UsageWho) -> Cost {
    let usage = getrusage(who).expect("resource usage");
    let seconds = |time: TimeVal| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
        (Duration::from_secs(seconds) + Duration::from_micros(micros)).as_secs_f64()
    };
    #[expect(clippy::cast_precision_loss, reason = "KiB of memory")]
    let peak = usage.max_rss() as f64;
    let (user, system) = (seconds(usage.user_time()), seconds(usage.system_time()));
    Cost { wall: 0.0, user, system, peak }
}
