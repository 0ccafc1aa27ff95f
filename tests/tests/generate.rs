//! `bkp generate`. That what it writes is what the generator of the tests writes, a test of the
//! toolkit says; this is the command.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::sandbox::{CANARY, Run, Sandbox};

fn number(json: &Value, field: &str) -> u64 {
    json[field].as_u64().unwrap_or_else(|| panic!("{field} in {json}"))
}

/// Runs `generate`, encrypted under the canary with few rounds when asked to.
fn generate(sandbox: &Sandbox, out: &str, encrypted: bool, more: &[&str]) -> Run {
    sandbox.file("pw", CANARY);
    let lock = ["--encrypted", "--password-file", "pw", "--kdf-iterations", "100"];
    let lock = if encrypted { &lock[..] } else { &["--plain"] };
    sandbox.run(&[&["generate", out, "--json"], lock, more].concat())
}

#[test]
fn every_file_can_carry_a_digest() {
    let sandbox = Sandbox::new();
    for (which, most) in [("by-domain", 99), ("all", 100)] {
        let options = ["--files", "100", "--dist", "small", "--digests", which];
        generate(&sandbox, which, true, &options).exits(0);
        let verify = ["verify", which, "--password-file", "pw", "--json"];
        // Databases have a size that is not theirs.
        let json = sandbox.run(&verify).exits(4).json();
        let checked = number(&json, "files_checked");
        assert!((10..=most).contains(&checked) && (which != "all" || checked == 100), "{json}");
        assert_eq!(number(&json, "without_digest"), 100 - checked);
    }
}

/// The names and bytes of all regular files below a folder.
fn contents(sandbox: &Sandbox, folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![sandbox.path(folder)];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else if entry.file_type().unwrap().is_file() {
                let name = entry.path();
                let name = name.strip_prefix(sandbox.path(folder)).unwrap();
                found.push((name.to_str().unwrap().to_owned(), fs::read(entry.path()).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_written_is_a_sound_backup() {
    let sandbox = Sandbox::new();
    for (out, encrypted) in [("plain", false), ("locked", true)] {
        let options = ["--seed", "7", "--files", "300", "--total", "5M", "--rows", "900"];
        let run = generate(&sandbox, out, encrypted, &options).exits(0);
        let json = run.json();
        assert_eq!((&json["kind"], &json["schema_version"]), (&"generate".into(), &1.into()));
        assert_eq!((number(&json, "files"), number(&json, "bytes")), (300, 5 << 20));
        assert_eq!((number(&json, "entries"), number(&json, "blobs")), (900, 300));
        let stored: u64 = contents(&sandbox, out)
            .iter()
            .filter(|(name, _)| name.contains('/'))
            .map(|(_, bytes)| bytes.len() as u64)
            .sum();
        assert_eq!(number(&json, "blob_bytes"), stored);
        let password = ["--password-file", "pw"];
        let password = if encrypted { &password[..] } else { &[] };
        let read = |args: &[&str]| sandbox.run(&[args, password].concat());
        // Databases are listed with a wrong size, as on a device. Plain or not, the same files are
        // made, and of some an unencrypted backup is warned of; nothing else is odd.
        let verified = read(&["verify", out, "--sqlite", "--json"]).exits(4).json();
        assert_eq!((&verified["ok"], number(&verified, "files_checked")), (&true.into(), 300));
        for problem in verified["problems"].as_array().unwrap() {
            let code = problem["code"].as_str().unwrap();
            let exposed = !encrypted && code.starts_with("exposed-");
            assert!(code == "size-mismatch" || exposed, "{problem}");
        }
        let lines = read(&["ls", out, "--jsonl"]).exits(0).lines();
        let summary = lines.last().unwrap();
        for field in ["entries", "files", "directories", "symlinks"] {
            assert_eq!(summary[field], json[field], "{field}");
        }
        let inspected = read(&["inspect", out, "--json"]).exits(0).json();
        assert_eq!(inspected["encrypted"], encrypted);
        assert_eq!(inspected["backup"]["snapshot_state"], "finished");
        let rounds = &inspected["keybag"]["double_protection_iterations"];
        assert_eq!(*rounds, if encrypted { 100.into() } else { Value::Null });
        let tree = format!("{out}.tree");
        read(&["extract", out, "-o", &tree, "--names", "raw"]).exits(4);
        let bytes: usize = contents(&sandbox, &tree).iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(bytes, 5 << 20);
    }
}

#[test]
fn the_same_options_give_the_same_bytes() {
    let sandbox = Sandbox::new();
    for encrypted in [false, true] {
        let write = |out: &str, seed: &str, threads: &str| {
            let options = ["--files", "200", "--seed", seed, "--threads", threads];
            generate(&sandbox, out, encrypted, &options).exits(0);
            // Keys are another each time, and with them all bytes; what they hide is not.
            if encrypted {
                let tree = format!("{out}.tree");
                let extract = ["extract", out, "-o", &tree, "--names", "raw"];
                sandbox.run(&[&extract[..], &["--password-file", "pw"]].concat()).exits(4);
                return contents(&sandbox, &tree);
            }
            contents(&sandbox, out)
        };
        let name = |n: u32| format!("{encrypted}-{n}");
        let one = write(&name(1), "3", "1");
        assert!(one == write(&name(4), "3", "4"));
        assert!(one != write(&name(5), "4", "1"));
        let blobs = |n| {
            let blobs = contents(&sandbox, &name(n)).into_iter();
            blobs.filter(|(name, _)| name.contains('/')).collect::<Vec<_>>()
        };
        assert_eq!(blobs(1) == blobs(4), !encrypted);
    }
}

#[test]
fn a_dry_run_tells_what_a_run_writes() {
    let sandbox = Sandbox::new();
    for (out, encrypted) in [("plain", false), ("locked", true)] {
        let options = ["--files", "150", "--total", "1M", "--rows", "700"];
        // Not even a password is needed.
        let lock = if encrypted { &["--encrypted"][..] } else { &[] };
        let dry = [&["generate", out, "--json", "-n"], lock, &options].concat();
        let mut planned = sandbox.run(&dry).exits(0).json();
        assert!(!sandbox.path(out).exists());
        assert_eq!((&planned["dry_run"], &planned["run_record"]), (&true.into(), &Value::Null));
        let rounds = if encrypted { 10_000_000.into() } else { Value::Null };
        assert_eq!(planned["kdf_iterations"], rounds);
        let written = generate(&sandbox, out, encrypted, &options).exits(0).json();
        for field in ["dry_run", "run_record", "kdf_iterations"] {
            planned[field] = written[field].clone();
        }
        assert_eq!(planned, written);
    }
    let run = sandbox.run(&["generate", "text", "-n", "--files", "5"]).exits(0);
    assert!(run.text().starts_with("would write 5 files (") && run.text().contains("nothing was"));
}

#[test]
fn sparse_files_take_no_space() {
    let sandbox = Sandbox::new();
    let options = ["--files", "100", "--total", "20G", "--sparse"];
    let json = generate(&sandbox, "out", false, &options).exits(0).json();
    assert_eq!((number(&json, "bytes"), &json["sparse"]), (20 << 30, &true.into()));
    let (mut length, mut blocks) = (0, 0);
    for folder in fs::read_dir(sandbox.path("out")).unwrap().map(Result::unwrap) {
        if folder.file_type().unwrap().is_dir() {
            for blob in fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
                let metadata = blob.metadata().unwrap();
                length += metadata.len();
                blocks += metadata.blocks() * 512;
            }
        }
    }
    assert_eq!(length, 20 << 30);
    assert!(blocks < 4 << 20, "{blocks} bytes on the disk");
    // Digests of zeros are right as well.
    let verified = sandbox.run(&["verify", "out", "--json"]).exits(4).json();
    assert!(number(&verified, "digests_checked") > 5 && verified["ok"] == true);
}

#[test]
fn rows_of_missing_files_are_damage() {
    let sandbox = Sandbox::new();
    let options = ["--files", "9", "--rows", "300", "--fill", "missing-files"];
    let json = generate(&sandbox, "out", false, &options).exits(0).json();
    assert_eq!((number(&json, "entries"), number(&json, "blobs")), (300, 9));
    let verified = sandbox.run(&["verify", "out", "--json", "--all"]).exits(20).json();
    let damage = |problem: &&Value| problem["severity"] == "damage";
    let problems: Vec<_> = verified["problems"].as_array().unwrap().iter().filter(damage).collect();
    assert_eq!(problems.len() as u64, number(&json, "files") - 9);
    assert!(problems.iter().all(|problem| problem["code"] == "missing-blob"));
}

#[test]
fn refusals_leave_nothing() {
    let sandbox = Sandbox::new();
    sandbox.file("pw", CANARY).file("empty", "");
    let encrypted = ["--encrypted", "--password-file", "pw"];
    for more in [
        &["--plain", "--encrypted"][..],
        &["--sparse", "--encrypted", "--password-file", "pw"],
        &["--password-file", "pw"],
        &["--kdf-iterations", "5"],
        &["--encrypted", "--password-file", "pw", "--kdf-iterations", "49990001"],
        &["--encrypted", "--password-file", "pw", "--kdf-iterations", "0"],
        &["--files", "0", "--total", "1"],
        &["--files", "1000000001"],
        &["--total", "5X"],
    ] {
        sandbox.run(&[&["generate", "out"], more].concat()).exits(2).says("usage");
    }
    let run = sandbox.run(&["generate", "out", "--encrypted"]).exits(13).says("password-needed");
    assert!(run.stderr.contains("an encrypted backup needs a password"), "{}", run.stderr);
    sandbox.run(&["generate", "out", "--encrypted", "--password-file", "empty"]).exits(13);
    let json = sandbox.run(&["generate", "out", "--encrypted", "--json"]).exits(13).error();
    assert_eq!((&json["code"], &json["exit_code"]), (&"password-needed".into(), &13.into()));
    sandbox.run(&["generate", "no/such/out", "--files", "1"]).exits(1);
    fs::create_dir(sandbox.path("full")).unwrap();
    sandbox.file("full/file", "mine");
    for more in [&[][..], &["-n"], &encrypted] {
        let run = sandbox.run(&[&["generate", "full"], more].concat()).exits(30);
        assert!(run.stderr.contains("name a new folder\n"), "{}", run.stderr);
    }
    assert_eq!(contents(&sandbox, "full"), [("file".to_owned(), b"mine".to_vec())]);
    let mut names: Vec<_> = fs::read_dir(sandbox.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["empty", "full", "home", "pw"]);
}

#[test]
fn an_empty_folder_is_taken_and_the_password_stands_nowhere() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("out")).unwrap();
    let run = generate(&sandbox, "out", true, &["--files", "50"]).exits(0);
    let record = fs::read_to_string(sandbox.path("out.bkp-run.json")).unwrap();
    let json: Value = serde_json::from_str(&record).unwrap();
    assert_eq!((&json["command"], &json["counts"]["failed"]), (&"generate".into(), &0.into()));
    assert_eq!(json["counts"]["done"], run.json()["entries"]);
    assert!(json["arguments"].as_array().unwrap().contains(&"--kdf-iterations".into()));
    let canary = CANARY.as_bytes();
    let holds = |bytes: &[u8]| bytes.windows(canary.len()).any(|window| window == canary);
    assert!(!holds(record.as_bytes()) && !holds(&run.stdout) && !run.stderr.contains(CANARY));
    assert!(contents(&sandbox, "out").iter().all(|(_, bytes)| !holds(bytes)));
    // Nor does the catalog in clear, which is there while it is built.
    assert!(contents(&sandbox, "out").iter().all(|(_, bytes)| !bytes.starts_with(b"SQLite")));
    assert!(sandbox.path("out/Manifest.db").exists());
}

#[test]
fn a_signal_leaves_nothing() {
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .command(["generate", "out", "--files", "200000", "--dist", "small", "--progress=json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("\"phase\":\"generating\""), "{line}");
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!(last["code"], "interrupted");
    let names = fs::read_dir(sandbox.path(".")).unwrap();
    assert_eq!(names.count(), 1, "something beside the home folder was left");
}
