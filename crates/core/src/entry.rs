//! One row of a backup's catalog.

use std::fmt;
use std::sync::Arc;

use crate::name::{NameError, NameFault, limits};
use crate::{Domain, FileId, RelPath};

/// A file, directory or link, described without reference to how its payload is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Where the payload lives. Taken from the catalog, and derived only for new entries.
    pub id: FileId,
    /// The namespace.
    pub domain: Domain,
    /// The path in that namespace.
    pub path: RelPath,
    /// What sort of file this is.
    pub kind: EntryKind,
    /// What a file system would report of it.
    pub metadata: Metadata,
    /// The protection class the device gave it, when it has one.
    pub protection: Option<ProtectionClass>,
    /// SHA-1 of the stored payload, for the domains whose files carry one (FORMAT.md 2.6).
    pub digest: Option<[u8; 20]>,
    /// The source's own row, so that a sink of the same format can patch it and keep what this
    /// type has no field for.
    pub raw: Option<Arc<[u8]>>,
}

impl Entry {
    /// Describes an entry a catalog already names.
    #[must_use]
    pub fn new(id: FileId, domain: Domain, path: RelPath, kind: EntryKind) -> Self {
        let metadata = Metadata::default();
        Self { id, domain, path, kind, metadata, protection: None, digest: None, raw: None }
    }

    /// Describes an entry no catalog has named yet.
    #[must_use]
    pub fn derive(domain: Domain, path: RelPath, kind: EntryKind) -> Self {
        Self::new(FileId::of(&domain, &path), domain, path, kind)
    }
}

/// `DOMAIN:PATH`, as filters and reports spell it.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.domain, self.path)
    }
}

/// The three kinds a manifest distinguishes by its `flags` column.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EntryKind {
    /// `flags = 1`: a regular file, with a payload.
    File,
    /// `flags = 2`: a directory.
    Directory,
    /// `flags = 4`: a symbolic link, with the target it names. The target is never followed.
    Symlink(Box<[u8]>),
}

impl EntryKind {
    /// Makes a link, checking its target.
    ///
    /// # Errors
    ///
    /// Fails when the target is empty, holds NUL or is longer than
    /// [`limits::LINK_TARGET`] bytes. Where it points does not matter: links are written as they
    /// are and never followed.
    pub fn symlink(target: &[u8]) -> Result<Self, NameError> {
        let fault = match target {
            b"" => NameFault::Empty,
            _ if target.contains(&0) => NameFault::Nul,
            _ if target.len() > limits::LINK_TARGET => NameFault::TooLong(limits::LINK_TARGET),
            _ => return Ok(Self::Symlink(target.into())),
        };
        Err(NameError { what: "link target", name: target.into(), fault })
    }

    /// Returns the kind's name: `file`, `directory` or `symlink`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink(_) => "symlink",
        }
    }
}

/// Sizes, times and ownership. Source: FORMAT.md 2.5 to 2.7.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metadata {
    /// What the catalog claims of the length, in bytes. A hint: databases are snapshotted after
    /// it is taken.
    pub size_hint: u64,
    /// `st_mode`, with its type bits.
    pub mode: u32,
    /// Owning user. Negative for some shared containers.
    pub uid: i32,
    /// Owning group. Negative for some shared containers.
    pub gid: i32,
    /// Last modification, in seconds since the Unix epoch.
    pub modified: i64,
    /// Last change of the inode, in seconds since the Unix epoch.
    pub changed: i64,
    /// Creation, in seconds since the Unix epoch.
    pub born: i64,
    /// `st_ino` on the device.
    pub inode: u64,
    /// `st_flags` on the device.
    pub flags: u32,
}

/// A data-protection class, as its number in a keybag.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProtectionClass(pub u32);

impl ProtectionClass {
    /// Returns the class's name in the platform's documentation, where the number has one.
    /// Source: FORMAT.md 3.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "NSFileProtectionComplete",
            2 => "NSFileProtectionCompleteUnlessOpen",
            3 => "NSFileProtectionCompleteUntilFirstUserAuthentication",
            4 => "NSFileProtectionNone",
            5 => "NSFileProtectionRecovery",
            6 => "kSecAttrAccessibleWhenUnlocked",
            7 => "kSecAttrAccessibleAfterFirstUnlock",
            8 => "kSecAttrAccessibleAlways",
            9 => "kSecAttrAccessibleWhenUnlockedThisDeviceOnly",
            10 => "kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly",
            11 => "kSecAttrAccessibleAlwaysThisDeviceOnly",
            _ => return None,
        })
    }
}

impl fmt::Display for ProtectionClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
