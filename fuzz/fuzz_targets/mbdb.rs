//! A Manifest.mbdb of any bytes.
#![no_main]

use bkp_bundle::MbdbReader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(reader) = MbdbReader::new(bytes) {
        for record in reader {
            let Ok(_) = record else { break };
        }
    }
});
