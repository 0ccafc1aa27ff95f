//! `Info.plist`: what the host wrote of the device and its apps.

mod write;

use crate::plist_guard::{Fields, Limits, PlistError, PlistWarning};

pub use write::NewInfo;

/// What `Info.plist` says. Source: FORMAT.md 1.1.
///
/// Every field may be absent. A value of another type is absent as well, with a warning. Icons and
/// purchase records are passed over, not kept: they can be hundreds of megabytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InfoPlist {
    /// `Device Name`.
    pub device_name: Option<String>,
    /// `Display Name`.
    pub display_name: Option<String>,
    /// `Product Name`, such as "iPhone 6s Plus".
    pub product_name: Option<String>,
    /// `Product Type`, such as "iPhone8,2".
    pub product_type: Option<String>,
    /// `Product Version`, such as "13.3".
    pub product_version: Option<String>,
    /// `Build Version`.
    pub build_version: Option<String>,
    /// `Serial Number`.
    pub serial_number: Option<String>,
    /// `Unique Identifier`: the UDID, in capitals or not.
    pub unique_identifier: Option<String>,
    /// `Target Identifier`: the UDID.
    pub target_identifier: Option<String>,
    /// `Target Type`: "Device".
    pub target_type: Option<String>,
    /// `GUID`, as written; 16 raw bytes as 32 capital hexadecimal digits.
    pub guid: Option<String>,
    /// `IMEI`.
    pub imei: Option<String>,
    /// `IMEI2` or `IMEI 2`.
    pub imei2: Option<String>,
    /// `MEID`.
    pub meid: Option<String>,
    /// `ICCID`.
    pub iccid: Option<String>,
    /// `Phone Number`.
    pub phone_number: Option<String>,
    /// `Last Backup Date`, in seconds since the Unix epoch.
    pub last_backup_date: Option<i64>,
    /// `iTunes Version`.
    pub itunes_version: Option<String>,
    /// `macOS Version`.
    pub macos_version: Option<String>,
    /// `macOS Build Version`.
    pub macos_build_version: Option<String>,
    /// `Windows OS Version`.
    pub windows_version: Option<String>,
    /// `Windows Devices Version`.
    pub windows_devices_version: Option<String>,
    /// `Installed Applications`: bundle ids.
    pub installed_applications: Vec<String>,
    /// `Applications`, in file order.
    pub applications: Vec<InfoApplication>,
    /// Values that could not be used.
    pub warnings: Vec<PlistWarning>,
}

/// One app, and what the host kept of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InfoApplication {
    /// The bundle id, which is the key.
    pub bundle_id: String,
    /// There is `iTunesMetadata`, a property list of the purchase.
    pub has_itunes_metadata: bool,
    /// There is a `PlaceholderIcon`.
    pub has_placeholder_icon: bool,
    /// There is an `ApplicationSINF`.
    pub has_sinf: bool,
    /// `IsDemotedApp`.
    pub is_demoted: Option<bool>,
}

impl InfoPlist {
    /// Reads the file, XML or binary.
    ///
    /// # Errors
    ///
    /// Fails when the file as a whole cannot be read: see [`PlistError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PlistError> {
        let mut fields = Fields::open(bytes, &Limits::INFO)?;
        let mut plist = Self::default();
        while let Some(key) = fields.key()? {
            let key = key.as_str();
            match key {
                "Device Name" => plist.device_name = fields.string(key)?,
                "Display Name" => plist.display_name = fields.string(key)?,
                "Product Name" => plist.product_name = fields.string(key)?,
                "Product Type" => plist.product_type = fields.string(key)?,
                "Product Version" => plist.product_version = fields.version(key)?,
                "Build Version" => plist.build_version = fields.string(key)?,
                "Serial Number" => plist.serial_number = fields.string(key)?,
                "Unique Identifier" => plist.unique_identifier = fields.string(key)?,
                "Target Identifier" => plist.target_identifier = fields.string(key)?,
                "Target Type" => plist.target_type = fields.string(key)?,
                "GUID" => plist.guid = fields.guid(key)?,
                "IMEI" => plist.imei = fields.string(key)?,
                "IMEI2" | "IMEI 2" => plist.imei2 = fields.string(key)?,
                "MEID" => plist.meid = fields.string(key)?,
                "ICCID" => plist.iccid = fields.string(key)?,
                "Phone Number" => plist.phone_number = fields.string(key)?,
                "Last Backup Date" => plist.last_backup_date = fields.date(key)?,
                "iTunes Version" => plist.itunes_version = fields.version(key)?,
                "macOS Version" => plist.macos_version = fields.version(key)?,
                "macOS Build Version" => plist.macos_build_version = fields.string(key)?,
                "Windows OS Version" => plist.windows_version = fields.version(key)?,
                "Windows Devices Version" => {
                    plist.windows_devices_version = fields.version(key)?;
                }
                "Installed Applications" => plist.installed_applications = fields.strings(key)?,
                "Applications" => plist.applications = InfoApplication::read_all(&mut fields, key)?,
                _ => fields.skip()?,
            }
        }
        plist.warnings = fields.finish()?;
        Ok(plist)
    }
}

impl InfoApplication {
    fn read_all(fields: &mut Fields<'_>, key: &str) -> Result<Vec<Self>, PlistError> {
        let mut applications = Vec::new();
        if !fields.enter(key)? {
            return Ok(applications);
        }
        while let Some(bundle_id) = fields.key()? {
            let mut application = Self::default();
            if fields.enter(&bundle_id)? {
                while let Some(key) = fields.key()? {
                    match key.as_str() {
                        "iTunesMetadata" => application.has_itunes_metadata = true,
                        "PlaceholderIcon" => application.has_placeholder_icon = true,
                        "ApplicationSINF" => application.has_sinf = true,
                        "IsDemotedApp" => {
                            application.is_demoted = fields.bool(&key)?;
                            continue;
                        }
                        _ => {}
                    }
                    fields.skip()?;
                }
            }
            application.bundle_id = bundle_id;
            applications.push(application);
        }
        Ok(applications)
    }
}
