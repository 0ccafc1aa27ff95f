//! Property lists, binary (bplist00) and XML.
//!
//! The binary form numbers its objects as Apple's encoder does: a container, then its keys, then
//! its values, depth first, equal scalars once. FORMAT.md 2.5 measured this on MBFile blobs.

use std::collections::HashMap;
use std::fmt::Write as _;

/// Unix time of 2001-01-01T00:00:00Z, where property lists start counting.
const APPLE_EPOCH: i64 = 978_307_200;

/// A value of a property list. Dictionaries keep the order of their keys.
#[derive(Clone, Debug, PartialEq)]
pub enum PlistValue {
    /// A boolean.
    Bool(bool),
    /// An integer. Equal ones share one object.
    Int(i64),
    /// An integer that came from a 64-bit encoder: written alike, but shared only with its own
    /// kind (FORMAT.md 2.5, rule 2).
    Wide(i64),
    /// A floating-point number.
    Real(f64),
    /// A date, as Unix time.
    Date(i64),
    /// Bytes.
    Data(Vec<u8>),
    /// A string. Equal ones share one object.
    Text(String),
    /// A string that gets an object of its own (FORMAT.md 2.5, rule 2).
    OwnText(String),
    /// A reference into an archive's object table. Has no XML form; there it is written as the
    /// dictionary `{CF$UID: n}` that Apple's tools use.
    Uid(u8),
    /// A list.
    Array(Vec<PlistValue>),
    /// Keys and values.
    Dict(Vec<(String, PlistValue)>),
}

impl PlistValue {
    /// Makes a string.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a dictionary.
    pub fn dict<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Dict(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

/// What makes two scalars one object.
#[derive(Eq, Hash, PartialEq)]
enum Same<'v> {
    Bool(bool),
    Int(i64),
    Wide(i64),
    Real(u64),
    Date(i64),
    Data(&'v [u8]),
    Text(&'v str),
    Uid(u8),
}

enum Object<'v> {
    Scalar(&'v PlistValue),
    Key(&'v str),
    Array(Vec<usize>),
    Dict(Vec<usize>),
}

#[derive(Default)]
struct Table<'v> {
    objects: Vec<Object<'v>>,
    seen: HashMap<Same<'v>, usize>,
}

impl<'v> Table<'v> {
    fn push(&mut self, object: Object<'v>) -> usize {
        self.objects.push(object);
        self.objects.len() - 1
    }

    fn shared(&mut self, same: Same<'v>, object: Object<'v>) -> usize {
        let next = self.objects.len();
        let index = *self.seen.entry(same).or_insert(next);
        if index == next {
            self.objects.push(object);
        }
        index
    }

    fn add(&mut self, value: &'v PlistValue) -> usize {
        let same = match value {
            PlistValue::Array(items) => {
                let index = self.push(Object::Array(Vec::new()));
                let refs = items.iter().map(|item| self.add(item)).collect();
                self.objects[index] = Object::Array(refs);
                return index;
            }
            PlistValue::Dict(pairs) => {
                let index = self.push(Object::Dict(Vec::new()));
                let mut refs = Vec::with_capacity(2 * pairs.len());
                for (key, _) in pairs {
                    refs.push(self.shared(Same::Text(key), Object::Key(key)));
                }
                for (_, value) in pairs {
                    refs.push(self.add(value));
                }
                self.objects[index] = Object::Dict(refs);
                return index;
            }
            PlistValue::OwnText(_) => return self.push(Object::Scalar(value)),
            PlistValue::Bool(value) => Same::Bool(*value),
            PlistValue::Int(value) => Same::Int(*value),
            PlistValue::Wide(value) => Same::Wide(*value),
            PlistValue::Real(value) => Same::Real(value.to_bits()),
            PlistValue::Date(value) => Same::Date(*value),
            PlistValue::Data(value) => Same::Data(value),
            PlistValue::Text(value) => Same::Text(value),
            PlistValue::Uid(value) => Same::Uid(*value),
        };
        self.shared(same, Object::Scalar(value))
    }
}

/// Encodes a value as bplist00.
#[must_use]
pub fn binary_plist(root: &PlistValue) -> Vec<u8> {
    let mut table = Table::default();
    table.add(root);
    let count = table.objects.len();
    let ref_width = if count < 0x100 {
        1
    } else if count < 0x1_0000 {
        2
    } else {
        4
    };
    let mut out = b"bplist00".to_vec();
    let mut offsets = Vec::with_capacity(count);
    for object in &table.objects {
        offsets.push(out.len());
        match object {
            Object::Scalar(value) => put_scalar(&mut out, value),
            Object::Key(key) => put_text(&mut out, key),
            Object::Array(refs) => {
                put_head(&mut out, 0xa0, refs.len());
                refs.iter().for_each(|index| put_wide(&mut out, *index, ref_width));
            }
            Object::Dict(refs) => {
                put_head(&mut out, 0xd0, refs.len() / 2);
                refs.iter().for_each(|index| put_wide(&mut out, *index, ref_width));
            }
        }
    }
    let table_at = out.len();
    let offset_width = if table_at < 0x100 {
        1
    } else if table_at < 0x1_0000 {
        2
    } else {
        4
    };
    for offset in offsets {
        put_wide(&mut out, offset, offset_width);
    }
    out.extend([0, 0, 0, 0, 0, 0, offset_width, ref_width]);
    out.extend((count as u64).to_be_bytes());
    out.extend(0u64.to_be_bytes());
    out.extend((table_at as u64).to_be_bytes());
    out
}

/// Writes the low `width` bytes of a number, big-endian.
fn put_wide(out: &mut Vec<u8>, value: usize, width: u8) {
    let bytes = (value as u64).to_be_bytes();
    out.extend(&bytes[8 - usize::from(width)..]);
}

/// Writes an integer in the fewest bytes; a negative one always takes eight.
fn put_int(out: &mut Vec<u8>, value: i64) {
    let bytes = value.to_be_bytes();
    let (marker, width) = match value {
        0..0x100 => (0x10, 1),
        0x100..0x1_0000 => (0x11, 2),
        0x1_0000..0x1_0000_0000 => (0x12, 4),
        _ => (0x13, 8),
    };
    out.push(marker);
    out.extend(&bytes[8 - width..]);
}

/// Writes a marker with its count: in the low half of the marker, or as an integer after it.
fn put_head(out: &mut Vec<u8>, marker: u8, count: usize) {
    match u8::try_from(count) {
        Ok(count @ 0..15) => out.push(marker | count),
        _ => {
            out.push(marker | 15);
            put_int(out, count as i64);
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    if text.is_ascii() {
        put_head(out, 0x50, text.len());
        out.extend(text.as_bytes());
    } else {
        put_head(out, 0x60, text.encode_utf16().count());
        text.encode_utf16().for_each(|unit| out.extend(unit.to_be_bytes()));
    }
}

fn put_scalar(out: &mut Vec<u8>, value: &PlistValue) {
    match value {
        PlistValue::Bool(value) => out.push(if *value { 9 } else { 8 }),
        PlistValue::Int(value) | PlistValue::Wide(value) => put_int(out, *value),
        PlistValue::Real(value) => {
            out.push(0x23);
            out.extend(value.to_be_bytes());
        }
        PlistValue::Date(unix) => {
            out.push(0x33);
            out.extend(((unix - APPLE_EPOCH) as f64).to_be_bytes());
        }
        PlistValue::Data(data) => {
            put_head(out, 0x40, data.len());
            out.extend(data);
        }
        PlistValue::Text(text) | PlistValue::OwnText(text) => put_text(out, text),
        PlistValue::Uid(index) => out.extend([0x80, *index]),
        PlistValue::Array(_) | PlistValue::Dict(_) => {}
    }
}

/// The first lines of every XML property list that Apple's tools write.
pub(crate) const XML_HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n";

/// Encodes a value as an XML property list.
#[must_use]
pub fn xml_plist(root: &PlistValue) -> Vec<u8> {
    let mut out = XML_HEAD.to_owned();
    put_xml(&mut out, root, 0);
    out.push_str("</plist>\n");
    out.into_bytes()
}

fn put_xml(out: &mut String, value: &PlistValue, depth: usize) {
    let tabs = "\t".repeat(depth);
    out.push_str(&tabs);
    // Writing to a String does not fail.
    let _ = match value {
        PlistValue::Bool(value) => writeln!(out, "<{value}/>"),
        PlistValue::Int(value) | PlistValue::Wide(value) => {
            writeln!(out, "<integer>{value}</integer>")
        }
        PlistValue::Real(value) => writeln!(out, "<real>{value}</real>"),
        PlistValue::Date(unix) => writeln!(out, "<date>{}</date>", rfc3339(*unix)),
        PlistValue::Data(data) => writeln!(out, "<data>{}</data>", base64(data)),
        PlistValue::Text(text) | PlistValue::OwnText(text) => {
            writeln!(out, "<string>{}</string>", escape(text))
        }
        PlistValue::Uid(index) => {
            writeln!(out, "<dict><key>CF$UID</key><integer>{index}</integer></dict>")
        }
        PlistValue::Array(items) if items.is_empty() => writeln!(out, "<array/>"),
        PlistValue::Dict(pairs) if pairs.is_empty() => writeln!(out, "<dict/>"),
        PlistValue::Array(items) => {
            out.push_str("<array>\n");
            items.iter().for_each(|item| put_xml(out, item, depth + 1));
            writeln!(out, "{tabs}</array>")
        }
        PlistValue::Dict(pairs) => {
            out.push_str("<dict>\n");
            for (key, value) in pairs {
                let _ = writeln!(out, "{tabs}\t<key>{}</key>", escape(key));
                put_xml(out, value, depth + 1);
            }
            writeln!(out, "{tabs}</dict>")
        }
    };
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Base64 of RFC 4648, section 4.
fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in data.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for n in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * n) & 63) as usize];
            out.push(if n <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Spells Unix time as RFC 3339 in UTC.
fn rfc3339(unix: i64) -> String {
    let (days, seconds) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    // Years that start in March put the leap day last; 400 of them are one whole cycle.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::{PlistValue, base64, binary_plist, rfc3339, xml_plist};

    // RFC 4648, section 10.
    #[test]
    fn base64_vectors() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn known_instants() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (978_307_200, "2001-01-01T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(unix), text);
        }
    }

    fn sample() -> PlistValue {
        PlistValue::dict([
            ("yes", PlistValue::Bool(true)),
            ("no", PlistValue::Bool(false)),
            ("small", PlistValue::Int(7)),
            ("wide", PlistValue::Wide(7)),
            ("negative", PlistValue::Int(-2)),
            ("big", PlistValue::Int(1 << 40)),
            ("real", PlistValue::Real(1.5)),
            ("date", PlistValue::Date(1_700_000_000)),
            ("data", PlistValue::Data((0..=255).collect())),
            ("text", PlistValue::text("<a & b>")),
            ("unicode", PlistValue::text("Gerät 😀")),
            ("long", PlistValue::text("x".repeat(300))),
            ("list", PlistValue::Array((0..20).map(PlistValue::Int).collect())),
            ("empty", PlistValue::Array(vec![])),
            ("nested", PlistValue::dict([("text", PlistValue::text("<a & b>"))])),
        ])
    }

    /// The `plist` crate is no relation of this writer.
    #[test]
    fn an_outside_reader_reads_both_forms_alike() {
        for bytes in [binary_plist(&sample()), xml_plist(&sample())] {
            let value = plist::Value::from_reader(std::io::Cursor::new(&bytes)).unwrap();
            let dict = value.as_dictionary().unwrap();
            assert_eq!(dict.len(), 15);
            assert_eq!(dict["yes"].as_boolean(), Some(true));
            assert_eq!(dict["no"].as_boolean(), Some(false));
            assert_eq!(dict["small"].as_signed_integer(), Some(7));
            assert_eq!(dict["wide"].as_signed_integer(), Some(7));
            assert_eq!(dict["negative"].as_signed_integer(), Some(-2));
            assert_eq!(dict["big"].as_signed_integer(), Some(1 << 40));
            assert_eq!(dict["real"].as_real(), Some(1.5));
            assert_eq!(dict["date"].as_date().unwrap().to_xml_format(), "2023-11-14T22:13:20Z");
            assert_eq!(dict["data"].as_data().unwrap(), (0..=255).collect::<Vec<u8>>());
            assert_eq!(dict["text"].as_string(), Some("<a & b>"));
            assert_eq!(dict["unicode"].as_string(), Some("Gerät 😀"));
            assert_eq!(dict["long"].as_string().unwrap().len(), 300);
            assert_eq!(dict["list"].as_array().unwrap().len(), 20);
            assert_eq!(dict["empty"].as_array().unwrap().len(), 0);
        }
    }

    /// More than 255 objects and more than 64 KiB: two-byte references, four-byte offsets.
    #[test]
    fn widths_grow() {
        let list: Vec<_> = (0..2000).map(|n| PlistValue::text(format!("{n:064}"))).collect();
        let bytes = binary_plist(&PlistValue::Array(list));
        assert_eq!(bytes[bytes.len() - 26..bytes.len() - 24], [4, 2]);
        let value = plist::Value::from_reader(std::io::Cursor::new(&bytes)).unwrap();
        assert_eq!(value.as_array().unwrap()[1999].as_string().unwrap(), format!("{:064}", 1999));
    }

    #[test]
    fn equal_scalars_are_one_object_unless_told_otherwise() {
        let count = |values: Vec<PlistValue>| {
            let bytes = binary_plist(&PlistValue::Array(values));
            bytes[bytes.len() - 17]
        };
        assert_eq!(count(vec![PlistValue::Int(0), PlistValue::Int(0)]), 2);
        assert_eq!(count(vec![PlistValue::Int(0), PlistValue::Wide(0)]), 3);
        assert_eq!(count(vec![PlistValue::text("a"), PlistValue::OwnText("a".into())]), 3);
        assert_eq!(count(vec![PlistValue::OwnText("a".into()), PlistValue::text("a")]), 3);
    }
}
