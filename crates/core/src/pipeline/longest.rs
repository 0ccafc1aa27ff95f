//! The longest files of a catalog, which a run fetches first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::{Entry, EntryKind, Select, Source};

/// Files shorter than this are not worth fetching out of order.
const LONG: u64 = 1 << 20;

/// The longest chosen files of a catalog, with their places in it.
///
/// [`run`](crate::run) finds them by a walk of its own. A caller that walks the catalog anyway
/// shows it every record on the way, and hands the result to
/// [`run_longest_first`](crate::run_longest_first).
#[derive(Debug)]
pub struct Longest<R> {
    most: usize,
    seq: u64,
    sizes: BinaryHeap<Reverse<(u64, u64)>>,
    records: HashMap<u64, R>,
}

impl<R: AsRef<Entry>> Longest<R> {
    /// Starts with no files; `most` is how many to keep.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, seq: 0, sizes: BinaryHeap::new(), records: HashMap::new() }
    }

    /// Walks the catalog of a source.
    pub(super) fn of_source<S: Source<Record = R>>(
        source: &S,
        select: &dyn Select,
        most: usize,
    ) -> Result<Self, S::Error> {
        let mut longest = Self::new(most);
        if most > 0 {
            source.records()?.for_each(|record| longest.see(record.ok(), select));
        }
        Ok(longest)
    }

    /// Takes the next item of the catalog: a record, or nothing for one that cannot be read.
    /// Every item must be shown, in the order of the catalog.
    pub fn see(&mut self, record: Option<R>, select: &dyn Select) {
        let seq = self.seq;
        self.seq += 1;
        let Some(record) = record else { return };
        let entry = record.as_ref();
        let size = entry.metadata.size_hint;
        let full = self.sizes.len() >= self.most;
        let beaten = full && self.sizes.peek().is_none_or(|&Reverse((least, _))| size <= least);
        if entry.kind != EntryKind::File || size < LONG || beaten || !select.judge(entry).is_keep()
        {
            return;
        }
        if full && let Some(Reverse((_, seq))) = self.sizes.pop() {
            self.records.remove(&seq);
        }
        self.sizes.push(Reverse((size, seq)));
        self.records.insert(seq, record);
    }

    /// Returns the records and their places, the longest first.
    pub(super) fn into_records(mut self) -> impl Iterator<Item = (u64, R)> {
        let order = self.sizes.into_sorted_vec();
        order.into_iter().filter_map(move |Reverse((_, seq))| {
            self.records.remove(&seq).map(|record| (seq, record))
        })
    }
}
