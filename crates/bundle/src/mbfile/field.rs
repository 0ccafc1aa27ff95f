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

    /// Finds the field that a key object names. This is the hot loop of a listing, so it is a
    /// match over byte strings and not a search.
    #[inline]
    pub(super) fn of_key(key: &Object<'_>) -> Option<Self> {
        Some(match key {
            Object::Ascii(bytes) => match *bytes {
                b"RelativePath" => Self::RelativePath,
                b"Target" => Self::Target,
                b"Mode" => Self::Mode,
                b"InodeNumber" => Self::InodeNumber,
                b"UserID" => Self::UserId,
                b"GroupID" => Self::GroupId,
                b"LastModified" => Self::LastModified,
                b"LastStatusChange" => Self::LastStatusChange,
                b"Birth" => Self::Birth,
                b"Size" => Self::Size,
                b"ProtectionClass" => Self::ProtectionClass,
                b"Flags" => Self::Flags,
                b"Digest" => Self::Digest,
                b"EncryptionKey" => Self::EncryptionKey,
                b"ExtendedAttributes" => Self::ExtendedAttributes,
                _ => return None,
            },
            Object::Utf16(_) => {
                return Self::ALL.into_iter().find(|field| key.is_text(field.key().as_bytes()));
            }
            _ => return None,
        })
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
