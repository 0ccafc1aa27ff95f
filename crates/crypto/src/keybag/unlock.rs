//! Opening a keybag, and what an open one is good for.

use std::collections::BTreeMap;

use bkp_core::ProtectionClass;
use sha2::{Digest as _, Sha256};

use super::{Keybag, Wrapped};
use crate::error::{FileKeyError, UnlockError};
use crate::kdf::OnProgress;
use crate::secret::{ClassKey, DeviceBoundKey, FileKey, Passphrase, PassphraseKey};
use crate::wrap::{WrappedFileKey, WrappedKey};

/// The class keys of an open keybag.
#[derive(Debug)]
pub struct ClassKeys {
    keys: BTreeMap<ProtectionClass, OpenedKey>,
    damaged: Vec<ProtectionClass>,
    /// Which keybag they were opened from.
    of: BagDigest,
}

/// The SHA-256 of a keybag as written: tells whether class keys go with a keybag.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct BagDigest([u8; 32]);

/// What became of one class key.
#[derive(Debug)]
pub(super) enum OpenedKey {
    Usable(ClassKey),
    /// The passphrase's layer is off and the device's is not.
    PassphraseOff(DeviceBoundKey),
    /// Under the device alone.
    Device,
    Damaged,
    Opaque,
}

/// What an open keybag can do with files of a class.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ClassState {
    /// File keys of the class unwrap.
    Usable,
    /// Only the device that made the backup can use the class key.
    DeviceBound,
    /// The class key did not open although others did.
    Damaged,
    /// There is no wrapped key, or it is wrapped in a way that is not known.
    Opaque,
}

impl Keybag {
    /// Derives the passphrase key and unwraps every class key.
    ///
    /// `limit` is the most PBKDF2 rounds of both stages together, for which there is
    /// [`DEFAULT_KDF_LIMIT`](crate::DEFAULT_KDF_LIMIT). This is [`derive`](Self::derive) and
    /// [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// As those two.
    pub fn unlock(
        &self,
        passphrase: &Passphrase,
        limit: u64,
        progress: OnProgress<'_>,
    ) -> Result<ClassKeys, UnlockError> {
        self.open(&self.derive(passphrase, limit, progress)?)
    }

    /// Derives the passphrase key, which takes seconds.
    ///
    /// # Errors
    ///
    /// Fails with [`UnlockError::ExcessiveWork`] before anything is derived when the keybag asks
    /// for more than `limit` rounds, and with [`UnlockError::Cancelled`] when `progress` asks to
    /// stop.
    pub fn derive(
        &self,
        passphrase: &Passphrase,
        limit: u64,
        progress: OnProgress<'_>,
    ) -> Result<PassphraseKey, UnlockError> {
        let asked = self.kdf.rounds();
        if asked > limit {
            return Err(UnlockError::ExcessiveWork { asked, limit });
        }
        Ok(self.kdf.derive(passphrase, progress)?)
    }

    /// Unwraps every class key.
    ///
    /// When some open and some do not, the passphrase is right and those are damaged: the others
    /// are returned, and [`ClassKeys::damaged`] names the rest.
    ///
    /// # Errors
    ///
    /// Fails with [`UnlockError::WrongPassphrase`] when no key opens, and with
    /// [`UnlockError::NothingToOpen`] when no key is wrapped by a passphrase.
    pub fn open(&self, key: &PassphraseKey) -> Result<ClassKeys, UnlockError> {
        let mut keys = BTreeMap::new();
        let mut damaged = Vec::new();
        let (mut tried, mut opened) = (0_usize, 0_usize);
        for record in &self.classes {
            let result = match record.wrapped() {
                Wrapped::Passphrase(wrapped) => key.unwrap_class(&wrapped).map(OpenedKey::Usable),
                Wrapped::PassphraseAndDevice(wrapped) => {
                    key.unwrap_device_bound(&wrapped).map(OpenedKey::PassphraseOff)
                }
                other => {
                    let untried = match other {
                        Wrapped::Device => OpenedKey::Device,
                        _ => OpenedKey::Opaque,
                    };
                    keys.insert(record.class, untried);
                    continue;
                }
            };
            tried += 1;
            let result = match result {
                Ok(key) => {
                    opened += 1;
                    key
                }
                Err(_) => {
                    damaged.push(record.class);
                    OpenedKey::Damaged
                }
            };
            keys.insert(record.class, result);
        }
        match (tried, opened) {
            (0, _) => Err(UnlockError::NothingToOpen { classes: self.classes.len() }),
            (classes, 0) => Err(UnlockError::WrongPassphrase { classes }),
            _ => Ok(ClassKeys { keys, damaged, of: self.digest() }),
        }
    }

    pub(super) fn digest(&self) -> BagDigest {
        BagDigest(Sha256::digest(self.to_bytes()).into())
    }
}

impl ClassKeys {
    /// Takes the keys that a new keybag was made of, all of which are sound.
    pub(super) fn of(keybag: &Keybag, keys: BTreeMap<ProtectionClass, OpenedKey>) -> Self {
        Self { keys, damaged: Vec::new(), of: keybag.digest() }
    }

    /// Returns true when the keys were opened from this keybag, or from one of the same bytes.
    #[must_use]
    pub fn are_of(&self, keybag: &Keybag) -> bool {
        self.of == keybag.digest()
    }

    pub(super) fn opened(&self, class: ProtectionClass) -> Option<&OpenedKey> {
        self.keys.get(&class)
    }

    /// Returns the classes whose keys did not open although others did, in the keybag's order.
    #[must_use]
    pub fn damaged(&self) -> &[ProtectionClass] {
        &self.damaged
    }

    /// Returns true when file keys of the class unwrap.
    #[must_use]
    pub fn opens(&self, class: ProtectionClass) -> bool {
        self.state(class) == Some(ClassState::Usable)
    }

    /// Returns what can be done with files of a class, or nothing when the keybag has no such
    /// class.
    #[must_use]
    pub fn state(&self, class: ProtectionClass) -> Option<ClassState> {
        self.keys.get(&class).map(|key| match key {
            OpenedKey::Usable(_) => ClassState::Usable,
            OpenedKey::PassphraseOff(_) | OpenedKey::Device => ClassState::DeviceBound,
            OpenedKey::Damaged => ClassState::Damaged,
            OpenedKey::Opaque => ClassState::Opaque,
        })
    }

    /// Returns the key of a class, when it is usable.
    #[must_use]
    pub fn class_key(&self, class: ProtectionClass) -> Option<&ClassKey> {
        match self.keys.get(&class) {
            Some(OpenedKey::Usable(key)) => Some(key),
            _ => None,
        }
    }

    /// Returns the key of a class that is still under the device's key.
    #[must_use]
    pub fn device_bound_key(&self, class: ProtectionClass) -> Option<&DeviceBoundKey> {
        match self.keys.get(&class) {
            Some(OpenedKey::PassphraseOff(key)) => Some(key),
            _ => None,
        }
    }

    /// Unwraps a file key with the key of its class.
    ///
    /// # Errors
    ///
    /// Fails when the keybag has no usable key of that class, saying why it has none, and when
    /// the file key itself was changed.
    pub fn unwrap(
        &self,
        class: ProtectionClass,
        key: &WrappedKey<FileKey>,
    ) -> Result<FileKey, FileKeyError> {
        self.usable(class)?
            .unwrap_file(key)
            .map_err(|source| FileKeyError::Integrity { class, source })
    }

    /// Wraps a file key with the key of a class, in the form that an `EncryptionKey` or a
    /// `ManifestKey` has.
    ///
    /// # Errors
    ///
    /// Fails when the keybag has no usable key of that class, saying why it has none.
    pub fn wrap(
        &self,
        class: ProtectionClass,
        key: &FileKey,
    ) -> Result<WrappedFileKey, FileKeyError> {
        Ok(WrappedFileKey { class, key: self.usable(class)?.wrap_file(key) })
    }

    fn usable(&self, class: ProtectionClass) -> Result<&ClassKey, FileKeyError> {
        match self.keys.get(&class) {
            Some(OpenedKey::Usable(key)) => Ok(key),
            Some(OpenedKey::PassphraseOff(_) | OpenedKey::Device) => {
                Err(FileKeyError::DeviceBound { class })
            }
            Some(OpenedKey::Damaged) => Err(FileKeyError::ClassDamaged { class }),
            Some(OpenedKey::Opaque) => Err(FileKeyError::Unusable { class }),
            None => Err(FileKeyError::NoSuchClass { class }),
        }
    }
}
