//! `bkp keychain`: the items of the keychain, and their secrets when they are asked for.

mod new_file;
mod table;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use bkp_toolkit::{KeychainListing, Secrets};

use crate::args::{BackupArgs, Format, JsonArg, PasswordArgs};
use crate::error::CommandError;
use crate::json::write_line;
use crate::open::{self, damaged_keys};
use crate::problems::{Item, Tally};
use crate::progress::Progress;
use crate::ui::{self, Ui};
use new_file::NewFile;

/// List the items of the keychain, and open those that the password can open
///
/// Items that are bound to the device are named and stay closed; in a backup that is not encrypted
/// all of them are. The values of secrets are told only with --reveal.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct KeychainArgs {
    #[command(flatten)]
    backup: BackupArgs,

    #[command(flatten)]
    json: JsonArg,

    /// Tell the secrets too: passwords, keys, certificates
    #[arg(long)]
    reveal: bool,

    /// Write the JSON document to FILE, which must be new and which only you can read
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    password: PasswordArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp keychain BACKUP --password-file pw.txt
  bkp keychain BACKUP --password-file pw.txt --reveal -o keychain.json
  bkp keychain BACKUP --json | jq '.items[] | select(.opened) | .attributes'

Exit codes:
  0 listed, and all opened that a password can open
  3 some items that should open did not (listed)
  4 listed, with warnings only   10 not a backup
  12 wrong password              13 a password is needed
  15 key material damaged        30 FILE exists
  32 no space left               33 permission denied";

impl KeychainArgs {
    pub(crate) fn format(&self) -> Format {
        self.json.format()
    }
}

/// What machines read.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    listing: &'a KeychainListing,
    problems: &'a [Item],
}

pub(crate) fn run(args: &KeychainArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let KeychainArgs { backup, json: _, reveal, output, password } = args;
    // Before the password is asked for, which takes a person's time.
    let file = output.as_deref().map(NewFile::at).transpose()?;
    let (_, opened) = open::open(backup, ui)?;
    let progress = Progress::new(ui);
    let backup = open::unlocked(opened, password, ui, &progress)?;
    let secrets = if *reveal { Secrets::Revealed } else { Secrets::Hidden };
    let listing = bkp_toolkit::keychain(&backup, secrets, &progress)?;
    ui.stop.check()?;
    let problems = progress.finish();
    let tally = Tally::of(&problems, damaged_keys(&backup));
    let document = Document { listing: &listing, problems: &problems };
    let written_to = match file {
        Some(file) => Some(file.write(|out| write_line(out, &document))?),
        None => None,
    };
    print(&document, written_to, ui)?;
    Ok(tally.exit_code())
}

/// Answers on stdout. What went to a file is not told there again.
fn print(document: &Document<'_>, file: Option<&Path>, ui: &Ui) -> Result<(), CommandError> {
    let mut out = ui::stdout()?;
    let listing = document.listing;
    let written = match (ui.format, file) {
        (Format::Text, None) => table::write(&mut out, listing, ui::stdout_styles()),
        (Format::Text, Some(file)) => table::write_summary(&mut out, listing, Some(file)),
        (_, None) => write_line(&mut out, document),
        (_, Some(_)) => Ok(()),
    };
    written.and_then(|()| out.flush()).map_err(|error| CommandError::stdout(&error))
}
