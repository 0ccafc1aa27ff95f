//! From the arguments to the exit code.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::args::GlobalArgs;
use crate::commands::Command;
use crate::error::{CommandError, Kind};
use crate::signals::Stop;
use crate::ui::{Ui, stderr_styles};

/// Open, prove and extract iOS-style backup bundles
///
/// Nothing in a backup is ever written or changed.
#[derive(Debug, Parser)]
#[command(name = "bkp", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,

    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  bkp inspect ~/Backups/00008110-000A1B2C3D4E5F60
  bkp ls BACKUP --password-file pw.txt --include 'HomeDomain:Library/SMS'
  bkp extract BACKUP --password-file pw.txt -o OUT

Exit codes:
  0 done, nothing lost                  1 failed                2 usage
  3 done, some items lost (listed)      4 done, with warnings only
  10 not a backup, or not found         11 unsupported or newer format
  12 wrong password                     13 a password is needed
  15 key material damaged               20 verification found damage
  21 hostile content refused            22 refused by policy
  30 destination is not empty           32 no space left
  33 permission denied
  130, 143 interrupted, after a clean stop";

/// Runs the program.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // A core would hold keys and passwords. Lowering a limit is always allowed, and where there
    // is no such limit there is none to lower.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let args: Vec<OsString> = args.into_iter().collect();
    match Cli::try_parse_from(&args) {
        Ok(Cli { global, command }) => run(global, &command),
        Err(error) => parse_failed(&error, wants_json(&args)),
    }
}

/// Returns the command line, for what is made of it: completions and manual pages.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

fn run(global: GlobalArgs, command: &Command) -> ExitCode {
    let format = command.format();
    let stop = match Stop::install() {
        Ok(stop) => stop,
        Err(error) => {
            let failed = CommandError::of(Kind::Failed, "cannot-handle-signals", &error);
            return fail(&failed, format != crate::args::Format::Text);
        }
    };
    let ui = Ui::new(global, format, stop);
    match command.run(&ui) {
        Ok(code) => code,
        Err(error) => fail(&error, ui.json_events()),
    }
}

fn fail(error: &CommandError, json: bool) -> ExitCode {
    error.report(&mut io::stderr().lock(), json, stderr_styles())
}

/// Tells whether errors are wanted as JSON when the arguments could not be parsed.
fn wants_json(args: &[OsString]) -> bool {
    args.iter()
        .skip(1)
        .map(OsString::as_os_str)
        .take_while(|arg| *arg != OsStr::new("--"))
        .any(|arg| arg == OsStr::new("--json") || arg == OsStr::new("--jsonl"))
}

/// Ends with what clap has to say: help and the version go to stdout and are no failure.
fn parse_failed(error: &clap::Error, json: bool) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match error.print().and_then(|()| io::stdout().flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&CommandError::stdout(&error), json),
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !json => {
            let _ = error.print();
            Kind::Usage.into()
        }
        _ => fail(&usage_error(&error.render().to_string()), json),
    }
}

/// Makes one of our errors of clap's text: the first paragraph is the message, the rest advice.
fn usage_error(text: &str) -> CommandError {
    let mut paragraphs = text.trim().split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut failed = CommandError::new(Kind::Usage, "usage", words(first));
    for paragraph in paragraphs {
        let text = words(paragraph);
        failed = failed.help(text.strip_prefix("tip: ").unwrap_or(&text));
    }
    failed
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{Cli, Kind, usage_error, wants_json};

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_ends_with_three_examples_and_its_exit_codes() {
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            let (_, tail) = help.split_once("\nExamples:\n").expect("examples and exit codes");
            let (examples, codes) =
                tail.split_once("\n\nExit codes:\n").expect("examples and exit codes");
            let examples: Vec<&str> = examples.lines().collect();
            assert_eq!(examples.len(), 3, "{}", command.get_name());
            assert!(examples.iter().all(|line| line.starts_with("  bkp ")));
            let of = |code: &str| codes.contains(code);
            assert!(of("0 "), "{}", command.get_name());
            // Whoever may ask for a password says what becomes of a wrong one, or of none where
            // the password is a new one.
            let asks = command.get_arguments().any(|arg| {
                ["password_file", "seal_password_file"].iter().any(|id| arg.get_id() == id)
            });
            let new = command.get_name() == "generate";
            assert!(of("12 ") == (asks && !new), "{}", command.get_name());
            assert!(!new || of("13 "), "{}", command.get_name());
        }
    }

    #[test]
    fn usage_errors_are_ours() {
        let error = usage_error(
            "error: unexpected argument '--x' found\n\n  tip: try\n    '--y'\n\nUsage: bkp ls\n",
        );
        assert_eq!((error.kind, error.code), (Kind::Usage, "usage"));
        assert_eq!(error.message, "unexpected argument '--x' found");
        assert_eq!(error.help, ["try '--y'", "Usage: bkp ls"]);
    }

    #[test]
    fn json_is_wanted_before_the_end_of_options_only() {
        let args = |args: &[&str]| args.iter().map(Into::into).collect::<Vec<_>>();
        assert!(wants_json(&args(&["bkp", "ls", "--jsonl", "--bad"])));
        assert!(!wants_json(&args(&["bkp", "ls", "--", "--json"])));
        assert!(!wants_json(&args(&["--json"])));
    }
}
