//! What every command is given: where to write, how, and whether to stop.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _};
use std::os::fd::AsFd as _;

use crate::args::{Format, GlobalArgs, ProgressWhen};
use crate::display::Styles;
use crate::error::CommandError;
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
}

impl Ui {
    pub(crate) fn new(global: GlobalArgs, format: Format, stop: Stop) -> Self {
        let GlobalArgs { color, progress } = global;
        anstream::ColorChoice::from(color).write_global();
        let terminal = io::stderr().is_terminal();
        let progress = match progress {
            ProgressWhen::Json => ProgressMode::Json,
            ProgressWhen::Never => ProgressMode::Silent,
            ProgressWhen::Auto if !terminal => ProgressMode::Silent,
            ProgressWhen::Auto | ProgressWhen::Always if terminal => ProgressMode::Bar,
            ProgressWhen::Auto | ProgressWhen::Always => ProgressMode::Lines,
        };
        Self { format, styles: stderr_styles(), progress, stop }
    }

    /// Returns true if what goes to stderr must be JSON.
    pub(crate) fn json_events(&self) -> bool {
        self.format != Format::Text || self.progress == ProgressMode::Json
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
