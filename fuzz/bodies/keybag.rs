//! A keybag of any bytes is parsed, and opened when that costs little.
//!
//! The fuzz target and the test of its corpus both run this.

use std::ops::ControlFlow;

use bkp_crypto::{Keybag, Passphrase};

/// Takes one input.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(keybag) = Keybag::parse(bytes) {
        let _ = keybag.unlock(&Passphrase::empty(), 1000, &mut |_| ControlFlow::Continue(()));
    }
}
