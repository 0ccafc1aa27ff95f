//! The files that management leaves on a device. Source: MANAGED.md 1 and 2.

use sha2::{Digest as _, Sha256};

use crate::{EntrySpec, PlistValue, binary_plist, hex};

/// A store of profiles: its domain and its folder.
pub(super) type Store = (&'static str, &'static str);

/// The system's store.
pub(super) const SYSTEM: Store = (
    "SysSharedContainerDomain-systemgroup.com.apple.configurationprofiles",
    "Library/ConfigurationProfiles",
);
/// The user's store.
pub(super) const USER: Store = ("HomeDomain", "Library/UserConfigurationProfiles");
/// The system's store of the oldest systems.
pub(super) const LEGACY: Store = ("HomeDomain", "Library/ConfigurationProfiles");

/// When profiles were installed: 2024-03-01T10:00:00Z.
const INSTALLED: i64 = 1_709_287_200;
/// When their certificates end: 2025-03-01T10:00:00Z.
pub(super) const CERTIFICATE_END: i64 = 1_740_823_200;

/// Returns the name of a profile's stub: SHA-256 of its identifier in hexadecimal digits.
#[must_use]
pub fn stub_name(identifier: &str) -> String {
    format!("profile-{}.stub", hex(&Sha256::digest(identifier.as_bytes())))
}

pub(super) fn dict(pairs: &[(&str, PlistValue)]) -> PlistValue {
    PlistValue::dict(pairs.iter().cloned())
}

/// A property list in a store.
pub(super) fn plist(store: Store, name: &str, root: &PlistValue) -> EntrySpec {
    raw(store, name, binary_plist(root))
}

/// Any bytes in a store.
pub(super) fn raw(store: Store, name: &str, bytes: Vec<u8>) -> EntrySpec {
    let (domain, folder) = store;
    EntrySpec::file(domain, format!("{folder}/{name}"), bytes)
}

/// A profile to be.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) store: Store,
    pub(super) identifier: &'static str,
    pub(super) name: &'static str,
    pub(super) removable: bool,
    pub(super) by_mdm: bool,
    pub(super) payloads: Vec<PlistValue>,
    /// The file's name; the one that follows from the identifier when absent.
    pub(super) file: Option<String>,
}

impl Profile {
    pub(super) fn new(store: Store, identifier: &'static str, name: &'static str) -> Self {
        Self {
            store,
            identifier,
            name,
            removable: true,
            by_mdm: false,
            payloads: Vec::new(),
            file: None,
        }
    }

    /// The stub of an installed profile.
    pub(super) fn stub(&self) -> EntrySpec {
        let text = |text: &str| PlistValue::text(text);
        let mut options = vec![
            ("isInstalledByMDM", PlistValue::Bool(self.by_mdm)),
            ("isInstalledInteractively", PlistValue::Bool(!self.by_mdm)),
        ];
        if self.by_mdm {
            options.push(("managingProfileIdentifier", text(super::ENROLMENT)));
        }
        let root = dict(&[
            ("PayloadType", text("Configuration")),
            ("PayloadVersion", PlistValue::Int(1)),
            ("PayloadIdentifier", text(self.identifier)),
            ("PayloadUUID", text(&format!("UUID-OF-{}", self.identifier))),
            ("PayloadDisplayName", text(self.name)),
            ("PayloadOrganization", text("Example Organisation")),
            ("PayloadRemovalDisallowed", PlistValue::Bool(!self.removable)),
            ("PayloadContent", PlistValue::Array(self.payloads.clone())),
            ("InstallDate", PlistValue::Date(INSTALLED)),
            ("InstallOptions", dict(&options)),
            ("ProfileWasEncrypted", PlistValue::Bool(false)),
            ("SignerCerts", PlistValue::Array(vec![PlistValue::Data(vec![0x30, 0])])),
            ("MCProfileIsRemovalStub", PlistValue::Bool(true)),
        ]);
        let name = self.file.clone().unwrap_or_else(|| stub_name(self.identifier));
        plist(self.store, &name, &root)
    }
}

/// A payload with its type and these keys.
pub(super) fn payload(kind: &str, id: &str, keys: &[(&str, PlistValue)]) -> PlistValue {
    let mut pairs = vec![
        ("PayloadType", PlistValue::text(kind)),
        ("PayloadVersion", PlistValue::Int(1)),
        ("PayloadIdentifier", PlistValue::text(format!("com.example.mdm.{id}"))),
        ("PayloadUUID", PlistValue::text(format!("UUID-OF-{id}"))),
        ("PayloadDisplayName", PlistValue::text(format!("Example {id}"))),
    ];
    pairs.extend(keys.iter().cloned());
    dict(&pairs)
}

/// The payload of an enrolment's identity.
pub(super) fn identity(kind: &str, hardware_bound: Option<bool>) -> PlistValue {
    let mut keys =
        vec![("IsIdentity", PlistValue::Bool(true)), ("Expiry", PlistValue::Date(CERTIFICATE_END))];
    keys.extend(hardware_bound.map(|bound| ("HardwareBound", PlistValue::Bool(bound))));
    payload(kind, "identity", &keys)
}

/// The payload of an enrolment. Its server takes the identity above.
pub(super) fn mdm(keys: &[(&str, PlistValue)]) -> PlistValue {
    let text = PlistValue::text;
    let mut all = vec![
        ("ServerURL", text("https://mdm.example.org/mdm")),
        ("CheckInURL", text("https://mdm.example.org/checkin")),
        ("Topic", text("com.apple.mgmt.External.example")),
        ("AccessRights", PlistValue::Int(8191)),
        ("IdentityCertificateUUID", text("uuid-of-IDENTITY")),
        ("CheckOutWhenRemoved", PlistValue::Bool(true)),
    ];
    all.extend(keys.iter().cloned());
    payload("com.apple.mdm", "mdm", &all)
}

/// `MDM.plist`.
pub(super) fn mdm_record(keys: &[(&str, PlistValue)]) -> EntrySpec {
    let text = PlistValue::text;
    let mut all = vec![
        ("ManagingProfileIdentifier", text(super::ENROLMENT)),
        ("ServerURL", text("https://mdm.example.org/mdm")),
        ("AccessRights", PlistValue::Int(8191)),
        ("PushMagic", text("EXAMPLE-PUSH-MAGIC")),
        ("IdentityPersistentRef", PlistValue::Data(vec![1, 2, 3])),
        ("LastPollingSuccess", PlistValue::Date(INSTALLED + 86_400)),
    ];
    all.extend(keys.iter().cloned());
    plist(SYSTEM, "MDM.plist", &dict(&all))
}

/// `PayloadManifest.plist` of a store.
pub(super) fn payload_manifest(store: Store, ordered: &[&str], hidden: &[&str]) -> EntrySpec {
    let list =
        |ids: &[&str]| PlistValue::Array(ids.iter().map(|id| PlistValue::text(*id)).collect());
    let root = dict(&[("OrderedProfiles", list(ordered)), ("HiddenProfiles", list(hidden))]);
    plist(store, "PayloadManifest.plist", &root)
}

/// `CloudConfigurationDetails.plist`: that of an unmanaged phone, with these keys in their place.
pub(super) fn cloud(keys: &[(&str, PlistValue)]) -> EntrySpec {
    let mut all = vec![
        ("AllowPairing", PlistValue::Bool(true)),
        ("CloudConfigurationUIComplete", PlistValue::Bool(true)),
        ("ConfigurationSource", PlistValue::Int(0)),
        ("IsSupervised", PlistValue::Bool(false)),
        ("PostSetupProfileWasInstalled", PlistValue::Bool(false)),
    ];
    all.retain(|(key, _)| !keys.iter().any(|(other, _)| other == key));
    all.extend(keys.iter().cloned());
    plist(SYSTEM, "CloudConfigurationDetails.plist", &dict(&all))
}

/// `ProfileTruth.plist` with yes-or-no restrictions.
pub(super) fn truth(restrictions: &[(&str, bool)]) -> EntrySpec {
    plist(SYSTEM, "ProfileTruth.plist", &restricted(restrictions))
}

/// `ProfileTruth.plist` of a phone whose backups must be encrypted.
pub(super) fn encryption_forced() -> EntrySpec {
    truth(&[("forceEncryptedBackup", true)])
}

/// `restrictedBool` as every file of restrictions has it.
pub(super) fn restricted(restrictions: &[(&str, bool)]) -> PlistValue {
    if restrictions.is_empty() {
        return PlistValue::Dict(Vec::new());
    }
    let entries = restrictions
        .iter()
        .map(|(name, value)| (*name, dict(&[("value", PlistValue::Bool(*value))])));
    dict(&[("restrictedBool", PlistValue::dict(entries))])
}

/// What a phone that is in no organisation holds.
pub(super) fn unmanaged() -> Vec<EntrySpec> {
    let empty = PlistValue::Dict(Vec::new());
    let defaults =
        restricted(&[("allowEnterpriseBookBackup", true), ("forceEncryptedBackup", false)]);
    let build = PlistValue::text("21F90");
    let meta = dict(&[("LastMigratedBuild", build.clone()), ("LastMDMMigratedBuild", build)]);
    let preferences = |name: &str, keys: &[(&str, PlistValue)]| {
        EntrySpec::file(
            "ManagedPreferencesDomain",
            format!("mobile/{name}"),
            binary_plist(&dict(keys)),
        )
    };
    let mut entries = vec![
        EntrySpec::file("HomeDomain", "Library/Notes/note.txt", "hello"),
        EntrySpec::file("AppDomain-com.example.notes", "Documents/a.txt", "a"),
        cloud(&[]),
        plist(SYSTEM, "ClientTruth.plist", &clients()),
        preferences(
            ".GlobalPreferences.plist",
            &[("com.apple.content-rating.AppRating", PlistValue::Int(1000))],
        ),
        preferences("com.apple.webcontentfilter.plist", &[("restrictWeb", PlistValue::Bool(true))]),
        EntrySpec::directory(
            "SysSharedContainerDomain-systemgroup.com.apple.cfpreferences.managed",
            "Library",
        ),
        EntrySpec::directory(
            "SysSharedContainerDomain-systemgroup.com.apple.media.books.managed",
            "Library",
        ),
    ];
    for store in [SYSTEM, USER] {
        entries.extend([
            payload_manifest(store, &[], &[]),
            plist(store, "ProfileTruth.plist", &empty),
            plist(store, "UserSettings.plist", &defaults),
            plist(store, "PublicInfo/MCMeta.plist", &meta),
            plist(store, "PublicInfo/NamespacedUserSettings.plist", &empty),
        ]);
    }
    entries.extend([
        plist(USER, "EffectiveUserSettings.plist", &defaults),
        plist(USER, "PublicInfo/PublicEffectiveUserSettings.plist", &defaults),
    ]);
    entries
}

/// Restrictions that parts of the system set, which every phone has.
fn clients() -> PlistValue {
    let restrictions = restricted(&[("allowTV", true)]);
    dict(&[(
        "com.apple.WatchListKit.isTVAllowed",
        dict(&[
            ("compliant", PlistValue::Bool(true)),
            ("clientType", PlistValue::text("com.apple.WatchListKit.isTVAllowed")),
            ("clientRestrictions", restrictions),
        ]),
    )])
}
