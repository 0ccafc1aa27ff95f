//! `keychain-backup.plist`, with a GCM of its own. Source: FORMAT.md 4, NIST SP 800-38D.

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};

use crate::cipher::wrap_key;
use crate::device::uuid_text;
use crate::{BundleSpec, EntrySpec, PlistValue, Seed, binary_plist, xml_plist};

/// A keychain to write.
#[derive(Clone, Debug, Default)]
pub struct KeychainSpec {
    /// The items; each table has them in this order, from index 0.
    pub items: Vec<KeychainItem>,
    /// `keybag-uuid` in place of the right one; empty for none, as before iOS 10.
    pub keybag_uuid: Option<String>,
    /// Keys to add to the root.
    pub extra: Vec<(String, PlistValue)>,
    /// Whether the file is XML. Devices write the binary form.
    pub xml: bool,
}

/// One item to write.
#[derive(Clone, Debug)]
pub struct KeychainItem {
    /// The table: `genp`, `inet`, `cert` or `keys`.
    pub table: String,
    /// The protection class, 6 to 11 on devices.
    pub class: u32,
    /// The version: 3 seals DER, and 2 a property list.
    pub version: u32,
    /// Names and values, the secret under `v_Data`. Of the values, text, data, integers, dates and
    /// booleans can be written.
    pub attributes: Vec<(String, PlistValue)>,
    /// `v_PersistentRef`; `None` for one of twelve bytes.
    pub reference: Option<Vec<u8>>,
    /// What becomes of the item.
    pub sealing: Sealing,
}

/// What becomes of an item.
#[derive(Clone, Debug)]
pub enum Sealing {
    /// As a device does it.
    Device,
    /// The byte at this place of `v_Data` is changed.
    Flipped(usize),
    /// The first bytes of `v_Data`.
    CutTo(usize),
    /// The item is sealed as it should be, and holds these bytes.
    Plaintext(Vec<u8>),
    /// `v_Data` is these bytes.
    Bytes(Vec<u8>),
    /// There is no `v_Data`.
    Omitted,
}

impl KeychainItem {
    /// A generic password of an app.
    pub fn password(
        class: u32,
        service: impl Into<String>,
        account: impl Into<String>,
        secret: impl Into<Vec<u8>>,
    ) -> Self {
        let date = PlistValue::Date(1_716_024_600);
        let attributes = vec![
            ("acct".into(), PlistValue::text(account)),
            ("agrp".into(), PlistValue::text("com.example.app")),
            ("cdat".into(), date.clone()),
            ("mdat".into(), date),
            ("musr".into(), PlistValue::Data(Vec::new())),
            ("pdmn".into(), PlistValue::text("ak")),
            ("svce".into(), PlistValue::text(service)),
            ("sync".into(), PlistValue::Int(0)),
            ("tomb".into(), PlistValue::Int(0)),
            ("v_Data".into(), PlistValue::Data(secret.into())),
        ];
        Self {
            table: "genp".into(),
            class,
            version: 3,
            attributes,
            reference: None,
            sealing: Sealing::Device,
        }
    }

    /// Changes some of it, in one expression.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Returns `v_Data`, or nothing when there is to be none.
    ///
    /// # Panics
    ///
    /// When an attribute is of a kind that cannot be written, or a byte that is not there is to
    /// be changed.
    #[must_use]
    pub fn v_data(&self, seed: Seed, label: &str) -> Option<Vec<u8>> {
        let Self { class, version, attributes, sealing, .. } = self;
        let plaintext = match sealing {
            Sealing::Omitted => return None,
            Sealing::Bytes(bytes) => return Some(bytes.clone()),
            Sealing::Plaintext(bytes) => bytes.clone(),
            _ if *version == 2 => binary_plist(&PlistValue::Dict(attributes.clone())),
            _ => der_set(attributes),
        };
        let key: [u8; 32] = seed.bytes(format!("keychain item key {label}"));
        let class_key: [u8; 32] = seed.bytes(format!("class key {class}"));
        let mut out = Vec::new();
        for number in [*version, *class, 40] {
            out.extend(number.to_le_bytes());
        }
        out.extend(wrap_key(&class_key, &key));
        out.extend(gcm_empty_iv(&key, &plaintext));
        match sealing {
            Sealing::Flipped(at) => out[*at] ^= 1,
            Sealing::CutTo(len) => out.truncate(*len),
            _ => {}
        }
        Some(out)
    }
}

impl KeychainSpec {
    /// Returns the file for a bundle.
    ///
    /// # Panics
    ///
    /// As [`KeychainItem::v_data`] does.
    #[must_use]
    pub fn contents(&self, spec: &BundleSpec) -> Vec<u8> {
        let Self { items, keybag_uuid, extra, xml } = self;
        let uuid = match keybag_uuid {
            None => uuid_text(&spec.keybag_uuid()).to_lowercase(),
            Some(uuid) => uuid.clone(),
        };
        let mut root = Vec::new();
        if !uuid.is_empty() {
            root.push(("keybag-uuid".to_owned(), PlistValue::text(uuid)));
        }
        for table in ["genp", "inet", "cert", "keys"] {
            let members: Vec<_> = items
                .iter()
                .enumerate()
                .filter(|(_, item)| item.table == table)
                .map(|(row, item)| {
                    let mut reference = table.as_bytes().to_vec();
                    reference.extend((row as u64).to_be_bytes());
                    let reference = item.reference.clone().unwrap_or(reference);
                    let v_data = item.v_data(Seed(spec.seed), &row.to_string());
                    let v_data = v_data.map(|bytes| ("v_Data", PlistValue::Data(bytes)));
                    let reference = ("v_PersistentRef", PlistValue::Data(reference));
                    PlistValue::dict(v_data.into_iter().chain([reference]))
                })
                .collect();
            // A device leaves out a table without items.
            if !members.is_empty() {
                root.push((table.to_owned(), PlistValue::Array(members)));
            }
        }
        root.extend(extra.iter().cloned());
        let root = PlistValue::Dict(root);
        if *xml { xml_plist(&root) } else { binary_plist(&root) }
    }

    /// Returns the entry for a bundle, as devices write it: class 1, read by its owner alone.
    ///
    /// # Panics
    ///
    /// As [`KeychainItem::v_data`] does.
    #[must_use]
    pub fn entry(&self, spec: &BundleSpec) -> EntrySpec {
        EntrySpec::file("KeychainDomain", "keychain-backup.plist", self.contents(spec)).with(
            |entry| {
                entry.mode = Some(0o100_400);
                entry.uid = Some(0);
                entry.gid = Some(0);
                entry.class = Some(1);
            },
        )
    }
}

/// Encodes attributes as a DER SET of SEQUENCEs, in the order they have.
fn der_set(attributes: &[(String, PlistValue)]) -> Vec<u8> {
    let pair = |(name, value): &(String, PlistValue)| {
        let value = match value {
            PlistValue::Text(text) => element(0x0c, text.as_bytes()),
            PlistValue::Data(bytes) => element(0x04, bytes),
            PlistValue::Int(value) => element(0x02, &value.to_be_bytes()),
            PlistValue::Date(seconds) => element(0x18, time(*seconds).as_bytes()),
            PlistValue::Bool(value) => element(0x01, &[if *value { 0xff } else { 0 }]),
            other => panic!("{other:?} has no form in DER here"),
        };
        element(0x30, &[element(0x0c, name.as_bytes()), value].concat())
    };
    element(0x31, &attributes.iter().flat_map(pair).collect::<Vec<u8>>())
}

fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = value.len().to_be_bytes();
    let first = len.iter().position(|&byte| byte != 0).unwrap_or(len.len() - 1);
    let digits = &len[first..];
    let mut out = vec![tag];
    match digits {
        [short @ 0..=0x7f] => out.push(*short),
        _ => {
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(0x7f));
            out.extend(digits);
        }
    }
    out.extend(value);
    out
}

/// Spells a Unix time from 1970 on as a GeneralizedTime with half a second more. One year after
/// the other, one month after the other.
fn time(seconds: i64) -> String {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for len in [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{:02}{hour:02}{minute:02}{second:02}.5Z", days + 1)
}

/// Encrypts with AES-256-GCM, no additional data and an IV of length zero. Returns the ciphertext
/// and the tag.
///
/// By the letter: GHASH one bit at a time.
#[must_use]
pub fn gcm_empty_iv(key: &[u8; 32], plaintext: &[u8]) -> Vec<u8> {
    let cipher = Aes256Enc::new(key.into());
    let encrypt = |counter: u128| {
        let mut block = counter.to_be_bytes().into();
        cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    };
    let hash_key = encrypt(0);
    let mut out = Vec::new();
    let mut hash = 0;
    for (n, block) in (1..).zip(plaintext.chunks(16)) {
        let stream = encrypt(n).to_be_bytes();
        let mut sealed = [0; 16];
        for ((to, from), mask) in sealed.iter_mut().zip(block).zip(stream) {
            *to = from ^ mask;
        }
        out.extend(&sealed[..block.len()]);
        hash = multiply(hash ^ u128::from_be_bytes(sealed), hash_key);
    }
    let bits = plaintext.len() as u128 * 8;
    hash = multiply(hash ^ bits, hash_key);
    // The first counter block is GHASH of a block of zeros, which is zero.
    out.extend((hash ^ encrypt(0)).to_be_bytes());
    out
}

/// Multiplies in GF(2^128). Source: NIST SP 800-38D 6.3.
fn multiply(x: u128, y: u128) -> u128 {
    let (mut z, mut v) = (0, y);
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            z ^= v;
        }
        v = if v & 1 == 1 { v >> 1 ^ 0xe1 << 120 } else { v >> 1 };
    }
    z
}

#[cfg(test)]
mod tests {
    use super::{KeychainItem, element, gcm_empty_iv, time};
    use crate::{PlistValue, Seed, hex};

    /// Wycheproof, aes_gcm, tests 315 and 316: an IV of length zero.
    #[test]
    fn gcm_of_the_empty_iv() {
        for (key, plain, sealed) in [
            (
                "3f8ca47b9a940582644e8ecf9c2d44e8138377a8379c5c11aafe7fec19856cf1",
                "",
                "1726aa695fbaa21a1db88455c670a4b0",
            ),
            (
                "7660d10966c6503903a552dde2a809ede9da490e5e5cc3e349da999671809883",
                "c314235341debfafa1526bb61044a7f1",
                "7772ea358901f571d3d35c19497639d98fe0520ad744a11f0ccfd228454363fa",
            ),
        ] {
            let unhex = |text: &str| -> Vec<u8> {
                let pairs = text.as_bytes().chunks_exact(2);
                pairs
                    .map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap())
                    .collect()
            };
            let key: [u8; 32] = unhex(key).try_into().unwrap();
            assert_eq!(hex(&gcm_empty_iv(&key, &unhex(plain))), sealed);
        }
    }

    #[test]
    fn times_and_lengths() {
        // From `date -u -d @... +%Y%m%d%H%M%S`.
        assert_eq!(time(0), "19700101000000.5Z");
        assert_eq!(time(951_782_400), "20000229000000.5Z");
        assert_eq!(time(1_716_024_600), "20240518093000.5Z");
        assert_eq!(element(4, &[7; 127])[..2], [4, 127]);
        assert_eq!(element(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(element(4, &[7; 256])[..4], [4, 0x82, 1, 0]);
        assert_eq!(element(5, &[]), [5, 0]);
    }

    #[test]
    fn an_item_has_its_parts() {
        let item = KeychainItem::password(6, "service", "account", "secret");
        let v_data = item.v_data(Seed(1), "0").unwrap();
        assert_eq!(v_data[..12], [3, 0, 0, 0, 6, 0, 0, 0, 40, 0, 0, 0]);
        let plain = super::der_set(&item.attributes);
        assert_eq!(v_data.len(), 12 + 40 + plain.len() + 16);
        assert!(plain.windows(6).any(|part| part == b"secret"));
        assert!(!v_data.windows(6).any(|part| part == b"secret"));
        let other = item.with(|item| item.attributes.push(("x".into(), PlistValue::Int(1))));
        assert!(other.v_data(Seed(1), "0").unwrap().len() > v_data.len());
    }
}
