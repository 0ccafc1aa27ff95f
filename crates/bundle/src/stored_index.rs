//! Which payloads a bundle has, found out a folder at a time.

use std::collections::HashMap;

use bkp_core::{Entry, FileId};

use crate::PayloadError;
use crate::storage::{Layout, Storage};

/// Answers whether payloads are there by listing each folder once, where asking for each of
/// 200,000 payloads would cost a system call or two.
///
/// Takes 20 bytes for each payload of the folders that were asked for.
#[derive(Debug)]
pub struct StoredIndex {
    storage: Storage,
    layout: Layout,
    /// Sorted, by the folder: a shard's first byte, or nothing for the top of the bundle.
    folders: HashMap<Option<u8>, Vec<FileId>>,
}

impl StoredIndex {
    pub(crate) fn new(storage: Storage, layout: Layout) -> Self {
        Self { storage, layout, folders: HashMap::new() }
    }

    /// Returns whether the bundle has a payload for an entry, as a regular file.
    ///
    /// # Errors
    ///
    /// Fails when a folder of the bundle cannot be listed.
    pub fn contains(&mut self, entry: &Entry) -> Result<bool, PayloadError> {
        Ok(self.holds(self.layout, &entry.id)? || self.holds(self.layout.other(), &entry.id)?)
    }

    fn holds(&mut self, layout: Layout, id: &FileId) -> Result<bool, PayloadError> {
        let folder = match layout {
            Layout::Sharded => id.as_bytes().first().copied(),
            Layout::Flat => None,
        };
        if !self.folders.contains_key(&folder) {
            let listed = self
                .storage
                .blobs(folder)
                .map_err(|source| PayloadError::Io { id: *id, source })?;
            self.folders.insert(folder, listed);
        }
        Ok(self.folders.get(&folder).is_some_and(|ids| ids.binary_search(id).is_ok()))
    }
}
