//! One thread's work on a big bundle: an entry's payload on the disk, and its row.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bkp_synth::{Node, Plan, Planned};

use super::BulkProgress;
use super::content::{Contents, Payload, Wanted};
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
    pub(super) contents: &'l Contents,
    pub(super) watch: &'l Watch<'l>,
    /// Whether the SHA-256 of the content is wanted.
    pub(super) hash: bool,
}

/// An entry that is done but for its row.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) planned: Planned,
    pub(super) id: String,
    pub(super) archive: Vec<u8>,
    /// Of a file with a payload, when the SHA-256 is wanted.
    pub(super) truth: Option<TruthEntry>,
}

impl Lane<'_> {
    /// Makes entry `n`: writes its payload, if it has one, and encodes its archive.
    pub(super) fn make(&self, n: usize, chunk: &mut Vec<u8>) -> io::Result<Made> {
        let planned = self.plan.entry(n);
        let name = &self.plan.domains()[planned.domain];
        let id = file_id(name, &planned.path);
        let mut archive = archive(&planned);
        let mut truth = None;
        match &planned.node {
            Node::File(source) => {
                let key = self.key(n, planned.class, &mut archive)?;
                let wanted = Wanted { key: key.as_ref(), digest: planned.digest, hash: self.hash };
                let target = self.dir.join(&id[..2]).join(&id);
                let advanced = |bytes| self.watch.wrote(bytes);
                let payload = self.contents.write(source, &wanted, &target, chunk, &advanced)?;
                archive.digest =
                    payload.digest.map(|digest| (digest.to_vec(), DigestForm::Reference));
                truth = truth_entry(name, &planned, &id, source.len(), &payload);
            }
            Node::Missing(digest) => {
                self.key(n, planned.class, &mut archive)?;
                archive.digest = planned.digest.then(|| (digest.to_vec(), DigestForm::Reference));
            }
            Node::Directory | Node::Link(_) => {}
        }
        self.watch.finished()?;
        Ok(Made { id, archive: archive.encode(), truth, planned })
    }

    /// Makes a file's key, in an encrypted bundle, and puts it into the archive.
    fn key(&self, n: usize, class: u8, archive: &mut MbFile) -> io::Result<Option<[u8; 32]>> {
        let Some(class_keys) = self.class_keys else { return Ok(None) };
        let class = u32::from(class);
        let class_key = class_keys.get(&class).ok_or(io::ErrorKind::InvalidInput)?;
        let key: [u8; 32] = self.plan.seed().bytes(format!("bulk file key {n}"));
        let wrapped = [&class.to_le_bytes()[..], &wrap_key(class_key, &key)].concat();
        archive.encryption_key = Some(wrapped);
        Ok(Some(key))
    }
}

fn truth_entry(
    domain: &str,
    planned: &Planned,
    id: &str,
    len: u64,
    payload: &Payload,
) -> Option<TruthEntry> {
    Some(TruthEntry {
        file_id: id.as_bytes().to_vec(),
        domain: domain.as_bytes().to_vec(),
        path: planned.path.clone().into_bytes(),
        kind: 1,
        len,
        sha256: payload.sha256?,
        stored: true,
        intact: true,
        target: None,
    })
}

/// Returns the flags column.
pub(super) fn kind(node: &Node) -> u8 {
    match node {
        Node::File(_) | Node::Missing(_) => 1,
        Node::Directory => 2,
        Node::Link(_) => 4,
    }
}

/// Returns an archive without key and digest.
pub(super) fn archive(planned: &Planned) -> MbFile {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    MbFile {
        path: planned.path.clone(),
        mode: planned.mode.into(),
        inode: signed(planned.inode),
        uid: planned.uid.into(),
        gid: planned.gid.into(),
        modified: planned.modified,
        changed: planned.changed,
        born: planned.born,
        size: signed(planned.size),
        class: planned.class.into(),
        flags: 0,
        target: match &planned.node {
            Node::Link(target) => Some(target.clone()),
            _ => None,
        },
        digest: None,
        encryption_key: None,
        xattrs: (!planned.xattrs.is_empty()).then(|| xattrs(&planned.xattrs)),
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
