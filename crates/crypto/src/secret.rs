//! Secrets: one type for each role, none of which can be printed, compared or copied.

use std::convert::Infallible;
use std::fmt;

use aes_kw::{KeyInit as _, KwAes256};
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};

use crate::error::RandomError;
use crate::random::SystemRandom;

/// What a person typed. Its bytes are UTF-8 without a terminator (FORMAT.md 3.1).
pub struct Passphrase(SecretString);

impl Passphrase {
    /// Takes ownership of a passphrase.
    #[must_use]
    pub fn new(passphrase: SecretString) -> Self {
        Self(passphrase)
    }

    /// Makes the empty passphrase, which the keybag of every unencrypted backup has.
    #[must_use]
    pub fn empty() -> Self {
        Self(SecretString::default())
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase([redacted])")
    }
}

/// A 256-bit key of any role. Its bytes can be reached only inside this crate.
pub(crate) trait Key: Sized {
    /// Fills a new key in place, so that the caller keeps no copy.
    fn try_init<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E>;

    /// Reveals the bytes, to be handed to a primitive and nowhere else.
    fn expose(&self) -> &[u8; 32];

    /// Fills a new key in place by something that cannot fail.
    fn init(fill: impl FnOnce(&mut [u8; 32])) -> Self {
        let key = Self::try_init(|key| {
            fill(key);
            Ok::<_, Infallible>(())
        });
        match key {
            Ok(key) => key,
            Err(never) => match never {},
        }
    }

    /// Makes a second key of the same bytes, for a second owner.
    fn duplicate(&self) -> Self {
        Self::init(|key| key.copy_from_slice(self.expose()))
    }

    /// Fills a new key with bytes of the system.
    fn generate() -> Result<Self, RandomError> {
        Self::try_init(|key| SystemRandom::fill(key))
    }
}

fn try_boxed<E>(
    fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>,
) -> Result<SecretBox<[u8; 32]>, E> {
    let mut key = SecretBox::new(Box::new([0; 32]));
    fill(key.expose_secret_mut())?;
    Ok(key)
}

/// What every role shares: a redacted `Debug`.
macro_rules! redacted {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}

/// A role whose key is bytes and nothing else.
macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(SecretBox<[u8; 32]>);

        impl Key for $name {
            fn try_init<E>(
                fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>,
            ) -> Result<Self, E> {
                try_boxed(fill).map(Self)
            }

            fn expose(&self) -> &[u8; 32] {
                self.0.expose_secret()
            }
        }

        redacted!($name);
    };
}

/// The one deliberate way to learn which key this is.
macro_rules! fingerprint {
    ($name:ident) => {
        impl $name {
            /// Returns the SHA-256 of the key.
            ///
            /// This tells two keys apart, or checks one against a published value, without
            /// giving the key away. It is stable, so treat it as an identifier that links
            /// backups of one device and not as something to print by default.
            #[must_use]
            pub fn fingerprint(&self) -> [u8; 32] {
                Sha256::digest(self.expose()).into()
            }
        }
    };
}

/// A role whose keys can be new.
macro_rules! random {
    ($name:ident) => {
        impl $name {
            /// Makes a new key of random bytes, which the system writes into their place.
            ///
            /// # Errors
            ///
            /// Fails when the system has no random bytes to give.
            pub fn random() -> Result<Self, RandomError> {
                <Self as Key>::generate()
            }
        }
    };
}

key! {
    /// Derived from a passphrase; unwraps class keys.
    PassphraseKey
}
key! {
    /// A class key still under a key that never leaves the device.
    ///
    /// It can be wrapped again and nothing else: it has no method that unwraps a file key.
    DeviceBoundKey
}
key! {
    /// Encrypts one payload.
    FileKey
}
key! {
    /// Opens one sealed archive: what a key file holds, or derived from a passphrase.
    ArchiveKey
}
key! {
    /// Hides what one program run keeps on a disk for itself, and goes with the run.
    ScratchKey
}

/// Belongs to one protection class; unwraps file keys.
///
/// It keeps its AES key schedule ready, since a backup has hundreds of thousands of file keys and
/// four classes of files.
pub struct ClassKey {
    bytes: SecretBox<[u8; 32]>,
    // Boxed, so that moving a class key leaves no copy of the schedule behind. The cipher wipes
    // itself when dropped.
    schedule: Box<KwAes256>,
}

impl Key for ClassKey {
    fn try_init<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let bytes = try_boxed(fill)?;
        let schedule = Box::new(KwAes256::new(bytes.expose_secret().into()));
        Ok(Self { bytes, schedule })
    }

    fn expose(&self) -> &[u8; 32] {
        self.bytes.expose_secret()
    }
}

impl ClassKey {
    pub(crate) fn schedule(&self) -> &KwAes256 {
        &self.schedule
    }
}

redacted!(ClassKey);

fingerprint!(PassphraseKey);
fingerprint!(ClassKey);
fingerprint!(DeviceBoundKey);

random!(ScratchKey);
random!(ClassKey);
random!(DeviceBoundKey);
random!(FileKey);

impl FileKey {
    /// Makes a key that `fill` writes into its place, so that no copy of it is left elsewhere.
    ///
    /// `fill` sees thirty-two zero bytes.
    #[must_use]
    pub fn init(fill: impl FnOnce(&mut [u8; 32])) -> Self {
        <Self as Key>::init(fill)
    }
}

impl ArchiveKey {
    /// Makes a key that `fill` writes into its place, so that no copy of it is left elsewhere.
    ///
    /// `fill` sees thirty-two zero bytes.
    ///
    /// # Errors
    ///
    /// Fails when `fill` does.
    pub fn try_init<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        <Self as Key>::try_init(fill)
    }
}

#[cfg(test)]
mod tests {
    use super::{ArchiveKey, ClassKey, DeviceBoundKey, FileKey, Key, Passphrase, PassphraseKey};

    fn key<K: Key>() -> K {
        K::init(|k| k.fill(0x41))
    }

    #[test]
    fn nothing_secret_prints() {
        for (text, name) in [
            (format!("{:?}", key::<PassphraseKey>()), "PassphraseKey"),
            (format!("{:?}", key::<ClassKey>()), "ClassKey"),
            (format!("{:?}", key::<ArchiveKey>()), "ArchiveKey"),
            (format!("{:?}", key::<DeviceBoundKey>()), "DeviceBoundKey"),
            (format!("{:?}", key::<FileKey>()), "FileKey"),
            (format!("{:?}", Passphrase::new("AAAA".into())), "Passphrase"),
        ] {
            assert_eq!(text, format!("{name}([redacted])"));
        }
    }

    /// A key that stays zero, or comes twice, would be a disaster that nothing else notices.
    #[test]
    fn random_keys_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            seen.insert(*FileKey::random().unwrap().expose());
            seen.insert(*ClassKey::random().unwrap().expose());
            seen.insert(*DeviceBoundKey::random().unwrap().expose());
        }
        assert_eq!(seen.len(), 300);
        for at in 0..32 {
            let values: std::collections::BTreeSet<_> = seen.iter().map(|key| key[at]).collect();
            assert!(values.len() > 100, "byte {at} has {} values", values.len());
        }
    }

    #[test]
    fn a_random_class_key_has_its_own_schedule() {
        let class = ClassKey::random().unwrap();
        let file = FileKey::random().unwrap();
        let wrapped = class.wrap_file(&file);
        assert_eq!(class.duplicate().unwrap_file(&wrapped).unwrap().expose(), file.expose());
        assert!(ClassKey::random().unwrap().unwrap_file(&wrapped).is_err());
    }

    /// SHA-256 of thirty-two zero bytes, a published value.
    #[test]
    fn fingerprint_is_sha_256() {
        let zero = ClassKey::init(|_| {});
        assert_eq!(
            crate::testing::hex(&zero.fingerprint()),
            "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
        );
    }
}
