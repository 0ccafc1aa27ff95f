//! Deterministic randomness: every value follows from the seed and the name of its use.

use sha2::{Digest as _, Sha256};

/// The number that all keys, salts and noise of a backup follow from.
///
/// Each value is derived from the seed and a label, never from a shared running state. So adding
/// an entry to a spec changes nothing about the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seed(pub u64);

impl Seed {
    /// Fills `out` with bytes that follow from the seed and `label`.
    ///
    /// Block `n` is SHA-256(seed, label length, label, n), the numbers as 8 bytes little-endian.
    pub fn fill(self, label: &[u8], out: &mut [u8]) {
        let mut start = Sha256::new();
        start.update(self.0.to_le_bytes());
        start.update((label.len() as u64).to_le_bytes());
        start.update(label);
        for (n, block) in out.chunks_mut(32).enumerate() {
            let mut hash = start.clone();
            hash.update((n as u64).to_le_bytes());
            let digest = hash.finalize();
            for (to, from) in block.iter_mut().zip(digest) {
                *to = from;
            }
        }
    }

    /// Returns `N` bytes that follow from the seed and `label`.
    #[must_use]
    pub fn bytes<const N: usize>(self, label: impl AsRef<[u8]>) -> [u8; N] {
        let mut out = [0; N];
        self.fill(label.as_ref(), &mut out);
        out
    }

    /// Returns `len` bytes that follow from the seed and `label`.
    #[must_use]
    pub fn noise(self, label: impl AsRef<[u8]>, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.fill(label.as_ref(), &mut out);
        out
    }

    /// Returns a random UUID (RFC 9562 version 4) that follows from the seed and `label`.
    #[must_use]
    pub fn uuid(self, label: impl AsRef<[u8]>) -> [u8; 16] {
        let mut uuid: [u8; 16] = self.bytes(label);
        uuid[6] = uuid[6] & 0x0f | 0x40;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        uuid
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn labels_and_seeds_separate() {
        let a: [u8; 32] = Seed(1).bytes("a");
        assert_ne!(a, Seed(1).bytes::<32>("b"));
        assert_ne!(a, Seed(2).bytes::<32>("a"));
    }

    #[test]
    fn a_longer_value_starts_with_the_shorter_one() {
        assert_eq!(Seed(9).noise("x", 100)[..33], Seed(9).bytes::<33>("x"));
    }

    #[test]
    fn uuids_say_version_4() {
        let uuid = Seed(3).uuid("bag");
        assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (4, 2));
    }
}
