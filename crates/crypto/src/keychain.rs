//! Keychain items as a backup holds them: `v_Data` of `keychain-backup.plist`.
//!
//! ```text
//! version u32 | class u32 | n u32 = 40 | wrapped item key, n bytes | ciphertext | tag, 16 bytes
//!
//! item key  = AES key unwrap (RFC 3394) under the class key
//! plaintext = AES-256-GCM (NIST SP 800-38D), no additional data, an IV of length zero
//! ```
//!
//! The integers are little-endian. An IV of length zero is outside the standard, but its formula
//! has an answer: J0 = GHASH(H, [0]64 || [0]64) = 0, so the data counter starts at 1 and E(K, 0)
//! masks the tag. It does no harm here, since every item has a key of its own. Source: FORMAT.md 4.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[cfg(test)]
mod tests;

use std::fmt;

use aes_gcm::aead::consts::U0;
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadInOut as _, AesGcm, KeyInit as _, Nonce};
use bkp_core::ProtectionClass;
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretBox};
use zeroize::Zeroizing;

use crate::error::IntegrityError;
use crate::keybag::{ClassKeys, ClassState};
use crate::secret::{ClassKey, Key};

/// The bytes of a wrapped 256-bit key.
const WRAPPED: usize = 40;
/// The bytes of a tag.
const TAG: usize = 16;
/// Marks a form of the device's own database: a fixed IV, and additional data.
const DEVICE_FORM: u32 = 1 << 31;

/// A keychain item as it is stored: nothing in it has been opened or checked.
#[derive(Clone, Copy)]
pub struct SealedItem<'a> {
    version: u32,
    class: Option<ProtectionClass>,
    /// What follows the class.
    rest: &'a [u8],
}

/// How the plaintext of an item is encoded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ItemForm {
    /// A binary property list: version 2, iOS 5 and 6.
    PropertyList,
    /// DER: version 3, iOS 7 and later.
    Der,
}

/// What was sealed: attributes, and among them the secret. Wiped when it is dropped.
pub struct ItemPlaintext {
    form: ItemForm,
    bytes: Zeroizing<Vec<u8>>,
}

/// Why an item did not open.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedItemError {
    /// File: the item ends before its parts do.
    #[error("the item has {len} bytes, which is less than its parts need")]
    Truncated {
        /// The bytes there are.
        len: usize,
    },
    /// File: the item is of a version that is not read.
    #[error("the item is of version {version}, which is not read")]
    Version {
        /// The version.
        version: u32,
    },
    /// File: the item has the form of the device's own database, which no backup should hold.
    #[error("the item has the form of a device's own database (version {version:#x})")]
    DeviceForm {
        /// The version with its bit 31.
        version: u32,
    },
    /// File: the item's key is wrapped in a way that is not known, as newer devices may do.
    #[error("the item's wrapped key has {len} bytes instead of 40")]
    LongKey {
        /// The length it has.
        len: u32,
    },
    /// File: the item's key is too short to be one.
    #[error("the item's wrapped key has {len} bytes instead of 40")]
    ShortKey {
        /// The length it has.
        len: u32,
    },
    /// File: the class key needs a key that never leaves the device.
    #[error("the key of protection class {class} is bound to the device")]
    DeviceBound {
        /// The class.
        class: ProtectionClass,
    },
    /// File: the keybag has no record of this class.
    #[error("the keybag has no protection class {class}")]
    NoSuchClass {
        /// The class.
        class: ProtectionClass,
    },
    /// File: the keybag's record of the class has no key, or one wrapped in a way that is not
    /// known.
    #[error("the keybag has no usable key of protection class {class}")]
    Unusable {
        /// The class.
        class: ProtectionClass,
    },
    /// File: the class key did not open although others did.
    #[error("the key of protection class {class} is damaged in the keybag")]
    ClassDamaged {
        /// The class.
        class: ProtectionClass,
    },
    /// File: the class key is sound and the item's key does not open with it.
    #[error("the item's key does not open with the key of protection class {class}")]
    Key {
        /// The class.
        class: ProtectionClass,
        /// What the key wrap said.
        source: IntegrityError,
    },
    /// File: the item's key is sound, and the ciphertext or its tag was changed.
    #[error("the item's authentication tag does not match")]
    Tag,
}

impl fmt::Debug for SealedItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedItem")
            .field("version", &self.version)
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

impl<'a> SealedItem<'a> {
    /// Reads the head of an item, which needs no key.
    ///
    /// # Errors
    ///
    /// Fails with [`SealedItemError::Truncated`] when there is no whole head.
    pub fn parse(v_data: &'a [u8]) -> Result<Self, SealedItemError> {
        let (version, after) =
            v_data.split_first_chunk().ok_or(SealedItemError::Truncated { len: v_data.len() })?;
        let version = u32::from_le_bytes(*version);
        if version & !DEVICE_FORM > 6 {
            // From version 7 on there is no telling where a class would be.
            return Ok(Self { version, class: None, rest: after });
        }
        let (class, rest) =
            after.split_first_chunk().ok_or(SealedItemError::Truncated { len: v_data.len() })?;
        let class = Some(ProtectionClass(u32::from_le_bytes(*class)));
        Ok(Self { version, class, rest })
    }

    /// Returns the version: 2 or 3 in every backup since iOS 5 that is known.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Returns the class whose key wraps the item's key, where the version has one in this place.
    #[must_use]
    pub fn class(&self) -> Option<ProtectionClass> {
        self.class
    }

    /// Unwraps the item's key, checks the tag and decrypts.
    ///
    /// No plaintext is made before the tag was found to be right.
    ///
    /// # Errors
    ///
    /// Fails when the item is of a form that is not read, when its class has no usable key, saying
    /// why, and when anything in it was changed.
    pub fn open(&self, keys: &ClassKeys) -> Result<ItemPlaintext, SealedItemError> {
        let &Self { version, class, rest } = self;
        let form = match version {
            2 => ItemForm::PropertyList,
            3 => ItemForm::Der,
            _ if version & DEVICE_FORM != 0 => return Err(SealedItemError::DeviceForm { version }),
            _ => return Err(SealedItemError::Version { version }),
        };
        let class = class.ok_or(SealedItemError::Version { version })?;
        let class_key = match keys.state(class) {
            Some(ClassState::DeviceBound) => return Err(SealedItemError::DeviceBound { class }),
            Some(ClassState::Damaged) => return Err(SealedItemError::ClassDamaged { class }),
            None => return Err(SealedItemError::NoSuchClass { class }),
            Some(_) => keys.class_key(class).ok_or(SealedItemError::Unusable { class })?,
        };
        // The version and the class came before.
        let truncated = SealedItemError::Truncated { len: rest.len().saturating_add(8) };
        let (len, rest) = rest.split_first_chunk::<4>().ok_or(truncated.clone())?;
        let len = u32::from_le_bytes(*len);
        match usize::try_from(len) {
            Ok(WRAPPED) => {}
            Ok(0..WRAPPED) => return Err(SealedItemError::ShortKey { len }),
            Ok(long) if long > rest.len() => return Err(truncated),
            _ => return Err(SealedItemError::LongKey { len }),
        }
        let (wrapped, sealed) = rest.split_first_chunk::<WRAPPED>().ok_or(truncated.clone())?;
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG>().ok_or(truncated)?;
        let key = ItemKey::unwrap(class_key, wrapped)
            .map_err(|source| SealedItemError::Key { class, source })?;
        let bytes = key.open(ciphertext, tag).ok_or(SealedItemError::Tag)?;
        Ok(ItemPlaintext { form, bytes })
    }
}

impl ItemPlaintext {
    /// Returns how the bytes are encoded.
    #[must_use]
    pub fn form(&self) -> ItemForm {
        self.form
    }

    /// Reveals the bytes, to be read in place. Copies of them are the caller's to wipe.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for ItemPlaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ItemPlaintext([redacted])")
    }
}

/// Encrypts one item, and never leaves this module.
struct ItemKey(SecretBox<[u8; 32]>);

impl Key for ItemKey {
    fn try_init<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = SecretBox::new(Box::new([0; 32]));
        fill(key.expose_secret_mut())?;
        Ok(Self(key))
    }

    fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl ItemKey {
    fn unwrap(kek: &ClassKey, wrapped: &[u8; WRAPPED]) -> Result<Self, IntegrityError> {
        Self::try_init(|key| match kek.schedule().unwrap_key(wrapped, key) {
            Ok(_) => Ok(()),
            Err(_) => Err(IntegrityError),
        })
    }

    /// Checks the tag in constant time, and only then decrypts.
    fn open(&self, ciphertext: &[u8], tag: &[u8; TAG]) -> Option<Zeroizing<Vec<u8>>> {
        // Boxed, so that the schedule is wiped where it lies and nowhere copied to.
        let cipher = Box::new(AesGcm::<Aes256, U0>::new(self.expose().into()));
        let mut bytes = Zeroizing::new(ciphertext.to_vec());
        cipher
            .decrypt_inout_detached(
                &Nonce::<U0>::default(),
                &[],
                bytes.as_mut_slice().into(),
                tag.into(),
            )
            .ok()?;
        Some(bytes)
    }
}
