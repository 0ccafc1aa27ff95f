//! `bkp verify`: whether a backup is what it says it is.

mod text;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use bkp_toolkit::bundle::{Bundle, Opened};
use bkp_toolkit::core::{Entry, Monitor, Problem, RunError, Stage};
use bkp_toolkit::{
    Finding, RecordedRun, Restorable, Subset, Verification, VerifyError, VerifyOptions,
};

use crate::args::{BackupArgs, Format, PasswordArgs};
use crate::display::Name;
use crate::error::{CommandError, Kind};
use crate::json::{SCHEMA_VERSION, write_line};
use crate::open::{self, Found};
use crate::password;
use crate::progress::Progress;
use crate::ui::{self, Ui};

/// Check that a backup is whole and unchanged
///
/// The property lists, every row of the catalog and every payload are checked, and payloads are
/// compared with their digests. That needs no password where the catalog can be read without one.
/// Files of apps, of the camera roll and of media carry no digest on any device: they are counted
/// as such, and --read-data is the most that can be done about them.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    backup: BackupArgs,

    /// Decrypt every file, and check its key, padding and size besides its digest
    #[arg(long)]
    read_data: bool,

    /// Read a part of the files: N/T, X% or SIZE; the others are looked at and not read
    ///
    /// The choice is by file id and always the same: 1/10 to 10/10 read everything once. Implies
    /// --read-data.
    #[arg(long, value_name = "SUBSET")]
    read_data_subset: Option<Subset>,

    /// Have SQLite look through every database, in memory; implies --read-data
    #[arg(long)]
    sqlite: bool,

    /// Compare with the run record of an earlier extraction: the device, the catalog, the count of
    /// entries and, of one made with --hash, the content of every file
    #[arg(long, value_name = "RUN.json")]
    against: Option<PathBuf>,

    /// Judge the backup as a device would before and during a restore, before a device is at hand
    ///
    /// Versions, keys of the property lists, the shape of keybag and catalog, what every row needs,
    /// and the keybag that the keychain is for. What makes a restore fail is damage.
    #[arg(long)]
    restorable: bool,

    /// Show every problem, not only the first few of each kind
    #[arg(short = 'v', long, visible_alias = "verbose")]
    all: bool,

    /// Write one JSON document, and errors as JSON
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,

    /// Write one JSON object a problem, the last one a summary, and errors as JSON
    #[arg(long)]
    jsonl: bool,

    /// Number of worker threads [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    password: PasswordArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp verify BACKUP
  bkp verify BACKUP --restorable --read-data --sqlite --password-file pw.txt
  bkp verify BACKUP --against OUT.bkp-run.json --password-file pw.txt

Exit codes:
  0 sound                         4 warnings only, nothing lost
  10 not a backup                 12 wrong password
  13 a password is needed         15 key material damaged
  20 damage was found             21 hostile content refused
  33 permission denied            130, 143 interrupted";

/// Problems of one kind that are shown, unless all are.
const FEW: usize = 5;
/// The exit code of warnings alone.
const WARNED: u8 = 4;

impl VerifyArgs {
    pub(crate) fn format(&self) -> Format {
        match (self.json, self.jsonl) {
            (true, _) => Format::Json,
            (_, true) => Format::JsonLines,
            _ => Format::Text,
        }
    }

    /// Returns true if files are to be decrypted.
    fn reads(&self) -> bool {
        self.read_data || self.sqlite || self.read_data_subset.is_some()
    }
}

pub(crate) fn run(args: &VerifyArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    check(args, ui).map_err(|error| match error.code {
        // Too damaged to be checked any further.
        "plist-damaged" | "catalog-damaged" => CommandError { kind: Kind::Damaged, ..error },
        _ => error,
    })
}

fn check(args: &VerifyArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let VerifyArgs { backup, read_data_subset, sqlite, all, threads, password, against, .. } = args;
    let against = against.as_deref().map(recorded).transpose()?;
    let reads_files = args.reads() || against.as_ref().is_some_and(|run| !run.files.is_empty());
    let Found { path, bundle, archive } = open::find(backup, ui)?;
    let restorable = args.restorable.then(|| Restorable { names: names_in(&bundle) });
    let progress = Progress::new(ui).doing("verifying");
    // Digests need no password, so none is asked for where the catalog has them in clear.
    let stored = match reads_files || password::is_given(password) {
        true => None,
        false => bundle.open_stored()?,
    };
    let opened = match stored {
        Some(locked) => Opened::Locked(locked),
        None => {
            let opened = bundle.open_catalog()?;
            Opened::Unlocked(open::unlocked(opened, password, ui, &progress)?)
        }
    };
    let keep = match (ui.format, all) {
        (Format::Text, true) => usize::MAX,
        (Format::Text, false) => FEW,
        _ => 0, // written as they come
    };
    let options = VerifyOptions {
        read_data: args.reads(),
        subset: *read_data_subset,
        databases: *sqlite,
        threads: *threads,
        keep,
        against,
        restorable,
        archive,
    };
    let output = Output { format: ui.format, sink: Mutex::new(Sink::new()?), progress: &progress };
    output.sink().begin(ui.format);
    let result = bkp_toolkit::verify(&opened, &options, &output);
    let Sink { mut out, failed, .. } =
        output.sink.into_inner().unwrap_or_else(PoisonError::into_inner);
    progress.finish();
    let verification = match (failed, result) {
        (Some(error), _) => return Err(CommandError::stdout(&error)),
        (None, Err(error)) => {
            // What was found so far is told, also where it is no whole document.
            let _ = out.flush();
            return Err(refused(error, ui));
        }
        (None, Ok(verification)) => verification,
    };
    let written = match ui.format {
        Format::Text => text::write(&mut out, &path, &verification, ui::stdout_styles()),
        Format::Json => end_document(&mut out, &verification),
        Format::JsonLines => {
            write_line(&mut out, &Line { r#type: "summary", value: &verification })
        }
    };
    written.and_then(|()| out.flush()).map_err(|error| CommandError::stdout(&error))?;
    Ok(match (verification.damage, verification.warnings) {
        (1.., _) => Kind::Damaged.into(),
        (0, 1..) => ExitCode::from(WARNED),
        (0, 0) => ExitCode::SUCCESS,
    })
}

/// Lists the top of the bundle. What cannot be listed here cannot be read as a backup either.
fn names_in(bundle: &Bundle) -> Vec<String> {
    let mut names = Vec::new();
    let listed = bundle.storage().list("", &mut |name, _| names.push(name.to_owned()));
    if listed.is_err() { Vec::new() } else { names }
}

/// Reads a run record.
fn recorded(path: &Path) -> Result<Arc<RecordedRun>, CommandError> {
    let name = Name::of(path);
    let cannot = |code, error: &dyn std::fmt::Display| {
        let message = format!("cannot read the run record {name}: {error}");
        CommandError::new(Kind::Failed, code, message)
    };
    let file = File::open(path).map_err(|error| cannot("cannot-read", &error))?;
    serde_json::from_reader(BufReader::new(file))
        .map(Arc::new)
        .map_err(|error| cannot("bad-record", &error))
}

fn refused(error: VerifyError, ui: &Ui) -> CommandError {
    match error {
        VerifyError::Cancelled => ui.stop.error(),
        VerifyError::Bundle(error) | VerifyError::Run(RunError::Source(error)) => error.into(),
        VerifyError::CatalogLocked | VerifyError::DataLocked => {
            CommandError::of(Kind::PasswordNeeded, "password-needed", &error)
        }
        VerifyError::Archive(error) => CommandError::of_fault(&error),
        error => CommandError::of(Kind::Failed, "run-failed", &error),
    }
}

/// A line of `--jsonl`.
#[derive(Serialize)]
struct Line<'v, T> {
    r#type: &'static str,
    #[serde(flatten)]
    value: &'v T,
}

/// Ends the document whose array of problems is open.
fn end_document(out: &mut dyn Write, verification: &Verification) -> io::Result<()> {
    let mut rest = serde_json::to_value(verification)?;
    if let Some(fields) = rest.as_object_mut() {
        for begun in ["schema_version", "kind", "problems"] {
            fields.remove(begun);
        }
    }
    let rest = serde_json::to_vec(&rest)?;
    out.write_all(b"\n],")?;
    out.write_all(rest.get(1..).unwrap_or_default())?;
    out.write_all(b"\n")
}

/// Takes findings as they come, and hands the rest of the news to the progress.
struct Output<'p> {
    format: Format,
    sink: Mutex<Sink>,
    progress: &'p Progress<'p>,
}

/// Where findings are written.
struct Sink {
    out: BufWriter<File>,
    any: bool,
    /// The first failure to write, which ends the command.
    failed: Option<io::Error>,
}

impl Sink {
    fn new() -> Result<Self, CommandError> {
        Ok(Self { out: ui::stdout()?, any: false, failed: None })
    }

    fn begin(&mut self, format: Format) {
        if format == Format::Json {
            let written = write!(
                self.out,
                "{{\"schema_version\":{SCHEMA_VERSION},\"kind\":\"verify\",\"problems\":["
            );
            self.failed = written.err();
        }
    }

    fn write(&mut self, format: Format, finding: &Finding) {
        if self.failed.is_some() {
            return;
        }
        let out = &mut self.out;
        let written = match format {
            Format::Text => Ok(()),
            Format::JsonLines => write_line(out, &Line { r#type: "problem", value: finding }),
            Format::Json => out
                .write_all(if self.any { b",\n" } else { b"\n" })
                .and_then(|()| serde_json::to_writer(&mut *out, finding).map_err(Into::into)),
        };
        self.any = true;
        self.failed = written.err();
    }
}

impl Output<'_> {
    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Monitor for Output<'_> {
    fn advanced(&self, stage: Stage, entry: &Entry, bytes: u64) {
        self.progress.advanced(stage, entry, bytes);
    }

    fn problem(&self, problem: Problem<'_>) {
        let fault: &(dyn std::error::Error + 'static) = problem.fault;
        if let Some(finding) = fault.downcast_ref() {
            self.sink().write(self.format, finding);
        }
    }

    fn cancelled(&self) -> bool {
        self.progress.cancelled() || self.sink().failed.is_some()
    }
}
