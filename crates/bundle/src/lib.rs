//! Reads iOS-style backup bundles.

#![forbid(unsafe_code)]

mod bplist;
mod mbfile;
#[cfg(test)]
mod testing;

pub use mbfile::{Field, FieldSet, MAX_BLOB, MbFile, MbFileError, Xattrs, parse_xattrs};
