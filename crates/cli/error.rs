//! How a failed command ends: its code, what it says and advises, and what it exits with.

mod blame;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use bkp_toolkit::Found;

use crate::display::{Styles, Text, label};
use crate::found::{FoundFacts, FoundLine};
use crate::json::{SCHEMA_VERSION, write_line};

/// What sort of failure, which is the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Failed, for a reason with no row of its own.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Not a backup, or not found.
    NotABackup = 10,
    /// A format that is not supported, or newer than this program.
    Unsupported = 11,
    /// Wrong password.
    WrongPassword = 12,
    /// A password is needed and none is available.
    PasswordNeeded = 13,
    /// Key material is damaged.
    KeysDamaged = 15,
    /// Verification found damage.
    Damaged = 20,
    /// Hostile content was refused: a traversal, a bomb, a limit.
    Hostile = 21,
    /// Refused by policy: the device is unknown or contradictory, or must not get it.
    Refused = 22,
    /// The destination exists and is not empty.
    DestinationExists = 30,
    /// No space is left.
    NoSpace = 32,
    /// Permission denied.
    Permission = 33,
    /// Interrupted by SIGINT, after a clean stop.
    Interrupted = 130,
    /// The reader of the output went away, as when killed by SIGPIPE. Nothing is printed.
    BrokenPipe = 141,
    /// Interrupted by SIGTERM, after a clean stop.
    Terminated = 143,
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        Self::from(kind as u8)
    }
}

/// A failed command.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) kind: Kind,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Vec<String>,
    /// The backups that a folder holds, where it should hold one.
    pub(crate) backups: Vec<Found>,
}

/// Puts an error and its causes on one line, the outermost first.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // Some errors of others repeat their cause.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}

impl CommandError {
    /// Makes a failure of its own.
    pub(crate) fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), help: Vec::new(), backups: Vec::new() }
    }

    /// Makes a failure of an error and its causes. When the causes hold an error of the system
    /// that has an exit code of its own, and `kind` is the general one, that decides.
    pub(crate) fn of(kind: Kind, code: &'static str, error: &(dyn Error + 'static)) -> Self {
        let system = match kind {
            Kind::Failed => system_kind(error),
            _ => None,
        };
        let failed = Self::new(system.unwrap_or(kind), code, chain(error));
        if failed.kind == Kind::Permission { failed.permission_help() } else { failed }
    }

    /// Makes a failure of writing to stdout.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Kind::BrokenPipe, "broken-pipe", "the reader of the output is gone");
        }
        let kind = io_kind(error).unwrap_or(Kind::Failed);
        Self::new(kind, "cannot-write-output", format!("cannot write to standard output: {error}"))
    }

    /// Makes the failure of a destination that has something in it.
    pub(crate) fn destination_not_empty(name: &str) -> Self {
        let message = format!("{name} exists and is not empty");
        Self::new(Kind::DestinationExists, "destination-not-empty", message)
            .help("name a new folder")
    }

    /// Adds a line of advice.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    fn permission_help(self) -> Self {
        if cfg!(target_os = "macos") {
            self.help(
                "give your terminal Full Disk Access in System Settings, Privacy & Security, \
                 and open it anew",
            )
        } else {
            self.help("check who may read the backup and write the destination")
        }
    }

    /// Writes the failure to `out` and returns what to exit with. What cannot be written to
    /// stderr can be said nowhere.
    pub(crate) fn report(&self, out: &mut dyn Write, json: bool, styles: Styles) -> ExitCode {
        if self.kind != Kind::BrokenPipe {
            let _ = if json { self.write_json(out) } else { self.write_text(out, styles) };
        }
        self.kind.into()
    }

    fn write_text(&self, out: &mut dyn Write, styles: Styles) -> io::Result<()> {
        let Self { kind: _, code, message, help, backups } = self;
        let error = label(styles.error, format_args!("error[{code}]:"));
        writeln!(out, "{error} {}", Text(message))?;
        for backup in backups {
            writeln!(out, "  {}", FoundLine(backup))?;
        }
        for help in help {
            writeln!(out, "{} {}", label(styles.help, "help:"), Text(help))?;
        }
        out.flush()
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Document<'a> {
            schema_version: u32,
            kind: &'static str,
            code: &'static str,
            exit_code: u8,
            message: &'a str,
            help: Option<String>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            backups: Vec<FoundFacts<'a>>,
        }
        let Self { kind, code, message, help, backups } = self;
        let help = (!help.is_empty()).then(|| help.join("\n"));
        let document = Document {
            schema_version: SCHEMA_VERSION,
            kind: "error",
            code,
            exit_code: *kind as u8,
            message,
            help,
            backups: backups.iter().map(FoundFacts::of).collect(),
        };
        write_line(out, &document)
    }
}

/// Returns the row of the table for the first error of the system among the causes.
fn system_kind(error: &(dyn Error + 'static)) -> Option<Kind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(kind) = error.downcast_ref::<io::Error>().and_then(io_kind) {
            return Some(kind);
        }
        next = error.source();
    }
    None
}

fn io_kind(error: &io::Error) -> Option<Kind> {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some(Kind::Permission)
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Kind::NoSpace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{CommandError, Kind};
    use crate::display::Styles;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open thing")]
    struct Outer(#[source] io::Error);

    #[test]
    fn text_and_json_say_the_same() {
        let error = CommandError::new(Kind::WrongPassword, "wrong-password", "0 of 11\u{1b} open")
            .help("one")
            .help("two");
        let mut text = Vec::new();
        error.report(&mut text, false, Styles::default());
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "error[wrong-password]: 0 of 11\\u{1b} open\nhelp: one\nhelp: two\n"
        );
        let mut json = Vec::new();
        error.report(&mut json, true, Styles::default());
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["schema_version"], 1);
        assert_eq!(json["kind"], "error");
        assert_eq!(json["code"], "wrong-password");
        assert_eq!(json["message"], "0 of 11\u{1b} open");
        assert_eq!(json["help"], "one\ntwo");
    }

    #[test]
    fn the_cause_is_told_and_decides_the_exit_code() {
        let outer = Outer(io::ErrorKind::PermissionDenied.into());
        let error = CommandError::of(Kind::Failed, "cannot-open", &outer);
        assert_eq!(error.kind, Kind::Permission);
        assert_eq!(error.message, "cannot open thing: permission denied");
        assert_eq!(error.help.len(), 1);
        let error = CommandError::of(Kind::NotABackup, "not-found", &outer);
        assert_eq!(error.kind, Kind::NotABackup);
        let full = Outer(io::ErrorKind::StorageFull.into());
        assert_eq!(CommandError::of(Kind::Failed, "x", &full).kind, Kind::NoSpace);
    }

    #[test]
    fn a_reader_that_went_away_is_no_news() {
        let error = CommandError::stdout(&io::ErrorKind::BrokenPipe.into());
        let mut text = Vec::new();
        error.report(&mut text, false, Styles::default());
        assert!(text.is_empty());
        assert_eq!(error.kind, Kind::BrokenPipe);
    }
}
