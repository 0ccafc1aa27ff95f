//! What is known before anything is decided, as plain data. Other crates read bundles and fill
//! it in.

use std::collections::BTreeSet;

use bkp_core::{Domain, RelPath};

use crate::apps::{AppFacts, GroupOwners};
use crate::identity::SourceIdentity;
use crate::mdm_answers::{InstalledApplicationList, ManagedApplicationList};
use crate::mobileconfig::Acme;
use crate::policy_file::{PolicyFile, Restrictions, Server};

/// How the device of a backup was enrolled.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Enrolment {
    /// Not at all.
    None,
    /// By installing a profile.
    Profile,
    /// Through ADE.
    Ade,
    /// From an account: User Enrollment, or account-driven device enrolment.
    AccountDriven,
    /// It is, or was, a Shared iPad, or one in Return-to-Service mode.
    SharedIpad,
    /// What could be read is not enough.
    #[default]
    Unknown,
}

/// Whether the source is managed through ADE: `ConfigurationSource` 1, or `IsMandatory`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AdeState {
    /// The cloud configuration was read, or there is none, and it does not say so.
    No,
    /// It says so.
    Yes,
    /// It could not be read; taken for yes where that is the careful side.
    #[default]
    Unknown,
}

/// What a profile in the backup is about.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProfileFacts {
    /// `PayloadIdentifier`, or the name of the file where that could not be read.
    pub identifier: Box<str>,
    /// Whether it is the enrolment profile.
    pub is_enrolment: bool,
    /// Hardware-bound ACME certificates.
    pub acme: Acme,
    /// When the MDM identity, or the certificate that it states, expires; seconds since the Unix
    /// epoch.
    pub certificate_expires: Option<i64>,
    /// Whether it brought fonts, web clips or certificates, which stay behind when it goes.
    pub brought: Vec<Box<str>>,
}

/// What is known of the state of management in a backup.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceFacts {
    /// How the device was enrolled.
    pub enrolment: Enrolment,
    /// Whether it is supervised; none when that could not be read.
    pub supervised: Option<bool>,
    /// Whether it is managed through ADE.
    pub ade: AdeState,
    /// Whether `CloudConfigurationDetails.plist` is in the backup.
    pub cloud_configuration: bool,
    /// The MDM server of its enrolment, where the profiles tell.
    pub server: Option<Server>,
    /// The profiles.
    pub profiles: Vec<ProfileFacts>,
    /// Restrictions that were in force.
    pub restrictions: Restrictions,
    /// Files of computed settings in which values were found that a profile set.
    pub settings_of_profiles: BTreeSet<(Domain, RelPath)>,
}

/// What is known of a backup.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// The identity that its files state.
    pub source: SourceIdentity,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// When it was made, in seconds since the Unix epoch.
    pub made: Option<i64>,
    /// The state of management.
    pub device: DeviceFacts,
    /// Its apps.
    pub apps: Vec<AppFacts>,
    /// How many files of managed books it holds.
    pub managed_books: u64,
}

/// What a run record beside a bundle says that the bundle was made for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StagedFor {
    /// The serial number of the target that it was staged for.
    pub serial: Box<str>,
}

/// Everything that a plan depends on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Situation {
    /// What is known of the backup.
    pub facts: Facts,
    /// What the administrator says. Its target counts: put what was given beside the file in by
    /// [`Target::given`](crate::Target::given).
    pub policy: PolicyFile,
    /// The answer to `ManagedApplicationList`, if there is one.
    pub managed_applications: Option<ManagedApplicationList>,
    /// The answer to `InstalledApplicationList`, if there is one.
    pub installed_applications: Option<InstalledApplicationList>,
    /// Restrictions of profiles that were given, merged by
    /// [`Restrictions::tighten`](crate::Restrictions::tighten).
    pub profile_restrictions: Restrictions,
    /// What the run record beside the bundle says; none when there is no record, or when it names
    /// no target.
    pub staged_for: Option<StagedFor>,
    /// When the restore is to happen, in seconds since the Unix epoch; most often now.
    pub restore_at: Option<i64>,
}

impl Situation {
    /// Returns the restrictions that count: what the administrator says, before the profiles that
    /// were given, before what the backup tells of its own time.
    #[must_use]
    pub fn restrictions(&self) -> Restrictions {
        self.policy.restrictions.or(self.profile_restrictions).or(self.facts.device.restrictions)
    }

    /// Returns the lists of group owners that the administrator gave.
    #[must_use]
    pub fn group_owners(&self) -> &[GroupOwners] {
        &self.policy.groups
    }

    /// Returns true when an answer to an MDM command names another device than the backup does,
    /// or when it cannot be compared because the backup's identity is not certain.
    pub(super) fn is_foreign(&self, udid: Option<&str>) -> bool {
        let Some(udid) = udid else { return false };
        let source = self.facts.source.device().ok().and_then(|device| device.udid);
        crate::Udid::new(udid).ok() != source || source.is_none()
    }

    /// Returns all that is known of the apps: from the backup, the policy file and the answers.
    #[must_use]
    pub fn apps(&self) -> Vec<AppFacts> {
        let mut apps = self.facts.apps.clone();
        apps.extend(self.policy.apps.iter().map(crate::PolicyApp::facts));
        if let Some(list) = &self.managed_applications
            && !self.is_foreign(list.udid.as_deref())
        {
            apps.extend(list.apps.iter().map(|(bundle_id, app)| AppFacts {
                statements: vec![app.statement()],
                ..AppFacts::new(bundle_id.clone())
            }));
        }
        if let Some(list) = &self.installed_applications
            && !self.is_foreign(list.udid.as_deref())
        {
            apps.extend(list.apps.iter().map(|(bundle_id, app)| {
                AppFacts {
                    installed: true,
                    app_type: (app.device_licence == Some(true))
                        .then_some(crate::tables::AppType::StoreDeviceLicence),
                    ..AppFacts::new(bundle_id.clone())
                }
            }));
        }
        apps
    }
}
