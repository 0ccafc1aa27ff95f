//! `bkp ls`: the catalog, one entry after another.

use std::cmp::Reverse;
use std::io;
use std::process::ExitCode;

use bkp_toolkit::bundle::{BundlePayloads, Catalog, Opened};
use bkp_toolkit::core::{Entry, Select as _, Source as _};
use bkp_toolkit::policy::Rules;

use crate::args::{BackupArgs, ExplainArg, FilterArgs, Format, ListingArgs, PasswordArgs};
use crate::error::CommandError;
use crate::explain::{Explained, explain};
use crate::listing::{Listing, Look};
use crate::open::{self, damaged_keys};
use crate::password;
use crate::problems::Item;
use crate::progress::Progress;
use crate::rules;
use crate::ui::{self, Ui};

/// List the entries of a backup
///
/// Every row of the catalog is one line, in the order of the catalog. Rows that cannot be read
/// are reported and the listing goes on. No password is asked for where names can be read
/// without one.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    backup: BackupArgs,

    #[command(flatten)]
    listing: ListingArgs,

    /// Sort the listing
    #[arg(long, value_name = "BY", default_value = "none")]
    sort: Sort,

    #[command(flatten)]
    password: PasswordArgs,

    #[command(flatten)]
    filters: FilterArgs,

    #[command(flatten)]
    explain: ExplainArg,
}

const AFTER_HELP: &str = "\
Examples:
  bkp ls BACKUP --password-file pw.txt
  bkp ls BACKUP --include 'CameraRollDomain:Media/DCIM' --sort size -l
  bkp ls BACKUP --jsonl --password-file pw.txt > catalog.jsonl

Exit codes:
  0 listed                       3 some rows could not be read (reported)
  4 listed, with warnings only   10 not a backup
  12 wrong password              13 a password is needed
  15 key material damaged        21 hostile content refused";

/// The order of the listing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Sort {
    /// As the catalog has them
    None,
    /// By domain and path
    Path,
    /// The largest first
    Size,
    /// The newest first
    Modified,
}

impl Sort {
    fn apply(self, entries: &mut [Entry]) {
        match self {
            Self::None => {}
            Self::Path => entries.sort_by(|a, b| (&a.domain, &a.path).cmp(&(&b.domain, &b.path))),
            Self::Size => entries.sort_by_key(|entry| Reverse(entry.metadata.size_hint)),
            Self::Modified => entries.sort_by_key(|entry| Reverse(entry.metadata.modified)),
        }
    }
}

impl LsArgs {
    pub(crate) fn format(&self) -> Format {
        self.listing.format()
    }
}

pub(crate) fn run(args: &LsArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let LsArgs { backup, listing, sort, password, filters, explain: ExplainArg { explain: asked } } =
        args;
    let look = Look { kind: "ls", long: listing.long, null: listing.null, hash: false };
    let list = List { rules: rules::build(filters)?, sort: *sort, look, ui };
    let (_, opened) = open::open(backup, ui)?;
    if let Some(name) = asked {
        let judge = |entry: &Entry| Explained::from(&list.rules.explain(entry));
        return explain(opened, name, &judge, password, ui, &Progress::new(ui));
    }
    if let Opened::Locked(locked) = &opened
        && let Some(catalog) = locked.catalog()
        && !password::is_given(password)
    {
        return list.run(catalog, &locked.payloads(), 0);
    }
    let progress = Progress::new(ui);
    let backup = open::unlocked(opened, password, ui, &progress)?;
    progress.finish();
    let damaged_keys = damaged_keys(&backup);
    list.run(backup.catalog(), backup.payloads(), damaged_keys)
}

struct List<'u> {
    rules: Rules,
    sort: Sort,
    look: Look,
    ui: &'u Ui,
}

impl List<'_> {
    fn run(
        &self,
        catalog: &Catalog,
        payloads: &BundlePayloads,
        damaged_keys: usize,
    ) -> Result<ExitCode, CommandError> {
        let failed = |error: io::Error| CommandError::stdout(&error);
        let Self { rules, sort, look, ui } = self;
        let mut listing = Listing::begin(ui::stdout()?, ui, payloads, *look).map_err(failed)?;
        let everything = rules.keep_everything();
        let mut kept = Vec::new();
        for record in catalog.records() {
            ui.stop.check()?;
            match record {
                Err(error) => listing.problem(Item::new(None, &error)).map_err(failed)?,
                Ok(record) => {
                    let entry = record.as_ref();
                    if !everything && !rules.judge(entry).is_keep() {
                        continue;
                    }
                    match sort {
                        Sort::None => listing.entry(entry).map_err(failed)?,
                        // Without the row, which a listing does not show and which is most of it.
                        _ => kept.push(without_row(entry)),
                    }
                }
            }
        }
        sort.apply(&mut kept);
        for entry in &kept {
            ui.stop.check()?;
            listing.entry(entry).map_err(failed)?;
        }
        for item in rules::unmatched(rules) {
            listing.problem(item).map_err(failed)?;
        }
        let mut tally = listing.end().map_err(failed)?;
        tally.damaged_keys = damaged_keys;
        Ok(tally.exit_code())
    }
}

fn without_row(entry: &Entry) -> Entry {
    let mut entry = entry.clone();
    entry.raw = None;
    entry
}
