//! What is written here, held against the testkit, which shares no code with this crate.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::num::NonZeroU32;
use std::ops::ControlFlow;

use bkp_core::ProtectionClass;
use bkp_crypto::{
    CbcWriter, FileKey, KdfParams, KdfProgress, Keybag, Passphrase, Pbkdf2, Reissue,
    encrypt_in_place,
};
use bkp_testkit::{ClassRecord, cbc_encrypt, passcode_key, wrap_key};

fn silent(_: KdfProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The twin's keybag of these keys under this password.
fn twin(password: &str, salt: u8, outer: Option<u32>, classes: &[u32]) -> bkp_testkit::Keybag {
    let (salt, iterations) = ([salt; 20], 3);
    let double_protection = outer.map(|rounds| (rounds, [0x77; 20]));
    let double = double_protection.as_ref().map(|(rounds, salt)| (*rounds, &salt[..]));
    let key = passcode_key(password.as_bytes(), &salt, iterations, double);
    let record = |&class: &u32| {
        let byte = u8::try_from(class).unwrap();
        ClassRecord {
            uuid: [byte; 16],
            class,
            wrap: if class == 5 || class > 8 { 3 } else { 2 },
            key_type: 0,
            wrapped: wrap_key(&key, &[byte ^ 0x5a; 32]).to_vec(),
        }
    };
    let records = classes.iter().map(record).collect();
    let (version, bag_type, uuid) = (5, 1, *b"0123456789abcdef");
    bkp_testkit::Keybag { version, bag_type, uuid, salt, iterations, double_protection, records }
}

fn params(salt: u8, outer: Option<u32>) -> KdfParams {
    let stage = |salt: u8, rounds| Pbkdf2 {
        salt: vec![salt; 20],
        rounds: NonZeroU32::new(rounds).unwrap(),
    };
    KdfParams { inner: stage(salt, 3), outer: outer.map(|rounds| stage(0x77, rounds)) }
}

/// The same keys under another password are the same bytes, whoever wrote them.
#[test]
fn a_new_password_gives_the_bytes_of_the_twin() {
    let up: Vec<_> = (1..=11).collect();
    let down: Vec<_> = (1..=11).rev().collect();
    for classes in [&up, &down] {
        for (from, to) in [(None, None), (None, Some(2)), (Some(4), None), (Some(4), Some(2))] {
            let old = twin("old", 1, from, classes).encode();
            let keybag = Keybag::parse(&old).unwrap();
            assert_eq!(keybag.to_bytes(), old);
            let keys = keybag.unlock(&Passphrase::new("old".into()), 100, &mut silent).unwrap();
            let (made, _) = keybag
                .reissue(
                    &keys,
                    &Reissue::new(params(2, to)),
                    &Passphrase::new("nëw".into()),
                    &mut silent,
                )
                .unwrap();
            assert_eq!(made.to_bytes(), twin("nëw", 2, to, classes).encode());
        }
    }
}

/// A file key in the form of a catalog, and a payload, as the twin makes them.
#[test]
fn keys_and_payloads_are_those_of_the_twin() {
    let keybag = Keybag::parse(&twin("x", 1, None, &[1, 2, 3, 4]).encode()).unwrap();
    let keys = keybag.unlock(&Passphrase::new("x".into()), 100, &mut silent).unwrap();
    let bytes = [0xc3; 32];
    let key = FileKey::init(|key| *key = bytes);
    for class in 1..=4_u8 {
        let mut expected = vec![class, 0, 0, 0];
        expected.extend(wrap_key(&[class ^ 0x5a; 32], &bytes));
        let wrapped = keys.wrap(ProtectionClass(class.into()), &key).unwrap();
        assert_eq!(wrapped.to_bytes()[..], expected);
    }
    for len in [0, 1, 15, 16, 17, 100_000] {
        let plain: Vec<_> = (0..len).map(|at: u32| at.to_le_bytes()[0] ^ 0x11).collect();
        let expected = cbc_encrypt(&bytes, &plain, true);
        let mut writer = CbcWriter::new(Vec::new(), &key);
        std::io::Write::write_all(&mut writer, &plain).unwrap();
        assert!(writer.finish().unwrap() == expected, "{len} bytes");
        let mut payload = plain;
        encrypt_in_place(&key, &mut payload);
        assert!(payload == expected, "{len} bytes");
    }
}
