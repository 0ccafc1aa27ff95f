//! Sixteen payloads with VAES over AVX-512: four vectors of four lanes.
//!
//! # Safety
//!
//! Unsafe are the call into code compiled for instructions that a processor may lack, made only by a
//! kernel that exists only where [`detected`] has said that this one has them; and loads through
//! pointers made of references to arrays of exactly the size of a vector.
//!
//! Round keys are wiped from memory of ours. What is left in registers and spilled stack slots is not.

#![expect(clippy::needless_range_loop, reason = "a lane is a place in several arrays")]

use std::arch::x86_64::{
    __m512i, _mm512_aesenc_epi128, _mm512_aesenclast_epi128, _mm512_castsi128_si512,
    _mm512_extracti32x4_epi32, _mm512_inserti32x4, _mm512_loadu_si512, _mm512_setzero_si512,
    _mm512_xor_si512,
};
use std::ptr;

use zeroize::Zeroizing;

use super::aes_ni::{load, store};
use super::{Block, LaneKeys, ROUND_KEYS, RoundKeys};

pub(super) const LANES: usize = 16;

/// Lanes of one vector.
const WIDTH: usize = 4;
/// Vectors.
const GROUPS: usize = LANES / WIDTH;

pub(super) fn detected() -> bool {
    is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx512f")
}

/// Round by round, the keys of all lanes, a vector for four of them.
pub(super) struct Keys(Zeroizing<[[[Block; WIDTH]; GROUPS]; ROUND_KEYS]>);

impl LaneKeys<LANES> for Keys {
    fn new() -> Box<Self> {
        Box::new(Self(Zeroizing::new([[[[0; 16]; WIDTH]; GROUPS]; ROUND_KEYS])))
    }

    fn set(&mut self, lane: usize, keys: &RoundKeys) {
        for (round, key) in self.0.iter_mut().zip(keys) {
            round[lane / WIDTH][lane % WIDTH] = *key;
        }
    }

    fn encrypt(&self, chains: &mut [Block; LANES], blocks: [&mut [Block]; LANES]) {
        debug_assert!(detected(), "the kernel was chosen where it cannot run");
        #[expect(unsafe_code, reason = "the processor has been asked")]
        // SAFETY: only `Kind::Vaes` uses these keys, and is made only where `detected` is true.
        unsafe {
            encrypt_here(&self.0, chains, blocks);
        }
    }
}

#[target_feature(enable = "vaes,avx512f")]
fn encrypt_here(
    keys: &[[[Block; WIDTH]; GROUPS]; ROUND_KEYS],
    chains: &mut [Block; LANES],
    blocks: [&mut [Block]; LANES],
) {
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    let blocks = blocks.map(|blocks| &mut blocks[..count]);
    let mut state = [_mm512_setzero_si512(); GROUPS];
    for group in 0..GROUPS {
        let [a, b, c, d] = std::array::from_fn(|lane| &chains[WIDTH * group + lane]);
        state[group] = gather(a, b, c, d);
    }
    for at in 0..count {
        for group in 0..GROUPS {
            let [a, b, c, d] = std::array::from_fn(|lane| &blocks[WIDTH * group + lane][at]);
            let plain = _mm512_xor_si512(gather(a, b, c, d), load_keys(&keys[0][group]));
            state[group] = _mm512_xor_si512(state[group], plain);
        }
        for keys in &keys[1..ROUND_KEYS - 1] {
            for group in 0..GROUPS {
                state[group] = _mm512_aesenc_epi128(state[group], load_keys(&keys[group]));
            }
        }
        for group in 0..GROUPS {
            let key = load_keys(&keys[ROUND_KEYS - 1][group]);
            state[group] = _mm512_aesenclast_epi128(state[group], key);
            let lane = WIDTH * group;
            store(&mut blocks[lane][at], _mm512_extracti32x4_epi32::<0>(state[group]));
            store(&mut blocks[lane + 1][at], _mm512_extracti32x4_epi32::<1>(state[group]));
            store(&mut blocks[lane + 2][at], _mm512_extracti32x4_epi32::<2>(state[group]));
            store(&mut blocks[lane + 3][at], _mm512_extracti32x4_epi32::<3>(state[group]));
        }
    }
    for group in 0..GROUPS {
        let lane = WIDTH * group;
        store(&mut chains[lane], _mm512_extracti32x4_epi32::<0>(state[group]));
        store(&mut chains[lane + 1], _mm512_extracti32x4_epi32::<1>(state[group]));
        store(&mut chains[lane + 2], _mm512_extracti32x4_epi32::<2>(state[group]));
        store(&mut chains[lane + 3], _mm512_extracti32x4_epi32::<3>(state[group]));
    }
}

/// Loads a block of each of four lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn gather(a: &Block, b: &Block, c: &Block, d: &Block) -> __m512i {
    let one = _mm512_castsi128_si512(load(a));
    let two = _mm512_inserti32x4::<1>(one, load(b));
    let three = _mm512_inserti32x4::<2>(two, load(c));
    _mm512_inserti32x4::<3>(three, load(d))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_keys(keys: &[Block; WIDTH]) -> __m512i {
    const { assert!(size_of::<__m512i>() == size_of::<[Block; WIDTH]>()) };
    #[expect(unsafe_code, reason = "a load")]
    // SAFETY: the array is as large as a vector, and the load needs no alignment.
    unsafe {
        _mm512_loadu_si512(ptr::from_ref(keys).cast())
    }
}
