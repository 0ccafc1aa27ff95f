//! Manifest.plist, Info.plist and Status.plist. Source: FORMAT.md 1.1 to 1.3.

use super::Draft;
use crate::cases::plist_bombs;
use crate::{PlistValue, binary_plist};

const OK: &str = "ok";
const DAMAGED: &str = "open/plist-damaged";
const LIMIT: &str = "open/limit-exceeded";
const UNSUPPORTED: &str = "open/unsupported-format";
const ODD: &str = "notice/plist-oddity";

/// What a Manifest.plist must say at the very least.
const LEAST: &str = "<key>Version</key><string>10.0</string><key>IsEncrypted</key><false/>";

fn document(body: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">{body}</plist>\n")
}

fn with(more: &str) -> String {
    document(&format!("<dict>{LEAST}{more}</dict>"))
}

fn binary() -> Vec<u8> {
    binary_plist(&PlistValue::dict([
        ("Version", PlistValue::text("10.0")),
        ("IsEncrypted", PlistValue::Bool(false)),
        ("Lockdown", PlistValue::dict([("DeviceName", PlistValue::text("iPhone"))])),
        ("List", PlistValue::Array(vec![PlistValue::Int(7)])),
    ]))
}

pub(super) fn bytes() -> Vec<Draft> {
    let mut cases = xml();
    cases.extend(encodings());
    cases.push(Draft::new("binary-sound", "binary, and nothing is wrong", OK, binary()));
    for (name, title, bytes) in broken_binary(&binary()) {
        cases.push(Draft::new(format!("binary-{name}"), title, DAMAGED, bytes));
    }
    let swap = |from: &[u8], to: &[u8]| {
        let mut bytes = binary();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap_or(0);
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    for (name, title, expect, bytes) in [
        ("key-unknown", "a key is an object of no known kind", DAMAGED, swap(b"\x54List", &[0x70])),
        ("key-number", "a key is a number", DAMAGED, swap(b"\x54List", &[0x10])),
        ("key-longer", "a key takes in what follows it", OK, swap(b"\x54List", &[0x5e])),
        ("key-longest", "a key runs into the table", DAMAGED, swap(b"\x54List", b"\x5f\x11\xff")),
        ("key-not-utf8", "a key is not UTF-8", OK, swap(b"List", b"\xff\xfe\xff\xfe")),
        ("array-counts-14", "an array claims 14 members", DAMAGED, swap(b"\xa1", b"\xae")),
        ("bool-wild", "a boolean that is neither", DAMAGED, swap(b"\x08\x5f", b"\x07")),
    ] {
        cases.push(Draft::new(format!("binary-{name}"), title, expect, bytes));
    }
    cases
}

/// Breaks the header, the trailer and the table of a binary property list, one at a time.
pub(super) fn broken_binary(sound: &[u8]) -> Vec<(String, String, Vec<u8>)> {
    let end = sound.len();
    let trailer = end - 32;
    let count = u64::from_be_bytes(sound[trailer + 8..trailer + 16].try_into().unwrap_or_default());
    let table = u64::from_be_bytes(sound[trailer + 24..].try_into().unwrap_or_default());
    let first = usize::try_from(table).unwrap_or(0);
    let mut cases = Vec::new();
    let mut add = |name: &str, title: &str, bytes: Vec<u8>| {
        cases.push((name.to_owned(), title.to_owned(), bytes));
    };
    let patched = |at: usize, new: &[u8]| {
        let mut bytes = sound.to_vec();
        bytes[at..at + new.len()].copy_from_slice(new);
        bytes
    };
    for value in [0, 9, 255] {
        let title = format!("offsets of {value} bytes");
        add(&format!("offset-size-{value}"), &title, patched(trailer + 6, &[value]));
        let title = format!("references of {value} bytes");
        add(&format!("ref-size-{value}"), &title, patched(trailer + 7, &[value]));
    }
    for (name, at, value) in [
        ("count-0", 8, 0),
        ("count-1-more", 8, count + 1),
        ("count-max", 8, u64::MAX),
        ("count-overflow", 8, 1 << 63),
        ("top-beyond", 16, count),
        ("top-max", 16, u64::MAX),
        ("table-0", 24, 0),
        ("table-7", 24, 7),
        ("table-1-later", 24, table + 1),
        ("table-in-trailer", 24, trailer as u64),
        ("table-max", 24, u64::MAX),
    ] {
        let title = format!("the trailer has {}", name.replace('-', " "));
        add(name, &title, patched(trailer + at, &value.to_be_bytes()));
    }
    let width = usize::from(sound[trailer + 6]);
    let top = &vec![0xff; width];
    add("offset-beyond", "the first object is beyond the end", patched(first, top));
    add("offset-in-header", "the first object is the header", patched(first, &vec![0; width]));
    add("cut-1", "lacks its last byte", sound[..end - 1].to_vec());
    add("cut-trailer", "lacks its trailer", sound[..trailer].to_vec());
    add("cut-half", "lacks its second half", sound[..end / 2].to_vec());
    add("header-alone", "eight bytes of header", sound[..8].to_vec());
    add("header-and-trailer", "a header and a trailer", [&sound[..8], &sound[trailer..]].concat());
    add("longer", "a byte follows the trailer", [sound, &[0]].concat());
    cases
}

fn xml() -> Vec<Draft> {
    let deep = |levels: usize| {
        let (open, close) = ("<array>".repeat(levels), "</array>".repeat(levels));
        with(&format!("<key>k</key>{open}{close}"))
    };
    let value = |xml: &str| with(&format!("<key>Date</key>{xml}"));
    let keybag = |xml: &str| with(&format!("<key>BackupKeyBag</key>{xml}"));
    let ignored = |xml: &str| with(&format!("<key>Ignored</key>{xml}"));
    let cases = [
        ("sound", "nothing is wrong", OK, with("")),
        ("bare", "no plist element", OK, format!("<dict>{LEAST}</dict>")),
        ("no-declaration", "no declaration", OK, with("")[39..].to_owned()),
        ("unclosed-dict", "the dictionary does not end", DAMAGED, document("<dict>")),
        (
            "unclosed-plist",
            "the plist element does not end",
            DAMAGED,
            with("").replace("</plist>", ""),
        ),
        ("crossed", "elements cross", DAMAGED, ignored("<array><dict></array></dict>")),
        ("closed-twice", "an end too many", DAMAGED, with("</dict>")),
        (
            "second-root",
            "a second value",
            DAMAGED,
            document(&format!("<dict>{LEAST}</dict><true/>")),
        ),
        ("after-plist", "a value after the plist element", DAMAGED, with("") + "<true/>"),
        ("plist-twice", "a plist element in the plist element", DAMAGED, document(&with(""))),
        ("text-between", "text between elements", DAMAGED, with("text")),
        ("cdata-between", "CDATA between elements", DAMAGED, with("<![CDATA[x]]>")),
        ("key-alone", "a key without a value", DAMAGED, with("<key>k</key>")),
        ("key-key", "a key after a key", DAMAGED, with("<key>k</key><key>l</key><true/>")),
        ("value-alone", "a value without a key", DAMAGED, with("<true/>")),
        ("key-in-array", "a key in an array", DAMAGED, ignored("<array><key>k</key></array>")),
        ("unknown-element", "an element of no known name", DAMAGED, ignored("<number>1</number>")),
        ("capital", "an element in capitals", DAMAGED, ignored("<STRING>x</STRING>")),
        (
            "element-in-text",
            "an element inside text",
            DAMAGED,
            ignored("<string><b>x</b></string>"),
        ),
        ("text-unended", "text that does not end", DAMAGED, "<dict><key>Version".into()),
        ("tag-unended", "a tag that does not end", DAMAGED, "<dict><key".into()),
        ("comment-unended", "a comment that does not end", DAMAGED, with("<!-- ")),
        ("comment", "a comment and an instruction", OK, with("<!-- < & > --><?x y?>")),
        ("root-array", "the root is an array", DAMAGED, document("<array/>")),
        ("root-string", "the root is a string", DAMAGED, document("<string>x</string>")),
        ("nothing", "no value", DAMAGED, document("")),
        (
            "dtd",
            "the usual document type",
            OK,
            with("").replace(
                "<plist",
                "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"file:///x\"><plist",
            ),
        ),
        (
            "dtd-entity",
            "a document type that declares an entity",
            UNSUPPORTED,
            with("").replace("<plist", "<!DOCTYPE plist [<!ENTITY e \"x\">]><plist"),
        ),
        (
            "dtd-external",
            "a document type that names a file for an entity",
            UNSUPPORTED,
            with("").replace("<plist", "<!DOCTYPE p [<!ENTITY e SYSTEM \"file:///x\">]><plist"),
        ),
        ("entity-unknown", "an entity of no known name", DAMAGED, ignored("<string>&e;</string>")),
        ("entity-known", "the five entities", OK, {
            ignored("<string>&amp;&lt;&gt;&quot;&apos;&#65;</string>")
        }),
        ("entity-nul", "a reference to NUL", DAMAGED, ignored("<string>&#0;</string>")),
        (
            "entity-beyond",
            "a reference beyond Unicode",
            DAMAGED,
            ignored("<string>&#x110000;</string>"),
        ),
        (
            "entity-surrogate",
            "a reference to a surrogate",
            DAMAGED,
            ignored("<string>&#xd800;</string>"),
        ),
        ("ampersand", "an ampersand that begins nothing", DAMAGED, ignored("<string>&</string>")),
        ("cdata-value", "a version in CDATA", OK, { with("").replace("10.0", "<![CDATA[10.0]]>") }),
        ("version-twice", "a key stands twice", OK, {
            with("<key>Version</key><string>10.0</string>")
        }),
        ("date-words", "a date in words", ODD, value("<date>yesterday</date>")),
        ("date-month-13", "a date of month 13", ODD, value("<date>2024-13-01T00:00:00Z</date>")),
        ("date-february-30", "30 February", ODD, value("<date>2023-02-30T00:00:00Z</date>")),
        ("date-zone", "a date with a time zone", ODD, value("<date>2024-01-01T00:00:00+01</date>")),
        ("date-empty", "an empty date", ODD, value("<date/>")),
        ("date-string", "a date as a string", ODD, value("<string>2024-01-01T00:00:00Z</string>")),
        ("date-ignored", "a bad date that nobody reads", OK, ignored("<date>never</date>")),
        ("data-odd", "base64 with a letter too many", ODD, keybag("<data>AAAAA</data>")),
        ("data-alphabet", "base64 with a letter that it has not", ODD, keybag("<data>@@@@</data>")),
        ("data-spaces", "base64 on many lines", OK, keybag("<data>\n\tAA\n\tAA\n\t</data>")),
        ("integer-words", "an integer in words", OK, ignored("<integer>five</integer>")),
        ("bool-text", "a boolean with text in it", OK, ignored("<true>x</true>")),
        ("nesting-512", "512 containers inside one another", OK, deep(511)),
        ("nesting-513", "one container more than the limit", LIMIT, deep(512)),
    ];
    cases
        .into_iter()
        .map(|(name, title, expect, text)| Draft::new(format!("xml-{name}"), title, expect, text))
        .collect()
}

fn encodings() -> Vec<Draft> {
    let text = with("");
    let latin = |more: &str| with(more).replace("UTF-8", "ISO-8859-1");
    let umlaut = "<key>Ignored</key><string>\u{e4}</string>";
    let wide = |mark: [u8; 2], big: bool| {
        let units = text.encode_utf16();
        let bytes = units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() });
        mark.into_iter().chain(bytes).collect::<Vec<u8>>()
    };
    let cases: [(&str, &str, &str, Vec<u8>); 19] = [
        ("empty", "no bytes", DAMAGED, Vec::new()),
        ("blank", "white space alone", DAMAGED, b" \n\t".to_vec()),
        ("nul", "a NUL byte", DAMAGED, vec![0]),
        ("zeros", "4,096 zeros", DAMAGED, vec![0; 4096]),
        ("noise", "no property list", DAMAGED, b"MZ\x90\0\x03".to_vec()),
        ("old-text", "the old text form", UNSUPPORTED, b"{ Version = \"10.0\"; }".to_vec()),
        ("json", "JSON", UNSUPPORTED, b"{\"Version\":\"10.0\"}".to_vec()),
        ("utf8-mark", "UTF-8 with a mark", OK, [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ("utf16-le", "UTF-16, little-endian", UNSUPPORTED, wide([0xff, 0xfe], false)),
        ("utf16-be", "UTF-16, big-endian", UNSUPPORTED, wide([0xfe, 0xff], true)),
        (
            "utf16-unmarked",
            "UTF-16 without a mark",
            UNSUPPORTED,
            wide([0xff, 0xfe], false)[2..].to_vec(),
        ),
        ("latin-ascii", "Latin 1 that is ASCII", OK, latin("").into_bytes()),
        ("latin-utf8", "Latin 1 that is UTF-8", UNSUPPORTED, latin(umlaut).into_bytes()),
        ("latin", "Latin 1", DAMAGED, {
            let bytes = latin(umlaut).into_bytes();
            bytes.into_iter().filter(|&byte| byte != 0xc3).collect()
        }),
        ("not-utf8", "UTF-8 with a byte that is none", DAMAGED, {
            with("<key>Ignored</key><string>~</string>")
                .bytes()
                .map(|byte| if byte == b'~' { 0xff } else { byte })
                .collect()
        }),
        ("control", "a control character in text", OK, {
            with("<key>Ignored</key><string>\u{1}</string>").into_bytes()
        }),
        ("bplist01", "binary, version 01", UNSUPPORTED, b"bplist01".to_vec()),
        ("bplist15", "binary, version 15", UNSUPPORTED, b"bplist15\x17".to_vec()),
        ("bplist", "binary, of no version", UNSUPPORTED, b"bplist".to_vec()),
    ];
    cases
        .into_iter()
        .map(|(name, title, expect, bytes)| Draft::new(format!("as-{name}"), title, expect, bytes))
        .collect()
}

pub(super) fn recipes() -> Vec<Draft> {
    let mut cases = bombs();
    for (file, key, value, expect) in [
        ("Manifest.plist", "Version", "none", OK),
        ("Manifest.plist", "Version", "int 10", OK),
        ("Manifest.plist", "Version", "real 10.0", OK),
        ("Manifest.plist", "Version", "data 0a", ODD),
        ("Manifest.plist", "Version", "text ", OK),
        ("Manifest.plist", "Version", "text 11.0", "notice/newer-format"),
        ("Manifest.plist", "Version", "text 9.1", OK),
        ("Manifest.plist", "Version", "text 99999999999999999999", OK),
        ("Manifest.plist", "IsEncrypted", "none", OK),
        ("Manifest.plist", "IsEncrypted", "int 0", OK),
        ("Manifest.plist", "IsEncrypted", "int 2", ODD),
        ("Manifest.plist", "IsEncrypted", "array", ODD),
        ("Manifest.plist", "Lockdown", "none", OK),
        ("Manifest.plist", "Lockdown", "array", ODD),
        ("Manifest.plist", "Lockdown", "dict", OK),
        ("Manifest.plist", "Applications", "text none", ODD),
        ("Manifest.plist", "Applications", "dict", ODD),
        ("Manifest.plist", "WasPasscodeSet", "date 0", ODD),
        ("Manifest.plist", "Date", "real 0.5", ODD),
        ("Manifest.plist", "Date", "date 999999999999", ODD),
        ("Manifest.plist", "Containers", "dict", OK),
        ("Info.plist", "Device_Name", "int 1", ODD),
        ("Info.plist", "Last_Backup_Date", "text today", ODD),
        ("Info.plist", "Installed_Applications", "dict", ODD),
        ("Info.plist", "Installed_Applications", "array", ODD),
        ("Info.plist", "Applications", "array", ODD),
        ("Info.plist", "GUID", "data 00", ODD),
        ("Status.plist", "SnapshotState", "int 1", ODD),
        ("Status.plist", "IsFullBackup", "text no", ODD),
        ("Status.plist", "Date", "none", OK),
    ] {
        let (stem, kind) = (file.trim_end_matches(".plist"), value.trim_end().replace(' ', "-"));
        let name = format!("{}-{}-{kind}", stem, key.replace('_', "-")).to_lowercase();
        let title = format!("{key} of {file} is {value}").replace('_', " ");
        let body = format!("base plain\nplist {file} {key} {value}\n");
        cases.push(Draft::new(name, title.trim_end(), expect, body));
    }
    for (name, title, expect, lines) in [
        ("manifest-absent", "no Manifest.plist", "open/not-a-backup", "remove Manifest.plist"),
        ("info-absent", "no Info.plist", "notice/missing-plist", "remove Info.plist"),
        ("status-absent", "no Status.plist", "notice/missing-plist", "remove Status.plist"),
        ("info-empty", "Info.plist has no bytes", "notice/plist-damaged", "cut Info.plist 0"),
        ("status-cut", "Status.plist is cut", "notice/plist-damaged", "cut Status.plist 40"),
        ("status-1mib", "Status.plist has 1 MiB, the limit", OK, "xml\npad Status.plist 1048576"),
        (
            "status-1mib-1",
            "Status.plist is a byte longer than the limit",
            "notice/limit-exceeded",
            "xml\npad Status.plist 1048577",
        ),
        (
            "manifest-64mib-1",
            "Manifest.plist is a byte longer than the limit",
            LIMIT,
            "pad Manifest.plist 67108865",
        ),
        ("all-xml", "all three in XML", OK, "xml"),
        ("all-binary", "all three binary", OK, "binary"),
        ("snapshot", "a folder Snapshot", "notice/unfinished-backup", "put Snapshot/x x"),
        ("no-catalog", "no Manifest.db", "open/not-a-backup", "remove Manifest.db"),
        (
            "ios3",
            "no catalog, and a file of iOS 3",
            "open/unsupported-format",
            "remove Manifest.db\nput 00ff.mdinfo x",
        ),
    ] {
        cases.push(Draft::new(name, title, expect, format!("base plain\n{lines}\n")));
    }
    cases
}

/// The bombs in the place of Manifest.plist and of Info.plist.
fn bombs() -> Vec<Draft> {
    let mut cases = Vec::new();
    for bomb in plist_bombs() {
        let code = match bomb.name {
            "deep-1000" | "deep-100000" | "deep-dict" | "shared-8" | "shared-12" => 1,
            "xml-deep-array" | "xml-deep-dict" | "xml-unclosed" => 1,
            "xml-entities" => 2,
            _ => 0,
        };
        let manifest = [DAMAGED, LIMIT, UNSUPPORTED][code];
        let info =
            ["notice/plist-damaged", "notice/limit-exceeded", "notice/unsupported-format"][code];
        for (file, expect) in [("Manifest.plist", manifest), ("Info.plist", info)] {
            let stem = file.trim_end_matches(".plist").to_lowercase();
            let name = format!("bomb-{stem}-{}", bomb.name);
            let title = format!("{file}: {}", bomb.about);
            let body = format!("base plain\nbomb {file} {}\n", bomb.name);
            cases.push(Draft::new(name, title, expect, body));
        }
    }
    cases
}
