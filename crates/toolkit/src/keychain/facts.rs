//! Items as machine output has them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bkp_bundle::{AttributeValue, KeychainItem, KeychainItemError, OpenedItem, PersistentRef};
use bkp_core::Fault as _;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use zeroize::Zeroizing;

use super::{Secrets, head};
use crate::inspect::{chain, dashed};

/// One item of a keychain.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct KeychainItemFacts {
    /// `genp`, `inet`, `cert` or `keys`.
    pub table: &'static str,
    /// Its place in the table, from 0.
    pub index: usize,
    /// Its protection class, when it can be told.
    pub class: Option<u32>,
    /// Its version, when it can be told.
    pub version: Option<u32>,
    /// Whether it was opened.
    pub opened: bool,
    /// The stable code of why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How apps find it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_ref: Option<ReferenceFacts>,
    /// What it holds, when it was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<AttributeFacts>,
    /// Names of attributes whose values are not told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

/// A persistent reference.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "form", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReferenceFacts {
    /// A row of the device's database.
    Row {
        /// The row.
        row: i64,
    },
    /// A UUID, on newer devices.
    Uuid {
        /// The UUID, dashed and in upper case.
        uuid: String,
    },
    /// The secret is held by a token, such as a smart card.
    Token,
    /// A form that is not known.
    Unknown {
        /// The bytes there are.
        len: usize,
    },
}

impl From<PersistentRef> for ReferenceFacts {
    fn from(reference: PersistentRef) -> Self {
        match reference {
            PersistentRef::Row(row) => Self::Row { row },
            PersistentRef::Uuid(uuid) => Self::Uuid { uuid: dashed(uuid) },
            PersistentRef::Token => Self::Token,
            PersistentRef::Unknown { len } => Self::Unknown { len },
            // A form that is known below and not yet here.
            _ => Self::Unknown { len: 0 },
        }
    }
}

/// Attributes in the order of the item. Serialises as an object.
///
/// Bytes stand in base64 under the name with `_b64` behind it, and as text under the name itself
/// when they are text. Times are RFC 3339 in UTC.
pub struct AttributeFacts(Vec<(String, AttributeFact)>);

/// A value of an attribute. Wiped when it is dropped, and not printed by `Debug`.
#[derive(Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum AttributeFact {
    /// Text.
    Text(#[serde(serialize_with = "text")] Zeroizing<String>),
    /// A number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Nothing.
    Null,
}

fn text<S: Serializer>(text: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl fmt::Debug for AttributeFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttributeFact([redacted])")
    }
}

impl fmt::Debug for AttributeFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for AttributeFacts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, fact) in self.iter() {
            map.serialize_entry(name, fact)?;
        }
        map.end()
    }
}

impl AttributeFacts {
    fn of(item: &OpenedItem, secrets: Secrets) -> Self {
        let mut facts = Self(Vec::new());
        match secrets {
            Secrets::Hidden => item.attributes().for_each(|(name, value)| facts.add(name, value)),
            Secrets::Revealed => item.reveal().for_each(|(name, value)| facts.add(name, value)),
        }
        facts
    }

    /// Returns names and values in the order of the item.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AttributeFact)> {
        self.0.iter().map(|(name, fact)| (name.as_str(), fact))
    }

    /// Returns the text of this name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.iter().find(|&(other, _)| other == name).and_then(|(_, fact)| match fact {
            AttributeFact::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    fn add(&mut self, name: &str, value: &AttributeValue) {
        let text = |text: &str| AttributeFact::Text(Zeroizing::new(text.to_owned()));
        match value {
            AttributeValue::Text(value) => self.push(name, text(value)),
            AttributeValue::Bytes(bytes) => {
                if let Ok(clear) = std::str::from_utf8(bytes)
                    && clear.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
                {
                    self.push(name, text(clear));
                }
                self.push_bytes(name, bytes);
            }
            AttributeValue::Integer(value) => self.push(name, AttributeFact::Integer(*value)),
            AttributeValue::Boolean(value) => self.push(name, AttributeFact::Boolean(*value)),
            AttributeValue::Null => self.push(name, AttributeFact::Null),
            AttributeValue::Date { seconds, nanos } => {
                let nanos = i32::try_from(*nanos).unwrap_or(0);
                let fact = match jiff::Timestamp::new(*seconds, nanos) {
                    Ok(time) => text(&time.to_string()),
                    Err(_) => AttributeFact::Integer(*seconds),
                };
                self.push(name, fact);
            }
            AttributeValue::Other(encoded) => self.push_bytes(name, encoded),
            _ => self.push(name, AttributeFact::Null),
        }
    }

    fn push_bytes(&mut self, name: &str, bytes: &[u8]) {
        let digits = Zeroizing::new(STANDARD.encode(bytes));
        self.push(&format!("{name}_b64"), AttributeFact::Text(digits));
    }

    /// Adds a fact. An item that has a name and, under it with `_b64` behind, something else, keeps
    /// the first of the two: an object has each name once.
    fn push(&mut self, name: &str, fact: AttributeFact) {
        if self.iter().all(|(other, _)| other != name) {
            self.0.push((name.to_owned(), fact));
        }
    }
}

impl KeychainItemFacts {
    pub(super) fn of(
        item: &KeychainItem,
        opened: &Result<OpenedItem, KeychainItemError>,
        secrets: Secrets,
    ) -> Self {
        let (version, class) = head(item);
        let error = opened.as_ref().err();
        let opened = opened.as_ref().ok();
        let hidden = opened.filter(|_| secrets == Secrets::Hidden);
        Self {
            table: item.table().name(),
            index: item.index(),
            class,
            version,
            opened: opened.is_some(),
            reason: error.map(|error| error.code()),
            message: error.map(|error| chain(error)),
            persistent_ref: item.persistent_ref().map(ReferenceFacts::from),
            attributes: opened.map(|opened| AttributeFacts::of(opened, secrets)),
            hidden: hidden
                .map(|opened| opened.secret_names().map(str::to_owned).collect())
                .unwrap_or_default(),
        }
    }
}
