//! Every kernel that works here, beside RFC 7914 and the `pbkdf2` crate.

use super::HmacSha256Kernel;
use crate::testing::Random;

/// SHA-256's start, FIPS 180-4, 5.3.3.
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// PBKDF2-HMAC-SHA256 with everything but the rounds from the `sha2` crate; `steps` cuts the rounds
/// into calls.
fn derive(kernel: HmacSha256Kernel, secret: &[u8], salt: &[u8], steps: &[u32]) -> [u8; 32] {
    let state_after = |pad: u8| {
        let mut block = [pad; 64];
        for (to, byte) in block.iter_mut().zip(secret) {
            *to ^= byte;
        }
        let mut state = START;
        sha2::block_api::compress256(&mut state, &[block]);
        state
    };
    assert!(secret.len() <= 64);
    let (inner, outer) = (state_after(0x36), state_after(0x5c));
    // One round, by the other crate, is U1.
    let mut first = [0; 32];
    ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>(secret, salt, 1, &mut first);
    let mut last = [0; 8];
    for (word, bytes) in last.iter_mut().zip(first.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let mut sum = last;
    for &rounds in steps {
        kernel.rounds(&inner, &outer, &mut last, &mut sum, rounds);
    }
    let mut out = [0; 32];
    for (to, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(sum) {
        *to = word.to_be_bytes();
    }
    out
}

/// RFC 7914 section 11, the first block of the second vector.
#[test]
fn rfc_7914() {
    let known: [u32; 8] = [
        0x4ddc_d8f6,
        0x0b98_be21,
        0x830c_ee5e,
        0xf227_01f9,
        0x641a_4418,
        0xd04c_0414,
        0xaeff_0887,
        0x6b34_ab56,
    ];
    for kernel in HmacSha256Kernel::all() {
        let out = derive(kernel, b"Password", b"NaCl", &[79_999]);
        assert_eq!(out.to_vec(), known.map(u32::to_be_bytes).concat(), "{kernel:?}");
    }
}

#[test]
fn rounds_may_be_cut_anywhere() {
    let mut theirs = [0; 32];
    ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>(b"secret", b"salt", 501, &mut theirs);
    for kernel in HmacSha256Kernel::all() {
        for steps in [&[500][..], &[0, 1, 499], &[250, 0, 250], &[499, 1], &[7; 71], &[1; 500]] {
            let done: u32 = steps.iter().sum();
            let mut steps = steps.to_vec();
            steps.push(500 - done);
            assert_eq!(derive(kernel, b"secret", b"salt", &steps), theirs, "{kernel:?} {steps:?}");
        }
    }
}

#[test]
fn agrees_with_the_pbkdf2_crate() {
    let mut random = Random::new(1);
    for _ in 0..300 {
        let (secret, salt) = (random.below(65), random.below(40));
        let (secret, salt) = (random.bytes(secret), random.bytes(salt));
        let rounds = u32::try_from(1 + random.below(40)).unwrap();
        let mut theirs = [0; 32];
        ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>(&secret, &salt, rounds, &mut theirs);
        for kernel in HmacSha256Kernel::all() {
            assert_eq!(derive(kernel, &secret, &salt, &[rounds - 1]), theirs, "{kernel:?}");
        }
    }
}

/// States that no passphrase is known to give: all bits of each word take part.
#[test]
fn kernels_agree_on_any_state() {
    let mut random = Random::new(2);
    let mut draw = || {
        let mut state = [0; 8];
        for word in &mut state {
            *word = random.word();
        }
        state
    };
    let extremes = [[0; 8], [u32::MAX; 8], [0x8000_0000; 8]];
    for n in 0..2_000 {
        let [inner, outer, last, sum] = std::array::from_fn(|at| {
            // All ways to put the extremes into the four places come first.
            let digit = n / 4_usize.pow(u32::try_from(at).unwrap()) % 4;
            if n < 256 && digit < 3 { extremes[digit] } else { draw() }
        });
        let run = |kernel: HmacSha256Kernel| {
            let (mut last, mut sum) = (last, sum);
            kernel.rounds(&inner, &outer, &mut last, &mut sum, 3);
            (last, sum)
        };
        let portable = run(HmacSha256Kernel::PORTABLE);
        for kernel in HmacSha256Kernel::all() {
            assert_eq!(run(kernel), portable, "{kernel:?}");
        }
    }
}
