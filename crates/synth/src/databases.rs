//! Files whose names every device knows: databases as they are found on one, and the keychain
//! that a writer brings.

use std::sync::Arc;

use rusqlite::Connection;

use crate::Seed;

/// A file with a name and content of its own.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) domain: &'static str,
    pub(crate) path: &'static str,
    pub(crate) content: Arc<[u8]>,
    /// What the catalog says of its size, where that is not the truth. Devices measure a live
    /// database before its log is folded into the copy (FORMAT.md 2.6).
    pub(crate) recorded: Option<u64>,
    pub(crate) class: Option<u8>,
    pub(crate) mode: Option<u32>,
}

/// How a database's recorded size is wrong, if it is.
#[derive(Clone, Copy)]
enum Recorded {
    Right,
    /// What was in the log is not counted.
    OnePage,
    /// The copy is compacted.
    TooMuch,
}

/// Domain, path, table, rows, recorded size.
type Line = (&'static str, &'static str, &'static str, usize, Recorded);

const DATABASES: [Line; 9] = [
    ("HomeDomain", "Library/SMS/sms.db", "message", 1_500, Recorded::OnePage),
    ("HomeDomain", "Library/AddressBook/AddressBook.sqlitedb", "ABPerson", 200, Recorded::Right),
    (
        "HomeDomain",
        "Library/CallHistoryDB/CallHistory.storedata",
        "ZCALLRECORD",
        300,
        Recorded::OnePage,
    ),
    ("CameraRollDomain", "Media/PhotoData/Photos.sqlite", "ZASSET", 900, Recorded::Right),
    ("HomeDomain", "Library/Calendar/Calendar.sqlitedb", "CalendarItem", 100, Recorded::Right),
    ("HealthDomain", "Health/healthdb_secure.sqlite", "samples", 800, Recorded::TooMuch),
    ("HomeDomain", "Library/Notes/notes.sqlite", "ZNOTE", 60, Recorded::Right),
    (
        "AppDomainGroup-group.com.example.chat",
        "ChatStorage.sqlite",
        "ZWAMESSAGE",
        700,
        Recorded::OnePage,
    ),
    ("WirelessDomain", "Library/Databases/CellularUsage.db", "subscriber", 3, Recorded::Right),
];

/// Makes as many of these files as go into a tenth of the files and a quarter of the bytes. The
/// keychain, if there is one, comes first.
pub(crate) fn make(
    seed: Seed,
    files: usize,
    total: Option<u64>,
    keychain: Option<Vec<u8>>,
) -> rusqlite::Result<Vec<Fixed>> {
    let (most, mut room) = (files / 10, total.map_or(u64::MAX, |total| total / 4));
    let mut made = Vec::new();
    let keychain = keychain.map(|content| Ok(keychain_file(content)));
    for fixed in keychain.into_iter().chain(DATABASES.iter().map(|line| database(seed, line))) {
        if made.len() >= most {
            break;
        }
        let fixed = fixed?;
        let Some(left) = room.checked_sub(fixed.content.len() as u64) else { break };
        room = left;
        made.push(fixed);
    }
    Ok(made)
}

fn keychain_file(content: Vec<u8>) -> Fixed {
    Fixed {
        domain: "KeychainDomain",
        path: "keychain-backup.plist",
        content: content.into(),
        recorded: None,
        class: Some(1),
        mode: Some(0o100_400),
    }
}

fn database(seed: Seed, line: &Line) -> rusqlite::Result<Fixed> {
    let (domain, path, table, rows, recorded) = *line;
    let content = image(seed, table, rows)?;
    let recorded = match recorded {
        Recorded::Right => None,
        Recorded::OnePage => Some(4096),
        Recorded::TooMuch => Some(content.len() as u64 + 5 * 4096),
    };
    Ok(Fixed { domain, path, content: content.into(), recorded, class: None, mode: None })
}

/// Builds a database with one table and an index, flagged for a log as on a device.
fn image(seed: Seed, table: &str, rows: usize) -> rusqlite::Result<Vec<u8>> {
    let mut db = Connection::open_in_memory()?;
    db.execute_batch(&format!(
        "PRAGMA page_size = 4096;
         CREATE TABLE {table} (Z_PK INTEGER PRIMARY KEY, guid TEXT, date INTEGER, body TEXT);
         CREATE INDEX {table}_date ON {table}(date);
         BEGIN"
    ))?;
    let mut insert = db.prepare(&format!("INSERT INTO {table} VALUES (?1, ?2, ?3, ?4)"))?;
    for n in 0..rows {
        let label = format!("bulk row {table} {n}");
        let guid = uuid_text(&seed.uuid(&label));
        let [words, step] = seed.bytes(label);
        let key = i64::try_from(n).unwrap_or(0) + 1;
        let date = 700_000_000 + key * 1_000 + i64::from(step);
        let body = "lorem ipsum ".repeat(usize::from(words % 8));
        insert.execute((key, guid, date, body))?;
    }
    drop(insert);
    db.execute_batch("COMMIT")?;
    let mut image = db.serialize(rusqlite::MAIN_DB)?.to_vec();
    finish_header(&mut image);
    Ok(image)
}

/// Flags a database for a log, as those of a device are, and takes this machine's SQLite out of
/// it, so that a new one changes no byte. Source: SQLite file format, section 1.3.
fn finish_header(image: &mut [u8]) {
    /// 3.43.2, the version of iOS 17.
    const SQLITE_VERSION_NUMBER: u32 = 3_043_002;
    if let Some(header) = image.get_mut(..100) {
        header[18..20].copy_from_slice(&[2, 2]);
        header[96..100].copy_from_slice(&SQLITE_VERSION_NUMBER.to_be_bytes());
    }
}

/// Spells a UUID in upper case with dashes.
fn uuid_text(uuid: &[u8; 16]) -> String {
    let digits: String = uuid.iter().map(|byte| format!("{byte:02X}")).collect();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::{DATABASES, make};
    use crate::Seed;

    #[test]
    fn only_what_has_room() {
        assert_eq!(make(Seed(1), 9, None, None).unwrap().len(), 0);
        assert_eq!(make(Seed(1), 20, Some(1 << 30), None).unwrap().len(), 2);
        assert_eq!(make(Seed(1), 1_000, None, Some(vec![0])).unwrap().len(), DATABASES.len() + 1);
        let some = make(Seed(1), 1_000, Some(1_600_000), None).unwrap();
        let bytes: usize = some.iter().map(|fixed| fixed.content.len()).sum();
        assert!((2..6).contains(&some.len()) && bytes <= 400_000, "{} {bytes}", some.len());
    }

    #[test]
    fn databases_are_sound_and_some_sizes_are_wrong() {
        let all = make(Seed(1), 1_000, None, None).unwrap();
        let wrong = all
            .iter()
            .filter(|fixed| fixed.recorded.is_some_and(|size| size != fixed.content.len() as u64));
        assert_eq!(wrong.count(), 4);
        for (fixed, (_, path, table, rows, _)) in all.iter().zip(DATABASES) {
            assert_eq!(fixed.path, path);
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("db");
            std::fs::write(&file, &fixed.content).unwrap();
            let db = rusqlite::Connection::open(&file).unwrap();
            let count = |what: &str| db.query_row(what, [], |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(count(&format!("SELECT count(*) FROM {table}")), rows as i64);
            let check: String =
                db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(check, "ok", "{path}");
        }
    }
}
