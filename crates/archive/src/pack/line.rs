//! The stages that a chunk goes through, and the threads that take turns at them.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bkp_crypto::SegmentSealer;
use sha2::{Digest as _, Sha256};

use super::chunk::Chunk;
use super::fill::{Filled, Filler};
use super::{Pack, PackedMember};
use crate::error::ArchiveError;

/// Bytes of chunks that may be under way, unless so many are filled at once.
const UNDER_WAY: usize = 12 << 20;
/// More threads than stages have nothing to do.
const THREADS: usize = 5;

/// What is done to a chunk after it was filled, in this order. Each stage does one chunk at a
/// time, so order is kept without any number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// SHA-256 of the files in it.
    Members,
    Seal,
    /// SHA-256 of the archive.
    Digest,
    Write,
}

const STAGES: [Stage; 4] = [Stage::Members, Stage::Seal, Stage::Digest, Stage::Write];

/// The files of which the content is hashed.
#[derive(Debug, Default)]
pub(super) struct Members {
    now: Sha256,
    packed: Vec<PackedMember>,
    /// Whether hashes are asked for.
    hash: bool,
}

impl Members {
    /// Takes the content of files in a chunk.
    pub(super) fn take(&mut self, chunk: &Chunk) {
        if !self.hash {
            return;
        }
        for span in &chunk.spans {
            self.now.update(chunk.of(span));
            if let Some((name, len)) = span.ends {
                let sha256 = self.now.finalize_reset().into();
                self.packed.push(PackedMember { name, len, sha256 });
            }
        }
    }

    pub(super) fn packed(&self) -> &[PackedMember] {
        &self.packed
    }
}

/// All there is to packing.
pub(super) struct Line<'a, 'r, W> {
    fill: Mutex<Filler<'a, 'r>>,
    members: Mutex<Members>,
    seal: Mutex<Option<SegmentSealer>>,
    digest: Mutex<Option<Sha256>>,
    out: Mutex<Written<W>>,
    progress: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
    state: Mutex<State>,
    changed: Condvar,
    /// The stages that there are, in order.
    stages: Vec<Stage>,
    /// Chunks that one call of the filler needs at most, and those that may be under way.
    at_once: usize,
    most: usize,
}

struct Written<W> {
    out: W,
    bytes: u64,
}

/// Who may do what next.
#[derive(Debug, Default)]
struct State {
    /// Chunks that wait for each stage.
    waiting: [VecDeque<Chunk>; STAGES.len()],
    busy: [bool; STAGES.len()],
    filling: bool,
    /// Whether everything has been filled.
    filled: bool,
    /// Whether the filler wants all hashes before it goes on.
    wants_members: bool,
    /// Chunks that were filled and not yet written.
    under_way: usize,
    spare: Vec<Chunk>,
    failed: Option<ArchiveError>,
    stopped: bool,
}

impl State {
    /// Returns whether nothing waits for a stage or is in it.
    fn is_idle(&self, stage: Stage) -> bool {
        let at = stage as usize;
        !self.busy[at] && self.waiting[at].is_empty()
    }
}

/// What a thread does next.
enum Task {
    Fill,
    Stage(Stage, Chunk),
    Leave,
}

impl<W> fmt::Debug for Line<'_, '_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("stages", &self.stages).finish_non_exhaustive()
    }
}

impl<'a, 'r, W: Write + Send> Line<'a, 'r, W> {
    pub(super) fn new(
        mut filler: Filler<'a, 'r>,
        hash: bool,
        sealer: Option<SegmentSealer>,
        hash_archive: bool,
        out: W,
        progress: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
    ) -> Self {
        let wanted = |stage: &Stage| match stage {
            Stage::Members => hash,
            Stage::Seal => sealer.is_some(),
            Stage::Digest => hash_archive,
            Stage::Write => true,
        };
        let stages = STAGES.into_iter().filter(wanted).collect();
        let at_once = filler.at_once();
        let most = filler.chunks(UNDER_WAY).max(at_once + 1);
        Self {
            fill: Mutex::new(filler),
            members: Mutex::new(Members { hash, ..Members::default() }),
            seal: Mutex::new(sealer),
            digest: Mutex::new(hash_archive.then(Sha256::new)),
            out: Mutex::new(Written { out, bytes: 0 }),
            progress,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            stages,
            at_once,
            most,
        }
    }

    /// Packs, on this thread and others.
    pub(super) fn run(self) -> Result<(W, Pack), ArchiveError> {
        let others = rayon::current_num_threads().min(THREADS).saturating_sub(1);
        std::thread::scope(|scope| {
            for _ in 0..others {
                // With fewer threads it takes longer, and that is all.
                let _ = std::thread::Builder::new().spawn_scoped(scope, || self.work());
            }
            self.work();
        });
        let Self { fill, members, digest, out, state, .. } = self;
        if let Some(error) = inner(state).failed {
            return Err(error);
        }
        let (files, bytes, zip_bytes) = inner(fill).counts();
        let Written { mut out, bytes: archive_bytes } = inner(out);
        out.flush().map_err(|source| ArchiveError::io("write", source))?;
        let archive_sha256 = inner(digest).map(|digest| digest.finalize().into());
        let members = inner(members).packed;
        Ok((out, Pack { files, bytes, zip_bytes, archive_bytes, archive_sha256, members }))
    }

    fn work(&self) {
        // A thread that panics must not leave the others waiting.
        let guard = Leaving(self);
        loop {
            let done = match self.next() {
                Task::Leave => break,
                Task::Fill => self.fill(),
                Task::Stage(stage, chunk) => self.stage(stage, chunk),
            };
            if let Err(error) = done {
                let mut state = lock(&self.state);
                state.stopped = true;
                // The first one is told.
                state.failed.get_or_insert(error);
                self.changed.notify_all();
            }
        }
        std::mem::forget(guard);
    }

    /// Waits for something to do. What is nearest to the end comes first: it is still in the cache
    /// of the processor, and chunks become free.
    fn next(&self) -> Task {
        let mut state = lock(&self.state);
        loop {
            if state.stopped {
                return Task::Leave;
            }
            for &stage in self.stages.iter().rev() {
                let at = stage as usize;
                if !state.busy[at]
                    && let Some(chunk) = state.waiting[at].pop_front()
                {
                    state.busy[at] = true;
                    return Task::Stage(stage, chunk);
                }
            }
            let hashed = !state.wants_members || state.is_idle(Stage::Members);
            let room = state.under_way + self.at_once <= self.most;
            if !state.filling && !state.filled && hashed && room {
                state.filling = true;
                return Task::Fill;
            }
            if state.filled && state.under_way == 0 {
                return Task::Leave;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn fill(&self) -> Result<(), ArchiveError> {
        let mut filler = lock(&self.fill);
        let wants_members = {
            let mut state = lock(&self.state);
            filler.reuse(&mut state.spare);
            std::mem::take(&mut state.wants_members)
        };
        let mut members = wants_members.then(|| lock(&self.members));
        let filled = filler.fill(members.as_deref_mut())?;
        drop(members);
        let mut state = lock(&self.state);
        let first = self.stages.first().map_or(Stage::Write, |stage| *stage);
        for chunk in filler.take_full() {
            state.under_way += 1;
            state.waiting[first as usize].push_back(chunk);
        }
        state.wants_members = filled == Filled::WantsMembers;
        state.filled = filled == Filled::All;
        state.filling = false;
        self.changed.notify_all();
        Ok(())
    }

    fn stage(&self, stage: Stage, mut chunk: Chunk) -> Result<(), ArchiveError> {
        match stage {
            Stage::Members => lock(&self.members).take(&chunk),
            Stage::Seal => self.seal(&mut chunk)?,
            Stage::Digest => {
                if let Some(digest) = &mut *lock(&self.digest) {
                    digest.update(chunk.written());
                }
            }
            Stage::Write => {
                let mut to = lock(&self.out);
                let Written { out, bytes } = &mut *to;
                let written = out.write_all(chunk.written());
                written.map_err(|source| ArchiveError::io("write", source))?;
                *bytes += chunk.written().len() as u64;
                if chunk.content > 0 && (self.progress)(chunk.content).is_break() {
                    return Err(ArchiveError::Cancelled);
                }
            }
        }
        let next = self.stages.iter().skip_while(|other| **other != stage).nth(1);
        let mut state = lock(&self.state);
        state.busy[stage as usize] = false;
        match next {
            Some(&next) => state.waiting[next as usize].push_back(chunk),
            None => {
                state.under_way -= 1;
                state.spare.push(chunk);
            }
        }
        self.changed.notify_all();
        Ok(())
    }

    fn seal(&self, chunk: &mut Chunk) -> Result<(), ArchiveError> {
        let mut seal = lock(&self.seal);
        let Some(sealer) = &mut *seal else { return Ok(()) };
        let is_last = chunk.is_last();
        let mut segments = chunk.segments(sealer.segment_size()).peekable();
        while let Some(segment) = segments.next() {
            if is_last && segments.peek().is_none() {
                if let Some(sealer) = seal.take() {
                    sealer.finish(segment)?;
                }
                return Ok(());
            }
            sealer.seal(segment)?;
        }
        Ok(())
    }
}

/// Lets the other threads leave when this one panics.
struct Leaving<'l, 'a, 'r, W>(&'l Line<'a, 'r, W>);

impl<W> Drop for Leaving<'_, '_, '_, W> {
    fn drop(&mut self) {
        lock(&self.0.state).stopped = true;
        self.0.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
