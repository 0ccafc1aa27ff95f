//! Writes iOS-style backup bundles for tests, with an implementation of its own.
//!
//! A writer and a reader that share code agree on their mistakes. So this crate uses no `bkp`
//! crate that knows a format: keybag, key derivation, key wrap, property lists, MBFile blobs,
//! Manifest.db and Manifest.mbdb are written here a second time, from the format's description
//! alone. It is clear before it is fast; only the bulk generator counts cycles.
//!
//! What a big bundle holds comes from `bkp-synth`, which knows no format: names, sizes and bytes
//! are what a test chooses, and no mistake in a choice can hide one in a reader. The product
//! writes the same plan with its own writer, so the two can be held against each other.
//!
//! ```text
//! BundleSpec ──▶ write(dir) ──▶ Manifest.plist  Info.plist  Status.plist
//!  seed                         Manifest.db (or .mbdb)
//!  encryption                   3d/3d0d7e5f…     one blob for each regular file
//!  entries: EntrySpec           │
//!  every oddity is a field      └▶ Truth: what a correct reader must find
//!
//! BulkSpec   ──▶ write(dir) ──▶ the same layout, gigabytes of it, payloads never held
//! faults     ──▶ a thousand bundles with one fault each, and what a reader must say of it
//! cases      ──▶ named bundles: plain, encrypted, odd, hostile, damaged, bombs, sidecars
//! managed    ──▶ bundles of managed devices, and what a survey of each must find
//! fixtures   ──▶ the few that are committed
//! ```
//!
//! Everything follows from the seed: the same spec gives the same bytes. Passwords and keys are
//! invented and protect nothing, which is why they are plain fields here.
//!
//! ```
//! use bkp_testkit::{BundleSpec, EntrySpec, Encryption};
//!
//! # fn main() -> std::io::Result<()> {
//! let dir = tempfile::tempdir()?;
//! let mut spec = BundleSpec::new(7);
//! spec.encryption = Some(Encryption::new("secret"));
//! spec.entries.push(EntrySpec::file("HomeDomain", "Library/notes.txt", "hello"));
//! let truth = spec.write(dir.path())?;
//! assert_eq!(truth.counts.files, 1);
//! assert_eq!(truth.counts.directories, 2); // the domain's root and Library
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod bulk;
mod bundle;
mod cipher;
mod device;
mod entry;
mod file_id;
mod keybag;
mod keychain;
mod manifest_db;
mod mbdb;
mod mbfile;
mod plist_writer;
mod spec;
mod truth;

pub mod cases;
pub mod faults;
pub mod fixtures;
pub mod managed;

pub use bkp_synth::{Filler, Seed, SizeMix};
pub use bulk::{BulkProgress, BulkSpec};
pub use cipher::{cbc_encrypt, wrap_key};
pub use device::DeviceFacts;
pub use entry::{Cell, Content, DigestRule, EntrySpec, FileKeyRule, Node, RowOverrides, Stored};
pub use file_id::{file_id, hex};
pub use keybag::{ClassRecord, Keybag, KeybagOrder, KeybagShape, passcode_key};
pub use keychain::{KeychainItem, KeychainSpec, Sealing, gcm_empty_iv};
pub use manifest_db::{IndexSet, Row};
pub use mbdb::MbdbRecord;
pub use mbfile::{DigestForm, MbFile};
pub use plist_writer::{PlistValue, binary_plist, xml_plist};
pub use spec::{
    BundleSpec, CellEncryption, Encryption, ManifestKind, PlistEdit, PlistForm, Sidecar,
};
pub use truth::{Counts, Truth, TruthEntry};
