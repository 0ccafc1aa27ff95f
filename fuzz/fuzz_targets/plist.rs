//! A property list of any bytes, through the guard and then the parser.
#![no_main]

#[path = "../bodies/plist.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
