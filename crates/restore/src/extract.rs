//! A tree of readable files: the destination of `extract`.

mod links;
mod stager;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bkp_core::{Domain, Entry, EntryKind, RelPath, Sink};
use rustix::fs::{Mode, openat};
use rustix::io::Errno;

use crate::beneath::NEW;
use crate::names::{MAP, NameMap, Stored};
use crate::{Naming, RestoreError, Staging};
use links::{Late as LateWork, finish_tree};

pub use stager::{ExtractStager, Staged};

/// How a tree is written.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ExtractOptions {
    /// How entries are named.
    pub naming: Naming,
    /// Whether a destination that is not empty is written in place, and files and links in it
    /// make way for entries of the same name.
    pub overwrite: bool,
}

/// A [`Sink`] that writes plaintext below a directory.
///
/// * Files get the permission bits of their row, exactly: a file of mode 0 is one that its owner
///   must `chmod` before reading. Directories get theirs and read, write and search for the
///   owner besides, so that the tree can be read and removed again. Directories that no row
///   names have mode 0700.
/// * Files, directories and links get the modification time of their row. Owners, creation
///   times, flags and extended attributes are not restored.
/// * A link is made with the target of its row whatever that is, after all files, and never
///   followed. Until then an empty file holds its place.
/// * Where two entries have one name, one of them fails with `name-collision`. Of two rows that
///   differ in nothing but what they hold, which one it is depends on the order of work.
#[derive(Debug)]
pub struct ExtractDir {
    staging: Staging,
    stager: Arc<ExtractStager>,
    /// Made when the first line is due.
    map: Option<NameMap>,
    directories: Vec<LateWork>,
    links: Vec<LateWork>,
    summary: Extracted,
}

/// What was written.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Extracted {
    /// Where the tree is.
    pub path: PathBuf,
    /// Regular files written.
    pub files: u64,
    /// Directories that have a row of their own.
    pub directories: u64,
    /// Links made.
    pub symlinks: u64,
    /// Bytes of the regular files.
    pub bytes: u64,
    /// Names that differ from those in the catalog, all listed in `names.jsonl`.
    pub renamed: u64,
    /// What went wrong after its entry had been counted as done: links that could not be made
    /// (their severity is a failure), and notices. In no order.
    pub late: Vec<Late>,
}

/// Something that went wrong with an entry after it had been counted as done.
#[derive(Debug)]
#[non_exhaustive]
pub struct Late {
    /// The entry's domain.
    pub domain: Domain,
    /// The entry's path.
    pub path: RelPath,
    /// What went wrong.
    pub error: RestoreError,
}

impl ExtractDir {
    /// Starts a tree that will be at `target`.
    ///
    /// # Errors
    ///
    /// Fails as [`Staging::begin`] does.
    pub fn create(target: &Path, options: ExtractOptions) -> Result<Self, RestoreError> {
        let ExtractOptions { naming, overwrite } = options;
        let staging = Staging::begin(target, overwrite)?;
        let stager = Arc::new(ExtractStager::new(&staging, naming));
        Ok(Self {
            staging,
            stager,
            map: None,
            directories: Vec::new(),
            links: Vec::new(),
            summary: Extracted::default(),
        })
    }

    fn note(&mut self, entry: &Entry, stored: Option<&Stored>) -> Result<(), RestoreError> {
        let map = match &mut self.map {
            Some(map) => map,
            None => {
                let file = self.stager.create_map()?;
                self.map.insert(NameMap::new(file))
            }
        };
        map.add(entry, stored.map(Stored::as_bytes))
            .map_err(|error| RestoreError::system("write", Path::new(MAP), error))
    }
}

impl Sink for ExtractDir {
    type Stager = ExtractStager;
    type Staged = Staged;
    type Error = RestoreError;
    type Summary = Extracted;

    fn stager(&self) -> Arc<ExtractStager> {
        Arc::clone(&self.stager)
    }

    /// Fails as soon as the disk has been full once.
    fn commit(&mut self, entry: &Entry, staged: Staged) -> Result<(), RestoreError> {
        self.stager.check_space()?;
        let Staged { bytes, stored, notices } = staged;
        let late = |error| Late { domain: entry.domain.clone(), path: entry.path.clone(), error };
        self.summary.late.extend(notices.into_iter().map(late));
        if stored.as_ref().is_none_or(|stored| stored.changed) {
            self.note(entry, stored.as_ref())?;
            self.summary.renamed = self.summary.renamed.saturating_add(u64::from(stored.is_some()));
        }
        let count = match &entry.kind {
            EntryKind::Directory => {
                self.directories.extend(stored.map(|stored| LateWork::new(entry, stored, None)));
                &mut self.summary.directories
            }
            EntryKind::Symlink(target) => {
                let target = Some(target.clone());
                self.links.extend(stored.map(|stored| LateWork::new(entry, stored, target)));
                &mut self.summary.symlinks
            }
            _ => {
                self.summary.bytes = self.summary.bytes.saturating_add(bytes);
                &mut self.summary.files
            }
        };
        *count = count.saturating_add(1);
        Ok(())
    }

    fn finish(self) -> Result<Extracted, RestoreError> {
        let Self { staging, stager, map, directories, links, mut summary } = self;
        stager.check_space()?;
        if let Some(map) = map {
            map.finish().map_err(|error| RestoreError::system("write", Path::new(MAP), error))?;
        }
        let lost = finish_tree(staging.tree(), links, directories, &mut summary.late)?;
        summary.symlinks = summary.symlinks.saturating_sub(lost);
        summary.path = staging.finish()?;
        Ok(summary)
    }
}

impl ExtractStager {
    /// Creates the map. One that an earlier run left in a destination that is written in place
    /// makes way.
    fn create_map(&self) -> Result<File, RestoreError> {
        let path = Path::new(MAP);
        let create = || openat(self.root(), MAP, NEW, Mode::RUSR | Mode::WUSR);
        let fd = match create() {
            Err(Errno::EXIST) => {
                self.make_way(self.root(), MAP.as_bytes(), path)?;
                create()
            }
            created => created,
        };
        Ok(File::from(fd.map_err(RestoreError::on("create", path))?))
    }
}
