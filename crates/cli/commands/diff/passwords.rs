//! The passwords of two backups, which may be one.

use std::path::Path;

use bkp_toolkit::Side;
use bkp_toolkit::bundle::{Backup, BundleError, Locked, Unlocked};
use bkp_toolkit::core::Fault as _;
use bkp_toolkit::crypto::{KdfProgress, Passphrase};

use crate::args::PasswordArgs;
use crate::error::CommandError;
use crate::password;
use crate::problems::Item;
use crate::progress::Progress;
use crate::ui::Ui;

/// How often a person may try a password on the terminal.
const TRIES: usize = 3;

/// Where passwords come from, and those that opened something.
pub(super) struct Passwords<'a> {
    args: &'a PasswordArgs,
    of_b: Option<PasswordArgs>,
    ui: &'a Ui,
    progress: &'a Progress<'a>,
    /// The one that the other backup has, where both have one source. A descriptor, a command or
    /// a person is asked once.
    shared: Option<Passphrase>,
}

impl<'a> Passwords<'a> {
    pub(super) fn new(
        args: &'a PasswordArgs,
        file_b: Option<&Path>,
        ui: &'a Ui,
        progress: &'a Progress<'a>,
    ) -> Self {
        let of_b = file_b.map(|file| PasswordArgs {
            password_file: Some(file.to_owned()),
            password_command: None,
            password_fd: None,
            password_empty: false,
        });
        Self { args, of_b, ui, progress, shared: None }
    }

    /// Returns the source of a backup's password. One that is given alone is for both.
    fn source(&self, side: Side) -> &PasswordArgs {
        match (side, &self.of_b) {
            (Side::B, Some(of_b)) => of_b,
            (Side::A, Some(of_b)) if !password::is_given(self.args) => of_b,
            _ => self.args,
        }
    }

    fn have_one_source(&self) -> bool {
        self.of_b.is_none() || !password::is_given(self.args)
    }

    /// Unlocks a backup.
    pub(super) fn unlock(
        &mut self,
        side: Side,
        locked: &Backup<Locked>,
    ) -> Result<Backup<Unlocked>, CommandError> {
        let given = password::is_given(self.source(side));
        if let Some(shared) = self.shared.take() {
            match self.attempt(locked, &shared) {
                Ok(backup) => return Ok(backup),
                // A person may have two.
                Err(error) if error.code() == "wrong-password" && !given => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        if !given {
            self.ui.note(&format!("the password of backup {side} is needed"));
        }
        let mut tried = 0;
        loop {
            let passphrase = Passphrase::new(password::read(self.source(side), &self.ui.stop)?);
            tried += 1;
            match self.attempt(locked, &passphrase) {
                Ok(backup) => {
                    self.shared = self.have_one_source().then_some(passphrase);
                    for &class in backup.class_keys().map_or(&[][..], |keys| keys.damaged()) {
                        self.progress.report(Item::damaged_key(class));
                    }
                    return Ok(backup);
                }
                Err(error) if error.code() == "wrong-password" && !given && tried < TRIES => {
                    let message = "that is not the password; try again";
                    self.ui.problem(&Item::notice("wrong-password", message));
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn attempt(
        &self,
        locked: &Backup<Locked>,
        passphrase: &Passphrase,
    ) -> Result<Backup<Unlocked>, BundleError> {
        locked.unlock(passphrase, &mut |KdfProgress { done, total }| {
            self.progress.key_derivation(done, total)
        })
    }

    fn failed(&self, error: BundleError) -> CommandError {
        if self.ui.stop.requested() { self.ui.stop.error() } else { error.into() }
    }
}
