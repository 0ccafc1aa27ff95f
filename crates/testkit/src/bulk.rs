//! Big bundles for benchmarks: written as a stream, no payload is ever held.

mod content;
mod sizes;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use aes::cipher::{Array, BlockModeEncrypt, KeyIvInit};
use rusqlite::Connection;

use crate::cipher::{pad, wrap_key};
use crate::file_id;
use crate::manifest_db::{
    CREATE_FILES, CREATE_PROPERTIES, INSERT, IndexSet, SETUP, finish_header, sqlite,
};
use crate::mbfile::{DigestForm, MbFile};
use crate::spec::{BundleSpec, Encryption};
use crate::truth::{Counts, TruthEntry};
use crate::{EntrySpec, Seed};

use self::content::{CHUNK, Content};
pub use sizes::SizeMix;

/// A big bundle with a Manifest.db.
#[derive(Clone, Debug)]
pub struct BulkSpec {
    /// What everything follows from.
    pub seed: u64,
    /// Regular files with a payload.
    pub files: usize,
    /// Bytes of all payloads together; `None` leaves the sizes as they are drawn.
    pub total: Option<u64>,
    /// How the sizes are spread.
    pub mix: SizeMix,
    /// Rows in all. Files and directories count; what is missing is filled up with rows of
    /// regular files that have no payload. Fewer than the files need means just those.
    pub rows: usize,
    /// How the bundle is encrypted; `None` for an unencrypted one.
    pub encryption: Option<Encryption>,
}

impl BulkSpec {
    /// Shape A: 3,000 files of very mixed sizes, 1 GiB together.
    #[must_use]
    pub fn shape_a() -> Self {
        Self {
            seed: 1,
            files: 3_000,
            total: Some(1 << 30),
            mix: SizeMix::Mixed,
            rows: 0,
            encryption: Some(Encryption::new("test")),
        }
    }

    /// Shape B: 20,000 files of 0.2 to 16 KiB.
    #[must_use]
    pub fn shape_b() -> Self {
        Self { files: 20_000, total: None, mix: SizeMix::Small, ..Self::shape_a() }
    }

    /// Shape L: 200,000 rows, of which 1,000 have a small payload.
    #[must_use]
    pub fn shape_l() -> Self {
        Self { files: 1_000, rows: 200_000, ..Self::shape_b() }
    }

    /// Writes the bundle into `dir`, which must be new or empty.
    ///
    /// # Errors
    ///
    /// Fails when the folder is not empty or a file cannot be written.
    pub fn write(&self, dir: &Path) -> io::Result<Counts> {
        self.run(dir, None)
    }

    /// Writes the bundle and tells `each` of every file with a payload.
    ///
    /// Costs a SHA-256 of all content more than [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// Fails when the folder is not empty, a file cannot be written, or `each` fails.
    pub fn write_with(
        &self,
        dir: &Path,
        each: &mut dyn FnMut(&TruthEntry) -> io::Result<()>,
    ) -> io::Result<Counts> {
        self.run(dir, Some(each))
    }

    fn run(&self, dir: &Path, each: Option<Each<'_>>) -> io::Result<Counts> {
        let Self { seed, files, total, mix, rows, encryption } = self;
        // The property lists and the keys come from an empty bundle of the same seed.
        let frame = BundleSpec::new(*seed).with(|spec| {
            spec.encryption = encryption.clone();
            spec.entries = FOLDERS.map(|folder| EntrySpec::directory(folder.domain, "")).into();
        });
        let truth = frame.write(dir)?;
        let plain = tempfile::NamedTempFile::new_in(dir)?;
        let db = Connection::open(plain.path()).map_err(sqlite)?;
        db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            .and_then(|()| db.execute_batch("PRAGMA cache_size = -131072;"))
            .and_then(|()| db.execute_batch(SETUP))
            .and_then(|()| db.execute_batch(CREATE_FILES))
            .and_then(|()| db.execute_batch("BEGIN"))
            .map_err(sqlite)?;
        for folder in 0..=255u8 {
            fs::create_dir_all(dir.join(format!("{folder:02x}")))?;
        }
        let mut writer = Writer {
            dir,
            seed: Seed(*seed),
            class_keys: encryption.is_some().then_some(&truth.class_keys),
            insert: db.prepare(INSERT).map_err(sqlite)?,
            content: Content::new(Seed(*seed)),
            folders: HashMap::new(),
            inode: 1_000,
            each,
            counts: Counts::default(),
        };
        for (n, size) in sizes::draw(Seed(*seed), *mix, *files, *total).into_iter().enumerate() {
            writer.file(n, Some(size))?;
        }
        let mut n = *files;
        // Each further file may bring its folders along.
        while writer.counts.rows < *rows {
            writer.file(n, None)?;
            n += 1;
        }
        let counts = writer.counts;
        drop(writer);
        db.execute_batch("COMMIT")
            .and_then(|()| db.execute_batch(IndexSet::Old.create()))
            .and_then(|()| db.execute_batch(CREATE_PROPERTIES))
            .and_then(|()| db.execute_batch("PRAGMA user_version = 2"))
            .map_err(sqlite)?;
        db.close().map_err(|(_, error)| sqlite(error))?;
        seal(plain.path(), &dir.join("Manifest.db"), truth.manifest_key.as_ref())?;
        Ok(counts)
    }
}

type Each<'e> = &'e mut dyn FnMut(&TruthEntry) -> io::Result<()>;

/// Where files lie; `%` stands for the number of the folder.
struct Folder {
    domain: &'static str,
    path: &'static str,
    extension: &'static str,
    class: u32,
    digest: bool,
}

const FOLDERS: [Folder; 8] = [
    folder("HomeDomain", "Library/SMS/Attachments/%", "bin", 4, true),
    folder("CameraRollDomain", "Media/DCIM/%APPLE", "HEIC", 3, false),
    folder("AppDomain-com.example.chat", "Documents/Media/%", "dat", 3, false),
    folder("AppDomainGroup-group.com.example.chat", "Message/Media/%", "jpg", 3, false),
    folder("MediaDomain", "Library/SMS/Attachments/%", "mov", 4, false),
    folder("AppDomain-com.example.mail", "Library/Mail/%", "eml", 1, false),
    folder("HealthDomain", "Health/%", "db", 2, true),
    folder("WirelessDomain", "Library/Preferences/%", "plist", 4, true),
];

const fn folder(
    domain: &'static str,
    path: &'static str,
    extension: &'static str,
    class: u32,
    digest: bool,
) -> Folder {
    Folder { domain, path, extension, class, digest }
}

struct Writer<'b, 'e> {
    dir: &'b Path,
    seed: Seed,
    class_keys: Option<&'b BTreeMap<u32, [u8; 32]>>,
    insert: rusqlite::Statement<'b>,
    content: Content,
    /// Folders that have a row, and their inodes.
    folders: HashMap<(&'static str, String), i64>,
    inode: i64,
    each: Option<Each<'e>>,
    counts: Counts,
}

impl Writer<'_, '_> {
    /// Writes file `n`, with a payload of so many bytes or with a row alone.
    fn file(&mut self, n: usize, size: Option<u64>) -> io::Result<()> {
        let Folder { domain, path, extension, class, digest } = &FOLDERS[n % FOLDERS.len()];
        // 500 files a folder, as a camera does it.
        let number = 100 + n / FOLDERS.len() / 500;
        let parent = path.replace('%', &number.to_string());
        let path = format!("{parent}/{n:07}.{extension}");
        self.parents(domain, &parent)?;
        let id = file_id(domain, &path);
        let key = self.class_keys.and_then(|keys| keys.get(class)).map(|class_key| {
            let key: [u8; 32] = self.seed.bytes(format!("bulk file key {n}"));
            let wrapped = [&class.to_le_bytes()[..], &wrap_key(class_key, &key)].concat();
            (key, wrapped)
        });
        let mut sum = None;
        if let Some(size) = size {
            let target = self.dir.join(&id[..2]).join(&id);
            let hash = self.each.is_some();
            let payload = self.content.write(
                n,
                size,
                key.as_ref().map(|key| &key.0),
                &target,
                *digest,
                hash,
            )?;
            sum = payload.digest;
            self.counts.blobs += 1;
            self.counts.blob_bytes += payload.stored;
            if let (Some(each), Some(sha256)) = (&mut self.each, payload.sha256) {
                each(&TruthEntry {
                    file_id: id.clone().into_bytes(),
                    domain: domain.as_bytes().to_vec(),
                    path: path.clone().into_bytes(),
                    kind: 1,
                    len: size,
                    sha256,
                    stored: true,
                    intact: true,
                    target: None,
                })?;
            }
        }
        self.inode += 1;
        let archive = MbFile {
            digest: sum.map(|sum| (sum.to_vec(), DigestForm::Reference)),
            encryption_key: key.map(|(_, wrapped)| wrapped),
            size: i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX),
            class: i64::from(*class),
            ..node(path.clone(), 0o100_644, self.inode)
        };
        self.counts.files += 1;
        self.row(&id, domain, &path, 1, &archive)
    }

    /// Adds the rows of a folder and everything above it.
    fn parents(&mut self, domain: &'static str, folder: &str) -> io::Result<()> {
        if self.folders.contains_key(&(domain, folder.to_owned())) {
            return Ok(());
        }
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        for path in std::iter::once("").chain(ends.map(|end| &folder[..end])) {
            let place = (domain, path.to_owned());
            if self.folders.contains_key(&place) {
                continue;
            }
            self.inode += 1;
            self.folders.insert(place, self.inode);
            let archive = node(path.to_owned(), 0o040_755, self.inode);
            self.counts.directories += 1;
            self.row(&file_id(domain, path), domain, path, 2, &archive)?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        id: &str,
        domain: &str,
        path: &str,
        flags: i64,
        archive: &MbFile,
    ) -> io::Result<()> {
        self.counts.rows += 1;
        self.insert.execute((id, domain, path, flags, archive.encode())).map_err(sqlite)?;
        Ok(())
    }
}

/// An archive with nothing special about it.
fn node(path: String, mode: i64, inode: i64) -> MbFile {
    const TIME: i64 = 1_716_024_600;
    MbFile {
        path,
        mode,
        inode,
        uid: 501,
        gid: 501,
        modified: TIME - inode % 100_000,
        changed: TIME,
        born: TIME - 200_000,
        size: 0,
        class: 0,
        flags: 0,
        target: None,
        digest: None,
        encryption_key: None,
        xattrs: None,
        omit: Vec::new(),
        extra: Vec::new(),
    }
}

/// Copies the finished database into its place, encrypted when there is a key.
fn seal(from: &Path, to: &Path, key: Option<&[u8; 32]>) -> io::Result<()> {
    let mut from = BufReader::with_capacity(CHUNK, File::open(from)?);
    let mut to = BufWriter::with_capacity(CHUNK, File::create(to)?);
    let mut cipher = key.map(|key| cbc::Encryptor::<aes::Aes256>::new(key.into(), &[0; 16].into()));
    let mut first = true;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK + 16);
        from.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)?;
        if first {
            finish_header(&mut chunk);
            first = false;
        }
        // Only the last chunk is short; one of no bytes still gets its padding.
        let last = chunk.len() < CHUNK;
        if let Some(cipher) = &mut cipher {
            if last {
                chunk = pad(chunk);
            }
            let (blocks, _) = Array::slice_as_chunks_mut(&mut chunk);
            cipher.encrypt_blocks(blocks);
        }
        to.write_all(&chunk)?;
        if last {
            return to.flush();
        }
    }
}

#[cfg(test)]
mod tests;
