//! Books that MDM installed.
//!
//! Two places are known, and both are treated as wholes: the domain of managed books, and the
//! folder `Managed` of `BooksDomain`. A third domain with a like name
//! (`systemgroup.com.apple.media.shared.books`) holds the store's downloads and is not touched.

use bkp_core::{Domain, RelPath};

use crate::Requirement;

/// The name of the rule, as reports spell it.
pub(crate) const RULE: &str = "managed-books-disallowed";

/// What the rule follows.
pub(crate) const REQUIREMENT: Requirement = Requirement::new(1, "16");

/// Returns true for what belongs to managed books: files, and folders as well, which a device
/// makes anew.
#[must_use]
pub fn is_managed_book(domain: &Domain, path: &RelPath) -> bool {
    match domain.as_bytes() {
        b"SysSharedContainerDomain-systemgroup.com.apple.media.books.managed" => true,
        b"BooksDomain" => path.components().next() == Some(b"Managed"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bkp_core::{Domain, RelPath};

    use super::is_managed_book;

    #[test]
    fn two_places_and_no_others() {
        const MANAGED: &str = "SysSharedContainerDomain-systemgroup.com.apple.media.books.managed";
        const SHARED: &str = "SysSharedContainerDomain-systemgroup.com.apple.media.shared.books";
        for (domain, path, managed) in [
            (MANAGED, "", true),
            (MANAGED, "Library/x.epub", true),
            ("BooksDomain", "Managed", true),
            ("BooksDomain", "Managed/Managed.plist", true),
            ("BooksDomain", "", false),
            ("BooksDomain", "ManagedX/x.epub", false),
            ("BooksDomain", "Purchases/Managed/x.epub", false),
            ("BooksDomain", "managed/x.epub", false),
            (SHARED, "Documents/BLDatabaseManager/BLDatabaseManager.sqlite", false),
            ("MediaDomain", "Managed/x.epub", false),
        ] {
            let path = RelPath::new(path).unwrap();
            assert_eq!(is_managed_book(&Domain::new(domain).unwrap(), &path), managed, "{path}");
        }
    }
}
