//! Opening payloads: found by the id the catalog states, decrypted as they are read.

use std::io::{self, Read};
use std::sync::Arc;

use bkp_core::{Entry, Fault, FileId, Payload, Payloads, StoredFile};
use bkp_crypto::{CbcReader, ClassKeys, Ending};
use sha1::{Digest as _, Sha1};

use crate::storage::{Layout, Storage, Stored};
use crate::{BundleError, BundleRecord, PayloadError, RowFault, StoredIndex};

/// How a SQLite database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The payload half of a backup. Cheap to clone, and may be used from any thread.
#[derive(Clone, Debug)]
pub struct BundlePayloads {
    pub(crate) storage: Storage,
    pub(crate) layout: Layout,
    /// Absent when the bundle is not encrypted.
    pub(crate) keys: Option<Arc<ClassKeys>>,
}

impl BundlePayloads {
    /// Returns a way to ask for many payloads whether they are there.
    #[must_use]
    pub fn index(&self) -> StoredIndex {
        StoredIndex::new(self.storage.clone(), self.layout)
    }

    /// Returns the stored length of an entry's payload, or nothing when the bundle has none.
    ///
    /// # Errors
    ///
    /// Fails when the bundle cannot be searched, or the payload is no regular file.
    pub fn stored_len(&self, entry: &Entry) -> Result<Option<u64>, PayloadError> {
        let len = |layout: Layout| {
            self.storage
                .len(layout.name(&entry.id).as_str())
                .map_err(|source| PayloadError::Io { id: entry.id, source })
        };
        match len(self.layout)? {
            Some(found) => Ok(Some(found)),
            None => len(self.layout.other()),
        }
    }

    /// Opens a payload as [`open`](Payloads::open) does, and takes the digest of the stored bytes
    /// as they pass. Where the row carries a digest and it is another one, the payload's
    /// [`faults`](Payload::faults) say so at its end: one read proves both.
    ///
    /// # Errors
    ///
    /// Fails as `open` does.
    pub fn open_checked(&self, record: &BundleRecord) -> Result<Box<dyn Payload>, BundleError> {
        let hash = record.entry.digest.map(|recorded| (Sha1::new(), recorded));
        Ok(Box::new(self.plaintext(record, hash)?))
    }

    /// Returns whether the stored bytes of an entry's payload begin as those of a SQLite database
    /// do. Of an encrypted payload this says nothing.
    ///
    /// # Errors
    ///
    /// Fails when the payload is missing or cannot be read.
    pub fn is_stored_database(&self, entry: &Entry) -> Result<bool, PayloadError> {
        let id = entry.id;
        let mut start = Vec::with_capacity(MAGIC.len());
        self.stored(id)?
            .take(MAGIC.len() as u64)
            .read_to_end(&mut start)
            .map_err(|source| PayloadError::Io { id, source })?;
        Ok(start == MAGIC)
    }

    /// Checks that the key of an entry's payload unwraps, and reads nothing of the payload. There
    /// is nothing to check where the bundle is not encrypted or the row has no key.
    ///
    /// # Errors
    ///
    /// Fails with [`PayloadError::Key`] when it does not, saying why.
    pub fn check_key(&self, record: &BundleRecord) -> Result<(), PayloadError> {
        match (&self.keys, &record.key) {
            (Some(keys), Some(wrapped)) => keys
                .unwrap(wrapped.class, &wrapped.key)
                .map(drop)
                .map_err(|source| PayloadError::Key { id: record.entry.id, source }),
            _ => Ok(()),
        }
    }

    /// Calls `each` with every stored file that has the name of a payload, in no order: forty
    /// hexadecimal digits at the top of the bundle or in a folder of two. Whatever else lies in
    /// the bundle is passed over.
    ///
    /// # Errors
    ///
    /// Fails when a folder of the bundle cannot be listed.
    pub fn blobs(&self, each: &mut dyn FnMut(StoredBlob<'_>)) -> Result<(), BundleError> {
        let mut tell = |name: &str| {
            let stem = name.rsplit('/').next().unwrap_or(name);
            if let Ok(id) = FileId::parse(stem.as_bytes()) {
                let usual = self.layout.name(&id).as_str() == name;
                let other = self.layout.other().name(&id).as_str() == name;
                each(StoredBlob { name, id, usual, other });
            }
        };
        let mut folders = Vec::new();
        let failed = |name: &str, source| BundleError::Io { name: name.into(), source };
        self.storage
            .list("", &mut |name, _| match name.as_bytes() {
                [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                    folders.push(name.to_owned());
                }
                _ => tell(name),
            })
            .map_err(|source| failed("the folder", source))?;
        folders.sort_unstable();
        let mut path = String::new();
        for folder in folders {
            let listed = self.storage.list(&folder, &mut |name, _| {
                path.clear();
                path.extend([&folder, "/", name]);
                tell(&path);
            });
            match listed {
                // A foreign file of that name, or a link.
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
                Err(source) => return Err(failed(&folder, source)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn stored(&self, id: FileId) -> Result<Stored, PayloadError> {
        let open = |layout: Layout| self.storage.open(layout.name(&id).as_str());
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        match open(self.layout) {
            Err(error) if missing(&error) => match open(self.layout.other()) {
                Err(error) if missing(&error) => Err(PayloadError::Missing { id }),
                Err(source) => Err(PayloadError::Io { id, source }),
                Ok(stored) => Ok(stored),
            },
            Err(source) => Err(PayloadError::Io { id, source }),
            Ok(stored) => Ok(stored),
        }
    }
}

/// A stored file with the name of a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoredBlob<'n> {
    /// Its name in the bundle, such as `3d/3d0d…`.
    pub name: &'n str,
    /// The payload that the name is of.
    pub id: FileId,
    /// It lies where payloads of this bundle lie, so that its row finds it there.
    pub usual: bool,
    /// It lies where payloads of the other layout lie, and its row finds it there if it is not
    /// in its usual place.
    pub other: bool,
}

impl BundlePayloads {
    /// Opens a payload to be decrypted, and to be hashed as it is stored if `hash` says so.
    fn plaintext(
        &self,
        record: &BundleRecord,
        hash: Option<(Sha1, [u8; 20])>,
    ) -> Result<BundlePayload, BundleError> {
        let id = record.entry.id;
        let mut row = record.fault.clone();
        let mut plaintext_in_encrypted = false;
        let key = match (&self.keys, &record.key) {
            (Some(keys), Some(wrapped)) => Some(
                keys.unwrap(wrapped.class, &wrapped.key)
                    .map_err(|source| PayloadError::Key { id, source })?,
            ),
            (Some(_), None) => {
                if let Some(source) = row.take() {
                    return Err(PayloadError::KeyLost { id, source }.into());
                }
                plaintext_in_encrypted = true;
                None
            }
            (None, _) => None,
        };
        let stored = self.stored(id)?;
        let stored_len = stored.len();
        let stored = Counted { inner: stored, read: 0, hash };
        let bytes = match key {
            Some(key) => Bytes::Decrypted(CbcReader::new(stored, &key)),
            None => Bytes::Stored(stored),
        };
        Ok(BundlePayload {
            id,
            bytes,
            stored_len,
            recorded: row.is_none().then_some(record.entry.metadata.size_hint),
            row,
            plaintext_in_encrypted,
            given: 0,
            database: false,
            ended: false,
        })
    }
}

impl Payloads<BundleRecord> for BundlePayloads {
    type Error = BundleError;

    fn open(&self, record: &BundleRecord) -> Result<Box<dyn Payload>, BundleError> {
        Ok(Box::new(self.plaintext(record, None)?))
    }

    fn open_stored(&self, record: &BundleRecord) -> Result<Box<dyn Payload>, BundleError> {
        let stored = self.stored(record.entry.id)?;
        Ok(Box::new(BundlePayload {
            id: record.entry.id,
            stored_len: stored.len(),
            bytes: Bytes::Stored(Counted { inner: stored, read: 0, hash: None }),
            recorded: None,
            row: None,
            plaintext_in_encrypted: false,
            given: 0,
            database: false,
            ended: false,
        }))
    }
}

/// A payload on its way out of a bundle. Never cut to the catalog's size, which is a hint.
struct BundlePayload {
    id: FileId,
    bytes: Bytes,
    stored_len: u64,
    /// What the catalog says of the length, when it is to be compared.
    recorded: Option<u64>,
    row: Option<RowFault>,
    plaintext_in_encrypted: bool,
    given: u64,
    database: bool,
    ended: bool,
}

#[expect(clippy::large_enum_variant, reason = "boxed with the payload it is part of")]
enum Bytes {
    Stored(Counted<Stored>),
    Decrypted(CbcReader<Counted<Stored>>),
}

/// Counts stored bytes, so that a file that shrinks while it is read is noticed, and hashes them
/// where there is a digest to compare with.
struct Counted<R> {
    inner: R,
    read: u64,
    hash: Option<(Sha1, [u8; 20])>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.read = self.read.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        if let (Some((hash, _)), Some(bytes)) = (&mut self.hash, buf.get(..n)) {
            hash.update(bytes);
        }
        Ok(n)
    }
}

impl Read for BundlePayload {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.bytes {
            Bytes::Stored(bytes) => bytes.read(buf)?,
            Bytes::Decrypted(bytes) => bytes.read(buf)?,
        };
        if self.given == 0 {
            self.database = buf.get(..n).is_some_and(|b| b.starts_with(MAGIC));
        }
        self.given = self.given.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        self.ended |= match &self.bytes {
            Bytes::Stored(bytes) => bytes.read >= self.stored_len,
            Bytes::Decrypted(bytes) => bytes.ending().is_some(),
        } || (n == 0 && !buf.is_empty());
        Ok(n)
    }
}

impl Payload for BundlePayload {
    fn stored_file(&self) -> Option<StoredFile<'_>> {
        let file = match &self.bytes {
            // A payload that is to be compared with its row has to be read.
            Bytes::Stored(Counted { inner, read: 0, hash: None }) if self.recorded.is_none() => {
                inner.file().filter(|_| !self.ended)
            }
            _ => None,
        };
        file.map(|file| StoredFile { file, len: self.stored_len })
    }

    fn faults(&self) -> Vec<Box<dyn Fault>> {
        let id = self.id;
        let mut faults: Vec<Box<dyn Fault>> = Vec::new();
        let mut add = |error: PayloadError| faults.push(Box::new(error));
        if !self.ended {
            return faults;
        }
        if let Some(source) = self.row.clone() {
            add(PayloadError::Row { id, source });
        }
        if self.plaintext_in_encrypted {
            add(PayloadError::PlaintextInEncrypted { id });
        }
        let (stored_bytes, ending) = match &self.bytes {
            Bytes::Stored(bytes) => (bytes, None),
            Bytes::Decrypted(bytes) => (bytes.get_ref(), bytes.ending()),
        };
        let read = stored_bytes.read;
        let stored = self.stored_len;
        if read < stored {
            add(PayloadError::Shrank { id, read, stored });
        }
        if let Some((hash, recorded)) = &stored_bytes.hash {
            let found = hash.clone().finalize().into();
            if found != *recorded {
                add(PayloadError::Digest { id, found, recorded: *recorded });
            }
        }
        match ending {
            Some(Ending::Unpadded) => add(PayloadError::Padding { id, kept: self.given }),
            Some(Ending::Truncated { stray }) => add(PayloadError::Truncated { id, stray }),
            _ => {}
        }
        if let Some(recorded) = self.recorded.filter(|&recorded| recorded != self.given) {
            let (found, database) = (self.given, self.database);
            add(PayloadError::Size { id, found, recorded, database });
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use bkp_core::{EntryKind, Payloads as _, Source as _, StoredFile};
    use bkp_testkit::{BundleSpec, EntrySpec};

    use crate::{Limits, Opened, Storage};

    #[test]
    fn a_stored_payload_gives_its_file_until_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = BundleSpec::new(3);
        spec.entries.push(EntrySpec::file("HomeDomain", "a", "hello"));
        spec.write(dir.path()).unwrap();
        let storage = Storage::directory(dir.path()).unwrap();
        let Opened::Unlocked(backup) = Opened::open(storage, Limits::default()).unwrap() else {
            panic!("encrypted")
        };
        let file = |record: &crate::BundleRecord| record.as_ref().kind == EntryKind::File;
        let record = backup.records().unwrap().map(Result::unwrap).find(file).unwrap();
        let mut payload = backup.payloads().open_stored(&record).unwrap();
        let mut text = String::new();
        let StoredFile { mut file, len } = payload.stored_file().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((&*text, len), ("hello", 5));
        assert!(payload.faults().is_empty());
        // Its position was moved, so a second one is read.
        payload = backup.payloads().open_stored(&record).unwrap();
        assert_eq!(payload.read(&mut [0; 1]).unwrap(), 1);
        assert!(payload.stored_file().is_none());
        // A payload that is compared with its row is none that may be passed by.
        for payload in [
            backup.payloads().open(&record).unwrap(),
            backup.payloads().open_checked(&record).unwrap(),
        ] {
            assert!(payload.stored_file().is_none());
        }
        assert_eq!(
            backup.bundle().manifest_bytes().unwrap(),
            std::fs::read(dir.path().join("Manifest.plist")).unwrap()
        );
        std::fs::remove_file(dir.path().join("Status.plist")).unwrap();
        assert_eq!(backup.bundle().status_bytes().unwrap(), None);
        assert!(backup.bundle().info_bytes().unwrap().is_some());
    }
}
