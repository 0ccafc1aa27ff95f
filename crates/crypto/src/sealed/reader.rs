//! Reading a sealed stream at any place.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use zeroize::{Zeroize as _, Zeroizing};

use super::ByteSource;
use super::error::SealedError;
use super::header::{SealedHeader, sealed_limits};
use super::segment::{BadLength, Geometry, STREAM_HEADER, STREAM_MARK, SegmentCipher};
use crate::secret::ArchiveKey;

/// Plaintext that is kept, so that the members of an archive that lie side by side are opened
/// once.
const CACHE: usize = 8 << 20;
/// The most damaged segments that are listed by number.
const LISTED: usize = 10_000;

type Plain = Arc<Zeroizing<Vec<u8>>>;

/// A sealed stream, readable at any place and by many threads.
///
/// A segment is opened when something in it is asked for, and no byte of it is seen before its
/// tag was found right. The last one is opened first, so a stream that was cut is never read.
pub struct SealedReader {
    source: Arc<dyn ByteSource>,
    header: SealedHeader,
    cipher: SegmentCipher,
    geometry: Geometry,
    cache: Mutex<Cache>,
    kept: usize,
    opened: AtomicU64,
}

/// Segments that were opened.
#[derive(Default)]
struct Cache {
    /// Those used last, the latest at the end.
    plain: Vec<(u32, Plain)>,
    /// Buffers of others, to be used again: memory that is new for each segment costs as much as
    /// opening it.
    spare: Vec<Zeroizing<Vec<u8>>>,
}

impl Cache {
    fn find(&mut self, index: u32) -> Option<Plain> {
        let at = self.plain.iter().position(|(cached, _)| *cached == index)?;
        let hit = self.plain.remove(at);
        let plain = Arc::clone(&hit.1);
        self.plain.push(hit);
        Some(plain)
    }

    /// Keeps a segment, and of `kept` others the oldest no longer.
    fn keep(&mut self, index: u32, plain: Plain, kept: usize) {
        if self.plain.len() >= kept {
            let (_, oldest) = self.plain.remove(0);
            // One that somebody still reads goes when they are done.
            self.spare.extend(Arc::into_inner(oldest));
        }
        self.plain.push((index, plain));
    }
}

/// What came of opening every segment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SegmentCheck {
    /// Segments there are.
    pub segments: u64,
    /// How many of them do not open.
    pub damaged: u64,
    /// The numbers of those, ascending; of at most ten thousand.
    pub first_damaged: Vec<u64>,
}

impl fmt::Debug for SealedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, geometry, .. } = self;
        f.debug_struct("SealedReader")
            .field("source", source)
            .field("geometry", geometry)
            .finish_non_exhaustive()
    }
}

impl SealedReader {
    /// Reads the header of a stream, which tells what key is needed.
    ///
    /// # Errors
    ///
    /// Fails when reading does, and on anything that is not a whole header of version 1.
    pub fn header(source: &dyn ByteSource) -> Result<SealedHeader, SealedError> {
        let len = usize::try_from(source.len()).unwrap_or(usize::MAX);
        let mut bytes = [0; sealed_limits::HEADER];
        let there = bytes.get_mut(..len.min(sealed_limits::HEADER)).unwrap_or_default();
        read(source, 0, there)?;
        SealedHeader::parse(there)
    }

    /// Opens a stream with the key that belongs to its header, and checks where it ends.
    ///
    /// # Errors
    ///
    /// Fails when reading does, when the key is another one, and when the stream was cut off,
    /// extended or changed at its end.
    pub fn open(
        source: Arc<dyn ByteSource>,
        header: SealedHeader,
        key: &ArchiveKey,
    ) -> Result<Self, SealedError> {
        if !header.is_of(key) {
            return Err(match header.key_source() {
                super::KeySource::KeyFile => SealedError::WrongKeyFile,
                super::KeySource::Passphrase(_) => SealedError::WrongPassphrase,
            });
        }
        let len = source.len();
        let truncated = || SealedError::Truncated { len };
        let stream = len.checked_sub(HEADER).ok_or_else(truncated)?;
        let size = header.segment_size();
        let geometry = Geometry::of(size, STREAM_HEADER, stream).map_err(|error| match error {
            BadLength::Short => truncated(),
            BadLength::Long => SealedError::TooLong,
        })?;
        let (mut marker, mut salt, mut prefix) = ([0], [0; 32], [0; 7]);
        let mut at = HEADER;
        for part in [&mut marker[..], &mut salt, &mut prefix] {
            read(&*source, at, part)?;
            at = at.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        }
        if marker != [STREAM_MARK] {
            return Err(SealedError::HeaderDamaged);
        }
        let cipher = SegmentCipher::new(key, &salt, prefix, header.as_bytes());
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let kept = CACHE.checked_div(size).unwrap_or(0).clamp(4, 64);
        let (cache, opened) = (Mutex::default(), AtomicU64::new(0));
        let reader = Self { source, header, cipher, geometry, cache, kept, opened };
        reader.check_end()?;
        Ok(reader)
    }

    /// Returns the header that the stream was opened with.
    #[must_use]
    pub fn sealed_header(&self) -> &SealedHeader {
        &self.header
    }

    /// Returns how many segments there are.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.geometry.count.into()
    }

    /// Returns how many segments have been opened so far, some perhaps more than once.
    #[must_use]
    pub fn segments_opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Fills `buf` with the plaintext that begins at `offset`.
    ///
    /// # Errors
    ///
    /// Fails when reading does, when there is less plaintext, and when a segment was changed. What
    /// is in `buf` then is not to be used; all that can be in it is authentic nevertheless.
    pub fn read_at(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<(), SealedError> {
        while !buf.is_empty() {
            let Some((index, within)) = self.geometry.locate(offset) else {
                let source = io::ErrorKind::UnexpectedEof.into();
                return Err(SealedError::Io { action: "read", source });
            };
            let plain = self.segment(index)?;
            let there = plain.get(within..).unwrap_or_default();
            let count = there.len().min(buf.len());
            let (to, rest) = buf.split_at_mut(count);
            to.copy_from_slice(there.get(..count).unwrap_or_default());
            buf = rest;
            // Not zero: the place is before the end of this segment.
            offset = offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// Opens every segment, on all threads of rayon.
    ///
    /// `progress` is given the bytes of the archive that were checked since it was called last,
    /// from any thread, and stops the check by returning [`ControlFlow::Break`].
    ///
    /// # Errors
    ///
    /// Fails when reading does and when `progress` asks to stop. Damaged segments are no error.
    pub fn check_segments(
        &self,
        progress: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Result<SegmentCheck, SealedError> {
        let stopped = AtomicBool::new(false);
        let damaged = AtomicU64::new(0);
        let numbers = Mutex::new(Vec::new());
        (0..self.geometry.count).into_par_iter().try_for_each_init(
            || Zeroizing::new(Vec::new()),
            |buffer, index| {
                if stopped.load(Ordering::Relaxed) {
                    return Err(SealedError::Cancelled);
                }
                match self.open_into(index, buffer) {
                    Ok(()) => {}
                    Err(SealedError::Segment { .. }) => {
                        damaged.fetch_add(1, Ordering::Relaxed);
                        let mut numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
                        if numbers.len() < LISTED {
                            numbers.push(u64::from(index));
                        }
                    }
                    Err(error) => return Err(error),
                }
                let range = self.geometry.segment(index);
                if progress(range.end.saturating_sub(range.start)).is_break() {
                    stopped.store(true, Ordering::Relaxed);
                    return Err(SealedError::Cancelled);
                }
                Ok(())
            },
        )?;
        let mut first_damaged = numbers.into_inner().unwrap_or_else(PoisonError::into_inner);
        first_damaged.sort_unstable();
        Ok(SegmentCheck { segments: self.segments(), damaged: damaged.into_inner(), first_damaged })
    }

    /// Finds out whether the last segment was written as the last.
    fn check_end(&self) -> Result<(), SealedError> {
        let last = self.geometry.last();
        match self.segment(last) {
            Err(SealedError::Segment { segment }) => {
                let mut bytes = Zeroizing::new(Vec::new());
                self.read_segment(last, &mut bytes)?;
                // It may be whole and have had another one behind it.
                Err(match self.cipher.open(last, false, &mut bytes) {
                    Ok(_) => SealedError::Truncated { len: self.source.len() },
                    Err(_) => SealedError::LastSegment { segment },
                })
            }
            opened => opened.map(drop),
        }
    }

    /// Returns the plaintext of a segment.
    fn segment(&self, index: u32) -> Result<Plain, SealedError> {
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = {
            let mut cache = cache();
            if let Some(plain) = cache.find(index) {
                return Ok(plain);
            }
            cache.spare.pop()
        };
        let mut plain = spare.unwrap_or_default();
        self.open_into(index, &mut plain)?;
        let plain = Arc::new(plain);
        cache().keep(index, Arc::clone(&plain), self.kept);
        Ok(plain)
    }

    /// Makes `buffer` the plaintext of a segment, or nothing.
    fn open_into(&self, index: u32, buffer: &mut Vec<u8>) -> Result<(), SealedError> {
        self.read_segment(index, buffer)?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        match self.cipher.open(index, index == self.geometry.last(), buffer) {
            Ok(plain) => {
                let len = plain.len();
                buffer.truncate(len);
                Ok(())
            }
            Err(_) => {
                buffer.zeroize();
                Err(SealedError::Segment { segment: index.into() })
            }
        }
    }

    /// Reads a segment as it is stored. It is no longer than a header may ask for.
    fn read_segment(&self, index: u32, buffer: &mut Vec<u8>) -> Result<(), SealedError> {
        let range = self.geometry.segment(index);
        let len = range.end.saturating_sub(range.start);
        buffer.resize(usize::try_from(len).unwrap_or(0), 0);
        read(&*self.source, HEADER.saturating_add(range.start), buffer)
    }
}

impl ByteSource for SealedReader {
    fn len(&self) -> u64 {
        self.geometry.plain_len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        Ok(self.read_at(offset, buf)?)
    }
}

/// Bytes of the header, as a length in a file.
const HEADER: u64 = sealed_limits::HEADER as u64;

fn read(source: &dyn ByteSource, offset: u64, buf: &mut [u8]) -> Result<(), SealedError> {
    source.read_exact_at(offset, buf).map_err(|source| SealedError::Io { action: "read", source })
}
