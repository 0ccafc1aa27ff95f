//! Writing a sealed stream: segments are sealed in parallel and written in order.

use std::fmt;
use std::io::{self, Write};

use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSliceMut as _;
use zeroize::Zeroizing;

use super::error::SealedError;
use super::header::Sealing;
use super::segment::{PREFIX, SALT, STREAM_HEADER, STREAM_MARK, SegmentCipher, TAG};
use crate::random::SystemRandom;

/// Bytes that are sealed together for each thread.
const EACH: usize = 2 << 20;
/// The most bytes that are held back to be sealed together, unless one segment is larger.
const MOST: usize = 16 << 20;

/// Seals what is written to it.
///
/// [`finish`](Self::finish) seals the last segment. A stream that is dropped before does not
/// open, so it cannot be taken for a whole one.
pub struct SealWriter<W> {
    out: W,
    cipher: SegmentCipher,
    /// Bytes of a segment, with what comes before the first one and with its tag.
    size: usize,
    /// Whole segments as they will be written, tags left free.
    buffer: Zeroizing<Vec<u8>>,
    /// Where in `buffer` the next byte of plaintext goes.
    at: usize,
    /// The number of the first segment in `buffer`.
    first: u32,
    /// What went wrong: nothing is written behind it.
    failed: bool,
}

impl<W> fmt::Debug for SealWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealWriter").field("first", &self.first).finish_non_exhaustive()
    }
}

impl<W: Write> SealWriter<W> {
    /// Writes the header and begins a stream. The sealing is used up: each stream has its own.
    ///
    /// # Errors
    ///
    /// Fails when `out` does, and when the system has no random numbers.
    pub fn new(mut out: W, sealing: Sealing) -> Result<Self, SealedError> {
        let Sealing { header, key } = sealing;
        let random = |source| SealedError::Random { source };
        let salt = SystemRandom::bytes::<SALT>().map_err(random)?;
        let prefix = SystemRandom::bytes::<PREFIX>().map_err(random)?;
        out.write_all(header.as_bytes())
            .map_err(|source| SealedError::Io { action: "write", source })?;
        let cipher = SegmentCipher::new(&key, &salt, prefix, header.as_bytes());
        // The size is checked when a header is made, and fits.
        let size = usize::try_from(header.segment_size()).unwrap_or(usize::MAX);
        let together = rayon::current_num_threads().saturating_mul(EACH).min(MOST);
        let mut buffer = Zeroizing::new(vec![0; (together / size).max(1) * size]);
        let parts = [STREAM_MARK].into_iter().chain(salt).chain(prefix);
        for (to, from) in buffer.iter_mut().zip(parts) {
            *to = from;
        }
        Ok(Self { out, cipher, size, buffer, at: STREAM_HEADER, first: 0, failed: false })
    }

    /// Seals what is left as the last segment and returns where it was written to, which is not
    /// flushed.
    ///
    /// # Errors
    ///
    /// Fails when writing does, or failed before.
    pub fn finish(mut self) -> Result<W, SealedError> {
        if self.failed {
            let source = io::Error::other("an earlier write failed");
            return Err(SealedError::Io { action: "write", source });
        }
        self.flush_segments(true)?;
        Ok(self.out)
    }

    /// Seals the segments in the buffer and writes them. The last one may be short if no other
    /// follows.
    fn flush_segments(&mut self, last: bool) -> Result<(), SealedError> {
        let Self { out, cipher, size, buffer, at, first, .. } = self;
        // A full segment ends before its tag, a short one wherever it does.
        let end = (*at + TAG).min(buffer.len());
        let filled = &mut buffer[..end];
        let count = filled.len().div_ceil(*size);
        let from = *first;
        let next = u32::try_from(count).ok().and_then(|count| from.checked_add(count));
        // The number of the last one must fit, and `next` is one more.
        let Some(next) = next else { return Err(SealedError::TooLong) };
        filled.par_chunks_mut(*size).enumerate().try_for_each(|(i, segment)| {
            let index = from + u32::try_from(i).map_err(|_| SealedError::TooLong)?;
            let segment = match index {
                0 => &mut segment[STREAM_HEADER..],
                _ => segment,
            };
            let is_last = last && i + 1 == count;
            cipher.seal(index, is_last, segment).map_err(|_| SealedError::TooLong)
        })?;
        out.write_all(filled).map_err(|source| SealedError::Io { action: "write", source })?;
        *first = next;
        *at = 0;
        Ok(())
    }
}

impl<W: Write> Write for SealWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        // A full segment is kept back until it is known that another one follows.
        if self.at % self.size == self.size - TAG {
            if self.at + TAG == self.buffer.len() {
                if let Err(error) = self.flush_segments(false) {
                    self.failed = true;
                    return Err(error.into());
                }
            } else {
                self.at += TAG;
            }
        }
        let room = self.size - TAG - self.at % self.size;
        let taken = room.min(bytes.len());
        self.buffer[self.at..self.at + taken].copy_from_slice(&bytes[..taken]);
        self.at += taken;
        Ok(taken)
    }

    /// Flushes what is written to. What is not yet a whole segment stays where it is.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
