//! What is in the files of a big bundle, and how it gets onto the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use aes::cipher::{Array, BlockModeEncrypt, KeyIvInit};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::Seed;
use crate::cipher::pad;

/// Bytes of the pool that content is cut from.
const POOL: usize = 4 << 20;
/// Bytes that are written at once. A multiple of the cipher's block.
pub(super) const CHUNK: usize = 256 << 10;

/// What a file is made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'b> {
    /// So many bytes cut from the pools, different for each number.
    Pool {
        /// The file's number.
        n: usize,
        /// Bytes.
        size: u64,
    },
    /// So many zeros, of which the disk stores none.
    Zeros(u64),
    /// These bytes.
    Bytes(&'b [u8]),
}

impl Source<'_> {
    pub(super) fn size(self) -> u64 {
        match self {
            Self::Pool { size, .. } | Self::Zeros(size) => size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// What is wanted of a payload.
pub(super) struct Wanted<'w> {
    pub(super) key: Option<&'w [u8; 32]>,
    /// The SHA-1 of what is stored.
    pub(super) digest: bool,
    /// The SHA-256 of the content.
    pub(super) hash: bool,
}

/// What is known of a payload after it was written.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) digest: Option<[u8; 20]>,
    pub(super) sha256: Option<[u8; 32]>,
}

/// What all content is cut from: three files in ten from words and the others from noise. Making
/// content so costs little more than a copy.
#[derive(Debug)]
pub(super) struct Pools {
    noise: Vec<u8>,
    words: Vec<u8>,
    zeros: BTreeMap<u64, [u8; 20]>,
}

impl Pools {
    /// Makes the pools. `zeros` are the lengths of zeros whose SHA-1 will be wanted: the longest
    /// run is hashed once, and the state copied where each shorter one ends.
    pub(super) fn new(seed: Seed, mut zeros: Vec<u64>) -> Self {
        const WORDS: [&str; 8] =
            ["lorem ", "ipsum ", "dolor ", "sit ", "amet ", "message ", "2024-05-18 ", "\n"];
        let noise = seed.noise("bulk noise", POOL);
        let mut words = Vec::with_capacity(POOL + 16);
        for byte in noise.iter().cycle() {
            if words.len() >= POOL {
                break;
            }
            words.extend(WORDS[usize::from(byte % 8)].bytes());
        }
        words.truncate(POOL);
        zeros.sort_unstable();
        let mut hash = Sha1::new();
        let mut hashed = 0;
        let mut digests = BTreeMap::new();
        for len in zeros {
            while hashed < len {
                let step = (len - hashed).min(CHUNK as u64);
                hash.update(&[0; CHUNK][..usize::try_from(step).unwrap_or(CHUNK)]);
                hashed += step;
            }
            digests.entry(len).or_insert_with(|| hash.clone().finalize().into());
        }
        Self { noise, words, zeros: digests }
    }

    /// Writes a file. `chunk` is a buffer to use again; `advanced` is told of the bytes as they
    /// come, and its failure ends the file.
    pub(super) fn write(
        &self,
        source: Source<'_>,
        wanted: &Wanted<'_>,
        target: &Path,
        chunk: &mut Vec<u8>,
        advanced: &dyn Fn(u64) -> io::Result<()>,
    ) -> io::Result<Payload> {
        let Wanted { key, digest, hash } = *wanted;
        let mut out = File::create_new(target)?;
        if let Source::Zeros(size) = source {
            out.set_len(size)?;
            advanced(size)?;
            let known = || self.zeros.get(&size).copied().ok_or(io::ErrorKind::InvalidInput);
            let digest = digest.then(known).transpose()?;
            return Ok(Payload { digest, sha256: hash.then(|| sha256_zeros(size)) });
        }
        let mut cipher =
            key.map(|key| cbc::Encryptor::<aes::Aes256>::new(key.into(), &[0; 16].into()));
        let mut sha1 = digest.then(Sha1::new);
        let mut sha256 = hash.then(Sha256::new);
        let size = source.size();
        let mut done = 0;
        loop {
            let want = usize::try_from(size - done).map_or(CHUNK, |left| left.min(CHUNK));
            chunk.clear();
            self.fill(source, done, want, chunk);
            done += want as u64;
            if let Some(sha256) = &mut sha256 {
                sha256.update(&*chunk);
            }
            if let Some(cipher) = &mut cipher {
                if done == size {
                    *chunk = pad(std::mem::take(chunk));
                }
                let (blocks, _) = Array::slice_as_chunks_mut(chunk);
                cipher.encrypt_blocks(blocks);
            }
            if let Some(sha1) = &mut sha1 {
                sha1.update(&*chunk);
            }
            out.write_all(chunk)?;
            advanced(want as u64)?;
            if done == size {
                break;
            }
        }
        let digest = sha1.map(|sha1| sha1.finalize().into());
        Ok(Payload { digest, sha256: sha256.map(|sha256| sha256.finalize().into()) })
    }

    /// Appends `want` bytes of a source, from the offset `done` on.
    fn fill(&self, source: Source<'_>, done: u64, want: usize, chunk: &mut Vec<u8>) {
        match source {
            Source::Zeros(_) => chunk.resize(want, 0),
            Source::Bytes(bytes) => {
                let at = usize::try_from(done).unwrap_or(usize::MAX);
                chunk.extend(&bytes[at..at + want]);
            }
            Source::Pool { n, .. } => {
                let pool = if n % 10 < 3 { &self.words } else { &self.noise };
                // The number comes first, so that no two files are the same. The rest begins at a
                // prime step, so that neighbours share no bytes at one offset.
                if done == 0 {
                    chunk.extend(&(n as u64).to_be_bytes()[..want.min(8)]);
                }
                let offset = (done + chunk.len() as u64) % POOL as u64;
                let mut at = (n * 65_537 + usize::try_from(offset).unwrap_or(0)) % POOL;
                while chunk.len() < want {
                    let take = (want - chunk.len()).min(POOL - at);
                    chunk.extend(&pool[at..at + take]);
                    at = (at + take) % POOL;
                }
            }
        }
    }
}

fn sha256_zeros(mut size: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    while size > 0 {
        let step = size.min(CHUNK as u64);
        hash.update(&[0; CHUNK][..usize::try_from(step).unwrap_or(CHUNK)]);
        size -= step;
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use sha1::{Digest as _, Sha1};

    use super::{CHUNK, Pools};
    use crate::{Seed, hex};

    #[test]
    fn digests_of_zeros() {
        let lengths = [CHUNK as u64 * 2 + 5, 0, 64, 64, 1 << 20];
        let pools = Pools::new(Seed(1), lengths.into());
        assert_eq!(pools.zeros.len(), 4);
        for (len, digest) in &pools.zeros {
            assert_eq!(
                digest[..],
                Sha1::digest(vec![0; usize::try_from(*len).unwrap()])[..],
                "{len}"
            );
        }
        // Known from elsewhere: `sha1sum` of nothing, and of 1 MiB of /dev/zero.
        assert_eq!(hex(&pools.zeros[&0]), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hex(&pools.zeros[&(1 << 20)]), "3b71f43ff30f4b15b5cd85dd9e95ebc7e84eb5a3");
    }
}
