//! A whole bundle on a virtual folder: a plain Manifest.db of any bytes beside a sound
//! Manifest.plist, listed and read to the end.
#![no_main]

#[path = "../bodies/open.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
