//! What a manifest may call things, checked once so that nothing later can be steered out of a
//! directory.

use std::fmt;

/// The longest names that are accepted, in bytes. A device writes much shorter ones.
pub mod limits {
    /// Bytes of a domain's name.
    pub const DOMAIN: usize = 1024;
    /// Bytes of a path in its domain.
    pub const PATH: usize = 4096;
    /// Bytes of one component of a path.
    pub const COMPONENT: usize = 255;
    /// Bytes of the target of a symbolic link.
    pub const LINK_TARGET: usize = 1024;
}

/// A manifest names something that could not be placed under a directory.
///
/// Names are bytes: what a device writes is UTF-8, what an attacker writes need not be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} \"{}\" {fault}", name.escape_ascii())]
pub struct NameError {
    /// Which sort of name it is: `domain`, `path` or `link target`.
    pub what: &'static str,
    /// The name as the manifest spells it.
    pub name: Box<[u8]>,
    /// What is wrong with it.
    pub fault: NameFault,
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NameFault {
    /// It is empty where it must not be.
    Empty,
    /// It starts with `/`.
    Absolute,
    /// A component is `.` or `..`.
    Dots,
    /// A component is empty: `//`, or a `/` at the end.
    EmptyComponent,
    /// A domain holds `/`.
    Separator,
    /// It holds a NUL byte.
    Nul,
    /// It, or one of its components, is longer than this many bytes.
    TooLong(usize),
}

impl NameFault {
    /// Returns true for names that could lead out of a directory, as opposed to those that are
    /// merely unusable.
    #[must_use]
    pub fn is_traversal(self) -> bool {
        matches!(self, Self::Absolute | Self::Dots | Self::Separator)
    }
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::Absolute => f.write_str("is absolute"),
            Self::Dots => f.write_str("has a component \".\" or \"..\""),
            Self::EmptyComponent => f.write_str("has an empty component"),
            Self::Separator => f.write_str("holds \"/\""),
            Self::Nul => f.write_str("holds a NUL byte"),
            Self::TooLong(limit) => write!(f, "is longer than {limit} bytes in all or in part"),
        }
    }
}

/// Checks a path of zero or more components.
pub(crate) fn check_path(path: &[u8]) -> Result<(), NameFault> {
    if path.is_empty() {
        return Ok(());
    }
    if path.len() > limits::PATH {
        return Err(NameFault::TooLong(limits::PATH));
    }
    if path.first() == Some(&b'/') {
        return Err(NameFault::Absolute);
    }
    path.split(|&b| b == b'/').try_for_each(|component| match component {
        b"" => Err(NameFault::EmptyComponent),
        b"." | b".." => Err(NameFault::Dots),
        _ if component.contains(&0) => Err(NameFault::Nul),
        _ if component.len() > limits::COMPONENT => Err(NameFault::TooLong(limits::COMPONENT)),
        _ => Ok(()),
    })
}

/// Checks a domain, which becomes one component of a path.
pub(crate) fn check_domain(name: &[u8]) -> Result<(), NameFault> {
    match name {
        b"" => Err(NameFault::Empty),
        b"." | b".." => Err(NameFault::Dots),
        _ if name.contains(&b'/') => Err(NameFault::Separator),
        _ if name.contains(&0) => Err(NameFault::Nul),
        _ if name.len() > limits::DOMAIN => Err(NameFault::TooLong(limits::DOMAIN)),
        _ => Ok(()),
    }
}
