//! Bundles made of a bundle: with fewer entries, in plaintext, encrypted, under another password.
//!
//! ```text
//!           payloads               catalog            keybag
//! filter    as they are stored     made anew          stays
//! rekey     as they are stored     as it is stored    its class keys wrapped anew
//!  (full)   under fresh keys       made anew          fresh class keys for files
//! encrypt   under fresh keys       made anew          fresh class keys for files
//! decrypt   in plaintext           made anew          under the empty password
//! ```
//!
//! All of them write one kind of thing the same way, so they share one look ahead, one run, and
//! one account of what became of the bundle. The catalog is walked for the run, and before it for
//! a selection or, where payloads are encrypted or decrypted, for the longest files.

mod apps;
mod decrypt;
mod encrypt;
mod filter;
mod left_behind;
mod look_ahead;
mod pack;
mod plists;
mod rekey;

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use bkp_bundle::{Backup, BundleError, PlistError, Unlocked};
use bkp_core::{
    Entry, EntryKind, Fault as _, Identity, Monitor, Problem, Report, RunError, RunOptions, Select,
    Severity,
};
use bkp_crypto::{KeybagError, RandomError, ReissueError, UnlockError};
use bkp_restore::{BundlePlan, BundleSummary, BundleWriter, CatalogForm, RestoreError};

pub use decrypt::{KeychainFate, decrypt};
pub use encrypt::{EncryptOptions, encrypt};
pub use filter::{filter, filter_ahead};
pub use look_ahead::{LookAhead, choose};
pub use pack::{PackSelection, check_pack, plan_pack};
pub use rekey::{RekeyOptions, rekey};

use left_behind::{foreign_files, stored_payloads};

/// Where a bundle is written and how.
#[derive(Clone, Debug)]
pub struct RewriteOptions {
    /// The folder to make. It must be new or empty.
    pub target: PathBuf,
    /// Worker threads; one for each core when absent.
    pub threads: Option<NonZeroUsize>,
    /// Whether payloads that stay as they are become a second name of the source's file, where
    /// the file system allows it. A change of one is then a change of both.
    pub link: bool,
}

/// What a run made.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Rewritten {
    /// The bundle.
    pub bundle: BundleSummary,
    /// Whether nothing that the run saw keeps a device from restoring the bundle. Payloads are
    /// missing, rows were lost, or the source was not finished where this is false; where it is
    /// true, only `verify` of the bundle can tell more.
    pub restorable: bool,
    /// Identifiers of the containers that the bundle's `Manifest.plist` and `Info.plist` name no
    /// more, because all their entries were left out. Sorted.
    pub applications_left_out: Vec<String>,
    /// Domains that were left out in part, and of which a device that restores the bundle removes
    /// what the bundle does not hold (FORMAT.md 6).
    pub partial_domains: Vec<&'static str>,
    /// Names in the source's folder that are no part of a backup, and were not taken over.
    pub foreign_files: Vec<String>,
    /// Payloads in the source's folder that no row names, and that were not taken over. Not told
    /// of a bundle that is only a part of its source.
    pub orphan_blobs: u64,
    /// SHA-256 of the source's catalog as it is stored, where the run has read all of it: where
    /// the bundle has the same.
    pub source_catalog_sha256: Option<[u8; 32]>,
    /// What became of the keychain's items, where a bundle was decrypted and its keychain can be
    /// read.
    pub keychain: Option<KeychainFate>,
}

/// Why no bundle was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// The run itself failed.
    #[error(transparent)]
    Run(Box<RunError<BundleError, RestoreError>>),
    /// A property list of the source cannot be rewritten.
    #[error("cannot rewrite {name}")]
    Plist {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        source: PlistError,
    },
    /// The new keybag could not be made.
    #[error("cannot make the new keybag")]
    Keybag {
        /// Why.
        #[source]
        source: ReissueError,
    },
    /// The keybag of an unencrypted source does not open with the empty password, which every
    /// such keybag is under.
    #[error("the keybag of this unencrypted backup cannot be opened")]
    SourceKeybag {
        /// Why.
        #[source]
        source: SourceKeybagError,
    },
    /// The system gave no random bytes.
    #[error("cannot draw a key")]
    Random {
        /// Why.
        #[source]
        source: RandomError,
    },
    /// The catalog's key cannot be wrapped: the keybag has no such class.
    #[error("cannot wrap the key of the catalog")]
    ManifestKey {
        /// Why.
        #[source]
        source: bkp_crypto::FileKeyError,
    },
    /// The source is encrypted already.
    #[error("this backup is encrypted already")]
    AlreadyEncrypted,
    /// The source is not encrypted.
    #[error("this backup is not encrypted")]
    NotEncrypted,
}

/// Why the keybag of an unencrypted backup cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceKeybagError {
    /// It cannot be read.
    #[error(transparent)]
    Parse(#[from] KeybagError),
    /// It does not open.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
}

impl From<RunError<BundleError, RestoreError>> for RewriteError {
    fn from(error: RunError<BundleError, RestoreError>) -> Self {
        Self::Run(Box::new(error))
    }
}

impl From<RandomError> for RewriteError {
    fn from(source: RandomError) -> Self {
        Self::Random { source }
    }
}

/// A destination that would change the source.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{} is the backup itself, or inside it", target.display())]
pub struct InsideSource {
    /// The destination.
    pub target: PathBuf,
}

/// Refuses a destination that is the source or below it, before anything is created.
///
/// # Errors
///
/// Fails when that is so, links in both paths resolved. What cannot be resolved is left to the
/// writer, which reports it.
pub fn check_destination(source: &Path, target: &Path) -> Result<(), InsideSource> {
    let Ok(source) = std::fs::canonicalize(source) else { return Ok(()) };
    // The nearest folder that exists decides where the destination would be.
    let absolute = std::path::absolute(target).unwrap_or_else(|_| target.to_owned());
    let real = absolute.ancestors().find_map(|above| std::fs::canonicalize(above).ok());
    match real {
        Some(real) if real.starts_with(&source) => Err(InsideSource { target: target.to_owned() }),
        _ => Ok(()),
    }
}

/// Returns whether the backup was brought to its end.
fn is_finished(backup: &Backup<Unlocked>) -> bool {
    let status = backup.bundle().status();
    status.is_some_and(|status| status.snapshot_state.as_deref() == Some("finished"))
}

/// Runs a plan, and settles the account of what came late.
fn write(
    backup: &Backup<Unlocked>,
    select: &dyn Select,
    ahead: LookAhead,
    plan: BundlePlan,
    options: &RewriteOptions,
    monitor: &dyn Monitor,
) -> Result<Report<Rewritten>, RewriteError> {
    let RewriteOptions { target, threads, link: _ } = options;
    let mut run = RunOptions::default();
    if let Some(threads) = *threads {
        run.threads = threads;
    }
    let LookAhead { longest, apps, .. } = ahead;
    let same_catalog = matches!(plan.catalog, CatalogForm::Stored(_));
    let sink = BundleWriter::create(target, plan).map_err(RunError::Sink)?;
    let report =
        bkp_core::run_longest_first(backup, select, &Identity, sink, longest, &run, monitor)?;
    let Report { summary, listed, mut done, skipped, mut failed, damaged, notices } = report;
    for late in &summary.late {
        let entry = Entry::derive(late.domain.clone(), late.path.clone(), EntryKind::File);
        monitor.problem(Problem { entry: Some(&entry), fault: &late.error });
        if late.error.severity() == Severity::Failure {
            failed += 1;
            done = done.saturating_sub(1);
        }
    }
    let restorable = is_finished(backup) && failed == 0 && damaged == 0;
    let applications_left_out = apps.gone().map(str::to_owned).collect();
    // Which payloads belong to rows that were left out is not known here, so they are counted only
    // where none was. A file that failed may have its payload, or not.
    let orphan_blobs = match skipped {
        0 => stored_payloads(backup).saturating_sub(summary.files.saturating_add(failed)),
        _ => 0,
    };
    let summary = Rewritten {
        source_catalog_sha256: same_catalog.then_some(summary.catalog_sha256),
        bundle: summary,
        restorable,
        applications_left_out,
        foreign_files: foreign_files(backup),
        orphan_blobs,
        ..Rewritten::default()
    };
    Ok(Report { summary, listed, done, skipped, failed, damaged, notices })
}
