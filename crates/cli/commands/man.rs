//! `bkp man`: manual pages, made of the same words as the help.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_mangen::Man;
use roff::{Roff, roman};

use crate::args::Format;
use crate::display::Name;
use crate::error::{CommandError, Kind};
use crate::ui;

/// Print a manual page
///
/// Pages are in roff, for "man -l" or a folder of manual pages.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ManArgs {
    /// The command to print the page of, instead of that of bkp itself
    #[arg(value_name = "COMMAND")]
    command: Option<String>,

    /// Write the pages of all commands into DIR, replacing those of the same names
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    all: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  bkp man | man -l -
  bkp man extract > bkp-extract.1
  bkp man --all ~/.local/share/man/man1

Exit codes:
  0 printed or written           2 no such command
  32 no space left               33 permission denied";

impl ManArgs {
    pub(crate) fn format(&self) -> Format {
        Format::Text
    }
}

pub(crate) fn run(args: &ManArgs) -> Result<ExitCode, CommandError> {
    let ManArgs { command, all } = args;
    let mut root = crate::app::command().disable_help_subcommand(true);
    // Only then do commands have their full names and the options that all share.
    root.build();
    let failed = |error: io::Error| CommandError::stdout(&error);
    let mut out = ui::stdout()?;
    if let Some(folder) = all {
        for path in write_all(&root, folder)? {
            writeln!(out, "{}", Name::of(&path)).map_err(failed)?;
        }
    } else {
        let command = match command {
            None => &root,
            Some(name) => root.find_subcommand(name).ok_or_else(|| unknown(&root, name))?,
        };
        out.write_all(&page(command).map_err(failed)?).map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

fn unknown(root: &clap::Command, name: &str) -> CommandError {
    let names: Vec<_> = root.get_subcommands().map(clap::Command::get_name).collect();
    CommandError::new(Kind::Usage, "usage", format!("bkp has no command \"{name}\""))
        .help(format!("the commands are {}", names.join(", ")))
}

/// Writes every page and returns where they are.
fn write_all(root: &clap::Command, folder: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let failed = |path: &Path, error: &io::Error| {
        let failed = CommandError::of(Kind::Failed, "cannot-write", error);
        let message = format!("cannot write {}: {}", Name::of(path), failed.message);
        CommandError { message, ..failed }
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let mut written = Vec::new();
    for command in std::iter::once(root).chain(root.get_subcommands()) {
        let path = folder.join(Man::new(command.clone()).get_filename());
        let page = page(command).map_err(|error| failed(&path, &error))?;
        std::fs::write(&path, page).map_err(|error| failed(&path, &error))?;
        written.push(path);
    }
    Ok(written)
}

/// Makes the page of one command. It bears no date, so that the same source gives the same page.
fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let source = concat!("bkp ", env!("CARGO_PKG_VERSION"));
    // An empty date would be left out, and what follows be taken for it.
    let man = Man::new(command.clone()).date(" ").source(source).manual("bkp manual");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    render_after(&after, &mut out)?;
    Ok(out)
}

/// Renders what stands after the options: headings with a colon, and lines that stay as they are.
fn render_after(text: &str, out: &mut dyn Write) -> io::Result<()> {
    for block in text.split("\n\n") {
        let (heading, lines) = block.split_once('\n').unwrap_or((block, ""));
        let heading = match heading.trim_end_matches(':') {
            "Exit codes" => "EXIT STATUS".to_owned(),
            other => other.to_uppercase(),
        };
        let mut roff = Roff::new();
        roff.control("SH", [heading.as_str()]).control("nf", []);
        for line in lines.lines() {
            roff.text([roman(line.trim_start())]);
        }
        roff.control("fi", []).to_writer(out)?;
    }
    Ok(())
}
