//! Opening payloads: found by the id the catalog states, decrypted as they are read.

use std::io::{self, Read};
use std::sync::Arc;

use bkp_core::{Entry, Fault, FileId, Payload, Payloads};
use bkp_crypto::{CbcReader, ClassKeys, Ending};

use crate::storage::{Layout, Storage, Stored};
use crate::{BundleError, BundleRecord, PayloadError, RowFault, StoredIndex};

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

impl Payloads<BundleRecord> for BundlePayloads {
    type Error = BundleError;

    fn open(&self, record: &BundleRecord) -> Result<Box<dyn Payload>, BundleError> {
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
        let bytes = match key {
            Some(key) => Bytes::Decrypted(CbcReader::new(Counted { inner: stored, read: 0 }, &key)),
            None => Bytes::Stored(Counted { inner: stored, read: 0 }),
        };
        Ok(Box::new(BundlePayload {
            id,
            bytes,
            stored_len,
            recorded: row.is_none().then_some(record.entry.metadata.size_hint),
            row,
            plaintext_in_encrypted,
            given: 0,
            database: false,
            ended: false,
        }))
    }

    fn open_stored(&self, record: &BundleRecord) -> Result<Box<dyn Payload>, BundleError> {
        let stored = self.stored(record.entry.id)?;
        Ok(Box::new(BundlePayload {
            id: record.entry.id,
            stored_len: stored.len(),
            bytes: Bytes::Stored(Counted { inner: stored, read: 0 }),
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

/// Counts stored bytes, so that a file that shrinks while it is read is noticed.
struct Counted<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.read = self.read.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
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
            self.database = buf.get(..n).is_some_and(|b| b.starts_with(b"SQLite format 3\0"));
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
        let (read, ending) = match &self.bytes {
            Bytes::Stored(bytes) => (bytes.read, None),
            Bytes::Decrypted(bytes) => (bytes.get_ref().read, bytes.ending()),
        };
        let stored = self.stored_len;
        if read < stored {
            add(PayloadError::Shrank { id, read, stored });
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
