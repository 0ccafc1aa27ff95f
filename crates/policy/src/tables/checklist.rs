//! Two lists of conditions: a move to a new iPhone for work, and Windows backup.

use crate::requirement::{Ground, says};

/// Whether a program can check a step.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Check {
    /// Only a person can.
    Person,
    /// In part, from the list of installed apps.
    InstalledApps,
    /// From the date of the backup.
    BackupDate,
    /// In part, from the profiles in a backup made afterwards.
    Profiles,
}

impl Check {
    /// Returns the words that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "no",
            Self::InstalledApps => "partly: installed apps",
            Self::BackupDate => "yes: date of the backup",
            Self::Profiles => "partly: profiles",
        }
    }
}

/// A step of the move to a new iPhone for work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChecklistRow {
    /// Where it stands in the document.
    pub step: Ground,
    /// What is to be done.
    pub what: &'static str,
    /// Whether a program can check it.
    pub check: Check,
}

const fn row(item: &'static str, what: &'static str, check: Check) -> ChecklistRow {
    ChecklistRow { step: says(2, item), what, check }
}

/// The steps of document 002, in order.
pub const CHECKLIST: &[ChecklistRow] = &[
    row(
        "before",
        "Keep the old phone as it is until the end: do not wipe it, and do not remove Authenticator. MFA by message or call may use either phone.",
        Check::Person,
    ),
    row(
        "before",
        "Have a personal Microsoft account and an iCloud account; phone sign-in on is advised.",
        Check::Person,
    ),
    row("1.1", "In Authenticator, turn iCloud backup on; autofill sync if wanted.", Check::Person),
    row("1.2", "Turn automatic app downloads on.", Check::Person),
    row("1.3", "Have a recent backup.", Check::BackupDate),
    row("1.4", "See that the iCloud settings of each app are right.", Check::Person),
    row(
        "2.1",
        "Run Setup Assistant and Quick Start: from iCloud (usable at once), or phone to phone (wait).",
        Check::Person,
    ),
    row("2.2", "Wait until the apps are there.", Check::InstalledApps),
    row("2.3", "See that Authenticator is installed.", Check::InstalledApps),
    row(
        "2.4",
        "Open a work app, do MFA with the old phone; Conditional Access asks to enrol.",
        Check::Person,
    ),
    row("3.1", "Open Company Portal and start the enrolment.", Check::InstalledApps),
    row("3.2", "Install the management profile in Settings.", Check::Profiles),
    row("3.3", "Sync.", Check::Person),
    row("3.4", "Install the work apps.", Check::Person),
    row("3.5", "Become compliant.", Check::Person),
    row("3.6", "Check the status.", Check::Person),
    row("3.7", "See that work resources can be reached.", Check::Person),
    row("3.8", "In Authenticator, begin the recovery.", Check::Person),
    row(
        "3.9",
        "Turn phone sign-in on and register MFA again: a work account comes back as a placeholder.",
        Check::Person,
    ),
    row("faq", "If the old phone cannot be used, register MFA anew.", Check::Person),
    row("faq", "A backup of Authenticator on Android cannot be restored on iOS.", Check::Person),
];

/// The date of document 003. It describes a preview: compare with the current text.
pub const WINDOWS_AS_OF: &str = "2025-08";

/// What Windows backup for organisations can do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WindowsCapability {
    /// A backup can be made.
    BackUp,
    /// A backup can be restored.
    Restore,
    /// The user sees the restore page.
    RestorePage,
    /// There is something to restore.
    Content,
}

impl WindowsCapability {
    /// Returns the words that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BackUp => "back up",
            Self::Restore => "restore",
            Self::RestorePage => "the user sees the restore page",
            Self::Content => "there is something to restore",
        }
    }
}

/// A fact about an organisation and its computers, of which a condition is made.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WindowsFact {
    /// Entra joined, or Entra hybrid joined.
    JoinedInAnyWay,
    /// A supported version of Windows.
    SupportedVersion,
    /// Windows 11 22H2 or later.
    Windows11From22H2,
    /// Entra joined, not hybrid.
    Joined,
    /// An active Intune test tenant.
    TestTenant,
    /// The role of Intune service administrator.
    ServiceAdministrator,
    /// Membership of the Customer Connection Program.
    ConnectionProgram,
    /// The restore page is on for the tenant.
    RestorePageOn,
    /// Backup settings are configured.
    BackupConfigured,
}

/// A condition that must hold for a capability; all of them must.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WindowsCondition {
    /// What it is needed for.
    pub capability: WindowsCapability,
    /// The fact that it asks for.
    pub fact: WindowsFact,
    /// What must hold.
    pub condition: &'static str,
    /// What the row rests on.
    pub grounds: &'static [Ground],
}

const fn needs(
    capability: WindowsCapability,
    fact: WindowsFact,
    condition: &'static str,
    grounds: &'static [Ground],
) -> WindowsCondition {
    WindowsCondition { capability, fact, condition, grounds }
}

use WindowsCapability::{BackUp, Content, Restore, RestorePage};
use WindowsFact as Fact;

/// The conditions of document 003.
pub const WINDOWS: &[WindowsCondition] = &[
    needs(
        BackUp,
        Fact::JoinedInAnyWay,
        "Entra joined, or Entra hybrid joined",
        &[says(3, "backup")],
    ),
    needs(
        BackUp,
        Fact::SupportedVersion,
        "a supported version of Windows 10 or 11",
        &[says(3, "backup")],
    ),
    needs(Restore, Fact::Windows11From22H2, "Windows 11 22H2 or later", &[says(3, "restore")]),
    needs(Restore, Fact::Joined, "Entra joined; hybrid is not enough", &[says(3, "restore")]),
    needs(Restore, Fact::TestTenant, "an active Intune test tenant", &[says(3, "restore")]),
    needs(
        Restore,
        Fact::ServiceAdministrator,
        "the role of Intune service administrator",
        &[says(3, "restore")],
    ),
    needs(
        Restore,
        Fact::ConnectionProgram,
        "membership of the Customer Connection Program",
        &[says(3, "restore")],
    ),
    needs(
        RestorePage,
        Fact::RestorePageOn,
        "\"Show restore page\" on for the tenant (Devices, Enrollment, Windows, Windows Backup and Restore); it shows in a first enrolment",
        &[says(3, "page")],
    ),
    needs(
        Content,
        Fact::BackupConfigured,
        "backup settings configured in the settings catalog",
        &[says(3, "content")],
    ),
];
