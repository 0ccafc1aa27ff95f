//! A whole bundle on a virtual folder: a plain Manifest.db of any bytes beside a sound
//! Manifest.plist, listed and read to the end.
#![no_main]

use std::io::Read as _;

use bkp_bundle::{Limits, Opened, Storage};
use bkp_core::{Payloads as _, Source as _};
use libfuzzer_sys::fuzz_target;

const MANIFEST: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>Version</key><string>10.0</string><key>IsEncrypted</key><false/>
</dict></plist>"#;

fuzz_target!(|bytes: &[u8]| {
    let storage = Storage::memory([
        ("Manifest.plist".to_owned(), MANIFEST.to_vec()),
        ("Manifest.db".to_owned(), bytes.to_vec()),
    ]);
    let Ok(Opened::Unlocked(backup)) = Opened::open(storage, Limits::default()) else { return };
    let Ok(records) = backup.records() else { return };
    for record in records.flatten() {
        if let Ok(mut payload) = backup.payloads().open(&record) {
            let mut bytes = Vec::new();
            let _ = payload.read_to_end(&mut bytes);
            let _ = payload.faults();
        }
    }
});
