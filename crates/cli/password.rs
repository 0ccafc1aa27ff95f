//! Where a password may come from.
//!
//! In this order: the option given, `BKP_PASSWORD_FILE`, `BKP_PASSWORD`, a question on the
//! terminal. It is never an argument's value, since every user of the machine can read those.
//! The password is the first line of its source, without the line's end; every buffer it passes
//! through is fixed in size and wiped.

mod line;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secrecy::{ExposeSecret as _, SecretString};

use crate::args::{NewPasswordArgs, PasswordArgs, SealArgs};
use crate::display::Text;
use crate::error::{CommandError, Kind, chain};
use crate::signals::Stop;
use line::{LineError, first_line};

/// The variable that names a file to read the password from.
const ENV_FILE: &str = "BKP_PASSWORD_FILE";
/// The variable that holds the password itself.
const ENV_VALUE: &str = "BKP_PASSWORD";

/// One place a password is to be read from.
#[derive(Debug)]
enum Origin {
    Stdin,
    File(PathBuf),
    Command(OsString),
    Descriptor(u32),
    Variable,
    /// The user says that it is empty.
    Empty,
}

/// Returns true when the user named a source of a password, so that it is wanted even where the
/// command could do without.
pub(crate) fn is_given(args: &PasswordArgs) -> bool {
    origin_of(args).is_some()
}

/// Reads the password from the source given, else asks on the terminal.
pub(crate) fn read(args: &PasswordArgs, stop: &Stop) -> Result<SecretString, CommandError> {
    match origin_of(args) {
        Some(origin) => from_origin(&origin),
        None => terminal::ask("Backup password: ", stop)?.ok_or_else(none_available),
    }
}

/// Refuses options for a new password that cannot be right, before anything is asked or read. An
/// empty password is taken only from somebody who insists.
pub(crate) fn check_new(
    new: &NewPasswordArgs,
    old: Option<&PasswordArgs>,
) -> Result<(), CommandError> {
    let usage = |code, message| Err(CommandError::new(Kind::Usage, code, message));
    if new.new_password_empty == 1 {
        return usage("password-empty", "an empty password protects nothing")
            .map_err(|error| error.help("give --new-password-empty twice if you want that"));
    }
    let stdin = |origin| matches!(origin, Some(Origin::Stdin));
    if stdin(new_origin_of(new)) && stdin(old.and_then(origin_of)) {
        return usage("usage", "both passwords are to be read from standard input")
            .map_err(|error| error.help("read one of them from a file or a file descriptor"));
    }
    Ok(())
}

/// Reads the password that a new backup gets, else asks on the terminal, twice.
pub(crate) fn read_new(args: &NewPasswordArgs, stop: &Stop) -> Result<SecretString, CommandError> {
    if let Some(origin) = new_origin_of(args) {
        return from_origin(&origin).map_err(|error| match error.code {
            "password-empty" => error.help("to have none, give --new-password-empty twice"),
            _ => error,
        });
    }
    let ask = |question| terminal::ask(question, stop)?.ok_or_else(no_new_password);
    same(ask("New backup password: ")?, &ask("The same again: ")?)
}

/// Reads the password that an archive is sealed with, else asks on the terminal.
pub(crate) fn read_seal(args: &SealArgs, stop: &Stop) -> Result<SecretString, CommandError> {
    match seal_origin_of(args) {
        Some(origin) => from_origin(&origin),
        None => terminal::ask("Archive password: ", stop)?.ok_or_else(|| no_seal("is sealed")),
    }
}

/// Reads the password that a new archive is sealed with, else asks on the terminal, twice.
pub(crate) fn read_new_seal(args: &SealArgs, stop: &Stop) -> Result<SecretString, CommandError> {
    if let Some(origin) = seal_origin_of(args) {
        return from_origin(&origin);
    }
    let ask = |question| terminal::ask(question, stop)?.ok_or_else(|| no_seal("is to be sealed"));
    same(ask("New archive password: ")?, &ask("The same again: ")?)
}

/// Takes a password that was typed twice.
fn same(new: SecretString, again: &SecretString) -> Result<SecretString, CommandError> {
    if new.expose_secret() != again.expose_secret() {
        let message = "the two passwords typed differ";
        return Err(CommandError::new(Kind::Usage, "passwords-differ", message));
    }
    Ok(new)
}

fn seal_origin_of(args: &SealArgs) -> Option<Origin> {
    let SealArgs { seal_password_file, seal_password_command, seal_password_fd, seal_key_file: _ } =
        args;
    if let Some(path) = seal_password_file {
        Some(file_or_stdin(path))
    } else if let Some(command) = seal_password_command {
        Some(Origin::Command(command.clone()))
    } else {
        seal_password_fd.map(Origin::Descriptor)
    }
}

fn no_seal(what: &str) -> CommandError {
    let message = format!("the archive {what}, and no password for it was given");
    CommandError::new(Kind::PasswordNeeded, "password-needed", message)
        .help(
            "give it with --seal-password-file FILE (- reads stdin), --seal-password-command CMD or \
             --seal-password-fd N, or a key with --seal-key-file FILE",
        )
        .help("or run on a terminal to be asked")
}

fn new_origin_of(args: &NewPasswordArgs) -> Option<Origin> {
    let NewPasswordArgs {
        new_password_file,
        new_password_command,
        new_password_fd,
        new_password_empty,
    } = args;
    if let Some(path) = new_password_file {
        Some(file_or_stdin(path))
    } else if let Some(command) = new_password_command {
        Some(Origin::Command(command.clone()))
    } else if let Some(fd) = new_password_fd {
        Some(Origin::Descriptor(*fd))
    } else {
        (*new_password_empty > 1).then_some(Origin::Empty)
    }
}

fn file_or_stdin(path: &Path) -> Origin {
    match path.to_str() {
        Some("-") => Origin::Stdin,
        _ => Origin::File(path.to_owned()),
    }
}

fn origin_of(args: &PasswordArgs) -> Option<Origin> {
    let PasswordArgs { password_file, password_command, password_fd, password_empty } = args;
    let file = file_or_stdin;
    // A variable that is set to nothing is as good as unset: that is how scripts clear one.
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = password_file {
        Some(file(path))
    } else if let Some(command) = password_command {
        Some(Origin::Command(command.clone()))
    } else if let Some(fd) = password_fd {
        Some(Origin::Descriptor(*fd))
    } else if *password_empty {
        Some(Origin::Empty)
    } else if let Some(path) = variable(ENV_FILE) {
        Some(file(Path::new(&path)))
    } else {
        variable(ENV_VALUE).map(|_| Origin::Variable)
    }
}

fn from_origin(origin: &Origin) -> Result<SecretString, CommandError> {
    let line = match origin {
        // Not `std::io::stdin`, whose buffer would keep a copy.
        Origin::Stdin => std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(LineError::Read)
            .and_then(|fd| first_line(File::from(fd))),
        Origin::File(path) => File::open(path).map_err(LineError::Open).and_then(first_line),
        Origin::Descriptor(fd) => {
            File::open(format!("/dev/fd/{fd}")).map_err(LineError::Open).and_then(first_line)
        }
        Origin::Command(command) => from_command(command),
        Origin::Empty => Ok(SecretString::default()),
        Origin::Variable => {
            let value = zeroize::Zeroizing::new(
                std::env::var_os(ENV_VALUE).map(OsString::into_encoded_bytes).unwrap_or_default(),
            );
            line::whole(&value)
        }
    };
    line.map_err(|error| {
        let message = format!("no password from {}: {}", origin.name(), chain(&error));
        let failed = CommandError::new(Kind::PasswordNeeded, error.code(), message);
        match error {
            LineError::Empty => failed.help("the password must be the first line"),
            _ => failed,
        }
    })
}

/// Runs the command with `sh`, since splitting it ourselves would get quotes wrong.
fn from_command(command: &OsStr) -> Result<SecretString, LineError> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .env_remove(ENV_VALUE)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(LineError::Open)?;
    // Taken out of the child, so that the pipe is closed when the line is there and a command
    // that goes on writing ends.
    let line = child.stdout.take().map_or(Err(LineError::Empty), first_line);
    let status = child.wait().map_err(LineError::Read)?;
    // A command that failed and printed half a password says more by its status.
    if status.success() { line } else { Err(LineError::Command(status)) }
}

fn no_new_password() -> CommandError {
    CommandError::new(
        Kind::PasswordNeeded,
        "password-needed",
        "the new backup needs a password, and none was given",
    )
    .help(
        "give it with --new-password-file FILE (- reads stdin), --new-password-command CMD or \
         --new-password-fd N, or run on a terminal to be asked",
    )
}

fn none_available() -> CommandError {
    CommandError::new(
        Kind::PasswordNeeded,
        "password-needed",
        "the backup is encrypted, and no password was given",
    )
    .help("give it with --password-file FILE (- reads stdin), --password-command CMD or --password-fd N")
    .help("or set BKP_PASSWORD_FILE, or run on a terminal to be asked")
}

impl Origin {
    fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => {
                let path = String::from_utf8_lossy(path.as_os_str().as_bytes());
                format!("the file \"{}\"", Text(&path))
            }
            Self::Command(_) => "the password command".to_owned(),
            Self::Descriptor(fd) => format!("file descriptor {fd}"),
            Self::Variable => format!("the variable {ENV_VALUE}"),
            Self::Empty => "the option that says so".to_owned(),
        }
    }
}
