//! `Manifest.db`, written as a device leaves it.
//!
//! ```text
//! page 1   header: WAL mode, auto-vacuum incremental, user_version 2 │ schema      template
//! page 2   pointer map, and so every 820th                                         pages
//! page 3…  roots of Files, its own index, three more, Properties, its own index
//! page 10… leaves and inner pages of Files as they fill up, long rows' overflow    btree, page, record
//!          the same of each index, from its sorted texts                           sort, domains
//! ```
//!
//! Schema, order, roots and header are SQLite's: it makes an empty database in memory. The pages of
//! rows and indexes are made here and not by SQLite, which can build a database in memory, where it
//! takes the catalog twice beside the source's, or on a disk, where it leaves plaintext. Here pages
//! leave memory as they fill up, encrypted (`scratch`), and what stays is some forty bytes a row:
//! the ids, that none comes twice, and the number of each row's domain. Rows come in the order of
//! their numbers and index entries are sorted, so no page is ever touched again.
//!
//! Source: FORMAT.md 2.1 and 2.2; "Database File Format" of the SQLite documentation.

mod btree;
mod domains;
mod page;
mod pages;
mod record;
mod sort;
mod template;
#[cfg(test)]
mod tests;

use std::io;

use btree::Tree;
use domains::Domains;
use pages::Pages;
use record::{Cell, integer_entry, text_entry};
use sort::Sorter;
use template::Template;

use crate::catalog_writer::FileIds;
use crate::scratch::ScratchPlace;

pub(crate) use pages::{Database, Position};
pub(crate) use record::Row;

/// A catalog while it grows.
#[derive(Debug)]
pub(crate) struct DbWriter {
    template: Template,
    pages: Pages,
    files: Tree,
    domains: Domains,
    paths: Sorter,
    /// The last row.
    rows: u32,
    record: Vec<u8>,
    cell: Cell,
}

impl DbWriter {
    pub(crate) fn new(place: &ScratchPlace) -> rusqlite::Result<Self> {
        let template = Template::new()?;
        let pages = Pages::new(&template, place.clone());
        Ok(Self::of(template, pages, place))
    }

    fn of(template: Template, pages: Pages, place: &ScratchPlace) -> Self {
        Self {
            files: Tree::table(template.files),
            template,
            pages,
            domains: Domains::new(place.clone()),
            paths: Sorter::new(place.clone()),
            rows: 0,
            record: Vec::new(),
            cell: Cell::default(),
        }
    }

    /// Adds a row. Its id must be one that no other row has, and is given again, with all others,
    /// when the catalog [ends](Self::finish).
    pub(crate) fn push(&mut self, row: &Row<'_>, number: u32) -> io::Result<()> {
        let Self { template: _, pages, files, domains, paths, rows, record, cell } = self;
        row.record(record);
        cell.row(pages, number, record)?;
        files.row(pages, *rows, cell)?;
        domains.push(row.domain, row.flags, number)?;
        paths.push(row.path, number)?;
        *rows = number;
        Ok(())
    }

    /// Builds the indexes and ends the database.
    pub(crate) fn finish(self, ids: FileIds) -> io::Result<Database> {
        let Self { template, mut pages, files, domains, paths, .. } = self;
        files.finish(&mut pages)?;
        let mut index = Index::new(&mut pages, template.ids);
        ids.drain(|id, row| index.text(&id.to_hex(), row))?;
        index.finish()?;
        let mut index = Index::new(&mut pages, template.paths);
        paths.drain(|path, row| index.text(path, row))?;
        index.finish()?;
        let mut index = Index::new(&mut pages, template.flags);
        for flags in [1, 2, 4] {
            domains.rows_of(flags).try_for_each(|row| index.integer(flags, row))?;
        }
        index.finish()?;
        let mut index = Index::new(&mut pages, template.domains);
        domains.drain(|domain, row| index.text(domain, row))?;
        index.finish()?;
        Ok(pages.finish())
    }
}

/// An index while it grows.
struct Index<'p> {
    pages: &'p mut Pages,
    tree: Tree,
    record: Vec<u8>,
    cell: Cell,
}

impl<'p> Index<'p> {
    fn new(pages: &'p mut Pages, root: u32) -> Self {
        Self { pages, tree: Tree::index(root), record: Vec::new(), cell: Cell::default() }
    }

    fn text(&mut self, text: &[u8], row: u32) -> io::Result<()> {
        text_entry(&mut self.record, text, row);
        self.entry()
    }

    fn integer(&mut self, value: u8, row: u32) -> io::Result<()> {
        integer_entry(&mut self.record, value, row);
        self.entry()
    }

    fn entry(&mut self) -> io::Result<()> {
        let Self { pages, tree, record, cell } = self;
        cell.entry(pages, record)?;
        tree.entry(pages, cell)
    }

    fn finish(self) -> io::Result<()> {
        let Self { pages, tree, .. } = self;
        tree.finish(pages)
    }
}
