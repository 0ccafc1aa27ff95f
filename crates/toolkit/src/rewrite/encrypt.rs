//! An encrypted bundle of one that is not.

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::Arc;

use bkp_bundle::{Backup, CatalogKind, ManifestEdit, Patch, Unlocked};
use bkp_core::{Everything, Monitor, ProtectionClass, Report};
use bkp_crypto::{
    ClassKeys, FileClasses, FileKey, KdfParams, KdfProgress, Keybag, Passphrase, Reissue,
};
use bkp_restore::{BundlePlan, CatalogForm, PayloadForm};

use super::{LookAhead, RewriteError, RewriteOptions, Rewritten, SourceKeybagError, plists, write};

/// The class of the catalog's key on devices. Source: FORMAT.md 2.4.
const MANIFEST_CLASS: ProtectionClass = ProtectionClass(4);

/// How a bundle is encrypted.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncryptOptions {
    /// Rounds of the first stage of the key derivation: ten million when absent, as devices
    /// write. No effect for a device before iOS 10.2, which has one stage alone.
    pub kdf_rounds: Option<NonZeroU32>,
}

/// Writes an encrypted bundle of one that is not.
///
/// Files, the catalog and the classes of files get fresh keys. The classes of the keychain keep
/// theirs, which in a bundle that is not encrypted are bound to the device, and the keybag its
/// identifier: so the device that made the backup can still read its keychain.
///
/// # Errors
///
/// Fails when the source is encrypted, when its keybag is damaged, when `progress` ends the
/// derivation, and when the bundle cannot be written; nothing is left of it then.
pub fn encrypt(
    backup: &Backup<Unlocked>,
    new: &Passphrase,
    encrypt: EncryptOptions,
    options: &RewriteOptions,
    progress: &mut dyn FnMut(KdfProgress) -> ControlFlow<()>,
    monitor: &dyn Monitor,
) -> Result<Report<Rewritten>, RewriteError> {
    let EncryptOptions { kdf_rounds } = encrypt;
    let bundle = backup.bundle();
    if bundle.is_encrypted() {
        return Err(RewriteError::AlreadyEncrypted);
    }
    let ahead = LookAhead::everything(backup, monitor)?;
    let kind = backup.catalog().kind();
    let modern = kind == CatalogKind::Db && is_since_10_2(backup);
    let double = modern.then(|| kdf_rounds.unwrap_or(KdfParams::DEVICE_OUTER_ROUNDS));
    let kdf = KdfParams::fresh(KdfParams::DEVICE_ROUNDS, double)?;
    let (keybag, keys) = new_keybag(backup, kdf, new, progress)?;
    let (key, manifest_key) = match modern {
        true => {
            let key = FileKey::random()?;
            let wrapped = keys
                .wrap(MANIFEST_CLASS, &key)
                .map_err(|source| RewriteError::ManifestKey { source })?;
            (Some(key), Patch::Set(wrapped.to_bytes()))
        }
        false => (None, Patch::Remove),
    };
    let edit = ManifestEdit {
        encrypted: Some(true),
        keybag: Some(keybag.to_bytes()),
        manifest_key,
        keep_application: &|_| true,
    };
    let files = plists::rewrite(backup, &ahead.apps, &edit)?;
    let plan = BundlePlan {
        kind,
        payloads: PayloadForm::Encrypted(Arc::new(keys)),
        catalog: CatalogForm::New(key),
        link: false,
        files,
    };
    write(backup, &Everything, ahead, plan, options, monitor)
}

/// Makes the keybag of the new bundle: of the source's own, or wholly new where it has none.
fn new_keybag(
    backup: &Backup<Unlocked>,
    kdf: KdfParams,
    new: &Passphrase,
    progress: &mut dyn FnMut(KdfProgress) -> ControlFlow<()>,
) -> Result<(Keybag, ClassKeys), RewriteError> {
    let bundle = backup.bundle();
    let source = |source: SourceKeybagError| RewriteError::SourceKeybag { source };
    let failed = |source| RewriteError::Keybag { source };
    let Some(keybag) = bundle.keybag() else {
        return Keybag::generate(Keybag::CURRENT_VERSION, kdf, new, progress).map_err(failed);
    };
    let keybag = keybag.map_err(|error| source(error.clone().into()))?;
    let keys =
        keybag
            .unlock(&Passphrase::empty(), bundle.limits().kdf_rounds, &mut |_| {
                ControlFlow::Continue(())
            })
            .map_err(|error| source(error.into()))?;
    let spec = Reissue { file_classes: FileClasses::Fresh, ..Reissue::new(kdf) };
    keybag.reissue(&keys, &spec, new, progress).map_err(failed)
}

/// Returns whether the device is one that encrypts catalogs and derives keys in two stages. One
/// that does not say is taken for a new one.
fn is_since_10_2(backup: &Backup<Unlocked>) -> bool {
    backup.bundle().system_version().is_none_or(|version| version >= (10, 2))
}
