//! The three property lists of a bundle that is made of another.

use bkp_bundle::{Backup, InfoPlist, ManifestEdit, ManifestPlist, Unlocked};
use bkp_core::RunError;

use super::RewriteError;
use super::apps::Apps;

const MANIFEST: &str = "Manifest.plist";
const INFO: &str = "Info.plist";
const STATUS: &str = "Status.plist";

/// Rewrites what has to change, and takes the rest byte for byte. A list that the source has not
/// is not made up.
pub(super) fn rewrite(
    backup: &Backup<Unlocked>,
    apps: &Apps,
    edit: &ManifestEdit<'_>,
) -> Result<Vec<(&'static str, Vec<u8>)>, RewriteError> {
    let bundle = backup.bundle();
    let source = |error| RewriteError::from(RunError::Source(error));
    let failed = |name| move |source| RewriteError::Plist { name, source };
    let manifest = bundle.manifest_bytes().map_err(source)?;
    let manifest = ManifestPlist::edit(&manifest, edit).map_err(failed(MANIFEST))?;
    let mut files = vec![(MANIFEST, manifest)];
    if let Some(bytes) = bundle.info_bytes().map_err(source)? {
        // One that nobody can read names nothing, and stays as it is.
        let edited = match bundle.info() {
            Some(_) => InfoPlist::without_applications(&bytes, &|id| apps.is_gone(id))
                .map_err(failed(INFO))?,
            None => bytes,
        };
        files.push((INFO, edited));
    }
    files.extend(bundle.status_bytes().map_err(source)?.map(|bytes| (STATUS, bytes)));
    Ok(files)
}
