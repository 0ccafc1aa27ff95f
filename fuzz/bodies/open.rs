//! A whole bundle on a virtual folder: a plain Manifest.db of any bytes beside a sound
//! Manifest.plist, listed and read to the end.
//!
//! The fuzz target and the test of its corpus both run this.

use std::io::Read as _;

use bkp_bundle::{Limits, Opened, Storage};
use bkp_core::{Domain, FileId, Payloads as _, RelPath, Source as _};

const MANIFEST: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>Version</key><string>10.0</string><key>IsEncrypted</key><false/>
</dict></plist>"#;

/// Takes one input.
pub(crate) fn run(bytes: &[u8]) {
    let mut files = vec![
        ("Manifest.plist".to_owned(), MANIFEST.to_vec()),
        ("Manifest.db".to_owned(), bytes.to_vec()),
    ];
    // The file of the seeds has a payload.
    if let (Ok(domain), Ok(path)) = (Domain::new("HomeDomain"), RelPath::new("first.txt")) {
        let id = FileId::of(&domain, &path).to_string();
        files.push((format!("{}/{id}", id.get(..2).unwrap_or_default()), b"before".to_vec()));
    }
    let storage = Storage::memory(files);
    let Ok(Opened::Unlocked(backup)) = Opened::open(storage, Limits::default()) else { return };
    let Ok(records) = backup.records() else { return };
    for record in records.flatten() {
        if let Ok(mut payload) = backup.payloads().open(&record) {
            let mut bytes = Vec::new();
            let _ = payload.read_to_end(&mut bytes);
            let _ = payload.faults();
        }
    }
}
