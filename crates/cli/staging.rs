//! What `plan`, `restore` and `filter --policy` have in common.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use bkp_toolkit::policy::{Note, Plan, Refusal, SourceIdentity, TargetIdentity};
use bkp_toolkit::restore::RunStaging;
use bkp_toolkit::{Given, GivenError, GivenFiles, LeftOut, Reported, StagingRows};

use crate::args::{PolicyArg, TargetArgs};
use crate::display::{Location, Size, Text};
use crate::error::{CommandError, Kind, chain};

/// Reads everything that was given. What is wrong with it is a matter of the command line.
pub(crate) fn given(files: &GivenFiles<'_>) -> Result<Given, CommandError> {
    Given::read(files).map_err(|error| {
        let mut failed = CommandError::of_fault(&error);
        failed.kind = Kind::Usage;
        match error {
            GivenError::Policy(_) => failed.help("nothing was written"),
            _ => failed,
        }
    })
}

/// Reads everything that a command about a target was given.
pub(crate) fn target(args: &TargetArgs) -> Result<Given, CommandError> {
    if args.target_serial.is_none() && args.policy.policy.is_none() {
        let message = "which device is it for?";
        return Err(CommandError::new(Kind::Usage, "target-needed", message).help(
            "give its serial number with --target-serial, or a --policy file that names it",
        ));
    }
    given(&files(args))
}

fn files(args: &TargetArgs) -> GivenFiles<'_> {
    let TargetArgs {
        target_serial,
        target_udid,
        target_ios,
        policy: PolicyArg { policy },
        managed_applications,
        installed_applications,
        profile,
    } = args;
    GivenFiles {
        policy: policy.as_deref(),
        target_serial: target_serial.as_deref(),
        target_udid: target_udid.as_deref(),
        target_ios: target_ios.as_deref(),
        managed_applications: managed_applications.as_deref(),
        installed_applications: installed_applications.as_deref(),
        profiles: profile,
    }
}

/// Makes the failure of a refusal, with both sides of the comparison.
pub(crate) fn refused(
    refusal: &Refusal,
    source: &SourceIdentity,
    target: &TargetIdentity,
) -> CommandError {
    let failed = CommandError::new(Kind::Refused, refusal.code(), chain(refusal));
    match refusal {
        Refusal::UnknownIdentity { .. } => {
            failed.help(of_source(source)).help(of_target(target)).help(
                "all of them must be there and agree, and the target's serial number and UDID \
                 must be both the backup's or both others",
            )
        }
        Refusal::ReasonNeeded => failed.help("give it with --reason TEXT"),
        Refusal::StagedForAnother { .. } => failed
            .help(of_target(target))
            .help("make the copy for this target of the backup that the device made"),
        _ => failed.help(of_source(source)).help(of_target(target)),
    }
}

fn said(stated: &Option<Box<str>>) -> String {
    // In quotes, and with control characters escaped.
    stated.as_ref().map_or("not stated".to_owned(), |text| format!("{text:?}"))
}

fn of_source(source: &SourceIdentity) -> String {
    let SourceIdentity {
        info_serial,
        info_unique_identifier,
        info_target_identifier,
        lockdown_serial,
        lockdown_udid,
    } = source;
    format!(
        "the backup: Info.plist has serial number {}, Unique Identifier {}, Target Identifier {}; \
         Manifest.plist has serial number {}, UDID {}",
        said(info_serial),
        said(info_unique_identifier),
        said(info_target_identifier),
        said(lockdown_serial),
        said(lockdown_udid)
    )
}

fn of_target(target: &TargetIdentity) -> String {
    let TargetIdentity { serial, udid } = target;
    format!("the target: serial number {}, UDID {}", said(serial), said(udid))
}

/// What management made of a copy.
#[derive(Debug, Serialize)]
pub(crate) struct ManagementSummary {
    /// `same` or `different`; null for a filter.
    device: Option<String>,
    target_serial: Option<String>,
    target_udid: Option<String>,
    reason: Option<String>,
    pub(crate) left_out: Vec<RuleSummary>,
    pub(crate) reported: Vec<ReportedRow>,
    notes: Vec<String>,
}

/// What one rule leaves out.
#[derive(Debug, Serialize)]
pub(crate) struct RuleSummary {
    pub(crate) rule: &'static str,
    pub(crate) requirement: String,
    pub(crate) why: &'static str,
    pub(crate) app: Option<String>,
    pub(crate) entries: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// A row that stays, and that a person should look at.
#[derive(Debug, Serialize)]
pub(crate) struct ReportedRow {
    pub(crate) rule: &'static str,
    pub(crate) why: &'static str,
    pub(crate) domain: String,
    pub(crate) relative_path: String,
}

impl ManagementSummary {
    pub(crate) fn of_filter(rows: &StagingRows, notes: &[Note]) -> Self {
        Self {
            device: None,
            target_serial: None,
            target_udid: None,
            reason: None,
            left_out: by_rule(&rows.left_out),
            reported: reported(&rows.reported),
            notes: notes.iter().map(|note| note.text.to_string()).collect(),
        }
    }

    pub(crate) fn of_restore(rows: &StagingRows, plan: &Plan, staging: &RunStaging) -> Self {
        let RunStaging { target_serial, target_udid, device, reason, source_serial: _ } =
            staging.clone();
        let target_serial = Some(target_serial);
        Self { device, target_serial, target_udid, reason, ..Self::of_filter(rows, plan.notes()) }
    }

    /// Returns true for a copy that was made for a device.
    pub(crate) fn is_for_a_device(&self) -> bool {
        self.device.is_some()
    }

    pub(crate) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { device, target_serial, left_out, reported, notes, .. } = self;
        if let (Some(device), Some(serial)) = (device, target_serial) {
            let what = match device.as_str() {
                "same" => "the device it came from: nothing was left out for its management",
                _ => "another device",
            };
            writeln!(out, "for serial number {}, {what}", Text(serial))?;
        }
        write_rules(out, left_out, "left out")?;
        for row in reported {
            let (domain, path) = (row.domain.as_bytes(), row.relative_path.as_bytes());
            let place = Location { domain, path };
            writeln!(out, "kept, look at it: {place} ({}: {})", row.rule, row.why)?;
        }
        for note in notes {
            writeln!(out, "note: {}", Text(note))?;
        }
        Ok(())
    }
}

/// Writes what each rule leaves out.
pub(crate) fn write_rules(
    out: &mut dyn Write,
    rules: &[RuleSummary],
    verb: &str,
) -> io::Result<()> {
    for RuleSummary { rule, requirement, why, app, files, bytes, entries: _ } in rules {
        let app = app.as_ref().map(|app| format!(" of {app}")).unwrap_or_default();
        let plural = if *files == 1 { "" } else { "s" };
        writeln!(
            out,
            "{verb}: {files} file{plural} ({}){}, {rule} ({requirement}): {why}",
            Size(*bytes),
            Text(&app)
        )?;
    }
    Ok(())
}

/// Adds up rows by rule and app.
pub(crate) fn by_rule(rows: &[LeftOut]) -> Vec<RuleSummary> {
    let mut rules: BTreeMap<(&str, Option<&str>), RuleSummary> = BTreeMap::new();
    for row in rows {
        let rule = rules.entry((row.rule, row.app.as_deref())).or_insert_with(|| RuleSummary {
            rule: row.rule,
            requirement: row.requirement.to_string(),
            why: row.why,
            app: row.app.as_deref().map(str::to_owned),
            entries: 0,
            files: 0,
            bytes: 0,
        });
        rule.entries += 1;
        if row.is_file {
            rule.files += 1;
            rule.bytes = rule.bytes.saturating_add(row.size);
        }
    }
    rules.into_values().collect()
}

pub(crate) fn reported(rows: &[Reported]) -> Vec<ReportedRow> {
    let one = |row: &Reported| ReportedRow {
        rule: row.rule.name,
        why: row.rule.why,
        domain: row.domain.to_string(),
        relative_path: row.path.to_string(),
    };
    rows.iter().map(one).collect()
}
