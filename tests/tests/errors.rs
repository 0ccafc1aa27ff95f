//! Exit codes and the text of errors.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use bkp_testkit::{BundleSpec, EntrySpec, cases};

use crate::sandbox::{Run, Sandbox, snapshot};

#[test]
fn usage() {
    let sandbox = Sandbox::new();
    for args in
        [&["ls"][..], &["ls", "backup", "--no-such"], &["nonsense"], &["ls", "--sort=x", "b"]]
    {
        let run = sandbox.run(args).exits(2).says("usage");
        assert!(run.stdout.is_empty());
    }
    let run = sandbox.run(&["ls", "backup", "--jsonl", "--no-such"]).exits(2);
    let error = run.error();
    assert_eq!((&error["kind"], &error["code"]), (&"error".into(), &"usage".into()));
    assert_eq!(error["exit_code"], 2);
    assert!(error["message"].as_str().unwrap().contains("--no-such"));
    assert_eq!(sandbox.run(&[]).exits(2).stdout, b"");
}

#[test]
fn help_and_version() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["--version"]).exits(0);
    assert_eq!(run.text(), concat!("bkp ", env!("CARGO_PKG_VERSION"), "\n"));
    let run = sandbox.run(&["--help"]).exits(0);
    snapshot("help.txt", run.text());
    for command in ["inspect", "ls", "cat", "extract"] {
        assert!(run.text().contains(&format!("\n  {command} ")), "{command}");
        let help = sandbox.run(&[command, "--help"]).exits(0);
        assert!(help.text().contains("\nExamples:\n") && help.text().contains("\nExit codes:\n"));
    }
}

#[test]
fn what_is_no_backup() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.file("file", "x");
    for command in [&["inspect"][..], &["ls"], &["extract", "-o", "out"]] {
        let with = |path| sandbox.run(&[command, &[path]].concat()).exits(10);
        with("absent").says("not-found");
        with("empty").says("not-a-backup");
        with("file").says("not-a-backup");
    }
    let error = sandbox.run(&["inspect", "empty", "--json"]).exits(10).error();
    assert_eq!(error["code"], "not-a-backup");
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_layout_of_long_ago() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("old")).unwrap();
    sandbox.file("old/3d0d7e5fb2ce288813306e4d4636395e047a3d28.mdinfo", "x");
    sandbox.file("old/Manifest.plist", "x");
    sandbox.run(&["inspect", "old"]).exits(11).says("unsupported-format");
}

#[test]
fn damaged_and_missing_key_material() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::encrypted_db(1_000).with(|spec| {
        spec.keybag_bytes = Some(b"VERS\0\0\0\x04\0\0\0\x05UUID\0\0\xff\xff".to_vec());
    }));
    sandbox.run_unlocked(&["ls", "backup"]).exits(15).says("key-material-damaged");
    // It is described as far as it goes, and is a failure all the same.
    let run = sandbox.run(&["inspect", "backup", "--json"]).exits(15);
    assert_eq!(run.json()["encrypted"], true);
    assert!(run.json()["keybag"].is_null());
}

#[test]
fn a_derivation_without_end_is_refused_at_once() {
    let sandbox = Sandbox::new();
    let spec = cases::encrypted_db(1_000);
    sandbox.bundle(&spec);
    let mut plist = fs::read(sandbox.path("backup/Manifest.plist")).unwrap();
    let dpic = plist.windows(8).position(|w| w == b"DPIC\0\0\0\x04").unwrap() + 8;
    plist[dpic..dpic + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    sandbox.file("backup/Manifest.plist", plist);
    let begun = std::time::Instant::now();
    let run = sandbox.run_unlocked(&["ls", "backup"]).exits(21).says("kdf-limit");
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    assert!(run.stderr.contains("--max-kdf-rounds"), "{}", run.stderr);
    // The limit can be lowered too, and is exact: 1,000 + 1,000 rounds.
    fs::remove_dir_all(sandbox.path("backup")).unwrap();
    sandbox.bundle(&spec);
    sandbox.run_unlocked(&["ls", "backup", "--max-kdf-rounds", "1999"]).exits(21);
    sandbox.run_unlocked(&["ls", "backup", "--max-kdf-rounds", "2000"]).exits(0);
}

#[test]
fn an_output_that_nobody_reads_ends_the_program_quietly() {
    let sandbox = Sandbox::new();
    let entries = (0..20_000).map(|n| EntrySpec::symlink("HomeDomain", format!("link-{n}"), "x"));
    sandbox.bundle(&BundleSpec::new(9).with(|spec| spec.entries = entries.collect()));
    let mut child = sandbox
        .command(["ls", "backup", "--jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(run.exits(141).stderr, "");
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_without_room_is_a_failure() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_db());
    for args in [
        &["ls", "backup"][..],
        &["inspect", "backup"],
        &["inspect", "backup", "--json"],
        &["cat", "backup", "HomeDomain:Library/SMS/sms.db"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = sandbox.command(args).stdout(full).output().unwrap();
        let run = Run::from(output).exits(32);
        assert!(run.stderr.contains("cannot-write-output"), "{}", run.stderr);
    }
}

#[test]
fn a_backup_that_may_not_be_read() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::plain_db());
    let manifest = sandbox.path("backup/Manifest.db");
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(&manifest).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    sandbox.run(&["ls", "backup"]).exits(33).says("permission-denied");
}
