use std::num::NonZeroU32;
use std::ops::ControlFlow;

use sha2::Digest as _;

use super::{Compress, KdfParams, KdfProgress, Pbkdf2, STRIDE, Sha1, Sha256, pbkdf2};
use crate::testing::{Random, bytes, hex, silent, text, unhex, unhex32, vectors, wycheproof};
use crate::{Cancelled, DEFAULT_KDF_LIMIT, Keybag, Passphrase, PassphraseKey};

fn ours<H: Compress<W>, const W: usize>(
    secret: &[u8],
    salt: &[u8],
    rounds: u32,
    len: usize,
) -> Vec<u8> {
    let mut out = vec![0xAA; len];
    let mut ticked = 0;
    pbkdf2::<H, W>(secret, salt, NonZeroU32::new(rounds).unwrap(), &mut out, &mut |n| {
        assert!(n <= STRIDE);
        ticked += u64::from(n);
        Ok(())
    })
    .unwrap();
    assert_eq!(ticked, u64::from(rounds) * len.div_ceil(4 * W) as u64);
    out
}

fn stage(salt: &[u8], rounds: u32) -> Pbkdf2 {
    Pbkdf2 { salt: salt.to_vec(), rounds: NonZeroU32::new(rounds).unwrap() }
}

/// Tells keys apart as their users may.
fn fingerprint(key: &[u8; 32]) -> [u8; 32] {
    sha2::Sha256::digest(key).into()
}

/// RFC 7914 section 11.
#[test]
fn rfc_7914_pbkdf2_hmac_sha_256() {
    for (secret, salt, rounds, derived) in [
        (
            "passwd",
            "salt",
            1,
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
             49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
        ),
        (
            "Password",
            "NaCl",
            80_000,
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56\
             a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d",
        ),
    ] {
        let out = ours::<Sha256, 8>(secret.as_bytes(), salt.as_bytes(), rounds, 64);
        assert_eq!(hex(&out), derived);
    }
}

/// RFC 6070 section 2.
#[test]
fn rfc_6070_pbkdf2_hmac_sha_1() {
    for (secret, salt, rounds, derived) in [
        ("password", "salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
        ("password", "salt", 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
        ("password", "salt", 4096, "4b007901b765489abead49d926f721d065a429c1"),
        (
            "passwordPASSWORDpassword",
            "saltSALTsaltSALTsaltSALTsaltSALTsalt",
            4096,
            "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
        ),
        ("pass\0word", "sa\0lt", 4096, "56fa6aa75548099dcc37d7f03425e0c3"),
    ] {
        let out = ours::<Sha1, 5>(secret.as_bytes(), salt.as_bytes(), rounds, derived.len() / 2);
        assert_eq!(hex(&out), derived);
    }
}

#[test]
fn wycheproof_as_labelled() {
    let run = |file: &str, count: usize, derive: fn(&[u8], &[u8], u32, usize) -> Vec<u8>| {
        let Some(file) = vectors(file) else { return };
        let mut passed = 0;
        for (_, test) in wycheproof(&file) {
            assert_eq!(text(test, "result"), "valid", "{}", test["tcId"]);
            let rounds = u32::try_from(test["iterationCount"].as_u64().unwrap()).unwrap();
            let dk = bytes(test, "dk");
            assert_eq!(Some(dk.len() as u64), test["dkLen"].as_u64());
            let out = derive(&bytes(test, "password"), &bytes(test, "salt"), rounds, dk.len());
            assert_eq!(hex(&out), hex(&dk), "{}", test["tcId"]);
            passed += 1;
        }
        assert_eq!(passed, count);
    };
    run("wycheproof/pbkdf2_hmacsha1_test.json", 64, ours::<Sha1, 5>);
    run("wycheproof/pbkdf2_hmacsha256_test.json", 60, ours::<Sha256, 8>);
}

/// Every length around the edges of a block, for the passphrase and for the salt.
#[test]
fn agrees_with_the_pbkdf2_crate() {
    let mut random = Random::new(1);
    let mut compared = 0;
    let mut compare = |secret: &[u8], salt: &[u8], rounds: u32, len: usize| {
        let mut theirs = vec![0; len];
        ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>(secret, salt, rounds, &mut theirs);
        assert_eq!(ours::<Sha256, 8>(secret, salt, rounds, len), theirs);
        ::pbkdf2::pbkdf2_hmac::<sha1::Sha1>(secret, salt, rounds, &mut theirs);
        assert_eq!(ours::<Sha1, 5>(secret, salt, rounds, len), theirs);
        compared += 1;
    };
    for secret in 0..=130 {
        compare(&random.bytes(secret), &random.bytes(20), 3, 32);
    }
    for salt in 0..=130 {
        compare(&random.bytes(9), &random.bytes(salt), 2, 32);
    }
    for _ in 0..200 {
        let (secret, salt) = (random.below(300), random.below(300));
        let (rounds, len) = (1 + random.below(60), 1 + random.below(100));
        let (secret, salt) = (random.bytes(secret), random.bytes(salt));
        compare(&secret, &salt, u32::try_from(rounds).unwrap(), len);
    }
    assert_eq!(compared, 462);
}

/// The stages meet as they should: the second takes the first one's 32 bytes.
#[test]
fn two_stages_are_one_after_the_other() {
    let secret = "correct horse";
    let mut outer = [0; 32];
    ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>(secret.as_bytes(), b"outer salt", 7, &mut outer);
    let mut key = [0; 32];
    ::pbkdf2::pbkdf2_hmac::<sha1::Sha1>(&outer, b"inner salt", 5, &mut key);
    let kdf = KdfParams { outer: Some(stage(b"outer salt", 7)), inner: stage(b"inner salt", 5) };
    let derived = kdf.derive(&Passphrase::new(secret.into()), &mut silent).unwrap();
    assert_eq!(derived.fingerprint(), fingerprint(&key));

    ::pbkdf2::pbkdf2_hmac::<sha1::Sha1>(secret.as_bytes(), b"inner salt", 5, &mut key);
    let kdf = KdfParams { outer: None, ..kdf };
    let derived = kdf.derive(&Passphrase::new(secret.into()), &mut silent).unwrap();
    assert_eq!(derived.fingerprint(), fingerprint(&key));
}

fn watch(
    kdf: &KdfParams,
    stop_at: Option<usize>,
) -> (Result<PassphraseKey, Cancelled>, Vec<KdfProgress>) {
    let mut seen = Vec::new();
    let result = kdf.derive(&Passphrase::empty(), &mut |progress| {
        seen.push(progress);
        if stop_at == Some(seen.len()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (result, seen)
}

#[test]
fn progress_counts_both_stages_and_reaches_the_end() {
    for (outer, inner) in [
        (Some(120_001), 70_003),
        (Some(1), 1),
        (Some(50_000), 50_001),
        (None, 150_000),
        (None, 99_999),
        (None, 1),
    ] {
        let kdf =
            KdfParams { outer: outer.map(|rounds| stage(b"a", rounds)), inner: stage(b"b", inner) };
        let total = u64::from(outer.unwrap_or(0)) + u64::from(inner);
        let (result, seen) = watch(&kdf, None);
        assert!(result.is_ok());
        assert_eq!(seen.first(), Some(&KdfProgress { done: 0, total }));
        assert_eq!(seen.last(), Some(&KdfProgress { done: total, total }));
        for pair in seen.windows(2) {
            let step = pair[1].done.checked_sub(pair[0].done).unwrap();
            assert!(step <= u64::from(STRIDE), "{pair:?}");
            assert_eq!(pair[1].total, total);
        }
    }
}

#[test]
fn a_derivation_stops_wherever_it_is_asked_to() {
    let kdf = KdfParams { outer: Some(stage(b"a", 100_001)), inner: stage(b"b", 60_000) };
    let calls = watch(&kdf, None).1.len();
    assert_eq!(calls, 10, "1 at the start, 4 of the first stage, twice 3 - 1 of the second");
    for stop_at in 1..=calls {
        let (result, seen) = watch(&kdf, Some(stop_at));
        assert!(matches!(result, Err(Cancelled)));
        assert_eq!(seen.len(), stop_at, "nothing is done after the request");
    }
}

/// Published hashes with known passwords, one of them with the rounds of a real device.
#[test]
fn published_keybag_hashes_open() {
    let Some(file) = vectors("keybag_password_vectors.json") else { return };
    let mut opened = 0;
    let mut most = 0;
    for vector in file.as_array().unwrap() {
        let fields: Vec<_> = text(vector, "hash").split('*').collect();
        let [_, kind, wpky, iter, salt, dpic, dpsl] = fields[..] else { panic!("{fields:?}") };
        let iter = iter.parse::<u32>().unwrap().to_be_bytes();
        let (wpky, salt, dpsl) = (unhex(wpky), unhex(salt), unhex(dpsl));
        let dpic = dpic.parse::<u32>().map(u32::to_be_bytes);
        let mut items = vec![("UUID", &[0; 16][..]), ("SALT", &salt), ("ITER", &iter)];
        if kind == "10" {
            items.extend([("DPIC", &dpic.as_ref().unwrap()[..]), ("DPSL", &dpsl)]);
        }
        items.extend([
            ("UUID", &[1; 16][..]),
            ("CLAS", &[0, 0, 0, 11]),
            ("WRAP", &[0, 0, 0, 2]),
            ("WPKY", &wpky),
        ]);
        let keybag = Keybag::parse(&crate::testing::items(items)).unwrap();
        most = most.max(keybag.kdf().rounds());
        let password = Passphrase::new(text(vector, "password").into());
        let key = keybag.derive(&password, DEFAULT_KDF_LIMIT, &mut silent).unwrap();
        let passcode_key = unhex32(text(vector, "passcode_key"));
        assert_eq!(key.fingerprint(), fingerprint(&passcode_key), "{vector}");
        let keys = keybag.open(&key).unwrap();
        let class_key = keys.class_key(bkp_core::ProtectionClass(11)).unwrap();
        assert_eq!(class_key.fingerprint(), fingerprint(&unhex32(text(vector, "class_key"))));
        opened += 1;
    }
    assert_eq!((opened, most), (4, 10_010_000));
}
