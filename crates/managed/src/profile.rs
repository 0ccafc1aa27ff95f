//! Configuration profiles. Source: MANAGED.md 2.1.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::keys::{Keys, truth};
use crate::{Home, MdmPayload, StateFile, StateKind, Time};

/// One profile, as its stub tells. What the stub does not tell is `None`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Profile {
    /// The file.
    pub file: StateFile,
    /// Whose it is: the system's or the user's.
    pub scope: Home,
    /// Whether it is installed.
    pub state: ProfileState,
    /// Whether its content could be read. When not, all that follows is absent.
    pub read: bool,
    /// `PayloadIdentifier`.
    pub identifier: Option<String>,
    /// `PayloadUUID`.
    pub uuid: Option<String>,
    /// `PayloadDisplayName`.
    pub display_name: Option<String>,
    /// `PayloadDescription`.
    pub description: Option<String>,
    /// `PayloadOrganization`.
    pub organization: Option<String>,
    /// `InstallDate`.
    pub install_date: Option<Time>,
    /// Whether the user may remove it: the opposite of `PayloadRemovalDisallowed`, which is false
    /// where a profile that was read does not have it.
    pub removable: Option<bool>,
    /// Whether a server of the enrolment installed it (`InstallOptions`).
    pub installed_by_mdm: Option<bool>,
    /// Whether the user installed it by hand (`InstallOptions`).
    pub installed_interactively: Option<bool>,
    /// Whether it came with the management configuration (`InstallOptions`).
    pub cloud_profile: Option<bool>,
    /// Whether a declaration installed it (`InstallOptions`).
    pub installed_by_declaration: Option<bool>,
    /// The enrolment profile that manages this one (`InstallOptions`).
    pub managing_profile: Option<String>,
    /// `ProfileWasEncrypted`.
    pub was_encrypted: Option<bool>,
    /// How many certificates signed it (`SignerCerts`).
    pub signer_certificates: usize,
    /// Whether it was enrolled over the air (`OTAProfileStub`).
    pub over_the_air: bool,
    /// Whether it holds a `com.apple.mdm` payload: the enrolment itself.
    pub enrolment: bool,
    /// Whether it holds a `com.apple.security.acme` payload.
    pub acme: bool,
    /// Whether the key of an ACME payload is bound to the device's hardware; `None` where there is
    /// no such payload, or it does not tell.
    pub acme_hardware_bound: Option<bool>,
    /// The first end among the certificates of its payloads (`Expiry`).
    pub certificate_expiry: Option<Time>,
    /// Its payloads.
    pub payloads: Vec<Payload>,
}

/// Whether a profile is installed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProfileState {
    /// Installed.
    Installed,
    /// Downloaded and not installed, or a raw form.
    Held,
    /// Waiting for the end of the set-up.
    PostSetup,
}

/// One payload of a profile.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Payload {
    /// `PayloadType`, such as `com.apple.wifi.managed`.
    pub payload_type: Option<String>,
    /// `PayloadIdentifier`.
    pub identifier: Option<String>,
    /// `PayloadUUID`.
    pub uuid: Option<String>,
    /// `PayloadDisplayName`.
    pub display_name: Option<String>,
    /// What it brought to the device, by the name a person knows: a Wi-Fi network, a web clip's
    /// label, a font, a certificate's file, a VPN.
    pub brings: Option<String>,
    /// `Expiry` of its certificate.
    pub expiry: Option<Time>,
    /// `IsIdentity`: the certificate has its private key with it.
    pub is_identity: Option<bool>,
    /// `HardwareBound` of an ACME payload.
    pub hardware_bound: Option<bool>,
    /// Restrictions that it sets, for a `com.apple.applicationaccess` payload.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub restrictions: BTreeMap<String, bool>,
    /// What it says of the enrolment, for a `com.apple.mdm` payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mdm: Option<MdmPayload>,
}

/// An identifier that a `PayloadManifest.plist` lists.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ListedProfile {
    /// `PayloadIdentifier`.
    pub identifier: String,
    /// Which store lists it.
    pub scope: Home,
    /// Whether it is listed under `HiddenProfiles`.
    pub hidden: bool,
    /// Whether its stub is in the backup.
    pub has_stub: bool,
}

/// The payload type of an enrolment.
const MDM: &str = "com.apple.mdm";
const ACME: &str = "com.apple.security.acme";

impl Profile {
    /// A profile of which nothing but its file is known.
    pub(crate) fn unread(file: StateFile) -> Self {
        let state = match file.kind {
            StateKind::ProfileStub => ProfileState::Installed,
            StateKind::PostSetupProfile => ProfileState::PostSetup,
            _ => ProfileState::Held,
        };
        Self {
            scope: file.home,
            file,
            state,
            read: false,
            identifier: None,
            uuid: None,
            display_name: None,
            description: None,
            organization: None,
            install_date: None,
            removable: None,
            installed_by_mdm: None,
            installed_interactively: None,
            cloud_profile: None,
            installed_by_declaration: None,
            managing_profile: None,
            was_encrypted: None,
            signer_certificates: 0,
            over_the_air: false,
            enrolment: false,
            acme: false,
            acme_hardware_bound: None,
            certificate_expiry: None,
            payloads: Vec::new(),
        }
    }

    pub(crate) fn read(file: StateFile, keys: Keys<'_>) -> Self {
        let payloads: Vec<Payload> = keys.dicts("PayloadContent").map(Payload::read).collect();
        let is = |name: &str| payloads.iter().any(|p| p.payload_type.as_deref() == Some(name));
        let options = Options(keys.dict("InstallOptions"));
        let hardware = payloads.iter().filter_map(|payload| payload.hardware_bound);
        Self {
            read: true,
            identifier: keys.text("PayloadIdentifier"),
            uuid: keys.text("PayloadUUID"),
            display_name: keys.text("PayloadDisplayName"),
            description: keys.text("PayloadDescription"),
            organization: keys.text("PayloadOrganization"),
            install_date: keys.date("InstallDate"),
            removable: Some(!keys.bool("PayloadRemovalDisallowed").unwrap_or(false)),
            installed_by_mdm: options.flag(&["installedbymdm"]),
            installed_interactively: options.flag(&["installedinteractively", "interactive"]),
            cloud_profile: options.flag(&["cloudprofile"]),
            installed_by_declaration: options
                .flag(&["installedbydeclaration", "installedbydeclarativemanagement"]),
            managing_profile: options.text("managingprofileidentifier"),
            was_encrypted: keys.bool("ProfileWasEncrypted"),
            signer_certificates: keys.array("SignerCerts").len(),
            over_the_air: keys.has("OTAProfileStub"),
            enrolment: is(MDM),
            acme: is(ACME),
            acme_hardware_bound: hardware.max(),
            certificate_expiry: payloads.iter().filter_map(|payload| payload.expiry).min(),
            payloads,
            ..Self::unread(file)
        }
    }

    /// Returns the payload of the enrolment, when this is an enrolment profile.
    #[must_use]
    pub fn mdm(&self) -> Option<&MdmPayload> {
        self.payloads.iter().find_map(|payload| payload.mdm.as_ref())
    }

    /// Returns the payload that brings the enrolment's identity, when the profile holds both.
    #[must_use]
    pub fn mdm_identity(&self) -> Option<&Payload> {
        let uuid = self.mdm()?.identity_uuid.as_deref()?;
        let same = |other: &str| other.eq_ignore_ascii_case(uuid);
        self.payloads.iter().find(|payload| payload.uuid.as_deref().is_some_and(same))
    }

    /// Returns the types of its payloads, each once, in order.
    #[must_use]
    pub fn payload_types(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let types = self.payloads.iter().filter_map(|payload| payload.payload_type.as_deref());
        types.filter(|name| seen.insert(*name)).collect()
    }
}

impl Payload {
    fn read(keys: Keys<'_>) -> Self {
        let payload_type = keys.text("PayloadType");
        let kind = payload_type.as_deref().unwrap_or_default();
        // A payload's own keys stand in it, and in profiles as they were sent, one level below.
        let inner = keys.dict("PayloadContent");
        let names: &[&str] = match kind {
            "com.apple.wifi.managed" => &["SSID_STR"],
            "com.apple.webClip.managed" => &["Label", "URL"],
            "com.apple.font" => &["Name"],
            "com.apple.vpn.managed" | "com.apple.vpn.managed.applayer" => &["UserDefinedName"],
            kind if kind.starts_with("com.apple.security.") => {
                &["PayloadCertificateFileName", "Name"]
            }
            _ => &[],
        };
        let brings = names.iter().find_map(|name| keys.text(name));
        let shown = || if names.is_empty() { None } else { keys.text("PayloadDisplayName") };
        let restrictions = match kind {
            "com.apple.applicationaccess" => keys
                .0
                .iter()
                .filter(|(name, _)| !name.starts_with("Payload"))
                .filter_map(|(name, value)| Some((name.clone(), truth(value)?)))
                .collect(),
            _ => BTreeMap::new(),
        };
        let bound = |keys: Keys<'_>| keys.bool("HardwareBound");
        Self {
            identifier: keys.text("PayloadIdentifier"),
            uuid: keys.text("PayloadUUID"),
            display_name: keys.text("PayloadDisplayName"),
            brings: brings.or_else(shown),
            expiry: keys.date("Expiry"),
            is_identity: keys.bool("IsIdentity"),
            hardware_bound: match kind {
                ACME => bound(keys).or_else(|| inner.and_then(bound)),
                _ => None,
            },
            restrictions,
            mdm: (kind == MDM).then(|| MdmPayload::read(keys)),
            payload_type,
        }
    }
}

/// `InstallOptions`. The spelling of its keys is known from one source each, so they are compared
/// without regard to case and to a leading `is`.
#[derive(Clone, Copy, Debug)]
struct Options<'v>(Option<Keys<'v>>);

impl<'v> Options<'v> {
    fn get(self, names: &[&str]) -> Option<&'v plist::Value> {
        let Keys(dictionary) = self.0?;
        dictionary.iter().find_map(|(key, value)| {
            let key = key.to_ascii_lowercase();
            let key = key.strip_prefix("is").unwrap_or(&key);
            names.contains(&key).then_some(value)
        })
    }

    fn flag(self, names: &[&str]) -> Option<bool> {
        self.get(names).and_then(truth)
    }

    fn text(self, name: &str) -> Option<String> {
        self.get(&[name])?.as_string().map(str::to_owned)
    }
}
