//! `bkp extract`: a readable tree.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use bkp_toolkit::bundle::{Backup, Unlocked};
use bkp_toolkit::core::{Entry, Report, RunError, Select};
use bkp_toolkit::policy::{Rules, Selection};
use bkp_toolkit::restore::{Extracted, RunCounts};
use bkp_toolkit::{ExtractError, ExtractOptions, Hashes, NamePolicy, StagingRows};

use crate::args::{BackupArgs, ExplainArg, FilterArgs, Format, PasswordArgs};
use crate::destination::{refuse_full, refuse_source};
use crate::display::{Name, Rfc3339, Size};
use crate::error::{CommandError, Kind};
use crate::explain::{Explained, explain};
use crate::json::SCHEMA_VERSION;
use crate::open::{self, damaged_keys};
use crate::problems::{Item, Tally};
use crate::progress::Progress;
use crate::record::Record;
use crate::rewriting;
use crate::rules;
use crate::ui::Ui;

/// Write the files of a backup as a readable tree
///
/// Files come out as OUT/DOMAIN/PATH with the bytes they have on the device. OUT appears at the
/// end, by one rename; beside it OUT.bkp-run.json tells what was done. What cannot be read is
/// reported, and the rest is written.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ExtractArgs {
    #[command(flatten)]
    backup: BackupArgs,

    /// The folder to write, new or empty
    #[arg(short, long, value_name = "OUT", required_unless_present = "explain")]
    output: Option<PathBuf>,

    /// How files are named
    #[arg(long, value_name = "HOW", default_value = "portable")]
    names: NamesArg,

    /// Write into a folder that is not empty; files of the same names are replaced
    #[arg(long)]
    overwrite: bool,

    /// Write nothing; say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Write one JSON document, and errors as JSON
    #[arg(long)]
    json: bool,

    /// Record the SHA-256 of every file in the run record, for "verify --against"
    #[arg(long)]
    hash: bool,

    /// Number of worker threads [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    explain: ExplainArg,

    #[command(flatten)]
    password: PasswordArgs,

    #[command(flatten)]
    filters: FilterArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp extract BACKUP -o OUT --password-file pw.txt
  bkp extract BACKUP -o SMS --include 'HomeDomain:Library/SMS' --names raw
  bkp extract BACKUP -o OUT --exclude 'CameraRollDomain:**/*.MOV' --dry-run

Exit codes:
  0 all written                   3 some items could not be read or written (listed)
  4 written, with warnings only   10 not a backup
  12 wrong password               13 a password is needed
  15 key material damaged         21 hostile content refused
  30 OUT is not empty             32 no space left
  33 permission denied            130, 143 interrupted, and nothing is left of OUT";

/// How files are named.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum NamesArg {
    /// Reversibly, so that every file system can hold them; changes stand in names.jsonl
    Portable,
    /// Exactly as in the backup
    Raw,
    /// By file id; all names stand in names.jsonl
    Hashed,
}

impl From<NamesArg> for NamePolicy {
    fn from(names: NamesArg) -> Self {
        match names {
            NamesArg::Portable => Self::Portable,
            NamesArg::Raw => Self::Raw,
            NamesArg::Hashed => Self::Hashed,
        }
    }
}

impl ExtractArgs {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

pub(crate) fn run(args: &ExtractArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let ExtractArgs { backup, output, names, overwrite, dry_run, json: _, .. } = args;
    let hashes = args.hash.then(Hashes::default);
    let ExtractArgs { threads, explain: ExplainArg { explain: asked }, password, filters, .. } =
        args;
    let started = Rfc3339::now();
    let rules = rules::build(filters)?;
    let (path, opened) = open::open(backup, ui)?;
    let progress = Progress::new(ui);
    let target = match (asked, output) {
        (Some(name), _) => {
            let judge = |entry: &Entry| Explained::from(&rules.explain(entry));
            return explain(opened, name, &judge, password, ui, &progress);
        }
        (None, output) => output.as_deref().unwrap_or(Path::new("")),
    };
    // Before the password is asked for, which takes a person's time.
    refuse_source(&path, target)?;
    if !overwrite {
        refuse_full(target).map_err(|error| error.help("or allow --overwrite"))?;
    }
    let backup = open::unlocked(opened, password, ui, &progress)?;
    let selection =
        (!rules.keep_everything()).then(|| Selection::of_source(&backup, &rules)).transpose()?;
    let select: &dyn Select = match &selection {
        Some(selection) => selection,
        None => &rules,
    };
    let mut summary = if *dry_run {
        plan(&backup, &rules, &progress)?
    } else {
        let options = ExtractOptions {
            target: target.to_owned(),
            names: (*names).into(),
            overwrite: *overwrite,
            threads: *threads,
            hashes: hashes.clone(),
        };
        let report = bkp_toolkit::extract(&backup, select, &options, &progress);
        Summary::of_report(&report.map_err(|error| failed(error, ui))?)
    };
    if *names == NamesArg::Portable && summary.renamed > 0 {
        let message = format!("{} names were changed; names.jsonl lists them", summary.renamed);
        progress.report(Item::notice("renamed", &message));
    }
    for item in rules::unmatched(&rules) {
        progress.report(item);
    }
    summary.destination = target.to_string_lossy().into_owned();
    summary.problems = progress.finish();
    let tally = Tally::of(&summary.problems, damaged_keys(&backup));
    if !dry_run {
        let (counts, items) = (summary.counts, &summary.problems);
        let selection = selection.as_ref();
        let record = Record {
            command: "extract",
            started,
            path: &path,
            source_sha256: None,
            counts,
            items,
            selection,
            hashes,
            output: None,
            rows: &StagingRows::default(),
            staging: None,
        };
        let written = record.write(backup.bundle(), target)?;
        summary.run_record = Some(written.to_string_lossy().into_owned());
    }
    ui.answer(&summary, |out| summary.write_text(out, target))?;
    Ok(tally.exit_code())
}

fn failed(error: ExtractError, ui: &Ui) -> CommandError {
    match error {
        RunError::Source(error) => error.into(),
        RunError::Sink(error) => CommandError::of_fault(&error),
        RunError::Cancelled => ui.stop.error(),
        error => CommandError::of(Kind::Failed, "run-failed", &error),
    }
}

/// Says what a run would do, as far as the catalog tells: no payload is opened.
fn plan(
    backup: &Backup<Unlocked>,
    rules: &Rules,
    progress: &Progress<'_>,
) -> Result<Summary, CommandError> {
    let (counts, selection) = rewriting::plan(backup, rules, progress)?;
    let kept = selection.kept();
    Ok(Summary {
        dry_run: true,
        counts,
        files: kept.files,
        directories: kept.directories,
        symlinks: kept.symlinks,
        bytes: kept.bytes,
        ..Summary::default()
    })
}

/// What a run did, or would do.
#[derive(Debug, Default, Serialize)]
struct Summary {
    #[serde(flatten)]
    head: Head,
    dry_run: bool,
    destination: String,
    run_record: Option<String>,
    #[serde(flatten)]
    counts: RunCounts,
    files: u64,
    directories: u64,
    symlinks: u64,
    bytes: u64,
    renamed: u64,
    problems: Vec<Item>,
}

/// What every document begins with.
#[derive(Debug, Serialize)]
struct Head {
    schema_version: u32,
    kind: &'static str,
}

impl Default for Head {
    fn default() -> Self {
        Self { schema_version: SCHEMA_VERSION, kind: "extract" }
    }
}

impl Summary {
    fn of_report(report: &Report<Extracted>) -> Self {
        let Extracted { files, directories, symlinks, bytes, renamed, .. } = report.summary;
        let counts = report.into();
        Self { counts, files, directories, symlinks, bytes, renamed, ..Self::default() }
    }

    fn write_text(&self, out: &mut dyn Write, target: &Path) -> io::Result<()> {
        let Self { counts, files, directories, symlinks, bytes, .. } = self;
        let RunCounts { listed, done: _, skipped, failed, damaged, notices } = counts;
        let verb = if self.dry_run { "would write" } else { "wrote" };
        writeln!(
            out,
            "{verb} {files} files ({}), {directories} directories and {symlinks} symbolic links to {}",
            Size(*bytes),
            Name(target.as_os_str().as_bytes())
        )?;
        writeln!(
            out,
            "of {listed} entries: {skipped} left out, {failed} failed, {damaged} damaged, \
             {notices} warnings"
        )?;
        match &self.run_record {
            Some(record) => writeln!(out, "run record: {}", Name(record.as_bytes())),
            None => writeln!(out, "nothing was written"),
        }
    }
}
