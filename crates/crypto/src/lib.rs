//! Keys, and how a device backup uses them.
//!
//! ```text
//! Passphrase
//!     │ PBKDF2-HMAC-SHA256 (from iOS 10.2), then PBKDF2-HMAC-SHA1         kdf
//!     ▼
//! PassphraseKey
//!     │ AES key wrap, RFC 3394: the records of the Keybag                 keybag
//!     ├──────────────▶ DeviceBoundKey   needs a key that never leaves the device
//!     ▼
//! ClassKey            one for each protection class
//!     │ AES key wrap: EncryptionKey of a file, ManifestKey                wrap
//!     ▼
//! FileKey             one for each payload
//!     │ AES-256-CBC, zero IV, PKCS #7                                     cbc
//!     ▼
//! bytes
//! ```
//!
//! Every arrow is walked in both directions: a [`Keybag`] is parsed and written, opened and
//! [made anew](Keybag::reissue) under another passphrase; a payload is read by [`CbcReader`] and
//! written by [`CbcWriter`]. New keys come from the operating system and from nowhere else.
//!
//! The keys of classes 6 to 8 unwrap the keys of keychain items, which are AES-256-GCM (`keychain`).
//!
//! The key wraps are authenticated and the payloads are not: a payload that was changed decrypts
//! to something else, and only its [`Ending`] may tell. Keychain items are authenticated.
//!
//! A sealed stream is ours: AES-256-GCM in segments, under an [`ArchiveKey`] (`sealed`). So is a
//! scratch file, which is gone with its process: AES-256-CTR under a [`ScratchKey`] (`scratch`).
//!
//! A key cannot be printed, compared or copied, and is wiped when it is dropped. Its bytes leave
//! this crate as a [fingerprint](ClassKey::fingerprint) or wrapped by another key, and in no
//! other way. What is out of reach of safe code is not promised: a register or a stack slot that
//! the compiler copied a key into.

#![forbid(unsafe_code)]

mod cbc;
mod cbc_lanes;
mod error;
mod kdf;
mod keybag;
mod keychain;
mod legacy;
mod random;
mod scratch;
mod sealed;
mod secret;
#[cfg(test)]
mod testing;
mod wrap;

pub use cbc::{
    CbcEncryptor, CbcReader, CbcWriter, Ending, decrypt_in_place, encrypt_in_place, encrypted_len,
    pad, padding_len,
};
pub use cbc_lanes::{CbcLanes, CbcPayload};
pub use error::{
    Cancelled, FileKeyError, IntegrityError, KeybagError, LegacyError, RandomError, ReissueError,
    Tag, UnlockError,
};
pub use kdf::{DEFAULT_KDF_LIMIT, KdfParams, KdfProgress, OnProgress, Pbkdf2};
pub use keybag::{
    ClassKeys, ClassRecord, ClassState, FileClasses, Keybag, Reissue, UnknownItem, limits,
};
pub use keychain::{ItemForm, ItemPlaintext, SealedItem, SealedItemError};
pub use legacy::LegacyCells;
pub use random::SystemRandom;
pub use sealed::{
    ByteSource, KeySource, SealOptions, SealWriter, SealedError, SealedHeader, SealedReader,
    Sealing, SegmentCheck, SegmentSealer, sealed_limits,
};
pub use secret::{
    ArchiveKey, ClassKey, DeviceBoundKey, FileKey, Passphrase, PassphraseKey, ScratchKey,
};
pub use wrap::{WrappedFileKey, WrappedKey};

// Part of the public API: what a passphrase is made of.
pub use secrecy::SecretString;
