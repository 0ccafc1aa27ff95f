//! An MBFile blob of any bytes, with its extended attributes.
//!
//! The fuzz target and the test of its corpus both run this.

use bkp_bundle::{MbFile, parse_xattrs};

/// Takes one input.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(file) = MbFile::parse(bytes)
        && let Some(xattrs) = file.extended_attributes
    {
        let _ = parse_xattrs(xattrs);
    }
}
