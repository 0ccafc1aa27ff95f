//! One function per job: the library a backup pipeline is written against, and all that `bkp`
//! calls.
//!
//! ```text
//! list_backups
//! locate ──▶ Bundle::open ──▶ open_catalog ──▶ (unlock) ──▶ inspect
//!                                                      ├──▶ extract
//!                                                      ├──▶ hash_files
//!                                                      ├──▶ verify
//!                                                      ├──▶ diff, with another one
//!                                                      ├──▶ keychain
//!                                                      ├──▶ profiles, apps
//!                                                      ├──▶ filter, rekey, encrypt, decrypt ──▶ a new bundle
//!                                                      └──▶ plan_pack ──▶ archive::pack
//! synth::Plan ──▶ generate ──▶ a new bundle
//! ```
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use bkp_toolkit::bundle::{Limits, Opened, Storage};
//! use bkp_toolkit::crypto::Passphrase;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let located = bkp_toolkit::locate("backups".as_ref())?;
//! let backup = match Opened::open(Storage::directory(located.path())?, Limits::default())? {
//!     Opened::Unlocked(backup) => backup,
//!     Opened::Locked(backup) => {
//!         backup.unlock(&Passphrase::new("password".into()), &mut |_| ControlFlow::Continue(()))?
//!     }
//! };
//! for record in backup.catalog().records() {
//!     println!("{}", record?.as_ref());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The crates below are re-exported, so that one dependency is enough.

#![forbid(unsafe_code)]

mod diff;
mod extract;
mod found;
mod generate;
mod hash;
mod inspect;
mod keychain;
mod list;
mod locate;
mod managed;
mod rewrite;
mod staging;
#[cfg(test)]
mod testing;
mod time;
mod verify;

pub use bkp_archive as archive;
pub use bkp_bundle as bundle;
pub use bkp_core as core;
pub use bkp_crypto as crypto;
pub use bkp_managed as managed_facts;
pub use bkp_policy as policy;
pub use bkp_restore as restore;
pub use bkp_synth as synth;

pub use diff::{
    Aspect, Change, ContentCheck, DiffError, DiffNote, DiffOptions, DiffProblem, DiffReport,
    DiffSide, Difference, Evidence, Side, diff, diff_notes,
};
pub use extract::{ExtractError, ExtractOptions, NamePolicy, extract};
pub use found::{BackupState, Found};
pub use generate::{GenerateError, GenerateLock, GenerateOptions, PlanFault, generate};
pub use hash::{ContentHash, HashError, Hashes, hash_files};
pub use inspect::{
    BackupFacts, CatalogFacts, ClassFacts, DeviceFacts, DomainFacts, Inspection, KeybagFacts,
    Warning, inspect,
};
pub use keychain::{
    AttributeFact, AttributeFacts, KeychainItemFacts, KeychainListing, KeychainProblem,
    ReferenceFacts, Secrets, keychain,
};
pub use list::{TreeSize, known_roots, list_backups, tree_size};
pub use locate::{LocateError, Located, locate};
pub use managed::{AppListing, ManagementFacts, ProfileListing, apps, profiles, stored_info_plist};
pub use rewrite::{
    EncryptOptions, InsideSource, KeychainFate, LookAhead, PackSelection, RekeyOptions,
    RewriteError, RewriteOptions, Rewritten, SourceKeybagError, check_destination, check_pack,
    choose, decrypt, encrypt, filter, filter_ahead, plan_pack, rekey,
};
pub use staging::{
    Given, GivenError, GivenFiles, LeftOut, Reported, StagedRecordError, StagingRows,
    StagingSelect, Surveyed, situation, staged_for,
};
pub use time::rfc3339;
pub use verify::{
    ArchiveFacts, CodeCount, DatabaseCounts, Finding, Grade, NotChecked, ParseSubsetError,
    RecordedCounts, RecordedFile, RecordedRun, RecordedSource, Restorable, RestorableFacts,
    RestoreTarget, Subset, SubsetFacts, Verification, VerifyError, VerifyOptions, catalog_sha256,
    verify,
};
