//! What a correct reader must find in a bundle.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a bundle holds, in catalog order.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Every row or record.
    pub entries: Vec<TruthEntry>,
    /// How many there are of each kind.
    pub counts: Counts,
    /// Each class's key, after the password has been taken off. Of the classes with WRAP 3 this
    /// is the value that a device key still covers.
    pub class_keys: BTreeMap<u32, [u8; 32]>,
    /// The key that unwraps the class keys.
    pub passcode_key: [u8; 32],
    /// The key of Manifest.db, when it is encrypted.
    pub manifest_key: Option<[u8; 32]>,
    /// The UDID.
    pub udid: String,
}

/// How many rows there are, by the flags column that was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Rows in all.
    pub rows: usize,
    /// Regular files.
    pub files: usize,
    /// Directories.
    pub directories: usize,
    /// Symbolic links.
    pub symlinks: usize,
    /// Rows that are none of these.
    pub other: usize,
    /// Blobs on the disk.
    pub blobs: usize,
    /// Bytes of all blobs on the disk.
    pub blob_bytes: u64,
}

/// One row, as it was meant.
#[derive(Clone, Debug)]
pub struct TruthEntry {
    /// The fileID as the catalog states it; of a Manifest.mbdb, as it follows from the name.
    pub file_id: Vec<u8>,
    /// The domain as the spec has it.
    pub domain: Vec<u8>,
    /// The path as the spec has it.
    pub path: Vec<u8>,
    /// 1 file, 2 directory, 4 symbolic link: what the entry is, whatever its row says.
    pub kind: u8,
    /// Bytes of content; 0 for what is no file.
    pub len: u64,
    /// SHA-256 of the content; of no bytes for what is no file.
    pub sha256: [u8; 32],
    /// Whether a blob lies on the disk.
    pub stored: bool,
    /// Whether the blob gives back the content: not missing, cut, changed or under a wrong key.
    pub intact: bool,
    /// The target of a symbolic link.
    pub target: Option<Vec<u8>>,
}

impl Truth {
    /// Returns the entry of this name, when there is one.
    #[must_use]
    pub fn entry(&self, domain: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Option<&TruthEntry> {
        let (domain, path) = (domain.as_ref(), path.as_ref());
        self.entries.iter().find(|entry| entry.domain == domain && entry.path == path)
    }

    /// Spells the entries as lines of tab-separated fields, with a line of names first.
    ///
    /// The fields: file_id, kind (1 file, 2 directory, 4 link), stored and intact (0 or 1), len,
    /// sha256, domain, path. What is not printable ASCII in a name is written `\xNN`.
    #[must_use]
    pub fn to_tsv(&self) -> String {
        let mut out = String::from("file_id\tkind\tstored\tintact\tlen\tsha256\tdomain\tpath\n");
        for entry in &self.entries {
            let TruthEntry { file_id, domain, path, kind, len, sha256, stored, intact, .. } = entry;
            let (stored, intact) = (u8::from(*stored), u8::from(*intact));
            let sha256 = crate::hex(sha256);
            let (file_id, domain) = (file_id.escape_ascii(), domain.escape_ascii());
            let path = path.escape_ascii();
            // Writing to a String does not fail.
            let _ = writeln!(
                out,
                "{file_id}\t{kind}\t{stored}\t{intact}\t{len}\t{sha256}\t{domain}\t{path}"
            );
        }
        out
    }
}
