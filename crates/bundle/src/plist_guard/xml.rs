//! The walk through an XML property list.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event as Xml;

use super::PlistError;
use super::event::{Budget, Container, Event, Scalar};
use crate::bplist::EPOCH;

/// A walk over the events of the XML parser, which keeps no tree either.
///
/// It reads what Apple's own parser reads: one value, in a `plist` element or bare.
pub(crate) struct XmlWalk<'a> {
    xml: Reader<&'a [u8]>,
    budget: Budget,
    stack: Vec<Frame>,
    /// The root value has begun.
    begun: bool,
    /// How many bytes of the file came before the XML.
    skipped: usize,
    plist: PlistElement,
    offset: usize,
    cdata: Option<usize>,
    ascii: bool,
}

/// The element around the value, which may be missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PlistElement {
    Absent,
    Open,
    Closed,
}

/// A container that is open.
#[derive(Clone, Copy, Debug)]
struct Frame {
    container: Container,
    /// In a dictionary: a key was told and its value was not.
    after_key: bool,
}

impl std::fmt::Debug for XmlWalk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("XmlWalk").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl<'a> XmlWalk<'a> {
    pub(super) fn new(text: &'a [u8], skipped: usize, budget: Budget) -> Result<Self, PlistError> {
        let utf8 = std::str::from_utf8(text).map_err(|error| PlistError::Malformed {
            what: "text is not UTF-8",
            offset: skipped.saturating_add(error.valid_up_to()),
        })?;
        let mut xml = Reader::from_str(utf8);
        let config = xml.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = true;
        Ok(Self {
            xml,
            budget,
            stack: Vec::new(),
            begun: false,
            skipped,
            plist: PlistElement::Absent,
            offset: skipped,
            cdata: None,
            ascii: utf8.is_ascii(),
        })
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn cdata(&self) -> Option<usize> {
        self.cdata
    }

    fn malformed<T>(&self, what: &'static str) -> Result<T, PlistError> {
        Err(PlistError::Malformed { what, offset: self.offset })
    }

    fn unsupported<T>(&self, what: &'static str) -> Result<T, PlistError> {
        Err(PlistError::Unsupported { what, offset: self.offset })
    }

    fn place(&self, position: u64) -> usize {
        usize::try_from(position).unwrap_or(usize::MAX).saturating_add(self.skipped)
    }

    fn read(&mut self) -> Result<Xml<'a>, PlistError> {
        self.offset = self.place(self.xml.buffer_position());
        self.xml.read_event().map_err(|source| PlistError::Xml {
            offset: self.place(self.xml.error_position()),
            source: Box::new(source),
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Event<'a>>, PlistError> {
        loop {
            match self.read()? {
                Xml::Start(tag) => {
                    let name = tag.local_name();
                    if name.as_ref() == "plist" {
                        if self.begun || self.plist != PlistElement::Absent {
                            return self.malformed("plist element inside or after a value");
                        }
                        self.plist = PlistElement::Open;
                        continue;
                    }
                    return self.element(name.as_ref()).map(Some);
                }
                // The parser has matched the names, so this ends the innermost container or the
                // plist element.
                Xml::End(_) => match self.stack.pop() {
                    Some(Frame { after_key: true, .. }) => {
                        return self.malformed("key without a value");
                    }
                    Some(_) => return Ok(Some(Event::Close)),
                    None => self.plist = PlistElement::Closed,
                },
                Xml::Eof => return self.end(),
                Xml::Text(text) => {
                    if !text.chars().all(char::is_whitespace) {
                        return self.malformed("text outside an element");
                    }
                }
                Xml::CData(_) | Xml::GeneralRef(_) => {
                    return self.malformed("text outside an element");
                }
                Xml::Decl(declaration) => {
                    let utf8 = declaration.encoding().is_none_or(|name| {
                        name.is_ok_and(|name| {
                            name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8")
                        })
                    });
                    if !utf8 && !self.ascii {
                        return self.unsupported("XML in another encoding than UTF-8");
                    }
                }
                Xml::DocType(text) => {
                    if text.contains('[') {
                        return self.unsupported("a DTD with declarations of its own");
                    }
                }
                Xml::Empty(_) | Xml::Comment(_) | Xml::PI(_) => {}
            }
        }
    }

    fn end(&self) -> Result<Option<Event<'a>>, PlistError> {
        if !self.stack.is_empty() {
            return self.malformed("container without an end");
        }
        if self.plist == PlistElement::Open {
            return self.malformed("plist element without an end");
        }
        if !self.begun {
            return self.malformed("no value");
        }
        Ok(None)
    }

    fn element(&mut self, name: &str) -> Result<Event<'a>, PlistError> {
        self.budget.visit(1)?;
        let is_key = name == "key";
        match self.stack.last_mut() {
            None if self.begun => return self.malformed("a second value at the root"),
            None if self.plist == PlistElement::Closed => {
                return self.malformed("a value after the plist element");
            }
            Some(frame) if frame.container == Container::Dict => {
                if frame.after_key == is_key {
                    let what = if is_key { "key without a value" } else { "value without a key" };
                    return self.malformed(what);
                }
                frame.after_key = is_key;
            }
            _ if is_key => return self.malformed("key outside a dictionary"),
            _ => {}
        }
        self.begun = true;
        let scalar = match name {
            "array" => return self.open(Container::Array),
            "dict" => return self.open(Container::Dict),
            "key" => return Ok(Event::Key(bytes(self.content()?))),
            "string" => Scalar::Text(bytes(self.content()?)),
            "data" => Scalar::Base64(self.content()?),
            "date" => date(&self.content()?)
                .map_or(Scalar::Unreadable("an unreadable date"), Scalar::Date),
            "integer" => integer(&self.content()?)
                .map_or(Scalar::Unreadable("an unreadable integer"), Scalar::Int),
            "real" => (self.content()?.trim().parse().ok())
                .map_or(Scalar::Unreadable("an unreadable real"), Scalar::Real),
            "true" | "false" => {
                self.content()?;
                Scalar::Bool(name == "true")
            }
            _ => return self.malformed("element that property lists do not have"),
        };
        Ok(Event::Value(scalar))
    }

    fn open(&mut self, container: Container) -> Result<Event<'a>, PlistError> {
        self.budget.nest(self.stack.len())?;
        self.stack.push(Frame { container, after_key: false });
        Ok(Event::Open(container))
    }

    /// Reads the text of an element up to its end. One piece of text is borrowed.
    fn content(&mut self) -> Result<Cow<'a, str>, PlistError> {
        let start = self.offset;
        let mut content = Cow::Borrowed("");
        loop {
            match self.read()? {
                Xml::Text(text) => self.append(&mut content, text.into_inner())?,
                Xml::CData(text) => {
                    self.cdata = self.cdata.or(Some(self.offset));
                    self.append(&mut content, text.into_inner())?;
                }
                Xml::GeneralRef(name) => {
                    let character = name.resolve_char_ref().map_err(|source| PlistError::Xml {
                        offset: self.offset,
                        source: Box::new(source),
                    })?;
                    if let Some(character) = character {
                        self.append(&mut content, Cow::Owned(character.to_string()))?;
                    } else if let Some(text) = resolve_xml_entity(&name) {
                        self.append(&mut content, Cow::Borrowed(text))?;
                    } else {
                        return self.malformed("entity that is not defined");
                    }
                }
                Xml::End(_) => break,
                Xml::Start(_) | Xml::Empty(_) => {
                    return self.malformed("element inside text");
                }
                Xml::Eof => return self.malformed("element without an end"),
                Xml::Comment(_) | Xml::PI(_) => {}
                Xml::Decl(_) | Xml::DocType(_) => {
                    return self.malformed("declaration inside a value");
                }
            }
        }
        self.offset = start;
        Ok(content)
    }

    fn append(&mut self, content: &mut Cow<'a, str>, text: Cow<'a, str>) -> Result<(), PlistError> {
        self.budget.text(text.len())?;
        if content.is_empty() {
            *content = text;
        } else {
            content.to_mut().push_str(&text);
        }
        Ok(())
    }
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Reads a decimal, or a hexadecimal after `0x`.
fn integer(text: &str) -> Option<i128> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(i128::from),
        None => {
            let value: i128 = text.parse().ok()?;
            (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
        }
    }
}

/// Reads `2020-01-02T03:04:05Z` as seconds since 2001.
fn date(text: &str) -> Option<f64> {
    let text = text.trim().strip_suffix('Z')?;
    let (day, time) = text.split_once('T')?;
    let number = |text: &str, len: usize| {
        let digits = text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
        if digits { text.parse::<i32>().ok() } else { None }
    };
    let mut day = day.split('-');
    let (year, month) = (number(day.next()?, 4)?, number(day.next()?, 2)?);
    let date = number(day.next()?, 2)?;
    let mut time = time.split(':');
    let (hour, minute) = (number(time.next()?, 2)?, number(time.next()?, 2)?);
    let second = number(time.next()?, 2)?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&date)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !in_range || day.next().is_some() || time.next().is_some() {
        return None;
    }
    let seconds = i64::from(hour)
        .checked_mul(3600)?
        .checked_add(i64::from(minute).checked_mul(60)?)?
        .checked_add(i64::from(second))?;
    let unix = days_from_civil(year, month, date)?.checked_mul(86_400)?.checked_add(seconds)?;
    // Twelve digits fit a real exactly.
    Some(unix.checked_sub(EPOCH)? as f64)
}

fn days_of(year: i32, month: i32) -> i32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Counts the days from 1970-01-01 in the proleptic Gregorian calendar, for a year of four digits.
fn days_from_civil(year: i32, month: i32, day: i32) -> Option<i64> {
    // A year that begins in March ends with the leap day.
    let (year, month) = if month > 2 {
        (year, month.checked_sub(3)?)
    } else {
        (year.checked_sub(1)?, month.checked_add(9)?)
    };
    let leaps =
        year.div_euclid(4).checked_sub(year.div_euclid(100))?.checked_add(year.div_euclid(400))?;
    let before = month.checked_mul(153)?.checked_add(2)?.checked_div(5)?;
    let days = year.checked_mul(365)?.checked_add(leaps)?.checked_add(before)?.checked_add(day)?;
    Some(i64::from(days.checked_sub(719_469)?))
}
