//! A smaller bundle.

use bkp_bundle::{Backup, ManifestEdit, Patch, Unlocked};
use bkp_core::{Monitor, Report, Select};
use bkp_restore::{BundlePlan, CatalogForm, PayloadForm};

use super::rekey::fresh_manifest_key;
use super::{LookAhead, RewriteError, RewriteOptions, Rewritten, plists, write};

/// Writes a bundle of the chosen entries.
///
/// The selection must be closed: with every entry the directories above it (see
/// [`Selection`](bkp_policy::Selection)). The catalog is made anew, so nothing of what was left
/// out is in the bundle; the rows of what is kept are the source's, byte for byte, and so are the
/// payloads, which are neither read nor decrypted here.
///
/// An entry whose payload is missing keeps its row, is counted as failed, and the bundle is not
/// called restorable.
///
/// # Errors
///
/// Fails when the bundle cannot be made at all; nothing is left of it then.
pub fn filter(
    backup: &Backup<Unlocked>,
    select: &dyn Select,
    options: &RewriteOptions,
    monitor: &dyn Monitor,
) -> Result<Report<Rewritten>, RewriteError> {
    let ahead = LookAhead::of(backup, select, monitor)?;
    filter_ahead(backup, select, ahead, options, monitor)
}

/// Does what [`filter`] does, with what a walk has found out already. It must be of the same
/// backup and the same selection: see [`choose`](crate::choose). For a selection that keeps
/// everything, [`LookAhead::none`] will do.
///
/// # Errors
///
/// Fails as `filter` does.
pub fn filter_ahead(
    backup: &Backup<Unlocked>,
    select: &dyn Select,
    ahead: LookAhead,
    options: &RewriteOptions,
    monitor: &dyn Monitor,
) -> Result<Report<Rewritten>, RewriteError> {
    let (key, manifest_key) = match fresh_manifest_key(backup, backup.class_keys())? {
        Some((key, wrapped)) => (Some(key), Patch::Set(wrapped.to_bytes())),
        None => (None, Patch::Keep),
    };
    let keep = |id: &str| !ahead.apps.is_gone(id);
    let edit =
        ManifestEdit { encrypted: None, keybag: None, manifest_key, keep_application: &keep };
    let files = plists::rewrite(backup, &ahead.apps, &edit)?;
    let plan = BundlePlan {
        kind: backup.catalog().kind(),
        payloads: PayloadForm::Stored,
        catalog: CatalogForm::New(key),
        link: options.link,
        files,
    };
    let partial = ahead.partial.clone();
    let mut report = write(backup, select, ahead, plan, options, monitor)?;
    report.summary.partial_domains = partial;
    Ok(report)
}
