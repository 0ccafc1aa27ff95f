//! Pages in the order of their numbers, and what is known of them only at the end.
//!
//! ```text
//! 1          header and schema        SQLite's own, but for the count of pages
//! 2          pointer map              one entry for each of the 819 pages behind it
//! 3 … 9      roots                    in memory until the end
//! 10 … 821   pages as they are done   in the scratch
//! 822        pointer map              again one for 819 pages, and so on
//! ```
//!
//! A page gets its number when it is done, so pages go to the scratch one behind the other and are
//! never touched again. The pointer map says of each page which page points to it, which is known
//! later: its entries, five bytes a page, stay in memory. The page at 1 GiB is left out; SQLite
//! locks the file there. Source: "Database File Format" of the SQLite documentation, sections 1.4
//! and 1.8.

use std::io;

use super::page::Page;
use super::record::OVERFLOW;
use super::template::Template;
use crate::scratch::{KEEP, Scratch, ScratchPlace};

/// The bytes of a page.
pub(super) const PAGE: usize = 4096;
/// Pages that a page of the pointer map tells of.
const MAPPED: u32 = 819;
/// The page that SQLite locks and never uses: the one at 1 GiB.
const LOCKED: u32 = (1 << 30) / 4096 + 1;

/// What a page is, as the pointer map says it.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The first page of a chain; the parent holds its cell.
    FirstOverflow = 3,
    /// Another page of a chain; the parent is the one before.
    Overflow = 4,
    /// A page of a tree; the parent is the page above.
    Tree = 5,
}

/// Which numbers are pages of which sort.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    locked: u32,
}

impl Numbers {
    /// Tells whether a page is one of the pointer map.
    fn is_map(self, page: u32) -> bool {
        let Some(past) = page.checked_sub(2) else { return false };
        let start = page - past % (MAPPED + 1);
        // One that would be the locked page is the one behind it.
        page == if start == self.locked { start + 1 } else { start }
    }

    /// Returns the first number after `page` that a page of a tree or a chain can have.
    fn after(self, page: u32) -> Option<u32> {
        let mut page = page.checked_add(1)?;
        while page == self.locked || self.is_map(page) {
            page = page.checked_add(1)?;
        }
        Some(page)
    }
}

/// A database while its pages are made.
#[derive(Debug)]
pub(super) struct Pages {
    numbers: Numbers,
    /// The first pages, up to the last root, one behind the other.
    front: Vec<u8>,
    /// What the pointer map says of each page from 3 on. Pages that have no entry have zeros.
    map: Vec<[u8; 5]>,
    /// All other pages, without those of the pointer map and the locked one.
    scratch: Scratch,
    /// The last page that has a number.
    last: u32,
}

/// There can be no more pages.
fn full() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "a database has at most 2^32 - 2 pages")
}

impl Pages {
    pub(super) fn new(template: &Template, place: ScratchPlace) -> Self {
        Self::with_locked(template, place, LOCKED)
    }

    /// Begins after the pages of the template. A test may have the locked page elsewhere.
    pub(super) fn with_locked(template: &Template, place: ScratchPlace, locked: u32) -> Self {
        let Template { pages: front, count, .. } = template;
        let mut pages = Self {
            numbers: Numbers { locked },
            front: front.clone(),
            map: Vec::new(),
            scratch: Scratch::new(place, KEEP),
            last: *count,
        };
        // What SQLite says of the roots, in its page 2.
        for page in 3..=*count {
            let entry = (page as usize - 3) * 5 + PAGE;
            let entry = front.get(entry..).and_then(|rest| rest.first_chunk());
            pages.map.push(entry.copied().unwrap_or_default());
        }
        pages
    }

    fn after(&self, page: u32) -> io::Result<u32> {
        self.numbers.after(page).ok_or_else(full)
    }

    /// Notes which page points to another.
    fn set(&mut self, page: u32, part: Part, parent: u32) {
        let at = page as usize - 3;
        if self.map.len() <= at {
            self.map.resize(at + 1, [0; 5]);
        }
        let [a, b, c, d] = parent.to_be_bytes();
        self.map[at] = [part as u8, a, b, c, d];
    }

    /// Gives the next number to bytes that are a page.
    fn append(&mut self, bytes: &[u8; PAGE]) -> io::Result<u32> {
        let number = self.after(self.last)?;
        self.scratch.append(bytes)?;
        self.last = number;
        Ok(number)
    }

    /// Ends a page of a tree, which has nothing above it yet.
    pub(super) fn tree(&mut self, page: Page) -> io::Result<u32> {
        let page = page.finish();
        let number = self.append(&page.bytes)?;
        self.own(&page.children, &page.overflows, number);
        Ok(number)
    }

    /// Puts the top page of a tree into its place.
    pub(super) fn root(&mut self, number: u32, page: Page) {
        let page = page.finish();
        self.own(&page.children, &page.overflows, number);
        let start = (number as usize - 1) * PAGE;
        self.front[start..start + PAGE].copy_from_slice(&*page.bytes);
    }

    fn own(&mut self, children: &[u32], overflows: &[u32], parent: u32) {
        children.iter().for_each(|child| self.set(*child, Part::Tree, parent));
        overflows.iter().for_each(|first| self.set(*first, Part::FirstOverflow, parent));
    }

    /// Writes the rest of a record to a chain of pages, and returns the first of them.
    pub(super) fn overflow(&mut self, rest: &[u8]) -> io::Result<u32> {
        let mut page = [0; PAGE];
        let (mut first, mut before) = (0, 0);
        let mut chunks = rest.chunks(OVERFLOW).peekable();
        while let Some(chunk) = chunks.next() {
            let number = self.after(self.last)?;
            let next = if chunks.peek().is_some() { self.after(number)? } else { 0 };
            page[..4].copy_from_slice(&next.to_be_bytes());
            page[4..4 + chunk.len()].copy_from_slice(chunk);
            page[4 + chunk.len()..].fill(0);
            self.append(&page)?;
            if before == 0 {
                // The parent is set when the page with its cell is done.
                first = number;
                self.set(number, Part::FirstOverflow, 0);
            } else {
                self.set(number, Part::Overflow, before);
            }
            before = number;
        }
        Ok(first)
    }

    /// Ends the database.
    pub(super) fn finish(mut self) -> Database {
        // The header: how many pages there are, and that the change counter vouches for it. A
        // device's database is in WAL mode, which one in memory cannot be.
        self.front[18..20].fill(2);
        self.front[28..32].copy_from_slice(&self.last.to_be_bytes());
        self.front.copy_within(24..28, 92);
        Database { pages: self }
    }
}

/// A whole database, to be read from its first byte to its last.
#[derive(Debug)]
pub(crate) struct Database {
    pages: Pages,
}

/// How far a reader has come.
#[derive(Debug, Default)]
pub(crate) struct Position {
    /// The last page that was given out.
    page: u32,
    /// Bytes of the scratch that were.
    scratch: u64,
}

/// Pages that are given out at once.
const STEP: usize = 64;

impl Database {
    /// Returns its bytes.
    pub(crate) fn len(&self) -> u64 {
        u64::from(self.pages.last) * PAGE as u64
    }

    /// Fills `out` with the next pages, whole ones; with nothing at the end.
    pub(crate) fn read(&self, position: &mut Position, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        let Pages { numbers, front, scratch, last, .. } = &self.pages;
        while out.len() < STEP * PAGE && position.page < *last {
            let page = position.page + 1;
            let start = position.page as usize * PAGE;
            if numbers.is_map(page) {
                self.map(page, out);
            } else if let Some(bytes) = front.get(start..start + PAGE) {
                out.extend_from_slice(bytes);
            } else if page == numbers.locked {
                out.resize(out.len() + PAGE, 0);
            } else {
                // As many as stand together in the scratch.
                let (mut end, room) = (page, STEP - out.len() / PAGE);
                while end < *last
                    && (end - page) as usize + 1 < room
                    && numbers.after(end) == Some(end + 1)
                {
                    end += 1;
                }
                let begun = out.len();
                out.resize(begun + (end - page + 1) as usize * PAGE, 0);
                scratch.read_at(position.scratch, &mut out[begun..])?;
                position.scratch += (out.len() - begun) as u64;
                position.page = end;
                continue;
            }
            position.page = page;
        }
        Ok(())
    }

    /// Makes a page of the pointer map.
    fn map(&self, page: u32, out: &mut Vec<u8>) {
        let (begun, first) = (out.len(), page as usize - 2);
        let entries = self.pages.map.get(first..).unwrap_or_default();
        entries.iter().take(MAPPED as usize).for_each(|entry| out.extend_from_slice(entry));
        out.resize(begun + PAGE, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::{LOCKED, Numbers};

    /// Pages of the pointer map are 2, 822, 1642 and so on (section 1.8); the one that SQLite locks
    /// is 262145 for pages of 4,096 bytes.
    #[test]
    fn numbers_of_pages() {
        assert_eq!(LOCKED, 262_145);
        let numbers = Numbers { locked: LOCKED };
        let maps: Vec<u32> = (1..2_500).filter(|page| numbers.is_map(*page)).collect();
        assert_eq!(maps, [2, 822, 1_642, 2_462]);
        assert_eq!((numbers.after(9), numbers.after(821)), (Some(10), Some(823)));
        assert_eq!(numbers.after(LOCKED - 1), Some(LOCKED + 1));
        assert_eq!(numbers.after(u32::MAX), None);
        // A page of the map that would be the locked one is the one behind it.
        let numbers = Numbers { locked: 822 };
        let maps: Vec<u32> = (1..2_500).filter(|page| numbers.is_map(*page)).collect();
        assert_eq!(maps, [2, 823, 1_642, 2_462]);
        assert_eq!((numbers.after(821), numbers.after(823)), (Some(824), Some(824)));
    }
}
