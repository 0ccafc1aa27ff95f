//! The ids of the rows so far, so that none comes twice.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::{io, mem};

use bkp_core::FileId;

use super::list::List;

/// Ids with the numbers of their rows, from 1 on. Takes 26 to 36 bytes a row.
#[derive(Debug, Default)]
pub(crate) struct FileIds {
    ids: List<FileId>,
    /// Numbers of rows where the hash of their id says, or at the next free place; 0 is free.
    slots: Vec<u32>,
    /// Seeded, so that nobody can make ids that all want one place.
    hasher: RandomState,
}

impl FileIds {
    /// Returns the number that the next row has.
    pub(crate) fn next_row(&self) -> io::Result<u32> {
        let row = u32::try_from(self.ids.len()).ok().and_then(|rows| rows.checked_add(1));
        row.ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "2^32 rows at most"))
    }

    /// Tells whether there is a row of this id.
    pub(crate) fn contains(&self, id: &FileId) -> bool {
        self.probe(id).is_some_and(|(_, row)| row != 0)
    }

    /// Adds the id of the next row, which no other has.
    pub(crate) fn insert(&mut self, id: FileId) -> io::Result<()> {
        let row = self.next_row()?;
        if self.ids.len() >= self.slots.len() / 4 * 3 {
            self.grow();
        }
        if let Some((slot, _)) = self.probe(&id) {
            self.slots[slot] = row;
        }
        self.ids.push(id);
        Ok(())
    }

    /// Finds the place of an id, and what is there.
    fn probe(&self, id: &FileId) -> Option<(usize, u32)> {
        let mask = self.slots.len().checked_sub(1)?;
        #[allow(clippy::cast_possible_truncation, reason = "any bits of it do")]
        let mut slot = self.hasher.hash_one(id) as usize & mask;
        loop {
            let row = self.slots[slot];
            if row == 0 || self.ids.get(row as usize - 1) == Some(id) {
                return Some((slot, row));
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(1 << 10);
        // The old ones go first, so that the two are never there together.
        drop(mem::take(&mut self.slots));
        self.slots = vec![0; slots];
        let ids = mem::take(&mut self.ids);
        for (row, id) in (1..).zip(ids.iter()) {
            let mut slot = self.place(id);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            self.slots[slot] = row;
        }
        self.ids = ids;
    }

    #[allow(clippy::cast_possible_truncation, reason = "any bits of it do")]
    fn place(&self, id: &FileId) -> usize {
        self.hasher.hash_one(id) as usize & (self.slots.len() - 1)
    }

    /// Gives all ids with their rows to `each`, in the order of the ids, which is that of their
    /// digits as well.
    pub(crate) fn drain(
        self,
        mut each: impl FnMut(&FileId, u32) -> io::Result<()>,
    ) -> io::Result<()> {
        let Self { ids, slots, hasher: _ } = self;
        drop(slots);
        let start =
            |id: &FileId| id.as_bytes().first_chunk().copied().map_or(0, u64::from_be_bytes);
        let mut order: Vec<(u64, u32)> = Vec::with_capacity(ids.len());
        order.extend((0..).zip(ids.iter()).map(|(at, id)| (start(id), at)));
        let id = |at: u32| ids.get(at as usize);
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| id(a.1).cmp(&id(b.1))));
        for (_, at) in order {
            if let Some(id) = id(at) {
                each(id, at + 1)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bkp_core::FileId;

    use super::FileIds;
    use crate::testing::Noise;

    #[test]
    fn ids_are_found_and_come_back_in_order() {
        let mut noise = Noise(5);
        let mut ids = FileIds::default();
        let mut expected = BTreeMap::new();
        for row in 1..=30_000 {
            let mut id = [0; 20];
            // Many have their first bytes in common, and few come twice.
            for byte in &mut id[6..9] {
                *byte = u8::try_from(noise.below(64)).unwrap();
            }
            let id = FileId::from_bytes(id);
            assert_eq!(ids.contains(&id), expected.contains_key(&id), "{row}");
            if !ids.contains(&id) {
                expected.insert(id, ids.next_row().unwrap());
                ids.insert(id).unwrap();
                assert!(ids.contains(&id));
            }
        }
        assert!((20_000..30_000).contains(&expected.len()), "{}", expected.len());
        let mut found = Vec::new();
        ids.drain(|id, row| {
            found.push((*id, row));
            Ok(())
        })
        .unwrap();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
}
