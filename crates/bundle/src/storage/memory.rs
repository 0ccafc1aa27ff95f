//! Files in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::{Backend, Bytes, Stored};

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

impl Backend for Memory {
    fn open(&self, name: &str) -> io::Result<Stored> {
        let bytes = Arc::clone(self.get(name)?);
        let len = self.len(name)?;
        Ok(Stored::new(Bytes::Memory(io::Cursor::new(bytes)), len))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        u64::try_from(self.get(name)?.len()).map_err(io::Error::other)
    }

    fn files_in(&self, folder: &str) -> io::Result<Vec<String>> {
        let within = |name: &str| {
            let name = if folder.is_empty() {
                name
            } else {
                name.strip_prefix(folder)?.strip_prefix('/')?
            };
            (!name.contains('/')).then(|| name.to_owned())
        };
        Ok(self.0.keys().filter_map(|name| within(name)).collect())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let top = |name: &String| name.split('/').next().unwrap_or_default().to_owned();
        let mut names: Vec<_> = self.0.keys().map(top).collect();
        names.dedup();
        Ok(names)
    }

    fn list(&self, folder: &str, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        if folder.is_empty() {
            self.names()?.iter().for_each(|name| each(name));
            return Ok(());
        }
        if self.0.contains_key(folder) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let within = |name: &String| Some(name.strip_prefix(folder)?.strip_prefix('/')?.to_owned());
        let names: Vec<String> = self.0.keys().filter_map(within).collect();
        if names.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        names.iter().filter(|name| !name.contains('/')).for_each(|name| each(name));
        Ok(())
    }
}
