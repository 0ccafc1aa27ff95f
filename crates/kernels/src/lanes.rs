//! Who works on what, where several streams are worked on at once.
//!
//! ```text
//! lane 0   aaaaaaaaaaaaaaaaaaaa          the longest first, so that it does not end alone
//! lane 1   bbbbbbbbbb|dddddddd           the next one enters as one ends
//! lane 2   cccccc|eeeeee|ff
//!                ^      ^  ^             a run goes to the next end
//! ```

/// A stream in its lane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Slot {
    /// Which stream it is.
    pub(crate) item: usize,
    /// Blocks done.
    pub(crate) at: usize,
    /// Blocks to do.
    pub(crate) left: usize,
}

/// The streams under way in up to `N` lanes, and those that wait.
#[derive(Debug)]
pub(crate) struct Lanes<const N: usize> {
    /// Lengths in blocks and numbers, the next one last.
    waiting: Vec<(usize, usize)>,
    slots: [Option<Slot>; N],
}

impl<const N: usize> Lanes<N> {
    /// Takes streams by their lengths in blocks.
    pub(crate) fn new(lengths: impl Iterator<Item = usize>) -> Self {
        let mut waiting: Vec<_> = lengths
            .enumerate()
            .filter(|&(_, len)| len > 0)
            .map(|(item, len)| (len, item))
            .collect();
        waiting.sort_unstable();
        Self { waiting, slots: [None; N] }
    }

    /// Gives lanes that are free to streams that wait, and tells `entered` of each.
    pub(crate) fn refill(&mut self, mut entered: impl FnMut(usize, usize)) {
        for (lane, slot) in self.slots.iter_mut().enumerate() {
            if slot.is_none() {
                let Some((left, item)) = self.waiting.pop() else { return };
                entered(lane, item);
                *slot = Some(Slot { item, at: 0, left });
            }
        }
    }

    pub(crate) fn slots(&self) -> &[Option<Slot>; N] {
        &self.slots
    }

    /// Returns how many lanes have a stream.
    pub(crate) fn busy(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Returns how many blocks there are until the next stream ends; nothing when all have.
    pub(crate) fn run(&self) -> Option<usize> {
        self.slots.iter().flatten().map(|slot| slot.left).min()
    }

    /// Notes that every busy lane did so many blocks, and tells `left` of each stream that ended.
    pub(crate) fn advance(&mut self, blocks: usize, mut left: impl FnMut(usize, usize)) {
        for (lane, place) in self.slots.iter_mut().enumerate() {
            if let Some(slot) = place {
                slot.at += blocks;
                slot.left -= blocks;
                if slot.left == 0 {
                    left(lane, slot.item);
                    *place = None;
                }
            }
        }
    }

    /// Empties a lane whose stream is ended in some other way.
    pub(crate) fn take(&mut self, lane: usize) -> Option<Slot> {
        self.slots[lane].take()
    }
}

#[cfg(test)]
mod tests {
    use super::Lanes;
    use crate::testing::Random;

    /// Every stream is done once, in order and to its end, and the runs are as few as they can be.
    #[test]
    fn every_block_has_its_turn() {
        let mut random = Random::new(3);
        for count in 0..40 {
            let lengths: Vec<_> = (0..count).map(|_| random.below(20)).collect();
            let mut done = vec![0; count];
            let mut ended = vec![0; count];
            let mut lanes = Lanes::<4>::new(lengths.iter().copied());
            let mut turns = 0;
            loop {
                lanes.refill(|_, item| assert_eq!(done[item], 0));
                let Some(run) = lanes.run() else { break };
                assert!(run > 0);
                for slot in lanes.slots().iter().flatten() {
                    assert_eq!(
                        (slot.at, slot.at + slot.left),
                        (done[slot.item], lengths[slot.item])
                    );
                    done[slot.item] += run;
                }
                turns += run;
                lanes.advance(run, |_, item| ended[item] += 1);
            }
            assert_eq!(done, lengths);
            assert!(ended.iter().zip(&lengths).all(|(&n, &len)| n == usize::from(len > 0)));
            // The longest enter first, so the end is never later than this.
            let (total, longest) =
                (lengths.iter().sum::<usize>(), lengths.iter().max().copied().unwrap_or(0));
            assert!(turns <= total / 4 + longest, "{turns} {lengths:?}");
        }
    }
}
