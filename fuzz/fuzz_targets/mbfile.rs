//! An MBFile blob of any bytes, with its extended attributes.
#![no_main]

#[path = "../bodies/mbfile.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
