//! What a correct reader must find in a bundle.

use std::collections::BTreeMap;

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
    /// Bytes of what the files hold, before it is encrypted.
    pub content_bytes: u64,
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
        let mut out = String::from(TruthEntry::TSV_HEAD);
        self.entries.iter().for_each(|entry| out.push_str(&entry.to_tsv_line()));
        out
    }
}

impl TruthEntry {
    /// The first line of [`Truth::to_tsv`].
    pub const TSV_HEAD: &str = "file_id\tkind\tstored\tintact\tlen\tsha256\tdomain\tpath\n";

    /// Spells the entry as one line of [`Truth::to_tsv`].
    #[must_use]
    pub fn to_tsv_line(&self) -> String {
        let Self { file_id, domain, path, kind, len, sha256, stored, intact, target: _ } = self;
        format!(
            "{}\t{kind}\t{}\t{}\t{len}\t{}\t{}\t{}\n",
            file_id.escape_ascii(),
            u8::from(*stored),
            u8::from(*intact),
            crate::hex(sha256),
            domain.escape_ascii(),
            path.escape_ascii()
        )
    }
}
