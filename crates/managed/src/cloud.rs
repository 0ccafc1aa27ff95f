//! `CloudConfigurationDetails.plist`: the management configuration. Source: MANAGED.md 2.4.

use serde::Serialize;

use crate::Time;
use crate::keys::Keys;

/// What the management configuration says. Unmanaged phones have one too, with
/// [`source`](Self::source) 0.
///
/// What is absent from the file is `None`.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CloudConfiguration {
    /// `ConfigurationSource`: 0 none, 1 automated device enrolment, 2 Apple Configurator.
    pub source: Option<i64>,
    /// `IsSupervised`.
    pub is_supervised: Option<bool>,
    /// `IsMandatory`: the enrolment cannot be skipped.
    pub is_mandatory: Option<bool>,
    /// `IsMDMUnremovable`.
    pub is_mdm_unremovable: Option<bool>,
    /// `IsMultiUser`: Shared iPad.
    pub is_multi_user: Option<bool>,
    /// `IsReturnToService`.
    pub is_return_to_service: Option<bool>,
    /// `AllowPairing`: whether other hosts may pair.
    pub allow_pairing: Option<bool>,
    /// `AwaitDeviceConfigured`.
    pub await_device_configured: Option<bool>,
    /// `AutoAdvanceSetup`.
    pub auto_advance_setup: Option<bool>,
    /// `ConfigurationWasApplied`.
    pub was_applied: Option<bool>,
    /// `CloudConfigurationUIComplete`.
    pub ui_complete: Option<bool>,
    /// `PostSetupProfileWasInstalled`.
    pub post_setup_profile_was_installed: Option<bool>,
    /// `IgnoreMDMFromBackup`: the server wants the enrolment of a backup ignored.
    pub ignore_mdm_from_backup: Option<bool>,
    /// `HasUndergoneMigration`.
    pub has_undergone_migration: Option<bool>,
    /// `MDMMigrationDeadline`.
    pub migration_deadline: Option<Time>,
    /// `ProvisionalEnrollmentExpiry`.
    pub provisional_enrolment_expiry: Option<Time>,
    /// `OrganizationName`.
    pub organization_name: Option<String>,
    /// `OrganizationAddress`.
    pub organization_address: Option<String>,
    /// `OrganizationDepartment`.
    pub organization_department: Option<String>,
    /// `OrganizationPhone`.
    pub organization_phone: Option<String>,
    /// `OrganizationEmail`.
    pub organization_email: Option<String>,
    /// `OrganizationSupportPhone`.
    pub organization_support_phone: Option<String>,
    /// `OrganizationSupportEmail`.
    pub organization_support_email: Option<String>,
    /// `OrganizationMagic`: the organisation's own mark.
    pub organization_magic: Option<String>,
    /// `ConfigurationURL`: where the enrolment profile comes from.
    pub configuration_url: Option<String>,
    /// `ConfigurationWebURL`.
    pub configuration_web_url: Option<String>,
    /// `MDMServerUID`.
    pub mdm_server_uid: Option<String>,
    /// `MDMProtocolVersion`, which is text or a number.
    pub mdm_protocol_version: Option<String>,
    /// `SkipSetup`: panes that the set-up leaves out.
    pub skip_setup: Vec<String>,
    /// `Language`.
    pub language: Option<String>,
    /// `Region`.
    pub region: Option<String>,
    /// How many certificates `AnchorCertificates` has.
    pub anchor_certificates: usize,
    /// How many certificates `SupervisorHostCertificates` has.
    pub supervisor_host_certificates: usize,
}

impl CloudConfiguration {
    pub(crate) fn read(keys: Keys<'_>) -> Self {
        let version = || keys.int("MDMProtocolVersion").map(|version| version.to_string());
        Self {
            source: keys.int("ConfigurationSource"),
            is_supervised: keys.bool("IsSupervised"),
            is_mandatory: keys.bool("IsMandatory"),
            is_mdm_unremovable: keys.bool("IsMDMUnremovable"),
            is_multi_user: keys.bool("IsMultiUser"),
            is_return_to_service: keys.bool("IsReturnToService"),
            allow_pairing: keys.bool("AllowPairing"),
            await_device_configured: keys.bool("AwaitDeviceConfigured"),
            auto_advance_setup: keys.bool("AutoAdvanceSetup"),
            was_applied: keys.bool("ConfigurationWasApplied"),
            ui_complete: keys.bool("CloudConfigurationUIComplete"),
            post_setup_profile_was_installed: keys.bool("PostSetupProfileWasInstalled"),
            ignore_mdm_from_backup: keys.bool("IgnoreMDMFromBackup"),
            has_undergone_migration: keys.bool("HasUndergoneMigration"),
            migration_deadline: keys.date("MDMMigrationDeadline"),
            provisional_enrolment_expiry: keys.date("ProvisionalEnrollmentExpiry"),
            organization_name: keys.text("OrganizationName"),
            organization_address: keys.text("OrganizationAddress"),
            organization_department: keys.text("OrganizationDepartment"),
            organization_phone: keys.text("OrganizationPhone"),
            organization_email: keys.text("OrganizationEmail"),
            organization_support_phone: keys.text("OrganizationSupportPhone"),
            organization_support_email: keys.text("OrganizationSupportEmail"),
            organization_magic: keys.text("OrganizationMagic"),
            configuration_url: keys.text("ConfigurationURL"),
            configuration_web_url: keys.text("ConfigurationWebURL"),
            mdm_server_uid: keys.text("MDMServerUID"),
            mdm_protocol_version: keys.text("MDMProtocolVersion").or_else(version),
            skip_setup: keys.texts("SkipSetup"),
            language: keys.text("Language"),
            region: keys.text("Region"),
            anchor_certificates: keys.array("AnchorCertificates").len(),
            supervisor_host_certificates: keys.array("SupervisorHostCertificates").len(),
        }
    }
}
