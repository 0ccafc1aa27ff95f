//! What the backups as a whole say of themselves.

use bkp_bundle::Bundle;
use bkp_core::Hex;
use serde::Serialize;

use crate::rfc3339;

/// A fact about two backups that is another one in each.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DiffNote {
    /// A stable name of the fact, such as `product_version`.
    pub fact: &'static str,
    /// What A says; nothing where it says nothing.
    pub a: Option<String>,
    /// What B says.
    pub b: Option<String>,
}

/// Compares what the property lists of two backups say of the device and the backup, and the
/// keybags. Needs no password.
#[must_use]
pub fn diff_notes(a: &Bundle, b: &Bundle) -> Vec<DiffNote> {
    let facts = facts(a).into_iter().zip(facts(b));
    facts
        .filter(|((_, a), (_, b))| a != b)
        .map(|((fact, a), (_, b))| DiffNote { fact, a, b })
        .collect()
}

/// Returns the facts of a backup, always the same ones in the same order.
fn facts(bundle: &Bundle) -> [(&'static str, Option<String>); 18] {
    let manifest = bundle.manifest();
    let lockdown = &manifest.lockdown;
    let (info, status) = (bundle.info(), bundle.status());
    let keybag = bundle.keybag().and_then(Result::ok);
    let yes = |value: bool| if value { "true" } else { "false" }.to_owned();
    let uuid = |uuid: [u8; 16]| {
        let hex = Hex(&uuid).to_string();
        let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
        parts.map(|(from, to)| hex.get(from..to).unwrap_or_default()).join("-")
    };
    [
        ("unique_device_id", lockdown.unique_device_id.clone()),
        ("serial_number", lockdown.serial_number.clone()),
        ("device_name", lockdown.device_name.clone()),
        ("product_type", lockdown.product_type.clone()),
        ("product_version", lockdown.product_version.clone()),
        ("build_version", lockdown.build_version.clone()),
        ("imei", info.and_then(|info| info.imei.clone())),
        ("phone_number", info.and_then(|info| info.phone_number.clone())),
        ("encrypted", Some(yes(bundle.is_encrypted()))),
        ("was_passcode_set", manifest.was_passcode_set.map(yes)),
        ("version", manifest.version.clone()),
        ("system_domains_version", manifest.system_domains_version.clone()),
        ("date", manifest.date.and_then(rfc3339)),
        ("backup_uuid", status.and_then(|status| status.uuid.clone())),
        ("snapshot_state", status.and_then(|status| status.snapshot_state.clone())),
        ("applications", Some(manifest.applications.len().to_string())),
        ("keybag_uuid", keybag.map(|keybag| uuid(keybag.uuid()))),
        ("keybag_version", keybag.and_then(|keybag| keybag.version()).map(|v| v.to_string())),
    ]
}
