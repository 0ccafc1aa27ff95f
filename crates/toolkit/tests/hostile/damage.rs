//! Random damage to the catalogs: bytes of Manifest.db and of Manifest.mbdb changed at random, the
//! bundle opened, every row listed and every payload read.

use std::collections::BTreeSet;
use std::io::Read as _;

use bkp_bundle::{Limits, Opened, Storage};
use bkp_core::{Fault as _, Payloads as _, Source as _};
use bkp_testkit::faults::seeds;

use crate::noise::{Noise, sweep};

const MANIFEST: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>Version</key><string>10.0</string><key>IsEncrypted</key><false/>
</dict></plist>"#;

/// Every code that may come out of a damaged catalog; a new one is looked at before it is let in.
const CODES: [&str; 12] = [
    "bad-metadata",
    "bad-row",
    "catalog-damaged",
    "catalog-truncated",
    "hostile-catalog",
    "hostile-name",
    "key-unwrap-failed",
    "limit-exceeded",
    "missing-blob",
    "missing-plist",
    "size-mismatch",
    "unfinished-row",
];

/// Opens, lists and reads all there is. Returns the codes that came out, each once, and how many
/// rows there were.
fn read(
    catalog: &str,
    bytes: Vec<u8>,
    blob: &(String, Vec<u8>),
) -> (BTreeSet<&'static str>, usize) {
    let len = bytes.len();
    let storage = Storage::memory([
        ("Manifest.plist".to_owned(), MANIFEST.to_vec()),
        (catalog.to_owned(), bytes),
        blob.clone(),
    ]);
    let backup = match Opened::open(storage, Limits::default()) {
        Ok(Opened::Unlocked(backup)) => backup,
        Ok(Opened::Locked(_)) => unreachable!("nothing is encrypted"),
        Err(error) => return (BTreeSet::from([error.code()]), 0),
    };
    let mut codes = BTreeSet::new();
    let mut rows = 0_usize;
    for record in backup.records().unwrap() {
        rows += 1;
        let result = record.and_then(|record| {
            let mut payload = match record.as_ref().kind {
                bkp_core::EntryKind::File => backup.payloads().open(&record)?,
                _ => return Ok(()),
            };
            let mut bytes = Vec::new();
            payload.read_to_end(&mut bytes).unwrap();
            codes.extend(payload.faults().iter().map(|fault| fault.code()));
            Ok(())
        });
        codes.extend(result.err().map(|error: bkp_bundle::BundleError| error.code()));
    }
    // A row takes some bytes, whatever was done to them.
    assert!(rows < len / 2, "{rows} rows of {len} bytes");
    codes.extend(backup.catalog().notices().iter().map(|notice| notice.code));
    (codes, rows)
}

/// Names an outcome. `whole` is how many rows there are when nothing is wrong.
fn say((codes, rows): (BTreeSet<&'static str>, usize), whole: usize) -> String {
    for code in &codes {
        assert!(CODES.contains(code), "{code} was not expected");
    }
    match (codes.is_empty(), rows == whole) {
        (true, true) => "nothing".into(),
        // A count of cells that was made smaller. Nothing in the table tells.
        (true, false) => "nothing, and rows are missing".into(),
        _ => Vec::from_iter(codes).join(" "),
    }
}

/// Changes one to eight bytes; some changes are to one bit, and some to a byte's extremes.
fn damaged(sound: &[u8], n: usize) -> Vec<u8> {
    let mut noise = Noise::new(u64::try_from(n).unwrap() + 1);
    let mut bytes = sound.to_vec();
    for _ in 0..=noise.below(8) {
        let at = noise.below(bytes.len());
        bytes[at] = match noise.below(4) {
            0 => bytes[at] ^ (1 << noise.below(8)),
            1 => 0,
            2 => 0xff,
            _ => noise.byte(),
        };
    }
    bytes
}

fn blob(sharded: bool) -> (String, Vec<u8>) {
    let id = bkp_testkit::file_id(b"HomeDomain", b"first.txt");
    let name = if sharded { format!("{}/{id}", &id[..2]) } else { id };
    (name, b"before".to_vec())
}

#[test]
fn a_hundred_thousand_damaged_databases() {
    let sound = seeds::small_catalog().unwrap();
    let blob = blob(true);
    let (codes, whole) = read("Manifest.db", sound.clone(), &blob);
    assert!(codes.is_empty(), "{codes:?}");
    let counts = sweep("Manifest.db, damaged at random", 100_000, |n| {
        say(read("Manifest.db", damaged(&sound, n), &blob), whole)
    });
    assert!(counts.len() > 10, "the damage is all alike: {counts:?}");
}

#[test]
fn a_hundred_thousand_damaged_mbdbs() {
    let file = |path: &str, mode, size| bkp_testkit::MbdbRecord {
        domain: Some(b"HomeDomain".to_vec()),
        path: Some(path.into()),
        mode,
        size,
        class: 4,
        ..bkp_testkit::MbdbRecord::default()
    };
    let mut sound = seeds::every_field();
    file("", 0o040_755, 0).encode(&mut sound);
    file("first.txt", 0o100_644, 6).encode(&mut sound);
    let blob = blob(false);
    let (codes, whole) = read("Manifest.mbdb", sound.clone(), &blob);
    assert!(codes.is_empty(), "{codes:?}");
    let counts = sweep("Manifest.mbdb, damaged at random", 100_000, |n| {
        say(read("Manifest.mbdb", damaged(&sound, n), &blob), whole)
    });
    assert!(counts.len() > 5, "the damage is all alike: {counts:?}");
    sweep("Manifest.mbdb, each prefix", sound.len(), |len| {
        say(read("Manifest.mbdb", sound[..len].to_vec(), &blob), whole)
    });
}
