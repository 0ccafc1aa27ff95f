//! Where passwords come from, and where they must never turn up.

use std::process::Stdio;

use crate::sandbox::{CANARY, Sandbox, canary_bundle};

const ARGS: [&str; 3] = ["inspect", "backup", "--json"];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.bundle(&canary_bundle());
    sandbox.file("pw", format!("{CANARY}\n"));
    sandbox
}

#[test]
fn every_source_opens_the_backup() {
    let sandbox = sandbox();
    let unlocked = |run: crate::sandbox::Run| assert_eq!(run.exits(0).json()["unlocked"], true);
    let with = |args: &[&str]| sandbox.run(&[&ARGS[..], args].concat());
    for end in ["", "\n", "\r\n", "\nsecond line\n"] {
        sandbox.file("pw2", format!("{CANARY}{end}"));
        unlocked(with(&["--password-file", "pw2"]));
    }
    let stdin = [&ARGS[..], &["--password-file", "-"]].concat();
    unlocked(sandbox.run_with_stdin(&stdin, format!("{CANARY}\n").as_bytes()));
    unlocked(with(&["--password-command", "cat pw"]));
    unlocked(with(&["--password-command", "head -c 5 pw; tail -c +6 'pw' | cat"]));
    let stdin = [&ARGS[..], &["--password-fd", "0"]].concat();
    unlocked(sandbox.run_with_stdin(&stdin, CANARY.as_bytes()));
    unlocked(sandbox.command(ARGS).env("BKP_PASSWORD_FILE", "pw").output().unwrap().into());
    unlocked(sandbox.command(ARGS).env("BKP_PASSWORD", CANARY).output().unwrap().into());
}

#[test]
fn the_first_source_counts_and_nothing_is_tried_after_it() {
    let sandbox = sandbox();
    let mut command = sandbox.command(["ls", "backup", "--password-file", "pw"]);
    command.env("BKP_PASSWORD_FILE", "none").env("BKP_PASSWORD", "wrong");
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    let mut command = sandbox.command(["ls", "backup"]);
    command.env("BKP_PASSWORD_FILE", "pw").env("BKP_PASSWORD", "wrong");
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    // A variable that is set to nothing is as good as unset.
    let mut command = sandbox.command(["ls", "backup"]);
    command.env("BKP_PASSWORD_FILE", "").env("BKP_PASSWORD", CANARY);
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    let both = ["ls", "backup", "--password-file", "pw", "--password-fd", "0"];
    sandbox.run(&both).exits(2).says("usage");
}

#[test]
fn a_command_does_not_get_the_variable() {
    let sandbox = sandbox();
    let mut command = sandbox.command(ARGS);
    command.args(["--password-command", "echo \"got ${BKP_PASSWORD-nothing}\" >&2; cat pw"]);
    let run: crate::sandbox::Run = command.env("BKP_PASSWORD", "x").output().unwrap().into();
    assert!(run.exits(0).stderr.contains("got nothing\n"));
}

#[test]
fn none_and_wrong_ones() {
    let sandbox = sandbox();
    let run = sandbox.run(&["ls", "backup"]).exits(13).says("password-needed");
    assert!(run.stderr.contains("--password-file"));
    sandbox.file("wrong", "wrong");
    let run = sandbox.run(&["ls", "backup", "--password-file", "wrong"]).exits(12);
    let run = run.says("wrong-password");
    assert!(run.stderr.contains("0 of 11 class keys open with this password"), "{}", run.stderr);
    assert!(run.stderr.contains("help: this is the backup password, not the device passcode"));
    let json = ["ls", "backup", "--jsonl", "--password-file", "wrong"];
    let error = sandbox.run(&json).exits(12).error();
    assert_eq!((&error["schema_version"], &error["kind"]), (&1.into(), &"error".into()));
    assert_eq!(error["code"], "wrong-password");
    assert!(error["message"].is_string() && error["help"].is_string());
}

#[test]
fn sources_that_give_nothing() {
    let sandbox = sandbox();
    let long = "x".repeat(64 * 1024 + 1);
    sandbox.file("empty", "").file("nul", "a\0b").file("long", long).file("latin", b"\xe4");
    let with = |option: &str, value: &str| sandbox.run(&["ls", "backup", option, value]).exits(13);
    with("--password-file", "empty").says("password-empty");
    with("--password-file", "nul").says("password-invalid");
    with("--password-file", "long").says("password-invalid");
    with("--password-file", "latin").says("password-invalid");
    with("--password-file", "absent").says("password-unreadable");
    with("--password-file", "backup").says("password-unreadable");
    with("--password-fd", "77").says("password-unreadable");
    with("--password-command", "true").says("password-empty");
    with("--password-command", "cat pw; exit 3").says("password-command-failed");
    sandbox.run(&["ls", "backup", "--password-fd", "1"]).exits(2);
}

#[test]
fn a_password_is_read_only_where_it_is_needed() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&bkp_testkit::cases::plain_db());
    sandbox.run(&["ls", "backup", "--password-file", "absent"]).exits(0);
}

#[test]
fn the_password_turns_up_nowhere() {
    let sandbox = sandbox();
    // While the program waits for its password, its arguments can be read by everybody.
    let args = ["extract", "backup", "-o", "out", "--password-file", "-", "--progress", "json"];
    let mut child = sandbox
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    #[cfg(target_os = "linux")]
    {
        // Empty until the child has become the program.
        let path = format!("/proc/{}/cmdline", child.id());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let argv = loop {
            let argv = std::fs::read(&path).unwrap();
            if argv.windows(7).any(|window| window == b"extract") {
                break argv;
            }
            assert!(std::time::Instant::now() < deadline, "{}", argv.escape_ascii());
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        assert!(!holds(&argv), "{}", argv.escape_ascii());
    }
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, CANARY.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!holds(&output.stdout) && !holds(&output.stderr));
    let record = std::fs::read(sandbox.path("out.bkp-run.json")).unwrap();
    assert!(!record.is_empty() && !holds(&record));
    for file in crate::sandbox::tree(&sandbox.path("out")) {
        assert!(!file.contains(&bkp_testkit::hex(CANARY.as_bytes())));
    }
    // Nor in errors about a password that is not quite it, or in the wrong place.
    let long = format!("{CANARY}\0");
    sandbox.file("nul", &long);
    for args in [
        &["ls", "backup", "--password-file", "nul"][..],
        &["ls", "backup", "--password-command", "cat pw pw | tr -d '\\n'"],
        &["ls", "backup", &format!("--password={CANARY}")],
    ] {
        for json in [&[][..], &["--json"]] {
            let run = sandbox.run(&[args, json].concat());
            assert!(run.code != 0 && !run.stderr.is_empty());
            assert!(!holds(&run.stdout) && !holds(run.stderr.as_bytes()), "{}", run.stderr);
        }
    }
}

/// Looks for the part of the canary that no encoding changes.
fn holds(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == &CANARY.as_bytes()[..11])
}
