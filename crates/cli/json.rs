//! Machine output.
//!
//! Documents are written by serde. The lines of a listing are built by hand, since a catalog
//! has hundreds of thousands of them and each is the same short list of fields.

use std::fmt;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// The version of everything this program writes as JSON. Fields are only ever added.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// Writes one value and a newline.
pub(crate) fn write_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// One JSON object on one line, built in a buffer that is used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Line {
    buffer: Vec<u8>,
}

impl Line {
    /// Begins an object, forgetting the one before.
    pub(crate) fn begin(&mut self) -> &mut Self {
        self.buffer.clear();
        self.buffer.push(b'{');
        self
    }

    /// Writes a key, which must need no escaping.
    fn key(&mut self, key: &'static str) {
        if self.buffer.len() > 1 {
            self.buffer.push(b',');
        }
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(key.as_bytes());
        self.buffer.extend_from_slice(b"\":");
    }

    /// Writes any value: a number, a flag, text, or `None` for null.
    pub(crate) fn value(&mut self, key: &'static str, value: impl Serialize) -> &mut Self {
        self.key(key);
        let start = self.buffer.len();
        // Neither a vector nor the plain values written here can fail; if one ever does, the
        // line must still be JSON.
        if serde_json::to_writer(&mut self.buffer, &value).is_err() {
            self.buffer.truncate(start);
            self.buffer.extend_from_slice(b"null");
        }
        self
    }

    /// Writes text that needs no escaping: hexadecimal, a time, a word of ours.
    pub(crate) fn plain(&mut self, key: &'static str, value: &[u8]) -> &mut Self {
        self.key(key);
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(value);
        self.buffer.push(b'"');
        self
    }

    /// Writes what is shown without need of escaping, such as a time.
    pub(crate) fn shown(&mut self, key: &'static str, value: impl fmt::Display) -> &mut Self {
        self.key(key);
        // Writing to a vector cannot fail.
        let _ = write!(self.buffer, "\"{value}\"");
        self
    }

    /// Writes bytes as hexadecimal digits.
    pub(crate) fn hex(&mut self, key: &'static str, value: &[u8]) -> &mut Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.key(key);
        self.buffer.push(b'"');
        let digit = |n: u8| DIGITS[usize::from(n & 15)];
        self.buffer.extend(value.iter().flat_map(|&b| [digit(b >> 4), digit(b)]));
        self.buffer.push(b'"');
        self
    }

    /// Writes a name, and its exact bytes under `twin` when it is not UTF-8.
    pub(crate) fn name(&mut self, key: &'static str, twin: &'static str, name: &[u8]) -> &mut Self {
        match std::str::from_utf8(name) {
            Ok(name) => self.value(key, name),
            Err(_) => {
                self.value(key, String::from_utf8_lossy(name));
                self.plain(twin, STANDARD.encode(name).as_bytes())
            }
        }
    }

    /// Ends the object and writes it with its newline.
    pub(crate) fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.buffer.extend_from_slice(b"}\n");
        out.write_all(&self.buffer)
    }

    /// Ends the object and returns its bytes, to be placed in an array.
    pub(crate) fn close(&mut self) -> &[u8] {
        self.buffer.push(b'}');
        &self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn a_line_is_json_whatever_the_names_hold() {
        let mut out = Vec::new();
        let mut line = Line::default();
        for name in
            [&b"plain"[..], b"quote\" back\\ nl\n \x1b", b"bad\xff\xfe", "\u{202e}ü".as_bytes()]
        {
            line.begin()
                .plain("type", b"entry")
                .name("path", "path_b64", name)
                .value("size", u64::MAX)
                .value("negative", -5i64)
                .value("none", None::<u32>)
                .value("flag", true)
                .hex("digest", &[0, 0x1f, 0xff])
                .shown("time", crate::display::Rfc3339(0))
                .end(&mut out)
                .unwrap();
        }
        let lines: Vec<serde_json::Value> = std::str::from_utf8(&out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0]["path"], "plain");
        assert!(lines[0].get("path_b64").is_none());
        assert_eq!(lines[1]["path"], "quote\" back\\ nl\n \u{1b}");
        assert_eq!(lines[2]["path"], "bad\u{fffd}\u{fffd}");
        assert_eq!(lines[2]["path_b64"], "YmFk//4=");
        assert_eq!(lines[3]["path"], "\u{202e}ü");
        assert_eq!(lines[3]["size"], u64::MAX);
        assert_eq!(lines[3]["negative"], -5);
        assert!(lines[3]["none"].is_null());
        assert_eq!(lines[3]["digest"], "001fff");
        assert_eq!(lines[3]["time"], "1970-01-01T00:00:00Z");
    }
}
