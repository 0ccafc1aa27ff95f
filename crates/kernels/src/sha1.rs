//! SHA-1 (FIPS 180-4) of several streams at once.
//!
//! ```text
//! one stream     a chain: no processor is faster than the latency of its instructions
//! many streams   word 0 of all, word 1 of all, ...: one vector holds the same word of each
//! ```
//!
//! A backup's digests are of many files, so the second form can be used. Pieces of any number and
//! any lengths are given to [`Sha1Kernel::update`]; a lane whose piece ends takes the next.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod wide;

use std::fmt;

use ::sha1::block_api::compress;

use crate::lanes::Lanes;

/// The bytes of a block.
const BLOCK: usize = 64;

type Block = [u8; BLOCK];

/// One stream under way.
#[derive(Clone, Debug)]
pub struct Sha1Stream {
    state: [u32; 5],
    /// Bytes taken so far.
    len: u64,
    /// The bytes after the last whole block, and from the end on the padding.
    tail: [Block; 2],
    /// How much of `tail` is filled; less than a block before the end.
    filled: usize,
    ended: bool,
}

impl Default for Sha1Stream {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha1Stream {
    /// Starts a stream.
    #[must_use]
    pub const fn new() -> Self {
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
        Self { state, len: 0, tail: [[0; BLOCK]; 2], filled: 0, ended: false }
    }

    /// Returns the digest of all that was taken.
    #[must_use]
    pub fn finish(mut self) -> [u8; 20] {
        if !self.ended {
            let blocks = self.pad();
            let (state, tail) = (&mut self.state, &self.tail);
            compress(state, &tail[..blocks]);
        }
        let mut digest = [0; 20];
        for (to, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *to = word.to_be_bytes();
        }
        digest
    }

    /// Takes bytes up to the end of the block that was begun, and returns the whole blocks of the
    /// rest, and what is left after them. Neither is taken.
    fn begin<'b>(&mut self, bytes: &'b [u8]) -> (&'b [Block], &'b [u8]) {
        debug_assert!(!self.ended, "a stream takes nothing after its end");
        let mut bytes = bytes;
        if self.filled > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.tail[0][self.filled..self.filled + head.len()].copy_from_slice(head);
            self.filled += head.len();
            self.count(head.len());
            bytes = rest;
            if self.filled < BLOCK {
                return (&[], &[]);
            }
            compress(&mut self.state, &self.tail[..1]);
            self.filled = 0;
        }
        bytes.as_chunks::<BLOCK>()
    }

    /// Takes less than a block, where no block was begun.
    fn keep(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.tail[0][..rest.len()].copy_from_slice(rest);
            self.filled = rest.len();
            self.count(rest.len());
        }
    }

    fn count(&mut self, bytes: usize) {
        self.len = self.len.wrapping_add(bytes as u64);
    }

    /// Puts the padding and the length behind the last bytes, and returns in how many blocks.
    fn pad(&mut self) -> usize {
        let [first, second] = &mut self.tail;
        first[self.filled..].fill(0);
        first[self.filled] = 0x80;
        second.fill(0);
        let (blocks, last) = if self.filled < BLOCK - 8 { (1, first) } else { (2, second) };
        last[BLOCK - 8..].copy_from_slice(&self.len.wrapping_mul(8).to_be_bytes());
        self.ended = true;
        blocks
    }
}

/// What one stream takes in one call.
#[derive(Debug)]
pub struct Sha1Piece<'p> {
    /// The stream.
    pub stream: &'p mut Sha1Stream,
    /// Its next bytes. Those that were taken are cut off.
    pub bytes: &'p [u8],
    /// Whether they are its last. The padding is then done with that of the others, which is
    /// what small files cost; [`Sha1Stream::finish`] does it otherwise.
    pub last: bool,
}

/// One way to hash streams, known to work on this processor.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Sha1Kernel(Kind);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Portable,
    /// These are made only by [`Sha1Kernel::all`], where the processor has been asked.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl fmt::Debug for Sha1Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Sha1Kernel {
    /// The `sha1` crate, one stream after the other.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// Returns every kernel that works here, the best one first.
    pub fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let fast = [(avx512::detected as fn() -> bool, Kind::Avx512), (avx2::detected, Kind::Avx2)]
            .into_iter()
            .filter(|(detected, _)| !cfg!(feature = "force-portable") && detected())
            .map(|(_, kind)| kind);
        #[cfg(not(target_arch = "x86_64"))]
        let fast = std::iter::empty();
        fast.chain([Kind::Portable]).map(Self)
    }

    /// Returns the best kernel that works here.
    #[must_use]
    pub fn detect() -> Self {
        Self::all().next().unwrap_or(Self::PORTABLE)
    }

    /// Names what the kernel is made of.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
        }
    }

    /// Returns how many streams are worked on at once. More pieces than that in one call keep the
    /// lanes busy when their lengths differ; fewer leave some idle.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self.0 {
            Kind::Portable => 1,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => avx2::LANES,
        }
    }

    /// Takes the next bytes of any number of streams. A stream that has had its last takes no more.
    pub fn update(self, pieces: &mut [Sha1Piece<'_>]) {
        self.take(pieces, true);
    }

    /// Takes bytes for as long as every lane has a stream to work on, and leaves the rest in its
    /// pieces. At least one piece is taken whole, and all are where there are fewer than lanes.
    ///
    /// Who can put something new in the place of a piece that was taken whole calls this again and
    /// again, and no lane is ever idle.
    pub fn advance(self, pieces: &mut [Sha1Piece<'_>]) {
        self.take(pieces, pieces.len() < self.lanes());
    }

    fn take(self, pieces: &mut [Sha1Piece<'_>], whole: bool) {
        let mut jobs = Vec::with_capacity(pieces.len());
        let mut rests = Vec::with_capacity(pieces.len());
        for piece in &mut *pieces {
            let (blocks, rest) = piece.stream.begin(piece.bytes);
            rests.push((blocks.len(), rest));
            // What was begun has been ended.
            piece.bytes =
                &piece.bytes[piece.bytes.len() - blocks.as_flattened().len() - rest.len()..];
            jobs.push(Job { state: &mut piece.stream.state, blocks });
        }
        self.compress(&mut jobs, whole);
        let left: Vec<usize> = jobs.iter().map(|job| job.blocks.len()).collect();
        for ((piece, (blocks, rest)), left) in pieces.iter_mut().zip(rests).zip(left) {
            let taken = (blocks - left) * BLOCK;
            piece.stream.count(taken);
            piece.bytes = &piece.bytes[taken..];
            if left == 0 {
                piece.stream.keep(rest);
                piece.bytes = &[];
            }
        }
        let mut endings: Vec<Job<'_>> = pieces
            .iter_mut()
            .filter(|piece| piece.last && piece.bytes.is_empty())
            .map(|piece| {
                let blocks = piece.stream.pad();
                let Sha1Stream { state, tail, .. } = &mut *piece.stream;
                Job { state, blocks: &tail[..blocks] }
            })
            .collect();
        self.compress(&mut endings, true);
    }

    fn compress(self, jobs: &mut [Job<'_>], whole: bool) {
        match self.0 {
            Kind::Portable => one_by_one(jobs),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => in_lanes(jobs, whole, avx512::FEWEST, avx512::compress),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => in_lanes(jobs, whole, avx2::FEWEST, avx2::compress),
        }
    }
}

/// Whole blocks that a state takes. Those that were taken are cut off.
#[derive(Debug)]
struct Job<'j> {
    state: &'j mut [u32; 5],
    blocks: &'j [Block],
}

fn one_by_one(jobs: &mut [Job<'_>]) {
    for Job { state, blocks } in jobs {
        compress(state, blocks);
        *blocks = &[];
    }
}

/// Works on `N` streams at once, as long as there are so many. If it is to do all of them, it goes
/// on as long as there are `fewest`; the last ones are faster alone.
///
/// `kernel` takes the states, word by word, and as many blocks for each lane.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "no kernel has lanes here"))]
fn in_lanes<const N: usize>(
    jobs: &mut [Job<'_>],
    whole: bool,
    fewest: usize,
    kernel: impl Fn(&mut [[u32; N]; 5], &[&[Block]; N]),
) {
    let enough = if whole { fewest } else { N };
    let mut lanes = Lanes::<N>::new(jobs.iter().map(|job| job.blocks.len()));
    let mut states = [[0; N]; 5];
    loop {
        lanes.refill(|lane, item| {
            for (words, &word) in states.iter_mut().zip(&*jobs[item].state) {
                words[lane] = word;
            }
        });
        let Some(run) = lanes.run().filter(|_| lanes.busy() >= enough) else { break };
        // An idle lane hashes what a busy one does, and nobody takes the result.
        let spare = lanes.slots().iter().flatten().next();
        let blocks = lanes.slots().each_ref().map(|slot| {
            slot.as_ref()
                .or(spare)
                .map_or(&[][..], |slot| &jobs[slot.item].blocks[slot.at..slot.at + run])
        });
        kernel(&mut states, &blocks);
        lanes.advance(run, |lane, item| {
            take_out(&states, lane, jobs[item].state);
            jobs[item].blocks = &[];
        });
    }
    for lane in 0..N {
        if let Some(slot) = lanes.take(lane) {
            let Job { state, blocks } = &mut jobs[slot.item];
            take_out(&states, lane, state);
            *blocks = &blocks[slot.at..];
            if whole {
                compress(state, blocks);
                *blocks = &[];
            }
        }
    }
}

/// Copies the state of one lane.
fn take_out<const N: usize>(states: &[[u32; N]; 5], lane: usize, state: &mut [u32; 5]) {
    for (word, words) in state.iter_mut().zip(states) {
        *word = words[lane];
    }
}

#[cfg(test)]
mod tests;
