//! `bkp generate`: a synthetic backup for tests and measurements.
//!
//! The bundle is written by the generator of the tests, `bkp-testkit`, which shares no code with
//! what reads bundles. That makes it a second opinion, and a poor keeper of secrets: it holds the
//! password in ordinary memory and derives all keys from the seed. Whoever knows the seed can open
//! the bundle; it is made of noise, and protects nothing.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use secrecy::ExposeSecret as _;
use serde::Serialize;

use bkp_testkit::{BulkProgress, BulkSpec, Counts, Encryption, Filler, SizeMix};
use bkp_toolkit::core::Fault as _;
use bkp_toolkit::restore::{RestoreError, RunCounts, Staging};

use crate::args::{Format, PasswordArgs, parse_size};
use crate::display::{Name, Rfc3339, Size};
use crate::error::{CommandError, Kind};
use crate::json::{SCHEMA_VERSION, write_line};
use crate::password;
use crate::progress::Progress;
use crate::record;
use crate::ui::{self, Ui};

/// Write a synthetic backup for tests and measurements
///
/// Names, sizes and databases have the shape of a real device's; the content is noise. Everything
/// follows from the seed: the same options give the same bytes. OUT appears at the end, by one
/// rename; beside it OUT.bkp-run.json tells what was done. Keys follow from the seed too, so
/// encryption hides nothing here.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct GenerateArgs {
    /// The folder to write, new or empty
    #[arg(value_name = "OUT")]
    output: PathBuf,

    /// What everything follows from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Number of files
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = count)]
    files: usize,

    /// Bytes of all files together (10M, 1GiB) [default: as the sizes are drawn]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    total: Option<u64>,

    /// Number of rows in the catalog; what files and their folders leave is filled up
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count)]
    rows: usize,

    /// What rows are filled up with
    #[arg(long, value_name = "WHAT", default_value = "folders")]
    fill: FillArg,

    /// How sizes are spread
    #[arg(long, value_name = "HOW", default_value = "mixed")]
    dist: DistArg,

    /// Make a backup that is not encrypted; this is the default
    #[arg(long, conflicts_with = "encrypted")]
    plain: bool,

    /// Make an encrypted backup
    #[arg(long)]
    encrypted: bool,

    /// Rounds of the first stage of key derivation; the second has 10,000 [default: 10000000]
    #[arg(long, value_name = "N", requires = "encrypted")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=MOST_ROUNDS))]
    kdf_iterations: Option<u32>,

    /// Make files of zeros that take no space; not for encrypted backups
    #[arg(long)]
    sparse: bool,

    /// Write nothing; say what would be written
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Write one JSON document, and errors as JSON
    #[arg(long)]
    json: bool,

    /// Number of worker threads; the bytes do not depend on it [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    password: PasswordArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp generate OUT --seed 7 --files 3000 --total 1GiB
  bkp generate OUT --files 20000 --dist small --encrypted --password-file pw.txt
  bkp generate OUT --files 3000 --total 100G --sparse --rows 1000000

Exit codes:
  0 written                       2 usage
  13 a password is needed         30 OUT is not empty
  32 no space left                33 permission denied
  130, 143 interrupted, and nothing is left of OUT";

/// Rounds of a device's first stage of key derivation (FORMAT.md 3).
const ROUNDS: u32 = 10_000_000;
/// Rounds of the second stage.
const SECOND_ROUNDS: u32 = 10_000;
/// With the second stage, the most that this program opens unless told otherwise.
const MOST_ROUNDS: i64 = 50_000_000 - SECOND_ROUNDS as i64;
/// The most files and rows.
const MOST: usize = 1_000_000_000;

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count <= MOST => Ok(count),
        Ok(_) => Err(format!("at most {MOST}")),
        Err(_) => Err("not a number".to_owned()),
    }
}

/// What rows are filled up with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum FillArg {
    /// Directories and symbolic links: the backup is sound
    Folders,
    /// Files whose payload is missing: the backup is damaged, and its rows are larger
    MissingFiles,
}

/// How sizes are spread.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum DistArg {
    /// As on a device: most files are small, and most bytes are in few of them
    Mixed,
    /// Evenly between 200 bytes and 16 KiB
    Small,
}

impl GenerateArgs {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }

    /// Returns what is to be written, but for the password.
    fn spec(&self) -> BulkSpec {
        let Self { output: _, seed, files, total, rows, fill, dist, plain: _, .. } = self;
        let Self { encrypted: _, kdf_iterations: _, sparse, dry_run: _, json: _, .. } = self;
        let Self { threads, password: _, .. } = self;
        BulkSpec {
            seed: *seed,
            files: *files,
            total: *total,
            mix: match dist {
                DistArg::Mixed => SizeMix::Mixed,
                DistArg::Small => SizeMix::Small,
            },
            rows: *rows,
            filler: match fill {
                FillArg::Folders => Filler::Folders,
                FillArg::MissingFiles => Filler::MissingFiles,
            },
            sparse: *sparse,
            encryption: None,
            threads: *threads,
        }
    }

    /// Returns how the bundle is encrypted, under a password that is yet to come.
    fn encryption(&self) -> Option<Encryption> {
        let dpic = Some(self.kdf_iterations.unwrap_or(ROUNDS));
        let password = String::new();
        self.encrypted.then_some(Encryption { password, dpic, iterations: SECOND_ROUNDS })
    }

    /// Refuses what makes no sense together.
    fn check(&self) -> Result<(), CommandError> {
        let usage = |message| Err(CommandError::new(Kind::Usage, "usage", message));
        let PasswordArgs { password_file, password_command, password_fd, password_empty } =
            &self.password;
        let given = password_file.is_some()
            || password_command.is_some()
            || password_fd.is_some()
            || *password_empty;
        if self.sparse && self.encrypted {
            return usage("--sparse cannot be used with --encrypted: ciphertext is never sparse");
        }
        if given && !self.encrypted {
            return usage("a password is given, and --encrypted is not");
        }
        if self.files == 0 && self.total.is_some_and(|total| total > 0) {
            return usage("--total needs files to hold the bytes");
        }
        Ok(())
    }
}

pub(crate) fn run(args: &GenerateArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let GenerateArgs { output, dry_run, password, .. } = args;
    let started = Rfc3339::now();
    args.check()?;
    let mut spec = BulkSpec { encryption: args.encryption(), ..args.spec() };
    let planned = spec.plan().map_err(|error| failed(&error, ui))?;
    refuse_full(output)?;
    let mut summary = Summary::new(args, &planned);
    if !dry_run {
        if let Some(encryption) = &mut spec.encryption {
            let read = password::read(password, &ui.stop).map_err(asked_in_vain)?;
            read.expose_secret().clone_into(&mut encryption.password);
        }
        let written = write(&spec, output, &planned, ui);
        if let Some(encryption) = &mut spec.encryption {
            zeroize::Zeroize::zeroize(&mut encryption.password);
        }
        written?;
        let rows = planned.rows as u64;
        let counts = RunCounts { listed: rows, done: rows, ..RunCounts::default() };
        let record = record::write_generated("generate", started, counts, output)?;
        summary.run_record = Some(record.to_string_lossy().into_owned());
    }
    let mut out = ui::stdout()?;
    let written = match ui.format {
        Format::Text => summary.write_text(&mut out, output),
        _ => write_line(&mut out, &summary),
    };
    written.and_then(|()| out.flush()).map_err(|error| CommandError::stdout(&error))?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the bundle out of sight and moves it into place.
fn write(spec: &BulkSpec, output: &Path, planned: &Counts, ui: &Ui) -> Result<(), CommandError> {
    let staging = Staging::begin(output, false).map_err(|error| not_staged(&error))?;
    let progress = Progress::new(ui);
    let rows = planned.rows as u64;
    let watch = |done: BulkProgress| {
        if let BulkProgress::Payloads { entries, bytes } = done {
            // Workers are some entries ahead of the last one that is wanted.
            let entries = (entries.min(rows), rows);
            progress.phase("generating", (bytes, planned.content_bytes), entries);
        }
        if ui.stop.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let written = spec.write_watched(&staging.path(), &watch);
    progress.finish();
    let written = written.map_err(|error| failed(&error, ui))?;
    if written != *planned {
        let message = "the generator did not write what it had planned";
        return Err(CommandError::new(Kind::Failed, "generator-contradicts-itself", message));
    }
    staging.finish().map_err(|error| not_staged(&error))?;
    Ok(())
}

fn failed(error: &io::Error, ui: &Ui) -> CommandError {
    match error.kind() {
        io::ErrorKind::Interrupted if ui.stop.requested() => ui.stop.error(),
        io::ErrorKind::InvalidInput => CommandError::of(Kind::Usage, "usage", error),
        _ => CommandError::of(Kind::Failed, "cannot-write", error),
    }
}

fn not_staged(error: &RestoreError) -> CommandError {
    let mut failed = CommandError::of_fault(error);
    if error.code() == "destination-not-empty" {
        failed.help = vec!["name a new folder".to_owned()];
    }
    failed
}

/// Refuses a destination that has something in it, before a password is asked for, which takes a
/// person's time. Anything else that may be wrong with it is found when it is written.
fn refuse_full(output: &Path) -> Result<(), CommandError> {
    match std::fs::read_dir(output).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(not_staged(&RestoreError::DestinationNotEmpty { path: output.to_owned() })),
        _ => Ok(()),
    }
}

/// Says that the password is for a backup that is to be.
fn asked_in_vain(error: CommandError) -> CommandError {
    match error.code {
        "password-needed" => {
            let message = "an encrypted backup needs a password, and none was given".to_owned();
            CommandError { message, ..error }
        }
        _ => error,
    }
}

/// What was written, or would be.
#[derive(Debug, Serialize)]
struct Summary {
    schema_version: u32,
    kind: &'static str,
    dry_run: bool,
    destination: String,
    run_record: Option<String>,
    seed: u64,
    encrypted: bool,
    kdf_iterations: Option<u32>,
    sparse: bool,
    /// Rows in the catalog.
    entries: usize,
    files: usize,
    directories: usize,
    symlinks: usize,
    /// Bytes of all files, before encryption.
    bytes: u64,
    /// Payloads on the disk; fewer than files when some are missing.
    blobs: usize,
    /// Bytes of all payloads as they are stored.
    blob_bytes: u64,
}

impl Summary {
    fn new(args: &GenerateArgs, counts: &Counts) -> Self {
        let Counts { rows, files, directories, symlinks, other: _, .. } = *counts;
        let Counts { content_bytes, blobs, blob_bytes, .. } = *counts;
        Self {
            schema_version: SCHEMA_VERSION,
            kind: "generate",
            dry_run: args.dry_run,
            destination: args.output.to_string_lossy().into_owned(),
            run_record: None,
            seed: args.seed,
            encrypted: args.encrypted,
            kdf_iterations: args.encryption().and_then(|encryption| encryption.dpic),
            sparse: args.sparse,
            entries: rows,
            files,
            directories,
            symlinks,
            bytes: content_bytes,
            blobs,
            blob_bytes,
        }
    }

    fn write_text(&self, out: &mut dyn Write, output: &Path) -> io::Result<()> {
        let Self { seed, entries, files, directories, symlinks, bytes, blobs, blob_bytes, .. } =
            self;
        let verb = if self.dry_run { "would write" } else { "wrote" };
        writeln!(
            out,
            "{verb} {files} files ({}), {directories} directories and {symlinks} symbolic links to {}",
            Size(*bytes),
            Name(output.as_os_str().as_bytes())
        )?;
        let lock = match self.kdf_iterations {
            Some(rounds) => format!("encrypted with {rounds} + {SECOND_ROUNDS} rounds"),
            None => "not encrypted".to_owned(),
        };
        let sparse = if self.sparse { ", of zeros that take no space" } else { "" };
        writeln!(
            out,
            "{entries} entries from seed {seed}, {lock}; {blobs} payloads of {}{sparse}",
            Size(*blob_bytes)
        )?;
        match &self.run_record {
            Some(record) => writeln!(out, "run record: {}", Name(record.as_bytes())),
            None => writeln!(out, "nothing was written"),
        }
    }
}
