//! A keybag of any bytes is parsed, and opened when that costs little.
#![no_main]

#[path = "../bodies/keybag.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
