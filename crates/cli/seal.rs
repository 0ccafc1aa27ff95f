//! Keys of sealed archives: where they come from, and opening and sealing with them.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use bkp_toolkit::archive::{Archive, ArchiveError, OpenedArchive, SealedArchive};
use bkp_toolkit::core::Fault as _;
use bkp_toolkit::crypto::{
    ArchiveKey, KdfProgress, KeySource, Passphrase, SealOptions, SealedError, Sealing,
};

use crate::args::{NewSealArgs, SealArgs};
use crate::display::Name;
use crate::error::{CommandError, Kind};
use crate::password;
use crate::problems::Item;
use crate::progress::Progress;
use crate::ui::Ui;

/// How often a person may try a password on the terminal.
const TRIES: usize = 3;
/// Bytes of a key file.
const KEY: usize = 32;

/// Opens an archive, asking for what it is sealed with only where it is sealed. `rounds` is the
/// most rounds of key derivation that it may ask for.
pub(crate) fn open(
    opened: OpenedArchive,
    args: &SealArgs,
    rounds: u64,
    ui: &Ui,
) -> Result<Archive, CommandError> {
    let sealed = match opened {
        OpenedArchive::Plain(archive) => return Ok(archive),
        OpenedArchive::Sealed(sealed) => sealed,
    };
    if let Some(path) = &args.seal_key_file {
        let key = archive_key(&*read_key(path)?);
        return sealed.unseal_with_key_file(&key).map_err(|e| CommandError::of_fault(&e));
    }
    if matches!(sealed.header().key_source(), KeySource::KeyFile) {
        return Err(CommandError::of_fault(&SealedError::NeedsKeyFile));
    }
    let tries = if args.is_given() { 1 } else { TRIES };
    for tried in 1.. {
        let passphrase = Passphrase::new(password::read_seal(args, &ui.stop)?);
        match unseal(&sealed, &passphrase, rounds, ui) {
            Err(_) if ui.stop.requested() => return Err(ui.stop.error()),
            Err(error) if error.code() == "wrong-password" && tried < tries => {
                ui.problem(&Item::notice("wrong-password", "that is not the password; try again"));
            }
            result => return result.map_err(|error| of_seal(&error)),
        }
    }
    Err(ui.stop.error())
}

/// Opens an archive with a password that is there already.
pub(crate) fn unseal(
    sealed: &SealedArchive,
    passphrase: &Passphrase,
    rounds: u64,
    ui: &Ui,
) -> Result<Archive, ArchiveError> {
    let progress = Progress::new(ui);
    let unsealed = sealed.unseal(passphrase, rounds, &mut |KdfProgress { done, total }| {
        progress.key_derivation(done, total)
    });
    progress.finish();
    unsealed
}

/// Says of a password that it is not that of the backup.
fn of_seal(error: &ArchiveError) -> CommandError {
    let mut failed = CommandError::of_fault(error);
    if failed.code == "wrong-password" {
        failed.help = vec![
            "this is the password that the archive was sealed with, not that of the backup in it"
                .to_owned(),
        ];
    }
    failed
}

/// What a new archive is sealed with.
pub(crate) enum Secret {
    Key(Zeroizing<[u8; KEY]>),
    /// Kept as it came, since it is wanted once more where the archive is verified.
    Password(SecretString),
}

impl Secret {
    /// Reads what was asked for, else asks on the terminal, twice.
    pub(crate) fn read(args: &NewSealArgs, ui: &Ui) -> Result<Self, CommandError> {
        match &args.seal_key_file {
            Some(path) => Ok(Self::Key(read_key(path)?)),
            None => password::read_new_seal(&args.to_open(), &ui.stop).map(Self::Password),
        }
    }

    /// Makes a new header and the key of a stream.
    pub(crate) fn sealing(
        &self,
        ui: &Ui,
        progress: &Progress<'_>,
    ) -> Result<Sealing, CommandError> {
        let options = SealOptions::default();
        let sealing = match self {
            Self::Key(key) => Sealing::with_key_file(archive_key(key), options),
            Self::Password(password) => Sealing::with_passphrase(
                &Passphrase::new(password.clone()),
                options,
                &mut |KdfProgress { done, total }| progress.key_derivation(done, total),
            ),
        };
        sealing.map_err(|error| match error {
            _ if ui.stop.requested() => ui.stop.error(),
            error => CommandError::of_fault(&error),
        })
    }

    /// Opens what was sealed with it.
    pub(crate) fn open(&self, opened: OpenedArchive, ui: &Ui) -> Result<Archive, CommandError> {
        let opened = match (opened, self) {
            (OpenedArchive::Plain(archive), _) => return Ok(archive),
            (OpenedArchive::Sealed(sealed), Self::Key(key)) => {
                sealed.unseal_with_key_file(&archive_key(key))
            }
            (OpenedArchive::Sealed(sealed), Self::Password(password)) => {
                unseal(&sealed, &Passphrase::new(password.clone()), u64::MAX, ui)
            }
        };
        opened.map_err(|error| CommandError::of_fault(&error))
    }
}

/// Reads a key file, which is the key and nothing else.
fn read_key(path: &Path) -> Result<Zeroizing<[u8; KEY]>, CommandError> {
    let name = Name::of(path).to_string();
    let cannot = |error: &io::Error| {
        let message = format!("cannot read the key file {name}: {error}");
        CommandError::new(Kind::PasswordNeeded, "key-file-unreadable", message)
    };
    let mut file = File::open(path).map_err(|error| cannot(&error))?;
    // One byte more tells a longer file.
    let mut bytes = Zeroizing::new([0; KEY + 1]);
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot(&error)),
        }
    }
    let wrong = || {
        let what =
            if filled > KEY { "more than 32 bytes".to_owned() } else { format!("{filled} bytes") };
        let message = format!("the key file {name} has {what}; a key is 32 bytes");
        CommandError::new(Kind::Usage, "bad-key-file", message)
            .help("make one with: head -c 32 /dev/urandom > FILE")
    };
    let whole = bytes.get(..filled).and_then(|bytes| bytes.as_array::<KEY>());
    whole.map(|key| Zeroizing::new(*key)).ok_or_else(wrong)
}

fn archive_key(bytes: &[u8; KEY]) -> ArchiveKey {
    let filled = ArchiveKey::try_init(|key| {
        key.copy_from_slice(bytes);
        Ok::<_, Infallible>(())
    });
    match filled {
        Ok(key) => key,
        Err(never) => match never {},
    }
}
