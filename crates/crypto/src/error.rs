//! What can go wrong, by whom it concerns: keys, the keybag, a file's key, the old catalog cells.

use std::fmt;

use bkp_core::ProtectionClass;

/// The four bytes that name an item of a keybag.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag(pub [u8; 4]);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

/// A wrapped key did not unwrap: another key wrapped it, or the bytes were changed.
///
/// RFC 3394 cannot tell the two apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("key integrity check failed")]
pub struct IntegrityError;

/// A progress callback asked for a key derivation to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("key derivation was cancelled")]
pub struct Cancelled;

/// System: the operating system gave no random bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the system has no random bytes to give")]
pub struct RandomError(#[source] pub(crate) getrandom::Error);

/// Why bytes are not a usable keybag. Offsets count from the start of the keybag.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeybagError {
    /// Limit: the keybag is larger than any device writes.
    #[error("keybag has {len} bytes, the limit is {limit}")]
    TooLarge {
        /// The bytes there are.
        len: usize,
        /// The limit in force.
        limit: usize,
    },
    /// Limit: the keybag holds more items than any device writes.
    #[error("keybag has more than {limit} items")]
    TooManyItems {
        /// The limit in force.
        limit: usize,
    },
    /// Limit: a salt is longer than any device writes.
    #[error("salt {tag} at byte {offset} has {len} bytes, the limit is {limit}")]
    LongSalt {
        /// The item's tag, `SALT` or `DPSL`.
        tag: Tag,
        /// Where the item starts.
        offset: usize,
        /// The length it has.
        len: usize,
        /// The limit in force.
        limit: usize,
    },
    /// File: the keybag ends inside the eight bytes that start an item.
    #[error("keybag ends {left} bytes into the head of the item at byte {offset}")]
    Truncated {
        /// Where the item starts.
        offset: usize,
        /// The bytes of its head there are, 1 to 7.
        left: usize,
    },
    /// File: an item runs past the end.
    #[error("item {tag} at byte {offset} claims {len} bytes, {left} are left")]
    Overrun {
        /// The item's tag.
        tag: Tag,
        /// Where the item starts.
        offset: usize,
        /// The length it claims.
        len: u32,
        /// The bytes there are.
        left: usize,
    },
    /// File: an item of fixed size has another size.
    #[error("item {tag} at byte {offset} has {len} bytes instead of {expected}")]
    ItemLength {
        /// The item's tag.
        tag: Tag,
        /// Where the item starts.
        offset: usize,
        /// The length it has.
        len: usize,
        /// The length it must have.
        expected: usize,
    },
    /// File: a wrapped class key is not forty bytes.
    #[error("wrapped key {tag} at byte {offset} has {len} bytes instead of 40")]
    WrappedKeyLength {
        /// The item's tag, `WPKY`.
        tag: Tag,
        /// Where the item starts.
        offset: usize,
        /// The length it has.
        len: usize,
    },
    /// File: an item that counts once occurs again in the header or in one class record.
    #[error("item {tag} at byte {offset} occurs for the second time")]
    Repeated {
        /// The item's tag.
        tag: Tag,
        /// Where the second one starts.
        offset: usize,
    },
    /// File: the header lacks an item that key derivation needs.
    #[error("keybag has no {tag} item")]
    Missing {
        /// The tag that is absent, `SALT` or `ITER`.
        tag: Tag,
    },
    /// File: of the salt and the count of the first derivation stage, only one is there.
    #[error("item {tag} at byte {offset} needs an item {missing}, and there is none")]
    Unpaired {
        /// The tag that is there, `DPSL` or `DPIC`.
        tag: Tag,
        /// Where it starts.
        offset: usize,
        /// The tag that is absent.
        missing: Tag,
    },
    /// File: a derivation stage asks for no rounds at all.
    #[error("item {tag} at byte {offset} asks for zero rounds")]
    ZeroRounds {
        /// The item's tag, `ITER` or `DPIC`.
        tag: Tag,
        /// Where the item starts.
        offset: usize,
    },
    /// File: a class record does not say which class it is of.
    #[error("class record at byte {offset} has no {tag} item")]
    MissingClass {
        /// The tag that is absent, `CLAS`.
        tag: Tag,
        /// Where the record's `UUID` item starts.
        offset: usize,
    },
    /// File: two records are of the same class.
    #[error("item {tag} at byte {offset} names class {class}, which an earlier record has")]
    DuplicateClass {
        /// The item's tag, `CLAS`.
        tag: Tag,
        /// Where the second record's item starts.
        offset: usize,
        /// The class.
        class: ProtectionClass,
    },
    /// File: there is no class record.
    #[error("keybag has no class records")]
    NoClasses,
}

/// Why a keybag did not open.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// Limit: the keybag asks for more work than the caller allows. Nothing was derived.
    #[error("keybag asks for {asked} PBKDF2 rounds, the limit is {limit}")]
    ExcessiveWork {
        /// The rounds of both stages together.
        asked: u64,
        /// The limit in force.
        limit: u64,
    },
    /// Caller: the progress callback asked to stop.
    #[error("key derivation was cancelled")]
    Cancelled,
    /// Caller: not one class key opens.
    ///
    /// A keybag whose salts were changed, or every key of it, looks the same: nothing in the
    /// format tells that from a wrong password.
    #[error("0 of {classes} class keys open with this password")]
    WrongPassphrase {
        /// The class keys that a password could open.
        classes: usize,
    },
    /// File: no class key is wrapped by a password, so there is nothing to try one on.
    #[error("none of the keybag's {classes} classes has a key that a password opens")]
    NothingToOpen {
        /// The class records there are.
        classes: usize,
    },
}

impl From<Cancelled> for UnlockError {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Why no new keybag was made. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReissueError {
    /// System: no random bytes for new keys.
    #[error("no new keys can be made")]
    Random {
        /// What the system said.
        #[from]
        source: RandomError,
    },
    /// File: keys that only the old passphrase opens did not open, so they cannot be wrapped under
    /// a new one. The caller may decide to leave these classes out.
    #[error("the keys of {} cannot be wrapped again", named(classes))]
    Damaged {
        /// The classes, in the keybag's order; there is one at least.
        classes: Vec<ProtectionClass>,
    },
    /// File: a new key was asked for a class whose keys are not made of random bytes alone.
    #[error("protection class {class} has keys of type {key_type}, which cannot be made anew")]
    KeyType {
        /// The class.
        class: ProtectionClass,
        /// Its `KTYP`.
        key_type: u32,
    },
    /// Limit: a new salt is longer than a keybag may have.
    #[error("a salt of {len} bytes was asked for, the limit is {limit}")]
    LongSalt {
        /// The length it has.
        len: usize,
        /// The limit in force.
        limit: usize,
    },
    /// Caller: the class keys were not opened from this keybag.
    #[error("the class keys are those of another keybag")]
    OtherKeybag,
    /// Caller: the progress callback asked to stop.
    #[error("key derivation was cancelled")]
    Cancelled,
}

impl From<Cancelled> for ReissueError {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Spells a list of classes.
fn named(classes: &[ProtectionClass]) -> String {
    let plural = if classes.len() == 1 { "" } else { "es" };
    let numbers: Vec<_> = classes.iter().map(ToString::to_string).collect();
    format!("protection class{plural} {}", numbers.join(", "))
}

/// Why a file's key is not to be had. Each names the class the file says it is of.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FileKeyError {
    /// File: an `EncryptionKey` or `ManifestKey` is not 44 bytes.
    #[error("wrapped file key has {len} bytes instead of 44")]
    Length {
        /// The length it has.
        len: usize,
    },
    /// File: the keybag has no record of this class.
    #[error("the keybag has no protection class {class}")]
    NoSuchClass {
        /// The class.
        class: ProtectionClass,
    },
    /// File: the class key needs a key that never leaves the device.
    #[error("the key of protection class {class} is bound to the device")]
    DeviceBound {
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
    /// File: the class key is sound and the file's key does not open with it.
    #[error("wrapped file key does not open with the key of protection class {class}")]
    Integrity {
        /// The class.
        class: ProtectionClass,
        /// What the key wrap said.
        source: IntegrityError,
    },
}

/// Why the encrypted catalog cells of iOS 10.0 did not open.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyError {
    /// File: `passwordHash` is not a SHA-256 value, so no password can be checked against it.
    #[error("passwordHash has {len} bytes instead of 32")]
    HashLength {
        /// The length it has.
        len: usize,
    },
    /// Caller: the password does not match `passwordHash`.
    #[error("the catalog's password hash does not match this password")]
    WrongPassphrase,
    /// File: a cell is empty or not whole blocks.
    #[error("encrypted catalog cell has {len} bytes, which is not one or more whole blocks")]
    CellLength {
        /// The length it has.
        len: usize,
    },
}
