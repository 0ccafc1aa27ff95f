//! What every command is given: where to write, how, and whether to stop.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::fd::AsFd as _;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::args::{Format, GlobalArgs, ProgressWhen};
use crate::display::{InZone, Rfc3339, Styles, Text, label};
use crate::error::CommandError;
use crate::json::write_line;
use crate::problems::Item;
use crate::progress::ProgressMode;
use crate::signals::Stop;

/// Bytes gathered before they are written to stdout.
const BUFFER: usize = 256 * 1024;

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct Ui {
    pub(crate) format: Format,
    pub(crate) styles: Styles,
    pub(crate) progress: ProgressMode,
    pub(crate) stop: Stop,
    /// Of times in text.
    pub(crate) zone: TimeZone,
}

impl Ui {
    pub(crate) fn new(global: GlobalArgs, format: Format, stop: Stop) -> Self {
        let GlobalArgs { color, progress, tz: zone } = global;
        anstream::ColorChoice::from(color).write_global();
        let terminal = io::stderr().is_terminal();
        let progress = match progress {
            ProgressWhen::Json => ProgressMode::Json,
            ProgressWhen::Never => ProgressMode::Silent,
            ProgressWhen::Auto if !terminal => ProgressMode::Silent,
            ProgressWhen::Auto | ProgressWhen::Always if terminal => ProgressMode::Bar,
            ProgressWhen::Auto | ProgressWhen::Always => ProgressMode::Lines,
        };
        Self { format, styles: stderr_styles(), progress, stop, zone }
    }

    /// Returns true if what goes to stderr must be JSON.
    pub(crate) fn json_events(&self) -> bool {
        self.format != Format::Text || self.progress == ProgressMode::Json
    }

    /// Shows seconds since the Unix epoch in the zone that was asked for.
    pub(crate) fn time(&self, seconds: i64) -> InZone<'_> {
        InZone { time: Rfc3339(seconds), zone: &self.zone }
    }

    /// Writes what a command found or did to stdout: text, or else the one document.
    pub(crate) fn answer(
        &self,
        document: &impl Serialize,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        let mut out = stdout()?;
        let written = match self.format {
            Format::Text => text(&mut out),
            _ => write_line(&mut out, document),
        };
        written.and_then(|()| out.flush()).map_err(|error| CommandError::stdout(&error))
    }

    /// Writes a note to a person on stderr. Programs are told the same by their document.
    pub(crate) fn note(&self, text: &str) {
        if !self.json_events() {
            let note = label(self.styles.help, "note:");
            let _ = writeln!(io::stderr().lock(), "{note} {}", Text(text));
        }
    }

    /// Writes a failure of one of several things to stderr, for a person.
    pub(crate) fn failure(&self, code: &str, message: &str) {
        let head = label(self.styles.error, format_args!("error[{code}]:"));
        let _ = writeln!(io::stderr().lock(), "{head} {}", Text(message));
    }

    /// Writes a problem to stderr. What cannot be written there can be said nowhere.
    pub(crate) fn problem(&self, item: &Item) {
        let mut err = io::stderr().lock();
        let _ = if self.json_events() {
            item.write_event(&mut err)
        } else {
            item.write_text(&mut err, self.styles)
        };
    }
}

/// Returns the styles for stderr.
pub(crate) fn stderr_styles() -> Styles {
    Styles::new(anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never)
}

/// Returns the styles for text on stdout.
pub(crate) fn stdout_styles() -> Styles {
    Styles::new(anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never)
}

/// Returns stdout without the line buffer of the standard library. It must be flushed by its
/// user: dropping it would lose an error.
pub(crate) fn stdout() -> Result<BufWriter<File>, CommandError> {
    let fd = io::stdout().as_fd().try_clone_to_owned().map_err(|e| CommandError::stdout(&e))?;
    Ok(BufWriter::with_capacity(BUFFER, File::from(fd)))
}
