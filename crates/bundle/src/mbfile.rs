//! MBFile: what a manifest's `file` column says of one entry.
//!
//! A row's blob is an `NSKeyedArchiver` archive in a binary property list:
//!
//! ```text
//! { $version, $archiver, $top: { root: UID ─┐ }, $objects: [ "$null", {MBFile}, "a/path", ... ] }
//!                                           └────────────────────────▲  RelativePath: UID ─▲
//! ```
//!
//! Only these few steps are taken; no graph is walked and nothing is allocated, except for names
//! in UTF-16. Source: FORMAT.md section 2.5.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod field;
mod patch;
#[cfg(test)]
mod tests;
mod write;
mod xattr;

use std::borrow::Cow;

use crate::bplist::{Bplist, Dict, EPOCH, MAGIC, Malformed, Object, Refs};

pub use field::{Field, FieldSet};
pub use patch::patch;
pub(crate) use patch::patched;
pub use write::encode;
pub(crate) use write::mode;
pub use xattr::{Xattrs, parse_xattrs, write_xattrs};

/// The longest blob that is read, in bytes. Real ones have a few hundred.
pub const MAX_BLOB: usize = 1 << 20;
/// The longest string that is read as a number, in bytes.
const MAX_NUMERAL: usize = 40;

/// Why a blob is not an MBFile.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MbFileError {
    /// The blob is longer than [`MAX_BLOB`], or holds more than is ever read.
    #[error("{what}: {found}, and at most {limit} are read")]
    LimitExceeded {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much is allowed.
        limit: usize,
    },
    /// The blob holds more than is ever read, however little of it was looked at.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// The blob is not a binary property list. Manifests of iOS 10.0 encrypt each blob.
    #[error("the blob is not a binary property list")]
    NotBinary,
    /// The property list is damaged.
    #[error("damaged property list: {what} (offset {offset})")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// The byte of the blob.
        offset: usize,
    },
    /// The property list is sound and is not an archive of one MBFile.
    #[error("the property list has no {what}")]
    NotMbFile {
        /// What is missing.
        what: &'static str,
    },
}

impl From<Malformed> for MbFileError {
    fn from(Malformed { offset, what }: Malformed) -> Self {
        Self::Malformed { what, offset }
    }
}

/// One entry's metadata, borrowed from its blob.
///
/// A field is `None` when the blob has no such key, when its value is nil, and when the value
/// cannot be used; [`bad`](Self::bad) tells the last case apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MbFile<'a> {
    /// `RelativePath`: UTF-8 as devices write it, any bytes in principle.
    pub relative_path: Option<Cow<'a, [u8]>>,
    /// `Target` of a symbolic link.
    pub target: Option<Cow<'a, [u8]>>,
    /// `Mode`: `st_mode` with its type bits.
    pub mode: Option<u32>,
    /// `InodeNumber`.
    pub inode: Option<u64>,
    /// `UserID`; -2 occurs.
    pub uid: Option<i32>,
    /// `GroupID`; -2 occurs.
    pub gid: Option<i32>,
    /// `LastModified`, in seconds since the Unix epoch.
    pub modified: Option<i64>,
    /// `LastStatusChange`, in seconds since the Unix epoch.
    pub changed: Option<i64>,
    /// `Birth`, in seconds since the Unix epoch.
    pub born: Option<i64>,
    /// `Size` in bytes, as it was when the device scanned the file (FORMAT.md 2.6).
    pub size: Option<u64>,
    /// `ProtectionClass`.
    pub protection_class: Option<u32>,
    /// `Flags`: `st_flags`.
    pub flags: Option<u32>,
    /// `Digest` of the stored payload: 20 bytes of SHA-1 on every device seen.
    pub digest: Option<&'a [u8]>,
    /// `EncryptionKey`: 4 bytes of class, little-endian, and 40 bytes of wrapped key.
    pub encryption_key: Option<&'a [u8]>,
    /// `ExtendedAttributes`: a property list of its own, for [`parse_xattrs`].
    pub extended_attributes: Option<&'a [u8]>,
    /// Fields whose value has another type, is out of range or is damaged.
    pub bad: FieldSet,
    /// Fields that stand in the blob more than once. The last value counts.
    pub repeated: FieldSet,
    /// How many keys have no field here. They are in the blob still.
    pub unknown: u32,
    /// How many keys are damaged, so that nobody can say which fields they were.
    pub unreadable: u32,
}

impl<'a> MbFile<'a> {
    /// Reads one blob.
    ///
    /// # Errors
    ///
    /// Fails when the blob is longer than [`MAX_BLOB`], is not a binary property list, or has no
    /// root object. A field that cannot be used is no error: see [`bad`](Self::bad).
    pub fn parse(blob: &'a [u8]) -> Result<Self, MbFileError> {
        if blob.len() > MAX_BLOB {
            let found = blob.len();
            return Err(MbFileError::LimitExceeded { what: "bytes", found, limit: MAX_BLOB });
        }
        if !blob.starts_with(MAGIC) {
            return Err(MbFileError::NotBinary);
        }
        let plist = Bplist::parse(blob)?;
        let (archive, root) = Archive::open(plist)?;
        let mut file = Self::default();

        // References first and values after, so that a key repeated many times costs one value.
        let mut slots = [None; Field::COUNT];
        for (key, value) in root.iter() {
            let key = match plist.short_ascii(key) {
                Some(name) => Object::Ascii(name),
                None => match plist.object(key) {
                    Ok(key) => key,
                    Err(_) => {
                        file.unreadable = file.unreadable.saturating_add(1);
                        continue;
                    }
                },
            };
            match Field::of_key(&key) {
                Some(field) => {
                    if let Some(slot) = slots.get_mut(field.index()) {
                        if slot.is_some() {
                            file.repeated.insert(field);
                        }
                        *slot = Some(value);
                    }
                }
                None if key.is_text(b"$class") => {}
                None => file.unknown = file.unknown.saturating_add(1),
            }
        }
        file.fill(&archive, &slots);
        Ok(file)
    }

    fn fill(&mut self, archive: &Archive<'a>, slots: &[Option<u64>; Field::COUNT]) {
        let mut bad = FieldSet::default();
        let mut reader = Reader { archive, slots, bad: &mut bad };
        self.relative_path = reader.text(Field::RelativePath);
        self.target = reader.text(Field::Target);
        self.mode = reader.number(Field::Mode, unsigned32);
        self.inode = reader.number(Field::InodeNumber, bits64);
        self.uid = reader.number(Field::UserId, signed32);
        self.gid = reader.number(Field::GroupId, signed32);
        self.modified = reader.number(Field::LastModified, seconds);
        self.changed = reader.number(Field::LastStatusChange, seconds);
        self.born = reader.number(Field::Birth, seconds);
        self.size = reader.number(Field::Size, |v| u64::try_from(v).ok());
        self.protection_class = reader.number(Field::ProtectionClass, unsigned32);
        self.flags = reader.number(Field::Flags, bits32);
        self.digest = reader.bytes(Field::Digest);
        self.encryption_key = reader.bytes(Field::EncryptionKey);
        self.extended_attributes = reader.bytes(Field::ExtendedAttributes);
        self.bad = bad;
    }
}

fn unsigned32(value: i128) -> Option<u32> {
    u32::try_from(value).ok()
}

fn seconds(value: i128) -> Option<i64> {
    i64::try_from(value).ok()
}

/// Takes 32 bits whether they were archived as signed or as unsigned.
fn bits32(value: i128) -> Option<u32> {
    unsigned32(value).or_else(|| i32::try_from(value).ok().map(i32::cast_unsigned))
}

/// As [`bits32`], for ids: 0xfffffffe is -2.
fn signed32(value: i128) -> Option<i32> {
    bits32(value).map(u32::cast_signed)
}

/// Takes 64 bits whether they were archived as signed or as unsigned.
fn bits64(value: i128) -> Option<u64> {
    u64::try_from(value).ok().or_else(|| i64::try_from(value).ok().map(i64::cast_unsigned))
}

/// A keyed archive: a property list and its table of objects.
struct Archive<'a> {
    plist: Bplist<'a>,
    objects: Refs<'a>,
}

impl<'a> Archive<'a> {
    /// Finds the object table and the root object.
    fn open(plist: Bplist<'a>) -> Result<(Self, Dict<'a>), MbFileError> {
        let missing = |what| MbFileError::NotMbFile { what };
        let Object::Dict(top) = plist.object(plist.top())? else {
            return Err(missing("top-level dictionary"));
        };
        let (mut objects, mut roots) = (None, None);
        for (key, value) in top.iter() {
            if plist.spells(key, b"$objects") {
                objects = Some(value);
            } else if plist.spells(key, b"$top") {
                roots = Some(value);
            }
        }
        let Object::Array(objects) = plist.object(objects.ok_or(missing("$objects"))?)? else {
            return Err(missing("array of $objects"));
        };
        let Object::Dict(roots) = plist.object(roots.ok_or(missing("$top"))?)? else {
            return Err(missing("dictionary of $top"));
        };
        let root = roots.find(&plist, b"root").ok_or(missing("$top.root"))?;
        let archive = Self { plist, objects };
        let Object::Uid(uid) = plist.object(root)? else {
            return Err(missing("UID of $top.root"));
        };
        let Object::Dict(root) = archive.resolve(uid)? else {
            return Err(missing("root dictionary"));
        };
        Ok((archive, root))
    }

    /// Reads the object that a UID names.
    fn resolve(&self, uid: u64) -> Result<Object<'a>, Malformed> {
        let reference = usize::try_from(uid).ok().and_then(|index| self.objects.get(index));
        // A UID beyond the table reads as a reference beyond the table.
        self.plist.object(reference.unwrap_or(u64::MAX))
    }

    /// Reads a value, and what it names if it is a UID. A UID of a UID is not followed.
    fn value(&self, reference: u64) -> Result<Object<'a>, Malformed> {
        match self.plist.object(reference)? {
            Object::Uid(uid) => match self.resolve(uid)? {
                Object::Ascii(b"$null") if uid == 0 => Ok(Object::Null),
                object => Ok(object),
            },
            object => Ok(object),
        }
    }

    /// Reads the value of the first of `names` that a wrapper such as `NSMutableData` has.
    fn member(&self, wrapper: Dict<'a>, names: [&[u8]; 2]) -> Option<Object<'a>> {
        let member = names.iter().find_map(|name| wrapper.find(&self.plist, name))?;
        self.value(member).ok()
    }
}

/// Reads fields and notes which ones could not be used.
struct Reader<'r, 'a> {
    archive: &'r Archive<'a>,
    slots: &'r [Option<u64>; Field::COUNT],
    bad: &'r mut FieldSet,
}

impl<'a> Reader<'_, 'a> {
    #[inline]
    fn field<T>(&mut self, field: Field, read: impl FnOnce(Object<'a>) -> Option<T>) -> Option<T> {
        let reference = (*self.slots.get(field.index())?)?;
        let value = match self.archive.value(reference) {
            Ok(Object::Null) => return None,
            Ok(object) => read(object),
            Err(_) => None,
        };
        if value.is_none() {
            self.bad.insert(field);
        }
        value
    }

    fn text(&mut self, field: Field) -> Option<Cow<'a, [u8]>> {
        let archive = self.archive;
        self.field(field, |object| match object {
            Object::Dict(wrapper) => match archive.member(wrapper, [b"NS.string", b"NS.bytes"])? {
                Object::Data(bytes) => Some(Cow::Borrowed(bytes)),
                object => object.text(),
            },
            object => object.text(),
        })
    }

    fn bytes(&mut self, field: Field) -> Option<&'a [u8]> {
        let archive = self.archive;
        self.field(field, |object| match object {
            Object::Data(bytes) => Some(bytes),
            Object::Dict(wrapper) => match archive.member(wrapper, [b"NS.data", b"NS.bytes"])? {
                Object::Data(bytes) => Some(bytes),
                _ => None,
            },
            _ => None,
        })
    }

    #[inline]
    fn number<T>(&mut self, field: Field, narrow: impl Fn(i128) -> Option<T>) -> Option<T> {
        let archive = self.archive;
        let reference = (*self.slots.get(field.index())?)?;
        if let Some(value) = archive.plist.short_int(reference)
            && let Some(value) = narrow(value.into())
        {
            return Some(value);
        }
        self.field(field, |object| match object {
            Object::Int(value) => narrow(value.into()),
            object => archive.odd_number(object).and_then(narrow),
        })
    }
}

impl<'a> Archive<'a> {
    /// Reads a number that some tool wrote as something else.
    #[cold]
    fn odd_number(&self, object: Object<'a>) -> Option<i128> {
        match object {
            Object::Int(_) | Object::WideInt(_) => object.integer(),
            Object::Real(value) => whole(value).map(i128::from),
            Object::Date(value) => unix(value).map(i128::from),
            Object::Ascii(bytes) if bytes.len() <= MAX_NUMERAL => numeral(bytes),
            Object::Utf16(bytes) if bytes.len() <= MAX_NUMERAL => numeral(&object.text()?),
            Object::Dict(wrapper) => match self.member(wrapper, [b"NS.time", b"NS.intval"])? {
                Object::Real(value) => unix(value).map(i128::from),
                member => member.integer(),
            },
            _ => None,
        }
    }
}

fn numeral(bytes: &[u8]) -> Option<i128> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}

/// Takes seconds since 2001 to whole seconds since 1970.
fn unix(value: f64) -> Option<i64> {
    whole(value)?.checked_add(EPOCH)
}

/// Drops the fraction towards the past, as whole seconds are counted.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(value: f64) -> Option<i64> {
    const LIMIT: f64 = 9_007_199_254_740_992.0; // 2^53, where reals stop counting in ones
    let value = value.floor();
    (value.abs() <= LIMIT).then_some(value as i64)
}
