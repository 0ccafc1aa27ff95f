//! A backup bundle in one file: a zip that every program opens, or the same zip sealed.
//!
//! ```text
//! plain   Info.plist │ Manifest.plist │ ... │ 3d/3d0d7e5f… │ ... │ bkp-run.json │ directory
//! sealed  header │ AES-256-GCM segments of the same zip        (docs/sealed-archive.md)
//!
//! ArchiveFile ─▶ OpenedArchive::Plain ───────────────▶ Archive ─▶ storage()  read in place
//!                OpenedArchive::Sealed ─ password ─┘           ─▶ unpack()
//! Storage ─▶ PackPlan ─▶ pack() ─▶ anything that is Write
//! ```
//!
//! Members are stored and not compressed, so any part of any member is where arithmetic says it
//! is: payloads are read in place, in parallel, and of a sealed archive only the segments that
//! hold them are opened. Zips of other programs are read as well, compressed or not, with the
//! bundle at their top or in a folder.
//!
//! A zip's directory is an attacker's to write. [`Archive`] reads it with a reader of its own,
//! which refuses what ordinary programs resolve in silence: members that overlap, names twice,
//! names that lead out of a folder, links, sizes that cannot be true. The same holds on the way
//! out: [`unpack`] writes names of a bundle and no others.
//!
//! Short reads of a file go through a read-only memory map, of which nothing but copies is handed
//! out; long ones, and files that cannot be mapped, are read by position. `map.rs` says what a map
//! costs when a disk fails.

#![deny(unsafe_code)]

mod archive;
mod backend;
mod error;
mod file;
mod map;
mod name;
mod pack;
mod threads;
mod unpack;
mod zip;

#[cfg(test)]
mod tests;

pub use archive::{Archive, MemberCheck, OpenedArchive, SealedArchive};
pub use error::{ArchiveError, Refusal};
pub use file::ArchiveFile;
pub use name::{Catalog, MemberName, Plist};
pub use pack::{MakeRecord, OnLost, Pack, PackOptions, PackPlan, PackedMember, Replacement, pack};
pub use threads::on_threads;
pub use unpack::{Unpacked, unpack};
pub use zip::{ArchiveLimits, Member};
