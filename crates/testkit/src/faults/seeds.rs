//! Small inputs of each fuzz target, to begin from: sound ones, and one of each kind that is not.
//! Nothing in them is real.

use std::collections::HashSet;
use std::path::Path;
use std::{fs, io};

use rusqlite::{Connection, MAIN_DB};

use super::recipe::{DOMAIN, FILES, archive, base, written};
use super::{Kind, all, pages};
use crate::cases::plist_bombs;
use crate::{MbdbRecord, PlistValue, Row, binary_plist, file_id, xml_plist};

/// The fuzz targets, as their folders are called.
pub const TARGETS: [&str; 5] = ["keybag", "mbdb", "mbfile", "open", "plist"];

/// The longest seed, in bytes.
const LONGEST: usize = 4096;

/// One input of one target.
#[derive(Clone, Debug)]
pub struct FuzzSeed {
    /// The target.
    pub target: &'static str,
    /// What its file is called.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

/// Returns every seed: the sound ones, and of the one-fault cases every so manieth.
///
/// # Errors
///
/// Fails when a base cannot be built.
pub fn seeds() -> io::Result<Vec<FuzzSeed>> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, bytes| {
        seeds.push(FuzzSeed { target, name: name.to_owned(), bytes });
    };
    let bundle =
        |name: &str| base(name).map_or(Err(super::invalid("no such base")), |spec| written(&spec));
    let (encrypted, mbdb) = (bundle("encrypted")?, bundle("encrypted-mbdb")?);
    let keybag = base("encrypted").map(|spec| spec.keybag_contents().encode());
    add("keybag", "sound", keybag.unwrap_or_default());
    add("mbdb", "sound", mbdb.get("Manifest.mbdb").cloned().unwrap_or_default());
    add("mbdb", "every-field", every_field());
    add("mbfile", "sound", archive().encode());
    add("mbfile", "every-field", every_archive_field());
    add("open", "small", small_catalog()?);
    for name in ["sound", "page-below-itself", "rows-backwards", "declared-gigabyte"] {
        add("open", name, pages::named(name).unwrap_or_default());
    }
    for file in ["Manifest.plist", "Info.plist", "Status.plist"] {
        let name = file.trim_end_matches(".plist").to_lowercase();
        add("plist", &name, encrypted.get(file).cloned().unwrap_or_default());
    }
    let (binary, xml) = small_manifests();
    add("plist", "small-binary", binary);
    add("plist", "small-xml", xml);
    for bomb in plist_bombs() {
        add("plist", &format!("bomb-{}", bomb.name), bomb.bytes.clone());
        if !bomb.xml {
            add("mbfile", &format!("bomb-{}", bomb.name), bomb.bytes);
        }
    }
    for (kind, target, step) in [
        (Kind::Keybag, "keybag", 12),
        (Kind::Mbdb, "mbdb", 6),
        (Kind::MbFile, "mbfile", 8),
        (Kind::ManifestPlist, "plist", 8),
    ] {
        let cases = all()?.into_iter().filter(|case| case.kind == kind).step_by(step);
        cases.for_each(|case| add(target, &case.name, case.body));
    }
    seeds.retain(|seed| seed.bytes.len() <= LONGEST);
    Ok(seeds)
}

/// Writes every seed below `dir`, one folder for each target, and removes no file: a fuzzer adds
/// its own.
///
/// # Errors
///
/// Fails when a file cannot be written.
pub fn write(dir: &Path) -> io::Result<()> {
    let mut made = HashSet::new();
    for FuzzSeed { target, name, bytes } in seeds()? {
        if made.insert(target) {
            fs::create_dir_all(dir.join(target))?;
        }
        fs::write(dir.join(target).join(name), bytes)?;
    }
    Ok(())
}

/// A Manifest.db of small pages, with a directory, the first file of a base and a link.
///
/// # Errors
///
/// Fails when SQLite cannot build it.
pub fn small_catalog() -> io::Result<Vec<u8>> {
    let (first, content) = FILES[0];
    let row = |path: &str, flags, content: &str| Row {
        file_id: crate::Cell::text(file_id(DOMAIN.as_bytes(), path.as_bytes())),
        domain: crate::Cell::text(DOMAIN),
        path: crate::Cell::text(path),
        flags: crate::Cell::Integer(flags),
        file: crate::Cell::Blob(short_archive(flags, content.as_bytes())),
    };
    catalog(512, &[row("", 2, ""), row(first, 1, content), row("link", 4, "/x")])
}

/// An archive of few fields: of a file of this content, a directory or a link to this target.
#[must_use]
pub fn short_archive(flags: i64, content: &[u8]) -> Vec<u8> {
    let mut file = archive();
    // Short, so that rows fit on a page of 512 bytes, and many of them into memory.
    file.omit = ["Birth", "Flags", "GroupID", "InodeNumber", "LastStatusChange", "UserID"]
        .map(String::from)
        .into();
    file.path = String::new();
    file.mode = match flags {
        2 => 0o040_755,
        4 => 0o120_755,
        _ => 0o100_644,
    };
    file.size = i64::try_from(content.len()).unwrap_or(0);
    if flags == 4 {
        file.target = Some(String::from_utf8_lossy(content).into_owned());
        file.size = 0;
    }
    file.encode()
}

/// A Manifest.db of these rows, with the index of ids and no other.
///
/// # Errors
///
/// Fails when SQLite cannot build it.
pub fn catalog(page_size: u32, rows: &[Row]) -> io::Result<Vec<u8>> {
    let sqlite = io::Error::other::<rusqlite::Error>;
    let mut db = Connection::open_in_memory().map_err(sqlite)?;
    db.execute_batch(&format!(
        "PRAGMA page_size = {page_size}; {}; {}",
        crate::manifest_db::CREATE_FILES,
        crate::manifest_db::CREATE_PROPERTIES
    ))
    .map_err(sqlite)?;
    crate::manifest_db::insert(&mut db, rows).map_err(sqlite)?;
    Ok(db.serialize(MAIN_DB).map_err(sqlite)?.to_vec())
}

/// A Manifest.plist of few hundred bytes with a value of every sort, binary and XML.
#[must_use]
pub fn small_manifests() -> (Vec<u8>, Vec<u8>) {
    let root = PlistValue::dict([
        ("Version", PlistValue::text("10.0")),
        ("Date", PlistValue::Date(1_716_024_600)),
        ("IsEncrypted", PlistValue::Bool(true)),
        ("WasPasscodeSet", PlistValue::Int(1)),
        ("BackupKeyBag", PlistValue::Data((0..40).collect())),
        ("ManifestKey", PlistValue::Data(vec![4; 44])),
        ("Lockdown", PlistValue::dict([("DeviceName", PlistValue::text("\u{e4} phone"))])),
        (
            "Applications",
            PlistValue::dict([(
                "com.example",
                PlistValue::dict([("Path", PlistValue::text("/x"))]),
            )]),
        ),
        ("List", PlistValue::Array(vec![PlistValue::Real(0.5), PlistValue::Array(vec![])])),
    ]);
    (binary_plist(&root), xml_plist(&root))
}

/// An archive in which no field is absent.
#[must_use]
pub fn every_archive_field() -> Vec<u8> {
    let mut file = archive();
    file.target = Some("/x".into());
    file.digest = Some((vec![0xd1; 20], crate::DigestForm::Wrapped));
    file.encryption_key = Some(vec![3; 44]);
    file.xattrs = Some(binary_plist(&PlistValue::dict([
        ("com.example.a", PlistValue::Data(vec![0xff, 0])),
        ("com.example.b", PlistValue::Data(Vec::new())),
    ])));
    file.encode()
}

/// A Manifest.mbdb of one record in which no field is absent.
#[must_use]
pub fn every_field() -> Vec<u8> {
    let record = MbdbRecord {
        domain: Some(DOMAIN.into()),
        path: Some(b"a/b".to_vec()),
        target: Some(b"c".to_vec()),
        digest: Some(vec![0xd1; 20]),
        encryption_key: Some(vec![3; 44]),
        mode: 0o120_755,
        inode: 7,
        uid: 501,
        gid: -2,
        modified: 1,
        changed: 2,
        born: 3,
        size: 4,
        class: 3,
        xattrs: vec![(b"n".to_vec(), b"v".to_vec()), (Vec::new(), vec![0xff])],
    };
    let mut out = crate::mbdb::HEADER.to_vec();
    record.encode(&mut out);
    record.encode(&mut out);
    out
}
