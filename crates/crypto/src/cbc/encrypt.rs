//! Encrypting payloads: block by block, as a stream, and whole.

use std::fmt;
use std::io::{self, Write};

use aes::Aes256Enc;
use aes::cipher::{Array, BlockModeEncrypt as _, KeyIvInit as _, consts::U16};
use cbc::Encryptor;
use zeroize::Zeroizing;

use super::BLOCK;
use crate::secret::{FileKey, Key as _};

/// The bytes a writer holds before it passes them on; whole blocks.
const BUFFER: usize = 1 << 16;

/// The bytes a writer starts with. Most files are small, and wiping a full buffer for each of them
/// would take ten times what encrypting them does.
const SMALLEST: usize = 1 << 12;

/// By how much a buffer grows, from the smallest to the largest.
const GROWTH: usize = 4;

/// Returns the bytes that a payload of `plain` bytes has when it is stored.
///
/// There is always padding, so this is the next multiple of 16 above `plain`. No file is so long
/// that it does not fit; for a number that is, this is the largest number.
#[must_use]
pub fn encrypted_len(plain: u64) -> u64 {
    let block = BLOCK as u64;
    (plain / block).saturating_add(1).saturating_mul(block)
}

/// Encrypts a whole payload in its place, and pads it. The reverse of
/// [`decrypt_in_place`](super::decrypt_in_place).
///
/// When the vector has no room for the padding, 16 bytes at most, it moves, and the plaintext
/// stays behind in memory that was given back: reserve [`encrypted_len`] before.
pub fn encrypt_in_place(key: &FileKey, payload: &mut Vec<u8>) {
    let mut cipher = CbcEncryptor::new(key);
    let whole = payload.len() / BLOCK * BLOCK;
    let (blocks, tail) = payload.split_at_mut(whole);
    cipher.encrypt_blocks(blocks);
    let last = cipher.finish(tail);
    payload.truncate(whole);
    payload.extend_from_slice(&last);
}

/// Encrypts one payload block by block, for a caller that has buffers of its own.
///
/// ```text
/// encrypt_blocks   whole blocks, as often as there are some
/// finish           what is left, less than a block, with its padding
/// ```
pub struct CbcEncryptor {
    cipher: Encryptor<Aes256Enc>,
}

impl fmt::Debug for CbcEncryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CbcEncryptor").finish_non_exhaustive()
    }
}

impl CbcEncryptor {
    /// Starts encrypting a payload.
    #[must_use]
    pub fn new(key: &FileKey) -> Self {
        Self::with_iv(key, &[0; BLOCK])
    }

    /// Starts encrypting with an IV, which no payload has and published vectors do.
    pub(crate) fn with_iv(key: &FileKey, iv: &[u8; BLOCK]) -> Self {
        Self { cipher: Encryptor::new(key.expose().into(), iv.into()) }
    }

    /// Encrypts whole blocks in place.
    ///
    /// # Panics
    ///
    /// Panics when `blocks` is not a multiple of 16 bytes.
    pub fn encrypt_blocks(&mut self, blocks: &mut [u8]) {
        let (blocks, rest) = Array::<u8, U16>::slice_as_chunks_mut(blocks);
        assert!(rest.is_empty(), "{} bytes after the last whole block", rest.len());
        self.cipher.encrypt_blocks(blocks);
    }

    /// Returns the last block: what is left of the payload, and its PKCS #7 padding
    /// (RFC 5652 6.3). When nothing is left it is padding alone.
    ///
    /// # Panics
    ///
    /// Panics when `tail` is a block or more.
    #[must_use]
    pub fn finish(mut self, tail: &[u8]) -> [u8; BLOCK] {
        assert!(tail.len() < BLOCK, "a tail of {} bytes", tail.len());
        let mut block = [0; BLOCK];
        let (start, end) = block.split_at_mut(tail.len());
        start.copy_from_slice(tail);
        pad(end);
        self.encrypt_blocks(&mut block);
        block
    }
}

/// Returns the bytes of padding that bring `len` bytes to whole blocks: 1 to 16, and 16 where they
/// are whole already. Source: RFC 5652 6.3.
#[must_use]
pub fn padding_len(len: usize) -> usize {
    BLOCK - len % BLOCK
}

/// Fills the end of the last block, 1 to 16 bytes, with its PKCS #7 padding (RFC 5652 6.3). An
/// empty payload is one block of it.
///
/// # Panics
///
/// Panics in debug builds when there are more bytes than a block has, or none.
#[allow(clippy::cast_possible_truncation, reason = "16 at most")]
pub fn pad(end: &mut [u8]) {
    debug_assert!((1..=BLOCK).contains(&end.len()));
    let n = end.len() as u8;
    end.fill(n);
}

/// Encrypts what is written to it, and passes it on to an inner writer.
///
/// A payload is whole after [`finish`](Self::finish) and not before. A writer that is dropped
/// writes nothing more, so that what was left half-written does not end like a payload: it has no
/// padding.
///
/// An error of the inner writer loses nothing. What was taken stays here, in order, and the next
/// write goes on with it.
pub struct CbcWriter<W> {
    inner: W,
    cipher: CbcEncryptor,
    /// Ciphertext up to `sealed`, of which the inner writer has `buffer[..written]`; plaintext
    /// from there up to `filled`.
    buffer: Zeroizing<Vec<u8>>,
    written: usize,
    sealed: usize,
    filled: usize,
}

impl<W> fmt::Debug for CbcWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CbcWriter").finish_non_exhaustive()
    }
}

impl<W> CbcWriter<W> {
    /// Starts encrypting a payload.
    pub fn new(inner: W, key: &FileKey) -> Self {
        let buffer = Zeroizing::new(vec![0; SMALLEST]);
        Self { inner, cipher: CbcEncryptor::new(key), buffer, written: 0, sealed: 0, filled: 0 }
    }

    /// Returns the inner writer, which lacks what is held here.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }
}

impl<W: Write> CbcWriter<W> {
    /// Pads, passes on all that is left and returns the inner writer, which is not flushed.
    ///
    /// # Errors
    ///
    /// Fails when the inner writer does. The payload is not whole then.
    pub fn finish(mut self) -> io::Result<W> {
        self.make_room()?;
        let end = self.filled + padding_len(self.filled);
        pad(&mut self.buffer[self.filled..end]);
        self.filled = end;
        while self.filled > 0 {
            self.pass_on()?;
        }
        Ok(self.inner)
    }

    /// Leaves room for one byte more at least, by growing or by passing on.
    fn make_room(&mut self) -> io::Result<()> {
        let len = self.buffer.len();
        if self.filled < len {
            return Ok(());
        }
        if len >= BUFFER {
            return self.pass_on();
        }
        // A new one, since one that grows by itself leaves its old memory unwiped.
        let mut larger = Zeroizing::new(vec![0; len * GROWTH]);
        larger[..len].copy_from_slice(&self.buffer);
        self.buffer = larger;
        Ok(())
    }

    /// Encrypts the whole blocks there are, if none wait already, and passes them on.
    fn pass_on(&mut self) -> io::Result<()> {
        if self.sealed == 0 {
            self.sealed = self.filled - self.filled % BLOCK;
            self.cipher.encrypt_blocks(&mut self.buffer[..self.sealed]);
        }
        while self.written < self.sealed {
            match self.inner.write(&self.buffer[self.written..self.sealed]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.buffer.copy_within(self.sealed..self.filled, 0);
        self.filled -= self.sealed;
        (self.written, self.sealed) = (0, 0);
        Ok(())
    }
}

impl<W: Write> Write for CbcWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.make_room()?;
        let room = &mut self.buffer[self.filled..];
        let n = data.len().min(room.len());
        room[..n].copy_from_slice(&data[..n]);
        self.filled += n;
        Ok(n)
    }

    /// Passes on the whole blocks there are. What is less than a block stays here, since it
    /// cannot be encrypted alone.
    fn flush(&mut self) -> io::Result<()> {
        while self.filled >= BLOCK {
            self.pass_on()?;
        }
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
