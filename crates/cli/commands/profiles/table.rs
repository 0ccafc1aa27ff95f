//! The profiles for a person.

use std::fmt::Display;
use std::io::{self, Write};

use bkp_toolkit::managed_facts::{
    Home, Payload, Profile, ProfileState, Restriction, RestrictionValue, Survey, Time,
};

use crate::display::{Styles, Text, label};
use crate::ui::{self, Ui};

/// Writes how the device was managed, and then every profile.
pub(super) fn write(out: &mut dyn Write, survey: &Survey, ui: &Ui) -> io::Result<()> {
    let mut report = Report { out, ui, styles: ui::stdout_styles() };
    report.management(survey)?;
    for profile in &survey.profiles {
        report.profile(profile)?;
    }
    for listed in survey.listed_profiles.iter().filter(|listed| !listed.has_stub) {
        let line = format!("listed without its file: {}", listed.identifier);
        writeln!(report.out, "\n{}", Text(&line))?;
    }
    Ok(())
}

struct Report<'o> {
    out: &'o mut dyn Write,
    ui: &'o Ui,
    styles: Styles,
}

impl Report<'_> {
    fn row(&mut self, name: &str, value: impl Display) -> io::Result<()> {
        let name = label(self.styles.heading, format_args!("{name:<12}"));
        writeln!(self.out, "{name} {value}")
    }

    fn said(&mut self, name: &str, value: Option<&str>) -> io::Result<()> {
        match value {
            Some(value) => self.row(name, Text(value)),
            None => Ok(()),
        }
    }

    fn time(&self, Time(seconds): Time) -> String {
        self.ui.time(seconds).to_string()
    }

    fn management(&mut self, survey: &Survey) -> io::Result<()> {
        let enrolment = &survey.enrolment;
        let enrolled = match enrolment.enrolled {
            Some(true) if enrolment.in_backup => ", and the enrolment is in the backup",
            Some(true) => ", and the enrolment is not in the backup",
            Some(false) => "",
            None => ", not certain",
        };
        self.row("Enrolment", format_args!("{}{enrolled}", enrolment.kind.name()))?;
        for evidence in &enrolment.evidence {
            let line = format!("{}: {}", evidence.file, evidence.says);
            writeln!(self.out, "  {}", Text(&line))?;
        }
        let supervised = match survey.supervised {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not told",
        };
        self.row("Supervised", supervised)?;
        self.said("Organisation", enrolment.organization.as_deref())?;
        self.said("Server", enrolment.server_url.as_deref())?;
        if enrolment.identity_hardware_bound == Some(true) {
            self.row("Identity", "bound to the hardware: no restore brings it back")?;
        }
        for restriction in &survey.restrictions {
            self.row("Restriction", Text(&restriction_line(restriction)))?;
        }
        if let Some(apps) = &survey.managed_apps {
            self.row("Managed apps", format_args!("{} (see: bkp apps)", apps.len()))?;
        }
        if survey.books.count > 0 {
            self.row("Books", format_args!("{} managed", survey.books.count))?;
        }
        let count = survey.profiles.len();
        self.row("Profiles", if count == 0 { "none".to_owned() } else { count.to_string() })
    }

    fn profile(&mut self, profile: &Profile) -> io::Result<()> {
        let name = profile.display_name.as_deref().or(profile.identifier.as_deref());
        let name = name.unwrap_or("(not read)");
        writeln!(self.out, "\n{}", label(self.styles.heading, Text(name)))?;
        let mut said = |name: &str, value: Option<&str>| match value {
            Some(value) => writeln!(self.out, "  {name:<12} {}", Text(value)),
            None => Ok(()),
        };
        said("identifier", profile.identifier.as_deref())?;
        said("organisation", profile.organization.as_deref())?;
        said("file", Some(&format!("{}:{}", profile.file.domain, profile.file.path)))?;
        let state = match (profile.state, profile.scope) {
            (ProfileState::Installed, Home::User) => "installed, of the user",
            (ProfileState::Installed, Home::System) => "installed, of the system",
            (ProfileState::Installed, Home::Legacy) => "installed, where old systems keep it",
            (ProfileState::PostSetup, _) => "waiting for the end of the set-up",
            _ => "not installed",
        };
        said("state", Some(state))?;
        let by = match (profile.installed_by_mdm, profile.installed_interactively) {
            (Some(true), _) => Some("the MDM server"),
            (_, Some(true)) => Some("the user"),
            _ => None,
        };
        said("installed by", by)?;
        let installed = profile.install_date.map(|time| self.ui.time(time.0).to_string());
        said("installed", installed.as_deref())?;
        let removable = profile.removable.map(|removable| if removable { "yes" } else { "no" });
        said("removable", removable)?;
        if let Some(end) = profile.certificate_expiry {
            let end = format!("{} (the first of its certificates)", self.time(end));
            writeln!(self.out, "  {:<12} {end}", "expires")?;
        }
        for payload in &profile.payloads {
            let line = payload_line(payload);
            writeln!(self.out, "  {:<12} {}", "payload", Text(&line))?;
        }
        Ok(())
    }
}

/// `com.apple.wifi.managed: example-net`.
fn payload_line(payload: &Payload) -> String {
    let kind = payload.payload_type.as_deref().unwrap_or("(no type)");
    let bound = match payload.hardware_bound {
        Some(true) => " (key bound to the hardware)",
        _ => "",
    };
    match payload.brings.as_ref().or(payload.display_name.as_ref()) {
        Some(name) => format!("{kind}: {name}{bound}"),
        None => format!("{kind}{bound}"),
    }
}

/// `forceEncryptedBackup = true (ProfileTruth, set by com.example.enroll)`.
fn restriction_line(restriction: &Restriction) -> String {
    let value = match &restriction.value {
        RestrictionValue::Bool(value) => value.to_string(),
        RestrictionValue::Number(value) => value.to_string(),
        RestrictionValue::Real(value) => value.to_string(),
        RestrictionValue::Texts(values) => format!("[{}]", values.join(", ")),
    };
    let set_by = match restriction.set_by.as_slice() {
        [] => String::new(),
        profiles => format!(", set by {}", profiles.join(", ")),
    };
    format!("{} = {value} ({:?}{set_by})", restriction.name, restriction.source)
}
