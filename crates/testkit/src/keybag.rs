//! The keybag: class keys wrapped under a key made from the password. Source: FORMAT.md 3.

use std::collections::BTreeMap;

use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::Sha256;

use crate::cipher::wrap_key;
use crate::{Encryption, Seed};

/// In which order the class records stand; both are real.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeybagOrder {
    /// Class 1 first.
    Ascending,
    /// Class 11 first.
    Descending,
}

/// What of a keybag does not follow from the password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeybagShape {
    /// The order of the records.
    pub order: KeybagOrder,
    /// VERS: 3 on iOS 9, 5 on iOS 13 and newer.
    pub version: u32,
    /// TYPE: 1 in a backup.
    pub bag_type: u32,
    /// Rounds of PBKDF2-HMAC-SHA1 of the bag of an unencrypted backup. An encrypted one takes
    /// them from its [`Encryption`].
    pub plain_iterations: u32,
}

/// A keybag before it is encoded. Every field is free, so that a test can make it wrong.
#[derive(Clone, Debug)]
pub struct Keybag {
    /// VERS.
    pub version: u32,
    /// TYPE.
    pub bag_type: u32,
    /// UUID of the bag.
    pub uuid: [u8; 16],
    /// SALT.
    pub salt: [u8; 20],
    /// ITER.
    pub iterations: u32,
    /// DPIC and DPSL, since iOS 10.2 when encrypted.
    pub double_protection: Option<(u32, [u8; 20])>,
    /// The classes, in file order.
    pub records: Vec<ClassRecord>,
}

/// One class of a keybag.
#[derive(Clone, Debug)]
pub struct ClassRecord {
    /// UUID of the record.
    pub uuid: [u8; 16],
    /// CLAS.
    pub class: u32,
    /// WRAP: 2 password alone, 3 password and device.
    pub wrap: u32,
    /// KTYP: 0 AES.
    pub key_type: u32,
    /// WPKY.
    pub wrapped: Vec<u8>,
}

/// Derives the key that unwraps the class keys. Source: FORMAT.md 3.1.
///
/// Without double protection K = PBKDF2-HMAC-SHA1(password, salt, iterations, 32). With it the
/// password is first replaced by PBKDF2-HMAC-SHA256(password, DPSL, DPIC, 32).
#[must_use]
pub fn passcode_key(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    double_protection: Option<(u32, &[u8])>,
) -> [u8; 32] {
    let mut first = [0; 32];
    let password = match double_protection {
        Some((rounds, salt)) => {
            pbkdf2_hmac::<Sha256>(password, salt, rounds, &mut first);
            &first[..]
        }
        None => password,
    };
    let mut key = [0; 32];
    pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut key);
    key
}

/// A keybag with the keys inside it.
#[derive(Debug)]
pub(crate) struct FilledKeybag {
    pub(crate) bag: Keybag,
    pub(crate) passcode_key: [u8; 32],
    pub(crate) class_keys: BTreeMap<u32, [u8; 32]>,
}

impl Keybag {
    /// Makes the bag of a backup: eleven classes, keys from the seed.
    pub(crate) fn fill(
        seed: Seed,
        encryption: Option<&Encryption>,
        shape: KeybagShape,
    ) -> FilledKeybag {
        let salt: [u8; 20] = seed.bytes("keybag SALT");
        let dpsl: [u8; 20] = seed.bytes("keybag DPSL");
        let (password, iterations, double_protection) = match encryption {
            Some(Encryption { password, dpic, iterations }) => {
                (password.as_str(), *iterations, dpic.map(|rounds| (rounds, dpsl)))
            }
            // An unencrypted backup has a bag too, under the empty password.
            None => ("", shape.plain_iterations, None),
        };
        let passcode_key = passcode_key(
            password.as_bytes(),
            &salt,
            iterations,
            double_protection.as_ref().map(|(rounds, salt)| (*rounds, salt.as_slice())),
        );
        let class_keys: BTreeMap<u32, [u8; 32]> =
            (1..=11).map(|class| (class, seed.bytes(format!("class key {class}")))).collect();
        let mut records: Vec<_> = class_keys
            .iter()
            .map(|(&class, key)| ClassRecord {
                uuid: seed.uuid(format!("class UUID {class}")),
                class,
                wrap: wrap_of(class, encryption.is_some()),
                key_type: 0,
                wrapped: wrap_key(&passcode_key, key).to_vec(),
            })
            .collect();
        if shape.order == KeybagOrder::Descending {
            records.reverse();
        }
        let bag = Self {
            version: shape.version,
            bag_type: shape.bag_type,
            uuid: seed.uuid("keybag UUID"),
            salt,
            iterations,
            double_protection,
            records,
        };
        FilledKeybag { bag, passcode_key, class_keys }
    }

    /// Encodes the bag: tag, length, value, all numbers big-endian.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, b"VERS", self.version);
        put_number(&mut out, b"TYPE", self.bag_type);
        put(&mut out, b"UUID", &self.uuid);
        put(&mut out, b"HMCK", &[0; 40]);
        put_number(&mut out, b"WRAP", 0);
        put(&mut out, b"SALT", &self.salt);
        put_number(&mut out, b"ITER", self.iterations);
        if let Some((rounds, salt)) = &self.double_protection {
            put_number(&mut out, b"DPWT", 1);
            put_number(&mut out, b"DPIC", *rounds);
            put(&mut out, b"DPSL", salt);
        }
        for ClassRecord { uuid, class, wrap, key_type, wrapped } in &self.records {
            put(&mut out, b"UUID", uuid);
            put_number(&mut out, b"CLAS", *class);
            put_number(&mut out, b"WRAP", *wrap);
            put_number(&mut out, b"KTYP", *key_type);
            put(&mut out, b"WPKY", wrapped);
        }
        out
    }
}

/// Says which classes hide behind the device's own key as well (FORMAT.md 3, table of WRAP).
fn wrap_of(class: u32, encrypted: bool) -> u32 {
    let password_alone = match class {
        1..=4 => true,
        6..=8 => encrypted,
        _ => false,
    };
    if password_alone { 2 } else { 3 }
}

fn put(out: &mut Vec<u8>, tag: &[u8; 4], value: &[u8]) {
    let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
    out.extend(tag);
    out.extend(len.to_be_bytes());
    out.extend(value);
}

fn put_number(out: &mut Vec<u8>, tag: &[u8; 4], value: u32) {
    put(out, tag, &value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::{Keybag, KeybagOrder, KeybagShape, passcode_key};
    use crate::{Encryption, Seed, hex};

    const SHAPE: KeybagShape = KeybagShape {
        order: KeybagOrder::Ascending,
        version: 5,
        bag_type: 1,
        plain_iterations: 10,
    };

    // RFC 6070: P = "password", S = "salt", c = 4096; the first 20 bytes are the RFC's.
    #[test]
    fn one_stage_rfc6070() {
        let key = passcode_key(b"password", b"salt", 4096, None);
        assert_eq!(hex(&key[..20]), "4b007901b765489abead49d926f721d065a429c1");
    }

    /// Real key bags with known passwords, one with a device's 10,000,000 rounds. The hash has
    /// the form `$itunes_backup$*version*WPKY*ITER*SALT*DPIC*DPSL`.
    #[test]
    fn known_passwords() {
        let Ok(data) = std::env::var("BKP_SHARED_DATA") else {
            println!("skipped: BKP_SHARED_DATA is not set");
            return;
        };
        let path = std::path::Path::new(&data).join("vectors/keybag_password_vectors.json");
        let vectors: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let vectors = vectors.as_array().unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            let text = |key: &str| vector[key].as_str().unwrap();
            let hash: Vec<&str> = text("hash").split('*').collect();
            let bytes = |n: usize| -> Vec<u8> {
                let pairs = hash[n].as_bytes().chunks_exact(2);
                pairs
                    .map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap())
                    .collect()
            };
            let dpsl = bytes(6);
            let double = (!dpsl.is_empty()).then(|| (hash[5].parse().unwrap(), &dpsl[..]));
            let key = passcode_key(
                text("password").as_bytes(),
                &bytes(4),
                hash[3].parse().unwrap(),
                double,
            );
            assert_eq!(hex(&key), text("passcode_key"), "{}", text("source"));
            let mut class_key = [0; 32];
            for (byte, pair) in
                class_key.iter_mut().zip(text("class_key").as_bytes().chunks_exact(2))
            {
                *byte = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            }
            assert_eq!(crate::wrap_key(&key, &class_key)[..], bytes(2), "{}", text("source"));
        }
    }

    // FORMAT.md 3: 1,336 bytes with 11 classes, 1,388 with double protection.
    #[test]
    fn sizes_are_those_of_a_device() {
        let plain = Keybag::fill(Seed(1), None, SHAPE).bag.encode();
        assert_eq!(plain.len(), 1336);
        let mut encryption = Encryption::new("x");
        encryption.dpic = Some(10);
        encryption.iterations = 10;
        assert_eq!(Keybag::fill(Seed(1), Some(&encryption), SHAPE).bag.encode().len(), 1388);
    }

    #[test]
    fn order_and_wraps() {
        let shape = KeybagShape { order: KeybagOrder::Descending, ..SHAPE };
        let filled = Keybag::fill(Seed(1), None, shape);
        let classes: Vec<_> = filled.bag.records.iter().map(|r| (r.class, r.wrap)).collect();
        assert_eq!(classes[0], (11, 3));
        assert_eq!(classes[5], (6, 3));
        assert_eq!(classes[10], (1, 2));
        assert_eq!(filled.class_keys.len(), 11);
    }
}
