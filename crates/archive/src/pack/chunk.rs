//! The archive as chunks: where bytes are put, and what is sealed, hashed and written later.
//!
//! ```text
//! plain    │ bytes of the zip ......................................... │
//! sealed   │ 88 │ 40 │ plaintext .. │ tag │ plaintext .......... │ tag │     the first
//!          │ plaintext ............. │ tag │ plaintext .......... │ tag │     all others
//! ```
//!
//! Files are read into the place where they are written from. Nothing is copied on the way, and
//! segments are sealed where they lie.

use std::fmt;
use std::io::{self, Write};

use bkp_crypto::{SegmentSealer, sealed_limits};
use zeroize::Zeroizing;

use crate::name::MemberName;

/// Bytes of a chunk, unless one segment is larger.
const CHUNK: usize = 256 << 10;
const TAG: usize = SegmentSealer::TAG;

/// A part of the archive.
pub(super) struct Chunk {
    bytes: Zeroizing<Vec<u8>>,
    /// Where its first segment begins, had it nothing before it: behind the header of the archive.
    lead: usize,
    /// Where its last segment ends, if it is full.
    limit: usize,
    /// Where the next byte goes.
    end: usize,
    /// Contents of files in it, in order.
    pub(super) spans: Vec<Span>,
    /// Bytes of those.
    pub(super) content: u64,
    /// Whether the archive ends with it.
    last: bool,
}

/// Content of a file, within a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    from: usize,
    to: usize,
    /// The file that ends with it, and its length.
    pub(super) ends: Option<(MemberName, u64)>,
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("end", &self.end).finish_non_exhaustive()
    }
}

impl Chunk {
    /// Returns the content of a span.
    pub(super) fn of(&self, span: &Span) -> &[u8] {
        self.bytes.get(span.from..span.to).unwrap_or_default()
    }

    /// Returns what is written of it.
    pub(super) fn written(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    /// Returns true for the last one.
    pub(super) fn is_last(&self) -> bool {
        self.last
    }

    /// Cuts it into segments with room for their tags, which count as written from now on.
    pub(super) fn segments(&mut self, size: usize) -> impl Iterator<Item = &mut [u8]> {
        self.end = (self.end + TAG).min(self.limit);
        let head = if self.lead == 0 { 0 } else { SegmentSealer::HEAD };
        let segments = self.bytes[self.lead..self.end].chunks_mut(size).enumerate();
        segments.map(move |(n, segment)| if n == 0 { &mut segment[head..] } else { segment })
    }
}

/// A place to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    full: usize,
    end: usize,
    spans: usize,
    content: u64,
}

/// Puts an archive together, chunk by chunk.
#[derive(Debug)]
pub(super) struct Assembler {
    /// Bytes of a segment; nothing in a plain archive.
    segment: Option<usize>,
    /// Segments of a chunk.
    together: usize,
    now: Chunk,
    /// Chunks behind which there is another.
    full: Vec<Chunk>,
    /// Chunks that were written and can be used again.
    spare: Vec<Chunk>,
}

impl Assembler {
    /// Begins an archive, with the bytes before the first segment of a sealed one.
    pub(super) fn new(sealer: Option<&SegmentSealer>) -> Self {
        let segment = sealer.map(SegmentSealer::segment_size);
        let together = segment.map_or(1, |size| (CHUNK / size).max(1));
        let lead = if sealer.is_some() { sealed_limits::HEADER } else { 0 };
        let mut now = empty(lead + together * segment.unwrap_or(CHUNK));
        if let Some(sealer) = sealer {
            let start = sealer.start();
            now.bytes[..start.len()].copy_from_slice(start);
            (now.lead, now.end) = (lead, start.len());
        }
        Self { segment, together, now, full: Vec::new(), spare: Vec::new() }
    }

    /// Returns how many chunks so many bytes need at most, wherever they begin.
    pub(super) fn chunks(&self, bytes: usize) -> usize {
        let plain = self.segment.map_or(CHUNK, |size| (size - TAG) * self.together);
        bytes.div_ceil(plain) + 1
    }

    /// Takes chunks that are to be used again.
    pub(super) fn reuse(&mut self, spare: &mut Vec<Chunk>) {
        self.spare.append(spare);
    }

    /// Gives out the chunks that are full.
    pub(super) fn take_full(&mut self) -> std::vec::Drain<'_, Chunk> {
        self.full.drain(..)
    }

    /// Returns whether a chunk is full.
    pub(super) fn has_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Returns the chunk that is being filled.
    pub(super) fn now(&mut self) -> &mut Chunk {
        &mut self.now
    }

    /// Ends the archive with the chunk that is being filled.
    pub(super) fn finish(&mut self) {
        self.now.last = true;
        self.rotate();
    }

    pub(super) fn mark(&self) -> Mark {
        let Chunk { end, spans, content, .. } = &self.now;
        Mark { full: self.full.len(), end: *end, spans: spans.len(), content: *content }
    }

    /// Goes back to a mark that was made since chunks were last given out.
    pub(super) fn rewind(&mut self, mark: Mark) {
        let Mark { full, end, spans, content } = mark;
        if full < self.full.len() {
            let now = self.full.swap_remove(full);
            self.spare.push(std::mem::replace(&mut self.now, now));
            self.spare.extend(self.full.drain(full..));
        }
        self.now.spans.truncate(spans);
        (self.now.end, self.now.content) = (end, content);
    }

    /// Returns where bytes can be put: one at least.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.left() == 0 {
            if self.segment.is_some() && self.now.end + TAG < self.now.limit {
                self.now.end += TAG;
            } else {
                self.rotate();
            }
        }
        let (at, left) = (self.now.end, self.left());
        &mut self.now.bytes[at..at + left]
    }

    /// Returns how many bytes there is room for before a tag or the end.
    fn left(&self) -> usize {
        let Chunk { lead, limit, end, .. } = &self.now;
        match self.segment {
            None => limit - end,
            Some(size) => size - TAG - (end - lead) % size,
        }
    }

    /// Counts bytes that were put there.
    pub(super) fn took(&mut self, count: usize) {
        self.now.end += count;
    }

    /// Counts bytes that were put there and are content of a file.
    pub(super) fn took_content(&mut self, count: usize) {
        let from = self.now.end;
        self.now.end += count;
        self.now.content += count as u64;
        self.now.spans.push(Span { from, to: self.now.end, ends: None });
    }

    /// Notes that a file ends here.
    pub(super) fn end_content(&mut self, name: MemberName, len: u64) {
        let (from, to) = (self.now.end, self.now.end);
        self.now.spans.push(Span { from, to, ends: Some((name, len)) });
    }

    /// Leaves out four bytes, to be filled in with [`fill`](Self::fill) before chunks are given
    /// out.
    pub(super) fn leave(&mut self) -> [(usize, usize); 4] {
        std::array::from_fn(|_| {
            self.room();
            let place = (self.full.len(), self.now.end);
            self.took(1);
            place
        })
    }

    pub(super) fn fill(&mut self, places: [(usize, usize); 4], bytes: [u8; 4]) {
        for ((chunk, at), byte) in places.into_iter().zip(bytes) {
            let chunk = self.full.get_mut(chunk).unwrap_or(&mut self.now);
            chunk.bytes[at] = byte;
        }
    }

    fn rotate(&mut self) {
        let limit = self.together * self.segment.unwrap_or(CHUNK);
        let next = match self.spare.pop() {
            Some(mut chunk) => {
                chunk.spans.clear();
                (chunk.lead, chunk.limit, chunk.end, chunk.content) = (0, limit, 0, 0);
                chunk
            }
            None => empty(limit),
        };
        self.full.push(std::mem::replace(&mut self.now, next));
    }
}

fn empty(limit: usize) -> Chunk {
    let bytes = Zeroizing::new(vec![0; limit]);
    Chunk { bytes, lead: 0, limit, end: 0, spans: Vec::new(), content: 0, last: false }
}

impl Write for Assembler {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let room = self.room();
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.took(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
