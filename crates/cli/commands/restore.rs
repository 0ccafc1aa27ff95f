//! `bkp restore`: a bundle made ready for a device.

use std::path::PathBuf;
use std::process::ExitCode;

use bkp_toolkit::core::Select;
use bkp_toolkit::policy::{Identity, Plan, StagedFor, plan};
use bkp_toolkit::restore::RunStaging;
use bkp_toolkit::{LookAhead, StagingRows, Surveyed};

use crate::args::{BackupArgs, Format, PasswordArgs, RewriteArgs, TargetArgs};
use crate::error::CommandError;
use crate::open;
use crate::rewriting::Rewriting;
use crate::staging::{self, ManagementSummary, refused};
use crate::ui::Ui;

/// Write a copy of a backup that is ready to be restored to a certain device
///
/// For the device that the backup came from, the copy holds everything. For another one it lacks
/// what that device would delete by itself: profiles, the enrolment, the management configuration,
/// trust in root certificates, and data of apps that go with the enrolment or are in no backup.
/// Nothing is written in their place. When it is not certain which of the two it is, nothing is
/// made. OUT.bkp-run.json beside OUT names the device, every row left out, its rule and the
/// requirement; a copy for one device is refused for another.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    backup: BackupArgs,

    /// The folder to write, new or empty
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// Why the copy is made; needed when the organisation manages the device by ADE
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: Option<String>,

    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    rewrite: RewriteArgs,

    #[command(flatten)]
    password: PasswordArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp restore BACKUP --target-serial F2LXXXXXXXXX -o OUT --password-file pw.txt
  bkp restore BACKUP --policy policy.toml --reason 'ticket 4711' -o OUT
  bkp restore BACKUP --target-serial F2LXXXXXXXXX -o OUT --dry-run

Exit codes:
  0 all written                   2 usage, or a bad policy file
  3 some items could not be read or written (listed)
  4 written, with warnings only   10 not a backup
  12 wrong password               13 a password is needed
  15 key material damaged         21 hostile content refused
  22 refused: the device is not certain, a reason is needed, made for another, Shared iPad
  30 OUT is not empty             32 no space left
  33 permission denied            130, 143 interrupted, and nothing is left of OUT";

/// The longest reason in characters.
const REASON: usize = 4096;

fn parse_reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why".to_owned()),
        text if text.chars().count() > REASON => Err(format!("more than {REASON} characters")),
        text => Ok(text.to_owned()),
    }
}

impl RestoreArgs {
    pub(crate) fn format(&self) -> Format {
        self.rewrite.format()
    }
}

pub(crate) fn run(args: &RestoreArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let RestoreArgs { backup, output, reason, target, rewrite, password } = args;
    let given = staging::target(target)?;
    let (path, opened) = open::open(backup, ui)?;
    let staged = bkp_toolkit::staged_for(&path).map_err(|e| CommandError::of_fault(&e))?;
    let mut job = Rewriting::begin("restore", path, output, rewrite, ui)?;
    let backup = open::unlocked(opened, password, ui, &job.progress)?;
    let now = job.started.0;
    let Surveyed { mut situation, .. } = bkp_toolkit::situation(&backup, given, now, &job.progress);
    situation.staged_for = staged.map(|staged| StagedFor { serial: staged.target_serial.into() });
    ui.stop.check()?;
    let plan = plan(&situation);
    let leave_out = plan.leave_out(reason.as_deref()).map_err(|refusal| {
        refused(&refusal, &situation.facts.source, &situation.policy.target.identity)
    })?;
    let (selection, ahead) = if leave_out.keeps_everything() {
        (None, LookAhead::none())
    } else {
        let (selection, ahead) = bkp_toolkit::choose(&backup, &leave_out)?;
        (Some(selection), ahead)
    };
    let select: &dyn Select = match &selection {
        Some(selection) => selection,
        None => &leave_out,
    };
    job.rows = StagingRows::of(&backup, select, &leave_out);
    let staging = made_for(&plan, reason.as_deref());
    let mut summary = if rewrite.dry_run {
        job.plan(&backup, select)?
    } else {
        let (options, progress) = (job.options(false), &job.progress);
        job.summary(bkp_toolkit::filter_ahead(&backup, select, ahead, &options, progress))?
    };
    summary.management =
        staging.as_ref().map(|staging| ManagementSummary::of_restore(&job.rows, &plan, staging));
    job.staging = staging;
    job.conclude(&backup, selection.as_ref(), summary)
}

/// Says for the run record which device a copy is for.
fn made_for(plan: &Plan, reason: Option<&str>) -> Option<RunStaging> {
    let (device, source, target) = match plan.identity() {
        Identity::Same(same) => ("same", same.device(), same.device()),
        Identity::Different(proof) => ("different", proof.source(), proof.target()),
        Identity::Unknown(_) => return None,
    };
    Some(RunStaging {
        target_serial: target.serial.to_string(),
        target_udid: target.udid.as_ref().map(ToString::to_string),
        source_serial: Some(source.serial.to_string()),
        device: Some(device.to_owned()),
        reason: reason.map(str::to_owned),
    })
}
