//! A catalog that is done, and is read once or more.

use std::fmt;
use std::io::{self, BufRead, Read};

use crate::manifest_db::{Database, Position};
use crate::scratch::Scratch;

/// Bytes of `Manifest.mbdb` that are read at once.
const STEP: u64 = 256 << 10;

/// A whole catalog, not encrypted, that is written nowhere yet.
///
/// It is in memory where it is small; else the largest part of it is in a file without a name,
/// encrypted under a key that goes with this value.
pub struct FinishedCatalog(Content);

pub(super) enum Content {
    Db(Database),
    Mbdb(Scratch),
}

impl fmt::Debug for FinishedCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FinishedCatalog").field(&self.len()).finish()
    }
}

impl FinishedCatalog {
    pub(super) fn new(content: Content) -> Self {
        Self(content)
    }

    /// Returns the bytes that its file has.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a catalog without rows has bytes all the same")]
    pub fn len(&self) -> u64 {
        match &self.0 {
            Content::Db(database) => database.len(),
            Content::Mbdb(records) => records.len(),
        }
    }

    /// Reads the file that it is, from its start. A read fails where the system does.
    #[must_use]
    pub fn reader(&self) -> CatalogReader<'_> {
        let position = match &self.0 {
            Content::Db(database) => At::Db(database, Position::default()),
            Content::Mbdb(records) => At::Mbdb(records, 0),
        };
        CatalogReader { position, buffer: Vec::new(), given: 0 }
    }
}

/// Reads a [`FinishedCatalog`].
pub struct CatalogReader<'c> {
    position: At<'c>,
    buffer: Vec<u8>,
    /// What of the buffer was given out.
    given: usize,
}

enum At<'c> {
    Db(&'c Database, Position),
    Mbdb(&'c Scratch, u64),
}

impl fmt::Debug for CatalogReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogReader").finish_non_exhaustive()
    }
}

impl BufRead for CatalogReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.given == self.buffer.len() {
            self.given = 0;
            self.buffer.clear();
            match &mut self.position {
                At::Db(database, position) => database.read(position, &mut self.buffer)?,
                At::Mbdb(records, at) => {
                    let step = records.len().saturating_sub(*at).min(STEP);
                    self.buffer.resize(usize::try_from(step).unwrap_or_default(), 0);
                    if let Err(error) = records.read_at(*at, &mut self.buffer) {
                        self.buffer.clear();
                        return Err(error);
                    }
                    *at += step;
                }
            }
        }
        Ok(self.buffer.get(self.given..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.given = self.given.saturating_add(amount).min(self.buffer.len());
    }
}

impl Read for CatalogReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let n = ready.len().min(out.len());
        out[..n].copy_from_slice(&ready[..n]);
        self.consume(n);
        Ok(n)
    }
}
