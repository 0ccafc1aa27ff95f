//! Plaintext of version 3: a DER SET of pairs.
//!
//! ```text
//! SET { SEQUENCE { UTF8String key, value } ... }                    (ITU-T X.690)
//! value = UTF8String | OCTET STRING | INTEGER | GeneralizedTime | BOOLEAN | NULL
//! ```
//!
//! The crate `der` is not used: its `SetOf` refuses members that are not sorted, and its
//! `GeneralizedTime` a fraction, which every item has. Here nothing is sorted, copied twice or
//! recursed into: a value of another kind is kept as it is encoded.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use zeroize::Zeroizing;

use super::attributes::{AttributeValue, Attributes};
use super::{KeychainItemError, limits};

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const UTF8_STRING: u8 = 0x0c;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// Bytes that are read from the front.
struct Reader<'a> {
    bytes: &'a [u8],
    /// The length of what the offsets count in.
    len: usize,
}

/// One tag, length and value.
struct Element<'a> {
    tag: u8,
    value: &'a [u8],
    /// The whole of it, with tag and length.
    encoded: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Makes an error about where the reader stands.
    fn bad(&self, what: &'static str) -> KeychainItemError {
        KeychainItemError::Der { what, offset: self.len.saturating_sub(self.bytes.len()) }
    }

    /// Takes one element of definite length.
    fn element(&mut self) -> Result<Element<'a>, KeychainItemError> {
        let start = self.bytes;
        let cut = self.bad("an element without a whole head");
        let (&[tag, first], rest) = start.split_first_chunk().ok_or(cut)?;
        if tag & 0x1f == 0x1f {
            return Err(self.bad("a tag of several bytes"));
        }
        let (len, rest) = match first {
            ..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let width = usize::from(first & 0x7f);
                let (digits, rest) =
                    rest.split_at_checked(width).ok_or_else(|| self.bad("a length that is cut"))?;
                let len = digits.iter().fold(0_u32, |len, &b| len.wrapping_shl(8) | u32::from(b));
                (usize::try_from(len).unwrap_or(usize::MAX), rest)
            }
            _ => return Err(self.bad("a length that DER does not have")),
        };
        let (value, rest) =
            rest.split_at_checked(len).ok_or_else(|| self.bad("an element beyond the end"))?;
        let taken = start.len().saturating_sub(rest.len());
        self.bytes = rest;
        Ok(Element { tag, value, encoded: start.get(..taken).unwrap_or_default() })
    }

    /// Enters an element, which must be of this kind.
    fn enter(&mut self, tag: u8, what: &'static str) -> Result<Self, KeychainItemError> {
        let wrong = self.bad(what);
        let element = self.element()?;
        if element.tag != tag {
            return Err(wrong);
        }
        // Offsets go on counting in the whole.
        let before = self.len.saturating_sub(self.bytes.len());
        Ok(Self { bytes: element.value, len: before })
    }

    fn end(&self, what: &'static str) -> Result<(), KeychainItemError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(self.bad(what)) }
    }
}

/// Reads the attributes of an item.
pub(super) fn parse(bytes: &[u8]) -> Result<Attributes, KeychainItemError> {
    let mut reader = Reader { bytes, len: bytes.len() };
    let mut set = reader.enter(SET, "no SET")?;
    reader.end("bytes after the SET")?;
    let mut attributes = Attributes::default();
    while !set.bytes.is_empty() {
        let mut pair = set.enter(SEQUENCE, "a member that is no SEQUENCE")?;
        let name = pair.enter(UTF8_STRING, "a key that is no UTF8String")?;
        let text = std::str::from_utf8(name.bytes)
            .ok()
            .filter(|text| (1..=limits::NAME).contains(&text.len()))
            .ok_or_else(|| name.bad("a key that is no name"))?;
        let value = pair.element()?;
        pair.end("a pair of more than two")?;
        if !attributes.push(text, read(&value)) {
            return Err(name.bad("a key for the second time, or too many keys"));
        }
    }
    Ok(attributes)
}

/// Makes a value of an element. What is not of a known kind, or not what its kind says, is kept
/// as it is encoded: nothing is lost, and nothing is guessed.
fn read(element: &Element<'_>) -> AttributeValue {
    let &Element { tag, value, encoded } = element;
    let known = match (tag, value) {
        (UTF8_STRING, text) => std::str::from_utf8(text).ok().map(AttributeValue::text),
        (OCTET_STRING, bytes) => Some(AttributeValue::bytes(bytes)),
        (INTEGER, bytes) => integer(bytes).map(AttributeValue::Integer),
        (GENERALIZED_TIME, text) => {
            time(text).map(|(seconds, nanos)| AttributeValue::Date { seconds, nanos })
        }
        (BOOLEAN, [byte]) => Some(AttributeValue::Boolean(*byte != 0)),
        (NULL, []) => Some(AttributeValue::Null),
        _ => None,
    };
    known.unwrap_or_else(|| AttributeValue::Other(Zeroizing::new(encoded.to_vec())))
}

/// Reads a number in two's complement, of at most eight bytes.
fn integer(bytes: &[u8]) -> Option<i64> {
    let (&first, _) = bytes.split_first()?;
    if bytes.len() > 8 {
        return None;
    }
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Some(bytes.iter().fold(sign, |value: i64, &b| value.wrapping_shl(8) | i64::from(b)))
}

/// Reads `YYYYMMDDhhmmss[.f...]Z` as seconds since the Unix epoch and nanoseconds. Digits of the
/// fraction after the ninth are dropped.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = text.strip_suffix(b"Z")?;
    let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
        Some(at) => {
            let (whole, fraction) = text.split_at_checked(at)?;
            (whole, fraction.strip_prefix(b".").filter(|digits| !digits.is_empty())?)
        }
        None => (text, &b""[..]),
    };
    if whole.len() != 14 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| {
        digits.iter().fold(0_i64, |n, &b| {
            n.saturating_mul(10).saturating_add(i64::from(b.wrapping_sub(b'0')))
        })
    };
    let (year, rest) = whole.split_at_checked(4)?;
    let mut fields = rest.chunks(2).map(number);
    let (month, day) = (fields.next()?, fields.next()?);
    let (hour, minute, second) = (fields.next()?, fields.next()?, fields.next()?);
    let ranges = (1..=12).contains(&month) && (1..=31).contains(&day);
    // A leap second is the second after.
    if !ranges || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let nanos = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = number(&nanos.collect::<Vec<u8>>());
    let seconds = days(number(year), month, day)
        .saturating_mul(24)
        .saturating_add(hour)
        .saturating_mul(60)
        .saturating_add(minute)
        .saturating_mul(60)
        .saturating_add(second);
    Some((seconds, u32::try_from(nanos).ok()?))
}

/// Returns the days from 1970-01-01 to a day of the Gregorian calendar.
///
/// Years begin in March here, so that a leap day is the last of its year.
#[expect(clippy::arithmetic_side_effects, reason = "four digits of a year, and two of the others")]
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::super::KeychainItemError;
    use super::super::attributes::AttributeValue;
    use super::{integer, parse, time};

    #[test]
    fn times_of_the_calendar() {
        // From `date -u -d ... +%s`.
        for (text, seconds, nanos) in [
            ("19700101000000Z", 0, 0),
            ("20000229235959Z", 951_868_799, 0),
            ("20160506133714.5Z", 1_462_541_834, 500_000_000),
            ("20240301000000.000001Z", 1_709_251_200, 1_000),
            ("21000301000000Z", 4_107_542_400, 0),
            ("00010101000000Z", -62_135_596_800, 0),
            ("20201231235960.1234567891Z", 1_609_459_200, 123_456_789),
        ] {
            assert_eq!(time(text.as_bytes()), Some((seconds, nanos)), "{text}");
        }
        for bad in [
            "",
            "Z",
            "20160506133714",
            "2016050613371Z",
            "20161306133714Z",
            "20160506243714Z",
            "20160506133714.Z",
            "20160506133714+0200",
            "2016050613371aZ",
            "20160506133714.5.5Z",
        ] {
            assert_eq!(time(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn integers_of_any_width() {
        for (bytes, value) in [
            (&[0][..], 0),
            (&[0x7f], 127),
            (&[0x80], -128),
            (&[0, 0x80], 128),
            (&[0xff, 0xff], -1),
            (&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], i64::MAX),
        ] {
            assert_eq!(integer(bytes), Some(value));
        }
        assert_eq!(integer(&[]), None);
        assert_eq!(integer(&[0; 9]), None);
    }

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match value.len() {
            len @ 0..128 => out.push(len.try_into().unwrap()),
            len => {
                out.push(0x82);
                out.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
        }
        out.extend(value);
        out
    }

    fn pair(name: &str, value: Vec<u8>) -> Vec<u8> {
        tlv(0x30, &[tlv(0x0c, name.as_bytes()), value].concat())
    }

    fn what(bytes: &[u8]) -> (&'static str, usize) {
        match parse(bytes) {
            Err(KeychainItemError::Der { what, offset }) => (what, offset),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_kind_of_value() {
        let pairs = [
            pair("acct", tlv(0x0c, "Zoë".as_bytes())),
            pair("v_Data", tlv(0x04, &[7; 300])),
            pair("sync", tlv(0x02, &[1])),
            pair("cdat", tlv(0x18, b"20160506133714.5Z")),
            pair("bool", tlv(0x01, &[0xff])),
            pair("null", tlv(0x05, &[])),
            pair("nested", tlv(0x30, &tlv(0x30, &[]))),
            pair("not text", tlv(0x0c, &[0xff])),
            pair("not a time", tlv(0x18, b"today")),
            pair("wide", tlv(0x02, &[1; 9])),
        ];
        let attributes = parse(&tlv(0x31, &pairs.concat())).unwrap();
        let found: Vec<_> = attributes.iter().collect();
        assert_eq!(found.len(), 10);
        let is = |at: usize, name: &str| {
            assert_eq!(found[at].0, name);
            found[at].1
        };
        assert!(matches!(is(0, "acct"), AttributeValue::Text(text) if text.as_str() == "Zoë"));
        assert!(matches!(is(1, "v_Data"), AttributeValue::Bytes(bytes) if ***bytes == [7; 300]));
        assert!(matches!(is(2, "sync"), AttributeValue::Integer(1)));
        let date = is(3, "cdat");
        assert!(matches!(
            date,
            AttributeValue::Date { seconds: 1_462_541_834, nanos: 500_000_000 }
        ));
        assert!(matches!(is(4, "bool"), AttributeValue::Boolean(true)));
        assert!(matches!(is(5, "null"), AttributeValue::Null));
        for (at, name, encoded) in [
            (6, "nested", &[0x30, 2, 0x30, 0][..]),
            (7, "not text", &[0x0c, 1, 0xff]),
            (8, "not a time", b"\x18\x05today"),
            (9, "wide", &[2, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ] {
            assert!(matches!(is(at, name), AttributeValue::Other(bytes) if ***bytes == *encoded));
        }
        assert_eq!(parse(&[0x31, 0]).unwrap().iter().count(), 0);
    }

    #[test]
    fn what_is_not_such_a_set_says_where() {
        let one = pair("a", tlv(2, &[1]));
        assert_eq!(what(b""), ("an element without a whole head", 0));
        assert_eq!(what(&tlv(0x30, &one)), ("no SET", 0));
        assert_eq!(what(&[tlv(0x31, &one), vec![0]].concat()), ("bytes after the SET", 10));
        assert_eq!(what(&tlv(0x31, &tlv(2, &[1]))), ("a member that is no SEQUENCE", 2));
        let number = tlv(0x31, &tlv(0x30, &[tlv(2, &[1]), tlv(2, &[1])].concat()));
        assert_eq!(what(&number), ("a key that is no UTF8String", 4));
        assert_eq!(what(&tlv(0x31, &pair("", tlv(2, &[1])))), ("a key that is no name", 6));
        let long = tlv(0x31, &pair(&"x".repeat(257), tlv(2, &[1])));
        assert_eq!(what(&long).0, "a key that is no name");
        let three = tlv(0x31, &pair("a", [tlv(2, &[1]), tlv(5, &[])].concat()));
        assert_eq!(what(&three), ("a pair of more than two", 10));
        let twice = tlv(0x31, &[one.clone(), one].concat());
        assert_eq!(what(&twice), ("a key for the second time, or too many keys", 14));
        // Lengths: indefinite, of five bytes, cut, and beyond the end.
        assert_eq!(what(&[0x31, 0x80, 0, 0]).0, "a length that DER does not have");
        assert_eq!(what(&[0x31, 0x85, 0, 0, 0, 0, 0]).0, "a length that DER does not have");
        assert_eq!(what(&[0x31, 0x82, 0]).0, "a length that is cut");
        assert_eq!(what(&[0x31, 0x84, 0xff, 0xff, 0xff, 0xff]).0, "an element beyond the end");
        assert_eq!(what(&[0x3f, 0x31, 0]).0, "a tag of several bytes");
    }

    #[test]
    fn every_cut_is_an_error_and_no_change_a_panic() {
        let pairs = [pair("acct", tlv(0x0c, b"x")), pair("v_Data", tlv(0x04, &[7; 200]))];
        let whole = tlv(0x31, &pairs.concat());
        for cut in 0..whole.len() {
            assert!(parse(&whole[..cut]).is_err());
        }
        for at in 0..whole.len() {
            for value in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = parse(&changed);
            }
        }
    }

    /// Depth costs nothing, since nothing is recursed into.
    #[test]
    fn nesting_is_kept_as_bytes() {
        let mut value = vec![5, 0];
        for _ in 0..1_000 {
            value = tlv(0x30, &value);
        }
        let attributes = parse(&tlv(0x31, &pair("deep", value))).unwrap();
        assert!(matches!(attributes.iter().next(), Some(("deep", AttributeValue::Other(_)))));
    }
}
