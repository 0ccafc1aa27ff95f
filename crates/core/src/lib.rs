//! The vocabulary shared by every `bkp` crate, and the one pipeline they all run on.
//!
//! A backup is a catalog of [`Entry`] values plus one payload for each regular file. Every
//! command of `bkp` moves entries from a [`Source`] to a [`Sink`]:
//!
//! ```text
//! Source ──▶ Select ──▶ Transform ──▶ Sink
//! bundle     policy      identity      directory tree
//! archive    everything  rewrite       bundle (plain or re-encrypted)
//!                                      sealed archive
//!                                      verifier
//! ```
//!
//! A sink says of every entry whether it wants the plaintext or the stored bytes
//! ([`Access`]), so that what needs no key is never decrypted. Keys live at the two ends: a
//! source decrypts, a sink encrypts, and nothing in between sees either.

#![forbid(unsafe_code)]

mod domain;
mod entry;
mod fault;
mod file_id;
mod hex;
mod monitor;
mod name;
mod path;
mod pipeline;
mod select;
mod sink;
mod source;
mod transform;

pub use domain::{Domain, DomainKind};
pub use entry::{Entry, EntryKind, Metadata, ProtectionClass};
pub use fault::{Fault, Place, Severity};
pub use file_id::{FileId, ParseFileIdError};
pub use hex::Hex;
pub use monitor::{Monitor, NullMonitor, Problem, Stage};
pub use name::{NameError, NameFault, limits};
pub use path::RelPath;
pub use pipeline::{Longest, Report, RunError, RunOptions, RunResult, run, run_longest_first};
pub use select::{Everything, Select, Verdict};
pub use sink::{Access, Job, Jobs, Sink, Stager};
pub use source::{Payload, Payloads, Source, StoredFile};
pub use transform::{Identity, Transform};
