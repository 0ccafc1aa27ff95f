//! `bkp filter`: a smaller bundle.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bkp_toolkit::bundle::{Backup, Opened, Unlocked};
use bkp_toolkit::core::{Entry, Select};
use bkp_toolkit::policy::FilterPlan;
use bkp_toolkit::{Given, GivenFiles, LookAhead, StagingRows, StagingSelect, Surveyed};

use crate::args::{
    BackupArgs, ExplainArg, FilterArgs, Format, PasswordArgs, PolicyArg, RewriteArgs,
};
use crate::display::Rfc3339;
use crate::error::CommandError;
use crate::explain::{Explained, explain};
use crate::progress::Progress;
use crate::rewriting::Rewriting;
use crate::staging::{self, ManagementSummary};
use crate::ui::Ui;
use crate::{open, rules};

/// Write a smaller backup, of chosen entries
///
/// The catalog is made anew, so that no name, key or row of what was left out stays in it; the
/// folders above what is kept come along, and so do the journals of databases. Files are taken as
/// they are stored: only the catalog is decrypted. OUT appears at the end, by one rename; beside
/// it OUT.bkp-run.json lists every row left out and the rule that said so.
///
/// A policy file leaves out what should not be in any backup: data of apps that are not to be
/// backed up, with their plug-ins and the groups that are proved to be theirs alone, and managed
/// books where they are disallowed. It counts after the filters, and leaves out no profile.
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
    policy: PolicyArg,

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
  bkp filter BACKUP -o OUT --policy policy.toml --dry-run

Exit codes:
  0 all written                   2 usage, a bad rule or policy file
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
    let FilterCommand {
        backup,
        output,
        link,
        policy: PolicyArg { policy },
        explain: asked,
        rewrite,
        password,
        filters,
    } = args;
    let rules = rules::build(filters)?;
    let files = GivenFiles { policy: policy.as_deref(), ..GivenFiles::default() };
    let given = staging::given(&files)?;
    let (path, mut opened) = open::open(backup, ui)?;
    if let Some(name) = &asked.explain {
        let progress = Progress::new(ui);
        // Rules need names alone, and a policy what files say.
        let mut decided = None;
        if policy.is_some() {
            let backup = open::unlocked(opened, password, ui, &progress)?;
            decided = Some(by_policy(&backup, given, &progress));
            opened = Opened::Unlocked(backup);
        }
        let judge = |entry: &Entry| {
            let explained = Explained::from(&rules.explain(entry));
            let because = decided.as_ref().and_then(|plan| plan.leave_out.because(entry));
            match because.filter(|_| explained.keep) {
                Some(because) => {
                    Explained { keep: false, text: format!("left out: {}", because.text) }
                }
                None => explained,
            }
        };
        return explain(opened, name, &judge, password, ui, &progress);
    }
    let target = output.as_deref().unwrap_or(Path::new(""));
    let mut job = Rewriting::begin("filter", path, target, rewrite, ui)?;
    let backup = open::unlocked(opened, password, ui, &job.progress)?;
    let decided = policy.as_ref().map(|_| by_policy(&backup, given, &job.progress));
    let staging;
    let judge: &dyn Select = match &decided {
        Some(plan) => {
            staging = StagingSelect { rules: &rules, leave_out: &plan.leave_out };
            &staging
        }
        None => &rules,
    };
    let keeps = decided.as_ref().is_none_or(|plan| plan.leave_out.keeps_everything());
    let (selection, ahead) = if rules.keep_everything() && keeps {
        (None, LookAhead::none())
    } else {
        let (selection, ahead) = bkp_toolkit::choose(&backup, judge)?;
        (Some(selection), ahead)
    };
    let select: &dyn Select = match &selection {
        Some(selection) => selection,
        None => judge,
    };
    if let Some(plan) = &decided {
        job.rows = StagingRows::of(&backup, select, &plan.leave_out);
    }
    let mut summary = if rewrite.dry_run {
        job.plan(&backup, select)?
    } else {
        let (options, progress) = (job.options(*link), &job.progress);
        job.summary(bkp_toolkit::filter_ahead(&backup, select, ahead, &options, progress))?
    };
    for item in rules::unmatched(&rules) {
        job.progress.report(item);
    }
    summary.management =
        decided.as_ref().map(|plan| ManagementSummary::of_filter(&job.rows, &plan.notes));
    job.conclude(&backup, selection.as_ref(), summary)
}

/// Decides what the policy leaves out.
fn by_policy(backup: &Backup<Unlocked>, given: Given, progress: &Progress<'_>) -> FilterPlan {
    let Surveyed { situation, .. } =
        bkp_toolkit::situation(backup, given, Rfc3339::now().0, progress);
    situation.filter()
}
