//! Backups of tens of gigabytes that take no room: every payload of a small one is there many
//! times, under other names, as hard links. Its rows share its key.

use std::fs;
use std::io::BufWriter;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bkp_bundle::{Backup, Limits, MbFile, Opened, Patch, RowPatch, Storage, Unlocked};
use bkp_core::{Entry, EntryKind, RelPath};
use bkp_crypto::{CbcWriter, Passphrase, WrappedFileKey};

use crate::catalog;
use crate::place::{PASSWORD, Place};

/// Inodes of one copy are so far from those of the next.
const INODES: u64 = 10_000_000_000;

/// Returns a backup that holds another so many times. It is kept like those that are generated.
pub(crate) fn repeat(place: &Place, base: &Path, times: u64) -> PathBuf {
    let name = base.file_name().expect("a name").to_string_lossy();
    let out = base.with_file_name(format!("{name}-x{times}"));
    if times == 1 {
        return base.to_owned();
    }
    if !out.exists() {
        let made = place.input("repeated");
        write(base, &made, times);
        fs::rename(made, &out).expect("the backup gets its name");
    }
    out
}

fn write(base: &Path, out: &Path, times: u64) {
    let backup = open(base);
    fs::create_dir(out).expect("a folder");
    for shard in 0..=255 {
        fs::create_dir(out.join(format!("{shard:02x}"))).expect("a folder");
    }
    for name in ["Info.plist", "Manifest.plist", "Status.plist"] {
        fs::copy(base.join(name), out.join(name)).expect("a property list is copied");
    }
    let rows = (0..times).flat_map(|copy| {
        backup.catalog().records().map(move |record| {
            let record = record.expect("a sound row");
            let entry: &Entry = record.as_ref();
            let (new, patch) = renamed(entry, copy);
            let blob = base.join(blob(entry));
            if new.kind == EntryKind::File {
                fs::hard_link(blob, out.join(self::blob(&new))).expect("a link");
            }
            (new, patch)
        })
    });
    let file = fs::File::create(out.join("Manifest.db")).expect("a new file");
    let mut file = BufWriter::new(file);
    let keys = backup.class_keys().zip(backup.bundle().manifest().manifest_key.as_ref());
    match keys {
        Some((keys, wrapped)) => {
            let WrappedFileKey { class, key } = WrappedFileKey::parse(wrapped).expect("a key");
            let key = keys.unwrap(class, &key).expect("the key of the catalog");
            let mut cipher = CbcWriter::new(file, &key);
            catalog::write(rows, out, &mut cipher);
            file = cipher.finish().expect("the catalog is written");
        }
        None => catalog::write(rows, out, &mut file),
    }
    file.into_inner().expect("the catalog is written");
}

/// Returns an entry under its name in a copy, and what its own archive holds besides.
fn renamed(entry: &Entry, copy: u64) -> (Entry, RowPatch) {
    let file = MbFile::parse(entry.raw.as_deref().expect("an archive")).expect("a sound archive");
    let mut path = match copy {
        0 => Vec::new(),
        copy => format!("copy-{copy:03}/").into_bytes(),
    };
    path.extend(entry.path.as_bytes());
    if path.ends_with(b"/") {
        // The root of the domain becomes the folder of the copy.
        path.pop();
    }
    let path = RelPath::new(path).expect("a path");
    let mut new = Entry::derive(entry.domain.clone(), path, entry.kind.clone());
    new.metadata = entry.metadata.clone();
    new.metadata.inode += copy * INODES;
    new.protection = entry.protection;
    new.digest = entry.digest;
    let key = file.encryption_key.map(|key| WrappedFileKey::parse(key).expect("44 bytes"));
    let patch = RowPatch { key: key.map_or(Patch::Keep, Patch::Set), ..RowPatch::default() };
    (new, patch)
}

fn blob(entry: &Entry) -> PathBuf {
    let id = entry.id.to_string();
    Path::new(&id[..2]).join(&id)
}

fn open(base: &Path) -> Backup<Unlocked> {
    let storage = Storage::directory(base).expect("a folder");
    match Opened::open(storage, Limits::default()).expect("a backup") {
        Opened::Unlocked(backup) => backup,
        Opened::Locked(backup) => {
            let passphrase = Passphrase::new(PASSWORD.to_owned().into());
            let go = &mut |_| ControlFlow::Continue(());
            backup.unlock(&passphrase, go).expect("the password of all bundles here")
        }
    }
}
