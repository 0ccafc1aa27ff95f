//! Real backups, where they are at hand: the folder that `BKP_SHARED_DATA` names.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::sandbox::{Sandbox, tree};

/// A real backup, its password and how many of its payloads are known to be missing.
struct Real {
    path: PathBuf,
    truth: Value,
    password: Option<&'static str>,
    missing: usize,
    /// The key of the truth that lists the files.
    hashes: &'static str,
}

fn real(
    name: &str,
    password: Option<&'static str>,
    missing: usize,
    hashes: &'static str,
) -> Option<Real> {
    let Some(data) = std::env::var_os("BKP_SHARED_DATA").map(PathBuf::from) else {
        println!("skipped: BKP_SHARED_DATA is not set");
        return None;
    };
    let truth = fs::read(data.join(format!("truth/{name}.json"))).unwrap();
    let truth = serde_json::from_slice(&truth).unwrap();
    Some(Real { path: data.join("bundles").join(name), truth, password, missing, hashes })
}

impl Real {
    fn args<'a>(&'a self, command: &'a str) -> Vec<&'a str> {
        let mut args = vec![command, self.path.to_str().unwrap()];
        if self.password.is_some() {
            args.extend(["--password-file", "real-password"]);
        }
        args
    }

    fn check(&self) {
        let sandbox = Sandbox::new();
        sandbox.file("real-password", self.password.unwrap_or_default());
        let before = tree(&self.path);
        self.check_listing(&sandbox);
        self.check_tree(&sandbox);
        assert_eq!(tree(&self.path), before, "the backup was changed");
    }

    /// Every row is listed, domain by domain.
    fn check_listing(&self, sandbox: &Sandbox) {
        let args = [&self.args("ls")[..], &["--jsonl"]].concat();
        let lines = sandbox.run(&args).exits(0).lines();
        let (summary, entries) = lines.split_last().unwrap();
        let mut domains: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in entries {
            *domains.entry(entry["domain"].as_str().unwrap()).or_default() += 1;
        }
        let expected: BTreeMap<&str, u64> = self.truth["domains"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(domain, rows)| (domain.as_str(), rows.as_u64().unwrap()))
            .collect();
        assert_eq!(domains, expected);
        assert_eq!(summary["entries"], expected.values().sum::<u64>());
        let missing = entries
            .iter()
            .filter(|entry| entry["kind"] == "file" && entry["stored"] == false)
            .count();
        assert_eq!(missing, self.missing);
    }

    /// Every file that is in the backup comes out with the bytes that others found in it.
    fn check_tree(&self, sandbox: &Sandbox) {
        let args = [&self.args("extract")[..], &["-o", "out", "--names", "raw", "--json"]].concat();
        let json = sandbox.run(&args).exits(3).json();
        let lost: Vec<&Value> = json["problems"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|problem| problem["severity"] != "notice")
            .collect();
        assert_eq!(lost.len(), self.missing);
        assert!(lost.iter().all(|problem| problem["code"] == "missing-blob"));
        let files = &self.truth[self.hashes].as_object().unwrap();
        assert!(!files.is_empty());
        for (name, truth) in files.iter() {
            let bytes = fs::read(sandbox.path("out").join(name)).expect(name);
            let sha256 = bkp_testkit::hex(&Sha256::digest(&bytes));
            assert_eq!(truth["sha256"], sha256, "{name}");
        }
    }
}

#[test]
fn an_unencrypted_backup_of_ios_13() {
    if let Some(real) = real("ios13.3-unencrypted", None, 4, "files") {
        real.check();
    }
}

#[test]
fn an_encrypted_backup_of_ios_9() {
    if let Some(real) = real("ios9.3-encrypted-mbdb", Some("20201225"), 1, "sha256") {
        real.check();
    }
}
