//! Paths inside a domain.

use std::borrow::Cow;
use std::fmt;

use crate::name::{NameError, check_path};

/// A path relative to the root of its [`Domain`](crate::Domain).
///
/// A `RelPath` never starts or ends with `/`, and never holds an empty, `.` or `..` component or
/// NUL. The empty path is the domain root itself.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RelPath(Box<[u8]>);

impl RelPath {
    /// Checks a path as it is spelled in a manifest.
    ///
    /// # Errors
    ///
    /// Fails when a component is empty, `.`, `..`, holds NUL or is longer than
    /// [`limits::COMPONENT`](crate::limits::COMPONENT) bytes, or the whole is longer than
    /// [`limits::PATH`](crate::limits::PATH).
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, NameError> {
        let path = path.as_ref();
        match check_path(path) {
            Ok(()) => Ok(Self(path.into())),
            Err(fault) => Err(NameError { what: "path", name: path.into(), fault }),
        }
    }

    /// Returns the path as it is spelled in the manifest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the path with everything that is not UTF-8 replaced by U+FFFD.
    #[must_use]
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Returns true for the root of a domain.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the components, outermost first; none for the root.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|component| !component.is_empty())
    }

    /// Returns the last component, or nothing at the root.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        self.components().last()
    }

    /// Returns the parent, or `None` at the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        self.0.get(..end).map(|parent| Self(parent.into()))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::RelPath;

    #[test]
    fn refuses_everything_that_could_escape() {
        for bad in ["/etc", "a//b", "a/", "..", "a/../b", "./a", "a/.", "a\0b"] {
            assert!(RelPath::new(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn limits_are_exact() {
        assert!(RelPath::new("a".repeat(255)).is_ok());
        assert!(RelPath::new("a".repeat(256)).is_err());
        let long = |n: usize| "a/".repeat(n / 2) + "b";
        assert!(RelPath::new(long(4094)).is_ok());
        assert_eq!(long(4096).len(), 4097);
        assert!(RelPath::new(long(4096)).is_err());
    }

    #[test]
    fn root_and_parents() {
        let path = RelPath::new("Library/SMS/sms.db").unwrap();
        assert_eq!(path.parent().unwrap().as_bytes(), b"Library/SMS");
        assert_eq!(path.name(), Some(&b"sms.db"[..]));
        assert_eq!(path.components().count(), 3);
        let root = RelPath::new("").unwrap();
        assert!(root.is_root() && root.parent().is_none() && root.name().is_none());
        assert!(RelPath::new("a").unwrap().parent().unwrap().is_root());
    }
}
