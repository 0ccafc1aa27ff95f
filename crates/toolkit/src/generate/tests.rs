use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bkp_bundle::{Backup, Limits, Opened, Storage, Unlocked, parse_xattrs};
use bkp_core::{
    Entry, EntryKind, Monitor, NullMonitor, Payloads as _, Problem, Source as _, Stage,
};
use bkp_crypto::{DEFAULT_KDF_LIMIT, Keybag, Passphrase};
use bkp_synth::{Digests, Filler, Plan, SizeMix, SynthSpec};
use bkp_testkit::{BulkSpec, Encryption};
use sha1::{Digest as _, Sha1};

use super::{GenerateError, GenerateLock, GenerateOptions, PLAIN_KEYBAG, generate};

const WORD: &str = "secret";

fn spec() -> SynthSpec {
    let (files, total, rows) = (140, Some(3 << 20), 400);
    let (mix, filler) = (SizeMix::Mixed, Filler::Folders);
    SynthSpec { files, total, mix, rows, filler, ..SynthSpec::new(5) }
}

fn word() -> Passphrase {
    Passphrase::new(WORD.to_owned().into())
}

fn write(spec: &SynthSpec, locked: bool, threads: usize, dir: &Path) -> PathBuf {
    let plan = Plan::new(spec, None).unwrap();
    let target = dir.join(format!("made-{locked}-{threads}-{}", spec.seed));
    let lock = GenerateLock { passphrase: &word(), kdf_rounds: NonZeroU32::new(10) };
    let options = GenerateOptions { target, threads: NonZeroUsize::new(threads) };
    let lock = locked.then_some(&lock);
    let made =
        generate(&plan, lock, &options, &mut |_| ControlFlow::Continue(()), &NullMonitor).unwrap();
    let counts = plan.counts();
    let payloads = if locked { counts.padded_bytes } else { counts.bytes };
    assert_eq!(made.stored_bytes, payloads);
    let (files, missing) = (counts.files - counts.missing, counts.missing);
    assert_eq!((made.files, made.without_payload), (files as u64, missing as u64));
    assert_eq!(made.directories + made.symlinks, (counts.directories + counts.symlinks) as u64);
    options.target
}

fn open(path: &Path) -> Backup<Unlocked> {
    match Opened::open(Storage::directory(path).unwrap(), Limits::default()).unwrap() {
        Opened::Unlocked(backup) => backup,
        Opened::Locked(backup) => {
            backup.unlock(&word(), &mut |_| ControlFlow::Continue(())).unwrap()
        }
    }
}

/// What a reader finds of an entry, but for what depends on keys.
#[derive(Debug, PartialEq)]
struct Found {
    entry: Entry,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    content: Option<Vec<u8>>,
}

/// Reads a whole bundle. Order counts.
fn found(path: &Path) -> Vec<Found> {
    let backup = open(path);
    let encrypted = backup.bundle().is_encrypted();
    let records = backup.records().unwrap().map(|record| {
        let record = record.unwrap();
        let mut entry = record.as_ref().clone();
        let raw = entry.raw.take().unwrap();
        let file = bkp_bundle::MbFile::parse(&raw).unwrap();
        assert_eq!(file.unknown, 0);
        let xattrs = file.extended_attributes.map(|xattrs| parse_xattrs(xattrs).unwrap().items);
        let xattrs = xattrs.unwrap_or_default().into_iter();
        let xattrs = xattrs.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        let content = backup.payloads().open(&record).ok().map(|mut payload| {
            let mut bytes = Vec::new();
            payload.read_to_end(&mut bytes).unwrap();
            assert!(payload.faults().iter().all(|fault| fault.code() == "size-mismatch"));
            bytes
        });
        // That of ciphertext is another each time.
        if encrypted && content.is_some() {
            entry.digest = entry.digest.map(|_| [0; 20]);
        }
        Found { entry, xattrs, content }
    });
    records.collect()
}

fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut left) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Two writers that share no format write the same plan: what a reader finds is the same.
#[test]
fn the_naive_writer_makes_the_same_backup() {
    let variants = [
        spec(),
        SynthSpec { total: None, mix: SizeMix::Small, files: 700, rows: 0, ..spec() },
        SynthSpec { filler: Filler::MissingFiles, files: 20, ..spec() },
        SynthSpec { sparse: true, ..spec() },
    ];
    for spec in variants {
        for locked in [false, true] {
            if locked && spec.sparse {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            let SynthSpec { seed, files, total, mix, rows, filler, digests: _, sparse } = spec;
            let encryption = locked.then(|| Encryption::new(WORD));
            let (keychain, threads) = (false, None);
            let naive = BulkSpec {
                seed,
                files,
                total,
                mix,
                rows,
                filler,
                sparse,
                keychain,
                encryption,
                threads,
            };
            let twin = dir.path().join("naive");
            naive.write(&twin).unwrap();
            let (ours, theirs) = (found(&write(&spec, locked, 3, dir.path())), found(&twin));
            assert_eq!(ours.len(), theirs.len());
            let with = |what: fn(&Found) -> bool| ours.iter().filter(|found| what(found)).count();
            assert!(with(|found| found.entry.digest.is_some()) > 5);
            assert!(with(|found| !found.xattrs.is_empty()) > 0);
            assert!(with(|found| found.content.as_ref().is_some_and(|c| !c.is_empty())) > 9);
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours.entry, theirs.entry);
                assert_eq!(ours.xattrs, theirs.xattrs, "{}", ours.entry);
                assert!(ours.content == theirs.content, "{}", ours.entry);
            }
        }
    }
}

#[test]
fn every_file_can_have_the_digest_of_what_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let spec = SynthSpec { digests: Digests::All, ..spec() };
    for locked in [false, true] {
        let path = write(&spec, locked, 3, dir.path());
        let mut files = 0;
        for record in open(&path).records().unwrap() {
            let entry = Entry::from(record.unwrap());
            if entry.kind == EntryKind::File {
                let id = entry.id.to_string();
                let stored = fs::read(path.join(&id[..2]).join(&id)).unwrap();
                assert_eq!(entry.digest, Some(Sha1::digest(stored).into()), "{entry}");
                files += 1;
            } else {
                assert_eq!(entry.digest, None, "{entry}");
            }
        }
        assert_eq!(files, 140);
    }
}

#[test]
fn a_plain_bundle_depends_on_the_seed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let bytes =
        |seed, threads| files(&write(&SynthSpec { seed, ..spec() }, false, threads, dir.path()));
    let one = bytes(5, 1);
    assert!(one == bytes(5, 4));
    let other = bytes(6, 1);
    assert!(one.iter().all(|(name, bytes)| other.get(name) != Some(bytes)));
}

#[test]
fn keys_do_not_follow_from_the_seed() {
    let dir = tempfile::tempdir().unwrap();
    let one = files(&write(&spec(), true, 1, dir.path()));
    let two = files(&write(&spec(), true, 2, dir.path()));
    assert!(one.keys().eq(two.keys()));
    for (name, bytes) in &one {
        let clear = ["Info.plist", "Status.plist"].iter().any(|clear| name.ends_with(clear));
        assert_eq!(two[name] == *bytes, clear, "{}", name.display());
    }
}

#[test]
fn the_keybag_of_plain_bundles_is_one() {
    let keybag = Keybag::parse(PLAIN_KEYBAG).unwrap();
    let open = |keybag: &Keybag| {
        let on = &mut |_| ControlFlow::Continue(());
        keybag.unlock(&Passphrase::empty(), DEFAULT_KDF_LIMIT, on).unwrap();
    };
    open(&keybag);
    let (made, _) = Keybag::generate_plain(Keybag::CURRENT_VERSION).unwrap();
    assert_eq!(made.to_bytes().len(), PLAIN_KEYBAG.len());
    assert_eq!(keybag.to_bytes(), PLAIN_KEYBAG);
    let shape = |keybag: &Keybag| -> Vec<_> {
        keybag
            .classes()
            .iter()
            .map(|class| (class.class(), class.wrap(), class.key_type()))
            .collect()
    };
    assert_eq!(shape(&keybag), shape(&made));
}

/// Ends the run after some entries.
struct Impatient(std::sync::atomic::AtomicU64);

impl Monitor for Impatient {
    fn advanced(&self, _: Stage, _: &Entry, _: u64) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn problem(&self, problem: Problem<'_>) {
        panic!("{problem:?}");
    }

    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) > 100
    }
}

#[test]
fn refusals_and_interruptions_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let options = GenerateOptions { target: target.clone(), threads: None };
    let lock = GenerateLock { passphrase: &word(), kdf_rounds: NonZeroU32::new(10) };
    let sparse = Plan::new(&SynthSpec { sparse: true, ..spec() }, None).unwrap();
    let go = &mut |_| ControlFlow::Continue(());
    let error = generate(&sparse, Some(&lock), &options, go, &NullMonitor).unwrap_err();
    assert!(matches!(error, GenerateError::SparseEncrypted));
    let plan = Plan::new(&spec(), None).unwrap();
    let stop = &mut |_| ControlFlow::Break(());
    let error = generate(&plan, Some(&lock), &options, stop, &NullMonitor).unwrap_err();
    assert!(matches!(error, GenerateError::Keybag { .. }), "{error}");
    let impatient = Impatient(0.into());
    let error = generate(&plan, None, &options, go, &impatient).unwrap_err();
    assert!(matches!(error, GenerateError::Run(_)), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
