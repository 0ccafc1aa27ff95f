//! Bundles packed and unpacked, plain and sealed, and what other programs say of the result.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bkp_bundle::{Limits, Opened, Storage};
use bkp_core::Fault as _;
use bkp_crypto::{ArchiveKey, SealOptions, Sealing};
use bkp_testkit::{BundleSpec, EntrySpec};
use sha2::{Digest as _, Sha256};

use crate::{
    Archive, ArchiveError, ArchiveLimits, Catalog, MemberName, OpenedArchive, PackOptions,
    PackPlan, Plist, SealedArchive, pack, unpack,
};

fn go(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn key() -> ArchiveKey {
    ArchiveKey::try_init(|key| {
        key.copy_from_slice(&std::array::from_fn::<u8, 32, _>(|n| u8::try_from(n).unwrap()));
        Ok::<_, ()>(())
    })
    .unwrap()
}

fn sealing(segment_size: u32) -> Sealing {
    let options = SealOptions { segment_size, ..SealOptions::default() };
    Sealing::with_key_file(key(), options).unwrap()
}

fn packed(source: &Storage, seal: Option<Sealing>) -> Vec<u8> {
    let plan = PackPlan::new(source).unwrap();
    let options = PackOptions { seal, ..PackOptions::default() };
    pack(source, &plan, Vec::new(), options, &go).unwrap().0
}

fn open(bytes: Vec<u8>) -> Result<Archive, ArchiveError> {
    match OpenedArchive::of(Arc::new(bytes), ArchiveLimits::default())? {
        OpenedArchive::Plain(archive) => Ok(archive),
        OpenedArchive::Sealed(sealed) => sealed.unseal_with_key_file(&key()),
    }
}

/// The files of a folder, by their names below it.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The files of a folder that are a bundle's own.
fn own(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(dir);
    files.retain(|name, _| MemberName::parse(name.as_bytes()).is_some());
    files
}

/// The committed bundles, and the shared ones when there are any.
fn bundles() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut all: Vec<_> =
        ["plain-db", "encrypted-db", "encrypted-mbdb"].map(|name| fixtures.join(name)).into();
    match std::env::var_os("BKP_SHARED_DATA") {
        None => println!("skipped: BKP_SHARED_DATA is not set, so there are no real bundles"),
        Some(root) => {
            let bundles = std::fs::read_dir(Path::new(&root).join("bundles")).unwrap();
            all.extend(bundles.map(|entry| entry.unwrap().path()));
        }
    }
    all
}

#[test]
fn what_is_packed_is_unpacked_byte_for_byte() {
    for bundle in bundles() {
        let expected = own(&bundle);
        let source = Storage::directory(&bundle).unwrap();
        let plain = packed(&source, None);
        assert!(plain == packed(&source, None), "not deterministic");
        let sealed = packed(&source, Some(sealing(1 << 16)));
        for (name, archive) in [("plain", plain), ("sealed", sealed)] {
            let parent = tempfile::tempdir().unwrap();
            let target = parent.path().join("out");
            let archive = open(archive).unwrap();
            let unpacked = unpack(&archive, &target, &go).unwrap();
            assert!(files(&target) == expected, "{} {name}", bundle.display());
            assert_eq!(unpacked.files, expected.len() as u64);
            assert_eq!(unpacked.bytes, expected.values().map(|b| b.len() as u64).sum::<u64>());
            assert!(unpacked.failed.is_empty());
            // A second time there is something in it.
            let error = unpack(&archive, &target, &go).unwrap_err();
            assert_eq!(error.code(), "destination-not-empty");
            assert!(archive.check_members(&go).unwrap().failed.is_empty());
            let segments = archive.check_segments(&go).unwrap();
            assert_eq!(segments.is_some(), name == "sealed");
            assert!(segments.is_none_or(|check| check.damaged == 0));
        }
    }
}

/// A bundle in an archive says what it says in a folder.
#[test]
fn bundles_are_read_in_place() {
    let listing = |storage: Storage| {
        let mut names = Vec::new();
        storage.list("", &mut |name, is_file| names.push((name.to_owned(), is_file))).unwrap();
        names.sort();
        let Opened::Unlocked(backup) = Opened::open(storage.clone(), Limits::default()).unwrap()
        else {
            return (names, Vec::new());
        };
        let records = backup.catalog().records().map(|record| record.unwrap().as_ref().to_string());
        (names, records.collect::<Vec<_>>())
    };
    for bundle in bundles() {
        let folder = Storage::directory(&bundle).unwrap();
        let (mut names, records) = listing(folder.clone());
        // What is no bundle's own is not packed.
        names.retain(|(name, is_file)| !is_file || MemberName::parse(name.as_bytes()).is_some());
        for seal in [None, Some(sealing(4096))] {
            let archive = open(packed(&folder, seal)).unwrap();
            assert_eq!(listing(archive.storage()), (names.clone(), records.clone()));
            for (name, content) in own(&bundle) {
                assert_eq!(archive.storage().len(&name).unwrap(), Some(content.len() as u64));
                let mut bytes = Vec::new();
                archive.storage().open(&name).unwrap().read_to_end(&mut bytes).unwrap();
                assert!(bytes == content, "{name}");
            }
            let in_folder = |storage: &Storage, shard: &str| {
                let mut names = Vec::new();
                let listed = storage.list(shard, &mut |name, is_file| {
                    names.push((name.to_owned(), is_file));
                });
                names.sort();
                (listed.is_ok(), names)
            };
            for shard in 0..=255 {
                let shard = format!("{shard:02x}");
                assert_eq!(in_folder(&archive.storage(), &shard), in_folder(&folder, &shard));
            }
        }
    }
}

fn many_files() -> Storage {
    let mut spec = BundleSpec::new(5);
    for n in 0..300 {
        spec.entries.push(EntrySpec::file("HomeDomain", format!("Library/{n}"), vec![7; 3000]));
    }
    let dir = tempfile::tempdir().unwrap();
    spec.write(dir.path()).unwrap();
    Storage::memory(files(dir.path()))
}

/// One small file costs the segments that it and the directory are in.
#[test]
fn one_file_of_a_sealed_archive_opens_few_segments() {
    let source = many_files();
    let archive = open(packed(&source, Some(sealing(8192)))).unwrap();
    let sealed = archive.sealed().unwrap();
    assert!(sealed.segments() > 100, "{}", sealed.segments());
    let opening = sealed.segments_opened();
    // 300 names of about ninety bytes.
    assert!(opening <= 5, "{opening}");
    let member = archive.members().iter().filter(|m| m.name.is_blob()).nth(150).unwrap();
    let mut file = archive.storage().open(&member.name.to_string()).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, vec![7; 3000]);
    assert!(sealed.segments_opened() <= opening + 2, "{}", sealed.segments_opened());
}

#[test]
fn plans_leave_out_and_replace() {
    let source = many_files();
    let mut plan = PackPlan::new(&source).unwrap();
    let all = plan.files().len();
    let (status, db) = (MemberName::Plist(Plist::Status), MemberName::Catalog(Catalog::Db));
    let mut blobs = 0;
    plan.retain(|name| {
        blobs += u32::from(name.is_blob());
        !name.is_blob() || blobs % 3 == 0
    });
    assert!(plan.files().len() < all);
    plan.replace(status, b"another status".to_vec());
    plan.replace(db, vec![1; 5 << 20]);
    plan.replace(MemberName::Catalog(Catalog::Wal), b"not there before".to_vec());
    let mut seen = 0;
    let mut record = |members: &[crate::PackedMember]| {
        seen = members.len();
        for member in members.iter().filter(|m| m.name == status) {
            assert_eq!(member.sha256[..], Sha256::digest(b"another status")[..]);
        }
        b"{}".to_vec()
    };
    let options = PackOptions { hash: true, record: Some(&mut record), ..PackOptions::default() };
    let (bytes, packed) = pack(&source, &plan, Vec::new(), options, &go).unwrap();
    assert_eq!(seen, plan.files().len());
    assert_eq!((packed.files, packed.bytes), (seen as u64, plan.bytes()));
    assert_eq!(packed.zip_bytes, bytes.len() as u64);
    for member in &packed.members {
        let mut content = Vec::new();
        let replaced = match member.name {
            name if name == status => Some(b"another status".to_vec()),
            name if name == db => Some(vec![1; 5 << 20]),
            MemberName::Catalog(Catalog::Wal) => Some(b"not there before".to_vec()),
            _ => None,
        };
        match replaced {
            Some(replaced) => content = replaced,
            None => {
                let name = member.name.to_string();
                source.open(&name).unwrap().read_to_end(&mut content).unwrap();
            }
        }
        assert_eq!(member.sha256[..], Sha256::digest(&content)[..]);
    }
    let archive = open(bytes).unwrap();
    assert_eq!(archive.run_record().unwrap().as_deref(), Some(&b"{}"[..]));
    assert_eq!(archive.members().last().unwrap().name, MemberName::RunRecord);
    assert_eq!(archive.storage().len("bkp-run.json").unwrap(), None, "no file of the bundle");
    let mut bytes = Vec::new();
    archive.storage().open("Manifest.db").unwrap().read_to_end(&mut bytes).unwrap();
    assert!(bytes == vec![1; 5 << 20]);
    let parent = tempfile::tempdir().unwrap();
    let unpacked = unpack(&archive, &parent.path().join("out"), &go).unwrap();
    assert_eq!(unpacked.files, packed.files);
    assert!(!unpacked.target.join("bkp-run.json").exists());
}

/// Names beside the bundle's own are told and neither packed nor unpacked.
#[test]
fn foreign_files_stay_where_they_are() {
    let names = [".DS_Store", "Info.plist.backup", "3d/notes", "Snapshot/Info.plist", "Info.plist"];
    let source = Storage::memory(names.map(|name| (name.to_owned(), b"x".to_vec())));
    let plan = PackPlan::new(&source).unwrap();
    assert_eq!(plan.foreign(), [".DS_Store", "3d/notes", "Info.plist.backup", "Snapshot"]);
    assert_eq!(plan.files().len(), 1);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in names {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(b"x").unwrap();
    }
    let archive = open(writer.finish().unwrap().into_inner()).unwrap();
    assert_eq!(archive.foreign_count(), 4);
    let storage = archive.storage();
    let mut top = Vec::new();
    storage.list("", &mut |name, is_file| top.push((name.to_owned(), is_file))).unwrap();
    top.sort();
    let expected = [
        (".DS_Store", true),
        ("3d", false),
        ("Info.plist", true),
        ("Info.plist.backup", true),
        ("Snapshot", false),
    ];
    assert_eq!(top, expected.map(|(name, is_file)| (name.to_owned(), is_file)));
    assert_eq!(storage.open(".DS_Store").unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    let parent = tempfile::tempdir().unwrap();
    let unpacked = unpack(&archive, &parent.path().join("out"), &go).unwrap();
    assert_eq!((unpacked.files, unpacked.foreign), (1, 4));
    assert_eq!(files(&unpacked.target).len(), 1);
}

#[test]
fn a_damaged_member_is_left_out_and_told() {
    let source = many_files();
    let mut bytes = packed(&source, None);
    let archive = open(bytes.clone()).unwrap();
    let member = *archive.members().iter().find(|m| m.name.is_blob()).unwrap();
    // The first one's content begins somewhere behind its name.
    let name = member.name.to_string();
    let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
    bytes[at + name.len() + 10] ^= 1;
    let archive = open(bytes).unwrap();
    let check = archive.check_members(&go).unwrap();
    assert_eq!(check.failed.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [member.name]);
    let parent = tempfile::tempdir().unwrap();
    let unpacked = unpack(&archive, &parent.path().join("out"), &go).unwrap();
    assert_eq!(unpacked.failed.len(), 1);
    assert_eq!(unpacked.failed[0].0, member.name);
    assert_eq!(unpacked.files, archive.members().len() as u64 - 1);
    assert_eq!(files(&unpacked.target).len() as u64, unpacked.files);
    assert!(!unpacked.target.join(name).exists());
}

#[test]
fn jobs_stop_when_they_are_asked_to() {
    let source = many_files();
    let stop = |_| ControlFlow::Break(());
    let plan = PackPlan::new(&source).unwrap();
    let error = pack(&source, &plan, Vec::new(), PackOptions::default(), &stop).unwrap_err();
    assert_eq!(error.code(), "cancelled");
    let archive = open(packed(&source, None)).unwrap();
    let parent = tempfile::tempdir().unwrap();
    let error = unpack(&archive, &parent.path().join("out"), &stop).unwrap_err();
    assert_eq!(error.code(), "cancelled");
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0, "nothing is left");
    assert_eq!(archive.check_members(&stop).unwrap_err().code(), "cancelled");
}

/// A file that is another one than was listed.
#[test]
fn a_file_that_changes_is_found() {
    let dir = tempfile::tempdir().unwrap();
    for (name, first, then) in [("Info.plist", 10, 11), ("Manifest.db", 5 << 20, 6 << 20)] {
        for (first, then) in [(first, then), (then, first)] {
            std::fs::write(dir.path().join(name), vec![1; first]).unwrap();
            let source = Storage::directory(dir.path()).unwrap();
            let plan = PackPlan::new(&source).unwrap();
            std::fs::write(dir.path().join(name), vec![1; then]).unwrap();
            let result = pack(&source, &plan, Vec::new(), PackOptions::default(), &go);
            assert_eq!(result.unwrap_err().code(), "source-changed");
        }
    }
}

#[test]
fn what_is_no_archive_is_said() {
    let of = |bytes: &[u8]| {
        OpenedArchive::of(Arc::new(bytes.to_vec()), ArchiveLimits::default()).unwrap_err().code()
    };
    assert_eq!(of(b""), "not-an-archive");
    assert_eq!(of(b"bplist00"), "not-an-archive");
    assert_eq!(of(b"PK\x03\x04 and no more"), "zip-damaged");
    assert_eq!(of(b"\x89BKPZ\r\n\x1a"), "sealed-truncated");
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| OpenedArchive::open(path, ArchiveLimits::default());
    assert_eq!(open(dir.path()).unwrap_err().code(), "cannot-open-archive");
    assert_eq!(open(&dir.path().join("none")).unwrap_err().code(), "cannot-open-archive");
    // A zip that somebody sealed is as hostile as any other.
    let mut writer = bkp_crypto::SealWriter::new(Vec::new(), sealing(4096)).unwrap();
    writer.write_all(b"no zip at all").unwrap();
    let sealed = writer.finish().unwrap();
    let Ok(OpenedArchive::Sealed(sealed)) =
        OpenedArchive::of(Arc::new(sealed), ArchiveLimits::default())
    else {
        panic!("it is sealed");
    };
    assert_eq!(sealed.unseal_with_key_file(&key()).unwrap_err().code(), "zip-damaged");
}

/// Archives of version 1, made by another program, open for ever: `fixtures/archives`.
#[test]
fn archives_of_version_1_open() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let expected = own(&fixtures.join("encrypted-mbdb"));
    let open = |name: &str| {
        let path = fixtures.join("archives").join(name);
        OpenedArchive::open(&path, ArchiveLimits::default()).unwrap()
    };
    let sealed = |name: &str| match open(name) {
        OpenedArchive::Sealed(sealed) => sealed,
        OpenedArchive::Plain(_) => panic!("{name} is sealed"),
    };
    let with_key = |sealed: SealedArchive| sealed.unseal_with_key_file(&key()).unwrap();
    let OpenedArchive::Plain(plain) = open("v1.zip") else { panic!("v1.zip is plain") };
    let password = bkp_crypto::Passphrase::new("correct horse battery staple".into());
    let passphrase = sealed("v1-password.bkpz");
    let archives = [
        plain,
        with_key(sealed("v1-key-file.bkpz")),
        with_key(sealed("v1-small-segments.bkpz")),
        passphrase.unseal(&password, 600_000, &mut |_| ControlFlow::Continue(())).unwrap(),
    ];
    for archive in archives {
        let parent = tempfile::tempdir().unwrap();
        let unpacked = unpack(&archive, &parent.path().join("out"), &go).unwrap();
        assert!(unpacked.failed.is_empty());
        assert!(files(&unpacked.target) == expected);
        let record = archive.run_record().unwrap().unwrap();
        assert_eq!(record, b"{\"schema_version\":1}\n");
    }
    let wrong = bkp_crypto::Passphrase::new("incorrect".into());
    let error = passphrase.unseal(&wrong, 600_000, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.code(), "wrong-password");
}

/// The plain zip has the same bytes as ever.
#[test]
fn the_plain_form_is_frozen() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let source = Storage::directory(&fixtures.join("encrypted-mbdb")).unwrap();
    let plan = PackPlan::new(&source).unwrap();
    let mut record = |_: &[crate::PackedMember]| b"{\"schema_version\":1}\n".to_vec();
    let options = PackOptions { record: Some(&mut record), ..PackOptions::default() };
    let (zip, _) = pack(&source, &plan, Vec::new(), options, &go).unwrap();
    assert!(zip == std::fs::read(fixtures.join("archives/v1.zip")).unwrap());
}

/// What other programs say, where they are installed.
#[test]
fn other_programs_read_the_plain_zip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive.zip");
    let source = many_files();
    let mut plan = PackPlan::new(&source).unwrap();
    // One large enough to have its checksum behind it.
    plan.replace(MemberName::Catalog(Catalog::Mbdb), vec![3; 9 << 20]);
    let file = std::fs::File::create(&path).unwrap();
    pack(&source, &plan, file, PackOptions::default(), &go).unwrap();
    let python = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
                  assert z.testzip() is None; print(len(z.namelist()))";
    for (program, arguments) in [("unzip", vec!["-tq"]), ("python3", vec!["-c", python])] {
        match Command::new(program).args(arguments).arg(&path).output() {
            Ok(output) => {
                assert!(output.status.success(), "{program}: {output:?}");
                if program == "python3" {
                    let count = String::from_utf8(output.stdout).unwrap();
                    assert_eq!(count.trim(), plan.files().len().to_string());
                }
            }
            Err(error) => println!("skipped: {program} is not installed: {error}"),
        }
    }
}

/// A sealed archive of ours opens with an independent reader, and with Tink where the interpreter
/// has it: `BKP_TEST_PYTHON` names one that has `cryptography`, and perhaps `tink`.
#[test]
fn other_programs_open_the_sealed_form() {
    let Some(python) = std::env::var_os("BKP_TEST_PYTHON") else {
        println!("skipped: BKP_TEST_PYTHON is not set");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/sealed_archive.py");
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("key"), std::array::from_fn::<u8, 32, _>(|n| u8::try_from(n).unwrap()))
        .unwrap();
    std::fs::write(at("password"), "correct horse").unwrap();
    let source = many_files();
    let plain = packed(&source, None);
    let passphrase = bkp_crypto::Passphrase::new("correct horse".into());
    let options = SealOptions::default();
    let by_passphrase =
        Sealing::with_passphrase(&passphrase, options, &mut |_| ControlFlow::Continue(())).unwrap();
    for (sealing, flag, secret) in [
        (sealing(64), "--key-file", "key"),
        (sealing(1 << 20), "--key-file", "key"),
        (by_passphrase, "--password-file", "password"),
    ] {
        std::fs::write(at("sealed"), packed(&source, Some(sealing))).unwrap();
        let output = Command::new(&python)
            .arg(&script)
            .arg("open")
            .arg(at("sealed"))
            .args([flag.as_ref(), at(secret).as_os_str(), "-o".as_ref(), at("zip").as_os_str()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        print!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(std::fs::read(at("zip")).unwrap() == plain);
    }
}
