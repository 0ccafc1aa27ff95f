//! AES-256-CTR over a file that only the process which made it can read.
//!
//! ```text
//! C = P ^ E(K, 0) E(K, 1) E(K, 2) …      counter: offset in the file / 16  (NIST SP 800-38A 6.5)
//! ```
//!
//! Nothing is authenticated: who can change the file under a running process can change the process.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use zeroize::Zeroize as _;

use crate::secret::{Key as _, ScratchKey};

/// The bytes of an AES block.
const BLOCK: u64 = 16;

impl ScratchKey {
    /// Encrypts or decrypts the bytes that are at `at`, an offset in bytes of the file.
    ///
    /// Different bytes must never be encrypted for one offset: their difference could be read.
    pub fn apply(&self, at: u64, bytes: &mut [u8]) {
        let counter = u128::from(at / BLOCK).to_be_bytes();
        let mut stream = Ctr128BE::<Aes256>::new(self.expose().into(), &counter.into());
        // What is before the offset in its block takes its part of the block's key stream.
        let mut before = [0; 15];
        let skipped = usize::try_from(at % BLOCK).unwrap_or_default();
        stream.apply_keystream(before.get_mut(..skipped).unwrap_or_default());
        before.zeroize();
        stream.apply_keystream(bytes);
    }
}

#[cfg(test)]
mod tests {
    use crate::secret::{Key as _, ScratchKey};

    /// AES-256 under the key of zeros: of block 0 as published by NIST (AESAVS, appendix B), of 1
    /// and 2 as cases 13 and 14 of the GCM specification have them.
    const STREAM: [u128; 3] = [
        0xdc95_c078_a240_8989_ad48_a214_9284_2087,
        0x530f_8afb_c745_36b9_a963_b4f1_c4cb_738b,
        0xcea7_403d_4d60_6b6e_074e_c5d3_baf3_9d18,
    ];

    #[test]
    fn the_key_stream_is_that_of_the_counter() {
        let key = ScratchKey::init(|key| key.fill(0));
        let stream: Vec<u8> = STREAM.iter().flat_map(|block| block.to_be_bytes()).collect();
        for from in 0..stream.len() {
            for to in from..stream.len() {
                let mut bytes = vec![0; to - from];
                key.apply(from as u64, &mut bytes);
                assert_eq!(bytes, stream[from..to], "{from}..{to}");
            }
        }
    }

    #[test]
    fn every_file_has_its_own_key() {
        let [a, b] = [(); 2].map(|()| ScratchKey::random().unwrap());
        assert_ne!(a.expose(), b.expose());
        assert_ne!(a.expose(), &[0; 32]);
    }
}
