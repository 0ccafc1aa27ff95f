//! Sealing segments where they lie, one after another.

use std::fmt;

use super::error::SealedError;
use super::header::{Sealing, sealed_limits};
use super::segment::{PREFIX, SALT, STREAM_HEADER, STREAM_MARK, SegmentCipher, TAG};
use crate::random::SystemRandom;

/// Seals the segments of one stream in place, each in its turn.
///
/// It counts them itself and every call uses up a number, so no nonce is used twice. Who calls it
/// lays out the stream: [`start`](Self::start), and behind it segments of
/// [`segment_size`](Self::segment_size) bytes, of which the first is shorter by
/// [`HEAD`](Self::HEAD) and the last one is as long as it is. The last
/// [`TAG`](Self::TAG) bytes of each are left free.
pub struct SegmentSealer {
    start: [u8; sealed_limits::HEADER + STREAM_HEADER],
    cipher: SegmentCipher,
    size: usize,
    /// The number of the next segment; nothing when there can be no other.
    next: Option<u32>,
}

impl fmt::Debug for SegmentSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentSealer").field("next", &self.next).finish_non_exhaustive()
    }
}

impl SegmentSealer {
    /// Bytes by which the first segment is shorter than the others.
    pub const HEAD: usize = STREAM_HEADER;
    /// Bytes of a tag, at the end of each segment.
    pub const TAG: usize = TAG;

    /// Begins a stream. The sealing is used up: each stream has its own.
    ///
    /// # Errors
    ///
    /// Fails when the system has no random numbers.
    pub fn new(sealing: Sealing) -> Result<Self, SealedError> {
        let Sealing { header, key } = sealing;
        let random = |source| SealedError::Random { source };
        let salt = SystemRandom::bytes::<SALT>().map_err(random)?;
        let prefix = SystemRandom::bytes::<PREFIX>().map_err(random)?;
        let cipher = SegmentCipher::new(&key, &salt, prefix, header.as_bytes());
        let mut start = [0; sealed_limits::HEADER + STREAM_HEADER];
        let mark = [STREAM_MARK];
        let parts = header.as_bytes().iter().chain(&mark).chain(&salt).chain(&prefix);
        for (to, from) in start.iter_mut().zip(parts) {
            *to = *from;
        }
        // The size is checked when a header is made, and fits.
        let size = usize::try_from(header.segment_size()).unwrap_or(usize::MAX);
        Ok(Self { start, cipher, size, next: Some(0) })
    }

    /// Returns the bytes before the first segment: the header, and the start of the stream.
    #[must_use]
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// Returns the bytes of a segment with its tag, those of [`HEAD`](Self::HEAD) counted with the
    /// first.
    #[must_use]
    pub fn segment_size(&self) -> usize {
        self.size
    }

    /// Seals the next segment: its plaintext, and room for the tag behind it.
    ///
    /// # Errors
    ///
    /// Fails when there are more segments than can be numbered, and when this one is not of the
    /// length that all but the last one have.
    pub fn seal(&mut self, segment: &mut [u8]) -> Result<(), SealedError> {
        let index = self.next.ok_or(SealedError::TooLong)?;
        let head = if index == 0 { STREAM_HEADER } else { 0 };
        if segment.len().checked_add(head) != Some(self.size) {
            return Err(SealedError::TooLong);
        }
        // The number of the last one must fit.
        self.next = index.checked_add(1);
        self.cipher.seal(index, false, segment).map_err(|_| SealedError::TooLong)
    }

    /// Seals the last segment, which may be as short as its tag.
    ///
    /// # Errors
    ///
    /// Fails when there are more segments than can be numbered, and when this one is too long or
    /// has no room for a tag.
    pub fn finish(self, segment: &mut [u8]) -> Result<(), SealedError> {
        let index = self.next.ok_or(SealedError::TooLong)?;
        let head = if index == 0 { STREAM_HEADER } else { 0 };
        if segment.len().saturating_add(head) > self.size {
            return Err(SealedError::TooLong);
        }
        self.cipher.seal(index, true, segment).map_err(|_| SealedError::TooLong)
    }
}
