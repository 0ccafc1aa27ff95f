//! `bkp inspect`: what a backup is.

use std::process::ExitCode;

use bkp_toolkit::bundle::{BundleError, Opened};

use crate::args::{BackupArgs, Format, JsonArg, PasswordArgs};
use crate::error::{CommandError, Kind};
use crate::open::{self, Found, damaged_keys};
use crate::password;
use crate::progress::Progress;
use crate::report;
use crate::ui::Ui;

/// Show what a backup is: device, dates, keybag, contents
///
/// Works without a password, says what it could not read for want of one, and never asks for one
/// unless --unlock is given. Password options and variables are used where they are set.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    backup: BackupArgs,

    #[command(flatten)]
    json: JsonArg,

    /// Ask for the password on the terminal, where no other source of it is given
    #[arg(long, help_heading = "Password")]
    unlock: bool,

    #[command(flatten)]
    password: PasswordArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp inspect BACKUP
  bkp inspect BACKUP --password-file pw.txt
  bkp inspect ~/Library/Application\\ Support/MobileSync/Backup/UDID --json

Exit codes:
  0 inspected                    10 not a backup, or several
  11 unsupported or newer format 12 wrong password
  13 no password where asked for 15 key material damaged
  21 hostile content refused     33 permission denied";

impl InspectArgs {
    pub(crate) fn format(&self) -> Format {
        self.json.format()
    }
}

pub(crate) fn run(args: &InspectArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let InspectArgs { backup, json: _, unlock, password } = args;
    let Found { path, bundle, archive: _ } = open::find(backup, ui)?;
    let mut opened = bundle.open_catalog();
    let mut damaged = 0;
    if matches!(opened, Ok(Opened::Locked(_))) && (*unlock || password::is_given(password)) {
        let progress = Progress::new(ui);
        let unlocked = open::unlocked(opened?, password, ui, &progress)?;
        progress.finish();
        damaged = damaged_keys(&unlocked);
        opened = Ok(Opened::Unlocked(unlocked));
    }
    ui.stop.check()?;
    let inspection = bkp_toolkit::inspect(&bundle, opened.as_ref());
    ui.answer(&inspection, |out| report::write(out, &path, &inspection, ui))?;
    exit_code(opened.err(), damaged)
}

/// A backup that could not be opened has been described as far as it goes, and is a failure all
/// the same.
fn exit_code(failed: Option<BundleError>, damaged_keys: usize) -> Result<ExitCode, CommandError> {
    match failed {
        Some(error) => Err(error.into()),
        None if damaged_keys > 0 => Ok(Kind::KeysDamaged.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}
