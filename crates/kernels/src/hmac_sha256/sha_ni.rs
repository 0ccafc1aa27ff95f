//! The rounds with the SHA extensions of x86-64.
//!
//! A round is two compressions one after the other, so it cannot take less than the chain of its 64
//! `sha256rnds2`, 4 cycles each. What is done to get near:
//!
//! * The state goes from one compression into the next as it is. The feed-forward and the first
//!   constants are one addition (`Fold`), and the rest of the message never changes.
//! * The chain of the message schedule is one `sha256msg2` and one addition for four words, which
//!   is shorter than their four rounds: of the four words W[t-7..t-4] that are added, only the last
//!   is new, and no other word of the group depends on it. So it is added at the end.
//! * No bytes are swapped: message words are state words.
//!
//! # Safety
//!
//! The one unsafe call enters code compiled for instructions that a processor may lack. Its caller
//! holds a `Kind::ShaNi`, which is made only where [`detected`] has said that this one has them. There
//! are no pointers. What is left in registers and spilled stack slots is not wiped.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_bslli_si128, _mm_bsrli_si128, _mm_castps_si128, _mm_castsi128_ps,
    _mm_extract_epi32, _mm_set_epi32, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32,
    _mm_sha256rnds2_epu32, _mm_shuffle_epi32, _mm_shuffle_ps, _mm_xor_si128,
};

/// The constants of the rounds. Source: FIPS 180-4, 4.2.2.
#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// Words 8 to 15 of every message: the padding, and 96 bytes as bits.
const PADDING: [u32; 8] = [0x8000_0000, 0, 0, 0, 0, 0, 0, 768];

pub(super) fn detected() -> bool {
    is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("ssse3")
}

pub(super) fn rounds(
    inner: &[u32; 8],
    outer: &[u32; 8],
    last: &mut [u32; 8],
    sum: &mut [u32; 8],
    rounds: u32,
) {
    debug_assert!(detected(), "the kernel was chosen where it cannot run");
    #[expect(unsafe_code, reason = "the processor has been asked")]
    // SAFETY: the caller holds a kernel that is made only where `detected` is true.
    unsafe {
        rounds_here(inner, outer, last, sum, rounds);
    }
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn rounds_here(
    inner: &[u32; 8],
    outer: &[u32; 8],
    last: &mut [u32; 8],
    sum: &mut [u32; 8],
    rounds: u32,
) {
    if rounds == 0 {
        return;
    }
    let (inner_start, outer_start) = (State::new(inner), State::new(outer));
    let (fold_inner, fold_outer) = (Fold::new(inner), Fold::new(outer));
    let mut sums = [words(sum, 0), words(sum, 4)];
    // The first message is a digest already: nothing is to be fed forward.
    let mut fold = Fold::new(&[0; 8]);
    let mut state = State::new(last);
    let mut digest = [words(last, 0), words(last, 4)];
    for _ in 0..rounds {
        state = compress(state, &fold, inner_start);
        state = compress(state, &fold_inner, outer_start);
        digest = fold_outer.words(state);
        sums = [_mm_xor_si128(sums[0], digest[0]), _mm_xor_si128(sums[1], digest[1])];
        fold = fold_outer;
    }
    store(last, digest);
    store(sum, sums);
}

/// A state as the instructions have it, lowest word first.
#[derive(Clone, Copy)]
struct State {
    /// F, E, B, A.
    abef: __m128i,
    /// H, G, D, C.
    cdgh: __m128i,
}

impl State {
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn new(words: &[u32; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
        Self { abef: _mm_set_epi32(a, b, e, f), cdgh: _mm_set_epi32(c, d, g, h) }
    }
}

/// What is added to a state to make it a digest, and to make its words those of the first rounds.
#[derive(Clone, Copy)]
struct Fold {
    /// Words 0 to 3 and 4 to 7 of the state before.
    start: [__m128i; 2],
    /// The same two by two, in the low half, with the constants of the first eight rounds.
    rounds: [__m128i; 4],
}

impl Fold {
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn new(start: &[u32; 8]) -> Self {
        let pair = |at: usize| {
            let [low, high] = [at, at + 1].map(|i| start[i].wrapping_add(K[i]).cast_signed());
            _mm_set_epi32(0, 0, high, low)
        };
        Self {
            start: [words(start, 0), words(start, 4)],
            rounds: [pair(0), pair(2), pair(4), pair(6)],
        }
    }

    /// Returns the digest of a state.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn words(&self, state: State) -> [__m128i; 2] {
        let (abef, cdgh) = (_mm_castsi128_ps(state.abef), _mm_castsi128_ps(state.cdgh));
        [
            _mm_add_epi32(_mm_castps_si128(_mm_shuffle_ps::<0xBB>(abef, cdgh)), self.start[0]),
            _mm_add_epi32(_mm_castps_si128(_mm_shuffle_ps::<0x11>(abef, cdgh)), self.start[1]),
        ]
    }
}

/// Does two rounds; the words with their constants are in the low half of `wk`.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn two(state: State, wk: __m128i) -> State {
    State { abef: _mm_sha256rnds2_epu32(state.cdgh, state.abef, wk), cdgh: state.abef }
}

/// Does four rounds.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn four(state: State, wk: __m128i) -> State {
    two(two(state, wk), _mm_shuffle_epi32::<0x0E>(wk))
}

/// Compresses the digest of `message` into `start`, without the feed-forward.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn compress(message: State, fold: &Fold, start: State) -> State {
    let State { abef, cdgh } = message;
    let mut state = start;
    state = two(state, _mm_add_epi32(_mm_shuffle_epi32::<0x0B>(abef), fold.rounds[0]));
    state = two(state, _mm_add_epi32(_mm_shuffle_epi32::<0x0B>(cdgh), fold.rounds[1]));
    state = two(state, _mm_add_epi32(_mm_shuffle_epi32::<0x01>(abef), fold.rounds[2]));
    state = two(state, _mm_add_epi32(_mm_shuffle_epi32::<0x01>(cdgh), fold.rounds[3]));

    let [mut w0, mut w1] = fold.words(message);
    let (mut w2, mut w3) = (words(&PADDING, 0), words(&PADDING, 4));
    state = four(state, _mm_add_epi32(w2, words(&K, 8)));
    state = four(state, _mm_add_epi32(w3, words(&K, 12)));
    // Unrolled, so that words stay in registers. The words after the last are never used, and so
    // are not computed.
    macro_rules! sixteen {
        ($at:literal) => {
            w0 = next(w0, w1, w2, w3);
            state = four(state, _mm_add_epi32(w0, words(&K, $at)));
            w1 = next(w1, w2, w3, w0);
            state = four(state, _mm_add_epi32(w1, words(&K, $at + 4)));
            w2 = next(w2, w3, w0, w1);
            state = four(state, _mm_add_epi32(w2, words(&K, $at + 8)));
            w3 = next(w3, w0, w1, w2);
            state = four(state, _mm_add_epi32(w3, words(&K, $at + 12)));
        };
    }
    sixteen!(16);
    sixteen!(32);
    sixteen!(48);
    state
}

/// Returns words t to t+3 of the schedule, given words t-16 to t-1.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn next(w0: __m128i, w1: __m128i, w2: __m128i, w3: __m128i) -> __m128i {
    let early = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_bsrli_si128::<4>(w2));
    _mm_add_epi32(_mm_sha256msg2_epu32(early, w3), _mm_bslli_si128::<12>(w3))
}

/// Returns four words from `at` on.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn words<const N: usize>(from: &[u32; N], at: usize) -> __m128i {
    let [a, b, c, d] = [at, at + 1, at + 2, at + 3].map(|i| from[i].cast_signed());
    _mm_set_epi32(d, c, b, a)
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn store(to: &mut [u32; 8], [low, high]: [__m128i; 2]) {
    for (to, from) in to.as_chunks_mut::<4>().0.iter_mut().zip([low, high]) {
        *to = [
            _mm_extract_epi32::<0>(from),
            _mm_extract_epi32::<1>(from),
            _mm_extract_epi32::<2>(from),
            _mm_extract_epi32::<3>(from),
        ]
        .map(i32::cast_unsigned);
    }
}
