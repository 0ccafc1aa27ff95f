//! From stored bytes to a private database in memory.

use std::io::{self, Read};

use bkp_crypto::{CbcReader, FileKey};
use rusqlite::{Connection, MAIN_DB};

use crate::sqlite_image::{JournalOutcome, SqliteHeader, leave_wal_mode, replay_wal, roll_back};
use crate::{BundleError, CatalogError, Notice, Storage};

pub(super) const NAME: &str = "Manifest.db";
const WAL: &str = "Manifest.db-wal";
const JOURNAL: &str = "Manifest.db-journal";
/// The longest catalog, and the longest file beside one. A million rows take half a GiB.
const LIMIT: u64 = 4 << 30;

pub(super) struct Image {
    pub(super) db: Connection,
    pub(super) bytes: u64,
    pub(super) notices: Vec<Notice>,
}

/// Reads at most 256 KiB at a time, so that what is decrypted is still in the cache.
struct InSteps<R>(R);

impl<R: Read> Read for InSteps<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(256 << 10);
        match buf.get_mut(..n) {
            Some(step) => self.0.read(step),
            None => Ok(0),
        }
    }
}

pub(super) fn load(storage: &Storage, key: Option<&FileKey>) -> Result<Image, BundleError> {
    let io = |name: &'static str| move |source| BundleError::Io { name: name.into(), source };
    let stored = storage.open(NAME).map_err(|source| BundleError::file(NAME, source))?;
    let stored_len = stored.len();
    let mut plain: Box<dyn Read> = match key {
        Some(key) => Box::new(CbcReader::new(stored, key)),
        None => Box::new(stored),
    };

    let mut start = [0; 100];
    let mut filled = 0;
    while let Some(rest) = start.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match plain.read(rest).map_err(io(NAME))? {
            0 => break,
            n => filled += n,
        }
    }
    let header = match SqliteHeader::parse(&start) {
        Ok(header) if filled == start.len() => header,
        _ => return Err(CatalogError::NotADatabase { encrypted: key.is_some() }.into()),
    };
    // Whole pages: what is left over is the padding, for the writers that pad.
    let page = u64::try_from(header.page_size).unwrap_or(u64::MAX);
    let len = stored_len.saturating_sub(stored_len.checked_rem(page).unwrap_or(0));
    if len > LIMIT {
        return Err(CatalogError::TooLarge { bytes: len }.into());
    }
    let mut notices = Vec::new();
    let (wal, journal) = (side_file(storage, WAL)?, side_file(storage, JOURNAL)?);
    if key.is_some() {
        for (name, _) in [(WAL, &wal), (JOURNAL, &journal)].iter().filter(|(_, len)| **len > 0) {
            notices.push(Notice::new(
                "side-file",
                format!("{name} cannot belong to an encrypted Manifest.db and was not read"),
            ));
        }
    } else if wal > 0 || journal > 0 {
        return with_side_files(storage, &start, plain, len, (wal, journal), notices);
    }

    notices.extend(admit_truncation(&mut start, &header, len));
    // A device leaves the catalog in WAL mode, which a database in memory cannot be.
    leave_wal_mode(&mut start).map_err(CatalogError::Header)?;
    let size = usize::try_from(len).map_err(|_| CatalogError::TooLarge { bytes: len })?;
    let mut db = Connection::open_in_memory().map_err(CatalogError::Database)?;
    let bytes = InSteps(start.chain(plain));
    db.deserialize_read_exact(MAIN_DB, bytes, size, true).map_err(CatalogError::Database)?;
    Ok(Image { db, bytes: len, notices })
}

/// SQLite reads nothing of a database that is shorter than its header says. With the length that
/// it has, all is read that is not on the lost pages.
fn admit_truncation(start: &mut [u8], header: &SqliteHeader, len: u64) -> Option<Notice> {
    let claimed = header.page_count;
    let pages = len.checked_div(u64::try_from(header.page_size).ok()?)?;
    let pages = u32::try_from(pages).ok().filter(|&pages| pages > 0 && pages < claimed)?;
    // Where the two counters differ the claim is stale, and SQLite asks the file.
    if start.get(24..28) != start.get(92..96) {
        return None;
    }
    start.get_mut(28..32)?.copy_from_slice(&pages.to_be_bytes());
    let message = format!("Manifest.db has {pages} of its {claimed} pages; the rest is lost");
    Some(Notice::new("catalog-truncated", message))
}

/// Returns the length of a file beside the catalog; 0 when there is none.
fn side_file(storage: &Storage, name: &'static str) -> Result<u64, BundleError> {
    storage.len(name).map(Option::unwrap_or_default).map_err(|e| BundleError::file(name, e))
}

/// Applies what a `-journal` or a `-wal` holds to a copy of the database. The journal comes
/// first: it takes back what was never committed. One that cannot be applied leaves the copy as
/// it is, and is told of.
fn with_side_files(
    storage: &Storage,
    start: &[u8],
    mut rest: Box<dyn Read>,
    len: u64,
    (wal, journal): (u64, u64),
    mut notices: Vec<Notice>,
) -> Result<Image, BundleError> {
    let read = |name: &'static str| {
        storage.read(name, LIMIT).map_err(|source| BundleError::file(name, source))
    };
    let mut image = Vec::new();
    image
        .try_reserve_exact(usize::try_from(len).unwrap_or(usize::MAX))
        .map_err(|_| CatalogError::TooLarge { bytes: len })?;
    image.extend_from_slice(start);
    rest.read_to_end(&mut image).map_err(|source| BundleError::file(NAME, source))?;
    if journal > 0 {
        // No device spreads a transaction over databases, so no super-journal is looked for.
        let message = match roll_back(&mut image, &read(JOURNAL)?, |_| false) {
            Ok(summary) => match summary.outcome {
                JournalOutcome::RolledBack => format!(
                    "{JOURNAL} holds an unfinished transaction; {} pages were rolled back in memory",
                    summary.records
                ),
                JournalOutcome::NotHot { why } => format!("{JOURNAL} was passed over: {why}"),
                JournalOutcome::Committed => format!("{JOURNAL} was passed over: committed"),
            },
            Err(error) => format!("{JOURNAL} was passed over: {error}"),
        };
        notices.push(Notice::new("side-file", message));
    }
    if wal > 0 {
        let message = match replay_wal(&mut image, &read(WAL)?) {
            Ok(summary) => match summary.ignored {
                Some(why) => format!("{WAL} was passed over: {why}"),
                None => format!(
                    "{WAL} holds {} transactions, applied to the catalog in memory",
                    summary.transactions
                ),
            },
            Err(error) => format!("{WAL} was passed over: {error}"),
        };
        notices.push(Notice::new("side-file", message));
    }
    leave_wal_mode(&mut image).map_err(CatalogError::Header)?;
    let size = image.len();
    let mut db = Connection::open_in_memory().map_err(CatalogError::Database)?;
    db.deserialize_read_exact(MAIN_DB, &image[..], size, true).map_err(CatalogError::Database)?;
    let bytes = u64::try_from(size).unwrap_or(u64::MAX);
    Ok(Image { db, bytes, notices })
}
