//! What an unencrypted backup should not hold. Source: MANAGED.md 8.8.
//!
//! Which kinds devices leave out depends on the system's version, so a finding is a fact to be
//! told and no proof of anything. Saved passwords are another matter: their file is in both kinds
//! of backup, and only who tries the items knows whether they open.

use bkp_bundle::Opened;
use bkp_core::{Entry, EntryKind};
use serde::Serialize;

/// A kind of content that devices put into encrypted backups only.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExposureKind {
    /// The history of calls.
    CallHistory,
    /// Health data.
    Health,
    /// The history of visited websites.
    WebsiteHistory,
    /// Known Wi-Fi networks. Unencrypted backups of iOS 13 and 14 are known to hold them.
    Wifi,
}

/// Content in an unencrypted backup that devices put into encrypted ones only.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Exposure {
    /// What it is.
    pub kind: ExposureKind,
    /// How many files. Empty ones are not counted.
    pub files: u64,
    /// Their bytes, as the catalog says.
    pub bytes: u64,
    /// The first of them, `DOMAIN:PATH`.
    pub first: String,
}

impl ExposureKind {
    /// Returns what an entry of these names would expose.
    fn of(domain: &[u8], path: &[u8]) -> Option<Self> {
        let below = |folder: &[u8]| path.strip_prefix(folder).is_some_and(|r| r.starts_with(b"/"));
        let starts = |names: &[&[u8]]| names.iter().any(|name| path.starts_with(name));
        match domain {
            b"HomeDomain" => {
                if below(b"Library/CallHistoryDB") || below(b"Library/CallHistoryTransactions") {
                    return Some(Self::CallHistory);
                }
                starts(&[
                    b"Library/Safari/History.db",
                    b"Library/Safari/BrowserState.db",
                    b"Library/Safari/SafariTabs.db",
                ])
                .then_some(Self::WebsiteHistory)
            }
            b"HealthDomain" => (below(b"Health") || below(b"MedicalID")).then_some(Self::Health),
            b"SystemPreferencesDomain" => {
                let files: [&[u8]; 3] = [
                    b"com.apple.wifi.known-networks.plist",
                    b"SystemConfiguration/com.apple.wifi.plist",
                    b"com.apple.wifi-private-mac-networks.plist",
                ];
                files.contains(&path).then_some(Self::Wifi)
            }
            _ => None,
        }
    }
}

/// Collects exposures during a walk.
#[derive(Debug, Default)]
pub(crate) struct Audit(Vec<Exposure>);

impl Audit {
    pub(crate) fn see(&mut self, entry: &Entry) {
        if entry.kind != EntryKind::File || entry.metadata.size_hint == 0 {
            return;
        }
        let Some(kind) = ExposureKind::of(entry.domain.as_bytes(), entry.path.as_bytes()) else {
            return;
        };
        let bytes = entry.metadata.size_hint;
        match self.0.iter_mut().find(|exposure| exposure.kind == kind) {
            Some(exposure) => {
                exposure.files = exposure.files.saturating_add(1);
                exposure.bytes = exposure.bytes.saturating_add(bytes);
            }
            None => self.0.push(Exposure { kind, files: 1, bytes, first: entry.to_string() }),
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Exposure> {
        self.0.sort_by_key(|exposure| exposure.kind);
        self.0
    }
}

/// Finds what an unencrypted backup should not hold, by names and sizes alone. Empty for an
/// encrypted one.
#[must_use]
pub fn audit(opened: &Opened) -> Vec<Exposure> {
    let mut audit = Audit::default();
    if let (false, Some(catalog)) = (opened.bundle().is_encrypted(), opened.catalog()) {
        catalog.records().flatten().for_each(|record| audit.see(record.as_ref()));
    }
    audit.finish()
}
