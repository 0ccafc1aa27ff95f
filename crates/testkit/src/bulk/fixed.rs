//! Files whose names every device knows: the keychain, and databases as they are found on one.

use std::io;

use rusqlite::Connection;

use crate::manifest_db::{finish_header, sqlite};
use crate::{BundleSpec, KeychainItem, KeychainSpec, Seed};

/// A file with a name and content of its own.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) domain: &'static str,
    pub(super) path: &'static str,
    pub(super) content: Vec<u8>,
    /// What the catalog says of its size, where that is not the truth. Devices measure a live
    /// database before its log is folded into the copy (FORMAT.md 2.6).
    pub(super) recorded: Option<u64>,
    pub(super) class: Option<u8>,
    pub(super) mode: Option<u32>,
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

/// Makes as many of these files as go into a tenth of the files and a quarter of the bytes.
pub(super) fn make(seed: Seed, files: usize, total: Option<u64>) -> io::Result<Vec<Fixed>> {
    let (most, mut room) = (files / 10, total.map_or(u64::MAX, |total| total / 4));
    let mut made = Vec::new();
    for n in 0..=DATABASES.len() {
        if made.len() >= most {
            break;
        }
        let fixed = match n.checked_sub(1) {
            None => keychain(seed),
            Some(n) => database(seed, &DATABASES[n])?,
        };
        let Some(left) = room.checked_sub(fixed.content.len() as u64) else { break };
        room = left;
        made.push(fixed);
    }
    Ok(made)
}

fn keychain(seed: Seed) -> Fixed {
    let items = (0..24u32).map(|n| {
        let secret = crate::hex(&seed.bytes::<12>(format!("bulk secret {n}")));
        KeychainItem::password(6 + n % 6, "example.com", format!("account{n}"), secret)
    });
    let spec = KeychainSpec { items: items.collect(), ..KeychainSpec::default() };
    Fixed {
        domain: "KeychainDomain",
        path: "keychain-backup.plist",
        content: spec.contents(&BundleSpec::new(seed.0)),
        recorded: None,
        class: Some(1),
        mode: Some(0o100_400),
    }
}

fn database(seed: Seed, line: &Line) -> io::Result<Fixed> {
    let (domain, path, table, rows, recorded) = *line;
    let content = image(seed, table, rows).map_err(sqlite)?;
    let recorded = match recorded {
        Recorded::Right => None,
        Recorded::OnePage => Some(4096),
        Recorded::TooMuch => Some(content.len() as u64 + 5 * 4096),
    };
    Ok(Fixed { domain, path, content, recorded, class: None, mode: None })
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
        let guid = crate::device::uuid_text(&seed.uuid(&label));
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

#[cfg(test)]
mod tests {
    use super::{DATABASES, make};
    use crate::Seed;

    #[test]
    fn only_what_has_room() {
        assert_eq!(make(Seed(1), 9, None).unwrap().len(), 0);
        assert_eq!(make(Seed(1), 20, Some(1 << 30)).unwrap().len(), 2);
        assert_eq!(make(Seed(1), 1_000, None).unwrap().len(), DATABASES.len() + 1);
        let some = make(Seed(1), 1_000, Some(800_000)).unwrap();
        let bytes: usize = some.iter().map(|fixed| fixed.content.len()).sum();
        assert!((2..6).contains(&some.len()) && bytes <= 200_000, "{} {bytes}", some.len());
    }

    #[test]
    fn databases_are_sound_and_some_sizes_are_wrong() {
        let all = make(Seed(1), 1_000, None).unwrap();
        let wrong = all
            .iter()
            .filter(|fixed| fixed.recorded.is_some_and(|size| size != fixed.content.len() as u64));
        assert_eq!(wrong.count(), 4);
        for (fixed, (_, path, table, rows, _)) in all[1..].iter().zip(DATABASES) {
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
