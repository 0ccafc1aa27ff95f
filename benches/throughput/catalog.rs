//! The writer of catalogs, driven alone. This is the one place that calls it.

use std::io::{self, Write};
use std::path::Path;

use bkp_bundle::{CatalogKind, CatalogWriter, RowPatch, ScratchPlace, mbfile};
use bkp_core::{Domain, Entry, EntryKind, ProtectionClass, RelPath};
use bkp_crypto::{FileKey, WrappedFileKey, WrappedKey};

use crate::cost::Cost;

/// Writes rows as a `Manifest.db`, with what does not stay in memory in a folder.
pub(crate) fn write(
    rows: impl IntoIterator<Item = (Entry, RowPatch)>,
    scratch: &Path,
    out: &mut dyn Write,
) {
    let mut writer = CatalogWriter::new(CatalogKind::Db, ScratchPlace::folder(scratch));
    for (entry, patch) in rows {
        writer.push(&entry, &patch).expect("a row");
    }
    let catalog = writer.finish().expect("a catalog");
    io::copy(&mut catalog.reader(), out).expect("the catalog is written");
}

/// Prepares so many rows and measures what it takes to write them; the other side of
/// [`ask`](crate::cost::ask). The memory told is what the writer took beyond the rows.
pub(crate) fn child(rows: &str, scratch: &Path) {
    let rows: Vec<Entry> = (0..rows.parse().expect("a number")).map(row).collect();
    let before = resident();
    let mut out = Counter(0);
    let cost = Cost::of(|| {
        let rows = rows.iter().map(|entry| (entry.clone(), RowPatch::default()));
        write(rows, scratch, &mut out);
    });
    assert!(out.0 > rows.len() * 512, "{} bytes are no catalog of {} rows", out.0, rows.len());
    Cost { peak: cost.peak - before, ..cost }.tell();
}

/// Returns a file of a device, with an archive of its own as a source gives it.
fn row(n: u64) -> Entry {
    let domain = format!("AppDomain-com.example.app{:02}", n % 40);
    let folder = n / 400;
    let path = format!("Library/Application Support/store/{folder:05}/item-{n:08}.dat");
    let domain = Domain::new(domain).expect("a domain");
    let mut entry = Entry::derive(domain, RelPath::new(path).expect("a path"), EntryKind::File);
    entry.metadata.size_hint = n * 977 % 100_000;
    entry.metadata.mode = 0o100_644;
    (entry.metadata.uid, entry.metadata.gid) = (501, 501);
    entry.metadata.inode = 4_295_038_976 + n;
    (entry.metadata.modified, entry.metadata.changed) = (1_577_836_800, 1_577_836_801);
    entry.metadata.born = 1_577_836_799;
    entry.protection = Some(ProtectionClass(3));
    // No writer looks into a wrapped key.
    let key = WrappedKey::<FileKey>::from_bytes([n.to_le_bytes()[0]; 40]);
    let key = WrappedFileKey { class: ProtectionClass(3), key };
    entry.raw = Some(mbfile::encode(&entry, Some(&key), Some(&[7; 20]), None).into());
    entry
}

/// Returns the KiB of memory that this process has now.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
}

/// Counts what is written and forgets it.
struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
