use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bkp_bundle::{Backup, CatalogKind, Limits, Opened, Storage, Unlocked};
use bkp_core::{Everything, Identity, NullMonitor, RunOptions, Sink as _, run};
use bkp_crypto::{FileClasses, KdfParams, Passphrase, Reissue};
use bkp_testkit::{BundleSpec, EntrySpec, cases};

use super::{BundlePlan, BundleWriter, CatalogForm, PayloadForm};

fn open(storage: Storage) -> Backup<Unlocked> {
    match Opened::open(storage, Limits::default()).unwrap() {
        Opened::Unlocked(backup) => backup,
        Opened::Locked(backup) => backup
            .unlock(&Passphrase::new(cases::PASSWORD.into()), &mut |_| ControlFlow::Continue(()))
            .unwrap(),
    }
}

fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut left) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false => {
                    let name = path.strip_prefix(root).unwrap().to_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
    }
    found
}

fn plan(kind: CatalogKind, payloads: PayloadForm) -> BundlePlan {
    BundlePlan {
        kind,
        payloads,
        catalog: CatalogForm::New(None),
        link: false,
        files: vec![("Manifest.plist", b"manifest".to_vec())],
    }
}

/// A bundle in a folder, and the same bundle in memory, where payloads are no files.
fn sources(spec: &BundleSpec, dir: &Path) -> [Backup<Unlocked>; 2] {
    spec.write(dir).unwrap();
    let named = |(name, bytes): (PathBuf, Vec<u8>)| (name.to_str().unwrap().to_owned(), bytes);
    let memory = Storage::memory(files(dir).into_iter().map(named));
    [open(Storage::directory(dir).unwrap()), open(memory)]
}

#[test]
fn stored_payloads_are_taken_as_they_are() {
    for spec in [cases::plain_db(), cases::encrypted_db(10), cases::encrypted_mbdb()] {
        let dir = tempfile::tempdir().unwrap();
        for (n, source) in sources(&spec, &dir.path().join("source")).iter().enumerate() {
            let target = dir.path().join(format!("out{n}"));
            let plan = plan(source.catalog().kind(), PayloadForm::Stored);
            let sink = BundleWriter::create(&target, plan).unwrap();
            let options = RunOptions::default();
            let report = run(source, &Everything, &Identity, sink, &options, &NullMonitor).unwrap();
            assert_eq!((report.failed, report.done), (0, report.listed));
            let (mut before, mut after) = (files(&dir.path().join("source")), files(&target));
            assert_eq!(after.remove(Path::new("Manifest.plist")).unwrap(), b"manifest");
            before.retain(|name, _| !name.to_str().unwrap().ends_with(".plist"));
            let catalog = Path::new(source.catalog().kind().file_name());
            assert_eq!(after.get(catalog).unwrap().len() as u64, report.summary.catalog_bytes);
            before.remove(catalog);
            after.remove(catalog);
            assert_eq!(after, before);
        }
    }
}

#[test]
fn what_is_dropped_was_never_begun() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let sink = BundleWriter::create(&target, plan(CatalogKind::Db, PayloadForm::Plain)).unwrap();
    assert!(fs::read_dir(dir.path()).unwrap().next().is_some());
    drop(sink);
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    // One without any entry is a bundle all the same.
    let sink = BundleWriter::create(&target, plan(CatalogKind::Db, PayloadForm::Plain)).unwrap();
    sink.finish().unwrap();
    assert_eq!(
        files(&target).into_keys().collect::<Vec<_>>(),
        [Path::new("Manifest.db"), Path::new("Manifest.plist")]
    );
}

/// Payloads under fresh keys never repeat, and have the length of their padding.
#[test]
fn fresh_keys_for_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let [source, _] = sources(&cases::encrypted_db(10), &dir.path().join("source"));
    let Some(Ok(keybag)) = source.bundle().keybag() else { panic!() };
    let spec = Reissue {
        file_classes: FileClasses::Fresh,
        ..Reissue::new(KdfParams::fresh(KdfParams::DEVICE_ROUNDS, None).unwrap())
    };
    let (_, keys) = keybag
        .reissue(source.class_keys().unwrap(), &spec, &Passphrase::empty(), &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
    let keys = Arc::new(keys);
    let written: Vec<_> = ["one", "two"]
        .map(|name| {
            let target = dir.path().join(name);
            let plan = plan(CatalogKind::Db, PayloadForm::Encrypted(Arc::clone(&keys)));
            let sink = BundleWriter::create(&target, plan).unwrap();
            let options = RunOptions::default();
            run(&source, &Everything, &Identity, sink, &options, &NullMonitor).unwrap();
            let mut files = files(&target);
            files.remove(Path::new("Manifest.db"));
            files.remove(Path::new("Manifest.plist"));
            files
        })
        .into();
    let old = files(&dir.path().join("source"));
    assert!(!written[0].is_empty());
    for (name, bytes) in &written[0] {
        assert_ne!(written[1][name], *bytes);
        assert_ne!(old[name], *bytes);
        assert_eq!((bytes.len() % 16, bytes.len()), (0, old[name].len()));
    }
}

/// Holes are read as what they are made of, wherever in a file they are.
#[test]
fn holes_are_zeros() {
    const STRETCH: usize = 256 << 10;
    let zeros = |len| vec![0; len];
    let contents = [
        zeros(0),
        zeros(5),
        zeros(STRETCH),
        zeros(8 * STRETCH + 7),
        [zeros(3 * STRETCH), vec![1]].concat(),
        [vec![1; 9], zeros(4 * STRETCH)].concat(),
        [vec![1; STRETCH], zeros(2 * STRETCH), vec![2; STRETCH + 1], zeros(STRETCH)].concat(),
    ];
    let (dir, mut spec) = (tempfile::tempdir().unwrap(), BundleSpec::new(3));
    for (n, content) in contents.iter().enumerate() {
        spec.entries.push(EntrySpec::file("HomeDomain", &*format!("{n}"), content.clone()));
    }
    let [source, _] = sources(&spec, &dir.path().join("source"));
    let space = |form, name| {
        let target = dir.path().join(name);
        let sink = BundleWriter::create(&target, plan(CatalogKind::Db, form)).unwrap();
        run(&source, &Everything, &Identity, sink, &RunOptions::default(), &NullMonitor).unwrap();
        let mut files = files(&target);
        let blocks = files.keys().map(|name| fs::metadata(target.join(name)).unwrap().blocks());
        let blocks: u64 = blocks.sum();
        files.remove(Path::new("Manifest.plist"));
        (files, blocks * 512)
    };
    let (whole, full) = space(PayloadForm::Plain, "plain");
    let (holed, sparse) = space(PayloadForm::Sparse, "sparse");
    // The catalogs are the same too, and in them the digests.
    assert!(whole == holed);
    let stretches = 8 + 3 + 4 + 2;
    assert!(full - sparse >= stretches * STRETCH as u64, "{full} {sparse}");
}
