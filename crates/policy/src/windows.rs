//! Whether an organisation's computers are ready for Windows backup (document 003).
//!
//! A backup bundle says nothing of this, so all of it is what an administrator states.

use std::str::FromStr;

use crate::tables::{WINDOWS, WindowsCondition, WindowsFact};

/// What an administrator says of an organisation and its computers; none where nothing is said.
///
/// ```toml
/// join = "entra"                  # entra, hybrid, none
/// windows = "11"                  # 10, 11
/// release = "24H2"
/// supported = true                # a version that Microsoft supports
/// test_tenant = true
/// service_administrator = true
/// connection_program = true
/// restore_page = true             # on for the tenant
/// backup_settings = true          # configured in the settings catalog
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct WindowsFacts {
    /// How the computers are joined.
    pub join: Option<WindowsJoin>,
    /// 10 or 11.
    pub windows: Option<u8>,
    /// The release.
    pub release: Option<WindowsRelease>,
    /// Whether Microsoft supports the version.
    pub supported: Option<bool>,
    /// Whether there is an active Intune test tenant.
    pub test_tenant: Option<bool>,
    /// Whether the person has the role of Intune service administrator.
    pub service_administrator: Option<bool>,
    /// Whether the organisation is in the Customer Connection Program.
    pub connection_program: Option<bool>,
    /// Whether the restore page is on for the tenant.
    pub restore_page: Option<bool>,
    /// Whether backup settings are configured in the settings catalog.
    pub backup_settings: Option<bool>,
}

/// How a computer is joined.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WindowsJoin {
    /// Entra joined.
    Entra,
    /// Entra hybrid joined.
    Hybrid,
    /// Neither.
    None,
}

/// A release such as `22H2`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WindowsRelease {
    year: u8,
    half: u8,
}

/// A text is no release.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no release of Windows: write 22H2")]
pub struct WindowsReleaseError {
    /// The text, at most 64 characters of it.
    pub text: Box<str>,
}

impl FromStr for WindowsRelease {
    type Err = WindowsReleaseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || WindowsReleaseError { text: text.chars().take(64).collect() };
        let (year, half) = text.split_once(['H', 'h']).ok_or_else(bad)?;
        let digits = year.len() == 2 && year.bytes().all(|b| b.is_ascii_digit());
        match half {
            "1" | "2" if digits => Ok(Self {
                year: year.parse().map_err(|_| bad())?,
                half: half.parse().map_err(|_| bad())?,
            }),
            _ => Err(bad()),
        }
    }
}

impl WindowsFacts {
    /// Returns whether a condition holds; none when what was said does not tell.
    #[must_use]
    pub fn holds(&self, fact: WindowsFact) -> Option<bool> {
        let Self {
            join,
            windows,
            release,
            supported,
            test_tenant,
            service_administrator,
            connection_program,
            restore_page,
            backup_settings,
        } = *self;
        match fact {
            WindowsFact::JoinedInAnyWay => join.map(|join| join != WindowsJoin::None),
            WindowsFact::Joined => join.map(|join| join == WindowsJoin::Entra),
            WindowsFact::SupportedVersion => supported,
            WindowsFact::Windows11From22H2 => match (windows, release) {
                (Some(10), _) => Some(false),
                (Some(_), Some(release)) => Some(release >= WindowsRelease { year: 22, half: 2 }),
                _ => None,
            },
            WindowsFact::TestTenant => test_tenant,
            WindowsFact::ServiceAdministrator => service_administrator,
            WindowsFact::ConnectionProgram => connection_program,
            WindowsFact::RestorePageOn => restore_page,
            WindowsFact::BackupConfigured => backup_settings,
        }
    }

    /// Returns every condition of document 003, and whether it holds.
    pub fn conditions(&self) -> impl Iterator<Item = (&'static WindowsCondition, Option<bool>)> {
        WINDOWS.iter().map(|row| (row, self.holds(row.fact)))
    }
}

#[cfg(test)]
mod tests {
    use super::{WindowsFacts, WindowsRelease};
    use crate::PolicyError;
    use crate::tables::WindowsCapability;

    fn ready(text: &str, capability: WindowsCapability) -> Option<bool> {
        let facts = WindowsFacts::parse("facts.toml", text.as_bytes()).unwrap();
        let mut all = facts.conditions().filter(|(row, _)| row.capability == capability);
        all.try_fold(true, |ready, (_, holds)| Some(ready && holds?))
    }

    #[test]
    fn s003_hybrid_joined_computers_are_backed_up_and_not_restored() {
        use WindowsCapability::{BackUp, Content, Restore, RestorePage};
        let hybrid = "join = \"hybrid\"\nsupported = true\nwindows = \"11\"\nrelease = \"24H2\"\n\
                      test_tenant = true\nservice_administrator = true\nconnection_program = true";
        assert_eq!(ready(hybrid, BackUp), Some(true));
        assert_eq!(ready(hybrid, Restore), Some(false));
        assert_eq!(ready(&hybrid.replace("hybrid", "entra"), Restore), Some(true));
        assert_eq!(ready(hybrid, Content), None);
        assert_eq!(ready("restore_page = false", RestorePage), Some(false));
        assert_eq!(ready("backup_settings = true", Content), Some(true));
        assert_eq!(ready("", BackUp), None);
    }

    #[test]
    fn s003_restores_need_windows_11_22h2() {
        let holds = |text: &str| {
            let facts = WindowsFacts::parse("facts.toml", text.as_bytes()).unwrap();
            facts.holds(crate::tables::WindowsFact::Windows11From22H2)
        };
        for (text, expected) in [
            ("windows = \"11\"\nrelease = \"22H2\"", Some(true)),
            ("windows = \"11\"\nrelease = \"21h2\"", Some(false)),
            ("windows = \"11\"\nrelease = \"22H1\"", Some(false)),
            ("windows = \"11\"\nrelease = \"25H1\"", Some(true)),
            ("windows = \"10\"\nrelease = \"22H2\"", Some(false)),
            ("windows = \"10\"", Some(false)),
            ("windows = \"11\"", None),
            ("release = \"24H2\"", None),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
        for bad in ["", "22", "H2", "22H3", "2022H2", "+2H2", "22H22"] {
            assert!(bad.parse::<WindowsRelease>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_broken_file_names_line_and_key() {
        for (text, line, key) in [
            ("join = \"entra\"\nwindow = \"11\"", 2, "window"),
            ("join = \"workgroup\"", 1, "join"),
            ("\n\nrelease = \"old\"", 3, "release"),
            ("test_tenant = 1", 1, "test_tenant"),
        ] {
            match WindowsFacts::parse("facts.toml", text.as_bytes()) {
                Err(PolicyError::PolicyKey { line: at, key: named, .. }) => {
                    assert_eq!((at, &*named), (line, key));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
