//! The write-ahead log: pages of transactions that are not in the database file yet.
//!
//! ```text
//! header 32:  magic, version 3007000, page size, checkpoint number, salt[2], checksum[2]
//! frame 24+n: page number, size of the database after this commit or 0, salt[2], checksum[2], page
//! ```
//!
//! A frame counts when its salts are the header's and its checksum, which runs on from frame to
//! frame, is right; the first that does not ends the log. A transaction counts when it has its
//! commit frame.

use super::{SqliteHeader, SqliteImageError, be32, image_len, page_range};

const FILE: &str = "-wal";
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The lowest bit says that checksums are over big-endian words.
const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;

/// What was found in a write-ahead log, and what of it is in the image now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct WalSummary {
    /// Frames that are sound.
    pub frames: usize,
    /// Those of them that belong to a committed transaction: these were replayed.
    pub committed_frames: usize,
    /// Committed transactions.
    pub transactions: usize,
    /// The size of the database in pages, if anything was replayed.
    pub page_count: Option<u32>,
    /// Bytes after the last sound frame: older transactions, or damage.
    pub rest: usize,
    /// Why SQLite would pass over the whole log, if it would.
    pub ignored: Option<&'static str>,
}

/// Replays the committed transactions of a `-wal` file into an image, as SQLite does on opening.
///
/// An empty or foreign log is passed over, and the summary says so.
///
/// # Errors
///
/// Fails when the image is no SQLite database, when the log is of an unknown version or has another
/// page size than the image, and when it asks for an image far longer than image and log together.
/// The image is then as it was.
pub fn replay_wal(image: &mut Vec<u8>, wal: &[u8]) -> Result<WalSummary, SqliteImageError> {
    let ignored =
        |why| Ok(WalSummary { ignored: Some(why), rest: wal.len(), ..WalSummary::default() });
    if image.is_empty() {
        return ignored("the database is empty");
    }
    let page_size = SqliteHeader::parse(image)?.page_size;
    let Some((header, frames)) = wal.split_first_chunk::<HEADER>() else {
        return ignored("it is shorter than a header");
    };
    let magic = be32(header, 0);
    if magic & !1 != MAGIC {
        return ignored("it has another magic");
    }
    let mut sum = Checksum { big_endian: magic & 1 == 1, sums: (0, 0) };
    let (checked, stored) = header.split_at(24);
    sum.add(checked);
    if sum.sums != pair(stored) {
        return ignored("the checksum of its header is wrong");
    }
    if be32(header, 4) != VERSION {
        let what = "version is not 3007000";
        return Err(SqliteImageError::Malformed { file: FILE, what, offset: 4 });
    }
    if usize::try_from(be32(header, 8)).ok() != Some(page_size) {
        let what = "page size is not the database's";
        return Err(SqliteImageError::Malformed { file: FILE, what, offset: 8 });
    }

    let salts = header.get(16..24).unwrap_or_default();
    let mut summary = WalSummary::default();
    let whole = frames.chunks_exact(page_size.saturating_add(FRAME_HEADER));
    for frame in whole.clone() {
        let (head, page) = frame.split_at(FRAME_HEADER);
        let (checked, _) = head.split_at(8);
        sum.add(checked);
        sum.add(page);
        let sound = be32(head, 0) != 0
            && head.get(8..16) == Some(salts)
            && head.get(16..24).map(pair) == Some(sum.sums);
        if !sound {
            break;
        }
        summary.frames = summary.frames.saturating_add(1);
        let size = be32(head, 4);
        if size != 0 {
            summary.committed_frames = summary.frames;
            summary.transactions = summary.transactions.saturating_add(1);
            summary.page_count = Some(size);
        }
    }
    let used = summary.frames.saturating_mul(page_size.saturating_add(FRAME_HEADER));
    summary.rest = frames.len().saturating_sub(used);

    if let Some(pages) = summary.page_count {
        let available = image.len().saturating_add(frames.len());
        image.resize(image_len(FILE, pages, page_size, available)?, 0);
        for frame in whole.take(summary.committed_frames) {
            let (head, page) = frame.split_at(FRAME_HEADER);
            // A page beyond the end was cut off by a later transaction.
            let place = page_range(be32(head, 0), page_size);
            if let Some(place) = place.and_then(|place| image.get_mut(place)) {
                place.copy_from_slice(page);
            }
        }
    }
    Ok(summary)
}

fn pair(bytes: &[u8]) -> (u32, u32) {
    (be32(bytes, 0), be32(bytes, 4))
}

/// The running checksum, over pairs of 32-bit words.
struct Checksum {
    big_endian: bool,
    sums: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let (mut a, mut b) = self.sums;
        for words in bytes.chunks_exact(8) {
            let (x, y) = pair(words);
            let (x, y) = if self.big_endian { (x, y) } else { (x.swap_bytes(), y.swap_bytes()) };
            a = a.wrapping_add(x).wrapping_add(b);
            b = b.wrapping_add(y).wrapping_add(a);
        }
        self.sums = (a, b);
    }
}
