//! `bkp plan --windows`: whether computers are ready for Windows backup.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use bkp_toolkit::policy::tables::WINDOWS_AS_OF;
use bkp_toolkit::policy::{MAX_POLICY_FILE, WindowsFacts};

use crate::error::{CommandError, Kind};
use crate::json::SCHEMA_VERSION;
use crate::ui::Ui;

#[derive(Debug, Serialize)]
struct Document {
    schema_version: u32,
    kind: &'static str,
    /// The date of what the conditions are from.
    as_of: &'static str,
    capabilities: Vec<Capability>,
}

#[derive(Debug, Serialize)]
struct Capability {
    capability: &'static str,
    /// Null where a condition is not known.
    ready: Option<bool>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Serialize)]
struct Condition {
    condition: &'static str,
    holds: Option<bool>,
    grounds: Vec<String>,
}

/// Reads the facts and answers.
pub(super) fn run(path: &Path, ui: &Ui) -> Result<ExitCode, CommandError> {
    let name = path.display().to_string();
    let failed = |error: io::Error| {
        let message = format!("cannot read \"{name}\": {error}");
        CommandError::new(Kind::Usage, "policy-unreadable", message)
    };
    let mut bytes = Vec::new();
    // One byte more than is allowed tells that there is more.
    let most = u64::try_from(MAX_POLICY_FILE).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).map_err(failed)?.take(most).read_to_end(&mut bytes).map_err(failed)?;
    let facts = WindowsFacts::parse(&name, &bytes).map_err(|error| {
        let mut failed = CommandError::of_fault(&error);
        failed.kind = Kind::Usage;
        failed
    })?;
    let document = Document::of(&facts);
    ui.answer(&document, |out| document.write_text(out))?;
    Ok(ExitCode::SUCCESS)
}

impl Document {
    fn of(facts: &WindowsFacts) -> Self {
        let mut capabilities: Vec<Capability> = Vec::new();
        for (row, holds) in facts.conditions() {
            let capability = row.capability.name();
            let condition = Condition {
                condition: row.condition,
                holds,
                grounds: row.grounds.iter().map(ToString::to_string).collect(),
            };
            match capabilities.iter_mut().find(|known| known.capability == capability) {
                Some(known) => {
                    known.ready = both(known.ready, holds);
                    known.conditions.push(condition);
                }
                None => capabilities.push(Capability {
                    capability,
                    ready: holds,
                    conditions: vec![condition],
                }),
            }
        }
        let as_of = WINDOWS_AS_OF;
        Self { schema_version: SCHEMA_VERSION, kind: "windows-readiness", as_of, capabilities }
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "Windows backup, by a document of {}, which describes a preview: compare with the \
             current text",
            self.as_of
        )?;
        for Capability { capability, ready, conditions } in &self.capabilities {
            writeln!(out, "\n{capability}: {}", word(*ready))?;
            for Condition { condition, holds, grounds } in conditions {
                writeln!(out, "  {:<9} {condition} ({})", word(*holds), grounds.join(", "))?;
            }
        }
        Ok(())
    }
}

/// One that does not hold decides, whatever is not known.
fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn word(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known",
    }
}
