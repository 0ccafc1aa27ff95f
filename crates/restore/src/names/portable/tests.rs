use std::collections::{HashMap, HashSet};

use bkp_core::{Domain, Entry, EntryKind, RelPath};
use unicode_normalization::UnicodeNormalization as _;

use super::super::Twins;
use super::{decode, encode};

fn entry(domain: &[u8], path: &[u8]) -> Entry {
    Entry::derive(Domain::new(domain).unwrap(), RelPath::new(path).unwrap(), EntryKind::File)
}

fn stored(entry: &Entry, twins: &Twins) -> String {
    String::from_utf8(encode(&entry.domain, &entry.path, twins).0).unwrap()
}

#[test]
fn what_some_disk_cannot_hold_is_escaped() {
    let twins = Twins::default();
    for (path, name) in [
        ("Library/SMS/sms.db", "Library/SMS/sms.db"),
        ("a:b", "a%3Ab"),
        (r#"<>:"\|?*"#, "%3C%3E%3A%22%5C%7C%3F%2A"),
        ("100%", "100%25"),
        ("%41", "%2541"),
        ("a\u{1}\u{7f}\n", "a%01%7F%0A"),
        ("end.", "end%2E"),
        ("end..", "end.%2E"),
        ("end ", "end%20"),
        ("...", "..%2E"),
        (".a b", ".a b"),
        ("CON", "%43ON"),
        ("con.txt", "%63on.txt"),
        ("nul .tar.gz", "%6Eul .tar.gz"),
        ("Com1", "%43om1"),
        ("lpt\u{b2}.x", "%6Cpt\u{b2}.x"),
        ("CONIN$", "%43ONIN$"),
        ("console", "console"),
        ("com", "com"),
        ("com10", "com10"),
        ("xcon", "xcon"),
        ("é/ü", "é/ü"),
        ("names.jsonl", "names.jsonl"),
    ] {
        let entry = entry(b"HomeDomain", path.as_bytes());
        assert_eq!(stored(&entry, &twins), format!("HomeDomain/{name}"));
        assert_eq!(encode(&entry.domain, &entry.path, &twins).1, path != name);
    }
    assert_eq!(stored(&entry(b"HomeDomain", b"\xff\xc3a"), &twins), "HomeDomain/%FF%C3a");
    assert_eq!(stored(&entry(b"Names.jsonl", b"a"), &twins), "%4Eames.jsonl/a");
    assert_eq!(stored(&entry(b"aux", b""), &twins), "%61ux");
}

#[test]
fn twins_are_told_apart_wherever_they_stand() {
    let entries: Vec<_> = [
        "Photo.JPG",
        "photo.jpg",
        "Only.JPG",
        "Dir/x",
        "dir/x",
        "Dir/Y",
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{212a}elvin",
        "kelvin",
        "stra\u{df}e",
        "strasse",
        "a\u{200d}b",
        "ab",
    ]
    .iter()
    .map(|path| entry(b"HomeDomain", path.as_bytes()))
    .collect();
    let twins = Twins::of_entries(&entries);
    let names: Vec<_> = entries.iter().map(|e| stored(e, &twins)).collect();
    let names: Vec<_> = names.iter().map(|n| n.strip_prefix("HomeDomain/").unwrap()).collect();
    assert_eq!(
        names,
        [
            "%50hoto.%4A%50%47",
            "photo.jpg",
            "Only.JPG",
            "%44ir/x",
            "dir/x",
            "%44ir/Y",
            "caf%C3%A9",
            "cafe%CC%81",
            "%E2%84%AAelvin",
            "kelvin",
            "stra%C3%9Fe",
            "strasse",
            "a%E2%80%8Db",
            "ab",
        ]
    );
    // The order of the walk does not matter.
    let reversed = Twins::of_entries(entries.iter().rev());
    assert!(entries.iter().all(|e| stored(e, &reversed) == stored(e, &twins)));
    let domains = [entry(b"HomeDomain", b"a"), entry(b"homeDomain", b"")];
    let twins = Twins::of_entries(&domains);
    assert_eq!(stored(&domains[0], &twins), "%48ome%44omain/a");
    assert_eq!(stored(&domains[1], &twins), "home%44omain");
    assert!(
        Twins::of_entries(&[entry(b"HomeDomain", b"a/b"), entry(b"HomeDomain", b"b/A")]).is_empty()
    );
}

#[test]
fn long_names_are_cut_and_stay_apart() {
    let twins = Twins::default();
    let (a, b) = ([b'?'; 255], [[b'?'; 254].as_slice(), b"x"].concat());
    for long in [a.as_slice(), &b, "é?".repeat(85).as_bytes(), &[0xff; 255]] {
        let name = stored(&entry(b"d", long), &twins);
        let name = name.strip_prefix("d/").unwrap();
        assert!(name.len() <= 255 && name.len() > 248, "{}", name.len());
        assert!(name.contains("%~"));
        assert_eq!(decode(name.as_bytes()), None);
    }
    assert_ne!(stored(&entry(b"d", &a), &twins), stored(&entry(b"d", &b), &twins));
    // A domain may be longer than a component.
    let name = stored(&entry(&[b'x'; 1024], b"a"), &twins);
    assert_eq!(name.split('/').next().unwrap().len(), 255);
    // Exactly as long as can be.
    let exact = [[b'?'; 85].as_slice(), b""].concat();
    assert_eq!(stored(&entry(b"d", &exact), &twins), format!("d/{}", "%3F".repeat(85)));
}

#[test]
fn what_was_not_encoded_does_not_decode() {
    for bad in ["%", "%4", "%4g", "a%~b", "%+1"] {
        assert_eq!(decode(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(decode(b"%3a%3A/b").unwrap(), b"::/b");
}

/// As a disk without case and composition compares names.
fn on_disk(name: &str) -> String {
    name.nfd().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfd().collect()
}

/// Random names, of few letters so that twins are many: different entries never meet on a disk
/// without case, and every name comes back.
#[test]
fn encoding_is_injective_and_reversible() {
    let letters: [&[u8]; 22] = [
        b"a",
        b"A",
        b"b",
        b"B",
        b"%",
        b"4",
        b"1",
        b".",
        b" ",
        b":",
        b"con",
        b"CON",
        b"\xff",
        b"\xc3",
        "é".as_bytes(),
        "e\u{301}".as_bytes(),
        "É".as_bytes(),
        "\u{212a}".as_bytes(),
        b"k",
        b"/",
        b"/",
        b"~",
    ];
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(n).unwrap()).unwrap()
    };
    let mut entries = HashMap::new();
    while entries.len() < 20_000 {
        let path: Vec<u8> =
            (0..=below(5)).flat_map(|_| letters[below(letters.len())]).copied().collect();
        if let Ok(path) = RelPath::new(&path) {
            let domain = ["HomeDomain", "homeDomain", "Root\u{e9}"][below(3)];
            let entry = Entry::derive(Domain::new(domain).unwrap(), path, EntryKind::File);
            entries.insert(entry.id, entry);
        }
    }
    let twins = Twins::of_entries(entries.values());
    assert!(!twins.is_empty());
    let mut seen = HashSet::new();
    for entry in entries.values() {
        let name = stored(entry, &twins);
        assert!(seen.insert(on_disk(&name)), "{entry:?} meets another at {name}");
        let whole = [entry.domain.as_bytes(), b"/", entry.path.as_bytes()].concat();
        assert_eq!(decode(name.as_bytes()).unwrap(), whole);
        let bad = |c: char| c.is_control() || "<>:\"\\|?*".contains(c);
        assert!(!name.contains(bad), "{name}");
        for component in name.split('/') {
            assert!(!component.ends_with(['.', ' ']) && !component.is_empty(), "{name}");
        }
    }
}
