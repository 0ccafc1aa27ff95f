//! The walk before a run: the longest files, and which containers keep anything.

use bkp_bundle::{Backup, BundleRecord, Unlocked};
use bkp_core::{Longest, Monitor, RunError, RunOptions, Select};

use super::RewriteError;
use super::apps::Apps;

/// What a walk of the catalog finds out.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) longest: Longest<BundleRecord>,
    pub(super) apps: Apps,
    /// Rows that a device expects whole or not at all, and that were left out in part.
    pub(super) partial: Vec<&'static str>,
}

/// Domains of which a device removes what a bundle does not hold. Source: FORMAT.md 6.
const WHOLE: [&str; 3] = ["CameraRollDomain", "HomeDomain", "KeyboardDomain"];

impl Walk {
    /// Walks the catalog once.
    pub(super) fn new(
        backup: &Backup<Unlocked>,
        select: &dyn Select,
        monitor: &dyn Monitor,
    ) -> Result<Self, RewriteError> {
        let mut longest = Longest::new(RunOptions::default().longest_first);
        let mut apps = Apps::default();
        let mut parts = [(false, false); WHOLE.len()];
        for record in backup.catalog().records() {
            let record = record.ok();
            if let Some(record) = &record {
                let entry = record.as_ref();
                let kept = select.judge(entry).is_keep();
                apps.see(&entry.domain, kept);
                for (name, (some, left)) in WHOLE.iter().zip(&mut parts) {
                    if entry.domain.as_bytes() == name.as_bytes() {
                        *some |= kept;
                        *left |= !kept;
                    }
                }
            }
            longest.see(record, select);
            if monitor.cancelled() {
                return Err(RunError::Cancelled.into());
            }
        }
        let partial = WHOLE
            .into_iter()
            .zip(parts)
            .filter_map(|(name, (some, left))| (some && left).then_some(name))
            .collect();
        Ok(Self { longest, apps, partial })
    }
}
