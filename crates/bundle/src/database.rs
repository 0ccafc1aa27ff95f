//! SQLite databases of unknown origin: opened so that they can do nothing, and checked.
//!
//! A backup's databases may be made to attack who opens them. So a database is only ever opened
//! from a private copy in memory, read-only, with everything off by which a schema runs code, and
//! what a check may cost is bounded by its length.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, MAIN_DB};

use crate::sqlite_image::{SqliteHeader, SqliteImageError, leave_wal_mode};

/// What SQLite's quick check found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DatabaseReport {
    /// What is wrong, in SQLite's words; ten at most.
    pub problems: Vec<String>,
    /// Why the database could not be checked, or not all of it: it needs functions of the app
    /// that owns it, or asks for too much work.
    pub unchecked: Option<String>,
}

/// Why a database was not looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// Its bytes could not be read.
    #[error("cannot read the database")]
    Read(#[source] io::Error),
    /// The header is no header.
    #[error("cannot use the header of the database")]
    Header(#[source] SqliteImageError),
    /// It does not fit into memory, or SQLite does not take it.
    #[error("cannot load the database into memory")]
    Load(#[source] rusqlite::Error),
}

/// Problems that are told of one database.
const MOST_PROBLEMS: usize = 10;
/// Instructions of SQLite's machine between two looks at what is left.
const STEP: i32 = 100_000;
/// Instructions that a check may take for each byte: a page of small rows takes one or two.
const WORK_PER_BYTE: u64 = 32;
/// Instructions that any check may take.
const WORK_AT_LEAST: u64 = 10_000_000;

/// Nothing that the database says may run code or write, whatever it says.
pub(crate) fn harden(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, 16 << 20)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cell_size_check", true)
}

/// The instructions that are left to a connection.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicI64>);

impl Budget {
    /// Puts a connection under a budget, which is without end until a check sets one.
    pub(crate) fn install(db: &mut Connection) -> rusqlite::Result<Self> {
        let budget = Self(Arc::new(AtomicI64::new(i64::MAX)));
        let left = Arc::clone(&budget.0);
        let spent = move || left.fetch_sub(STEP.into(), Ordering::Relaxed) <= 0;
        db.progress_handler(STEP, Some(spent))?;
        Ok(budget)
    }

    fn set(&self, bytes: u64) {
        let work = bytes.saturating_mul(WORK_PER_BYTE).saturating_add(WORK_AT_LEAST);
        self.0.store(i64::try_from(work).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    fn lift(&self) {
        self.0.store(i64::MAX, Ordering::Relaxed);
    }
}

/// Has SQLite look through every page of a hardened database.
///
/// Where some table needs functions of the app that owns it, the check as a whole fails, and
/// tables are checked one by one.
pub(crate) fn quick_check(db: &Connection, budget: &Budget, bytes: u64) -> DatabaseReport {
    budget.set(bytes);
    let mut report = DatabaseReport::default();
    // A constraint of the schema is an expression of whoever wrote it.
    let checked = db
        .pragma_update(None, "ignore_check_constraints", true)
        .and_then(|()| run(db, &format!("PRAGMA quick_check({MOST_PROBLEMS})"), &mut report));
    if let Err(error) = checked
        && !report.take(&error)
    {
        let rest = one_by_one(db, &mut report);
        let rest = rest.map_or_else(|e| e.to_string(), |n| format!("{n} tables checked singly"));
        report.unchecked = Some(format!("{error}; {rest}"));
    }
    budget.lift();
    report.problems.truncate(MOST_PROBLEMS);
    report
}

/// Checks ordinary tables one by one and returns how many could be.
fn one_by_one(db: &Connection, report: &mut DatabaseReport) -> rusqlite::Result<usize> {
    let mut tables = db.prepare(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 LIMIT 4096",
    )?;
    let names = tables.query_map([], |row| row.get::<_, String>(0))?;
    let mut checked = 0;
    for name in names {
        let name = name?.replace('"', "\"\"");
        match run(db, &format!("PRAGMA quick_check(\"{name}\")"), report) {
            Ok(()) => checked += 1,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                return Err(error);
            }
            Err(error) => {
                report.take(&error);
            }
        }
        if report.problems.len() >= MOST_PROBLEMS {
            break;
        }
    }
    Ok(checked)
}

/// Runs a check whose rows are problems, or the one word "ok".
fn run(db: &Connection, check: &str, report: &mut DatabaseReport) -> rusqlite::Result<()> {
    let mut statement = db.prepare(check)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            report.problems.push(text);
        }
    }
    Ok(())
}

impl DatabaseReport {
    /// Takes an error that says it all; false for one that says nothing of the rest.
    fn take(&mut self, error: &rusqlite::Error) -> bool {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                self.problems.push(error.to_string());
            }
            Some(ErrorCode::OperationInterrupted) => {
                self.unchecked = Some("checking it takes more work than its length allows".into());
            }
            _ => return false,
        }
        true
    }
}

/// Reads a database into memory and has SQLite look through every page of it. Nothing is written
/// anywhere.
///
/// `len` is how long the database is at most, padding included: the stored length of its payload.
/// Up to 16 bytes fewer may come, and then the whole pages before count. What comes after them is
/// not read.
///
/// # Errors
///
/// Fails when the bytes cannot be read, are no database or do not fit into memory. A database
/// that is damaged is no error.
pub fn check_database(bytes: &mut dyn Read, len: u64) -> Result<DatabaseReport, DatabaseError> {
    let mut bytes = Watched { inner: bytes, failed: None };
    let mut start = [0; 100];
    bytes.read_exact(&mut start).map_err(DatabaseError::Read)?;
    let header = SqliteHeader::parse(&start).map_err(DatabaseError::Header)?;
    // A device flags its databases for a write-ahead log, which memory cannot have.
    leave_wal_mode(&mut start).map_err(DatabaseError::Header)?;
    let page = u64::try_from(header.page_size).unwrap_or(u64::MAX);
    let len = len.saturating_sub(len.checked_rem(page).unwrap_or(0)).max(page);
    let nomem = || {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOMEM);
        DatabaseError::Load(rusqlite::Error::SqliteFailure(code, None))
    };
    let size = usize::try_from(len).map_err(|_| nomem())?;
    let mut db = Connection::open_in_memory().map_err(DatabaseError::Load)?;
    let budget = Budget::install(&mut db).map_err(DatabaseError::Load)?;
    // A page that is cut off is filled up, and SQLite says what it makes of that.
    let whole = start.chain(&mut bytes).chain(io::repeat(0));
    let loaded = db.deserialize_read_exact(MAIN_DB, whole, size, true);
    if let Some(error) = bytes.failed {
        return Err(DatabaseError::Read(error));
    }
    loaded.map_err(DatabaseError::Load)?;
    harden(&db).map_err(DatabaseError::Load)?;
    Ok(quick_check(&db, &budget, len))
}

/// Keeps the error of a reader, of which SQLite would make a text.
struct Watched<'r> {
    inner: &'r mut dyn Read,
    failed: Option<io::Error>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            kind.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rusqlite::{Connection, MAIN_DB};

    use super::{DatabaseError, check_database};

    fn image(statements: &str) -> Vec<u8> {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(statements).unwrap();
        db.serialize(MAIN_DB).unwrap().to_vec()
    }

    fn rows() -> Vec<u8> {
        image(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
             CREATE INDEX i ON t(text);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO t SELECT i, 'row ' || i FROM n;",
        )
    }

    fn check(image: &[u8]) -> super::DatabaseReport {
        check_database(&mut &*image, image.len() as u64).unwrap()
    }

    /// Gives one byte at a time.
    struct Drip<'b>(&'b [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let n = buf.len().min(1);
            self.0.read(&mut buf[..n])
        }
    }

    #[test]
    fn a_sound_database_is_sound_in_any_mode_and_any_steps() {
        let mut image = rows();
        assert_eq!(check(&image), super::DatabaseReport::default());
        image[18..20].copy_from_slice(&[2, 2]);
        assert_eq!(check(&image), super::DatabaseReport::default());
        // A block of padding is known to the stored length only.
        let padded = image.len() as u64 + 16;
        let report = check_database(&mut Drip(&image), padded).unwrap();
        assert_eq!(report, super::DatabaseReport::default());
    }

    #[test]
    fn a_page_of_zeroes_is_a_problem() {
        let mut image = rows();
        let page = 4096;
        image[3 * page..4 * page].fill(0);
        let report = check(&image);
        assert!(!report.problems.is_empty() && report.problems.len() <= 10, "{report:?}");
        assert_eq!(report.unchecked, None);
    }

    #[test]
    fn every_cut_and_every_flip_of_the_first_pages_ends() {
        let image = rows();
        for cut in (0..image.len()).step_by(997) {
            match check_database(&mut &image[..cut], cut as u64) {
                Ok(report) => assert!(!report.problems.is_empty(), "{cut}"),
                Err(DatabaseError::Read(_)) => assert!(cut < 100),
                Err(error) => panic!("{cut}: {error}"),
            }
        }
        for at in (0..2 * 4096).step_by(7) {
            let mut image = image.clone();
            image[at] ^= 0x41;
            let _ = check_database(&mut &*image, image.len() as u64);
        }
    }

    #[test]
    fn a_schema_runs_nothing() {
        // Were the constraint evaluated, this would take minutes.
        let image = image(
            "CREATE TABLE t(a, CHECK (length(hex(zeroblob(8000000))) > 0));
             PRAGMA ignore_check_constraints = 1;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
             INSERT INTO t SELECT i FROM n;",
        );
        let begun = std::time::Instant::now();
        assert_eq!(check(&image), super::DatabaseReport::default());
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
    }

    #[test]
    fn tables_of_an_app_do_not_hide_damage_in_the_others() {
        let mut image = image(
            "CREATE VIRTUAL TABLE words USING fts4(text, tokenize=simple);
             CREATE TABLE \"odd \"\" name\"(text TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO \"odd \"\" name\" SELECT 'row ' || i FROM n;",
        );
        let at = image.windows(6).position(|w| w == b"simple").unwrap();
        image[at..at + 6].copy_from_slice(b"ab_own");
        let report = check(&image);
        assert_eq!(report.problems, [""; 0]);
        let why = report.unchecked.unwrap();
        assert!(why.contains("ab_own") && why.contains("tables checked singly"), "{why}");
        let row = image.windows(8).position(|w| w == b"row 1500").unwrap();
        image[row / 4096 * 4096..][..8].fill(0);
        let report = check(&image);
        assert!(!report.problems.is_empty() && report.unchecked.is_some(), "{report:?}");
    }

    #[test]
    fn an_error_of_the_reader_is_told_as_such() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::TimedOut.into())
            }
        }
        let image = rows();
        let mut bytes = (&image[..5000]).chain(Broken);
        let error = check_database(&mut bytes, image.len() as u64).unwrap_err();
        assert!(
            matches!(&error, DatabaseError::Read(e) if e.kind() == std::io::ErrorKind::TimedOut),
            "{error:?}"
        );
    }
}
