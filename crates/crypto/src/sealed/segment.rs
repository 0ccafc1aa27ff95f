//! Segments of a Tink stream: their keys, their places, and each of them sealed or opened.
//!
//! Source: the wire format of `AesGcmHkdfStreaming` that Tink publishes, NIST SP 800-38D,
//! RFC 5869.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};
use hkdf::Hkdf;
use hkdf::hmac::EagerHash;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::{ArchiveKey, Key as _};

/// Bytes of a tag.
pub(super) const TAG: usize = 16;
/// Bytes of a nonce that are the same for all segments.
pub(super) const PREFIX: usize = 7;
/// Bytes of the salt of a stream: as many as its key has.
pub(super) const SALT: usize = 32;
/// Bytes of a stream before its first segment: their number, the salt, the prefix.
pub(super) const STREAM_HEADER: usize = STREAM_MARK as usize;
/// That number, as a stream begins with it.
pub(super) const STREAM_MARK: u8 = 40;
const _: () = assert!(STREAM_HEADER == 1 + SALT + PREFIX);

/// A segment did not open.
#[derive(Debug)]
pub(super) struct Unauthentic;

/// `HKDF(key, salt, info)` of RFC 5869. The output is no longer than a hash allows.
pub(super) fn hkdf<H: EagerHash>(key: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) {
    let expanded = Hkdf::<H>::new(Some(salt), key).expand(info, out);
    debug_assert!(expanded.is_ok(), "255 digests are enough for a key");
}

/// What opens and seals the segments of one stream.
///
/// The cipher is a parameter for the sake of the published vectors, which are of AES-128.
pub(super) struct SegmentCipher<C = Aes256Gcm> {
    // Boxed, so that moving it leaves no copy of the key schedule behind. It wipes itself.
    cipher: Box<C>,
    prefix: [u8; PREFIX],
}

impl SegmentCipher {
    /// Derives the key of a stream.
    pub(super) fn new(
        key: &ArchiveKey,
        salt: &[u8; SALT],
        prefix: [u8; PREFIX],
        aad: &[u8],
    ) -> Self {
        let mut stream_key = Zeroizing::new([0; 32]);
        hkdf::<Sha256>(key.expose(), salt, aad, &mut *stream_key);
        Self { cipher: Box::new(Aes256Gcm::new((&*stream_key).into())), prefix }
    }
}

impl<C: AeadInOut<NonceSize = U12, TagSize = U16> + KeyInit> SegmentCipher<C> {
    /// Takes a key that was derived already.
    #[cfg(test)]
    pub(super) fn of_key(key: &[u8], prefix: [u8; PREFIX]) -> Self {
        Self { cipher: Box::new(C::new_from_slice(key).unwrap()), prefix }
    }

    /// `nonce = prefix || u32be(index) || last`.
    fn nonce(&self, index: u32, last: bool) -> Nonce<U12> {
        let mut nonce = [0; 12];
        let parts = self.prefix.into_iter().chain(index.to_be_bytes()).chain([u8::from(last)]);
        for (to, from) in nonce.iter_mut().zip(parts) {
            *to = from;
        }
        nonce.into()
    }

    /// Seals a segment in place: the plaintext and room for a tag behind it.
    pub(super) fn seal(
        &self,
        index: u32,
        last: bool,
        segment: &mut [u8],
    ) -> Result<(), Unauthentic> {
        let (plain, place) = segment.split_last_chunk_mut::<TAG>().ok_or(Unauthentic)?;
        let nonce = self.nonce(index, last);
        let tag = self.cipher.encrypt_inout_detached(&nonce, &[], plain.into());
        *place = tag.map_err(|_| Unauthentic)?.into();
        Ok(())
    }

    /// Opens a segment in place and returns its plaintext. One that does not open is left as it
    /// was: the tag is checked before anything is decrypted.
    pub(super) fn open<'s>(
        &self,
        index: u32,
        last: bool,
        segment: &'s mut [u8],
    ) -> Result<&'s mut [u8], Unauthentic> {
        let (sealed, tag) = segment.split_last_chunk_mut::<TAG>().ok_or(Unauthentic)?;
        let nonce = self.nonce(index, last);
        let tag = Tag::from(*tag);
        self.cipher
            .decrypt_inout_detached(&nonce, &[], (&mut *sealed).into(), &tag)
            .map_err(|_| Unauthentic)?;
        Ok(sealed)
    }
}

/// Where the segments of a stream are. Offsets count from the start of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    /// Bytes of a segment, those before the first one counted with it.
    size: u64,
    /// Bytes before the first one.
    head: u64,
    /// Bytes of the whole stream.
    len: u64,
    /// Segments there are.
    pub(super) count: u32,
}

/// A stream cannot have this length.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum BadLength {
    /// The last segment, or the start of the stream, is not whole.
    Short,
    /// There are more segments than can be numbered.
    Long,
}

impl Geometry {
    /// Looks where segments are in a stream of `len` bytes. `size` is more than `head` and a tag.
    pub(super) fn of(size: u32, head: usize, len: u64) -> Result<Self, BadLength> {
        let size = u64::from(size);
        let head = u64::try_from(head).map_err(|_| BadLength::Short)?;
        let count = len.div_ceil(size).max(1);
        let last = len.saturating_sub(count.saturating_sub(1).saturating_mul(size));
        let least = if count == 1 { head.saturating_add(TAG_LEN) } else { TAG_LEN };
        if last < least {
            return Err(BadLength::Short);
        }
        let count = u32::try_from(count).map_err(|_| BadLength::Long)?;
        Ok(Self { size, head, len, count })
    }

    /// Returns how much plaintext there is.
    pub(super) fn plain_len(&self) -> u64 {
        let around = TAG_LEN.saturating_mul(self.count.into()).saturating_add(self.head);
        self.len.saturating_sub(around)
    }

    /// Returns the last segment's number.
    pub(super) fn last(&self) -> u32 {
        self.count.saturating_sub(1)
    }

    /// Returns where a segment is.
    pub(super) fn segment(&self, index: u32) -> Range<u64> {
        let start = u64::from(index).saturating_mul(self.size);
        let end = start.saturating_add(self.size).min(self.len);
        if index == 0 { self.head..end } else { start..end }
    }

    /// Returns which segment a byte of the plaintext is in, and where in its plaintext.
    pub(super) fn locate(&self, offset: u64) -> Option<(u32, usize)> {
        if offset >= self.plain_len() {
            return None;
        }
        // As if what is before the first segment were plaintext of it.
        let room = self.size.checked_sub(TAG_LEN)?;
        let at = offset.checked_add(self.head)?;
        let index = u32::try_from(at.checked_div(room)?).ok()?;
        let within = at.checked_rem(room)?;
        let within = if index == 0 { within.checked_sub(self.head)? } else { within };
        Some((index, usize::try_from(within).ok()?))
    }
}

/// Bytes of a tag, as a length in a file.
const TAG_LEN: u64 = 16;
