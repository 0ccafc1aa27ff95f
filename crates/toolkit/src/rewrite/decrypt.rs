//! A bundle in plaintext.

use std::ops::ControlFlow;

use bkp_bundle::{Backup, ManifestEdit, Patch, Unlocked};
use bkp_core::{Everything, Monitor, NullMonitor, Report};
use bkp_crypto::{FileClasses, KdfParams, Passphrase, Reissue};
use bkp_restore::{BundlePlan, CatalogForm, PayloadForm};

use super::{LookAhead, RewriteError, RewriteOptions, Rewritten, plists, write};
use crate::keychain::{KeychainListing, Secrets, keychain};

/// What became of the items of a keychain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeychainFate {
    /// Items that only the device opens. They are kept, and lost to every other device and to
    /// every reader.
    pub device_bound: usize,
    /// Items that the password opened. They open without one now.
    pub exposed: usize,
}

/// Writes a bundle in plaintext of one that is encrypted.
///
/// Every payload is decrypted, digests are those of the plaintext, and the keybag is put under the
/// empty password, as devices have it in backups that are not encrypted; its classes of files get
/// fresh keys, so it opens nothing of the source. Keychain items stay as they are: those that the
/// password opened open without one now, and those bound to the device stay bound to it.
///
/// # Errors
///
/// Fails when the source is not encrypted, when a class key that has to be wrapped is damaged,
/// and when the bundle cannot be written; nothing is left of it then.
pub fn decrypt(
    backup: &Backup<Unlocked>,
    options: &RewriteOptions,
    monitor: &dyn Monitor,
) -> Result<Report<Rewritten>, RewriteError> {
    let bundle = backup.bundle();
    let (Some(keys), Some(Ok(keybag))) = (backup.class_keys(), bundle.keybag()) else {
        return Err(RewriteError::NotEncrypted);
    };
    let ahead = LookAhead::everything(backup, monitor)?;
    let spec = Reissue {
        file_classes: FileClasses::Fresh,
        // What is damaged opens nothing here, and must not keep the rest from being decrypted.
        drop_damaged: true,
        ..Reissue::new(KdfParams::fresh(KdfParams::DEVICE_ROUNDS, None)?)
    };
    let (keybag, _) = keybag
        .reissue(keys, &spec, &Passphrase::empty(), &mut |_| ControlFlow::Continue(()))
        .map_err(|source| RewriteError::Keybag { source })?;
    let edit = ManifestEdit {
        encrypted: Some(false),
        keybag: Some(keybag.to_bytes()),
        manifest_key: Patch::Remove,
        keep_application: &|_| true,
    };
    let files = plists::rewrite(backup, &ahead.apps, &edit)?;
    let plan = BundlePlan {
        kind: backup.catalog().kind(),
        payloads: PayloadForm::Plain,
        catalog: CatalogForm::New(None),
        link: false,
        files,
    };
    let mut report = write(backup, &Everything, ahead, plan, options, monitor)?;
    // One that nobody can read has been written like any other file.
    report.summary.keychain = keychain(backup, Secrets::Hidden, &NullMonitor).ok().map(|listing| {
        let KeychainListing { opened: exposed, device_bound, .. } = listing;
        KeychainFate { device_bound, exposed }
    });
    Ok(report)
}
