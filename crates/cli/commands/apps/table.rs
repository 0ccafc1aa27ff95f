//! The apps for a person.

use std::io::{self, Write};

use bkp_toolkit::managed_facts::{App, AppSurvey, Guess};

use crate::display::{Size, Styles, Text, label};

/// Writes a line for each app and each group, and a summary.
pub(super) fn write(out: &mut dyn Write, survey: &AppSurvey, styles: Styles) -> io::Result<()> {
    if !survey.apps.is_empty() {
        let heading = "     data  plug-ins  managed      app";
        writeln!(out, "{}", label(styles.heading, heading))?;
    }
    for app in &survey.apps {
        let (data, plugins) = (Size(app.data.bytes), Size(app.plugin_data.bytes));
        let managed = format!("{:<11}", managed(app));
        let managed = if app.managed.is_some() { label(styles.good, managed) } else { managed };
        let signals: Vec<&str> = app.signals.iter().map(|signal| signal.name()).collect();
        let signals =
            if signals.is_empty() { String::new() } else { format!("  ({})", signals.join(", ")) };
        writeln!(out, "{data:>9} {plugins:>9}  {managed}  {}{signals}", Text(&app.bundle_id))?;
    }
    if !survey.groups.is_empty() {
        writeln!(out, "\n{}", label(styles.heading, "     data  group, and apps by a guess"))?;
    }
    for group in &survey.groups {
        let owners = match group.owner {
            Guess::Unknown => "?".to_owned(),
            _ => group.candidates.join(", "),
        };
        let line = format!("{}: {owners}", group.group_id);
        writeln!(out, "{:>9}  {}", Size(group.data.bytes), Text(&line))?;
    }
    let managed = survey.apps.iter().filter(|app| app.managed.is_some()).count();
    let (apps, groups) = (survey.apps.len(), survey.groups.len());
    writeln!(out, "{apps} apps, {managed} of them managed; {groups} groups")
}

/// What becomes of a managed app's data: by its flags.
fn managed(app: &App) -> &'static str {
    let Some(managed) = &app.managed else { return "-" };
    match (managed.remove_on_unenrol, managed.no_backup) {
        (Some(true), Some(true)) => "both flags",
        (Some(true), _) => "removable",
        (_, Some(true)) => "no backup",
        _ => "yes",
    }
}
