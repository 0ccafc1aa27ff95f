//! `bkp completions`: what a shell needs to complete the command line.

use std::io::Write as _;
use std::process::ExitCode;

use clap_complete::Shell;

use crate::args::Format;
use crate::error::CommandError;
use crate::ui;

/// Print a completion script for a shell
///
/// The script completes commands, options and their values.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

const AFTER_HELP: &str = "\
Examples:
  bkp completions bash > ~/.local/share/bash-completion/completions/bkp
  bkp completions zsh > ~/.zfunc/_bkp
  bkp completions fish > ~/.config/fish/completions/bkp.fish

Exit codes:
  0 printed                      2 no such shell
  32 no space left               141 the reader of the output went away";

impl CompletionsArgs {
    pub(crate) fn format(&self) -> Format {
        Format::Text
    }
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<ExitCode, CommandError> {
    let CompletionsArgs { shell } = args;
    // To memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut crate::app::command(), "bkp", &mut script);
    let mut out = ui::stdout()?;
    out.write_all(&script)
        .and_then(|()| out.flush())
        .map_err(|error| CommandError::stdout(&error))?;
    Ok(ExitCode::SUCCESS)
}
