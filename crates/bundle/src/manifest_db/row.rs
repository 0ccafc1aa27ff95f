//! From the five columns of a row to a record.

use std::collections::HashMap;
use std::sync::Arc;

use bkp_core::{Domain, Entry, EntryKind, FileId, Metadata, ProtectionClass, RelPath};
use bkp_crypto::{LegacyCells, WrappedFileKey};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::mbfile::{Field, MbFile};
use crate::record::{RowError, RowFault};
use crate::{BundleError, BundleRecord};

/// Domains seen, so that a million rows share some hundred names. Bounded, since the names come
/// from the file.
const DOMAINS: usize = 65_536;

#[derive(Debug)]
pub(super) struct RowReader<'db> {
    cells: Option<&'db LegacyCells>,
    domains: HashMap<Box<[u8]>, Domain>,
}

/// The columns as they are.
struct Columns<'row> {
    row: i64,
    id: ValueRef<'row>,
    domain: ValueRef<'row>,
    path: ValueRef<'row>,
    flags: ValueRef<'row>,
    file: ValueRef<'row>,
}

impl Columns<'_> {
    fn len(&self) -> u64 {
        let Self { row: _, id, domain, path, flags, file } = *self;
        let len = |value| u64::try_from(text(value).unwrap_or_default().len()).unwrap_or(u64::MAX);
        [id, domain, path, flags, file].into_iter().map(len).fold(0, u64::saturating_add)
    }
}

impl<'db> RowReader<'db> {
    pub(super) fn new(cells: Option<&'db LegacyCells>) -> Self {
        Self { cells, domains: HashMap::new() }
    }

    /// Reads a row. Returns how many bytes its columns have, too.
    pub(super) fn read(&mut self, row: &Row<'_>) -> (Result<BundleRecord, BundleError>, u64) {
        let column = |i| row.get_ref(i).unwrap_or(ValueRef::Null);
        let columns = Columns {
            row: row.get(0).unwrap_or_default(),
            id: column(1),
            domain: column(2),
            path: column(3),
            flags: column(4),
            file: column(5),
        };
        let record = self.record(&columns).map_err(|fault| {
            let spelled = |value| text(value).unwrap_or_default().into();
            let (domain, path) = (spelled(columns.domain), spelled(columns.path));
            RowError { row: columns.row, domain, path, fault }.into()
        });
        (record, columns.len())
    }

    fn record(&mut self, columns: &Columns<'_>) -> Result<BundleRecord, RowFault> {
        let flags = integer(columns.flags);
        // Kinds are the low three bits; 8, 16, 32, 64 and 128 are a backup in progress.
        let null = |value: ValueRef<'_>| matches!(value, ValueRef::Null);
        let unnamed = null(columns.domain) || null(columns.path);
        if let Some(flags) = flags.filter(|flags| flags & !7 != 0)
            && (unnamed || (flags & 7 == 0 && null(columns.file)))
        {
            return Err(RowFault::Unfinished { flags });
        }
        let domain = self.domain(need("domain", columns.domain)?)?;
        let path = RelPath::new(need("relativePath", columns.path)?).map_err(RowFault::Name)?;
        let id = FileId::parse(need("fileID", columns.id)?).map_err(RowFault::FileId)?;

        let decrypted;
        let blob = match (columns.file, self.cells) {
            (ValueRef::Blob(cell), Some(cells)) => {
                decrypted = cells.decrypt(cell);
                match &decrypted {
                    Ok(blob) => Some(blob.as_slice()),
                    Err(_) => Some(cell), // the parser says what is wrong with it
                }
            }
            (ValueRef::Blob(blob), None) => Some(blob),
            _ => None,
        };
        let parsed = match blob {
            Some(blob) => MbFile::parse(blob).map_err(|error| format!("is unusable: {error}")),
            None => Err(format!("is {}", type_name(columns.file))),
        };
        let mode = parsed.as_ref().ok().and_then(|file| file.mode).unwrap_or_default();
        let target = parsed.as_ref().ok().and_then(|file| file.target.as_deref());
        let kind = kind(flags, mode, target)?;
        let mut entry = Entry::new(id, domain, path, kind);
        match parsed {
            Ok(file) => {
                let key = file.encryption_key.map(wrapped_key).transpose()?;
                // A key that cannot be read must not pass for a file that has none.
                if key.is_none() && (file.bad.contains(Field::EncryptionKey) || file.unreadable > 0)
                {
                    return Err(RowFault::KeyUnreadable);
                }
                describe(&mut entry, &file);
                entry.raw = blob.map(Arc::from);
                Ok(BundleRecord { entry, row: columns.row, key, fault: None })
            }
            // Names and, in a bundle that is not encrypted, the payload are there all the same.
            Err(reason) if entry.kind == EntryKind::File => {
                entry.metadata.mode = 0o100_600;
                let fault = RowFault::Metadata {
                    reason: reason.into(),
                    consequence: "sizes, times and mode are unknown",
                };
                Ok(BundleRecord { entry, row: columns.row, key: None, fault: Some(fault) })
            }
            Err(reason) => Err(RowFault::Metadata {
                reason: reason.into(),
                consequence: "times and mode are unknown",
            }),
        }
    }

    fn domain(&mut self, name: &[u8]) -> Result<Domain, RowFault> {
        if let Some(domain) = self.domains.get(name) {
            return Ok(domain.clone());
        }
        let domain = Domain::new(name).map_err(RowFault::Name)?;
        if self.domains.len() < DOMAINS {
            self.domains.insert(name.into(), domain.clone());
        }
        Ok(domain)
    }
}

/// Takes the wrapped key of a payload.
pub(crate) fn wrapped_key(bytes: &[u8]) -> Result<WrappedFileKey, RowFault> {
    WrappedFileKey::parse(bytes).map_err(|_| RowFault::Key { len: bytes.len() })
}

/// Decides what a row is, by its flags or by the type bits of its mode. Where these disagree and
/// one of them says file, it is a file: its bytes are not to be lost.
pub(crate) fn kind(
    flags: Option<i64>,
    mode: u32,
    target: Option<&[u8]>,
) -> Result<EntryKind, RowFault> {
    let link = || {
        let target = target.ok_or(RowFault::LinkTarget)?;
        EntryKind::symlink(target).map_err(|_| RowFault::LinkTarget)
    };
    match (flags.map(|flags| flags & 7), mode & 0o170_000) {
        (Some(1), _) | (_, 0o100_000) => Ok(EntryKind::File),
        (Some(2), _) | (_, 0o040_000) => Ok(EntryKind::Directory),
        (Some(4), _) | (_, 0o120_000) => link(),
        _ => Err(RowFault::Kind { flags: flags.unwrap_or_default(), mode }),
    }
}

fn describe(entry: &mut Entry, file: &MbFile<'_>) {
    entry.metadata = Metadata {
        size_hint: file.size.unwrap_or_default(),
        mode: file.mode.unwrap_or_default(),
        uid: file.uid.unwrap_or_default(),
        gid: file.gid.unwrap_or_default(),
        modified: file.modified.unwrap_or_default(),
        changed: file.changed.unwrap_or_default(),
        born: file.born.unwrap_or_default(),
        inode: file.inode.unwrap_or_default(),
        flags: file.flags.unwrap_or_default(),
    };
    entry.protection = file.protection_class.map(ProtectionClass);
    entry.digest = file.digest.and_then(|digest| digest.try_into().ok());
}

/// Text, or bytes where some writer stored a blob.
fn text<'row>(value: ValueRef<'row>) -> Option<&'row [u8]> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

fn need<'row>(column: &'static str, value: ValueRef<'row>) -> Result<&'row [u8], RowFault> {
    let found = type_name(value);
    text(value).ok_or(RowFault::Column { column, found, expected: "text" })
}

/// An integer, or a text or a real that spells one.
fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(n) => Some(n),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            std::str::from_utf8(bytes).ok()?.trim().parse().ok()
        }
        ValueRef::Real(real) => format!("{real}").parse().ok(),
        ValueRef::Null => None,
    }
}

fn type_name(value: ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Null => "NULL",
        ValueRef::Integer(_) => "an integer",
        ValueRef::Real(_) => "a real",
        ValueRef::Text(_) => "text",
        ValueRef::Blob(_) => "a blob",
    }
}
