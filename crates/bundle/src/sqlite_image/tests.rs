//! SQLite itself is the reference: it opens a copy of the same files, and its database file must
//! then be our image, byte for byte.

#![allow(clippy::arithmetic_side_effects)]

use std::fs;
use std::path::Path;

use rusqlite::{Connection, MAIN_DB};
use tempfile::TempDir;

use super::{
    JournalOutcome, SLACK, SqliteHeader, SqliteImageError, leave_wal_mode, replay_wal, roll_back,
};
use crate::testing::Noise;

/// The files of a database as they lay on the disk at one moment.
#[derive(Clone)]
struct Files {
    db: Vec<u8>,
    /// Ends in `-wal` or `-journal`.
    log: Vec<u8>,
    suffix: &'static str,
}

fn connect(dir: &TempDir, page_size: u32, mode: &str) -> Connection {
    let db = Connection::open(dir.path().join("a.db")).unwrap();
    db.pragma_update(None, "page_size", page_size).unwrap();
    db.pragma_update(None, "auto_vacuum", 2).unwrap();
    db.query_row(&format!("PRAGMA journal_mode={mode}"), [], |_| Ok(())).unwrap();
    db.query_row("PRAGMA wal_autocheckpoint=0", [], |_| Ok(())).unwrap();
    db.execute_batch(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB); CREATE INDEX i ON t (v);
         PRAGMA cache_size=5; PRAGMA cache_spill=1;",
    )
    .unwrap();
    db
}

fn insert(db: &Connection, rows: std::ops::Range<i64>) {
    let mut insert = db.prepare("INSERT INTO t VALUES (?1, randomblob(300))").unwrap();
    for id in rows {
        insert.execute([id]).unwrap();
    }
}

fn copy(dir: &TempDir, suffix: &'static str) -> Files {
    let read = |name: String| fs::read(dir.path().join(name)).unwrap_or_default();
    Files { db: read("a.db".into()), log: read(format!("a.db{suffix}")), suffix }
}

type Rows = Result<(String, Vec<(i64, Vec<u8>)>), String>;

fn rows(db: &Connection) -> Rows {
    let read = || {
        let check = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let mut query = db.prepare("SELECT id, v FROM t ORDER BY id")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((check, rows.collect::<Result<_, _>>()?))
    };
    read().map_err(|error: rusqlite::Error| error.to_string())
}

/// What SQLite reads of the files, and what its database file is afterwards.
fn sqlite(files: &Files) -> (Rows, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.db");
    fs::write(&path, &files.db).unwrap();
    fs::write(dir.path().join(format!("b.db{}", files.suffix)), &files.log).unwrap();
    let db = Connection::open(&path).unwrap();
    let rows = rows(&db);
    let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    drop(db);
    (rows, fs::read(&path).unwrap())
}

/// What SQLite reads of an image in memory.
fn in_memory(image: &[u8]) -> Rows {
    let mut image = image.to_vec();
    leave_wal_mode(&mut image).unwrap();
    let mut db = Connection::open_in_memory().unwrap();
    db.deserialize_read_exact(MAIN_DB, &image[..], image.len(), true).unwrap();
    rows(&db)
}

fn replayed(files: &Files) -> (super::WalSummary, Vec<u8>) {
    let mut image = files.db.clone();
    let summary = replay_wal(&mut image, &files.log).unwrap();
    (summary, image)
}

fn rolled_back(files: &Files) -> (super::JournalSummary, Vec<u8>) {
    let mut image = files.db.clone();
    let summary =
        roll_back(&mut image, &files.log, |name| Path::new(&text(name)).exists()).unwrap();
    (summary, image)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Asserts that SQLite and we see the same, and returns how many rows.
fn agree(files: &Files, image: &[u8]) -> usize {
    let (theirs, file) = sqlite(files);
    let ours = in_memory(image);
    assert_eq!(ours.as_ref().map(|(check, _)| &**check), Ok("ok"));
    assert!(ours == theirs, "other rows than SQLite's");
    assert!(image == file, "another file than SQLite's");
    ours.unwrap().1.len()
}

fn logged(page_size: u32) -> (TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let db = connect(&dir, page_size, "WAL");
    for n in 0..3 {
        db.execute_batch("BEGIN").unwrap();
        insert(&db, n * 100..n * 100 + 100);
        db.execute_batch("COMMIT").unwrap();
    }
    (dir, db)
}

#[test]
fn a_log_of_committed_transactions() {
    for page_size in [512, 1024, 4096, 65_536] {
        let (dir, _db) = logged(page_size);
        let files = copy(&dir, "-wal");
        let (summary, image) = replayed(&files);
        assert_eq!(agree(&files, &image), 300, "{page_size}");
        assert!(summary.transactions >= 4, "{summary:?}");
        assert_eq!((summary.rest, summary.ignored), (0, None));
        assert_eq!(summary.frames, summary.committed_frames);
        assert_eq!(summary.page_count, Some(SqliteHeader::parse(&image).unwrap().page_count));
    }
}

#[test]
fn an_unfinished_transaction_is_left_out() {
    for page_size in [1024, 4096] {
        let (dir, db) = logged(page_size);
        let page_size = usize::try_from(page_size).unwrap();
        db.execute_batch("BEGIN; DELETE FROM t WHERE id < 50;").unwrap();
        insert(&db, 1000..3000);
        let files = copy(&dir, "-wal");
        let (summary, image) = replayed(&files);
        // SQLite leaves the checksums of frames that it wrote twice for the commit to mend, so
        // not all of the tail need be sound frames.
        let tail = summary.frames - summary.committed_frames + summary.rest / (24 + page_size);
        assert!(tail > 10, "{summary:?}");
        assert_eq!(agree(&files, &image), 300);
        db.execute_batch("ROLLBACK").unwrap();
        insert(&db, 5000..5001);
        let files = copy(&dir, "-wal");
        let (summary, image) = replayed(&files);
        // A short transaction over the frames of a longer one that was given up.
        assert!(summary.rest > 0, "{summary:?}");
        assert_eq!(agree(&files, &image), 301);
    }
}

#[test]
fn a_log_that_was_begun_again() {
    let (dir, db) = logged(4096);
    let before = copy(&dir, "-wal");
    db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    insert(&db, 7000..7003);
    let files = copy(&dir, "-wal");
    assert_eq!(files.log.len(), before.log.len(), "the log was not begun again in place");
    assert_ne!(files.log[16..24], before.log[16..24], "the salts did not change");
    let (summary, image) = replayed(&files);
    assert!(summary.transactions == 3 && summary.rest > 0, "{summary:?}");
    assert_eq!(agree(&files, &image), 303);
}

#[test]
fn a_database_that_shrinks_in_the_log() {
    let (dir, db) = logged(1024);
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    db.execute_batch("DELETE FROM t WHERE id > 10").unwrap();
    let mut vacuum = db.prepare("PRAGMA incremental_vacuum").unwrap();
    let mut steps = vacuum.query([]).unwrap();
    while steps.next().unwrap().is_some() {}
    drop(steps);
    let files = copy(&dir, "-wal");
    let (_, image) = replayed(&files);
    assert!(image.len() < files.db.len() / 2);
    assert_eq!(agree(&files, &image), 11);
}

/// A log with its checksums over words of the other order, made by a second, plain way.
fn other_order(log: &[u8], page_size: usize) -> Vec<u8> {
    let mut out = log.to_vec();
    out[3] ^= 1;
    let big = out[3] & 1 == 1;
    let mut sums = [0_u32; 2];
    let add = |sums: &mut [u32; 2], bytes: &[u8]| {
        for (i, word) in bytes.chunks(4).enumerate() {
            let word = word.try_into().unwrap();
            let word = if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
            sums[i % 2] = sums[i % 2].wrapping_add(word).wrapping_add(sums[(i + 1) % 2]);
        }
    };
    let store = |out: &mut [u8], sums: [u32; 2]| {
        out[..4].copy_from_slice(&sums[0].to_be_bytes());
        out[4..8].copy_from_slice(&sums[1].to_be_bytes());
    };
    add(&mut sums, &out[..24]);
    store(&mut out[24..32], sums);
    for frame in out[32..].chunks_exact_mut(24 + page_size) {
        add(&mut sums, &frame[..8]);
        add(&mut sums, &frame[24..]);
        store(&mut frame[16..24], sums);
    }
    out
}

#[test]
fn both_orders_of_checksums() {
    let (dir, _db) = logged(4096);
    let files = copy(&dir, "-wal");
    let (summary, image) = replayed(&files);
    let other = Files { log: other_order(&files.log, 4096), ..files };
    assert_ne!(other.log, files.log);
    assert_eq!(replayed(&other), (summary, image.clone()));
    assert_eq!(agree(&other, &image), 300);
}

#[test]
fn logs_that_are_passed_over() {
    let (dir, _db) = logged(4096);
    let files = copy(&dir, "-wal");
    let with = |log: Vec<u8>| Files { log, ..files.clone() };
    let mut zeroed = files.log.clone();
    zeroed[..32].fill(0);
    let mut salted = files.log.clone();
    salted[16] ^= 1;
    for log in [vec![], files.log[..31].to_vec(), zeroed, salted] {
        let files = with(log);
        let (summary, image) = replayed(&files);
        assert!(summary.ignored.is_some() && summary.frames == 0);
        assert_eq!(image, files.db);
        assert!(image == sqlite(&files).1);
    }
    let mut version = files.log.clone();
    version[7] ^= 1;
    // A header of another version has a right checksum only if somebody meant it.
    let version = other_order(&version, 4096);
    let mut image = files.db.clone();
    assert!(matches!(
        replay_wal(&mut image, &version),
        Err(SqliteImageError::Malformed { offset: 4, .. })
    ));
    let (other, _other_db) = logged(1024);
    assert!(matches!(
        replay_wal(&mut image, &copy(&other, "-wal").log),
        Err(SqliteImageError::Malformed { offset: 8, .. })
    ));
    assert_eq!(image, files.db);
    assert!(replay_wal(&mut b"no database".to_vec(), &files.log).is_err());
    assert!(replay_wal(&mut Vec::new(), &files.log).unwrap().ignored.is_some());
}

#[test]
fn a_log_that_asks_for_the_moon() {
    let (dir, _db) = logged(4096);
    let mut files = copy(&dir, "-wal");
    let frame = 24 + 4096;
    let last = files.log.len() - frame;
    let available = files.db.len() + files.log.len() - 32;
    let most = u32::try_from((available + SLACK) / 4096).unwrap();
    for (pages, fits) in [(most, true), (most + 1, false), (u32::MAX, false)] {
        files.log[last + 4..last + 8].copy_from_slice(&pages.to_be_bytes());
        // Twice the other order is the order it had, with right checksums.
        files.log = other_order(&other_order(&files.log, 4096), 4096);
        let mut image = files.db.clone();
        let result = replay_wal(&mut image, &files.log);
        assert_eq!(result.is_ok(), fits, "{pages}");
        if !fits {
            assert!(matches!(result, Err(SqliteImageError::LimitExceeded { .. })));
            assert_eq!(image, files.db);
        }
    }
}

#[test]
fn damaged_logs_read_as_sqlite_reads_them() {
    let (dir, db) = logged(1024);
    db.execute_batch("BEGIN").unwrap();
    insert(&db, 1000..1200);
    let files = copy(&dir, "-wal");
    let mut noise = Noise(0xa1);
    for round in 0..60 {
        let mut files = files.clone();
        let at = noise.below(files.log.len());
        match round % 3 {
            0 => files.log.truncate(at),
            1 => files.log[at] ^= 1 << noise.below(8),
            _ => files.log[at..].fill(0),
        }
        let mut image = files.db.clone();
        match replay_wal(&mut image, &files.log) {
            Ok(summary) => {
                assert!(summary.committed_frames <= summary.frames);
                let (theirs, file) = sqlite(&files);
                assert!(image == file, "round {round}: {summary:?}");
                assert!(in_memory(&image) == theirs, "round {round}");
            }
            Err(error) => assert!(matches!(error, SqliteImageError::Malformed { .. }), "{error}"),
        }
    }
}

/// A database and its journal in the middle of a transaction that has reached the file.
fn interrupted(page_size: u32, sync: &str) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let db = connect(&dir, page_size, "DELETE");
    db.pragma_update(None, "synchronous", sync).unwrap();
    db.execute_batch("BEGIN").unwrap();
    insert(&db, 0..400);
    db.execute_batch("COMMIT").unwrap();
    let whole = copy(&dir, "-journal");
    assert!(whole.log.is_empty());
    db.execute_batch(
        "BEGIN; UPDATE t SET v = randomblob(300) WHERE id % 3 = 0; DELETE FROM t WHERE id > 390;",
    )
    .unwrap();
    insert(&db, 1000..1400);
    db.execute_batch("UPDATE t SET v = randomblob(300) WHERE id % 5 = 0").unwrap();
    let files = copy(&dir, "-journal");
    assert!(files.db != whole.db, "the transaction did not reach the file");
    assert!(!files.log.is_empty());
    files
}

#[test]
fn a_hot_journal_is_rolled_back() {
    for page_size in [512, 1024, 4096, 65_536] {
        for sync in ["FULL", "NORMAL", "OFF"] {
            let files = interrupted(page_size, sync);
            let (summary, image) = rolled_back(&files);
            assert_eq!(summary.outcome, JournalOutcome::RolledBack);
            assert!(summary.records > 0 && summary.super_journal.is_none(), "{summary:?}");
            assert_eq!(agree(&files, &image), 400, "{page_size} {sync}");
            let counted = files.log[8..12] != [0xff; 4];
            assert_eq!(counted, sync != "OFF", "the form of the count");
            if page_size < 4096 && counted {
                assert!(summary.headers > 1, "{summary:?}");
            }
        }
    }
}

#[test]
fn journals_that_are_not_hot() {
    let files = interrupted(1024, "FULL");
    let mut zeroed = files.log.clone();
    zeroed[..28].fill(0);
    let mut sector = files.log.clone();
    sector[20..24].copy_from_slice(&33_u32.to_be_bytes());
    let mut page_size = files.log.clone();
    page_size[24..28].copy_from_slice(&1000_u32.to_be_bytes());
    let mut magic = files.log.clone();
    magic[3] ^= 1;
    for log in [vec![], zeroed, sector, page_size, magic, files.log[..511].to_vec()] {
        let files = Files { log, ..files.clone() };
        let (summary, image) = rolled_back(&files);
        assert!(matches!(summary.outcome, JournalOutcome::NotHot { .. }), "{summary:?}");
        assert_eq!(image, files.db);
        assert!(image == sqlite(&files).1, "{summary:?}");
    }
    let summary = roll_back(&mut Vec::new(), &files.log, |_| true).unwrap();
    assert!(matches!(summary.outcome, JournalOutcome::NotHot { .. }));
}

#[test]
fn a_super_journal_decides() {
    let files = interrupted(1024, "FULL");
    let dir = tempfile::tempdir().unwrap();
    // A byte above 127 shows that the sum is over signed characters.
    let name = dir.path().join("süper-mj0123459ab").to_str().unwrap().to_owned();
    let with_name = |name: &str| {
        let mut log = files.log.clone();
        let lock_page: u32 = 0x4000_0000 / 1024 + 1;
        log.extend(lock_page.to_be_bytes());
        log.extend(name.as_bytes());
        log.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
        let sum: i32 = name.bytes().map(|byte| i32::from(byte.cast_signed())).sum();
        log.extend(sum.to_be_bytes());
        log.extend(&log.clone()[..8]);
        Files { log, ..files.clone() }
    };
    let files = with_name(&name);
    let (summary, image) = rolled_back(&files);
    assert_eq!(summary.outcome, JournalOutcome::Committed);
    assert_eq!(summary.super_journal.as_deref(), Some(name.as_bytes()));
    assert_eq!(image, files.db);
    assert!(image == sqlite(&files).1, "SQLite rolled back");

    let other = with_name(&name.replace("-mj", "-jm"));
    let (summary, image) = rolled_back(&other);
    assert_eq!((&summary.outcome, &summary.super_journal), (&JournalOutcome::RolledBack, &None));
    assert_eq!(agree(&other, &image), 400);

    fs::write(&name, b"other.db-journal\0").unwrap();
    let (summary, image) = rolled_back(&files);
    assert_eq!(summary.outcome, JournalOutcome::RolledBack);
    assert_eq!(agree(&files, &image), 400);
}

#[test]
fn a_journal_that_asks_for_the_moon() {
    let mut files = interrupted(1024, "FULL");
    let most = u32::try_from((files.db.len() + files.log.len() + SLACK) / 1024).unwrap();
    for (pages, fits) in [(most, true), (most + 1, false), (u32::MAX, false)] {
        files.log[16..20].copy_from_slice(&pages.to_be_bytes());
        let mut image = files.db.clone();
        let result = roll_back(&mut image, &files.log, |_| true);
        assert_eq!(result.is_ok(), fits, "{pages}");
        assert_eq!(image == files.db, !fits);
    }
}

#[test]
fn damaged_journals_roll_back_as_far_as_sqlite_does() {
    let mut noise = Noise(0x10);
    for sync in ["FULL", "OFF"] {
        let files = interrupted(1024, sync);
        for round in 0..60 {
            let mut files = files.clone();
            let at = noise.below(files.log.len());
            match round % 4 {
                0 => files.log.truncate(at),
                1 => files.log[at] ^= 1 << noise.below(8),
                2 => files.log[at..].fill(0),
                // In the first header, but for the number of pages: SQLite has no limit there.
                _ => files.log[[8, 12, 20, 24][round / 4 % 4] + round % 3] ^= 1,
            }
            let (summary, image) = rolled_back(&files);
            let (_, file) = sqlite(&files);
            assert!(image == file, "round {round}, byte {at}: {summary:?}");
        }
    }
}

#[test]
fn headers() {
    let mut db = Connection::open_in_memory().unwrap();
    db.execute_batch("PRAGMA page_size=65536; PRAGMA user_version=2; CREATE TABLE t (a)").unwrap();
    let mut image = db.serialize(MAIN_DB).unwrap().to_vec();
    let header = SqliteHeader::parse(&image).unwrap();
    assert_eq!((header.page_size, header.user_version, header.page_count), (65_536, 2, 2));
    assert_eq!((header.write_version, header.read_version, header.reserved), (1, 1, 0));
    assert!(!header.is_wal());
    image[18..20].copy_from_slice(&[2, 2]);
    assert!(SqliteHeader::parse(&image).unwrap().is_wal());
    leave_wal_mode(&mut image).unwrap();
    assert_eq!(image[18..20], [1, 1]);
    image[19] = 3;
    leave_wal_mode(&mut image).unwrap();
    assert_eq!(image[18..20], [1, 3], "an unknown version was hidden");
    for (size, fits) in
        [(0, false), (1, true), (256, false), (512, true), (513, false), (32_768, true)]
    {
        let size: u16 = size;
        image[16..18].copy_from_slice(&size.to_be_bytes());
        assert_eq!(SqliteHeader::parse(&image).is_ok(), fits, "{size}");
    }
    assert!(SqliteHeader::parse(&image[..99]).is_err());
    assert!(leave_wal_mode(&mut b"no database".to_vec()).is_err());
}
