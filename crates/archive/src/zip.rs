//! The zip container: its directory as hostile bytes, its members, and writing one.
//!
//! ```text
//! local header 30 │ name │ extra │ content │ descriptor      for each member
//! central header 46 │ name │ extra │ comment                 for each member: the directory
//! zip64 end 56 │ zip64 locator 20                            when something is too large
//! end 22 │ comment
//! ```
//!
//! Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.

mod bytes;
mod directory;
mod end;
mod member;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use directory::Directory;
pub use directory::{ArchiveLimits, Member};
pub(crate) use write::{CRC_AT, ZipWriter, local_header};

/// A member that is stored as it is.
const STORED: u16 = 0;
/// A member that is compressed.
const DEFLATED: u16 = 8;
/// Flag: the checksum and sizes stand behind the content.
const DESCRIPTOR: u16 = 1 << 3;
/// Flags: encrypted, strongly encrypted, directory encrypted.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// A value that stands in the zip64 extra field instead.
const IN_ZIP64: u32 = u32::MAX;
/// The extra field that holds values which are too large.
const ZIP64: u16 = 1;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR: u32 = 0x0706_4b50;
const DATA: u32 = 0x0807_4b50;
