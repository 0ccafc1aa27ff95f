//! SQLite database images: what SQLite would see, without letting it near the files.
//!
//! Opening a database alters it: one `SELECT` folds a `-wal` into the file, rolls a hot `-journal`
//! back, and leaves a `-shm` behind. So the files are read as bytes, and what SQLite would have
//! done on opening is done here, to a private image:
//!
//! ```text
//! Manifest.db ────▶ image ◀── roll_back ──── Manifest.db-journal   an unfinished transaction
//!                   image ◀── replay_wal ─── Manifest.db-wal       transactions not folded in yet
//!                   image ◀── leave_wal_mode                       memory has no -wal
//! ```
//!
//! An error leaves the image as it was. Source: "Database File Format" of the SQLite documentation,
//! sections 1.3 (header), 3 (rollback journal) and 4 (write-ahead log).

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod journal;
#[cfg(test)]
mod tests;
mod wal;

pub use journal::{JournalOutcome, JournalSummary, roll_back};
pub use wal::{WalSummary, replay_wal};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER: usize = 100;
/// How much longer than image and log together a replayed image may be. SQLite may leave pages
/// unwritten that it has allocated and freed again.
const SLACK: usize = 64 << 20;

/// Why an image, a log or a journal cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteImageError {
    /// The file is no SQLite database.
    #[error("not a SQLite database: {what}")]
    NotSqlite {
        /// What is missing.
        what: &'static str,
    },
    /// The `-wal` or `-journal` file does not belong to this image, or is damaged in a way that
    /// SQLite refuses as well.
    #[error("damaged {file}: {what} (offset {offset})")]
    Malformed {
        /// `-wal` or `-journal`.
        file: &'static str,
        /// What is wrong.
        what: &'static str,
        /// The byte of the file.
        offset: usize,
    },
    /// The `-wal` or `-journal` file asks for an image that is much longer than all there is to
    /// fill it with.
    #[error("{file} asks for {pages} pages of {page_size} bytes, far more than there are")]
    LimitExceeded {
        /// `-wal` or `-journal`.
        file: &'static str,
        /// The number of pages.
        pages: u32,
        /// Bytes of a page.
        page_size: usize,
    },
}

/// The fields of a database header that decide how it is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SqliteHeader {
    /// Bytes of a page: a power of two from 512 to 65,536.
    pub page_size: usize,
    /// Byte 18: 1 for a rollback journal, 2 for a write-ahead log.
    pub write_version: u8,
    /// Byte 19: as byte 18, for reading.
    pub read_version: u8,
    /// Byte 20: bytes at the end of each page that are not SQLite's.
    pub reserved: u8,
    /// The size in pages as the header claims it. Tools that wrote before 3.7.0 leave it stale.
    pub page_count: u32,
    /// `PRAGMA user_version`: 2 in every real `Manifest.db` (FORMAT.md 2.1).
    pub user_version: u32,
}

impl SqliteHeader {
    /// Reads the first 100 bytes of a database.
    ///
    /// # Errors
    ///
    /// Fails when there are fewer, when the magic is missing, or when the page size is none.
    pub fn parse(image: &[u8]) -> Result<Self, SqliteImageError> {
        let header: &[u8; HEADER] = image
            .first_chunk()
            .ok_or(SqliteImageError::NotSqlite { what: "shorter than a header" })?;
        if !header.starts_with(MAGIC) {
            return Err(SqliteImageError::NotSqlite { what: "another magic" });
        }
        let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, high, low, write, read, reserved, ..] =
            *header;
        let page_size = match u16::from_be_bytes([high, low]) {
            1 => 65_536,
            size if size >= 512 && size.is_power_of_two() => size.into(),
            _ => return Err(SqliteImageError::NotSqlite { what: "page size is no page size" }),
        };
        Ok(Self {
            page_size,
            write_version: write,
            read_version: read,
            reserved,
            page_count: be32(header, 28),
            user_version: be32(header, 60),
        })
    }

    /// Returns true when the database wants a write-ahead log, which memory cannot give it.
    #[must_use]
    pub fn is_wal(&self) -> bool {
        self.write_version == 2 || self.read_version == 2
    }
}

/// Marks an image as one that needs no write-ahead log, by setting bytes 18 and 19 to 1. Other
/// versions than 2 are left alone, because SQLite must refuse what it does not know.
///
/// # Errors
///
/// Fails when the image is no SQLite database.
pub fn leave_wal_mode(image: &mut [u8]) -> Result<(), SqliteImageError> {
    SqliteHeader::parse(image)?;
    if let Some(versions) = image.get_mut(18..20) {
        for version in versions.iter_mut().filter(|version| **version == 2) {
            *version = 1;
        }
    }
    Ok(())
}

/// Reads a big-endian integer, or 0 beyond the end.
fn be32(bytes: &[u8], at: usize) -> u32 {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.first_chunk().map_or(0, |chunk| u32::from_be_bytes(*chunk))
}

/// Returns the bytes of so many pages, unless they are far more than what there is to fill them.
fn image_len(
    file: &'static str,
    pages: u32,
    page_size: usize,
    available: usize,
) -> Result<usize, SqliteImageError> {
    let error = SqliteImageError::LimitExceeded { file, pages, page_size };
    usize::try_from(pages)
        .ok()
        .and_then(|pages| pages.checked_mul(page_size))
        .filter(|&len| len <= available.saturating_add(SLACK))
        .ok_or(error)
}

/// Returns where a page is in an image. Pages are numbered from 1.
fn page_range(page: u32, page_size: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(page.checked_sub(1)?).ok()?.checked_mul(page_size)?;
    Some(start..start.checked_add(page_size)?)
}
