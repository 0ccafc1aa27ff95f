use jiff::tz::TimeZone;

use crate::display::parse_zone;

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
#[derive(Clone, Debug, clap::Args)]
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

    /// Time zone of times in text: a name such as Europe/Berlin, an offset such as +02:00,
    /// "local" or "utc"
    ///
    /// JSON is in UTC whatever this says, and so are dates in filters that name no offset.
    #[arg(
        long,
        global = true,
        value_name = "ZONE",
        default_value = "utc",
        value_parser = parse_zone,
        allow_hyphen_values = true,
        help_heading = "Display"
    )]
    pub(crate) tz: TimeZone,
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

/// How a listing is written.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ListingArgs {
    /// Write one JSON document, and errors as JSON
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,

    /// Write one JSON object a line, the last one a summary, and errors as JSON
    #[arg(long)]
    jsonl: bool,

    /// Show mode, protection class, size and time too
    #[arg(short, long)]
    pub(crate) long: bool,

    /// End each name with a NUL byte, and write its exact bytes: for "xargs -0", not for a terminal
    #[arg(short = '0', long = "null", conflicts_with_all = ["json", "jsonl", "long"])]
    pub(crate) null: bool,
}

impl ListingArgs {
    pub(crate) fn format(self) -> Format {
        match (self.json, self.jsonl) {
            (true, _) => Format::Json,
            (_, true) => Format::JsonLines,
            _ => Format::Text,
        }
    }
}

impl JsonArg {
    pub(crate) fn format(self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}
