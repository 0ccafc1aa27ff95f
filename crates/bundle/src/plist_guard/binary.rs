//! The walk through a binary property list.

use super::PlistError;
use super::event::{Budget, Container, Event, Scalar};
use crate::bplist::{Bplist, Object, Refs};

/// A depth-first walk with a stack of its own.
#[derive(Debug)]
pub(crate) struct BinaryWalk<'a> {
    plist: Bplist<'a>,
    budget: Budget,
    stack: Vec<Frame<'a>>,
    /// The reference to begin with, until it is taken.
    root: Option<u64>,
    offset: usize,
}

/// A container that is being walked.
#[derive(Debug)]
struct Frame<'a> {
    reference: u64,
    keys: Option<Refs<'a>>,
    values: Refs<'a>,
    next: usize,
    /// The key has been told and its value has not.
    after_key: bool,
}

impl<'a> BinaryWalk<'a> {
    pub(super) fn new(bytes: &'a [u8], mut budget: Budget) -> Result<Self, PlistError> {
        let plist = Bplist::parse(bytes)?;
        budget.visit(1)?;
        Ok(Self { plist, budget, stack: Vec::new(), root: Some(plist.top()), offset: 0 })
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Returns how many items the innermost container has.
    pub(super) fn items(&self) -> usize {
        self.stack.last().map_or(0, |frame| frame.values.len())
    }

    pub(super) fn next(&mut self) -> Result<Option<Event<'a>>, PlistError> {
        let reference = match self.stack.last_mut() {
            None => match self.root.take() {
                None => return Ok(None),
                Some(root) => root,
            },
            Some(frame) => match (frame.keys, frame.values.get(frame.next)) {
                (_, None) => {
                    self.stack.pop();
                    return Ok(Some(Event::Close));
                }
                (Some(keys), Some(_)) if !frame.after_key => {
                    frame.after_key = true;
                    let key = keys.get(frame.next);
                    return self.key(key.unwrap_or(u64::MAX)).map(Some);
                }
                (_, Some(value)) => {
                    frame.after_key = false;
                    frame.next = frame.next.saturating_add(1);
                    value
                }
            },
        };
        self.value(reference).map(Some)
    }

    fn key(&mut self, reference: u64) -> Result<Event<'a>, PlistError> {
        self.offset = self.plist.offset(reference)?;
        let object = self.plist.object(reference)?;
        if let Object::Ascii(bytes) | Object::Utf16(bytes) = object {
            self.budget.text(bytes.len())?;
        }
        match object.text() {
            Some(key) => Ok(Event::Key(key)),
            None => Err(PlistError::Malformed { what: "key is no string", offset: self.offset }),
        }
    }

    fn value(&mut self, reference: u64) -> Result<Event<'a>, PlistError> {
        self.offset = self.plist.offset(reference)?;
        let object = self.plist.object(reference)?;
        Ok(Event::Value(match object {
            Object::Null => Scalar::Null,
            Object::Bool(value) => Scalar::Bool(value),
            Object::Int(value) => Scalar::Int(value.into()),
            Object::WideInt(bytes) => Scalar::Int(i128::from_be_bytes(*bytes)),
            Object::Real(value) => Scalar::Real(value),
            Object::Date(value) => Scalar::Date(value),
            Object::Uid(value) => Scalar::Uid(value),
            Object::Data(bytes) => {
                self.budget.text(bytes.len())?;
                Scalar::Data(bytes)
            }
            Object::Ascii(bytes) | Object::Utf16(bytes) => {
                self.budget.text(bytes.len())?;
                object.text().map_or(Scalar::Null, Scalar::Text)
            }
            Object::Array(values) | Object::Set(values) => {
                return self.open(reference, None, values);
            }
            Object::Dict(dict) => return self.open(reference, Some(dict.keys()), dict.values()),
        }))
    }

    /// Enters a container. All its children are paid for at once, so that no list of references
    /// that somebody copies is longer than the limit.
    fn open(
        &mut self,
        reference: u64,
        keys: Option<Refs<'a>>,
        values: Refs<'a>,
    ) -> Result<Event<'a>, PlistError> {
        if self.stack.iter().any(|frame| frame.reference == reference) {
            let what = "container that holds itself";
            return Err(PlistError::Malformed { what, offset: self.offset });
        }
        self.budget.nest(self.stack.len())?;
        self.budget.visit(values.len())?;
        self.budget.visit(keys.map_or(0, |keys| keys.len()))?;
        let container = if keys.is_some() { Container::Dict } else { Container::Array };
        self.stack.push(Frame { reference, keys, values, next: 0, after_key: false });
        Ok(Event::Open(container))
    }
}
