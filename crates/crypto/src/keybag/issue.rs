//! Making keybags: the same keys under another passphrase, or new ones.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeInclusive};

use bkp_core::ProtectionClass;

use super::unlock::OpenedKey;
use super::{ClassKeys, ClassRecord, Keybag, Wrapped, layout, limits};
use crate::error::{RandomError, ReissueError};
use crate::kdf::{KdfParams, OnProgress};
use crate::random::SystemRandom;
use crate::secret::{ClassKey, DeviceBoundKey, Key as _, Passphrase, PassphraseKey};

/// The classes that files are of. Source: FORMAT.md 3.
const FILE_CLASSES: RangeInclusive<u32> = 1..=4;

/// The classes of a keybag that a device writes. Source: FORMAT.md 3.
const CLASSES: RangeInclusive<u32> = 1..=11;

/// `TYPE` of a backup.
const BACKUP: u32 = 1;

/// `WRAP`: under the passphrase alone.
const PASSPHRASE: u32 = 2;

/// `WRAP`: under the passphrase, and inside of that under the device.
const PASSPHRASE_AND_DEVICE: u32 = 3;

/// What is to be different in a keybag that is made from an open one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reissue {
    /// The salts and work factors of the new passphrase. The salts should be
    /// [fresh](KdfParams::fresh).
    pub kdf: KdfParams,
    /// Whether the classes of files keep their keys.
    pub file_classes: FileClasses,
    /// Whether classes whose key cannot be wrapped again are left out. Otherwise they are an
    /// error.
    ///
    /// Such a key is lost in the new keybag, and with it every file and keychain item of the
    /// class. It may not be lost for good: what is damaged here may be whole in another copy.
    pub drop_damaged: bool,
}

/// What becomes of the keys of file classes, 1 to 4.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum FileClasses {
    /// They are wrapped again, and every file key stays as it is.
    ///
    /// This changes the lock and not the keys: who has the old keybag and the old passphrase can
    /// read files that are written under the new one.
    #[default]
    Keep,
    /// They are replaced by random keys with new UUIDs, and every file key has to be wrapped
    /// again. The old ones are not needed, and may be damaged.
    Fresh,
}

impl Reissue {
    /// Keeps every key, and refuses to lose one.
    #[must_use]
    pub fn new(kdf: KdfParams) -> Self {
        Self { kdf, file_classes: FileClasses::Keep, drop_damaged: false }
    }
}

/// What becomes of a class.
enum Fate<'a> {
    Wrapped(&'a ClassKey),
    /// The device's layer stays on.
    DeviceBound(&'a DeviceBoundKey),
    /// A random key and a new UUID.
    Fresh,
    /// No passphrase is part of it, so it stays as it is.
    Same(OpenedKey),
    /// It cannot be had without what only the old passphrase opens.
    Lost,
}

impl Keybag {
    /// The `VERS` that devices write now. Source: FORMAT.md 3.
    pub const CURRENT_VERSION: u32 = 5;

    /// Makes a keybag of the same classes under another passphrase, and returns it open.
    ///
    /// `keys` are those of this keybag. `VERS`, `TYPE`, `HMCK`, the UUID of the keybag, which a
    /// keychain backup names, the order of all items, and every class's `WRAP` and `KTYP` stay.
    /// So do the UUIDs and the keys of all classes but those of [`FileClasses::Fresh`], and what
    /// is wrapped for the device alone. `DPWT`, `DPIC` and `DPSL` are there exactly when the new
    /// parameters have a first stage.
    ///
    /// This costs one derivation of the new passphrase. That `progress` is called as
    /// [`KdfParams::derive`] says; whatever is an error of the keybag is found before it starts.
    ///
    /// # Errors
    ///
    /// Fails with [`ReissueError::OtherKeybag`] when the keys were opened from another keybag,
    /// with [`ReissueError::Damaged`] when keys cannot be wrapped again and
    /// [`drop_damaged`](Reissue::drop_damaged) does not allow for that, when the salts are longer
    /// than a keybag may have, when there are no random bytes, and when `progress` asks to stop.
    pub fn reissue(
        &self,
        keys: &ClassKeys,
        spec: &Reissue,
        passphrase: &Passphrase,
        progress: OnProgress<'_>,
    ) -> Result<(Self, ClassKeys), ReissueError> {
        let Reissue { kdf, file_classes, drop_damaged } = spec;
        check_salts(kdf)?;
        if !keys.are_of(self) {
            return Err(ReissueError::OtherKeybag);
        }
        let mut fates = Vec::with_capacity(self.classes.len());
        let mut lost = Vec::new();
        for record in &self.classes {
            match fate(record, keys, *file_classes)? {
                Fate::Lost => lost.push(record.class),
                fate => fates.push((record, fate)),
            }
        }
        if !lost.is_empty() && !drop_damaged {
            return Err(ReissueError::Damaged { classes: lost });
        }

        let kek = kdf.derive(passphrase, progress)?;
        let mut issued = Issued::default();
        for (record, fate) in fates {
            let mut record = record.clone();
            let key = match fate {
                Fate::Wrapped(key) => OpenedKey::Usable(key.duplicate()),
                Fate::DeviceBound(key) => OpenedKey::PassphraseOff(key.duplicate()),
                Fate::Fresh => {
                    record.uuid = SystemRandom::uuid()?;
                    OpenedKey::Usable(ClassKey::random()?)
                }
                Fate::Same(key) => key,
                Fate::Lost => continue,
            };
            issued.add(record, key, &kek);
        }
        let mut header = self.layout.clone();
        layout::set_outer_stage(&mut header, kdf.outer.is_some());
        Ok(issued.finish(Self {
            kdf: kdf.clone(),
            dpwt: kdf.outer.as_ref().map(|_| self.dpwt.unwrap_or(1)),
            classes: Vec::new(),
            unknown: Vec::new(),
            layout: header,
            hmck: self.hmck.clone(),
            ..*self
        }))
    }

    /// Makes the keybag of an encrypted backup, of random keys, and returns it open.
    ///
    /// It has the eleven classes of a device in ascending order. Those that a device binds to
    /// itself, 5 and 9 to 11, are random too, so that no device can use them.
    ///
    /// # Errors
    ///
    /// Fails when the salts are longer than a keybag may have, when there are no random bytes,
    /// and when `progress` asks to stop.
    pub fn generate(
        version: u32,
        kdf: KdfParams,
        passphrase: &Passphrase,
        progress: OnProgress<'_>,
    ) -> Result<(Self, ClassKeys), ReissueError> {
        check_salts(&kdf)?;
        let kek = kdf.derive(passphrase, progress)?;
        let bound = |class| class == 5 || class >= 9;
        Ok(Self::made(version, kdf, &kek, bound)?)
    }

    /// Makes the keybag of an unencrypted backup, of random keys, and returns it open.
    ///
    /// Such a backup has a keybag as well: one of the empty passphrase and one derivation stage,
    /// with [`KdfParams::DEVICE_ROUNDS`]. Classes 5 to 11 are bound to the device, here to none.
    ///
    /// # Errors
    ///
    /// Fails when there are no random bytes.
    pub fn generate_plain(version: u32) -> Result<(Self, ClassKeys), ReissueError> {
        let kdf = KdfParams::fresh(KdfParams::DEVICE_ROUNDS, None)?;
        // Milliseconds, of which nobody needs to be told.
        let kek = kdf.derive(&Passphrase::empty(), &mut |_| ControlFlow::Continue(()))?;
        Ok(Self::made(version, kdf, &kek, |class| class >= 5)?)
    }

    /// Makes a keybag as a device would.
    fn made(
        version: u32,
        kdf: KdfParams,
        kek: &PassphraseKey,
        bound: impl Fn(u32) -> bool,
    ) -> Result<(Self, ClassKeys), RandomError> {
        let mut issued = Issued::default();
        for class in CLASSES {
            let (wrap, key) = if bound(class) {
                (PASSPHRASE_AND_DEVICE, OpenedKey::PassphraseOff(DeviceBoundKey::random()?))
            } else {
                (PASSPHRASE, OpenedKey::Usable(ClassKey::random()?))
            };
            let record = ClassRecord {
                uuid: SystemRandom::uuid()?,
                class: ProtectionClass(class),
                wrap: Some(wrap),
                key_type: Some(0),
                key: None,
                layout: layout::record(),
            };
            issued.add(record, key, kek);
        }
        let outer_stage = kdf.outer.is_some();
        Ok(issued.finish(Self {
            version: Some(version),
            bag_type: Some(BACKUP),
            uuid: SystemRandom::uuid()?,
            wrap: Some(0),
            hmck: Some(vec![0; 40]),
            kdf,
            dpwt: outer_stage.then_some(1),
            classes: Vec::new(),
            unknown: Vec::new(),
            layout: layout::header(outer_stage),
        }))
    }
}

/// The classes of a keybag that is being made.
#[derive(Default)]
struct Issued {
    classes: Vec<ClassRecord>,
    keys: BTreeMap<ProtectionClass, OpenedKey>,
}

impl Issued {
    /// Adds a class, wrapping its key where a passphrase does.
    fn add(&mut self, mut record: ClassRecord, key: OpenedKey, kek: &PassphraseKey) {
        match &key {
            OpenedKey::Usable(key) => record.key = Some(*kek.wrap_class(key).as_bytes()),
            OpenedKey::PassphraseOff(key) => {
                record.key = Some(*kek.wrap_device_bound(key).as_bytes());
            }
            OpenedKey::Device | OpenedKey::Opaque | OpenedKey::Damaged => {}
        }
        self.keys.insert(record.class, key);
        self.classes.push(record);
    }

    /// Puts the classes behind a header.
    fn finish(self, header: Keybag) -> (Keybag, ClassKeys) {
        let Self { classes, keys } = self;
        let mut keybag = Keybag { classes, ..header };
        keybag.find_unknown();
        let keys = ClassKeys::of(&keybag, keys);
        (keybag, keys)
    }
}

fn fate<'a>(
    record: &ClassRecord,
    keys: &'a ClassKeys,
    file_classes: FileClasses,
) -> Result<Fate<'a>, ReissueError> {
    let class = record.class;
    let wrapped = record.wrapped();
    if file_classes == FileClasses::Fresh
        && FILE_CLASSES.contains(&class.0)
        && matches!(wrapped, Wrapped::Passphrase(_))
    {
        return match record.key_type {
            None | Some(0) => Ok(Fate::Fresh),
            // A key pair, whose public half stands in the record as well.
            Some(key_type) => Err(ReissueError::KeyType { class, key_type }),
        };
    }
    Ok(match (wrapped, keys.opened(class)) {
        (Wrapped::Passphrase(_), Some(OpenedKey::Usable(key))) => Fate::Wrapped(key),
        (Wrapped::PassphraseAndDevice(_), Some(OpenedKey::PassphraseOff(key))) => {
            Fate::DeviceBound(key)
        }
        (Wrapped::Device, _) => Fate::Same(OpenedKey::Device),
        (Wrapped::Opaque, _) if !record.needs_passphrase() => Fate::Same(OpenedKey::Opaque),
        _ => Fate::Lost,
    })
}

impl ClassRecord {
    /// Returns true when the record has a key that may be under the passphrase: `WRAP` says so, or
    /// does not say at all.
    fn needs_passphrase(&self) -> bool {
        self.key.is_some() && self.wrap.is_none_or(|wrap| wrap & PASSPHRASE != 0)
    }
}

/// Holds salts against the limit that a keybag is read with.
fn check_salts(kdf: &KdfParams) -> Result<(), ReissueError> {
    let KdfParams { outer, inner } = kdf;
    for stage in outer.iter().chain([inner]) {
        if stage.salt.len() > limits::SALT {
            return Err(ReissueError::LongSalt { len: stage.salt.len(), limit: limits::SALT });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
