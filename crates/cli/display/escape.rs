//! Escaping of names and messages.
//!
//! Names in a backup are an attacker's to choose. A control character can rewrite the screen, a
//! bidi mark can turn `fdp.exe` into `exe.pdf`, and an invisible character makes two names look
//! alike. All of them are written out, as `\u{202e}`; bytes that are not UTF-8 as `\xff`.

use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Characters that are invisible or change how their neighbours are shown, beyond the control
/// characters: category Cf, the line and paragraph separators, blank letters and variation
/// selectors. Sorted.
const HIDDEN: [(u32, u32); 30] = [
    (0x00ad, 0x00ad),
    (0x034f, 0x034f),
    (0x0600, 0x0605),
    (0x061c, 0x061c),
    (0x06dd, 0x06dd),
    (0x070f, 0x070f),
    (0x0890, 0x0891),
    (0x08e2, 0x08e2),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xd800, 0xdfff),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0xfffe, 0xffff),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1345f),
    (0x1bca0, 0x1bca3),
    (0x1d159, 0x1d159),
    (0x1d173, 0x1d17a),
    (0x1fffe, 0x1ffff),
    (0xe0000, 0xe0fff),
];

/// Returns true for a character that must not reach a terminal as it is.
fn is_hidden(c: char) -> bool {
    let code = u32::from(c);
    if code < 0x7f {
        return code < 0x20;
    }
    if code < 0xa0 {
        return true;
    }
    let at = HIDDEN.partition_point(|&(_, last)| last < code);
    HIDDEN.get(at).is_some_and(|&(first, _)| first <= code)
}

fn write_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        c if is_hidden(c) => write!(f, "\\u{{{:x}}}", u32::from(c)),
        c => f.write_char(c),
    }
}

/// Shows a name from a backup: reversible, since a backslash is doubled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a>(pub(crate) &'a [u8]);

impl<'a> Name<'a> {
    /// Shows a path.
    pub(crate) fn of(path: &'a Path) -> Self {
        Self(path.as_os_str().as_bytes())
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name) = *self;
        if name.iter().all(|&b| matches!(b, 0x20..=0x5b | 0x5d..=0x7e)) {
            // Plain ASCII, as nearly every name is.
            return f.write_str(std::str::from_utf8(name).map_err(|_| fmt::Error)?);
        }
        for chunk in name.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    c => write_char(f, c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Shows `DOMAIN:PATH`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Location<'a> {
    pub(crate) domain: &'a [u8],
    pub(crate) path: &'a [u8],
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, path } = *self;
        write!(f, "{}:{}", Name(domain), Name(path))
    }
}

/// Shows a message of ours, in which somebody else's words may stand. Backslashes stay single,
/// since such words are usually escaped already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| write_char(f, c))
    }
}

#[cfg(test)]
mod tests {
    use super::{HIDDEN, Location, Name, Text, is_hidden};

    #[test]
    fn what_could_act_on_a_terminal_is_written_out() {
        for (raw, shown) in [
            (&b"Library/SMS/sms.db"[..], "Library/SMS/sms.db"),
            (b"a\x1b[2Jb", "a\\u{1b}[2Jb"),
            (b"a\x7f\xc2\x9bb", "a\\u{7f}\\u{9b}b"),
            ("invoice\u{202e}fdp.exe".as_bytes(), "invoice\\u{202e}fdp.exe"),
            ("zero\u{200b}width\u{feff}".as_bytes(), "zero\\u{200b}width\\u{feff}"),
            ("line\u{2028}two\nthree\ttab\r".as_bytes(), "line\\u{2028}two\\nthree\\ttab\\r"),
            (b"not\xffutf8\xc3", "not\\xffutf8\\xc3"),
            (b"back\\slash", "back\\\\slash"),
            ("Grüße 写真 \u{1f600}".as_bytes(), "Grüße 写真 \u{1f600}"),
            ("tag\u{e0041}".as_bytes(), "tag\\u{e0041}"),
        ] {
            assert_eq!(Name(raw).to_string(), shown);
        }
        let place = Location { domain: b"Home\nDomain", path: b"a:b" };
        assert_eq!(place.to_string(), "Home\\nDomain:a:b");
        assert_eq!(Text("a\\b\u{7}").to_string(), "a\\b\\u{7}");
    }

    #[test]
    fn the_table_is_sorted_and_nothing_hidden_stays() {
        assert!(HIDDEN.windows(2).all(|pair| pair[0].1 < pair[1].0));
        assert!(HIDDEN.iter().all(|&(first, last)| first <= last));
        for c in ['\0', '\u{85}', '\u{ad}', '\u{2066}', '\u{fff9}', '\u{e0100}', '\u{fe0f}'] {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in [' ', '~', '\u{a1}', 'é', '\u{3042}', '\u{ac00}', '\u{1f468}', '\u{10ffff}'] {
            assert!(!is_hidden(c), "{c:?}");
        }
    }
}
