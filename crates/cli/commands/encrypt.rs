//! `bkp encrypt`: an encrypted bundle of one that is not.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use bkp_toolkit::EncryptOptions;
use bkp_toolkit::core::Everything;
use bkp_toolkit::crypto::{KdfProgress, Passphrase};

use crate::args::{BackupArgs, Format, NewPasswordArgs, RewriteArgs};
use crate::error::CommandError;
use crate::rewriting::{Rewriting, plain};
use crate::ui::Ui;
use crate::{open, password};

/// Write an encrypted backup of one that is not encrypted
///
/// Every file gets a fresh key, and a new keybag is put under the new password with as many
/// rounds of key derivation as devices ask for. OUT appears at the end, by one rename; beside it
/// OUT.bkp-run.json tells what was done.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct EncryptArgs {
    #[command(flatten)]
    backup: BackupArgs,

    /// The folder to write, new or empty
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// Rounds of the first stage of key derivation [default: 10000000, as devices do]
    #[arg(long, value_name = "N")]
    kdf_iterations: Option<NonZeroU32>,

    #[command(flatten)]
    rewrite: RewriteArgs,

    #[command(flatten)]
    new_password: NewPasswordArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp encrypt BACKUP -o OUT --new-password-file pw.txt
  bkp encrypt BACKUP -o OUT
  bkp encrypt BACKUP -o OUT --dry-run

Exit codes:
  0 all written                   2 usage, or the backup is encrypted already
  3 some items could not be read or written (listed)
  4 written, with warnings only   10 not a backup
  12 wrong password of an archive 13 a password is needed
  15 key material damaged         21 hostile content refused
  30 OUT is not empty             32 no space left
  33 permission denied            130, 143 interrupted, and nothing is left of OUT";

impl EncryptArgs {
    pub(crate) fn format(&self) -> Format {
        self.rewrite.format()
    }
}

pub(crate) fn run(args: &EncryptArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let EncryptArgs { backup, output, kdf_iterations, rewrite, new_password } = args;
    password::check_new(new_password, None)?;
    let (path, opened) = open::open(backup, ui)?;
    let job = Rewriting::begin("encrypt", path, output, rewrite, ui)?;
    let backup = plain(opened)?;
    let summary = if rewrite.dry_run {
        job.plan(&backup, &Everything)?
    } else {
        let new = Passphrase::new(password::read_new(new_password, &ui.stop)?);
        let encrypt = EncryptOptions { kdf_rounds: *kdf_iterations };
        let mut derived = |KdfProgress { done, total }| job.progress.key_derivation(done, total);
        let options = job.options(false);
        job.summary(bkp_toolkit::encrypt(
            &backup,
            &new,
            encrypt,
            &options,
            &mut derived,
            &job.progress,
        ))?
    };
    job.conclude(&backup, None, summary)
}
