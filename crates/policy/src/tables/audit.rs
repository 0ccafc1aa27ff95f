//! What should never be in an unencrypted backup.

use crate::requirement::{Ground, says};
use bkp_core::{Domain, RelPath};

/// A class of data that Apple's guide says an unencrypted backup never has.
///
/// What is found is reported with the version of iOS, and nothing is left out for it: the rule
/// is known to depend on the version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AuditClass {
    /// Its name.
    pub name: &'static str,
    /// Where it lies: a domain, and paths in it. A path that ends in `/` stands for all below, one
    /// that ends in `*` for all names that begin so.
    pub places: &'static [(&'static str, &'static [&'static str])],
    /// True when the file is in both kinds of backup, and only counts if it can be read.
    pub only_if_readable: bool,
    /// What else is to be said.
    pub note: &'static str,
    /// What the row rests on.
    pub grounds: &'static [Ground],
    /// Numbers of the open questions that concern it.
    pub conflicts: &'static [u8],
}

/// The five classes.
pub const AUDIT: &[AuditClass] = &[
    AuditClass {
        name: "saved passwords",
        places: &[("KeychainDomain", &["keychain-backup.plist"])],
        only_if_readable: true,
        note: "The file is in both kinds of backup. In an unencrypted one only its own device can open it.",
        grounds: &[says(1, "4")],
        conflicts: &[],
    },
    AuditClass {
        name: "call history",
        places: &[("HomeDomain", &["Library/CallHistoryDB/", "Library/CallHistoryTransactions/"])],
        only_if_readable: false,
        note: "",
        grounds: &[says(1, "4")],
        conflicts: &[],
    },
    AuditClass {
        name: "health",
        places: &[("HealthDomain", &["Health/", "MedicalID/"])],
        only_if_readable: false,
        note: "Folders without files are usual.",
        grounds: &[says(1, "4")],
        conflicts: &[],
    },
    AuditClass {
        name: "website history",
        places: &[(
            "HomeDomain",
            &[
                "Library/Safari/History.db*",
                "Library/Safari/BrowserState.db*",
                "Library/Safari/SafariTabs.db*",
            ],
        )],
        only_if_readable: false,
        note: "",
        grounds: &[says(1, "4"), Ground::SingleReport],
        conflicts: &[],
    },
    AuditClass {
        name: "Wi-Fi",
        places: &[(
            "SystemPreferencesDomain",
            &[
                "com.apple.wifi.known-networks.plist",
                "SystemConfiguration/com.apple.wifi.known-networks.plist",
                "SystemConfiguration/com.apple.wifi.plist",
                "com.apple.wifi-private-mac-networks.plist",
                "SystemConfiguration/com.apple.wifi-private-mac-networks.plist",
            ],
        )],
        only_if_readable: false,
        note: "Unencrypted backups of iOS 13 and 14 were seen to have it.",
        grounds: &[says(1, "4")],
        conflicts: &[10],
    },
];

impl AuditClass {
    /// Returns the class that a file belongs to.
    #[must_use]
    pub fn of(domain: &Domain, path: &RelPath) -> Option<&'static Self> {
        let path = path.as_bytes();
        AUDIT.iter().find(|class| {
            class.places.iter().any(|(place, names)| {
                domain.as_bytes() == place.as_bytes()
                    && names.iter().any(|name| match name.strip_suffix('*') {
                        Some(start) => path.starts_with(start.as_bytes()),
                        None if name.ends_with('/') => path.starts_with(name.as_bytes()),
                        None => path == name.as_bytes(),
                    })
            })
        })
    }
}
