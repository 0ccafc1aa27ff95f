//! SHA-256 of what is written, taken while it is written.

use std::fmt;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

/// Bytes that are gathered, then written and hashed at the same time.
const BUFFER: usize = 2 << 20;

/// Writes on, in large pieces, and takes SHA-256 of all of it.
pub struct DigestWriter<W> {
    out: W,
    hash: Sha256,
    written: u64,
    buffer: Vec<u8>,
}

impl<W> fmt::Debug for DigestWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestWriter").field("written", &self.written).finish_non_exhaustive()
    }
}

impl<W: Write + Send> DigestWriter<W> {
    /// Writes to `out`.
    #[must_use]
    pub fn new(out: W) -> Self {
        Self { out, hash: Sha256::new(), written: 0, buffer: Vec::with_capacity(BUFFER) }
    }

    /// Writes what was gathered, and returns where to, how many bytes there are in all, and their
    /// SHA-256. What is dropped without this has not been written to its end.
    ///
    /// # Errors
    ///
    /// Fails when writing does.
    pub fn finish(mut self) -> io::Result<(W, u64, [u8; 32])> {
        self.flush()?;
        Ok((self.out, self.written, self.hash.finalize().into()))
    }

    fn put(&mut self) -> io::Result<()> {
        let Self { out, hash, written, buffer } = self;
        // A short piece is not worth another thread.
        if buffer.len() < BUFFER / 8 {
            hash.update(&buffer);
            out.write_all(buffer)?;
        } else {
            rayon::join(|| hash.update(&buffer), || out.write_all(buffer)).1?;
        }
        *written += buffer.len() as u64;
        buffer.clear();
        Ok(())
    }
}

impl<W: Write + Send> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == BUFFER {
            self.put()?;
        }
        let count = bytes.len().min(BUFFER - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.put()?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use sha2::{Digest as _, Sha256};

    use super::{BUFFER, DigestWriter};

    #[test]
    fn everything_is_written_and_hashed_whatever_the_pieces() {
        let bytes: Vec<u8> = (0..=250).cycle().take(BUFFER + 12_345).collect();
        for len in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, bytes.len()] {
            for piece in [usize::MAX, BUFFER, 4099] {
                let mut writer = DigestWriter::new(Vec::new());
                for piece in bytes[..len].chunks(piece.min(len.max(1))) {
                    writer.write_all(piece).unwrap();
                }
                let (out, written, sha256) = writer.finish().unwrap();
                assert!(out == bytes[..len]);
                assert_eq!(written, len as u64);
                assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(&bytes[..len])));
            }
        }
    }
}
