//! Writing a sealed stream to anything that takes bytes.

use std::fmt;
use std::io::{self, Write};

use zeroize::Zeroizing;

use super::error::SealedError;
use super::header::Sealing;
use super::sealer::SegmentSealer;

/// Seals what is written to it, segment by segment.
///
/// [`finish`](Self::finish) seals the last segment. A stream that is dropped before does not
/// open, so it cannot be taken for a whole one. Who can lay out segments in place saves a copy
/// with [`SegmentSealer`].
pub struct SealWriter<W> {
    out: W,
    sealer: SegmentSealer,
    /// One segment, what comes before the first one counted with it; its tag is left free.
    buffer: Zeroizing<Vec<u8>>,
    /// Where the segment begins in `buffer`.
    begin: usize,
    /// Where the next byte of plaintext goes.
    at: usize,
    /// What went wrong: nothing is written behind it.
    failed: bool,
}

impl<W> fmt::Debug for SealWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealWriter").field("sealer", &self.sealer).finish_non_exhaustive()
    }
}

impl<W: Write> SealWriter<W> {
    /// Writes the header and begins a stream. The sealing is used up: each stream has its own.
    ///
    /// # Errors
    ///
    /// Fails when `out` does, and when the system has no random numbers.
    pub fn new(mut out: W, sealing: Sealing) -> Result<Self, SealedError> {
        let sealer = SegmentSealer::new(sealing)?;
        out.write_all(sealer.start()).map_err(failed)?;
        let buffer = Zeroizing::new(vec![0; sealer.segment_size()]);
        let begin = SegmentSealer::HEAD;
        Ok(Self { out, sealer, buffer, begin, at: begin, failed: false })
    }

    /// Seals what is left as the last segment and returns where it was written to, which is not
    /// flushed.
    ///
    /// # Errors
    ///
    /// Fails when writing does, or failed before.
    pub fn finish(self) -> Result<W, SealedError> {
        let Self { mut out, sealer, mut buffer, begin, at, failed: has_failed } = self;
        if has_failed {
            return Err(failed(io::Error::other("an earlier write failed")));
        }
        let segment = &mut buffer[begin..at + SegmentSealer::TAG];
        sealer.finish(segment)?;
        out.write_all(segment).map_err(failed)?;
        Ok(out)
    }

    /// Seals the segment in the buffer, behind which there will be another.
    fn put(&mut self) -> Result<(), SealedError> {
        let Self { out, sealer, buffer, begin, at, .. } = self;
        let segment = &mut buffer[*begin..];
        sealer.seal(segment)?;
        out.write_all(segment).map_err(failed)?;
        (*begin, *at) = (0, 0);
        Ok(())
    }
}

fn failed(source: io::Error) -> SealedError {
    SealedError::Io { action: "write", source }
}

impl<W: Write> Write for SealWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let end = self.buffer.len() - SegmentSealer::TAG;
        // A full segment is kept back until it is known that another one follows.
        if self.at == end
            && let Err(error) = self.put()
        {
            self.failed = true;
            return Err(error.into());
        }
        let taken = (end - self.at).min(bytes.len());
        self.buffer[self.at..self.at + taken].copy_from_slice(&bytes[..taken]);
        self.at += taken;
        Ok(taken)
    }

    /// Flushes what is written to. What is not yet a whole segment stays where it is.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
