//! The property lists, key by key.

use bkp_bundle::{Bundle, Catalog, ManifestPlist, StatusPlist};

use crate::verify::finding::{Finding, Grade};
use crate::verify::log::Log;

/// Versions of `Status.plist` that a device takes: from the first to below the second.
const STATUS: (f64, f64) = (2.4, 4.0);
/// Versions of `Manifest.plist` that a device takes.
const MANIFEST: (f64, f64) = (7.4, 11.0);
/// `SystemDomainsVersion` that iOS 16.4 takes, both included. Later systems may take more.
const DOMAINS: (f64, f64) = (3.0, 25.0);
/// The version of a backup from which the catalog is `Manifest.db`.
const DB: f64 = 10.0;
/// The system that first encrypted the catalog as a whole.
const WHOLE_CATALOG: (u32, u32) = (10, 2);

pub(super) fn check(bundle: &Bundle, catalog: &Catalog, log: &Log<'_>) {
    if let Some(plist) = bundle.status() {
        status(plist, log);
    }
    manifest(bundle, catalog, log);
    identity(bundle, log);
}

/// Reads a version as a device does: a number with one point. Further points are passed over.
pub(super) fn version(text: Option<&str>) -> Option<f64> {
    let mut parts = text?.trim().split('.');
    let (major, minor) = (parts.next()?, parts.next().unwrap_or("0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(major) || !digits(minor) || major.len() + minor.len() > 12 {
        return None;
    }
    format!("{major}.{minor}").parse().ok()
}

/// Source: FORMAT.md 1.2.
fn status(plist: &StatusPlist, log: &Log<'_>) {
    let found = version(plist.version.as_deref());
    if found.is_none_or(|found| found < STATUS.0 || found >= STATUS.1) {
        let said = spelled(plist.version.as_deref());
        let message = format!("Version of Status.plist is {said}; devices take 2.4 to below 4.0");
        log.add(Finding::damage("status-version", message));
    }
    // Older devices wrote less.
    if found.is_some_and(|found| found < 2.0) {
        return;
    }
    let absent: Vec<&str> = [
        ("UUID", plist.uuid.is_some()),
        ("Date", plist.date.is_some()),
        ("BackupState", plist.backup_state.is_some()),
        ("SnapshotState", plist.snapshot_state.is_some()),
        ("IsFullBackup", plist.is_full_backup.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, there)| (!there).then_some(key))
    .collect();
    if !absent.is_empty() {
        let message =
            format!("Status.plist lacks {}, or they are of another type", absent.join(", "));
        log.add(Finding::damage("status-incomplete", message));
    }
}

fn spelled(version: Option<&str>) -> String {
    version.map_or_else(|| "absent".to_owned(), |text| format!("\"{}\"", text.escape_debug()))
}

/// Source: FORMAT.md 1.3.
fn manifest(bundle: &Bundle, catalog: &Catalog, log: &Log<'_>) {
    let plist = bundle.manifest();
    let found = version(plist.version.as_deref());
    if found.is_none_or(|found| found < MANIFEST.0 || found >= MANIFEST.1) {
        let said = spelled(plist.version.as_deref());
        let message =
            format!("Version of Manifest.plist is {said}; devices take 7.4 to below 11.0");
        log.add(Finding::damage("manifest-version", message));
    } else if let Some(found) = found {
        let wanted = if found >= DB { "manifest.db" } else { "manifest.mbdb" };
        if catalog.format() != wanted {
            let message = format!(
                "a device takes {wanted} for the catalog of version {found:?}, and there is {}",
                catalog.format()
            );
            log.add(Finding::damage("catalog-kind", message));
        }
    }
    domains_version(plist, log);
    manifest_key(bundle, catalog, log);
    let lockdown = &plist.lockdown;
    absent(
        "Manifest.plist",
        &[
            ("Date", plist.date.is_some()),
            ("IsEncrypted", plist.is_encrypted.is_some()),
            ("WasPasscodeSet", plist.was_passcode_set.is_some()),
            ("Lockdown.ProductVersion", lockdown.product_version.is_some()),
            ("Lockdown.ProductType", lockdown.product_type.is_some()),
            ("Lockdown.BuildVersion", lockdown.build_version.is_some()),
            ("Lockdown.UniqueDeviceID", lockdown.unique_device_id.is_some()),
            ("Lockdown.SerialNumber", lockdown.serial_number.is_some()),
            ("Lockdown.DeviceName", lockdown.device_name.is_some()),
        ],
        log,
    );
    for app in &plist.applications {
        if app.content_class.is_none() || app.bundle_id.is_none() {
            let id = app.container_id.escape_debug();
            let message = format!(
                "the entry of \"{id}\" under Applications lacks CFBundleIdentifier or \
                 ContainerContentClass"
            );
            log.add(Finding::warning("application-incomplete", message));
        }
    }
}

fn absent(file: &str, keys: &[(&str, bool)], log: &Log<'_>) {
    let keys: Vec<&str> = keys.iter().filter_map(|&(key, there)| (!there).then_some(key)).collect();
    if !keys.is_empty() {
        let message = format!("{file} lacks {}, which devices write", keys.join(", "));
        log.add(Finding::warning("manifest-incomplete", message));
    }
}

fn domains_version(plist: &ManifestPlist, log: &Log<'_>) {
    let said = plist.system_domains_version.as_deref();
    let grade = match version(said) {
        Some(found) if found < DOMAINS.0 => Grade::Damage,
        Some(found) if found > DOMAINS.1 => Grade::Warning,
        Some(_) => return,
        None => Grade::Damage,
    };
    let message = format!("SystemDomainsVersion is {}; iOS 16.4 takes 3.0 to 25.0", spelled(said));
    log.add(Finding::new("system-domains-version", grade, message));
}

/// Devices since iOS 10.2 encrypt the catalog of an encrypted backup, and of no other.
fn manifest_key(bundle: &Bundle, catalog: &Catalog, log: &Log<'_>) {
    let keyed = bundle.manifest().manifest_key.is_some();
    let since = bundle.system_version();
    let db = matches!(catalog, Catalog::Db(_));
    let message = match (bundle.is_encrypted(), keyed) {
        (true, false) if db && since.is_some_and(|system| system >= WHOLE_CATALOG) => {
            "Manifest.plist has no ManifestKey, and an encrypted backup of iOS 10.2 or later has one"
        }
        (false, true) => "Manifest.plist has a ManifestKey, and the backup is not encrypted",
        (true, true) if !db => "Manifest.plist has a ManifestKey, and a Manifest.mbdb needs none",
        _ => return,
    };
    log.add(Finding::warning("manifest-key", message));
}

/// A device goes by `Info.plist` where it asks for its own version, and a host by both.
fn identity(bundle: &Bundle, log: &Log<'_>) {
    let Some(info) = bundle.info() else { return };
    let lockdown = &bundle.manifest().lockdown;
    for (what, one, other) in [
        ("the device", &lockdown.unique_device_id, &info.target_identifier),
        ("the version of the system", &lockdown.product_version, &info.product_version),
        ("the model", &lockdown.product_type, &info.product_type),
    ] {
        if let (Some(one), Some(other)) = (one, other)
            && !one.eq_ignore_ascii_case(other)
        {
            let message = format!(
                "of {what} Manifest.plist says \"{}\" and Info.plist \"{}\"",
                one.escape_debug(),
                other.escape_debug()
            );
            log.add(Finding::warning("identity-contradiction", message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions() {
        assert_eq!(version(Some("10.0")), Some(10.0));
        assert_eq!(version(Some("9")), Some(9.0));
        assert_eq!(version(Some("3.3.1")), Some(3.3));
        for bad in ["", ".", "x", "-3.3", "1e9", "inf", "NaN", "3.", "99999999999999.0"] {
            assert_eq!(version(Some(bad)), None, "{bad}");
        }
        assert_eq!(version(None), None);
    }
}
