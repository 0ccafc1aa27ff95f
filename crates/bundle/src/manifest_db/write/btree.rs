//! A b-tree that is built from its leaves up, of cells that come in order.
//!
//! ```text
//! level 1    [ ‥ 3│k3  4│k4 ]→…      a child and what divides it from the next
//! level 0    [cells] [cells] [cells ‥
//!              done   held    open
//! ```
//!
//! A page is full when the next cell does not fit. Of a table, whose rows are all in leaves, the
//! last row's number goes up as the divider; of an index, whose entries are on inner pages too, the
//! cell that did not fit. Each level holds back the page before the open one: when the cells end
//! and the open one is empty, it gets a cell of that page, since no page of a tree may be empty. An
//! inner page is at least filled with four cells, so one can always be spared.

use std::io;
use std::mem;

use super::page::{Kind, Page};
use super::pages::Pages;
use super::record::{Cell, put_varint};

/// A tree whose root has a number of its own.
#[derive(Debug)]
pub(super) struct Tree {
    root: u32,
    sort: Sort,
    levels: Vec<Level>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sort {
    Table,
    Index,
}

#[derive(Debug)]
struct Level {
    open: Page,
    /// The page before, and what divides the two.
    held: Option<(Page, Cell)>,
}

impl Tree {
    /// Begins the tree of a table.
    pub(super) fn table(root: u32) -> Self {
        Self::new(root, Sort::Table)
    }

    /// Begins the tree of an index.
    pub(super) fn index(root: u32) -> Self {
        Self::new(root, Sort::Index)
    }

    fn new(root: u32, sort: Sort) -> Self {
        let mut tree = Self { root, sort, levels: Vec::new() };
        tree.grow();
        tree
    }

    fn grow(&mut self) {
        let open = Page::new(self.kind(self.levels.len()));
        self.levels.push(Level { open, held: None });
    }

    fn kind(&self, level: usize) -> Kind {
        match (self.sort, level) {
            (Sort::Table, 0) => Kind::TableLeaf,
            (Sort::Table, _) => Kind::TableInner,
            (Sort::Index, 0) => Kind::IndexLeaf,
            (Sort::Index, _) => Kind::IndexInner,
        }
    }

    /// Adds the cell of a row of a table. Its number is above that of the row before.
    pub(super) fn row(&mut self, pages: &mut Pages, before: u32, cell: &Cell) -> io::Result<()> {
        if !self.levels[0].open.push(None, cell) {
            let mut divider = Cell::default();
            put_varint(&mut divider.bytes, before.into());
            self.close(pages, 0, divider)?;
            self.levels[0].open.push(None, cell);
        }
        Ok(())
    }

    /// Adds the cell of an entry of an index, which comes behind the one before.
    pub(super) fn entry(&mut self, pages: &mut Pages, cell: &Cell) -> io::Result<()> {
        if self.levels[0].open.push(None, cell) {
            return Ok(());
        }
        self.close(pages, 0, cell.clone())
    }

    /// Opens a new page on a level, and lets go of the one before the one that was open.
    fn close(&mut self, pages: &mut Pages, at: usize, divider: Cell) -> io::Result<()> {
        let fresh = Page::new(self.kind(at));
        let level = &mut self.levels[at];
        let full = mem::replace(&mut level.open, fresh);
        match level.held.replace((full, divider)) {
            Some((page, divider)) => self.emit(pages, at, page, divider),
            None => Ok(()),
        }
    }

    /// Gives a page its number, and the level above its place.
    fn emit(&mut self, pages: &mut Pages, at: usize, page: Page, divider: Cell) -> io::Result<()> {
        let child = pages.tree(page)?;
        let above = at + 1;
        if self.levels.len() == above {
            self.grow();
        }
        let open = &mut self.levels[above].open;
        if open.push(Some(child), &divider) {
            return Ok(());
        }
        open.right = child;
        self.close(pages, above, divider)
    }

    /// Ends the tree: its top page becomes the root.
    pub(super) fn finish(mut self, pages: &mut Pages) -> io::Result<()> {
        let mut at = 0;
        loop {
            let fresh = Page::new(self.kind(at));
            let level = &mut self.levels[at];
            let mut open = mem::replace(&mut level.open, fresh);
            let Some((mut page, mut divider)) = level.held.take() else {
                pages.root(self.root, open);
                return Ok(());
            };
            if open.is_empty() {
                let (child, spared) = page.pop();
                let before = child.map(|child| mem::replace(&mut page.right, child));
                open.push(before, &divider);
                divider = spared;
            }
            self.emit(pages, at, page, divider)?;
            let last = pages.tree(open)?;
            at += 1;
            self.levels[at].open.right = last;
        }
    }
}
