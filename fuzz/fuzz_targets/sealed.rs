//! A sealed archive of any bytes: its header, and what opens with a key that is known.
#![no_main]

#[path = "../bodies/sealed.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(bytes));
