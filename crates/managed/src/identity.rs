//! Which device a backup is of, and how old it is. Source: MANAGED.md 3.1 and 8.2.

use bkp_bundle::Bundle;
use serde::Serialize;

use crate::Time;

/// The identity of the device by every place that states it, as it is stated.
///
/// Devices and hosts state the same everywhere. A contradiction is the mark of an edited backup.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Identity {
    /// `Unique Identifier` of `Info.plist`.
    pub info_unique_identifier: Option<String>,
    /// `Target Identifier` of `Info.plist`.
    pub info_target_identifier: Option<String>,
    /// `Serial Number` of `Info.plist`.
    pub info_serial_number: Option<String>,
    /// `Lockdown.UniqueDeviceID` of `Manifest.plist`.
    pub manifest_unique_device_id: Option<String>,
    /// `Lockdown.SerialNumber` of `Manifest.plist`.
    pub manifest_serial_number: Option<String>,
    /// Whether two places state different UDIDs. Capitals do not matter.
    pub udid_conflict: bool,
    /// Whether two places state different serial numbers.
    pub serial_conflict: bool,
}

/// When things happened, for the age of the backup.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Dates {
    /// `Date` of `Manifest.plist`.
    pub manifest: Option<Time>,
    /// `Date` of `Status.plist`.
    pub status: Option<Time>,
    /// `Last Backup Date` of `Info.plist`.
    pub last_backup: Option<Time>,
    /// When the device last reached its MDM server, by `MDM.plist`.
    pub last_polling_success: Option<Time>,
}

impl Identity {
    pub(crate) fn of(bundle: &Bundle) -> Self {
        let lockdown = &bundle.manifest().lockdown;
        let info = bundle.info();
        let said =
            |of: fn(&bkp_bundle::InfoPlist) -> &Option<String>| info.and_then(|i| of(i).clone());
        let mut identity = Self {
            info_unique_identifier: said(|info| &info.unique_identifier),
            info_target_identifier: said(|info| &info.target_identifier),
            info_serial_number: said(|info| &info.serial_number),
            manifest_unique_device_id: lockdown.unique_device_id.clone(),
            manifest_serial_number: lockdown.serial_number.clone(),
            udid_conflict: false,
            serial_conflict: false,
        };
        identity.udid_conflict = differ(&[
            &identity.info_unique_identifier,
            &identity.info_target_identifier,
            &identity.manifest_unique_device_id,
        ]);
        identity.serial_conflict =
            differ(&[&identity.info_serial_number, &identity.manifest_serial_number]);
        identity
    }
}

fn differ(stated: &[&Option<String>]) -> bool {
    let mut stated = stated.iter().copied().flatten();
    let Some(first) = stated.next() else { return false };
    stated.any(|other| !other.trim().eq_ignore_ascii_case(first.trim()))
}

impl Dates {
    pub(crate) fn of(bundle: &Bundle) -> Self {
        Self {
            manifest: bundle.manifest().date.map(Time),
            status: bundle.status().and_then(|status| status.date).map(Time),
            last_backup: bundle.info().and_then(|info| info.last_backup_date).map(Time),
            last_polling_success: None,
        }
    }
}
