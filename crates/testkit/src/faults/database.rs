//! Manifest.db, as a file and as SQL. Source: FORMAT.md 2.1 and 2.2, and "Database File Format" of
//! the SQLite documentation.

use super::Draft;

const OK: &str = "ok";
/// No such database, or nothing in it can be asked.
const CLOSED: &str = "open/catalog-damaged";
/// Something stands where the table should, and is not touched.
const HOSTILE: &str = "open/hostile-catalog";
/// Not one of the rows can be read.
const NO_ROWS: &str = "row/catalog-damaged";

pub(super) fn recipes() -> Vec<Draft> {
    let mut cases = headers();
    cases.extend(pages());
    cases.extend(images());
    cases.extend(tables());
    cases.extend(columns());
    cases.extend(schemas());
    cases.extend(side_files());
    cases.extend(encrypted());
    cases
}

fn plain(lines: &str) -> String {
    format!("base plain\n{lines}\n")
}

/// The first 100 bytes.
fn headers() -> Vec<Draft> {
    let mut cases = Vec::new();
    for len in [0, 1, 15, 16, 99] {
        let title = format!("Manifest.db is cut to {len} bytes");
        let body = plain(&format!("cut Manifest.db {len}"));
        cases.push(Draft::new(format!("cut-{len}"), title, CLOSED, body));
    }
    let xor = |at: usize, mask: &str| plain(&format!("xor Manifest.db {at} {mask}"));
    for (name, title, expect, body) in [
        ("magic-first", "the first letter of the magic", CLOSED, xor(0, "20")),
        ("magic-last", "the NUL of the magic", CLOSED, xor(15, "01")),
        // The page size is 0x1000.
        ("page-size-0", "a page size of 0", CLOSED, xor(16, "1000")),
        ("page-size-2", "a page size of 2", CLOSED, xor(16, "1002")),
        ("page-size-256", "a page size of 256", CLOSED, xor(16, "1100")),
        ("page-size-4097", "a page size of 4,097", CLOSED, xor(16, "0001")),
        ("page-size-65535", "a page size of 65,535", CLOSED, xor(16, "efff")),
        ("page-size-512", "a page size of 512, which is not the true one", CLOSED, xor(16, "1200")),
        ("page-size-2048", "a page size of 2,048, the same", CLOSED, xor(16, "1800")),
        ("page-size-8192", "a page size of 8,192, the same", CLOSED, xor(16, "3000")),
        ("page-size-65536", "a page size of 65,536, the same", CLOSED, xor(16, "1001")),
        ("write-version-3", "a write version that is not known", OK, xor(18, "01")),
        ("read-version-3", "a read version that is not known", CLOSED, xor(19, "01")),
        ("versions-1", "not flagged for a write-ahead log", OK, xor(18, "0303")),
        ("reserved-255", "255 reserved bytes on each page", CLOSED, xor(20, "ff")),
        ("fraction-most", "another greatest fraction of a page", CLOSED, xor(21, "01")),
        ("fraction-least", "another least fraction of a page", CLOSED, xor(22, "01")),
        ("fraction-leaf", "another fraction of a leaf", CLOSED, xor(23, "01")),
        ("count-0", "a page count of 0", OK, xor(31, "09")),
        ("count-huge", "a page count of 2^31", "notice/catalog-truncated", xor(28, "80000000")),
        ("freelist-trunk", "a first free page that there is not", OK, xor(32, "7fffffff")),
        ("freelist-count", "a count of free pages that there are not", OK, xor(36, "7fffffff")),
        ("schema-format-5", "a schema format that is not known", CLOSED, xor(47, "01")),
        ("schema-format-0", "schema format 0", OK, xor(47, "04")),
        ("encoding-0", "encoding 0", OK, xor(59, "01")),
        ("encoding-utf16", "UTF-8 that claims to be UTF-16", CLOSED, xor(59, "03")),
        ("encoding-4", "an encoding that is not known, of which SQLite looks at two bits", OK, {
            xor(59, "05")
        }),
        ("user-version", "another user_version", OK, xor(60, "ffffffff")),
        ("application-id", "another application_id", OK, xor(68, "ffffffff")),
        ("reserved-header", "bytes that must be zero", OK, xor(72, &"ff".repeat(20))),
    ] {
        cases.push(Draft::new(format!("header-{name}"), title, expect, body));
    }
    cases
}

/// Pages of the b-trees. The base has 9 pages of 4,096 bytes; page 2 is the pointer map, page 3 the
/// root of Files, and the others are the roots of all else.
fn pages() -> Vec<Draft> {
    let mut cases = Vec::new();
    for pages in [1, 2, 3, 8] {
        let title = format!("Manifest.db is cut to {pages} pages, and a root is lost");
        let body = plain(&format!("cut Manifest.db {}", pages * 4096));
        cases.push(Draft::new(format!("cut-pages-{pages}"), title, CLOSED, body));
    }
    let many = "sql WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 200) \
                INSERT INTO Files SELECT printf('%040x', n), 'HomeDomain', 'many/' || n, 2, \
                (SELECT file FROM Files WHERE relativePath = '') FROM n";
    let body = plain(&format!("{many}\ncut Manifest.db 49152"));
    let title = "Manifest.db lacks its end: what is before that is read";
    let expect = "notice/catalog-truncated row/catalog-damaged";
    cases.push(Draft::new("cut-tail", title, expect, body).reads(3));
    let root = 2 * 4096;
    let xor = |at: usize, mask: &str| plain(&format!("xor Manifest.db {at} {mask}"));
    for (name, title, expect, body, read) in [
        ("cut-half-a-page", "the last page is cut", CLOSED, plain("cut Manifest.db 34000"), 0),
        ("longer", "noise after the last page", OK, plain("append Manifest.db a7a7a7a7"), 3),
        ("schema-type", "page 1 is of no type", CLOSED, xor(100, "01"), 0),
        ("schema-count", "page 1 claims 65,000 cells", CLOSED, xor(103, "ff00"), 0),
        ("schema-pointer", "a cell of page 1 is in the header", CLOSED, xor(108, "0f00"), 0),
        ("root-type", "the root of Files is of no type", NO_ROWS, xor(root, "01"), 0),
        ("root-index", "the root of Files is an index", NO_ROWS, xor(root, "07"), 0),
        ("root-interior", "the root of Files is an inner page", NO_ROWS, xor(root, "08"), 0),
        ("root-count", "the root of Files claims 65,000 cells", NO_ROWS, xor(root + 3, "ff00"), 0),
        ("root-freeblock", "a free block of Files is in the header", OK, xor(root + 1, "0001"), 3),
        ("root-fragments", "250 fragments on the root of Files", OK, xor(root + 7, "fa"), 3),
        ("index-type", "the index of ids is of no type", OK, xor(3 * 4096, "01"), 3),
    ] {
        cases.push(Draft::new(format!("page-{name}"), title, expect, body).reads(read));
    }
    cases
}

/// Whole databases that no SQLite writes.
fn images() -> Vec<Draft> {
    [
        ("sound", "put together by hand, and sound", "row/bad-metadata"),
        ("schema-tower", "a schema without end", "open/limit-exceeded"),
        ("files-tower", "40^16 rows that are one row", "row/bad-metadata row/catalog-damaged"),
        ("properties-tower", "40^16 properties, which nobody reads", "row/bad-metadata"),
        ("page-below-itself", "the root of Files leads to itself", NO_ROWS),
        ("overflow-ring", "an overflow page that follows itself", "row/bad-row"),
        (
            "declared-gigabyte",
            "an archive that claims 1 GiB",
            "row/bad-metadata row/catalog-damaged",
        ),
        ("rows-backwards", "rows whose numbers fall", "row/bad-metadata row/catalog-damaged"),
    ]
    .into_iter()
    .map(|(name, title, expect)| {
        let body = plain(&format!("image {name}"));
        Draft::new(format!("image-{name}"), title, expect, body).reads(0)
    })
    .collect()
}

/// Rebuilds Files from another statement, with the rows that it had.
fn rebuilt(statement: &str) -> String {
    plain(&format!(
        "sql ALTER TABLE Files RENAME TO Old; {statement}; INSERT INTO Files(fileID, domain, \
         relativePath, flags, file) SELECT fileID, domain, relativePath, flags, file FROM Old"
    ))
}

/// What stands where Files should.
fn tables() -> Vec<Draft> {
    let instead = |lines: &str| plain(&format!("sql ALTER TABLE Files RENAME TO Old; {lines}"));
    let columns = "fileID, domain, relativePath, flags, file";
    let endless = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT n AS \
                   fileID, n AS domain, n AS relativePath, 1 AS flags, n AS file FROM n";
    [
        ("none", "no table Files", CLOSED, plain("sql DROP TABLE Files")),
        ("renamed", "Files has another name", CLOSED, plain("sql ALTER TABLE Files RENAME TO Old")),
        ("small-letters", "Files in small letters", OK, {
            plain("sql ALTER TABLE Files RENAME TO old; ALTER TABLE old RENAME TO files")
        }),
        ("view", "a view of the true table", HOSTILE, {
            instead("CREATE VIEW Files AS SELECT * FROM Old")
        }),
        ("view-small-letters", "a view in small letters", HOSTILE, {
            instead("CREATE VIEW files AS SELECT * FROM Old")
        }),
        ("view-endless", "a view without end", HOSTILE, {
            instead(&format!("CREATE VIEW Files AS {endless}"))
        }),
        ("view-of-itself", "a view of itself", HOSTILE, {
            instead("CREATE VIEW Files AS SELECT * FROM Files")
        }),
        ("virtual", "a table for searching text", HOSTILE, {
            instead(&format!("CREATE VIRTUAL TABLE Files USING fts5({columns})"))
        }),
        ("virtual-space", "a table of rectangles", HOSTILE, {
            instead("CREATE VIRTUAL TABLE Files USING rtree(id, a, b)")
        }),
        ("virtual-disguised", "a virtual table that claims a root page", HOSTILE, {
            instead(&format!("CREATE VIRTUAL TABLE Files USING fts5({columns})"))
                + "schema UPDATE sqlite_master SET rootpage = 3 WHERE name = 'Files'\n"
        }),
        ("trigger", "triggers on Files", OK, {
            plain(
                "sql CREATE TRIGGER t AFTER INSERT ON Files BEGIN DELETE FROM Files; END; \
                 CREATE TRIGGER u BEFORE DELETE ON Files BEGIN SELECT load_extension('x'); END",
            )
        }),
        ("other-view", "an endless view of another name", OK, {
            plain(&format!("sql CREATE VIEW v AS {endless}"))
        }),
        ("without-rowid", "Files without rowids", CLOSED, {
            rebuilt(
                "CREATE TABLE Files(fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, \
                 flags INTEGER, file BLOB) WITHOUT ROWID",
            )
        }),
        ("strict", "a strict table", OK, {
            rebuilt(
                "CREATE TABLE Files(fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, \
                 flags INTEGER, file BLOB) STRICT",
            )
        }),
        ("empty", "no rows", OK, plain("sql DELETE FROM Files")),
        ("properties-none", "no table Properties", OK, plain("sql DROP TABLE Properties")),
        ("properties-view", "Properties is a view", OK, {
            plain(&format!("sql DROP TABLE Properties; CREATE VIEW Properties AS {endless}"))
        }),
        ("properties-view-asked", "Properties is a view, and would be asked", HOSTILE_AT_UNLOCK, {
            format!(
                "base encrypted-open-db\nsql DROP TABLE Properties; \
                 CREATE VIEW Properties AS {endless}\n"
            )
        }),
        ("properties-computed-asked", "properties that are computed", HOSTILE_AT_UNLOCK, {
            "base encrypted-open-db\nsql DROP TABLE Properties; CREATE TABLE Properties(key TEXT, \
             value AS (hex(zeroblob(1000000)) LIKE '%0%0%0%0%0%0%0%1'))\n"
                .into()
        }),
        ("properties-salt", "a salt without its hash", OK, {
            "base encrypted-open-db\nsql INSERT INTO Properties VALUES ('salt', x'00')\n".into()
        }),
        ("properties-hash-short", "a hash of 31 bytes", "unlock/key-material-damaged", {
            "base encrypted-open-db\nsql INSERT INTO Properties VALUES ('salt', x'00'), \
             ('passwordHash', zeroblob(31))\n"
                .into()
        }),
        ("properties-hash-wrong", "a hash of another password", "unlock/wrong-password", {
            "base encrypted-open-db\nsql INSERT INTO Properties VALUES ('salt', x'00'), \
             ('passwordHash', zeroblob(32))\n"
                .into()
        }),
    ]
    .into_iter()
    .map(|(name, title, expect, body)| {
        let draft = Draft::new(format!("table-{name}"), title, expect, body);
        if name == "empty" { draft.reads(0) } else { draft }
    })
    .collect()
}

const HOSTILE_AT_UNLOCK: &str = "unlock/hostile-catalog";

/// Columns of another name, type or kind.
fn columns() -> Vec<Draft> {
    let mut cases = Vec::new();
    for column in ["fileID", "domain", "relativePath", "flags", "file"] {
        let body = plain(&format!("sql ALTER TABLE Files RENAME COLUMN {column} TO other"));
        let title = format!("no column {column}");
        let name = format!("column-{}-absent", column.to_lowercase());
        cases.push(Draft::new(name, title, CLOSED, body));
    }
    let untyped = "fileID, domain, relativePath, flags, file";
    for (name, title, expect, statement) in [
        ("untyped", "columns without types", OK, format!("CREATE TABLE Files({untyped})")),
        (
            "order",
            "columns in another order",
            OK,
            "CREATE TABLE Files(file, flags, relativePath, domain, fileID)".into(),
        ),
        ("more", "columns of tomorrow", OK, {
            format!("CREATE TABLE Files({untyped}, later TEXT DEFAULT 'x', last)")
        }),
        ("capitals", "columns in capitals", OK, {
            "CREATE TABLE Files(FILEID, DOMAIN, RELATIVEPATH, FLAGS, FILE)".into()
        }),
        ("flags-text", "flags as text", OK, {
            "CREATE TABLE Files(fileID, domain, relativePath, flags TEXT, file)".into()
        }),
        ("numbers", "columns of numbers, which text that is none survives", OK, {
            "CREATE TABLE Files(fileID INTEGER, domain REAL, relativePath NUMERIC, \
             flags BLOB, file TEXT)"
                .into()
        }),
        ("computed", "a column that is computed", HOSTILE, {
            format!("CREATE TABLE Files({untyped}, x AS (hex(domain)) VIRTUAL)")
        }),
        ("computed-stored", "a column that is computed and stored", HOSTILE, {
            format!("CREATE TABLE Files({untyped}, x AS (hex(domain)) STORED)")
        }),
        ("rowid", "a column called rowid", HOSTILE, {
            format!("CREATE TABLE Files({untyped}, rowid TEXT)")
        }),
        ("rowid-capitals", "a column called RowID", HOSTILE, {
            format!("CREATE TABLE Files({untyped}, RowID TEXT)")
        }),
        ("key", "a key that numbers the rows", OK, {
            format!("CREATE TABLE Files(n INTEGER PRIMARY KEY, {untyped})")
        }),
        ("check", "a check that calls a function", OK, {
            format!("CREATE TABLE Files({untyped}, CHECK (length(hex(fileID)) > 0))")
        }),
        ("default", "a default that calls a function", OK, {
            format!("CREATE TABLE Files({untyped}, d DEFAULT (randomblob(9)))")
        }),
        ("index-expression", "an index of an expression", OK, {
            format!(
                "CREATE TABLE Files({untyped}); CREATE INDEX i ON Files(lower(hex(fileID))); \
                 CREATE INDEX j ON Files(domain) WHERE length(relativePath) > 3"
            )
        }),
        ("reference", "a reference to a table that is not there", OK, {
            format!("CREATE TABLE Files({untyped}, x REFERENCES nowhere(y))")
        }),
    ] {
        cases.push(Draft::new(format!("column-{name}"), title, expect, rebuilt(&statement)));
    }
    cases
}

/// The table of the schema, written by hand.
fn schemas() -> Vec<Draft> {
    let set =
        |what: &str| plain(&format!("schema UPDATE sqlite_master SET {what} WHERE name = 'Files'"));
    let add = |row: &str| plain(&format!("schema INSERT INTO sqlite_master VALUES ({row})"));
    [
        ("root-0", "the root of Files is page 0", HOSTILE, set("rootpage = 0")),
        ("root-1", "the root of Files is the schema itself", CLOSED, set("rootpage = 1")),
        ("root-2", "the root of Files is the pointer map", NO_ROWS, set("rootpage = 2")),
        ("root-index", "the root of Files is its index", NO_ROWS, set("rootpage = 4")),
        ("root-beyond", "the root of Files is beyond the end", CLOSED, set("rootpage = 1000")),
        ("root-negative", "the root of Files is page -1", CLOSED, set("rootpage = -1")),
        ("root-null", "the root of Files is NULL", CLOSED, set("rootpage = NULL")),
        ("root-text", "the root of Files is text", CLOSED, set("rootpage = 'x'")),
        ("sql-null", "Files has no statement", CLOSED, set("sql = NULL")),
        ("sql-empty", "the statement of Files is empty", CLOSED, set("sql = ''")),
        ("sql-noise", "the statement of Files is none", CLOSED, set("sql = 'CREATE NOISE'")),
        ("sql-two", "the statement of Files is two", CLOSED, {
            set("sql = sql || '; DROP TABLE Files'")
        }),
        ("sql-select", "the table is made of a query", CLOSED, {
            set("sql = 'CREATE TABLE Files AS SELECT 1 AS fileID'")
        }),
        ("sql-other", "the statement names another table", CLOSED, {
            set("sql = replace(sql, 'TABLE Files', 'TABLE Other')")
        }),
        ("sql-temporary", "the statement makes a temporary table", HOSTILE, {
            set("sql = replace(sql, 'CREATE TABLE', 'CREATE TEMP TABLE')")
        }),
        ("type-view", "Files is called a view", CLOSED, set("type = 'view'")),
        ("type-index", "Files is called an index", CLOSED, set("type = 'index'")),
        ("twice", "Files stands twice, in another case", CLOSED, {
            add("'table', 'FILES', 'FILES', 5, 'CREATE TABLE FILES(a)'")
        }),
        ("orphan", "an index of no table", CLOSED, {
            add("'index', 'x', 'nowhere', 4, 'CREATE INDEX x ON nowhere(a)'")
        }),
        ("null", "a row of nothing", CLOSED, add("NULL, NULL, NULL, NULL, NULL")),
        ("statement-1mib", "a statement of more than 1 MiB", CLOSED, {
            add("'table', 't', 't', 3, 'CREATE TABLE t(a /* ' || printf('%.*c', 1048576, 'x') || ' */)'")
        }),
        ("nested", "a default of 2,000 brackets", OK, {
            add("'table', 't', 't', 3, 'CREATE TABLE t(a DEFAULT ' || printf('%.*c', 2000, '(') || '1' || printf('%.*c', 2000, ')') || ')'")
        }),
    ]
    .into_iter()
    .map(|(name, title, expect, body)| {
        let draft = Draft::new(format!("schema-{name}"), title, expect, body);
        if expect == NO_ROWS { draft.reads(0) } else { draft }
    })
    .collect()
}

/// What lies beside Manifest.db.
fn side_files() -> Vec<Draft> {
    let told = "notice/side-file";
    [
        ("wal-empty", "a log of no bytes", OK, "put Manifest.db-wal "),
        ("wal-noise", "a log that is none", told, "put Manifest.db-wal noise"),
        ("journal-empty", "a journal of no bytes", OK, "put Manifest.db-journal "),
        ("journal-noise", "a journal that is none", told, "put Manifest.db-journal noise"),
        ("journal-zeros", "a journal of zeros", told, "put-hex Manifest.db-journal 00000000"),
        (
            "both",
            "a log and a journal that are none",
            "notice/side-file notice/side-file",
            "put Manifest.db-wal noise\nput Manifest.db-journal noise",
        ),
        ("shm", "a shared memory file", OK, "put Manifest.db-shm noise"),
    ]
    .into_iter()
    .map(|(name, title, expect, lines)| {
        Draft::new(format!("side-{name}"), title, expect, plain(lines))
    })
    .chain([
        Draft::new(
            "side-wal-encrypted",
            "a log beside an encrypted Manifest.db",
            told,
            "base encrypted\nput Manifest.db-wal noise\n",
        ),
        Draft::new(
            "side-both-catalogs",
            "a Manifest.mbdb beside Manifest.db",
            OK,
            plain("put Manifest.mbdb noise"),
        ),
        Draft::new(
            "side-both-catalogs-old",
            "a Manifest.db beside the Manifest.mbdb of an old bundle",
            OK,
            "base plain-mbdb\nput Manifest.db noise\n",
        ),
    ])
    .collect()
}

/// The encrypted file.
fn encrypted() -> Vec<Draft> {
    let closed = "unlock/catalog-damaged";
    [
        ("cut-0", "no bytes", closed, "cut Manifest.db 0"),
        ("cut-15", "less than a block", closed, "cut Manifest.db 15"),
        ("cut-4096", "one page alone", closed, "cut Manifest.db 4096"),
        ("cut-block", "the padding is gone", OK, "cut Manifest.db 36864"),
        ("longer", "half a block follows", OK, "append Manifest.db 0000000000000000"),
        ("flipped-first", "the first block is wrong", closed, "xor Manifest.db 0 01"),
        ("flipped-last", "the last block is wrong", OK, "xor Manifest.db 36879 01"),
        ("plaintext", "not encrypted at all", closed, "image sound"),
    ]
    .into_iter()
    .map(|(name, title, expect, lines)| {
        let title = format!("the encrypted Manifest.db: {title}");
        Draft::new(format!("encrypted-{name}"), title, expect, format!("base encrypted\n{lines}\n"))
    })
    .collect()
}
