//! Writing a catalog of either form.

mod finished;
mod ids;
mod list;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io;

use bkp_core::{Domain, DomainKind, Entry, EntryKind, Fault, FileId};
use bkp_crypto::WrappedFileKey;

use crate::bplist::MAGIC;
use crate::manifest_db::{DbWriter, Row};
use crate::mbdb::{MbdbWriter, NewRecord, parse_record};
use crate::mbfile::{self, MbFile, MbFileError, Xattrs, parse_xattrs};
use crate::scratch::ScratchPlace;
use crate::{MbdbError, RowPatch};

use finished::Content;

pub use finished::{CatalogReader, FinishedCatalog};
pub(crate) use ids::FileIds;
pub(crate) use list::List;

/// Which form a catalog has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CatalogKind {
    /// `Manifest.db`, iOS 10 and later.
    Db,
    /// `Manifest.mbdb`, iOS 5 to 9.
    Mbdb,
}

impl CatalogKind {
    /// Returns the name of the catalog's file.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Db => "Manifest.db",
            Self::Mbdb => "Manifest.mbdb",
        }
    }
}

/// Why a row, or a whole catalog, cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogWriteError {
    /// There is a row of this id already. The first one stays.
    #[error("there is a row of file id {id} already")]
    DuplicateId {
        /// The id.
        id: FileId,
    },
    /// The row's own MBFile archive cannot be carried over.
    #[error("the row's MBFile archive cannot be rewritten")]
    Archive(#[source] MbFileError),
    /// The row's own record of `Manifest.mbdb` cannot be carried over.
    #[error("the row's record cannot be rewritten")]
    Record(#[source] MbdbError),
    /// `EncryptionKey` in the row's own archive or record is not 44 bytes.
    #[error("EncryptionKey has {len} bytes, expected 44")]
    Key {
        /// Its length.
        len: usize,
    },
    /// Something is longer than `Manifest.mbdb` can say.
    #[error("{what}: {len}, and at most {limit} can be written in Manifest.mbdb")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        len: usize,
        /// The longest that can be written.
        limit: usize,
    },
    /// `Manifest.mbdb` has one byte for a protection class.
    #[error("protection class {class} cannot be written in Manifest.mbdb")]
    Class {
        /// The class.
        class: u32,
    },
    /// SQLite could not make an empty catalog: memory, as a rule.
    #[error("cannot write Manifest.db")]
    Database(#[source] rusqlite::Error),
    /// System: what does not stay in memory of the catalog could not be put on the disk, or not be
    /// read from there again.
    #[error("cannot use the scratch file of the catalog")]
    Scratch(#[source] io::Error),
}

impl CatalogWriteError {
    /// Returns true if this is about one row, so that the catalog is as it was before and can
    /// take others.
    #[must_use]
    pub fn is_row(&self) -> bool {
        !matches!(self, Self::Database(_) | Self::Scratch(_))
    }
}

impl Fault for CatalogWriteError {
    fn code(&self) -> &'static str {
        match self {
            Self::DuplicateId { .. } => "duplicate-id",
            Self::Archive(MbFileError::LimitExceeded { .. } | MbFileError::TooMuch { .. }) => {
                "limit-exceeded"
            }
            Self::Archive(_) => "bad-metadata",
            Self::Record(_) | Self::Class { .. } => "bad-row",
            Self::Key { .. } => "key-unwrap-failed",
            Self::TooLong { .. } => "limit-exceeded",
            Self::Database(_) | Self::Scratch(_) => "cannot-write",
        }
    }
}

/// A catalog that is being written.
///
/// Whatever its size, it takes a few MiB of memory and some forty bytes a row. What it does not
/// keep goes to a scratch file, which is encrypted and has no name.
#[derive(Debug)]
pub struct CatalogWriter {
    place: ScratchPlace,
    ids: FileIds,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// From the first row on.
    Db(Option<Box<DbWriter>>),
    Mbdb(MbdbWriter),
}

impl CatalogWriter {
    /// Begins an empty catalog, which uses `place` if it grows large.
    #[must_use]
    pub fn new(kind: CatalogKind, place: ScratchPlace) -> Self {
        let form = match kind {
            CatalogKind::Db => Form::Db(None),
            CatalogKind::Mbdb => Form::Mbdb(MbdbWriter::new(place.clone())),
        };
        Self { place, ids: FileIds::default(), form }
    }

    /// Adds an entry after all others.
    ///
    /// An entry's own row ([`Entry::raw`]) of the same format is carried over with all it holds,
    /// and `patch` is what changes in it: what the entry's other fields say is not compared. The
    /// row of another format, or none, is written from the entry's fields; extended attributes
    /// and a wrapped key are still taken from such a row. Times that `Manifest.mbdb` has no room
    /// for become the nearest that it has.
    ///
    /// The names and the id in the catalog are the entry's. Whoever changes those, or the
    /// metadata, takes [`Entry::raw`] away.
    ///
    /// # Errors
    ///
    /// Fails when the row cannot be written without loss, or its id is taken. Unless the error
    /// [is not about the row](CatalogWriteError::is_row), nothing was added and the catalog goes
    /// on.
    pub fn push(&mut self, entry: &Entry, patch: &RowPatch) -> Result<(), CatalogWriteError> {
        let raw = entry.raw.as_deref();
        let archive = raw.filter(|raw| raw.starts_with(MAGIC));
        let Self { place, ids, form } = self;
        match form {
            Form::Db(db) => {
                let blob = match archive {
                    Some(raw) => mbfile::patched(raw, patch).map_err(CatalogWriteError::Archive)?,
                    None => Cow::Owned(archive_of(entry, patch)?),
                };
                if ids.contains(&entry.id) {
                    return Err(CatalogWriteError::DuplicateId { id: entry.id });
                }
                let db = match db {
                    Some(db) => db,
                    None => db.insert(database(place)?),
                };
                let row = Row {
                    id: &entry.id.to_hex(),
                    domain: entry.domain.as_bytes(),
                    path: entry.path.as_bytes(),
                    flags: match entry.kind {
                        EntryKind::Directory => 2,
                        EntryKind::Symlink(_) => 4,
                        _ => 1,
                    },
                    blob: &blob,
                };
                let number = ids.next_row().map_err(CatalogWriteError::Scratch)?;
                db.push(&row, number).map_err(CatalogWriteError::Scratch)?;
            }
            Form::Mbdb(writer) => {
                if ids.contains(&entry.id) {
                    return Err(CatalogWriteError::DuplicateId { id: entry.id });
                }
                match (raw, archive) {
                    (Some(raw), None) => writer.push_raw(raw, patch)?,
                    _ => push_record(writer, entry, archive, patch)?,
                }
            }
        }
        ids.insert(entry.id).map_err(CatalogWriteError::Scratch)
    }

    /// Ends the catalog.
    ///
    /// # Errors
    ///
    /// Fails when the scratch file cannot be written or read.
    pub fn finish(self) -> Result<FinishedCatalog, CatalogWriteError> {
        let Self { place, ids, form } = self;
        let content = match form {
            Form::Db(db) => {
                let db = match db {
                    Some(db) => db,
                    None => database(&place)?,
                };
                Content::Db(db.finish(ids).map_err(CatalogWriteError::Scratch)?)
            }
            Form::Mbdb(writer) => Content::Mbdb(writer.finish()?),
        };
        Ok(FinishedCatalog::new(content))
    }
}

fn database(place: &ScratchPlace) -> Result<Box<DbWriter>, CatalogWriteError> {
    DbWriter::new(place).map(Box::new).map_err(CatalogWriteError::Database)
}

/// Writes the archive of an entry that has none.
fn archive_of(entry: &Entry, patch: &RowPatch) -> Result<Vec<u8>, CatalogWriteError> {
    let record = match entry.raw.as_deref() {
        Some(raw) => Some(parse_record(raw).map_err(CatalogWriteError::Record)?),
        None => None,
    };
    let xattrs = record.and_then(|record| mbfile::write_xattrs(record.xattrs));
    let key = wrapped(patch, record.and_then(|record| record.encryption_key))?;
    let digest = patch.digest.over(entry.digest);
    let entry = patched(entry, patch);
    Ok(mbfile::encode(&entry, key.as_ref(), digest.as_ref(), xattrs.as_deref()))
}

/// Writes the record of an entry that has none.
fn push_record(
    writer: &mut MbdbWriter,
    entry: &Entry,
    archive: Option<&[u8]>,
    patch: &RowPatch,
) -> Result<(), CatalogWriteError> {
    let file = match archive {
        Some(archive) => MbFile::parse(archive).map_err(CatalogWriteError::Archive)?,
        None => MbFile::default(),
    };
    let xattrs = match file.extended_attributes {
        Some(xattrs) => parse_xattrs(xattrs).map_err(CatalogWriteError::Archive)?,
        None => Xattrs::default(),
    };
    let key = wrapped(patch, file.encryption_key)?;
    let digest = patch.digest.over(entry.digest);
    writer.push(&NewRecord {
        entry: &patched(entry, patch),
        key: key.as_ref(),
        digest: digest.as_ref(),
        xattrs: &xattrs.items,
    })
}

/// Returns the key that a row is to have, which may be in the row it is made from.
fn wrapped(
    patch: &RowPatch,
    there: Option<&[u8]>,
) -> Result<Option<WrappedFileKey>, CatalogWriteError> {
    let parse = |bytes: &[u8]| {
        WrappedFileKey::parse(bytes).map_err(|_| CatalogWriteError::Key { len: bytes.len() })
    };
    let there = if patch.key.is_keep() { there.map(parse).transpose()? } else { None };
    Ok(patch.key.clone().over(there))
}

/// Changes the fields of an entry that is to be written from them.
fn patched(entry: &Entry, patch: &RowPatch) -> Entry {
    let RowPatch { key: _, digest: _, size, inode, protection } = patch;
    let mut entry = entry.clone();
    entry.metadata.size_hint = size.unwrap_or(entry.metadata.size_hint);
    entry.metadata.inode = inode.unwrap_or(entry.metadata.inode);
    entry.protection = protection.or(entry.protection);
    entry
}

/// Returns true if the files of a domain carry a digest, without which a device does not restore
/// them. Folders and links never do.
///
/// Measured of eleven system domains and reported of three more; the containers of apps and of
/// the system, the camera roll and media carry none. A domain that nobody has described goes with
/// the containers if its name has their form, and else with the system domains: a digest that no
/// device asks for does no harm, and one that is missing does. Source: FORMAT.md 2.6.
#[must_use]
pub fn carries_digest(domain: &Domain) -> bool {
    match domain.kind() {
        DomainKind::App
        | DomainKind::AppGroup
        | DomainKind::AppPlugin
        | DomainKind::AppPlaceholder
        | DomainKind::SystemContainer
        | DomainKind::SystemGroup => false,
        _ => {
            let name = domain.as_bytes();
            let contained = [&b"AppDomain"[..], b"SysContainerDomain", b"SysSharedContainerDomain"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            !contained && !matches!(name, b"CameraRollDomain" | b"MediaDomain")
        }
    }
}
