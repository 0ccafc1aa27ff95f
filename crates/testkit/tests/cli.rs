//! Runs the program as a person would.

use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bkp-testkit"))
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("the program starts")
}

#[test]
fn a_case_and_its_truth() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["case", "encrypted-mbdb", "out", "--truth", "truth.tsv"], dir.path());
    assert!(output.status.success(), "{output:?}");
    assert!(dir.path().join("out/Manifest.mbdb").exists());
    let truth = std::fs::read_to_string(dir.path().join("truth.tsv")).unwrap();
    let line =
        truth.lines().find(|line| line.ends_with("\tAppDomain-com.example.app\tDocuments/a.txt"));
    let fields: Vec<_> = line.unwrap().split('\t').collect();
    // SHA-256 of "a".
    let sum = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
    assert_eq!(fields[1..6], ["1", "1", "1", "1", sum]);
    let again = run(&["case", "encrypted-mbdb", "out"], dir.path());
    assert_eq!(again.status.code(), Some(1), "a full folder is refused");
}

#[test]
fn a_big_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "bulk",
        "out",
        "--files",
        "10",
        "--total",
        "50000",
        "--dist",
        "mixed",
        "--rows",
        "60",
        "--seed",
        "3",
        "--encrypted",
        "x",
        "--dpic",
        "10",
        "--truth",
        "truth.tsv",
    ];
    let output = run(&arguments, dir.path());
    assert!(output.status.success(), "{output:?}");
    let truth = std::fs::read_to_string(dir.path().join("truth.tsv")).unwrap();
    let sizes = truth.lines().skip(1).map(|line| line.split('\t').nth(4).unwrap());
    assert_eq!(sizes.map(|size| size.parse::<u64>().unwrap()).sum::<u64>(), 50_000);
    assert_eq!(truth.lines().count(), 11);
}

#[test]
fn wrong_usage_is_2() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["nothing"],
        &["case", "no-such-case", "out"],
        &["bulk", "out", "--files", "-1"],
        &["bulk", "out", "--dpic", "5"],
        &["cases", "more"],
    ] {
        let output = run(arguments, dir.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was written");
}
