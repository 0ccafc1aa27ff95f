//! The companions of a SQLite database.

/// Endings of the files that SQLite keeps beside a database: write-ahead log, its index, and
/// rollback journal. Source: SQLite, "Temporary Files Used By SQLite".
const COMPANIONS: [&[u8]; 3] = [b"-wal", b"-shm", b"-journal"];

/// Returns the path of the database, when a path is named like one of its companions.
///
/// The name alone says this; whether there is such a database only the catalog knows.
pub(crate) fn database_of(path: &[u8]) -> Option<&[u8]> {
    COMPANIONS
        .iter()
        .find_map(|ending| path.strip_suffix(*ending))
        .filter(|database| !matches!(database.last(), None | Some(b'/')))
}

#[cfg(test)]
mod tests {
    use super::database_of;

    #[test]
    fn companions_are_known_by_their_endings() {
        for (path, database) in [
            ("a/sms.db-wal", Some("a/sms.db")),
            ("sms.db-shm", Some("sms.db")),
            ("x-journal", Some("x")),
            ("x-wal-wal", Some("x-wal")),
            ("a/-wal", None),
            ("-wal", None),
            ("a/x-WAL", None),
            ("a/x.wal", None),
            ("a-wal/x", None),
        ] {
            assert_eq!(database_of(path.as_bytes()), database.map(str::as_bytes), "{path}");
        }
    }
}
