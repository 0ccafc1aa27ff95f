//! One entry that differs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bkp_core::{Domain, Entry, EntryKind, Hex, Metadata, ProtectionClass, RelPath};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::{ContentHash, rfc3339};

/// An entry that is in one of two backups alone, or differs between them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The domain.
    pub domain: Domain,
    /// The path.
    pub path: RelPath,
    /// Whether it was added, removed or changed.
    pub change: Change,
    /// What of it changed; nothing where it was added or removed.
    pub what: Vec<Aspect>,
    /// By what its content was compared; nothing where it is no file in both.
    pub evidence: Option<Evidence>,
    /// As it is in A.
    pub a: Option<DiffSide>,
    /// As it is in B.
    pub b: Option<DiffSide>,
}

/// How an entry differs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Change {
    /// It is in B alone.
    Added,
    /// It is in A alone.
    Removed,
    /// It is in both.
    Changed,
}

impl Change {
    /// Returns the word of machine output: `added`, `removed` or `changed`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// What of an entry changed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Aspect {
    /// File, directory or link.
    Kind,
    /// What a file holds.
    Content,
    /// The size that the catalog says.
    Size,
    /// Where a link points.
    Target,
    /// The mode.
    Mode,
    /// User or group.
    Owner,
    /// The time of modification, of change or of creation.
    Times,
    /// The protection class.
    Class,
    /// The digest: it is there in one alone, or of the same sort in both and another one.
    Digest,
    /// The extended attributes.
    Xattrs,
    /// The flags of the file system.
    Flags,
}

impl Aspect {
    /// Returns the word of machine output, such as `content`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Content => "content",
            Self::Size => "size",
            Self::Target => "target",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Times => "times",
            Self::Class => "class",
            Self::Digest => "digest",
            Self::Xattrs => "xattrs",
            Self::Flags => "flags",
        }
    }
}

/// By what the content of a file was compared.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Evidence {
    /// Two digests of the same sort.
    Digest,
    /// The SHA-256 of what both hold.
    Content,
    /// Size and time of modification are the same, and nothing was read.
    Metadata,
    /// By nothing: a payload is missing or cannot be read.
    Unknown,
}

impl Evidence {
    /// Returns the word of machine output: `digest`, `content`, `metadata` or `unknown`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Content => "content",
            Self::Metadata => "metadata",
            Self::Unknown => "unknown",
        }
    }
}

/// An entry as it is in one of the backups.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DiffSide {
    /// What it is.
    pub kind: EntryKind,
    /// Sizes, times and owner.
    pub metadata: Metadata,
    /// The protection class.
    pub protection: Option<ProtectionClass>,
    /// SHA-1 of the stored payload.
    pub digest: Option<[u8; 20]>,
    /// SHA-256 of what the file holds, where it was read.
    pub sha256: Option<ContentHash>,
}

impl DiffSide {
    pub(super) fn new(entry: &Entry) -> Self {
        let Entry { kind, metadata, protection, digest, .. } = entry;
        Self {
            kind: kind.clone(),
            metadata: metadata.clone(),
            protection: *protection,
            digest: *digest,
            sha256: None,
        }
    }

    /// Compares what rows say, but for content, digests and attributes.
    pub(super) fn aspects(&self, other: &Self) -> Vec<Aspect> {
        let (a, b) = (&self.metadata, &other.metadata);
        let kind = self.kind.name() != other.kind.name();
        let times = |m: &Metadata| (m.modified, m.changed, m.born);
        let differ = [
            (Aspect::Kind, kind),
            (Aspect::Size, a.size_hint != b.size_hint),
            (Aspect::Target, !kind && self.kind != other.kind),
            (Aspect::Mode, a.mode != b.mode),
            (Aspect::Owner, (a.uid, a.gid) != (b.uid, b.gid)),
            (Aspect::Times, times(a) != times(b)),
            (Aspect::Class, self.protection != other.protection),
            (Aspect::Flags, a.flags != b.flags),
        ];
        differ.into_iter().filter(|(_, differs)| *differs).map(|(aspect, _)| aspect).collect()
    }
}

fn name<M: SerializeMap>(map: &mut M, key: &str, twin: &str, name: &[u8]) -> Result<(), M::Error> {
    map.serialize_entry(key, &String::from_utf8_lossy(name))?;
    match std::str::from_utf8(name) {
        Ok(_) => Ok(()),
        Err(_) => map.serialize_entry(twin, &STANDARD.encode(name)),
    }
}

/// Names that are not UTF-8 get a twin in base64; times are RFC 3339 in UTC, or null where they
/// are beyond that.
impl Serialize for DiffSide {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { kind, metadata, protection, digest, sha256 } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", kind.name())?;
        if let EntryKind::Symlink(target) = kind {
            name(&mut map, "target", "target_b64", target)?;
        }
        map.serialize_entry("size", &metadata.size_hint)?;
        map.serialize_entry("mode", &metadata.mode)?;
        map.serialize_entry("uid", &metadata.uid)?;
        map.serialize_entry("gid", &metadata.gid)?;
        map.serialize_entry("modified", &rfc3339(metadata.modified))?;
        map.serialize_entry("changed", &rfc3339(metadata.changed))?;
        map.serialize_entry("born", &rfc3339(metadata.born))?;
        map.serialize_entry("flags", &metadata.flags)?;
        map.serialize_entry("protection_class", &protection.map(|class| class.0))?;
        map.serialize_entry("digest", &digest.map(|digest| Hex(&digest).to_string()))?;
        map.serialize_entry("sha256", &sha256.map(|hash| Hex(&hash).to_string()))?;
        map.end()
    }
}

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { domain, path, change, what, evidence, a, b } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("change", change.name())?;
        name(&mut map, "domain", "domain_b64", domain.as_bytes())?;
        name(&mut map, "relative_path", "relative_path_b64", path.as_bytes())?;
        let what: Vec<_> = what.iter().map(|aspect| aspect.name()).collect();
        map.serialize_entry("what", &what)?;
        map.serialize_entry("evidence", &evidence.map(Evidence::name))?;
        map.serialize_entry("a", a)?;
        map.serialize_entry("b", b)?;
        map.end()
    }
}
