//! `bkp unpack`: the backup that is in an archive, as a folder.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use bkp_toolkit::archive::{Archive, ArchiveError, MemberName, Unpacked, on_threads, unpack};
use bkp_toolkit::bundle::{Bundle, Limits};
use bkp_toolkit::core::Severity;
use bkp_toolkit::restore::RunCounts;
use bkp_toolkit::{Located, StagingRows};

use crate::args::{BackupArgs, Format, RewriteArgs};
use crate::destination::refuse_full;
use crate::display::{Name, Rfc3339, Size};
use crate::error::CommandError;
use crate::json::SCHEMA_VERSION;
use crate::problems::{Item, Tally};
use crate::progress::Progress;
use crate::record::Record;
use crate::seal;
use crate::ui::Ui;

/// Unpack the backup in an archive, byte for byte
///
/// Only files of a backup are written, whatever else the archive names, and only into a new or
/// empty folder. A file that is damaged in the archive is left out and listed. OUT appears at the
/// end, by one rename; beside it OUT.bkp-run.json tells what was done.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct UnpackArgs {
    #[command(flatten)]
    archive: BackupArgs,

    /// The folder to write, new or empty
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    #[command(flatten)]
    rewrite: RewriteArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp unpack backup.zip -o BACKUP
  bkp unpack backup.bkpz -o BACKUP --seal-password-file seal.txt
  bkp unpack backup.bkpz -o BACKUP --seal-key-file seal.key --dry-run

Exit codes:
  0 all unpacked                  2 usage
  3 some files are damaged in the archive, or could not be read (listed)
  4 unpacked, with warnings only  10 not an archive
  11 of a newer form              12 wrong password or key file
  13 a password is needed         20 the archive is damaged as a whole
  21 hostile content refused      30 OUT is not empty
  32 no space left                33 permission denied
  130, 143 interrupted, and nothing is left of OUT";

impl UnpackArgs {
    pub(crate) fn format(&self) -> Format {
        self.rewrite.format()
    }
}

pub(crate) fn run(args: &UnpackArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let UnpackArgs { archive: BackupArgs { backup, max_kdf_rounds, seal }, output, rewrite } = args;
    let started = Rfc3339::now();
    let located = bkp_toolkit::locate(backup)?;
    // Before a password is asked for, which takes a person's time.
    refuse_full(output)?;
    let (path, opened) = match located {
        Located::Archive(path, opened) => (path, opened),
        Located::Folder(path) => {
            return Err(CommandError::of_fault(&ArchiveError::NotAnArchive)
                .help(format!("{} is a folder already", Name::of(&path))));
        }
    };
    let staged = bkp_toolkit::staged_for(&path).map_err(|e| CommandError::of_fault(&e))?;
    let mut limits = Limits::default();
    if let Some(rounds) = *max_kdf_rounds {
        limits.kdf_rounds = rounds;
    }
    let archive = seal::open(opened, seal, limits.kdf_rounds, ui)?;
    let progress = Progress::new(ui);
    if archive.foreign_count() > 0 {
        let count = archive.foreign_count();
        let message = format!("{count} members are no files of a backup, and are not unpacked");
        progress.report(Item::notice("foreign-file", message));
    }
    let mut summary = Summary::of(&archive, args);
    let done = if rewrite.dry_run { None } else { Some(write(&archive, args, ui, &progress)?) };
    if let Some(Unpacked { files, bytes, failed, .. }) = &done {
        (summary.files, summary.bytes) = (*files, *bytes);
        for (name, error) in failed {
            let mut item = Item::new(None, error);
            item.severity = Severity::Failure;
            item.message = format!("{name}: {}", item.message);
            progress.report(item);
        }
        let lost = failed.len() as u64;
        summary.counts = RunCounts {
            listed: files + lost,
            done: *files,
            failed: lost,
            notices: u64::from(archive.foreign_count() > 0),
            ..RunCounts::default()
        };
    }
    summary.problems = progress.finish();
    let tally = Tally::of(&summary.problems, 0);
    if done.is_some() {
        let bundle = Bundle::open(archive.storage(), limits).ok().map(Arc::new);
        let (counts, items) = (summary.counts, &*summary.problems);
        let record = Record {
            command: "unpack",
            started,
            path: &path,
            source_sha256: None,
            counts,
            items,
            selection: None,
            hashes: None,
            output: None,
            rows: &StagingRows::default(),
            staging: staged,
        };
        let mut record = record.run(bundle.as_deref());
        record.source.kind = archive.storage().kind().to_owned();
        let place = record.write_beside(output).map_err(|e| CommandError::of_fault(&e))?;
        summary.run_record = Some(place.to_string_lossy().into_owned());
    }
    ui.answer(&summary, |out| summary.write_text(out, output))?;
    Ok(tally.exit_code())
}

fn write(
    archive: &Archive,
    args: &UnpackArgs,
    ui: &Ui,
    progress: &Progress<'_>,
) -> Result<Unpacked, CommandError> {
    let total = planned(archive).1;
    let done = AtomicU64::new(0);
    let advance = |bytes| {
        let before = done.fetch_add(bytes, Ordering::Relaxed);
        progress.bytes("unpacking", (before.saturating_add(bytes).min(total), total));
        if ui.stop.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let work = || unpack(archive, &args.output, &advance);
    on_threads(args.rewrite.threads, work).and_then(|unpacked| unpacked).map_err(|error| {
        if ui.stop.requested() { ui.stop.error() } else { CommandError::of_fault(&error) }
    })
}

/// Returns how many files there are to be written, and their bytes.
fn planned(archive: &Archive) -> (u64, u64) {
    let files = archive.members().iter().filter(|m| m.name != MemberName::RunRecord);
    files.fold((0, 0), |(files, bytes), member| (files + 1, bytes + member.len))
}

/// What was unpacked, or would be.
#[derive(Debug, Serialize)]
struct Summary {
    schema_version: u32,
    kind: &'static str,
    dry_run: bool,
    destination: String,
    run_record: Option<String>,
    /// `zip` or `sealed`.
    form: &'static str,
    #[serde(flatten)]
    counts: RunCounts,
    files: u64,
    bytes: u64,
    /// Members with names that are no files of a backup.
    foreign: u64,
    problems: Vec<Item>,
}

impl Summary {
    fn of(archive: &Archive, args: &UnpackArgs) -> Self {
        let (files, bytes) = planned(archive);
        Self {
            schema_version: SCHEMA_VERSION,
            kind: "unpack",
            dry_run: args.rewrite.dry_run,
            destination: args.output.to_string_lossy().into_owned(),
            run_record: None,
            form: archive.storage().kind(),
            counts: RunCounts { listed: files, done: files, ..RunCounts::default() },
            files,
            bytes,
            foreign: archive.foreign_count(),
            problems: Vec::new(),
        }
    }

    fn write_text(&self, out: &mut dyn Write, target: &Path) -> io::Result<()> {
        let Self { files, bytes, counts, .. } = self;
        let done = if self.dry_run { "would unpack" } else { "unpacked" };
        let target = Name(target.as_os_str().as_bytes());
        writeln!(out, "{done} {files} files ({}) to {target}", Size(*bytes))?;
        if counts.failed > 0 {
            writeln!(out, "{} files are damaged in the archive, and left out", counts.failed)?;
        }
        match &self.run_record {
            Some(record) => writeln!(out, "run record: {}", Name(record.as_bytes())),
            None => writeln!(out, "nothing was written"),
        }
    }
}
