//! The safe twin, over the `sha2` crate.

use std::slice;

use sha2::block_api::compress256;
use zeroize::Zeroizing;

/// The bytes of a block.
const BLOCK: usize = 64;

pub(super) fn rounds(
    inner: &[u32; 8],
    outer: &[u32; 8],
    last: &mut [u32; 8],
    sum: &mut [u32; 8],
    rounds: u32,
) {
    // Both hashes of a round take the same block but for the digest: padding, then the length in
    // bits of the block with the secret and the digest.
    let mut message = Zeroizing::new([0; BLOCK]);
    message[32] = 0x80;
    message[BLOCK - 2..].copy_from_slice(&(8 * (64 + 32_u16)).to_be_bytes());
    let mut state = Zeroizing::new(*last);
    for _ in 0..rounds {
        put(&mut message, &state);
        *state = *inner;
        compress256(&mut state, slice::from_ref(&*message));
        put(&mut message, &state);
        *state = *outer;
        compress256(&mut state, slice::from_ref(&*message));
        for (sum, word) in sum.iter_mut().zip(state.iter()) {
            *sum ^= word;
        }
    }
    *last = *state;
}

/// Writes a digest at the start of a block.
#[inline(always)]
fn put(block: &mut [u8; BLOCK], digest: &[u32; 8]) {
    for (to, word) in block.as_chunks_mut::<4>().0.iter_mut().zip(digest) {
        *to = word.to_be_bytes();
    }
}
