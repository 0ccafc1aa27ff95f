//! The domain and the flags of every row, in four bytes.

use std::collections::HashMap;
use std::io;

use super::sort::Sorter;
use crate::catalog_writer::List;
use crate::scratch::ScratchPlace;

/// Bytes of names that are kept, each with what it costs to keep it. A device has some hundred
/// domains; the names of a catalog that has one for each row are sorted like its paths.
const NAMES: usize = 1 << 20;
const COST: usize = 64;
/// The lowest bits are the flags.
const FLAGS: u32 = 3;
/// The number of a domain that is not kept.
const NOT_KEPT: u32 = u32::MAX >> FLAGS;

/// What the indexes of domains and of flags are made of.
#[derive(Debug)]
pub(super) struct Domains {
    numbers: HashMap<Box<[u8]>, u32>,
    bytes: usize,
    most: usize,
    /// The domain of the row before, since those of one stand together.
    last: Option<(Box<[u8]>, u32)>,
    /// For each row the number of its domain, and its flags.
    rows: List<u32>,
    /// Domains that are not kept.
    others: Sorter,
}

impl Domains {
    pub(super) fn new(place: ScratchPlace) -> Self {
        Self::with_most(place, NAMES)
    }

    fn with_most(place: ScratchPlace, most: usize) -> Self {
        let (numbers, last, rows) = (HashMap::new(), None, List::default());
        Self { numbers, bytes: 0, most, last, rows, others: Sorter::new(place) }
    }

    /// Takes note of the next row.
    pub(super) fn push(&mut self, domain: &[u8], flags: u8, row: u32) -> io::Result<()> {
        let number = match &self.last {
            Some((last, number)) if **last == *domain => *number,
            _ => self.number(domain),
        };
        if number == NOT_KEPT {
            self.others.push(domain, row)?;
        }
        self.rows.push(number << FLAGS | u32::from(flags));
        Ok(())
    }

    fn number(&mut self, domain: &[u8]) -> u32 {
        let number = match self.numbers.get(domain) {
            Some(number) => *number,
            None => {
                let bytes = self.bytes + COST + domain.len();
                let next = u32::try_from(self.numbers.len()).unwrap_or(NOT_KEPT);
                if bytes > self.most || next >= NOT_KEPT {
                    return NOT_KEPT;
                }
                self.bytes = bytes;
                self.numbers.insert(domain.into(), next);
                next
            }
        };
        self.last = Some((domain.into(), number));
        number
    }

    /// Lists the rows that have these flags.
    pub(super) fn rows_of(&self, flags: u8) -> impl Iterator<Item = u32> {
        let has = move |row: &u32| row & ((1 << FLAGS) - 1) == u32::from(flags);
        (1..).zip(self.rows.iter()).filter(move |(_, row)| has(row)).map(|(number, _)| number)
    }

    /// Gives all domains with their rows to `each`, in order.
    pub(super) fn drain(
        self,
        mut each: impl FnMut(&[u8], u32) -> io::Result<()>,
    ) -> io::Result<()> {
        let Self { numbers, rows, others, .. } = self;
        let mut names: Vec<(&[u8], u32)> =
            numbers.iter().map(|(name, number)| (&**name, *number)).collect();
        names.sort_unstable();
        // Rows by their domain, each domain behind the one that comes before it by its name.
        let mut ends = vec![0_usize; names.len()];
        for row in rows.iter() {
            if let Some(count) = ends.get_mut((row >> FLAGS) as usize) {
                *count += 1;
            }
        }
        let mut end = 0;
        for (_, number) in &names {
            let begun = end;
            end += ends[*number as usize];
            ends[*number as usize] = begun;
        }
        let mut order = vec![0_u32; end];
        for (number, row) in (1..).zip(rows.iter()) {
            if let Some(end) = ends.get_mut((row >> FLAGS) as usize) {
                order[*end] = number;
                *end += 1;
            }
        }
        drop(rows);
        let mut begun = 0;
        let mut kept = names.iter().map(|(name, number)| {
            let rows = &order[begun..ends[*number as usize]];
            begun = ends[*number as usize];
            (*name, rows)
        });
        let mut next = kept.next();
        others.drain(|other, row| {
            // A domain is kept from its first row on or never, so no name is on both sides.
            while let Some((name, rows)) = next.take_if(|(name, _)| *name < other) {
                rows.iter().try_for_each(|row| each(name, *row))?;
                next = kept.next();
            }
            each(other, row)
        })?;
        while let Some((name, rows)) = next {
            rows.iter().try_for_each(|row| each(name, *row))?;
            next = kept.next();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Domains;
    use crate::scratch::ScratchPlace;
    use crate::testing::Noise;

    /// With room for all names, for a few, and for none.
    #[test]
    fn domains_come_in_order_however_few_are_kept() {
        for most in [usize::MAX, 2_000, 100, 0] {
            let mut noise = Noise(most as u64 | 9);
            let mut domains = Domains::with_most(ScratchPlace::folder(std::env::temp_dir()), most);
            let mut expected = Vec::new();
            for row in 1..=5_000 {
                let len = noise.below(4);
                let name: Vec<u8> = (0..len).map(|_| [0, b'a', 0xff][noise.below(3)]).collect();
                let flags = [1, 2, 4][noise.below(3)];
                domains.push(&name, flags, row).unwrap();
                expected.push((name, row, flags));
            }
            for flags in [1, 2, 4] {
                let rows = expected.iter().filter(|(_, _, f)| *f == flags).map(|(_, row, _)| *row);
                assert!(domains.rows_of(flags).eq(rows));
            }
            expected.sort();
            let mut found = Vec::new();
            domains
                .drain(|name, row| {
                    found.push((name.to_vec(), row));
                    Ok(())
                })
                .unwrap();
            let expected: Vec<_> = expected.into_iter().map(|(name, row, _)| (name, row)).collect();
            assert_eq!(found, expected, "{most}");
        }
    }
}
