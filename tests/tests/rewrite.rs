//! `bkp encrypt`, `decrypt`, `rekey` and `filter`: bundles made of bundles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bkp_bundle::{Backup, Limits, Opened, Storage, Unlocked};
use bkp_core::Source as _;
use bkp_crypto::Passphrase;
use bkp_testkit::{BundleSpec, EntrySpec, Stored, cases};
use serde_json::Value;

use crate::sandbox::{Run, Sandbox, tree};

/// The password that bundles get here.
pub(crate) const NEW: &str = "another-9b2e-Pässwörd";

/// Opens a bundle with the library, for what the program does not tell.
pub(crate) fn open(path: &Path, password: Option<&str>) -> Backup<Unlocked> {
    match Opened::open(Storage::directory(path).unwrap(), Limits::default()).unwrap() {
        Opened::Unlocked(backup) => {
            assert_eq!(password, None, "{} is not encrypted", path.display());
            backup
        }
        Opened::Locked(backup) => {
            let password = Passphrase::new(password.expect("it is encrypted").into());
            backup.unlock(&password, &mut |_| ControlFlow::Continue(())).unwrap()
        }
    }
}

/// Every row of a catalog as it is there, by fileID: names, and the MBFile blob or the record.
pub(crate) fn rows(path: &Path, password: Option<&str>) -> BTreeMap<String, (String, Vec<u8>)> {
    let backup = open(path, password);
    let rows = backup.records().unwrap().map(|record| {
        let entry = bkp_core::Entry::from(record.unwrap());
        (entry.id.to_string(), (entry.to_string(), entry.raw.unwrap_or_default().to_vec()))
    });
    rows.collect()
}

/// SHA-256 of every file that can be read, by `DOMAIN:PATH`.
fn contents(sandbox: &Sandbox, bundle: &str, password: Option<&str>) -> BTreeMap<String, String> {
    let out = format!("{bundle}-hashed-{}", password.is_some());
    let mut args = vec!["extract", bundle, "-o", &out, "--hash", "--names", "hashed"];
    if let Some(password) = password {
        sandbox.file("contents-password", password);
        args.extend(["--password-file", "contents-password"]);
    }
    let run = sandbox.run(&args);
    assert!([0, 3, 4].contains(&run.code), "{}", run.stderr);
    let record = fs::read(sandbox.path(format!("{out}.bkp-run.json"))).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    fs::remove_dir_all(sandbox.path(&out)).unwrap();
    let text = |file: &Value, name: &str| file[name].as_str().unwrap().to_owned();
    let files = record["files"].as_array().unwrap();
    files.iter().map(|file| (text(file, "file_id"), text(file, "sha256"))).collect()
}

/// Fails unless `verify --read-data` finds nothing wrong. Of a backup in plaintext it may say that
/// it holds what belongs into an encrypted one.
#[track_caller]
fn sound(sandbox: &Sandbox, bundle: &str, password: Option<&str>) {
    let mut args = vec!["verify", bundle, "--read-data", "--json"];
    if let Some(password) = password {
        sandbox.file("sound-password", password);
        args.extend(["--password-file", "sound-password"]);
    }
    let run = sandbox.run(&args);
    let json = run.json();
    assert_eq!(json["ok"], true);
    let problems = json["problems"].as_array().unwrap();
    let code = |problem: &Value| problem["code"].as_str().unwrap().to_owned();
    let exposed = |problem: &Value| code(problem).starts_with("exposed-");
    assert!(problems.iter().all(|found| password.is_none() && exposed(found)), "{problems:?}");
    run.exits(if problems.is_empty() { 0 } else { 4 });
}

/// Runs a command with the old password, the new one or both.
fn rewrite(sandbox: &Sandbox, args: &[&str], old: bool, new: bool) -> Run {
    sandbox.file("old", cases::PASSWORD).file("new", NEW);
    let mut args = args.to_vec();
    if old {
        args.extend(["--password-file", "old"]);
    }
    if new {
        args.extend(["--new-password-file", "new"]);
    }
    sandbox.run(&args)
}

#[track_caller]
fn accounted(json: &Value) {
    let count = |name: &str| json[name].as_u64().unwrap_or_else(|| panic!("{name}"));
    assert_eq!(count("listed"), count("done") + count("skipped") + count("failed"));
}

#[test]
fn encrypt_and_decrypt_give_everything_back() {
    let sandbox = Sandbox::new();
    for (n, spec) in [cases::plain_db(), cases::plain_mbdb()].iter().enumerate() {
        let (plain, locked, back) = (format!("p{n}"), format!("e{n}"), format!("d{n}"));
        sandbox.bundle_at(&plain, spec);
        let before = tree(&sandbox.path(&plain));
        let args = ["encrypt", &plain, "-o", &locked, "--json", "--kdf-iterations", "100"];
        let json = rewrite(&sandbox, &args, false, true).exits(0).json();
        assert_eq!((&json["kind"], &json["restorable"]), (&"encrypt".into(), &true.into()));
        accounted(&json);
        sound(&sandbox, &locked, Some(NEW));
        let inspected = sandbox.run(&["inspect", &locked, "--json"]).exits(0).json();
        assert_eq!(inspected["encrypted"], true);
        let originals = contents(&sandbox, &plain, None);
        assert!(!originals.is_empty());
        assert_eq!(contents(&sandbox, &locked, Some(NEW)), originals);

        sandbox.file("new", NEW);
        let args = ["decrypt", &locked, "-o", &back, "--json", "--password-file", "new"];
        let json = sandbox.run(&args).exits(0).json();
        accounted(&json);
        sound(&sandbox, &back, None);
        assert_eq!(contents(&sandbox, &back, None), originals);
        assert_eq!(rows(&sandbox.path(&back), None), rows(&sandbox.path(&plain), None));
        assert_eq!(tree(&sandbox.path(&plain)), before, "the source was changed");
        for name in ["Info.plist", "Status.plist"] {
            let bytes = |bundle: &str| fs::read(sandbox.path(bundle).join(name)).unwrap();
            assert_eq!(bytes(&back), bytes(&plain), "{name}");
        }
    }
}

#[test]
fn encryption_leaves_no_plaintext() {
    let sandbox = Sandbox::new();
    let canary = b"canary-content-5c1a-canary".repeat(100).to_vec();
    let spec = cases::plain_db().with(|spec| {
        spec.entries.push(EntrySpec::file(
            "HomeDomain",
            "Library/canary-name-77e1",
            canary.clone(),
        ));
    });
    sandbox.bundle_at("plain", &spec);
    let args = ["encrypt", "plain", "-o", "locked", "--kdf-iterations", "100"];
    rewrite(&sandbox, &args, false, true).exits(0);
    for path in files(&sandbox.path("locked")) {
        let bytes = fs::read(&path).unwrap();
        for needle in [&b"canary-content"[..], b"canary-name", NEW.as_bytes()] {
            assert!(!holds(&bytes, needle), "{}", path.display());
        }
    }
    let record = fs::read(sandbox.path("locked.bkp-run.json")).unwrap();
    assert!(!holds(&record, NEW.as_bytes()));
}

#[test]
fn decrypt_says_what_becomes_of_the_keychain() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&crate::keychain::bundle(true, &crate::keychain::sound()));
    let args = ["decrypt", "backup", "-o", "plain", "--json"];
    let json = rewrite(&sandbox, &args, true, false).exits(0).json();
    let (bound, exposed) = (&json["keychain"]["device_bound"], &json["keychain"]["exposed"]);
    assert!(bound.as_u64().unwrap() > 0 && exposed.as_u64().unwrap() > 0, "{json}");
    let text = rewrite(&sandbox, &["decrypt", "backup", "-o", "again"], true, false).exits(0);
    assert!(text.text().contains("keychain items are bound to the device"), "{}", text.text());
    // The items themselves are as they were.
    let listed = |args: &[&str]| sandbox.run(args).exits(0).json()["items"].clone();
    let before = listed(&["keychain", "backup", "--json", "--password-file", "old"]);
    assert_eq!(listed(&["keychain", "plain", "--json"]), before);
}

#[test]
fn rekey_there_and_back() {
    let sandbox = Sandbox::new();
    for (n, spec) in [cases::encrypted_db(100), cases::encrypted_mbdb()].iter().enumerate() {
        for full in [&[][..], &["--full"]] {
            let name = |what: &str| format!("{what}{n}{}", full.len());
            let (source, there, back) = (name("s"), name("t"), name("b"));
            sandbox.bundle_at(&source, spec);
            let originals = contents(&sandbox, &source, Some(cases::PASSWORD));
            let before = tree(&sandbox.path(&source));
            let args = [&["rekey", &source, "-o", &there, "--json"], full].concat();
            let json = rewrite(&sandbox, &args, true, true).exits(0).json();
            assert_eq!(json["restorable"], true);
            accounted(&json);
            sound(&sandbox, &there, Some(NEW));
            // The old password is wrong now.
            sandbox.run_unlocked(&["ls", &there]).exits(12);
            sandbox.run_unlocked(&["verify", &there, "--read-data"]).exits(12);
            assert_eq!(contents(&sandbox, &there, Some(NEW)), originals);
            let kept = |path: &str| fs::read(sandbox.path(&source).join(path)).unwrap();
            let made = |path: &str| fs::read(sandbox.path(&there).join(path)).unwrap();
            let mut same = 0;
            for path in files(&sandbox.path(&source)) {
                let path = path.strip_prefix(sandbox.path(&source)).unwrap().to_str().unwrap();
                same += usize::from(kept(path) == made(path));
                if full.is_empty() {
                    assert_eq!(kept(path) == made(path), path != "Manifest.plist", "{path}");
                }
            }
            // Under fresh keys nothing stays but Info.plist and Status.plist.
            assert!(full.is_empty() || same == 2, "{same} files are the same");

            sandbox.file("new", NEW).file("old", cases::PASSWORD);
            let passwords = ["--password-file", "new", "--new-password-file", "old"];
            let args = [&["rekey", &there, "-o", &back][..], &passwords, full].concat();
            sandbox.run(&args).exits(0);
            sound(&sandbox, &back, Some(cases::PASSWORD));
            assert_eq!(contents(&sandbox, &back, Some(cases::PASSWORD)), originals);
            assert_eq!(tree(&sandbox.path(&source)), before, "the source was changed");
        }
    }
}

#[test]
fn a_filter_of_everything_is_the_same_set() {
    let sandbox = Sandbox::new();
    for (n, (spec, password)) in every_kind().into_iter().enumerate() {
        let (source, all, twice) = (format!("s{n}"), format!("a{n}"), format!("t{n}"));
        sandbox.bundle_at(&source, &spec);
        let before = tree(&sandbox.path(&source));
        for (from, to) in [(&source, &all), (&all, &twice)] {
            let args = ["filter", from, "-o", to, "--json"];
            let json = rewrite(&sandbox, &args, password.is_some(), false).exits(0).json();
            assert_eq!(json["skipped"], 0);
            assert_eq!(json["restorable"], true);
            accounted(&json);
        }
        assert_eq!(tree(&sandbox.path(&source)), before, "the source was changed");
        let originals = rows(&sandbox.path(&source), password);
        for bundle in [&all, &twice] {
            sound(&sandbox, bundle, password);
            assert_eq!(rows(&sandbox.path(bundle), password), originals);
            for path in files(&sandbox.path(&source)) {
                let path = path.strip_prefix(sandbox.path(&source)).unwrap().to_owned();
                let bytes = |bundle: &str| fs::read(sandbox.path(bundle).join(&path)).unwrap();
                let name = path.to_str().unwrap();
                if !name.starts_with("Manifest.") {
                    assert_eq!(bytes(bundle), bytes(&source), "{name}");
                }
            }
        }
    }
}

#[test]
fn a_filtered_bundle_holds_nothing_of_what_was_left_out() {
    let sandbox = Sandbox::new();
    for (n, (spec, password)) in every_kind().into_iter().enumerate() {
        let (source, out, twice) = (format!("s{n}"), format!("f{n}"), format!("g{n}"));
        sandbox.bundle_at(&source, &spec);
        let rules = ["--exclude", "AppDomain-*", "--exclude", "HomeDomain:Library/SMS"];
        let args = [&["filter", &source, "-o", &out, "--json"][..], &rules].concat();
        let run = rewrite(&sandbox, &args, password.is_some(), false);
        let json = run.exits(0).json();
        assert!(json["skipped"].as_u64().unwrap() > 0);
        accounted(&json);
        sound(&sandbox, &out, password);
        let (all, kept) =
            (rows(&sandbox.path(&source), password), rows(&sandbox.path(&out), password));
        assert!(kept.len() < all.len() && !kept.is_empty());
        for (id, row) in &kept {
            assert_eq!(all.get(id), Some(row));
        }
        nothing_left(&sandbox.path(&source), &sandbox.path(&out), password);
        // Once is enough.
        let args = [&["filter", &out, "-o", &twice][..], &rules].concat();
        let run = rewrite(&sandbox, &args, password.is_some(), false);
        // The rules match nothing any more, which is a warning.
        run.exits(4);
        assert_eq!(rows(&sandbox.path(&twice), password), kept);
    }
}

/// Fails if anything of what `out` lacks of `source` can be found in `out`: names, fileIDs,
/// wrapped keys, payloads, and all of it in the decrypted catalog as well.
pub(crate) fn nothing_left(source: &Path, out: &Path, password: Option<&str>) {
    let removed: Vec<_> = {
        let (all, kept) = (rows(source, password), rows(out, password));
        all.into_iter().filter(|(id, _)| !kept.contains_key(id)).collect()
    };
    assert!(!removed.is_empty());
    let kept: BTreeSet<String> = rows(out, password).into_values().map(|(name, _)| name).collect();
    let mut needles: Vec<Vec<u8>> = Vec::new();
    for (id, (name, blob)) in &removed {
        needles.push(id.as_bytes().to_vec());
        needles.push(
            (0..20).map(|n| u8::from_str_radix(&id[2 * n..2 * n + 2], 16).unwrap()).collect(),
        );
        let (domain, path) = name.split_once(':').unwrap();
        if !kept.iter().any(|name| name.contains(path)) && path.len() > 3 {
            needles.push(path.as_bytes().to_vec());
        }
        if !kept.iter().any(|name| name.starts_with(domain)) {
            needles.push(domain.as_bytes().to_vec());
            let id = domain.strip_prefix("AppDomain-");
            let id = id.filter(|id| !kept.iter().any(|name| name.contains(id)));
            needles.extend(id.map(|id| id.as_bytes().to_vec()));
        }
        // A wrapped key of 44 bytes begins with its class, and its length stands before it.
        let key = |w: &[u8]| w[0] == 44 && (1..=4).contains(&w[1]) && w[2..] == [0, 0, 0];
        if let Some(at) = blob.windows(5).position(key) {
            needles.push(blob[at + 5..at + 45].to_vec());
        }
    }
    let catalog = open(out, password);
    let stored = files(out).into_iter().map(|path| (path.clone(), fs::read(path).unwrap()));
    let rows = catalog.records().unwrap().map(|record| {
        let entry = bkp_core::Entry::from(record.unwrap());
        (PathBuf::from(entry.to_string()), entry.raw.unwrap_or_default().to_vec())
    });
    let decrypted = password.and_then(|_| decrypted_catalog(out, &catalog));
    for (path, bytes) in stored.chain(rows).chain(decrypted) {
        for needle in &needles {
            assert!(!holds(&bytes, needle), "{} holds {}", path.display(), needle.escape_ascii());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(!removed.iter().any(|(id, _)| *id == name), "{name} is still there");
    }
}

/// The catalog as it is under its encryption.
fn decrypted_catalog(bundle: &Path, backup: &Backup<Unlocked>) -> Option<(PathBuf, Vec<u8>)> {
    let wrapped = backup.bundle().manifest().manifest_key.clone()?;
    let wrapped = bkp_crypto::WrappedFileKey::parse(&wrapped).unwrap();
    let key = backup.class_keys().unwrap().unwrap(wrapped.class, &wrapped.key).unwrap();
    let mut bytes = fs::read(bundle.join("Manifest.db")).unwrap();
    bkp_crypto::decrypt_in_place(&key, &mut bytes);
    assert!(bytes.starts_with(b"SQLite format 3\0"));
    Some((PathBuf::from("the decrypted catalog"), bytes))
}

#[test]
fn filter_commutes_with_decrypt() {
    let sandbox = Sandbox::new();
    for (n, spec) in [cases::encrypted_db(100), cases::encrypted_mbdb()].iter().enumerate() {
        let [s, f, fd, d, df] = ["s", "f", "fd", "d", "df"].map(|what| format!("{what}{n}"));
        sandbox.bundle_at(&s, spec);
        let rules = ["--exclude", "CameraRollDomain"];
        let args = [&["filter", &s, "-o", &f][..], &rules].concat();
        rewrite(&sandbox, &args, true, false).exits(0);
        rewrite(&sandbox, &["decrypt", &f, "-o", &fd], true, false).exits(0);
        rewrite(&sandbox, &["decrypt", &s, "-o", &d], true, false).exits(0);
        let args = [&["filter", &d, "-o", &df][..], &rules].concat();
        sandbox.run(&args).exits(0);
        let (one, other) = (sandbox.path(fd), sandbox.path(df));
        assert_eq!(rows(&one, None), rows(&other, None));
        let blobs = |root: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
            let under = |path: PathBuf| (path.strip_prefix(root).unwrap().to_owned(), path);
            let all = files(root).into_iter().map(under);
            // The two keybags have salts of their own.
            let all = all.filter(|(name, _)| name.to_str() != Some("Manifest.plist"));
            all.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
        };
        assert_eq!(blobs(&one), blobs(&other));
    }
}

#[test]
fn missing_payloads_are_named_and_nothing_is_called_restorable() {
    let sandbox = Sandbox::new();
    let spec = cases::encrypted_db(100).with(|spec| {
        let entry = EntrySpec::file("HomeDomain", "Library/lost.txt", "gone")
            .with(|entry| entry.stored = Stored::Missing);
        spec.entries.push(entry);
    });
    sandbox.bundle(&spec);
    let all = rows(&sandbox.path("backup"), Some(cases::PASSWORD));
    for (command, new) in [("filter", false), ("rekey", true), ("decrypt", false)] {
        let args = [command, "backup", "-o", command, "--json"];
        let run = rewrite(&sandbox, &args, true, new).exits(3);
        let json = run.json();
        assert_eq!((&json["restorable"], &json["failed"]), (&false.into(), &1.into()));
        assert_eq!(json["without_payload"], 1);
        assert_eq!(json["problems"][0]["code"], "missing-blob");
        assert_eq!(json["problems"][0]["relative_path"], "Library/lost.txt");
        accounted(&json);
        // The row is kept, and says what is missing.
        let password = match command {
            "filter" => Some(cases::PASSWORD),
            "rekey" => Some(NEW),
            _ => None,
        };
        let kept = rows(&sandbox.path(command), password);
        assert_eq!(kept.keys().collect::<Vec<_>>(), all.keys().collect::<Vec<_>>());
        let text = rewrite(&sandbox, &[command, "backup", "-o", "x"], true, new).exits(3);
        assert!(text.text().contains("not restorable: 1 files"), "{}", text.text());
        fs::remove_dir_all(sandbox.path("x")).unwrap();
    }
    // Without it, the rest is.
    let args = ["filter", "backup", "-o", "rest", "--exclude", "HomeDomain:Library/lost.txt"];
    let json = rewrite(&sandbox, &[&args[..], &["--json"]].concat(), true, false).exits(0).json();
    assert_eq!(json["restorable"], true);
}

#[test]
fn what_stays_behind_is_told() {
    let sandbox = Sandbox::new();
    sandbox.bundle(&cases::encrypted_db(100));
    let orphan = "00/00112233445566778899aabbccddeeff00112233";
    fs::create_dir_all(sandbox.path("backup/00")).unwrap();
    sandbox.file("backup/homeScreen.png", "png").file(&format!("backup/{orphan}"), "orphan");
    let args = ["rekey", "backup", "-o", "out", "--json"];
    let json = rewrite(&sandbox, &args, true, true).exits(0).json();
    assert_eq!(json["foreign_files"], serde_json::json!(["homeScreen.png"]));
    assert_eq!(json["orphan_blobs"], 1);
    assert!(!sandbox.path("out").join(orphan).exists());
    let text = rewrite(&sandbox, &["rekey", "backup", "-o", "x"], true, true).exits(0);
    assert!(text.text().contains("homeScreen.png and 0 more"), "{}", text.text());
    assert!(text.text().contains("1 stored files that no row names"), "{}", text.text());
}

#[test]
fn destinations_that_cannot_be_right_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("plain", &cases::plain_db());
    sandbox.bundle_at("locked", &cases::encrypted_db(100));
    fs::create_dir(sandbox.path("full")).unwrap();
    sandbox.file("full/mine", "");
    std::os::unix::fs::symlink("locked", sandbox.path("link")).unwrap();
    let before = tree(&sandbox.path("."));
    for (command, source, new) in [
        ("filter", "locked", false),
        ("decrypt", "locked", false),
        ("rekey", "locked", true),
        ("encrypt", "plain", true),
    ] {
        let args = |out: &'static str| [command, source, "-o", out];
        let old = source == "locked";
        let at = |out| rewrite(&sandbox, &args(out), old, new);
        at("full").exits(30).says("destination-not-empty");
        at(source).exits(30).says("destination-is-source");
        let inside = if old { "locked/new" } else { "plain/new" };
        at(inside).exits(30).says("destination-is-source");
        if old {
            at("link").exits(30).says("destination-is-source");
            at("link/deep/er").exits(30).says("destination-is-source");
        }
        at("nowhere/out").exits(1).says("parent-missing");
    }
    rewrite(&sandbox, &["encrypt", "locked", "-o", "x"], false, true).exits(2);
    rewrite(&sandbox, &["decrypt", "plain", "-o", "x"], true, false).exits(2).says("not-encrypted");
    rewrite(&sandbox, &["rekey", "plain", "-o", "x"], true, true).exits(2).says("not-encrypted");
    fs::remove_file(sandbox.path("old")).unwrap();
    fs::remove_file(sandbox.path("new")).unwrap();
    let after: Vec<String> = tree(&sandbox.path("."));
    // The folder's own time changed with the password files.
    assert_eq!(after.len(), before.len());
    assert_eq!(after[1..], before[1..]);
}

#[test]
fn an_empty_new_password_has_to_be_said_twice() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("plain", &cases::plain_db()).udid.clear();
    sandbox.file("empty", "\n");
    let base = ["encrypt", "plain", "-o", "out", "--kdf-iterations", "10"];
    let run = |more: &[&str]| sandbox.run(&[&base[..], more].concat());
    run(&["--new-password-file", "empty"]).exits(13).says("password-empty");
    run(&["--new-password-empty"]).exits(2).says("password-empty");
    run(&[]).exits(13).says("password-needed");
    assert!(!sandbox.path("out").exists());
    run(&["--new-password-empty", "--new-password-empty"]).exits(0);
    sandbox.run(&["ls", "out", "--password-empty"]).exits(0);
    sandbox.run(&["ls", "out"]).exits(13);
    let twice = ["rekey", "out", "-o", "x", "--password-file", "-", "--new-password-file", "-"];
    sandbox.run_with_stdin(&twice, b"a\nb\n").exits(2);
}

#[test]
fn a_dry_run_writes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("plain", &cases::plain_db());
    sandbox.bundle_at("locked", &cases::encrypted_db(100));
    sandbox.file("old", cases::PASSWORD).file("new", NEW);
    let before = tree(&sandbox.path("."));
    for (command, source) in
        [("filter", "locked"), ("decrypt", "locked"), ("rekey", "locked"), ("encrypt", "plain")]
    {
        let mut args = vec![command, source, "-o", "out", "--dry-run", "--json"];
        if source == "locked" {
            args.extend(["--password-file", "old"]);
        }
        let json = sandbox.run(&args).exits(0).json();
        assert_eq!((&json["dry_run"], &json["restorable"]), (&true.into(), &Value::Null));
        assert_eq!((&json["schema_version"], &json["kind"]), (&1.into(), &command.into()));
        accounted(&json);
    }
    assert_eq!(tree(&sandbox.path(".")), before);
}

#[test]
fn hard_links_only_when_asked_for() {
    use std::os::unix::fs::MetadataExt as _;
    let sandbox = Sandbox::new();
    sandbox.bundle_at("locked", &cases::encrypted_db(100));
    let inodes = |bundle: &str| -> BTreeSet<u64> {
        let blobs = files(&sandbox.path(bundle)).into_iter();
        let blobs = blobs.filter(|path| path.parent() != Some(&sandbox.path(bundle)));
        blobs.map(|path| fs::metadata(path).unwrap().ino()).collect()
    };
    let args = ["filter", "locked", "-o", "copied", "--json"];
    let json = rewrite(&sandbox, &args, true, false).exits(0).json();
    assert_eq!(json["linked"], 0);
    assert!(inodes("copied").is_disjoint(&inodes("locked")));
    let args = ["filter", "locked", "-o", "linked", "--link", "--json"];
    let json = rewrite(&sandbox, &args, true, false).exits(0).json();
    assert_eq!(json["linked"], json["files"]);
    assert_eq!(inodes("linked"), inodes("locked"));
    let args = ["rekey", "locked", "-o", "rekeyed", "--link", "--json"];
    let json = rewrite(&sandbox, &args, true, true).exits(0).json();
    assert_eq!(json["linked"], json["files"]);
    sound(&sandbox, "rekeyed", Some(NEW));
}

#[test]
fn the_run_record_lists_what_was_left_out_and_what_was_made() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("locked", &cases::encrypted_db(100));
    let args = ["filter", "locked", "-o", "out", "--exclude", "CameraRollDomain", "--json"];
    let json = rewrite(&sandbox, &args, true, false).exits(0).json();
    let record = fs::read(sandbox.path("out.bkp-run.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["command"], "filter");
    let left_out = record["left_out"].as_array().unwrap();
    assert_eq!(left_out.len() as u64, json["skipped"].as_u64().unwrap());
    assert!(left_out.iter().all(|row| row["rule"].as_str().unwrap().contains("CameraRoll")));
    assert_eq!(record["output"]["manifest_sha256"], json["manifest_sha256"]);
    use sha2::{Digest as _, Sha256};
    let manifest = fs::read(sandbox.path("out/Manifest.db")).unwrap();
    assert_eq!(json["manifest_sha256"], bkp_testkit::hex(&Sha256::digest(manifest)));
}

#[test]
fn a_bad_rule_file_is_told_with_its_line() {
    let sandbox = Sandbox::new();
    sandbox.bundle_at("locked", &cases::encrypted_db(100));
    sandbox.file("rules", "# notes\n- HomeDomain\nwhat is this\n");
    let args = ["filter", "locked", "-o", "out", "--rules", "rules"];
    let run = rewrite(&sandbox, &args, true, false).exits(2).says("bad-rule-file");
    assert!(run.stderr.contains("line 3"), "{}", run.stderr);
    assert!(!sandbox.path("out").exists());
}

/// A bundle of each kind, with its password.
fn every_kind() -> Vec<(BundleSpec, Option<&'static str>)> {
    vec![
        (cases::plain_db(), None),
        (cases::encrypted_db(100), Some(cases::PASSWORD)),
        (cases::plain_mbdb(), None),
        (cases::encrypted_mbdb(), Some(cases::PASSWORD)),
    ]
}

/// Every regular file below a folder.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => open.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}
