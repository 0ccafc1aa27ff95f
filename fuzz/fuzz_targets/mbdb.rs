//! A Manifest.mbdb of any bytes.
#![no_main]

#[path = "../bodies/mbdb.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
