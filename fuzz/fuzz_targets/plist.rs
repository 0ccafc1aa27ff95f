//! A property list of any bytes, through the guard and then the parser.
#![no_main]

use bkp_bundle::{InfoPlist, ManifestPlist, StatusPlist};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = ManifestPlist::parse(bytes);
    let _ = InfoPlist::parse(bytes);
    let _ = StatusPlist::parse(bytes);
});
