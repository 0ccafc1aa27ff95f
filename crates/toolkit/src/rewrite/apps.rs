//! The containers that a bundle's property lists name.

use std::collections::BTreeMap;

use bkp_core::{Domain, DomainKind};

/// Containers of apps, extensions and groups, by whether any entry of them is kept.
///
/// `Manifest.plist` names a container by its identifier alone, so the data of an app and the
/// stand-in of the same app count as one.
#[derive(Debug, Default)]
pub(super) struct Apps {
    kept: BTreeMap<String, bool>,
    /// The domain seen last, since entries of one stand together.
    last: Option<(Domain, bool)>,
}

impl Apps {
    /// Takes note of an entry.
    pub(super) fn see(&mut self, domain: &Domain, kept: bool) {
        if self.last.as_ref().is_some_and(|(last, seen)| last == domain && *seen == kept) {
            return;
        }
        self.last = Some((domain.clone(), kept));
        let container = matches!(
            domain.kind(),
            DomainKind::App
                | DomainKind::AppGroup
                | DomainKind::AppPlugin
                | DomainKind::AppPlaceholder
        );
        if let (true, Some(owner)) = (container, domain.owner()) {
            let owner = String::from_utf8_lossy(owner).into_owned();
            *self.kept.entry(owner).or_default() |= kept;
        }
    }

    /// Returns whether a container is gone: it had entries, and all were left out.
    pub(super) fn is_gone(&self, id: &str) -> bool {
        self.kept.get(id) == Some(&false)
    }

    /// Lists the containers that are gone, sorted.
    pub(super) fn gone(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().filter(|(_, kept)| !**kept).map(|(id, _)| id.as_str())
    }
}
