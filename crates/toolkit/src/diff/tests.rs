//! Pairs of bundles, and what is said of them.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bkp_bundle::{Bundle, Limits, Opened, Storage};
use bkp_core::{Entry, Everything, Monitor, NullMonitor, Problem, Select, Stage};
use bkp_crypto::Passphrase;
use bkp_policy::Rules;
use bkp_testkit::{
    BundleSpec, Cell, DigestForm, DigestRule, Encryption, EntrySpec, Node, PlistEdit, PlistValue,
    Stored, cases,
};

use super::content::Hashed;
use super::rows::{Names, Table, merge};
use super::{
    Aspect, Change, ContentCheck, DiffError, DiffNote, DiffOptions, DiffProblem, DiffReport,
    Difference, Evidence, Open, Side, diff, diff_notes, window,
};

const HOME: &str = "HomeDomain";
const APP: &str = "AppDomain-com.example.app";

fn open(dir: &Path, password: Option<&str>) -> Opened {
    let storage = Storage::directory(dir).unwrap();
    let bundle = Arc::new(Bundle::open(storage, Limits::default()).unwrap());
    match (bundle.open_catalog().unwrap(), password) {
        (Opened::Locked(backup), Some(password)) => {
            let go_on = &mut |_| ControlFlow::Continue(());
            Opened::Unlocked(backup.unlock(&Passphrase::new(password.into()), go_on).unwrap())
        }
        (opened, _) => opened,
    }
}

/// Writes a bundle and opens it.
fn made(spec: &BundleSpec) -> (tempfile::TempDir, Opened) {
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path()).unwrap();
    let password = spec.encryption.as_ref().map(|encryption| encryption.password.clone());
    let opened = open(dir.path(), password.as_deref());
    (dir, opened)
}

#[derive(Default)]
struct Told(Mutex<Vec<DiffProblem>>);

impl Monitor for Told {
    fn advanced(&self, _: Stage, _: &Entry, _: u64) {}
    fn problem(&self, problem: Problem<'_>) {
        let fault: &dyn std::error::Error = problem.fault;
        let problem = fault.downcast_ref::<DiffProblem>().expect("another sort of fault");
        self.0.lock().unwrap().push(problem.clone());
    }
}

struct Found {
    differences: Vec<Difference>,
    problems: Vec<String>,
    report: DiffReport,
}

impl Found {
    /// Spells the differences: `+path`, `-path`, `~path what,what`.
    fn spelled(&self) -> Vec<String> {
        let spell = |found: &Difference| {
            let what: Vec<_> = found.what.iter().map(|aspect| aspect.name()).collect();
            match found.change {
                Change::Added => format!("+{}", found.path),
                Change::Removed => format!("-{}", found.path),
                Change::Changed => format!("~{} {}", found.path, what.join(",")),
            }
        };
        self.differences.iter().map(spell).collect()
    }
}

fn compare(a: &Opened, b: &Opened, select: &dyn Select, content: ContentCheck) -> Found {
    let told = Told::default();
    let mut differences = Vec::new();
    let mut take = |difference: &Difference| {
        differences.push(difference.clone());
        Ok(())
    };
    let options = DiffOptions { content, ..DiffOptions::default() };
    let report = diff(a, b, select, &options, &mut take, &told).unwrap();
    let problems = told.0.into_inner().unwrap();
    let problems = problems.iter().map(|found| format!("{} {}", found.side, found.code)).collect();
    // What holds of every outcome.
    let count = |change| differences.iter().filter(|found| found.change == change).count() as u64;
    assert_eq!(count(Change::Added), report.added);
    assert_eq!(count(Change::Removed), report.removed);
    assert_eq!(count(Change::Changed), report.changed);
    let names = |found: &Difference| (found.domain.clone(), found.path.clone());
    assert!(differences.is_sorted_by_key(names), "out of order");
    for found in &differences {
        assert_eq!(found.a.is_some(), found.change != Change::Added);
        assert_eq!(found.b.is_some(), found.change != Change::Removed);
        assert_eq!(found.what.is_empty(), found.change != Change::Changed, "{found:?}");
        assert!(found.what.is_sorted());
    }
    Found { differences, problems, report }
}

fn specs(a: &BundleSpec, b: &BundleSpec) -> Found {
    let ((_dir_a, a), (_dir_b, b)) = (made(a), made(b));
    compare(&a, &b, &Everything, ContentCheck::WhereNeeded)
}

fn encrypted(seed: u64, password: &str) -> BundleSpec {
    cases::encrypted_db(100).with(|spec| {
        spec.encryption =
            Some(Encryption { password: password.into(), dpic: Some(10), iterations: 10 });
        spec.seed = seed;
        // Contents that follow from the seed would be others.
        for entry in &mut spec.entries {
            if matches!(entry.node, Node::File(bkp_testkit::Content::Noise(_))) {
                let len = entry.path.len() * 100;
                entry.node = Node::File(bkp_testkit::Content::Bytes(vec![7; len]));
            }
        }
    })
}

fn plain(seed: u64) -> BundleSpec {
    encrypted(seed, "x").with(|spec| spec.encryption = None)
}

#[test]
fn a_backup_is_the_same_as_itself() {
    for spec in [
        cases::plain_db(),
        cases::encrypted_db(100),
        cases::plain_mbdb(),
        cases::encrypted_mbdb(),
        cases::odd_rows(true)
            .with(|spec| spec.entries.retain(|e| !matches!(e.stored, Stored::Missing))),
    ] {
        for content in [ContentCheck::WhereNeeded, ContentCheck::All] {
            let ((_dir, a), (_other, b)) = (made(&spec), made(&spec));
            let found = compare(&a, &b, &Everything, content);
            assert_eq!(found.spelled(), Vec::<String>::new());
            let report = found.report;
            assert!(report.is_same() && report.same == report.entries_a);
            assert_eq!(report.files_by_content > 0, content == ContentCheck::All);
            assert_eq!(report.files_by_digest > 0, content != ContentCheck::All);
            assert_eq!(report.files_unknown, 0);
        }
        let (_dir, a) = made(&spec);
        assert_eq!(diff_notes(a.bundle(), a.bundle()), []);
    }
}

/// What stays the same under new keys, without keys, and in the catalog of another age.
#[test]
fn new_keys_are_no_difference() {
    let one = encrypted(1, "one");
    let mbdb = |spec: BundleSpec| {
        spec.with(|spec| {
            spec.manifest = bkp_testkit::ManifestKind::Mbdb;
            if let Some(encryption) = &mut spec.encryption {
                encryption.dpic = None;
            }
        })
    };
    for other in [encrypted(2, "two"), plain(3), mbdb(plain(1)), mbdb(encrypted(4, "four"))] {
        let ((_dir_a, a), (_dir_b, b)) = (made(&one), made(&other));
        let files = 10;
        let found = compare(&a, &b, &Everything, ContentCheck::WhereNeeded);
        assert_eq!(found.spelled(), Vec::<String>::new());
        assert_eq!((found.report.files_by_metadata, found.report.files_by_digest), (files, 0));
        let found = compare(&a, &b, &Everything, ContentCheck::All);
        assert_eq!(found.spelled(), Vec::<String>::new());
        assert_eq!((found.report.files_by_metadata, found.report.files_by_content), (0, files));
        let notes = diff_notes(a.bundle(), b.bundle());
        let keybag = notes.iter().any(|note| note.fact == "keybag_uuid");
        assert_eq!(keybag, other.seed != 1);
    }
    // The keys of the same seed are the same, whatever the password: digests decide.
    let found = specs(&one, &encrypted(1, "another"));
    assert_eq!((found.spelled().len(), found.report.files_by_digest), (0, 5));
}

#[test]
fn entries_that_came_and_went() {
    let b = plain(1).with(|spec| {
        spec.entries.remove(1);
        spec.entries.push(EntrySpec::file(HOME, "Library/new.txt", "new"));
        spec.entries.push(EntrySpec::file("RootDomain", "a", "a"));
    });
    let found = specs(&plain(1), &b);
    let expected =
        ["-Library/Notes", "-Library/Notes/note.txt", "+Library/new.txt", "+a"].map(str::to_owned);
    assert_eq!(found.spelled(), expected);
    let back = specs(&b, &plain(1));
    assert_eq!((back.report.added, back.report.removed), (2, 2));
    assert_eq!(found.report.same, back.report.same);
}

/// One change each, in both sorts of catalogs, and what is said of it.
#[test]
fn what_of_an_entry_changed() {
    let file = || EntrySpec::file(HOME, "victim", "content");
    let app = || EntrySpec::file(APP, "victim", "content");
    let link = || EntrySpec::symlink(HOME, "victim", "here");
    type Change = fn(&mut EntrySpec);
    let changes: &[(EntrySpec, Change, &str)] = &[
        (file(), |e| e.mode = Some(0o100_600), "mode"),
        (file(), |e| e.uid = Some(7), "owner"),
        (file(), |e| e.gid = Some(-2), "owner"),
        (file(), |e| e.modified += 1, "times"),
        (file(), |e| e.changed += 1, "times"),
        (file(), |e| e.born += 1, "times"),
        (file(), |e| e.class = Some(3), "class"),
        (file(), |e| e.xattrs = vec![("a".into(), vec![1])], "xattrs"),
        (file(), |e| e.digest = DigestRule::Omitted, "digest"),
        (file(), |e| e.recorded_size = Some(8), "size"),
        (file(), |e| *e = EntrySpec::file(HOME, "victim", "CONTENT"), "content,digest"),
        (file(), |e| *e = EntrySpec::file(HOME, "victim", "longer content"), "content,size,digest"),
        (app(), |e| *e = EntrySpec::file(APP, "victim", "longer content"), "content,size"),
        (app(), |e| e.modified += 1, "times"),
        (link(), |e| *e = EntrySpec::symlink(HOME, "victim", "there"), "target"),
        (link(), |e| *e = EntrySpec::directory(HOME, "victim"), "kind,mode"),
    ];
    for (entry, change, what) in changes {
        for base in
            [plain(1), plain(1).with(|spec| spec.manifest = bkp_testkit::ManifestKind::Mbdb)]
        {
            let a = base.clone().with(|spec| spec.entries.push(entry.clone()));
            let b = base.with(|spec| spec.entries.push(entry.clone().with(change)));
            let found = specs(&a, &b);
            assert_eq!(found.spelled(), [format!("~victim {what}")], "{entry:?}");
            assert_eq!(found.problems, Vec::<String>::new());
        }
    }
    // What an mbdb has no place for.
    let flags =
        |flags| plain(1).with(|spec| spec.entries.push(file().with(|e| e.bsd_flags = flags)));
    assert_eq!(specs(&flags(0), &flags(128)).spelled(), ["~victim flags"]);
}

#[test]
fn by_what_content_was_compared() {
    let with = |base: BundleSpec, domain: &str, content: &str, modified: i64| {
        let entry = EntrySpec::file(domain, "victim", content).with(|e| e.modified += modified);
        base.with(|spec| spec.entries.push(entry))
    };
    let evidence = |a: &BundleSpec, b: &BundleSpec, content| {
        let ((_dir_a, a), (_dir_b, b)) = (made(a), made(b));
        let found = compare(&a, &b, &Everything, content);
        found.differences.iter().map(|found| (found.evidence, found.what.clone())).next()
    };
    let needed = ContentCheck::WhereNeeded;
    // A file without a digest, of the same size and time: only reading can tell.
    let (a, b) = (with(plain(1), APP, "1", 0), with(plain(1), APP, "2", 0));
    assert_eq!(evidence(&a, &b, needed), None);
    let read = Some((Some(Evidence::Content), vec![Aspect::Content]));
    assert_eq!(evidence(&a, &b, ContentCheck::All), read);
    // Touched, so it is read: the same content under another time.
    let b = with(plain(1), APP, "1", 5);
    let touched = Some((Some(Evidence::Content), vec![Aspect::Times]));
    assert_eq!(evidence(&a, &b, needed), touched);
    // Digests of one sort decide, encrypted or not; of two sorts they are not compared.
    for (a, b, expected) in [
        (plain(1), plain(1), Evidence::Digest),
        (encrypted(1, "x"), encrypted(1, "y"), Evidence::Digest),
        (encrypted(1, "x"), encrypted(2, "x"), Evidence::Content),
        (plain(1), encrypted(1, "x"), Evidence::Content),
    ] {
        let (a, b) = (with(a, HOME, "1", 0), with(b, HOME, "1", 1));
        assert_eq!(evidence(&a, &b, needed), Some((Some(expected), vec![Aspect::Times])));
    }
    // Where the file was read, its hash is told.
    let ((_dir_a, a), (_dir_b, b)) =
        (made(&with(plain(1), APP, "hello", 0)), made(&with(plain(1), APP, "other", 1)));
    let found = compare(&a, &b, &Everything, needed);
    let json = serde_json::to_value(&found.differences[0]).unwrap();
    assert_eq!(
        json["a"]["sha256"],
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );
    assert_eq!((&json["change"], &json["evidence"]), (&"changed".into(), &"content".into()));
    assert_eq!(json["what"], serde_json::json!(["content", "times"]));
}

#[test]
fn what_cannot_be_read_is_no_difference_and_no_sameness() {
    let with = |stored: Stored, modified: i64| {
        plain(1).with(|spec| {
            let entry = EntrySpec::file(APP, "victim", "0123456789");
            spec.entries.push(entry.with(|e| {
                e.stored = stored;
                e.modified += modified;
            }));
        })
    };
    let found = specs(&with(Stored::Device, 0), &with(Stored::Missing, 0));
    assert_eq!((found.spelled().len(), found.report.files_unknown), (0, 1));
    assert_eq!(found.problems, ["B missing-blob"]);
    assert_eq!(found.report.same + 1, found.report.entries_a);
    let found = specs(&with(Stored::Missing, 0), &with(Stored::Missing, 1));
    assert_eq!(found.spelled(), ["~victim times"]);
    assert_eq!(found.differences[0].evidence, Some(Evidence::Unknown));
    assert_eq!(found.problems, ["A missing-blob", "B missing-blob"]);
    // A row that cannot be read is not taken for one that is not there.
    let bad = plain(1).with(|spec| {
        let entry = EntrySpec::directory(HOME, "victim");
        spec.entries.push(entry.with(|e| e.row.file_id = Some(Cell::text("no id"))));
    });
    let good = plain(1).with(|spec| spec.entries.push(EntrySpec::directory(HOME, "victim")));
    let found = specs(&good, &bad);
    assert_eq!((found.spelled().len(), found.report.unreadable_rows), (0, 1));
    assert_eq!(found.problems, ["B hostile-name"]);
    // Two rows of one name.
    let twice = plain(1).with(|spec| {
        let twin = EntrySpec::directory(HOME, "Library");
        spec.entries.push(twin.with(|e| e.row.file_id = Some(Cell::text("ab".repeat(20)))));
        spec.entries.push(EntrySpec::file(HOME, "Library/x", "x").with(|e| {
            e.row.path = Some(Cell::text("Library"));
        }));
    });
    assert!(specs(&plain(1), &twice).problems.contains(&"B duplicate-name".to_owned()));
}

#[test]
fn what_is_locked() {
    let (one, two) = (cases::encrypted_db(100), encrypted(2, "two"));
    let ((dir_a, a), (dir_b, b)) = (made(&one), made(&two));
    let none = &mut |_: &Difference| -> io::Result<()> { panic!("told of something") };
    let options = DiffOptions::default();
    let locked = open(dir_a.path(), None);
    let result = diff(&locked, &b, &Everything, &options, none, &NullMonitor);
    assert!(matches!(result, Err(DiffError::CatalogLocked { side: Side::A })));
    let locked = open(dir_b.path(), None);
    let result = diff(&a, &locked, &Everything, &options, none, &NullMonitor);
    assert!(matches!(result, Err(DiffError::CatalogLocked { side: Side::B })));
    // An older catalog is in clear. With the same keybag digests decide without a password.
    let mbdb = cases::encrypted_mbdb();
    let touched = cases::encrypted_mbdb().with(|spec| {
        spec.entries
            .iter_mut()
            .filter(|e| e.domain.starts_with(b"App"))
            .for_each(|e| e.modified += 1);
    });
    let ((dir_a, _), (dir_b, _), (dir_c, _)) = (made(&mbdb), made(&mbdb), made(&touched));
    let [a, b, c] = [&dir_a, &dir_b, &dir_c].map(|dir| open(dir.path(), None));
    let found = compare(&a, &b, &Everything, ContentCheck::WhereNeeded);
    assert!(found.report.is_same() && found.report.files_by_digest > 0);
    let result = diff(&a, &c, &Everything, &options, none, &NullMonitor);
    assert!(matches!(result, Err(DiffError::DataLocked { side: Side::A })));
}

#[test]
fn filters_and_ends() {
    let b = plain(1).with(|spec| {
        spec.entries.push(EntrySpec::file(HOME, "Library/new.txt", "new"));
        spec.entries.push(EntrySpec::file("RootDomain", "a", "a"));
    });
    let ((_dir_a, a), (_dir_b, b)) = (made(&plain(1)), made(&b));
    let rules = Rules::builder().include("RootDomain").build().unwrap();
    let found = compare(&a, &b, &rules, ContentCheck::WhereNeeded);
    assert_eq!(found.spelled(), ["+a"]);
    assert!(found.report.left_out > 10 && found.report.same > 0);
    let mut told = 0;
    let mut full = |_: &Difference| {
        told += 1;
        Err(io::ErrorKind::StorageFull.into())
    };
    let options = DiffOptions::default();
    let result = diff(&a, &b, &Everything, &options, &mut full, &NullMonitor);
    assert!(matches!(result, Err(DiffError::Output(_))) && told == 1);
}

/// However little is held at a time, all is told, once and in order.
#[test]
fn windows_change_nothing() {
    let many = |from: usize, to: usize| {
        plain(1).with(|spec| {
            spec.entries.extend((from..to).map(|n| {
                let domain = if n % 3 == 0 { HOME } else { APP };
                let entry = EntrySpec::directory(domain, format!("many/{:03}", n * 7 % 100));
                entry.with(|entry| entry.modified += i64::try_from(from).unwrap())
            }));
        })
    };
    let ((_dir_a, a), (_dir_b, b)) = (made(&many(0, 60)), made(&many(20, 90)));
    let whole = compare(&a, &b, &Everything, ContentCheck::WhereNeeded);
    assert_eq!(whole.differences.len(), 90);
    let (open_a, open_b) = (Open::new(Side::A, &a).unwrap(), Open::new(Side::B, &b).unwrap());
    for limit in [1, 2, 7, 89, 90, 1000] {
        let names = Names::new(open_a, open_b);
        let table = |open| Table::read(open, &names, &Everything, &NullMonitor).unwrap();
        let mut report = DiffReport::default();
        let check = ContentCheck::WhereNeeded;
        let pairs = merge(table(open_a), table(open_b), true, check, &mut report);
        let mut told = Vec::new();
        let mut take = |difference: &Difference| {
            told.push(difference.clone());
            Ok(())
        };
        let hashed = [Hashed::default(), Hashed::default()];
        let sides = [open_a, open_b];
        window::tell_by(limit, sides, &names, &pairs, &hashed, &mut take, &NullMonitor).unwrap();
        assert_eq!(told, whole.differences, "{limit}");
    }
}

#[test]
fn names_of_any_bytes() {
    let odd = cases::plain_mbdb().with(|spec| {
        spec.entries.push(EntrySpec::file(HOME, b"caf\xe9".to_vec(), "x"));
    });
    let found = specs(&cases::plain_mbdb(), &odd);
    let json = serde_json::to_value(&found.differences[0]).unwrap();
    assert_eq!(json["relative_path"], "caf\u{fffd}");
    assert_eq!(json["relative_path_b64"], "Y2Fm6Q==");
    assert!(
        json["a"].is_null() && json["b"]["kind"] == "file" && json["what"] == serde_json::json!([])
    );
    let form = DigestRule::Present(DigestForm::Wrapped);
    let wrapped = plain(1).with(|spec| spec.entries[0].digest = form);
    assert!(specs(&plain(1), &wrapped).report.is_same(), "the form of a digest is no difference");
}

#[test]
fn facts_of_the_device() {
    let set = |key: &str, value: &str| PlistEdit::Set(key.into(), PlistValue::text(value));
    let b = plain(1).with(|spec| {
        spec.device.product_version = "17.6".into();
        spec.info_plist = vec![set("IMEI", "1"), PlistEdit::Remove("Phone Number".into())];
    });
    let ((_dir_a, a), (_dir_b, b)) = (made(&plain(1)), made(&b));
    let notes = diff_notes(a.bundle(), b.bundle());
    let facts: Vec<_> = notes.iter().map(|note| note.fact).collect();
    assert_eq!(facts, ["product_version", "imei", "phone_number"]);
    let DiffNote { a, b, .. } = &notes[0];
    assert_eq!((a.as_deref(), b.as_deref()), (Some("17.5.1"), Some("17.6")));
    assert_eq!(notes[2].b, None);
}
