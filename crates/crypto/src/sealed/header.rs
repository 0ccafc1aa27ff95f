//! The header of a sealed stream: where its key comes from.
//!
//! ```text
//!  0  8  89 42 4b 50 5a 0d 0a 1a      52 32  key check
//!  8  1  version, 1                   84  4  checksum: SHA-256 of bytes 0 to 83, its first four
//!  9  1  0 key file, 1 PBKDF2
//! 10  2  zero                         integers are big-endian
//! 12  4  bytes of a segment
//! 16  4  rounds, 0 for a key file     key check = HKDF-SHA256(archive key,
//! 20 32  salt, zero for a key file        salt = bytes 0 to 51, info = "bkp sealed key check")
//! ```
//!
//! The checksum finds accidents before a key is derived for minutes. The key check tells a wrong
//! key from damage. It also binds the key: for AES-GCM alone there can be ciphertexts that open
//! with two keys.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::num::NonZeroU32;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::error::SealedError;
use super::segment::{self, STREAM_HEADER, TAG};
use crate::kdf::{OnProgress, Pbkdf2, pbkdf2_sha256};
use crate::random::SystemRandom;
use crate::secret::{ArchiveKey, Key as _, Passphrase};

/// What is written and accepted.
pub mod sealed_limits {
    /// Bytes of the header.
    pub const HEADER: usize = 88;
    /// Bytes that tell a sealed stream from anything else.
    pub const MAGIC: [u8; 8] = *b"\x89BKPZ\r\n\x1a";
    /// The least bytes of a segment with its tag. Small ones are for tests.
    pub const LEAST_SEGMENT: u32 = 64;
    /// The most bytes of a segment with its tag.
    pub const MOST_SEGMENT: u32 = 16 << 20;
    /// Bytes of a segment that are written when nothing else is asked for.
    pub const DEFAULT_SEGMENT: u32 = 1 << 20;
    /// The least rounds that are written.
    pub const LEAST_ROUNDS: u32 = 600_000;
}

use sealed_limits::{DEFAULT_SEGMENT, HEADER, LEAST_ROUNDS, LEAST_SEGMENT, MAGIC, MOST_SEGMENT};

const VERSION: u8 = 1;
const CHECK_INFO: &[u8] = b"bkp sealed key check";
/// Bytes before the key check, which covers them.
const CHECKED: usize = 52;
/// Bytes before the checksum, which covers them.
const SUMMED: usize = 84;

/// Where the key of a sealed stream comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeySource {
    /// Thirty-two bytes that the user keeps in a file.
    KeyFile,
    /// PBKDF2-HMAC-SHA256 of a passphrase.
    Passphrase(Pbkdf2),
}

/// The header of a sealed stream, read and found whole. Nothing in it is secret.
#[derive(Clone, Debug)]
pub struct SealedHeader {
    bytes: [u8; HEADER],
    key_source: KeySource,
    segment_size: u32,
    check: [u8; 32],
}

/// How a stream is to be sealed.
#[derive(Clone, Copy, Debug)]
pub struct SealOptions {
    /// Bytes of a segment with its tag: 64 to 16 MiB.
    pub segment_size: u32,
    /// PBKDF2 rounds: 600,000 or more. Without meaning for a key file.
    pub rounds: u32,
}

impl Default for SealOptions {
    fn default() -> Self {
        Self { segment_size: DEFAULT_SEGMENT, rounds: LEAST_ROUNDS }
    }
}

/// A header and the key that belongs to it: all that is needed to seal one stream.
#[derive(Debug)]
pub struct Sealing {
    pub(super) header: SealedHeader,
    pub(super) key: ArchiveKey,
}

impl SealedHeader {
    /// Reads a header, of which `bytes` must hold the first 88 bytes at least.
    ///
    /// # Errors
    ///
    /// Fails on anything that is not a whole header of version 1.
    pub fn parse(bytes: &[u8]) -> Result<Self, SealedError> {
        let magic = bytes.get(..MAGIC.len()).unwrap_or(bytes);
        if magic != MAGIC {
            let begins = !magic.is_empty() && MAGIC.starts_with(magic);
            let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            return Err(if begins {
                SealedError::Truncated { len }
            } else {
                SealedError::NotSealed
            });
        }
        if let Some(&version) = bytes.get(8)
            && version != VERSION
        {
            return Err(SealedError::Version { version });
        }
        let Some(bytes) = bytes.first_chunk::<HEADER>() else {
            let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            return Err(SealedError::Truncated { len });
        };
        let mut fields = Fields(bytes);
        let (_magic, [_version, kdf]) = (fields.take::<8>(), fields.take::<2>());
        let reserved = u16::from_be_bytes(fields.take());
        let segment_size = u32::from_be_bytes(fields.take());
        let rounds = u32::from_be_bytes(fields.take());
        let salt = fields.take::<32>();
        let check = fields.take::<32>();
        if fields.take::<4>() != checksum(bytes) {
            return Err(SealedError::HeaderDamaged);
        }
        let field = |field, value| SealedError::HeaderField { field, value };
        if reserved != 0 {
            return Err(field("reserved bytes", u64::from(reserved)));
        }
        check_segment(segment_size)?;
        let key_source = match (kdf, NonZeroU32::new(rounds)) {
            (0, None) if salt == [0; 32] => KeySource::KeyFile,
            (0, None) => return Err(field("first byte of a salt without use", salt[0].into())),
            (0, Some(_)) => return Err(field("rounds of a key file", rounds.into())),
            (1, None) => return Err(field("rounds", 0)),
            (1, Some(rounds)) => KeySource::Passphrase(Pbkdf2 { salt: salt.to_vec(), rounds }),
            (id, _) => return Err(SealedError::UnknownKdf { id }),
        };
        Ok(Self { bytes: *bytes, key_source, segment_size, check })
    }

    /// Makes a header for a key.
    fn new(key: &ArchiveKey, key_source: KeySource, segment_size: u32) -> Self {
        let (kdf, rounds, salt) = match &key_source {
            KeySource::KeyFile => (0, 0, &[][..]),
            KeySource::Passphrase(Pbkdf2 { salt, rounds }) => (1, rounds.get(), &salt[..]),
        };
        let start = start(kdf, segment_size, rounds, salt);
        let check = key_check(key, &start);
        let mut bytes = [0; HEADER];
        let mut to = bytes.iter_mut();
        for (to, from) in (&mut to).zip(start.iter().chain(&check)) {
            *to = *from;
        }
        let sum = checksum(&bytes);
        if let Some(end) = bytes.last_chunk_mut() {
            *end = sum;
        }
        Self { bytes, key_source, segment_size, check }
    }

    /// Returns where the key comes from.
    #[must_use]
    pub fn key_source(&self) -> &KeySource {
        &self.key_source
    }

    /// Returns the bytes of a segment with its tag.
    #[must_use]
    pub fn segment_size(&self) -> u32 {
        self.segment_size
    }

    /// Returns the 88 bytes as they are stored, which are the associated data of the stream.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; HEADER] {
        &self.bytes
    }

    /// Derives the key from a passphrase and checks it.
    ///
    /// `limit` is the most rounds that are done, for instance
    /// [`DEFAULT_KDF_LIMIT`](crate::DEFAULT_KDF_LIMIT).
    ///
    /// # Errors
    ///
    /// Fails when the archive needs a key file, when it asks for more rounds than `limit`, when
    /// `progress` asks to stop, and when the passphrase is wrong.
    pub fn derive(
        &self,
        passphrase: &Passphrase,
        limit: u64,
        progress: OnProgress<'_>,
    ) -> Result<ArchiveKey, SealedError> {
        let KeySource::Passphrase(Pbkdf2 { salt, rounds }) = &self.key_source else {
            return Err(SealedError::NeedsKeyFile);
        };
        let asked = u64::from(rounds.get());
        if asked > limit {
            return Err(SealedError::ExcessiveWork { asked, limit });
        }
        let key =
            ArchiveKey::try_init(|key| pbkdf2_sha256(passphrase, salt, *rounds, key, progress))?;
        if self.is_of(&key) { Ok(key) } else { Err(SealedError::WrongPassphrase) }
    }

    /// Checks that the key of a key file is the one.
    ///
    /// # Errors
    ///
    /// Fails when it is not, and when the archive needs a passphrase.
    pub fn check_key_file(&self, key: &ArchiveKey) -> Result<(), SealedError> {
        match self.key_source {
            KeySource::Passphrase(_) => Err(SealedError::NeedsPassphrase),
            KeySource::KeyFile if self.is_of(key) => Ok(()),
            KeySource::KeyFile => Err(SealedError::WrongKeyFile),
        }
    }

    /// Returns true when a key belongs to this header.
    pub(super) fn is_of(&self, key: &ArchiveKey) -> bool {
        // The value is in the file for everybody to read, so how long this takes tells nothing.
        self.bytes.first_chunk().is_some_and(|start| key_check(key, start) == self.check)
    }
}

impl Sealing {
    /// Derives a key from a passphrase with a new salt.
    ///
    /// # Errors
    ///
    /// Fails when the options are out of range, when `progress` asks to stop, and when the system
    /// has no random numbers.
    pub fn with_passphrase(
        passphrase: &Passphrase,
        options: SealOptions,
        progress: OnProgress<'_>,
    ) -> Result<Self, SealedError> {
        let SealOptions { segment_size, rounds } = options;
        check_segment(segment_size)?;
        let Some(rounds) = NonZeroU32::new(rounds).filter(|rounds| rounds.get() >= LEAST_ROUNDS)
        else {
            return Err(SealedError::FewRounds { rounds, least: LEAST_ROUNDS });
        };
        let salt = SystemRandom::bytes::<32>();
        let salt = salt.map_err(|source| SealedError::Random { source })?.to_vec();
        let key =
            ArchiveKey::try_init(|key| pbkdf2_sha256(passphrase, &salt, rounds, key, progress))?;
        let source = KeySource::Passphrase(Pbkdf2 { salt, rounds });
        Ok(Self { header: SealedHeader::new(&key, source, segment_size), key })
    }

    /// Takes the key of a key file. Its thirty-two bytes should be random: nothing is derived
    /// slowly from them.
    ///
    /// # Errors
    ///
    /// Fails when the size of segments is out of range.
    pub fn with_key_file(key: ArchiveKey, options: SealOptions) -> Result<Self, SealedError> {
        let SealOptions { segment_size, rounds: _ } = options;
        check_segment(segment_size)?;
        Ok(Self { header: SealedHeader::new(&key, KeySource::KeyFile, segment_size), key })
    }

    /// Returns the header.
    #[must_use]
    pub fn header(&self) -> &SealedHeader {
        &self.header
    }
}

fn check_segment(size: u32) -> Result<(), SealedError> {
    // The least leaves room for plaintext in the first segment.
    const { assert!(LEAST_SEGMENT as usize > STREAM_HEADER + TAG) };
    if (LEAST_SEGMENT..=MOST_SEGMENT).contains(&size) {
        Ok(())
    } else {
        Err(SealedError::SegmentSize { size, least: LEAST_SEGMENT, most: MOST_SEGMENT })
    }
}

/// Writes what comes before the key check.
fn start(kdf: u8, segment_size: u32, rounds: u32, salt: &[u8]) -> [u8; CHECKED] {
    let mut bytes = [0; CHECKED];
    let parts = MAGIC
        .into_iter()
        .chain([VERSION, kdf, 0, 0])
        .chain(segment_size.to_be_bytes())
        .chain(rounds.to_be_bytes())
        .chain(salt.iter().copied());
    for (to, from) in bytes.iter_mut().zip(parts) {
        *to = from;
    }
    bytes
}

fn key_check(key: &ArchiveKey, start: &[u8; CHECKED]) -> [u8; 32] {
    let mut check = Zeroizing::new([0; 32]);
    segment::hkdf::<Sha256>(key.expose(), start, CHECK_INFO, &mut *check);
    *check
}

fn checksum(bytes: &[u8; HEADER]) -> [u8; 4] {
    let digest: [u8; 32] = Sha256::digest(bytes.get(..SUMMED).unwrap_or_default()).into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

/// Takes fields off the front of a header, which is as long as all of them.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N],
        }
    }
}
