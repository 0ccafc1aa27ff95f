//! `Manifest.mbdb`: the catalog of iOS 5 to 9.
//!
//! ```text
//! "mbdb" 05 00 | record | record | ...
//!
//! record: domain, path, target, digest, key    each u16 length + bytes; ffff = null
//!         mode u16, inode u64, uid u32, gid u32, mtime u32, ctime u32, btime u32, size u64,
//!         class u8, xattr count u8
//!         xattrs                               each name, value in the form above
//! ```
//!
//! Integers are big-endian. Nothing says how many records there are or how long one is, so a
//! damaged record ends the reading: what comes after cannot be found. Source: FORMAT.md section 5.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[cfg(test)]
mod tests;
mod write;

pub(crate) use write::{MbdbWriter, NewRecord};

const MAGIC: &[u8; 4] = b"mbdb";
const VERSION: [u8; 2] = [5, 0];
const HEADER: usize = 6;
const NULL: u16 = 0xffff;

/// Why a `Manifest.mbdb` cannot be read, or not to its end.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MbdbError {
    /// The file does not begin with `mbdb` and a version.
    #[error("no mbdb header")]
    NotMbdb,
    /// The file is of another version than 5.0.
    #[error("mbdb version {major}.{minor}, and only 5.0 is read")]
    UnsupportedVersion {
        /// The first byte of the version.
        major: u8,
        /// The second byte.
        minor: u8,
    },
    /// A record is damaged or cut off. The records before it are sound.
    #[error("record {index}, which begins at offset {record_offset}, {what} (offset {offset})")]
    Malformed {
        /// How many sound records come before.
        index: usize,
        /// The byte of the file where the record begins.
        record_offset: usize,
        /// The byte of the file where reading stopped.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// A `Manifest.mbdb` whose header is in order.
#[derive(Clone, Copy, Debug)]
pub struct Mbdb<'a> {
    bytes: &'a [u8],
}

/// One record, borrowed. Strings are bytes: `None` is null, and an empty one is empty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MbdbRecord<'a> {
    /// The byte of the file where the record begins, for [`Mbdb::record_at`].
    pub offset: usize,
    /// The record as it is stored.
    pub raw: &'a [u8],
    /// The domain, which is not empty.
    pub domain: &'a [u8],
    /// The path in the domain; empty for the root.
    pub path: Option<&'a [u8]>,
    /// The target of a symbolic link.
    pub target: Option<&'a [u8]>,
    /// SHA-1 of the stored payload, 20 bytes on every device seen.
    pub digest: Option<&'a [u8]>,
    /// The wrapped key, 44 bytes on every device seen.
    pub encryption_key: Option<&'a [u8]>,
    /// `st_mode`, with its type bits.
    pub mode: u16,
    /// `st_ino`.
    pub inode: u64,
    /// The owning user; -2 occurs.
    pub uid: i32,
    /// The owning group; -2 occurs.
    pub gid: i32,
    /// Last modification, in seconds since the Unix epoch.
    pub modified: u32,
    /// Last change of the inode, in seconds since the Unix epoch.
    pub changed: u32,
    /// Creation, in seconds since the Unix epoch.
    pub born: u32,
    /// The size in bytes.
    pub size: u64,
    /// The protection class.
    pub protection_class: u8,
    /// The extended attributes.
    pub xattrs: MbdbXattrs<'a>,
}

/// The extended attributes of a record: an iterator of names and values, which are any bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MbdbXattrs<'a> {
    /// Exactly the attributes, checked when the record was read.
    bytes: &'a [u8],
    left: u8,
}

/// The records in file order. After an error there are no more.
#[derive(Clone, Debug)]
pub struct MbdbRecords<'a> {
    bytes: &'a [u8],
    offset: usize,
    index: usize,
}

impl<'a> Mbdb<'a> {
    /// Checks the header.
    ///
    /// # Errors
    ///
    /// Fails when the bytes are not an mbdb file or are of another version than 5.0.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MbdbError> {
        let version = bytes.strip_prefix(MAGIC).and_then(<[u8]>::first_chunk);
        match version {
            None => Err(MbdbError::NotMbdb),
            Some(&VERSION) => Ok(Self { bytes }),
            Some(&[major, minor]) => Err(MbdbError::UnsupportedVersion { major, minor }),
        }
    }

    /// Returns the records. Each item is a record or the error that ends the list.
    #[must_use]
    pub fn records(&self) -> MbdbRecords<'a> {
        MbdbRecords { bytes: self.bytes, offset: HEADER, index: 0 }
    }

    /// Reads one record again, by the [`offset`](MbdbRecord::offset) it was found at.
    ///
    /// # Errors
    ///
    /// Fails when there is no sound record at that offset; the error's index is 0.
    pub fn record_at(&self, offset: usize) -> Result<MbdbRecord<'a>, MbdbError> {
        read_record(self.bytes, offset, 0).map(|(record, _)| record)
    }
}

impl<'a> Iterator for MbdbRecords<'a> {
    type Item = Result<MbdbRecord<'a>, MbdbError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.bytes.len() {
            return None;
        }
        match read_record(self.bytes, self.offset, self.index) {
            Ok((record, end)) => {
                self.offset = end;
                self.index = self.index.saturating_add(1);
                Some(Ok(record))
            }
            Err(error) => {
                self.offset = self.bytes.len();
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for MbdbRecords<'_> {}

impl<'a> MbdbXattrs<'a> {
    /// Returns how many attributes there are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.left.into()
    }

    /// Returns true when there is none left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for MbdbXattrs<'a> {
    /// Name and value. Null reads as empty here: neither is null in a real file.
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut cursor = Cursor { rest: self.bytes };
        let name = cursor.string().ok()?.unwrap_or_default();
        let value = cursor.string().ok()?.unwrap_or_default();
        self.bytes = cursor.rest;
        Some((name, value))
    }
}

/// Reads the record at `offset`. Returns it and where the next one begins.
fn read_record(
    bytes: &[u8],
    offset: usize,
    index: usize,
) -> Result<(MbdbRecord<'_>, usize), MbdbError> {
    let mut cursor = Cursor { rest: bytes.get(offset.max(HEADER)..).unwrap_or_default() };
    let record = cursor.record(offset);
    let end = bytes.len().saturating_sub(cursor.rest.len());
    let what = match record {
        Ok(record) if offset >= HEADER => {
            let raw = bytes.get(offset..end).unwrap_or_default();
            return Ok((MbdbRecord { raw, ..record }, end));
        }
        Ok(_) => "is inside the header",
        Err(what) => what,
    };
    Err(MbdbError::Malformed { index, record_offset: offset, offset: end, what })
}

/// Reads a record that is alone, with nothing after it.
pub(crate) fn parse_record(raw: &[u8]) -> Result<MbdbRecord<'_>, MbdbError> {
    let mut cursor = Cursor { rest: raw };
    let what = match cursor.record(0) {
        Ok(record) if cursor.rest.is_empty() => return Ok(MbdbRecord { raw, ..record }),
        Ok(_) => "has something after it",
        Err(what) => what,
    };
    let offset = raw.len().saturating_sub(cursor.rest.len());
    Err(MbdbError::Malformed { index: 0, record_offset: 0, offset, what })
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (&array, rest) = self.rest.split_first_chunk().ok_or("is cut off")?;
        self.rest = rest;
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, &'static str> {
        self.array().map(u64::from_be_bytes)
    }

    fn string(&mut self) -> Result<Option<&'a [u8]>, &'static str> {
        let len = self.array().map(u16::from_be_bytes)?;
        if len == NULL {
            return Ok(None);
        }
        let string = self.rest.split_at_checked(len.into());
        let (string, rest) = string.ok_or("has a string that is longer than the file")?;
        self.rest = rest;
        Ok(Some(string))
    }

    fn record(&mut self, offset: usize) -> Result<MbdbRecord<'a>, &'static str> {
        Ok(MbdbRecord {
            offset,
            raw: &[],
            // Zeroed space reads as records without end that have no name.
            domain: match self.string()? {
                None | Some([]) => return Err("has no domain"),
                Some(domain) => domain,
            },
            path: self.string()?,
            target: self.string()?,
            digest: self.string()?,
            encryption_key: self.string()?,
            mode: self.array().map(u16::from_be_bytes)?,
            inode: self.u64()?,
            uid: self.u32()?.cast_signed(),
            gid: self.u32()?.cast_signed(),
            modified: self.u32()?,
            changed: self.u32()?,
            born: self.u32()?,
            size: self.u64()?,
            protection_class: self.array::<1>()?[0],
            xattrs: self.xattrs()?,
        })
    }

    fn xattrs(&mut self) -> Result<MbdbXattrs<'a>, &'static str> {
        let [left] = self.array()?;
        let bytes = self.rest;
        for _ in 0..left {
            self.string()?;
            self.string()?;
        }
        let len = bytes.len().saturating_sub(self.rest.len());
        Ok(MbdbXattrs { bytes: bytes.get(..len).unwrap_or_default(), left })
    }
}
