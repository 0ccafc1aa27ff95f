//! The keybag, and which of its classes open.

use std::ops::ControlFlow;

use bkp_bundle::{Bundle, Opened};
use bkp_core::ProtectionClass;
use bkp_crypto::{ClassKeys, Keybag, Passphrase};
use serde::Serialize;

use super::{Warning, chain};

/// A keybag. Source: FORMAT.md 3.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct KeybagFacts {
    /// `VERS`.
    pub version: Option<u32>,
    /// `TYPE`: 1 for a backup.
    #[serde(rename = "type")]
    pub bag_type: Option<u32>,
    /// `UUID`, dashed and in upper case.
    pub uuid: Option<String>,
    /// `ITER`: rounds of PBKDF2-HMAC-SHA1.
    pub iterations: u32,
    /// `DPIC`: rounds of PBKDF2-HMAC-SHA256 before those, since iOS 10.2.
    pub double_protection_iterations: Option<u32>,
    /// The classes in the order of the file.
    pub classes: Vec<ClassFacts>,
}

/// One class of a keybag.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ClassFacts {
    /// `CLAS`.
    pub class: u32,
    /// The class's name in the platform's documentation.
    pub name: Option<&'static str>,
    /// `WRAP`: 2 under the password, 3 under the password and the device.
    pub wrap: Option<u32>,
    /// `KTYP`: 0 for AES.
    pub key_type: Option<u32>,
    /// Whether the key opens; nothing while no password was tried. Opening a device-bound class
    /// takes off the password's layer only.
    pub opens: Option<bool>,
}

impl KeybagFacts {
    pub(super) fn of(
        bundle: &Bundle,
        opened: Option<&Opened>,
        warnings: &mut Vec<Warning>,
    ) -> Option<Self> {
        let keybag = match bundle.keybag()? {
            Ok(keybag) => keybag,
            Err(error) => {
                // An encrypted bundle has failed to open for this very reason.
                if opened.is_some() {
                    warnings.push(Warning {
                        code: "key-material-damaged".into(),
                        message: format!("cannot read the keybag: {error}"),
                    });
                }
                return None;
            }
        };
        let own;
        let keys = match opened {
            Some(Opened::Unlocked(backup)) if bundle.is_encrypted() => backup.class_keys(),
            _ if !bundle.is_encrypted() => {
                own = empty_password(bundle, keybag, warnings);
                own.as_ref()
            }
            _ => None,
        };
        for class in keys.map(ClassKeys::damaged).unwrap_or_default() {
            warnings.push(Warning {
                code: "key-material-damaged".into(),
                message: format!(
                    "the key of protection class {class} does not open, and others do"
                ),
            });
        }
        let classes = keybag.classes().iter().map(|record| ClassFacts {
            class: record.class().0,
            name: record.class().name(),
            wrap: record.wrap(),
            key_type: record.key_type(),
            opens: keys.map(|keys| opens(keys, record.class())),
        });
        Some(Self {
            version: keybag.version(),
            bag_type: keybag.bag_type(),
            uuid: Some(dashed(keybag.uuid())),
            iterations: keybag.kdf().inner.rounds.get(),
            double_protection_iterations: keybag.kdf().outer.as_ref().map(|o| o.rounds.get()),
            classes: classes.collect(),
        })
    }
}

/// The keybag of an unencrypted backup opens with the empty password. That costs a moment, and
/// nothing of the backup depends on it.
fn empty_password(
    bundle: &Bundle,
    keybag: &Keybag,
    warnings: &mut Vec<Warning>,
) -> Option<ClassKeys> {
    let limit = bundle.limits().kdf_rounds;
    match keybag.unlock(&Passphrase::empty(), limit, &mut |_| ControlFlow::Continue(())) {
        Ok(keys) => Some(keys),
        Err(error) => {
            warnings.push(Warning {
                code: "keybag-closed".into(),
                message: format!(
                    "the keybag does not open with the empty password: {}",
                    chain(&error)
                ),
            });
            None
        }
    }
}

/// Whether the password opens a class, to whatever end.
fn opens(keys: &ClassKeys, class: ProtectionClass) -> bool {
    keys.class_key(class).is_some() || keys.device_bound_key(class).is_some()
}

/// Spells a UUID, dashed and in upper case.
pub(crate) fn dashed(uuid: [u8; 16]) -> String {
    let n = u128::from_be_bytes(uuid);
    let part = |shift: u32, digits: u32| (n >> shift) & ((1_u128 << (digits * 4)) - 1);
    format!(
        "{:08X}-{:04X}-{:04X}-{:04X}-{:012X}",
        part(96, 8),
        part(80, 4),
        part(64, 4),
        part(48, 4),
        part(0, 12)
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn uuids_are_dashed() {
        let uuid = std::array::from_fn(|i| u8::try_from(i * 17).unwrap());
        assert_eq!(super::dashed(uuid), "00112233-4455-6677-8899-AABBCCDDEEFF");
    }
}
