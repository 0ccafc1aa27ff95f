//! The rows of a plan in catalog order.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{FOLDER_INODES, Node, Plan, Planned};
use crate::domain;
use crate::places::Places;

/// The rows of a plan.
#[derive(Debug)]
pub struct Rows<'p> {
    plan: &'p Plan,
    folders: Folders<'p>,
    /// What comes before the next entry, and that entry.
    ready: VecDeque<Planned>,
    given: usize,
    /// The number of the next entry.
    next: usize,
}

impl<'p> Rows<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        let folders = Folders::new(&plan.places);
        let mut rows = Self { plan, folders, ready: VecDeque::new(), given: 0, next: 0 };
        for domain in 0..plan.places.domains.len() {
            rows.queue_folders(domain, "");
        }
        rows
    }

    fn queue_folders(&mut self, domain: usize, folder: &str) {
        for (path, inode) in self.folders.missing(domain, folder) {
            self.ready.push_back(self.plan.row(domain, path, Node::Directory, inode));
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        let domains = self.plan.places.domains.len();
        // The roots and what is asked for have a row in any case, and so has a folder's entry if
        // that is asked for.
        let least = self.plan.least();
        let wanted = self.next < least
            || self.given < self.plan.rows.max(domains)
            || self.ready.iter().any(|planned| planned.number.is_some_and(|n| n < least));
        if !wanted {
            return None;
        }
        if self.ready.is_empty() {
            let entry = self.plan.entry(self.next);
            self.next += 1;
            let parent = entry.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            self.queue_folders(entry.domain, parent);
            self.ready.push_back(entry);
        }
        self.given += 1;
        self.ready.pop_front()
    }
}

/// The folders that have a row.
#[derive(Debug)]
struct Folders<'p> {
    places: &'p Places,
    /// Paths, by domain.
    seen: Vec<HashSet<String>>,
    /// Where folders are on the device: domains with one root share them (FORMAT.md 2.7).
    inodes: HashMap<(Vec<u8>, Vec<u8>), u64>,
}

impl<'p> Folders<'p> {
    fn new(places: &'p Places) -> Self {
        let seen = places.domains.iter().map(|_| HashSet::new()).collect();
        Self { places, seen, inodes: HashMap::new() }
    }

    /// Returns the folder and those above it, as far as they have no row yet, from the top down,
    /// and their inodes.
    fn missing(&mut self, domain: usize, folder: &str) -> Vec<(String, u64)> {
        if self.seen[domain].contains(folder) {
            return Vec::new();
        }
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        let paths = std::iter::once("").chain(ends.map(|end| &folder[..end]));
        let mut missing = Vec::new();
        for path in paths {
            if self.seen[domain].insert(path.to_owned()) {
                let name = self.places.domains[domain].as_bytes();
                let next = FOLDER_INODES + self.inodes.len() as u64;
                let place = domain::place(name, path.as_bytes());
                let inode = *self.inodes.entry(place).or_insert(next);
                missing.push((path.to_owned(), inode));
            }
        }
        missing
    }
}
