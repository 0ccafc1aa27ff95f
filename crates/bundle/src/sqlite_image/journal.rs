//! The rollback journal: pages as they were before a transaction that did not finish.
//!
//! ```text
//! header, one sector:  magic 8, record count, nonce, database pages before, sector size, page size
//! record 8+n:          page number, page, checksum
//! at the end, maybe:   lock page number, name of a super-journal, its length, its sum, magic 8
//! ```
//!
//! A new header follows, at the next sector, whenever the journal was synced in between. A count of
//! ffffffff means as many as there are; 0 means that the records were never synced, so that none
//! can be trusted and none was needed: the database was not written before that.

use super::{SqliteImageError, be32, image_len, page_range};

const FILE: &str = "-journal";
const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// A header is looked for in sectors of this size until it says otherwise.
const SECTOR: usize = 512;
/// The byte that SQLite locks; its page is never written.
const LOCK_BYTE: usize = 0x4000_0000;
/// Names of super-journals that are longer are none.
const MAX_NAME: usize = 4096;

/// What became of a journal.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JournalOutcome {
    /// The transaction was undone.
    RolledBack,
    /// There is nothing to undo.
    NotHot {
        /// Why.
        why: &'static str,
    },
    /// The transaction spanned databases and was committed: the super-journal that held it
    /// together is gone.
    Committed,
}

/// What was found in a rollback journal, and what of it is in the image now.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct JournalSummary {
    /// What became of the journal.
    pub outcome: JournalOutcome,
    /// Records that were written back.
    pub records: usize,
    /// Sound headers.
    pub headers: usize,
    /// The size of the database in pages before the transaction, if it was undone.
    pub page_count: Option<u32>,
    /// The name of the super-journal, if the transaction spanned databases.
    pub super_journal: Option<Vec<u8>>,
}

/// Rolls an unfinished transaction back, as SQLite does on opening a database whose writer died.
///
/// `super_journal_exists` is asked only if the journal names a super-journal. SQLite rolls back if
/// that file exists and is not empty, and takes the transaction for committed otherwise.
///
/// # Errors
///
/// Fails when the journal asks for an image far longer than image and journal together. The image
/// is then as it was. A damaged record ends the rolling back, as it does in SQLite.
pub fn roll_back(
    image: &mut Vec<u8>,
    journal: &[u8],
    super_journal_exists: impl FnOnce(&[u8]) -> bool,
) -> Result<JournalSummary, SqliteImageError> {
    let mut summary = JournalSummary {
        outcome: JournalOutcome::RolledBack,
        records: 0,
        headers: 0,
        page_count: None,
        super_journal: None,
    };
    let not_hot = |mut summary: JournalSummary, why| {
        summary.outcome = JournalOutcome::NotHot { why };
        Ok(summary)
    };
    if image.is_empty() {
        return not_hot(summary, "the database is empty");
    }
    if journal.first().is_none_or(|&byte| byte == 0) {
        return not_hot(summary, "the journal is empty or zeroed");
    }
    let Some(first) = Header::read(journal, 0, SECTOR) else {
        return not_hot(summary, "the journal has no sound header");
    };
    let (Some(sector), Some(page_size)) = (first.sector(), first.page_size(image)) else {
        return not_hot(summary, "the journal has no usable sector or page size");
    };
    if let Some(name) = super_journal(journal) {
        summary.super_journal = Some(name.to_vec());
        if !super_journal_exists(name) {
            summary.outcome = JournalOutcome::Committed;
            return Ok(summary);
        }
    }

    let available = image.len().saturating_add(journal.len());
    image.resize(image_len(FILE, first.pages, page_size, available)?, 0);
    summary.page_count = Some(first.pages);
    let record_len = page_size.saturating_add(8);
    let (mut header, mut at) = (first, 0_usize);
    loop {
        summary.headers = summary.headers.saturating_add(1);
        let body = journal.get(at.saturating_add(sector)..).unwrap_or_default();
        // Only the first header can mean all there are.
        let all = header.count == u32::MAX && at == 0;
        let count =
            if all { usize::MAX } else { usize::try_from(header.count).unwrap_or(usize::MAX) };
        let mut done = 0_usize;
        for record in body.chunks_exact(record_len).take(count) {
            let record = Record::new(record, page_size);
            if record.page == 0 || record.page == lock_page(page_size) {
                return Ok(summary);
            }
            if record.page <= first.pages {
                if record.sum(header.nonce) != record.stored {
                    return Ok(summary);
                }
                let place = page_range(record.page, page_size);
                if let Some(place) = place.and_then(|place| image.get_mut(place)) {
                    place.copy_from_slice(record.data);
                    summary.records = summary.records.saturating_add(1);
                }
            }
            done = done.saturating_add(1);
        }
        if done < count {
            return Ok(summary);
        }
        let end = at.saturating_add(sector).saturating_add(done.saturating_mul(record_len));
        at = end.checked_next_multiple_of(sector).unwrap_or(usize::MAX);
        match Header::read(journal, at, sector) {
            Some(next) => header = next,
            None => return Ok(summary),
        }
    }
}

/// Returns the page that holds the lock byte. Its number in a journal marks the super-journal.
fn lock_page(page_size: usize) -> u32 {
    let before = LOCK_BYTE.checked_div(page_size).unwrap_or(0);
    u32::try_from(before.saturating_add(1)).unwrap_or(u32::MAX)
}

/// Finds the name of a super-journal at the end of a journal.
fn super_journal(journal: &[u8]) -> Option<&[u8]> {
    let rest = journal.strip_suffix(&MAGIC)?;
    let (rest, numbers) = rest.split_last_chunk::<8>()?;
    let len = usize::try_from(be32(numbers, 0)).ok()?;
    let name = rest.get(rest.len().checked_sub(len)?..)?;
    let sum = name.iter().fold(0_u32, |sum, &byte| {
        // The sum is over signed characters.
        sum.wrapping_add(i32::from(byte.cast_signed()).cast_unsigned())
    });
    (len <= MAX_NAME && sum == be32(numbers, 4) && is_super_journal_name(name)).then_some(name)
}

/// Tells whether SQLite would make such a name: `-mj`, nine hexadecimal digits, and the seventh of
/// them a 9. Since 3.54 it takes no other for one.
fn is_super_journal_name(name: &[u8]) -> bool {
    let Some(tail) = name.last_chunk::<12>() else { return false };
    let [b'-', b'm', b'j', digits @ ..] = tail else { return false };
    digits.iter().all(u8::is_ascii_hexdigit) && digits[6] == b'9'
}

#[derive(Clone, Copy)]
struct Header {
    count: u32,
    nonce: u32,
    pages: u32,
    sector_size: u32,
    page_size: u32,
}

impl Header {
    /// Reads the header at an offset; there must be room for its sector.
    fn read(journal: &[u8], at: usize, sector: usize) -> Option<Self> {
        let bytes = journal.get(at..)?.get(..sector)?.strip_prefix(&MAGIC)?;
        Some(Self {
            count: be32(bytes, 0),
            nonce: be32(bytes, 4),
            pages: be32(bytes, 8),
            sector_size: be32(bytes, 12),
            page_size: be32(bytes, 16),
        })
    }

    fn sector(&self) -> Option<usize> {
        let size = usize::try_from(self.sector_size).ok()?;
        ((32..=65_536).contains(&size) && size.is_power_of_two()).then_some(size)
    }

    /// Returns the journal's page size, or the database's where very old journals have none.
    fn page_size(&self, image: &[u8]) -> Option<usize> {
        if self.page_size == 0 {
            return super::SqliteHeader::parse(image).ok().map(|header| header.page_size);
        }
        let size = usize::try_from(self.page_size).ok()?;
        ((512..=65_536).contains(&size) && size.is_power_of_two()).then_some(size)
    }
}

struct Record<'a> {
    page: u32,
    data: &'a [u8],
    stored: u32,
}

impl<'a> Record<'a> {
    fn new(bytes: &'a [u8], page_size: usize) -> Self {
        let (page, rest) = bytes.split_at_checked(4).unwrap_or_default();
        let (data, stored) = rest.split_at_checked(page_size).unwrap_or_default();
        Self { page: be32(page, 0), data, stored: be32(stored, 0) }
    }

    /// Sums every 200th byte from the end, the first 200 left out.
    fn sum(&self, nonce: u32) -> u32 {
        let mut sum = nonce;
        let mut at = self.data.len().saturating_sub(200);
        while at > 0 {
            sum = sum.wrapping_add(self.data.get(at).copied().unwrap_or(0).into());
            at = at.saturating_sub(200);
        }
        sum
    }
}
