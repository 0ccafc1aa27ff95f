//! What is in the files of a big bundle, and how it gets onto the disk.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use aes::cipher::{Array, BlockModeEncrypt, KeyIvInit};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::Seed;
use crate::cipher::pad;

/// Bytes of the pool that all content is cut from.
const POOL: usize = 4 << 20;
/// Bytes that are written at once. A multiple of the cipher's block.
pub(super) const CHUNK: usize = 256 << 10;

/// Makes and writes payloads.
///
/// Content is cut from a pool, three files in ten from one of words and the others from one of
/// noise, and starts with the file's number, so that no two files are the same. Making it costs
/// little more than a copy.
pub(super) struct Content {
    noise: Vec<u8>,
    words: Vec<u8>,
    chunk: Vec<u8>,
}

/// What is known of a payload after it was written.
pub(super) struct Payload {
    pub(super) stored: u64,
    pub(super) digest: Option<[u8; 20]>,
    pub(super) sha256: Option<[u8; 32]>,
}

impl Content {
    pub(super) fn new(seed: Seed) -> Self {
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
        Self { noise, words, chunk: Vec::with_capacity(CHUNK + 16) }
    }

    pub(super) fn write(
        &mut self,
        n: usize,
        size: u64,
        key: Option<&[u8; 32]>,
        target: &Path,
        digest: bool,
        hash: bool,
    ) -> io::Result<Payload> {
        let pool = if n % 10 < 3 { &self.words } else { &self.noise };
        // A prime step, so that neighbours share no bytes at one offset.
        let mut at = n * 65_537 % POOL;
        let mut cipher =
            key.map(|key| cbc::Encryptor::<aes::Aes256>::new(key.into(), &[0; 16].into()));
        let mut sha1 = digest.then(Sha1::new);
        let mut sha256 = hash.then(Sha256::new);
        let mut out = File::create_new(target)?;
        let (mut left, mut stored) = (size, 0);
        loop {
            let want = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            self.chunk.clear();
            if left == size {
                let head = (n as u64).to_be_bytes();
                self.chunk.extend(&head[..want.min(8)]);
            }
            while self.chunk.len() < want {
                let take = (want - self.chunk.len()).min(POOL - at);
                self.chunk.extend(&pool[at..at + take]);
                at = (at + take) % POOL;
            }
            left -= want as u64;
            if let Some(sha256) = &mut sha256 {
                sha256.update(&self.chunk);
            }
            if let Some(cipher) = &mut cipher {
                if left == 0 {
                    self.chunk = pad(std::mem::take(&mut self.chunk));
                }
                let (blocks, _) = Array::slice_as_chunks_mut(&mut self.chunk);
                cipher.encrypt_blocks(blocks);
            }
            if let Some(sha1) = &mut sha1 {
                sha1.update(&self.chunk);
            }
            out.write_all(&self.chunk)?;
            stored += self.chunk.len() as u64;
            if left == 0 {
                break;
            }
        }
        let digest = sha1.map(|sha1| sha1.finalize().into());
        Ok(Payload { stored, digest, sha256: sha256.map(|sha256| sha256.finalize().into()) })
    }
}
