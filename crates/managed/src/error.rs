//! Errors: what could not be read, each with the file it is about.

use std::io;

use bkp_bundle::{BundleError, PlistError};
use bkp_core::{Domain, Entry, Fault, Place, RelPath, Severity};

/// What kept a file of management state from being read, or is odd about it. The survey goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagedError {
    /// The row of the catalog is damaged.
    #[error("a row that belongs to management state cannot be read")]
    Row {
        /// What is wrong with it; it knows its place.
        source: Box<BundleError>,
    },
    /// The payload cannot be opened.
    #[error("cannot open {}", file(name))]
    Open {
        /// The file.
        name: FileName,
        /// Why.
        source: Box<BundleError>,
    },
    /// The payload cannot be read to its end.
    #[error("cannot read {}", file(name))]
    Read {
        /// The file.
        name: FileName,
        /// What the system said.
        source: io::Error,
    },
    /// The payload is not what was backed up.
    #[error("{} is not whole: {message}", file(name))]
    Damaged {
        /// The file.
        name: FileName,
        /// The code of the damage.
        code: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The file is longer than any of its kind.
    #[error("{} has more than {limit} bytes and was not read", file(name))]
    TooLong {
        /// The file.
        name: FileName,
        /// The limit in force.
        limit: u64,
    },
    /// The files before this one have used up what all together may have.
    #[error("{} was not read: {limit} bytes of such files were read before it", file(name))]
    TooMuch {
        /// The file.
        name: FileName,
        /// The limit in force.
        limit: u64,
    },
    /// There are more of these than any device has.
    #[error("there are more than {limit} {what}; the others were not read")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit in force.
        limit: usize,
    },
    /// The file is no property list, or a hostile one.
    #[error("cannot read {} as a property list", file(name))]
    Plist {
        /// The file.
        name: FileName,
        /// Why.
        source: PlistError,
    },
    /// The property list has something else at its root.
    #[error("{} has no dictionary at its root", file(name))]
    NoDictionary {
        /// The file.
        name: FileName,
    },
    /// A profile is in a CMS envelope, which is not opened here.
    #[error("{} is a signed profile in a CMS envelope; its content was not read", file(name))]
    Signed {
        /// The file.
        name: FileName,
    },
    /// The stub's name does not follow from its identifier, as it does on devices.
    #[error("{} is not named by its PayloadIdentifier; {expected} would be", file(name))]
    Misnamed {
        /// The file.
        name: FileName,
        /// The name that the identifier gives.
        expected: String,
    },
    /// A profile is listed as installed and has no stub.
    #[error("{} lists the profile {identifier:?}, and its stub is not in the backup", file(name))]
    NoStub {
        /// The list.
        name: FileName,
        /// The profile's identifier.
        identifier: String,
    },
    /// `Info.plist` cannot be read for the apps' purchase records.
    #[error("cannot read the purchase records of apps in Info.plist")]
    Info {
        /// Why.
        source: PlistError,
    },
    /// A purchase record cannot be read.
    #[error("cannot read iTunesMetadata of {bundle_id:?} in Info.plist")]
    Purchase {
        /// The app.
        bundle_id: String,
        /// Why.
        source: PlistError,
    },
}

/// The names of an entry of the catalog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileName {
    /// The domain.
    pub domain: Domain,
    /// The path in it.
    pub path: RelPath,
}

impl FileName {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { domain: entry.domain.clone(), path: entry.path.clone() }
    }
}

/// The last component: the whole name is told as the fault's place.
fn file(name: &FileName) -> String {
    String::from_utf8_lossy(name.path.name().unwrap_or_default()).into_owned()
}

impl ManagedError {
    fn name(&self) -> Option<&FileName> {
        match self {
            Self::Open { name, .. }
            | Self::Read { name, .. }
            | Self::Damaged { name, .. }
            | Self::TooLong { name, .. }
            | Self::TooMuch { name, .. }
            | Self::Plist { name, .. }
            | Self::NoDictionary { name }
            | Self::Signed { name }
            | Self::Misnamed { name, .. }
            | Self::NoStub { name, .. } => Some(name),
            Self::Row { .. } | Self::TooMany { .. } | Self::Info { .. } | Self::Purchase { .. } => {
                None
            }
        }
    }
}

impl Fault for ManagedError {
    fn code(&self) -> &'static str {
        match self {
            Self::Row { source } | Self::Open { source, .. } => source.code(),
            Self::Read { .. } => "cannot-read",
            Self::Damaged { code, .. } => code,
            Self::TooLong { .. } | Self::TooMuch { .. } | Self::TooMany { .. } => "limit-exceeded",
            Self::Plist { source, .. } | Self::Purchase { source, .. } | Self::Info { source } => {
                match source {
                    PlistError::LimitExceeded { .. } => "limit-exceeded",
                    _ => "plist-damaged",
                }
            }
            Self::NoDictionary { .. } => "plist-damaged",
            Self::Signed { .. } => "signed-profile",
            Self::Misnamed { .. } => "misnamed-profile",
            Self::NoStub { .. } => "profile-without-stub",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Signed { .. } | Self::Misnamed { .. } | Self::NoStub { .. } => Severity::Notice,
            Self::Row { source } => source.severity(),
            Self::Damaged { .. } => Severity::Damage,
            _ => Severity::Failure,
        }
    }

    fn place(&self) -> Option<Place<'_>> {
        match self {
            Self::Row { source } => source.place(),
            _ => {
                self.name().map(|n| Place { domain: n.domain.as_bytes(), path: n.path.as_bytes() })
            }
        }
    }
}
