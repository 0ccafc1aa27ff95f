//! The enrolment itself: `MDM.plist`, and the `com.apple.mdm` payload of its profile.
//!
//! Source: MANAGED.md 2.2 and 2.3. Whether real backups hold `MDM.plist` is not certain.

use serde::Serialize;

use crate::Time;
use crate::keys::Keys;

/// What `MDM.plist` says of the enrolment. Secrets in it, such as the push magic, are left out.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MdmRecord {
    /// `ManagingProfileIdentifier`: the enrolment profile.
    pub managing_profile: Option<String>,
    /// `ServerURL`.
    pub server_url: Option<String>,
    /// `CheckInURL`.
    pub check_in_url: Option<String>,
    /// `Topic` of push messages.
    pub topic: Option<String>,
    /// `AccessRights`: a bit mask.
    pub access_rights: Option<i64>,
    /// `UserEnrollment`.
    pub user_enrollment: Option<bool>,
    /// `EnrollmentMode`: `BYOD` for a user's, `ADDE` for an account-driven device's.
    pub enrollment_mode: Option<String>,
    /// `EnrollmentID`.
    pub enrollment_id: Option<String>,
    /// `PersonaID`: the persona that holds work data.
    pub persona_id: Option<String>,
    /// `RMAccountIdentifier`.
    pub account_identifier: Option<String>,
    /// `IsADEProfile`.
    pub is_ade_profile: Option<bool>,
    /// `IsProfileLocked`.
    pub is_profile_locked: Option<bool>,
    /// `RequiredAppIDForMDM`.
    pub required_app: Option<String>,
    /// `OrganizationName` of `OrganizationInfo`.
    pub organization_name: Option<String>,
    /// There is an `IdentityPersistentRef`: the enrolment's identity is an item of the keychain.
    pub has_identity_reference: bool,
    /// `LastPollingAttempt`.
    pub last_polling_attempt: Option<Time>,
    /// `LastPollingSuccess`.
    pub last_polling_success: Option<Time>,
}

impl MdmRecord {
    pub(crate) fn read(keys: Keys<'_>) -> Self {
        Self {
            managing_profile: keys.text("ManagingProfileIdentifier"),
            server_url: keys.text("ServerURL"),
            check_in_url: keys.text("CheckInURL"),
            topic: keys.text("Topic"),
            access_rights: keys.int("AccessRights"),
            user_enrollment: keys.bool("UserEnrollment"),
            enrollment_mode: keys.text("EnrollmentMode"),
            enrollment_id: keys.text("EnrollmentID"),
            persona_id: keys.text("PersonaID"),
            account_identifier: keys.text("RMAccountIdentifier"),
            is_ade_profile: keys.bool("IsADEProfile"),
            is_profile_locked: keys.bool("IsProfileLocked"),
            required_app: required_app(keys),
            organization_name: keys
                .dict("OrganizationInfo")
                .and_then(|info| info.text("OrganizationName")),
            has_identity_reference: keys.has("IdentityPersistentRef"),
            last_polling_attempt: keys.date("LastPollingAttempt"),
            last_polling_success: keys.date("LastPollingSuccess"),
        }
    }
}

/// What a `com.apple.mdm` payload says.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MdmPayload {
    /// `ServerURL`.
    pub server_url: Option<String>,
    /// `CheckInURL`.
    pub check_in_url: Option<String>,
    /// `Topic` of push messages.
    pub topic: Option<String>,
    /// `AccessRights`: a bit mask.
    pub access_rights: Option<i64>,
    /// `EnrollmentMode`: `BYOD` for a user's, `ADDE` for an account-driven device's.
    pub enrollment_mode: Option<String>,
    /// `ManagedAppleID`, until iOS 17.
    pub managed_apple_id: Option<String>,
    /// `AssignedManagedAppleID`.
    pub assigned_managed_apple_id: Option<String>,
    /// `IdentityCertificateUUID`: the payload that brings the enrolment's identity.
    pub identity_uuid: Option<String>,
    /// `CheckOutWhenRemoved`.
    pub check_out_when_removed: Option<bool>,
    /// `RequiredAppIDForMDM`.
    pub required_app: Option<String>,
}

impl MdmPayload {
    pub(crate) fn read(keys: Keys<'_>) -> Self {
        Self {
            server_url: keys.text("ServerURL"),
            check_in_url: keys.text("CheckInURL"),
            topic: keys.text("Topic"),
            access_rights: keys.int("AccessRights"),
            enrollment_mode: keys.text("EnrollmentMode"),
            managed_apple_id: keys.text("ManagedAppleID"),
            assigned_managed_apple_id: keys.text("AssignedManagedAppleID"),
            identity_uuid: keys.text("IdentityCertificateUUID"),
            check_out_when_removed: keys.bool("CheckOutWhenRemoved"),
            required_app: required_app(keys),
        }
    }
}

/// A number of the store on devices, and text in some writings.
fn required_app(keys: Keys<'_>) -> Option<String> {
    let number = || keys.int("RequiredAppIDForMDM").map(|id| id.to_string());
    keys.text("RequiredAppIDForMDM").or_else(number)
}
