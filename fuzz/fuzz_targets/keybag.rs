//! A keybag of any bytes is parsed, and opened when that costs little.
#![no_main]

use std::ops::ControlFlow;

use bkp_crypto::{Keybag, Passphrase};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(keybag) = Keybag::parse(bytes) {
        let _ = keybag.unlock(&Passphrase::empty(), 1000, &mut |_| ControlFlow::Continue(()));
    }
});
