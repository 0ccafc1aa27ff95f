//! The text of `bkp inspect`.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use jiff::Timestamp;

use bkp_toolkit::{BackupFacts, CatalogFacts, DeviceFacts, Inspection, KeybagFacts};

use crate::display::{Name, Size, Styles, Text, label};
use crate::ui::{self, Ui};

/// Domains shown by name; the JSON has them all.
const TOP: usize = 10;

/// Writes a description of a backup for a person.
pub(crate) fn write(
    out: &mut dyn Write,
    path: &Path,
    inspection: &Inspection,
    ui: &Ui,
) -> io::Result<()> {
    let mut report = Report { out, ui, styles: ui::stdout_styles() };
    report.row("Backup", Name(path.as_os_str().as_bytes()))?;
    report.device(&inspection.device)?;
    report.backup(&inspection.backup)?;
    report.state(inspection)?;
    if let Some(keybag) = &inspection.keybag {
        report.keybag(keybag)?;
    }
    if let Some(catalog) = &inspection.catalog {
        report.catalog(catalog)?;
    }
    report.row("Apps", format_args!("{}", inspection.apps.len()))?;
    report.management(inspection)?;
    report.closing(inspection)
}

struct Report<'o> {
    out: &'o mut dyn Write,
    ui: &'o Ui,
    styles: Styles,
}

impl Report<'_> {
    fn row(&mut self, name: &str, value: impl Display) -> io::Result<()> {
        let name = label(self.styles.heading, format_args!("{name:<11}"));
        writeln!(self.out, "{name} {value}")
    }

    /// Writes a row of what the backup says of itself, if it says it.
    fn said(&mut self, name: &str, value: Option<&str>) -> io::Result<()> {
        match value {
            Some(value) => self.row(name, Text(value)),
            None => Ok(()),
        }
    }

    fn device(&mut self, device: &DeviceFacts) -> io::Result<()> {
        let models = [&device.product_name, &device.product_type];
        let models: Vec<&str> = models.into_iter().flatten().map(String::as_str).collect();
        let name = device.name.as_deref().unwrap_or("(no name)");
        let model =
            if models.is_empty() { String::new() } else { format!(" ({})", models.join(", ")) };
        self.said("Device", Some(&format!("{name}{model}")))?;
        let build = device.build_version.as_ref().map(|build| format!(" ({build})"));
        if let Some(version) = &device.product_version {
            self.said("System", Some(&format!("{version}{}", build.unwrap_or_default())))?;
        }
        self.said("Serial", device.serial_number.as_deref())?;
        self.said("UDID", device.unique_device_id.as_deref())?;
        self.said("IMEI", device.imei.as_deref())?;
        self.said("Phone", device.phone_number.as_deref())
    }

    /// Shows a time of machine output as people want it.
    fn time(&self, date: &str) -> String {
        match date.parse::<Timestamp>() {
            Ok(timestamp) => self.ui.time(timestamp.as_second()).to_string(),
            Err(_) => date.to_owned(),
        }
    }

    fn backup(&mut self, backup: &BackupFacts) -> io::Result<()> {
        let host = backup.host_version.as_ref().map(|host| format!(", by host software {host}"));
        let date = backup.date.as_deref().map(|date| self.time(date));
        let date = date.as_deref().unwrap_or("(no date)");
        self.said("Made", Some(&format!("{date}{}", host.unwrap_or_default())))?;
        let state = backup.snapshot_state.as_deref().unwrap_or("unknown");
        let version = backup.version.as_deref().unwrap_or("unknown");
        self.said("State", Some(&format!("{state}, format version {version}")))?;
        match backup.was_passcode_set {
            Some(true) => self.row("Passcode", "set on the device"),
            Some(false) => self.row("Passcode", "not set on the device"),
            None => Ok(()),
        }
    }

    fn state(&mut self, inspection: &Inspection) -> io::Result<()> {
        let Styles { good, warning, .. } = self.styles;
        let state = match (inspection.encrypted, inspection.unlocked) {
            (false, _) => label(good, "no"),
            (true, true) => label(good, "yes, and unlocked"),
            (true, false) => label(warning, "yes, and locked"),
        };
        self.row("Encrypted", state)
    }

    fn keybag(&mut self, keybag: &KeybagFacts) -> io::Result<()> {
        let number = |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |v| v.to_string());
        let rounds = match keybag.double_protection_iterations {
            Some(outer) => format!("{outer} + {}", keybag.iterations),
            None => keybag.iterations.to_string(),
        };
        let (version, kind) = (number(keybag.version), number(keybag.bag_type));
        self.row("Keybag", format_args!("version {version}, type {kind}, {rounds} rounds"))?;
        if let Some(uuid) = &keybag.uuid {
            writeln!(self.out, "  UUID {}", Text(uuid))?;
        }
        writeln!(self.out, "  class  wrap  key  opens  name")?;
        for class in &keybag.classes {
            let opens = match class.opens {
                Some(true) => "yes",
                Some(false) => "no",
                None => "?",
            };
            writeln!(
                self.out,
                "  {:>5}  {:>4}  {:>3}  {opens:<5}  {}",
                class.class,
                number(class.wrap),
                number(class.key_type),
                class.name.unwrap_or("-")
            )?;
        }
        Ok(())
    }

    fn catalog(&mut self, catalog: &CatalogFacts) -> io::Result<()> {
        let CatalogFacts { format, entries, files, directories, symlinks, domains, .. } = catalog;
        self.row(
            "Catalog",
            format_args!(
                "{format}: {entries} entries in {domains} domains, {}",
                Size(catalog.bytes)
            ),
        )?;
        writeln!(
            self.out,
            "  {files} files, {directories} directories, {symlinks} symbolic links"
        )?;
        if catalog.unreadable > 0 {
            let text = format!("{} rows cannot be read", catalog.unreadable);
            writeln!(self.out, "  {}", label(self.styles.warning, text))?;
        }
        writeln!(self.out, "       size    files  largest domains")?;
        for domain in catalog.by_domain.iter().take(TOP) {
            let (size, files, name) = (Size(domain.bytes), domain.files, Text(&domain.domain));
            writeln!(self.out, "  {size:>9}  {files:>7}  {name}")?;
        }
        match catalog.by_domain.len().saturating_sub(TOP) {
            0 => Ok(()),
            more => writeln!(self.out, "  and {more} more"),
        }
    }

    fn management(&mut self, inspection: &Inspection) -> io::Result<()> {
        let Some(facts) = &inspection.management else {
            return self.row("Management", "not read, since the catalog is not");
        };
        let enrolment = match (facts.enrolment, facts.enrolled) {
            ("none", _) => "not enrolled".to_owned(),
            ("unknown", _) => "enrolment unknown".to_owned(),
            (kind, Some(true)) => format!("enrolled ({kind})"),
            (kind, _) => format!("to be enrolled ({kind})"),
        };
        let supervised = match facts.supervised {
            Some(true) => ", supervised",
            Some(false) => ", not supervised",
            None => "",
        };
        let by = facts.organization.as_ref().map(|name| format!(", by {name}")).unwrap_or_default();
        let counts = [
            (facts.profiles.len(), "profile", "profiles"),
            (facts.managed_apps.len(), "managed app", "managed apps"),
            (facts.managed_books, "managed book", "managed books"),
        ];
        let counts = counts.map(|(count, one, many)| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        });
        let counts = counts.join(", ");
        self.row("Management", Text(&format!("{enrolment}{supervised}{by}; {counts}")))
    }

    fn closing(&mut self, inspection: &Inspection) -> io::Result<()> {
        let Styles { warning, help, .. } = self.styles;
        for found in &inspection.warnings {
            let head = label(warning, format_args!("warning[{}]:", Text(&found.code)));
            writeln!(self.out, "{head} {}", Text(&found.message))?;
        }
        if inspection.encrypted && !inspection.unlocked {
            let what = match inspection.catalog {
                Some(_) => "the files' contents, and which class keys open",
                None => "the catalog, the files' contents, and which class keys open",
            };
            writeln!(self.out, "{} not read without the password: {what}", label(help, "note:"))?;
            let ways = "--password-file FILE, --password-command CMD, or --unlock to be asked";
            writeln!(self.out, "{} give it with {ways}", label(help, "help:"))?;
        }
        Ok(())
    }
}
