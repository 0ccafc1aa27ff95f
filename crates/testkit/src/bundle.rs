//! Writes a bundle from its spec.

mod payload;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path};
use std::{fs, io};

use bkp_synth::domain;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::cipher::{cbc_encrypt, cbc_encrypt_128};
use crate::device::BundleFacts;
use crate::entry::{Cell, EntrySpec, Node};
use crate::keybag::{FilledKeybag, Keybag};
use crate::manifest_db::{self, Row, Shape, sidecar};
use crate::mbdb::{self, MbdbRecord};
use crate::mbfile::MbFile;
use crate::plist_writer::{PlistValue, binary_plist, xml_plist};
use crate::spec::Sidecar;
use crate::spec::{BundleSpec, CellEncryption, Encryption, ManifestKind, PlistEdit, PlistForm};
use crate::truth::{Counts, Truth, TruthEntry};
use crate::{Seed, file_id};

use self::payload::Payload;

/// The class that protects Manifest.db on real devices (FORMAT.md 2.4).
const MANIFEST_CLASS: u32 = 4;

impl BundleSpec {
    /// Writes the bundle into `dir`, which must be new or empty, and says what is in it.
    ///
    /// Nothing is ever written outside `dir`, whatever the names in the spec.
    ///
    /// # Errors
    ///
    /// Fails when the folder is not empty, when a file cannot be written, and with
    /// [`io::ErrorKind::InvalidInput`] when the spec contradicts itself.
    pub fn write(&self, dir: &Path) -> io::Result<Truth> {
        fs::create_dir_all(dir)?;
        if fs::read_dir(dir)?.next().is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the folder is not empty"));
        }
        let seed = Seed(self.seed);
        let filled = Keybag::fill(seed, self.encryption.as_ref(), self.keybag);
        let entries = self.with_parents();
        let mut writer = Writer {
            spec: self,
            dir,
            filled,
            inodes: HashMap::new(),
            next_inode: 20_000,
            made: BTreeSet::new(),
            rows: Vec::new(),
            mbdb: mbdb::HEADER.to_vec(),
            truth: Vec::new(),
            counts: Counts::default(),
        };
        for entry in &entries {
            writer.entry(entry)?;
        }
        let manifest_key = writer.catalog()?;
        writer.property_lists(manifest_key.as_ref(), &entries)?;
        writer.raw_files()?;
        let Writer { filled, truth, counts, .. } = writer;
        let FilledKeybag { bag: _, passcode_key, class_keys } = filled;
        Ok(Truth {
            entries: truth,
            counts,
            class_keys,
            passcode_key,
            manifest_key,
            udid: self.device.udid.clone(),
        })
    }

    /// Returns the UUID of the bundle's keybag, which a keychain file repeats.
    #[must_use]
    pub fn keybag_uuid(&self) -> [u8; 16] {
        Seed(self.seed).uuid("keybag UUID")
    }

    /// Returns the keybag the bundle would get, for a test to damage.
    ///
    /// Costs one key derivation.
    #[must_use]
    pub fn keybag_contents(&self) -> Keybag {
        Keybag::fill(Seed(self.seed), self.encryption.as_ref(), self.keybag).bag
    }

    /// Puts before each entry the parents that no entry before it had.
    fn with_parents(&self) -> Vec<Cow<'_, EntrySpec>> {
        // Whatever is listed explicitly is not added, also when it is no directory.
        let mut seen: HashSet<(&[u8], &[u8])> =
            self.entries.iter().map(|entry| (&entry.domain[..], &entry.path[..])).collect();
        let mut all = Vec::new();
        for entry in &self.entries {
            let ordinary = entry
                .path
                .split(|byte| *byte == b'/')
                .all(|part| !matches!(part, b"" | b"." | b".."));
            if self.add_parents && ordinary {
                let slashes = entry.path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
                for end in std::iter::once(0).chain(slashes.map(|(at, _)| at)) {
                    let parent = &entry.path[..end];
                    if seen.insert((&entry.domain, parent)) {
                        let parent = EntrySpec::directory(entry.domain.clone(), parent);
                        all.push(Cow::Owned(parent));
                    }
                }
            }
            all.push(Cow::Borrowed(entry));
        }
        all
    }
}

struct Writer<'s> {
    spec: &'s BundleSpec,
    dir: &'s Path,
    filled: FilledKeybag,
    /// Inodes of folders on the device: domains with one root share them (FORMAT.md 2.7).
    inodes: HashMap<(Vec<u8>, Vec<u8>), i64>,
    next_inode: i64,
    made: BTreeSet<String>,
    rows: Vec<Row>,
    mbdb: Vec<u8>,
    truth: Vec<TruthEntry>,
    counts: Counts,
}

impl Writer<'_> {
    fn entry(&mut self, entry: &EntrySpec) -> io::Result<()> {
        let defaults = domain::defaults(&entry.domain, entry.path.is_empty());
        let (kind, type_bits, target) = match &entry.node {
            Node::File(_) => (1, 0o100_000 | defaults.file_mode, None),
            Node::Directory => (2, 0o040_000 | defaults.directory_mode, None),
            Node::Symlink(target) => (4, 0o120_755, Some(target.clone())),
        };
        let class = entry.class.unwrap_or(if kind == 1 { defaults.class } else { 0 });
        let payload = match &entry.node {
            Node::File(content) => self.payload(entry, content, class, defaults.digest)?,
            _ => Payload::default(),
        };
        let recorded =
            entry.recorded_size.unwrap_or(i64::try_from(payload.content.len()).unwrap_or(i64::MAX));
        let inode = self.inode(entry, kind);
        let file = MbFile {
            path: String::from_utf8_lossy(&entry.path).into_owned(),
            mode: i64::from(entry.mode.unwrap_or(type_bits)),
            inode,
            uid: i64::from(entry.uid.unwrap_or(defaults.uid)),
            gid: i64::from(entry.gid.unwrap_or(defaults.gid)),
            modified: entry.modified,
            changed: entry.changed,
            born: entry.born,
            size: recorded,
            class: i64::from(class),
            flags: i64::from(entry.bsd_flags),
            target: target.as_ref().map(|target| String::from_utf8_lossy(target).into_owned()),
            digest: payload.digest.clone(),
            encryption_key: payload.key.clone(),
            xattrs: (!entry.xattrs.is_empty()).then(|| xattrs(&entry.xattrs)),
            omit: entry.omit_keys.clone(),
            extra: entry.extra_keys.clone(),
        };
        let id = match self.spec.manifest {
            ManifestKind::Db => self.row(entry, kind, &file),
            ManifestKind::Mbdb => self.record(entry, kind, &file, target.clone()),
        };
        let stored = self.store(&id, payload.blob.as_deref())?;
        self.counts.content_bytes += payload.content.len() as u64;
        self.truth.push(TruthEntry {
            file_id: id,
            domain: entry.domain.clone(),
            path: entry.path.clone(),
            kind,
            len: payload.content.len() as u64,
            sha256: Sha256::digest(&payload.content).into(),
            stored,
            intact: stored && payload.intact,
            target,
        });
        Ok(())
    }

    fn inode(&mut self, entry: &EntrySpec, kind: u8) -> i64 {
        if let Some(inode) = entry.inode {
            return inode;
        }
        if kind != 2 {
            self.next_inode += 1;
            return self.next_inode;
        }
        let place = domain::place(&entry.domain, &entry.path);
        *self.inodes.entry(place).or_insert_with(|| {
            self.next_inode += 1;
            self.next_inode
        })
    }

    /// Adds a row and returns its fileID.
    fn row(&mut self, entry: &EntrySpec, kind: u8, file: &MbFile) -> Vec<u8> {
        let right_id = file_id(&entry.domain, &entry.path).into_bytes();
        let overrides = entry.row.clone();
        let row = Row {
            file_id: overrides.file_id.unwrap_or(Cell::Text(right_id.clone())),
            domain: overrides.domain.unwrap_or_else(|| Cell::Text(entry.domain.clone())),
            path: overrides.path.unwrap_or_else(|| Cell::Text(entry.path.clone())),
            flags: overrides.flags.unwrap_or(Cell::Integer(kind.into())),
            file: overrides.file.unwrap_or_else(|| Cell::Blob(self.cell(file.encode()))),
        };
        self.counts.rows += 1;
        match &row.flags {
            Cell::Integer(1) => self.counts.files += 1,
            Cell::Integer(2) => self.counts.directories += 1,
            Cell::Integer(4) => self.counts.symlinks += 1,
            _ => self.counts.other += 1,
        }
        let id = match &row.file_id {
            Cell::Text(id) | Cell::Blob(id) => id.clone(),
            _ => Vec::new(),
        };
        self.rows.push(row);
        id
    }

    /// Encrypts the cell of a row, in the bundles of iOS 10.0.
    fn cell(&self, archive: Vec<u8>) -> Vec<u8> {
        const IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        match (&self.spec.cells, &self.spec.encryption) {
            (Some(CellEncryption { salt }), Some(Encryption { password, .. })) => {
                let digest = Sha1::digest([password.as_bytes(), salt].concat());
                let mut key = [0; 16];
                key.copy_from_slice(&digest[..16]);
                cbc_encrypt_128(&key, &IV, &archive)
            }
            _ => archive,
        }
    }

    /// Adds a record of a Manifest.mbdb and returns its file's name.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the format's fields are narrower, and -2 is FFFFFFFE there"
    )]
    fn record(
        &mut self,
        entry: &EntrySpec,
        kind: u8,
        file: &MbFile,
        target: Option<Vec<u8>>,
    ) -> Vec<u8> {
        let record = MbdbRecord {
            domain: Some(entry.domain.clone()),
            path: Some(entry.path.clone()),
            target,
            digest: file.digest.as_ref().map(|(digest, _)| digest.clone()),
            encryption_key: file.encryption_key.clone(),
            mode: file.mode as u16,
            inode: file.inode as u64,
            uid: file.uid as i32,
            gid: file.gid as i32,
            modified: file.modified as u32,
            changed: file.changed as u32,
            born: file.born as u32,
            size: file.size as u64,
            class: file.class as u8,
            xattrs: entry
                .xattrs
                .iter()
                .map(|(name, value)| (name.clone().into_bytes(), value.clone()))
                .collect(),
        };
        record.encode(&mut self.mbdb);
        self.counts.rows += 1;
        match kind {
            1 => self.counts.files += 1,
            2 => self.counts.directories += 1,
            _ => self.counts.symlinks += 1,
        }
        file_id(&entry.domain, &entry.path).into_bytes()
    }

    /// Writes a blob, if its name is one; returns whether it did.
    fn store(&mut self, id: &[u8], blob: Option<&[u8]>) -> io::Result<bool> {
        let Some(blob) = blob else { return Ok(false) };
        if id.len() != 40 || !id.iter().all(u8::is_ascii_hexdigit) {
            return Ok(false);
        }
        let id = String::from_utf8_lossy(id).to_lowercase();
        let folder = match self.spec.manifest {
            ManifestKind::Db => self.dir.join(&id[..2]),
            ManifestKind::Mbdb => self.dir.to_owned(),
        };
        if self.made.insert(id[..2].to_owned()) {
            fs::create_dir_all(&folder)?;
        }
        fs::write(folder.join(&id), blob)?;
        self.counts.blobs += 1;
        self.counts.blob_bytes += blob.len() as u64;
        Ok(true)
    }

    /// Writes Manifest.db or Manifest.mbdb; returns the key it was encrypted with.
    fn catalog(&self) -> io::Result<Option<[u8; 32]>> {
        let spec = self.spec;
        if spec.manifest == ManifestKind::Mbdb {
            fs::write(self.dir.join("Manifest.mbdb"), &self.mbdb)?;
            return Ok(None);
        }
        let mut properties = spec.properties.clone();
        if let (Some(CellEncryption { salt }), Some(Encryption { password, .. })) =
            (&spec.cells, &spec.encryption)
        {
            let hash = Sha256::digest([password.as_bytes(), salt].concat()).to_vec();
            properties.push(("passwordHash".into(), hash));
            properties.push(("salt".into(), salt.clone()));
        }
        let shape = Shape {
            indexes: spec.indexes,
            flags_as_text: spec.flags_as_text,
            user_version: spec.user_version,
            properties: &properties,
        };
        let encrypted = spec.encryption.is_some() && spec.manifest_db_encrypted;
        let mut files = match spec.sidecar {
            Sidecar::None => {
                vec![("Manifest.db", manifest_db::build(&self.rows, &shape)?)]
            }
            _ if encrypted => return Err(invalid("an encrypted Manifest.db has no sidecars")),
            Sidecar::Wal { rows } => sidecar::wal(&self.rows, rows, &shape, Seed(spec.seed))?,
            Sidecar::HotJournal => sidecar::hot_journal(&self.rows, &shape, Seed(spec.seed))?,
        };
        let key = encrypted.then(|| Seed(spec.seed).bytes("manifest key"));
        if let (Some(key), [(_, image)]) = (&key, &mut files[..]) {
            *image = cbc_encrypt(key, image, spec.manifest_db_padded);
        }
        for (name, bytes) in files {
            fs::write(self.dir.join(name), bytes)?;
        }
        Ok(key)
    }

    fn property_lists(
        &self,
        manifest_key: Option<&[u8; 32]>,
        entries: &[Cow<'_, EntrySpec>],
    ) -> io::Result<()> {
        let spec = self.spec;
        let seed = Seed(spec.seed);
        let wrapped = manifest_key.map(|key| self.wrap(MANIFEST_CLASS, key)).transpose()?;
        let facts = BundleFacts {
            device: &spec.device,
            encrypted: spec.encryption.is_some(),
            keybag: spec.keybag_bytes.clone().unwrap_or_else(|| self.filled.bag.encode()),
            manifest_key: spec.manifest_key_bytes.clone().or(wrapped),
            containers: entries
                .iter()
                .map(|entry| String::from_utf8_lossy(&entry.domain).into_owned())
                .filter(|domain| domain.starts_with("AppDomain"))
                .collect(),
            mbdb: spec.manifest == ManifestKind::Mbdb,
            uuid: seed.uuid("Status UUID"),
            guid: seed.bytes("Info GUID"),
        };
        for (name, mut pairs, edits) in [
            ("Manifest.plist", facts.manifest(), &spec.manifest_plist),
            ("Info.plist", facts.info(), &spec.info_plist),
            ("Status.plist", facts.status(), &spec.status_plist),
        ] {
            for edit in edits {
                apply(&mut pairs, edit);
            }
            let xml = match spec.plists {
                PlistForm::Apple => name == "Info.plist",
                PlistForm::Binary => false,
                PlistForm::Xml => true,
            };
            let root = PlistValue::Dict(pairs);
            let bytes = if xml { xml_plist(&root) } else { binary_plist(&root) };
            fs::write(self.dir.join(name), bytes)?;
        }
        Ok(())
    }

    fn raw_files(&self) -> io::Result<()> {
        for (path, bytes) in &self.spec.raw_files {
            let path = below(self.dir, path)?;
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, bytes)?;
        }
        for path in &self.spec.remove_files {
            fs::remove_file(below(self.dir, path)?)?;
        }
        Ok(())
    }
}

/// Joins a path that must stay below the folder.
fn below(dir: &Path, path: &str) -> io::Result<std::path::PathBuf> {
    let path = Path::new(path);
    if path.components().all(|part| matches!(part, Component::Normal(_))) {
        Ok(dir.join(path))
    } else {
        Err(invalid("a raw file must lie below the bundle"))
    }
}

fn apply(pairs: &mut Vec<(String, PlistValue)>, edit: &PlistEdit) {
    let at = |name: &String| pairs.iter().position(|(key, _)| key == name);
    match edit {
        PlistEdit::Set(name, value) => match at(name) {
            Some(at) => pairs[at].1 = value.clone(),
            None => pairs.push((name.clone(), value.clone())),
        },
        PlistEdit::Remove(name) => pairs.retain(|(key, _)| key != name),
    }
}

pub(crate) fn xattrs(pairs: &[(String, Vec<u8>)]) -> Vec<u8> {
    binary_plist(&PlistValue::dict(
        pairs.iter().map(|(name, value)| (name.clone(), PlistValue::Data(value.clone()))),
    ))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests;
