//! `bkp filter`: a smaller bundle.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bkp_toolkit::core::{Entry, Select};
use bkp_toolkit::policy::Selection;

use crate::args::{BackupArgs, ExplainArg, FilterArgs, Format, PasswordArgs, RewriteArgs};
use crate::error::CommandError;
use crate::explain::{Explained, explain};
use crate::progress::Progress;
use crate::rewriting::Rewriting;
use crate::ui::Ui;
use crate::{open, rules};

/// Write a smaller backup, of chosen entries
///
/// The catalog is made anew, so that no name, key or row of what was left out stays in it; the
/// folders above what is kept come along, and so do the journals of databases. Files are taken as
/// they are stored: only the catalog is decrypted. OUT appears at the end, by one rename; beside
/// it OUT.bkp-run.json lists every row left out and the rule that said so.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct FilterCommand {
    #[command(flatten)]
    backup: BackupArgs,

    /// The folder to write, new or empty
    #[arg(short, long, value_name = "OUT", required_unless_present = "explain")]
    output: Option<PathBuf>,

    /// Make hard links to the backup's own files where that can be done: a change of one is a
    /// change of both
    #[arg(long)]
    link: bool,

    #[command(flatten)]
    explain: ExplainArg,

    #[command(flatten)]
    rewrite: RewriteArgs,

    #[command(flatten)]
    password: PasswordArgs,

    #[command(flatten)]
    filters: FilterArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp filter BACKUP -o OUT --exclude 'CameraRollDomain' --password-file pw.txt
  bkp filter BACKUP -o OUT --include 'HomeDomain:Library/SMS' --include 'MediaDomain'
  bkp filter BACKUP -o OUT --rules rules.txt --dry-run

Exit codes:
  0 all written                   2 usage, or a bad rule
  3 some items could not be read or written (listed)
  4 written, with warnings only   10 not a backup
  12 wrong password               13 a password is needed
  15 key material damaged         21 hostile content refused
  30 OUT is not empty             32 no space left
  33 permission denied            130, 143 interrupted, and nothing is left of OUT";

impl FilterCommand {
    pub(crate) fn format(&self) -> Format {
        self.rewrite.format()
    }
}

pub(crate) fn run(args: &FilterCommand, ui: &Ui) -> Result<ExitCode, CommandError> {
    let FilterCommand { backup, output, link, explain: asked, rewrite, password, filters } = args;
    let rules = rules::build(filters)?;
    let (path, opened) = open::open(backup, ui)?;
    let target = match (&asked.explain, output) {
        (Some(name), _) => {
            let judge = |entry: &Entry| Explained::from(&rules.explain(entry));
            return explain(opened, name, &judge, password, ui, &Progress::new(ui));
        }
        (None, output) => output.as_deref().unwrap_or(Path::new("")),
    };
    let job = Rewriting::begin("filter", path, target, rewrite, ui)?;
    let backup = open::unlocked(opened, password, ui, &job.progress)?;
    let selection =
        (!rules.keep_everything()).then(|| Selection::of_source(&backup, &rules)).transpose()?;
    let select: &dyn Select = match &selection {
        Some(selection) => selection,
        None => &rules,
    };
    let summary = if rewrite.dry_run {
        job.plan(&backup, select)?
    } else {
        job.summary(bkp_toolkit::filter(&backup, select, &job.options(*link), &job.progress))?
    };
    for item in rules::unmatched(&rules) {
        job.progress.report(item);
    }
    job.conclude(&backup, selection.as_ref(), summary)
}
