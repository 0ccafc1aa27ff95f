//! Random bytes of the operating system, for keys, salts and names.

use crate::error::RandomError;

/// The random source of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SystemRandom;

impl SystemRandom {
    /// Returns `N` random bytes, such as a salt. Keys are made by their own types.
    ///
    /// # Errors
    ///
    /// Fails when the system has no random bytes to give.
    pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
        let mut bytes = [0; N];
        Self::fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns a random UUID, version 4 (RFC 9562 5.4), as the UUIDs of device keybags are.
    ///
    /// # Errors
    ///
    /// Fails when the system has no random bytes to give.
    pub fn uuid() -> Result<[u8; 16], RandomError> {
        let mut uuid = Self::bytes::<16>()?;
        uuid[6] = uuid[6] & 0x0f | 0x40;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        Ok(uuid)
    }

    /// Fills bytes in their place.
    pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
        getrandom::fill(bytes).map_err(RandomError)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::SystemRandom;

    #[test]
    fn uuids_are_of_version_4_and_differ() {
        let uuids: BTreeSet<_> = (0..200).map(|_| SystemRandom::uuid().unwrap()).collect();
        assert_eq!(uuids.len(), 200);
        for uuid in &uuids {
            assert_eq!(uuid[6] >> 4, 4);
            assert_eq!(uuid[8] >> 6, 0b10);
        }
        // Of the two bytes that carry fixed bits, the others are random.
        let low: BTreeSet<_> = uuids.iter().map(|uuid| uuid[6] & 0x0f).collect();
        let high: BTreeSet<_> = uuids.iter().map(|uuid| uuid[8] & 0x3f).collect();
        assert!(low.len() > 8 && high.len() > 30, "{low:?} {high:?}");
    }

    #[test]
    fn every_byte_is_filled() {
        let mut any = [0; 33];
        for _ in 0..50 {
            for (any, byte) in any.iter_mut().zip(SystemRandom::bytes::<33>().unwrap()) {
                *any |= byte;
            }
        }
        assert_eq!(any, [0xff; 33]);
    }
}
