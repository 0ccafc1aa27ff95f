//! The same bundle under another password.

use std::ops::ControlFlow;
use std::sync::Arc;

use bkp_bundle::{Backup, CatalogKind, ManifestEdit, Patch, Unlocked};
use bkp_core::{Everything, Monitor, Report, RunError};
use bkp_crypto::{
    ClassKeys, FileClasses, FileKey, KdfParams, KdfProgress, Passphrase, Reissue, WrappedFileKey,
};
use bkp_restore::{BundlePlan, CatalogForm, PayloadForm};

use super::{LookAhead, RewriteError, RewriteOptions, Rewritten, plists, write};

/// How a bundle gets another password.
#[derive(Clone, Copy, Debug, Default)]
pub struct RekeyOptions {
    /// Whether files, the catalog and the classes of files get fresh keys too, so that nothing a
    /// holder of the old password has noted opens the new bundle. Every payload is then
    /// decrypted and encrypted. The classes of the keychain keep their keys: its items are never
    /// rewritten.
    pub full: bool,
    /// Rounds of the first stage of the key derivation; those of the source when absent. No
    /// effect on a keybag that has one stage alone.
    pub kdf_rounds: Option<std::num::NonZeroU32>,
}

/// Writes the same bundle under another password.
///
/// Unless [`RekeyOptions::full`] is set, the class keys are wrapped anew and nothing else
/// changes: no payload is read by this process, and the catalog is taken over as it is stored
/// where that is its whole state.
///
/// # Errors
///
/// Fails when the source is not encrypted, when a class key that has to be wrapped is damaged,
/// when `progress` ends the derivation, and when the bundle cannot be written; nothing is left of
/// it then.
pub fn rekey(
    backup: &Backup<Unlocked>,
    new: &Passphrase,
    rekey: RekeyOptions,
    options: &RewriteOptions,
    progress: &mut dyn FnMut(KdfProgress) -> ControlFlow<()>,
    monitor: &dyn Monitor,
) -> Result<Report<Rewritten>, RewriteError> {
    let RekeyOptions { full, kdf_rounds } = rekey;
    let bundle = backup.bundle();
    let (Some(keys), Some(Ok(keybag))) = (backup.class_keys(), bundle.keybag()) else {
        return Err(RewriteError::NotEncrypted);
    };
    let ahead = match full {
        true => LookAhead::everything(backup, monitor)?,
        false => LookAhead::none(),
    };
    let kdf = keybag.kdf();
    let outer = kdf.outer.as_ref().map(|outer| kdf_rounds.unwrap_or(outer.rounds));
    let mut spec = Reissue::new(KdfParams::fresh(kdf.inner.rounds, outer)?);
    if full {
        spec.file_classes = FileClasses::Fresh;
    }
    let (keybag, new_keys) = keybag
        .reissue(keys, &spec, new, progress)
        .map_err(|source| RewriteError::Keybag { source })?;
    let stored = if full { None } else { stored_catalog(backup)? };
    let (catalog, manifest_key) = match stored {
        Some(bytes) => (CatalogForm::Stored(bytes), Patch::Keep),
        None => match fresh_manifest_key(backup, Some(&new_keys))? {
            Some((key, wrapped)) => (CatalogForm::New(Some(key)), Patch::Set(wrapped.to_bytes())),
            None => (CatalogForm::New(None), Patch::Keep),
        },
    };
    let edit = ManifestEdit {
        encrypted: None,
        keybag: Some(keybag.to_bytes()),
        manifest_key,
        keep_application: &|_| true,
    };
    let files = plists::rewrite(backup, &ahead.apps, &edit)?;
    let payloads = match full {
        true => PayloadForm::Encrypted(Arc::new(new_keys)),
        false => PayloadForm::Stored,
    };
    let kind = backup.catalog().kind();
    let plan = BundlePlan { kind, payloads, catalog, link: options.link, files };
    write(backup, &Everything, ahead, plan, options, monitor)
}

/// Opens the catalog as it is stored, if that is all there is to it: no journal beside it, and
/// nothing in it that had to be rescued.
fn stored_catalog(
    backup: &Backup<Unlocked>,
) -> Result<Option<Box<dyn std::io::Read + Send>>, RewriteError> {
    let source = |error| RewriteError::from(RunError::Source(error));
    let bundle = backup.bundle();
    if !backup.catalog().notices().is_empty() || bundle.has_sidecars().map_err(source)? {
        return Ok(None);
    }
    // A catalog whose cells are under the old password alone has to be made anew.
    if backup.catalog().has_encrypted_cells().map_err(source)? {
        return Ok(None);
    }
    bundle.stored_catalog().map(Some).map_err(source)
}

/// Draws a key for the catalog of a bundle that has an encrypted one, and wraps it under the
/// class of the source's.
pub(super) fn fresh_manifest_key(
    backup: &Backup<Unlocked>,
    keys: Option<&ClassKeys>,
) -> Result<Option<(FileKey, WrappedFileKey)>, RewriteError> {
    let manifest = backup.bundle().manifest();
    let (Some(keys), Some(stored)) = (keys, &manifest.manifest_key) else { return Ok(None) };
    if backup.catalog().kind() != CatalogKind::Db {
        return Ok(None);
    }
    let failed = |source| RewriteError::ManifestKey { source };
    let class = WrappedFileKey::parse(stored).map_err(failed)?.class;
    let key = FileKey::random()?;
    let wrapped = keys.wrap(class, &key).map_err(failed)?;
    Ok(Some((key, wrapped)))
}
