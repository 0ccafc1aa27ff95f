//! Where the files of a backup are: a directory, memory, or whatever else gives them out.

mod directory;
mod memory;

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bkp_core::FileId;

/// The files of one backup, by name. Read only, and cheap to clone.
///
/// What they are in stands behind [`StorageBackend`], so callers never carry a type parameter.
#[derive(Clone, Debug)]
pub struct Storage(Arc<dyn StorageBackend>);

/// What a [`Storage`] reads from: a folder, an archive, an object store.
///
/// Called by the readers of a bundle, on any thread and on many at once. Names are those of the
/// bundle (`Manifest.plist`, `3d/3d0d…`); a name that is not there is an error of kind
/// [`io::ErrorKind::NotFound`]. After an error the next call is as good as the first.
pub trait StorageBackend: fmt::Debug + Send + Sync {
    /// Returns what sort of place it is, as the record of a run calls it: `directory`, `zip`,
    /// `sealed`. Asked once for a run.
    fn kind(&self) -> &'static str;

    /// Opens a regular file. Anything else of that name, links included, is an error of kind
    /// [`io::ErrorKind::InvalidInput`].
    ///
    /// # Errors
    ///
    /// Fails when there is no such file and when it cannot be opened.
    fn open(&self, name: &str) -> io::Result<Stored>;

    /// Returns the length of a regular file, without opening it.
    ///
    /// # Errors
    ///
    /// Fails as [`open`](Self::open) does.
    fn len(&self, name: &str) -> io::Result<u64>;

    /// Calls `each` with the names in a folder of the bundle, in any order, and whether each is
    /// of a regular file; the empty name is the bundle itself. A link to a folder is no folder,
    /// and a link to a file no file. Names that are not UTF-8 are passed over.
    ///
    /// # Errors
    ///
    /// Fails when there is no such folder and when it cannot be listed.
    fn list(&self, folder: &str, each: &mut dyn FnMut(&str, bool)) -> io::Result<()>;
}

/// One stored file, read from its start.
#[derive(Debug)]
pub struct Stored {
    bytes: Bytes,
    len: u64,
    read: u64,
    ended: bool,
}

enum Bytes {
    File(std::fs::File),
    Memory(io::Cursor<Arc<[u8]>>),
    Reader(Box<dyn Read + Send>),
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.fmt(f),
            Self::Memory(_) => f.write_str("Memory"),
            Self::Reader(_) => f.write_str("Reader"),
        }
    }
}

impl Stored {
    fn new(bytes: Bytes, len: u64) -> Self {
        Self { bytes, len, read: 0, ended: false }
    }

    /// Makes a file of its bytes and how many there are. A backend that can find out that they
    /// are not the right ones does so no later than with the last of them: the read after it may
    /// never come.
    #[must_use]
    pub fn reader(bytes: Box<dyn Read + Send>, len: u64) -> Self {
        Self::new(Bytes::Reader(bytes), len)
    }

    /// Returns the file, if it is one of a disk.
    pub(crate) fn file(&self) -> Option<&std::fs::File> {
        match &self.bytes {
            Bytes::File(file) => Some(file),
            Bytes::Memory(_) | Bytes::Reader(_) => None,
        }
    }

    /// Returns the length in bytes, as it was when the file was opened.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns true when it was empty when it was opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Read for Stored {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let n = match &mut self.bytes {
            Bytes::File(file) => file.read(buf)?,
            Bytes::Memory(bytes) => bytes.read(buf)?,
            Bytes::Reader(bytes) => bytes.read(buf)?,
        };
        self.read = self.read.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        // A read that came back short, at or beyond the length there was, has met the end: most
        // payloads are read by one call.
        self.ended = n < buf.len() && self.read >= self.len;
        Ok(n)
    }
}

impl Storage {
    /// Uses a directory. Nothing in it is ever written, and links in it are not followed; the
    /// path itself may lead through links.
    ///
    /// # Errors
    ///
    /// Fails when the directory cannot be opened.
    pub fn directory(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(directory::Directory::open(path)?)))
    }

    /// Uses files in memory, by their names in the bundle (`Manifest.plist`, `3d/3d0d…`).
    #[must_use]
    pub fn memory(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self(Arc::new(memory::Memory::new(files)))
    }

    /// Uses whatever else gives out files.
    #[must_use]
    pub fn from_backend(backend: Arc<dyn StorageBackend>) -> Self {
        Self(backend)
    }

    /// Returns what sort of place the files are in: `directory`, `memory`, `zip`, `sealed`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.0.kind()
    }

    /// Opens a file of the bundle by its name, as it is stored.
    ///
    /// # Errors
    ///
    /// Fails when there is no regular file of that name and when it cannot be opened.
    pub fn open(&self, name: &str) -> io::Result<Stored> {
        self.0.open(name)
    }

    /// Returns the length of a file, or nothing when there is none of that name.
    ///
    /// # Errors
    ///
    /// Fails when it is no regular file and when it cannot be looked for.
    pub fn len(&self, name: &str) -> io::Result<Option<u64>> {
        match self.0.len(name) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists the names at the top of the bundle, sorted.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        self.list("", &mut |name, _| names.push(name.to_owned()))?;
        names.sort_unstable();
        Ok(names)
    }

    /// Calls `each` with the names in a folder of the bundle, in any order, and whether each is
    /// of a regular file. Holds none of them. The empty name is the bundle itself.
    ///
    /// # Errors
    ///
    /// Fails when there is no such folder and when it cannot be listed.
    pub fn list(&self, folder: &str, each: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        self.0.list(folder, each)
    }

    /// Lists the payloads in a folder, sorted: a shard's, or those at the top of the bundle.
    pub(crate) fn blobs(&self, shard: Option<u8>) -> io::Result<Vec<FileId>> {
        let folder = shard.map(|byte| format!("{byte:02x}")).unwrap_or_default();
        let mut ids = Vec::new();
        let listed = self.list(&folder, &mut |name, is_file| {
            // Only lower-case names are looked up.
            let id = FileId::parse(name.as_bytes());
            ids.extend(id.ok().filter(|id| is_file && id.to_hex() == *name.as_bytes()));
        });
        match listed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                ids.sort_unstable();
                Ok(ids)
            }
        }
    }

    /// Reads a whole file, refusing one that is longer than `limit` bytes.
    pub(crate) fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let too_long = |len| {
            let text = format!("{len} bytes, and at most {limit} are accepted");
            io::Error::new(io::ErrorKind::FileTooLarge, text)
        };
        let file = self.open(name)?;
        if file.len() > limit {
            return Err(too_long(file.len()));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(file.len()).unwrap_or(0));
        // A file that grows meanwhile must not fill the memory.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if len > limit { Err(too_long(len)) } else { Ok(bytes) }
    }
}

/// How payloads are placed in a bundle. Source: FORMAT.md 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layout {
    /// `3d/3d0d…`, iOS 10 and later.
    Sharded,
    /// `3d0d…`, before.
    Flat,
}

impl Layout {
    /// Returns the name of a payload.
    pub(crate) fn name(self, id: &FileId) -> BlobName {
        let hex = id.to_hex();
        let mut bytes = [0; 43];
        let len = match self {
            Self::Sharded => {
                let (shard, rest) = bytes.split_at_mut(2);
                let (slash, name) = rest.split_at_mut(1);
                shard.copy_from_slice(hex.first_chunk::<2>().unwrap_or(&[b'0'; 2]));
                slash.fill(b'/');
                name.copy_from_slice(&hex);
                43
            }
            Self::Flat => {
                let (name, _) = bytes.split_at_mut(40);
                name.copy_from_slice(&hex);
                40
            }
        };
        BlobName { bytes, len }
    }

    /// Returns the other placement, in which some hosts leave payloads.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Sharded => Self::Flat,
            Self::Flat => Self::Sharded,
        }
    }
}

/// The name of a payload, without an allocation for each of a million.
pub(crate) struct BlobName {
    bytes: [u8; 43],
    len: usize,
}

impl BlobName {
    pub(crate) fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, Storage};

    #[test]
    fn payload_names() {
        let id = "3d0d7e5fb2ce288813306e4d4636395e047a3d28".parse().unwrap();
        assert_eq!(
            Layout::Sharded.name(&id).as_str(),
            "3d/3d0d7e5fb2ce288813306e4d4636395e047a3d28"
        );
        assert_eq!(Layout::Flat.name(&id).as_str(), "3d0d7e5fb2ce288813306e4d4636395e047a3d28");
    }

    #[test]
    fn a_file_at_the_limit_is_read_and_one_beyond_is_not() {
        let storage = Storage::memory([("a".into(), vec![7; 100])]);
        assert_eq!(storage.read("a", 100).unwrap(), [7; 100]);
        assert_eq!(storage.read("a", 101).unwrap(), [7; 100]);
        let error = storage.read("a", 99).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    }
}
