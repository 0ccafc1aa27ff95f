//! Colours.

use std::fmt;

use anstyle::{AnsiColor, Style};

/// What each part of a report looks like. Plain when colours are off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Styles {
    pub(crate) heading: Style,
    pub(crate) good: Style,
    pub(crate) warning: Style,
    pub(crate) error: Style,
    pub(crate) help: Style,
}

impl Styles {
    /// Returns styles with or without colour.
    pub(crate) fn new(colour: bool) -> Self {
        if !colour {
            return Self::default();
        }
        let bold = |colour: AnsiColor| colour.on_default().bold();
        Self {
            heading: Style::new().bold(),
            good: AnsiColor::Green.on_default(),
            warning: bold(AnsiColor::Yellow),
            error: bold(AnsiColor::Red),
            help: bold(AnsiColor::Cyan),
        }
    }
}

/// Shows something in a style.
pub(crate) fn label(style: Style, text: impl fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
