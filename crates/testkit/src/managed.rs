//! Bundles of managed devices, and what a survey of each must find.
//!
//! Every one is synthetic: the layout is that of MANAGED.md sections 1, 2, 4, 5, 6 and 11, and the
//! organisation, its server and its apps are invented. The names of stubs are derived here a second
//! time, from the rule alone.

mod apps;
mod hostile;
mod state;
#[cfg(test)]
mod tests;

use crate::cases::{Case, PASSWORD};
use crate::{BundleSpec, DeviceFacts, Encryption, EntrySpec, PlistEdit, PlistValue};

pub use apps::{apps, books_allowed, books_disallowed};
pub use hostile::{hostile_stubs, kept, near_misses};
pub use state::stub_name;

use state::{
    Profile, SYSTEM, USER, cloud, encryption_forced, identity, mdm, mdm_record, payload,
    payload_manifest, truth, unmanaged,
};

/// A bundle of a managed device, or of one that only looks like it.
#[derive(Debug)]
pub struct ManagedCase {
    /// What `bkp-testkit case` calls it, after `managed-`.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// The bundle.
    pub spec: BundleSpec,
    /// What a survey must find.
    pub expected: Expectation,
}

/// What a survey must find.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expectation {
    /// `none`, `profile`, `ade`, `account-driven`, `shared-ipad` or `unknown`.
    pub enrolment: &'static str,
    /// Whether the device was enrolled.
    pub enrolled: Option<bool>,
    /// Whether it was supervised.
    pub supervised: Option<bool>,
    /// Whether the enrolment itself is in the backup.
    pub in_backup: bool,
    /// Whether the key of the enrolment's identity is bound to the hardware.
    pub hardware_bound: Option<bool>,
    /// Identifiers of profiles that are installed and can be read, in catalog order.
    pub profiles: Vec<&'static str>,
    /// Managed apps with their flags, in the order of their list.
    pub managed_apps: Vec<(&'static str, i64)>,
    /// Managed books.
    pub books: usize,
    /// Whether books may be backed up, where a restriction says it.
    pub book_backup: Option<bool>,
    /// Whether a restriction forces encrypted backups, where one says it.
    pub forced_encryption: Option<bool>,
    /// What an unencrypted backup should not hold.
    pub exposures: Vec<&'static str>,
    /// Two places state different UDIDs.
    pub udid_conflict: bool,
    /// Two places state different serial numbers.
    pub serial_conflict: bool,
    /// Codes of what cannot be read or is odd, in order.
    pub problems: Vec<&'static str>,
}

impl Expectation {
    /// Nothing managed, and nothing odd.
    #[must_use]
    pub fn unmanaged() -> Self {
        Self {
            enrolment: "none",
            enrolled: Some(false),
            supervised: Some(false),
            in_backup: false,
            hardware_bound: None,
            profiles: Vec::new(),
            managed_apps: Vec::new(),
            books: 0,
            book_backup: None,
            forced_encryption: None,
            exposures: Vec::new(),
            udid_conflict: false,
            serial_conflict: false,
            problems: Vec::new(),
        }
    }
}

/// The identifier of the enrolment profile in every case that has one.
pub const ENROLMENT: &str = "com.example.mdm.enroll";
/// The identifier of a profile that the server installed.
pub const WIFI: &str = "com.example.mdm.wifi";
/// The identifier of a profile that the user installed.
pub const OWN: &str = "org.example.own";

/// Returns every case.
#[must_use]
pub fn all() -> Vec<ManagedCase> {
    let plain = Expectation::unmanaged;
    let enrolled = || Expectation {
        enrolled: Some(true),
        in_backup: true,
        hardware_bound: Some(false),
        profiles: vec![ENROLMENT, WIFI, OWN],
        ..plain()
    };
    let case = |name, about, spec, expected| ManagedCase { name, about, spec, expected };
    let mut cases = vec![
        case("none", "never managed, unencrypted", none(), plain()),
        case("none-encrypted", "never managed, encrypted", encrypted(none()), plain()),
        case(
            "byod",
            "enrolled by a profile, encrypted",
            byod_encrypted(),
            Expectation { enrolment: "profile", ..enrolled() },
        ),
        case(
            "byod-unencrypted",
            "enrolled by a profile that is not in the backup",
            byod_unencrypted(),
            Expectation {
                enrolment: "profile",
                in_backup: false,
                hardware_bound: None,
                profiles: vec![WIFI, OWN],
                problems: vec!["profile-without-stub"],
                ..enrolled()
            },
        ),
        case(
            "ade",
            "automated device enrolment, supervised",
            ade(),
            Expectation {
                enrolment: "ade",
                supervised: Some(true),
                forced_encryption: Some(true),
                ..enrolled()
            },
        ),
        case(
            "ade-acme",
            "automated device enrolment, its identity bound to the hardware",
            ade_acme(),
            Expectation {
                enrolment: "ade",
                supervised: Some(true),
                hardware_bound: Some(true),
                forced_encryption: Some(true),
                ..enrolled()
            },
        ),
        case(
            "ade-unencrypted",
            "automated device enrolment, its profile not in the backup",
            ade_unencrypted(),
            Expectation {
                enrolment: "ade",
                supervised: Some(true),
                in_backup: false,
                hardware_bound: None,
                profiles: vec![WIFI, OWN],
                problems: vec!["profile-without-stub"],
                ..enrolled()
            },
        ),
        case(
            "account-driven",
            "enrolled with a Managed Apple Account",
            account_driven(),
            Expectation { enrolment: "account-driven", profiles: vec![ENROLMENT], ..enrolled() },
        ),
        case(
            "shared-ipad",
            "a Shared iPad",
            shared_ipad(),
            Expectation {
                enrolment: "shared-ipad",
                supervised: Some(true),
                profiles: vec![ENROLMENT],
                ..enrolled()
            },
        ),
        case(
            "legacy",
            "stubs where the oldest systems kept them",
            legacy(),
            Expectation {
                enrolment: "profile",
                supervised: None,
                profiles: vec![ENROLMENT, OWN],
                ..enrolled()
            },
        ),
        case(
            "identity-conflict",
            "two UDIDs and two serial numbers",
            identity_conflict(),
            Expectation { udid_conflict: true, serial_conflict: true, ..plain() },
        ),
        case(
            "exposed",
            "unencrypted, with what only encrypted backups should hold",
            exposed(),
            Expectation {
                enrolment: "profile",
                profiles: vec![ENROLMENT],
                exposures: vec!["call-history", "health", "website-history", "wifi"],
                ..enrolled()
            },
        ),
    ];
    cases.extend(apps::all());
    cases.extend(hostile::all());
    cases
}

/// Returns the case of this name.
#[must_use]
pub fn find(name: &str) -> Option<ManagedCase> {
    all().into_iter().find(|case| case.name == name)
}

/// Returns the cases as the program lists them.
pub(crate) fn named() -> impl Iterator<Item = Case> {
    all().into_iter().map(|case| Case {
        name: format!("managed-{}", case.name),
        about: case.about,
        spec: case.spec,
    })
}

/// A bundle under the password of all cases.
pub(crate) fn encrypted(mut spec: BundleSpec) -> BundleSpec {
    spec.encryption = Some(Encryption { dpic: Some(1_000), ..Encryption::new(PASSWORD) });
    spec
}

/// Replaces a file of the spec, or adds it.
pub(crate) fn set(spec: &mut BundleSpec, file: EntrySpec) {
    let same = |entry: &EntrySpec| entry.domain == file.domain && entry.path == file.path;
    match spec.entries.iter().position(same) {
        Some(at) => spec.entries[at] = file,
        None => spec.entries.push(file),
    }
}

/// A phone that was never managed, with all the files that such phones have.
#[must_use]
pub fn none() -> BundleSpec {
    BundleSpec::new(40).with(|spec| spec.entries = unmanaged())
}

/// A phone whose user enrolled it by a profile; encrypted, so that the profile is there.
#[must_use]
pub fn byod_encrypted() -> BundleSpec {
    let mut spec = encrypted(none());
    profiles(&mut spec, vec![enrolment(identity("com.apple.security.scep", None)), wifi(), own()]);
    spec
}

/// The same phone in an unencrypted backup, which holds every profile but that of the enrolment.
#[must_use]
pub fn byod_unencrypted() -> BundleSpec {
    let mut spec = byod_encrypted();
    spec.encryption = None;
    without_enrolment(&mut spec);
    spec
}

/// A supervised phone of an organisation, by Automated Device Enrolment.
#[must_use]
pub fn ade() -> BundleSpec {
    organisation(identity("com.apple.security.scep", None))
}

/// The same, with an identity whose key never leaves the device.
#[must_use]
pub fn ade_acme() -> BundleSpec {
    organisation(identity("com.apple.security.acme", Some(true)))
}

/// The same phone as [`ade`] in an unencrypted backup: configured, and its profile not there.
#[must_use]
pub fn ade_unencrypted() -> BundleSpec {
    let mut spec = ade();
    spec.encryption = None;
    set(&mut spec, truth(&[]));
    without_enrolment(&mut spec);
    spec
}

fn organisation(identity: PlistValue) -> BundleSpec {
    let mut spec = encrypted(none());
    let mut enrolment = enrolment(identity);
    enrolment.removable = false;
    enrolment.payloads.push(payload(
        "com.apple.applicationaccess",
        "restrictions",
        &[("forceEncryptedBackup", PlistValue::Bool(true))],
    ));
    profiles(&mut spec, vec![enrolment, wifi(), own()]);
    let yes = || PlistValue::Bool(true);
    set(
        &mut spec,
        cloud(&[
            ("ConfigurationSource", PlistValue::Int(1)),
            ("ConfigurationURL", PlistValue::text("https://mdm.example.org/enroll")),
            ("ConfigurationWasApplied", yes()),
            ("IsMDMUnremovable", yes()),
            ("IsMandatory", yes()),
            ("IsSupervised", yes()),
            ("MDMServerUID", PlistValue::text("EXAMPLE-SERVER")),
            ("OrganizationName", PlistValue::text("Example Organisation")),
            ("OrganizationDepartment", PlistValue::text("Devices")),
            ("PostSetupProfileWasInstalled", yes()),
            ("SkipSetup", PlistValue::Array(vec![PlistValue::text("Restore")])),
        ]),
    );
    set(&mut spec, encryption_forced());
    spec
}

/// A phone with a work account: User Enrolment.
#[must_use]
pub fn account_driven() -> BundleSpec {
    let mut spec = encrypted(none());
    let mut profile = Profile::new(USER, ENROLMENT, "Example Work");
    profile.payloads = vec![
        identity("com.apple.security.scep", None),
        mdm(&[
            ("EnrollmentMode", PlistValue::text("BYOD")),
            ("AssignedManagedAppleID", PlistValue::text("person@example.org")),
        ]),
    ];
    spec.entries.push(profile.stub());
    set(&mut spec, payload_manifest(USER, &[], &[ENROLMENT]));
    set(
        &mut spec,
        mdm_record(&[
            ("UserEnrollment", PlistValue::Bool(true)),
            ("EnrollmentMode", PlistValue::text("BYOD")),
            ("PersonaID", PlistValue::text("00000000-0000-4000-8000-00000000000A")),
        ]),
    );
    spec
}

/// An iPad that several people sign in to. No device makes such a backup.
#[must_use]
pub fn shared_ipad() -> BundleSpec {
    let mut spec = ade();
    spec.device = DeviceFacts {
        name: "Example Shared iPad".into(),
        product_type: "iPad13,18".into(),
        product_name: "iPad (10th generation)".into(),
        ..spec.device
    };
    spec.entries.retain(|entry| !entry.path.ends_with(b".stub"));
    profiles(&mut spec, vec![enrolment(identity("com.apple.security.scep", None))]);
    set(&mut spec, truth(&[]));
    set(
        &mut spec,
        cloud(&[
            ("ConfigurationSource", PlistValue::Int(1)),
            ("IsMultiUser", PlistValue::Bool(true)),
            ("IsSupervised", PlistValue::Bool(true)),
            ("PostSetupProfileWasInstalled", PlistValue::Bool(true)),
        ]),
    );
    spec
}

/// A phone of the oldest kind, with its store in HomeDomain and no management configuration.
#[must_use]
pub fn legacy() -> BundleSpec {
    let mut spec = encrypted(BundleSpec::new(41));
    spec.entries = vec![EntrySpec::file("HomeDomain", "Library/Notes/note.txt", "hello")];
    let mut enrolment = enrolment(identity("com.apple.security.scep", None));
    enrolment.store = state::LEGACY;
    let mut own = own();
    own.store = state::LEGACY;
    own.file = Some("org.example.own+0a1b2c3d.stub".into());
    spec.entries.extend([enrolment.stub(), own.stub()]);
    spec
}

/// A bundle whose Info.plist was edited to look like one of another device.
#[must_use]
pub fn identity_conflict() -> BundleSpec {
    let mut spec = none();
    let text = PlistValue::text;
    spec.info_plist = vec![
        PlistEdit::Set("Target Identifier".into(), text("00000000-FEDCBA9876543210")),
        PlistEdit::Set("Unique Identifier".into(), text("00000000-FEDCBA9876543210")),
        PlistEdit::Set("Serial Number".into(), text("TESTKIT99999")),
    ];
    spec
}

/// An unencrypted bundle with what only encrypted ones should hold, an enrolment among it.
#[must_use]
pub fn exposed() -> BundleSpec {
    let mut spec = none();
    profiles(&mut spec, vec![enrolment(identity("com.apple.security.scep", None))]);
    spec.entries.extend([
        EntrySpec::noise("HomeDomain", "Library/CallHistoryDB/CallHistory.storedata", 500),
        EntrySpec::noise("HomeDomain", "Library/CallHistoryDB/com.apple.callhistory.plist", 20),
        EntrySpec::noise("HomeDomain", "Library/Safari/History.db", 300),
        EntrySpec::noise("HealthDomain", "Health/healthdb.sqlite", 200),
        EntrySpec::noise(
            "SystemPreferencesDomain",
            "SystemConfiguration/com.apple.wifi.plist",
            100,
        ),
        // Empty, or not one of them.
        EntrySpec::file("HealthDomain", "MedicalID/empty", ""),
        EntrySpec::noise("HomeDomain", "Library/Safari/Bookmarks.db", 100),
        EntrySpec::noise("HomeDomain", "Library/CallHistoryDBx/near.db", 100),
    ]);
    spec
}

/// The profile of an enrolment, with this payload for its identity.
fn enrolment(identity: PlistValue) -> Profile {
    let mut profile = Profile::new(SYSTEM, ENROLMENT, "Example Management");
    profile.payloads = vec![identity, mdm(&[])];
    profile
}

/// A profile that the server installed: a network, a certificate, a web clip and a font.
fn wifi() -> Profile {
    let mut profile = Profile::new(SYSTEM, WIFI, "Example Network");
    profile.by_mdm = true;
    let text = PlistValue::text;
    profile.payloads = vec![
        payload("com.apple.wifi.managed", "wifi", &[("SSID_STR", text("example-net"))]),
        payload(
            "com.apple.security.root",
            "root",
            &[
                ("PayloadCertificateFileName", text("example-root.cer")),
                ("Expiry", PlistValue::Date(state::CERTIFICATE_END)),
                ("IsIdentity", PlistValue::Bool(false)),
            ],
        ),
        payload("com.apple.webClip.managed", "clip", &[("Label", text("Example Desk"))]),
        payload("com.apple.font", "font", &[("Name", text("Example Sans"))]),
    ];
    profile
}

/// A profile that the user installed.
fn own() -> Profile {
    let mut profile = Profile::new(SYSTEM, OWN, "My DNS");
    profile.payloads = vec![payload("com.apple.dnsSettings.managed", "dns", &[])];
    profile
}

/// Adds profiles of the system, and lists them.
fn profiles(spec: &mut BundleSpec, profiles: Vec<Profile>) {
    let identifiers: Vec<&str> = profiles.iter().map(|profile| profile.identifier).collect();
    let (hidden, ordered): (Vec<&str>, Vec<&str>) =
        identifiers.iter().partition(|identifier| **identifier == ENROLMENT);
    set(spec, payload_manifest(SYSTEM, &ordered, &hidden));
    spec.entries.extend(profiles.iter().map(Profile::stub));
}

/// Takes the enrolment profile out, as an unencrypted backup leaves it out.
fn without_enrolment(spec: &mut BundleSpec) {
    let name = stub_name(ENROLMENT);
    spec.entries.retain(|entry| !entry.path.ends_with(name.as_bytes()));
}
