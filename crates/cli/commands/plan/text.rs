//! A plan for a person.

use std::fmt::Display;
use std::io::{self, Write};

use super::document::{DecisionFacts, Document};
use super::tables::StepFacts;
use crate::display::{Location, Styles, Text, label};
use crate::staging::write_rules;

/// Writes a plan: both sides first, then what becomes of what, then tables.
pub(super) fn write(
    out: &mut dyn Write,
    document: &Document<'_>,
    styles: Styles,
) -> io::Result<()> {
    let mut report = Report { out, styles };
    report.sides(document)?;
    if document.refusal.is_none() {
        report.decisions(&document.decisions)?;
        report.apps(document)?;
        report.rows(document)?;
        report.notes(document)?;
    }
    report.checklist(&document.checklist)?;
    report.intune(document)?;
    report.conflicts(document)
}

struct Report<'o> {
    out: &'o mut dyn Write,
    styles: Styles,
}

impl Report<'_> {
    fn title(&mut self, title: &str) -> io::Result<()> {
        writeln!(self.out, "\n{}", label(self.styles.heading, format_args!("{title}")))
    }

    fn row(&mut self, name: &str, value: impl Display) -> io::Result<()> {
        let name = label(self.styles.heading, format_args!("{name:<12}"));
        writeln!(self.out, "{name} {value}")
    }

    /// An indented line with a word before it, unless it is empty.
    fn detail(&mut self, name: &str, value: &str) -> io::Result<()> {
        match value {
            "" => Ok(()),
            value => writeln!(self.out, "  {name:<14} {}", Text(value)),
        }
    }

    fn sides(&mut self, document: &Document<'_>) -> io::Result<()> {
        let device = match document.device {
            "same" => "the one that the backup came from: the copy keeps everything",
            "different" => "another one: the source's management state does not go along",
            _ => "not certain: nothing is made for it",
        };
        self.row("Device", device)?;
        if let Some(refusal) = &document.refusal {
            let line = format!("{} ({})", refusal.message, refusal.code);
            self.row("Refused", Text(&line))?;
        }
        writeln!(self.out, "{}", label(self.styles.heading, "Source"))?;
        for (place, stated) in document.source.places() {
            writeln!(self.out, "  {place:<30} {}", Text(stated.unwrap_or("not stated")))?;
        }
        writeln!(self.out, "{}", label(self.styles.heading, "Target"))?;
        for (place, stated) in document.target.places() {
            writeln!(self.out, "  {place:<30} {}", Text(stated.unwrap_or("not given")))?;
        }
        let supervised = match document.supervised {
            Some(true) => ", supervised",
            Some(false) => ", not supervised",
            None => "",
        };
        self.row("Enrolment", format_args!("{}{supervised}", document.enrolment))?;
        self.row("Encrypted", if document.encrypted { "yes" } else { "no" })?;
        self.row("iOS", format_args!("{} (of the target)", document.ios_versions))?;
        if let Some(number) = document.scenario {
            self.row("Scenario", format_args!("row {number} of the main table"))?;
        }
        if document.reason_needed {
            self.row("Reason", "needed: bkp restore --reason TEXT")?;
        }
        Ok(())
    }

    fn decisions(&mut self, decisions: &[DecisionFacts<'_>]) -> io::Result<()> {
        self.title("What becomes of what")?;
        for decision in decisions {
            let DecisionFacts {
                subject,
                app,
                in_copy,
                after_restore,
                placeholder,
                next_steps,
                requirements,
                other_grounds,
                conflicts,
            } = decision;
            let name = app.map_or((*subject).to_owned(), |app| format!("{subject} {app}"));
            let line = format!("{name}: {in_copy} in the copy; after the restore {after_restore}");
            writeln!(self.out, "{}", Text(&line))?;
            for step in *next_steps {
                self.detail("next", step)?;
            }
            self.detail("meanwhile", placeholder.unwrap_or_default())?;
            self.detail("rests on", &[requirements.as_slice(), other_grounds].concat().join(", "))?;
            let numbers: Vec<String> = conflicts.iter().map(u8::to_string).collect();
            self.detail("open question", &numbers.join(", "))?;
        }
        Ok(())
    }

    fn apps(&mut self, document: &Document<'_>) -> io::Result<()> {
        if document.apps.is_empty() && document.groups_not_certain.is_empty() {
            return Ok(());
        }
        self.title("Apps")?;
        for app in &document.apps {
            let what = match (app.left_out, &app.requirement) {
                (Some(rule), Some(id)) => format!("its data is left out, {rule} ({id})"),
                _ => "its data stays".to_owned(),
            };
            let flags = app.flags.map(|flags| format!(", flags {flags}")).unwrap_or_default();
            let signal = app.signal.map(|signal| format!(", by {signal}")).unwrap_or_default();
            let line = format!("{}: {what}{flags}{signal}", app.bundle_id);
            writeln!(self.out, "{}", Text(&line))?;
            for note in &app.notes {
                self.detail("note", note)?;
            }
        }
        for group in &document.groups_not_certain {
            let line = format!(
                "group {} stays: by its name it may be of {}; name all owners in the policy file",
                group.group_id,
                group.candidates.join(", ")
            );
            writeln!(self.out, "{}", Text(&line))?;
        }
        Ok(())
    }

    fn rows(&mut self, document: &Document<'_>) -> io::Result<()> {
        self.title("Files")?;
        if document.left_out.is_empty() {
            writeln!(self.out, "none are left out")?;
        }
        write_rules(self.out, &document.left_out, "to be left out")?;
        for row in &document.reported {
            let (domain, path) = (row.domain.as_bytes(), row.relative_path.as_bytes());
            let place = Location { domain, path };
            writeln!(self.out, "stays, look at it: {place} ({}: {})", row.rule, row.why)?;
        }
        Ok(())
    }

    fn notes(&mut self, document: &Document<'_>) -> io::Result<()> {
        if document.notes.is_empty() {
            return Ok(());
        }
        self.title("Notes")?;
        for note in &document.notes {
            let line = format!("{} ({})", note.text, note.grounds());
            writeln!(self.out, "{}", Text(&line))?;
        }
        Ok(())
    }

    fn checklist(&mut self, steps: &[StepFacts]) -> io::Result<()> {
        self.title("Moving to a new iPhone for work")?;
        for StepFacts { step, what, done, found } in steps {
            let mark = match done {
                Some(true) => "[x]",
                Some(false) => "[-]",
                None => "[ ]",
            };
            let found = found.as_ref().map(|found| format!(" ({found})")).unwrap_or_default();
            writeln!(self.out, "{mark} {step:<10} {what}{found}")?;
        }
        Ok(())
    }

    fn intune(&mut self, document: &Document<'_>) -> io::Result<()> {
        let intune = &document.intune;
        self.title("Intune: a new ADE device")?;
        for row in &intune.new_ade_device {
            let works = if row.works { "works" } else { "does not work" };
            let ids = row.requirements.join(", ");
            writeln!(self.out, "old device {}: {works} ({ids})", row.old_device)?;
        }
        self.title("Intune: the same device, its certificate expired")?;
        for row in &intune.expired_certificate {
            let numbers: Vec<String> = row.conflicts.iter().map(u8::to_string).collect();
            let open = match numbers.is_empty() {
                true => String::new(),
                false => format!("; open question {}", numbers.join(", ")),
            };
            let ids = row.requirements.join(", ");
            writeln!(
                self.out,
                "{}: comes back with {} ({ids}{open})",
                row.enrolled, row.comes_back_with
            )?;
        }
        self.title("Intune: apps whose backup is prevented")?;
        for row in &intune.prevented_app_backup {
            let (app, assignment, icon) = (row.app, row.assignment, row.placeholder);
            writeln!(self.out, "{app}, {assignment} ({})", row.requirements.join(", "))?;
            self.detail("same device", row.same_device)?;
            self.detail("new device", row.new_device)?;
            self.detail("icon", icon)?;
        }
        for note in intune.companion_notes {
            writeln!(self.out, "{note}")?;
        }
        Ok(())
    }

    fn conflicts(&mut self, document: &Document<'_>) -> io::Result<()> {
        if document.conflicts.is_empty() {
            return Ok(());
        }
        self.title("Open questions")?;
        for conflict in &document.conflicts {
            writeln!(self.out, "{:>2}. {} {}", conflict.number, conflict.question, conflict.stand)?;
        }
        Ok(())
    }
}
