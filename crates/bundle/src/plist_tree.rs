//! A property list as a tree: what editing and composing work on.
//!
//! The tree is built from the events of the guarded walk, so a file that unfolds without end or
//! nests too deep never becomes one. It keeps what the `plist` crate's tree does not: keys in
//! order, repeated keys, dates to the last bit and text that is not UTF-8.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::bplist::EPOCH;
use crate::plist_guard::{Container, Event, Events, Limits, PlistError, Scalar};

/// A value of a property list, borrowed from the file where it can be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Int(i128),
    /// An integer that a device archives by its 64-bit call. It is written as any other and
    /// shares its object with those of its own sort only. Never read; see
    /// [`mbfile`](crate::mbfile).
    Int64(i128),
    Real(f64),
    /// Seconds since 2001-01-01T00:00:00Z.
    Date(f64),
    Data(Cow<'a, [u8]>),
    /// UTF-8 as a rule.
    Text(Cow<'a, [u8]>),
    /// A string that shares its object with no other. Never read, as above.
    OwnText(Cow<'a, [u8]>),
    Uid(u64),
    Array(Vec<Self>),
    Dict(Vec<Pair<'a>>),
}

/// A key and its value.
pub(crate) type Pair<'a> = (Cow<'a, [u8]>, Node<'a>);

impl<'a> Node<'a> {
    /// Reads a property list of either encoding.
    ///
    /// A set becomes an array; nothing that devices write has one.
    pub(crate) fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, PlistError> {
        let mut events = Events::new(bytes, limits)?;
        let mut stack: Vec<(Self, Option<Cow<'a, [u8]>>)> = Vec::new();
        let mut key = None;
        let mut root = None;
        while let Some(event) = events.next()? {
            let (node, key) = match event {
                Event::Key(name) => {
                    key = Some(name);
                    continue;
                }
                Event::Open(container) => {
                    let items = events.items();
                    let node = match container {
                        Container::Array => Self::Array(Vec::with_capacity(items)),
                        Container::Dict => Self::Dict(Vec::with_capacity(items)),
                    };
                    stack.push((node, key.take()));
                    continue;
                }
                Event::Close => match stack.pop() {
                    Some(closed) => closed,
                    None => continue,
                },
                Event::Value(scalar) => (Self::scalar(scalar, events.offset())?, key.take()),
            };
            match stack.last_mut() {
                Some((Self::Dict(pairs), _)) => pairs.push((key.unwrap_or_default(), node)),
                Some((Self::Array(items), _)) => items.push(node),
                _ => root = Some(node),
            }
        }
        let offset = events.offset();
        root.ok_or(PlistError::Malformed { what: "no value", offset })
    }

    fn scalar(scalar: Scalar<'a>, offset: usize) -> Result<Self, PlistError> {
        Ok(match scalar {
            Scalar::Null => Self::Null,
            Scalar::Bool(value) => Self::Bool(value),
            Scalar::Int(value) => Self::Int(value),
            Scalar::Real(value) => Self::Real(value),
            Scalar::Date(value) => Self::Date(value),
            Scalar::Data(bytes) => Self::Data(Cow::Borrowed(bytes)),
            Scalar::Base64(text) => {
                let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
                let malformed =
                    |_| PlistError::Malformed { what: "data that is no base64", offset };
                Self::Data(Cow::Owned(STANDARD.decode(digits).map_err(malformed)?))
            }
            Scalar::Text(text) => Self::Text(text),
            Scalar::Uid(value) => Self::Uid(value),
            Scalar::Unreadable(what) => return Err(PlistError::Malformed { what, offset }),
        })
    }

    /// Makes a string.
    pub(crate) fn text(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Text(Cow::Borrowed(text.as_ref()))
    }

    /// Makes data.
    pub(crate) fn data(bytes: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Data(Cow::Borrowed(bytes.as_ref()))
    }

    /// Makes a date of whole seconds since the Unix epoch.
    pub(crate) fn unix_date(seconds: i64) -> Self {
        // Reals count in ones for 285 million years.
        Self::Date(seconds.saturating_sub(EPOCH) as f64)
    }

    /// Makes a dictionary.
    pub(crate) fn dict<const N: usize>(pairs: [(&'static str, Self); N]) -> Self {
        Self::Dict(pairs.into_iter().map(|(key, value)| (key.as_bytes().into(), value)).collect())
    }

    /// Returns the pairs of a dictionary.
    pub(crate) fn pairs_mut(&mut self) -> Option<&mut Vec<Pair<'a>>> {
        match self {
            Self::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Returns the value of a key. Of repeated keys the last one counts, as everywhere.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Self> {
        match self {
            Self::Dict(pairs) => {
                pairs.iter().rev().find(|(key, _)| **key == *name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Returns the value of a key, to be changed.
    pub(crate) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Self> {
        let pairs = self.pairs_mut()?;
        pairs.iter_mut().rev().find(|(key, _)| **key == *name).map(|(_, value)| value)
    }

    /// Sets the value of a key of a dictionary: in its place, or behind all others.
    pub(crate) fn set(&mut self, name: &'static [u8], value: Self) -> Result<(), PlistError> {
        if let Some(old) = self.get_mut(name) {
            *old = value;
        } else if let Some(pairs) = self.pairs_mut() {
            pairs.push((Cow::Borrowed(name), value));
        } else {
            return Err(PlistError::Malformed { what: "the root is no dictionary", offset: 0 });
        }
        Ok(())
    }

    /// Keeps the pairs of a dictionary whose keys are to stay. Other values have none.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        if let Some(pairs) = self.pairs_mut() {
            pairs.retain(|(key, _)| keep(key));
        }
    }
}
