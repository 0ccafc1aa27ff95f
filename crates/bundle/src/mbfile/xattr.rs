//! Extended attributes: a property list inside the property list.

use std::borrow::Cow;

use super::{MAX_BLOB, MbFileError};
use crate::bplist::{self, Bplist, MAGIC, Object};
use crate::plist_tree::Node;

/// The most attributes that are read of one entry.
const MAX_XATTRS: usize = 4096;
/// The longest name that is read, in bytes or UTF-16 units. A device allows 127.
const MAX_NAME: usize = 1024;

/// The extended attributes of one entry, in file order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Xattrs<'a> {
    /// Names and values. Values are arbitrary bytes.
    pub items: Vec<(Cow<'a, [u8]>, &'a [u8])>,
    /// How many attributes had a name that is no short string or a value that is no bytes.
    pub unusable: usize,
}

/// Reads the value of `ExtendedAttributes`: a dictionary from name to data.
///
/// # Errors
///
/// Fails when the value is longer than a blob may be, is not a binary property list of one
/// dictionary, or has more than 4,096 attributes.
pub fn parse_xattrs(value: &[u8]) -> Result<Xattrs<'_>, MbFileError> {
    if value.len() > MAX_BLOB {
        let found = value.len();
        return Err(MbFileError::LimitExceeded { what: "bytes", found, limit: MAX_BLOB });
    }
    if !value.starts_with(MAGIC) {
        return Err(MbFileError::NotBinary);
    }
    let plist = Bplist::parse(value)?;
    let Object::Dict(dict) = plist.object(plist.top())? else {
        return Err(MbFileError::NotMbFile { what: "dictionary of attributes" });
    };
    let found = dict.keys().len();
    if found > MAX_XATTRS {
        return Err(MbFileError::LimitExceeded { what: "attributes", found, limit: MAX_XATTRS });
    }
    let mut xattrs = Xattrs { items: Vec::with_capacity(found), unusable: 0 };
    for (name, value) in dict.iter() {
        let name = match plist.object(name)? {
            Object::Ascii(bytes) if bytes.len() > MAX_NAME => None,
            Object::Utf16(bytes) if bytes.len() > MAX_NAME.saturating_mul(2) => None,
            object => object.text(),
        };
        match (name, plist.object(value)?) {
            (Some(name), Object::Data(value) | Object::Ascii(value)) => {
                xattrs.items.push((name, value));
            }
            _ => xattrs.unusable = xattrs.unusable.saturating_add(1),
        }
    }
    Ok(xattrs)
}

/// Writes extended attributes, names and values, as [`encode`](super::encode) takes them: a binary
/// property list, and nothing for none.
#[must_use]
pub fn write_xattrs<'x>(xattrs: impl IntoIterator<Item = (&'x [u8], &'x [u8])>) -> Option<Vec<u8>> {
    let pair = |(name, value)| (Cow::Borrowed(name), Node::Data(Cow::Borrowed(value)));
    let pairs: Vec<_> = xattrs.into_iter().map(pair).collect();
    (!pairs.is_empty()).then(|| bplist::write(&Node::Dict(pairs)))
}
