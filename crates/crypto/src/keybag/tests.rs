use std::collections::BTreeSet;
use std::ops::ControlFlow;

use aes_kw::{KeyInit as _, KwAes256};
use bkp_core::ProtectionClass;
use sha2::{Digest as _, Sha256};

use super::{ClassState, Keybag, UnknownItem, limits};
use crate::testing::{items, silent, text, unhex, unhex32, vectors};
use crate::{
    ClassKeys, DEFAULT_KDF_LIMIT, FileKeyError, IntegrityError, KeybagError, Passphrase, Tag,
    UnlockError, WrappedKey,
};

const SALT: [u8; 20] = [0x5a; 20];
pub(in crate::keybag) const PASSWORD: &str = "correct horse";

pub(in crate::keybag) fn password() -> Passphrase {
    Passphrase::new(PASSWORD.into())
}

pub(in crate::keybag) fn fingerprint(key: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// The class key that [`Bag`] gives a class.
pub(in crate::keybag) fn class_key(class: u32) -> [u8; 32] {
    Sha256::digest(class.to_be_bytes()).into()
}

fn wrapped_by(kek: &[u8; 32], key: &[u8; 32]) -> [u8; 40] {
    let mut wrapped = [0; 40];
    KwAes256::new(kek.into()).wrap_key(key, &mut wrapped).unwrap();
    wrapped
}

/// A keybag to be changed before it is written, by the crates and not by our own code.
#[derive(Clone)]
pub(in crate::keybag) struct Bag(pub(in crate::keybag) Vec<(&'static str, Vec<u8>)>);

impl Bag {
    /// Eleven classes in descending order, as an encrypted backup has them.
    pub(in crate::keybag) fn new(rounds: u32, outer_rounds: Option<u32>) -> Self {
        Self::under(PASSWORD, &SALT, rounds, outer_rounds)
    }

    /// The same under another password and salt.
    pub(in crate::keybag) fn under(
        password: &str,
        salt: &[u8],
        rounds: u32,
        outer_rounds: Option<u32>,
    ) -> Self {
        let mut key = password.as_bytes().to_vec();
        let mut header = vec![
            ("VERS", vec![0, 0, 0, 5]),
            ("TYPE", vec![0, 0, 0, 1]),
            ("UUID", (0..16).collect()),
            ("HMCK", vec![0; 40]),
            ("WRAP", vec![0; 4]),
            ("SALT", salt.to_vec()),
            ("ITER", rounds.to_be_bytes().to_vec()),
        ];
        if let Some(outer_rounds) = outer_rounds {
            header.push(("DPWT", vec![0, 0, 0, 1]));
            header.push(("DPIC", outer_rounds.to_be_bytes().to_vec()));
            header.push(("DPSL", vec![0xa5; 20]));
            let mut out = [0; 32];
            pbkdf2::pbkdf2_hmac::<Sha256>(&key, &[0xa5; 20], outer_rounds, &mut out);
            key = out.to_vec();
        }
        let mut kek = [0; 32];
        pbkdf2::pbkdf2_hmac::<sha1::Sha1>(&key, salt, rounds, &mut kek);
        for class in (1..=11_u32).rev() {
            let wrap = if matches!(class, 5 | 9..) { 3 } else { 2 };
            header.extend([
                ("UUID", vec![u8::try_from(class).unwrap(); 16]),
                ("CLAS", class.to_be_bytes().to_vec()),
                ("WRAP", vec![0, 0, 0, wrap]),
                ("KTYP", vec![0; 4]),
                ("WPKY", wrapped_by(&kek, &class_key(class)).to_vec()),
            ]);
        }
        Self(header)
    }

    pub(in crate::keybag) fn bytes(&self) -> Vec<u8> {
        items(self.0.iter().map(|(tag, value)| (*tag, &value[..])))
    }

    pub(in crate::keybag) fn parse(&self) -> Result<Keybag, KeybagError> {
        Keybag::parse(&self.bytes())
    }

    /// Returns where an item of the header, or of a class, is in the list.
    pub(in crate::keybag) fn index(&self, class: Option<u32>, tag: &str) -> usize {
        let start = class.map_or(0, |class| {
            let is = |item: &(&str, Vec<u8>)| item.0 == "CLAS" && item.1 == class.to_be_bytes();
            self.0.iter().position(is).unwrap() - 1
        });
        start + self.0[start..].iter().position(|item| item.0 == tag).unwrap()
    }

    /// Returns the offset of an item's first byte.
    pub(in crate::keybag) fn offset(&self, index: usize) -> usize {
        self.0[..index].iter().map(|item| item.1.len() + 8).sum()
    }

    pub(in crate::keybag) fn with(&self, class: Option<u32>, tag: &str, value: &[u8]) -> Self {
        let mut bag = self.clone();
        let index = bag.index(class, tag);
        bag.0[index].1 = value.to_vec();
        bag
    }

    pub(in crate::keybag) fn without(&self, class: Option<u32>, tag: &str) -> Self {
        let mut bag = self.clone();
        bag.0.remove(bag.index(class, tag));
        bag
    }

    /// Flips a bit of a class's wrapped key.
    pub(in crate::keybag) fn damaged(&self, class: u32) -> Self {
        let mut key = self.0[self.index(Some(class), "WPKY")].1.clone();
        key[17] ^= 4;
        self.with(Some(class), "WPKY", &key)
    }
}

fn unlock(bag: &Bag) -> Result<ClassKeys, UnlockError> {
    bag.parse().unwrap().unlock(&password(), DEFAULT_KDF_LIMIT, &mut silent)
}

#[test]
fn everything_in_a_keybag_can_be_read() {
    let keybag = Bag::new(3, Some(2)).parse().unwrap();
    assert_eq!((keybag.version(), keybag.bag_type(), keybag.wrap()), (Some(5), Some(1), Some(0)));
    assert_eq!(keybag.uuid()[..3], [0, 1, 2]);
    assert_eq!(keybag.hmck(), Some(&[0; 40][..]));
    assert_eq!(keybag.kdf().inner.salt, SALT);
    assert_eq!(keybag.kdf().inner.rounds.get(), 3);
    let outer = keybag.kdf().outer.as_ref().unwrap();
    assert_eq!((&outer.salt[..], outer.rounds.get()), (&[0xa5; 20][..], 2));
    assert_eq!(keybag.kdf().rounds(), 5);
    assert_eq!(keybag.unknown_items(), []);
    let classes: Vec<_> = keybag.classes().iter().map(|record| record.class().0).collect();
    assert_eq!(classes, (1..=11).rev().collect::<Vec<_>>(), "in the keybag's order");
    for record in keybag.classes() {
        let class = record.class().0;
        assert_eq!(record.uuid(), [u8::try_from(class).unwrap(); 16]);
        assert_eq!(record.wrap(), Some(if matches!(class, 5 | 9..) { 3 } else { 2 }));
        assert_eq!(record.key_type(), Some(0));
        assert!(record.has_key());
    }
    assert_eq!(Bag::new(3, None).parse().unwrap().kdf().outer, None);
}

#[test]
fn a_keybag_opens_with_its_password_alone() {
    for outer in [None, Some(2)] {
        let keybag = Bag::new(3, outer).parse().unwrap();
        let keys = keybag.unlock(&password(), DEFAULT_KDF_LIMIT, &mut silent).unwrap();
        assert_eq!(keys.damaged(), []);
        for class in (1..=11).map(ProtectionClass) {
            let usable = !matches!(class.0, 5 | 9..);
            assert_eq!(keys.opens(class), usable);
            let truth = fingerprint(&class_key(class.0));
            assert_eq!(keys.class_key(class).map(|k| k.fingerprint()), usable.then_some(truth));
            let bound = keys.device_bound_key(class).map(|k| k.fingerprint());
            assert_eq!(bound, (!usable).then_some(truth));
        }
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            let refused =
                keybag.unlock(&Passphrase::new(wrong.into()), DEFAULT_KDF_LIMIT, &mut silent);
            assert_eq!(refused.unwrap_err(), UnlockError::WrongPassphrase { classes: 11 });
        }
    }
}

#[test]
fn file_keys_open_with_the_key_of_their_class() {
    let mut bag = Bag::new(1, None).damaged(3);
    bag = bag.with(Some(7), "WRAP", &[0, 0, 0, 1]);
    bag = bag.with(Some(8), "WRAP", &[0, 0, 0, 4]);
    let keys = unlock(&bag).unwrap();
    let file_key = [0x77; 32];
    let wrapped = |class: u32| WrappedKey::from_bytes(wrapped_by(&class_key(class), &file_key));
    let unwrap = |class: u32, of: u32| keys.unwrap(ProtectionClass(class), &wrapped(of));
    for class in [1, 2, 4, 6] {
        let opened = unwrap(class, class).unwrap();
        assert_eq!(crate::secret::Key::expose(&opened), &file_key);
    }
    let class = ProtectionClass;
    for (result, expected) in [
        (unwrap(1, 2), FileKeyError::Integrity { class: class(1), source: IntegrityError }),
        (unwrap(3, 3), FileKeyError::ClassDamaged { class: class(3) }),
        (unwrap(5, 5), FileKeyError::DeviceBound { class: class(5) }),
        (unwrap(7, 7), FileKeyError::DeviceBound { class: class(7) }),
        (unwrap(8, 8), FileKeyError::Unusable { class: class(8) }),
        (unwrap(12, 1), FileKeyError::NoSuchClass { class: class(12) }),
    ] {
        assert_eq!(result.unwrap_err(), expected);
    }
    let states = (1..=12).map(|c| keys.state(class(c)));
    use ClassState::{Damaged, DeviceBound, Opaque, Usable};
    assert!(states.eq([
        Some(Usable),
        Some(Usable),
        Some(Damaged),
        Some(Usable),
        Some(DeviceBound),
        Some(Usable),
        Some(DeviceBound),
        Some(Opaque),
        Some(DeviceBound),
        Some(DeviceBound),
        Some(DeviceBound),
        None,
    ]));
    assert!(keys.class_key(class(3)).is_none() && keys.class_key(class(5)).is_none());
    assert!(keys.device_bound_key(class(7)).is_none());
}

#[test]
fn damage_is_never_a_wrong_password_and_the_reverse() {
    let whole = Bag::new(1, None);
    let mut bag = whole.clone();
    for (done, class) in (1..=10).enumerate() {
        bag = bag.damaged(class);
        let keys = unlock(&bag).unwrap();
        let mut damaged: Vec<_> = keys.damaged().iter().map(|class| class.0).collect();
        assert!(damaged.is_sorted_by(|a, b| a > b), "in the keybag's order");
        damaged.sort_unstable();
        assert_eq!(damaged, (1..=class).collect::<Vec<_>>());
        for rest in class + 1..=11 {
            assert_ne!(keys.state(ProtectionClass(rest)), Some(ClassState::Damaged));
        }
        assert_eq!(damaged.len(), done + 1);
    }
    let none = unlock(&bag.damaged(11)).unwrap_err();
    assert_eq!(none, UnlockError::WrongPassphrase { classes: 11 });
    assert_eq!(none.to_string(), "0 of 11 class keys open with this password");
}

#[test]
fn keys_no_password_opens_are_kept_and_not_counted() {
    let mut bag = Bag::new(1, None);
    for class in 1..=11 {
        let wrap = [0, 1, 4, 6, 0x8000_0002, u32::MAX][class as usize % 6].to_be_bytes();
        bag = bag.with(Some(class), "WRAP", &wrap);
        if class == 10 {
            bag = bag.with(Some(10), "WRAP", &[0, 0, 0, 2]).without(Some(10), "WPKY");
            assert!(!bag.parse().unwrap().classes()[1].has_key());
        }
        if class == 9 {
            bag = bag.without(Some(9), "WRAP");
            assert_eq!(bag.parse().unwrap().classes()[2].wrap(), None);
        }
        if class < 11 {
            let keys = unlock(&bag).unwrap();
            assert_eq!(keys.damaged(), []);
            assert!(!keys.opens(ProtectionClass(class)));
        }
    }
    assert_eq!(unlock(&bag).unwrap_err(), UnlockError::NothingToOpen { classes: 11 });
    bag = bag.with(Some(3), "WRAP", &[0, 0, 0, 2]);
    assert!(unlock(&bag).unwrap().opens(ProtectionClass(3)));
    let wrong = bag.parse().unwrap().unlock(&Passphrase::empty(), DEFAULT_KDF_LIMIT, &mut silent);
    assert_eq!(wrong.unwrap_err(), UnlockError::WrongPassphrase { classes: 1 });
}

#[test]
fn odd_class_numbers_are_kept() {
    for number in [0, 16, u32::MAX] {
        let bag = Bag::new(1, None).with(Some(10), "CLAS", &number.to_be_bytes());
        let keys = unlock(&bag).unwrap();
        assert_eq!(keys.state(ProtectionClass(number)), Some(ClassState::DeviceBound));
        assert_eq!(keys.state(ProtectionClass(10)), None);
    }
}

#[test]
fn unknown_items_are_passed_over_and_told() {
    let mut bag = Bag::new(1, Some(1));
    bag.0.insert(0, ("XYZ0", vec![1, 2, 3]));
    let in_record = bag.index(Some(4), "WPKY");
    bag.0.insert(in_record, ("PBKY", vec![9; 32]));
    bag.0.insert(in_record, ("SALT", vec![]));
    bag.0.push(("SIGN", vec![0; 20]));
    let keybag = bag.parse().unwrap();
    let expected: Vec<_> = [(0, 3), (in_record, 0), (in_record + 1, 32), (bag.0.len() - 1, 20)]
        .into_iter()
        .map(|(index, len)| UnknownItem {
            tag: Tag(bag.0[index].0.as_bytes().try_into().unwrap()),
            offset: bag.offset(index),
            len,
        })
        .collect();
    assert_eq!(keybag.unknown_items(), expected);
    assert_eq!(keybag.to_bytes(), bag.bytes(), "they are written where they stood");
    assert_eq!(unlock(&bag).unwrap().damaged(), []);
}

#[test]
fn each_fault_is_told_apart_and_says_where() {
    let bag = Bag::new(1, Some(1));
    let at = |class: Option<u32>, tag: &str| bag.offset(bag.index(class, tag));
    let tag = |tag: &str| Tag(tag.as_bytes().try_into().unwrap());
    let refused = |bag: Bag| bag.parse().unwrap_err();

    for missing in ["SALT", "ITER"] {
        let expected = KeybagError::Missing { tag: tag(missing) };
        assert_eq!(refused(bag.without(None, missing)), expected);
    }
    assert_eq!(
        refused(bag.without(None, "DPSL")),
        KeybagError::Unpaired { tag: tag("DPIC"), offset: at(None, "DPIC"), missing: tag("DPSL") }
    );
    assert_eq!(
        refused(bag.without(None, "DPIC")),
        // What comes after an item that was left out starts twelve bytes before.
        KeybagError::Unpaired {
            tag: tag("DPSL"),
            offset: at(None, "DPSL") - 12,
            missing: tag("DPIC")
        }
    );
    for rounds in ["ITER", "DPIC"] {
        assert_eq!(
            refused(bag.with(None, rounds, &[0; 4])),
            KeybagError::ZeroRounds { tag: tag(rounds), offset: at(None, rounds) }
        );
    }
    assert_eq!(
        refused(bag.without(Some(4), "CLAS")),
        KeybagError::MissingClass { tag: tag("CLAS"), offset: at(Some(4), "UUID") }
    );
    assert_eq!(
        refused(bag.with(Some(4), "CLAS", &[0, 0, 0, 5])),
        KeybagError::DuplicateClass {
            tag: tag("CLAS"),
            offset: at(Some(4), "CLAS"),
            class: ProtectionClass(5)
        }
    );
    for len in (0..100).filter(|&len| len != 40) {
        assert_eq!(
            refused(bag.with(Some(4), "WPKY", &vec![0; len])),
            KeybagError::WrappedKeyLength { tag: tag("WPKY"), offset: at(Some(4), "WPKY"), len }
        );
    }
    for (class, name, expected) in [
        (None, "VERS", 4),
        (None, "TYPE", 4),
        (None, "UUID", 16),
        (None, "WRAP", 4),
        (None, "ITER", 4),
        (None, "DPWT", 4),
        (None, "DPIC", 4),
        (Some(4), "UUID", 16),
        (Some(4), "CLAS", 4),
        (Some(4), "WRAP", 4),
        (Some(4), "KTYP", 4),
    ] {
        for len in [0, expected - 1, expected + 1] {
            assert_eq!(
                refused(bag.with(class, name, &vec![1; len])),
                KeybagError::ItemLength { tag: tag(name), offset: at(class, name), len, expected }
            );
        }
    }
    let header = ["VERS", "TYPE", "HMCK", "WRAP", "SALT", "ITER", "DPWT", "DPIC", "DPSL"];
    let record = ["CLAS", "WRAP", "KTYP", "WPKY"];
    let slots = header.map(|name| (None, name)).into_iter();
    for (class, name) in slots.chain(record.map(|name| (Some(4), name))) {
        let mut twice = bag.clone();
        let index = twice.index(class, name);
        twice.0.insert(index, twice.0[index].clone());
        let offset = twice.offset(index + 1);
        assert_eq!(refused(twice), KeybagError::Repeated { tag: tag(name), offset });
    }
    let mut header = bag.clone();
    header.0.truncate(10);
    assert_eq!(refused(header), KeybagError::NoClasses);
    assert_eq!(Keybag::parse(b"").unwrap_err(), KeybagError::NoClasses);
}

#[test]
fn optional_items_may_be_absent() {
    let mut bag = Bag::new(1, Some(1));
    for name in ["VERS", "TYPE", "HMCK", "WRAP", "DPWT"] {
        bag = bag.without(None, name);
    }
    for class in 1..=11 {
        bag = bag.without(Some(class), "KTYP");
    }
    let keybag = bag.parse().unwrap();
    assert_eq!((keybag.version(), keybag.bag_type(), keybag.wrap()), (None, None, None));
    assert_eq!(keybag.hmck(), None);
    assert!(keybag.classes().iter().all(|record| record.key_type().is_none()));
    assert_eq!(unlock(&bag).unwrap().damaged(), []);
}

#[test]
fn limits_are_exact() {
    let bag = Bag::new(1, None);
    let items_now = bag.0.len();
    for (more, fits) in [(-1_isize, true), (0, true), (1, false)] {
        let mut full = bag.clone();
        let count = limits::ITEMS.checked_add_signed(more).unwrap();
        full.0.extend((items_now..count).map(|_| ("XXXX", vec![])));
        assert_eq!(full.0.len(), count);
        match full.parse() {
            Ok(keybag) => assert!(fits && keybag.unknown_items().len() == count - items_now),
            Err(error) => {
                assert!(!fits);
                assert_eq!(error, KeybagError::TooManyItems { limit: limits::ITEMS });
            }
        }

        let mut large = bag.clone();
        let len = limits::KEYBAG.checked_add_signed(more).unwrap();
        large.0.push(("XXXX", vec![0; len - bag.bytes().len() - 8]));
        assert_eq!(large.bytes().len(), len);
        match large.parse() {
            Ok(_) => assert!(fits),
            Err(error) => {
                assert!(!fits);
                assert_eq!(error, KeybagError::TooLarge { len, limit: limits::KEYBAG });
            }
        }
    }
}

#[test]
fn salts_meet_a_limit() {
    for (name, rounds) in [("SALT", None), ("DPSL", Some(1))] {
        let bag = Bag::new(1, rounds);
        let offset = bag.offset(bag.index(None, name));
        for len in [0, 1, 20, 63, 64] {
            assert!(bag.with(None, name, &vec![1; len]).parse().is_ok());
        }
        let tag = Tag(name.as_bytes().try_into().unwrap());
        assert_eq!(
            bag.with(None, name, &[1; 65]).parse().unwrap_err(),
            KeybagError::LongSalt { tag, offset, len: 65, limit: limits::SALT }
        );
    }
}

#[test]
fn work_beyond_the_limit_is_refused_before_it_is_done() {
    let keybag = Bag::new(3, Some(4)).parse().unwrap();
    let mut calls = 0;
    let mut count = |_| {
        calls += 1;
        ControlFlow::Continue(())
    };
    assert_eq!(
        keybag.unlock(&password(), 6, &mut count).unwrap_err(),
        UnlockError::ExcessiveWork { asked: 7, limit: 6 }
    );
    assert!(keybag.unlock(&password(), 7, &mut count).is_ok());
    assert!(keybag.unlock(&password(), 8, &mut count).is_ok());
    assert!(calls > 0);

    // The most a keybag can ask for takes minutes and does not overflow.
    let greedy = Bag::new(1, Some(1)).with(None, "ITER", &u32::MAX.to_be_bytes()).with(
        None,
        "DPIC",
        &u32::MAX.to_be_bytes(),
    );
    let asked = 2 * u64::from(u32::MAX);
    let keybag = greedy.parse().unwrap();
    calls = 0;
    let refused = keybag.unlock(&password(), DEFAULT_KDF_LIMIT, &mut |_| {
        calls += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(
        refused.unwrap_err(),
        UnlockError::ExcessiveWork { asked, limit: DEFAULT_KDF_LIMIT }
    );
    assert_eq!(calls, 0);
}

#[test]
fn unlocking_can_be_cancelled() {
    let keybag = Bag::new(3, Some(4)).parse().unwrap();
    let stopped = keybag.unlock(&password(), DEFAULT_KDF_LIMIT, &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap_err(), UnlockError::Cancelled);
}

/// Every prefix: an error where an item is cut, and what is whole where none is.
#[test]
fn every_cut_is_noticed_or_leaves_whole_items() {
    let bag = Bag::new(1, Some(1));
    let bytes = bag.bytes();
    let ends: Vec<_> = (0..=bag.0.len()).map(|index| bag.offset(index)).collect();
    let mut parsed = 0;
    for cut in 0..bytes.len() {
        let result = Keybag::parse(&bytes[..cut]);
        let Ok(index) = ends.binary_search(&cut) else {
            let start = ends[ends.partition_point(|&end| end < cut) - 1];
            match result.unwrap_err() {
                KeybagError::Truncated { offset, left } => {
                    assert_eq!((offset, left), (start, cut - start));
                    assert!((1..8).contains(&left));
                }
                KeybagError::Overrun { offset, left, .. } => {
                    assert_eq!((offset, left), (start, cut - start - 8));
                }
                other => panic!("cut at {cut}: {other}"),
            }
            continue;
        };
        let whole_records = index.saturating_sub(10) / 5;
        match result {
            Ok(keybag) => {
                assert_eq!(keybag.to_bytes(), bytes[..cut]);
                let keys = keybag.unlock(&password(), 100, &mut silent);
                let opened = keys.map_or(0, |keys| {
                    assert_eq!(keys.damaged(), []);
                    let opened = |class: &u32| {
                        let class = ProtectionClass(*class);
                        keys.opens(class) || keys.device_bound_key(class).is_some()
                    };
                    (1..=11).filter(opened).count()
                });
                assert_eq!(opened, whole_records, "cut at {cut}");
                parsed += 1;
            }
            Err(KeybagError::NoClasses) => assert!(index <= 10),
            Err(KeybagError::MissingClass { offset, .. }) => {
                assert_eq!(offset, ends[index - 1], "a record of nothing but its UUID");
            }
            Err(other) => panic!("cut at {cut}: {other}"),
        }
    }
    // Of each record's five items, the cut after the first leaves no class; the last cut is none.
    assert_eq!(parsed, 11 * 4 - 1);
}

/// Every value of every byte: no panic. What still opens is a key that was there before, and a
/// password is called wrong only where the derivation itself was changed.
#[test]
fn every_changed_byte_is_noticed_or_explained() {
    let bag = Bag::new(1, Some(1));
    let bytes = bag.bytes();
    let truth: BTreeSet<_> = (1..=11).map(|class| fingerprint(&class_key(class))).collect();
    let item_of = |at: usize| {
        (0..bag.0.len()).rev().find(|&index| bag.offset(index) <= at).map(|i| (i, bag.offset(i)))
    };
    let (mut errors, mut wrong, mut damaged, mut opened) = (0, 0, 0, 0);
    for at in 0..bytes.len() {
        let (index, start) = item_of(at).unwrap();
        let in_value = at >= start + 8;
        for change in 1..=255_u8 {
            let mut bad = bytes.clone();
            bad[at] ^= change;
            let Ok(keybag) = Keybag::parse(&bad) else {
                errors += 1;
                continue;
            };
            assert!(keybag.to_bytes() == bad, "byte {at} ^ {change}");
            // Unlocking costs more than parsing: the eight single bits stand for the rest.
            if !change.is_power_of_two() {
                continue;
            }
            match keybag.unlock(&password(), 300, &mut silent) {
                Ok(keys) => {
                    for class in keybag.classes().iter().map(|record| record.class()) {
                        let key = keys.class_key(class).map(|key| key.fingerprint());
                        let bound = keys.device_bound_key(class).map(|key| key.fingerprint());
                        assert!(key.or(bound).is_none_or(|key| truth.contains(&key)));
                    }
                    if !keys.damaged().is_empty() {
                        assert_eq!((bag.0[index].0, in_value), ("WPKY", true));
                        assert_eq!(keys.damaged().len(), 1);
                        damaged += 1;
                    }
                    opened += 1;
                }
                Err(UnlockError::WrongPassphrase { classes }) => {
                    let tag = bag.0[index].0;
                    assert!(["SALT", "ITER", "DPIC", "DPSL"].contains(&tag), "{tag} at {at}");
                    assert_eq!(classes, 11, "{tag} at {at} ^ {change}");
                    wrong += 1;
                }
                Err(UnlockError::ExcessiveWork { limit: 300, .. }) => {
                    assert!(["ITER", "DPIC"].contains(&bag.0[index].0));
                    wrong += 1;
                }
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
    }
    assert_eq!(damaged, 11 * 40 * 8, "any bit of any wrapped key");
    // All bits of both salts, and of both counts but the one that makes zero.
    assert_eq!(wrong, 2 * 20 * 8 + 2 * 31);
    assert!(errors > 90_000 && opened > damaged, "{errors} {opened}");
}

/// Two keybags of real devices: the passcode key, and every class.
#[test]
fn real_keybags_open() {
    let Some(file) = vectors("keybags.json") else { return };
    let (mut bags, mut usable, mut bound) = (0, 0, 0);
    for vector in file.as_array().unwrap() {
        let keybag = Keybag::parse(&unhex(text(vector, "keybag_hex"))).unwrap();
        let header = &vector["header"];
        assert_eq!(keybag.version().map(u64::from), header["VERS"].as_u64());
        assert_eq!(keybag.bag_type().map(u64::from), header["TYPE"].as_u64());
        assert_eq!(keybag.wrap().map(u64::from), header["WRAP"].as_u64());
        assert_eq!(keybag.uuid()[..], unhex(text(header, "UUID")));
        assert_eq!(keybag.hmck().unwrap(), unhex(text(header, "HMCK")));
        assert_eq!(keybag.kdf().inner.salt, unhex(text(header, "SALT")));
        assert_eq!(Some(keybag.kdf().rounds()), header["ITER"].as_u64());
        assert_eq!(keybag.unknown_items(), []);
        assert_eq!(keybag.to_bytes(), unhex(text(vector, "keybag_hex")));

        let password = Passphrase::new(text(vector, "password").into());
        let key = keybag.derive(&password, DEFAULT_KDF_LIMIT, &mut silent).unwrap();
        let passcode_key = unhex32(text(vector, "passcode_key"));
        assert_eq!(key.fingerprint(), fingerprint(&passcode_key));
        let keys = keybag.open(&key).unwrap();
        assert_eq!(keys.damaged(), []);
        let classes = vector["classes"].as_object().unwrap();
        assert_eq!(classes.len(), keybag.classes().len());
        for (number, truth) in classes {
            let class = ProtectionClass(number.parse().unwrap());
            let record = keybag.classes().iter().find(|record| record.class() == class).unwrap();
            assert_eq!(record.wrap().map(u64::from), truth["wrap"].as_u64());
            let expected = fingerprint(&unhex32(text(truth, "aes_kw_unwrapped")));
            if truth["usable_without_device_key"].as_bool().unwrap() {
                assert_eq!(keys.class_key(class).unwrap().fingerprint(), expected);
                usable += 1;
            } else {
                assert_eq!(keys.device_bound_key(class).unwrap().fingerprint(), expected);
                bound += 1;
            }
        }
        let wrong = Passphrase::new("not this one".into());
        let refused = keybag.unlock(&wrong, DEFAULT_KDF_LIMIT, &mut silent).unwrap_err();
        assert_eq!(refused, UnlockError::WrongPassphrase { classes: 11 });
        bags += 1;
    }
    assert_eq!((bags, usable, bound), (2, 4 + 7, 7 + 4));
}
