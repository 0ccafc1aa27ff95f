//! Readers by others open what is written here, and find the same bytes.
//!
//! They run when `BKP_READERS` names a Python that has them (`tests/readers/requirements.txt`);
//! `.ci/run` makes one. Their limits:
//!
//! * `iphone_backup_decrypt` reads encrypted backups with a padded Manifest.db alone.
//! * `pyiosbackup` decodes extended attributes of a Manifest.mbdb as text, and silently ends at
//!   the first that is none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bkp_testkit::{BundleSpec, Encryption, Truth, cases, fixtures, managed};
use sha2::{Digest as _, Sha256};

use crate::sandbox::{Run, Sandbox};

/// SHA-256 and length of each file, by domain and path.
type Files = BTreeMap<(String, String), (String, u64)>;

/// Reads encrypted backups with a Manifest.db.
const DECRYPT: &str = "iphone_backup_decrypt";
/// Reads all of them.
const PYIOS: &str = "pyiosbackup";

/// The Python with the readers.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("BKP_READERS").map(PathBuf::from);
    if python.is_none() {
        println!("skipped: BKP_READERS names no Python with readers");
    }
    python
}

/// Lets a reader list a backup.
fn read(python: &Path, reader: &str, backup: &Path, password: Option<&Path>) -> Run {
    // Both leave decrypted catalogs among the temporary files.
    let own = tempfile::tempdir().unwrap();
    Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/read.py"))
        .arg(reader)
        .arg(backup)
        .args(password)
        .env("TMPDIR", own.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into()
}

#[track_caller]
fn files(run: &Run) -> Files {
    assert_eq!(run.code, 0, "{}", run.stderr);
    let line = |line: &str| {
        let [domain, path, hash, size] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let name = (domain.to_owned(), path.to_owned());
        (name, (hash.to_owned(), size.parse().unwrap()))
    };
    let files: Files = run.text().lines().map(line).collect();
    assert_eq!(files.len(), run.text().lines().count(), "a name stands twice");
    files
}

/// What the generator of the tests says.
fn of_truth(truth: &Truth) -> Files {
    let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
    let files = truth.entries.iter().filter(|entry| entry.kind == 1);
    files
        .map(|entry| {
            assert!(entry.intact);
            let name = (text(&entry.domain), text(&entry.path));
            (name, (bkp_testkit::hex(&entry.sha256), entry.len))
        })
        .collect()
}

/// What `bkp extract` says.
fn of_bkp(sandbox: &Sandbox, backup: &str, password: Option<&str>) -> Files {
    let tree = Sandbox::new();
    let target = tree.path("tree");
    let line = ["extract", backup, "--names", "raw", "-o", target.to_str().unwrap()];
    let password: &[&str] = &password.map_or(Vec::new(), |file| vec!["--password-file", file]);
    let run = sandbox.run(&[&line, password].concat());
    assert!(matches!(run.code, 0 | 4), "{}", run.stderr);
    let mut files = Files::new();
    let mut open = vec![target.clone()];
    while let Some(folder) = open.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let kind = std::fs::symlink_metadata(&path).unwrap();
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let name = path.strip_prefix(&target).unwrap().to_str().unwrap();
                let (domain, path) = name.split_once('/').unwrap();
                let content = (bkp_testkit::hex(&Sha256::digest(&bytes)), bytes.len() as u64);
                files.insert((domain.to_owned(), path.to_owned()), content);
            }
        }
    }
    files
}

/// Fails unless the readers that can read the backup find just these files.
#[track_caller]
pub(crate) fn agree(python: &Path, backup: &Path, password: Option<&Path>, expected: &Files) {
    assert!(expected.len() > 3);
    let db = backup.join("Manifest.db").exists();
    for reader in [PYIOS, DECRYPT] {
        if reader == PYIOS || (password.is_some() && db) {
            let found = files(&read(python, reader, backup, password));
            assert_eq!(found, *expected, "{reader}, {}", backup.display());
        }
    }
}

#[test]
fn readers_by_others_find_what_is_in_the_fixtures() {
    let Some(python) = python() else { return };
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for fixture in fixtures::all().unwrap() {
        let sandbox = Sandbox::new();
        let truth = of_truth(&sandbox.bundle(&fixture.spec));
        let backup = committed.join(fixture.name);
        let password = committed.join(format!("{}.password", fixture.name));
        let password = password.exists().then_some(password.as_path());
        if fixture.name != "encrypted-mbdb" {
            agree(&python, &backup, password, &truth);
            continue;
        }
        // It has a binary attribute: the files before it are read.
        let odd = fixture.spec.entries.iter().position(|entry| {
            entry.xattrs.iter().any(|(_, value)| std::str::from_utf8(value).is_err())
        });
        let before = &fixture.spec.entries[..odd.unwrap()];
        let expected: Files = truth
            .into_iter()
            .filter(|((domain, path), _)| {
                let is = |e: &&bkp_testkit::EntrySpec| {
                    e.domain == domain.as_bytes() && e.path == path.as_bytes()
                };
                before.iter().any(|entry| is(&entry))
            })
            .collect();
        assert!(expected.len() > 3);
        assert_eq!(files(&read(&python, PYIOS, &backup, password)), expected);
    }
}

#[test]
fn readers_by_others_find_what_is_in_a_manifest_mbdb() {
    let Some(python) = python() else { return };
    for spec in [cases::plain_mbdb(), cases::encrypted_mbdb()] {
        let sandbox = Sandbox::new();
        let encrypted = spec.encryption.is_some();
        let spec: BundleSpec = spec.with(|spec| {
            spec.entries.iter_mut().for_each(|entry| entry.xattrs.clear());
        });
        let truth = sandbox.bundle(&spec);
        sandbox.file("pw", cases::PASSWORD);
        let password = sandbox.path("pw");
        let password = encrypted.then_some(password.as_path());
        agree(&python, &sandbox.path("backup"), password, &of_truth(&truth));
    }
}

#[test]
fn readers_by_others_find_what_is_in_generated_backups() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    sandbox.file("pw", cases::PASSWORD);
    let password = sandbox.path("pw");
    let generate = ["generate", "--files", "200", "--rows", "500", "--total", "2M", "--seed", "5"];
    let encrypt = ["--encrypted", "--password-file", "pw", "--kdf-iterations", "10"];
    sandbox.run(&[&generate[..], &["plain"]].concat()).exits(0);
    agree(&python, &sandbox.path("plain"), None, &of_bkp(&sandbox, "plain", None));
    sandbox.run(&[&generate[..], &["locked"], &encrypt].concat()).exits(0);
    let expected = of_bkp(&sandbox, "locked", Some("pw"));
    assert_eq!(expected.len(), 200);
    agree(&python, &sandbox.path("locked"), Some(&password), &expected);
}

/// What writes a backup, from which: the words after `bkp` and before the source, and whether
/// source and output are encrypted. The old password is in `pw`, the new one in `new`.
#[rustfmt::skip]
const WRITERS: &[(&str, bool, bool)] = &[
    ("encrypt --new-password-file new --kdf-iterations 10", false, true),
    ("decrypt --password-file pw", true, false),
    ("rekey --password-file pw --new-password-file new", true, true),
    ("rekey --password-file pw --new-password-file new --full", true, true),
    ("filter --password-file pw --exclude AppDomain*", true, true),
    ("filter --exclude AppDomain*", false, false),
];

#[test]
fn readers_by_others_find_what_was_written() {
    let Some(python) = python() else { return };
    for (n, spec) in
        [cases::plain_db(), cases::encrypted_db(10), cases::plain_mbdb(), cases::encrypted_mbdb()]
            .into_iter()
            .enumerate()
    {
        let sandbox = Sandbox::new();
        let locked = spec.encryption.is_some();
        let spec = spec.with(|spec| spec.entries.iter_mut().for_each(|entry| entry.xattrs.clear()));
        let truth = of_truth(&sandbox.bundle(&spec));
        sandbox.file("pw", cases::PASSWORD).file("new", "another-password");
        for (words, _, to) in WRITERS.iter().filter(|(_, from, _)| *from == locked) {
            let out = format!("out{n}");
            let mut line: Vec<_> = words.split(' ').collect();
            line.extend(["backup", "-o", &out]);
            // The keychain of these is none, and whoever decrypts it is told.
            let code = sandbox.run(&line).code;
            assert!(matches!(code, 0 | 4), "{words}: {code}");
            let filtered = words.starts_with("filter");
            let mut expected = truth.clone();
            expected.retain(|(domain, _), _| !filtered || !domain.starts_with("AppDomain"));
            assert_eq!(filtered, expected.len() < truth.len());
            let password = if words.contains("new") { "new" } else { "pw" };
            let password = sandbox.path(password);
            let password = to.then_some(password.as_path());
            agree(&python, &sandbox.path(&out), password, &expected);
            std::fs::remove_dir_all(sandbox.path(&out)).unwrap();
        }
    }
}

/// A copy that was staged for another phone: without the profiles, and with all else.
#[test]
fn readers_by_others_open_staged_copies() {
    let Some(python) = python() else { return };
    for (spec, reason) in
        [(managed::byod_encrypted(), &[][..]), (managed::ade(), &["--reason", "a new phone"])]
    {
        let sandbox = Sandbox::new();
        let spec = spec.with(|spec| {
            spec.entries.iter_mut().for_each(|entry| entry.xattrs.clear());
        });
        let truth = of_truth(&sandbox.bundle(&spec));
        sandbox.file("pw", cases::PASSWORD);
        let line = ["restore", "backup", "-o", "out", "--target-serial", "ANOTHERPHONE"];
        let code = sandbox.run_unlocked(&[&line[..], reason].concat()).code;
        assert!(matches!(code, 0 | 4), "{code}");
        let expected = of_bkp(&sandbox, "out", Some("pw"));
        assert!(expected.len() < truth.len());
        assert!(expected.iter().all(|(name, content)| truth.get(name) == Some(content)));
        let password = sandbox.path("pw");
        agree(&python, &sandbox.path("out"), Some(&password), &expected);
    }
}

/// The comparison can fail: a changed byte, a lost file and a wrong password are seen.
#[test]
fn readers_by_others_see_damage() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    let spec = cases::plain_db().with(|spec| {
        spec.encryption = Some(Encryption::new(cases::PASSWORD));
        spec.entries[0].stored = bkp_testkit::Stored::Flipped(100);
    });
    let truth = sandbox.bundle(&spec);
    sandbox.file("pw", cases::PASSWORD).file("no", "wrong");
    let backup = sandbox.path("backup");
    let sound = truth.entries.iter().filter(|entry| entry.kind == 1).count();
    for reader in [PYIOS, DECRYPT] {
        let found = files(&read(&python, reader, &backup, Some(&sandbox.path("pw"))));
        let wrong = |entry: &&bkp_testkit::TruthEntry| {
            let name = [&entry.domain, &entry.path];
            let name = name.map(|name| String::from_utf8(name.clone()).unwrap());
            let [domain, path] = name;
            found[&(domain, path)].0 != bkp_testkit::hex(&entry.sha256)
        };
        let files = truth.entries.iter().filter(|entry| entry.kind == 1);
        assert_eq!((files.filter(wrong).count(), found.len()), (1, sound), "{reader}");
        assert_ne!(read(&python, reader, &backup, Some(&sandbox.path("no"))).code, 0, "{reader}");
    }
    let lost = backup.join(walk_to_a_blob(&backup));
    std::fs::remove_file(lost).unwrap();
    for reader in [PYIOS, DECRYPT] {
        let run = read(&python, reader, &backup, Some(&sandbox.path("pw")));
        assert_ne!(run.code, 0, "{reader}");
    }
}

/// The path of some stored file in a backup.
fn walk_to_a_blob(backup: &Path) -> PathBuf {
    let shards = std::fs::read_dir(backup).unwrap().map(|entry| entry.unwrap().path());
    let shard = shards.into_iter().find(|path| path.is_dir()).unwrap();
    std::fs::read_dir(shard).unwrap().next().unwrap().unwrap().path()
}
