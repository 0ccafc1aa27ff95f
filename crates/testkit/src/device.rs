//! The device a bundle comes from, and the three property lists that describe it.
//!
//! Source: FORMAT.md 1.1 to 1.4.

use std::collections::BTreeSet;

use crate::plist_writer::PlistValue;

/// What a bundle says of its device. All of it is invented.
#[derive(Clone, Debug)]
pub struct DeviceFacts {
    /// The name its owner gave it.
    pub name: String,
    /// The model identifier.
    pub product_type: String,
    /// The model's name.
    pub product_name: String,
    /// The iOS version.
    pub product_version: String,
    /// The iOS build.
    pub build_version: String,
    /// The serial number.
    pub serial_number: String,
    /// The UDID.
    pub udid: String,
    /// The phone number.
    pub phone_number: String,
    /// The IMEI.
    pub imei: String,
    /// The ICCID.
    pub iccid: String,
    /// Whether a passcode was set.
    pub passcode_set: bool,
    /// When the backup was made, Unix time.
    pub backup_date: i64,
}

impl DeviceFacts {
    /// An iPhone with iOS 17.
    #[must_use]
    pub fn ios17() -> Self {
        Self {
            name: "Example iPhone".into(),
            product_type: "iPhone15,2".into(),
            product_name: "iPhone 14 Pro".into(),
            product_version: "17.5.1".into(),
            build_version: "21F90".into(),
            serial_number: "TESTKIT00001".into(),
            udid: "00000000-0123456789ABCDEF".into(),
            phone_number: "+1 (555) 555-0100".into(),
            imei: "000000000000000".into(),
            iccid: "0000000000000000000".into(),
            passcode_set: true,
            // 2024-05-20T08:00:00Z
            backup_date: 1_716_192_000,
        }
    }

    /// An iPhone with iOS 9, whose backups have a Manifest.mbdb.
    #[must_use]
    pub fn ios9() -> Self {
        Self {
            name: "Example Old iPhone".into(),
            product_type: "iPhone4,1".into(),
            product_name: "iPhone 4s".into(),
            product_version: "9.3.6".into(),
            build_version: "13G37".into(),
            serial_number: "TESTKIT00009".into(),
            udid: "0123456789abcdef0123456789abcdef01234567".into(),
            backup_date: 1_577_866_200,
            ..Self::ios17()
        }
    }

    /// An iPhone with iOS 10.0, whose manifest was encrypted cell by cell.
    #[must_use]
    pub fn ios10_0() -> Self {
        Self {
            name: "Example iOS 10.0 iPhone".into(),
            product_type: "iPhone8,1".into(),
            product_name: "iPhone 6s".into(),
            product_version: "10.0".into(),
            build_version: "14A345".into(),
            serial_number: "TESTKIT00010".into(),
            udid: "fedcba9876543210fedcba9876543210fedcba98".into(),
            backup_date: 1_473_930_000,
            ..Self::ios17()
        }
    }
}

/// What the property lists need to know besides the device.
#[derive(Debug)]
pub(crate) struct BundleFacts<'b> {
    pub(crate) device: &'b DeviceFacts,
    pub(crate) encrypted: bool,
    pub(crate) keybag: Vec<u8>,
    pub(crate) manifest_key: Option<Vec<u8>>,
    /// Domains that are containers of apps, extensions and groups.
    pub(crate) containers: BTreeSet<String>,
    /// Whether the catalog is a Manifest.mbdb.
    pub(crate) mbdb: bool,
    pub(crate) uuid: [u8; 16],
    pub(crate) guid: [u8; 16],
}

/// Spells a UUID in upper case with dashes.
pub(crate) fn uuid_text(uuid: &[u8; 16]) -> String {
    let digits = crate::hex(uuid).to_uppercase();
    let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..16]);
    format!("{a}-{b}-{c}-{}-{}", &digits[16..20], &digits[20..])
}

impl BundleFacts<'_> {
    /// Returns the pairs of Manifest.plist.
    pub(crate) fn manifest(&self) -> Vec<(String, PlistValue)> {
        let device = self.device;
        let version = if self.mbdb { "9.1" } else { "10.0" };
        let mut pairs = vec![
            ("BackupKeyBag", PlistValue::Data(self.keybag.clone())),
            ("Version", PlistValue::text(version)),
            // One second before the backup ended.
            ("Date", PlistValue::Date(device.backup_date - 1)),
            ("SystemDomainsVersion", PlistValue::text("24.0")),
            ("WasPasscodeSet", PlistValue::Bool(device.passcode_set)),
            ("Lockdown", self.lockdown()),
            ("Applications", self.applications()),
            ("IsEncrypted", PlistValue::Bool(self.encrypted)),
        ];
        if let Some(key) = &self.manifest_key {
            pairs.insert(1, ("ManifestKey", PlistValue::Data(key.clone())));
        }
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn lockdown(&self) -> PlistValue {
        let device = self.device;
        let empty = || PlistValue::Dict(Vec::new());
        // Booleans on iOS 9, integers later (FORMAT.md 1.3).
        let off = if self.mbdb { PlistValue::Bool(false) } else { PlistValue::Int(0) };
        let switches = [
            "ClosedCaptioningEnabledByiTunes",
            "InvertDisplayEnabledByiTunes",
            "MonoAudioEnabledByiTunes",
            "SpeakAutoCorrectionsEnabledByiTunes",
            "VoiceOverTouchEnabledByiTunes",
            "ZoomTouchEnabledByiTunes",
        ];
        PlistValue::dict([
            ("com.apple.MobileDeviceCrashCopy", empty()),
            ("com.apple.TerminalFlashr", empty()),
            ("com.apple.mobile.data_sync", empty()),
            ("com.apple.Accessibility", PlistValue::dict(switches.map(|name| (name, off.clone())))),
            ("ProductVersion", PlistValue::text(&device.product_version)),
            ("ProductType", PlistValue::text(&device.product_type)),
            ("BuildVersion", PlistValue::text(&device.build_version)),
            ("com.apple.mobile.iTunes.accessories", empty()),
            (
                "com.apple.mobile.wireless_lockdown",
                PlistValue::dict([("EnableWifiConnections", PlistValue::Bool(true))]),
            ),
            ("UniqueDeviceID", PlistValue::text(&device.udid)),
            ("SerialNumber", PlistValue::text(&device.serial_number)),
            ("DeviceName", PlistValue::text(&device.name)),
        ])
    }

    /// Lists the containers: without an entry here a restore skips their rows.
    fn applications(&self) -> PlistValue {
        PlistValue::dict(self.containers.iter().filter_map(|domain| {
            let (kind, id) = domain.split_once('-')?;
            let class = match kind {
                "AppDomain" => "Data/Application",
                "AppDomainPlugin" => "Data/PluginKitPlugin",
                "AppDomainGroup" => "Shared/AppGroup",
                _ => return None,
            };
            let mut pairs = vec![
                ("CFBundleIdentifier", PlistValue::text(id)),
                ("ContainerContentClass", PlistValue::text(class)),
            ];
            let name = id.rsplit('.').next().unwrap_or(id);
            let app = format!("/var/containers/Bundle/Application/{}", container_guid(id));
            if kind == "AppDomain" {
                pairs.insert(1, ("CFBundleVersion", PlistValue::text("1.0")));
                pairs.push(("Path", PlistValue::text(format!("{app}/{name}.app"))));
            } else if kind == "AppDomainPlugin" {
                let path = format!("{app}/Example.app/PlugIns/{name}.appex");
                pairs.push(("Path", PlistValue::text(path)));
            }
            Some((id, PlistValue::dict(pairs)))
        }))
    }

    /// Returns the pairs of Info.plist.
    pub(crate) fn info(&self) -> Vec<(String, PlistValue)> {
        let device = self.device;
        let text = |text: &str| PlistValue::text(text);
        // Apple's own apps are on every device and are not listed here.
        let apps: Vec<&str> = self
            .containers
            .iter()
            .filter_map(|domain| domain.strip_prefix("AppDomain-"))
            .filter(|id| !id.starts_with("com.apple."))
            .collect();
        let app = |id: &&str| {
            let metadata = PlistValue::dict([
                ("itemName", PlistValue::text(id.rsplit('.').next().unwrap_or(id))),
                ("softwareVersionBundleId", PlistValue::text(*id)),
            ]);
            let fields = PlistValue::dict([
                ("ApplicationSINF", PlistValue::Data(b"\0\0\0\x08sinf".to_vec())),
                ("PlaceholderIcon", PlistValue::Data(crate::fixtures::PIXEL_PNG.to_vec())),
                ("iTunesMetadata", PlistValue::Data(crate::binary_plist(&metadata))),
            ]);
            ((*id).to_owned(), fields)
        };
        [
            ("Applications", PlistValue::dict(apps.iter().map(app))),
            ("Build Version", text(&device.build_version)),
            ("Device Name", text(&device.name)),
            ("Display Name", text(&device.name)),
            ("GUID", PlistValue::text(crate::hex(&self.guid).to_uppercase())),
            ("ICCID", text(&device.iccid)),
            ("IMEI", text(&device.imei)),
            (
                "Installed Applications",
                PlistValue::Array(apps.iter().map(|id| PlistValue::text(*id)).collect()),
            ),
            ("Last Backup Date", PlistValue::Date(device.backup_date)),
            ("Phone Number", text(&device.phone_number)),
            ("Product Name", text(&device.product_name)),
            ("Product Type", text(&device.product_type)),
            ("Product Version", text(&device.product_version)),
            ("Serial Number", text(&device.serial_number)),
            ("Target Identifier", text(&device.udid)),
            ("Target Type", text("Device")),
            ("Unique Identifier", PlistValue::text(device.udid.to_uppercase())),
            (
                "iTunes Files",
                PlistValue::dict([
                    ("VoiceMemos.plist", PlistValue::Data(Vec::new())),
                    ("iTunesPrefs", PlistValue::Data(b"frpd".to_vec())),
                ]),
            ),
            ("iTunes Settings", PlistValue::Dict(Vec::new())),
            ("iTunes Version", text("12.13.2.3")),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    /// Returns the pairs of Status.plist.
    pub(crate) fn status(&self) -> Vec<(String, PlistValue)> {
        let version = if self.mbdb { "2.4" } else { "3.3" };
        [
            ("UUID", PlistValue::text(uuid_text(&self.uuid))),
            ("Date", PlistValue::Date(self.device.backup_date)),
            ("Version", PlistValue::text(version)),
            ("BackupState", PlistValue::text("new")),
            ("SnapshotState", PlistValue::text("finished")),
            // False in every real backup, however full (FORMAT.md 1.2).
            ("IsFullBackup", PlistValue::Bool(false)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}

/// Makes up the folder name of an app; it follows from the identifier.
fn container_guid(id: &str) -> String {
    uuid_text(&crate::Seed(0).uuid(id))
}
