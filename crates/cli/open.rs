//! Finding, opening and unlocking the backup that a command is about.

use std::path::PathBuf;
use std::sync::Arc;

use bkp_toolkit::Located;
use bkp_toolkit::archive::Archive;
use bkp_toolkit::bundle::{Backup, Bundle, Limits, Locked, Opened, Storage, Unlocked};
use bkp_toolkit::core::Fault as _;
use bkp_toolkit::crypto::{KdfProgress, Passphrase};

use crate::args::{BackupArgs, PasswordArgs, ReadArgs};
use crate::error::{CommandError, Kind};
use crate::password;
use crate::problems::Item;
use crate::progress::Progress;
use crate::seal;
use crate::ui::Ui;

/// How often a person may try a password on the terminal.
const TRIES: usize = 3;

/// A backup that has been found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The folder of the backup itself, or the archive.
    pub(crate) path: PathBuf,
    /// What can be told of it in any case.
    pub(crate) bundle: Arc<Bundle>,
    /// The archive that it is in, if it is in one.
    pub(crate) archive: Option<Archive>,
}

/// Finds the backup and reads what needs no password of its own. That of a sealed archive is
/// asked for: nothing in it can be read without it.
pub(crate) fn find(args: &BackupArgs, ui: &Ui) -> Result<Found, CommandError> {
    let BackupArgs { backup, max_kdf_rounds, seal } = args;
    let mut limits = Limits::default();
    if let Some(rounds) = *max_kdf_rounds {
        limits.kdf_rounds = rounds;
    }
    let (path, storage, archive) = match bkp_toolkit::locate(backup)? {
        Located::Folder(path) => {
            let storage = Storage::directory(&path)
                .map_err(|error| CommandError::of(Kind::Failed, "cannot-read", &error))?;
            (path, storage, None)
        }
        Located::Archive(path, opened) => {
            let archive = seal::open(opened, seal, limits.kdf_rounds, ui)?;
            (path, archive.storage(), Some(archive))
        }
    };
    let bundle = Arc::new(Bundle::open(storage, limits)?);
    Ok(Found { path, bundle, archive })
}

/// Finds the backup and opens what needs no password.
pub(crate) fn open(args: &BackupArgs, ui: &Ui) -> Result<(PathBuf, Opened), CommandError> {
    let Found { path, bundle, archive: _ } = find(args, ui)?;
    let opened = bundle.open_catalog()?;
    Ok((path, opened))
}

/// Finds, opens and unlocks the backup.
pub(crate) fn read(
    args: &ReadArgs,
    ui: &Ui,
    progress: &Progress<'_>,
) -> Result<Backup<Unlocked>, CommandError> {
    let (_, opened) = open(&args.backup, ui)?;
    unlocked(opened, &args.password, ui, progress)
}

/// Unlocks the backup if it is locked, asking for the password only then.
pub(crate) fn unlocked(
    opened: Opened,
    args: &PasswordArgs,
    ui: &Ui,
    progress: &Progress<'_>,
) -> Result<Backup<Unlocked>, CommandError> {
    let locked = match opened {
        Opened::Unlocked(backup) => return Ok(backup),
        Opened::Locked(backup) => backup,
    };
    let backup = unlock(&locked, args, ui, progress)?;
    // A class whose key does not open, although others do, takes its files with it. It is said
    // once, and the exit code remembers.
    for &class in backup.class_keys().map_or(&[][..], |keys| keys.damaged()) {
        progress.report(Item::damaged_key(class));
    }
    Ok(backup)
}

fn unlock(
    locked: &Backup<Locked>,
    args: &PasswordArgs,
    ui: &Ui,
    progress: &Progress<'_>,
) -> Result<Backup<Unlocked>, CommandError> {
    // A file gives the same answer every time; a person may mistype.
    let tries = if password::is_given(args) { 1 } else { TRIES };
    let mut tried = 0;
    loop {
        let passphrase = Passphrase::new(password::read(args, &ui.stop)?);
        let result = locked.unlock(&passphrase, &mut |KdfProgress { done, total }| {
            progress.key_derivation(done, total)
        });
        tried += 1;
        match result {
            Ok(backup) => return Ok(backup),
            Err(_) if ui.stop.requested() => return Err(ui.stop.error()),
            Err(error) if error.code() == "wrong-password" && tried < tries => {
                ui.problem(&Item::notice("wrong-password", "that is not the password; try again"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Counts the class keys that do not open although the password is right.
pub(crate) fn damaged_keys(backup: &Backup<Unlocked>) -> usize {
    backup.class_keys().map_or(0, |keys| keys.damaged().len())
}
