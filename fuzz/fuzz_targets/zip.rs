//! A zip of any bytes is opened as an archive, listed, and read to the end of every member.
#![no_main]

#[path = "../bodies/zip.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
