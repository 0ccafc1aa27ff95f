//! Names, ids and flags of a row. Source: FORMAT.md 2.3, 6 and 7.

use super::Draft;

const OK: &str = "ok";
const HOSTILE: &str = "row/hostile-name";
const BAD: &str = "row/bad-row";

/// Sets a column of the row of `note.txt`.
fn set(column: &str, value: &str) -> String {
    format!("base plain\nsql UPDATE Files SET {column} = {value} WHERE relativePath = 'note.txt'\n")
}

/// Spells any bytes as a text of SQL.
fn text(bytes: &[u8]) -> String {
    format!("CAST(x'{}' AS TEXT)", crate::hex(bytes))
}

pub(super) fn recipes() -> Vec<Draft> {
    let mut cases = paths();
    cases.extend(domains());
    cases.extend(ids());
    cases.extend(flags());
    cases
}

fn paths() -> Vec<Draft> {
    let mut cases = Vec::new();
    for (name, path) in [
        ("dots", &b".."[..]),
        ("dot", b"."),
        ("parent", b"../x"),
        ("far-parent", b"../../../../../../../../etc/passwd"),
        ("inside", b"a/../../x"),
        ("inside-and-back", b"a/../x"),
        ("dots-at-the-end", b"a/.."),
        ("absolute", b"/etc/passwd"),
        ("slash", b"/"),
        ("two-slashes", b"//x"),
        ("empty-component", b"a//b"),
        ("slash-at-the-end", b"a/"),
        ("dot-first", b"./a"),
        ("dot-inside", b"a/./b"),
        ("dot-at-the-end", b"a/."),
        ("nul", b"a\0b"),
        ("nul-first", b"\0"),
        ("nul-and-parent", b"a\0/../x"),
    ] {
        let title = format!("the path is \"{}\"", path.escape_ascii());
        let body = set("relativePath", &text(path));
        cases.push(Draft::new(format!("path-{name}"), title, HOSTILE, body));
    }
    for (name, path) in [
        ("dots-and-more", &b"..a"[..]),
        ("three-dots", b"..."),
        ("backslashes", b"..\\..\\x"),
        ("drive", b"C:\\Windows\\x"),
        ("share", b"\\\\server\\share\\x"),
        ("colon", b"a:b"),
        ("stream", b"a.txt:stream:$DATA"),
        ("device", b"CON"),
        ("device-txt", b"aux.txt"),
        ("dot-at-its-end", b"a."),
        ("space-at-its-end", b"a "),
        ("space", b" "),
        ("newline", b"a\nb"),
        ("escape", b"\x1b[31mred"),
        ("delete", b"\x7f"),
        ("right-to-left", b"\xe2\x80\xaetxt.exe"),
        ("not-utf8", b"\xff\xfe"),
        ("half-a-character", b"a\xe2\x82"),
        ("overlong-slash", b"..\xc0\xaf..\xc0\xafx"),
        ("full-width-dots", b"\xef\xbc\x8e\xef\xbc\x8e/x"),
        ("full-width-slash", b"..\xef\xbc\x8fx"),
        ("percent", b"%2e%2e%2fx"),
        ("tilde", b"~/x"),
        ("dash", b"-rf"),
        ("quote", b"' OR 1=1 --"),
        ("dollar", b"$(reboot)"),
        ("composed", b"\xc3\xa9"),
        ("decomposed", b"e\xcc\x81"),
    ] {
        let title = format!("the path is \"{}\", and legal", path.escape_ascii());
        let body = set("relativePath", &text(path));
        cases.push(Draft::new(format!("path-{name}"), title, OK, body));
    }
    let deep = "substr(replace(printf('%.*c', 2100, 'x'), 'x', 'a/'), 1, ";
    for (name, title, expect, value) in [
        ("255", "a component of 255 bytes", OK, "printf('%.*c', 255, 'n')".to_owned()),
        ("256", "a component of 256 bytes", HOSTILE, "printf('%.*c', 256, 'n')".into()),
        ("4095", "a path of 4,095 bytes", OK, format!("{deep}4095)")),
        ("4096", "a path of 4,096 bytes", OK, format!("{deep}4095) || 'b'")),
        ("4097", "a path of 4,097 bytes", HOSTILE, format!("{deep}4097)")),
        ("null", "the path is NULL", BAD, "NULL".into()),
        ("blob", "the path is a blob", OK, "x'61'".into()),
        ("blob-hostile", "the path is a hostile blob", HOSTILE, "x'2e2e2f61'".into()),
        ("root", "a file that is the root of its domain", OK, "''".into()),
        ("twice", "two rows of one name", OK, "'last.txt'".into()),
    ] {
        cases.push(Draft::new(format!("path-{name}"), title, expect, set("relativePath", &value)));
    }
    cases
}

fn domains() -> Vec<Draft> {
    let mut cases = Vec::new();
    for (name, domain) in [
        ("empty", &b""[..]),
        ("dot", b"."),
        ("dots", b".."),
        ("slash", b"/"),
        ("absolute", b"/etc"),
        ("parent", b"../x"),
        ("slash-inside", b"HomeDomain/x"),
        ("slash-at-the-end", b"HomeDomain/"),
        ("container", b"SysContainerDomain-../../../../x"),
        ("app", b"AppDomain-../x"),
        ("nul", b"HomeDomain\0"),
    ] {
        let title = format!("the domain is \"{}\"", domain.escape_ascii());
        let body = set("domain", &text(domain));
        cases.push(Draft::new(format!("domain-{name}"), title, HOSTILE, body));
    }
    for (name, domain) in [
        ("dots-and-more", &b"..HomeDomain"[..]),
        ("backslash", b"..\\x"),
        ("not-utf8", b"\xff"),
        ("map", b"names.jsonl"),
        ("unknown", b"TomorrowDomain"),
        ("dash", b"-"),
        ("case", b"homedomain"),
    ] {
        let title = format!("the domain is \"{}\", and legal", domain.escape_ascii());
        let body = set("domain", &text(domain));
        cases.push(Draft::new(format!("domain-{name}"), title, OK, body));
    }
    for (name, title, expect, value) in [
        ("1024", "a domain of 1,024 bytes", OK, "printf('%.*c', 1024, 'd')"),
        ("1025", "a domain of 1,025 bytes", HOSTILE, "printf('%.*c', 1025, 'd')"),
        ("null", "the domain is NULL", BAD, "NULL"),
        ("blob", "the domain is a blob", OK, "x'48'"),
    ] {
        cases.push(Draft::new(format!("domain-{name}"), title, expect, set("domain", value)));
    }
    cases
}

fn ids() -> Vec<Draft> {
    let zeros = "0".repeat(39);
    let digits = format!("'{zeros}'");
    let id = |bytes: &[u8]| text(bytes);
    let mut cases = Vec::new();
    for (name, title, expect, value) in [
        ("39", "an id of 39 digits", HOSTILE, digits.clone()),
        ("41", "an id of 41 digits", HOSTILE, format!("'{zeros}00'")),
        ("empty", "an empty id", HOSTILE, "''".into()),
        ("letter", "an id with a letter that is no digit", HOSTILE, format!("'{zeros}g'")),
        ("sign", "an id with a sign", HOSTILE, format!("'+{zeros}'")),
        ("space", "an id with a space", HOSTILE, format!("' {zeros}'")),
        ("nul", "an id with NUL at its end", HOSTILE, id(&[&[b'0'; 40][..], &[0]].concat())),
        ("parent", "an id that leads out", HOSTILE, "'../../../../etc/passwd'".into()),
        ("parent-40", "an id of 40 characters that leads out", HOSTILE, {
            id(&[&b"../../"[..], &[b'a'; 34]].concat())
        }),
        ("slash", "an id with a slash", HOSTILE, id(&[&b"ab/"[..], &[b'c'; 37]].concat())),
        ("manifest", "an id that is Manifest.db", HOSTILE, "'Manifest.db'".into()),
        ("not-utf8", "an id that is not UTF-8", HOSTILE, id(&[0xff; 40])),
        ("null", "the id is NULL", BAD, "NULL".into()),
        ("blob", "the id is a blob", OK, "CAST(fileID AS BLOB)".into()),
        ("capitals", "the id in capitals", OK, "upper(fileID)".into()),
        ("other", "an id that no blob has", "payload/missing-blob", format!("'{zeros}0'")),
    ] {
        cases.push(Draft::new(format!("id-{name}"), title, expect, set("fileID", &value)));
    }
    let first = crate::file_id(b"HomeDomain", b"first.txt");
    // In capitals, or the index would not let it stand twice.
    let value = format!("'{}'", first.to_uppercase());
    let title = "the id of another file, whose bytes come out";
    cases.push(Draft::new("id-of-another", title, "payload/size-mismatch", set("fileID", &value)));
    cases
}

fn flags() -> Vec<Draft> {
    let mut cases = Vec::new();
    for (name, title, expect, value) in [
        ("null", "no flags", OK, "NULL"),
        ("0", "flags 0", OK, "0"),
        ("3", "flags 3", OK, "3"),
        ("7", "flags 7", OK, "7"),
        ("9", "flags 9: a file in progress", OK, "9"),
        ("huge", "flags as large as can be", OK, "9223372036854775807"),
        ("least", "flags as small as can be", OK, "-9223372036854775808"),
        ("real", "flags 1.5", OK, "1.5"),
        ("text", "flags in words", OK, "'one'"),
        ("blob", "flags as a blob", OK, "x'31'"),
        ("link", "flags of a link and the mode of a file: a file", OK, "4"),
        ("directory", "flags of a directory and the mode of a file: a file", OK, "2"),
    ] {
        cases.push(Draft::new(format!("flags-{name}"), title, expect, set("flags", value)));
    }
    for (name, title, columns) in [
        (
            "unfinished",
            "in progress, and no names",
            "flags = 16, domain = NULL, relativePath = NULL",
        ),
        ("unfinished-file", "in progress, and no archive", "flags = 16, file = NULL"),
        ("unfinished-64", "to be sent again, and no path", "flags = 65, relativePath = NULL"),
    ] {
        let body =
            format!("base plain\nsql UPDATE Files SET {columns} WHERE relativePath = 'note.txt'\n");
        cases.push(Draft::new(format!("flags-{name}"), title, "row/unfinished-row", body));
    }
    let mode = |mode: &str, flags: &str| {
        format!(
            "base plain\nmode {mode}\nsql UPDATE Files SET flags = {flags} \
             WHERE relativePath = 'note.txt'\n"
        )
    };
    for (name, title, body) in [
        ("no-kind", "neither flags nor mode name a kind", mode("644", "0")),
        ("pipe", "no flags, and the mode of a named pipe", mode("010644", "NULL")),
        ("device", "no flags, and the mode of a device", mode("060644", "NULL")),
        ("socket", "no flags, and the mode of a socket", mode("140644", "NULL")),
        ("link", "a link, and no target", mode("120755", "4")),
    ] {
        cases.push(Draft::new(format!("kind-{name}"), title, BAD, body));
    }
    for (name, title, expect, target) in [
        ("passwd", "a link to a file outside", OK, "/etc/passwd".to_owned()),
        ("parent", "a link to above the bundle", OK, "../../../..".into()),
        ("empty", "a link to nothing", BAD, String::new()),
        ("nul", "a link to a name with NUL", BAD, "a\\0b".into()),
        ("1024", "a target of 1,024 bytes", OK, "t".repeat(1024)),
        ("1025", "a target of 1,025 bytes", BAD, "t".repeat(1025)),
    ] {
        let draft = Draft::new(
            format!("link-{name}"),
            title,
            expect,
            format!("base plain\nlink {target}\n"),
        );
        cases.push(draft.reads(2));
    }
    cases
}
