//! Plaintext of version 2: a binary property list with a dictionary at its root.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::attributes::{AttributeValue, Attributes};
use super::{KeychainItemError, limits};
use crate::bplist::EPOCH;
use crate::plist_guard::{Container, Event, Events, Limits, Scalar};

/// Bytes by which shared texts may exceed the item. Equal values share one object.
const SLACK: usize = 1024;

/// Reads the attributes of an item.
pub(super) fn parse(bytes: &[u8]) -> Result<Attributes, KeychainItemError> {
    let bad = |what| KeychainItemError::Dictionary { what };
    let mut events = Events::new(bytes, &Limits { slack: SLACK, ..Limits::of(limits::BYTES) })?;
    let Some(Event::Open(root)) = events.next()? else { return Err(bad("no dictionary")) };
    let mut attributes = Attributes::default();
    while let Some(event) = events.next()? {
        let name = match event {
            Event::Key(name) => name,
            Event::Close => continue,
            // The root is an array.
            _ => return Err(bad("no dictionary")),
        };
        let name = std::str::from_utf8(&name)
            .ok()
            .filter(|name| (1..=limits::NAME).contains(&name.len()))
            .ok_or(bad("a key that is no name"))?;
        let value = match events.next()? {
            Some(Event::Value(scalar)) => {
                read(&scalar).ok_or(bad("a value of a kind that is not known"))?
            }
            _ => return Err(bad("a value that is no scalar")),
        };
        if !attributes.push(name, value) {
            return Err(bad("a key for the second time, or too many keys"));
        }
    }
    // An empty array leaves no trace above.
    match root {
        Container::Dict => Ok(attributes),
        Container::Array => Err(bad("no dictionary")),
    }
}

fn read(scalar: &Scalar<'_>) -> Option<AttributeValue> {
    Some(match scalar {
        Scalar::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => AttributeValue::text(text),
            Err(_) => AttributeValue::bytes(text),
        },
        Scalar::Data(bytes) => AttributeValue::bytes(bytes),
        Scalar::Int(value) => AttributeValue::Integer(i64::try_from(*value).ok()?),
        Scalar::Date(date) => date_of(*date)?,
        Scalar::Bool(value) => AttributeValue::Boolean(*value),
        Scalar::Null => AttributeValue::Null,
        _ => return None,
    })
}

/// Takes seconds since 2001 to seconds since 1970, to the microsecond: more is not in the number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range of the one is checked, and of the other known"
)]
fn date_of(date: f64) -> Option<AttributeValue> {
    /// Four thousand years, of which no sum leaves the range.
    const FAR: f64 = 126_000_000_000.0;
    if !(-FAR..FAR).contains(&date) {
        return None;
    }
    let micros = ((date - date.floor()) * 1e6).floor() as u32;
    let seconds = (date.floor() as i64).saturating_add(EPOCH);
    Some(AttributeValue::Date { seconds, nanos: micros.min(999_999).saturating_mul(1000) })
}
