//! AES-256-CBC with a zero IV and PKCS #7 padding, read and written as a stream.
//!
//! ```text
//! P[n] = D(K, C[n]) ^ C[n-1],  C[-1] = 0        (NIST SP 800-38A 6.2)
//! C[n] = E(K, P[n] ^ C[n-1])
//! ```
//!
//! This mode does not authenticate. How a payload ends is all that can be noticed of it, so it is
//! told ([`Ending`]) and never decided on here: a payload without padding is one that some writer
//! did not pad, or one that was changed or cut, and every byte of it is given out.

mod encrypt;

use std::fmt;
use std::io::{self, Read};

use aes::Aes256Dec;
use aes::cipher::{Array, BlockModeDecrypt, KeyIvInit as _, consts::U16};
use cbc::Decryptor;
use zeroize::{Zeroize as _, Zeroizing};

use crate::secret::{FileKey, Key as _};

pub use encrypt::{CbcEncryptor, CbcWriter, encrypt_in_place, encrypted_len, pad, padding_len};

/// The bytes of an AES block.
const BLOCK: usize = 16;

/// The most ciphertext that is carried from one read to the next: the block that may turn out to
/// be the last, and the start of the block after it.
const CARRY: usize = 2 * BLOCK - 1;

/// The smallest buffer the stream decrypts into; smaller ones are served from one of this size.
const SMALLEST: usize = 2 * BLOCK;

/// What the end of a payload looked like.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// Valid PKCS #7 padding, and stripped.
    Padded,
    /// Whole blocks without valid padding. Every byte was kept.
    Unpadded,
    /// Not whole blocks: the payload was cut, or never was what it says. All whole blocks were
    /// given out and none was taken for padding.
    Truncated {
        /// The bytes after the last whole block, 1 to 15, which cannot be decrypted.
        stray: usize,
    },
    /// No bytes at all, which newer devices store for an empty file. Source: FORMAT.md 2.6.
    Empty,
}

/// Decrypts what an inner reader yields, which is read to its end.
///
/// A read fills the buffer it is given as far as the inner reader has bytes, decrypting in place;
/// give it 256 KiB or so. A payload that fits into one buffer takes one read, and one more to
/// learn that it has ended. Any buffer of one byte or more works.
///
/// The only errors are those of the inner reader, and reading may go on after one.
pub struct CbcReader<R> {
    stream: Stream<R>,
    /// Plaintext for buffers that are too small to decrypt in.
    small: Zeroizing<[u8; SMALLEST]>,
    /// Where in `small` what was not given out yet starts and ends.
    pos: usize,
    end: usize,
}

impl<R> fmt::Debug for CbcReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CbcReader").field("ending", &self.ending()).finish_non_exhaustive()
    }
}

impl<R> CbcReader<R> {
    /// Starts decrypting a payload.
    pub fn new(inner: R, key: &FileKey) -> Self {
        Self::with_iv(inner, key, &[0; BLOCK])
    }

    /// Starts decrypting with an IV, which is the ciphertext block before when a payload is
    /// entered in the middle.
    pub(crate) fn with_iv(inner: R, key: &FileKey, iv: &[u8; BLOCK]) -> Self {
        let cipher = Decryptor::new(key.expose().into(), iv.into());
        let stream =
            Stream { inner, cipher, carry: [0; CARRY], carried: 0, ending: None, failed: None };
        Self { stream, small: Zeroizing::new([0; SMALLEST]), pos: 0, end: 0 }
    }

    /// Returns how the payload ended: nothing while that is not known, and always something once
    /// a read has returned 0.
    ///
    /// It may be known before the last bytes are read.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.stream.ending
    }

    /// Returns the inner reader.
    pub fn get_ref(&self) -> &R {
        &self.stream.inner
    }

    /// Returns the inner reader, and drops what was read of it and not given out.
    pub fn into_inner(self) -> R {
        self.stream.inner
    }
}

impl<R: Read> Read for CbcReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.pos == self.end {
            if out.len() >= SMALLEST {
                return self.stream.fill(out);
            }
            if out.is_empty() {
                return Ok(0);
            }
            (self.pos, self.end) = (0, 0);
            self.end = self.stream.fill(&mut *self.small)?;
        }
        let ready = &self.small[self.pos..self.end];
        let n = ready.len().min(out.len());
        out[..n].copy_from_slice(&ready[..n]);
        self.pos += n;
        Ok(n)
    }
}

/// The part of the reader that knows nothing of small buffers.
struct Stream<R> {
    inner: R,
    cipher: Decryptor<Aes256Dec>,
    /// Ciphertext that was read and not decrypted is `carry[..carried]`. After the first read
    /// that is at least one block, so that there is always a last block to look at for padding.
    carry: [u8; CARRY],
    carried: usize,
    ending: Option<Ending>,
    /// An error that came after bytes, which were given out first.
    failed: Option<io::Error>,
}

impl<R: Read> Stream<R> {
    /// Fills `out`, of [`SMALLEST`] bytes or more, with plaintext; 0 is the end.
    fn fill(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ending.is_some() {
            return Ok(0);
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        out[..self.carried].copy_from_slice(&self.carry[..self.carried]);
        let mut filled = self.carried;
        while filled < out.len() {
            match self.inner.read(&mut out[filled..]) {
                Ok(0) => return Ok(self.finish(&mut out[..filled])),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failed = Some(e);
                    break;
                }
            }
        }
        // All whole blocks but the last, which may carry the padding.
        let ready = (filled / BLOCK).saturating_sub(1) * BLOCK;
        self.carried = filled - ready;
        self.carry[..self.carried].copy_from_slice(&out[ready..filled]);
        decrypt(&mut self.cipher, &mut out[..ready]);
        match self.failed.take_if(|_| ready == 0) {
            Some(error) => Err(error),
            None => Ok(ready),
        }
    }

    /// Decrypts what is left and returns how much of it is plaintext.
    fn finish(&mut self, rest: &mut [u8]) -> usize {
        self.carry.zeroize();
        let (ending, len) = decrypt_all(&mut self.cipher, rest);
        self.ending = Some(ending);
        len
    }
}

/// Decrypts a whole payload in its place, and cuts it to its plaintext.
pub fn decrypt_in_place(key: &FileKey, payload: &mut Vec<u8>) -> Ending {
    let mut cipher = Decryptor::<Aes256Dec>::new(key.expose().into(), &Array::default());
    let (ending, len) = decrypt_all(&mut cipher, payload);
    payload.truncate(len);
    ending
}

/// Decrypts up to the end of a payload, and returns how it ended and how much is plaintext.
pub(crate) fn decrypt_all<C>(cipher: &mut C, payload: &mut [u8]) -> (Ending, usize)
where
    C: BlockModeDecrypt<BlockSize = U16>,
{
    let stray = payload.len() % BLOCK;
    let whole = payload.len() - stray;
    decrypt(cipher, &mut payload[..whole]);
    match padding(&payload[..whole]) {
        _ if payload.is_empty() => (Ending::Empty, 0),
        _ if stray > 0 => (Ending::Truncated { stray }, whole),
        Some(n) => (Ending::Padded, whole - n),
        None => (Ending::Unpadded, whole),
    }
}

/// Decrypts whole blocks in place.
fn decrypt<C: BlockModeDecrypt<BlockSize = U16>>(cipher: &mut C, blocks: &mut [u8]) {
    let (blocks, rest) = Array::<u8, U16>::slice_as_chunks_mut(blocks);
    debug_assert!(rest.is_empty(), "callers round to whole blocks");
    cipher.decrypt_blocks(blocks);
}

/// Returns the length of the PKCS #7 padding at the end, 1 to 16, if that is what it is.
/// Source: RFC 5652 6.3.
///
/// No care is taken over time: whoever could measure it holds the ciphertext and the key.
fn padding(plaintext: &[u8]) -> Option<usize> {
    let &last = plaintext.last()?;
    let n = usize::from(last);
    let start = plaintext.len().checked_sub(n)?;
    let ok = (1..=BLOCK).contains(&n) && plaintext[start..].iter().all(|&b| b == last);
    ok.then_some(n)
}

#[cfg(test)]
mod tests;
