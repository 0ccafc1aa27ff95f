//! Keybags, and what a password has to do with them. Source: FORMAT.md 3.

use super::{Draft, recipe};

const OK: &str = "ok";
const BAD: &str = "open/key-material-damaged";
const WRONG: &str = "unlock/wrong-password";
/// The class of `note.txt` does not open.
const LOST: &str = "payload/key-unwrap-failed";
/// The class of Manifest.db does not open.
const NO_CATALOG: &str = "unlock/key-material-damaged";

/// One tag with its value.
type Item = ([u8; 4], Vec<u8>);

const HEADER: [&str; 10] =
    ["VERS", "TYPE", "UUID", "HMCK", "WRAP", "SALT", "ITER", "DPWT", "DPIC", "DPSL"];
const RECORD: [&str; 5] = ["UUID", "CLAS", "WRAP", "KTYP", "WPKY"];
/// Where the record of a class begins; they stand from 11 to 1.
const fn record(class: usize) -> usize {
    HEADER.len() + (11 - class) * RECORD.len()
}

fn sound() -> Vec<Item> {
    let bytes = recipe::base("encrypted").map(|spec| spec.keybag_contents().encode());
    let mut rest = &bytes.unwrap_or_default()[..];
    let mut items = Vec::new();
    while let [a, b, c, d, e, f, g, h, tail @ ..] = rest {
        let len = u32::from_be_bytes([*e, *f, *g, *h]);
        let (value, tail) = tail.split_at(usize::try_from(len).unwrap_or(0).min(tail.len()));
        items.push(([*a, *b, *c, *d], value.to_vec()));
        rest = tail;
    }
    items
}

fn encode(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, value) in items {
        out.extend(tag);
        out.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(value);
    }
    out
}

/// Returns where an item starts in the encoded bag.
fn offset(items: &[Item], index: usize) -> usize {
    encode(&items[..index]).len()
}

pub(super) fn bytes() -> Vec<Draft> {
    let mut cases = Vec::new();
    items_of_the_header(&mut cases);
    items_of_a_record(&mut cases);
    values(&mut cases);
    wholes(&mut cases);
    cases
}

fn items_of_the_header(cases: &mut Vec<Draft>) {
    for (index, tag) in HEADER.iter().enumerate() {
        let absent = match *tag {
            "VERS" | "TYPE" | "HMCK" | "WRAP" | "DPWT" => OK,
            _ => BAD,
        };
        let odd_length = match *tag {
            "HMCK" => OK,
            "SALT" | "DPSL" => WRONG,
            _ => BAD,
        };
        each_item(cases, "header", tag, index, [absent, BAD, odd_length]);
    }
}

fn items_of_a_record(cases: &mut Vec<Draft>) {
    for (index, tag) in RECORD.iter().enumerate() {
        let absent = match *tag {
            "WRAP" | "WPKY" => LOST,
            "KTYP" => OK,
            _ => BAD,
        };
        each_item(cases, "class", tag, record(3) + index, [absent, BAD, BAD]);
    }
}

/// What can happen to any item: absent, twice, of another length.
fn each_item(
    cases: &mut Vec<Draft>,
    part: &str,
    tag: &str,
    at: usize,
    [absent, twice, odd_length]: [&'static str; 3],
) {
    let name = format!("{part}-{}", tag.to_lowercase());
    let mut add = |what: &str, title: &str, expect, change: &dyn Fn(&mut Vec<Item>)| {
        let mut items = sound();
        change(&mut items);
        let title = format!("{tag} of the {part} {title}");
        cases.push(Draft::new(format!("{name}-{what}"), title, expect, encode(&items)));
    };
    add("absent", "is not there", absent, &|items| drop(items.remove(at)));
    add("unknown", "has its tag in small letters", absent, &|items| {
        items[at].0.make_ascii_lowercase();
    });
    add("twice", "stands twice", twice, &|items| items.insert(at, items[at].clone()));
    add("short", "lacks its last byte", odd_length, &|items| {
        items[at].1.pop();
    });
    add("long", "has a byte too many", odd_length, &|items| items[at].1.push(0));
    add("empty", "has no bytes", odd_length, &|items| items[at].1.clear());
    let items = sound();
    let mut lie = encode(&items);
    let length = offset(&items, at) + 4;
    lie[length..length + 4].fill(0xff);
    let title = format!("{tag} of the {part} claims 4 GiB");
    cases.push(Draft::new(format!("{name}-4gib"), title, BAD, lie));
}

/// Values that an item can hold and should not.
fn values(cases: &mut Vec<Draft>) {
    let mut add = |name: &str, title: &str, expect, change: &dyn Fn(&mut Vec<Item>)| {
        let mut items = sound();
        change(&mut items);
        cases.push(Draft::new(format!("value-{name}"), title, expect, encode(&items)));
    };
    let set = |index: usize, value: u32| {
        move |items: &mut Vec<Item>| items[index].1 = value.to_be_bytes().to_vec()
    };
    let (clas, wrap, ktyp, wpky) = (record(3) + 1, record(3) + 2, record(3) + 3, record(3) + 4);
    for byte in [0, 20, 39] {
        let title = format!("a bit of byte {byte} of a wrapped class key is wrong");
        add(&format!("wpky-{byte}"), &title, LOST, &|items| items[wpky].1[byte] ^= 1);
    }
    add("wpky-catalog", "the wrapped key of Manifest.db's class is wrong", NO_CATALOG, &|items| {
        items[record(4) + 4].1[7] ^= 0x80;
    });
    add("wpky-unused", "the wrapped key of a class that no file has is wrong", OK, &|items| {
        items[record(11) + 4].1[7] ^= 0x80;
    });
    add("wpky-all", "a bit of every wrapped class key is wrong", WRONG, &|items| {
        let keys = items.iter_mut().filter(|(tag, _)| tag == b"WPKY");
        keys.for_each(|(_, value)| value[0] ^= 1);
    });
    add("wpky-swapped", "two classes have each other's key", LOST, &|items| {
        let (a, b) = (items[wpky].1.clone(), items[record(6) + 4].1.clone());
        items[wpky].1 = b;
        items[record(6) + 4].1 = a;
    });
    for value in [0, 1, 3, 4, u32::MAX] {
        let title = format!("WRAP {value} for a class that the password opens");
        add(&format!("wrap-{value}"), &title, LOST, &set(wrap, value));
    }
    add("wrap-catalog", "WRAP 3 for the class of Manifest.db", NO_CATALOG, &set(record(4) + 2, 3));
    add("wrap-all-device", "no class is wrapped by the password", NO_CATALOG, &|items| {
        let wraps = items.iter_mut().skip(HEADER.len()).filter(|(tag, _)| tag == b"WRAP");
        wraps.for_each(|(_, value)| *value = vec![0, 0, 0, 1]);
    });
    for value in [0, 99, u32::MAX] {
        let title = format!("CLAS {value} in the place of 3");
        add(&format!("class-{value}"), &title, LOST, &set(clas, value));
    }
    add("class-twice", "two records are of class 4", BAD, &set(clas, 4));
    add("key-type", "KTYP 1, which backups do not use", OK, &set(ktyp, 1));
    for (index, tag, others) in [
        (0, "vers", [0, u32::MAX]),
        (1, "type", [2, u32::MAX]),
        (4, "wrap", [1, u32::MAX]),
        (7, "dpwt", [0, u32::MAX]),
    ] {
        for value in others {
            let title = format!("{} is {value}", tag.to_uppercase());
            add(&format!("header-{tag}-{value}"), &title, OK, &set(index, value));
        }
    }
    add("uuid", "another UUID in the header", OK, &|items| items[2].1[0] ^= 1);
    add("hmck", "HMCK is not zero", OK, &|items| items[3].1.fill(0xff));
    for (index, tag) in [(5, "salt"), (9, "dpsl")] {
        let title = format!("a bit of {} is wrong", tag.to_uppercase());
        add(&format!("{tag}-flipped"), &title, WRONG, &|items| items[index].1[0] ^= 1);
        for (len, expect) in [(64, WRONG), (65, BAD)] {
            let title = format!("{} has {len} bytes, the limit is 64", tag.to_uppercase());
            add(&format!("{tag}-{len}-bytes"), &title, expect, &|items| {
                items[index].1.resize(len, 1);
            });
        }
    }
    for (index, tag, rounds) in [(6, "iter", 2), (8, "dpic", 3)] {
        let upper = tag.to_uppercase();
        add(&format!("{tag}-0"), &format!("{upper} asks for no rounds"), BAD, &set(index, 0));
        let title = format!("{upper} is one more than it was");
        add(&format!("{tag}-other"), &title, WRONG, &set(index, rounds));
        let title = format!("{upper} asks for minutes of work");
        add(&format!("{tag}-max"), &title, "unlock/kdf-limit", &set(index, u32::MAX));
    }
    let title = "both stages together ask for 50,000,001 rounds";
    add("rounds-together", title, "unlock/kdf-limit", &|items| {
        set(6, 25_000_001)(items);
        set(8, 25_000_000)(items);
    });
    add("salts-swapped", "SALT and DPSL have each other's value", WRONG, &|items| {
        let (a, b) = (items[5].1.clone(), items[9].1.clone());
        items[5].1 = b;
        items[9].1 = a;
    });
    add("one-stage", "DPIC and DPSL are both gone", WRONG, &|items| {
        items.remove(9);
        items.remove(8);
    });
}

/// The bag as a whole.
fn wholes(cases: &mut Vec<Draft>) {
    let items = sound();
    let whole = encode(&items);
    let mut add = |name: &str, title: &str, expect, bytes: Vec<u8>| {
        cases.push(Draft::new(format!("whole-{name}"), title, expect, bytes));
    };
    add("sound", "nothing is wrong", OK, whole.clone());
    for len in [0, 1, 3, 4, 7, 8, 11] {
        let title = format!("ends after {len} bytes, inside the first item");
        add(&format!("cut-{len}"), &title, BAD, whole[..len].to_vec());
    }
    let last = record(1);
    for (at, name, expect) in [
        (HEADER.len(), "header", BAD),
        (HEADER.len() + 1, "first-record-uuid", BAD),
        (record(10), "first-record", NO_CATALOG),
        (record(3), "record-of-class-4", LOST),
        (last + 1, "last-uuid", BAD),
        (last + 2, "last-clas", OK),
        (last + 4, "last-ktyp", OK),
    ] {
        let title = format!("ends after the {}", name.replace('-', " "));
        add(&format!("cut-after-{name}"), &title, expect, encode(&items[..at]));
    }
    for less in [1, 39, 40, 44] {
        let title = format!("lacks its last {less} bytes");
        add(&format!("lacks-{less}"), &title, BAD, whole[..whole.len() - less].to_vec());
    }
    for (more, expect) in [(1, BAD), (7, BAD), (8, OK)] {
        let title = format!("{more} zero bytes follow the last item");
        add(&format!("zeros-{more}"), &title, expect, [&whole[..], &vec![0; more]].concat());
    }
    add("zeros", "zeros", BAD, vec![0; 1388]);
    add("ones", "ones", BAD, vec![0xff; 1388]);
    add("letters", "one letter", BAD, vec![b'Z'; 1388]);
    add("backwards", "the bytes from the last to the first", BAD, {
        whole.iter().rev().copied().collect()
    });
    add("wrapped", "inside a DATA item, as keybags of a device are", BAD, {
        encode(&[(*b"DATA", whole.clone())])
    });
    add("little-endian", "lengths are little-endian", BAD, {
        let mut bytes = Vec::new();
        for (tag, value) in &items {
            bytes.extend(tag);
            bytes.extend(u32::try_from(value.len()).unwrap_or(0).to_le_bytes());
            bytes.extend(value);
        }
        bytes
    });
    add("ascending", "classes from 1 to 11", OK, {
        let mut bytes = encode(&items[..HEADER.len()]);
        for class in 1..=11 {
            bytes.extend(encode(&items[record(class)..record(class) + RECORD.len()]));
        }
        bytes
    });
    add("records-first", "class records come before the header", BAD, {
        let (header, records) = items.split_at(HEADER.len());
        [encode(records), encode(header)].concat()
    });
    add("twice", "the whole bag stands twice", BAD, [&whole[..], &whole].concat());
    for (name, at) in [("header", 3), ("record", record(3) + 2)] {
        let mut more = items.clone();
        more.insert(at, (*b"ZZZZ", vec![1, 2, 3]));
        let title = format!("an item of an unknown kind in the {name}");
        add(&format!("unknown-{name}"), &title, OK, encode(&more));
    }
}

/// What is not the keybag's bytes alone.
pub(super) fn recipes() -> Vec<Draft> {
    let encrypted = |lines: &str| format!("base encrypted\n{lines}\n");
    let plist = |rest: &str| encrypted(&format!("plist Manifest.plist {rest}"));
    let zeros = "00".repeat(40);
    let mut cases = Vec::new();
    for (limit, expect) in [(1_099, "unlock/kdf-limit"), (1_100, OK), (1_101, OK)] {
        let title = format!("asks for 1,100 rounds, and {limit} are allowed");
        let lines = encrypted(&format!("iter 600\ndpic 500\nkdf-limit {limit}"));
        cases.push(Draft::new(format!("limit-{limit}"), title, expect, lines));
    }
    for (name, password) in [
        ("wrong", "TEST"),
        ("empty", ""),
        ("newline", "test\\n"),
        ("space", "test "),
        ("prefix", "tes"),
    ] {
        let title = format!("the password {password:?} where \"test\" is right");
        let lines = encrypted(&format!("password {password}"));
        cases.push(Draft::new(format!("password-{name}"), title, WRONG, lines));
    }
    let title = "a NUL after the password, which HMAC pads with anyway";
    cases.push(Draft::new("password-nul", title, OK, encrypted("password test\\0")));
    let one_stage = "base encrypted-mbdb\npassword TEST\n";
    let title = "a wrong password where there is one stage";
    cases.push(Draft::new("password-wrong-mbdb", title, WRONG, one_stage));
    for (name, title, expect, body) in [
        ("items-4096", "4,096 items, the limit", OK, encrypted("keybag-items 4096")),
        (
            "items-4097",
            "one item more than the limit",
            "open/limit-exceeded",
            encrypted("keybag-items 4097"),
        ),
        ("bytes-1mib", "1 MiB, the limit", OK, encrypted("keybag-len 1048576")),
        (
            "bytes-1mib-1",
            "one byte more than the limit",
            "open/limit-exceeded",
            encrypted("keybag-len 1048577"),
        ),
        ("bag-absent", "encrypted, and no keybag", BAD, plist("BackupKeyBag none")),
        ("bag-empty", "a keybag of no bytes", BAD, plist("BackupKeyBag data ")),
        (
            "bag-text",
            "the keybag is text",
            "notice/plist-oddity open/key-material-damaged",
            plist("BackupKeyBag text VERS"),
        ),
        (
            "bag-absent-plain",
            "no keybag, and nothing that needs one",
            OK,
            "base plain\nplist Manifest.plist BackupKeyBag none\n".into(),
        ),
        (
            "bag-garbage-plain",
            "a damaged keybag, and nothing that needs one",
            OK,
            "base plain\nplist Manifest.plist BackupKeyBag data 00\n".into(),
        ),
        ("manifest-key-empty", "ManifestKey has no bytes", NO_CATALOG, encrypted("manifest-key ")),
        (
            "manifest-key-43",
            "ManifestKey has 43 bytes",
            NO_CATALOG,
            encrypted(&format!("manifest-key 04000000{}", &zeros[2..])),
        ),
        (
            "manifest-key-45",
            "ManifestKey has 45 bytes",
            NO_CATALOG,
            encrypted(&format!("manifest-key 04000000{zeros}00")),
        ),
        (
            "manifest-key-zeros",
            "ManifestKey does not unwrap",
            NO_CATALOG,
            encrypted(&format!("manifest-key 04000000{zeros}")),
        ),
        (
            "manifest-key-no-class",
            "ManifestKey is of class 99",
            NO_CATALOG,
            encrypted(&format!("manifest-key 63000000{zeros}")),
        ),
        (
            "manifest-key-device",
            "ManifestKey is of a class that is bound to the device",
            NO_CATALOG,
            encrypted(&format!("manifest-key 09000000{zeros}")),
        ),
        (
            "manifest-key-big-endian",
            "the class of ManifestKey is big-endian",
            NO_CATALOG,
            encrypted(&format!("manifest-key 00000004{zeros}")),
        ),
        (
            "manifest-key-absent",
            "Manifest.db is encrypted, and no ManifestKey",
            "open/catalog-damaged",
            plist("ManifestKey none"),
        ),
        (
            "manifest-key-text",
            "ManifestKey is text",
            "notice/plist-oddity open/catalog-damaged",
            plist("ManifestKey text key"),
        ),
        (
            "says-plain",
            "encrypted, and IsEncrypted says not",
            "notice/state-contradiction",
            plist("IsEncrypted bool false"),
        ),
        ("says-nothing", "encrypted, and IsEncrypted is absent", OK, plist("IsEncrypted none")),
        (
            "says-text",
            "encrypted, and IsEncrypted is text",
            "notice/plist-oddity",
            plist("IsEncrypted text yes"),
        ),
        (
            "plain-says-encrypted",
            "not encrypted, and IsEncrypted says so; its bag is under the empty password",
            WRONG,
            "base plain\nplist Manifest.plist IsEncrypted bool true\n".into(),
        ),
        (
            "plain-says-encrypted-opened",
            "the same with the empty password: files without keys",
            "payload/plaintext-blob payload/plaintext-blob payload/plaintext-blob",
            "base plain\npassword \nplist Manifest.plist IsEncrypted bool true\n".into(),
        ),
    ] {
        cases.push(Draft::new(name, title, expect, body));
    }
    cases.push(
        Draft::new(
            "mbdb-says-plain",
            "encrypted, and neither Manifest.plist nor the catalog says so",
            "payload/size-mismatch payload/size-mismatch payload/size-mismatch",
            "base encrypted-mbdb\nplist Manifest.plist IsEncrypted bool false\n",
        )
        .reads(0),
    );
    cases
}
