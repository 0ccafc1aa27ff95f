//! Whether, and how, the device was enrolled. Source: MANAGED.md 2, 6 and 8.0.

use serde::Serialize;

use crate::{Profile, ProfileState, Survey};

/// How a device was enrolled, and what says so.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Enrolment {
    /// How.
    pub kind: EnrolmentKind,
    /// Whether the device was enrolled when it was backed up; `None` where that cannot be told.
    pub enrolled: Option<bool>,
    /// Whether the enrolment itself is in the backup: its profile, or `MDM.plist`. An encrypted
    /// backup of an enrolled device has it.
    pub in_backup: bool,
    /// `PayloadIdentifier` of the enrolment profile, where it is known.
    pub profile: Option<String>,
    /// Whether the enrolment's identity is a key bound to the hardware (ACME), which no restore
    /// brings back; `None` where that cannot be told.
    pub identity_hardware_bound: Option<bool>,
    /// The address of the MDM server, where it is known.
    pub server_url: Option<String>,
    /// The organisation, where it is known.
    pub organization: Option<String>,
    /// What was concluded from which file.
    pub evidence: Vec<Evidence>,
}

/// How a device was enrolled.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EnrolmentKind {
    /// It was not.
    None,
    /// By a profile that somebody installed.
    Profile,
    /// By Automated Device Enrolment.
    Ade,
    /// With a Managed Apple Account: User Enrolment, or of a whole device.
    AccountDriven,
    /// As a Shared iPad.
    SharedIpad,
    /// The backup does not tell, or could not be read.
    #[default]
    Unknown,
}

impl EnrolmentKind {
    /// Returns the word of machine output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Profile => "profile",
            Self::Ade => "ade",
            Self::AccountDriven => "account-driven",
            Self::SharedIpad => "shared-ipad",
            Self::Unknown => "unknown",
        }
    }
}

/// One reason for a conclusion.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The file.
    pub file: String,
    /// What it says.
    pub says: String,
}

/// Gathers evidence.
#[derive(Debug, Default)]
struct Case {
    evidence: Vec<Evidence>,
    shared: bool,
    account: bool,
    ade: bool,
    managed: bool,
}

impl Case {
    fn note(&mut self, file: &str, says: impl Into<String>) {
        self.evidence.push(Evidence { file: file.to_owned(), says: says.into() });
    }
}

/// Concludes from what the survey has read. `complete` says that nothing that could hold a sign of
/// management was left unread.
pub(crate) fn conclude(survey: &Survey, complete: bool) -> Enrolment {
    let mut case = Case::default();
    let installed = || survey.profiles.iter().filter(|p| p.state == ProfileState::Installed);
    let enrolment_profile = installed().find(|profile| profile.enrolment);
    cloud(survey, &mut case);
    record(survey, &mut case);
    installed()
        .filter(|profile| profile.enrolment)
        .for_each(|profile| enrolling(profile, &mut case));
    for profile in installed().filter(|profile| !profile.enrolment) {
        if profile.installed_by_mdm == Some(true) || profile.managing_profile.is_some() {
            case.managed = true;
            case.note(&profile.file.path, "a profile that an MDM server installed");
        }
    }
    if let Some(apps) = survey.managed_apps.as_ref().filter(|apps| !apps.is_empty()) {
        case.managed = true;
        case.note("MDMAppManagement.plist", format!("lists {} managed apps", apps.len()));
    }
    let in_backup = enrolment_profile.is_some() || survey.mdm.is_some();
    let cloud = survey.cloud.as_ref();
    let set_up = cloud.is_some_and(|cloud| cloud.post_setup_profile_was_installed == Some(true));
    let sign = in_backup || case.managed;
    let kind = match &case {
        Case { shared: true, .. } => EnrolmentKind::SharedIpad,
        Case { account: true, .. } if sign => EnrolmentKind::AccountDriven,
        Case { ade: true, .. } => EnrolmentKind::Ade,
        _ if sign => EnrolmentKind::Profile,
        _ if complete => EnrolmentKind::None,
        _ => EnrolmentKind::Unknown,
    };
    let enrolled = match kind {
        EnrolmentKind::None => Some(false),
        EnrolmentKind::Unknown => None,
        _ if sign || set_up => Some(true),
        // The configuration says that the device is to be enrolled, and nothing that it was.
        _ => None,
    };
    let mdm = enrolment_profile.and_then(Profile::mdm);
    let record = survey.mdm.as_ref();
    let by_record =
        |of: fn(&crate::MdmRecord) -> &Option<String>| record.and_then(|r| of(r).clone());
    // What manages the other profiles is an enrolment, also where it is not in the backup.
    let managing = || installed().find_map(|profile| profile.managing_profile.clone());
    Enrolment {
        kind,
        enrolled,
        in_backup,
        profile: enrolment_profile
            .and_then(|profile| profile.identifier.clone())
            .or_else(|| by_record(|record| &record.managing_profile))
            .or_else(managing),
        identity_hardware_bound: enrolment_profile.and_then(|profile| {
            let identity = profile.mdm_identity()?;
            Some(identity.hardware_bound.unwrap_or(false))
        }),
        server_url: mdm
            .and_then(|mdm| mdm.server_url.clone())
            .or_else(|| by_record(|record| &record.server_url)),
        organization: cloud
            .and_then(|cloud| cloud.organization_name.clone())
            .or_else(|| by_record(|record| &record.organization_name))
            .or_else(|| enrolment_profile.and_then(|profile| profile.organization.clone())),
        evidence: case.evidence,
    }
}

fn cloud(survey: &Survey, case: &mut Case) {
    const FILE: &str = "CloudConfigurationDetails.plist";
    let Some(cloud) = &survey.cloud else { return };
    if cloud.is_multi_user == Some(true) {
        case.shared = true;
        case.note(FILE, "IsMultiUser is true");
    }
    match cloud.source {
        Some(0) => case.note(FILE, "ConfigurationSource is 0: none"),
        Some(1) => {
            case.ade = true;
            case.note(FILE, "ConfigurationSource is 1: automated device enrolment");
        }
        Some(2) => case.note(FILE, "ConfigurationSource is 2: Apple Configurator"),
        Some(other) => case.note(FILE, format!("ConfigurationSource is {other}")),
        None => {}
    }
    for (flag, name) in [(cloud.is_supervised, "IsSupervised"), (cloud.is_mandatory, "IsMandatory")]
    {
        if flag == Some(true) {
            case.note(FILE, format!("{name} is true"));
        }
    }
    if cloud.post_setup_profile_was_installed == Some(true) {
        case.note(FILE, "PostSetupProfileWasInstalled is true");
    }
    // Only devices that an organisation has assigned get an enrolment that cannot be skipped.
    // The placeholder that a restore writes is mandatory as well; it names no source.
    case.ade |= cloud.is_mandatory == Some(true) && cloud.configuration_url.is_some();
}

fn record(survey: &Survey, case: &mut Case) {
    const FILE: &str = "MDM.plist";
    let Some(record) = &survey.mdm else { return };
    case.note(FILE, "there is a record of an enrolment");
    if record.user_enrollment == Some(true) {
        case.account = true;
        case.note(FILE, "UserEnrollment is true");
    }
    if let Some(mode) = &record.enrollment_mode {
        case.account |= account_mode(mode);
        case.note(FILE, format!("EnrollmentMode is {mode}"));
    }
    if record.persona_id.is_some() {
        case.account = true;
        case.note(FILE, "there is a PersonaID");
    }
    if record.is_ade_profile == Some(true) {
        case.ade = true;
        case.note(FILE, "IsADEProfile is true");
    }
}

fn enrolling(profile: &Profile, case: &mut Case) {
    let file = &profile.file.path;
    case.note(file, "an enrolment profile: it has a com.apple.mdm payload");
    let Some(mdm) = profile.mdm() else { return };
    if let Some(mode) = &mdm.enrollment_mode {
        case.account |= account_mode(mode);
        case.note(file, format!("EnrollmentMode is {mode}"));
    }
    for (id, name) in [
        (&mdm.managed_apple_id, "ManagedAppleID"),
        (&mdm.assigned_managed_apple_id, "AssignedManagedAppleID"),
    ] {
        if id.is_some() {
            case.account = true;
            case.note(file, format!("there is a {name}"));
        }
    }
}

/// `BYOD` is a user's, `ADDE` an account-driven device's.
fn account_mode(mode: &str) -> bool {
    matches!(mode, "BYOD" | "ADDE")
}
