//! Files in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::{Bytes, StorageBackend, Stored};

pub(super) struct Memory(BTreeMap<String, Arc<[u8]>>);

impl Memory {
    pub(super) fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self(files.into_iter().map(|(name, bytes)| (name, bytes.into())).collect())
    }

    fn get(&self, name: &str) -> io::Result<&Arc<[u8]>> {
        self.0.get(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Memory").field(&self.0.len()).finish()
    }
}

impl StorageBackend for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn open(&self, name: &str) -> io::Result<Stored> {
        let bytes = Arc::clone(self.get(name)?);
        let len = self.len(name)?;
        Ok(Stored::new(Bytes::Memory(io::Cursor::new(bytes)), len))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        u64::try_from(self.get(name)?.len()).map_err(io::Error::other)
    }

    fn list(&self, folder: &str, each: &mut dyn FnMut(&str, bool)) -> io::Result<()> {
        if self.0.contains_key(folder) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let mut found = false;
        let mut last = None;
        for name in self.0.keys() {
            let within = if folder.is_empty() {
                Some(name.as_str())
            } else {
                name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'))
            };
            let Some(within) = within else { continue };
            found = true;
            let (name, is_file) = match within.split_once('/') {
                Some((folder, _)) => (folder, false),
                None => (within, true),
            };
            // Keys are sorted, so what is in one folder stands together.
            if last.replace(name) != Some(name) {
                each(name, is_file);
            }
        }
        if found || folder.is_empty() { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}
