//! What is to change in a row on its way from one catalog to another.

use bkp_core::ProtectionClass;
use bkp_crypto::WrappedFileKey;

/// What becomes of a value that may be there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Patch<T> {
    /// It stays as it is, there or not.
    #[default]
    Keep,
    /// It becomes this.
    Set(T),
    /// It goes.
    Remove,
}

impl<T> Patch<T> {
    /// Returns true if nothing is to change.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// Returns what there is afterwards, where there was `old`.
    pub(crate) fn over(self, old: Option<T>) -> Option<T> {
        match self {
            Self::Keep => old,
            Self::Set(new) => Some(new),
            Self::Remove => None,
        }
    }

    /// Changes the value to something else.
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Set(value) => Patch::Set(map(value)),
            Self::Remove => Patch::Remove,
        }
    }

    /// Borrows the value.
    pub(crate) fn as_ref(&self) -> Patch<&T> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Set(value) => Patch::Set(value),
            Self::Remove => Patch::Remove,
        }
    }
}

/// What is to change in a row. The default changes nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RowPatch {
    /// `EncryptionKey`.
    pub key: Patch<WrappedFileKey>,
    /// `Digest`: SHA-1 of the stored payload.
    pub digest: Patch<[u8; 20]>,
    /// `Size`: the length of the plaintext, in bytes.
    pub size: Option<u64>,
    /// `InodeNumber`.
    pub inode: Option<u64>,
    /// `ProtectionClass`.
    pub protection: Option<ProtectionClass>,
}

impl RowPatch {
    /// Returns true if nothing is to change.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        let Self { key, digest, size, inode, protection } = self;
        key.is_keep()
            && digest.is_keep()
            && size.is_none()
            && inode.is_none()
            && protection.is_none()
    }
}
