//! A bundle on a disk: the destination of every command that writes one.
//!
//! ```text
//! OUT/
//!   3d/3d0d…        payloads: as they were stored, or in plaintext, or under fresh keys
//!   Manifest.db     made anew row by row; Manifest.mbdb, and payloads beside it, for what came so
//!   Manifest.plist  Info.plist  Status.plist
//! ```

mod lane;
mod stager;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, BufRead as _, BufWriter, Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bkp_bundle::{
    CatalogKind, CatalogWriteError, CatalogWriter, FinishedCatalog, RowPatch, ScratchPlace,
};
use bkp_core::{Entry, EntryKind, Sink};
use bkp_crypto::{CbcWriter, ClassKeys, FileKey};
use rustix::fs::{Mode, openat};
use sha2::{Digest as _, Sha256};

use crate::beneath::NEW;
use crate::stream::write_all;
use crate::{Adoption, Late, RestoreError, Staging};

pub use stager::{BundleStager, StagedPayload};

/// Bytes of a catalog that are copied at once.
const COPIED: usize = 256 << 10;

/// What a bundle is to be.
#[derive(Debug)]
pub struct BundlePlan {
    /// Which catalog it has. That decides where payloads are placed too (FORMAT.md 1).
    pub kind: CatalogKind,
    /// How payloads are stored.
    pub payloads: PayloadForm,
    /// Where the catalog comes from.
    pub catalog: CatalogForm,
    /// Whether payloads that stay as they are may become a second name of the source's file,
    /// where the file system allows it. A change of one is then a change of both.
    pub link: bool,
    /// The property lists, by name.
    pub files: Vec<(&'static str, Vec<u8>)>,
}

/// How payloads are stored.
#[derive(Clone, Debug)]
pub enum PayloadForm {
    /// As the source has them: keys, digests and bytes stay.
    Stored,
    /// In plaintext, without keys.
    Plain,
    /// In plaintext, without keys, and with a hole for each stretch of zeros of 64 KiB and for
    /// zeros at the end, which then take no space on the disk.
    Sparse,
    /// Each under a fresh key, which the key of its protection class wraps.
    Encrypted(Arc<ClassKeys>),
}

/// Where the catalog comes from.
pub enum CatalogForm {
    /// It is made anew, of the rows that are committed, and encrypted if there is a key.
    New(Option<FileKey>),
    /// It is what the source has stored, byte for byte.
    Stored(Box<dyn Read + Send>),
}

impl fmt::Debug for CatalogForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(key) => f.debug_tuple("New").field(key).finish(),
            Self::Stored(_) => f.write_str("Stored"),
        }
    }
}

/// A [`Sink`] that writes a bundle.
///
/// The row of an entry that could not be staged is kept all the same, without a payload and
/// without a key: a catalog that says what is missing is worth more than one that does not. A
/// device refuses to restore such a bundle, so whoever runs this must say so.
#[derive(Debug)]
pub struct BundleWriter {
    staging: Staging,
    stager: Arc<BundleStager>,
    kind: CatalogKind,
    catalog: Catalog,
    files: Vec<(&'static str, Vec<u8>)>,
    summary: BundleSummary,
}

/// The catalog while the bundle is written.
enum Catalog {
    New { writer: CatalogWriter, key: Option<FileKey> },
    Stored(Box<dyn Read + Send>),
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New { .. } => "New",
            Self::Stored(_) => "Stored",
        })
    }
}

/// What was written.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct BundleSummary {
    /// Where the bundle is.
    pub path: PathBuf,
    /// Payloads written.
    pub files: u64,
    /// Rows of directories.
    pub directories: u64,
    /// Rows of symbolic links.
    pub symlinks: u64,
    /// Bytes of the payloads as they are stored.
    pub stored_bytes: u64,
    /// Payloads that are a second name of the source's file.
    pub linked: u64,
    /// Payloads that share their blocks with the source's file.
    pub reflinked: u64,
    /// Rows without a payload, because it could not be read or written.
    pub without_payload: u64,
    /// Bytes of the catalog as it is stored.
    pub catalog_bytes: u64,
    /// SHA-256 of the catalog as it is stored.
    pub catalog_sha256: [u8; 32],
    /// What went wrong after its entry had been counted as done: rows that the catalog cannot
    /// hold. In catalog order.
    pub late: Vec<Late>,
}

impl BundleWriter {
    /// Starts a bundle that will be at `target`, which must be new or empty.
    ///
    /// # Errors
    ///
    /// Fails as [`Staging::begin`] does.
    pub fn create(target: &Path, plan: BundlePlan) -> Result<Self, RestoreError> {
        let BundlePlan { kind, payloads, catalog, link, files } = plan;
        let staging = Staging::begin(target, false)?;
        let stager = Arc::new(BundleStager::new(&staging, kind, payloads, link));
        let catalog = match catalog {
            CatalogForm::New(key) => {
                // Beside what it becomes a part of: gone with it, and on the disk that has the room.
                let writer = CatalogWriter::new(kind, ScratchPlace::opened(staging.tree()));
                Catalog::New { writer, key }
            }
            CatalogForm::Stored(bytes) => Catalog::Stored(bytes),
        };
        let summary = BundleSummary::default();
        Ok(Self { staging, stager, kind, catalog, files, summary })
    }

    /// Adds a row. One that the catalog cannot hold is told of later and does not end the run.
    fn row(&mut self, entry: &Entry, patch: &RowPatch) -> Result<bool, RestoreError> {
        let Catalog::New { writer, .. } = &mut self.catalog else { return Ok(true) };
        match writer.push(entry, patch) {
            Ok(()) => Ok(true),
            Err(source) if source.is_row() => {
                let (domain, path) = (entry.domain.clone(), entry.path.clone());
                let error = RestoreError::Row { source };
                self.summary.late.push(Late { domain, path, error });
                Ok(false)
            }
            Err(source) => Err(RestoreError::of_catalog(self.kind, source)),
        }
    }
}

impl RestoreError {
    /// Tells why a new catalog cannot be made. Where the disk is at fault it is named, as it is for
    /// every other file.
    #[must_use]
    pub fn of_catalog(kind: CatalogKind, source: CatalogWriteError) -> Self {
        match source {
            CatalogWriteError::Scratch(source) => scratch_failed(kind, "write", source),
            source => Self::Catalog { name: kind.file_name(), source },
        }
    }
}

/// The scratch file has no name of its own.
fn scratch_failed(kind: CatalogKind, action: &'static str, source: io::Error) -> RestoreError {
    let path = format!("the scratch file of {}", kind.file_name());
    RestoreError::system(action, Path::new(&path), source)
}

impl Sink for BundleWriter {
    type Stager = BundleStager;
    type Staged = StagedPayload;
    type Error = RestoreError;
    type Summary = BundleSummary;

    fn stager(&self) -> Arc<BundleStager> {
        Arc::clone(&self.stager)
    }

    /// Fails as soon as the disk has been full once.
    fn commit(&mut self, entry: &Entry, staged: StagedPayload) -> Result<(), RestoreError> {
        self.stager.check_space()?;
        let StagedPayload { patch, bytes, adoption } = staged;
        if !self.row(entry, &patch)? {
            return Ok(());
        }
        let summary = &mut self.summary;
        let add = |count: &mut u64, n: u64| *count = count.saturating_add(n);
        add(&mut summary.stored_bytes, bytes);
        match adoption {
            Some(Adoption::Linked) => add(&mut summary.linked, 1),
            Some(Adoption::Reflinked) => add(&mut summary.reflinked, 1),
            _ => {}
        }
        match entry.kind {
            EntryKind::Directory => add(&mut summary.directories, 1),
            EntryKind::Symlink(_) => add(&mut summary.symlinks, 1),
            _ => add(&mut summary.files, 1),
        }
        Ok(())
    }

    fn lost(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        self.stager.check_space()?;
        let patch = self.stager.without_payload();
        if self.row(entry, &patch)? {
            self.summary.without_payload = self.summary.without_payload.saturating_add(1);
        }
        Ok(())
    }

    fn finish(self) -> Result<BundleSummary, RestoreError> {
        let Self { staging, stager, kind, catalog, files, mut summary } = self;
        stager.check_space()?;
        let mut out = NewFile::create(&staging, kind.file_name())?;
        let written = match catalog {
            Catalog::New { writer, key } => {
                let catalog = writer.finish().map_err(|e| RestoreError::of_catalog(kind, e))?;
                match key {
                    Some(key) => {
                        let mut cipher = CbcWriter::new(&mut out, &key);
                        let copied = copy(kind, &catalog, &mut cipher)?;
                        copied.and_then(|()| cipher.finish().map(drop))
                    }
                    None => copy(kind, &catalog, &mut out)?,
                }
            }
            Catalog::Stored(mut bytes) => {
                let mut out = BufWriter::with_capacity(COPIED, &mut out);
                io::copy(&mut bytes, &mut out).and_then(|_| out.flush())
            }
        };
        written.map_err(|error| out.failed(error))?;
        (summary.catalog_bytes, summary.catalog_sha256) = (out.written, out.hash.finalize().into());
        for (name, bytes) in files {
            let mut out = NewFile::create(&staging, name)?;
            out.write_all(&bytes).map_err(|error| out.failed(error))?;
        }
        summary.path = staging.finish()?;
        Ok(summary)
    }
}

/// Copies a new catalog. The error inside is that of `out`, and the one outside of the scratch.
fn copy(
    kind: CatalogKind,
    catalog: &FinishedCatalog,
    out: &mut dyn Write,
) -> Result<io::Result<()>, RestoreError> {
    let mut reader = catalog.reader();
    loop {
        let piece = reader.fill_buf().map_err(|error| scratch_failed(kind, "read", error))?;
        if piece.is_empty() {
            return Ok(Ok(()));
        }
        if let Err(error) = out.write_all(piece) {
            return Ok(Err(error));
        }
        let len = piece.len();
        reader.consume(len);
    }
}

/// A file at the top of the bundle, while it is written.
struct NewFile {
    name: &'static str,
    file: OwnedFd,
    hash: Sha256,
    written: u64,
}

impl NewFile {
    fn create(staging: &Staging, name: &'static str) -> Result<Self, RestoreError> {
        let file = openat(staging.dir(), name, NEW, Mode::RUSR | Mode::WUSR)
            .map_err(RestoreError::on("create", Path::new(name)))?;
        Ok(Self { name, file, hash: Sha256::new(), written: 0 })
    }

    fn failed(&self, error: io::Error) -> RestoreError {
        RestoreError::system("write", Path::new(self.name), error)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_all(self.file.as_fd(), bytes)?;
        self.hash.update(bytes);
        self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
