//! `bkp diff`: how two backups differ.

mod output;
mod passwords;

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use bkp_toolkit::bundle::Opened;
use bkp_toolkit::core::{Fault as _, RunError};
use bkp_toolkit::{ContentCheck, DiffError, DiffOptions, DiffReport, Side, diff_notes};

use crate::args::{BackupArgs, FilterArgs, Format, PasswordArgs, SealArgs};
use crate::error::{CommandError, Kind};
use crate::open::{self, Found, damaged_keys};
use crate::password;
use crate::problems::Tally;
use crate::progress::Progress;
use crate::rules;
use crate::ui::Ui;
use output::{Output, Problems};
use passwords::Passwords;

/// Compare two backups, entry by entry
///
/// A and B may be of any sort: encrypted or not, old or new. Entries are told that are in one
/// alone or differ, ordered by domain and path. What files hold is compared by their digests where
/// both are of the same sort and the same keys, else by size and time of modification, and where
/// these differ by the files themselves. The same content under new keys is the same.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DiffArgs {
    /// The first backup: its folder, the folder above a single backup, or an archive
    a: PathBuf,

    /// The second backup
    b: PathBuf,

    /// Read every file that is in both, and trust neither digests nor times
    #[arg(long)]
    content: bool,

    /// End with 4 when the backups differ; else differences do not change the exit code
    #[arg(long)]
    exit_code: bool,

    /// Write one JSON document, and errors as JSON
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,

    /// Write one JSON object a difference, the last one a summary, and errors as JSON
    #[arg(long)]
    jsonl: bool,

    /// Number of worker threads [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Most rounds of key derivation that a backup may ask for [default: 50000000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_kdf_rounds: Option<u64>,

    #[command(flatten)]
    seal: SealArgs,

    #[command(flatten)]
    password: PasswordArgs,

    /// Read the password of B from the first line of FILE; without it the one of A is tried
    #[arg(long, value_name = "FILE", help_heading = "Password")]
    password_file_b: Option<PathBuf>,

    #[command(flatten)]
    filters: FilterArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp diff OLD NEW
  bkp diff OLD NEW --password-file old.txt --password-file-b new.txt --content
  bkp diff BACKUP COPY --include 'HomeDomain:Library/SMS' --jsonl --exit-code

Exit codes:
  0 compared; with --exit-code: and the same
  3 some entries could not be read or compared (listed)
  4 warnings only; with --exit-code: the backups differ
  10 not a backup                12 wrong password
  13 a password is needed        15 key material damaged
  21 hostile content refused     33 permission denied
  130, 143 interrupted";

/// The exit code of differences, where they are to have one, and of warnings.
const DIFFER: u8 = 4;

impl DiffArgs {
    pub(crate) fn format(&self) -> Format {
        match (self.json, self.jsonl) {
            (true, _) => Format::Json,
            (_, true) => Format::JsonLines,
            _ => Format::Text,
        }
    }
}

pub(crate) fn run(args: &DiffArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let DiffArgs { content, exit_code, threads, password, password_file_b, filters, .. } = args;
    let rules = rules::build(filters)?;
    let find = |side, backup: &PathBuf| {
        let max_kdf_rounds = args.max_kdf_rounds;
        open::find(
            &BackupArgs { backup: backup.clone(), max_kdf_rounds, seal: args.seal.clone() },
            ui,
        )
        .map_err(|error| about(error, side))
    };
    let found = [find(Side::A, &args.a)?, find(Side::B, &args.b)?];
    let [a, b] = &found;
    let notes = diff_notes(&a.bundle, &b.bundle);
    let progress = Progress::new(ui).doing("comparing");
    let mut passwords = Passwords::new(password, password_file_b.as_deref(), ui, &progress);
    let open = |side, Found { bundle, .. }: &Found| {
        bundle.open_catalog().map_err(|error| about(error.into(), side))
    };
    let mut opened = [open(Side::A, a)?, open(Side::B, b)?];
    // A password that was given is used; one that has to be asked for only where it is needed.
    for (side, given) in
        [(Side::A, password::is_given(password)), (Side::B, password_file_b.is_some())]
    {
        if given || *content {
            unlock(side, &mut opened, &mut passwords)?;
        }
    }
    let check = if *content { ContentCheck::All } else { ContentCheck::WhereNeeded };
    let options = DiffOptions { content: check, threads: *threads };
    let mut output = Output::new([&a.path, &b.path], &notes, ui)?;
    let (report, problems) = loop {
        let problems = Problems::new(&progress);
        let [a, b] = &opened;
        let mut tell = |difference: &_| progress.suspend(|| output.difference(difference));
        match bkp_toolkit::diff(a, b, &rules, &options, &mut tell, &problems) {
            Ok(report) => break (report, problems.into_items()),
            Err(DiffError::CatalogLocked { side } | DiffError::DataLocked { side }) => {
                unlock(side, &mut opened, &mut passwords)?;
            }
            Err(error) => return Err(failed(error, ui)),
        }
    };
    let mut tally = Tally::default();
    for backup in &opened {
        if let Opened::Unlocked(backup) = backup {
            tally.damaged_keys = tally.damaged_keys.max(damaged_keys(backup));
        }
    }
    let mut items = problems;
    items.extend(rules::unmatched(&rules));
    items.iter().for_each(|item| tally.add(item.severity));
    if ui.format == Format::Text {
        items.drain(..).for_each(|item| progress.report(item));
    }
    // What was said of keys is said already.
    drop(passwords);
    progress.finish();
    output
        .end(&report, &items)
        .and_then(|mut out| out.flush())
        .map_err(|error| CommandError::stdout(&error))?;
    Ok(end(tally, &report, *exit_code))
}

fn end(mut tally: Tally, report: &DiffReport, exit_code: bool) -> ExitCode {
    // Told of by problems, but for rows of which the filters keep only the other one.
    tally.lost = tally.lost.max(report.files_unknown);
    if exit_code && !report.is_same() && (tally.damaged_keys, tally.lost) == (0, 0) {
        return ExitCode::from(DIFFER);
    }
    tally.exit_code()
}

/// Unlocks one of the backups, if it is locked.
fn unlock(
    side: Side,
    opened: &mut [Opened; 2],
    passwords: &mut Passwords<'_>,
) -> Result<(), CommandError> {
    let [a, b] = opened;
    let place = match side {
        Side::A => a,
        Side::B => b,
    };
    if let Opened::Locked(locked) = place {
        let unlocked = passwords.unlock(side, locked).map_err(|error| about(error, side))?;
        *place = Opened::Unlocked(unlocked);
    }
    Ok(())
}

fn about(error: CommandError, side: Side) -> CommandError {
    error.help(format!("this is about backup {side}"))
}

fn failed(error: DiffError, ui: &Ui) -> CommandError {
    match error {
        DiffError::Cancelled => ui.stop.error(),
        DiffError::Bundle { side, source } => about(source.into(), side),
        DiffError::Read { side, source: RunError::Source(source) } => about(source.into(), side),
        DiffError::Read { side, source: RunError::Sink(source) } => {
            about(CommandError::of(Kind::Failed, source.code(), &source), side)
        }
        DiffError::Output(error) => CommandError::stdout(&error),
        error => CommandError::of(Kind::Failed, "run-failed", &error),
    }
}
