//! Keybags and a catalog of published bundles, through the public API alone.
//!
//! The property lists around them are XML, of which no more is read here than one data element.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail and says so")]

use std::fs;
use std::io::Read as _;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::PathBuf;

use bkp_core::ProtectionClass;
use bkp_crypto::{
    CbcReader, ClassState, DEFAULT_KDF_LIMIT, Ending, FileClasses, FileKey, KdfParams, Keybag,
    Passphrase, Reissue, UnlockError, WrappedFileKey, decrypt_in_place, encrypt_in_place,
};

fn bundle(name: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("BKP_SHARED_DATA") else {
        println!("skipped: BKP_SHARED_DATA is not set, so there is no bundle {name}");
        return None;
    };
    Some(PathBuf::from(root).join("bundles").join(name))
}

/// Returns the data that an XML property list has under a key, by decoding its base64.
fn data(plist: &str, key: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (_, rest) = plist.split_once(&format!("<key>{key}</key>")).unwrap();
    let (_, rest) = rest.split_once("<data>").unwrap();
    let (data, _) = rest.split_once("</data>").unwrap();
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in data.chars().filter_map(|c| DIGITS.find(c)) {
        bits = bits << 6 | u32::try_from(digit).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}

/// A bundle of iOS 10.3 with ten million rounds, down to the bytes of its catalog.
#[test]
fn a_catalog_decrypts() {
    let Some(bundle) = bundle("thirdparty-10.3-encrypted") else { return };
    let manifest = fs::read_to_string(bundle.join("Manifest.plist")).unwrap();
    let keybag = Keybag::parse(&data(&manifest, "BackupKeyBag")).unwrap();
    assert_eq!(keybag.kdf().rounds(), 10_010_000);
    let keys = keybag
        .unlock(&Passphrase::new("0000".into()), DEFAULT_KDF_LIMIT, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(keys.damaged(), []);
    assert_eq!(keybag.to_bytes(), data(&manifest, "BackupKeyBag"));

    let wrapped = WrappedFileKey::parse(&data(&manifest, "ManifestKey")).unwrap();
    assert_eq!(wrapped.class, ProtectionClass(2));
    let key = keys.unwrap(wrapped.class, &wrapped.key).unwrap();

    let mut stored = fs::read(bundle.join("Manifest.db")).unwrap();
    let mut reader = CbcReader::new(&stored[..], &key);
    let mut catalog = Vec::new();
    reader.read_to_end(&mut catalog).unwrap();
    assert!(catalog.starts_with(b"SQLite format 3\0"));
    assert_eq!(reader.ending(), Some(Ending::Unpadded), "its writer does not pad");
    assert_eq!(catalog.len(), stored.len());
    assert_eq!(decrypt_in_place(&key, &mut stored), Ending::Unpadded);
    assert!(stored == catalog);
    let stored_plain = stored;

    // Under another password, with new keys for the classes of files: the catalog's key is
    // wrapped again, and the catalog encrypted again, now with padding.
    let kdf = KdfParams::fresh(NonZeroU32::MIN, Some(NonZeroU32::MIN)).unwrap();
    let spec = Reissue { file_classes: FileClasses::Fresh, ..Reissue::new(kdf) };
    let new = Passphrase::new("a new one".into());
    let (made, _) = keybag.reissue(&keys, &spec, &new, &mut |_| ControlFlow::Continue(())).unwrap();
    let made = Keybag::parse(&made.to_bytes()).unwrap();
    let keys = made.unlock(&new, 2, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(keys.unwrap(wrapped.class, &wrapped.key).is_err(), "the old key is under the old keys");
    let key = FileKey::random().unwrap();
    let stored = keys.wrap(ProtectionClass(4), &key).unwrap().to_bytes();
    encrypt_in_place(&key, &mut catalog);
    let wrapped = WrappedFileKey::parse(&stored).unwrap();
    let key = keys.unwrap(wrapped.class, &wrapped.key).unwrap();
    let mut reader = CbcReader::new(&catalog[..], &key);
    let mut again = Vec::new();
    reader.read_to_end(&mut again).unwrap();
    assert_eq!(reader.ending(), Some(Ending::Padded));
    assert!(again == stored_plain);
}

/// A keybag with a class that has no name, and with its classes in descending order.
#[test]
fn an_odd_class_is_kept() {
    let Some(bundle) = bundle("thirdparty-9.0.1-encrypted-mbdb") else { return };
    let manifest = fs::read_to_string(bundle.join("Manifest.plist")).unwrap();
    let keybag = Keybag::parse(&data(&manifest, "BackupKeyBag")).unwrap();
    assert_eq!(keybag.to_bytes(), data(&manifest, "BackupKeyBag"));
    let classes: Vec<_> = keybag.classes().iter().map(|record| record.class().0).collect();
    assert_eq!(classes, [11, 16, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    let unlock = |password: &str| {
        keybag.unlock(&Passphrase::new(password.into()), DEFAULT_KDF_LIMIT, &mut |_| {
            ControlFlow::Continue(())
        })
    };
    let keys = unlock("0000").unwrap();
    assert_eq!(keys.damaged(), []);
    assert_eq!(keys.state(ProtectionClass(16)), Some(ClassState::DeviceBound));
    assert_eq!(keys.state(ProtectionClass(10)), None);
    assert!((1..=4).all(|class| keys.opens(ProtectionClass(class))));
    assert_eq!(unlock("0001").unwrap_err(), UnlockError::WrongPassphrase { classes: 11 });

    // It stays in its place, under another password as well.
    let spec = Reissue::new(keybag.kdf().clone());
    let new = Passphrase::new("a new one".into());
    let (made, keys) =
        keybag.reissue(&keys, &spec, &new, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(made.classes().iter().map(|record| record.class().0).eq(classes));
    assert_eq!(keys.state(ProtectionClass(16)), Some(ClassState::DeviceBound));
    let old = Passphrase::new("0000".into());
    let (back, _) = made.reissue(&keys, &spec, &old, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(back.to_bytes(), keybag.to_bytes());
}
