//! Domains: the first half of every name in a device backup.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::name::{NameError, check_domain};

/// The namespace a file belongs to, such as `HomeDomain` or `AppDomain-com.example.notes`.
///
/// A name this crate does not know keeps its spelling under [`DomainKind::Other`], because the
/// spelling is what [`FileId`](crate::FileId) hashes. Cheap to clone.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Domain(Arc<[u8]>);

/// What sort of namespace a [`Domain`] is. Source: FORMAT.md 6.1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum DomainKind {
    /// One app's container, `AppDomain-<bundle id>`.
    App,
    /// A group container, `AppDomainGroup-<group id>`.
    AppGroup,
    /// An extension's container, `AppDomainPlugin-<bundle id>`.
    AppPlugin,
    /// The stand-in of an app that is not installed yet, `AppDomainPlaceholder-<bundle id>`.
    AppPlaceholder,
    /// A container owned by the system, `SysContainerDomain-<id>`.
    SystemContainer,
    /// A group container owned by the system, `SysSharedContainerDomain-<id>`.
    SystemGroup,
    /// A domain with no owner in its name, such as `HomeDomain`.
    System,
    /// A name this crate does not recognise.
    Other,
}

impl Domain {
    /// Checks a domain as it is spelled in a manifest.
    ///
    /// # Errors
    ///
    /// Fails when the name is empty, `.` or `..`, holds `/` or NUL, or is longer than
    /// [`limits::DOMAIN`](crate::limits::DOMAIN) bytes.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, NameError> {
        let name = name.as_ref();
        match check_domain(name) {
            Ok(()) => Ok(Self(name.into())),
            Err(fault) => Err(NameError { what: "domain", name: name.into(), fault }),
        }
    }

    /// Returns the exact spelling in the manifest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the name with everything that is not UTF-8 replaced by U+FFFD.
    #[must_use]
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Returns what sort of namespace this is.
    #[must_use]
    pub fn kind(&self) -> DomainKind {
        self.classify().0
    }

    /// Returns the bundle or group identifier, for the kinds that carry one.
    #[must_use]
    pub fn owner(&self) -> Option<&[u8]> {
        self.classify().1
    }

    /// Splits at the first `-` after a known prefix; identifiers hold `-` themselves.
    fn classify(&self) -> (DomainKind, Option<&[u8]>) {
        const PREFIXES: [(&[u8], DomainKind); 6] = [
            (b"AppDomain-", DomainKind::App),
            (b"AppDomainGroup-", DomainKind::AppGroup),
            (b"AppDomainPlugin-", DomainKind::AppPlugin),
            (b"AppDomainPlaceholder-", DomainKind::AppPlaceholder),
            (b"SysContainerDomain-", DomainKind::SystemContainer),
            (b"SysSharedContainerDomain-", DomainKind::SystemGroup),
        ];
        for (prefix, kind) in PREFIXES {
            if let Some(owner) = self.0.strip_prefix(prefix) {
                return (kind, Some(owner));
            }
        }
        if self.0.ends_with(b"Domain") && !self.0.contains(&b'-') {
            (DomainKind::System, None)
        } else {
            (DomainKind::Other, None)
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::{Domain, DomainKind};

    #[test]
    fn kinds_and_owners() {
        for (name, kind, owner) in [
            ("HomeDomain", DomainKind::System, None),
            ("AppDomain-com.example.notes", DomainKind::App, Some("com.example.notes")),
            (
                "AppDomainGroup-243LU875E5.groups.a-b",
                DomainKind::AppGroup,
                Some("243LU875E5.groups.a-b"),
            ),
            ("AppDomainPlugin-x", DomainKind::AppPlugin, Some("x")),
            ("AppDomainPlaceholder-x", DomainKind::AppPlaceholder, Some("x")),
            ("SysContainerDomain-x", DomainKind::SystemContainer, Some("x")),
            ("SysSharedContainerDomain-x", DomainKind::SystemGroup, Some("x")),
            ("AppDomainx-y", DomainKind::Other, None),
            ("Tahoe", DomainKind::Other, None),
            ("Foo-Domain", DomainKind::Other, None),
        ] {
            let domain = Domain::new(name).unwrap();
            assert_eq!((domain.kind(), domain.owner()), (kind, owner.map(str::as_bytes)), "{name}");
        }
    }

    #[test]
    fn refuses_what_could_escape() {
        for bad in ["", ".", "..", "a/b", "../x", "SysContainerDomain-../../../x", "a\0"] {
            assert!(Domain::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(Domain::new("a".repeat(1024)).is_ok());
        assert!(Domain::new("a".repeat(1025)).is_err());
        assert!(Domain::new("..a").is_ok());
    }
}
