//! A property list of any bytes, through the guard and then the parser.
//!
//! The fuzz target and the test of its corpus both run this.

use bkp_bundle::{InfoPlist, ManifestPlist, StatusPlist};

/// Takes one input.
pub(crate) fn run(bytes: &[u8]) {
    let _ = ManifestPlist::parse(bytes);
    let _ = InfoPlist::parse(bytes);
    let _ = StatusPlist::parse(bytes);
}
