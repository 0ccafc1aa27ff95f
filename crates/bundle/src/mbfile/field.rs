//! The keys of an MBFile.

use std::fmt;

use crate::bplist::Object;

/// A key of an MBFile that [`MbFile`](super::MbFile) has a field for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[repr(u8)]
#[expect(missing_docs, reason = "each is the key of its name")]
pub enum Field {
    RelativePath,
    Target,
    Mode,
    InodeNumber,
    UserId,
    GroupId,
    LastModified,
    LastStatusChange,
    Birth,
    Size,
    ProtectionClass,
    Flags,
    Digest,
    EncryptionKey,
    ExtendedAttributes,
}

impl Field {
    pub(super) const COUNT: usize = 15;
    const ALL: [Self; Self::COUNT] = [
        Self::RelativePath,
        Self::Target,
        Self::Mode,
        Self::InodeNumber,
        Self::UserId,
        Self::GroupId,
        Self::LastModified,
        Self::LastStatusChange,
        Self::Birth,
        Self::Size,
        Self::ProtectionClass,
        Self::Flags,
        Self::Digest,
        Self::EncryptionKey,
        Self::ExtendedAttributes,
    ];

    /// Returns the key as an archive spells it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::RelativePath => "RelativePath",
            Self::Target => "Target",
            Self::Mode => "Mode",
            Self::InodeNumber => "InodeNumber",
            Self::UserId => "UserID",
            Self::GroupId => "GroupID",
            Self::LastModified => "LastModified",
            Self::LastStatusChange => "LastStatusChange",
            Self::Birth => "Birth",
            Self::Size => "Size",
            Self::ProtectionClass => "ProtectionClass",
            Self::Flags => "Flags",
            Self::Digest => "Digest",
            Self::EncryptionKey => "EncryptionKey",
            Self::ExtendedAttributes => "ExtendedAttributes",
        }
    }

    pub(super) fn index(self) -> usize {
        usize::from(self as u8)
    }

    /// Finds the field that a key object names.
    #[inline]
    pub(super) fn of_key(key: &Object<'_>) -> Option<Self> {
        match *key {
            Object::Ascii(name) => Self::of_ascii(name),
            Object::Utf16(_) => {
                Self::ALL.into_iter().find(|field| key.is_text(field.key().as_bytes()))
            }
            _ => None,
        }
    }

    /// The hot spot of a listing. Names are told apart by their length first, and are then
    /// compared as arrays, which takes one or two steps where slices are compared by a call.
    #[inline]
    fn of_ascii(name: &[u8]) -> Option<Self> {
        fn is<const N: usize>(name: &[u8], key: &[u8; N]) -> bool {
            name.first_chunk() == Some(key)
        }
        match name.len() {
            4 if is(name, b"Mode") => Some(Self::Mode),
            4 if is(name, b"Size") => Some(Self::Size),
            5 if is(name, b"Flags") => Some(Self::Flags),
            5 if is(name, b"Birth") => Some(Self::Birth),
            6 if is(name, b"UserID") => Some(Self::UserId),
            6 if is(name, b"Digest") => Some(Self::Digest),
            6 if is(name, b"Target") => Some(Self::Target),
            7 if is(name, b"GroupID") => Some(Self::GroupId),
            11 if is(name, b"InodeNumber") => Some(Self::InodeNumber),
            12 if is(name, b"RelativePath") => Some(Self::RelativePath),
            12 if is(name, b"LastModified") => Some(Self::LastModified),
            13 if is(name, b"EncryptionKey") => Some(Self::EncryptionKey),
            15 if is(name, b"ProtectionClass") => Some(Self::ProtectionClass),
            16 if is(name, b"LastStatusChange") => Some(Self::LastStatusChange),
            18 if is(name, b"ExtendedAttributes") => Some(Self::ExtendedAttributes),
            _ => None,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

/// A set of [`Field`]s.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct FieldSet(u16);

impl FieldSet {
    /// Returns true when no field is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns true when the field is in the set.
    #[must_use]
    pub fn contains(self, field: Field) -> bool {
        self.0 & Self::bit(field) != 0
    }

    /// Returns the fields in the set.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |&field| self.contains(field))
    }

    pub(super) fn insert(&mut self, field: Field) {
        self.0 |= Self::bit(field);
    }

    fn bit(field: Field) -> u16 {
        1_u16.wrapping_shl(u32::from(field as u8))
    }
}

impl fmt::Debug for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, FieldSet};
    use crate::bplist::Object;

    #[test]
    fn every_key_is_found_in_both_encodings() {
        let mut set = FieldSet::default();
        for (index, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field.index(), index);
            let key = field.key();
            assert_eq!(Field::of_key(&Object::Ascii(key.as_bytes())), Some(field));
            let wide: Vec<u8> = key.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!(Field::of_key(&Object::Utf16(&wide)), Some(field));
            let other = key.to_lowercase();
            assert_eq!(Field::of_key(&Object::Ascii(other.as_bytes())), None);
            assert!(!set.contains(field));
            set.insert(field);
            assert!(set.contains(field) && set.iter().count() == index + 1);
        }
    }
}
