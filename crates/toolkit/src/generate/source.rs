//! A plan as a source of the pipeline.

use std::io::{self, Read};

use bkp_bundle::mbfile;
use bkp_core::{
    Domain, Entry, EntryKind, Fault, Metadata, NameError, Payload, Payloads, ProtectionClass,
    RelPath, Severity, Source,
};
use bkp_synth::{Content, Node, Plan, Planned, Pools};

/// Why an entry of a plan has no row or no content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanFault {
    /// The plan says that it is missing.
    #[error("the content is missing on purpose")]
    Missing,
    /// Its name cannot be that of an entry.
    #[error("a planned name cannot be used")]
    Name(#[from] NameError),
}

impl Fault for PlanFault {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing-blob",
            Self::Name(_) => "bad-name",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Missing => Severity::Damage,
            Self::Name(_) => Severity::Failure,
        }
    }
}

/// A plan, and what its content is cut from.
#[derive(Debug)]
pub(super) struct PlanSource<'p> {
    plan: &'p Plan,
    pools: PlanPayloads,
}

#[derive(Debug)]
pub(super) struct PlanPayloads(Pools);

/// A row, and what its file is made of.
#[derive(Debug)]
pub(super) struct PlanRecord {
    entry: Entry,
    content: Option<bkp_synth::Source>,
}

impl AsRef<Entry> for PlanRecord {
    fn as_ref(&self) -> &Entry {
        &self.entry
    }
}

impl From<PlanRecord> for Entry {
    fn from(record: PlanRecord) -> Self {
        record.entry
    }
}

impl<'p> PlanSource<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self { plan, pools: PlanPayloads(Pools::new(plan.seed())) }
    }
}

impl Source for PlanSource<'_> {
    type Record = PlanRecord;
    type Error = PlanFault;
    type Payloads = PlanPayloads;

    fn records(&self) -> Result<impl Iterator<Item = Result<PlanRecord, PlanFault>>, PlanFault> {
        let domains: Vec<Domain> =
            self.plan.domains().iter().map(Domain::new).collect::<Result<_, _>>()?;
        Ok(self.plan.rows().filter_map(move |planned| {
            let domain = domains.get(planned.domain)?.clone();
            Some(record(domain, planned).map_err(PlanFault::Name))
        }))
    }

    fn payloads(&self) -> &PlanPayloads {
        &self.pools
    }
}

fn record(domain: Domain, planned: Planned) -> Result<PlanRecord, NameError> {
    let Planned { number: _, domain: _, path, node, size, class, mode, .. } = planned;
    let Planned { uid, gid, inode, modified, changed, born, digest, xattrs, .. } = planned;
    let (kind, content, missing) = match node {
        Node::File(source) => (EntryKind::File, Some(source), None),
        Node::Missing(digest) => (EntryKind::File, None, Some(digest)),
        Node::Directory => (EntryKind::Directory, None, None),
        Node::Link(target) => (EntryKind::symlink(target.as_bytes())?, None, None),
    };
    let mut entry = Entry::derive(domain, RelPath::new(path)?, kind);
    entry.metadata =
        Metadata { size_hint: size, mode, uid, gid, modified, changed, born, inode, flags: 0 };
    entry.protection = (class > 0).then_some(ProtectionClass(class.into()));
    // Of content that is there, the writer knows the digest, and puts it in the place of this one.
    entry.digest = digest.then(|| missing.unwrap_or_default());
    // An entry has no field for them; its row has.
    let pairs = xattrs.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
    entry.raw = mbfile::write_xattrs(pairs)
        .map(|xattrs| mbfile::encode(&entry, None, entry.digest.as_ref(), Some(&xattrs)).into());
    Ok(PlanRecord { entry, content })
}

impl Payloads<PlanRecord> for PlanPayloads {
    type Error = PlanFault;

    fn open(&self, record: &PlanRecord) -> Result<Box<dyn Payload>, PlanFault> {
        let source = record.content.clone().ok_or(PlanFault::Missing)?;
        Ok(Box::new(PlanPayload(self.0.open(source))))
    }

    fn open_stored(&self, record: &PlanRecord) -> Result<Box<dyn Payload>, PlanFault> {
        self.open(record)
    }
}

#[derive(Debug)]
struct PlanPayload(Content);

impl Read for PlanPayload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Payload for PlanPayload {}
