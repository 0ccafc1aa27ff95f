//! Property lists that strangers wrote, checked before anything is built from them.
//!
//! A binary property list is a graph: 1,400 bytes of shared references unfold to more than any
//! memory, and 50,000 nested arrays overflow the stack of whoever drops the tree. So everything is
//! walked once as a stream of events, without recursion and without a tree:
//!
//! ```text
//! bytes ──▶ binary walk ─┐                 ┌─▶ check: count, and throw away
//!                        ├─▶ events, each ─┤
//! bytes ──▶ XML walk ────┘   within Limits └─▶ fields of Manifest, Info and Status.plist
//! ```
//!
//! [`check`] lets bytes pass on to the `plist` crate only if that crate can neither exhaust memory
//! or stack, nor panic (it does on dates outside the years 0 to 9999), nor lose text in silence (it
//! skips CDATA sections and entities that it does not know). The three files of a bundle are read
//! from the events themselves, so a huge icon costs nothing and a bad date costs one field.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod binary;
mod event;
mod fields;
#[cfg(test)]
mod tests;
mod xml;

use std::io::Cursor;

pub(crate) use event::{Container, Event, Events, Scalar};
pub(crate) use fields::Fields;
pub use fields::PlistWarning;

use crate::bplist::{MAGIC, Malformed};

/// How much of a property list is read before it is taken for an attack.
///
/// Text and data may unfold, through shared references, to the length of the file and
/// [`slack`](Self::slack) more: real files share keys and nothing long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Containers inside one another.
    pub nesting: usize,
    /// Keys, values and containers; a shared one counts each time it is reached.
    pub visits: usize,
    /// Bytes of text and data beyond the length of the file.
    pub slack: usize,
}

impl Limits {
    /// Limits of `Manifest.plist`: 64 MiB.
    pub const MANIFEST: Self = Self::of(64 << 20);
    /// Limits of `Info.plist`, which holds an icon of every app: 256 MiB.
    pub const INFO: Self = Self::of(256 << 20);
    /// Limits of `Status.plist`: 1 MiB.
    pub const STATUS: Self = Self::of(1 << 20);

    /// Returns the usual limits for a file of at most `bytes` bytes: nesting of 512, a million
    /// visits and 16 MiB of slack.
    #[must_use]
    pub const fn of(bytes: usize) -> Self {
        Self { bytes, nesting: 512, visits: 1_000_000, slack: 16 << 20 }
    }
}

/// How a property list is encoded.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// `bplist00`.
    Binary,
    /// XML in UTF-8.
    Xml,
}

/// Why a property list cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlistError {
    /// There is more of something than is ever read: an attack, or a file that needs higher
    /// limits.
    #[error("more than {limit} {what} in a property list")]
    LimitExceeded {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// The file is damaged.
    #[error("damaged property list: {what} (offset {offset})")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// The byte of the file.
        offset: usize,
    },
    /// The XML is not well-formed.
    #[error("damaged XML property list (offset {offset})")]
    Xml {
        /// The byte of the file.
        offset: usize,
        /// What the XML parser said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file may be sound and is of a form that is not read.
    #[error("unsupported property list: {what} (offset {offset})")]
    Unsupported {
        /// The form.
        what: &'static str,
        /// The byte of the file.
        offset: usize,
    },
    /// The `plist` crate refused what had passed the check.
    #[error("cannot decode the property list")]
    Decode {
        /// What it said.
        #[source]
        source: plist::Error,
    },
}

impl From<Malformed> for PlistError {
    fn from(Malformed { offset, what }: Malformed) -> Self {
        Self::Malformed { what, offset }
    }
}

/// Finds the encoding, and returns the bytes without a byte-order mark.
fn sniff(bytes: &[u8]) -> Result<(Format, &[u8]), PlistError> {
    let unsupported = |what| Err(PlistError::Unsupported { what, offset: 0 });
    if bytes.starts_with(MAGIC) {
        return Ok((Format::Binary, bytes));
    }
    if bytes.starts_with(b"bplist") {
        return unsupported("a binary version other than 00");
    }
    if bytes.is_empty() {
        return Err(PlistError::Malformed { what: "the file is empty", offset: 0 });
    }
    if bytes.starts_with(&[0xfe, 0xff]) || bytes.starts_with(&[0xff, 0xfe]) {
        return unsupported("XML in UTF-16 or UTF-32");
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match text.trim_ascii_start().first() {
        Some(b'<') if text.get(1) == Some(&0) => unsupported("XML in UTF-16 or UTF-32"),
        Some(b'<') => Ok((Format::Xml, text)),
        Some(b'{' | b'(' | b'"' | b'/') => unsupported("the old text form, neither XML nor binary"),
        Some(0) if text.get(1) == Some(&b'<') => unsupported("XML in UTF-16 or UTF-32"),
        _ => Err(PlistError::Malformed { what: "neither XML nor binary", offset: 0 }),
    }
}

/// Checks that the `plist` crate can read a property list without harm and without silent loss.
///
/// The cost is one walk: linear in the bytes and at most [`Limits::visits`] steps.
///
/// # Errors
///
/// Fails when the property list is damaged, has more of anything than `limits` allows, or holds
/// something that the crate would panic on or leave out.
pub fn check(bytes: &[u8], limits: &Limits) -> Result<Format, PlistError> {
    let mut events = Events::new(bytes, limits)?;
    let malformed = |what, offset| Err(PlistError::Malformed { what, offset });
    while let Some(event) = events.next()? {
        match event {
            Event::Value(Scalar::Null) => return malformed("null object", events.offset()),
            Event::Value(Scalar::Unreadable(what)) => return malformed(what, events.offset()),
            Event::Value(Scalar::Date(date)) if !DATES.contains(&date) => {
                return malformed("date outside the years 1 to 9998", events.offset());
            }
            _ => {}
        }
    }
    if let Some(offset) = events.cdata() {
        return Err(PlistError::Unsupported { what: "a CDATA section", offset });
    }
    Ok(events.format())
}

/// Seconds since 2001 that are written with four digits of a year in every time zone.
const DATES: std::ops::Range<f64> = -63_113_904_000.0..252_392_457_600.0;

/// Returns true for seconds since the Unix epoch that XML has a date for.
pub(crate) fn is_writable_date(unix: i64) -> bool {
    DATES.contains(&(unix.saturating_sub(crate::bplist::EPOCH) as f64))
}

/// Checks a property list and builds the `plist` crate's tree of it.
///
/// # Errors
///
/// Fails as [`check`] does, and when the `plist` crate refuses the rest.
pub fn read_value(bytes: &[u8], limits: &Limits) -> Result<plist::Value, PlistError> {
    check(bytes, limits)?;
    // Named readers, because the crate would try a failed XML file once more as the text form.
    let value = match sniff(bytes)? {
        (Format::Binary, bytes) => plist::Value::from_reader(Cursor::new(bytes)),
        (Format::Xml, text) => plist::Value::from_reader_xml(Cursor::new(text)),
    };
    value.map_err(|source| PlistError::Decode { source })
}
