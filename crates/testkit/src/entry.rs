//! One file, directory or link of a bundle, with every oddity a row can have.

use crate::mbfile::DigestForm;
use crate::plist_writer::PlistValue;

/// A file, directory or link to write.
///
/// What is `None` follows from the domain, as on a device. Names are bytes, because those of a
/// hostile manifest need not be UTF-8.
#[derive(Clone, Debug)]
pub struct EntrySpec {
    /// The domain.
    pub domain: Vec<u8>,
    /// The path in the domain; empty for the root.
    pub path: Vec<u8>,
    /// What it is.
    pub node: Node,
    /// `st_mode` with its type bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<i32>,
    /// Group.
    pub gid: Option<i32>,
    /// Protection class.
    pub class: Option<u8>,
    /// Last modification, Unix time.
    pub modified: i64,
    /// Last status change, Unix time.
    pub changed: i64,
    /// Birth, Unix time.
    pub born: i64,
    /// `st_flags`.
    pub bsd_flags: u32,
    /// Inode; `None` gives a fresh one to a file and the folder's own one to a directory.
    pub inode: Option<i64>,
    /// Extended attributes, name and value.
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// What the catalog says of the size; `None` is the truth.
    pub recorded_size: Option<i64>,
    /// How the key is written, in an encrypted bundle.
    pub key: FileKeyRule,
    /// What lies on the disk.
    pub stored: Stored,
    /// What the catalog says of the blob's SHA-1.
    pub digest: DigestRule,
    /// Columns of the row to write in place of the right ones. Manifest.db only.
    pub row: RowOverrides,
    /// Keys of the MBFile archive to leave out. Manifest.db only.
    pub omit_keys: Vec<String>,
    /// Keys to add to the MBFile archive. Manifest.db only.
    pub extra_keys: Vec<(String, PlistValue)>,
}

/// What an entry is.
#[derive(Clone, Debug)]
pub enum Node {
    /// A regular file with its content.
    File(Content),
    /// A directory.
    Directory,
    /// A symbolic link with its target.
    Symlink(Vec<u8>),
}

/// What a file holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many bytes that follow from the bundle's seed and the file's name.
    Noise(usize),
}

/// How a file's key stands in an encrypted bundle. In an unencrypted one there is none.
#[derive(Clone, Debug)]
pub enum FileKeyRule {
    /// As a device does it.
    Device,
    /// No key: the file is stored in the clear.
    Omitted,
    /// These bytes in place of class and wrapped key; the content is encrypted all the same.
    Bytes(Vec<u8>),
}

/// What lies on the disk in place of the right blob.
#[derive(Clone, Debug)]
pub enum Stored {
    /// The right blob.
    Device,
    /// Nothing.
    Missing,
    /// A file of no bytes.
    Empty,
    /// The ciphertext without padding; the content must be a multiple of 16 bytes.
    Unpadded,
    /// The first bytes of the right blob.
    CutTo(usize),
    /// The right blob with one byte changed, at this offset from its start.
    Flipped(usize),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// What the catalog says of a blob's SHA-1.
#[derive(Clone, Debug)]
pub enum DigestRule {
    /// Present in the domains where devices write one (FORMAT.md 2.6).
    Device,
    /// Absent.
    Omitted,
    /// Present and right, in this form.
    Present(DigestForm),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// A value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text, which need not be UTF-8.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Cell {
    /// Makes a text.
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }
}

/// Columns to write in place of the right ones.
#[derive(Clone, Debug, Default)]
pub struct RowOverrides {
    /// fileID. A blob is stored under it when it is 40 hexadecimal digits, in lower case.
    pub file_id: Option<Cell>,
    /// domain.
    pub domain: Option<Cell>,
    /// relativePath.
    pub path: Option<Cell>,
    /// flags.
    pub flags: Option<Cell>,
    /// file.
    pub file: Option<Cell>,
}

/// The time every entry gets unless its spec says otherwise: 2024-05-18T09:30:00Z.
pub(crate) const ENTRY_TIME: i64 = 1_716_024_600;

impl EntrySpec {
    fn new(domain: impl Into<Vec<u8>>, path: impl Into<Vec<u8>>, node: Node) -> Self {
        Self {
            domain: domain.into(),
            path: path.into(),
            node,
            mode: None,
            uid: None,
            gid: None,
            class: None,
            modified: ENTRY_TIME,
            changed: ENTRY_TIME + 60,
            born: ENTRY_TIME - 86_400,
            bsd_flags: 0,
            inode: None,
            xattrs: Vec::new(),
            recorded_size: None,
            key: FileKeyRule::Device,
            stored: Stored::Device,
            digest: DigestRule::Device,
            row: RowOverrides::default(),
            omit_keys: Vec::new(),
            extra_keys: Vec::new(),
        }
    }

    /// Describes a regular file.
    pub fn file(
        domain: impl Into<Vec<u8>>,
        path: impl Into<Vec<u8>>,
        content: impl Into<Vec<u8>>,
    ) -> Self {
        Self::new(domain, path, Node::File(Content::Bytes(content.into())))
    }

    /// Describes a regular file of `len` bytes of noise.
    pub fn noise(domain: impl Into<Vec<u8>>, path: impl Into<Vec<u8>>, len: usize) -> Self {
        Self::new(domain, path, Node::File(Content::Noise(len)))
    }

    /// Describes a directory.
    pub fn directory(domain: impl Into<Vec<u8>>, path: impl Into<Vec<u8>>) -> Self {
        Self::new(domain, path, Node::Directory)
    }

    /// Describes a symbolic link.
    pub fn symlink(
        domain: impl Into<Vec<u8>>,
        path: impl Into<Vec<u8>>,
        target: impl Into<Vec<u8>>,
    ) -> Self {
        Self::new(domain, path, Node::Symlink(target.into()))
    }

    /// Changes some of it, in one expression.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
