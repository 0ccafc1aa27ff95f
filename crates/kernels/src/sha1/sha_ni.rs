//! SHA-1 of a few streams with the SHA extensions of x86-64.
//!
//! One stream waits for each `sha1rnds4`; the instructions of others fill the gaps.
//!
//! # Safety
//!
//! Unsafe are the call into code compiled for instructions that a processor may lack, whose caller
//! holds a `Kind::ShaNi`, made only where [`detected`] has said that this one has them; and loads
//! through pointers made of references to arrays of exactly the size of a vector.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32, _mm_set_epi64x,
    _mm_setzero_si128, _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32,
    _mm_sha1rnds4_epu32, _mm_shuffle_epi8, _mm_xor_si128,
};
use std::ptr;

use super::Block;

pub(super) const LANES: usize = 4;
/// With fewer streams than this there is nothing to interleave.
pub(super) const FEWEST: usize = 2;

pub(super) fn detected() -> bool {
    is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("ssse3")
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

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn compress_here(states: &mut [[u32; LANES]; 5], blocks: &[&[Block]; LANES]) {
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    let blocks = blocks.map(|blocks| &blocks[..count]);
    let mut abcd = [_mm_setzero_si128(); LANES];
    let mut e = [_mm_setzero_si128(); LANES];
    for lane in 0..LANES {
        let [a, b, c, d, last] = states.each_ref().map(|words| words[lane].cast_signed());
        abcd[lane] = _mm_set_epi32(a, b, c, d);
        e[lane] = _mm_set_epi32(last, 0, 0, 0);
    }
    for at in 0..count {
        let (abcd_before, e_before) = (abcd, e);
        let mut w = [[_mm_setzero_si128(); LANES]; 4];
        for (part, w) in w.iter_mut().enumerate() {
            for (to, blocks) in w.iter_mut().zip(&blocks) {
                *to = load(&blocks[at].as_chunks::<16>().0[part]);
            }
        }
        // Between groups, `e` is the state whose first word, rotated, is the next E.
        macro_rules! four {
            ($group:expr, $f:literal) => {
                if $group >= 4 {
                    for lane in 0..LANES {
                        let early = _mm_xor_si128(
                            _mm_sha1msg1_epu32(w[$group % 4][lane], w[($group + 1) % 4][lane]),
                            w[($group + 2) % 4][lane],
                        );
                        w[$group % 4][lane] = _mm_sha1msg2_epu32(early, w[($group + 3) % 4][lane]);
                    }
                }
                for lane in 0..LANES {
                    let words = if $group == 0 {
                        _mm_add_epi32(e[lane], w[0][lane])
                    } else {
                        _mm_sha1nexte_epu32(e[lane], w[$group % 4][lane])
                    };
                    e[lane] = abcd[lane];
                    abcd[lane] = _mm_sha1rnds4_epu32::<$f>(abcd[lane], words);
                }
            };
        }
        macro_rules! twenty {
            ($group:expr, $f:literal) => {
                four!($group, $f);
                four!($group + 1, $f);
                four!($group + 2, $f);
                four!($group + 3, $f);
                four!($group + 4, $f);
            };
        }
        twenty!(0, 0);
        twenty!(5, 1);
        twenty!(10, 2);
        twenty!(15, 3);
        for lane in 0..LANES {
            abcd[lane] = _mm_add_epi32(abcd[lane], abcd_before[lane]);
            e[lane] = _mm_sha1nexte_epu32(e[lane], e_before[lane]);
        }
    }
    for lane in 0..LANES {
        let (abcd, e) = (abcd[lane], e[lane]);
        let words = [
            _mm_extract_epi32::<3>(abcd),
            _mm_extract_epi32::<2>(abcd),
            _mm_extract_epi32::<1>(abcd),
            _mm_extract_epi32::<0>(abcd),
            _mm_extract_epi32::<3>(e),
        ];
        for (to, word) in states.iter_mut().zip(words) {
            to[lane] = word.cast_unsigned();
        }
    }
}

/// Loads four big-endian words, the first one highest.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn load(bytes: &[u8; 16]) -> __m128i {
    const { assert!(size_of::<__m128i>() == 16) };
    #[expect(unsafe_code, reason = "a load")]
    // SAFETY: the array is as large as a vector, and the load needs no alignment.
    let bytes = unsafe { _mm_loadu_si128(ptr::from_ref(bytes).cast()) };
    _mm_shuffle_epi8(bytes, _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f))
}
