//! `bkp plan`: what a restore would do, and why.

mod document;
mod tables;
mod text;
mod windows;

use std::path::PathBuf;
use std::process::ExitCode;

use bkp_toolkit::policy::{StagedFor, plan};
use bkp_toolkit::{StagingRows, Surveyed};

use crate::args::{BackupArgs, Format, JsonArg, PasswordArgs, SealArgs, TargetArgs};
use crate::display::Rfc3339;
use crate::error::CommandError;
use crate::open::{self, damaged_keys};
use crate::problems::Tally;
use crate::progress::Progress;
use crate::staging::{self, refused};
use crate::ui::{self, Ui};

use document::Document;

/// Say what a restore to a certain device keeps and what not, and what comes next
///
/// Every decision names the requirement that it rests on. For the device that the backup came from
/// it is a prediction: the copy keeps everything. For another one it is what "bkp restore" leaves
/// out. Nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct PlanArgs {
    /// The backup's folder, the folder above a single backup, or an archive
    #[arg(value_name = "BACKUP", required_unless_present = "windows")]
    backup: Option<PathBuf>,

    /// Most rounds of key derivation that a backup may ask for [default: 50000000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_kdf_rounds: Option<u64>,

    #[command(flatten)]
    target: TargetArgs,

    /// Say instead what of the conditions for Windows backup holds, by the facts in this TOML file
    #[arg(
        long,
        value_name = "FACTS",
        conflicts_with_all = ["backup", "target_serial", "target_udid", "policy"],
    )]
    windows: Option<PathBuf>,

    #[command(flatten)]
    json: JsonArg,

    #[command(flatten)]
    seal: SealArgs,

    #[command(flatten)]
    password: PasswordArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp plan BACKUP --target-serial F2LXXXXXXXXX --target-ios 18.5 --password-file pw.txt
  bkp plan BACKUP --policy policy.toml --json | jq '.decisions[] | {subject, after_restore}'
  bkp plan --windows facts.toml

Exit codes:
  0 planned                       2 usage, or a bad policy file
  3 some files of management state could not be read (listed)
  4 planned, with warnings only   10 not a backup
  12 wrong password               13 a password is needed
  15 key material damaged         33 permission denied
  22 refused: the device is not certain, or the copy is for another, or it is a Shared iPad";

impl PlanArgs {
    pub(crate) fn format(&self) -> Format {
        self.json.format()
    }
}

pub(crate) fn run(args: &PlanArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let PlanArgs { backup, max_kdf_rounds, target, windows, json: _, seal, password } = args;
    let backup = match (windows, backup) {
        (Some(facts), _) => return windows::run(facts, ui),
        (None, backup) => backup.clone().unwrap_or_default(),
    };
    let given = staging::target(target)?;
    let seal = seal.clone();
    let backup = BackupArgs { backup, max_kdf_rounds: *max_kdf_rounds, seal };
    let (path, opened) = open::open(&backup, ui)?;
    let staged = bkp_toolkit::staged_for(&path).map_err(|e| CommandError::of_fault(&e))?;
    let progress = Progress::new(ui).doing("reading");
    let backup = open::unlocked(opened, password, ui, &progress)?;
    let now = Rfc3339::now().0;
    let Surveyed { mut situation, groups, .. } =
        bkp_toolkit::situation(&backup, given, now, &progress);
    situation.staged_for = staged.map(|staged| StagedFor { serial: staged.target_serial.into() });
    ui.stop.check()?;
    let plan = plan(&situation);
    let rows = match plan.would_leave_out() {
        Ok(leave_out) => StagingRows::of(&backup, &leave_out, &leave_out),
        Err(_) => StagingRows::default(),
    };
    let problems = progress.finish();
    let tally = Tally::of(&problems, damaged_keys(&backup));
    let document = Document::of(&situation, &plan, &rows, &groups, &problems);
    ui.answer(&document, |out| text::write(out, &document, ui::stdout_styles()))?;
    match plan.refusal() {
        None => Ok(tally.exit_code()),
        Some(refusal) => {
            Err(refused(refusal, &situation.facts.source, &situation.policy.target.identity))
        }
    }
}
