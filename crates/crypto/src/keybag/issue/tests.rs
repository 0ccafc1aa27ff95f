use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::ControlFlow;

use bkp_core::ProtectionClass;

use super::{FileClasses, Reissue};
use crate::keybag::tests::{Bag, PASSWORD, class_key, fingerprint, password};
use crate::keybag::{ClassState, Keybag, limits};
use crate::testing::{Random, items, silent, text, unhex, vectors};
use crate::{
    ClassKeys, DEFAULT_KDF_LIMIT, FileKey, FileKeyError, KdfParams, Passphrase, Pbkdf2,
    ReissueError, UnlockError, WrappedFileKey,
};

const OTHER: &str = "battery staple";

/// The salt of the first stage that [`Bag`] has.
const OUTER_SALT: [u8; 20] = [0xa5; 20];

fn phrase(text: &str) -> Passphrase {
    Passphrase::new(text.into())
}

fn rounds(rounds: u32) -> NonZeroU32 {
    NonZeroU32::new(rounds).unwrap()
}

fn params(salt: &[u8], inner: u32, outer: Option<u32>) -> KdfParams {
    KdfParams {
        inner: Pbkdf2 { salt: salt.to_vec(), rounds: rounds(inner) },
        outer: outer.map(|outer| Pbkdf2 { salt: OUTER_SALT.to_vec(), rounds: rounds(outer) }),
    }
}

fn spec(outer: Option<u32>) -> Reissue {
    Reissue::new(params(&[0x33; 20], 2, outer))
}

fn open(keybag: &Keybag, password: &str) -> Result<ClassKeys, UnlockError> {
    keybag.unlock(&phrase(password), DEFAULT_KDF_LIMIT, &mut silent)
}

/// Reissues under the other password, having opened with the usual one.
fn reissue(bag: &Bag, spec: &Reissue) -> Result<(Keybag, ClassKeys), ReissueError> {
    let keybag = bag.parse().unwrap();
    let keys = open(&keybag, PASSWORD).unwrap();
    let made = keybag.reissue(&keys, spec, &phrase(OTHER), &mut silent)?;
    check(&made.0, &made.1, OTHER);
    Ok(made)
}

/// What holds of every keybag that is made: it parses to itself, its password opens it and no
/// other does, and the keys that came with it are those it opens to.
fn check(keybag: &Keybag, keys: &ClassKeys, password: &str) {
    let parsed = Keybag::parse(&keybag.to_bytes()).unwrap();
    assert_eq!(&parsed, keybag);
    assert!(keys.are_of(&parsed));
    let opened = open(&parsed, password).unwrap();
    assert_eq!(opened.damaged(), []);
    assert_eq!(keys.damaged(), []);
    for record in keybag.classes() {
        let class = record.class();
        assert_eq!(keys.state(class), opened.state(class));
        assert_eq!(fingerprints(keys, class), fingerprints(&opened, class));
    }
    let tried = open(&parsed, "wrong").unwrap_err();
    assert!(matches!(tried, UnlockError::WrongPassphrase { .. }));
    let classes: BTreeSet<_> = keybag.classes().iter().map(|record| record.class()).collect();
    assert!(
        (0..20)
            .map(ProtectionClass)
            .all(|class| { keys.state(class).is_some() == classes.contains(&class) })
    );
}

fn fingerprints(keys: &ClassKeys, class: ProtectionClass) -> [Option<[u8; 32]>; 2] {
    [
        keys.class_key(class).map(|key| key.fingerprint()),
        keys.device_bound_key(class).map(|key| key.fingerprint()),
    ]
}

/// From one stage and from two, to one and to two: the bytes are those that the test's own writer
/// makes of the same keys, and the way back ends at the bytes of the start.
#[test]
fn there_and_back() {
    for (from, to) in [(None, None), (None, Some(3)), (Some(2), None), (Some(2), Some(3))] {
        let bag = Bag::new(4, from);
        let (there, keys) = reissue(&bag, &spec(to)).unwrap();
        assert_eq!(there.to_bytes(), Bag::under(OTHER, &[0x33; 20], 2, to).bytes());
        assert!(matches!(open(&there, PASSWORD), Err(UnlockError::WrongPassphrase { .. })));

        let start = bag.parse().unwrap();
        let back = Reissue::new(start.kdf().clone());
        let (back, keys) = there.reissue(&keys, &back, &password(), &mut silent).unwrap();
        check(&back, &keys, PASSWORD);
        assert_eq!(back.to_bytes(), bag.bytes());
        assert_eq!(back, start);
    }
}

#[test]
fn kept_keys_are_the_same_keys() {
    let (keybag, keys) = reissue(&Bag::new(1, None), &spec(Some(1))).unwrap();
    for class in 1..=11 {
        let truth = Some(fingerprint(&class_key(class)));
        let [usable, bound] = fingerprints(&keys, ProtectionClass(class));
        let device = matches!(class, 5 | 9..);
        assert_eq!((usable, bound), if device { (None, truth) } else { (truth, None) });
    }
    // A file key of the old keybag opens with the new one.
    let old = open(&Bag::new(1, None).parse().unwrap(), PASSWORD).unwrap();
    let wrapped = old.wrap(ProtectionClass(3), &FileKey::random().unwrap()).unwrap();
    let [opened, again] = [&old, &keys].map(|keys| keys.unwrap(wrapped.class, &wrapped.key));
    let again = keys.wrap(ProtectionClass(3), &again.unwrap()).unwrap();
    assert_eq!(old.wrap(ProtectionClass(3), &opened.unwrap()).unwrap(), again);
    assert_eq!(again, wrapped);
    assert_eq!(keybag.classes().len(), 11);
}

#[test]
fn fresh_file_classes_share_nothing_with_the_old() {
    let bag = Bag::new(1, Some(1));
    let before = bag.parse().unwrap();
    let fresh = Reissue { file_classes: FileClasses::Fresh, ..spec(Some(1)) };
    let (after, keys) = reissue(&bag, &fresh).unwrap();
    let (_, other) = reissue(&bag, &fresh).unwrap();
    assert_eq!(after.uuid(), before.uuid(), "a keychain backup names it");
    let mut uuids = BTreeSet::new();
    for (old, new) in before.classes().iter().zip(after.classes()) {
        let class = old.class();
        assert_eq!((new.class(), new.wrap(), new.key_type()), (class, old.wrap(), old.key_type()));
        let is_new = class.0 <= 4;
        assert_eq!(new.uuid() != old.uuid(), is_new);
        let truth = fingerprint(&class_key(class.0));
        let [usable, bound] = fingerprints(&keys, class);
        assert_eq!(usable.or(bound) != Some(truth), is_new);
        assert_eq!(fingerprints(&keys, class) != fingerprints(&other, class), is_new);
        uuids.insert(new.uuid());
    }
    assert_eq!(uuids.len(), 11);
    let old = open(&before, PASSWORD).unwrap();
    for class in (1..=4).map(ProtectionClass) {
        let key = FileKey::random().unwrap();
        let wrapped = keys.wrap(class, &key).unwrap();
        assert_eq!(wrapped.class, class);
        assert_eq!(WrappedFileKey::parse(&wrapped.to_bytes()).unwrap(), wrapped);
        let opened = keys.unwrap(class, &wrapped.key).unwrap();
        assert_eq!(crate::secret::Key::expose(&opened), crate::secret::Key::expose(&key));
        assert!(matches!(
            old.unwrap(class, &wrapped.key),
            Err(FileKeyError::Integrity { class: of, .. }) if of == class
        ));
    }
}

#[test]
fn a_key_is_wrapped_by_a_usable_class_alone() {
    let bag = Bag::new(1, None).damaged(3).with(Some(8), "WRAP", &[0, 0, 0, 4]);
    let keys = open(&bag.parse().unwrap(), PASSWORD).unwrap();
    let key = FileKey::random().unwrap();
    for (class, expected) in [
        (3, FileKeyError::ClassDamaged { class: ProtectionClass(3) }),
        (5, FileKeyError::DeviceBound { class: ProtectionClass(5) }),
        (8, FileKeyError::Unusable { class: ProtectionClass(8) }),
        (12, FileKeyError::NoSuchClass { class: ProtectionClass(12) }),
    ] {
        assert_eq!(keys.wrap(ProtectionClass(class), &key).unwrap_err(), expected);
    }
    assert!(keys.wrap(ProtectionClass(4), &key).is_ok());
}

/// Every class in turn: refused before anything is derived, or left out when the caller says so.
#[test]
fn a_damaged_class_is_refused_or_left_out() {
    for class in (1..=11).map(ProtectionClass) {
        let bag = Bag::new(1, None).damaged(class.0);
        let keybag = bag.parse().unwrap();
        let keys = open(&keybag, PASSWORD).unwrap();
        for file_classes in [FileClasses::Keep, FileClasses::Fresh] {
            let mended = file_classes == FileClasses::Fresh && class.0 <= 4;
            let refuse = Reissue { file_classes, ..spec(None) };
            let mut calls = 0;
            let refused = keybag.reissue(&keys, &refuse, &phrase(OTHER), &mut |_| {
                calls += 1;
                ControlFlow::Continue(())
            });
            match refused {
                Ok((made, keys)) => {
                    assert!(mended, "class {class}");
                    check(&made, &keys, OTHER);
                    assert!(keys.opens(class));
                }
                Err(error) => {
                    assert!(!mended, "class {class}");
                    assert_eq!(error, ReissueError::Damaged { classes: vec![class] });
                    assert_eq!(calls, 0);
                }
            }
            let (made, keys) =
                reissue(&bag, &Reissue { drop_damaged: true, ..refuse.clone() }).unwrap();
            assert_eq!(keys.state(class).is_none(), !mended);
            let expected = keybag.classes().iter().map(|record| record.class());
            let expected: Vec<_> = expected.filter(|&of| mended || of != class).collect();
            let left: Vec<_> = made.classes().iter().map(|record| record.class()).collect();
            assert_eq!(left, expected);
        }
    }
}

#[test]
fn all_that_is_lost_is_named() {
    let bag = Bag::new(1, None).damaged(3).damaged(5).damaged(11);
    let error = reissue(&bag, &spec(None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the keys of protection classes 11, 5, 3 cannot be wrapped again"
    );
    let error = reissue(&Bag::new(1, None).damaged(5), &spec(None)).unwrap_err();
    assert_eq!(error.to_string(), "the keys of protection class 5 cannot be wrapped again");
    let mut one_left = Bag::new(1, None);
    for class in 2..=11 {
        one_left = one_left.damaged(class);
    }
    let drop = Reissue { drop_damaged: true, ..spec(None) };
    assert_eq!(reissue(&one_left, &drop).unwrap().0.classes().len(), 1);
}

/// Keys that no passphrase is part of stay as they are. One whose `WRAP` has the passphrase's bit,
/// or is not there, would stay under the old passphrase, so it is not carried over.
#[test]
fn what_no_passphrase_wraps_is_kept_byte_for_byte() {
    let bag = Bag::new(1, None);
    for wrap in [0_u32, 1, 4, 5, 8, 0x8000_0001] {
        let bag = bag.with(Some(6), "WRAP", &wrap.to_be_bytes());
        let (made, keys) = reissue(&bag, &spec(Some(1))).unwrap();
        let mut expected = Bag::under(OTHER, &[0x33; 20], 2, Some(1));
        for item in ["WRAP", "WPKY"] {
            let value = &bag.0[bag.index(Some(6), item)].1;
            expected = expected.with(Some(6), item, value);
        }
        assert_eq!(made.to_bytes(), expected.bytes(), "WRAP {wrap}");
        let state = if wrap == 1 { ClassState::DeviceBound } else { ClassState::Opaque };
        assert_eq!(keys.state(ProtectionClass(6)), Some(state));
    }
    let lost = ReissueError::Damaged { classes: vec![ProtectionClass(6)] };
    for wrap in [6_u32, 7, 0x8000_0002, u32::MAX] {
        let bag = bag.with(Some(6), "WRAP", &wrap.to_be_bytes());
        assert_eq!(reissue(&bag, &spec(None)).unwrap_err(), lost, "WRAP {wrap}");
    }
    assert_eq!(reissue(&bag.without(Some(6), "WRAP"), &spec(None)).unwrap_err(), lost);
    // Where there is no key there is nothing to lose.
    for bag in [bag.clone(), bag.with(Some(6), "WRAP", &[0, 0, 0, 6]), bag.without(Some(6), "WRAP")]
    {
        let (made, _) = reissue(&bag.without(Some(6), "WPKY"), &spec(None)).unwrap();
        assert_eq!(made.classes().len(), 11);
        assert!(!made.classes()[5].has_key());
    }
}

/// A file class that is not under the passphrase alone is none that this program can give a key.
#[test]
fn fresh_keys_are_for_classes_of_the_passphrase() {
    let fresh = Reissue { file_classes: FileClasses::Fresh, ..spec(None) };
    let bound = Bag::new(1, None).with(Some(3), "WRAP", &[0, 0, 0, 3]);
    let (made, keys) = reissue(&bound, &fresh).unwrap();
    let truth = Some(fingerprint(&class_key(3)));
    assert_eq!(fingerprints(&keys, ProtectionClass(3)), [None, truth]);
    let uuid = |keybag: &Keybag| keybag.classes()[8].uuid();
    assert_eq!(uuid(&made), uuid(&bound.parse().unwrap()));

    let pair = Bag::new(1, None).with(Some(2), "KTYP", &[0, 0, 0, 1]);
    assert_eq!(
        reissue(&pair, &fresh).unwrap_err(),
        ReissueError::KeyType { class: ProtectionClass(2), key_type: 1 }
    );
    assert!(reissue(&pair, &spec(None)).is_ok());
    assert!(reissue(&Bag::new(1, None).without(Some(2), "KTYP"), &fresh).is_ok());
}

/// Wrapping the keys of one backup into the keybag of another would lose both.
#[test]
fn keys_of_another_keybag_are_refused() {
    let keybag = Bag::new(1, None).parse().unwrap();
    let keys = open(&keybag, PASSWORD).unwrap();
    let near = Bag::new(1, None).with(None, "VERS", &[0, 0, 0, 4]).parse().unwrap();
    let mut calls = 0;
    let refused = near.reissue(&keys, &spec(None), &phrase(OTHER), &mut |_| {
        calls += 1;
        ControlFlow::Continue(())
    });
    assert_eq!((refused.unwrap_err(), calls), (ReissueError::OtherKeybag, 0));
    assert!(keys.are_of(&keybag) && !keys.are_of(&near));
    // The same bytes parsed again are the same keybag.
    let again = Keybag::parse(&keybag.to_bytes()).unwrap();
    assert!(again.reissue(&keys, &spec(None), &phrase(OTHER), &mut silent).is_ok());
}

#[test]
fn one_derivation_is_done_and_can_be_stopped() {
    let keybag = Bag::new(9, Some(9)).parse().unwrap();
    let keys = open(&keybag, PASSWORD).unwrap();
    let mut seen = Vec::new();
    let made = keybag.reissue(&keys, &spec(Some(5)), &phrase(OTHER), &mut |progress| {
        seen.push((progress.done, progress.total));
        ControlFlow::Continue(())
    });
    assert!(made.is_ok());
    assert!(seen.iter().all(|&(_, total)| total == 7), "{seen:?}");
    assert_eq!(seen.iter().filter(|&&(done, _)| done == 0).count(), 1, "{seen:?}");
    assert_eq!(seen.last(), Some(&(7, 7)));
    assert!(seen.is_sorted());
    let stop = &mut |_| ControlFlow::Break(());
    let stopped = keybag.reissue(&keys, &spec(None), &phrase(OTHER), stop);
    assert_eq!(stopped.unwrap_err(), ReissueError::Cancelled);
    let stopped = Keybag::generate(5, params(&[1; 20], 1, None), &password(), stop);
    assert_eq!(stopped.unwrap_err(), ReissueError::Cancelled);
}

#[test]
fn salts_meet_the_limit_of_the_reader() {
    let bag = Bag::new(1, None);
    let with = |inner: usize, outer: usize| {
        let mut kdf = params(&vec![1; inner], 1, Some(1));
        kdf.outer.as_mut().unwrap().salt = vec![2; outer];
        kdf
    };
    for (inner, outer) in [(0, 0), (64, 64)] {
        reissue(&bag, &Reissue::new(with(inner, outer))).unwrap();
    }
    for (inner, outer) in [(65, 64), (64, 65)] {
        let error = ReissueError::LongSalt { len: 65, limit: limits::SALT };
        let kdf = with(inner, outer);
        assert_eq!(Keybag::generate(5, kdf.clone(), &password(), &mut silent).unwrap_err(), error);
        assert_eq!(reissue(&bag, &Reissue::new(kdf)).unwrap_err(), error);
    }
}

#[test]
fn fresh_parameters_are_random_and_of_the_size_devices_write() {
    let [one, two] = [(); 2].map(|()| KdfParams::fresh(rounds(3), Some(rounds(4))).unwrap());
    let salts = [&one, &two].map(|kdf| [&kdf.inner, kdf.outer.as_ref().unwrap()]);
    let distinct: BTreeSet<_> = salts.iter().flatten().map(|stage| &stage.salt).collect();
    assert_eq!(distinct.len(), 4);
    assert!(distinct.iter().all(|salt| salt.len() == 20));
    assert_eq!((one.inner.rounds.get(), one.outer.unwrap().rounds.get()), (3, 4));
    assert_eq!(KdfParams::fresh(rounds(3), None).unwrap().outer, None);
    let device = KdfParams::fresh(KdfParams::DEVICE_ROUNDS, Some(KdfParams::DEVICE_OUTER_ROUNDS));
    assert_eq!(device.unwrap().rounds(), 10_010_000);
}

/// Items that are not known stay in their places, and are told where they now stand.
#[test]
fn unknown_items_are_carried_along() {
    let mut bag = Bag::new(1, None);
    bag.0.insert(0, ("XYZ0", vec![1, 2, 3]));
    bag.0.insert(7, ("XYZ1", vec![]));
    let in_record = bag.index(Some(4), "WPKY");
    bag.0.insert(in_record, ("PBKY", vec![9; 32]));
    bag.0.push(("SIGN", vec![7; 20]));
    let (made, _) = reissue(&bag, &spec(Some(1))).unwrap();
    let tags = |bytes: &[u8]| scan(bytes).into_iter().map(|(tag, _)| tag).collect::<Vec<_>>();
    let mut expected = tags(&bag.bytes());
    let behind = expected.iter().position(|tag| tag == "ITER").unwrap() + 1;
    expected.splice(behind..behind, ["DPWT", "DPIC", "DPSL"].map(String::from));
    assert_eq!(tags(&made.to_bytes()), expected);
    let told: Vec<_> = made.unknown_items().iter().map(|item| item.tag.to_string()).collect();
    assert_eq!(told, ["XYZ0", "XYZ1", "PBKY", "SIGN"]);
    let bytes = made.to_bytes();
    for item in made.unknown_items() {
        assert_eq!(bytes[item.offset..item.offset + 4], item.tag.0);
    }
}

/// Splits a keybag into its items, the naive way.
fn scan(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let len = u32::from_be_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let tag = String::from_utf8(bytes[..4].to_vec()).unwrap();
        items.push((tag, bytes[8..8 + len].to_vec()));
        bytes = &bytes[8 + len..];
    }
    items
}

/// Headers of all orders, with items missing and strange ones between: they are written as they
/// were, and a first stage is there afterwards exactly when it was asked for.
#[test]
fn headers_of_any_order_are_kept() {
    const STAGE: [&str; 3] = ["DPWT", "DPIC", "DPSL"];
    let mut random = Random::new(21);
    let (mut gained, mut lost, mut kept) = (0, 0, 0);
    for round in 0..600 {
        let from = (round % 2 == 0).then_some(1);
        let to = (round % 3 == 0).then_some(1);
        let mut bag = Bag::new(1, from);
        for optional in ["VERS", "TYPE", "HMCK", "WRAP", "DPWT"] {
            if random.below(4) == 0 && bag.0.iter().any(|item| item.0 == optional) {
                bag = bag.without(None, optional);
            }
        }
        if from.is_none() && random.below(4) == 0 {
            bag.0.insert(3, ("DPWT", vec![0, 0, 0, 9]));
        }
        for _ in 0..random.below(3) {
            bag.0.insert(0, (["XXXX", "SIGN", "CLAS"][random.below(3)], vec![1; random.below(9)]));
        }
        // The second UUID ends the header.
        let mut uuids = (0..bag.0.len()).filter(|&index| bag.0[index].0 == "UUID");
        let end = uuids.nth(1).unwrap();
        for index in (1..end).rev() {
            bag.0.swap(index, random.below(index + 1));
        }
        let keybag = bag.parse().unwrap();
        assert_eq!(keybag.to_bytes(), bag.bytes());

        let (made, _) = reissue(&bag, &spec(to)).unwrap();
        assert_eq!(made.dpwt, to.map(|_| keybag.dpwt.unwrap_or(1)));
        let tags = |bytes: &[u8]| scan(bytes).into_iter().map(|(tag, _)| tag).collect::<Vec<_>>();
        let [before, after] = [bag.bytes(), made.to_bytes()].map(|bytes| tags(&bytes));
        let of_stage = |tag: &String| STAGE.contains(&tag.as_str());
        let others =
            |tags: &[String]| tags.iter().filter(|tag| !of_stage(tag)).cloned().collect::<Vec<_>>();
        assert_eq!(others(&before), others(&after));
        let stages = [&before, &after].map(|tags| tags.iter().filter(|tag| of_stage(tag)).count());
        assert_eq!(stages[1], if to.is_some() { 3 } else { 0 });
        match stages {
            [3, 3] => {
                assert_eq!(before, after);
                kept += 1;
            }
            [_, 0] => lost += 1,
            _ => {
                let at = after.iter().position(of_stage).unwrap();
                assert_eq!(after[at..at + 3], STAGE);
                gained += 1;
            }
        }
    }
    assert!(gained > 50 && lost > 50 && kept > 50, "{gained} {lost} {kept}");
}

/// What password crackers' extractors look for: `SALT`, then `ITER`, then a `WPKY` not far behind.
/// Forensic tools find the bag of a backup in that way.
#[test]
fn extractors_that_scan_find_their_fields() {
    let found = |bytes: &[u8], password: &str, outer: bool| {
        let at = |tag: &[u8], from: usize| {
            from + bytes[from..].windows(4).position(|window| window == tag).unwrap()
        };
        let salt = at(b"SALT", 0);
        let iter = at(b"ITER", salt);
        let key = at(b"WPKY", iter);
        assert!(key + 48 - salt <= 256, "{} bytes", key + 48 - salt);
        let value = |at: usize, len: usize| bytes[at + 8..at + 8 + len].to_vec();
        let number = |at| u32::from_be_bytes(value(at, 4).try_into().unwrap());
        let mut secret = password.as_bytes().to_vec();
        if outer {
            let (count, salt) = (at(b"DPIC", iter), at(b"DPSL", iter));
            let mut out = [0; 32];
            let salt = value(salt, 20);
            pbkdf2::pbkdf2_hmac::<sha2::Sha256>(&secret, &salt, number(count), &mut out);
            secret = out.to_vec();
        }
        let mut kek = [0; 32];
        pbkdf2::pbkdf2_hmac::<sha1::Sha1>(&secret, &value(salt, 20), number(iter), &mut kek);
        use aes_kw::KeyInit as _;
        let mut class_key = [0; 32];
        aes_kw::KwAes256::new(&kek.into()).unwrap_key(&value(key, 40), &mut class_key).is_ok()
    };
    for outer in [None, Some(2)] {
        let kdf = KdfParams::fresh(rounds(3), outer.map(rounds)).unwrap();
        let (made, _) = Keybag::generate(5, kdf, &phrase(OTHER), &mut silent).unwrap();
        let (again, _) = reissue(&Bag::new(1, None), &spec(outer)).unwrap();
        for bytes in [made.to_bytes(), again.to_bytes()] {
            assert!(found(&bytes, OTHER, outer.is_some()));
            assert!(!found(&bytes, "other", outer.is_some()));
        }
    }
}

/// The table of FORMAT.md 3, and the sizes that devices write.
#[test]
fn generated_keybags_are_as_devices_write_them() {
    let bound = |keybag: &Keybag| -> Vec<u32> {
        let records = keybag.classes().iter().filter(|record| record.wrap() == Some(3));
        records.map(|record| record.class().0).collect()
    };
    let outer = KdfParams::fresh(rounds(2), Some(rounds(3))).unwrap();
    let single = KdfParams::fresh(rounds(2), None).unwrap();
    let generate = |kdf: &KdfParams| {
        let (bag, keys) = Keybag::generate(5, kdf.clone(), &phrase(OTHER), &mut silent).unwrap();
        check(&bag, &keys, OTHER);
        assert_eq!(bag.kdf(), kdf);
        assert_eq!(bound(&bag), [5, 9, 10, 11]);
        (bag, keys)
    };
    let (encrypted, encrypted_keys) = generate(&outer);
    let (early, early_keys) = generate(&single);
    let (plain, plain_keys) = Keybag::generate_plain(Keybag::CURRENT_VERSION).unwrap();
    check(&plain, &plain_keys, "");
    assert_eq!(bound(&plain), [5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(plain.kdf().inner.rounds.get(), 10_000);
    let lens = [&encrypted, &early, &plain].map(|keybag| keybag.to_bytes().len());
    assert_eq!(lens, [1388, 1336, 1336]);
    assert_eq!([encrypted.dpwt, early.dpwt, plain.dpwt], [Some(1), None, None]);

    let (mut uuids, mut prints) = (BTreeSet::new(), BTreeSet::new());
    for (keybag, keys) in
        [(&encrypted, &encrypted_keys), (&early, &early_keys), (&plain, &plain_keys)]
    {
        assert_eq!(
            (keybag.version(), keybag.bag_type(), keybag.wrap()),
            (Some(5), Some(1), Some(0))
        );
        assert_eq!(keybag.hmck(), Some(&[0; 40][..]));
        let classes: Vec<_> = keybag.classes().iter().map(|record| record.class().0).collect();
        assert_eq!(classes, (1..=11).collect::<Vec<_>>());
        uuids.insert(keybag.uuid());
        for record in keybag.classes() {
            assert_eq!(record.key_type(), Some(0));
            uuids.insert(record.uuid());
            let [usable, bound] = fingerprints(keys, record.class());
            assert_eq!(usable.is_some(), record.wrap() == Some(2));
            prints.insert(usable.or(bound).unwrap());
        }
    }
    assert_eq!((uuids.len(), prints.len()), (36, 33), "all of them new");
    let odd = params(&[1; 20], 1, None);
    let (odd, _) = Keybag::generate(3, odd, &password(), &mut silent).unwrap();
    assert_eq!(odd.version(), Some(3));
}

/// Of the items and their order, a generated keybag differs from a real one in none.
#[test]
fn a_generated_keybag_has_the_items_of_a_real_one() {
    let Some(file) = vectors("keybags.json") else { return };
    let tags = |bytes: &[u8]| -> Vec<_> {
        scan(bytes).into_iter().map(|(tag, value)| (tag, value.len())).collect()
    };
    let mut compared = 0;
    for vector in file.as_array().unwrap() {
        let bytes = unhex(text(vector, "keybag_hex"));
        let real = Keybag::parse(&bytes).unwrap();
        let (made, _) = match text(vector, "password") {
            "" => Keybag::generate_plain(5).unwrap(),
            word => {
                let kdf = KdfParams::fresh(rounds(1), None).unwrap();
                Keybag::generate(5, kdf, &phrase(word), &mut silent).unwrap()
            }
        };
        assert_eq!(tags(&made.to_bytes()), tags(&bytes));
        for record in real.classes() {
            let twin = made.classes().iter().find(|twin| twin.class() == record.class()).unwrap();
            assert_eq!((twin.wrap(), twin.key_type()), (record.wrap(), record.key_type()));
        }
        assert_eq!(made.hmck(), real.hmck());
        compared += 1;
    }
    assert_eq!(compared, 2);
}

/// Keybags of real devices: there and back is the same bytes, and every key is the published one.
#[test]
fn real_keybags_go_there_and_back() {
    let Some(file) = vectors("keybags.json") else { return };
    let mut bags = 0;
    for vector in file.as_array().unwrap() {
        let bytes = unhex(text(vector, "keybag_hex"));
        let real = Keybag::parse(&bytes).unwrap();
        let word = text(vector, "password");
        let keys = open(&real, word).unwrap();
        let (there, there_keys) =
            real.reissue(&keys, &spec(Some(7)), &phrase(OTHER), &mut silent).unwrap();
        check(&there, &there_keys, OTHER);
        assert_eq!(there.to_bytes().len(), bytes.len() + 52);
        for record in real.classes() {
            let class = record.class();
            let truth = &vector["classes"][class.to_string()];
            let expected = fingerprint(&unhex(text(truth, "aes_kw_unwrapped")).try_into().unwrap());
            let [usable, bound] = fingerprints(&there_keys, class);
            assert_eq!(usable.or(bound), Some(expected));
        }
        let back = Reissue::new(real.kdf().clone());
        let (back, _) = there.reissue(&there_keys, &back, &phrase(word), &mut silent).unwrap();
        assert_eq!(back.to_bytes(), bytes);
        bags += 1;
    }
    assert_eq!(bags, 2);
}

/// Nothing of a key is in what prints, as digits of either base.
#[test]
fn nothing_secret_prints() {
    let (keybag, keys) = reissue(&Bag::new(1, None), &spec(None)).unwrap();
    let pretty = format!("{keybag:#?} {keys:#?}").replace(char::is_whitespace, "");
    let printed = format!("{keybag:?} {keys:?} {pretty}");
    assert!(pretty.contains("salt:[51,51,51,"), "this is how bytes would print");
    for class in 1..=11 {
        let key = class_key(class);
        let decimal: Vec<_> = key[..4].iter().map(ToString::to_string).collect();
        for form in [crate::testing::hex(&key[..4]), decimal.join(", "), decimal.join(",")] {
            assert!(!printed.contains(&form));
        }
    }
    assert!(printed.contains("ClassKey([redacted])"));
    assert!(printed.contains("DeviceBoundKey([redacted])"));
}

/// Every changed byte of a keybag that still opens: what is made of it parses, opens and holds no
/// key that was not there before; what cannot be made says why.
#[test]
fn damaged_keybags_are_made_anew_or_refused() {
    let bag = Bag::new(1, Some(1));
    let bytes = bag.bytes();
    let truth: BTreeSet<_> = (1..=11).map(|class| fingerprint(&class_key(class))).collect();
    let drop = Reissue { drop_damaged: true, ..spec(Some(1)) };
    let (mut whole, mut dropped) = (0, 0);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        let Ok(keybag) = Keybag::parse(&bad) else { continue };
        let Ok(keys) = keybag.unlock(&password(), 300, &mut silent) else { continue };
        let (made, made_keys) =
            match keybag.reissue(&keys, &spec(Some(1)), &phrase(OTHER), &mut silent) {
                Ok(made) => {
                    whole += 1;
                    made
                }
                Err(ReissueError::Damaged { classes }) => {
                    let made = keybag.reissue(&keys, &drop, &phrase(OTHER), &mut silent).unwrap();
                    assert_eq!(made.0.classes().len() + classes.len(), keybag.classes().len());
                    dropped += 1;
                    made
                }
                Err(other) => panic!("byte {at}: {other}"),
            };
        check(&made, &made_keys, OTHER);
        for record in made.classes() {
            let [usable, bound] = fingerprints(&made_keys, record.class());
            assert!(usable.or(bound).is_none_or(|key| truth.contains(&key)), "byte {at}");
        }
    }
    // Every byte of every wrapped key, and what a changed WRAP no longer says.
    assert!(dropped >= 11 * 40, "{dropped}");
    assert!(whole > 300, "{whole}");
}

/// A keybag of no items but those that are needed.
#[test]
fn a_bare_keybag_is_kept_bare() {
    let whole = Bag::new(1, None);
    let value = |class, tag| &whole.0[whole.index(class, tag)].1[..];
    let bare = items([
        ("ITER", value(None, "ITER")),
        ("SALT", value(None, "SALT")),
        ("UUID", value(None, "UUID")),
        ("UUID", value(Some(3), "UUID")),
        ("WPKY", value(Some(3), "WPKY")),
        ("CLAS", value(Some(3), "CLAS")),
        ("WRAP", value(Some(3), "WRAP")),
    ]);
    let keybag = Keybag::parse(&bare).unwrap();
    assert_eq!(keybag.to_bytes(), bare);
    let keys = open(&keybag, PASSWORD).unwrap();
    let (made, made_keys) =
        keybag.reissue(&keys, &spec(Some(1)), &phrase(OTHER), &mut silent).unwrap();
    check(&made, &made_keys, OTHER);
    let tags: Vec<_> = scan(&made.to_bytes()).into_iter().map(|(tag, _)| tag).collect();
    let expected = ["ITER", "SALT", "DPWT", "DPIC", "DPSL", "UUID", "UUID", "WPKY", "CLAS", "WRAP"];
    assert_eq!(tags, expected);
}
