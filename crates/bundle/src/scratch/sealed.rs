//! The file, and the key that it is under.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use aes::Aes256;
use bkp_crypto::SystemRandom;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use zeroize::{Zeroize as _, Zeroizing};

use super::ScratchPlace;

/// The bytes of an AES block.
const BLOCK: u64 = 16;

pub(super) struct SealedFile {
    file: File,
    key: ScratchKey,
}

/// Seals one scratch file, and is never anywhere but in memory.
struct ScratchKey(Box<Zeroizing<[u8; 32]>>);

impl ScratchKey {
    fn random() -> io::Result<Self> {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        let mut bytes = SystemRandom::bytes::<32>().map_err(io::Error::other)?;
        key.copy_from_slice(&bytes);
        bytes.zeroize();
        Ok(Self(key))
    }

    /// Encrypts or decrypts the bytes that are at an offset of the file.
    fn apply(&self, at: u64, bytes: &mut [u8]) {
        let counter = u128::from(at / BLOCK).to_be_bytes();
        let mut stream = Ctr128BE::<Aes256>::new((&**self.0).into(), &counter.into());
        // What is before the offset in its block takes its part of the block's key stream.
        let mut before = [0; 15];
        let skipped = usize::try_from(at % BLOCK).unwrap_or_default();
        stream.apply_keystream(before.get_mut(..skipped).unwrap_or_default());
        before.zeroize();
        stream.apply_keystream(bytes);
    }
}

impl SealedFile {
    pub(super) fn create(place: &ScratchPlace) -> io::Result<Self> {
        Ok(Self { key: ScratchKey::random()?, file: place.create()? })
    }

    /// Takes a file that a test has chosen.
    #[cfg(test)]
    pub(super) fn of(file: File) -> Self {
        Self { file, key: ScratchKey::random().unwrap() }
    }

    /// Encrypts bytes in their place and writes them. The caller writes no place twice.
    pub(super) fn write(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.key.apply(at, bytes);
        self.file.write_all_at(bytes, at)
    }

    pub(super) fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, at)?;
        self.key.apply(at, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::ScratchKey;

    /// AES-256 under the key of zeros: of block 0 as published by NIST (AESAVS, appendix B), of 1
    /// and 2 as cases 13 and 14 of the GCM specification have them.
    const STREAM: [u128; 3] = [
        0xdc95_c078_a240_8989_ad48_a214_9284_2087,
        0x530f_8afb_c745_36b9_a963_b4f1_c4cb_738b,
        0xcea7_403d_4d60_6b6e_074e_c5d3_baf3_9d18,
    ];

    #[test]
    fn the_key_stream_is_that_of_the_counter() {
        let key = ScratchKey(Box::new(Zeroizing::new([0; 32])));
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
        assert_ne!(**a.0, **b.0);
        assert_ne!(**a.0, [0; 32]);
    }
}
