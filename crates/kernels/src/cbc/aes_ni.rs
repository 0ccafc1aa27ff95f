//! Eight payloads with AES-NI, and the expansion of keys.
//!
//! # Safety
//!
//! Unsafe are the calls into code compiled for instructions that a processor may lack, made only for
//! streams and kernels that exist only where [`detected`] has said that this one has them; and loads
//! and stores through pointers made of references to arrays of exactly the size of a vector.
//!
//! Round keys are wiped from memory of ours. What is left in registers and spilled stack slots is not.

#![expect(clippy::needless_range_loop, reason = "a lane is a place in several arrays")]

use std::arch::x86_64::{
    __m128i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aeskeygenassist_si128, _mm_bslli_si128,
    _mm_loadu_si128, _mm_setzero_si128, _mm_shuffle_epi32, _mm_storeu_si128, _mm_xor_si128,
};
use std::ptr;

use zeroize::Zeroizing;

use super::{Block, LaneKeys, ROUND_KEYS, RoundKeys};

pub(super) const LANES: usize = 8;

pub(super) fn detected() -> bool {
    is_x86_feature_detected!("aes") && is_x86_feature_detected!("sse2")
}

/// Expands a key in place. Called only by a kernel that needs AES-NI.
pub(super) fn expand(key: &[u8; 32], keys: &mut RoundKeys) {
    debug_assert!(detected(), "the kernel was chosen where it cannot run");
    #[expect(unsafe_code, reason = "the processor has been asked")]
    // SAFETY: the caller is a kernel that is made only where `detected` is true.
    unsafe {
        expand_here(key, keys);
    }
}

/// Source: FIPS 197, 5.2.
#[target_feature(enable = "aes")]
fn expand_here(key: &[u8; 32], keys: &mut RoundKeys) {
    for (to, from) in keys.iter_mut().zip(key.as_chunks::<16>().0) {
        *to = *from;
    }
    let (mut even, mut odd) = (load(&keys[0]), load(&keys[1]));
    macro_rules! two {
        ($at:literal, $constant:literal) => {
            let word = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$constant>(odd));
            even = _mm_xor_si128(running(even), word);
            store(&mut keys[$at], even);
            if $at + 1 < ROUND_KEYS {
                let word = _mm_shuffle_epi32::<0xaa>(_mm_aeskeygenassist_si128::<0>(even));
                odd = _mm_xor_si128(running(odd), word);
                store(&mut keys[($at + 1) % ROUND_KEYS], odd);
            }
        };
    }
    two!(2, 0x01);
    two!(4, 0x02);
    two!(6, 0x04);
    two!(8, 0x08);
    two!(10, 0x10);
    two!(12, 0x20);
    two!(14, 0x40);
}

/// Xors each word with all words before it.
#[inline]
#[target_feature(enable = "aes")]
fn running(words: __m128i) -> __m128i {
    let pairs = _mm_xor_si128(words, _mm_bslli_si128::<4>(words));
    _mm_xor_si128(pairs, _mm_bslli_si128::<8>(pairs))
}

/// Round by round, the keys of all lanes.
pub(super) struct Keys(Zeroizing<[[Block; LANES]; ROUND_KEYS]>);

impl LaneKeys<LANES> for Keys {
    fn new() -> Box<Self> {
        Box::new(Self(Zeroizing::new([[[0; 16]; LANES]; ROUND_KEYS])))
    }

    fn set(&mut self, lane: usize, keys: &RoundKeys) {
        for (round, key) in self.0.iter_mut().zip(keys) {
            round[lane] = *key;
        }
    }

    fn encrypt(&self, chains: &mut [Block; LANES], blocks: [&mut [Block]; LANES]) {
        debug_assert!(detected(), "a stream was made where it cannot run");
        #[expect(unsafe_code, reason = "the processor has been asked")]
        // SAFETY: there are streams, which are expanded only where `detected` is true.
        unsafe {
            encrypt_here(&self.0, chains, blocks);
        }
    }
}

#[target_feature(enable = "aes")]
fn encrypt_here(
    keys: &[[Block; LANES]; ROUND_KEYS],
    chains: &mut [Block; LANES],
    blocks: [&mut [Block]; LANES],
) {
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    let blocks = blocks.map(|blocks| &mut blocks[..count]);
    let mut state = [_mm_setzero_si128(); LANES];
    for lane in 0..LANES {
        state[lane] = load(&chains[lane]);
    }
    for at in 0..count {
        for lane in 0..LANES {
            let plain = _mm_xor_si128(load(&blocks[lane][at]), load(&keys[0][lane]));
            state[lane] = _mm_xor_si128(state[lane], plain);
        }
        for keys in &keys[1..ROUND_KEYS - 1] {
            for lane in 0..LANES {
                state[lane] = _mm_aesenc_si128(state[lane], load(&keys[lane]));
            }
        }
        for lane in 0..LANES {
            state[lane] = _mm_aesenclast_si128(state[lane], load(&keys[ROUND_KEYS - 1][lane]));
            store(&mut blocks[lane][at], state[lane]);
        }
    }
    for lane in 0..LANES {
        store(&mut chains[lane], state[lane]);
    }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn load(block: &Block) -> __m128i {
    const { assert!(size_of::<__m128i>() == size_of::<Block>()) };
    #[expect(unsafe_code, reason = "a load")]
    // SAFETY: a block is as large as a vector, and the load needs no alignment.
    unsafe {
        _mm_loadu_si128(ptr::from_ref(block).cast())
    }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn store(block: &mut Block, from: __m128i) {
    const { assert!(size_of::<__m128i>() == size_of::<Block>()) };
    #[expect(unsafe_code, reason = "a store")]
    // SAFETY: a block is as large as a vector, and the store needs no alignment.
    unsafe {
        _mm_storeu_si128(ptr::from_mut(block).cast(), from);
    }
}
