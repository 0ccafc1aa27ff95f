//! TOML as keys and lines.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use toml::value::{Datetime, Offset};

use super::{MAX_POLICY_FILE, Mdm, PolicyApp, PolicyFile, Restrictions, Server, Target};
use crate::PolicyError;
use crate::apps::{AppFlags, GroupOwners};
use crate::identity::{Serial, TargetIdentity, Udid};
use crate::tables::{AppType, Assignment};
use crate::windows::{WindowsFacts, WindowsJoin};

/// Characters of an identifier or the name of a file.
const MAX_TEXT: usize = 1024;

pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<PolicyFile, PolicyError> {
    parse_root(name, bytes, file)
}

/// Parses a file, and reads its root.
fn parse_root<T>(
    name: &str,
    bytes: &[u8],
    read: impl FnOnce(&Section<'_>) -> Result<T, PolicyError>,
) -> Result<T, PolicyError> {
    if bytes.len() > MAX_POLICY_FILE {
        return Err(PolicyError::FileTooLong {
            file: name.into(),
            length: bytes.len(),
            most: MAX_POLICY_FILE,
        });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let syntax = |offset: usize, message: &str| PolicyError::PolicySyntax {
        file: name.into(),
        line: line_of(bytes, offset),
        message: message.into(),
    };
    let text =
        std::str::from_utf8(bytes).map_err(|error| syntax(error.valid_up_to(), "not UTF-8"))?;
    let root = DeTable::parse(text)
        .map_err(|error| syntax(error.span().map_or(0, |span| span.start), error.message()))?;
    read(&Section { file: name, bytes, path: "", start: root.span().start, table: root.get_ref() })
}

/// Counts lines from 1.
fn line_of(bytes: &[u8], offset: usize) -> usize {
    let before = bytes.get(..offset).unwrap_or(bytes);
    before.iter().filter(|&&b| b == b'\n').count().saturating_add(1)
}

/// A table, with what errors say of it.
#[derive(Clone, Copy)]
struct Section<'a> {
    file: &'a str,
    bytes: &'a [u8],
    /// The keys that lead here; empty at the top.
    path: &'a str,
    start: usize,
    table: &'a DeTable<'a>,
}

/// A value, with what errors say of it.
#[derive(Clone, Copy)]
struct Field<'a> {
    section: Section<'a>,
    key: &'static str,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Section<'a> {
    fn bad(&self, offset: usize, key: &str, what: impl Into<Box<str>>) -> PolicyError {
        let key = match self.path {
            "" => key.into(),
            path if key.is_empty() => path.into(),
            path => format!("{path}.{key}").into(),
        };
        let line = line_of(self.bytes, offset);
        PolicyError::PolicyKey { file: self.file.into(), line, key, what: what.into() }
    }

    /// Refuses the first key, by its place in the file, that is none of these.
    fn only(&self, known: &[&str]) -> Result<(), PolicyError> {
        let unknown = self.table.keys().filter(|key| !known.contains(&&**key.get_ref()));
        let first = unknown.min_by_key(|key: &&Spanned<DeString<'_>>| key.span().start);
        match first {
            None => Ok(()),
            Some(key) => {
                let name: String = key.get_ref().chars().take(64).collect();
                let words = format!("unknown key; known here: {}", known.join(", "));
                Err(self.bad(key.span().start, &name.escape_debug().to_string(), words))
            }
        }
    }

    fn get(&self, key: &'static str) -> Option<Field<'a>> {
        self.table.get(key).map(|value| Field { section: *self, key, value })
    }

    /// Reads a key, if it is there.
    fn read<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(Field<'a>) -> Result<T, PolicyError>,
    ) -> Result<Option<T>, PolicyError> {
        self.get(key).map(read).transpose()
    }

    /// Reads a table, and nothing of it when it is not there.
    fn table<T: Default>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Section<'a>) -> Result<T, PolicyError>,
    ) -> Result<T, PolicyError> {
        let Some(field) = self.get(key) else { return Ok(T::default()) };
        read(&field.table(field.value)?)
    }

    /// Reads an array of tables.
    fn tables<T>(
        &self,
        key: &'static str,
        read: impl Fn(&Section<'a>) -> Result<T, PolicyError>,
    ) -> Result<Vec<T>, PolicyError> {
        let Some(field) = self.get(key) else { return Ok(Vec::new()) };
        let Some(tables) = field.value.get_ref().as_array() else {
            return Err(field.bad(format!("write [[{key}]]")));
        };
        tables.iter().map(|table| read(&field.table(table)?)).collect()
    }
}

impl<'a> Field<'a> {
    fn bad(&self, what: impl Into<Box<str>>) -> PolicyError {
        self.section.bad(self.value.span().start, self.key, what)
    }

    fn expected(&self, what: &str) -> PolicyError {
        self.bad(format!("expected {what}, found {}", self.value.get_ref().type_str()))
    }

    fn table(&self, value: &'a Spanned<DeValue<'a>>) -> Result<Section<'a>, PolicyError> {
        let start = value.span().start;
        match value.get_ref().as_table() {
            Some(table) => Ok(Section { path: self.key, start, table, ..self.section }),
            None => Err(self.expected("a table")),
        }
    }

    fn flag(self) -> Result<bool, PolicyError> {
        self.value.get_ref().as_bool().ok_or_else(|| self.expected("true or false"))
    }

    fn text(self) -> Result<&'a str, PolicyError> {
        let text = self.value.get_ref().as_str().ok_or_else(|| self.expected("text"))?;
        self.checked(text)
    }

    fn checked(&self, text: &'a str) -> Result<&'a str, PolicyError> {
        if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
            return Err(self.bad("empty, too long, or with control characters"));
        }
        Ok(text)
    }

    fn boxed(self) -> Result<Box<str>, PolicyError> {
        self.text().map(Into::into)
    }

    fn texts(self) -> Result<Vec<Box<str>>, PolicyError> {
        let array = self.value.get_ref().as_array();
        let array = array.ok_or_else(|| self.expected("a list of texts"))?;
        let text = |value: &'a Spanned<DeValue<'a>>| {
            let field = Field { value, ..self };
            field.boxed()
        };
        array.iter().map(text).collect()
    }

    fn word<T: Copy>(self, words: &[(&str, T)]) -> Result<T, PolicyError> {
        let word = self.text()?;
        let found = words.iter().find(|(known, _)| *known == word);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.bad(format!("{word:?} is none of: {}", known.join(", ")))
        })
    }

    fn parsed<T, E: std::fmt::Display>(
        self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, PolicyError> {
        parse(self.text()?).map_err(|error| self.bad(error.to_string()))
    }

    fn flags(self) -> Result<AppFlags, PolicyError> {
        let value = self.value.get_ref();
        let number = value.as_integer().ok_or_else(|| self.expected("0, 1, 4 or 5"))?;
        let bits = u64::from_str_radix(number.as_str(), number.radix()).ok();
        match bits {
            Some(bits @ (0 | 1 | 4 | 5)) => Ok(AppFlags::from_bits(bits)),
            _ => Err(self.bad("flags are 0, 1, 4 or 5")),
        }
    }

    /// Reads a date, or a text that is one, as seconds since the Unix epoch.
    fn time(self) -> Result<i64, PolicyError> {
        let value = self.value.get_ref();
        let parsed = match (value.as_datetime(), value.as_str()) {
            (Some(stated), _) => Some(*stated),
            (None, Some(text)) => self.checked(text)?.parse().ok(),
            (None, None) => return Err(self.expected("a date such as 2027-01-31")),
        };
        parsed
            .and_then(|stated| seconds(&stated))
            .ok_or_else(|| self.bad("no date such as 2027-01-31 or 2027-01-31T12:00:00Z"))
    }
}

/// Returns seconds since the Unix epoch; a time without a zone is taken for UTC.
fn seconds(stated: &Datetime) -> Option<i64> {
    let date = stated.date?;
    let (year, month, day) = (i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let clock = stated.time.map_or(0, |time| {
        let seconds = i64::from(time.second.unwrap_or(0));
        let minutes = i64::from(time.hour).saturating_mul(60).saturating_add(time.minute.into());
        minutes.saturating_mul(60).saturating_add(seconds)
    });
    let east = match stated.offset {
        Some(Offset::Custom { minutes }) => i64::from(minutes),
        Some(Offset::Z) | None => 0,
    };
    let midnight = days(year, month, day).checked_mul(86_400)?;
    midnight.checked_add(clock)?.checked_sub(east.checked_mul(60)?)
}

/// Returns the days from 1970-01-01 to a day of the Gregorian calendar. Years begin in March
/// here, so that a leap day is the last of its year.
#[expect(clippy::arithmetic_side_effects, reason = "four digits of a year, and two of the others")]
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

pub(super) fn windows(name: &str, bytes: &[u8]) -> Result<WindowsFacts, PolicyError> {
    parse_root(name, bytes, |root| {
        root.only(&[
            "join",
            "windows",
            "release",
            "supported",
            "test_tenant",
            "service_administrator",
            "connection_program",
            "restore_page",
            "backup_settings",
        ])?;
        Ok(WindowsFacts {
            join: root.read("join", |field| {
                field.word(&[
                    ("entra", WindowsJoin::Entra),
                    ("hybrid", WindowsJoin::Hybrid),
                    ("none", WindowsJoin::None),
                ])
            })?,
            windows: root.read("windows", |field| field.word(&[("10", 10), ("11", 11)]))?,
            release: root.read("release", |field| field.parsed(str::parse))?,
            supported: root.read("supported", Field::flag)?,
            test_tenant: root.read("test_tenant", Field::flag)?,
            service_administrator: root.read("service_administrator", Field::flag)?,
            connection_program: root.read("connection_program", Field::flag)?,
            restore_page: root.read("restore_page", Field::flag)?,
            backup_settings: root.read("backup_settings", Field::flag)?,
        })
    })
}

fn file(root: &Section<'_>) -> Result<PolicyFile, PolicyError> {
    root.only(&[
        "target",
        "mdm",
        "restrictions",
        "app",
        "group",
        "managed_application_list",
        "installed_application_list",
        "profiles",
    ])?;
    Ok(PolicyFile {
        target: root.table("target", target)?,
        mdm: root.table("mdm", mdm)?,
        restrictions: root.table("restrictions", restrictions)?,
        apps: distinct(root, "app", "bundle_id", app, |app| &app.bundle_id)?,
        groups: distinct(root, "group", "id", group, |group| &group.group)?,
        managed_application_list: root.read("managed_application_list", Field::boxed)?,
        installed_application_list: root.read("installed_application_list", Field::boxed)?,
        profiles: root.read("profiles", Field::texts)?.unwrap_or_default(),
    })
}

/// Reads tables of which none may name the same thing as another.
fn distinct<T>(
    root: &Section<'_>,
    key: &'static str,
    id: &'static str,
    read: impl Fn(&Section<'_>) -> Result<T, PolicyError>,
    name: impl Fn(&T) -> &str,
) -> Result<Vec<T>, PolicyError> {
    let read = root.tables(key, |section| {
        let start = section.get(id).map_or(section.start, |field| field.value.span().start);
        Ok((read(section)?, start))
    })?;
    let mut seen = BTreeSet::new();
    for (one, start) in &read {
        if !seen.insert(name(one)) {
            let section = Section { path: key, ..*root };
            return Err(section.bad(*start, id, format!("{:?} occurs twice", name(one))));
        }
    }
    Ok(read.into_iter().map(|(one, _)| one).collect())
}

fn target(table: &Section<'_>) -> Result<Target, PolicyError> {
    table.only(&["serial", "udid", "ios", "in_abm", "mdm_assigned"])?;
    let serial = |text: &str| Serial::new(text).map(|serial| serial.as_str().into());
    let udid = |text: &str| Udid::new(text).map(|udid| udid.as_str().into());
    Ok(Target {
        identity: TargetIdentity {
            serial: table.read("serial", |field| field.parsed(serial))?,
            udid: table.read("udid", |field| field.parsed(udid))?,
        },
        ios: table.read("ios", |field| field.parsed(str::parse))?,
        in_abm: table
            .read("in_abm", |field| {
                field.word(&[("yes", Some(true)), ("no", Some(false)), ("unknown", None)])
            })?
            .flatten(),
        mdm_assigned: table.read("mdm_assigned", Field::flag)?,
    })
}

fn mdm(table: &Section<'_>) -> Result<Mdm, PolicyError> {
    const SERVERS: [(&str, Server); 2] = [("intune", Server::Intune), ("other", Server::Other)];
    table.only(&[
        "server",
        "source_server",
        "accepts_checkin",
        "retired",
        "certificate_expires",
        "employee_plan",
        "ignores_profile_from_backup",
        "prevents_app_backup",
    ])?;
    Ok(Mdm {
        server: table.read("server", |field| field.word(&SERVERS))?,
        source_server: table.read("source_server", |field| field.word(&SERVERS))?,
        accepts_checkin: table.read("accepts_checkin", Field::flag)?,
        retired: table.read("retired", Field::flag)?,
        certificate_expires: table.read("certificate_expires", Field::time)?,
        employee_plan: table.read("employee_plan", Field::flag)?,
        ignores_profile_from_backup: table.read("ignores_profile_from_backup", Field::flag)?,
        prevents_app_backup: table.read("prevents_app_backup", Field::flag)?,
    })
}

fn restrictions(table: &Section<'_>) -> Result<Restrictions, PolicyError> {
    table.only(&[
        "allow_enterprise_book_backup",
        "force_encrypted_backup",
        "allow_managed_app_backup",
    ])?;
    Ok(Restrictions {
        allow_enterprise_book_backup: table.read("allow_enterprise_book_backup", Field::flag)?,
        force_encrypted_backup: table.read("force_encrypted_backup", Field::flag)?,
        allow_managed_app_backup: table.read("allow_managed_app_backup", Field::flag)?,
    })
}

fn app(table: &Section<'_>) -> Result<PolicyApp, PolicyError> {
    table.only(&["bundle_id", "flags", "include_in_backup", "assignment", "licence", "groups"])?;
    let bundle_id = table.read("bundle_id", Field::boxed)?;
    Ok(PolicyApp {
        bundle_id: bundle_id.ok_or_else(|| table.bad(table.start, "bundle_id", "is missing"))?,
        flags: table.read("flags", Field::flags)?,
        include_in_backup: table.read("include_in_backup", Field::flag)?,
        assignment: table.read("assignment", |field| {
            field.word(&[("required", Assignment::Required), ("available", Assignment::Available)])
        })?,
        app_type: table.read("licence", |field| {
            field.word(&[
                ("none", AppType::Store),
                ("user", AppType::StoreUserLicence),
                ("device", AppType::StoreDeviceLicence),
                ("lob", AppType::InHouse),
            ])
        })?,
        groups: table.read("groups", Field::texts)?,
    })
}

fn group(table: &Section<'_>) -> Result<GroupOwners, PolicyError> {
    table.only(&["id", "apps"])?;
    let missing = |key| table.bad(table.start, key, "is missing");
    let group = table.read("id", Field::boxed)?.ok_or_else(|| missing("id"))?;
    let apps = table.read("apps", Field::texts)?.ok_or_else(|| missing("apps"))?;
    Ok(GroupOwners { group, apps })
}
