//! `Manifest.mbdb`, written as a device leaves it.

use std::borrow::Cow;

use bkp_core::{Entry, EntryKind};
use bkp_crypto::WrappedFileKey;

use super::{MAGIC, MbdbRecord, NULL, VERSION, parse_record};
use crate::catalog_writer::CatalogWriteError;
use crate::mbfile;
use crate::row_patch::RowPatch;
use crate::scratch::{KEEP, Scratch, ScratchPlace};

/// A catalog while it grows.
#[derive(Debug)]
pub(crate) struct MbdbWriter {
    written: Scratch,
    /// The record that is being made, behind the header if it is the first.
    bytes: Vec<u8>,
}

/// A row of another format, or of none.
pub(crate) struct NewRecord<'r> {
    pub(crate) entry: &'r Entry,
    pub(crate) key: Option<&'r WrappedFileKey>,
    pub(crate) digest: Option<&'r [u8; 20]>,
    pub(crate) xattrs: &'r [(Cow<'r, [u8]>, &'r [u8])],
}

/// The fields of a record.
struct Fields<'r> {
    domain: &'r [u8],
    path: Option<&'r [u8]>,
    target: Option<&'r [u8]>,
    digest: Option<&'r [u8]>,
    key: Option<&'r [u8]>,
    mode: u16,
    inode: u64,
    uid: i32,
    gid: i32,
    times: [u32; 3],
    size: u64,
    class: u8,
}

impl MbdbWriter {
    pub(crate) fn new(place: ScratchPlace) -> Self {
        let bytes = [MAGIC.as_slice(), &VERSION].concat();
        Self { written: Scratch::new(place, KEEP), bytes }
    }

    /// Passes on the record that is made.
    fn commit(&mut self) -> Result<(), CatalogWriteError> {
        self.written.append(&self.bytes).map_err(CatalogWriteError::Scratch)?;
        self.bytes.clear();
        Ok(())
    }

    /// Ends the catalog.
    pub(crate) fn finish(mut self) -> Result<Scratch, CatalogWriteError> {
        self.commit()?;
        Ok(self.written)
    }

    /// Adds a record as it is, but for what is to change.
    pub(crate) fn push_raw(
        &mut self,
        raw: &[u8],
        patch: &RowPatch,
    ) -> Result<(), CatalogWriteError> {
        let record = parse_record(raw).map_err(CatalogWriteError::Record)?;
        if patch.is_noop() {
            self.bytes.extend_from_slice(raw);
            return self.commit();
        }
        let RowPatch { key, digest, size, inode, protection } = patch;
        let key = key.as_ref().map(WrappedFileKey::to_bytes);
        let MbdbRecord { domain, path, target, mode, uid, gid, .. } = record;
        let fields = Fields {
            domain,
            path,
            target,
            digest: digest.as_ref().map(<[u8; 20]>::as_slice).over(record.digest),
            key: key.as_ref().map(<[u8; 44]>::as_slice).over(record.encryption_key),
            mode,
            inode: inode.unwrap_or(record.inode),
            uid,
            gid,
            times: [record.modified, record.changed, record.born],
            size: size.unwrap_or(record.size),
            class: match protection {
                Some(class) => narrow_class(class.0)?,
                None => record.protection_class,
            },
        };
        let begun = self.bytes.len();
        let pushed = fields.write(&mut self.bytes);
        if pushed.is_err() {
            self.bytes.truncate(begun);
            return pushed;
        }
        self.bytes.push(record.xattrs.left);
        self.bytes.extend_from_slice(record.xattrs.bytes);
        self.commit()
    }

    /// Adds a record made of fields.
    pub(crate) fn push(&mut self, record: &NewRecord<'_>) -> Result<(), CatalogWriteError> {
        let NewRecord { entry, key, digest, xattrs } = record;
        let metadata = &entry.metadata;
        let wrapped = key.map(WrappedFileKey::to_bytes);
        let class = entry.protection.or(key.map(|key| key.class)).map_or(0, |class| class.0);
        let count = u8::try_from(xattrs.len()).map_err(|_| CatalogWriteError::TooLong {
            what: "extended attributes",
            len: xattrs.len(),
            limit: u8::MAX.into(),
        })?;
        let fields = Fields {
            domain: entry.domain.as_bytes(),
            path: Some(entry.path.as_bytes()),
            target: match &entry.kind {
                EntryKind::Symlink(target) => Some(target),
                _ => None,
            },
            digest: digest.map(<[u8; 20]>::as_slice),
            key: wrapped.as_ref().map(<[u8; 44]>::as_slice),
            // The bits above are of no mode.
            mode: u16::try_from(mbfile::mode(entry) & 0xffff).unwrap_or_default(),
            inode: metadata.inode,
            uid: metadata.uid,
            gid: metadata.gid,
            times: [metadata.modified, metadata.changed, metadata.born].map(seconds),
            size: if entry.kind == EntryKind::File { metadata.size_hint } else { 0 },
            class: narrow_class(class)?,
        };
        let begun = self.bytes.len();
        let bytes = &mut self.bytes;
        let pushed = fields.write(bytes).and_then(|()| {
            bytes.push(count);
            xattrs.iter().try_for_each(|(name, value)| {
                string(bytes, Some(name), "the name of an extended attribute")?;
                string(bytes, Some(value), "an extended attribute")
            })
        });
        match pushed {
            Ok(()) => self.commit(),
            Err(error) => {
                self.bytes.truncate(begun);
                Err(error)
            }
        }
    }
}

impl Fields<'_> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), CatalogWriteError> {
        string(out, Some(self.domain), "the domain")?;
        string(out, self.path, "the path")?;
        string(out, self.target, "the target of a link")?;
        string(out, self.digest, "the digest")?;
        string(out, self.key, "the key")?;
        out.extend_from_slice(&self.mode.to_be_bytes());
        out.extend_from_slice(&self.inode.to_be_bytes());
        out.extend_from_slice(&self.uid.to_be_bytes());
        out.extend_from_slice(&self.gid.to_be_bytes());
        for time in self.times {
            out.extend_from_slice(&time.to_be_bytes());
        }
        out.extend_from_slice(&self.size.to_be_bytes());
        out.push(self.class);
        Ok(())
    }
}

fn string(
    out: &mut Vec<u8>,
    string: Option<&[u8]>,
    what: &'static str,
) -> Result<(), CatalogWriteError> {
    let Some(string) = string else {
        out.extend_from_slice(&NULL.to_be_bytes());
        return Ok(());
    };
    match u16::try_from(string.len()) {
        Ok(len) if len < NULL => {
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(string);
            Ok(())
        }
        _ => {
            let limit = usize::from(NULL.saturating_sub(1));
            Err(CatalogWriteError::TooLong { what, len: string.len(), limit })
        }
    }
}

/// Takes the nearest time that 32 bits hold: the format has no others.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.clamp(0, u32::MAX.into())).unwrap_or_default()
}

fn narrow_class(class: u32) -> Result<u8, CatalogWriteError> {
    u8::try_from(class).map_err(|_| CatalogWriteError::Class { class })
}
