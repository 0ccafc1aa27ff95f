//! What an unencrypted backup should not hold. Source: MANAGED.md 8.8.

use std::ops::ControlFlow;

use bkp_bundle::{Backup, FoundKeychain, Keychain, Opened, Unlocked};
use bkp_crypto::Passphrase;
use bkp_managed::{Exposure, ExposureKind, Survey};

/// Rounds of key derivation that are spent on the empty password. Devices write 10,000 into
/// unencrypted backups.
const ROUNDS: u64 = 1_000_000;

/// Says what is in an unencrypted backup that devices put into encrypted ones only: a code and a
/// message each. Nothing is said of an encrypted one.
pub(crate) fn exposed(opened: &Opened, survey: &Survey) -> Vec<(&'static str, String)> {
    let (false, Opened::Unlocked(backup)) = (opened.bundle().is_encrypted(), opened) else {
        return Vec::new();
    };
    let system = crate::inspect::device(opened.bundle()).product_version;
    let system = system.as_deref().unwrap_or("of an unknown version");
    let mut found: Vec<_> =
        survey.exposures.iter().map(|exposure| of_files(exposure, system)).collect();
    let readable = readable_items(backup);
    if readable > 0 {
        let message = format!(
            "the backup is not encrypted, and {readable} items of its keychain open without the \
             device (system {system})"
        );
        found.push(("exposed-passwords", message));
    }
    if let Some(profile) = survey.enrolment_profile() {
        let message = format!(
            "the backup is not encrypted, and the enrolment profile {:?} is in it (system {system})",
            profile.identifier.as_deref().unwrap_or("without an identifier")
        );
        found.push(("exposed-enrolment", message));
    }
    found
}

fn of_files(exposure: &Exposure, system: &str) -> (&'static str, String) {
    let Exposure { kind, files, first, .. } = exposure;
    let (code, what) = match kind {
        ExposureKind::CallHistory => ("exposed-call-history", "the history of calls"),
        ExposureKind::Health => ("exposed-health", "health data"),
        ExposureKind::WebsiteHistory => ("exposed-website-history", "the history of websites"),
        ExposureKind::Wifi => {
            ("exposed-wifi", "Wi-Fi networks, as backups of iOS 13 and 14 are known to do,")
        }
        _ => ("exposed-content", "content that belongs into encrypted ones"),
    };
    let more = match files {
        0 | 1 => String::new(),
        files => format!(" and {} more files", files.saturating_sub(1)),
    };
    let message =
        format!("the backup is not encrypted, and holds {what} in {first}{more} (system {system})");
    (code, message)
}

/// Counts the items of the keychain that open with the empty password, which opens the keybag of
/// every unencrypted backup. On devices there are none: the items are sealed for the device.
fn readable_items(backup: &Backup<Unlocked>) -> usize {
    let Some(Ok(keybag)) = backup.bundle().keybag() else { return 0 };
    let Ok(Some(FoundKeychain { keychain, .. })) = Keychain::find(backup) else { return 0 };
    if keychain.items().is_empty() {
        return 0;
    }
    let go_on = &mut |_| ControlFlow::Continue(());
    let Ok(keys) = keybag.unlock(&Passphrase::empty(), ROUNDS, go_on) else { return 0 };
    keychain.items().iter().filter(|item| item.open(Some(&keys)).is_ok()).count()
}
