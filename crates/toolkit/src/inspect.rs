//! What `bkp inspect` tells.

mod catalog;
mod keybag;

use bkp_bundle::{Bundle, BundleError, Notice, Opened};
use bkp_core::Fault as _;
use bkp_managed::ManagedError;
use serde::Serialize;

pub use catalog::{CatalogFacts, DomainFacts};
pub(crate) use keybag::dashed;
pub use keybag::{ClassFacts, KeybagFacts};

use crate::managed::{self, ManagementFacts};
use crate::rfc3339;

/// A description of a backup: what can be known without a password, and what the catalog adds.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// 1.
    pub schema_version: u32,
    /// `inspect`.
    pub kind: &'static str,
    /// The device that was backed up.
    pub device: DeviceFacts,
    /// Whether payloads are encrypted.
    pub encrypted: bool,
    /// Whether payloads can be read.
    pub unlocked: bool,
    /// The backup as a whole.
    pub backup: BackupFacts,
    /// What the catalog holds; nothing while it cannot be read.
    pub catalog: Option<CatalogFacts>,
    /// The keybag; nothing when there is none or it cannot be parsed.
    pub keybag: Option<KeybagFacts>,
    /// Bundle ids of the apps whose containers the backup names.
    pub apps: Vec<String>,
    /// How the device was managed; nothing while not even names can be read.
    pub management: Option<ManagementFacts>,
    /// What was odd, damaged or could not be read.
    pub warnings: Vec<Warning>,
}

/// The device, as `Manifest.plist` and, failing that, `Info.plist` describe it.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct DeviceFacts {
    /// The name its owner gave it.
    pub name: Option<String>,
    /// Such as `iPhone8,2`.
    pub product_type: Option<String>,
    /// The system version, such as `13.3`.
    pub product_version: Option<String>,
    /// The system build.
    pub build_version: Option<String>,
    /// The serial number.
    pub serial_number: Option<String>,
    /// The UDID.
    pub unique_device_id: Option<String>,
    /// The name its makers sell it under, where the host noted it.
    pub product_name: Option<String>,
    /// The IMEI of a phone.
    pub imei: Option<String>,
    /// The phone number.
    pub phone_number: Option<String>,
}

/// The backup as a whole.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BackupFacts {
    /// `Version` of `Manifest.plist`.
    pub version: Option<String>,
    /// When it was made, RFC 3339 in UTC.
    pub date: Option<String>,
    /// `finished` for a backup that ended.
    pub snapshot_state: Option<String>,
    /// `IsFullBackup`, which devices leave false.
    pub is_full: Option<bool>,
    /// Whether the device had a passcode.
    pub was_passcode_set: Option<bool>,
    /// The program that made it, such as an iTunes version.
    pub host_version: Option<String>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Warning {
    /// A stable code.
    pub code: String,
    /// What was found.
    pub message: String,
}

impl From<&Notice> for Warning {
    fn from(Notice { code, message }: &Notice) -> Self {
        Self { code: (*code).into(), message: message.clone() }
    }
}

impl From<&BundleError> for Warning {
    fn from(error: &BundleError) -> Self {
        Self { code: error.code().into(), message: chain(error) }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    message
}

/// Describes a backup. Writes nothing, and fails at nothing: what cannot be read is a warning.
///
/// `opened` is what [`Bundle::open_catalog`] gave, unlocked or not.
#[must_use]
pub fn inspect(bundle: &Bundle, opened: Result<&Opened, &BundleError>) -> Inspection {
    let mut warnings: Vec<Warning> = bundle.notices().iter().map(Warning::from).collect();
    let opened = match opened {
        Ok(opened) => Some(opened),
        Err(error) => {
            warnings.push(error.into());
            None
        }
    };
    let keybag = KeybagFacts::of(bundle, opened, &mut warnings);
    let catalog = opened.and_then(Opened::catalog).map(|catalog| {
        warnings.extend(catalog.notices().iter().map(Warning::from));
        CatalogFacts::of(catalog, &mut warnings)
    });
    let management = opened.and_then(|opened| management(opened, &mut warnings));
    Inspection {
        schema_version: 1,
        kind: "inspect",
        device: device(bundle),
        encrypted: bundle.is_encrypted(),
        unlocked: matches!(opened, Some(Opened::Unlocked(_))),
        backup: backup(bundle, &mut warnings),
        catalog,
        keybag,
        apps: apps(bundle),
        management,
        warnings,
    }
}

/// Surveys the management of the device, and takes down what was odd or cannot be read.
fn management(opened: &Opened, warnings: &mut Vec<Warning>) -> Option<ManagementFacts> {
    let survey = bkp_managed::survey_opened(opened)?;
    let exposed = managed::exposed(opened, &survey);
    let (facts, problems) = ManagementFacts::of(survey);
    let of_problem =
        |problem: &ManagedError| Warning { code: problem.code().into(), message: chain(problem) };
    warnings.extend(problems.iter().map(of_problem));
    let of_content = |(code, message): (&str, String)| Warning { code: code.into(), message };
    warnings.extend(exposed.into_iter().map(of_content));
    Some(facts)
}

pub(crate) fn device(bundle: &Bundle) -> DeviceFacts {
    let lockdown = &bundle.manifest().lockdown;
    let info = bundle.info();
    let or = |first: &Option<String>, second: Option<&Option<String>>| {
        first.clone().or_else(|| second.cloned().flatten())
    };
    DeviceFacts {
        name: or(&lockdown.device_name, info.map(|i| &i.device_name)),
        product_type: or(&lockdown.product_type, info.map(|i| &i.product_type)),
        product_version: or(&lockdown.product_version, info.map(|i| &i.product_version)),
        build_version: or(&lockdown.build_version, info.map(|i| &i.build_version)),
        serial_number: or(&lockdown.serial_number, info.map(|i| &i.serial_number)),
        unique_device_id: or(&lockdown.unique_device_id, info.map(|i| &i.target_identifier)),
        product_name: info.and_then(|i| i.product_name.clone()),
        imei: info.and_then(|i| i.imei.clone()),
        phone_number: info.and_then(|i| i.phone_number.clone()),
    }
}

/// Returns when the backup was made, by the first of the property lists that says it.
pub(crate) fn made(bundle: &Bundle) -> Option<i64> {
    let status = || bundle.status().and_then(|status| status.date);
    let info = || bundle.info().and_then(|info| info.last_backup_date);
    bundle.manifest().date.or_else(status).or_else(info)
}

fn backup(bundle: &Bundle, warnings: &mut Vec<Warning>) -> BackupFacts {
    let (manifest, info, status) = (bundle.manifest(), bundle.info(), bundle.status());
    let snapshot_state = status.and_then(|s| s.snapshot_state.clone());
    if let Some(state) = &snapshot_state
        && state != "finished"
    {
        warnings.push(Warning {
            code: "unfinished-backup".into(),
            message: format!("Status.plist says that the backup is {state}, not finished"),
        });
    }
    BackupFacts {
        version: manifest.version.clone(),
        date: made(bundle).and_then(rfc3339),
        snapshot_state,
        is_full: status.and_then(|s| s.is_full_backup),
        was_passcode_set: manifest.was_passcode_set,
        host_version: info.and_then(|i| i.itunes_version.clone()),
    }
}

/// The apps with a data container, or what the host noted where none is listed.
fn apps(bundle: &Bundle) -> Vec<String> {
    let mut apps: Vec<String> = bundle
        .manifest()
        .applications
        .iter()
        .filter(|app| app.content_class.as_deref().is_none_or(|c| c == "Data/Application"))
        .map(|app| app.bundle_id.clone().unwrap_or_else(|| app.container_id.clone()))
        .collect();
    if let Some(info) = bundle.info() {
        apps.extend(info.installed_applications.iter().cloned());
    }
    apps.sort_unstable();
    apps.dedup();
    apps
}
