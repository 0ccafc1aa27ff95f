//! What is in the files.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use crate::Seed;

/// Bytes of the pool that content is cut from.
const POOL: usize = 4 << 20;
const POOL_LEN: u64 = 4 << 20;

/// What a file is made of.
#[derive(Clone)]
pub enum Source {
    /// So many bytes cut from the pools, different for each number.
    Pool {
        /// The file's number.
        number: usize,
        /// Bytes.
        len: u64,
    },
    /// So many zeros, of which a disk need not store any.
    Zeros(u64),
    /// These bytes.
    Bytes(Arc<[u8]>),
}

impl Source {
    /// Returns how many bytes there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "of a file; whether it is empty nobody asks")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Pool { len, .. } | Self::Zeros(len) => *len,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool { number, len } => write!(f, "Pool({number}, {len} bytes)"),
            Self::Zeros(len) => write!(f, "Zeros({len} bytes)"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

/// What all content is cut from: three files in ten from words and the others from noise. Making
/// content so costs little more than a copy.
///
/// Cloning it shares the pools.
#[derive(Clone)]
pub struct Pools {
    noise: Arc<[u8]>,
    words: Arc<[u8]>,
}

impl Pools {
    /// Makes the pools, which are a few mebibytes.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
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
        Self { noise: noise.into(), words: words.into() }
    }

    /// Opens a file.
    #[must_use]
    pub fn open(&self, source: Source) -> Content {
        let pool = match &source {
            // Words compress and noise does not, as it is with the files of a device.
            Source::Pool { number, .. } if number % 10 < 3 => Some(Arc::clone(&self.words)),
            Source::Pool { .. } => Some(Arc::clone(&self.noise)),
            _ => None,
        };
        Content { pool, source, done: 0 }
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pools").finish_non_exhaustive()
    }
}

/// The bytes of one file, from start to end. A read fills its buffer unless the file ends.
pub struct Content {
    pool: Option<Arc<[u8]>>,
    source: Source,
    done: u64,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool: _, source, done } = self;
        f.debug_struct("Content").field("source", source).field("done", done).finish()
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.source.len() - self.done).unwrap_or(usize::MAX);
        let want = left.min(buffer.len());
        let buffer = &mut buffer[..want];
        match (&self.source, &self.pool) {
            (Source::Bytes(bytes), _) => {
                let at = usize::try_from(self.done).unwrap_or(usize::MAX);
                buffer.copy_from_slice(&bytes[at..at + want]);
            }
            (Source::Pool { number, .. }, Some(pool)) => cut(pool, *number, self.done, buffer),
            _ => buffer.fill(0),
        }
        self.done += want as u64;
        Ok(want)
    }
}

/// Fills a buffer with what file `number` holds from the offset `done` on.
///
/// The number comes first, so that no two files are the same. The rest begins at a prime step, so
/// that neighbours share no bytes at one offset.
fn cut(pool: &[u8], number: usize, mut done: u64, mut buffer: &mut [u8]) {
    let head = (number as u64).to_be_bytes();
    if let Some(rest) = usize::try_from(done).ok().and_then(|at| head.get(at..)) {
        let take = rest.len().min(buffer.len());
        let (here, after) = buffer.split_at_mut(take);
        here.copy_from_slice(&rest[..take]);
        (buffer, done) = (after, done + take as u64);
    }
    let offset = usize::try_from(done % POOL_LEN).unwrap_or(0);
    let mut at = (number.wrapping_mul(65_537) % POOL + offset) % POOL;
    while !buffer.is_empty() {
        let take = buffer.len().min(POOL - at);
        let (here, after) = buffer.split_at_mut(take);
        here.copy_from_slice(&pool[at..at + take]);
        (buffer, at) = (after, (at + take) % POOL);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::{POOL, Pools, Source};
    use crate::Seed;

    #[test]
    fn a_file_is_the_same_whatever_the_reads() {
        let pools = Pools::new(Seed(1));
        let fixed: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let sources = [
            Source::Pool { number: 4, len: 5 },
            Source::Pool { number: 12, len: POOL as u64 + 77 },
            Source::Pool { number: 77_777, len: 2 * POOL as u64 },
            Source::Bytes(fixed.clone().into()),
            Source::Zeros(100_000),
        ];
        for source in sources {
            let mut whole = vec![1; usize::try_from(source.len()).unwrap()];
            pools.open(source.clone()).read_exact(&mut whole).unwrap();
            for step in [3, 4_099, POOL - 1] {
                let (mut dripped, mut content) = (Vec::<u8>::new(), pools.open(source.clone()));
                let mut buffer = vec![0; step];
                loop {
                    let read = content.read(&mut buffer).unwrap();
                    dripped.extend(&buffer[..read]);
                    if read == 0 {
                        break;
                    }
                }
                assert!(dripped == whole, "{source:?} by {step}");
            }
            match source {
                Source::Bytes(_) => assert_eq!(whole, fixed),
                Source::Zeros(_) => assert!(whole.iter().all(|byte| *byte == 0)),
                Source::Pool { number, .. } => {
                    let head = (number as u64).to_be_bytes();
                    assert!(whole.starts_with(&head[..whole.len().min(8)]));
                }
            }
        }
    }

    #[test]
    fn files_of_words_are_text() {
        let pools = Pools::new(Seed(1));
        for number in 20..30 {
            let mut content = Vec::new();
            pools.open(Source::Pool { number, len: 5_000 }).read_to_end(&mut content).unwrap();
            assert_eq!(content[8..].is_ascii(), number < 23, "{number}");
        }
    }
}
