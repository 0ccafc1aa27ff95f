//! Runs of a command under strace.

use std::fs;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::place::Place;
use super::points::Whose;

/// The longest a run may take. The command alone takes hundredths of a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code, or none where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) in_time: bool,
}

/// Tells whether commands can be traced here. Where they cannot, sweeps are skipped, unless they
/// are required.
pub(crate) fn ready() -> bool {
    let probe = Command::new("strace")
        .args(["-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", "true"])
        .stderr(Stdio::null())
        .status();
    let ready = probe.is_ok_and(|status| status.success());
    let required = std::env::var_os("BKP_REQUIRE_SWEEPS").is_some();
    assert!(ready || !required, "sweeps are required, and strace cannot trace a program here");
    if !ready {
        println!("skipped: strace is not there or may not trace");
    }
    ready
}

/// Runs the command undisturbed.
pub(crate) fn plainly(place: &Place) -> Ended {
    run(place.sandbox.command(&place.args))
}

/// Runs the command below another program, whose words these are.
pub(crate) fn below(place: &Place, words: &[String]) -> Ended {
    let bkp = place.sandbox.command(&place.args);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(bkp.get_program()).args(bkp.get_args());
    command.env_clear().envs(bkp.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(bkp.get_current_dir().unwrap());
    run(command)
}

/// Runs the command under strace, which writes to the place's log.
pub(crate) fn traced(place: &Place, whose: &Whose, expressions: &[String]) -> Ended {
    // Names of descriptors in the log, and hardly anything of the bytes.
    let mut words = vec!["strace".to_owned(), "-qq".to_owned(), "-y".to_owned(), "-s1".to_owned()];
    if *whose != Whose::Main {
        words.push("-f".to_owned());
        // This is much faster, and signals do not arrive with it.
        if !expressions.iter().any(|expression| expression.contains(":signal=")) {
            words.push("--seccomp-bpf".to_owned());
        }
    }
    if let Whose::On(path) = whose {
        words.extend(["-P".to_owned(), format!("{}{path}", place.root().display())]);
    }
    words.extend(["-o".to_owned(), place.log().to_str().unwrap().to_owned()]);
    for expression in ["signal=none"].into_iter().chain(expressions.iter().map(String::as_str)) {
        words.extend(["-e".to_owned(), expression.to_owned()]);
    }
    below(place, &words)
}

/// What strace wrote in the last run.
pub(crate) fn log(place: &Place) -> String {
    String::from_utf8_lossy(&fs::read(place.log()).unwrap()).into_owned()
}

/// Waits for a command, and ends it with all its children when it takes too long.
fn run(mut command: Command) -> Ended {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    let mut in_time = true;
    let status: ExitStatus = std::thread::scope(|scope| {
        scope.spawn(|| out.read_to_end(&mut stdout).unwrap());
        scope.spawn(|| err.read_to_end(&mut stderr).unwrap());
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if in_time && begun.elapsed() > PATIENCE {
                in_time = false;
                // It may have ended just now.
                let _ = kill_process_group(group, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    Ended {
        code: status.code(),
        signal: status.signal(),
        stdout,
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        in_time,
    }
}
