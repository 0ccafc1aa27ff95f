//! MBFile blobs in the shape of an encrypted backup's, made from a number, and real ones.

use std::io::Cursor;
use std::path::Path;

use plist::{Dictionary, Uid, Value};
use rusqlite::{Connection, MAIN_DB};

/// Reads a blob with the crate.
pub(crate) fn read(blob: &[u8]) -> Value {
    Value::from_reader(Cursor::new(blob)).expect("a sound blob")
}

/// Writes a blob with the crate.
pub(crate) fn write(archive: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    archive.to_writer_binary(&mut out).expect("memory takes any length");
    out
}

fn dict<const N: usize>(items: [(&str, Value); N]) -> Value {
    Value::Dictionary(items.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Dictionary>())
}

/// Returns the blob of a file in an encrypted backup.
pub(crate) fn made(n: u64) -> Vec<u8> {
    let uid = |n| Value::Uid(Uid::new(n));
    let noise = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bytes =
        |len: usize| Value::Data(noise.to_le_bytes().into_iter().cycle().take(len).collect());
    let class = |name: &str| {
        dict([
            ("$classname", name.into()),
            ("$classes", Value::Array(vec![name.into(), "NSObject".into()])),
        ])
    };
    let root = dict([
        ("LastModified", (1_577_836_800 + n).into()),
        ("ProtectionClass", (1 + n % 4).into()),
        ("Flags", 0.into()),
        ("GroupID", 501.into()),
        ("$class", uid(6)),
        ("LastStatusChange", (1_577_836_801 + n).into()),
        ("RelativePath", uid(2)),
        ("Birth", (1_577_836_799 + n).into()),
        ("EncryptionKey", uid(4)),
        ("Size", (noise >> 40).into()),
        ("Mode", 0o100_644.into()),
        ("UserID", 501.into()),
        ("Digest", uid(3)),
        ("InodeNumber", (4_295_038_976 + n).into()),
    ]);
    let objects = vec![
        "$null".into(),
        root,
        format!("Library/Application Support/store/{n:08}/item-{noise:016x}.dat").into(),
        bytes(20),
        dict([("NS.data", bytes(44)), ("$class", uid(5))]),
        class("NSMutableData"),
        class("MBFile"),
    ];
    let archive = dict([
        ("$version", 100_000.into()),
        ("$archiver", "NSKeyedArchiver".into()),
        ("$top", dict([("root", uid(1))])),
        ("$objects", Value::Array(objects)),
    ]);
    write(&archive)
}

/// Returns the blobs of the real unencrypted bundle, where it is.
pub(crate) fn real() -> Option<Vec<Vec<u8>>> {
    let root = std::env::var_os("BKP_SHARED_DATA")?;
    let path = Path::new(&root).join("bundles/ios13.3-unencrypted/Manifest.db");
    let mut image = std::fs::read(path).expect("the shared bundle");
    image[18..20].copy_from_slice(&[1, 1]);
    let mut db = Connection::open_in_memory().expect("memory");
    db.deserialize_read_exact(MAIN_DB, &image[..], image.len(), true).expect("a database");
    let mut query = db.prepare("SELECT file FROM Files").expect("a catalog");
    let rows = query.query_map([], |row| row.get(0)).expect("rows");
    Some(rows.collect::<Result<_, _>>().expect("blobs"))
}
