//! The attributes of an item, of which some are secret.

use std::fmt;

use zeroize::Zeroizing;

use super::limits;

/// A value of an attribute. Wiped when it is dropped; `Debug` tells its kind and length only.
#[non_exhaustive]
pub enum AttributeValue {
    /// Text.
    Text(Zeroizing<String>),
    /// Bytes.
    Bytes(Zeroizing<Vec<u8>>),
    /// A number.
    Integer(i64),
    /// A time, in seconds since the Unix epoch.
    Date {
        /// Whole seconds, rounded down.
        seconds: i64,
        /// Nanoseconds after them.
        nanos: u32,
    },
    /// True or false.
    Boolean(bool),
    /// Nothing.
    Null,
    /// DER of another kind, as it is encoded.
    Other(Zeroizing<Vec<u8>>),
}

impl AttributeValue {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(Zeroizing::new(text.to_owned()))
    }

    pub(super) fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(Zeroizing::new(bytes.to_vec()))
    }
}

impl fmt::Debug for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text([{} bytes])", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes([{} bytes])", bytes.len()),
            Self::Integer(_) => f.write_str("Integer([redacted])"),
            Self::Date { .. } => f.write_str("Date([redacted])"),
            Self::Boolean(_) => f.write_str("Boolean([redacted])"),
            Self::Null => f.write_str("Null"),
            Self::Other(bytes) => write!(f, "Other([{} bytes])", bytes.len()),
        }
    }
}

/// Names and values in the order of the item, each name once.
#[derive(Default)]
pub(super) struct Attributes(Vec<(String, AttributeValue)>);

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Attributes {
    /// Adds an attribute; false when its name is there already, or there are too many.
    pub(super) fn push(&mut self, name: &str, value: AttributeValue) -> bool {
        if self.0.len() >= limits::ATTRIBUTES || self.get(name).is_some() {
            return false;
        }
        self.0.push((name.to_owned(), value));
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.iter().find(|&(other, _)| other == name).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &AttributeValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Says whether an attribute is not shown unless it is asked for.
///
/// `v_Data` is the secret: a password, a private key, a certificate. `sha1` is a hash that covers
/// it, against which a short secret could be guessed. What is of no known kind may hold anything.
pub(super) fn is_secret(name: &str, value: &AttributeValue) -> bool {
    matches!(name, "v_Data" | "sha1") || matches!(value, AttributeValue::Other(_))
}
