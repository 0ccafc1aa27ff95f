use aes_gcm::aead::array::ArraySize;
use aes_gcm::aead::consts::{
    U0, U1, U2, U4, U6, U8, U10, U12, U15, U16, U20, U32, U64, U128, U257,
};
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadInOut as _, AesGcm, KeyInit as _};
use bkp_core::ProtectionClass;

use super::{DEVICE_FORM, ItemForm, ItemKey, SealedItem, SealedItemError};
use crate::keybag::{ClassKeys, Keybag};
use crate::secret::{ClassKey, FileKey, Key as _, PassphraseKey};
use crate::testing::{Random, bytes, hex, items, text, unhex, unhex32, vectors, wycheproof};

/// SHA-256 of "bkp keychain key".
const KEY: &str = "f995f219bcc829360b7a436e18208e55eb774af5e6d4ef0426d9cd5b6f3fbc2c";

/// Plaintext, then ciphertext and tag, under `KEY` with an IV of length zero.
///
/// Made with a script that has GHASH bit by bit, as in NIST SP 800-38D 6.3, and takes AES-ECB from
/// the `openssl` command; for IVs of other lengths the script agreed with OpenSSL's own GCM.
const KNOWN: [(&str, &str); 6] = [
    ("", "2c848ba5adb0869b7830e9dd803d01ce"),
    ("01", "56cfe3de07cad6857961c20dcd9357d1b4"),
    (
        "0f161d242b323940474e555c636a71",
        "58fa5035daee0eb628c7bc98b6055664018906d8ee9d321407f0479e1c93b9",
    ),
    (
        "10171e252c333a41484f565d646b7279",
        "47fb5334ddef0db727c6bf99b1045525c0f66ee980530bebedebb95decfbfb5d",
    ),
    (
        "11181f262d343b424950575e656c737a81",
        "46f45237dce80cb426d9be9ab0035426783ff413cd6100c508837b34c680974a7e",
    ),
    (
        "2f363d444b525960676e757c838a91989fa6adb4bbc2c9d0d7dee5ecf3fa01080f161d242b323940474e555c\
         636a71",
        "78da7055ba8e6e9608e79cb856e5b6c4661833f95892eb4c8aae44419c930a70fe5382bf56549eb8d0efbad1\
         e9e2fe388b392d5de9847de6694bbfa85d8212",
    ),
];

fn open(key: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    let (ciphertext, tag) = sealed.split_last_chunk::<16>().unwrap();
    let key = ItemKey::init(|k| k.copy_from_slice(key));
    key.open(ciphertext, tag).map(|plain| plain.to_vec())
}

#[test]
fn known_answers_of_the_empty_iv() {
    for (plain, sealed) in KNOWN {
        let (key, sealed) = (unhex32(KEY), unhex(sealed));
        assert_eq!(hex(&open(&key, &sealed).unwrap()), plain);
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(open(&key, &changed), None, "byte {at}, bit {bit}");
            }
        }
    }
}

/// Opens a vector with the cipher that items are opened with, but for the length of its IV.
fn open_with<N: ArraySize>(test: &serde_json::Value) -> Option<Vec<u8>> {
    let cipher = AesGcm::<Aes256, N>::new_from_slice(&bytes(test, "key")).unwrap();
    let mut data = bytes(test, "ct");
    let (iv, tag) = (bytes(test, "iv"), bytes(test, "tag"));
    let (iv, tag) = (iv.as_slice().try_into().unwrap(), tag.as_slice().try_into().unwrap());
    let aad = bytes(test, "aad");
    cipher.decrypt_inout_detached(iv, &aad, data.as_mut_slice().into(), tag).ok().map(|()| data)
}

/// Every vector with a key of 256 bits and a tag of 128.
///
/// Those with an IV of length zero are labelled invalid, since the standard forbids it; their
/// values are what the formula gives, and items need just that.
#[test]
fn wycheproof_aes_256_gcm() {
    let Some(file) = vectors("wycheproof/aes_gcm_test.json") else { return };
    let (mut valid, mut invalid, mut empty) = (0, 0, 0);
    for (group, test) in wycheproof(&file) {
        if group["keySize"] != 256 {
            continue;
        }
        assert_eq!(group["tagSize"], 128);
        let message = Some(bytes(test, "msg"));
        let plain = match bytes(test, "iv").len() {
            0 => {
                let sealed = [bytes(test, "ct"), bytes(test, "tag")].concat();
                assert_eq!((text(test, "result"), text(test, "aad")), ("invalid", ""));
                let key = bytes(test, "key").try_into().unwrap();
                assert_eq!(open(&key, &sealed), message, "{}", test["tcId"]);
                assert_eq!(open_with::<U0>(test), message, "{}", test["tcId"]);
                empty += 1;
                continue;
            }
            1 => open_with::<U1>(test),
            2 => open_with::<U2>(test),
            4 => open_with::<U4>(test),
            6 => open_with::<U6>(test),
            8 => open_with::<U8>(test),
            10 => open_with::<U10>(test),
            12 => open_with::<U12>(test),
            15 => open_with::<U15>(test),
            16 => open_with::<U16>(test),
            20 => open_with::<U20>(test),
            32 => open_with::<U32>(test),
            64 => open_with::<U64>(test),
            128 => open_with::<U128>(test),
            257 => open_with::<U257>(test),
            other => panic!("an IV of {other} bytes"),
        };
        if text(test, "result") == "valid" {
            assert_eq!(plain, message, "{}", test["tcId"]);
            valid += 1;
        } else {
            assert_eq!(plain, None, "{}", test["tcId"]);
            invalid += 1;
        }
    }
    assert_eq!((valid, invalid, empty), (76, 27, 2));
}

/// Class keys of one repeated byte each: 6 to 8 usable, 9 to 11 bound to the device, 7 damaged.
fn class_keys() -> ClassKeys {
    let passphrase = PassphraseKey::init(|k| k.fill(0x50));
    let mut bag = items([("VERS", &5_u32.to_be_bytes()[..]), ("UUID", &[0; 16])]);
    bag.extend(items([("SALT", &[1; 20][..]), ("ITER", &[0, 0, 0, 1])]));
    for class in 5..=11_u8 {
        let key = ClassKey::init(|k| k.fill(class));
        let mut wrapped = passphrase.wrap_class(&key).as_bytes().to_vec();
        if class == 7 {
            wrapped[9] ^= 1;
        }
        let wrap = [0, 0, 0, if class > 8 { 3 } else { 2 }];
        let wrap = if class == 5 { [0, 0, 0, 9] } else { wrap };
        let clas = u32::from(class).to_be_bytes();
        bag.extend(items([("UUID", &[class; 16][..]), ("CLAS", &clas), ("WRAP", &wrap)]));
        bag.extend(items([("WPKY", &wrapped[..])]));
    }
    Keybag::parse(&bag).unwrap().open(&passphrase).unwrap()
}

/// An item of the longest known answer.
fn item(version: u32, class: u32) -> Vec<u8> {
    let byte = u8::try_from(class).unwrap();
    let wrapped = ClassKey::init(|k| k.fill(byte))
        .wrap_file(&FileKey::init(|k| k.copy_from_slice(&unhex32(KEY))));
    let mut item = Vec::new();
    for number in [version, class, 40] {
        item.extend_from_slice(&number.to_le_bytes());
    }
    item.extend_from_slice(wrapped.as_bytes());
    item.extend_from_slice(&unhex(KNOWN[5].1));
    item
}

fn open_item(keys: &ClassKeys, item: &[u8]) -> Result<(ItemForm, Vec<u8>), SealedItemError> {
    let plain = SealedItem::parse(item)?.open(keys)?;
    Ok((plain.form(), plain.expose().to_vec()))
}

#[test]
fn items_open_by_class_and_version() {
    let keys = class_keys();
    let plain = unhex(KNOWN[5].0);
    for (version, form) in [(2, ItemForm::PropertyList), (3, ItemForm::Der)] {
        for class in [6, 8] {
            assert_eq!(open_item(&keys, &item(version, class)), Ok((form, plain.clone())));
        }
    }
    for n in [9, 10, 11] {
        let class = ProtectionClass(n);
        assert_eq!(open_item(&keys, &item(3, n)), Err(SealedItemError::DeviceBound { class }));
    }
    for (n, error) in [
        (7, SealedItemError::ClassDamaged { class: ProtectionClass(7) }),
        (5, SealedItemError::Unusable { class: ProtectionClass(5) }),
        (12, SealedItemError::NoSuchClass { class: ProtectionClass(12) }),
    ] {
        assert_eq!(open_item(&keys, &item(3, n)), Err(error));
    }
    for version in [0, 1, 4, 5, 6, 7, 8, 1000] {
        let item = item(version, 6);
        assert_eq!(open_item(&keys, &item), Err(SealedItemError::Version { version }));
        let class = (version <= 6).then_some(ProtectionClass(6));
        assert_eq!(SealedItem::parse(&item).unwrap().class(), class);
    }
    let version = DEVICE_FORM | 3;
    assert_eq!(open_item(&keys, &item(version, 6)), Err(SealedItemError::DeviceForm { version }));
}

#[test]
fn the_length_of_the_wrapped_key_is_checked() {
    let keys = class_keys();
    let with = |len: u32| {
        let mut item = item(3, 6);
        item[8..12].copy_from_slice(&len.to_le_bytes());
        open_item(&keys, &item).unwrap_err()
    };
    for len in [0, 32, 39] {
        assert_eq!(with(len), SealedItemError::ShortKey { len });
    }
    for len in [41, 72, 40 + 47 + 16] {
        assert_eq!(with(len), SealedItemError::LongKey { len });
    }
    let len = item(3, 6).len();
    for long in [40 + 47 + 17, 1 << 20, u32::MAX] {
        assert_eq!(with(long), SealedItemError::Truncated { len });
    }
}

/// Whatever is changed in an item, there is no plaintext; the class may name one that is closed.
#[test]
fn every_changed_bit_and_every_cut_is_an_error() {
    let keys = class_keys();
    for version in [2, 3] {
        let item = item(version, 6);
        let form = open_item(&keys, &item).unwrap().0;
        for at in 0..item.len() {
            for bit in 0..8 {
                let mut changed = item.clone();
                changed[at] ^= 1 << bit;
                match open_item(&keys, &changed) {
                    Err(_) => {}
                    // The version is not authenticated: 2 and 3 differ in how the plaintext is
                    // read, and the reader of the other form refuses it.
                    Ok((other, _)) => {
                        assert_ne!(other, form);
                        assert_eq!((at, bit), (0, 0));
                    }
                }
            }
        }
        for cut in 0..item.len() {
            assert!(open_item(&keys, &item[..cut]).is_err(), "cut to {cut}");
        }
        for extra in [1, 16] {
            let longer = [&item[..], &vec![0; extra]].concat();
            assert_eq!(open_item(&keys, &longer), Err(SealedItemError::Tag));
        }
    }
}

#[test]
fn random_bytes_are_errors() {
    let keys = class_keys();
    let mut random = Random::new(4);
    for _ in 0..20_000 {
        let len = random.below(160);
        let mut item = random.bytes(len);
        for (at, number) in [(0, 3), (4, 6), (8, 40)] {
            if let Some(head) = item.get_mut(at..at + 4)
                && random.below(4) > 0
            {
                head.copy_from_slice(&u32::to_le_bytes(number));
            }
        }
        assert!(open_item(&keys, &item).is_err());
    }
}

#[test]
fn nothing_secret_prints() {
    let keys = class_keys();
    let item = item(3, 6);
    let sealed = SealedItem::parse(&item).unwrap();
    assert_eq!(
        format!("{sealed:?}"),
        "SealedItem { version: 3, class: Some(ProtectionClass(6)), .. }"
    );
    assert_eq!(format!("{:?}", sealed.open(&keys).unwrap()), "ItemPlaintext([redacted])");
}
