//! What was left out of a backup is in no byte of it.
//!
//! Rows that SQLite deletes stay in its pages, so a filter that deletes rows leaves names and
//! keys behind. [`traces`] looks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use bkp_bundle::{Limits, MbFile, Mbdb, Opened, Storage};
use bkp_core::EntryKind;
use bkp_crypto::{Passphrase, WrappedFileKey, decrypt_in_place};
use memchr::memmem::Finder;

use crate::sandbox::Sandbox;

/// The shortest text that is looked for: ciphertext holds every shorter one sooner or later.
const SHORTEST: usize = 6;

/// What of the rows that were left out is still there.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// How many texts and keys were looked for.
    pub(crate) looked_for: usize,
    /// How many were not, because they are short or part of what was kept.
    pub(crate) passed_over: usize,
    /// What was found, and where.
    pub(crate) found: Vec<String>,
}

/// What a catalog says, and its bytes.
struct Catalog {
    /// By fileID in digits.
    rows: BTreeMap<String, Row>,
    /// The catalog, decrypted.
    image: Vec<u8>,
}

struct Row {
    domain: Vec<u8>,
    path: Vec<u8>,
    target: Vec<u8>,
    /// The wrapped key without its class.
    key: Option<Vec<u8>>,
    digest: Option<Vec<u8>>,
}

impl Catalog {
    fn read(backup: &Path, password: Option<&str>) -> Self {
        let opened = Opened::open(Storage::directory(backup).unwrap(), Limits::default()).unwrap();
        let backup = match opened {
            Opened::Unlocked(backup) => backup,
            Opened::Locked(backup) => {
                let password = password.expect("the backup is encrypted").to_owned();
                let mut go_on = |_| ControlFlow::Continue(());
                backup.unlock(&Passphrase::new(password.into()), &mut go_on).unwrap()
            }
        };
        let mut image = Vec::new();
        backup.bundle().stored_catalog().unwrap().read_to_end(&mut image).unwrap();
        let db = backup.catalog().format() == "manifest.db";
        if let (true, Some(key)) = (db, &backup.bundle().manifest().manifest_key) {
            let WrappedFileKey { class, key } = WrappedFileKey::parse(key).unwrap();
            let key = backup.class_keys().unwrap().unwrap(class, &key).unwrap();
            decrypt_in_place(&key, &mut image);
        }
        let rows = backup.catalog().records().map(|record| {
            let record = record.unwrap();
            let entry = record.as_ref();
            let target = match &entry.kind {
                EntryKind::Symlink(target) => target.to_vec(),
                _ => Vec::new(),
            };
            let key = entry.raw.as_deref().and_then(|raw| key_of(raw, db));
            let row = Row {
                domain: entry.domain.as_bytes().to_vec(),
                path: entry.path.as_bytes().to_vec(),
                target,
                key,
                digest: entry.digest.map(|digest| digest.to_vec()),
            };
            (entry.id.to_string(), row)
        });
        Self { rows: rows.collect(), image }
    }
}

/// The wrapped key in a row as it stands in the catalog.
fn key_of(raw: &[u8], db: bool) -> Option<Vec<u8>> {
    let key = if db {
        MbFile::parse(raw).unwrap().encryption_key?.to_vec()
    } else {
        let file = [&b"mbdb\x05\x00"[..], raw].concat();
        let record = Mbdb::parse(&file).unwrap().records().next()?.unwrap();
        record.encryption_key?.to_vec()
    };
    Some(key.get(4..)?.to_vec())
}

/// Looks in all of `output` for the names, fileIDs, keys and digests of the rows that `source` has
/// and `output` has not.
pub(crate) fn traces(source: (&Path, Option<&str>), output: (&Path, Option<&str>)) -> Traces {
    let (all, kept) = (Catalog::read(source.0, source.1), Catalog::read(output.0, output.1));
    let mut lawful = Vec::new();
    for (id, row) in &kept.rows {
        assert!(all.rows.contains_key(id), "{id} is not of the source");
        let Row { domain, path, target, key, digest } = row;
        let [key, digest] = [key, digest].map(|bytes| bytes.as_deref().unwrap_or_default());
        for text in [id.as_bytes(), domain, path, target, key, digest] {
            lawful.extend_from_slice(text);
            lawful.push(0);
        }
    }
    let mut wanted: BTreeSet<(&str, Vec<u8>)> = BTreeSet::new();
    for (id, row) in all.rows.iter().filter(|(id, _)| !kept.rows.contains_key(*id)) {
        let Row { domain, path, target, key, digest } = row;
        wanted.insert(("fileID", id.clone().into_bytes()));
        wanted.insert(("domain", domain.clone()));
        wanted.insert(("path", path.clone()));
        wanted.insert(("link target", target.clone()));
        wanted.insert(("key", key.clone().unwrap_or_default()));
        wanted.insert(("digest", digest.clone().unwrap_or_default()));
        // `AppDomain-com.example.app` is `com.example.app` in the property lists.
        if let Some(at) = domain.iter().position(|byte| *byte == b'-') {
            wanted.insert(("app", domain[at + 1..].to_vec()));
        }
    }
    let mut files = contents(output.0);
    files.insert("the catalog, decrypted".to_owned(), kept.image);
    let mut traces = Traces::default();
    for (what, bytes) in wanted.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let finder = Finder::new(bytes);
        if bytes.len() < SHORTEST || finder.find(&lawful).is_some() {
            traces.passed_over += 1;
            continue;
        }
        traces.looked_for += 1;
        for (name, content) in &files {
            if finder.find(content).is_some() || finder.find(name.as_bytes()).is_some() {
                traces.found.push(format!("{what} {} in {name}", bytes.escape_ascii()));
            }
        }
    }
    traces
}

/// The bytes of all files below a folder, by their names.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            found.insert(name.to_owned(), fs::read(&path).unwrap());
        }
    }
    found
}

/// The search finds what a filter leaves that deletes rows, and nothing once the file is made
/// anew.
#[test]
fn deleted_rows_are_found_and_absent_ones_are_not() {
    use bkp_testkit::{BundleSpec, EntrySpec};
    let sandbox = Sandbox::new();
    let spec = BundleSpec::new(31).with(|spec| {
        let domains = ["HomeDomain", "AppDomain-com.example.removed"];
        let file = |n: u32| {
            EntrySpec::noise(domains[n as usize % 2], format!("Documents/file-{n:04}"), 50)
        };
        spec.entries = (0..400).map(file).collect();
    });
    let truth = sandbox.bundle(&spec);
    sandbox.bundle_at("out", &spec);
    let (source, out) = (sandbox.path("backup"), sandbox.path("out"));
    let (source, output) = ((source.as_path(), None), (out.as_path(), None));
    let none = traces(source, output);
    assert_eq!((none.looked_for, none.found.len()), (0, 0));

    let removed = |entry: &&bkp_testkit::TruthEntry| entry.domain != b"HomeDomain";
    for entry in truth.entries.iter().filter(removed).filter(|entry| entry.stored) {
        let id = std::str::from_utf8(&entry.file_id).unwrap();
        fs::remove_file(out.join(&id[..2]).join(id)).unwrap();
    }
    // So that the list of apps hides nothing.
    for name in ["Manifest.plist", "Info.plist"] {
        let other = BundleSpec::new(31).with(|spec| {
            spec.entries = vec![EntrySpec::file("HomeDomain", "Documents/x", "x")];
        });
        sandbox.bundle_at("other", &other);
        fs::copy(sandbox.path("other").join(name), out.join(name)).unwrap();
        fs::remove_dir_all(sandbox.path("other")).unwrap();
    }
    let db = rusqlite::Connection::open(out.join("Manifest.db")).unwrap();
    db.pragma_update(None, "journal_mode", "DELETE").unwrap();
    db.execute("DELETE FROM Files WHERE domain <> 'HomeDomain'", []).unwrap();
    let left = traces(source, output);
    assert!(left.looked_for > 400 && left.found.len() > 100, "{} found", left.found.len());

    db.execute_batch("VACUUM").unwrap();
    drop(db);
    let none = traces(source, output);
    assert_eq!(none.looked_for, left.looked_for);
    assert!(none.found.is_empty(), "{:?}", &none.found[..none.found.len().min(20)]);
}

/// `bkp filter` leaves no trace of what it leaves out, and neither do the others of it.
#[test]
fn a_filter_leaves_no_trace() {
    use bkp_testkit::cases;
    let sandbox = Sandbox::new();
    sandbox.file("pw", cases::PASSWORD);
    for (n, spec) in
        [cases::plain_db(), cases::encrypted_db(10), cases::plain_mbdb(), cases::encrypted_mbdb()]
            .into_iter()
            .enumerate()
    {
        let (source, out) = (format!("source{n}"), format!("out{n}"));
        let password = spec.encryption.as_ref().map(|_| cases::PASSWORD);
        sandbox.bundle_at(&source, &spec);
        let mut line = vec!["filter", &source, "-o", &out, "--exclude", "AppDomain*"];
        line.extend(["--exclude", "CameraRollDomain", "--exclude", "HomeDomain:Library/Notes"]);
        if password.is_some() {
            line.extend(["--password-file", "pw"]);
        }
        sandbox.run(&line).exits(0);
        let (source, out) = (sandbox.path(source), sandbox.path(out));
        let traces = traces((&source, password), (&out, password));
        assert!(traces.looked_for > 30, "{n}: {traces:?}");
        assert_eq!(traces.found, Vec::<String>::new(), "{n}");
        // Names and numbers that are short or stand in what was kept: few.
        assert!(traces.passed_over < 12, "{n}: {traces:?}");
    }
}
