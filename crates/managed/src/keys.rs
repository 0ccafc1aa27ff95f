//! Taking values of a dictionary that strangers wrote: what is of another type is absent.

use plist::{Dictionary, Value};

use crate::Time;

/// A dictionary being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys<'v>(pub(crate) &'v Dictionary);

impl<'v> Keys<'v> {
    pub(crate) fn has(self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn text(self, key: &str) -> Option<String> {
        self.0.get(key)?.as_string().map(str::to_owned)
    }

    /// A boolean, or the 0 or 1 that some writers put in its place.
    pub(crate) fn bool(self, key: &str) -> Option<bool> {
        truth(self.0.get(key)?)
    }

    pub(crate) fn int(self, key: &str) -> Option<i64> {
        self.0.get(key)?.as_signed_integer()
    }

    pub(crate) fn date(self, key: &str) -> Option<Time> {
        self.0.get(key)?.as_date().and_then(Time::of)
    }

    pub(crate) fn data(self, key: &str) -> Option<&'v [u8]> {
        self.0.get(key)?.as_data()
    }

    pub(crate) fn dict(self, key: &str) -> Option<Keys<'v>> {
        self.0.get(key)?.as_dictionary().map(Keys)
    }

    /// The members of an array; none when there is no such array.
    pub(crate) fn array(self, key: &str) -> &'v [Value] {
        self.0.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// The dictionaries of an array.
    pub(crate) fn dicts(self, key: &str) -> impl Iterator<Item = Keys<'v>> {
        self.array(key).iter().filter_map(Value::as_dictionary).map(Keys)
    }

    /// The strings of an array.
    pub(crate) fn texts(self, key: &str) -> Vec<String> {
        texts(self.array(key))
    }
}

/// Returns a boolean, or a 0 or 1 in its place.
pub(crate) fn truth(value: &Value) -> Option<bool> {
    match (value.as_boolean(), value.as_signed_integer()) {
        (Some(value), _) => Some(value),
        (None, Some(0)) => Some(false),
        (None, Some(1)) => Some(true),
        _ => None,
    }
}

/// Returns the strings among these.
pub(crate) fn texts(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(Value::as_string).map(str::to_owned).collect()
}
