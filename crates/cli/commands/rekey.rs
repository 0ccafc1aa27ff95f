//! `bkp rekey`: the same bundle under another password.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use bkp_toolkit::RekeyOptions;
use bkp_toolkit::core::Everything;
use bkp_toolkit::crypto::{KdfProgress, Passphrase};

use crate::args::{BackupArgs, Format, NewPasswordArgs, PasswordArgs, RewriteArgs};
use crate::error::CommandError;
use crate::rewriting::{Rewriting, encrypted};
use crate::ui::Ui;
use crate::{open, password};

/// Write the same backup under another password
///
/// The keys of the protection classes are put under the new password, and nothing else changes:
/// no file is decrypted or read, and whoever kept a key of the old backup can still use it. With
/// --full every file and the catalog get fresh keys. OUT appears at the end, by one rename; beside
/// it OUT.bkp-run.json tells what was done.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RekeyArgs {
    #[command(flatten)]
    backup: BackupArgs,

    /// The folder to write, new or empty
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// Give files, catalog and protection classes fresh keys too; every file is encrypted anew
    #[arg(long)]
    full: bool,

    /// Make hard links to the backup's own files where that can be done: a change of one is a
    /// change of both
    #[arg(long, conflicts_with = "full")]
    link: bool,

    /// Rounds of the first stage of key derivation [default: as many as the backup has]
    #[arg(long, value_name = "N")]
    kdf_iterations: Option<NonZeroU32>,

    #[command(flatten)]
    rewrite: RewriteArgs,

    #[command(flatten)]
    password: PasswordArgs,

    #[command(flatten)]
    new_password: NewPasswordArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp rekey BACKUP -o OUT --password-file old.txt --new-password-file new.txt
  bkp rekey BACKUP -o OUT --full
  bkp rekey BACKUP -o OUT --link --password-file old.txt --new-password-file new.txt

Exit codes:
  0 all written                   2 usage, or the backup is not encrypted
  3 some items could not be read or written (listed)
  4 written, with warnings only   10 not a backup
  12 wrong password               13 a password is needed
  15 key material damaged         21 hostile content refused
  30 OUT is not empty             32 no space left
  33 permission denied            130, 143 interrupted, and nothing is left of OUT";

impl RekeyArgs {
    pub(crate) fn format(&self) -> Format {
        self.rewrite.format()
    }
}

pub(crate) fn run(args: &RekeyArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let RekeyArgs { backup, output, full, link, kdf_iterations, rewrite, password, new_password } =
        args;
    password::check_new(new_password, Some(password))?;
    let (path, opened) = open::open(backup, ui)?;
    let job = Rewriting::begin("rekey", path, output, rewrite, ui)?;
    let backup = open::unlocked(encrypted(opened)?, password, ui, &job.progress)?;
    let summary = if rewrite.dry_run {
        job.plan(&backup, &Everything)?
    } else {
        let new = password::read_new(new_password, &ui.stop)?;
        let rekey = RekeyOptions { full: *full, kdf_rounds: *kdf_iterations };
        let mut derived = |KdfProgress { done, total }| job.progress.key_derivation(done, total);
        let options = job.options(*link);
        job.summary(bkp_toolkit::rekey(
            &backup,
            &Passphrase::new(new),
            rekey,
            &options,
            &mut derived,
            &job.progress,
        ))?
    };
    job.conclude(&backup, None, summary)
}
