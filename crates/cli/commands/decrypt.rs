//! `bkp decrypt`: a bundle in plaintext.

use std::path::PathBuf;
use std::process::ExitCode;

use bkp_toolkit::bundle::{Backup, Unlocked};
use bkp_toolkit::core::{Everything, NullMonitor};
use bkp_toolkit::{Given, Surveyed};

use crate::args::{BackupArgs, Format, PasswordArgs, RewriteArgs};
use crate::error::CommandError;
use crate::open;
use crate::problems::Item;
use crate::rewriting::{Rewriting, encrypted};
use crate::ui::Ui;

/// Write a backup in plaintext of one that is encrypted
///
/// OUT is a whole backup that any reader opens without a password; "extract" writes readable files
/// instead. Keychain items that the password opens then open without one; those bound to the
/// device stay so, and are lost to every other device. OUT appears at the end, by one rename;
/// beside it OUT.bkp-run.json tells what was done.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DecryptArgs {
    #[command(flatten)]
    backup: BackupArgs,

    /// The folder to write, new or empty
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    #[command(flatten)]
    rewrite: RewriteArgs,

    #[command(flatten)]
    password: PasswordArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp decrypt BACKUP -o OUT --password-file pw.txt
  bkp decrypt BACKUP -o OUT --password-command 'pass show backup'
  bkp decrypt BACKUP -o OUT --password-file pw.txt --dry-run

Exit codes:
  0 all written                   2 usage, or the backup is not encrypted
  3 some items could not be read or written (listed)
  4 written, with warnings only   10 not a backup
  12 wrong password               13 a password is needed
  15 key material damaged         21 hostile content refused
  30 OUT is not empty             32 no space left
  33 permission denied            130, 143 interrupted, and nothing is left of OUT";

impl DecryptArgs {
    pub(crate) fn format(&self) -> Format {
        self.rewrite.format()
    }
}

pub(crate) fn run(args: &DecryptArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let DecryptArgs { backup, output, rewrite, password } = args;
    let (path, opened) = open::open(backup, ui)?;
    let job = Rewriting::begin("decrypt", path, output, rewrite, ui)?;
    let backup = open::unlocked(encrypted(opened)?, password, ui, &job.progress)?;
    warn(&backup, &job);
    let summary = if rewrite.dry_run {
        job.plan(&backup, &Everything)?
    } else {
        job.summary(bkp_toolkit::decrypt(&backup, &job.options(false), &job.progress))?
    };
    job.conclude(&backup, None, summary)
}

/// Says what a copy in plaintext does to a managed device (001-9, 001-11).
fn warn(backup: &Backup<Unlocked>, job: &Rewriting<'_>) {
    let Surveyed { situation, .. } =
        bkp_toolkit::situation(backup, Given::default(), job.started.0, &NullMonitor);
    if let Some(note) = situation.decrypt_warning() {
        let message = format!("{} This one will not be.", note.text);
        job.progress.report(Item::notice("encryption-enforced", message));
    }
}
