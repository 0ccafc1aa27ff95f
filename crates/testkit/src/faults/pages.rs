//! Database files that no SQLite writes: pages that lead to one another in rings, and rows that
//! share what they hold.
//!
//! The pages are put together by hand. Source: "Database File Format" of the SQLite documentation,
//! sections 1.3 (header), 1.6 (b-tree pages) and 2.1 (records).

/// Bytes of a page in these images.
const PAGE: usize = 512;
/// Where the b-tree of page 1 begins: after the header of the file.
const HEADER: usize = 100;
const TABLE_LEAF: u8 = 13;
const TABLE_INTERIOR: u8 = 5;
const INDEX_LEAF: u8 = 10;

/// A column of a row.
#[derive(Clone, Debug)]
pub enum Value<'v> {
    /// NULL.
    Null,
    /// An integer of one byte.
    Byte(i8),
    /// Text in UTF-8.
    Text(&'v str),
    /// Bytes.
    Blob(&'v [u8]),
}

/// A database file that is put together page by page. Pages are numbered from 1.
#[derive(Clone, Debug, Default)]
pub struct Pages(Vec<Vec<u8>>);

impl Pages {
    /// Keeps room for so many pages, all of zeros.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self(vec![vec![0; PAGE]; count])
    }

    /// Makes a page a leaf of a table: rowids and records.
    pub fn leaf(&mut self, page: usize, rows: &[(u64, Vec<u8>)]) {
        let cells = rows.iter().map(|(rowid, record)| {
            let mut cell = varint(record.len() as u64);
            cell.extend(varint(*rowid));
            cell.extend(record);
            cell
        });
        self.node(page, TABLE_LEAF, &cells.collect::<Vec<_>>(), None);
    }

    /// Makes a page a leaf whose one row begins here and goes on in overflow pages from `next` on.
    pub fn long_row(&mut self, page: usize, rows: &[u64], len: u64, head: &[u8], next: usize) {
        // Usable size U and least local part M: SQLite keeps K = M + (P - M) % (U - 4) bytes here,
        // or M where that is more than U - 35.
        let (usable, least) = (PAGE as u64, (PAGE as u64 - 12) * 32 / 255 - 23);
        let local = least + (len - least) % (usable - 4);
        let local = if local > usable - 35 { least } else { local };
        let mut start = head.to_vec();
        start.resize(usize::try_from(local).unwrap_or(0), b'x');
        let cells = rows.iter().map(|rowid| {
            let mut cell = varint(len);
            cell.extend(varint(*rowid));
            cell.extend(&start);
            cell.extend(word(next));
            cell
        });
        self.node(page, TABLE_LEAF, &cells.collect::<Vec<_>>(), None);
    }

    /// Makes a page one link of a chain of overflow pages; 0 ends the chain.
    pub fn overflow(&mut self, page: usize, next: usize) {
        self.0[page - 1] = [&word(next)[..], &[b'x'; PAGE - 4]].concat();
    }

    /// Makes a page lead to the same child, so many times over.
    pub fn interior(&mut self, page: usize, children: &[usize]) {
        let Some((last, children)) = children.split_last() else { return };
        let cells = children.iter().zip(1..).map(|(child, key)| {
            let mut cell = word(*child).to_vec();
            cell.extend(varint(key));
            cell
        });
        self.node(page, TABLE_INTERIOR, &cells.collect::<Vec<_>>(), Some(*last));
    }

    /// Makes a page an index without entries.
    pub fn empty_index(&mut self, page: usize) {
        self.node(page, INDEX_LEAF, &[], None);
    }

    /// Makes pages `first` to `first + depth - 1` a tower: each leads `width` times to the one
    /// below it, and the lowest to page `bottom`. So `bottom` is reached `width^depth` times.
    pub fn tower(&mut self, first: usize, depth: usize, width: usize, bottom: usize) {
        for level in 0..depth {
            let below = if level + 1 == depth { bottom } else { first + level + 1 };
            self.interior(first + level, &vec![below; width]);
        }
    }

    fn node(&mut self, page: usize, kind: u8, cells: &[Vec<u8>], right: Option<usize>) {
        let start = if page == 1 { HEADER } else { 0 };
        let bytes = &mut self.0[page - 1];
        bytes.fill(0);
        let mut end = PAGE;
        let mut pointers = Vec::new();
        for cell in cells {
            end -= cell.len();
            bytes[end..end + cell.len()].copy_from_slice(cell);
            pointers.extend(half(end));
        }
        let mut head = vec![kind, 0, 0];
        head.extend(half(cells.len()));
        head.extend(half(end));
        head.push(0);
        head.extend(right.map(word).into_iter().flatten());
        head.extend(pointers);
        bytes[start..start + head.len()].copy_from_slice(&head);
        assert!(start + head.len() <= end, "the cells do not fit on page {page}");
    }

    /// Writes the header and returns the file.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let count = word(self.0.len());
        let header = &mut self.0[0][..HEADER];
        header[..16].copy_from_slice(b"SQLite format 3\0");
        header[16..18].copy_from_slice(&half(PAGE));
        header[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
        header[24..28].copy_from_slice(&word(1)); // change counter
        header[28..32].copy_from_slice(&count);
        header[40..44].copy_from_slice(&word(1)); // schema cookie
        header[44..48].copy_from_slice(&word(4)); // schema format
        header[56..60].copy_from_slice(&word(1)); // UTF-8
        header[60..64].copy_from_slice(&word(2)); // user_version
        header[92..96].copy_from_slice(&word(1)); // the change counter that the count is of
        self.0.concat()
    }
}

/// Encodes a row.
#[must_use]
pub fn record(values: &[Value<'_>]) -> Vec<u8> {
    let mut types = Vec::new();
    let mut body = Vec::new();
    for value in values {
        match value {
            Value::Null => types.push(0),
            Value::Byte(value) => {
                types.push(1);
                body.extend(value.to_be_bytes());
            }
            Value::Text(text) => {
                types.extend(varint(text.len() as u64 * 2 + 13));
                body.extend(text.bytes());
            }
            Value::Blob(bytes) => {
                types.extend(varint(bytes.len() as u64 * 2 + 12));
                body.extend(*bytes);
            }
        }
    }
    with_types(&types, &body)
}

/// Encodes a row from its types and what follows them, which need not agree.
#[must_use]
pub fn with_types(types: &[u8], body: &[u8]) -> Vec<u8> {
    // The length of the header counts itself; ours are shorter than 127 bytes.
    let mut out = varint(types.len() as u64 + 1);
    out.extend(types);
    out.extend(body);
    out
}

/// Encodes a row of the schema: type, name, table, root page, statement.
#[must_use]
pub fn schema_row(kind: &str, name: &str, table: &str, root: i8, sql: Option<&str>) -> Vec<u8> {
    record(&[
        Value::Text(kind),
        Value::Text(name),
        Value::Text(table),
        Value::Byte(root),
        sql.map_or(Value::Null, Value::Text),
    ])
}

/// SQLite's variable-length integer: seven bits a byte, most significant first.
#[must_use]
pub fn varint(value: u64) -> Vec<u8> {
    let mut out = vec![(value & 0x7f).to_le_bytes()[0]];
    let mut rest = value >> 7;
    while rest > 0 {
        out.insert(0, (rest & 0x7f).to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out
}

fn half(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes()
}

fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes()
}

/// The statement of the table of files, short.
pub const FILES: &str = "CREATE TABLE Files(fileID TEXT,domain TEXT,relativePath TEXT,flags,file)";
const PROPERTIES: &str = "CREATE TABLE Properties(key TEXT,value)";

/// A row of the table of files.
fn file_row(id: &str, path: &str) -> Vec<u8> {
    record(&[
        Value::Text(id),
        Value::Text("HomeDomain"),
        Value::Text(path),
        Value::Byte(2),
        Value::Null,
    ])
}

fn two_tables() -> Vec<(u64, Vec<u8>)> {
    vec![
        (1, schema_row("table", "Files", "Files", 2, Some(FILES))),
        (2, schema_row("table", "Properties", "Properties", 3, Some(PROPERTIES))),
    ]
}

/// The image of a name, for the recipes.
#[must_use]
pub fn named(name: &str) -> Option<Vec<u8>> {
    Some(match name {
        "sound" => sound(),
        "schema-tower" => schema_tower(),
        "files-tower" => files_tower(),
        "properties-tower" => properties_tower(),
        "page-below-itself" => page_below_itself(),
        "shared-overflow" => shared_overflow(),
        "overflow-ring" => overflow_ring(),
        "declared-gigabyte" => declared_gigabyte(),
        "rows-backwards" => rows_backwards(),
        _ => return None,
    })
}

/// One directory without an archive in Files: the twin of all others that nothing is wrong with.
fn sound() -> Vec<u8> {
    let mut pages = Pages::new(3);
    pages.leaf(1, &two_tables());
    pages.leaf(2, &[(1, file_row(&"0".repeat(40), "a"))]);
    pages.leaf(3, &[(1, record(&[Value::Text("k"), Value::Text("v")]))]);
    pages.finish()
}

/// The schema is a tower over one row, an index that a table made by itself: SQLite takes each
/// without a word, and there are 40^16.
fn schema_tower() -> Vec<u8> {
    let keyed = "CREATE TABLE Files(fileID TEXT PRIMARY KEY,domain,relativePath,flags,file)";
    let mut pages = Pages::new(40);
    pages.leaf(20, &[(1, schema_row("table", "Files", "Files", 2, Some(keyed)))]);
    pages.leaf(21, &[(2, schema_row("index", "sqlite_autoindex_Files_1", "Files", 3, None))]);
    pages.leaf(2, &[]);
    pages.empty_index(3);
    pages.tower(22, 16, 40, 21);
    pages.interior(1, &[20, 22]);
    pages.finish()
}

/// Files is a tower over one row.
fn files_tower() -> Vec<u8> {
    let mut pages = Pages::new(40);
    pages.leaf(1, &two_tables());
    pages.tower(4, 16, 40, 30);
    pages.interior(2, &[4, 4]);
    pages.leaf(3, &[]);
    pages.leaf(30, &[(1, file_row(&"0".repeat(40), "a"))]);
    pages.finish()
}

/// Properties is a tower over one row, and has no index.
fn properties_tower() -> Vec<u8> {
    let mut pages = Pages::new(40);
    pages.leaf(1, &two_tables());
    pages.leaf(2, &[(1, file_row(&"0".repeat(40), "a"))]);
    pages.tower(4, 16, 40, 30);
    pages.interior(3, &[4, 4]);
    pages.leaf(30, &[(1, record(&[Value::Text("k"), Value::Text("v")]))]);
    pages.finish()
}

/// The root of Files leads to itself.
fn page_below_itself() -> Vec<u8> {
    let mut pages = Pages::new(3);
    pages.leaf(1, &two_tables());
    pages.interior(2, &[2, 2]);
    pages.leaf(3, &[]);
    pages.finish()
}

/// Twelve thousand rows of 100,115 bytes each, which are the same bytes: 1.2 GB from 1.1 MB.
fn shared_overflow() -> Vec<u8> {
    const ROWS: usize = 12_000;
    const A_PAGE: usize = 6;
    /// A row keeps 39 of its bytes, which is the least, and fills its overflow pages.
    const LEN: u64 = 39 + LINKS as u64 * 508;
    const LINKS: usize = 197;
    let leaves = ROWS / A_PAGE;
    let chain = 4 + leaves + leaves.div_ceil(50);
    let mut pages = Pages::new(chain + LINKS);
    pages.leaf(1, &two_tables());
    pages.leaf(3, &[]);
    // fileID, domain and path are NULL, flags 2, and the rest is the archive.
    let types = [&[0, 0, 0, 1][..], &varint((LEN - 9) * 2 + 12)].concat();
    let head = with_types(&types, &[2]);
    for leaf in 0..leaves {
        let rows: Vec<u64> = (0..A_PAGE).map(|n| (leaf * A_PAGE + n + 1) as u64).collect();
        pages.long_row(4 + leaf, &rows, LEN, &head, chain);
    }
    for link in chain..chain + LINKS {
        pages.overflow(link, if link + 1 < chain + LINKS { link + 1 } else { 0 });
    }
    let middle: Vec<usize> = (0..leaves.div_ceil(50)).map(|n| 4 + leaves + n).collect();
    for (n, page) in middle.iter().enumerate() {
        let end = leaves.min((n + 1) * 50);
        pages.keyed(*page, (n * 50..end).map(|leaf| (4 + leaf, ((leaf + 1) * A_PAGE) as u64)));
    }
    let tops = middle.iter().enumerate();
    pages.keyed(2, tops.map(|(n, page)| (*page, ((n + 1) * 50 * A_PAGE) as u64)));
    pages.finish()
}

impl Pages {
    /// Makes a page lead to children, each with its greatest rowid.
    fn keyed(&mut self, page: usize, children: impl Iterator<Item = (usize, u64)>) {
        let children: Vec<_> = children.collect();
        let Some(((last, _), children)) = children.split_last() else { return };
        let cells = children.iter().map(|(child, key)| {
            let mut cell = word(*child).to_vec();
            cell.extend(varint(*key));
            cell
        });
        self.node(page, TABLE_INTERIOR, &cells.collect::<Vec<_>>(), Some(*last));
    }
}

/// A row of 1 MB whose overflow page is its own successor.
fn overflow_ring() -> Vec<u8> {
    let mut pages = Pages::new(2_100);
    pages.leaf(1, &two_tables());
    pages.leaf(3, &[]);
    let len = 1_000_000_u64;
    let types = [&[0, 0, 0, 1][..], &varint((len - 9) * 2 + 12)].concat();
    pages.long_row(2, &[1], len, &with_types(&types, &[2]), 4);
    pages.overflow(4, 4);
    pages.finish()
}

/// A row whose archive claims 1 GiB and is not there.
fn declared_gigabyte() -> Vec<u8> {
    let mut pages = Pages::new(3);
    pages.leaf(1, &two_tables());
    pages.leaf(3, &[]);
    let types = [&[0, 0, 0, 1][..], &varint((1 << 30) * 2 + 12)].concat();
    let row = with_types(&types, &[2, b'x', b'x', b'x']);
    pages.leaf(2, &[(1, file_row(&"0".repeat(40), "a")), (2, row)]);
    pages.finish()
}

/// Rows whose numbers fall.
fn rows_backwards() -> Vec<u8> {
    let mut pages = Pages::new(3);
    pages.leaf(1, &two_tables());
    pages.leaf(3, &[]);
    let row = |path| file_row(&"0".repeat(40), path);
    pages.leaf(2, &[(3, row("c")), (2, row("b")), (1, row("a"))]);
    pages.finish()
}

#[cfg(test)]
mod tests {
    use super::{named, varint};

    /// SQLite itself finds nothing wrong with the twin of the others.
    #[test]
    fn the_sound_one_is_sound() {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        db.deserialize_bytes(rusqlite::MAIN_DB, named("sound").unwrap().leak()).unwrap();
        let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let path: String =
            db.query_row("SELECT relativePath FROM Files", [], |row| row.get(0)).unwrap();
        assert_eq!(path, "a");
    }

    #[test]
    fn varints() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(127), [127]);
        assert_eq!(varint(128), [0x81, 0]);
        assert_eq!(varint(300), [0x82, 0x2c]);
    }
}
