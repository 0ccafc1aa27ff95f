//! AES key wrap (RFC 3394, default initial value), typed by what comes out.
//!
//! ```text
//! WrappedKey<ClassKey>        --PassphraseKey-->  ClassKey
//! WrappedKey<DeviceBoundKey>  --PassphraseKey-->  DeviceBoundKey
//! WrappedKey<FileKey>         --ClassKey------->  FileKey
//! ```

use std::fmt;
use std::marker::PhantomData;

use aes_kw::{KeyInit as _, KwAes256};
use bkp_core::ProtectionClass;

use crate::error::{FileKeyError, IntegrityError};
use crate::secret::{ClassKey, DeviceBoundKey, FileKey, Key, PassphraseKey};

/// The bytes of a wrapped 256-bit key.
const WRAPPED: usize = 40;

/// Forty bytes that unwrap to a key of role `K`.
pub struct WrappedKey<K>([u8; WRAPPED], PhantomData<fn() -> K>);

impl<K> WrappedKey<K> {
    /// Takes a wrapped key as it is stored.
    #[must_use]
    pub fn from_bytes(bytes: [u8; WRAPPED]) -> Self {
        Self(bytes, PhantomData)
    }

    /// Returns the bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; WRAPPED] {
        &self.0
    }
}

impl<K> Clone for WrappedKey<K> {
    fn clone(&self) -> Self {
        Self::from_bytes(self.0)
    }
}

impl<K> PartialEq for WrappedKey<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K> Eq for WrappedKey<K> {}

/// Prints the role and not the bytes: they are no secret, and an offline guess of the passphrase
/// needs no more than them.
impl<K> fmt::Debug for WrappedKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = std::any::type_name::<K>();
        let role = role.rsplit("::").next().unwrap_or(role);
        write!(f, "WrappedKey<{role}>({WRAPPED} bytes)")
    }
}

fn unwrap<K: Key>(kek: &KwAes256, wrapped: &WrappedKey<K>) -> Result<K, IntegrityError> {
    K::try_init(|key| match kek.unwrap_key(&wrapped.0, key) {
        Ok(_) => Ok(()),
        Err(_) => Err(IntegrityError),
    })
}

fn wrap<K: Key>(kek: &KwAes256, key: &K) -> WrappedKey<K> {
    let wrapped = kek.wrap_fixed_key::<aes::cipher::consts::U32>(key.expose().into());
    WrappedKey::from_bytes(wrapped.into())
}

impl PassphraseKey {
    /// Expanded for each use: a keybag has eleven keys, and is opened once.
    fn schedule(&self) -> KwAes256 {
        KwAes256::new(self.expose().into())
    }

    /// Unwraps a class key.
    ///
    /// # Errors
    ///
    /// Fails when the passphrase was another or the keybag was changed.
    pub fn unwrap_class(&self, key: &WrappedKey<ClassKey>) -> Result<ClassKey, IntegrityError> {
        unwrap(&self.schedule(), key)
    }

    /// Unwraps a class key as far as a passphrase can.
    ///
    /// # Errors
    ///
    /// Fails when the passphrase was another or the keybag was changed.
    pub fn unwrap_device_bound(
        &self,
        key: &WrappedKey<DeviceBoundKey>,
    ) -> Result<DeviceBoundKey, IntegrityError> {
        unwrap(&self.schedule(), key)
    }

    /// Wraps a class key.
    #[must_use]
    pub fn wrap_class(&self, key: &ClassKey) -> WrappedKey<ClassKey> {
        wrap(&self.schedule(), key)
    }

    /// Wraps a device-bound key.
    #[must_use]
    pub fn wrap_device_bound(&self, key: &DeviceBoundKey) -> WrappedKey<DeviceBoundKey> {
        wrap(&self.schedule(), key)
    }
}

impl ClassKey {
    /// Unwraps a file key.
    ///
    /// # Errors
    ///
    /// Fails when the key belongs to another class or was changed.
    pub fn unwrap_file(&self, key: &WrappedKey<FileKey>) -> Result<FileKey, IntegrityError> {
        unwrap(self.schedule(), key)
    }

    /// Wraps a file key.
    #[must_use]
    pub fn wrap_file(&self, key: &FileKey) -> WrappedKey<FileKey> {
        wrap(self.schedule(), key)
    }
}

/// An `EncryptionKey` or `ManifestKey`: a wrapped file key and the class whose key wraps it.
///
/// ```text
/// class, u32 little-endian | wrapped key, 40 bytes
/// ```
///
/// The class is little-endian here and big-endian in the keybag. Source: FORMAT.md 3.2.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrappedFileKey {
    /// The class whose key wraps this one.
    pub class: ProtectionClass,
    /// The wrapped key.
    pub key: WrappedKey<FileKey>,
}

impl WrappedFileKey {
    /// The bytes of one as stored.
    pub const LEN: usize = 4 + WRAPPED;

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// Fails with [`FileKeyError::Length`] when there are not 44 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileKeyError> {
        let length = || FileKeyError::Length { len: bytes.len() };
        let (class, key) = bytes.split_first_chunk::<4>().ok_or_else(length)?;
        let key: [u8; WRAPPED] = key.try_into().map_err(|_| length())?;
        Ok(Self {
            class: ProtectionClass(u32::from_le_bytes(*class)),
            key: WrappedKey::from_bytes(key),
        })
    }

    /// Returns the stored form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (class, key) = bytes.split_at_mut(4);
        class.copy_from_slice(&self.class.0.to_le_bytes());
        key.copy_from_slice(self.key.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests;
