//! Managed books. Source: MANAGED.md section 5.

use std::collections::BTreeSet;

use bkp_core::{Domain, RelPath};
use serde::Serialize;

use crate::keys::Keys;

/// Books that an MDM server sent, as far as the backup holds them. Books of the store are none.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Books {
    /// How many there are: those that are listed, or where no list can be read, the files and
    /// folders that books are stored as.
    pub count: usize,
    /// Their files, lists included.
    pub files: u64,
    /// Bytes of those, as the catalog says.
    pub bytes: u64,
    /// What the lists say.
    pub listed: Vec<Book>,
    /// `allowEnterpriseBookBackup`, where a restriction says it. The default is true.
    pub backup_allowed: Option<bool>,
}

/// One book of a list.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Book {
    /// Its title.
    pub title: Option<String>,
    /// Its author.
    pub author: Option<String>,
    /// Its kind, such as `epub` or `pdf`.
    pub kind: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Where it is stored, as the list says.
    pub path: Option<String>,
    /// The identifier that the server gave it.
    pub persistent_id: Option<String>,
    /// Whether it is installed, as the list says.
    pub state: Option<String>,
}

/// The most books that are kept of all lists.
const MOST: usize = 10_000;

/// Books while they are counted.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) books: Books,
    stored: BTreeSet<Box<[u8]>>,
}

impl Shelf {
    /// Counts one file of a managed book, or of their list.
    pub(crate) fn see(&mut self, domain: &Domain, path: &RelPath, size: u64) {
        self.books.files = self.books.files.saturating_add(1);
        self.books.bytes = self.books.bytes.saturating_add(size);
        if is_list(path) {
            return;
        }
        // A book may be a folder of files. What stands right below the place of books is one.
        let below = if domain.as_bytes() == b"BooksDomain" { 1 } else { 0 };
        let folders = [&b"Library"[..], b"Documents", b"Books", b"Managed"];
        let mut parts = path.components().skip(below).skip_while(|part| folders.contains(part));
        if let Some(book) = parts.next() {
            self.stored.insert(book.into());
        }
    }

    /// Takes down what a list says.
    pub(crate) fn list(&mut self, keys: Keys<'_>) {
        let room = MOST.saturating_sub(self.books.listed.len());
        let text = |keys: Keys<'_>, names: [&str; 2]| names.into_iter().find_map(|n| keys.text(n));
        self.books.listed.extend(keys.dicts("Books").take(room).map(|book| {
            Book {
                title: text(book, ["Title", "Name"]),
                author: text(book, ["Author", "Artist Name"]),
                kind: text(book, ["Kind", "Type"]),
                version: text(book, ["Version", "Book Info Version"])
                    .or_else(|| book.int("Version").map(|version| version.to_string())),
                path: text(book, ["Path", "path"]),
                persistent_id: text(book, ["PersistentID", "Persistent ID"]),
                state: text(book, ["State", "state"]),
            }
        }));
    }

    pub(crate) fn finish(mut self) -> Books {
        self.books.count = match self.books.listed.len() {
            0 => self.stored.len(),
            listed => listed,
        };
        self.books
    }
}

/// Returns true for a file that may list books.
pub(crate) fn is_list(path: &RelPath) -> bool {
    path.name().is_some_and(|name| matches!(name, b"Managed.plist" | b"Books.plist"))
}
