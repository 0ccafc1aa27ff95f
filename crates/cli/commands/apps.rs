//! `bkp apps`: what is installed, what is managed, and how much data each app has.

mod table;

use std::process::ExitCode;

use serde::Serialize;

use bkp_toolkit::AppListing;
use bkp_toolkit::bundle::Opened;

use crate::args::{Format, ReadArgs};
use crate::error::{CommandError, Kind};
use crate::open::{self, damaged_keys};
use crate::problems::{Item, Tally};
use crate::progress::Progress;
use crate::ui::{self, Ui};

/// List the apps, their data, and what tells that they are managed
///
/// Sizes are those of the catalog. Of the signs of management only the list of managed apps is
/// certain; licences and in-house apps are hints. Which apps share a group container is not in a
/// backup and is guessed from names.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct AppsArgs {
    #[command(flatten)]
    read: ReadArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp apps BACKUP
  bkp apps BACKUP --password-file pw.txt
  bkp apps BACKUP --json | jq '.apps[] | select(.managed) | {bundle_id, data, managed}'

Exit codes:
  0 listed, all of it read       3 some files could not be read (listed)
  4 listed, with warnings only   10 not a backup
  12 wrong password              13 a password is needed
  15 key material damaged        33 permission denied";

impl AppsArgs {
    pub(crate) fn format(&self) -> Format {
        self.read.format()
    }
}

/// What machines read.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    listing: &'a AppListing,
    problems: &'a [Item],
}

pub(crate) fn run(args: &AppsArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let progress = Progress::new(ui).doing("reading");
    let backup = open::read(&args.read, ui, &progress)?;
    let damaged_keys = damaged_keys(&backup);
    let info = match bkp_toolkit::stored_info_plist(backup.bundle().storage()) {
        Ok(info) => info,
        Err(error) => {
            let message = format!("cannot read Info.plist for purchase records: {error}");
            progress.report(Item::notice("purchases-unread", message));
            None
        }
    };
    let listing = bkp_toolkit::apps(&Opened::Unlocked(backup), info.as_deref(), &progress)
        .ok_or_else(|| CommandError::new(Kind::Failed, "catalog-locked", "no catalog is open"))?;
    ui.stop.check()?;
    let problems = progress.finish();
    let tally = Tally::of(&problems, damaged_keys);
    ui.answer(&Document { listing: &listing, problems: &problems }, |out| {
        table::write(out, &listing.survey, ui::stdout_styles())
    })?;
    Ok(tally.exit_code())
}
