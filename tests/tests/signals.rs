//! SIGINT and SIGTERM.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use bkp_testkit::{BundleSpec, Encryption, cases};
use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::{Sandbox, tree};

/// A bundle whose key derivation takes seconds even on a fast machine.
fn slow() -> BundleSpec {
    // The keybag states more rounds than it was made with: the password is wrong in the end, and
    // nobody waits for that.
    let spec = cases::encrypted_db(1_000);
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path()).unwrap();
    let mut plist = std::fs::read(dir.path().join("Manifest.plist")).unwrap();
    let dpic = plist.windows(8).position(|w| w == b"DPIC\0\0\0\x04").unwrap() + 8;
    plist[dpic..dpic + 4].copy_from_slice(&49_000_000_u32.to_be_bytes());
    spec.with(|spec| {
        spec.raw_files.push(("Manifest.plist".into(), plist));
        assert!(spec.encryption.as_ref().is_some_and(|e: &Encryption| e.iterations == 1_000));
    })
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn a_key_derivation_stops_at_once() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&slow());
    sandbox.file("pw", cases::PASSWORD);
    let before = tree(&sandbox.path("."));
    for (which, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut child = sandbox
            .command(["extract", "backup", "-o", "out", "--password-file", "pw", "--progress=json"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The first line of progress says that the derivation runs and the handlers are set.
        let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
        assert!(line.contains("\"phase\":\"deriving the key\""), "{line}");
        signal(&child, which);
        let begun = Instant::now();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(begun.elapsed() < Duration::from_secs(3));
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut rest).unwrap();
        let last: serde_json::Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        assert_eq!(last["kind"], "error");
    }
    assert_eq!(tree(&sandbox.path(".")), before, "something was left");
}

#[test]
fn the_second_signal_ends_the_process_whatever_it_does() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::encrypted_db(1_000));
    // It waits for its password on a pipe that nobody writes to.
    let mut child = sandbox
        .command(["ls", "backup", "--password-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(200));
        signal(&child, Signal::INT);
    };
    // The first may come before the handlers are set, and then ends it as any program.
    let by_signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert!(status.code() == Some(130) || by_signal == Some(2), "{status}");
}
