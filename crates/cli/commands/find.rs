//! `bkp find`: entries by name, by what the catalog says of them, and by what they hold.

mod hashes;
mod query;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::builder::NonEmptyStringValueParser;

use bkp_toolkit::bundle::{Backup, BundlePayloads, Catalog, Opened, Unlocked};
use bkp_toolkit::core::{Entry, Monitor, Problem, RunError, Select as _, Source as _, Stage};
use bkp_toolkit::{HashError, hash_files};

use crate::args::{
    BackupArgs, ExplainArg, FilterArgs, Format, ListingArgs, PasswordArgs, parse_size,
};
use crate::error::{CommandError, Kind};
use crate::explain::explain;
use crate::listing::{Listing, Look};
use crate::open::{self, damaged_keys};
use crate::password;
use crate::problems::Item;
use crate::progress::Progress;
use crate::rules;
use crate::ui::{self, Ui};
use hashes::{HashArg, Hashes};
use query::Query;

/// Find entries by name, size, time, app or content
///
/// An entry is found when any of the patterns matches it and no filter stops it; without patterns,
/// the filters alone decide. Entries come in the order of the catalog. Nothing found is an answer
/// too, and no failure.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct FindArgs {
    #[command(flatten)]
    backup: BackupArgs,

    /// Globs for the last part of the name ('*.sqlite'), or with ":" for DOMAIN:PATH, or with "/"
    /// alone for a path in any domain
    ///
    /// A pattern stands for the entry itself: what is below a folder is found with
    /// 'DOMAIN:PATH/**'. "*" stays within a folder, "**" does not.
    #[arg(value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    patterns: Vec<String>,

    #[command(flatten)]
    listing: ListingArgs,

    /// Tell the SHA-256 of each file, which decrypts and reads it
    #[arg(long, conflicts_with = "null")]
    hash: bool,

    /// Find files of which the content has this SHA-256; may be given again
    #[arg(long, value_name = "HEX", help_heading = "Content")]
    sha256: Vec<HashArg>,

    /// Read SHA-256 hashes from FILE, one at the start of each line, as sha256sum writes them
    #[arg(long, value_name = "FILE", help_heading = "Content")]
    sha256_file: Vec<PathBuf>,

    /// Find files larger than SIZE (10M, 1GiB), by the size that the catalog states
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Filters")]
    larger: Option<u64>,

    /// Find files smaller than SIZE
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Filters")]
    smaller: Option<u64>,

    #[command(flatten)]
    password: PasswordArgs,

    #[command(flatten)]
    filters: FilterArgs,

    #[command(flatten)]
    explain: ExplainArg,
}

const AFTER_HELP: &str = "\
Examples:
  bkp find BACKUP '*.sqlite' '*.db' --larger 1M -l
  bkp find BACKUP 'AppDomain-*:Documents/**' --newer 2024-05-01 --type file
  bkp find BACKUP --sha256-file known.txt --password-file pw.txt --jsonl

Exit codes:
  0 searched, whether or not anything was found
  3 some rows or files could not be read (reported)
  4 searched, with warnings only  10 not a backup
  12 wrong password               13 a password is needed
  15 key material damaged         21 hostile content refused";

impl FindArgs {
    pub(crate) fn format(&self) -> Format {
        self.listing.format()
    }
}

pub(crate) fn run(args: &FindArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let FindArgs { backup, listing, hash, sha256, sha256_file, password, .. } = args;
    let FindArgs { patterns, larger, smaller, filters, explain: asked, .. } = args;
    let wanted = Hashes::of(sha256, sha256_file)?;
    let query = Query::new(patterns, filters, (*larger, *smaller), wanted.is_some())?;
    let with_hash = *hash || wanted.is_some();
    let look = Look {
        kind: "find",
        long: listing.long,
        null: listing.null,
        hash: *hash || (wanted.is_some() && ui.format != Format::Text),
    };
    let (_, opened) = open::open(backup, ui)?;
    if let ExplainArg { explain: Some(name) } = asked {
        let judge = |entry: &Entry| query.explain(entry);
        return explain(opened, name, &judge, password, ui, &Progress::new(ui));
    }
    let search = Search { query, wanted, look, ui };
    if !with_hash
        && let Opened::Locked(locked) = &opened
        && let Some(catalog) = locked.catalog()
        && !password::is_given(password)
    {
        return search.names(catalog, &locked.payloads(), 0);
    }
    let progress = Progress::new(ui).doing("hashing");
    let backup = open::unlocked(opened, password, ui, &progress)?;
    let damaged_keys = damaged_keys(&backup);
    if with_hash {
        let found = search.contents(&backup, &progress, damaged_keys);
        progress.finish();
        return found;
    }
    progress.finish();
    search.names(backup.catalog(), backup.payloads(), damaged_keys)
}

struct Search<'u> {
    query: Query,
    /// The hashes that are looked for, when any are.
    wanted: Option<Hashes>,
    look: Look,
    ui: &'u Ui,
}

impl<'u> Search<'u> {
    fn begin(&self, payloads: &BundlePayloads) -> Result<Listing<'u>, CommandError> {
        Listing::begin(ui::stdout()?, self.ui, payloads, self.look).map_err(|e| stdout(&e))
    }

    /// Looks at the catalog alone.
    fn names(
        &self,
        catalog: &Catalog,
        payloads: &BundlePayloads,
        damaged_keys: usize,
    ) -> Result<ExitCode, CommandError> {
        let mut listing = self.begin(payloads)?;
        for record in catalog.records() {
            self.ui.stop.check()?;
            let written = match record {
                Err(error) => listing.problem(Item::new(None, &error)),
                Ok(record) if self.query.judge(record.as_ref()).is_keep() => {
                    listing.entry(record.as_ref())
                }
                Ok(_) => Ok(()),
            };
            written.map_err(|error| stdout(&error))?;
        }
        self.end(listing, None, damaged_keys)
    }

    /// Decrypts and hashes every file that nothing else rules out.
    fn contents(
        &self,
        backup: &Backup<Unlocked>,
        progress: &Progress<'_>,
        damaged_keys: usize,
    ) -> Result<ExitCode, CommandError> {
        let listing = Mutex::new(self.begin(backup.payloads())?);
        let hunt = Hunt { listing, progress, failed: Mutex::new(None) };
        let mut hashed = 0u64;
        let report = hash_files(
            backup,
            &self.query,
            None,
            &mut |entry, hash| {
                hashed += u64::from(hash.is_some());
                let found = match (&self.wanted, hash) {
                    (None, _) => true,
                    (Some(wanted), Some(hash)) => wanted.contains(hash),
                    (Some(_), None) => false,
                };
                if found { hunt.write(|listing| listing.hashed(entry, hash)) } else { Ok(()) }
            },
            &hunt,
        );
        let Hunt { listing, progress: _, failed } = hunt;
        match report {
            Ok(_) => {}
            Err(RunError::Source(error)) => return Err(error.into()),
            Err(RunError::Sink(HashError::Output(error))) => return Err(stdout(&error)),
            Err(RunError::Sink(error)) => return Err(CommandError::of_fault(&error)),
            Err(RunError::Cancelled) => {
                let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
                return Err(failed.map_or_else(|| self.ui.stop.error(), |error| stdout(&error)));
            }
            Err(error) => return Err(CommandError::of(Kind::Failed, "run-failed", &error)),
        }
        let listing = listing.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.end(listing, Some(hashed), damaged_keys)
    }

    fn end(
        &self,
        mut listing: Listing<'_>,
        hashed: Option<u64>,
        damaged_keys: usize,
    ) -> Result<ExitCode, CommandError> {
        for item in rules::unmatched(self.query.rules()) {
            listing.problem(item).map_err(|error| stdout(&error))?;
        }
        let nothing = listing.entries() == 0;
        listing.files_hashed(hashed);
        let mut tally = listing.end().map_err(|error| stdout(&error))?;
        tally.damaged_keys = damaged_keys;
        match hashed {
            _ if !nothing => {}
            None => self.ui.note("nothing found"),
            Some(hashed) => self.ui.note(&format!("nothing found; files hashed: {hashed}")),
        }
        Ok(tally.exit_code())
    }
}

/// A search through contents, under way. All is written from the thread that began it; the locks
/// are there because a monitor is shared.
struct Hunt<'h, 'u> {
    listing: Mutex<Listing<'u>>,
    progress: &'h Progress<'u>,
    /// Why a problem could not be written, which a monitor cannot return.
    failed: Mutex<Option<io::Error>>,
}

impl<'u> Hunt<'_, 'u> {
    /// Writes to the listing, beside which the bar may be on the terminal.
    fn write(&self, write: impl FnOnce(&mut Listing<'u>) -> io::Result<()>) -> io::Result<()> {
        let mut listing = lock(&self.listing);
        self.progress.suspend(|| {
            write(&mut listing)?;
            // A person sees what was found when it is found.
            if self.progress.is_bar() { listing.flush() } else { Ok(()) }
        })
    }
}

impl Monitor for Hunt<'_, '_> {
    fn advanced(&self, stage: Stage, entry: &Entry, bytes: u64) {
        self.progress.advanced(stage, entry, bytes);
    }

    fn problem(&self, problem: Problem<'_>) {
        let Problem { entry, fault } = problem;
        let item = Item::new(entry, fault);
        if let Err(error) = self.write(|listing| listing.problem(item)) {
            lock(&self.failed).get_or_insert(error);
        }
    }

    fn cancelled(&self) -> bool {
        self.progress.cancelled() || lock(&self.failed).is_some()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stdout(error: &io::Error) -> CommandError {
    CommandError::stdout(error)
}
