//! MBFile blobs: nanoseconds a row, beside the `plist` crate on the same rows in the same run.
//!
//! Rows have the shape of an encrypted backup's files and are made from a seed. With
//! `BKP_SHARED_DATA` set, the rows of the real unencrypted bundle there are measured as well.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(missing_docs)]

use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;
use std::time::Instant;

use bkp_bundle::{MbFile, Patch, RowPatch, mbfile};
use plist::{Dictionary, Uid, Value};
use rusqlite::{Connection, MAIN_DB};

const ROWS: u64 = 2_000;
const ROUNDS: usize = 100;

fn main() {
    let rows: Vec<_> = (0..ROWS).map(made).collect();
    compare("made rows", &rows);
    patch("made rows", &rows);
    if let Some(root) = std::env::var_os("BKP_SHARED_DATA") {
        let path = Path::new(&root).join("bundles/ios13.3-unencrypted/Manifest.db");
        let rows = real(&path);
        compare("real rows", &rows);
        patch("real rows", &rows);
    }
}

fn compare(name: &str, blobs: &[Vec<u8>]) {
    let ours = best(blobs, |blob| {
        let file = MbFile::parse(blob).expect("a sound blob");
        file.size.unwrap_or(0) ^ u64::from(file.mode.unwrap_or(0))
    });
    let theirs = best(blobs, |blob| {
        let value = Value::from_reader(Cursor::new(blob)).expect("a sound blob");
        let objects = value.as_dictionary().and_then(|archive| archive["$objects"].as_array());
        let root = objects.and_then(|objects| objects[1].as_dictionary()).expect("a root");
        root["Size"].as_unsigned_integer().unwrap_or(0)
            ^ root["Mode"].as_unsigned_integer().unwrap_or(0)
    });
    println!(
        "mbfile, {name} ({}): {ours:.0} ns a row; plist crate {theirs:.0} ns; ratio {:.3}",
        blobs.len(),
        ours / theirs
    );
}

/// Puts another digest into every row, as everything that encrypts does.
fn patch(name: &str, blobs: &[Vec<u8>]) {
    let digest = RowPatch { digest: Patch::Set([7; 20]), ..RowPatch::default() };
    let ours = best(blobs, |blob| {
        let patched = mbfile::patch(blob, &digest).expect("a sound blob");
        patched.len() as u64
    });
    println!("mbfile patched, {name} ({}): {ours:.0} ns a row", blobs.len());
}

/// Returns the fastest of the rounds, in nanoseconds a row.
fn best(blobs: &[Vec<u8>], read: impl Fn(&[u8]) -> u64) -> f64 {
    let rows = u32::try_from(blobs.len()).map_or(1.0, f64::from);
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(blobs.iter().fold(0, |sum, blob| sum ^ read(black_box(blob))));
            start.elapsed().as_secs_f64() * 1e9 / rows
        })
        .fold(f64::INFINITY, f64::min)
}

fn dict<const N: usize>(items: [(&str, Value); N]) -> Value {
    Value::Dictionary(items.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Dictionary>())
}

fn made(n: u64) -> Vec<u8> {
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
    let mut out = Vec::new();
    archive.to_writer_binary(&mut out).expect("memory takes any length");
    out
}

fn real(path: &Path) -> Vec<Vec<u8>> {
    let mut image = std::fs::read(path).expect("the shared bundle");
    image[18..20].copy_from_slice(&[1, 1]);
    let mut db = Connection::open_in_memory().expect("memory");
    db.deserialize_read_exact(MAIN_DB, &image[..], image.len(), true).expect("a database");
    let mut query = db.prepare("SELECT file FROM Files").expect("a catalog");
    let rows = query.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("blobs")
}
