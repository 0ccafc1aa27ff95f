//! A Manifest.mbdb of any bytes.
//!
//! The fuzz target and the test of its corpus both run this.

use bkp_bundle::Mbdb;

/// Takes one input.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(mbdb) = Mbdb::parse(bytes) {
        for record in mbdb.records().flatten() {
            for (name, value) in record.xattrs {
                std::hint::black_box((name, value));
            }
        }
    }
}
