//! One function per job: the library a backup pipeline is written against, and all that `bkp`
//! calls.
//!
//! ```text
//! locate ──▶ Bundle::open ──▶ open_catalog ──▶ (unlock) ──▶ inspect
//!                                                      ├──▶ extract
//!                                                      └──▶ verify
//! ```
//!
//! The crates below are re-exported, so that one dependency is enough.

#![forbid(unsafe_code)]

mod extract;
mod inspect;
mod locate;
mod time;
mod verify;

pub use bkp_bundle as bundle;
pub use bkp_core as core;
pub use bkp_crypto as crypto;
pub use bkp_policy as policy;
pub use bkp_restore as restore;

pub use extract::{ExtractError, ExtractOptions, NamePolicy, extract};
pub use inspect::{
    BackupFacts, CatalogFacts, ClassFacts, DeviceFacts, DomainFacts, Inspection, KeybagFacts,
    Warning, inspect,
};
pub use locate::{Found, LocateError, locate};
pub use time::rfc3339;
pub use verify::{
    CodeCount, DatabaseCounts, Finding, Grade, ParseSubsetError, Subset, SubsetFacts, Verification,
    VerifyError, VerifyOptions, verify,
};
