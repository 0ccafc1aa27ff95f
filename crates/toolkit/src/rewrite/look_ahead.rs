//! What is known of a catalog before a run: the longest files, and which containers keep
//! anything.

use bkp_bundle::{Backup, BundleError, BundleRecord, Unlocked};
use bkp_core::{Domain, Everything, Longest, Monitor, RunError, RunOptions, Select};
use bkp_policy::Selection;

use super::RewriteError;
use super::apps::Apps;

/// Chooses entries of a backup, closes the choice, and looks ahead for the run, in one walk of the
/// catalog as a rule.
///
/// # Errors
///
/// Fails when the catalog cannot be listed.
pub fn choose<'r>(
    backup: &Backup<Unlocked>,
    select: &'r dyn Select,
) -> Result<(Selection<'r>, LookAhead), BundleError> {
    let most = RunOptions::default().longest_first;
    let (selection, longest) = Selection::with_longest(backup, select, most)?;
    let (apps, partial) = containers(&selection);
    Ok((selection, LookAhead { longest, apps, partial }))
}

/// Returns which containers a selection keeps anything of, and which domains it leaves out in part
/// that a device expects whole.
pub(super) fn containers(selection: &Selection<'_>) -> (Apps, Vec<&'static str>) {
    let (mut apps, mut parts) = (Apps::default(), Parts::default());
    for (domain, share) in selection.domains() {
        for (kept, there) in [(true, share.kept), (false, share.left_out)] {
            if there {
                apps.see(domain, kept);
                parts.see(domain, kept);
            }
        }
    }
    (apps, parts.partial())
}

/// What a walk of the catalog found out for a run: made with a selection by [`choose`].
#[derive(Debug)]
pub struct LookAhead {
    pub(super) longest: Longest<BundleRecord>,
    pub(super) apps: Apps,
    /// Rows that a device expects whole or not at all, and that were left out in part.
    pub(super) partial: Vec<&'static str>,
}

/// Domains of which a device removes what a bundle does not hold. Source: FORMAT.md 6.
const WHOLE: [&str; 3] = ["CameraRollDomain", "HomeDomain", "KeyboardDomain"];

/// Which of these are kept, and which are left out.
#[derive(Debug, Default)]
struct Parts([(bool, bool); WHOLE.len()]);

impl Parts {
    fn see(&mut self, domain: &Domain, kept: bool) {
        for (name, (some, left)) in WHOLE.iter().zip(&mut self.0) {
            if domain.as_bytes() == name.as_bytes() {
                *some |= kept;
                *left |= !kept;
            }
        }
    }

    /// Lists those of which a part is left out.
    fn partial(self) -> Vec<&'static str> {
        let both = |(name, (some, left))| (some && left).then_some(name);
        WHOLE.into_iter().zip(self.0).filter_map(both).collect()
    }
}

impl LookAhead {
    /// Looks at nothing: for a run that takes everything and to which all files are alike,
    /// however long. Where payloads are taken as they are stored, the disk is what takes the
    /// time, and a walk of the catalog costs more than it gives.
    #[must_use]
    pub fn none() -> Self {
        Self { longest: Longest::new(0), apps: Apps::default(), partial: Vec::new() }
    }

    /// Finds the longest files of a catalog of which everything is taken.
    pub(super) fn everything(
        backup: &Backup<Unlocked>,
        monitor: &dyn Monitor,
    ) -> Result<Self, RewriteError> {
        let mut longest = Longest::new(RunOptions::default().longest_first);
        for record in backup.catalog().records() {
            longest.see(record.ok(), &Everything);
            if monitor.cancelled() {
                return Err(RunError::Cancelled.into());
            }
        }
        Ok(Self { longest, ..Self::none() })
    }

    /// Walks the catalog once, for a selection that is closed.
    pub(super) fn of(
        backup: &Backup<Unlocked>,
        select: &dyn Select,
        monitor: &dyn Monitor,
    ) -> Result<Self, RewriteError> {
        let mut longest = Longest::new(RunOptions::default().longest_first);
        let (mut apps, mut parts) = (Apps::default(), Parts::default());
        for record in backup.catalog().records() {
            let record = record.ok();
            if let Some(record) = &record {
                let entry = record.as_ref();
                let kept = select.judge(entry).is_keep();
                apps.see(&entry.domain, kept);
                parts.see(&entry.domain, kept);
            }
            longest.see(record, select);
            if monitor.cancelled() {
                return Err(RunError::Cancelled.into());
            }
        }
        Ok(Self { longest, apps, partial: parts.partial() })
    }
}
