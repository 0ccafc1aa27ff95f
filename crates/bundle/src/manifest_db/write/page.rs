//! One page of a b-tree while it is filled.
//!
//! ```text
//! header │ where each cell starts ──▶    free    ◀── cells, the last one first
//! ```
//!
//! Source: "Database File Format" of the SQLite documentation, section 1.6.

use super::pages::PAGE;
use super::record::Cell;

/// What a page holds. The number is its first byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    IndexInner = 2,
    TableInner = 5,
    IndexLeaf = 10,
    TableLeaf = 13,
}

impl Kind {
    fn is_leaf(self) -> bool {
        matches!(self, Self::IndexLeaf | Self::TableLeaf)
    }

    fn header(self) -> usize {
        if self.is_leaf() { 8 } else { 12 }
    }
}

/// A page that takes cells, each behind the one before.
#[derive(Debug)]
pub(super) struct Page {
    kind: Kind,
    bytes: Box<[u8; PAGE]>,
    cells: u16,
    /// Where the last cell starts, and how long it is.
    start: usize,
    last: usize,
    /// First overflow pages of cells here.
    overflows: Vec<u32>,
    /// Whether the last of them is of the last cell.
    last_overflows: bool,
    /// The child behind the last cell, on an inner page.
    pub(super) right: u32,
}

/// A page that is done.
#[derive(Debug)]
pub(super) struct FinishedPage {
    pub(super) bytes: Box<[u8; PAGE]>,
    /// Pages below it.
    pub(super) children: Vec<u32>,
    /// First overflow pages of its cells.
    pub(super) overflows: Vec<u32>,
}

impl Page {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            bytes: Box::new([0; PAGE]),
            cells: 0,
            start: PAGE,
            last: 0,
            overflows: Vec::new(),
            last_overflows: false,
            right: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells == 0
    }

    /// Adds a cell, if it fits: with the child that is before it, on an inner page.
    pub(super) fn push(&mut self, child: Option<u32>, cell: &Cell) -> bool {
        debug_assert_eq!(child.is_none(), self.kind.is_leaf());
        let pointer = self.kind.header() + 2 * usize::from(self.cells);
        let child = child.map(u32::to_be_bytes);
        let child: &[u8] = child.as_ref().map_or(&[], |child| child);
        let len = child.len() + cell.bytes.len();
        let Some(start) = self.start.checked_sub(len).filter(|start| pointer + 2 <= *start) else {
            return false;
        };
        self.bytes[start..start + child.len()].copy_from_slice(child);
        self.bytes[start + child.len()..start + len].copy_from_slice(&cell.bytes);
        self.bytes[pointer..pointer + 2].copy_from_slice(&two(start));
        self.cells += 1;
        (self.start, self.last) = (start, len);
        self.overflows.extend(cell.overflow);
        self.last_overflows = cell.overflow.is_some();
        true
    }

    /// Takes the last cell away again, with its child on an inner page. This can be done once.
    pub(super) fn pop(&mut self) -> (Option<u32>, Cell) {
        let end = self.start + self.last;
        let mut bytes = self.bytes[self.start..end].to_vec();
        self.bytes[self.start..end].fill(0);
        self.cells -= 1;
        let pointer = self.kind.header() + 2 * usize::from(self.cells);
        self.bytes[pointer..pointer + 2].fill(0);
        (self.start, self.last) = (end, 0);
        let overflow = if self.last_overflows { self.overflows.pop() } else { None };
        let child = if self.kind.is_leaf() { None } else { Some(four(&bytes)) };
        bytes.drain(..if child.is_some() { 4 } else { 0 });
        (child, Cell { bytes, overflow })
    }

    /// Writes the header.
    pub(super) fn finish(mut self) -> FinishedPage {
        let header = self.kind.header();
        self.bytes[0] = self.kind as u8;
        self.bytes[3..5].copy_from_slice(&self.cells.to_be_bytes());
        self.bytes[5..7].copy_from_slice(&two(self.start));
        let mut children = Vec::new();
        if !self.kind.is_leaf() {
            self.bytes[8..12].copy_from_slice(&self.right.to_be_bytes());
            let pointers = &self.bytes[header..header + 2 * usize::from(self.cells)];
            let starts =
                pointers.as_chunks().0.iter().map(|at| usize::from(u16::from_be_bytes(*at)));
            children.extend(starts.map(|start| four(&self.bytes[start..])));
            children.push(self.right);
        }
        FinishedPage { bytes: self.bytes, children, overflows: self.overflows }
    }
}

/// A place in a page as two bytes.
fn two(start: usize) -> [u8; 2] {
    u16::try_from(start).unwrap_or_default().to_be_bytes()
}

fn four(bytes: &[u8]) -> u32 {
    bytes.first_chunk().copied().map_or(0, u32::from_be_bytes)
}
