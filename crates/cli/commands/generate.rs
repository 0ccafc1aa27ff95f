//! `bkp generate`: a synthetic backup for tests and measurements.
//!
//! What it holds follows from a seed; how it is stored is the business of the writer of all other
//! bundles. The generator of the tests writes the same plan by code of its own, and a test holds
//! the two against each other.

use std::io::{self, Write};
use std::num::{NonZeroU32, NonZeroUsize};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use bkp_toolkit::core::{Hex, RunError};
use bkp_toolkit::crypto::{KdfParams, KdfProgress, Passphrase};
use bkp_toolkit::restore::{BundleSummary, RunCounts, RunOutput};
use bkp_toolkit::synth::{Counts, Digests, Filler, Plan, SizeMix, SynthSpec};
use bkp_toolkit::{GenerateError, GenerateLock, GenerateOptions, generate};

use crate::args::{Format, PasswordArgs, parse_size};
use crate::destination::refuse_full;
use crate::display::{Name, Rfc3339, Size};
use crate::error::{CommandError, Kind};
use crate::json::SCHEMA_VERSION;
use crate::password;
use crate::progress::Progress;
use crate::record;
use crate::ui::Ui;

/// Write a synthetic backup for tests and measurements
///
/// Names, sizes and databases have the shape of a real device's; the content is noise, and there
/// is no keychain. All content follows from the seed: the same options give the same files, and
/// without encryption the same bytes of the whole backup. Keys do not follow from it: those of an
/// encrypted backup are random. OUT appears at the end, by one rename; beside it OUT.bkp-run.json
/// tells what was done.
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

    /// Which files carry a digest
    #[arg(long, value_name = "WHICH", default_value = "by-domain")]
    digests: DigestsArg,

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
    #[arg(value_parser = rounds)]
    kdf_iterations: Option<NonZeroU32>,

    /// Make files of zeros that take no space; not for encrypted backups
    #[arg(long)]
    sparse: bool,

    /// Write nothing; say what would be written
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Write one JSON document, and errors as JSON
    #[arg(long)]
    json: bool,

    /// Number of worker threads; the content does not depend on it [default: one for each processor]
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

/// With the second stage, the most that this program opens unless told otherwise.
const MOST_ROUNDS: u32 = 50_000_000 - KdfParams::DEVICE_ROUNDS.get();
/// The most files and rows.
const MOST: usize = 1_000_000_000;

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count <= MOST => Ok(count),
        Ok(_) => Err(format!("at most {MOST}")),
        Err(_) => Err("not a number".to_owned()),
    }
}

fn rounds(text: &str) -> Result<NonZeroU32, String> {
    match text.parse::<NonZeroU32>() {
        Ok(rounds) if rounds.get() <= MOST_ROUNDS => Ok(rounds),
        _ => Err(format!("not a number from 1 to {MOST_ROUNDS}")),
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

/// Which files carry a digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum DigestsArg {
    /// Those of the domains whose files do on a device
    ByDomain,
    /// All of them
    All,
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

    fn spec(&self) -> SynthSpec {
        let Self { seed, files, total, rows, fill, digests, dist, sparse, .. } = self;
        SynthSpec {
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
            digests: match digests {
                DigestsArg::ByDomain => Digests::ByDomain,
                DigestsArg::All => Digests::All,
            },
            sparse: *sparse,
        }
    }

    /// Refuses what makes no sense together.
    fn check(&self) -> Result<(), CommandError> {
        let usage = |message| Err(CommandError::new(Kind::Usage, "usage", message));
        if self.sparse && self.encrypted {
            return usage("--sparse cannot be used with --encrypted: ciphertext is never sparse");
        }
        if password::is_given(&self.password) && !self.encrypted {
            return usage("a password is given, and --encrypted is not");
        }
        if self.files == 0 && self.total.is_some_and(|total| total > 0) {
            return usage("--total needs files to hold the bytes");
        }
        Ok(())
    }
}

pub(crate) fn run(args: &GenerateArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let GenerateArgs { output, dry_run, .. } = args;
    let started = Rfc3339::now();
    args.check()?;
    let plan = Plan::new(&args.spec(), None)
        .map_err(|error| CommandError::of(Kind::Usage, "usage", &error))?;
    let planned = plan.counts();
    refuse_full(output)?;
    let mut summary = Summary::new(args, &planned);
    if !dry_run {
        let made = write(args, &plan, ui)?;
        let written = (made.stored_bytes, made.files);
        if written != (summary.blob_bytes, summary.blobs as u64) {
            let message = "the backup does not hold what was planned";
            return Err(CommandError::new(Kind::Failed, "generator-contradicts-itself", message));
        }
        let rows = planned.rows as u64;
        let counts = RunCounts { listed: rows, done: rows, ..RunCounts::default() };
        let manifest_sha256 = Hex(&made.catalog_sha256).to_string();
        let made = RunOutput { manifest_sha256 };
        let record = record::write_generated("generate", started, counts, made, output)?;
        summary.run_record = Some(record.to_string_lossy().into_owned());
    }
    ui.answer(&summary, |out| summary.write_text(out, output))?;
    Ok(ExitCode::SUCCESS)
}

fn write(args: &GenerateArgs, plan: &Plan, ui: &Ui) -> Result<BundleSummary, CommandError> {
    let GenerateArgs { output, encrypted, kdf_iterations, threads, password, .. } = args;
    let passphrase = match encrypted {
        true => Some(Passphrase::new(password::read(password, &ui.stop).map_err(asked_in_vain)?)),
        false => None,
    };
    let lock = passphrase
        .as_ref()
        .map(|passphrase| GenerateLock { passphrase, kdf_rounds: *kdf_iterations });
    let options = GenerateOptions { target: output.clone(), threads: *threads };
    let progress = Progress::new(ui).doing("generating");
    let mut derived = |KdfProgress { done, total }| progress.key_derivation(done, total);
    let made = generate(plan, lock.as_ref(), &options, &mut derived, &progress);
    progress.finish();
    made.map_err(|error| failed(error, ui))
}

fn failed(error: GenerateError, ui: &Ui) -> CommandError {
    match error {
        _ if ui.stop.requested() => ui.stop.error(),
        GenerateError::Run(error) => match *error {
            RunError::Sink(error) => {
                let mut failed = CommandError::of_fault(&error);
                if failed.code == "destination-not-empty" {
                    failed.help = vec!["name a new folder".to_owned()];
                }
                failed
            }
            RunError::Cancelled => ui.stop.error(),
            error => CommandError::of(Kind::Failed, "run-failed", &error),
        },
        error => CommandError::of(Kind::Failed, "cannot-write", &error),
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
    kdf_iterations: Option<NonZeroU32>,
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
        let Counts { rows, files, directories, symlinks, missing, bytes, padded_bytes } = *counts;
        let rounds = args.kdf_iterations.unwrap_or(KdfParams::DEVICE_OUTER_ROUNDS);
        Self {
            schema_version: SCHEMA_VERSION,
            kind: "generate",
            dry_run: args.dry_run,
            destination: args.output.to_string_lossy().into_owned(),
            run_record: None,
            seed: args.seed,
            encrypted: args.encrypted,
            kdf_iterations: args.encrypted.then_some(rounds),
            sparse: args.sparse,
            entries: rows,
            files,
            directories,
            symlinks,
            bytes,
            blobs: files - missing,
            blob_bytes: if args.encrypted { padded_bytes } else { bytes },
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
            Some(rounds) => {
                format!("encrypted with {rounds} + {} rounds", KdfParams::DEVICE_ROUNDS)
            }
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
