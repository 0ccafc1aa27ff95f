//! `Manifest.plist`: versions, device facts, app containers and the key bag.

mod write;

use crate::plist_guard::{Fields, Limits, PlistError, PlistWarning};

pub use write::{ManifestEdit, NewManifest};

/// What `Manifest.plist` says. Source: FORMAT.md 1.3.
///
/// Every field may be absent. A value of another type is absent as well, with a warning.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ManifestPlist {
    /// `Version`: "10.0" since iOS 10, "9.1" before.
    pub version: Option<String>,
    /// `SystemDomainsVersion`.
    pub system_domains_version: Option<String>,
    /// `Date`, in seconds since the Unix epoch.
    pub date: Option<i64>,
    /// `IsEncrypted`.
    pub is_encrypted: Option<bool>,
    /// `WasPasscodeSet`.
    pub was_passcode_set: Option<bool>,
    /// `Lockdown`: the device.
    pub lockdown: Lockdown,
    /// `Applications`: one for each container of an app, extension or group, in file order.
    pub applications: Vec<Application>,
    /// `BackupKeyBag`, as it is stored. Unencrypted backups have one too.
    pub keybag: Option<Vec<u8>>,
    /// `ManifestKey`, as it is stored: 4 bytes of class and 40 of wrapped key.
    pub manifest_key: Option<Vec<u8>>,
    /// Values that could not be used.
    pub warnings: Vec<PlistWarning>,
}

/// The device, as the host's lockdown service knows it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Lockdown {
    /// `ProductVersion`, such as "13.3".
    pub product_version: Option<String>,
    /// `ProductType`, such as "iPhone8,2".
    pub product_type: Option<String>,
    /// `BuildVersion`.
    pub build_version: Option<String>,
    /// `UniqueDeviceID`.
    pub unique_device_id: Option<String>,
    /// `SerialNumber`.
    pub serial_number: Option<String>,
    /// `DeviceName`.
    pub device_name: Option<String>,
    /// `DeviceClass`, of newer systems.
    pub device_class: Option<String>,
}

/// One container of an app, extension or group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Application {
    /// The container's id, which is the key.
    pub container_id: String,
    /// `CFBundleIdentifier`.
    pub bundle_id: Option<String>,
    /// `CFBundleVersion`.
    pub version: Option<String>,
    /// `ContainerContentClass`, such as "Data/Application".
    pub content_class: Option<String>,
    /// `Path` of the app's bundle on the device.
    pub path: Option<String>,
}

impl ManifestPlist {
    /// Reads the file, XML or binary.
    ///
    /// # Errors
    ///
    /// Fails when the file as a whole cannot be read: see [`PlistError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PlistError> {
        let mut fields = Fields::open(bytes, &Limits::MANIFEST)?;
        let mut plist = Self::default();
        while let Some(key) = fields.key()? {
            let key = key.as_str();
            match key {
                "Version" => plist.version = fields.version(key)?,
                "SystemDomainsVersion" => plist.system_domains_version = fields.version(key)?,
                "Date" => plist.date = fields.date(key)?,
                "IsEncrypted" => plist.is_encrypted = fields.bool(key)?,
                "WasPasscodeSet" => plist.was_passcode_set = fields.bool(key)?,
                "Lockdown" => plist.lockdown = Lockdown::read(&mut fields, key)?,
                "Applications" => plist.applications = Application::read_all(&mut fields, key)?,
                "BackupKeyBag" => plist.keybag = fields.data(key)?,
                "ManifestKey" => plist.manifest_key = fields.data(key)?,
                _ => fields.skip()?,
            }
        }
        plist.warnings = fields.finish()?;
        Ok(plist)
    }
}

impl Lockdown {
    fn read(fields: &mut Fields<'_>, key: &str) -> Result<Self, PlistError> {
        let mut lockdown = Self::default();
        if !fields.enter(key)? {
            return Ok(lockdown);
        }
        while let Some(key) = fields.key()? {
            let key = key.as_str();
            match key {
                "ProductVersion" => lockdown.product_version = fields.version(key)?,
                "ProductType" => lockdown.product_type = fields.string(key)?,
                "BuildVersion" => lockdown.build_version = fields.string(key)?,
                "UniqueDeviceID" => lockdown.unique_device_id = fields.string(key)?,
                "SerialNumber" => lockdown.serial_number = fields.string(key)?,
                "DeviceName" => lockdown.device_name = fields.string(key)?,
                "DeviceClass" => lockdown.device_class = fields.string(key)?,
                _ => fields.skip()?,
            }
        }
        Ok(lockdown)
    }
}

impl Application {
    fn read_all(fields: &mut Fields<'_>, key: &str) -> Result<Vec<Self>, PlistError> {
        let mut applications = Vec::new();
        if !fields.enter(key)? {
            return Ok(applications);
        }
        while let Some(container_id) = fields.key()? {
            let mut application = Self::default();
            if fields.enter(&container_id)? {
                while let Some(key) = fields.key()? {
                    let key = key.as_str();
                    match key {
                        "CFBundleIdentifier" => application.bundle_id = fields.string(key)?,
                        "CFBundleVersion" => application.version = fields.version(key)?,
                        "ContainerContentClass" => {
                            application.content_class = fields.string(key)?;
                        }
                        "Path" => application.path = fields.string(key)?,
                        _ => fields.skip()?,
                    }
                }
            }
            application.container_id = container_id;
            applications.push(application);
        }
        Ok(applications)
    }
}
