//! What is packed: the whole backup, or chosen entries under a new catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use bkp_toolkit::archive::{ArchiveError, MemberName, PackPlan};
use bkp_toolkit::bundle::{Bundle, Catalog, Opened, ScratchPlace};
use bkp_toolkit::core::{Fault as _, FileId, RunError};
use bkp_toolkit::policy::{Rules, Selection};
use bkp_toolkit::restore::RunCounts;
use bkp_toolkit::{PackSelection, RewriteError, check_pack, plan_pack};

use crate::args::PasswordArgs;
use crate::error::{CommandError, Kind, chain};
use crate::open::{self, damaged_keys};
use crate::password;
use crate::problems::Item;
use crate::progress::Progress;
use crate::ui::Ui;

/// Names that are no files of a backup, of which at most so many are told.
const FOREIGN: usize = 20;

/// What goes into the archive.
pub(super) struct Contents<'r> {
    pub(super) plan: PackPlan,
    /// Of entries; all zero where the catalog could not be read.
    pub(super) counts: RunCounts,
    /// Whether the catalog was compared with what is there.
    pub(super) catalog_checked: bool,
    /// What was chosen, where not everything was.
    pub(super) selection: Option<Selection<'r>>,
    pub(super) smaller: Option<PackSelection>,
    /// The backup, where its catalog could be read.
    opened: Option<Opened>,
    pub(super) damaged_keys: usize,
}

impl<'r> Contents<'r> {
    pub(super) fn of(
        bundle: &Arc<Bundle>,
        rules: &'r Rules,
        password: &PasswordArgs,
        scratch: ScratchPlace,
        ui: &Ui,
        progress: &Progress<'_>,
    ) -> Result<Self, CommandError> {
        let plan = PackPlan::new(bundle.storage()).map_err(|e| CommandError::of_fault(&e))?;
        let mut contents = Self {
            plan,
            counts: RunCounts::default(),
            catalog_checked: false,
            selection: None,
            smaller: None,
            opened: None,
            damaged_keys: 0,
        };
        contents.tell_foreign(progress);
        match rules.keep_everything() {
            true => contents.whole(bundle, password, ui, progress)?,
            false => contents.chosen(bundle, rules, password, scratch, ui, progress)?,
        }
        Ok(contents)
    }

    fn tell_foreign(&self, progress: &Progress<'_>) {
        let foreign = self.plan.foreign();
        for name in foreign.iter().take(FOREIGN) {
            let message = format!("\"{name}\" is no file of a backup, and is not packed");
            progress.report(Item::notice("foreign-file", message));
        }
        if let Some(more) = foreign.len().checked_sub(FOREIGN).filter(|more| *more > 0) {
            let message = format!("{more} more are no files of a backup, and are not packed");
            progress.report(Item::notice("foreign-file", message));
        }
    }

    /// Packs everything as it is. The catalog only tells what is missing, so a password is not
    /// asked for, and a catalog that makes no sense is packed like the rest. One that the system
    /// does not give out is an error: it could not be packed either.
    fn whole(
        &mut self,
        bundle: &Arc<Bundle>,
        password: &PasswordArgs,
        ui: &Ui,
        progress: &Progress<'_>,
    ) -> Result<(), CommandError> {
        let mut opened = match bundle.open_catalog() {
            Ok(opened) => opened,
            Err(error) if matches!(error.code(), "cannot-read" | "permission-denied") => {
                return Err(error.into());
            }
            Err(error) => {
                let message = format!("packed as it is, and not checked: {}", chain(&error));
                progress.report(Item::notice("catalog-unchecked", message));
                return Ok(());
            }
        };
        if matches!(opened, Opened::Locked(_)) && password::is_given(password) {
            let backup = open::unlocked(opened, password, ui, progress)?;
            self.damaged_keys = damaged_keys(&backup);
            opened = Opened::Unlocked(backup);
        }
        let readable = |catalog: &&Catalog| {
            matches!(opened, Opened::Unlocked(_)) || !catalog.has_encrypted_cells().unwrap_or(true)
        };
        let Some(catalog) = opened.catalog().filter(readable) else {
            ui.note(
                "whether files are missing is not known: the catalog is encrypted, and no \
                 password was given",
            );
            return Ok(());
        };
        let report = check_pack(catalog, &self.plan, progress).map_err(|e| failed(e, ui))?;
        self.counts = (&report).into();
        self.catalog_checked = true;
        self.opened = Some(opened);
        Ok(())
    }

    /// Packs what the rules choose.
    fn chosen(
        &mut self,
        bundle: &Arc<Bundle>,
        rules: &'r Rules,
        password: &PasswordArgs,
        scratch: ScratchPlace,
        ui: &Ui,
        progress: &Progress<'_>,
    ) -> Result<(), CommandError> {
        let backup = open::unlocked(bundle.open_catalog()?, password, ui, progress)?;
        self.damaged_keys = damaged_keys(&backup);
        let selection = Selection::of_source(&backup, rules)?;
        let report = plan_pack(&backup, &selection, &mut self.plan, scratch, progress);
        let report = report.map_err(|error| failed(error, ui))?;
        self.counts = (&report).into();
        self.catalog_checked = true;
        self.smaller = Some(report.summary);
        self.selection = Some(selection);
        self.opened = Some(Opened::Unlocked(backup));
        Ok(())
    }

    /// Takes payloads out of the counts that could not be read, and tells which entries those are.
    pub(super) fn tell_lost(
        &mut self,
        lost: &[(MemberName, ArchiveError)],
        progress: &Progress<'_>,
    ) {
        let ids = lost.iter().filter_map(|(name, error)| match name {
            MemberName::Blob(id, _) => Some((*id, error)),
            _ => None,
        });
        let mut unnamed: BTreeMap<FileId, &ArchiveError> = ids.collect();
        if unnamed.is_empty() {
            return;
        }
        let catalog = self.opened.as_ref().and_then(Opened::catalog);
        for record in catalog.into_iter().flat_map(Catalog::records).flatten() {
            let entry = record.as_ref();
            if let Some(error) = unnamed.remove(&entry.id) {
                progress.report(Item::new(Some(entry), error));
                self.counts.failed += 1;
                self.counts.done = self.counts.done.saturating_sub(1);
            }
        }
        for error in unnamed.into_values() {
            progress.report(Item::new(None, error));
        }
    }
}

fn failed(error: RewriteError, ui: &Ui) -> CommandError {
    match error {
        _ if ui.stop.requested() => ui.stop.error(),
        RewriteError::Run(error) => match *error {
            RunError::Source(error) => error.into(),
            RunError::Sink(error) => CommandError::of_fault(&error),
            error => CommandError::of(Kind::Failed, "run-failed", &error),
        },
        error => CommandError::of(Kind::Failed, "run-failed", &error),
    }
}
