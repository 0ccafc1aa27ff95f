//! SHA-1 of sixteen streams with AVX-512.
//!
//! # Safety
//!
//! Unsafe are the call into code compiled for instructions that a processor may lack, whose caller
//! holds a `Kind::Avx512`, made only where [`detected`] has said that this one has them; loads and stores
//! through pointers made of references to arrays of exactly the size of a vector; and loads of blocks
//! by number, which are kept below the number of blocks that every lane has.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32,
    _mm512_set4_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4,
    _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};
use std::marker::PhantomData;
use std::ptr;

use super::wide::rounds;
use super::{BLOCK, Block};

pub(super) const LANES: usize = 16;
/// With fewer streams than this, one after the other with SHA-NI is as fast.
pub(super) const FEWEST: usize = 4;

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

/// Turning words around needs one unit of the processor and the rounds need another as much, so the
/// next block of each lane is turned around between the rounds of this one.
#[target_feature(enable = "avx512f,avx512bw")]
fn compress_here(states: &mut [[u32; LANES]; 5], blocks: &[&[Block]; LANES]) {
    let Some(rows) = Rows::new(blocks) else { return };
    let mut state = [_mm512_setzero_si512(); 5];
    for (to, from) in state.iter_mut().zip(&*states) {
        *to = load_words(from);
    }
    let mut quarters = [[_mm512_setzero_si512(); 4]; 4];
    let mut words = [_mm512_setzero_si512(); 16];
    let mut next = [_mm512_setzero_si512(); 16];
    for (n, quarter) in quarters.iter_mut().enumerate() {
        *quarter = within_quarters(rows.four(n, 0));
    }
    for n in 0..4 {
        quarters_themselves(&quarters, n, &mut words);
    }
    for at in 0..rows.count {
        let ahead = at + 1;
        macro_rules! between {
            (0) => {
                quarters[0] = within_quarters(rows.four(0, ahead));
            };
            (2) => {
                quarters[1] = within_quarters(rows.four(1, ahead));
            };
            (4) => {
                quarters[2] = within_quarters(rows.four(2, ahead));
            };
            (6) => {
                quarters[3] = within_quarters(rows.four(3, ahead));
            };
            (8) => {
                quarters_themselves(&quarters, 0, &mut next);
            };
            (10) => {
                quarters_themselves(&quarters, 1, &mut next);
            };
            (12) => {
                quarters_themselves(&quarters, 2, &mut next);
            };
            (14) => {
                quarters_themselves(&quarters, 3, &mut next);
            };
            ($step:tt) => {};
        }
        state = rounds!(state, words, between);
        words = next;
    }
    for (to, from) in states.iter_mut().zip(state) {
        store_words(to, from);
    }
}

/// The blocks of every lane, of which there are `count` each.
struct Rows<'b> {
    starts: [*const Block; LANES],
    count: usize,
    lanes: PhantomData<&'b [Block]>,
}

impl<'b> Rows<'b> {
    /// Returns nothing when a lane is empty.
    fn new(blocks: &[&'b [Block]; LANES]) -> Option<Self> {
        let count = blocks.iter().map(|blocks| blocks.len()).min().filter(|&count| count > 0)?;
        Some(Self { starts: blocks.map(<[Block]>::as_ptr), count, lanes: PhantomData })
    }

    /// Loads block `at` of lanes `4 * n` and the three after it as big-endian words; the last block
    /// where there is none of that number, without a branch that would part the rounds around it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn four(&self, n: usize, at: usize) -> [__m512i; 4] {
        const { assert!(size_of::<__m512i>() == BLOCK) };
        let at = at.min(self.count - 1);
        let swap = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
        let mut rows = [_mm512_setzero_si512(); 4];
        for (row, start) in rows.iter_mut().zip(&self.starts[4 * n..]) {
            #[expect(unsafe_code, reason = "a load")]
            // SAFETY: `at` is less than `count`, which is not 0, and no lane has fewer blocks than
            // that. A block is as large as a vector, and the load needs no alignment.
            let bytes = unsafe { _mm512_loadu_si512(start.add(at).cast()) };
            *row = _mm512_shuffle_epi8(bytes, swap);
        }
        rows
    }
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

/// Turns four lanes' words around within each quarter of the vectors: four rows by four columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn within_quarters(rows: [__m512i; 4]) -> [__m512i; 4] {
    let [a, b, c, d] = rows;
    let low = [_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d)];
    let high = [_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d)];
    [
        _mm512_unpacklo_epi64(low[0], low[1]),
        _mm512_unpackhi_epi64(low[0], low[1]),
        _mm512_unpacklo_epi64(high[0], high[1]),
        _mm512_unpackhi_epi64(high[0], high[1]),
    ]
}

/// Turns the quarters themselves around, which gives words `at`, `at + 4`, `at + 8` and `at + 12`
/// of every lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters_themselves(quarters: &[[__m512i; 4]; 4], at: usize, words: &mut [__m512i; 16]) {
    let [a, b, c, d] = quarters.each_ref().map(|rows| rows[at]);
    let even = [_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d)];
    let odd = [_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(c, d)];
    words[at] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
    words[at + 4] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
    words[at + 8] = _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]);
    words[at + 12] = _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]);
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
