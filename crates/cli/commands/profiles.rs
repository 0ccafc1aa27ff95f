//! `bkp profiles`: whose profiles are in a backup, and how its device was managed.

mod table;

use std::process::ExitCode;

use serde::Serialize;

use bkp_toolkit::ProfileListing;
use bkp_toolkit::bundle::Opened;

use crate::args::{Format, ReadArgs};
use crate::error::{CommandError, Kind};
use crate::open::{self, damaged_keys};
use crate::problems::{Item, Tally};
use crate::progress::Progress;
use crate::ui::Ui;

/// Show how the device was managed, and whose profiles are in the backup
///
/// Enrolment and what says so, supervision, every profile with its payloads, and restrictions in
/// force. Nothing is concluded from files that unmanaged devices have as well.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ProfilesArgs {
    #[command(flatten)]
    read: ReadArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp profiles BACKUP
  bkp profiles BACKUP --password-file pw.txt
  bkp profiles BACKUP --json | jq '.profiles[] | {identifier, organization, payloads}'

Exit codes:
  0 listed, all of it read       3 some files could not be read (listed)
  4 listed, with warnings only   10 not a backup
  12 wrong password              13 a password is needed
  15 key material damaged        33 permission denied";

impl ProfilesArgs {
    pub(crate) fn format(&self) -> Format {
        self.read.format()
    }
}

/// What machines read.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    listing: &'a ProfileListing,
    problems: &'a [Item],
}

pub(crate) fn run(args: &ProfilesArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let progress = Progress::new(ui).doing("reading");
    let backup = open::read(&args.read, ui, &progress)?;
    let damaged_keys = damaged_keys(&backup);
    let listing = bkp_toolkit::profiles(&Opened::Unlocked(backup), &progress)
        .ok_or_else(|| CommandError::new(Kind::Failed, "catalog-locked", "no catalog is open"))?;
    ui.stop.check()?;
    let problems = progress.finish();
    let tally = Tally::of(&problems, damaged_keys);
    ui.answer(&Document { listing: &listing, problems: &problems }, |out| {
        table::write(out, &listing.survey, ui)
    })?;
    Ok(tally.exit_code())
}
