//! The content of a signed message.
//!
//! ```text
//! ContentInfo SEQUENCE { OID signedData, [0] {                        (RFC 5652 section 5.1)
//!   SignedData SEQUENCE { INTEGER version, SET digestAlgorithms,
//!     SEQUENCE { OID data, [0] { OCTET STRING content } },   ◀── this
//!     [0] certificates, [1] revocations, SET signerInfos } } }
//! ```
//!
//! Signers write DER, or BER with indefinite lengths and the content in segments (X.690 sections
//! 8.1.3.6 and 8.7.3). Both are read. The signature is not verified: what this gives back is what
//! somebody put into the message. All of the message is walked, so that one that is cut short is
//! an error. Nothing recurses; nesting has a limit.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

/// Elements inside one another, of those that are only passed over.
const NESTING: usize = 64;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OCTET_SEGMENTS: u8 = 0x24;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const EXPLICIT: u8 = 0xa0;
const CONSTRUCTED: u8 = 0x20;

/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.7.1
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// The message is damaged, or of another kind.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Malformed {
    pub(super) what: &'static str,
    pub(super) offset: usize,
}

/// Where an element that was entered ends.
#[derive(Clone, Copy)]
enum End {
    /// At this offset.
    At(usize),
    /// At the next two zero bytes that stand where an element would.
    Marker,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bad<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { what, offset: self.at })
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Returns the tag of the next element.
    fn tag(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Reads tag and length.
    fn head(&mut self) -> Result<(u8, End), Malformed> {
        let Some((&[tag, first], rest)) = self.rest().split_first_chunk() else {
            return self.bad("the message is cut short");
        };
        if tag & 0x1f == 0x1f {
            return self.bad("a tag of several bytes");
        }
        let (length, width) = match first {
            ..=0x7f => (usize::from(first), 0),
            0x80 if tag & CONSTRUCTED != 0 => {
                self.at = self.at.saturating_add(2);
                return Ok((tag, End::Marker));
            }
            0x81..=0x84 => {
                let width = usize::from(first & 0x7f);
                let Some(digits) = rest.get(..width) else {
                    return self.bad("the message is cut short");
                };
                let length =
                    digits.iter().fold(0_u32, |length, &b| length.wrapping_shl(8) | u32::from(b));
                (usize::try_from(length).unwrap_or(usize::MAX), width)
            }
            _ => return self.bad("a length that is not read"),
        };
        let start = self.at.saturating_add(2).saturating_add(width);
        let end = start.saturating_add(length);
        if end > self.bytes.len() {
            return self.bad("the message is cut short");
        }
        self.at = start;
        Ok((tag, End::At(end)))
    }

    /// Enters an element of this tag.
    fn enter(&mut self, tag: u8, what: &'static str) -> Result<End, Malformed> {
        if self.tag() != Some(tag) {
            return self.bad(what);
        }
        Ok(self.head()?.1)
    }

    /// Reads an element that is not constructed.
    fn value(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], Malformed> {
        match self.enter(tag, what)? {
            End::Marker => self.bad(what),
            End::At(end) => {
                let value = self.bytes.get(self.at..end).unwrap_or_default();
                self.at = end;
                Ok(value)
            }
        }
    }

    /// Leaves an element, if this is its end.
    fn at_end(&mut self, end: End) -> Result<bool, Malformed> {
        match end {
            End::At(end) if self.at > end => self.bad("an element beyond the end of another"),
            End::At(end) => Ok(self.at == end),
            End::Marker if self.rest().starts_with(&[0, 0]) => {
                self.at = self.at.saturating_add(2);
                Ok(true)
            }
            End::Marker => Ok(false),
        }
    }

    /// Leaves an element in which nothing must follow.
    fn leave(&mut self, end: End) -> Result<(), Malformed> {
        if self.at_end(end)? { Ok(()) } else { self.bad("something follows that does not belong") }
    }

    /// Passes over one element and all that is in it.
    fn skip(&mut self) -> Result<(), Malformed> {
        // Only indefinite lengths have to be walked; each stands for one entry.
        let mut open = 0_usize;
        loop {
            match self.head()? {
                (_, End::At(end)) => self.at = end,
                (_, End::Marker) if open >= NESTING => return self.bad("nested too deeply"),
                (_, End::Marker) => open = open.saturating_add(1),
            }
            while open > 0 && self.at_end(End::Marker)? {
                open = open.saturating_sub(1);
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// Passes over everything up to the end of an element.
    fn skip_to(&mut self, end: End) -> Result<(), Malformed> {
        while !self.at_end(end)? {
            self.skip()?;
        }
        Ok(())
    }

    /// Reads an octet string, in one piece or in segments.
    fn octets(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        const WHAT: &str = "the content is no octet string";
        if self.tag() != Some(OCTET_SEGMENTS) {
            return Ok(Cow::Borrowed(self.value(OCTET_STRING, WHAT)?));
        }
        let mut whole = Vec::new();
        let mut open = vec![self.head()?.1];
        while let Some(&end) = open.last() {
            if self.at_end(end)? {
                open.pop();
            } else if self.tag() == Some(OCTET_SEGMENTS) {
                if open.len() >= NESTING {
                    return self.bad("nested too deeply");
                }
                open.push(self.head()?.1);
            } else {
                whole.extend_from_slice(self.value(OCTET_STRING, WHAT)?);
            }
        }
        Ok(Cow::Owned(whole))
    }
}

/// Returns the content of a signed message. What it costs is linear in the length of the message.
pub(super) fn content(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    let mut reader = Reader { bytes, at: 0 };
    let message = reader.enter(SEQUENCE, "no CMS message")?;
    const KIND: &str = "the message does not begin with the type of SignedData";
    if reader.value(OID, KIND)? != SIGNED_DATA {
        return reader.bad("the message is not signed but of another kind");
    }
    let explicit = reader.enter(EXPLICIT, "the message has no content")?;
    let signed = reader.enter(SEQUENCE, "the signed data is no sequence")?;
    reader.value(INTEGER, "the signed data has no version")?;
    let algorithms = reader.enter(SET, "the signed data has no algorithms")?;
    reader.skip_to(algorithms)?;
    let encapsulated = reader.enter(SEQUENCE, "the signed data has no content")?;
    if reader.value(OID, "the content has no type")? != DATA {
        return reader.bad("the content is of another type than data");
    }
    let wrapper = reader.enter(EXPLICIT, "the signature is apart from its content")?;
    let content = reader.octets()?;
    for end in [wrapper, encapsulated] {
        reader.leave(end)?;
    }
    reader.skip_to(signed)?;
    for end in [explicit, message] {
        reader.leave(end)?;
    }
    // Files that were sent as text may end with a line break.
    if reader.rest().iter().all(|b| b"\r\n".contains(b)) {
        Ok(content)
    } else {
        reader.bad("bytes after the message")
    }
}

#[cfg(test)]
mod tests {
    use super::{DATA, NESTING, SIGNED_DATA, content};

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match value.len() {
            length @ 0..128 => out.push(length.try_into().unwrap()),
            length => {
                out.push(0x82);
                out.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        out.extend(value);
        out
    }

    fn indefinite(tag: u8, value: &[u8]) -> Vec<u8> {
        [&[tag, 0x80][..], value, &[0, 0]].concat()
    }

    type Form = fn(u8, &[u8]) -> Vec<u8>;

    fn message(form: Form, octets: &[u8], rest: &[u8]) -> Vec<u8> {
        let encapsulated = form(0x30, &[tlv(6, DATA), form(0xa0, octets)].concat());
        let algorithms = form(0x31, &form(0x30, &tlv(6, &[1, 2, 3])));
        let signed = [tlv(2, &[1]), algorithms, encapsulated, rest.to_vec()].concat();
        form(0x30, &[tlv(6, SIGNED_DATA), form(0xa0, &form(0x30, &signed))].concat())
    }

    fn samples() -> Vec<Vec<u8>> {
        let segments = [tlv(4, b"<pli"), tlv(0x24, &tlv(4, b"st")), tlv(4, b">")].concat();
        let signers = tlv(0x31, &[7; 40]);
        let certificates = indefinite(0xa0, &indefinite(0x30, &tlv(2, &[0])));
        let rest = [certificates, signers].concat();
        vec![
            message(tlv, &tlv(4, b"<plist>"), &rest),
            message(indefinite, &tlv(4, b"<plist>"), &rest),
            message(indefinite, &indefinite(0x24, &segments), &rest),
            message(tlv, &tlv(0x24, &segments), &rest),
        ]
    }

    fn what(bytes: &[u8]) -> &'static str {
        content(bytes).unwrap_err().what
    }

    #[test]
    fn all_forms_of_one_message() {
        for sample in samples() {
            assert_eq!(&*content(&sample).unwrap(), b"<plist>");
            assert_eq!(&*content(&[&sample[..], b"\r\n"].concat()).unwrap(), b"<plist>");
            assert_eq!(what(&[&sample[..], b"x"].concat()), "bytes after the message");
        }
    }

    #[test]
    fn every_cut_is_an_error_and_no_change_a_panic() {
        for sample in samples() {
            for cut in 0..sample.len() {
                assert!(content(&sample[..cut]).is_err(), "{cut}");
            }
            for at in 0..sample.len() {
                for value in 0..=255 {
                    let mut changed = sample.clone();
                    changed[at] = value;
                    let _ = content(&changed);
                }
            }
        }
    }

    #[test]
    fn what_is_refused() {
        let octets = tlv(4, b"x");
        let other = [tlv(6, DATA), tlv(0xa0, &octets)].concat();
        assert_eq!(what(&tlv(0x30, &other)), "the message is not signed but of another kind");
        assert_eq!(what(&message(tlv, &[], &[])), "the content is no octet string");
        assert_eq!(
            what(&message(tlv, &[&octets[..], &octets].concat(), &[])),
            "something follows that does not belong"
        );
        assert_eq!(what(&message(tlv, &octets, &[0x1f, 1, 0])), "a tag of several bytes");
        assert_eq!(what(&message(tlv, &octets, &[0x30, 0x85, 0])), "a length that is not read");
        assert_eq!(what(&message(tlv, &octets, &[4, 0x80, 0, 0])), "a length that is not read");
        // Four bytes of length, beyond the end.
        assert_eq!(what(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), "the message is cut short");
        // An element that reaches out of the one it is in.
        assert_eq!(
            what(&message(tlv, &[0x24, 1, 4, 1, 7], &[])),
            "an element beyond the end of another"
        );
    }

    #[test]
    fn nesting_has_a_limit_and_no_stack() {
        let deep = |tag: u8, levels: usize| {
            let mut bytes = vec![];
            for _ in 0..levels {
                bytes.extend([tag, 0x80]);
            }
            bytes.extend(tlv(4, b"<"));
            for _ in 0..levels {
                bytes.extend([0, 0]);
            }
            bytes
        };
        assert!(content(&message(indefinite, &deep(0x24, NESTING), &[])).is_ok());
        assert_eq!(what(&message(indefinite, &deep(0x24, NESTING + 1), &[])), "nested too deeply");
        let octets = tlv(4, b"<");
        assert!(content(&message(indefinite, &octets, &deep(0x30, NESTING))).is_ok());
        assert_eq!(what(&message(indefinite, &octets, &deep(0x30, 100_000))), "nested too deeply");
    }
}
