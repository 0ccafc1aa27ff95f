//! What the commands have in common that make a bundle of a bundle: the order of refusals, the
//! plan of a dry run, and what is said and recorded at the end.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use bkp_toolkit::bundle::{Backup, Opened, Unlocked};
use bkp_toolkit::core::{Hex, Report, RunError, Select};
use bkp_toolkit::policy::Selection;
use bkp_toolkit::restore::{RunCounts, RunOutput, RunStaging};
use bkp_toolkit::{RewriteError, RewriteOptions, Rewritten, StagingRows};

use crate::args::RewriteArgs;
use crate::destination::{refuse_full, refuse_source};
use crate::display::{Name, Rfc3339, Size};
use crate::error::{CommandError, Kind, chain};
use crate::json::SCHEMA_VERSION;
use crate::open::damaged_keys;
use crate::problems::{Item, Tally};
use crate::progress::Progress;
use crate::record::Record;
use crate::staging::ManagementSummary;
use crate::ui::Ui;

/// One run of such a command.
pub(crate) struct Rewriting<'r> {
    pub(crate) command: &'static str,
    pub(crate) started: Rfc3339,
    /// The folder of the source.
    pub(crate) path: PathBuf,
    /// The folder to write.
    pub(crate) target: &'r Path,
    pub(crate) args: &'r RewriteArgs,
    pub(crate) ui: &'r Ui,
    pub(crate) progress: Progress<'r>,
    /// Which device the output is for: that of the source, where it was made for one.
    pub(crate) staging: Option<RunStaging>,
    /// What management makes of the rows.
    pub(crate) rows: StagingRows,
}

impl<'r> Rewriting<'r> {
    /// Refuses destinations that cannot be right, before anything is asked.
    pub(crate) fn begin(
        command: &'static str,
        path: PathBuf,
        target: &'r Path,
        args: &'r RewriteArgs,
        ui: &'r Ui,
    ) -> Result<Self, CommandError> {
        refuse_source(&path, target)?;
        refuse_full(target)?;
        let (started, progress) = (Rfc3339::now(), Progress::new(ui).doing("writing"));
        // A bundle made of one that was made for a device is for that device as well.
        let staging = bkp_toolkit::staged_for(&path).unwrap_or_else(|error| {
            let message = format!("{}; the new record names no device", chain(&error));
            progress.report(Item::notice("record-unreadable", message));
            None
        });
        let rows = StagingRows::default();
        Ok(Self { command, started, path, target, args, ui, progress, staging, rows })
    }

    pub(crate) fn options(&self, link: bool) -> RewriteOptions {
        let RewriteArgs { threads, .. } = self.args;
        RewriteOptions { target: self.target.to_owned(), threads: *threads, link }
    }

    /// Says what a run would do, as far as the catalog tells: no payload is opened.
    pub(crate) fn plan(
        &self,
        backup: &Backup<Unlocked>,
        select: &dyn Select,
    ) -> Result<Summary, CommandError> {
        let (counts, selection) = plan(backup, select, &self.progress)?;
        let kept = selection.kept();
        Ok(Summary {
            dry_run: true,
            counts,
            files: kept.files,
            directories: kept.directories,
            symlinks: kept.symlinks,
            ..Summary::default()
        })
    }

    /// Turns what a run returned into what is said of it.
    pub(crate) fn summary(
        &self,
        report: Result<Report<Rewritten>, RewriteError>,
    ) -> Result<Summary, CommandError> {
        match report {
            Ok(report) => Ok(Summary::of_report(&report)),
            Err(error) => Err(failed(error, self.ui)),
        }
    }

    /// Writes the run record and the answer, and says how the command ends.
    pub(crate) fn conclude(
        self,
        backup: &Backup<Unlocked>,
        selection: Option<&Selection<'_>>,
        mut summary: Summary,
    ) -> Result<ExitCode, CommandError> {
        let Self { command, started, path, target, args, ui, progress, staging, rows } = self;
        (summary.schema_version, summary.kind) = (SCHEMA_VERSION, command);
        summary.destination = target.to_string_lossy().into_owned();
        summary.problems = progress.finish();
        let tally = Tally::of(&summary.problems, damaged_keys(backup));
        if !args.dry_run {
            let (counts, items) = (summary.counts, &summary.problems);
            let output = summary.manifest_sha256.clone();
            let output = output.map(|manifest_sha256| RunOutput { manifest_sha256 });
            let (path, hashes) = (&*path, None);
            let record = Record {
                command,
                started,
                path,
                source_sha256: summary.source_manifest,
                counts,
                items,
                selection,
                hashes,
                output,
                rows: &rows,
                staging,
            };
            let written = record.write(backup.bundle(), target)?;
            summary.run_record = Some(written.to_string_lossy().into_owned());
        }
        ui.answer(&summary, |out| summary.write_text(out, target))?;
        Ok(tally.exit_code())
    }
}

/// Takes a backup that must not be encrypted.
pub(crate) fn plain(opened: Opened) -> Result<Backup<Unlocked>, CommandError> {
    match opened {
        Opened::Unlocked(backup) => Ok(backup),
        Opened::Locked(_) => Err(already_encrypted()),
    }
}

/// Takes a backup that must be encrypted.
pub(crate) fn encrypted(opened: Opened) -> Result<Opened, CommandError> {
    match opened {
        Opened::Unlocked(_) => Err(not_encrypted()),
        Opened::Locked(_) => Ok(opened),
    }
}

fn already_encrypted() -> CommandError {
    CommandError::new(Kind::Usage, "already-encrypted", "this backup is encrypted already")
        .help("bkp rekey gives it another password")
}

fn not_encrypted() -> CommandError {
    CommandError::new(Kind::Usage, "not-encrypted", "this backup is not encrypted")
        .help("bkp encrypt makes an encrypted one of it")
}

/// Judges a whole catalog, and reports the rows that cannot be read.
pub(crate) fn plan<'s>(
    backup: &Backup<Unlocked>,
    select: &'s dyn Select,
    progress: &Progress<'_>,
) -> Result<(RunCounts, Selection<'s>), CommandError> {
    let mut counts = RunCounts::default();
    for record in backup.catalog().records() {
        counts.listed += 1;
        if let Err(error) = record {
            let item = Item::new(None, &error);
            match item.is_notice() {
                true => counts.skipped += 1,
                false => counts.failed += 1,
            }
            counts.notices += u64::from(item.is_notice());
            progress.report(item);
        }
    }
    let selection = Selection::of_source(backup, select)?;
    counts.done = selection.kept().entries();
    counts.skipped += selection.left_out().entries();
    Ok((counts, selection))
}

fn failed(error: RewriteError, ui: &Ui) -> CommandError {
    let of = |kind, code| CommandError::of(kind, code, &error);
    match error {
        RewriteError::AlreadyEncrypted => already_encrypted(),
        RewriteError::NotEncrypted => not_encrypted(),
        _ if ui.stop.requested() => ui.stop.error(),
        RewriteError::Run(error) => match *error {
            RunError::Source(error) => error.into(),
            RunError::Sink(error) => CommandError::of_fault(&error),
            RunError::Cancelled => ui.stop.error(),
            error => CommandError::of(Kind::Failed, "run-failed", &error),
        },
        RewriteError::Keybag { .. }
        | RewriteError::SourceKeybag { .. }
        | RewriteError::ManifestKey { .. } => of(Kind::KeysDamaged, "key-material-damaged").help(
            "the password cannot be changed while a class key is damaged; \
                 look for another copy of the backup's Manifest.plist",
        ),
        RewriteError::Plist { .. } => of(Kind::Failed, "bad-plist"),
        _ => of(Kind::Failed, "run-failed"),
    }
}

/// What a run made, or would make.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    schema_version: u32,
    kind: &'static str,
    dry_run: bool,
    destination: String,
    run_record: Option<String>,
    #[serde(flatten)]
    counts: RunCounts,
    files: u64,
    directories: u64,
    symlinks: u64,
    /// Bytes of all payloads as they are stored.
    stored_bytes: u64,
    linked: u64,
    reflinked: u64,
    without_payload: u64,
    /// Null in a dry run.
    restorable: Option<bool>,
    applications_left_out: Vec<String>,
    partial_domains: Vec<&'static str>,
    foreign_files: Vec<String>,
    orphan_blobs: u64,
    keychain: Option<Keychain>,
    /// SHA-256 of the new catalog as it is stored.
    manifest_sha256: Option<String>,
    /// The same of the source's, where the run has found it out.
    #[serde(skip)]
    source_manifest: Option<[u8; 32]>,
    /// What management made of it, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) management: Option<ManagementSummary>,
    problems: Vec<Item>,
}

/// What became of a keychain.
#[derive(Clone, Copy, Debug, Serialize)]
struct Keychain {
    device_bound: usize,
    exposed: usize,
}

impl Summary {
    fn of_report(report: &Report<Rewritten>) -> Self {
        let Rewritten {
            bundle,
            restorable,
            applications_left_out,
            partial_domains,
            foreign_files,
            orphan_blobs,
            source_catalog_sha256,
            keychain,
            ..
        } = &report.summary;
        Self {
            counts: report.into(),
            files: bundle.files,
            directories: bundle.directories,
            symlinks: bundle.symlinks,
            stored_bytes: bundle.stored_bytes,
            linked: bundle.linked,
            reflinked: bundle.reflinked,
            without_payload: bundle.without_payload,
            restorable: Some(*restorable),
            applications_left_out: applications_left_out.clone(),
            partial_domains: partial_domains.clone(),
            foreign_files: foreign_files.clone(),
            orphan_blobs: *orphan_blobs,
            keychain: keychain
                .map(|fate| Keychain { device_bound: fate.device_bound, exposed: fate.exposed }),
            manifest_sha256: Some(Hex(&bundle.catalog_sha256).to_string()),
            source_manifest: *source_catalog_sha256,
            ..Self::default()
        }
    }

    fn write_text(&self, out: &mut dyn Write, target: &Path) -> io::Result<()> {
        let Self { counts, files, directories, symlinks, stored_bytes, .. } = self;
        let RunCounts { listed, done: _, skipped, failed, damaged, notices } = counts;
        let target = Name(target.as_os_str().as_bytes());
        match self.dry_run {
            true => write!(out, "would write {files} files")?,
            false => write!(out, "wrote {files} files ({} as stored)", Size(*stored_bytes))?,
        }
        writeln!(out, ", {directories} directories and {symlinks} symbolic links to {target}")?;
        writeln!(
            out,
            "of {listed} entries: {skipped} left out, {failed} failed, {damaged} damaged, \
             {notices} warnings"
        )?;
        if self.linked > 0 {
            writeln!(out, "{} files are the backup's own, by hard links", self.linked)?;
        }
        if self.restorable == Some(false) {
            match self.without_payload {
                0 => writeln!(out, "not restorable: see the problems above")?,
                n => writeln!(
                    out,
                    "not restorable: {n} files are in the catalog without their content, listed \
                     above"
                )?,
            }
        }
        // That a device deletes what a restore leaves out is what it is left out for.
        let meant = self.management.as_ref().is_some_and(ManagementSummary::is_for_a_device);
        for domain in self.partial_domains.iter().filter(|_| !meant) {
            writeln!(
                out,
                "note: part of {domain} was left out; a device that restores this may delete what \
                 it has there"
            )?;
        }
        if !self.applications_left_out.is_empty() {
            let n = self.applications_left_out.len();
            writeln!(out, "note: {n} containers were left out whole, and are named no more")?;
        }
        if let [first, rest @ ..] = &*self.foreign_files {
            let first = Name(first.as_bytes());
            let more = rest.len();
            writeln!(
                out,
                "note: {first} and {more} more beside the backup are no part of it and stay behind"
            )?;
        }
        if self.orphan_blobs > 0 {
            let n = self.orphan_blobs;
            writeln!(out, "note: {n} stored files that no row names stay behind")?;
        }
        if let Some(Keychain { device_bound, exposed }) = self.keychain {
            if exposed > 0 {
                writeln!(
                    out,
                    "note: {exposed} keychain items open without a password now: keep the new \
                     backup as safe as the secrets in it"
                )?;
            }
            if device_bound > 0 {
                writeln!(
                    out,
                    "note: {device_bound} keychain items are bound to the device: they are lost \
                     to every other device and to every reader"
                )?;
            }
        }
        if let Some(management) = &self.management {
            management.write_text(out)?;
        }
        match &self.run_record {
            Some(record) => writeln!(out, "run record: {}", Name(record.as_bytes())),
            None => writeln!(out, "nothing was written"),
        }
    }
}
