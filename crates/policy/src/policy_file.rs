//! The policy file: what an administrator knows and a bundle cannot.

mod read;
#[cfg(test)]
mod tests;

use crate::PolicyError;
use crate::apps::{AppFacts, AppFlags, AppStatement, GroupOwners, Signal};
use crate::era::OsVersion;
use crate::identity::{Serial, TargetIdentity, Udid};
use crate::tables::{AppType, Assignment};
use crate::windows::WindowsFacts;

/// The most bytes of a policy file that are read: 1 MiB.
pub const MAX_POLICY_FILE: usize = 1 << 20;

/// A policy file that was read and checked.
///
/// ```toml
/// managed_application_list = "answer.plist"       # saved answers to the MDM commands
/// installed_application_list = "installed.plist"
/// profiles = ["restrictions.mobileconfig"]
///
/// [target]
/// serial = "F2LXXXXXXXXX"
/// udid = "00008030-001A2B3C4D5E6F70"
/// ios = "18.5"
/// in_abm = "yes"                                  # yes, no, unknown
/// mdm_assigned = true
///
/// [mdm]
/// server = "intune"                               # intune, other: the target's MDM
/// source_server = "other"                         # the same, of the backup's enrolment
/// accepts_checkin = true
/// retired = false
/// certificate_expires = 2027-01-31
/// employee_plan = false                           # Apple Business Essentials
/// ignores_profile_from_backup = false             # do_not_use_profile_from_backup, iOS 26
/// prevents_app_backup = true                      # Intune's setting
///
/// [restrictions]
/// allow_enterprise_book_backup = false
/// force_encrypted_backup = true
/// allow_managed_app_backup = true
///
/// [[app]]
/// bundle_id = "com.example.mail"
/// flags = 1                                       # 0, 1, 4, 5
/// include_in_backup = true                        # as a declaration states it
/// assignment = "required"                         # required, available
/// licence = "device"                              # none, user, device, lob
/// groups = ["group.com.example"]                  # all groups of the app
///
/// [[group]]
/// id = "group.com.example"
/// apps = ["com.example.mail"]                     # all owners of the group
/// ```
///
/// Everything may be left out. A key that is not known is an error, since it may be one that was
/// meant to keep something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PolicyFile {
    /// What is known of the target.
    pub target: Target,
    /// What is known of the MDM servers.
    pub mdm: Mdm,
    /// What an administrator says of restrictions.
    pub restrictions: Restrictions,
    /// Apps, in the order of the file; no identifier occurs twice.
    pub apps: Vec<PolicyApp>,
    /// Groups whose owners are all known.
    pub groups: Vec<GroupOwners>,
    /// The file with the answer to `ManagedApplicationList`, which the caller reads.
    pub managed_application_list: Option<Box<str>>,
    /// The file with the answer to `InstalledApplicationList`, which the caller reads.
    pub installed_application_list: Option<Box<str>>,
    /// Profiles whose restrictions hold, which the caller reads.
    pub profiles: Vec<Box<str>>,
}

/// What is known of the target.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// Its serial number and UDID.
    pub identity: TargetIdentity,
    /// Its version of iOS.
    pub ios: Option<OsVersion>,
    /// Whether ABM or ASM knows its serial number.
    pub in_abm: Option<bool>,
    /// Whether an MDM server is assigned to it there.
    pub mdm_assigned: Option<bool>,
}

/// Whose MDM server it is, as far as the documents tell servers apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Server {
    /// Intune, of the organisation's own tenant.
    Intune,
    /// Another MDM, or another tenant.
    Other,
}

/// What is known of the MDM servers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Mdm {
    /// The server that the device is assigned to now.
    pub server: Option<Server>,
    /// The server of the backup's enrolment; overrules what the profiles tell.
    pub source_server: Option<Server>,
    /// Whether the server will accept the device's check-in.
    pub accepts_checkin: Option<bool>,
    /// Whether the device was retired.
    pub retired: Option<bool>,
    /// When the management certificate expires, in seconds since the Unix epoch. A date without a
    /// time is its first second, UTC.
    pub certificate_expires: Option<i64>,
    /// Whether the enrolment is of Apple Business Essentials with an Employee plan.
    pub employee_plan: Option<bool>,
    /// Whether the target's ADE profile tells devices to ignore the MDM profile of a backup.
    pub ignores_profile_from_backup: Option<bool>,
    /// Whether Intune's setting "prevent iCloud app backup" is on.
    pub prevents_app_backup: Option<bool>,
}

/// Restrictions that concern backups; none where nothing is said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Restrictions {
    /// `allowEnterpriseBookBackup`: whether managed books may be in backups.
    pub allow_enterprise_book_backup: Option<bool>,
    /// `forceEncryptedBackup`: whether backups must be encrypted.
    pub force_encrypted_backup: Option<bool>,
    /// Whether data of managed apps may be in backups at all.
    pub allow_managed_app_backup: Option<bool>,
}

impl Restrictions {
    /// Takes over what another says, where that is stricter: devices merge restrictions so.
    pub fn tighten(&mut self, other: &Self) {
        let Self { allow_enterprise_book_backup, force_encrypted_backup, allow_managed_app_backup } =
            self;
        let allow = |mine: &mut Option<bool>, other: Option<bool>| {
            *mine = mine.map_or(other, |mine| Some(mine && other.unwrap_or(true)));
        };
        allow(allow_enterprise_book_backup, other.allow_enterprise_book_backup);
        allow(allow_managed_app_backup, other.allow_managed_app_backup);
        *force_encrypted_backup = force_encrypted_backup
            .map_or(other.force_encrypted_backup, |mine| {
                Some(mine || other.force_encrypted_backup.unwrap_or(false))
            });
    }

    /// Fills in what is not said by what another says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            allow_enterprise_book_backup: self
                .allow_enterprise_book_backup
                .or(other.allow_enterprise_book_backup),
            force_encrypted_backup: self.force_encrypted_backup.or(other.force_encrypted_backup),
            allow_managed_app_backup: self
                .allow_managed_app_backup
                .or(other.allow_managed_app_backup),
        }
    }
}

/// What an administrator says of an app.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PolicyApp {
    /// The bundle identifier.
    pub bundle_id: Box<str>,
    /// The management flags.
    pub flags: Option<AppFlags>,
    /// `IncludeInBackup` of a declaration.
    pub include_in_backup: Option<bool>,
    /// How it is assigned.
    pub assignment: Option<Assignment>,
    /// Type and licence.
    pub app_type: Option<AppType>,
    /// All groups that the app uses.
    pub groups: Option<Vec<Box<str>>>,
}

impl PolicyApp {
    /// Returns what this adds to the facts about the app.
    #[must_use]
    pub fn facts(&self) -> AppFacts {
        let Self { bundle_id, flags, include_in_backup, assignment, app_type, groups } = self;
        let managed = Some(true);
        let stated = flags.map(|flags| AppStatement {
            signal: Signal::PolicyFile,
            managed,
            flags: Some(flags),
        });
        let declared = include_in_backup.map(|include| AppStatement {
            signal: Signal::Declaration,
            managed,
            flags: Some(AppFlags { remove_on_unenrol: false, no_backup: !include }),
        });
        AppFacts {
            groups: groups.clone(),
            statements: stated.into_iter().chain(declared).collect(),
            app_type: *app_type,
            assignment: *assignment,
            ..AppFacts::new(bundle_id.clone())
        }
    }
}

impl Target {
    /// Takes the serial number and the UDID that were given beside the policy file.
    ///
    /// # Errors
    ///
    /// Fails when the policy file names another target.
    pub fn given(mut self, serial: Option<&str>, udid: Option<&str>) -> Result<Self, PolicyError> {
        let identity = &mut self.identity;
        let same_serial =
            |a: &str, b: &str| Serial::new(a).is_ok_and(|a| Serial::new(b).is_ok_and(|b| a == b));
        let same_udid =
            |a: &str, b: &str| Udid::new(a).is_ok_and(|a| Udid::new(b).is_ok_and(|b| a == b));
        take(&mut identity.serial, serial, "serial number", same_serial)?;
        take(&mut identity.udid, udid, "UDID", same_udid)?;
        Ok(self)
    }
}

fn take(
    stated: &mut Option<Box<str>>,
    given: Option<&str>,
    what: &'static str,
    same: impl Fn(&str, &str) -> bool,
) -> Result<(), PolicyError> {
    match (stated.as_deref(), given) {
        (_, None) => {}
        (Some(stated), Some(given)) if !same(stated, given) => {
            return Err(PolicyError::OtherTarget {
                what,
                stated: stated.into(),
                given: given.into(),
            });
        }
        (_, Some(given)) => *stated = Some(given.into()),
    }
    Ok(())
}

impl PolicyFile {
    /// Reads a policy file. `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// Fails when the file is longer than [`MAX_POLICY_FILE`], is no TOML in UTF-8, has a key that
    /// is not known or a value that a key cannot have. All but the first name line and key.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, PolicyError> {
        read::parse(name, bytes)
    }
}

impl WindowsFacts {
    /// Reads a file of facts. `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// Fails as [`PolicyFile::parse`] does.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, PolicyError> {
        read::windows(name, bytes)
    }
}
