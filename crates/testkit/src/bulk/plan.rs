//! What is in a big bundle, entry by entry, before any of it is written.

use std::collections::{HashMap, HashSet};
use std::io;

use super::content::Source;
use super::fixed::{self, Fixed};
use super::places::{Place, Places};
use super::{BulkSpec, Filler, sizes};
use crate::Seed;
use crate::bundle::domain;
use crate::truth::Counts;

/// Numbered folders hold what lies in their place of this many files, wherever those are.
const FILES_A_FOLDER: usize = 4_000;
/// Entries in one folder of those that only make rows.
const FILL_A_FOLDER: usize = 400;
/// One in so many files has a symbolic link beside it, somewhere in an app.
const FILES_A_LINK: usize = 100;
/// Inodes of entries and of the folders above them. They never meet: each stays below its next.
const ENTRY_INODES: i64 = 1_000_000;
const FOLDER_INODES: i64 = 4_000_000_000;
/// The most files and rows, so that inodes stay apart.
const MOST: usize = 1_000_000_000;

/// Everything that follows from a spec and can be known without writing.
///
/// Entry `n` is a function of `n` alone, so any thread can make any of them.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) seed: Seed,
    pub(super) places: Places,
    pub(super) fixed: Vec<Fixed>,
    /// Sizes of the files that are not fixed.
    sizes: Vec<u64>,
    links: usize,
    rows: usize,
    filler: Filler,
    sparse: bool,
    encrypted: bool,
}

/// An entry as it will be.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) n: usize,
    /// The domain, by its number.
    pub(super) domain: usize,
    pub(super) path: String,
    pub(super) node: Node,
    pub(super) class: Option<u8>,
    pub(super) mode: Option<u32>,
    pub(super) xattrs: Vec<(String, Vec<u8>)>,
}

/// What an entry is.
#[derive(Debug)]
pub(super) enum Node {
    /// A fixed file, by its number.
    Fixed(usize),
    /// A file of so many bytes.
    File(u64),
    /// A file that is listed with so many bytes and is not there.
    Missing(u64),
    Directory,
    Link(String),
}

impl Item {
    /// Returns the flags column.
    pub(super) fn kind(&self) -> u8 {
        match self.node {
            Node::Fixed(_) | Node::File(_) | Node::Missing(_) => 1,
            Node::Directory => 2,
            Node::Link(_) => 4,
        }
    }

    pub(super) fn inode(&self) -> i64 {
        ENTRY_INODES + i64::try_from(self.n).unwrap_or(0)
    }
}

impl Plan {
    pub(super) fn new(spec: &BulkSpec) -> io::Result<Self> {
        let BulkSpec { seed, files, total, mix, rows, filler, sparse, encryption, threads: _ } =
            spec;
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
        if *sparse && encryption.is_some() {
            return Err(invalid("ciphertext is never sparse"));
        }
        if *files == 0 && total.is_some_and(|total| total > 0) {
            return Err(invalid("bytes need a file to be in"));
        }
        if *files > MOST || *rows > MOST {
            return Err(invalid("a bundle has at most a billion files and rows"));
        }
        let seed = Seed(*seed);
        let fixed = fixed::make(seed, *files, *total)?;
        let bytes: u64 = fixed.iter().map(|fixed| fixed.content.len() as u64).sum();
        let sizes = sizes::draw(seed, *mix, files - fixed.len(), total.map(|total| total - bytes));
        Ok(Self {
            seed,
            places: Places::new(),
            fixed,
            sizes,
            links: files / FILES_A_LINK,
            rows: *rows,
            filler: *filler,
            sparse: *sparse,
            encrypted: encryption.is_some(),
        })
    }

    /// Returns how many entries there are, whatever number of rows is asked for.
    pub(super) fn least(&self) -> usize {
        self.fixed.len() + self.sizes.len() + self.links
    }

    /// Returns entry `n`. There is one for every number.
    pub(super) fn item(&self, n: usize) -> Item {
        let files = self.fixed.len() + self.sizes.len();
        if let Some(fixed) = self.fixed.get(n) {
            let Fixed { domain, path, class, mode, .. } = *fixed;
            let domain = self.places.domain(domain).unwrap_or(0);
            let (path, node) = (path.to_owned(), Node::Fixed(n));
            Item { n, domain, path, node, class, mode, xattrs: Vec::new() }
        } else if n < files {
            let size = self.sizes[n - self.fixed.len()];
            self.file(n, size, Node::File(size))
        } else if n < self.least() {
            self.link(n, n - files)
        } else {
            self.fill(n, n - self.least())
        }
    }

    fn file(&self, n: usize, size: u64, node: Node) -> Item {
        let Place { domain, folder, extension, class } = self.places.choose(self.seed, n, size);
        let folder = folder.replace('%', &(100 + n / FILES_A_FOLDER).to_string());
        let path = format!("{folder}/{n:07}.{extension}");
        Item { n, domain, path, node, class, mode: None, xattrs: self.xattrs(n, extension) }
    }

    /// Returns the attributes of a file, names as they are met on devices (FORMAT.md 2.7).
    fn xattrs(&self, n: usize, extension: &str) -> Vec<(String, Vec<u8>)> {
        let bytes = || self.seed.bytes::<16>(format!("bulk xattr {n}")).to_vec();
        let pair = |name: &str, value| vec![(name.to_owned(), value)];
        match extension {
            "HEIC" | "MOV" if n.is_multiple_of(3) => [
                pair("com.apple.assetsd.UUID", bytes()),
                pair("com.apple.assetsd.timeZoneName", b"Europe/Berlin".to_vec()),
            ]
            .concat(),
            "log" => pair("com.apple.TextEncoding", b"utf-8;134217984".to_vec()),
            "dat" if n.is_multiple_of(20) => pair("com.apple.lastuseddate#PS", bytes()),
            _ => Vec::new(),
        }
    }

    fn link(&self, n: usize, at: usize) -> Item {
        let (domain, path, target) = match at {
            0 => (
                self.places.domain("DatabaseDomain").unwrap_or(0),
                "timezone/localtime".to_owned(),
                "/var/db/timezone/zoneinfo/Europe/Berlin".to_owned(),
            ),
            _ => {
                (self.places.app(at), format!("Library/Links/{n:07}"), format!("../Caches/{n:07}"))
            }
        };
        let node = Node::Link(target);
        Item { n, domain, path, node, class: None, mode: None, xattrs: Vec::new() }
    }

    /// Returns one of the entries that are there for their row alone.
    fn fill(&self, n: usize, at: usize) -> Item {
        if self.filler == Filler::MissingFiles {
            let size = u64::from(u16::from_le_bytes(self.seed.bytes(format!("bulk fill {n}"))));
            return self.file(n, size, Node::Missing(size));
        }
        let group = at / FILL_A_FOLDER;
        let path = format!("Library/Caches/Fill/{group:05}/{n:07}");
        let node = match at % 40 {
            39 => Node::Link(format!("{:07}", n - 1)),
            _ => Node::Directory,
        };
        let domain = self.places.app(group);
        Item { n, domain, path, node, class: None, mode: None, xattrs: Vec::new() }
    }

    /// Returns what a file is made of, if it is there.
    pub(super) fn source(&self, item: &Item) -> Option<Source<'_>> {
        match item.node {
            Node::Fixed(fixed) => Some(Source::Bytes(&self.fixed[fixed].content)),
            Node::File(size) if self.sparse => Some(Source::Zeros(size)),
            Node::File(size) => Some(Source::Pool { n: item.n, size }),
            Node::Missing(_) | Node::Directory | Node::Link(_) => None,
        }
    }

    /// Returns the lengths of zeros whose digest the catalog will carry.
    pub(super) fn zeros(&self) -> Vec<u64> {
        if !self.sparse {
            return Vec::new();
        }
        let numbers = self.fixed.len()..self.fixed.len() + self.sizes.len();
        let sizes = numbers.zip(&self.sizes).filter(|(n, size)| {
            let place = self.places.choose(self.seed, *n, **size);
            self.has_digest(place.domain)
        });
        sizes.map(|(_, size)| *size).collect()
    }

    /// Returns true in the domains whose files carry a digest (FORMAT.md 2.6).
    pub(super) fn has_digest(&self, domain: usize) -> bool {
        domain::defaults(self.places.domains[domain].as_bytes(), false).digest
    }

    /// Goes through the whole bundle in catalog order: the roots of the domains first, then the
    /// entries, each after the folders above it. `next` makes an entry of its number, and `row`
    /// takes each row.
    pub(super) fn walk<M: AsRef<Item>>(
        &self,
        mut next: impl FnMut(usize) -> io::Result<M>,
        mut row: impl FnMut(Row<M>) -> io::Result<()>,
    ) -> io::Result<Counts> {
        let mut counts = Counts::default();
        let mut folders = Folders::new(&self.places);
        for domain in 0..self.places.domains.len() {
            for folder in folders.missing(domain, "") {
                counts.rows += 1;
                counts.directories += 1;
                row(Row::Folder(folder))?;
            }
        }
        for n in 0.. {
            let enough = |counts: &Counts| n >= self.least() && counts.rows >= self.rows;
            if enough(&counts) {
                break;
            }
            let made = next(n)?;
            let item = made.as_ref();
            let parent = item.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            for folder in folders.missing(item.domain, parent) {
                counts.rows += 1;
                counts.directories += 1;
                row(Row::Folder(folder))?;
                if enough(&counts) {
                    return Ok(counts);
                }
            }
            self.count(item, &mut counts);
            row(Row::Entry(made))?;
        }
        Ok(counts)
    }

    fn count(&self, item: &Item, counts: &mut Counts) {
        counts.rows += 1;
        match item.kind() {
            1 => counts.files += 1,
            2 => counts.directories += 1,
            _ => counts.symlinks += 1,
        }
        if let Some(source) = self.source(item) {
            let size = source.size();
            counts.content_bytes += size;
            counts.blobs += 1;
            // PKCS#7 adds up to a whole block (FORMAT.md 2.6).
            counts.blob_bytes += if self.encrypted { size / 16 * 16 + 16 } else { size };
        }
    }
}

/// One row of the catalog.
#[derive(Debug)]
pub(super) enum Row<M> {
    Folder(Folder),
    Entry(M),
}

/// A folder above an entry, or the root of a domain.
#[derive(Debug)]
pub(super) struct Folder {
    /// The domain, by its number.
    pub(super) domain: usize,
    pub(super) path: String,
    pub(super) inode: i64,
}

/// The folders that have a row.
struct Folders<'p> {
    places: &'p Places,
    /// Paths, by domain.
    seen: Vec<HashSet<String>>,
    /// Where folders are on the device: domains with one root share them (FORMAT.md 2.7).
    inodes: HashMap<(Vec<u8>, Vec<u8>), i64>,
}

impl<'p> Folders<'p> {
    fn new(places: &'p Places) -> Self {
        let seen = places.domains.iter().map(|_| HashSet::new()).collect();
        Self { places, seen, inodes: HashMap::new() }
    }

    /// Returns the folder and those above it, as far as they have no row yet, from the top down.
    fn missing(&mut self, domain: usize, folder: &str) -> Vec<Folder> {
        if self.seen[domain].contains(folder) {
            return Vec::new();
        }
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        let paths = std::iter::once("").chain(ends.map(|end| &folder[..end]));
        let mut missing = Vec::new();
        for path in paths {
            if self.seen[domain].insert(path.to_owned()) {
                let name = self.places.domains[domain].as_bytes();
                let next = FOLDER_INODES + i64::try_from(self.inodes.len()).unwrap_or(0);
                let place = domain::place(name, path.as_bytes());
                let inode = *self.inodes.entry(place).or_insert(next);
                missing.push(Folder { domain, path: path.to_owned(), inode });
            }
        }
        missing
    }
}

impl AsRef<Self> for Item {
    fn as_ref(&self) -> &Self {
        self
    }
}
