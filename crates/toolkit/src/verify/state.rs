//! The bundle as a whole: property lists, keybag, the catalog as a database.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bkp_bundle::{Bundle, Catalog, Notice, Opened, StatusPlist};
use bkp_core::{Domain, Monitor as _, ProtectionClass};
use bkp_crypto::{Keybag, Passphrase, UnlockError, WrappedFileKey};

use super::finding::{Finding, Grade};
use super::log::Log;
use super::walk::Rows;
use crate::managed;

/// The class that devices wrap the catalog's key with. Source: FORMAT.md 2.4.
const MANIFEST_CLASS: ProtectionClass = ProtectionClass(4);
/// `user_version` of every real catalog. Source: FORMAT.md 2.1.
const USER_VERSION: i64 = 2;

/// Checks what needs no row.
pub(super) fn before(bundle: &Bundle, opened: &Opened, catalog: &Catalog, log: &Log<'_>) {
    bundle.notices().iter().chain(catalog.notices()).for_each(|found| log.add(notice(found)));
    match bundle.status() {
        Some(status) => status_plist(status, log),
        None => log.add(Finding::damage("no-status", "there is no Status.plist that can be read")),
    }
    keybag(bundle, opened, log);
    exposed(opened, log);
    if let Catalog::Db(db) = catalog {
        match db.user_version() {
            Ok(USER_VERSION) => {}
            Ok(version) => {
                let grade = if version < USER_VERSION { Grade::Damage } else { Grade::Warning };
                let message = format!("user_version of Manifest.db is {version}, not 2");
                log.add(Finding::new("user-version", grade, message));
            }
            Err(error) => log.add(Finding::of(&bkp_bundle::BundleError::from(error))),
        }
        let report = db.quick_check();
        for problem in report.problems {
            log.add(Finding::damage("catalog-damaged", format!("Manifest.db: {problem}")));
        }
        if let Some(why) = report.unchecked {
            log.add(Finding::warning("catalog-unchecked", format!("Manifest.db: {why}")));
        }
    }
    if let (Some(key), Catalog::Db(_)) = (&bundle.manifest().manifest_key, catalog)
        && let Ok(WrappedFileKey { class, .. }) = WrappedFileKey::parse(key)
        && class != MANIFEST_CLASS
    {
        let message = format!("ManifestKey is of class {class}, not {MANIFEST_CLASS}");
        log.add(Finding::warning("manifest-key-class", message));
    }
}

/// Tells what an unencrypted backup should not hold.
fn exposed(opened: &Opened, log: &Log<'_>) {
    if opened.bundle().is_encrypted() {
        return;
    }
    let Some(survey) = bkp_managed::survey_opened(opened) else { return };
    for (code, message) in managed::exposed(opened, &survey) {
        log.add(Finding::warning(code, message));
    }
}

fn notice(Notice { code, message }: &Notice) -> Finding {
    let grade = if *code == "state-contradiction" { Grade::Damage } else { Grade::Warning };
    Finding::new(code, grade, message)
}

fn status_plist(status: &StatusPlist, log: &Log<'_>) {
    match status.snapshot_state.as_deref() {
        Some("finished") => {}
        Some(state) => {
            let message = format!("Status.plist says that the backup is {state}, not finished");
            log.add(Finding::damage("unfinished-backup", message));
        }
        None => {
            let message = "Status.plist does not say that the backup is finished";
            log.add(Finding::warning("unfinished-backup", message));
        }
    }
    match status.backup_state.as_deref() {
        None | Some("new") => {}
        Some(state) => {
            let refused = matches!(state, "old" | "empty");
            let grade = if refused { Grade::Damage } else { Grade::Warning };
            let message = format!("Status.plist calls the backup {state}");
            log.add(Finding::new("backup-state", grade, message));
        }
    }
    if status.is_full_backup == Some(true) {
        log.add(Finding::warning(
            "full-backup-flag",
            "Status.plist says that IsFullBackup is true",
        ));
    }
}

/// Source: FORMAT.md 3.
fn keybag(bundle: &Bundle, opened: &Opened, log: &Log<'_>) {
    let keybag = match bundle.keybag() {
        Some(Ok(keybag)) => keybag,
        Some(Err(error)) => {
            let message = format!("cannot read the keybag: {error}");
            return log.add(Finding::damage("key-material-damaged", message));
        }
        None => {
            return log.add(Finding::damage("no-keybag", "Manifest.plist has no BackupKeyBag"));
        }
    };
    let there: BTreeSet<u32> = keybag
        .classes()
        .iter()
        .filter(|record| record.has_key())
        .map(|record| record.class().0)
        .collect();
    let missing: Vec<u32> = (1..=11).filter(|class| !there.contains(class)).collect();
    if !missing.is_empty() {
        // Files are of classes 1 to 4.
        let files = missing.iter().any(|&class| class <= 4);
        let grade = if files { Grade::Damage } else { Grade::Warning };
        let missing: Vec<_> = missing.iter().map(u32::to_string).collect();
        let message = format!("the keybag has no keys of the classes {}", missing.join(", "));
        log.add(Finding::new("keybag-incomplete", grade, message));
    }
    if let Opened::Unlocked(backup) = opened
        && let Some(keys) = backup.class_keys()
    {
        for class in keys.damaged() {
            let message =
                format!("the key of protection class {class} does not open, and others do");
            log.add(Finding::damage("class-key-damaged", message));
        }
    }
    if !bundle.is_encrypted() {
        empty_password(bundle, keybag, log);
    }
}

/// The keybag of an unencrypted backup opens with the empty password.
fn empty_password(bundle: &Bundle, keybag: &Keybag, log: &Log<'_>) {
    let limit = bundle.limits().kdf_rounds;
    let mut go_on = |_| match log.cancelled() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    match keybag.unlock(&Passphrase::empty(), limit, &mut go_on) {
        Ok(_) | Err(UnlockError::Cancelled) => {}
        Err(error) => {
            let message = format!("the keybag does not open with the empty password: {error}");
            log.add(Finding::damage("keybag-closed", message));
        }
    }
}

/// Checks what the rows say of the bundle.
pub(super) fn after(bundle: &Bundle, rows: &Rows, log: &Log<'_>) {
    let contradiction = match (bundle.is_encrypted(), rows.keyed) {
        (true, 0) if !rows.keyless.is_empty() => {
            "the backup is said to be encrypted, and no file has a key".to_owned()
        }
        (false, keyed @ 1..) => {
            format!("the backup is said not to be encrypted, and {keyed} files have a key")
        }
        _ => return applications(bundle, rows, log),
    };
    log.add(Finding::damage("state-contradiction", contradiction));
    applications(bundle, rows, log);
}

/// Every container has its entry in `Applications`, and every entry its container.
/// Source: FORMAT.md 1.3.
fn applications(bundle: &Bundle, rows: &Rows, log: &Log<'_>) {
    let mut listed: BTreeSet<&[u8]> =
        bundle.manifest().applications.iter().map(|app| app.container_id.as_bytes()).collect();
    let owners: BTreeSet<&[u8]> = rows.domains.iter().filter_map(Domain::owner).collect();
    for (domain, owner) in rows.containers() {
        if !listed.contains(owner) {
            let message = "Manifest.plist has no entry for this container under Applications";
            let finding = Finding::warning("no-application-entry", message);
            log.add(finding.at_names(domain.as_bytes(), b""));
        }
    }
    listed.retain(|id| !owners.contains(id));
    for id in listed {
        let message = format!(
            "Manifest.plist has \"{}\" under Applications, and no domain is of it",
            String::from_utf8_lossy(id)
        );
        log.add(Finding::warning("no-container-domain", message));
    }
}
