//! An MBFile blob of any bytes, with its extended attributes.
#![no_main]

use bkp_bundle::{MbFile, parse_xattrs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = MbFile::parse(bytes)
        && let Some(xattrs) = file.extended_attributes
    {
        let _ = parse_xattrs(xattrs);
    }
});
