use aes_kw::{AesKw, KeyInit as _, KwAes128, KwAes192, KwAes256};
use bkp_core::ProtectionClass;
use sha2::{Digest as _, Sha256};

use super::{WrappedFileKey, WrappedKey};
use crate::secret::{ClassKey, DeviceBoundKey, FileKey, Key, PassphraseKey};
use crate::testing::{bytes, hex, text, unhex, vectors, wycheproof};
use crate::{FileKeyError, IntegrityError};

fn key<K: Key>(bytes: &[u8]) -> K {
    K::init(|k| k.copy_from_slice(bytes))
}

/// RFC 3394 section 4.6: a 256-bit key under a 256-bit key.
const KEK: &str = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
const DATA: &str = "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F";
const WRAPPED: &str =
    "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21";

/// Unwraps and wraps in all three roles, and returns the key when they agree that there is one.
fn unwrap_as_every_role(kek: &[u8], wrapped: [u8; 40]) -> Option<Vec<u8>> {
    let passphrase = key::<PassphraseKey>(kek);
    let class = key::<ClassKey>(kek);
    let opened = [
        passphrase.unwrap_class(&WrappedKey::from_bytes(wrapped)).map(|key| {
            assert_eq!(*passphrase.wrap_class(&key).as_bytes(), wrapped);
            assert_eq!(key.fingerprint(), <[u8; 32]>::from(Sha256::digest(key.expose())));
            *key.expose()
        }),
        passphrase.unwrap_device_bound(&WrappedKey::from_bytes(wrapped)).map(|key| {
            assert_eq!(*passphrase.wrap_device_bound(&key).as_bytes(), wrapped);
            *key.expose()
        }),
        class.unwrap_file(&WrappedKey::from_bytes(wrapped)).map(|key| {
            assert_eq!(*class.wrap_file(&key).as_bytes(), wrapped);
            *key.expose()
        }),
    ];
    assert!(opened[0] == opened[1] && opened[1] == opened[2]);
    opened[0].map(|key| key.to_vec()).ok()
}

#[test]
fn rfc_3394_section_4_6() {
    let (kek, wrapped) = (unhex(KEK), unhex(WRAPPED).try_into().unwrap());
    assert_eq!(unwrap_as_every_role(&kek, wrapped), Some(unhex(DATA)));
}

#[test]
fn any_flipped_bit_is_noticed() {
    let kek = unhex(KEK);
    let wrapped: [u8; 40] = unhex(WRAPPED).try_into().unwrap();
    for bit in 0..320 {
        let mut bad = wrapped;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(unwrap_as_every_role(&kek, bad), None, "bit {bit}");
    }
    for bit in 0..256 {
        let mut bad = kek.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(unwrap_as_every_role(&bad, wrapped), None, "bit {bit} of the wrapping key");
    }
}

/// Unwraps keys of any size with the primitive that the typed keys stand on.
fn primitive(kek: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
    fn run<C>(kek: &AesKw<C>, wrapped: &[u8]) -> Option<Vec<u8>>
    where
        C: aes::cipher::BlockCipherDecrypt<BlockSize = aes::cipher::consts::U16>,
    {
        let mut out = vec![0; wrapped.len().saturating_sub(8)];
        kek.unwrap_key(wrapped, &mut out).ok().map(<[u8]>::to_vec)
    }
    match kek.len() {
        16 => run(&KwAes128::new_from_slice(kek).unwrap(), wrapped),
        24 => run(&KwAes192::new_from_slice(kek).unwrap(), wrapped),
        _ => run(&KwAes256::new_from_slice(kek).unwrap(), wrapped),
    }
}

#[test]
fn rfc_3394_section_4() {
    let Some(file) = vectors("rfc3394.json") else { return };
    let (mut all, mut typed) = (0, 0);
    for vector in file["vectors"].as_array().unwrap() {
        let (kek, data) = (bytes(vector, "kek"), bytes(vector, "key"));
        let wrapped = bytes(vector, "wrapped");
        assert_eq!(primitive(&kek, &wrapped).as_ref(), Some(&data), "{vector}");
        all += 1;
        if let (32, Ok(wrapped)) = (kek.len(), wrapped.try_into()) {
            assert_eq!(unwrap_as_every_role(&kek, wrapped), Some(data));
            typed += 1;
        }
    }
    assert_eq!((all, typed), (6, 1));
}

/// All 165, of which the sixteen of our size go through the typed keys too.
///
/// Nine vectors are of keys shorter than 16 bytes. NIST SP 800-38F has no wrap for those, and
/// `aes-kw` follows RFC 3394's formula beyond where it is defined. Only forty bytes can become a
/// [`WrappedKey`], so such a size is refused before the primitive sees it.
#[test]
fn wycheproof_as_labelled() {
    let Some(file) = vectors("wycheproof/aes_wrap_test.json") else { return };
    let (mut valid, mut invalid, mut short, mut typed) = (0, 0, 0, 0);
    for (_, test) in wycheproof(&file) {
        let (kek, msg, ct) = (bytes(test, "key"), bytes(test, "msg"), bytes(test, "ct"));
        let flags = test["flags"].as_array().unwrap();
        if flags.iter().any(|flag| flag == "ShortKey" || flag == "EmptyKey") {
            assert!(<[u8; 40]>::try_from(ct).is_err() && msg.len() < 16);
            short += 1;
            continue;
        }
        let out = primitive(&kek, &ct);
        match text(test, "result") {
            "valid" => {
                assert_eq!(out.as_ref(), Some(&msg), "{}", test["tcId"]);
                valid += 1;
            }
            "invalid" => {
                assert_eq!(out, None, "{}", test["tcId"]);
                invalid += 1;
            }
            other => panic!("{other}"),
        }
        if let (32, Ok(wrapped)) = (kek.len(), ct.try_into()) {
            let opened = unwrap_as_every_role(&kek, wrapped);
            assert_eq!(opened, (text(test, "result") == "valid").then_some(msg), "{test}");
            typed += 1;
        }
    }
    assert_eq!((valid, invalid, short, typed), (36, 120, 9, 16));
}

#[test]
fn wrapped_file_keys_are_little_endian_and_44_bytes() {
    let mut bytes = unhex("04000000");
    bytes.extend(unhex(WRAPPED));
    let parsed = WrappedFileKey::parse(&bytes).unwrap();
    assert_eq!(parsed.class, ProtectionClass(4));
    assert_eq!(hex(parsed.key.as_bytes()), WRAPPED.to_lowercase());
    assert_eq!(parsed.to_bytes()[..], bytes);
    let file_key = key::<ClassKey>(&unhex(KEK)).unwrap_file(&parsed.key).unwrap();
    assert_eq!(hex(file_key.expose()), DATA.to_lowercase());

    let class = WrappedFileKey { class: ProtectionClass(0x0102_0304), ..parsed };
    assert_eq!(class.to_bytes()[..4], [4, 3, 2, 1]);
    assert_eq!(WrappedFileKey::parse(&class.to_bytes()), Ok(class));

    bytes.push(0);
    for len in (0..=45).filter(|&len| len != 44) {
        assert_eq!(WrappedFileKey::parse(&bytes[..len]), Err(FileKeyError::Length { len }));
    }
}

#[test]
fn wrapped_keys_print_their_role_alone() {
    let text = format!("{:?}", WrappedKey::<DeviceBoundKey>::from_bytes([0x41; 40]));
    assert_eq!(text, "WrappedKey<DeviceBoundKey>(40 bytes)");
    let refused =
        key::<ClassKey>(&[0; 32]).unwrap_file(&WrappedKey::<FileKey>::from_bytes([0; 40]));
    assert!(matches!(refused, Err(IntegrityError)));
}
