//! A list that grows in pieces.

use std::fmt;

/// Items of a piece.
const PIECE: usize = 1 << 13;

/// A list of which nothing moves when it grows. A vector has up to twice the memory that it needs,
/// and three times while it moves.
pub(crate) struct List<T>(Vec<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("List").field(&self.len()).finish()
    }
}

impl<T> List<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PIECE + last.len())
    }

    pub(crate) fn push(&mut self, item: T) {
        match self.0.last_mut() {
            Some(last) if last.len() < PIECE => last.push(item),
            // The first piece starts small: most catalogs of a test have a few rows.
            None => self.0.push(vec![item]),
            Some(_) => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(item);
                self.0.push(piece);
            }
        }
    }

    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at / PIECE)?.get(at % PIECE)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{List, PIECE};

    #[test]
    fn a_list_is_like_a_vector() {
        let mut list = List::default();
        assert_eq!((list.len(), list.get(0)), (0, None));
        for at in 0..2 * PIECE + 3 {
            list.push(at);
            assert_eq!((list.len(), list.get(at)), (at + 1, Some(&at)));
            assert_eq!(list.get(at + 1), None);
        }
        assert!(list.iter().copied().eq(0..2 * PIECE + 3));
    }
}
