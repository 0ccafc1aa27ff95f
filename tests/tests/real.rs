//! Real backups, where they are at hand: the folder that `BKP_SHARED_DATA` names.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::rewrite::{NEW, files, nothing_left, rows};
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

/// Encrypted and decrypted again, a backup has every file's bytes and every row that it had. The
/// four files that are missing in the source are missing in both, and said to be.
#[test]
fn ios_13_encrypted_and_back() {
    let Some(real) = real("ios13.3-unencrypted", None, 4, "files") else { return };
    let sandbox = Sandbox::new();
    let before = tree(&real.path);
    sandbox.file("new", NEW);
    let source = real.path.to_str().unwrap();
    let new = ["--new-password-file", "new", "--kdf-iterations", "1000", "--json"];
    let json =
        sandbox.run(&[&["encrypt", source, "-o", "locked"][..], &new].concat()).exits(3).json();
    assert_eq!((&json["failed"], &json["restorable"]), (&4.into(), &false.into()));
    let args = ["decrypt", "locked", "-o", "back", "--json", "--password-file", "new"];
    let json = sandbox.run(&args).exits(3).json();
    assert_eq!((&json["failed"], &json["without_payload"]), (&4.into(), &4.into()));
    assert_eq!(tree(&real.path), before, "the backup was changed");
    let back = Real { path: sandbox.path("back"), ..real };
    back.check();
    assert_eq!(rows(&back.path, None), rows(source.as_ref(), None));
    for blob in files(&back.path) {
        let name = blob.strip_prefix(&back.path).unwrap();
        if !name.to_str().unwrap().starts_with("Manifest.") {
            let original = fs::read(std::path::Path::new(source).join(name)).unwrap();
            assert_eq!(fs::read(&blob).unwrap(), original, "{}", name.display());
        }
    }
}

/// Under another password, by wrapped keys and by fresh ones, the backup of iOS 9 has the files
/// that others found in it.
#[test]
fn ios_9_under_another_password() {
    for full in [&[][..], &["--full"]] {
        let Some(real) = real("ios9.3-encrypted-mbdb", Some("20201225"), 1, "sha256") else {
            return;
        };
        let sandbox = Sandbox::new();
        let before = tree(&real.path);
        sandbox.file("old", "20201225").file("new", NEW);
        let source = real.path.to_str().unwrap();
        let passwords = ["--password-file", "old", "--new-password-file", "new"];
        let args = [&["rekey", source, "-o", "out"][..], &passwords, full].concat();
        sandbox.run(&args).exits(3).says("missing-blob");
        assert_eq!(tree(&real.path), before, "the backup was changed");
        Real { path: sandbox.path("out"), password: Some(NEW), ..real }.check();
    }
}

/// A part of a real backup is a sound backup, of rows that are byte for byte the source's.
#[test]
fn a_part_of_ios_9() {
    let Some(real) = real("ios9.3-encrypted-mbdb", Some("20201225"), 1, "sha256") else { return };
    let sandbox = Sandbox::new();
    let before = tree(&real.path);
    sandbox.file("old", "20201225");
    let source = real.path.to_str().unwrap();
    let rules = ["--exclude", "AppDomain-*", "--exclude", "CameraRollDomain"];
    let args = ["filter", source, "-o", "out", "--password-file", "old"];
    let code = sandbox.run(&[&args[..], &rules].concat()).code;
    assert!([0, 3, 4].contains(&code), "{code}");
    assert_eq!(tree(&real.path), before, "the backup was changed");
    let out = sandbox.path("out");
    let (all, kept) = (rows(&real.path, Some("20201225")), rows(&out, Some("20201225")));
    assert!(!kept.is_empty() && kept.len() < all.len());
    assert!(kept.iter().all(|(id, row)| all.get(id) == Some(row)));
    nothing_left(&real.path, &out, Some("20201225"));
}

/// Real phones were never enrolled. For another device their lists of profiles, their management
/// configuration and their trust go, and nothing else; for their own device nothing does.
#[test]
fn real_backups_staged_for_another_device_and_for_their_own() {
    for (name, password, missing, hashes) in [
        ("ios13.3-unencrypted", None, 4, "files"),
        ("ios9.3-encrypted-mbdb", Some("20201225"), 1, "sha256"),
    ] {
        let Some(real) = real(name, password, missing, hashes) else { return };
        let sandbox = Sandbox::new();
        sandbox.file("real-password", password.unwrap_or_default());
        let before = tree(&real.path);
        let inspected = sandbox.run(&[&real.args("inspect")[..], &["--json"]].concat()).json();
        let own = inspected["device"]["serial_number"].as_str().unwrap().to_owned();
        for (serial, out) in [("F2LTESTKIT02", "other"), (&own, "own")] {
            let more = ["--target-serial", serial, "-o", out, "--json"];
            let run = sandbox.run(&[&real.args("restore")[..], &more].concat());
            // The payloads that the source lacks.
            let json = run.exits(3).json();
            assert_eq!(json["failed"], missing);
            let (all, kept) = (rows(&real.path, password), rows(&sandbox.path(out), password));
            assert!(kept.iter().all(|(id, row)| all.get(id) == Some(row)));
            let gone: Vec<&str> = all
                .iter()
                .filter(|(id, _)| !kept.contains_key(*id))
                .map(|(_, (name, _))| name.rsplit('/').next().unwrap())
                .collect();
            if out == "own" {
                assert!(gone.is_empty(), "{gone:?}");
                continue;
            }
            let known = [
                "CloudConfigurationDetails.plist",
                "PayloadDependency.plist",
                "PayloadManifest.plist",
                "ProfileTruth.plist",
            ];
            let trust = |name: &str| name.ends_with("TrustStore.sqlite3");
            assert!(gone.iter().all(|name| known.contains(name) || trust(name)), "{gone:?}");
            assert!(gone.contains(&"CloudConfigurationDetails.plist"), "{gone:?}");
            nothing_left(&real.path, &sandbox.path(out), password);
        }
        assert_eq!(tree(&real.path), before, "the backup was changed");
    }
}
