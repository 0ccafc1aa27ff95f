//! All tables as one text.

use std::fmt::{Display, Write as _};

use super::{
    AUDIT, CHECKLIST, COMPANION_NOTES, CONFLICTS, ERAS, EXPIRED_CERTIFICATE, FLAG_OUTCOMES, ITEMS,
    NEW_DEVICE, OVERLAYS, PREVENTED_BACKUP, SCENARIOS, STATEMENTS, Side, TARGETS, WINDOWS,
    WINDOWS_AS_OF,
};
use crate::requirement::Ground;
use crate::strip;

/// Prints every table, row by row, with what it rests on: for people to read, and to compare.
#[must_use]
pub fn text() -> String {
    let mut out = String::from("Decision tables of bkp. Every row ends with what it rests on.\n");
    scenarios(&mut out);
    items(&mut out);
    intune(&mut out);
    target(&mut out);
    strips(&mut out);
    lists(&mut out);
    title(&mut out, "Open questions");
    for row in CONFLICTS {
        line(&mut out, &[&row.number, &row.question, &row.stand]);
    }
    title(&mut out, "Statements of the documents");
    for row in STATEMENTS {
        line(&mut out, &[&row.requirement, &row.says]);
    }
    out
}

fn scenarios(out: &mut String) {
    title(out, "Enrolment and device, iOS 18 and earlier");
    line(
        out,
        &[
            &"row",
            &"device",
            &"encrypted",
            &"enrolment",
            &"management configuration",
            &"enrolment profile",
            &"other profiles",
            &"next step",
        ],
    );
    for row in SCENARIOS {
        let side = match row.side {
            Side::Same => "same",
            Side::Different => "different",
            Side::Any => "any",
            Side::Unknown => "unknown",
        };
        let encrypted =
            row.encrypted.map_or("any", |encrypted| if encrypted { "yes" } else { "no" });
        let cases: Vec<_> = row.cases.iter().map(|case| case.name()).collect();
        let cases = if cases.len() == super::EnrolmentCase::ALL.len() {
            "any".into()
        } else {
            cases.join("; ")
        };
        line(
            out,
            &[
                &row.number,
                &side,
                &encrypted,
                &cases,
                &row.management,
                &row.enrolment_profile,
                &row.other_profiles,
                &row.next_step,
                &basis(row.grounds, row.conflicts),
            ],
        );
    }
    title(out, "On top of that, same device");
    for row in OVERLAYS {
        line(
            out,
            &[
                &row.name,
                &row.condition,
                &row.enrolment_profile,
                &row.effect,
                &row.next_step,
                &basis(row.grounds, &[]),
            ],
        );
    }
}

fn items(out: &mut String) {
    title(out, "Apps and books: same device, different device");
    for row in ITEMS {
        let basis = basis(row.grounds, row.conflicts);
        line(out, &[&row.what, &row.same, &row.different, &row.note, &basis]);
    }
    title(out, "Apps by flag");
    for row in FLAG_OUTCOMES {
        let in_backup = if row.in_backup { "in the backup" } else { "not in the backup" };
        let basis = basis(row.grounds, &[]);
        line(out, &[&row.flags, &row.means, &in_backup, &row.same, &row.different, &basis]);
    }
}

fn intune(out: &mut String) {
    title(out, "Intune: a new ADE device");
    for row in NEW_DEVICE {
        let works = if row.works { "works" } else { "does not work" };
        line(out, &[&row.old, &works, &basis(row.grounds, &[])]);
    }
    title(out, "Intune: management certificate expired, same device");
    for row in EXPIRED_CERTIFICATE {
        let basis = basis(row.grounds, row.conflicts);
        line(out, &[&row.enrolled, &row.comes_back_with, &basis]);
    }
    title(out, "Intune: a newer text adds");
    for note in COMPANION_NOTES {
        line(out, &[note]);
    }
    title(out, "Intune: app backup prevented");
    for row in PREVENTED_BACKUP {
        line(
            out,
            &[
                &row.app.name(),
                &row.assignment.name(),
                &row.icon.name(),
                &row.same,
                &format_args!("new device: {}", row.new),
                &basis(row.grounds, &[]),
            ],
        );
    }
}

fn target(out: &mut String) {
    title(out, "Target known to ABM or ASM");
    for row in TARGETS {
        let known = match (row.in_abm, row.mdm_assigned) {
            (true, Some(true)) => "yes, MDM assigned",
            (true, Some(false)) => "yes, none assigned",
            (true, None) => "yes",
            (false, _) => "no",
        };
        let different = format_args!("different: {}", row.different);
        line(
            out,
            &[&known, &different, &format_args!("same: {}", row.same), &basis(row.grounds, &[])],
        );
    }
    title(out, "Version of the target, same device");
    for row in ERAS {
        line(out, &[&row.era.versions(), &row.effect, &basis(row.grounds, row.conflicts)]);
    }
}

fn strips(out: &mut String) {
    title(out, "Left out of a copy for a certainly different device");
    for rule in strip::STRIPPED {
        line(out, &[&rule.name, &rule.what, &rule.why, &basis(rule.grounds, rule.conflicts)]);
    }
    title(out, "Reported, and kept");
    for rule in strip::REPORTED {
        line(out, &[&rule.name, &rule.what, &rule.why, &basis(rule.grounds, rule.conflicts)]);
    }
}

fn lists(out: &mut String) {
    title(out, "Never in an unencrypted backup: reported only");
    for row in AUDIT {
        let mut places = String::new();
        for (domain, names) in row.places {
            places.push_str(domain);
            places.push_str(": ");
            places.push_str(&names.join(", "));
        }
        let readable = if row.only_if_readable { "if readable" } else { "if present" };
        let basis = basis(row.grounds, row.conflicts);
        line(out, &[&row.name, &places, &readable, &row.note, &basis]);
    }
    title(out, "Moving to a new iPhone for work");
    for row in CHECKLIST {
        line(out, &[&row.step, &row.what, &format_args!("checked: {}", row.check.name())]);
    }
    title(out, &format!("Windows backup, as of {WINDOWS_AS_OF}"));
    for row in WINDOWS {
        line(out, &[&row.capability.name(), &row.condition, &basis(row.grounds, &[])]);
    }
}

fn title(out: &mut String, title: &str) {
    let _ = write!(out, "\n== {title}\n");
}

fn line(out: &mut String, cells: &[&dyn Display]) {
    let cells: Vec<_> =
        cells.iter().map(ToString::to_string).filter(|cell| !cell.is_empty()).collect();
    let _ = writeln!(out, "{}", cells.join(" | "));
}

fn basis(grounds: &[Ground], conflicts: &[u8]) -> String {
    let mut words: Vec<_> = grounds.iter().map(ToString::to_string).collect();
    words.extend(conflicts.iter().map(|number| format!("question {number}")));
    format!("[{}]", words.join(", "))
}
