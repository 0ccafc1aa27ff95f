use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use bkp_core::{Domain, Entry, EntryKind, Fault as _, FileId, ProtectionClass, RelPath};
use bkp_crypto::{Passphrase, SecretString, WrappedFileKey};
use bkp_testkit::cases;
use rusqlite::Connection;

use super::{CatalogKind, CatalogWriteError, CatalogWriter, FinishedCatalog, carries_digest};
use crate::testing::shared;
use crate::{Catalog, Limits, MbFile, Opened, Patch, RowPatch, ScratchPlace, Storage};

fn entries(catalog: &Catalog) -> Vec<Entry> {
    catalog.records().map(|record| record.unwrap().into()).collect()
}

fn unlocked(dir: &Path) -> crate::Backup<crate::Unlocked> {
    match Opened::open(Storage::directory(dir).unwrap(), Limits::default()).unwrap() {
        Opened::Unlocked(backup) => backup,
        Opened::Locked(backup) => {
            let passphrase = Passphrase::new(SecretString::from(cases::PASSWORD));
            backup.unlock(&passphrase, &mut |_| ControlFlow::Continue(())).unwrap()
        }
    }
}

fn real(bundle: &str) -> Option<Vec<Entry>> {
    let dir = shared(&format!("bundles/{bundle}"))?;
    let opened = Opened::open(Storage::directory(&dir).unwrap(), Limits::default()).unwrap();
    Some(entries(opened.catalog().unwrap()))
}

fn writer(kind: CatalogKind) -> CatalogWriter {
    CatalogWriter::new(kind, ScratchPlace::folder(std::env::temp_dir()))
}

/// Returns all bytes of a catalog.
fn bytes(catalog: &FinishedCatalog) -> Vec<u8> {
    let mut image = Vec::new();
    catalog.reader().read_to_end(&mut image).unwrap();
    assert_eq!(catalog.len(), image.len() as u64);
    image
}

fn write(kind: CatalogKind, entries: &[Entry]) -> Vec<u8> {
    let mut writer = writer(kind);
    for entry in entries {
        writer.push(entry, &RowPatch::default()).unwrap();
    }
    bytes(&writer.finish().unwrap())
}

/// Reads an image back as part of a bundle that is not encrypted.
fn read(kind: CatalogKind, image: &[u8]) -> Vec<Entry> {
    let version = if kind == CatalogKind::Db { "10.0" } else { "9.1" };
    let manifest = bkp_testkit::binary_plist(&bkp_testkit::PlistValue::dict([
        ("Version", bkp_testkit::PlistValue::text(version)),
        ("IsEncrypted", bkp_testkit::PlistValue::Bool(false)),
    ]));
    let files =
        [("Manifest.plist".to_owned(), manifest), (kind.file_name().to_owned(), image.to_vec())];
    let opened = Opened::open(Storage::memory(files), Limits::default()).unwrap();
    if let Some(Catalog::Db(db)) = opened.catalog() {
        assert_eq!(db.quick_check(), crate::DatabaseReport::default());
        assert_eq!(db.user_version().unwrap(), 2);
    }
    entries(opened.catalog().unwrap())
}

fn entry(domain: &str, path: impl AsRef<[u8]>, kind: EntryKind) -> Entry {
    Entry::derive(Domain::new(domain).unwrap(), RelPath::new(path).unwrap(), kind)
}

/// Opens an image as SQLite does, through memory.
fn sqlite(image: &[u8]) -> Connection {
    let mut image = image.to_vec();
    image[18..20].fill(1);
    let mut db = Connection::open_in_memory().unwrap();
    let len = image.len();
    db.deserialize_read_exact("main", image.as_slice(), len, true).unwrap();
    db
}

fn schema(db: &Connection) -> Vec<(String, String, String, i64, Option<String>)> {
    let sql = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master ORDER BY rowid";
    let mut schema = db.prepare(sql).unwrap();
    let row = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?));
    schema.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Everything of the header that a device's database says of itself, and no counter.
fn header(image: &[u8]) -> Vec<&[u8]> {
    // Magic to payload fractions, freelist, schema format, largest root page, encoding, user
    // version, incremental vacuum, application id, reserved.
    [0..24, 32..40, 44..48, 52..72].map(|range| &image[range]).to_vec()
}

#[test]
fn manifest_db_is_as_a_device_leaves_it() {
    let Some(path) = shared("bundles/ios13.3-unencrypted/Manifest.db") else { return };
    let original = std::fs::read(path).unwrap();
    let entries = real("ios13.3-unencrypted").unwrap();
    let image = write(CatalogKind::Db, &entries);
    let (ours, theirs) = (sqlite(&image), sqlite(&original));
    assert_eq!(schema(&ours), schema(&theirs));
    assert_eq!(header(&image), header(&original));
    for (pragma, expected) in [("auto_vacuum", 2), ("user_version", 2), ("freelist_count", 0)] {
        let value = |db: &Connection| {
            db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((value(&ours), value(&theirs)), (expected, expected), "{pragma}");
    }
    let rows = |db: &Connection| {
        let sql = "SELECT fileID, domain, relativePath, flags, file, typeof(fileID),
            typeof(domain), typeof(relativePath), typeof(flags), typeof(file) FROM Files";
        let mut rows = db.prepare(sql).unwrap();
        let row = |r: &rusqlite::Row<'_>| {
            (0..10).map(|at| r.get::<_, rusqlite::types::Value>(at)).collect::<Result<Vec<_>, _>>()
        };
        rows.query_map([], row).unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    // Not row by row in a message: these are a megabyte.
    assert!(rows(&ours) == rows(&theirs));
    assert_eq!(read(CatalogKind::Db, &image), entries);
    assert_eq!(image.len() % 4096, 0);
    assert!(image.len() <= original.len(), "{} and {}", image.len(), original.len());
}

#[test]
fn an_empty_catalog_has_all_its_tables() {
    let image = write(CatalogKind::Db, &[]);
    let names: Vec<_> = schema(&sqlite(&image)).into_iter().map(|row| (row.1, row.3)).collect();
    let expected = [
        ("Files", 3),
        ("sqlite_autoindex_Files_1", 4),
        ("FilesDomainIdx", 5),
        ("FilesRelativePathIdx", 6),
        ("FilesFlagsIdx", 7),
        ("Properties", 8),
        ("sqlite_autoindex_Properties_1", 9),
    ];
    assert_eq!(names, expected.map(|(name, page)| (name.to_owned(), page)));
    assert_eq!(image[18..20], [2, 2]);
    assert_eq!(image[52..56], 9_u32.to_be_bytes());
    assert!(read(CatalogKind::Db, &image).is_empty());
    assert_eq!(*write(CatalogKind::Mbdb, &[]), *b"mbdb\x05\x00");
}

#[test]
fn real_mbdb_comes_out_as_it_went_in() {
    for bundle in ["ios9.3-encrypted-mbdb", "thirdparty-9.0.1-encrypted-mbdb"] {
        let Some(entries) = real(bundle) else { return };
        let path = shared(&format!("bundles/{bundle}/Manifest.mbdb")).unwrap();
        let original = std::fs::read(path).unwrap();
        assert_eq!(*write(CatalogKind::Mbdb, &entries), *original);
    }
}

fn key(class: u32) -> WrappedFileKey {
    let mut bytes = [7; 44];
    bytes[..4].copy_from_slice(&class.to_le_bytes());
    WrappedFileKey::parse(&bytes).unwrap()
}

fn find<'e>(entries: &'e [Entry], entry: &Entry) -> &'e Entry {
    entries.iter().find(|found| found.id == entry.id).unwrap()
}

#[test]
fn real_records_change_and_change_back() {
    let Some(entries) = real("ios9.3-encrypted-mbdb") else { return };
    let path = shared("bundles/ios9.3-encrypted-mbdb/Manifest.mbdb").unwrap();
    let original = std::fs::read(path).unwrap();
    let mut there = writer(CatalogKind::Mbdb);
    let patch = RowPatch {
        key: Patch::Set(key(2)),
        digest: Patch::Remove,
        size: Some(u64::MAX),
        inode: Some(3),
        protection: Some(ProtectionClass(2)),
    };
    for entry in &entries {
        there.push(entry, &patch).unwrap();
    }
    let mbdb = crate::Mbdb::parse(&original).unwrap();
    let before: Vec<_> = mbdb.records().map(Result::unwrap).collect();
    let image = bytes(&there.finish().unwrap());
    let changed = read(CatalogKind::Mbdb, &image);
    let mut back = writer(CatalogKind::Mbdb);
    for (entry, before) in changed.iter().zip(&before) {
        assert_eq!((entry.metadata.size_hint, entry.metadata.inode), (u64::MAX, 3));
        assert_eq!((entry.digest, entry.protection), (None, Some(ProtectionClass(2))));
        fn patch<T>(value: Option<T>) -> Patch<T> {
            value.map_or(Patch::Remove, Patch::Set)
        }
        let patch = RowPatch {
            key: patch(before.encryption_key.map(|key| WrappedFileKey::parse(key).unwrap())),
            digest: patch(before.digest.map(|digest| digest.try_into().unwrap())),
            size: Some(before.size),
            inode: Some(before.inode),
            protection: Some(ProtectionClass(before.protection_class.into())),
        };
        back.push(entry, &patch).unwrap();
    }
    assert_eq!(bytes(&back.finish().unwrap()), original);
}

/// From one form to the other and back nothing is lost: no key, no attribute.
#[test]
fn real_catalogs_change_their_form_and_change_back() {
    let Some(entries) = real("ios9.3-encrypted-mbdb") else { return };
    let path = shared("bundles/ios9.3-encrypted-mbdb/Manifest.mbdb").unwrap();
    let as_db = read(CatalogKind::Db, &write(CatalogKind::Db, &entries));
    for (was, is) in entries.iter().zip(&as_db) {
        let [was, is] = [was, is].map(|entry| {
            let mut entry = entry.clone();
            entry.raw = None;
            entry
        });
        assert_eq!(was, is);
    }
    let image = write(CatalogKind::Mbdb, &as_db);
    let original = std::fs::read(path).unwrap();
    let records = |bytes| {
        let mbdb = crate::Mbdb::parse(bytes).unwrap();
        let record = |record: Result<crate::MbdbRecord<'_>, _>| {
            let record = record.unwrap();
            let xattrs: Vec<_> =
                record.xattrs.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            let key = record.encryption_key.map(<[u8]>::to_vec);
            (record.domain.to_vec(), record.path.map(<[u8]>::to_vec), key, xattrs, record.mode)
        };
        mbdb.records().map(record).collect::<Vec<_>>()
    };
    assert_eq!(records(&image), records(&original));
    let entries = real("ios13.3-unencrypted").unwrap();
    let as_mbdb = read(CatalogKind::Mbdb, &write(CatalogKind::Mbdb, &entries));
    let again = read(CatalogKind::Db, &write(CatalogKind::Db, &as_mbdb));
    let mut attributes = 0;
    for (was, is) in entries.iter().zip(&again) {
        let mut was_there = was.metadata.clone();
        // The older form has no room for these.
        was_there.flags = 0;
        assert_eq!((&was_there, was.digest, &was.kind), (&is.metadata, is.digest, &is.kind));
        let [a, b] = [was, is].map(|entry| {
            let file = MbFile::parse(entry.raw.as_deref().unwrap()).unwrap();
            file.extended_attributes.map(|value| crate::parse_xattrs(value).unwrap())
        });
        assert_eq!(a, b);
        attributes += usize::from(a.is_some());
    }
    assert!(attributes > 0);
}

#[test]
fn rows_are_made_of_fields() {
    for kind in [CatalogKind::Db, CatalogKind::Mbdb] {
        let mut file = entry("HomeDomain", "a/b", EntryKind::File);
        file.metadata.size_hint = 5;
        file.metadata.mode = 0o100_600;
        file.metadata.modified = 1_600_000_000;
        let link = entry("HomeDomain", "a/l", EntryKind::symlink(b"x\xff").unwrap());
        let odd = entry("HomeDomain", b"a/\xff\xfe", EntryKind::File);
        let wide = entry("HomeDomain", "a/\u{4e2d}\u{1f600}", EntryKind::Directory);
        let mut writer = writer(kind);
        let patch = RowPatch {
            key: Patch::Set(key(3)),
            digest: Patch::Set([4; 20]),
            size: Some(6),
            inode: Some(9),
            protection: Some(ProtectionClass(3)),
        };
        writer.push(&file, &patch).unwrap();
        for entry in [&link, &odd, &wide] {
            writer.push(entry, &RowPatch::default()).unwrap();
        }
        let found = read(kind, &bytes(&writer.finish().unwrap()));
        assert_eq!(found.len(), 4);
        let is = find(&found, &file);
        assert_eq!((&is.path, &is.kind), (&file.path, &file.kind));
        assert_eq!((is.metadata.size_hint, is.metadata.inode), (6, 9));
        assert_eq!((is.metadata.mode, is.metadata.modified), (0o100_600, 1_600_000_000));
        assert_eq!((is.digest, is.protection), (Some([4; 20]), Some(ProtectionClass(3))));
        for entry in [&link, &odd, &wide] {
            let is = find(&found, entry);
            assert_eq!((&is.domain, &is.path, &is.kind), (&entry.domain, &entry.path, &entry.kind));
        }
    }
}

#[test]
fn a_row_that_cannot_be_written_costs_only_itself() {
    for kind in [CatalogKind::Db, CatalogKind::Mbdb] {
        let mut writer = writer(kind);
        let first = entry("HomeDomain", "a", EntryKind::File);
        let mut twin = entry("HomeDomain", "b", EntryKind::File);
        twin.id = first.id;
        writer.push(&first, &RowPatch::default()).unwrap();
        let error = writer.push(&twin, &RowPatch::default()).unwrap_err();
        assert!(error.is_row());
        assert_eq!(error.code(), "duplicate-id");
        // A row that cannot be rewritten can be pushed again without.
        let mut broken = entry("HomeDomain", "c", EntryKind::File);
        broken.raw = Some(match kind {
            CatalogKind::Db => b"bplist00 and no more".as_slice().into(),
            CatalogKind::Mbdb => b"\x00\x01a".as_slice().into(),
        });
        let patch = RowPatch { size: Some(1), ..RowPatch::default() };
        let error = writer.push(&broken, &patch).unwrap_err();
        assert!(error.is_row(), "{error:?}");
        broken.raw = None;
        writer.push(&broken, &patch).unwrap();
        let found = read(kind, &bytes(&writer.finish().unwrap()));
        assert_eq!(found.iter().map(|entry| entry.id).collect::<Vec<_>>(), [first.id, broken.id]);
    }
}

#[test]
fn what_an_mbdb_has_no_room_for_is_refused() {
    let mut writer = writer(CatalogKind::Mbdb);
    let mut file = entry("HomeDomain", "a", EntryKind::File);
    file.protection = Some(ProtectionClass(256));
    let error = writer.push(&file, &RowPatch::default()).unwrap_err();
    assert!(matches!(error, CatalogWriteError::Class { class: 256 }), "{error:?}");
    let value = vec![0; 65_535];
    let xattrs = bkp_testkit::binary_plist(&bkp_testkit::PlistValue::dict([(
        "name",
        bkp_testkit::PlistValue::Data(value),
    )]));
    file.protection = None;
    file.raw = Some(crate::mbfile::encode(&file, None, None, Some(&xattrs)).into());
    let error = writer.push(&file, &RowPatch::default()).unwrap_err();
    assert!(matches!(error, CatalogWriteError::TooLong { len: 65_535, .. }), "{error:?}");
    file.raw = None;
    // Times outside of 32 bits become the nearest.
    file.metadata.modified = -1;
    file.metadata.born = i64::MAX;
    writer.push(&file, &RowPatch::default()).unwrap();
    let found = read(CatalogKind::Mbdb, &bytes(&writer.finish().unwrap()));
    let metadata = &found[0].metadata;
    assert_eq!((metadata.modified, metadata.born), (0, u32::MAX.into()));
}

/// iOS 10.0 encrypted each archive. What is carried over is the archive itself.
#[test]
fn encrypted_cells_are_carried_over_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    cases::ios10_0_cells().write(dir.path()).unwrap();
    let backup = unlocked(dir.path());
    let before = entries(backup.catalog());
    assert!(before.iter().all(|entry| MbFile::parse(entry.raw.as_deref().unwrap()).is_ok()));
    let image = write(CatalogKind::Db, &before);
    assert_eq!(read(CatalogKind::Db, &image), before);
    let properties: i64 =
        sqlite(&image).query_row("SELECT count(*) FROM Properties", [], |row| row.get(0)).unwrap();
    assert_eq!(properties, 0);
}

#[test]
fn real_domains_carry_digests_as_told() {
    for name in ["ProtectedDomain", "NetworkDomain", "MobileDeviceDomain", "NewDomain"] {
        assert!(carries_digest(&Domain::new(name).unwrap()), "{name}");
    }
    for name in ["AppDomainPlaceholder-a", "AppDomainNew-a", "CameraRollDomain", "MediaDomain"] {
        assert!(!carries_digest(&Domain::new(name).unwrap()), "{name}");
    }
    for bundle in ["ios13.3-unencrypted", "ios9.3-encrypted-mbdb"] {
        let Some(entries) = real(bundle) else { return };
        let mut domains: BTreeMap<String, [u32; 2]> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.kind == EntryKind::File) {
            assert_eq!(entry.digest.is_some(), carries_digest(&entry.domain), "{entry}");
            domains.entry(entry.domain.to_string()).or_default()[0] += 1;
        }
        assert!(domains.len() > 10, "{}", domains.len());
    }
}

/// Python's own SQLite and property lists read the result as a program of somebody else's.
#[test]
fn another_implementation_reads_it() {
    let entries: Vec<Entry> = (0..500)
        .map(|n| entry("HomeDomain", format!("Library/file {n}"), EntryKind::File))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("Manifest.db");
    std::fs::write(&path, &*write(CatalogKind::Db, &entries)).unwrap();
    let script = "
import plistlib, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute('pragma integrity_check').fetchall() == [('ok',)]
assert db.execute('pragma journal_mode').fetchall() == [('wal',)]
rows = db.execute('select fileID, relativePath, flags, file from Files order by rowid').fetchall()
for id, path, flags, blob in rows:
    objects = plistlib.loads(blob)['$objects']
    root = objects[1]
    assert objects[root['RelativePath'].data] == path and flags == 1
    assert objects[root['$class'].data]['$classname'] == 'MBFile'
    print(id)
";
    let python = std::process::Command::new("python3").args(["-c", script]).arg(&path).output();
    let Ok(output) = python else {
        println!("skipped: there is no python3");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ids: Vec<FileId> =
        String::from_utf8(output.stdout).unwrap().lines().map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids, entries.iter().map(|entry| entry.id).collect::<Vec<_>>());
}
