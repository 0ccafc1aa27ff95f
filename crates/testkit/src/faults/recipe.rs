//! Base bundles, and recipes that change them.
//!
//! A base has the directory `HomeDomain:` and three files in it: `first.txt`, `note.txt` and
//! `last.txt`, the middle one of protection class 3 and the others of class 4. The fault is in
//! what concerns `note.txt`, or in what concerns all.
//!
//! | line | what it does |
//! |---|---|
//! | `base NAME` | `plain`, `encrypted`, `plain-mbdb`, `encrypted-mbdb`, or `encrypted-open-db`, whose Manifest.db is not encrypted itself; comes first |
//! | `password TEXT`, `kdf-limit N` | what the reader is given |
//! | `iter N`, `dpic N` | rounds that the keybag asks for, and that its keys are made with |
//! | `keybag-items N` | adds unknown items to the keybag until there are so many |
//! | `keybag-len N` | adds one unknown item, so that the keybag has so many bytes |
//! | `manifest-key HEX` | puts these bytes in the place of ManifestKey |
//! | `key none\|HEX`, `key-class N` | writes another EncryptionKey, or wraps it for another class |
//! | `size N`, `mode OCTAL`, `class N`, `inode N` | a field of the archive |
//! | `digest none\|HEX` | the digest in the archive |
//! | `content TEXT`, `link TEXT` | what the file holds, or a link and where it points |
//! | `plist FILE KEY none\|bool B\|int N\|real X\|text T\|data HEX\|date N\|array\|dict` | a key |
//! | `xml`, `binary` | the encoding of the property lists |
//! | `put FILE TEXT`, `put-hex FILE HEX`, `remove FILE` | a whole file |
//! | `cut FILE N`, `append FILE HEX`, `pad FILE LENGTH`, `xor FILE OFFSET HEX` | its bytes |
//! | `bomb FILE NAME`, `bomb-row NAME` | one of the property-list bombs, as a file or archive |
//! | `sql STATEMENT`, `schema STATEMENT` | runs SQL in Manifest.db; `schema` may write the schema |
//! | `image NAME` | a Manifest.db of [`pages`] |
//!
//! `blob` as a FILE is the payload of `note.txt`. TEXT knows the escapes of Rust. Comments start
//! with `#`.

use std::io;
use std::str::FromStr;

use rusqlite::{Connection, MAIN_DB};

use super::{FaultCase, FileMap, Kind, invalid, pages};
use crate::cases::{PASSWORD, plist_bombs};
use crate::keybag::Keybag;
use crate::{
    BundleSpec, DeviceFacts, DigestForm, DigestRule, Encryption, EntrySpec, FileKeyRule,
    ManifestKind, Node, PlistEdit, PlistForm, PlistValue, Seed, file_id, wrap_key,
};

/// The files of a whole bundle, by their names in it.
pub type Files = FileMap;

/// The domain of everything in a base.
pub const DOMAIN: &str = "HomeDomain";
/// The files of a base and what they hold.
pub const FILES: [(&str, &str); 3] =
    [("first.txt", "before"), ("note.txt", "hello"), ("last.txt", "after all")];
/// The file whose row, key or payload has the fault.
pub const NOTE: &str = "note.txt";

/// Returns a base, before anything is wrong with it.
pub(crate) fn base(name: &str) -> Option<BundleSpec> {
    let (encrypted, mbdb) = match name {
        "plain" => (false, false),
        "encrypted" | "encrypted-open-db" => (true, false),
        "plain-mbdb" => (false, true),
        "encrypted-mbdb" => (true, true),
        _ => return None,
    };
    let mut spec = BundleSpec::new(5);
    spec.keybag.plain_iterations = 1;
    spec.manifest_db_encrypted = name == "encrypted";
    if mbdb {
        spec.manifest = ManifestKind::Mbdb;
        spec.device = DeviceFacts::ios9();
        spec.keybag.version = 3;
    }
    if encrypted {
        let dpic = (!mbdb).then_some(2);
        spec.encryption = Some(Encryption { password: PASSWORD.into(), dpic, iterations: 1 });
    }
    spec.entries = FILES
        .iter()
        .map(|(path, content)| {
            let class = if *path == NOTE { 3 } else { 4 };
            EntrySpec::file(DOMAIN, *path, *content).with(|entry| entry.class = Some(class))
        })
        .collect();
    Some(spec)
}

/// Returns the archive that `note.txt` has in the unencrypted base.
pub(crate) fn archive() -> crate::MbFile {
    crate::MbFile {
        path: NOTE.into(),
        mode: 0o100_644,
        inode: 20_003,
        uid: 501,
        gid: 501,
        modified: 1_716_024_600,
        changed: 1_716_024_660,
        born: 1_715_938_200,
        size: 5,
        class: 3,
        flags: 0,
        target: None,
        digest: None,
        encryption_key: None,
        xattrs: None,
        omit: Vec::new(),
        extra: Vec::new(),
    }
}

/// Writes a spec and reads the files back.
pub(crate) fn written(spec: &BundleSpec) -> io::Result<Files> {
    let dir = tempfile::tempdir()?;
    spec.write(dir.path())?;
    let mut files = Files::new();
    let mut folders = vec![(dir.path().to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), format!("{name}/")));
            } else {
                files.insert(name, std::fs::read(entry.path())?);
            }
        }
    }
    Ok(files)
}

/// Makes the bundle that a case stands for.
pub(super) fn files(case: &FaultCase) -> io::Result<Files> {
    let of = |name: &str| base(name).ok_or_else(|| invalid("no such base"));
    match case.kind {
        Kind::Keybag => {
            written(&of("encrypted")?.with(|spec| spec.keybag_bytes = Some(case.body.clone())))
        }
        Kind::ManifestPlist => {
            let mut files = written(&of("plain")?)?;
            files.insert("Manifest.plist".into(), case.body.clone());
            Ok(files)
        }
        Kind::MbFile => written(&of("plain")?.with(|spec| {
            let file = crate::Cell::Blob(case.body.clone());
            note(spec).row.file = Some(file);
        })),
        Kind::Mbdb => {
            let mut files = written(&of("plain-mbdb")?)?;
            files.insert("Manifest.mbdb".into(), case.body.clone());
            Ok(files)
        }
        Kind::Recipe => {
            let text =
                std::str::from_utf8(&case.body).map_err(|_| invalid("the recipe is not UTF-8"))?;
            cook(text)
        }
    }
    .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", case.name)))
}

/// Returns what follows a word of a recipe.
pub(super) fn argument(case: &FaultCase, word: &str) -> Option<String> {
    if case.kind != Kind::Recipe {
        return None;
    }
    let text = std::str::from_utf8(&case.body).ok()?;
    let line = text.lines().map(split).find(|(first, _)| *first == word)?;
    unescape(line.1).and_then(|bytes| String::from_utf8(bytes).ok())
}

fn note(spec: &mut BundleSpec) -> &mut EntrySpec {
    let at = spec.entries.iter().position(|entry| entry.path == NOTE.as_bytes());
    &mut spec.entries[at.unwrap_or_default()]
}

/// Splits off the first word.
fn split(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or((line, ""))
}

fn cook(text: &str) -> io::Result<Files> {
    let lines = || text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let bad = |line: &str| invalid(&format!("cannot make anything of: {line}"));
    let first = lines().next().unwrap_or_default();
    let mut spec = first.strip_prefix("base ").and_then(base).ok_or_else(|| bad(first))?;
    let mut later = Vec::new();
    for line in lines().skip(1) {
        if !change(&mut spec, line).ok_or_else(|| bad(line))? {
            later.push(line);
        }
    }
    let mut files = written(&spec)?;
    for line in later {
        edit(&mut files, line)?.ok_or_else(|| bad(line))?;
    }
    Ok(files)
}

/// Changes what is to be written. False for a line that is about written files.
fn change(spec: &mut BundleSpec, line: &str) -> Option<bool> {
    let (word, rest) = split(line);
    match word {
        "password" | "kdf-limit" => {}
        "iter" => spec.encryption.as_mut()?.iterations = number(rest)?,
        "dpic" => spec.encryption.as_mut()?.dpic = Some(number(rest)?),
        "keybag-items" | "keybag-len" => {
            spec.keybag_bytes = Some(grown(&spec.keybag_contents(), word, number(rest)?));
        }
        "manifest-key" => spec.manifest_key_bytes = Some(hex(rest)?),
        "key" if rest == "none" => note(spec).key = FileKeyRule::Omitted,
        "key" => note(spec).key = FileKeyRule::Bytes(hex(rest)?),
        "key-class" => {
            let class: u32 = number(rest)?;
            let key = Seed(spec.seed).bytes(format!("class key {class}"));
            let wrapped = wrap_key(&key, &[7; 32]);
            note(spec).key = FileKeyRule::Bytes([&class.to_le_bytes()[..], &wrapped].concat());
        }
        "size" => note(spec).recorded_size = Some(number(rest)?),
        "mode" => note(spec).mode = Some(u32::from_str_radix(rest, 8).ok()?),
        "class" => note(spec).class = Some(number(rest)?),
        "inode" => note(spec).inode = Some(number(rest)?),
        "omit" => note(spec).omit_keys = vec![rest.to_owned()],
        "digest" if rest == "none" => note(spec).digest = DigestRule::Omitted,
        "digest" if rest == "wrapped" => {
            note(spec).digest = DigestRule::Present(DigestForm::Wrapped);
        }
        "digest" => note(spec).digest = DigestRule::Bytes(hex(rest)?),
        "content" => {
            note(spec).node = Node::File(crate::Content::Bytes(unescape(rest)?));
        }
        "link" => note(spec).node = Node::Symlink(unescape(rest)?),
        "xml" => spec.plists = PlistForm::Xml,
        "binary" => spec.plists = PlistForm::Binary,
        "plist" => plist_edit(spec, rest)?,
        "bomb-row" => {
            let bomb = plist_bombs().into_iter().find(|bomb| bomb.name == rest)?;
            note(spec).row.file = Some(crate::Cell::Blob(bomb.bytes));
        }
        _ => return Some(false),
    }
    Some(true)
}

/// Adds items with an unknown tag to a keybag.
fn grown(keybag: &Keybag, word: &str, goal: usize) -> Vec<u8> {
    let mut bytes = keybag.encode();
    if word == "keybag-items" {
        let header = if keybag.double_protection.is_some() { 10 } else { 7 };
        let items = header + keybag.records.len() * 5;
        bytes.extend(b"ABCD\0\0\0\0".repeat(goal.saturating_sub(items)));
    } else {
        let value = goal.saturating_sub(bytes.len() + 8);
        bytes.extend(b"ABCD");
        bytes.extend(u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
        bytes.resize(bytes.len() + value, 0);
    }
    bytes
}

fn plist_edit(spec: &mut BundleSpec, rest: &str) -> Option<()> {
    let (file, rest) = split(rest);
    let (key, rest) = split(rest);
    let (kind, value) = split(rest);
    let key = key.replace('_', " ");
    let value = match kind {
        "bool" => PlistValue::Bool(value.parse().ok()?),
        "int" => PlistValue::Int(number(value)?),
        "real" => PlistValue::Real(number(value)?),
        "text" => PlistValue::Text(String::from_utf8(unescape(value)?).ok()?),
        "data" => PlistValue::Data(hex(value)?),
        "date" => PlistValue::Date(number(value)?),
        "array" => PlistValue::Array(vec![PlistValue::Int(1)]),
        "dict" => PlistValue::dict([("key", PlistValue::Array(Vec::new()))]),
        "none" => {
            edits(spec, file)?.push(PlistEdit::Remove(key));
            return Some(());
        }
        _ => return None,
    };
    edits(spec, file)?.push(PlistEdit::Set(key, value));
    Some(())
}

fn edits<'s>(spec: &'s mut BundleSpec, file: &str) -> Option<&'s mut Vec<PlistEdit>> {
    Some(match file {
        "Manifest.plist" => &mut spec.manifest_plist,
        "Info.plist" => &mut spec.info_plist,
        "Status.plist" => &mut spec.status_plist,
        _ => return None,
    })
}

/// Changes written files. `None` for a line that makes no sense.
fn edit(files: &mut Files, line: &str) -> io::Result<Option<()>> {
    let (word, rest) = split(line);
    match word {
        "sql" | "schema" => {
            sql(files, rest, word == "schema")?;
            return Ok(Some(()));
        }
        "image" => {
            let image = pages::named(rest).ok_or_else(|| invalid("no such image"))?;
            files.insert("Manifest.db".into(), image);
            return Ok(Some(()));
        }
        _ => {}
    }
    let (name, rest) = split(rest);
    let name = match name {
        "blob" => {
            let id = file_id(DOMAIN.as_bytes(), NOTE.as_bytes());
            let sharded = format!("{}/{id}", &id[..2]);
            if files.contains_key(&sharded) { sharded } else { id }
        }
        name => name.to_owned(),
    };
    Ok(edit_file(files, word, name, rest))
}

fn edit_file(files: &mut Files, word: &str, name: String, rest: &str) -> Option<()> {
    match word {
        "put" => drop(files.insert(name, unescape(rest)?)),
        "put-hex" => drop(files.insert(name, hex(rest)?)),
        "bomb" => {
            let bomb = plist_bombs().into_iter().find(|bomb| bomb.name == rest)?;
            files.insert(name, bomb.bytes);
        }
        "remove" => drop(files.remove(&name)?),
        "rename" => {
            let bytes = files.remove(&name)?;
            files.insert(rest.to_owned(), bytes);
        }
        "cut" => files.get_mut(&name)?.truncate(number(rest)?),
        "append" => files.get_mut(&name)?.extend(hex(rest)?),
        "pad" => files.get_mut(&name)?.resize(number(rest)?, b' '),
        "xor" => {
            let (offset, mask) = split(rest);
            let offset: usize = number(offset)?;
            let mask = hex(mask)?;
            let bytes = files.get_mut(&name)?.get_mut(offset..)?.get_mut(..mask.len())?;
            bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        _ => return None,
    }
    Some(())
}

/// Runs SQL in Manifest.db.
fn sql(files: &mut Files, statement: &str, schema: bool) -> io::Result<()> {
    let image = files.get_mut("Manifest.db").ok_or_else(|| invalid("no Manifest.db"))?;
    // A database in memory has no write-ahead log.
    image[18..20].copy_from_slice(&[1, 1]);
    let mut db = Connection::open_in_memory().map_err(io::Error::other)?;
    db.deserialize_read_exact(MAIN_DB, &image[..], image.len(), false).map_err(io::Error::other)?;
    db.execute_batch("PRAGMA foreign_keys = 0").map_err(io::Error::other)?;
    if schema {
        db.execute_batch("PRAGMA writable_schema = 1").map_err(io::Error::other)?;
    }
    db.execute_batch(statement).map_err(io::Error::other)?;
    *image = db.serialize(MAIN_DB).map_err(io::Error::other)?.to_vec();
    crate::manifest_db::finish_header(image);
    Ok(())
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digits = text.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Reads `\xNN`, `\n`, `\t`, `\\` and everything else as it stands.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next()? {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'\\' => out.push(b'\\'),
            b'x' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                out.push(u8::try_from(high << 4 | low).ok()?);
            }
            _ => return None,
        }
    }
    Some(out)
}
