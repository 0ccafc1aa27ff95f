//! The events that both encodings come down to.

use std::borrow::Cow;

use super::binary::BinaryWalk;
use super::xml::XmlWalk;
use super::{Format, Limits, PlistError, sniff};

/// One step through a property list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event<'a> {
    /// An array, a set or a dictionary begins.
    Open(Container),
    /// The innermost container ends.
    Close,
    /// A key of a dictionary; its value comes next.
    Key(Cow<'a, [u8]>),
    /// A value that is no container.
    Value(Scalar<'a>),
}

/// What sort of container it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Container {
    Array,
    Dict,
}

/// A value that is no container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i128),
    Real(f64),
    /// Seconds since 2001-01-01T00:00:00Z.
    Date(f64),
    Data(&'a [u8]),
    /// Data as XML has it, with white space.
    Base64(Cow<'a, str>),
    Text(Cow<'a, [u8]>),
    Uid(u64),
    /// A value whose own bytes make no sense; the rest of the file does.
    Unreadable(&'static str),
}

impl Scalar<'_> {
    /// Returns what sort of value this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Real(_) => "a real",
            Self::Date(_) => "a date",
            Self::Data(_) | Self::Base64(_) => "data",
            Self::Text(_) => "a string",
            Self::Uid(_) => "a uid",
            Self::Unreadable(what) => what,
        }
    }
}

/// What is left of the limits during a walk.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    visits: usize,
    text: usize,
    text_limit: usize,
}

impl Budget {
    fn new(limits: &Limits, len: usize) -> Self {
        let text_limit = len.saturating_add(limits.slack);
        Self { limits: *limits, visits: limits.visits, text: text_limit, text_limit }
    }

    /// Pays for keys and values.
    pub(super) fn visit(&mut self, count: usize) -> Result<(), PlistError> {
        self.visits = self.visits.checked_sub(count).ok_or(PlistError::LimitExceeded {
            what: "keys and values",
            limit: self.limits.visits,
        })?;
        Ok(())
    }

    /// Pays for text and data.
    pub(super) fn text(&mut self, len: usize) -> Result<(), PlistError> {
        self.text = self.text.checked_sub(len).ok_or(PlistError::LimitExceeded {
            what: "bytes of text and data, shared ones counted each time,",
            limit: self.text_limit,
        })?;
        Ok(())
    }

    /// Allows one more container inside `depth` others.
    pub(super) fn nest(&self, depth: usize) -> Result<(), PlistError> {
        if depth < self.limits.nesting {
            return Ok(());
        }
        Err(PlistError::LimitExceeded { what: "nested containers", limit: self.limits.nesting })
    }
}

/// A walk through a property list of either encoding.
///
/// The walk has exactly one value at its root. After an error it is over.
#[derive(Debug)]
pub(crate) enum Events<'a> {
    Binary(BinaryWalk<'a>),
    Xml(Box<XmlWalk<'a>>),
}

impl<'a> Events<'a> {
    /// Begins a walk.
    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, PlistError> {
        if bytes.len() > limits.bytes {
            return Err(PlistError::LimitExceeded { what: "bytes", limit: limits.bytes });
        }
        let budget = Budget::new(limits, bytes.len());
        Ok(match sniff(bytes)? {
            (Format::Binary, bytes) => Self::Binary(BinaryWalk::new(bytes, budget)?),
            (Format::Xml, text) => {
                let skipped = bytes.len().saturating_sub(text.len());
                Self::Xml(Box::new(XmlWalk::new(text, skipped, budget)?))
            }
        })
    }

    /// Takes the next step; `None` when the root value is complete.
    pub(crate) fn next(&mut self) -> Result<Option<Event<'a>>, PlistError> {
        match self {
            Self::Binary(walk) => walk.next(),
            Self::Xml(walk) => walk.next(),
        }
    }

    /// Returns where the last event stands in the file.
    pub(crate) fn offset(&self) -> usize {
        match self {
            Self::Binary(walk) => walk.offset(),
            Self::Xml(walk) => walk.offset(),
        }
    }

    /// Returns how many items are in the container that has just begun, if that is known. They are
    /// paid for, so there may be room made for them.
    pub(crate) fn items(&self) -> usize {
        match self {
            Self::Binary(walk) => walk.items(),
            Self::Xml(_) => 0,
        }
    }

    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Binary(_) => Format::Binary,
            Self::Xml(_) => Format::Xml,
        }
    }

    /// Returns where the first CDATA section was, if there was one.
    pub(super) fn cdata(&self) -> Option<usize> {
        match self {
            Self::Binary(_) => None,
            Self::Xml(walk) => walk.cdata(),
        }
    }
}
