//! `bkp pack` and `unpack`, and every other command on what they make.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bkp_testkit::{BundleSpec, EntrySpec, cases};
use serde_json::Value;

use crate::sandbox::{Run, Sandbox, tree};

/// A password of archives that would be noticed wherever it turns up.
const SEAL: &str = "canary-seal-83d0-Pässwörd";

/// The files below a folder by their names.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_symlink() {
                found.insert(
                    name,
                    fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                );
            } else if path.is_dir() {
                open.push(path);
            } else {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// A sandbox with the archive's password, the backup's and a key file.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("seal", SEAL).file("pw", cases::PASSWORD).file("other", "not the password");
    sandbox.file("key", [0x5c; 32]).file("other.key", [0x5d; 32]);
    sandbox
}

fn fixtures() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut all: Vec<_> =
        ["plain-db", "encrypted-db", "encrypted-mbdb"].map(|name| fixtures.join(name)).into();
    match std::env::var_os("BKP_SHARED_DATA") {
        None => println!("skipped: BKP_SHARED_DATA is not set, so there are no real bundles"),
        Some(root) => {
            let bundles = fs::read_dir(Path::new(&root).join("bundles")).unwrap();
            all.extend(bundles.map(|entry| entry.unwrap().path()));
        }
    }
    all
}

/// Runs a command on a sealed archive with the archive's password.
fn with_seal(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.run(&[args, &["--seal-password-file", "seal"]].concat())
}

#[test]
fn what_is_packed_is_unpacked_byte_for_byte() {
    for bundle in fixtures() {
        let sandbox = sandbox();
        let before = tree(&bundle);
        let source = bundle.to_str().unwrap();
        let expected = files(&bundle);
        for (name, options) in [
            ("a.zip", &[][..]),
            ("a.bkpz", &["--seal-password-file", "seal"]),
            ("k.bkpz", &["--seal-key-file", "key"]),
        ] {
            let args = [&["pack", source, "-o", name, "--verify", "--json"], options].concat();
            let run = sandbox.run(&args);
            // Real backups lack files, and hold some that are none of theirs.
            let json = run.json();
            assert_eq!(json["verified"], true);
            assert_eq!(run.code, code_of(&json), "{}", run.stderr);
            let out = format!("{name}-out");
            let args = [&["unpack", name, "-o", &out, "--json"][..], options].concat();
            let unpacked = sandbox.run(&args).exits(0).json();
            assert_eq!(unpacked["files"], json["members"]);
            assert_eq!(unpacked["bytes"], json["member_bytes"]);
            let mut found = files(&sandbox.path(&out));
            for (name, bytes) in &expected {
                match found.remove(name) {
                    Some(other) => assert!(other == *bytes, "{}", name.display()),
                    None => {
                        let shown = name.to_str().unwrap();
                        let of = |item: &Value| {
                            let message = item["message"].as_str().unwrap();
                            let top = shown.split('/').next().unwrap();
                            message.contains(&format!("\"{shown}\""))
                                || message.contains(&format!("\"{top}\""))
                        };
                        let items = json["problems"].as_array().unwrap();
                        assert!(items.iter().any(of), "{shown} was lost in silence");
                    }
                }
            }
            assert!(found.is_empty());
            // A second time there is something in it, and the archive is there.
            let args = [&["unpack", name, "-o", &out][..], options].concat();
            sandbox.run(&args).exits(30).says("destination-not-empty");
            let args = [&["pack", source, "-o", name][..], options].concat();
            sandbox.run(&args).exits(30).says("destination-exists");
        }
        assert_eq!(tree(&bundle), before, "the backup was changed");
    }
}

/// What a document says that its exit code should be.
fn code_of(json: &Value) -> i32 {
    let problems = json["problems"].as_array().unwrap();
    match problems.iter().any(|problem| problem["severity"] != "notice") {
        true => 3,
        false if problems.is_empty() => 0,
        false => 4,
    }
}

#[test]
fn other_programs_open_a_plain_archive() {
    let sandbox = sandbox();
    sandbox.bundle(&cases::plain_db());
    sandbox.run(&["pack", "backup", "-o", "a.zip"]).exits(0);
    for (program, args) in [
        ("unzip", &["-tq", "a.zip"][..]),
        ("python3", &["-m", "zipfile", "-t", "a.zip"]),
        ("python3", &["-m", "zipfile", "-e", "a.zip", "by-python"]),
    ] {
        match Command::new(program).args(args).current_dir(sandbox.path("")).output() {
            Err(_) => println!("skipped: there is no {program}"),
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{program} {args:?}: {text}");
            }
        }
    }
    if sandbox.path("by-python").exists() {
        let mut other = files(&sandbox.path("by-python"));
        let record = other.remove(Path::new("bkp-run.json")).unwrap();
        assert_eq!(other, files(&sandbox.path("backup")));
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert_eq!(record["command"], "pack");
        assert!(record["archive"]["members"].as_array().unwrap().len() > 10);
    }
}

/// The record names the archive and every member by their hashes; the one inside is the last
/// member, and says nothing of when and where.
#[test]
fn the_record_has_every_hash() {
    use sha2::{Digest as _, Sha256};
    let sandbox = sandbox();
    sandbox.bundle(&cases::plain_db());
    let json = sandbox.run(&["pack", "backup", "-o", "a.zip", "--json"]).exits(0).json();
    let hash = |bytes: &[u8]| bkp_testkit::hex(&Sha256::digest(bytes));
    let record = fs::read(sandbox.path("a.zip.bkp-run.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let archive = fs::read(sandbox.path("a.zip")).unwrap();
    assert_eq!(json["sha256"], hash(&archive));
    assert_eq!(json["archive_bytes"], archive.len());
    assert_eq!(record["archive"]["sha256"], hash(&archive));
    assert_eq!((&record["command"], &record["archive"]["form"]), (&"pack".into(), &"zip".into()));
    let named = |record: &Value| -> BTreeMap<PathBuf, String> {
        let members = record["archive"]["members"].as_array().unwrap();
        let text = |member: &Value, key: &str| member[key].as_str().unwrap().to_owned();
        members.iter().map(|m| (text(m, "name").into(), text(m, "sha256"))).collect()
    };
    let expected: BTreeMap<_, _> =
        files(&sandbox.path("backup")).into_iter().map(|(n, b)| (n, hash(&b))).collect();
    assert_eq!(named(&record), expected);
    // The same backup from another place gives the same archive.
    fs::rename(sandbox.path("backup"), sandbox.path("moved")).unwrap();
    let run = sandbox.run(&["pack", "moved", "-o", "-"]).exits(0);
    assert!(run.stdout == archive);
    assert_eq!(fs::read_dir(sandbox.path("")).unwrap().flatten().count(), 9);
}

/// Commands say of an archive what they say of the folder.
#[test]
fn commands_read_archives_in_place() {
    for (spec, password) in [
        (cases::plain_db(), &[][..]),
        (cases::encrypted_db(1_000), &["--password-file", "pw"]),
        (cases::encrypted_mbdb(), &["--password-file", "pw"]),
    ] {
        let sandbox = sandbox();
        sandbox.bundle(&spec);
        sandbox.run(&["pack", "backup", "-o", "a.zip"]).exits(0);
        with_seal(&sandbox, &["pack", "backup", "-o", "a.bkpz"]).exits(0);
        let before = fs::read(sandbox.path("a.bkpz")).unwrap();
        let name = "HomeDomain:Library/SMS/sms.db";
        for line in [
            &["inspect", "BACKUP", "--json"][..],
            &["ls", "BACKUP", "--jsonl"],
            &["ls", "BACKUP", "--long"],
            &["find", "BACKUP", "--type", "file", "--json"],
            &["cat", "BACKUP", name],
            &["keychain", "BACKUP", "--json"],
            &["profiles", "BACKUP", "--json"],
            &["apps", "BACKUP", "--json"],
            &["diff", "BACKUP", "backup", "--jsonl"],
        ] {
            let run = |place: &str| {
                let line: Vec<_> =
                    line.iter().map(|word| if *word == "BACKUP" { place } else { word }).collect();
                with_seal(&sandbox, &[&line, password].concat())
            };
            let expected = run("backup");
            // The keychain of some of these is no keychain, which is told alike.
            let sound = [0, 4].contains(&expected.code) || line[0] == "keychain";
            assert!(sound, "{line:?}: {}", expected.stderr);
            for archive in ["a.zip", "a.bkpz"] {
                let found = run(archive).exits(expected.code);
                assert!(found.stdout == expected.stdout, "{line:?} of {archive}");
            }
        }
        for (n, archive) in ["a.zip", "a.bkpz"].into_iter().enumerate() {
            let (tree_of, folder_of) = (format!("t{n}"), "t-folder");
            let extract = |from, to| {
                let args = ["extract", from, "-o", to, "--names", "raw"];
                with_seal(&sandbox, &[&args[..], password].concat()).exits(0);
                files(&sandbox.path(to))
            };
            let expected = extract("backup", folder_of);
            fs::remove_dir_all(sandbox.path(folder_of)).unwrap();
            assert!(extract(archive, &tree_of) == expected);
            let record = fs::read(sandbox.path(format!("{tree_of}.bkp-run.json"))).unwrap();
            let record: Value = serde_json::from_slice(&record).unwrap();
            assert_eq!(record["source"]["kind"], ["zip", "sealed"][n]);
            let args = ["verify", archive, "--read-data", "--restorable", "--json"];
            let run = with_seal(&sandbox, &[&args[..], password].concat());
            let json = run.json();
            assert_eq!(
                (&json["ok"], &json["archive"]["members_damaged"]),
                (&true.into(), &0.into())
            );
            let filtered = format!("f{n}");
            let args = ["filter", archive, "-o", &filtered, "--exclude", "AppDomain*"];
            with_seal(&sandbox, &[&args[..], password].concat()).exits(0);
        }
        assert!(files(&sandbox.path("f0")).len() > 5);
        // A copy for another device, of the folder and of both archives.
        let copy = |from, to| {
            let args = ["restore", from, "-o", to, "--target-serial", "F2LANOTHER001"];
            let code = with_seal(&sandbox, &[&args[..], password].concat()).code;
            let args = ["plan", from, "--target-serial", "F2LANOTHER001"];
            (code, with_seal(&sandbox, &[&args[..], password].concat()).code)
        };
        let expected = copy("backup", "r-folder");
        assert!([0, 4].contains(&expected.1), "{expected:?}");
        assert_eq!((copy("a.zip", "r0"), copy("a.bkpz", "r1")), (expected, expected));
        assert!(fs::read(sandbox.path("a.bkpz")).unwrap() == before);
    }
}

/// A selection in an archive is the bundle that `filter` writes.
#[test]
fn packing_a_selection_is_filtering() {
    for (spec, password) in [
        (cases::plain_db(), &[][..]),
        (cases::plain_mbdb(), &[]),
        (cases::encrypted_mbdb(), &["--password-file", "pw"]),
    ] {
        let sandbox = sandbox();
        sandbox.bundle(&spec);
        let rules = ["--exclude", "AppDomain*", "--exclude", "CameraRollDomain"];
        let run = |args: &[&str]| sandbox.run(&[args, &rules, password].concat());
        run(&["filter", "backup", "-o", "filtered"]).exits(0);
        let json = run(&["pack", "backup", "-o", "a.zip", "--json"]).exits(0).json();
        assert!(json["skipped"].as_u64().unwrap() > 0);
        assert_eq!(json["restorable"], true);
        sandbox.run(&["unpack", "a.zip", "-o", "out"]).exits(0);
        assert!(files(&sandbox.path("out")) == files(&sandbox.path("filtered")));
    }
    // Under a fresh key for the catalog, which differs from run to run.
    let sandbox = sandbox();
    sandbox.bundle(&cases::encrypted_db(1_000));
    let rules = ["--exclude", "AppDomain*", "--password-file", "pw"];
    let run = |args: &[&str]| sandbox.run(&[args, &rules].concat());
    run(&["filter", "backup", "-o", "filtered"]).exits(0);
    run(&["pack", "backup", "-o", "a.zip"]).exits(0);
    let list =
        |place| sandbox.run(&["ls", place, "--jsonl", "--password-file", "pw"]).exits(0).stdout;
    assert!(list("a.zip") == list("filtered"));
    let verify = ["verify", "a.zip", "--read-data", "--password-file", "pw"];
    sandbox.run(&verify).exits(0);
    sandbox.run(&["pack", "backup", "-o", "b.zip", "--exclude", "AppDomain*"]).exits(13);
    assert!(!sandbox.path("b.zip").exists());
}

#[test]
fn wrong_keys_and_none() {
    let sandbox = sandbox();
    sandbox.bundle(&cases::plain_db());
    with_seal(&sandbox, &["pack", "backup", "-o", "a.bkpz"]).exits(0);
    sandbox.run(&["pack", "backup", "-o", "k.bkpz", "--seal-key-file", "key"]).exits(0);
    let file = "--seal-password-file";
    for command in [&["ls"][..], &["unpack", "-o", "out"], &["verify"], &["inspect"]] {
        let run = |rest: &[&str]| sandbox.run(&[command, rest].concat());
        run(&["a.bkpz", file, "other"]).exits(12).says("wrong-password");
        run(&["k.bkpz", "--seal-key-file", "other.key"]).exits(12).says("wrong-key-file");
        run(&["a.bkpz"]).exits(13).says("password-needed");
        run(&["k.bkpz"]).exits(13).says("key-file-needed");
        run(&["a.bkpz", "--seal-key-file", "key"]).exits(13).says("password-needed");
        run(&["k.bkpz", file, "seal"]).exits(13).says("key-file-needed");
        run(&["k.bkpz", "--seal-key-file", "seal"]).exits(2).says("bad-key-file");
        run(&["a.bkpz", file, "seal", "--max-kdf-rounds", "599999"])
            .exits(21)
            .says("excessive-kdf");
    }
    assert!(!sandbox.path("out").exists());
    sandbox.run(&["pack", "backup", "-o", "b.bkpz"]).exits(13).says("password-needed");
    sandbox.run(&["pack", "backup", "-o", "b.zip", file, "seal"]).exits(2).says("usage");
    sandbox.run(&["pack", "backup", "-o", "-", "--verify"]).exits(2).says("usage");
    sandbox.run(&["pack", "backup", "-o", "backup/a.zip"]).exits(30).says("destination-is-source");
    assert!(!sandbox.path("b.bkpz").exists() && !sandbox.path("b.zip").exists());
}

/// Any changed bit is damage, and no command gives out what is in that place.
#[test]
fn a_flipped_bit() {
    let sandbox = sandbox();
    let spec = cases::plain_db().with(|spec| {
        spec.entries.push(EntrySpec::noise("MediaDomain", "Media/big.bin", 3_000_000));
    });
    sandbox.bundle(&spec);
    with_seal(&sandbox, &["pack", "backup", "-o", "a.bkpz"]).exits(0);
    sandbox.run(&["pack", "backup", "-o", "a.zip"]).exits(0);
    let flip = |name: &str, at: usize| {
        let mut bytes = fs::read(sandbox.path(name)).unwrap();
        bytes[at] ^= 4;
        sandbox.file(&format!("bad-{name}"), bytes);
        format!("bad-{name}")
    };
    let len = fs::read(sandbox.path("a.bkpz")).unwrap().len();
    for (at, code) in
        [(30, "sealed-header"), (1_500_000, "sealed-segment"), (len - 20, "sealed-last-segment")]
    {
        let bad = flip("a.bkpz", at);
        let run = with_seal(&sandbox, &["verify", &bad, "--json"]).exits(20);
        let told = String::from_utf8_lossy(&run.stdout).into_owned() + &run.stderr;
        assert!(told.contains(code), "{at}: {told}");
    }
    let bad = flip("a.bkpz", 1_500_000);
    let json = with_seal(&sandbox, &["verify", &bad, "--json"]).exits(20).json();
    assert_eq!(json["archive"]["segments_damaged"], 1);
    assert_eq!(json["archive"]["members_damaged"], 1);
    let json = with_seal(&sandbox, &["unpack", &bad, "-o", "out", "--json"]).exits(3).json();
    assert_eq!(
        (&json["failed"], &json["problems"][0]["code"]),
        (&1.into(), &"sealed-segment".into())
    );
    let short = |name: &str, len: usize| {
        let bytes = fs::read(sandbox.path(name)).unwrap();
        sandbox.file("short", &bytes[..len]);
    };
    for (len, code) in
        [(10, "sealed-truncated"), (1 << 20, "sealed-truncated"), (len - 1, "sealed-last-segment")]
    {
        // The stream begins behind the header.
        short("a.bkpz", if len == 1 << 20 { (1 << 20) + 88 } else { len });
        for command in [&["verify", "short"][..], &["ls", "short"]] {
            with_seal(&sandbox, command).exits(20).says(code);
        }
    }
    // In a zip the member's checksum is another.
    let bad = flip("a.zip", 1_500_000);
    let json = sandbox.run(&["verify", &bad, "--json"]).exits(20).json();
    assert_eq!(json["by_code"][0]["code"], "zip-damaged");
    let len = fs::read(sandbox.path("a.zip")).unwrap().len();
    short("a.zip", len - 30);
    sandbox.run(&["verify", "short"]).exits(20).says("zip-damaged");
    sandbox.run(&["ls", "short"]).exits(20).says("zip-damaged");
    sandbox.file("short", "no archive at all");
    sandbox.run(&["unpack", "short", "-o", "out2"]).exits(10);
    sandbox.run(&["unpack", "backup", "-o", "out2"]).exits(10).says("not-an-archive");
}

/// A damaged catalog in a sealed archive is damage of the archive, whatever reads it.
#[test]
fn a_catalog_in_a_changed_segment() {
    let sandbox = sandbox();
    sandbox.bundle(&cases::plain_db());
    with_seal(&sandbox, &["pack", "backup", "-o", "a.bkpz"]).exits(0);
    // A second, so that the property lists are in another segment than the directory.
    let spec = cases::plain_db().with(|spec| {
        spec.entries.push(EntrySpec::noise("MediaDomain", "Media/big.bin", 3_000_000));
    });
    fs::remove_dir_all(sandbox.path("backup")).unwrap();
    sandbox.bundle(&spec);
    with_seal(&sandbox, &["pack", "backup", "-o", "b.bkpz"]).exits(0);
    let mut bytes = fs::read(sandbox.path("b.bkpz")).unwrap();
    bytes[500] ^= 1;
    sandbox.file("b.bkpz", bytes);
    for command in [&["ls", "b.bkpz"][..], &["verify", "b.bkpz"], &["inspect", "b.bkpz"]] {
        with_seal(&sandbox, command).exits(20).says("sealed-segment");
    }
}

/// One member of a zip, for headers that say what they like.
fn zip_of(name: &str, mode: u32, content: &[u8], len: u32) -> Vec<u8> {
    let crc = crc32(content).to_le_bytes();
    let stored = u32::try_from(content.len()).unwrap().to_le_bytes();
    let name_len = u16::try_from(name.len()).unwrap().to_le_bytes();
    let mut sums = crc.to_vec();
    sums.extend(stored);
    sums.extend(len.to_le_bytes());
    let mut zip = b"PK\x03\x04\x14\0\0\0\0\0\0\0\x21\0".to_vec();
    zip.extend(&sums);
    zip.extend(name_len);
    zip.extend([0; 2]);
    zip.extend(name.as_bytes());
    zip.extend(content);
    let start = u32::try_from(zip.len()).unwrap();
    zip.extend(b"PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0\x21\0");
    zip.extend(&sums);
    zip.extend(name_len);
    zip.extend([0; 8]);
    zip.extend((mode << 16).to_le_bytes());
    zip.extend([0; 4]);
    zip.extend(name.as_bytes());
    let directory = u32::try_from(zip.len()).unwrap() - start;
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend(directory.to_le_bytes());
    zip.extend(start.to_le_bytes());
    zip.extend([0; 2]);
    zip
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

#[test]
fn hostile_zips_are_refused_at_once() {
    let sandbox = sandbox();
    let member = |name: &str, mode| zip_of(name, mode, b"x", 1);
    // Sound so far.
    sandbox.file("bad.zip", member("Manifest.plist", 0o100_600));
    sandbox.run(&["unpack", "bad.zip", "-o", "sound"]).exits(0);
    let mut many = member("Manifest.plist", 0o100_600);
    let end = many.len() - 22;
    many.splice(end + 8..end + 12, [0xfe; 4]);
    for (code, zip) in [
        ("zip-traversal", member("../Manifest.plist", 0o100_600)),
        ("zip-traversal", member("/etc/passwd", 0o100_600)),
        ("zip-special-file", member("Manifest.plist", 0o120_777)),
        ("zip-lying-size", zip_of("Manifest.plist", 0o100_600, b"x", 1 << 30)),
        ("zip-lying-size", many),
    ] {
        sandbox.file("bad.zip", zip);
        for command in
            [&["unpack", "bad.zip", "-o", "out"][..], &["ls", "bad.zip"], &["verify", "bad.zip"]]
        {
            let begun = Instant::now();
            sandbox.run(command).exits(21).says(code);
            assert!(begun.elapsed() < Duration::from_secs(1), "{code}");
        }
    }
    assert!(!sandbox.path("out").exists());
}

/// A payload that is missing is told of, and the rest is packed.
#[test]
fn a_missing_payload_is_listed() {
    let sandbox = sandbox();
    sandbox.bundle(&cases::plain_db());
    let blob = files(&sandbox.path("backup")).into_keys().find(|name| name.iter().count() == 2);
    fs::remove_file(sandbox.path("backup").join(blob.unwrap())).unwrap();
    for rules in [&[][..], &["--include", "**"]] {
        let args = ["pack", "backup", "-o", "a.zip", "--overwrite", "--verify", "--json"];
        let json = sandbox.run(&[&args[..], rules].concat()).exits(3).json();
        let count = |name: &str| json[name].as_u64().unwrap();
        assert_eq!(count("listed"), count("done") + count("skipped") + count("failed"));
        assert_eq!((count("failed"), &json["problems"][0]["code"]), (1, &"missing-blob".into()));
        assert!(json["problems"][0]["relative_path"].is_string());
        let record = fs::read(sandbox.path("a.zip.bkp-run.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert_eq!(record["items"][0]["code"], "missing-blob");
        let json = sandbox.run(&["verify", "a.zip", "--json"]).exits(20).json();
        assert_eq!(json["by_code"][0]["code"], "missing-blob");
    }
}

/// A sealed archive and what lies beside it tell nothing of what is in it, and nothing tells a
/// password or a key.
#[test]
fn nothing_secret_beside_the_archive() {
    let content = "canary-content-51e7";
    let name = "canary-name-0c9b";
    let sandbox = Sandbox::new();
    let spec: BundleSpec = cases::plain_db().with(|spec| {
        spec.entries.push(EntrySpec::file("HomeDomain", format!("Library/{name}.txt"), content));
    });
    sandbox.bundle(&spec);
    let blob = bkp_testkit::file_id("HomeDomain", format!("Library/{name}.txt"));
    let key: Vec<u8> = (0..32).map(|n| 0x81 ^ (n * 5)).collect();
    let (seal_dir, key_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (seal, key_file) = (seal_dir.path().join("seal"), key_dir.path().join("key"));
    fs::write(&seal, SEAL).unwrap();
    fs::write(&key_file, &key).unwrap();
    let (seal, key_file) = (seal.to_str().unwrap(), key_file.to_str().unwrap());
    let mut printed = Vec::new();
    for args in [
        ["pack", "backup", "-o", "a.bkpz", "--verify", "--json", "--seal-password-file", seal],
        ["pack", "backup", "-o", "k.bkpz", "--verify", "--json", "--seal-key-file", key_file],
    ] {
        let run = sandbox.run(&args).exits(0);
        printed.extend(run.stdout);
        printed.extend(run.stderr.into_bytes());
        let args = ["inspect", args[3], args[6], args[7]];
        printed.extend(sandbox.run(&args).exits(0).stderr.into_bytes());
    }
    // It is found where it is.
    let plain: Vec<u8> = files(&sandbox.path("backup")).into_values().flatten().collect();
    assert!(memchr::memmem::find(&plain, content.as_bytes()).is_some());
    fs::remove_dir_all(sandbox.path("backup")).unwrap();
    let hex = bkp_testkit::hex(&key);
    let left = files(&sandbox.path(""));
    assert_eq!(left.len(), 4, "{:?}", left.keys());
    for (path, bytes) in left.into_iter().chain([("output".into(), printed)]) {
        for secret in [
            content.as_bytes(),
            name.as_bytes(),
            blob.as_bytes(),
            SEAL.as_bytes(),
            &key,
            hex.as_bytes(),
        ] {
            let found = memchr::memmem::find(&bytes, secret);
            assert!(found.is_none(), "{} in {}", secret.escape_ascii(), path.display());
        }
    }
}

#[test]
fn standard_output_holds_the_archive_alone() {
    let sandbox = sandbox();
    sandbox.bundle(&cases::plain_db());
    let run = sandbox.run(&["pack", "backup", "-o", "-", "--json"]).exits(0);
    assert_eq!(run.error()["kind"], "pack");
    sandbox.file("a.zip", &run.stdout);
    sandbox.run(&["verify", "a.zip"]).exits(0);
    let sealed = with_seal(&sandbox, &["pack", "backup", "-o", "-"]).exits(0);
    sandbox.file("a.bkpz", &sealed.stdout);
    with_seal(&sandbox, &["verify", "a.bkpz"]).exits(0);
    // A reader that goes away.
    let mut child = sandbox
        .command(["pack", "backup", "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_dry_run_writes_nothing() {
    let sandbox = sandbox();
    sandbox.bundle(&cases::plain_db());
    let pack = sandbox.run(&["pack", "backup", "-o", "a.bkpz", "-n", "--json"]).exits(0).json();
    assert_eq!((&pack["dry_run"], &pack["form"]), (&true.into(), &"sealed".into()));
    assert!(!sandbox.path("a.bkpz").exists() && !sandbox.path("a.bkpz.bkp-run.json").exists());
    sandbox.run(&["pack", "backup", "-o", "a.zip"]).exits(0);
    let json = sandbox.run(&["unpack", "a.zip", "-o", "out", "-n", "--json"]).exits(0).json();
    assert_eq!((&json["files"], &json["bytes"]), (&pack["members"], &pack["member_bytes"]));
    assert!(!sandbox.path("out").exists() && !sandbox.path("out.bkp-run.json").exists());
}

#[test]
fn archives_are_listed() {
    let sandbox = sandbox();
    sandbox.bundle(&cases::plain_db());
    fs::create_dir(sandbox.path("shelf")).unwrap();
    sandbox.run(&["pack", "backup", "-o", "shelf/a.zip"]).exits(0);
    with_seal(&sandbox, &["pack", "backup", "-o", "shelf/b.bkpz"]).exits(0);
    sandbox.file("shelf/none.zip", "not a zip");
    // A zip of something else.
    sandbox.file("shelf/photos.zip", zip_of("photo.jpg", 0o100_644, b"x", 1));
    let json = sandbox.run(&["list", "shelf", "--json"]).exits(0).json();
    let backups = json["backups"].as_array().unwrap();
    let of = |n: usize, key: &str| backups[n][key].clone();
    assert_eq!(backups.len(), 2);
    assert_eq!((of(0, "path"), of(0, "encrypted")), ("shelf/a.zip".into(), false.into()));
    assert_eq!((of(1, "path"), of(1, "encrypted")), ("shelf/b.bkpz".into(), true.into()));
    let json = sandbox.run(&["list", "shelf/a.zip", "--size", "--json"]).exits(0).json();
    let len = fs::metadata(sandbox.path("shelf/a.zip")).unwrap().len();
    assert_eq!(json["backups"][0]["size"], len);
}

/// The archives of the first version open for ever.
#[test]
fn archives_of_version_1() {
    let sandbox = Sandbox::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let key: Vec<u8> = (0..32).collect();
    sandbox.file("key", key).file("seal", "correct horse battery staple\n");
    let expected = files(&fixtures.join("encrypted-mbdb"));
    for (n, (name, option)) in [
        ("v1.zip", [].as_slice()),
        ("v1-key-file.bkpz", &["--seal-key-file", "key"]),
        ("v1-small-segments.bkpz", &["--seal-key-file", "key"]),
        ("v1-password.bkpz", &["--seal-password-file", "seal"]),
    ]
    .into_iter()
    .enumerate()
    {
        let archive = fixtures.join("archives").join(name);
        let out = format!("out{n}");
        let args = ["unpack", archive.to_str().unwrap(), "-o", &out];
        sandbox.run(&[&args[..], option].concat()).exits(0);
        assert!(files(&sandbox.path(out)) == expected, "{name}");
        let args = ["verify", archive.to_str().unwrap()];
        sandbox.run(&[&args[..], option].concat()).exits(0);
    }
    let mut child = sandbox
        .command(["unpack", "/dev/stdin", "-o", "x"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A pipe cannot be read at any place.
    let _ = child.stdin.take().unwrap().write_all(b"PK\x03\x04");
    assert_eq!(child.wait().unwrap().code(), Some(10));
}
