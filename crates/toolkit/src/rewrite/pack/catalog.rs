//! A new catalog as a file of an archive.

use std::io::{self, BufRead as _, Read};

use bkp_archive::Replacement;
use bkp_bundle::{CatalogReader, CatalogWriteError, FinishedCatalog};
use bkp_crypto::{CbcEncryptor, FileKey, encrypted_len};

/// Whole blocks that are encrypted at once.
const STEP: usize = 64 << 10;

/// A catalog that was made, and the key that it is to be stored under.
#[derive(Debug)]
pub(super) struct NewCatalog {
    catalog: FinishedCatalog,
    key: Option<FileKey>,
}

impl NewCatalog {
    pub(super) fn new(catalog: FinishedCatalog, key: Option<FileKey>) -> Self {
        Self { catalog, key }
    }
}

impl Replacement for NewCatalog {
    fn len(&self) -> u64 {
        let len = self.catalog.len();
        if self.key.is_some() { encrypted_len(len) } else { len }
    }

    fn open(&self) -> Box<dyn Read + Send + '_> {
        let plain = Plain(self.catalog.reader());
        match &self.key {
            Some(key) => Box::new(Encrypted {
                plain,
                cipher: Some(CbcEncryptor::new(key)),
                buffer: Vec::new(),
                given: 0,
            }),
            None => Box::new(plain),
        }
    }
}

/// Reads a catalog, and says what failed if that does.
struct Plain<'c>(CatalogReader<'c>);

impl Read for Plain<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let failed =
            |error: io::Error| io::Error::new(error.kind(), CatalogWriteError::Scratch(error));
        let ready = self.0.fill_buf().map_err(failed)?;
        let n = ready.len().min(out.len());
        out[..n].copy_from_slice(&ready[..n]);
        self.0.consume(n);
        Ok(n)
    }
}

/// Encrypts what is read.
struct Encrypted<R> {
    plain: R,
    /// None once the padding is made.
    cipher: Option<CbcEncryptor>,
    buffer: Vec<u8>,
    /// What of the buffer was given out.
    given: usize,
}

impl<R: Read> Encrypted<R> {
    /// Encrypts the next bytes; none at the end.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.given = 0;
        let Some(mut cipher) = self.cipher.take() else { return Ok(()) };
        // What was read before a failure is lost, so there is no going on.
        (&mut self.plain).take(STEP as u64).read_to_end(&mut self.buffer)?;
        let tail = self.buffer.len() % 16;
        let whole = self.buffer.len() - tail;
        let (blocks, tail) = self.buffer.split_at_mut(whole);
        cipher.encrypt_blocks(blocks);
        if whole == STEP {
            self.cipher = Some(cipher);
        } else {
            let last = cipher.finish(tail);
            self.buffer.truncate(whole);
            self.buffer.extend_from_slice(&last);
        }
        Ok(())
    }
}

impl<R: Read> Read for Encrypted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.buffer.len() {
            self.fill()?;
        }
        let ready = &self.buffer[self.given..];
        let n = ready.len().min(out.len());
        out[..n].copy_from_slice(&ready[..n]);
        self.given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use bkp_crypto::{CbcEncryptor, CbcReader, Ending, FileKey, encrypt_in_place};

    use super::{Encrypted, STEP};

    /// Gives so many bytes at a time.
    struct Drip<'b>(&'b [u8], usize);

    impl std::io::Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(out.len());
            self.0.take(n as u64).read(out).inspect(|n| self.0 = &self.0[*n..])
        }
    }

    fn key() -> FileKey {
        FileKey::init(|key| key.fill(7))
    }

    #[test]
    fn what_is_read_is_what_would_be_written() {
        for len in [0, 1, 15, 16, 17, 4096, STEP - 1, STEP, STEP + 1, 2 * STEP, 3 * STEP + 40] {
            let plain: Vec<u8> = (0_u32..).map(|n| n.to_be_bytes()[3]).take(len).collect();
            let mut expected = plain.clone();
            encrypt_in_place(&key(), &mut expected);
            for drip in [usize::MAX, 1, 1000] {
                let mut encrypted = Encrypted {
                    plain: Drip(&plain, drip),
                    cipher: Some(CbcEncryptor::new(&key())),
                    buffer: Vec::new(),
                    given: 0,
                };
                let mut found = Vec::new();
                let mut out = vec![0; drip.min(10_000)];
                loop {
                    let n = encrypted.read(&mut out).unwrap();
                    if n == 0 {
                        break;
                    }
                    found.extend_from_slice(&out[..n]);
                }
                assert!(found == expected, "{len} bytes by {drip}");
            }
            let mut reader = CbcReader::new(&*expected, &key());
            let mut back = Vec::new();
            reader.read_to_end(&mut back).unwrap();
            assert_eq!((back, reader.ending()), (plain, Some(Ending::Padded)));
        }
    }
}
