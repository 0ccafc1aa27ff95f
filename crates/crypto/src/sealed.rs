//! Sealed streams: authenticated, readable at any place, cut and put together by nobody else.
//!
//! ```text
//! header 88 │ 40 │ salt 32 │ prefix 7 │ segment 0 │ segment 1 │ ... │ last segment
//!           └──── the Tink stream: associated data = the header ────────────────┘
//!
//! archive key = PBKDF2-HMAC-SHA256(passphrase, salt of the header)   or a key file's 32 bytes
//! stream key  = HKDF-SHA256(archive key, salt of the stream, info = the header)
//! segment i   = AES-256-GCM(stream key, prefix || u32be(i) || last?, plaintext i), tag at its end
//! ```
//!
//! All segments but the last have the size that the header states; that of the first counts the
//! forty bytes before it. The stream is the published `AES256_GCM_HKDF` streaming form of Tink
//! with SHA-256 as its hash, so another implementation opens it. `docs/sealed-archive.md` has
//! every byte.

mod error;
mod header;
mod reader;
mod sealer;
mod segment;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;

pub use error::SealedError;
pub use header::{KeySource, SealOptions, SealedHeader, Sealing, sealed_limits};
pub use reader::{SealedReader, SegmentCheck};
pub use sealer::SegmentSealer;
pub use writer::SealWriter;

/// Bytes that are read at any place, by many threads at once.
pub trait ByteSource: fmt::Debug + Send + Sync {
    /// Returns how many bytes there are. The answer never changes.
    fn len(&self) -> u64;

    /// Returns true when there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with what begins at `offset`.
    ///
    /// # Errors
    ///
    /// Fails with [`io::ErrorKind::UnexpectedEof`] when there is less, and as the system does.
    /// What is in `buf` then is not to be used.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

impl ByteSource for Vec<u8> {
    fn len(&self) -> u64 {
        u64::try_from(self.as_slice().len()).unwrap_or(u64::MAX)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let there = rest.and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl<S: ByteSource + ?Sized> ByteSource for Arc<S> {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_exact_at(offset, buf)
    }
}
