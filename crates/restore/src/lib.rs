//! Puts the entries of a backup on a disk: below one directory, and whole or not at all.
//!
//! ```text
//! pipeline ──▶ ExtractDir                        parent/
//!               ├ stager, on every worker          .OUT.bkp-partial/tree/   while it runs
//!               │   directories, files             OUT/                     one rename at the end
//!               ├ commit, in catalog order           HomeDomain/Library/SMS/sms.db
//!               │   names.jsonl                      names.jsonl
//!               └ finish                           OUT.bkp-run.json         what was done
//!                   links, then modes and times,
//!                   then sync and rename
//! ```
//!
//! Names in a backup are an attacker's to choose. Every directory is reached from an open handle
//! of the one above, component by component, and a link on the way is an error; a file is only
//! ever created, never opened; links are made after all files, and nothing follows them. What is
//! there already is left as it is, unless overwriting was asked for: then a file or a link makes
//! way by being unlinked. Devices, sockets and pipes are never made, and set-user-id,
//! set-group-id and sticky bits never set.
//!
//! [`Naming`] says what entries are called on the disk, [`Staging`] builds a directory out of
//! sight, and a [`RunRecord`] tells what a run did.

#![forbid(unsafe_code)]

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!("bkp-restore needs openat and renameat, and is written for Linux and macOS");

mod adopt;
mod beneath;
mod bundle;
mod error;
mod extract;
mod names;
mod record;
mod remove;
mod staging;
mod stream;

pub use adopt::Adoption;
pub use bundle::{
    BundlePlan, BundleStager, BundleSummary, BundleWriter, CatalogForm, PayloadForm, StagedPayload,
};
pub use error::RestoreError;
pub use extract::{ExtractDir, ExtractOptions, ExtractStager, Extracted, Late, Staged};
pub use names::{Naming, Twins, TwinsWalk, decode};
pub use record::{
    RunArchive, RunCounts, RunFile, RunItem, RunLeftOut, RunMember, RunName, RunOutput, RunRecord,
    RunSource, RunStaging,
};
pub use staging::{StagedFile, Staging};
