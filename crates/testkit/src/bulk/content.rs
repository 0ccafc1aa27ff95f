//! How the files of a big bundle get onto the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

use aes::cipher::{Array, BlockModeEncrypt, KeyIvInit};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use bkp_synth::{Node, Plan, Pools, Source};

use crate::cipher::pad;

/// Bytes that are written at once. A multiple of the cipher's block.
pub(super) const CHUNK: usize = 256 << 10;

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

/// The pools that content is cut from, and the SHA-1 of zeros of each length that is met.
#[derive(Debug)]
pub(super) struct Contents {
    pools: Pools,
    zeros: BTreeMap<u64, [u8; 20]>,
}

impl Contents {
    pub(super) fn new(plan: &Plan) -> Self {
        let zeros = (0..plan.least()).filter_map(|n| {
            let planned = plan.entry(n);
            match planned.node {
                Node::File(Source::Zeros(len)) if planned.digest => Some(len),
                _ => None,
            }
        });
        Self { pools: Pools::new(plan.seed()), zeros: digests_of_zeros(zeros.collect()) }
    }

    /// Writes a file. `chunk` is a buffer to use again; `advanced` is told of the bytes as they
    /// come, and its failure ends the file.
    pub(super) fn write(
        &self,
        source: &Source,
        wanted: &Wanted<'_>,
        target: &Path,
        chunk: &mut Vec<u8>,
        advanced: &dyn Fn(u64) -> io::Result<()>,
    ) -> io::Result<Payload> {
        let Wanted { key, digest, hash } = *wanted;
        let mut out = File::create_new(target)?;
        if let Source::Zeros(size) = *source {
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
        let size = source.len();
        let mut content = self.pools.open(source.clone());
        let mut done = 0;
        loop {
            let want = usize::try_from(size - done).map_or(CHUNK, |left| left.min(CHUNK));
            // Grows only for the first file, and once a file has been padded.
            chunk.resize(want, 0);
            content.read_exact(chunk)?;
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
}

/// Hashes zeros of many lengths: the longest run once, the state copied where each shorter one
/// ends.
fn digests_of_zeros(mut lengths: Vec<u64>) -> BTreeMap<u64, [u8; 20]> {
    lengths.sort_unstable();
    let mut hash = Sha1::new();
    let mut hashed = 0;
    let mut digests = BTreeMap::new();
    for len in lengths {
        while hashed < len {
            let step = (len - hashed).min(CHUNK as u64);
            hash.update(&[0; CHUNK][..usize::try_from(step).unwrap_or(CHUNK)]);
            hashed += step;
        }
        digests.entry(len).or_insert_with(|| hash.clone().finalize().into());
    }
    digests
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

    use super::{CHUNK, digests_of_zeros};
    use crate::hex;

    #[test]
    fn zeros_of_many_lengths() {
        let lengths = [CHUNK as u64 * 2 + 5, 0, 64, 64, 1 << 20];
        let zeros = digests_of_zeros(lengths.into());
        assert_eq!(zeros.len(), 4);
        for (len, digest) in &zeros {
            assert_eq!(
                digest[..],
                Sha1::digest(vec![0; usize::try_from(*len).unwrap()])[..],
                "{len}"
            );
        }
        // Known from elsewhere: `sha1sum` of nothing, and of 1 MiB of /dev/zero.
        assert_eq!(hex(&zeros[&0]), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hex(&zeros[&(1 << 20)]), "3b71f43ff30f4b15b5cd85dd9e95ebc7e84eb5a3");
    }
}
