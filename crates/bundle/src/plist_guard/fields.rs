//! Reading fields from events: what is absent or odd costs only itself.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::event::Container;
use super::{Event, Events, Limits, PlistError, Scalar};
use crate::bplist::EPOCH;

/// The most warnings that are kept of one file.
const MAX_WARNINGS: usize = 1000;

/// A value that could not be used; the rest of the file was.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PlistWarning {
    /// The key, with the keys above it: `Lockdown.ProductVersion`.
    pub key: String,
    /// What was expected.
    pub expected: &'static str,
    /// What was there.
    pub found: &'static str,
}

impl fmt::Display for PlistWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, expected, found } = self;
        write!(f, "{} is {found}, not {expected}", key.escape_debug())
    }
}

/// A property list being read key by key.
///
/// After a key exactly one value must be taken: by one of the readers or by [`skip`](Self::skip).
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    events: Events<'a>,
    path: Vec<String>,
    warnings: Vec<PlistWarning>,
}

impl<'a> Fields<'a> {
    /// Enters the dictionary at the root.
    pub(crate) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, PlistError> {
        let mut events = Events::new(bytes, limits)?;
        match events.next()? {
            Some(Event::Open(Container::Dict)) => {
                Ok(Self { events, path: Vec::new(), warnings: Vec::new() })
            }
            _ => Err(PlistError::Malformed {
                what: "the root is no dictionary",
                offset: events.offset(),
            }),
        }
    }

    /// Ends the reading, checking that the file ends as well.
    pub(crate) fn finish(mut self) -> Result<Vec<PlistWarning>, PlistError> {
        while self.events.next()?.is_some() {}
        Ok(self.warnings)
    }

    /// Returns the next key of the dictionary that was entered last, or leaves it.
    pub(crate) fn key(&mut self) -> Result<Option<String>, PlistError> {
        match self.events.next()? {
            Some(Event::Key(key)) => Ok(Some(lossy(&key))),
            _ => {
                self.path.pop();
                Ok(None)
            }
        }
    }

    /// Enters the dictionary under `key`; its keys come next. False when it is none.
    pub(crate) fn enter(&mut self, key: &str) -> Result<bool, PlistError> {
        match self.events.next()? {
            Some(Event::Open(Container::Dict)) => {
                self.path.push(key.to_owned());
                Ok(true)
            }
            event => {
                self.odd(key, "a dictionary", event)?;
                Ok(false)
            }
        }
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self) -> Result<(), PlistError> {
        match self.events.next()? {
            Some(Event::Open(_)) => self.close(),
            _ => Ok(()),
        }
    }

    /// Leaves the innermost container.
    fn close(&mut self) -> Result<(), PlistError> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.events.next()? {
                Some(Event::Open(_)) => depth = depth.saturating_add(1),
                Some(Event::Close) => depth = depth.saturating_sub(1),
                Some(_) => {}
                None => break,
            }
        }
        Ok(())
    }

    /// Notes a value of the wrong sort and passes over it.
    fn odd(
        &mut self,
        key: &str,
        expected: &'static str,
        event: Option<Event<'a>>,
    ) -> Result<(), PlistError> {
        let found = match &event {
            Some(Event::Open(Container::Array)) => "an array",
            Some(Event::Open(Container::Dict)) => "a dictionary",
            // The right sort, so it is the value itself that makes no sense.
            Some(Event::Value(scalar)) if scalar.kind() == expected => "damaged",
            Some(Event::Value(scalar)) => scalar.kind(),
            _ => "nothing",
        };
        if self.warnings.len() < MAX_WARNINGS {
            let mut path = self.path.join(".");
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
            self.warnings.push(PlistWarning { key: path, expected, found });
        }
        if matches!(event, Some(Event::Open(_))) { self.close() } else { Ok(()) }
    }

    fn scalar<T>(
        &mut self,
        key: &str,
        expected: &'static str,
        read: impl FnOnce(&Scalar<'a>) -> Option<T>,
    ) -> Result<Option<T>, PlistError> {
        let event = self.events.next()?;
        if let Some(Event::Value(scalar)) = &event
            && let Some(value) = read(scalar)
        {
            return Ok(Some(value));
        }
        self.odd(key, expected, event)?;
        Ok(None)
    }

    pub(crate) fn string(&mut self, key: &str) -> Result<Option<String>, PlistError> {
        self.scalar(key, "a string", |scalar| match scalar {
            Scalar::Text(text) => Some(lossy(text)),
            _ => None,
        })
    }

    /// Reads a version: a string on devices, a number from some tools.
    pub(crate) fn version(&mut self, key: &str) -> Result<Option<String>, PlistError> {
        self.scalar(key, "a string or a number", |scalar| match scalar {
            Scalar::Text(text) => Some(lossy(text)),
            Scalar::Int(value) => Some(value.to_string()),
            Scalar::Real(value) if value.is_finite() => Some(format!("{value:?}")),
            _ => None,
        })
    }

    /// Reads a GUID: a string, or 16 bytes that are given in hexadecimal.
    pub(crate) fn guid(&mut self, key: &str) -> Result<Option<String>, PlistError> {
        self.scalar(key, "a string or 16 bytes", |scalar| {
            if let Scalar::Text(text) = scalar {
                return Some(lossy(text));
            }
            let bytes = data(scalar).filter(|bytes| bytes.len() == 16)?;
            Some(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
        })
    }

    pub(crate) fn bool(&mut self, key: &str) -> Result<Option<bool>, PlistError> {
        self.scalar(key, "a boolean", |scalar| match scalar {
            Scalar::Bool(value) => Some(*value),
            Scalar::Int(0) => Some(false),
            Scalar::Int(1) => Some(true),
            _ => None,
        })
    }

    /// Reads a date as whole seconds since the Unix epoch.
    pub(crate) fn date(&mut self, key: &str) -> Result<Option<i64>, PlistError> {
        self.scalar(key, "a date", |scalar| match scalar {
            Scalar::Date(value) => unix(*value),
            _ => None,
        })
    }

    pub(crate) fn data(&mut self, key: &str) -> Result<Option<Vec<u8>>, PlistError> {
        self.scalar(key, "data", data)
    }

    /// Reads an array of strings; members of another sort are left out, with a warning.
    pub(crate) fn strings(&mut self, key: &str) -> Result<Vec<String>, PlistError> {
        let mut strings = Vec::new();
        let mut event = self.events.next()?;
        if event != Some(Event::Open(Container::Array)) {
            self.odd(key, "an array", event)?;
            return Ok(strings);
        }
        loop {
            event = self.events.next()?;
            match event {
                None | Some(Event::Close) => return Ok(strings),
                Some(Event::Value(Scalar::Text(text))) => strings.push(lossy(&text)),
                _ => self.odd(key, "an array of strings", event)?,
            }
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn data(scalar: &Scalar<'_>) -> Option<Vec<u8>> {
    match scalar {
        Scalar::Data(bytes) => Some(bytes.to_vec()),
        Scalar::Base64(text) => {
            let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            STANDARD.decode(digits).ok()
        }
        _ => None,
    }
}

/// Takes seconds since 2001 to whole seconds since 1970, if the year has four digits.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn unix(date: f64) -> Option<i64> {
    super::DATES.contains(&date).then(|| (date.floor() as i64).checked_add(EPOCH)).flatten()
}
