/// How the answer is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// One JSON object a line, the last one a summary.
    JsonLines,
}

/// The options every command takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct GlobalArgs {
    /// When to use colours; NO_COLOR is respected
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Display"
    )]
    pub(crate) color: ColorWhen,

    /// When to show progress on standard error
    ///
    /// "auto" shows it on a terminal only, "json" writes one JSON object a line.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Display"
    )]
    pub(crate) progress: ProgressWhen,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

impl From<ColorWhen> for anstream::ColorChoice {
    fn from(when: ColorWhen) -> Self {
        match when {
            ColorWhen::Auto => Self::Auto,
            ColorWhen::Always => Self::Always,
            ColorWhen::Never => Self::Never,
        }
    }
}

/// When to show progress.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum ProgressWhen {
    Auto,
    Always,
    Never,
    Json,
}

/// One JSON document or text.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct JsonArg {
    /// Write one JSON document, and errors as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl JsonArg {
    pub(crate) fn format(self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}
