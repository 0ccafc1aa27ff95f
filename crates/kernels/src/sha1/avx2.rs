//! SHA-1 of eight streams with AVX2.
//!
//! It is faster than one stream with SHA-NI, whose unit takes no more work from more streams on the
//! processors that were measured.
//!
//! # Safety
//!
//! Unsafe are the call into code compiled for instructions that a processor may lack, whose caller
//! holds a `Kind::Avx2`, made only where [`detected`] has said that this one has them; and loads and
//! stores through pointers made of references to arrays of exactly the size of a vector.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set_epi32, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sll_epi32, _mm256_srl_epi32,
    _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};
use std::ptr;

use super::Block;
use super::wide::rounds;

pub(super) const LANES: usize = 8;
/// With fewer streams than this, one after the other with SHA-NI is as fast.
pub(super) const FEWEST: usize = 5;

pub(super) fn detected() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Takes as many blocks as the shortest of `blocks` into every state.
pub(super) fn compress(states: &mut [[u32; LANES]; 5], blocks: &[&[Block]; LANES]) {
    debug_assert!(detected(), "the kernel was chosen where it cannot run");
    #[expect(unsafe_code, reason = "the processor has been asked")]
    // SAFETY: the caller holds a kernel that is made only where `detected` is true.
    unsafe {
        compress_here(states, blocks);
    }
}

/// What stands between rounds. There are too few registers to work ahead.
macro_rules! nothing {
    ($step:tt) => {};
}

#[target_feature(enable = "avx2")]
fn compress_here(states: &mut [[u32; LANES]; 5], blocks: &[&[Block]; LANES]) {
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    let blocks = blocks.map(|blocks| &blocks[..count]);
    let mut state = [_mm256_setzero_si256(); 5];
    for (to, from) in state.iter_mut().zip(&*states) {
        *to = load_words(from);
    }
    for at in 0..count {
        let mut w = [_mm256_setzero_si256(); 16];
        let mut halves = [[_mm256_setzero_si256(); 8]; 2];
        for (lane, blocks) in blocks.iter().enumerate() {
            for (rows, half) in halves.iter_mut().zip(blocks[at].as_chunks::<32>().0) {
                rows[lane] = load(half);
            }
        }
        w[..8].copy_from_slice(&transpose(halves[0]));
        w[8..].copy_from_slice(&transpose(halves[1]));
        state = rounds!(state, w, nothing);
    }
    for (to, from) in states.iter_mut().zip(state) {
        store_words(to, from);
    }
}

/// Loads half a block as eight big-endian words.
#[inline]
#[target_feature(enable = "avx2")]
fn load(half: &[u8; 32]) -> __m256i {
    const { assert!(size_of::<__m256i>() == 32) };
    #[expect(unsafe_code, reason = "a load")]
    // SAFETY: half a block is as large as a vector, and the load needs no alignment.
    let bytes = unsafe { _mm256_loadu_si256(ptr::from_ref(half).cast()) };
    let [a, b, c, d] = [0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203];
    _mm256_shuffle_epi8(bytes, _mm256_set_epi32(a, b, c, d, a, b, c, d))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_words(words: &[u32; 8]) -> __m256i {
    const { assert!(size_of::<__m256i>() == size_of::<[u32; 8]>()) };
    #[expect(unsafe_code, reason = "a load")]
    // SAFETY: the array is as large as a vector, and the load needs no alignment.
    unsafe {
        _mm256_loadu_si256(ptr::from_ref(words).cast())
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_words(words: &mut [u32; 8], from: __m256i) {
    const { assert!(size_of::<__m256i>() == size_of::<[u32; 8]>()) };
    #[expect(unsafe_code, reason = "a store")]
    // SAFETY: the array is as large as a vector, and the store needs no alignment.
    unsafe {
        _mm256_storeu_si256(ptr::from_mut(words).cast(), from);
    }
}

/// Turns vectors of one lane's words each into vectors of one word of every lane.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    // Within each half of the vectors: four rows by four columns.
    let mut halves = [_mm256_setzero_si256(); 8];
    for (to, from) in halves.as_chunks_mut::<4>().0.iter_mut().zip(rows.as_chunks::<4>().0) {
        let low =
            [_mm256_unpacklo_epi32(from[0], from[1]), _mm256_unpacklo_epi32(from[2], from[3])];
        let high =
            [_mm256_unpackhi_epi32(from[0], from[1]), _mm256_unpackhi_epi32(from[2], from[3])];
        *to = [
            _mm256_unpacklo_epi64(low[0], low[1]),
            _mm256_unpackhi_epi64(low[0], low[1]),
            _mm256_unpacklo_epi64(high[0], high[1]),
            _mm256_unpackhi_epi64(high[0], high[1]),
        ];
    }
    let mut columns = [_mm256_setzero_si256(); 8];
    for at in 0..4 {
        columns[at] = _mm256_permute2x128_si256::<0x20>(halves[at], halves[at + 4]);
        columns[at + 4] = _mm256_permute2x128_si256::<0x31>(halves[at], halves[at + 4]);
    }
    columns
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const BITS: i32>(a: __m256i) -> __m256i {
    let (left, right) = (_mm_cvtsi32_si128(BITS), _mm_cvtsi32_si128(32 - BITS));
    _mm256_or_si256(_mm256_sll_epi32(a, left), _mm256_srl_epi32(a, right))
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor4(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d))
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn parity(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(b, c), d)
}

#[inline]
#[target_feature(enable = "avx2")]
fn majority(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
    let both = _mm256_and_si256(b, c);
    _mm256_or_si256(both, _mm256_and_si256(d, _mm256_or_si256(b, c)))
}
