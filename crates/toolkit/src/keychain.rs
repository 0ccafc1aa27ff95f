//! What `bkp keychain` tells.

mod facts;
mod problem;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bkp_bundle::{Backup, BundleError, FoundKeychain, Keychain, KeychainItem, Unlocked};
use bkp_core::{Fault as _, Monitor, Problem, Severity};
use bkp_crypto::{ClassKeys, Passphrase};
use serde::Serialize;

pub use facts::{AttributeFact, AttributeFacts, KeychainItemFacts, ReferenceFacts};
pub use problem::KeychainProblem;

/// Whether secrets are told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Secrets {
    /// Their names are told and their values are not.
    #[default]
    Hidden,
    /// Their values are told as well.
    Revealed,
}

/// The keychain of a backup. Secrets in it are wiped when it is dropped, and `Debug` tells no
/// values.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct KeychainListing {
    /// 1.
    pub schema_version: u32,
    /// `keychain`.
    pub kind: &'static str,
    /// Whether the backup is encrypted. Of one that is not, no item opens.
    pub encrypted: bool,
    /// Whether the values of secrets are told.
    pub revealed: bool,
    /// The UUID of the keybag that the items were sealed for, where the file names one.
    pub keybag_uuid: Option<String>,
    /// The items in the order of the file.
    pub items: Vec<KeychainItemFacts>,
    /// Items that were opened.
    pub opened: usize,
    /// Items that only the device could open.
    pub device_bound: usize,
    /// Items of a form that is not read.
    pub unsupported: usize,
    /// Items that should have opened, and did not.
    pub failed: usize,
}

/// Opens every item of a backup's keychain that a password can open.
///
/// What only the device can open is counted and is no problem. What is of a form that is not read
/// is one notice for each form. An item that should have opened is a problem of its own, and the
/// others go on.
///
/// # Errors
///
/// Fails when the keychain's file cannot be found in the catalog, read or parsed at all.
pub fn keychain(
    backup: &Backup<Unlocked>,
    secrets: Secrets,
    monitor: &dyn Monitor,
) -> Result<KeychainListing, BundleError> {
    let mut listing = KeychainListing {
        schema_version: 1,
        kind: "keychain",
        encrypted: backup.bundle().is_encrypted(),
        revealed: secrets == Secrets::Revealed,
        keybag_uuid: None,
        items: Vec::new(),
        opened: 0,
        device_bound: 0,
        unsupported: 0,
        failed: 0,
    };
    let Some(FoundKeychain { keychain, record, faults }) = Keychain::find(backup)? else {
        monitor.problem(Problem { entry: None, fault: &KeychainProblem::Absent });
        return Ok(listing);
    };
    let entry = Some(record.as_ref());
    for fault in &faults {
        monitor.problem(Problem { entry, fault: &**fault });
    }
    let tell = |problem: &KeychainProblem| monitor.problem(Problem { entry, fault: problem });
    listing.keybag_uuid = keychain.keybag_uuid().map(str::to_owned);
    for notice in keychain.notices() {
        tell(&KeychainProblem::Odd { notice: notice.clone() });
    }
    let empty = keys_of_plain(backup);
    let keys = backup.class_keys().or(empty.as_ref());
    let mut forms = BTreeMap::new();
    for item in keychain.items() {
        if monitor.cancelled() {
            break;
        }
        let opened = item.open(keys);
        listing.items.push(KeychainItemFacts::of(item, &opened, secrets));
        match opened {
            Ok(_) => listing.opened += 1,
            Err(error) if error.is_device_bound() => listing.device_bound += 1,
            Err(error) if error.severity() == Severity::Notice => {
                listing.unsupported += 1;
                *forms.entry(error.to_string()).or_insert(0_usize) += 1;
            }
            Err(source) => {
                listing.failed += 1;
                let (table, index) = (item.table(), item.index());
                tell(&KeychainProblem::Item { table, index, source });
            }
        }
    }
    for (form, count) in forms {
        tell(&KeychainProblem::Unsupported { count, form });
    }
    if let Some(error) = keychain.into_damage() {
        tell(&KeychainProblem::Damaged { items: listing.items.len(), source: error });
    }
    Ok(listing)
}

/// Opens the keybag of a backup that is not encrypted, which is under the empty password. A device
/// binds every class of keychain items to itself there; a backup that was decrypted has classes
/// that open.
fn keys_of_plain(backup: &Backup<Unlocked>) -> Option<ClassKeys> {
    let bundle = backup.bundle();
    let keybag = bundle.keybag().filter(|_| !bundle.is_encrypted())?.ok()?;
    let most = bundle.limits().kdf_rounds;
    keybag.unlock(&Passphrase::empty(), most, &mut |_| ControlFlow::Continue(())).ok()
}

/// Returns the number and the class of an item, as far as they can be told.
fn head(item: &KeychainItem) -> (Option<u32>, Option<u32>) {
    (item.version(), item.class().map(|class| class.0))
}

#[cfg(test)]
mod tests;
