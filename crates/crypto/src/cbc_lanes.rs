//! AES-256-CBC of several payloads at once, for what writes them.
//!
//! ```text
//! C[n] = E(K, P[n] ^ C[n-1]),  C[-1] = 0        (NIST SP 800-38A 6.2)
//! ```
//!
//! One payload is encrypted block after block, each of which waits for the one before, so a processor
//! is busy only with several. Who writes holds [`CbcLanes::lanes`] payloads or some more, reads 32 to
//! 64 KiB of each, encrypts them together, and takes another payload as each ends. The longest ones
//! come first, since the last one to end is alone.

use std::fmt;

use bkp_kernels::{CbcKernel, CbcPiece, CbcStream};

use crate::secret::{FileKey, Key as _};

/// The bytes of an AES block.
const BLOCK: usize = 16;

/// Encrypts payloads side by side, with the best that this processor has.
#[derive(Clone, Copy, Debug)]
pub struct CbcLanes(CbcKernel);

impl Default for CbcLanes {
    fn default() -> Self {
        Self::new()
    }
}

/// A payload that is being encrypted. It holds its expanded key, which is wiped when dropped.
pub struct CbcPayload(CbcStream);

impl fmt::Debug for CbcPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CbcPayload([redacted])")
    }
}

impl CbcLanes {
    /// Asks the processor what it has.
    #[must_use]
    pub fn new() -> Self {
        Self(CbcKernel::detect())
    }

    /// Returns how many payloads are worked on at once: 1, 8 or 16.
    #[must_use]
    pub fn lanes(self) -> usize {
        self.0.lanes()
    }

    /// Starts a payload, with a zero IV.
    #[must_use]
    pub fn start(self, key: &FileKey) -> CbcPayload {
        CbcPayload(self.0.start(key.expose(), &[0; BLOCK]))
    }

    /// Encrypts the next blocks of each payload in their place.
    ///
    /// Any number of payloads may come, and blocks of any number of each. The last bytes of a
    /// payload are brought to whole blocks by [`pad`](crate::pad).
    pub fn encrypt<'p>(
        self,
        pieces: impl IntoIterator<Item = (&'p mut CbcPayload, &'p mut [[u8; BLOCK]])>,
    ) {
        let mut pieces: Vec<_> = pieces
            .into_iter()
            .map(|(payload, blocks)| CbcPiece { stream: &mut payload.0, blocks })
            .collect();
        self.0.encrypt(&mut pieces);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::CbcLanes;
    use crate::secret::{FileKey, Key as _};
    use crate::testing::Random;
    use crate::{CbcReader, Ending, padding_len};

    fn keys(random: &mut Random, count: usize) -> Vec<FileKey> {
        (0..count).map(|_| FileKey::init(|key| key.copy_from_slice(&random.bytes(32)))).collect()
    }

    fn pad(last: &mut Vec<u8>) {
        let len = last.len();
        last.resize(len + padding_len(len), 0);
        crate::pad(&mut last[len..]);
    }

    /// The reader, which is another implementation, gives back what was encrypted.
    #[test]
    fn what_lanes_write_the_reader_reads() {
        let mut random = Random::new(11);
        let lanes = CbcLanes::new();
        for count in [1, 2, 16, 33] {
            let keys = keys(&mut random, count);
            let plain: Vec<_> = (0..count)
                .map(|n| {
                    let len = if n < 20 { n } else { random.below(5_000) };
                    random.bytes(len)
                })
                .collect();
            let mut stored = plain.clone();
            stored.iter_mut().for_each(pad);
            let mut payloads: Vec<_> = keys.iter().map(|key| lanes.start(key)).collect();
            // By so many blocks a call.
            let step = 1 + random.below(100);
            for at in (0..400).step_by(step) {
                lanes.encrypt(payloads.iter_mut().zip(&mut stored).map(|(payload, stored)| {
                    let blocks = stored.as_chunks_mut().0;
                    let end = blocks.len().min(at + step);
                    (payload, &mut blocks[at.min(end)..end])
                }));
            }
            for ((key, plain), stored) in keys.iter().zip(&plain).zip(&stored) {
                let mut padded = plain.clone();
                pad(&mut padded);
                assert_ne!(stored, &padded, "encrypted");
                let mut reader = CbcReader::new(&stored[..], key);
                let mut read = Vec::new();
                reader.read_to_end(&mut read).unwrap();
                assert_eq!((&read, reader.ending()), (plain, Some(Ending::Padded)));
            }
        }
    }

    /// RFC 5652 6.3, for every length around a block.
    #[test]
    fn padding_fills_the_block_and_names_its_length() {
        for len in 0..=48 {
            let mut last = vec![0xaa; len];
            pad(&mut last);
            let n = last.len() - len;
            assert!((1..=16).contains(&n) && last.len().is_multiple_of(16));
            assert_eq!(last[len..], vec![u8::try_from(n).unwrap(); n]);
        }
    }

    #[test]
    fn payloads_do_not_print() {
        let key = FileKey::init(|key| key.fill(0x41));
        assert_eq!(key.expose(), &[0x41; 32]);
        let payload = CbcLanes::new().start(&key);
        assert_eq!(format!("{payload:?}"), "CbcPayload([redacted])");
    }
}
