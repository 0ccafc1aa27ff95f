//! What goes into an archive: all files of a bundle, or chosen entries under a new catalog.

mod catalog;

use std::collections::HashSet;

use bkp_archive::{self as archive, MemberName, PackPlan};
use bkp_bundle::{
    Backup, BundleError, Catalog, CatalogKind, CatalogWriter, ManifestEdit, Patch, PayloadError,
    RowPatch, ScratchPlace, Unlocked,
};
use bkp_core::{
    EntryKind, Everything, Fault as _, FileId, Monitor, Problem, Report, RunError, Select,
    Severity, Stage,
};
use bkp_policy::Selection;
use bkp_restore::RestoreError;

use super::look_ahead::containers;
use super::rekey::fresh_manifest_key;
use super::{RewriteError, is_finished, plists};
use catalog::NewCatalog;

/// What a smaller bundle in an archive is.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct PackSelection {
    /// Regular files that are in the archive.
    pub files: u64,
    /// Rows of files whose payload is missing.
    pub without_payload: u64,
    /// Whether nothing that was seen keeps a device from restoring the bundle.
    pub restorable: bool,
    /// Identifiers of the containers that the bundle names no more. Sorted.
    pub applications_left_out: Vec<String>,
    /// Domains that were left out in part, and of which a device that restores the bundle removes
    /// what the bundle does not hold (FORMAT.md 6).
    pub partial_domains: Vec<&'static str>,
}

/// Looks whether every file that a catalog names is in a plan for the whole bundle. The archive is
/// made without those that are not: they are told to the monitor and counted as failed.
///
/// # Errors
///
/// Fails when the monitor asks for an end.
pub fn check_pack(
    catalog: &Catalog,
    plan: &PackPlan,
    monitor: &dyn Monitor,
) -> Result<Report<()>, RewriteError> {
    walk(catalog, plan, &Everything, monitor, &mut |_, _| Ok(true))
}

/// Narrows a plan for the whole bundle to chosen entries, as [`filter`](crate::filter) writes them:
/// with a new catalog, which uses `scratch` if it is large, and property lists that name no container
/// of which nothing is left. Payloads are not read here.
///
/// # Errors
///
/// Fails when the catalog or a property list cannot be made, and when the monitor asks for an end.
pub fn plan_pack(
    backup: &Backup<Unlocked>,
    selection: &Selection<'_>,
    plan: &mut PackPlan,
    scratch: ScratchPlace,
    monitor: &dyn Monitor,
) -> Result<Report<PackSelection>, RewriteError> {
    let (apps, partial) = containers(selection);
    let kind = backup.catalog().kind();
    let (key, manifest_key) = match fresh_manifest_key(backup, backup.class_keys())? {
        Some((key, wrapped)) => (Some(key), Patch::Set(wrapped.to_bytes())),
        None => (None, Patch::Keep),
    };
    let keep = |id: &str| !apps.is_gone(id);
    let edit =
        ManifestEdit { encrypted: None, keybag: None, manifest_key, keep_application: &keep };
    let lists = plists::rewrite(backup, &apps, &edit)?;

    let not_made =
        |source| RewriteError::from(RunError::Sink(RestoreError::of_catalog(kind, source)));
    let mut writer = CatalogWriter::new(kind, scratch);
    let (mut kept, mut without_payload) = (HashSet::new(), 0);
    let report = walk(backup.catalog(), plan, selection, monitor, &mut |record, is_there| {
        let entry = record.as_ref();
        match writer.push(entry, &RowPatch::default()) {
            Ok(()) if entry.kind != EntryKind::File => Ok(true),
            Ok(()) if is_there => {
                kept.insert(entry.id);
                Ok(true)
            }
            Ok(()) => {
                without_payload += 1;
                Ok(true)
            }
            Err(source) if source.is_row() => {
                let fault = RestoreError::Row { source };
                monitor.problem(Problem { entry: Some(entry), fault: &fault });
                Ok(false)
            }
            Err(source) => Err(not_made(source)),
        }
    })?;
    let catalog = NewCatalog::new(writer.finish().map_err(not_made)?, key);
    narrow(plan, kind, &kept, catalog, lists);

    let Report { summary: (), listed, done, skipped, failed, damaged, notices } = report;
    let summary = PackSelection {
        files: kept.len() as u64,
        without_payload,
        restorable: is_finished(backup) && failed == 0 && damaged == 0,
        applications_left_out: apps.gone().map(str::to_owned).collect(),
        partial_domains: partial,
    };
    Ok(Report { summary, listed, done, skipped, failed, damaged, notices })
}

/// Leaves the payloads that were kept, and puts what was made in the place of the rest.
fn narrow(
    plan: &mut PackPlan,
    kind: CatalogKind,
    kept: &HashSet<FileId>,
    catalog: NewCatalog,
    lists: Vec<(&'static str, Vec<u8>)>,
) {
    plan.retain(|name| match name {
        MemberName::Blob(id, _) => kept.contains(id),
        _ => false,
    });
    let name = match kind {
        CatalogKind::Db => archive::Catalog::Db,
        CatalogKind::Mbdb => archive::Catalog::Mbdb,
    };
    plan.replace(MemberName::Catalog(name), catalog);
    for (name, content) in lists {
        if let Some(name) = MemberName::parse(name.as_bytes()) {
            plan.replace(name, content);
        }
    }
}

/// Goes through a catalog once and counts. `each` is given every entry that is kept and whether its
/// payload is there, and says whether its row is taken.
fn walk(
    catalog: &Catalog,
    plan: &PackPlan,
    select: &dyn Select,
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(&bkp_bundle::BundleRecord, bool) -> Result<bool, RewriteError>,
) -> Result<Report<()>, RewriteError> {
    let mut report = Report::<()>::default();
    for record in catalog.records() {
        if monitor.cancelled() {
            return Err(RunError::Cancelled.into());
        }
        report.listed += 1;
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                if error.severity() == Severity::Notice {
                    report.skipped += 1;
                    report.notices += 1;
                } else {
                    report.failed += 1;
                }
                monitor.problem(Problem { entry: None, fault: &error });
                continue;
            }
        };
        let entry = record.as_ref();
        if !select.judge(entry).is_keep() {
            report.skipped += 1;
            continue;
        }
        monitor.advanced(Stage::Selected, entry, entry.metadata.size_hint);
        let is_there = entry.kind != EntryKind::File || plan.has_blob(&entry.id);
        if !each(&record, is_there)? {
            report.failed += 1;
        } else if is_there {
            report.done += 1;
        } else {
            let fault = BundleError::Payload(PayloadError::Missing { id: entry.id });
            monitor.problem(Problem { entry: Some(entry), fault: &fault });
            report.failed += 1;
        }
    }
    Ok(report)
}
