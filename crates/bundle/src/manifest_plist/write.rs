//! `Manifest.plist`, changed or made anew, in the binary form that devices write.

#[cfg(test)]
mod tests;

use std::fmt;

use super::{Application, ManifestPlist};
use crate::plist_guard::{Limits, PlistError};
use crate::plist_tree::{Node, Pair};
use crate::{CatalogKind, DeviceDescription, Patch, bplist};

/// What is to change in a `Manifest.plist`. The default changes nothing.
#[derive(Clone)]
pub struct ManifestEdit<'e> {
    /// `IsEncrypted`.
    pub encrypted: Option<bool>,
    /// `BackupKeyBag`, as it is to be stored.
    pub keybag: Option<Vec<u8>>,
    /// `ManifestKey`: 4 bytes of class and 40 of wrapped key.
    pub manifest_key: Patch<[u8; 44]>,
    /// Tells which containers in `Applications` stay, by their ids.
    pub keep_application: &'e dyn Fn(&str) -> bool,
}

impl Default for ManifestEdit<'_> {
    fn default() -> Self {
        let manifest_key = Patch::Keep;
        Self { encrypted: None, keybag: None, manifest_key, keep_application: &|_| true }
    }
}

/// Sizes of keys only.
impl fmt::Debug for ManifestEdit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManifestEdit")
            .field("encrypted", &self.encrypted)
            .field("keybag", &self.keybag.as_ref().map(Vec::len))
            .field("manifest_key", &self.manifest_key.as_ref().map(|key| key.len()))
            .finish_non_exhaustive()
    }
}

/// What a new `Manifest.plist` is made of.
#[derive(Clone, Debug)]
pub struct NewManifest<'n> {
    /// The device and its containers.
    pub device: &'n DeviceDescription,
    /// The catalog that it stands beside, which decides the version.
    pub catalog: CatalogKind,
    /// `Date`, in seconds since the Unix epoch.
    pub date: i64,
    /// `IsEncrypted`.
    pub encrypted: bool,
    /// `WasPasscodeSet`.
    pub was_passcode_set: bool,
    /// `BackupKeyBag`. Devices want one of unencrypted backups too.
    pub keybag: &'n [u8],
    /// `ManifestKey`, of an encrypted `Manifest.db`.
    pub manifest_key: Option<[u8; 44]>,
}

impl ManifestPlist {
    /// Changes a few values. All other keys, values and their order stay as they are, and the
    /// result is binary whatever the original was. Without a change the original comes back byte
    /// for byte.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, and when it holds a value that makes no sense: it
    /// could not be written again.
    pub fn edit(original: &[u8], edit: &ManifestEdit<'_>) -> Result<Vec<u8>, PlistError> {
        let ManifestEdit { encrypted, keybag, manifest_key, keep_application } = edit;
        let before = Node::read(original, &Limits::MANIFEST)?;
        let mut after = before.clone();
        if let Some(encrypted) = *encrypted {
            after.set(b"IsEncrypted", Node::Bool(encrypted))?;
        }
        if let Some(keybag) = keybag {
            after.set(b"BackupKeyBag", Node::data(keybag))?;
        }
        match manifest_key {
            Patch::Keep => {}
            Patch::Set(key) => after.set(b"ManifestKey", Node::data(key))?,
            Patch::Remove => after.retain(|name| name != b"ManifestKey"),
        }
        if let Some(applications) = after.get_mut(b"Applications") {
            applications.retain(|id| keep_application(&String::from_utf8_lossy(id)));
        }
        if after == before {
            return Ok(original.to_vec());
        }
        Ok(bplist::write(&after))
    }

    /// Writes a new file with all the keys that devices write and readers insist on.
    ///
    /// A container without a bundle id or a class gets its own id and `Data/Application`.
    /// Source: FORMAT.md 1.3 and 1.4.
    #[must_use]
    pub fn compose(new: &NewManifest<'_>) -> Vec<u8> {
        let NewManifest { device, catalog, date, encrypted, was_passcode_set, .. } = new;
        let version = match catalog {
            CatalogKind::Db => "10.0",
            CatalogKind::Mbdb => "9.1",
        };
        let mut root = Node::dict([
            ("IsEncrypted", Node::Bool(*encrypted)),
            ("Version", Node::text(version)),
            ("Date", Node::unix_date(*date)),
            ("SystemDomainsVersion", Node::text("24.0")),
            ("WasPasscodeSet", Node::Bool(*was_passcode_set)),
            ("Lockdown", lockdown(device, *catalog)),
            ("Applications", applications(&device.applications)),
        ]);
        if let Some(pairs) = root.pairs_mut() {
            if let Some(key) = &new.manifest_key {
                pairs.push((b"ManifestKey".into(), Node::data(key)));
            }
            pairs.push((b"BackupKeyBag".into(), Node::data(new.keybag)));
        }
        bplist::write(&root)
    }
}

fn lockdown(device: &DeviceDescription, catalog: CatalogKind) -> Node<'_> {
    let empty = || Node::Dict(Vec::new());
    // Booleans until iOS 9, integers since.
    let off = match catalog {
        CatalogKind::Db => Node::Int(0),
        CatalogKind::Mbdb => Node::Bool(false),
    };
    let accessibility = [
        "MonoAudioEnabledByiTunes",
        "VoiceOverTouchEnabledByiTunes",
        "ClosedCaptioningEnabledByiTunes",
        "SpeakAutoCorrectionsEnabledByiTunes",
        "InvertDisplayEnabledByiTunes",
        "ZoomTouchEnabledByiTunes",
    ]
    .map(|name| (name, off.clone()));
    Node::dict([
        ("com.apple.MobileDeviceCrashCopy", empty()),
        ("com.apple.TerminalFlashr", empty()),
        ("com.apple.mobile.data_sync", empty()),
        ("com.apple.Accessibility", Node::dict(accessibility)),
        ("ProductVersion", Node::text(&device.product_version)),
        ("ProductType", Node::text(&device.product_type)),
        ("BuildVersion", Node::text(&device.build_version)),
        ("com.apple.mobile.iTunes.accessories", empty()),
        (
            "com.apple.mobile.wireless_lockdown",
            Node::dict([("EnableWifiConnections", Node::Bool(true))]),
        ),
        ("UniqueDeviceID", Node::text(&device.udid)),
        ("SerialNumber", Node::text(&device.serial_number)),
        ("DeviceName", Node::text(&device.name)),
    ])
}

fn applications(applications: &[Application]) -> Node<'_> {
    Node::Dict(applications.iter().map(container).collect())
}

fn container(application: &Application) -> Pair<'_> {
    let Application { container_id, bundle_id, version, content_class, path } = application;
    let pairs = [
        ("CFBundleIdentifier", Some(bundle_id.as_ref().unwrap_or(container_id))),
        ("CFBundleVersion", version.as_ref()),
        ("ContainerContentClass", content_class.as_ref()),
        ("Path", path.as_ref()),
    ];
    let pairs = pairs.into_iter().filter_map(|(name, value)| {
        let value = match (name, value) {
            ("ContainerContentClass", None) => Node::text("Data/Application"),
            (_, value) => Node::text(value?),
        };
        Some((name.as_bytes().into(), value))
    });
    (container_id.as_bytes().into(), Node::Dict(pairs.collect()))
}
