//! Bundles with one thing wrong, and what is said of them.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bkp_bundle::{Bundle, Limits, Opened, Storage};
use bkp_core::{Entry, Monitor, Problem, Stage};
use bkp_crypto::Passphrase;
use bkp_testkit::{
    BundleSpec, Cell, DigestRule, EntrySpec, FileKeyRule, PlistEdit, PlistValue, Stored, cases,
    file_id,
};

use super::{Finding, Grade, Subset, Verification, VerifyError, VerifyOptions, verify};

const HOME: &str = "HomeDomain";
const APP: &str = "AppDomain-com.example.app";

/// Opens a bundle, unlocking it if that is wanted.
pub(in crate::verify) fn open(dir: &Path, unlock: bool) -> Opened {
    let storage = Storage::directory(dir).unwrap();
    let bundle = Arc::new(Bundle::open(storage, Limits::default()).unwrap());
    if !unlock && let Some(locked) = bundle.open_stored().unwrap() {
        return Opened::Locked(locked);
    }
    match bundle.open_catalog().unwrap() {
        Opened::Locked(backup) if unlock => {
            let passphrase = Passphrase::new(cases::PASSWORD.into());
            let go_on = &mut |_| ControlFlow::Continue(());
            Opened::Unlocked(backup.unlock(&passphrase, go_on).unwrap())
        }
        opened => opened,
    }
}

/// Takes down what a monitor is told.
#[derive(Default)]
struct Told {
    findings: Mutex<Vec<Finding>>,
    staged: AtomicUsize,
    cancel: bool,
}

impl Monitor for Told {
    fn advanced(&self, stage: Stage, _: &Entry, _: u64) {
        if stage == Stage::Staged {
            self.staged.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn problem(&self, problem: Problem<'_>) {
        let finding = (problem.fault as &dyn Error).downcast_ref::<Finding>();
        let finding = finding.expect("a fault that is no finding").clone();
        if let Some(entry) = problem.entry {
            assert_eq!(finding.path.as_deref(), Some(entry.path.as_bytes()));
        }
        self.findings.lock().unwrap().push(finding);
    }

    fn cancelled(&self) -> bool {
        self.cancel
    }
}

/// Verifies, and checks what must hold of any outcome.
pub(in crate::verify) fn check(dir: &Path, options: &VerifyOptions, unlock: bool) -> Verification {
    let told = Told::default();
    let found = verify(&open(dir, unlock), options, &told).unwrap();
    let findings = told.findings.into_inner().unwrap();
    assert_eq!(found.damage + found.warnings, findings.len() as u64);
    assert_eq!(found.ok, found.damage == 0);
    if options.keep == usize::MAX {
        assert_eq!(found.problems, findings);
    }
    assert_eq!(told.staged.into_inner() as u64, found.files_checked);
    let counted: u64 = found.by_code.iter().map(|count| count.count).sum();
    assert_eq!(counted, findings.len() as u64);
    for finding in &findings {
        let known = !finding.meaning().starts_with("Nothing more is known");
        assert!(known, "{} has no meaning", finding.code);
        assert!(!finding.message.is_empty());
    }
    found
}

pub(in crate::verify) fn write(spec: &BundleSpec) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path()).unwrap();
    dir
}

fn codes(found: &Verification) -> BTreeMap<(&'static str, Grade), u64> {
    found.by_code.iter().map(|count| ((count.code, count.grade), count.count)).collect()
}

fn reading() -> VerifyOptions {
    VerifyOptions { read_data: true, databases: true, ..VerifyOptions::default() }
}

/// A SQLite database of a few pages.
fn database() -> Vec<u8> {
    let mut db = rusqlite::Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE t(text TEXT NOT NULL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO t SELECT 'row ' || i FROM n;",
    )
    .unwrap();
    db.serialize(rusqlite::MAIN_DB).unwrap().to_vec()
}

#[test]
fn sound_bundles_have_no_problems() {
    let database = EntrySpec::file(HOME, "Library/notes.sqlite", database());
    for spec in [
        cases::plain_db(),
        cases::encrypted_db(100),
        cases::plain_mbdb(),
        cases::encrypted_mbdb(),
        cases::flags_as_text(),
        cases::unpadded_manifest(),
    ] {
        let spec = spec.with(|spec| spec.entries.push(database.clone()));
        let dir = tempfile::tempdir().unwrap();
        let truth = spec.write(dir.path()).unwrap();
        let files = truth.counts.files as u64;
        let found = check(dir.path(), &VerifyOptions::default(), true);
        assert_eq!(found.problems, []);
        assert_eq!((found.entries, found.files), (truth.counts.rows as u64, files));
        assert_eq!(found.blobs, truth.counts.blobs as u64);
        // Home, keychain and root carry digests; apps, photos and system containers do not.
        assert_eq!((found.files_checked, found.digests_checked), (6, 6));
        assert_eq!((found.without_digest, found.not_read), (5, 5));
        assert!(found.ok && found.databases.is_none() && found.subset.is_none());

        let found = check(dir.path(), &reading(), true);
        assert_eq!(found.problems, []);
        assert_eq!((found.files_checked, found.digests_checked), (files, 6));
        assert_eq!((found.without_digest, found.not_read), (5, 0));
        let bytes: u64 = truth.entries.iter().map(|entry| entry.len).sum();
        assert_eq!(found.bytes_checked, bytes);
        let databases = found.databases.unwrap();
        assert_eq!((databases.checked, databases.skipped), (1, 0));
    }
}

#[test]
fn digests_need_no_password_where_the_catalog_has_them_in_clear() {
    let dir = write(&cases::encrypted_mbdb());
    let found = check(dir.path(), &VerifyOptions::default(), false);
    assert!(found.encrypted && !found.read_data);
    assert_eq!((found.problems.len(), found.digests_checked), (0, 5));
    assert!(matches!(
        verify(&open(dir.path(), false), &reading(), &Told::default()),
        Err(VerifyError::DataLocked)
    ));
    let whole = write(&cases::encrypted_db(100));
    let cells = write(&cases::ios10_0_cells());
    for dir in [whole, cells] {
        assert!(matches!(
            verify(&open(dir.path(), false), &VerifyOptions::default(), &Told::default()),
            Err(VerifyError::CatalogLocked)
        ));
    }
    // Nor does a keybag matter that nobody can read.
    let spec = cases::encrypted_mbdb().with(|spec| spec.keybag_bytes = Some(vec![1, 2, 3]));
    let found = check(write(&spec).path(), &VerifyOptions::default(), false);
    assert_eq!(codes(&found), [(("key-material-damaged", Grade::Damage), 1)].into());
    assert_eq!(found.digests_checked, 5);
}

/// Spells what was found: `!` is damage, `?` a warning.
pub(in crate::verify) fn spelled(found: &Verification) -> String {
    let spell = |count: &super::CodeCount| {
        let mark = if count.grade == Grade::Damage { '!' } else { '?' };
        let times = if count.count > 1 { format!(" x{}", count.count) } else { String::new() };
        format!("{mark}{}{times}", count.code)
    };
    found.by_code.iter().map(spell).collect::<Vec<_>>().join(", ")
}

/// What is found when these entries are added: without encryption by digests alone and by reading
/// everything, and the same with encryption.
fn with_entries(entries: &[EntrySpec]) -> [String; 4] {
    [(false, false), (false, true), (true, false), (true, true)].map(|(encrypted, read)| {
        let base = if encrypted { cases::encrypted_db(100) } else { cases::plain_db() };
        let dir = write(&base.with(|spec| spec.entries.extend(entries.iter().cloned())));
        let options = if read { reading() } else { VerifyOptions::default() };
        spelled(&check(dir.path(), &options, true))
    })
}

/// As [`with_entries`], of a file of 100 bytes with something wrong.
fn with_file(domain: &str, change: impl FnOnce(&mut EntrySpec)) -> [String; 4] {
    with_entries(&[EntrySpec::noise(domain, "victim", 100).with(change)])
}

#[test]
fn payloads_that_are_not_what_they_were() {
    let changed = ["!digest-mismatch"; 4];
    assert_eq!(with_file(HOME, |e| e.stored = Stored::Flipped(40)), changed);
    assert_eq!(with_file(HOME, |e| e.digest = DigestRule::Bytes(vec![7; 20])), changed);
    // Changed and too short: the end is gone. Without encryption a reader cannot tell more.
    assert_eq!(
        with_file(HOME, |e| e.stored = Stored::CutTo(50)),
        [
            "!digest-mismatch, !truncated-blob",
            "!digest-mismatch, ?size-mismatch",
            "!digest-mismatch, !truncated-blob",
            "!digest-mismatch, !truncated-blob, ?size-mismatch",
        ]
    );
    assert_eq!(with_file(HOME, |e| e.stored = Stored::Missing), ["!missing-blob"; 4]);
}

/// Two payloads in each other's place: digests tell where there are any, and else padding and
/// lengths do.
#[test]
fn payloads_that_changed_places() {
    for (domain, encrypted, stored, read) in [
        (HOME, false, "!digest-mismatch x2", "!digest-mismatch x2"),
        (
            HOME,
            true,
            "!digest-mismatch x2",
            "!bad-padding x2, !digest-mismatch x2, ?size-mismatch x2",
        ),
        (APP, false, "", ""),
        (APP, true, "", "!bad-padding x2, ?size-mismatch x2"),
    ] {
        let base = if encrypted { cases::encrypted_db(100) } else { cases::plain_db() };
        let dir = write(&base.with(|spec| {
            spec.entries.extend(["one", "two"].map(|path| EntrySpec::noise(domain, path, 64)));
        }));
        let [one, two] = ["one", "two"].map(|path| {
            let id = file_id(domain, path);
            dir.path().join(&id[..2]).join(&id)
        });
        let kept = fs::read(&one).unwrap();
        fs::copy(&two, &one).unwrap();
        fs::write(&two, kept).unwrap();
        assert_eq!(spelled(&check(dir.path(), &VerifyOptions::default(), true)), stored);
        assert_eq!(spelled(&check(dir.path(), &reading(), true)), read);
    }
}

#[test]
fn payloads_that_nothing_proves() {
    let file = |stored| with_file(APP, |e| e.stored = stored);
    // What is changed within cannot be seen, and is counted as not proven.
    assert_eq!(file(Stored::Flipped(40)), [""; 4]);
    // In the last block but one the padding is changed.
    assert_eq!(file(Stored::Flipped(111 - 16)), ["", "", "", "!bad-padding, ?size-mismatch"]);
    assert_eq!(
        file(Stored::CutTo(50)),
        ["?size-mismatch", "?size-mismatch", "!truncated-blob", "!truncated-blob, ?size-mismatch",]
    );
    assert_eq!(file(Stored::Missing), ["!missing-blob"; 4]);
    let unpadded = EntrySpec::noise(APP, "victim", 64).with(|e| e.stored = Stored::Unpadded);
    assert_eq!(with_entries(&[unpadded]), ["", "", "", "?bad-padding"]);
}

#[test]
fn sizes_alone_are_warnings() {
    for domain in [HOME, APP] {
        let found = with_file(domain, |e| e.recorded_size = Some(5000));
        assert_eq!(found, ["?size-mismatch"; 4]);
    }
    let database = EntrySpec::file(APP, "db", database()).with(|e| e.recorded_size = Some(4096));
    let dir = write(&cases::plain_db().with(|spec| spec.entries.push(database)));
    for options in [VerifyOptions::default(), reading()] {
        let found = check(dir.path(), &options, true);
        assert!(found.ok && found.problems[0].message.contains("a database"), "{found:?}");
    }
}

#[test]
fn digests_where_they_must_be() {
    assert_eq!(with_file(HOME, |e| e.digest = DigestRule::Omitted), ["!missing-digest"; 4]);
    assert_eq!(with_file(HOME, |e| e.digest = DigestRule::Bytes(vec![7; 19])), ["!bad-digest"; 4]);
    assert_eq!(with_file("TonesDomain", |e| e.digest = DigestRule::Omitted), [""; 4]);
    let form = bkp_testkit::DigestForm::Reference;
    assert_eq!(with_file(APP, |e| e.digest = DigestRule::Present(form)), [""; 4]);
}

#[test]
fn rows_that_contradict_themselves() {
    assert_eq!(with_file(HOME, |e| e.inode = Some(0)), ["!zero-inode"; 4]);
    assert_eq!(with_file(HOME, |e| e.mode = Some(0o040_755)), ["!kind-mismatch"; 4]);
    assert_eq!(
        with_file(HOME, |e| e.row.file_id = Some(Cell::text("00ff".repeat(10)))),
        ["?id-mismatch"; 4]
    );
    let renamed = with_file(HOME, |e| {
        e.row.path = Some(Cell::text("other"));
        e.row.file_id = Some(Cell::text(file_id(HOME, "other")));
    });
    assert_eq!(renamed, ["?path-mismatch"; 4]);
    assert_eq!(
        with_file(HOME, |e| e.omit_keys = vec!["RelativePath".into()]),
        ["?path-mismatch"; 4]
    );
    let damaged = with_file(HOME, |e| e.row.file = Some(Cell::Blob(b"no archive".to_vec())));
    assert_eq!(damaged[..3], ["!bad-metadata"; 3]);
    assert_eq!(damaged[3], "!bad-metadata, !key-unwrap-failed");
    let long = [&vec!["p".repeat(100); 9].join("/"), "/", &"q".repeat(88)].concat();
    assert_eq!(long.len(), 997);
    assert_eq!(with_entries(&[EntrySpec::file(HOME, long.clone(), "x")]), [""; 4]);
    let longer = EntrySpec::file(HOME, long + "q", "x");
    assert_eq!(with_entries(&[longer]), ["!path-too-long"; 4]);
    let twins = ["one", "two"]
        .map(|path| EntrySpec::file(HOME, path, path).with(|e| e.inode = Some(77_777)));
    assert_eq!(with_entries(&twins), ["!duplicate-inode x2"; 4]);
    let copy = EntrySpec::file(HOME, "copy", "x").with(|e| {
        e.stored = Stored::Missing;
        e.digest = DigestRule::Omitted;
        e.row.file_id = Some(Cell::Blob(file_id(HOME, "one").into_bytes()));
    });
    let found = with_entries(&[EntrySpec::file(HOME, "one", "x"), copy]);
    assert!(found.iter().all(|f| f.contains("!duplicate-id x2, !missing-digest")), "{found:?}");
}

#[test]
fn keys_that_do_not_open() {
    let bad = [&[4, 0, 0, 0][..], &[0; 40]].concat();
    let bad = with_file(HOME, |e| e.key = FileKeyRule::Bytes(bad));
    // The digest of what is stored was compared all the same: it is right.
    assert_eq!(bad, ["", "", "!key-unwrap-failed", "!key-unwrap-failed"]);
    let none = with_file(HOME, |e| e.key = FileKeyRule::Omitted);
    assert_eq!(none, ["", "", "!plaintext-blob", "!plaintext-blob"]);
    let dir = write(&cases::encrypted_db(100).with(|spec| {
        for entry in &mut spec.entries {
            entry.key = FileKeyRule::Omitted;
        }
    }));
    let found = check(dir.path(), &reading(), true);
    assert_eq!(spelled(&found), "!state-contradiction");
    let dir = write(&cases::encrypted_db(100).with(|spec| {
        spec.manifest_db_encrypted = false;
        let no = PlistValue::Bool(false);
        spec.manifest_plist = vec![PlistEdit::Set("IsEncrypted".into(), no)];
    }));
    let found = check(dir.path(), &VerifyOptions::default(), false);
    assert!(codes(&found).contains_key(&("state-contradiction", Grade::Damage)), "{found:?}");
}

#[test]
fn folders_that_have_no_row() {
    let spec = cases::plain_db().with(|spec| {
        spec.add_parents = false;
        spec.entries = vec![
            EntrySpec::directory(HOME, ""),
            EntrySpec::directory(HOME, "Library"),
            EntrySpec::file(HOME, "Library/there", "1"),
            EntrySpec::file(HOME, "Media/one", "1"),
            EntrySpec::file(HOME, "Media/two", "2"),
            EntrySpec::symlink(HOME, "link", "Library"),
            EntrySpec::file(HOME, "link/below", "3"),
            EntrySpec::directory("RootDomain", "Library"),
        ];
    });
    let found = check(write(&spec).path(), &VerifyOptions::default(), true);
    assert_eq!(spelled(&found), "!missing-parent x3");
    let places: Vec<_> = found
        .problems
        .iter()
        .map(|f| (f.domain.as_deref().unwrap(), f.path.as_deref().unwrap()))
        .collect();
    let expected: [(&[u8], &[u8]); 3] =
        [(b"HomeDomain", b"Media"), (b"HomeDomain", b"link"), (b"RootDomain", b"")];
    assert_eq!(places, expected);
}

#[test]
fn blobs_that_no_row_names() {
    for (spec, name) in [
        (cases::plain_db(), "ab/abababababababababababababababababababab"),
        (cases::plain_db(), "cd/abababababababababababababababababababab"),
        (cases::plain_db(), "ab/ABABABABABABABABABABABABABABABABABABABAB"),
        (cases::plain_db(), "abababababababababababababababababababab"),
        (cases::plain_mbdb(), "abababababababababababababababababababab"),
    ] {
        let spec = spec.with(|spec| spec.raw_files.push((name.into(), b"x".to_vec())));
        let found = check(write(&spec).path(), &VerifyOptions::default(), true);
        assert_eq!(spelled(&found), "!orphan-blob", "{name}");
        assert!(found.problems[0].message.starts_with(name), "{found:?}");
    }
    let foreign = ["homeScreen.png", "Manifest.plist.backup", "ab/readme", "xy/z", "ab/0123"]
        .map(|name| (name.into(), b"x".to_vec()));
    let spec = cases::plain_db().with(|spec| spec.raw_files.extend(foreign));
    assert_eq!(check(write(&spec).path(), &VerifyOptions::default(), true).problems, []);
}

#[test]
fn blobs_in_the_place_of_another_layout() {
    let dir = write(&cases::plain_db());
    let id = file_id(HOME, "Library/block");
    let (usual, other) = (dir.path().join(&id[..2]).join(&id), dir.path().join(&id));
    fs::copy(&usual, &other).unwrap();
    assert_eq!(spelled(&check(dir.path(), &reading(), true)), "!orphan-blob");
    fs::remove_file(&usual).unwrap();
    assert_eq!(spelled(&check(dir.path(), &reading(), true)), "?misplaced-blob");
    fs::remove_file(&other).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &usual).unwrap();
    assert_eq!(spelled(&check(dir.path(), &reading(), true)), "!irregular-blob");
}

#[test]
fn the_state_of_the_bundle() {
    let text = |text: &str| PlistValue::text(text);
    let set = |key: &str, value| PlistEdit::Set(key.into(), value);
    let status = |edit| cases::plain_db().with(|spec| spec.status_plist = vec![edit]);
    let manifest = |edit| cases::plain_db().with(|spec| spec.manifest_plist = vec![edit]);
    let app = |id: &str| PlistValue::dict([(id, PlistValue::Dict(Vec::new()))]);
    for (spec, expected) in [
        (status(set("SnapshotState", text("uploading"))), "!unfinished-backup"),
        (status(PlistEdit::Remove("SnapshotState".into())), "?unfinished-backup"),
        (status(set("BackupState", text("empty"))), "!backup-state"),
        (status(set("BackupState", text("odd"))), "?backup-state"),
        (status(set("IsFullBackup", PlistValue::Bool(true))), "?full-backup-flag"),
        (
            cases::plain_db().with(|spec| spec.remove_files = vec!["Status.plist".into()]),
            "!no-status, ?missing-plist",
        ),
        (
            cases::plain_db().with(|spec| spec.raw_files = vec![("Snapshot/x".into(), vec![])]),
            "?unfinished-backup",
        ),
        (cases::plain_db().with(|spec| spec.user_version = 0), "!user-version"),
        (cases::plain_db().with(|spec| spec.user_version = 3), "?user-version"),
        (manifest(PlistEdit::Remove("BackupKeyBag".into())), "!no-keybag"),
        (
            cases::plain_db().with(|spec| spec.keybag_bytes = Some(vec![1, 2, 3])),
            "!key-material-damaged",
        ),
        (manifest(set("Applications", PlistValue::Dict(Vec::new()))), "?no-application-entry x3"),
        (
            manifest(set("Applications", app("com.example.gone"))),
            "?no-application-entry x3, ?no-container-domain",
        ),
        (cases::with_wal(), "?side-file"),
    ] {
        let found = check(write(&spec).path(), &VerifyOptions::default(), true);
        assert_eq!(spelled(&found), expected);
    }
    // A keybag that is under a password, in a bundle that has none.
    let bag = cases::encrypted_db(100).keybag_contents().encode();
    let spec = cases::plain_db().with(|spec| spec.keybag_bytes = Some(bag));
    let found = check(write(&spec).path(), &VerifyOptions::default(), true);
    assert_eq!(spelled(&found), "!keybag-closed");
}

#[test]
fn classes_of_the_keybag() {
    let encrypted = |change: &dyn Fn(&mut bkp_testkit::Keybag)| {
        let spec = cases::encrypted_db(100);
        let mut bag = spec.keybag_contents();
        change(&mut bag);
        let spec = spec.with(|spec| spec.keybag_bytes = Some(bag.encode()));
        spelled(&check(write(&spec).path(), &reading(), true))
    };
    assert_eq!(encrypted(&|_| {}), "");
    assert_eq!(encrypted(&|bag| bag.records.retain(|c| c.class != 9)), "?keybag-incomplete");
    let gone = encrypted(&|bag| bag.records.retain(|c| c.class != 1));
    assert_eq!(gone, "!key-unwrap-failed, !keybag-incomplete");
    let damaged = encrypted(&|bag| {
        bag.records.iter_mut().filter(|c| c.class == 1).for_each(|c| c.wrapped[3] ^= 1);
    });
    assert_eq!(damaged, "!class-key-damaged, !key-unwrap-failed");
}

#[test]
fn hostile_rows_are_damage_and_end_nothing() {
    let found = check(write(&cases::hostile_rows()).path(), &reading(), true);
    assert!(!found.ok && found.unreadable_rows > 30);
    let codes = codes(&found);
    for code in [
        "hostile-name",
        "bad-row",
        "bad-metadata",
        "duplicate-id",
        "duplicate-inode",
        "kind-mismatch",
        "key-unwrap-failed",
        "digest-mismatch",
        "bad-digest",
        "missing-parent",
    ] {
        assert!(codes.contains_key(&(code, Grade::Damage)), "{code}: {codes:?}");
    }
    let first = found.problems.iter().find(|f| f.code == "hostile-name").unwrap();
    assert!(first.row.is_some() && first.path.as_deref() == Some(b"../escape-parent"));
    let not_utf8 = found.problems.iter().any(|finding| {
        let json = serde_json::to_value(finding).unwrap();
        json.get("domain_b64").is_some() || json.get("relative_path_b64").is_some()
    });
    assert!(not_utf8);
}

#[test]
fn what_is_odd_and_sound_is_damage_only_where_a_restore_fails() {
    let plain = [
        "payload/missing-blob missing-blob",
        "payload/no-digest-where-one-belongs missing-digest",
        "payload/short-blob digest-mismatch",
    ];
    let encrypted = [
        plain[0],
        plain[1],
        "payload/plain-in-encrypted plaintext-blob",
        plain[2],
        "payload/short-blob truncated-blob",
    ];
    for (is_encrypted, expected) in [(false, &plain[..]), (true, &encrypted[..])] {
        let found = check(write(&cases::odd_rows(is_encrypted)).path(), &reading(), true);
        let damage = found.problems.iter().filter(|finding| finding.grade == Grade::Damage);
        let mut damage: Vec<_> = damage
            .map(|f| format!("{} {}", f.path.as_deref().unwrap().escape_ascii(), f.code))
            .collect();
        damage.sort();
        assert_eq!(damage, expected);
    }
}

#[test]
fn databases_are_looked_into() {
    let mut damaged = database();
    damaged[3 * 4096..4 * 4096].fill(0);
    let stub = b"SQLite format 3\0 and no more".to_vec();
    for encrypted in [false, true] {
        let base = if encrypted { cases::encrypted_db(100) } else { cases::plain_db() };
        let spec = base.with(|spec| {
            spec.entries.push(EntrySpec::file(HOME, "good.db", database()));
            spec.entries.push(EntrySpec::file(HOME, "bad.db", damaged.clone()));
            spec.entries.push(EntrySpec::file(APP, "stub.db", stub.clone()));
            spec.entries.push(EntrySpec::file(APP, "header.db", database()[..100].to_vec()));
        });
        let dir = write(&spec);
        let found = check(dir.path(), &reading(), true);
        assert_eq!(found.databases.unwrap().checked, 4);
        let bad: Vec<_> = found.problems.iter().map(|f| f.path.as_deref().unwrap()).collect();
        for name in [&b"bad.db"[..], b"stub.db", b"header.db"] {
            assert!(bad.contains(&name), "{found:#?}");
        }
        assert!(found.problems.iter().all(|f| f.code == "database-damaged"), "{found:#?}");
        let options = VerifyOptions { databases: false, ..reading() };
        assert_eq!(check(dir.path(), &options, true).problems, []);
    }
}

#[test]
fn parts_read_everything_once() {
    let spec = cases::encrypted_db(100).with(|spec| {
        spec.entries.extend((0..60).map(|n| EntrySpec::noise(HOME, format!("many/{n}"), n)));
        spec.entries
            .push(EntrySpec::noise(HOME, "flipped", 64).with(|e| e.stored = Stored::Flipped(0)));
    });
    let dir = write(&spec);
    let part = |n| {
        let subset = Some(Subset::Part { n, of: 3 });
        check(dir.path(), &VerifyOptions { subset, ..reading() }, true)
    };
    let parts: Vec<_> = (1..=3).map(part).collect();
    let sum = |count: fn(&Verification) -> u64| parts.iter().map(count).sum::<u64>();
    let files = parts[0].files;
    assert_eq!(sum(|part| part.files_checked), files);
    assert_eq!(sum(|part| part.damage), 1);
    assert!(parts.iter().all(|part| part.files_checked + part.not_read == files));
    for part in &parts {
        let subset = part.subset.as_ref().unwrap();
        assert_eq!((subset.files, subset.of_files), (part.files_checked, files));
        assert!(subset.files > 10 && subset.bytes <= subset.of_bytes);
    }
}

#[test]
fn what_is_kept_and_who_may_stop() {
    let spec = cases::plain_db().with(|spec| {
        spec.entries.extend((0..9).map(|n| {
            EntrySpec::noise(HOME, format!("{n}"), 9).with(|e| e.stored = Stored::Missing)
        }));
    });
    let dir = write(&spec);
    let found = check(dir.path(), &VerifyOptions { keep: 2, ..reading() }, true);
    assert_eq!((found.problems.len(), found.damage), (2, 9));
    let stop = Told { cancel: true, ..Told::default() };
    let cancelled = verify(&open(dir.path(), true), &reading(), &stop);
    assert!(matches!(cancelled, Err(VerifyError::Cancelled)), "{cancelled:?}");
}

#[test]
fn threads_change_nothing() {
    let dir = write(&cases::hostile_rows());
    let found = |threads| {
        let threads = std::num::NonZeroUsize::new(threads);
        check(dir.path(), &VerifyOptions { threads, ..reading() }, true).problems
    };
    assert_eq!(found(1), found(4));
}
