//! A Manifest.mbdb of any bytes.
#![no_main]

use bkp_bundle::Mbdb;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mbdb) = Mbdb::parse(bytes) {
        for record in mbdb.records().flatten() {
            for (name, value) in record.xattrs {
                std::hint::black_box((name, value));
            }
        }
    }
});
