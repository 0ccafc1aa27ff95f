use std::num::NonZeroUsize;

use super::Format;

/// What every command takes that makes a bundle of a bundle.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RewriteArgs {
    /// Write nothing; say what would be done
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,

    /// Write one JSON document, and errors as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Number of worker threads [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
}

impl RewriteArgs {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}
