//! SHA-1 of sixteen streams with AVX-512.
//!
//! # Safety
//!
//! Unsafe are the call into code compiled for instructions that a processor may lack, whose caller
//! holds a `Kind::Avx512`, made only where [`detected`] has said that this one has them; and loads and
//! stores through pointers made of references to arrays of exactly the size of a vector.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32,
    _mm512_set4_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4,
    _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};
use std::ptr;

use super::wide::rounds;
use super::{BLOCK, Block};

pub(super) const LANES: usize = 16;
/// With fewer streams than this, one after the other with SHA-NI is as fast.
pub(super) const FEWEST: usize = 5;

pub(super) fn detected() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
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

#[target_feature(enable = "avx512f,avx512bw")]
fn compress_here(states: &mut [[u32; LANES]; 5], blocks: &[&[Block]; LANES]) {
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    let blocks = blocks.map(|blocks| &blocks[..count]);
    let mut state = [_mm512_setzero_si512(); 5];
    for (to, from) in state.iter_mut().zip(&*states) {
        *to = load_words(from);
    }
    for at in 0..count {
        let mut w = [_mm512_setzero_si512(); 16];
        for (to, blocks) in w.iter_mut().zip(&blocks) {
            *to = load(&blocks[at]);
        }
        let mut w = transpose(w);
        state = rounds!(state, w);
    }
    for (to, from) in states.iter_mut().zip(state) {
        store_words(to, from);
    }
}

/// Loads a block as sixteen big-endian words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load(block: &Block) -> __m512i {
    const { assert!(size_of::<__m512i>() == BLOCK) };
    #[expect(unsafe_code, reason = "a load")]
    // SAFETY: a block is as large as a vector, and the load needs no alignment.
    let bytes = unsafe { _mm512_loadu_si512(ptr::from_ref(block).cast()) };
    let swap = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    _mm512_shuffle_epi8(bytes, swap)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_words(words: &[u32; 16]) -> __m512i {
    const { assert!(size_of::<__m512i>() == size_of::<[u32; 16]>()) };
    #[expect(unsafe_code, reason = "a load")]
    // SAFETY: the array is as large as a vector, and the load needs no alignment.
    unsafe {
        _mm512_loadu_si512(ptr::from_ref(words).cast())
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_words(words: &mut [u32; 16], from: __m512i) {
    const { assert!(size_of::<__m512i>() == size_of::<[u32; 16]>()) };
    #[expect(unsafe_code, reason = "a store")]
    // SAFETY: the array is as large as a vector, and the store needs no alignment.
    unsafe {
        _mm512_storeu_si512(ptr::from_mut(words).cast(), from);
    }
}

/// Turns vectors of one lane's words each into vectors of one word of every lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    // Within each quarter of the vectors: four rows by four columns.
    let mut quarters = [_mm512_setzero_si512(); 16];
    for (to, from) in quarters.as_chunks_mut::<4>().0.iter_mut().zip(rows.as_chunks::<4>().0) {
        let low =
            [_mm512_unpacklo_epi32(from[0], from[1]), _mm512_unpacklo_epi32(from[2], from[3])];
        let high =
            [_mm512_unpackhi_epi32(from[0], from[1]), _mm512_unpackhi_epi32(from[2], from[3])];
        *to = [
            _mm512_unpacklo_epi64(low[0], low[1]),
            _mm512_unpackhi_epi64(low[0], low[1]),
            _mm512_unpacklo_epi64(high[0], high[1]),
            _mm512_unpackhi_epi64(high[0], high[1]),
        ];
    }
    // The quarters themselves: four rows of them by four columns.
    let mut columns = [_mm512_setzero_si512(); 16];
    for at in 0..4 {
        let [a, b, c, d] = [quarters[at], quarters[at + 4], quarters[at + 8], quarters[at + 12]];
        let even = [_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d)];
        let odd = [_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(c, d)];
        columns[at] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
        columns[at + 4] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
        columns[at + 8] = _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]);
        columns[at + 12] = _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]);
    }
    columns
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate<const BITS: i32>(a: __m512i) -> __m512i {
    _mm512_rol_epi32::<BITS>(a)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor4(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_xor_si512(parity(a, b, c), d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xca>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn parity(b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(b, c, d)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xe8>(b, c, d)
}
