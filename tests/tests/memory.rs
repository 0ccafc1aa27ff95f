//! What the program needs of memory does not grow with the payloads.
//!
//! The limit is on writable memory of the process's own (`RLIMIT_DATA`), stacks of threads included:
//! 32 MiB and the source's catalog, which readers hold once. Writers of a new one hold no other: it
//! takes some bytes a row while it grows ([`A_ROW`]), and what is done of it waits in a scratch file.

#![cfg(target_os = "linux")]

use std::fs;

use crate::sandbox::{CANARY, Run, Sandbox};

const MIB: u64 = 1 << 20;
/// What a writer of a catalog may take for each row.
const A_ROW: u64 = 50;

/// Runs the program with so many bytes and no more.
fn limited(sandbox: &Sandbox, bytes: u64, args: &[&str]) -> Run {
    let program = sandbox.command(args);
    let mut command = std::process::Command::new("prlimit");
    command.arg(format!("--data={bytes}")).arg(program.get_program()).args(program.get_args());
    command.env_clear().env("HOME", sandbox.path("home")).env("PATH", "/usr/bin:/bin");
    command.current_dir(sandbox.path("")).output().unwrap().into()
}

/// Writes a backup of sparse or encrypted files, the largest of which is beyond every limit here,
/// and returns the length of its catalog.
fn generate(sandbox: &Sandbox, out: &str, options: &[&str]) -> u64 {
    sandbox.file("pw", CANARY);
    let args = ["generate", out, "--files", "60", "--rows", "4000", "--progress", "never"];
    sandbox.run(&[&args[..], options].concat()).exits(0);
    let largest = fs::read_dir(sandbox.path(out))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .flat_map(|shard| fs::read_dir(shard).unwrap())
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .max();
    let catalog = fs::metadata(sandbox.path(out).join("Manifest.db")).unwrap().len();
    assert!(largest.unwrap() > 32 * MIB + 3 * catalog, "{largest:?}");
    catalog
}

/// Runs a command that writes `out`, and takes that away.
fn writes(sandbox: &Sandbox, bytes: u64, args: &[&str]) {
    let args = [args, &["-o", "out", "--threads", "2", "--progress", "never"]].concat();
    let run = limited(sandbox, bytes, &args);
    // 4 is "with warnings": what is generated has databases of other sizes than their rows say.
    assert!(
        matches!(run.code, 0 | 4),
        "{args:?} under {bytes} bytes: {}\n{}",
        run.code,
        run.stderr
    );
    fs::remove_dir_all(sandbox.path("out")).unwrap();
    fs::remove_file(sandbox.path("out.bkp-run.json")).unwrap();
}

#[test]
fn large_files_are_read_in_little_memory() {
    let sandbox = Sandbox::new();
    let catalog = generate(&sandbox, "sparse", &["--total", "1G", "--sparse"]);
    let verify = ["verify", "sparse", "--read-data", "--progress", "never"];
    let run = limited(&sandbox, 32 * MIB + catalog, &verify);
    assert!(matches!(run.code, 0 | 4), "{}\n{}", run.code, run.stderr);
    // That the limit is one.
    let run = limited(&sandbox, 4 * MIB, &verify);
    assert!(!matches!(run.code, 0 | 4), "{}", run.code);
}

#[test]
fn large_files_are_written_in_little_memory() {
    let sandbox = Sandbox::new();
    let catalog = generate(&sandbox, "sparse", &["--total", "256M", "--sparse"]);
    writes(&sandbox, 32 * MIB + catalog, &["extract", "sparse"]);
    writes(&sandbox, 32 * MIB + catalog, &["filter", "sparse"]);
    let new = ["--new-password-file", "pw", "--kdf-iterations", "100"];
    let encrypt = [&["encrypt", "sparse"], &new[..]].concat();
    writes(&sandbox, 32 * MIB + catalog, &encrypt);
}

#[test]
fn large_files_are_encrypted_anew_in_little_memory() {
    let sandbox = Sandbox::new();
    let lock = ["--encrypted", "--password-file", "pw", "--kdf-iterations", "100"];
    let catalog = generate(&sandbox, "locked", &[&["--total", "256M"], &lock[..]].concat());
    let unlock = ["--password-file", "pw"];
    let new = ["--password-file", "pw", "--new-password-file", "pw"];
    writes(&sandbox, 32 * MIB + catalog, &[&["extract", "locked"], &unlock[..]].concat());
    writes(&sandbox, 32 * MIB + catalog, &[&["rekey", "locked"], &new[..]].concat());
    let full = [&["rekey", "--full", "locked"], &new[..]].concat();
    writes(&sandbox, 32 * MIB + catalog, &full);
    writes(&sandbox, 32 * MIB + catalog, &[&["decrypt", "locked"], &unlock[..]].concat());
}

/// A catalog that is longer than the 32 MiB, and than anything that a writer keeps of a new one.
#[test]
fn large_catalogs_are_written_in_little_memory() {
    const ROWS: u64 = 45_000;
    let sandbox = Sandbox::new();
    sandbox.file("pw", CANARY);
    let rows = ROWS.to_string();
    let args = ["generate", "wide", "--files", "60", "--total", "1M", "--progress", "never"];
    sandbox.run(&[&args[..], &["--rows", &rows]].concat()).exits(0);
    let catalog = fs::metadata(sandbox.path("wide").join("Manifest.db")).unwrap().len();
    assert!(catalog > 32 * MIB, "{catalog}");
    let most = 32 * MIB + catalog + A_ROW * ROWS;
    writes(&sandbox, most, &["filter", "wide"]);
    let new = ["--new-password-file", "pw", "--kdf-iterations", "100"];
    writes(&sandbox, most, &[&["encrypt", "wide"], &new[..]].concat());
    let pack = ["pack", "wide", "-o", "packed.zip", "--exclude", "CameraRollDomain"];
    let run = limited(&sandbox, most, &[&pack[..], &["--progress", "never"]].concat());
    assert!(matches!(run.code, 0 | 4), "{}\n{}", run.code, run.stderr);
    // That the limit is one.
    let run = limited(&sandbox, catalog, &["filter", "wide", "-o", "out", "--progress", "never"]);
    assert!(!matches!(run.code, 0 | 4), "{}", run.code);
}
