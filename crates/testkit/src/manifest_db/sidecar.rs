//! Manifest.db with the files SQLite leaves beside it, made by SQLite itself.
//!
//! Both carry random numbers of SQLite's own. They are replaced by numbers that follow from the
//! seed, with every checksum made anew, so that these bundles are deterministic as well.
//! Source: the SQLite file format, sections 3 (rollback journal) and 4 (WAL), and walformat,
//! section 2.1 (the index).

use std::{fs, io};

use rusqlite::Connection;

use super::{Row, SETUP, Shape, fill, insert, sqlite};
use crate::Seed;

type Files = Vec<(&'static str, Vec<u8>)>;

/// Makes a database whose last `in_log` rows are in its write-ahead log alone.
pub(crate) fn wal(rows: &[Row], in_log: usize, shape: &Shape<'_>, seed: Seed) -> io::Result<Files> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("Manifest.db");
    let mut db = Connection::open(&path).map_err(sqlite)?;
    let (early, late) = rows.split_at(rows.len().saturating_sub(in_log));
    let run = |db: &mut Connection| -> rusqlite::Result<()> {
        db.execute_batch(SETUP)?;
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;")?;
        fill(db, early, shape)?;
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        // Two commits, so that a reader has to find the last one.
        let (first, second) = late.split_at(late.len() / 2);
        insert(db, first)?;
        insert(db, second)
    };
    run(&mut db).map_err(sqlite)?;
    // Copied while the connection is open: closing it would fold the log in.
    let image = fs::read(&path)?;
    let mut log = fs::read(folder.path().join("Manifest.db-wal"))?;
    let mut index = fs::read(folder.path().join("Manifest.db-shm"))?;
    drop(db);
    let last = resalt_log(&mut log, seed.bytes("WAL salt"))?;
    resalt_index(&mut index, seed.bytes("WAL salt"), last);
    Ok(vec![("Manifest.db", image), ("Manifest.db-wal", log), ("Manifest.db-shm", index)])
}

/// Makes a database in the middle of a transaction, with the journal that undoes it.
pub(crate) fn hot_journal(rows: &[Row], shape: &Shape<'_>, seed: Seed) -> io::Result<Files> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("Manifest.db");
    let mut db = Connection::open(&path).map_err(sqlite)?;
    let run = |db: &mut Connection| -> rusqlite::Result<()> {
        db.execute_batch(SETUP)?;
        db.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;")?;
        fill(db, rows, shape)?;
        // A cache this small spills pages into the file long before the commit.
        db.execute_batch("PRAGMA cache_size = 4; PRAGMA cache_spill = 1; BEGIN IMMEDIATE;")?;
        db.execute_batch(
            "UPDATE Files SET domain = 'UndoneDomain', relativePath = 'undone/' || fileID,
                 file = zeroblob(length(file));
             DELETE FROM Files WHERE rowid % 2 = 0;",
        )
    };
    run(&mut db).map_err(sqlite)?;
    let image = fs::read(&path)?;
    let mut journal = fs::read(folder.path().join("Manifest.db-journal"))?;
    drop(db);
    renonce_journal(&mut journal, u32::from_be_bytes(seed.bytes("journal nonce")))?;
    Ok(vec![("Manifest.db", image), ("Manifest.db-journal", journal)])
}

fn be32(bytes: &[u8], at: usize) -> io::Result<u32> {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map(u32::from_be_bytes).ok_or_else(|| io::Error::other("a file of SQLite's is too short"))
}

fn put_be32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// The checksum of a WAL, over words in the given byte order.
fn wal_sum(bytes: &[u8], big_endian: bool, [mut a, mut b]: [u32; 2]) -> [u32; 2] {
    for pair in bytes.chunks_exact(8) {
        let word = |at: usize| {
            let word = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
            if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
        };
        a = a.wrapping_add(word(0)).wrapping_add(b);
        b = b.wrapping_add(word(4)).wrapping_add(a);
    }
    [a, b]
}

/// Gives a WAL new salts; returns the checksum of its last frame.
fn resalt_log(log: &mut [u8], salt: [u8; 8]) -> io::Result<[u32; 2]> {
    const MAGIC: u32 = 0x377f_0682;
    let magic = be32(log, 0)?;
    let page = be32(log, 8)? as usize;
    if magic & !1 != MAGIC || log.len() < 32 {
        return Err(io::Error::other("SQLite wrote no WAL"));
    }
    let big_endian = magic & 1 == 1;
    log[16..24].copy_from_slice(&salt);
    let mut sum = wal_sum(&log[..24], big_endian, [0, 0]);
    put_be32(log, 24, sum[0]);
    put_be32(log, 28, sum[1]);
    for frame in log[32..].chunks_exact_mut(24 + page) {
        frame[8..16].copy_from_slice(&salt);
        sum = wal_sum(&frame[..8], big_endian, sum);
        sum = wal_sum(&frame[24..], big_endian, sum);
        put_be32(frame, 16, sum[0]);
        put_be32(frame, 20, sum[1]);
    }
    Ok(sum)
}

/// Gives the index of a WAL the salts and the checksum of its log, in both copies of its header.
fn resalt_index(index: &mut [u8], salt: [u8; 8], last: [u32; 2]) {
    for header in index.chunks_exact_mut(48).take(2) {
        header[24..28].copy_from_slice(&last[0].to_ne_bytes());
        header[28..32].copy_from_slice(&last[1].to_ne_bytes());
        header[32..40].copy_from_slice(&salt);
        let sum = wal_sum(&header[..40], cfg!(target_endian = "big"), [0, 0]);
        header[40..44].copy_from_slice(&sum[0].to_ne_bytes());
        header[44..48].copy_from_slice(&sum[1].to_ne_bytes());
    }
}

/// Gives every segment of a rollback journal a new nonce, and cuts off what was not synced.
fn renonce_journal(journal: &mut Vec<u8>, nonce: u32) -> io::Result<()> {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    if !journal.starts_with(&MAGIC) {
        return Err(io::Error::other("SQLite wrote no journal"));
    }
    let (sector, page) = (be32(journal, 20)? as usize, be32(journal, 24)? as usize);
    let mut at = 0;
    while journal.get(at..at + 8) == Some(&MAGIC[..]) {
        let records = be32(journal, at + 8)?;
        put_be32(journal, at + 12, nonce);
        let mut record = at + sector;
        for _ in 0..records {
            let sum = page_sum(&journal[record + 4..record + 4 + page], nonce);
            put_be32(journal, record + 4 + page, sum);
            record += page + 8;
        }
        at = record.div_ceil(sector) * sector;
    }
    // A segment without the magic was not synced: none of its pages is in the database yet, and
    // a crash would have lost it.
    journal.truncate(at);
    Ok(())
}

/// The checksum of a page in a rollback journal: every 200th byte from the end, and the nonce.
fn page_sum(page: &[u8], nonce: u32) -> u32 {
    let mut at = page.len() - 200;
    let mut sum = nonce;
    while at > 0 {
        sum = sum.wrapping_add(page[at].into());
        at = at.saturating_sub(200);
    }
    sum
}

#[cfg(test)]
mod tests;
