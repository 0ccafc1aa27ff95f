//! One thread's work on a big bundle: an entry's payload on the disk, and its row.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::BulkProgress;
use super::content::{Payload, Pools, Wanted};
use super::plan::{Item, Node, Plan};
use crate::bundle::domain::{self, Defaults};
use crate::bundle::xattrs;
use crate::cipher::wrap_key;
use crate::file_id;
use crate::mbfile::{DigestForm, MbFile};
use crate::truth::TruthEntry;

/// What all lanes share.
#[derive(Clone, Copy)]
pub(super) struct Lane<'l> {
    pub(super) plan: &'l Plan,
    pub(super) dir: &'l Path,
    /// The keys of an encrypted bundle.
    pub(super) class_keys: Option<&'l BTreeMap<u32, [u8; 32]>>,
    pub(super) pools: &'l Pools,
    pub(super) watch: &'l Watch<'l>,
    /// Whether the SHA-256 of the content is wanted.
    pub(super) hash: bool,
}

/// An entry that is done but for its row.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) item: Item,
    pub(super) id: String,
    pub(super) archive: Vec<u8>,
    /// Of a file with a payload, when the SHA-256 is wanted.
    pub(super) truth: Option<TruthEntry>,
}

impl AsRef<Item> for Made {
    fn as_ref(&self) -> &Item {
        &self.item
    }
}

impl Lane<'_> {
    /// Makes entry `n`: writes its payload, if it has one, and encodes its archive.
    pub(super) fn make(&self, n: usize, chunk: &mut Vec<u8>) -> io::Result<Made> {
        let item = self.plan.item(n);
        let name = &self.plan.places.domains[item.domain];
        let defaults = domain::defaults(name.as_bytes(), false);
        let id = file_id(name, &item.path);
        let mode = match (&item.node, item.mode) {
            (_, Some(mode)) => mode,
            (Node::Directory, None) => 0o040_000 | defaults.directory_mode,
            (Node::Link(_), None) => 0o120_755,
            (_, None) => 0o100_000 | defaults.file_mode,
        };
        let mut archive = archive(&item.path, mode.into(), item.inode(), &defaults);
        let mut truth = None;
        if item.kind() == 1 {
            let class = item.class.unwrap_or(defaults.class);
            archive.class = class.into();
            let key = self.key(n, class, &mut archive)?;
            let mut size = match item.node {
                Node::Missing(size) => size,
                _ => 0,
            };
            if let Some(source) = self.plan.source(&item) {
                let wanted = Wanted { key: key.as_ref(), digest: defaults.digest, hash: self.hash };
                let target = self.dir.join(&id[..2]).join(&id);
                let advanced = |bytes| self.watch.wrote(bytes);
                size = source.size();
                let payload = self.pools.write(source, &wanted, &target, chunk, &advanced)?;
                archive.digest =
                    payload.digest.map(|digest| (digest.to_vec(), DigestForm::Reference));
                truth = truth_entry(name, &item, &id, size, &payload);
            } else if defaults.digest {
                // Of a payload that nobody has.
                let digest: [u8; 20] = self.plan.seed.bytes(format!("bulk digest {n}"));
                archive.digest = Some((digest.to_vec(), DigestForm::Reference));
            }
            let recorded = match item.node {
                Node::Fixed(fixed) => self.plan.fixed[fixed].recorded,
                _ => None,
            };
            archive.size = i64::try_from(recorded.unwrap_or(size)).unwrap_or(i64::MAX);
        }
        if let Node::Link(target) = &item.node {
            archive.target = Some(target.clone());
        }
        archive.xattrs = (!item.xattrs.is_empty()).then(|| xattrs(&item.xattrs));
        self.watch.finished()?;
        Ok(Made { id, archive: archive.encode(), truth, item })
    }

    /// Makes a file's key, in an encrypted bundle, and puts it into the archive.
    fn key(&self, n: usize, class: u8, archive: &mut MbFile) -> io::Result<Option<[u8; 32]>> {
        let Some(class_keys) = self.class_keys else { return Ok(None) };
        let class = u32::from(class);
        let class_key = class_keys.get(&class).ok_or(io::ErrorKind::InvalidInput)?;
        let key: [u8; 32] = self.plan.seed.bytes(format!("bulk file key {n}"));
        let wrapped = [&class.to_le_bytes()[..], &wrap_key(class_key, &key)].concat();
        archive.encryption_key = Some(wrapped);
        Ok(Some(key))
    }
}

fn truth_entry(
    domain: &str,
    item: &Item,
    id: &str,
    len: u64,
    payload: &Payload,
) -> Option<TruthEntry> {
    Some(TruthEntry {
        file_id: id.as_bytes().to_vec(),
        domain: domain.as_bytes().to_vec(),
        path: item.path.clone().into_bytes(),
        kind: 1,
        len,
        sha256: payload.sha256?,
        stored: true,
        intact: true,
        target: None,
    })
}

/// Returns an archive with nothing special about it.
pub(super) fn archive(path: &str, mode: i64, inode: i64, defaults: &Defaults) -> MbFile {
    const TIME: i64 = 1_716_024_600;
    MbFile {
        path: path.to_owned(),
        mode,
        inode,
        uid: defaults.uid.into(),
        gid: defaults.gid.into(),
        modified: TIME - inode % 100_000,
        changed: TIME,
        born: TIME - 200_000,
        size: 0,
        class: 0,
        flags: 0,
        target: None,
        digest: None,
        encryption_key: None,
        xattrs: None,
        omit: Vec::new(),
        extra: Vec::new(),
    }
}

/// Counts what is done and asks whether to go on.
pub(super) struct Watch<'w> {
    watch: &'w (dyn Fn(BulkProgress) -> ControlFlow<()> + Sync),
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl<'w> Watch<'w> {
    pub(super) fn new(watch: &'w (dyn Fn(BulkProgress) -> ControlFlow<()> + Sync)) -> Self {
        Self { watch, entries: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    fn wrote(&self, bytes: u64) -> io::Result<()> {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let entries = self.entries.load(Ordering::Relaxed);
        self.tell(BulkProgress::Payloads { entries, bytes })
    }

    fn finished(&self) -> io::Result<()> {
        let entries = self.entries.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.tell(BulkProgress::Payloads { entries, bytes })
    }

    pub(super) fn tell(&self, progress: BulkProgress) -> io::Result<()> {
        match (self.watch)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(io::Error::new(io::ErrorKind::Interrupted, "writing was broken off"))
            }
        }
    }
}
