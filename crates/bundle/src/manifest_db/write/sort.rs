//! Texts with their rows, brought into the order of an index in little memory.
//!
//! ```text
//! push ──▶ 4 MiB in memory ──sorted──▶ run │ run │ run …   in the scratch
//!                                            └──┴──┴── merged ──▶ drain
//! ```
//!
//! The order is that of SQLite's `BINARY` collation: by the bytes, a text before every longer one
//! that starts with it, and equal texts by their rows.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;

use crate::scratch::{Scratch, ScratchPlace};

/// Bytes of texts that are sorted at once.
const TEXTS: usize = 4 << 20;
/// Texts that are sorted at once.
const COUNT: usize = 1 << 16;
/// Bytes that the buffers of all runs have together, as long as each has [`LEAST`].
const BUFFERS: usize = 2 << 20;
/// The shortest buffer of a run: the longest path and some more.
const LEAST: usize = 8 << 10;

/// A text in memory.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// The first eight bytes, with zeros behind a shorter text: most comparisons end here.
    prefix: u64,
    start: u32,
    len: u32,
    row: u32,
}

impl Key {
    fn text(self, texts: &[u8]) -> &[u8] {
        let start = self.start as usize;
        texts.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// A stretch of the scratch with texts in order.
#[derive(Clone, Copy, Debug)]
struct Run {
    at: u64,
    end: u64,
}

/// Texts that are to be sorted.
#[derive(Debug)]
pub(super) struct Sorter {
    texts: Vec<u8>,
    keys: Vec<Key>,
    runs: Vec<Run>,
    scratch: Scratch,
    /// The most bytes of texts before they are moved out of memory.
    most: usize,
}

impl Sorter {
    pub(super) fn new(place: ScratchPlace) -> Self {
        Self::with_most(place, TEXTS)
    }

    fn with_most(place: ScratchPlace, most: usize) -> Self {
        let scratch = Scratch::new(place, 0);
        Self { texts: Vec::new(), keys: Vec::new(), runs: Vec::new(), scratch, most }
    }

    pub(super) fn push(&mut self, text: &[u8], row: u32) -> io::Result<()> {
        let full = self.texts.len() + text.len() > self.most || self.keys.len() == COUNT;
        if full && !self.keys.is_empty() {
            self.spill()?;
        }
        let mut prefix = [0; 8];
        let len = text.len().min(8);
        prefix[..len].copy_from_slice(&text[..len]);
        let at = |n: usize| u32::try_from(n).map_err(|_| io::ErrorKind::FileTooLarge);
        let (start, len) = (at(self.texts.len())?, at(text.len())?);
        self.keys.push(Key { prefix: u64::from_be_bytes(prefix), start, len, row });
        self.texts.extend_from_slice(text);
        Ok(())
    }

    /// Sorts what is in memory.
    fn sort(&mut self) {
        let Self { texts, keys, .. } = self;
        let order = |a: &Key, b: &Key| {
            let texts = || a.text(texts).cmp(b.text(texts));
            a.prefix.cmp(&b.prefix).then_with(texts).then(a.row.cmp(&b.row))
        };
        keys.sort_unstable_by(order);
    }

    /// Makes a run of what is in memory.
    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let Self { texts, keys, runs, scratch, .. } = self;
        let at = scratch.len();
        for key in keys.iter() {
            scratch.append(&key.len.to_be_bytes())?;
            scratch.append(&key.row.to_be_bytes())?;
            scratch.append(key.text(texts))?;
        }
        runs.push(Run { at, end: scratch.len() });
        keys.clear();
        texts.clear();
        Ok(())
    }

    /// Gives all texts with their rows to `each`, in order.
    pub(super) fn drain(
        mut self,
        mut each: impl FnMut(&[u8], u32) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.runs.is_empty() {
            self.sort();
            let Self { texts, keys, .. } = &self;
            return keys.iter().try_for_each(|key| each(key.text(texts), key.row));
        }
        self.spill()?;
        let Self { runs, scratch, .. } = self;
        let buffer = (BUFFERS / runs.len()).max(LEAST);
        let mut heap = BinaryHeap::with_capacity(runs.len());
        for run in runs {
            let mut cursor = Cursor { run, buffer: Vec::new(), at: 0, key: Vec::new(), row: 0 };
            if cursor.advance(&scratch, buffer)? {
                heap.push(Reverse(cursor));
            }
        }
        while let Some(mut first) = heap.peek_mut() {
            let Reverse(cursor) = &mut *first;
            each(&cursor.key, cursor.row)?;
            if !cursor.advance(&scratch, buffer)? {
                PeekMut::pop(first);
            }
        }
        Ok(())
    }
}

/// A run that is read, and the text that it has come to.
struct Cursor {
    /// What is not in the buffer yet.
    run: Run,
    buffer: Vec<u8>,
    /// What of the buffer was read.
    at: usize,
    key: Vec<u8>,
    row: u32,
}

impl Cursor {
    /// Goes to the next text; false at the end.
    fn advance(&mut self, scratch: &Scratch, size: usize) -> io::Result<bool> {
        if self.at == self.buffer.len() && self.run.at == self.run.end {
            return Ok(false);
        }
        let (mut len, mut row) = ([0; 4], [0; 4]);
        self.read(scratch, size, &mut len)?;
        self.read(scratch, size, &mut row)?;
        self.row = u32::from_be_bytes(row);
        let mut key = std::mem::take(&mut self.key);
        key.resize(u32::from_be_bytes(len) as usize, 0);
        self.read(scratch, size, &mut key)?;
        self.key = key;
        Ok(true)
    }

    fn read(&mut self, scratch: &Scratch, size: usize, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            if self.at == self.buffer.len() {
                let left = usize::try_from(self.run.end - self.run.at).unwrap_or(usize::MAX);
                if left == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.buffer.resize(left.min(size), 0);
                scratch.read_at(self.run.at, &mut self.buffer)?;
                self.run.at += self.buffer.len() as u64;
                self.at = 0;
            }
            let n = out.len().min(self.buffer.len() - self.at);
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(&self.buffer[self.at..self.at + n]);
            self.at += n;
            out = later;
        }
        Ok(())
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.key, self.row).cmp(&(&other.key, other.row))
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cursor {}

#[cfg(test)]
mod tests {
    use super::Sorter;
    use crate::scratch::ScratchPlace;
    use crate::testing::Noise;

    /// In one run, in a few, and with a run for each text.
    #[test]
    fn texts_come_in_order_however_many_runs_there_are() {
        for most in [1 << 20, 3_000, 200, 0] {
            let mut noise = Noise(most as u64 | 3);
            let mut sorter = Sorter::with_most(ScratchPlace::folder(std::env::temp_dir()), most);
            let mut expected = Vec::new();
            for row in 0..1_500 {
                let len =
                    [noise.below(4), noise.below(30), noise.below(30_000)][noise.below(41) / 20];
                let text: Vec<u8> = (0..len).map(|_| [0, b'a', 0xff][noise.below(3)]).collect();
                sorter.push(&text, row).unwrap();
                expected.push((text, row));
            }
            let runs = sorter.runs.len();
            assert!(most > 1_000_000 || runs > 10, "{runs}");
            expected.sort();
            let mut found = Vec::new();
            sorter
                .drain(|text, row| {
                    found.push((text.to_vec(), row));
                    Ok(())
                })
                .unwrap();
            assert!(found == expected, "{most}");
        }
    }
}
