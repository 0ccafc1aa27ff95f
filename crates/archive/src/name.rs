//! The names that a bundle's own files have, in the order in which an archive holds them.

use std::cmp::Ordering;
use std::fmt;

use bkp_bundle::Layout;
use bkp_core::FileId;

/// The property lists at the top of a bundle.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Plist {
    /// `Info.plist`.
    Info,
    /// `Manifest.plist`.
    Manifest,
    /// `Status.plist`.
    Status,
}

/// The catalog of a bundle, and what may lie beside it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Catalog {
    /// `Manifest.db`.
    Db,
    /// `Manifest.db-journal`.
    Journal,
    /// `Manifest.db-shm`.
    Shm,
    /// `Manifest.db-wal`.
    Wal,
    /// `Manifest.mbdb`.
    Mbdb,
    /// `Manifest.mbdx`.
    Mbdx,
}

/// The name of a member: one of a bundle's own files. No other name is ever written.
///
/// Ordered as an archive holds them: property lists, catalog, payloads by the bytes of their
/// names, and last the record of the run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemberName {
    /// A property list.
    Plist(Plist),
    /// The catalog or a side file of it.
    Catalog(Catalog),
    /// A payload, by where it lies.
    Blob(FileId, Layout),
    /// `bkp-run.json`: how the archive was made. No file of the bundle.
    RunRecord,
}

/// All names but those of payloads.
const FIXED: [(&str, MemberName); 10] = [
    ("Info.plist", MemberName::Plist(Plist::Info)),
    ("Manifest.plist", MemberName::Plist(Plist::Manifest)),
    ("Status.plist", MemberName::Plist(Plist::Status)),
    ("Manifest.db", MemberName::Catalog(Catalog::Db)),
    ("Manifest.db-journal", MemberName::Catalog(Catalog::Journal)),
    ("Manifest.db-shm", MemberName::Catalog(Catalog::Shm)),
    ("Manifest.db-wal", MemberName::Catalog(Catalog::Wal)),
    ("Manifest.mbdb", MemberName::Catalog(Catalog::Mbdb)),
    ("Manifest.mbdx", MemberName::Catalog(Catalog::Mbdx)),
    ("bkp-run.json", MemberName::RunRecord),
];

impl MemberName {
    /// Reads a name, exactly as a bundle spells it: a payload's digits in lower case, and its
    /// folder the first two of them.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        let (hex, layout) = match name {
            [a, b, b'/', hex @ ..] if hex.starts_with(&[*a, *b]) => (hex, Layout::Sharded),
            flat => (flat, Layout::Flat),
        };
        if hex.len() == 40 {
            let id = FileId::parse(hex).ok()?;
            return (id.to_hex() == *hex).then_some(Self::Blob(id, layout));
        }
        let fixed = FIXED.iter().find(|(fixed, _)| fixed.as_bytes() == name);
        fixed.map(|&(_, name)| name)
    }

    /// Returns true for a payload.
    #[must_use]
    pub fn is_blob(&self) -> bool {
        matches!(self, Self::Blob(..))
    }

    /// Returns the folder of a payload, by its number, when it lies in one.
    pub(crate) fn shard(&self) -> Option<u8> {
        match self {
            Self::Blob(id, Layout::Sharded) => id.as_bytes().first().copied(),
            _ => None,
        }
    }

    /// What decides the order, before a payload's digits. In the bytes of names, `3d/` is before
    /// `3d0`, so folders come before flat payloads that begin alike.
    fn rank(&self) -> (u8, u8, u8) {
        match self {
            Self::Plist(plist) => (0, *plist as u8, 0),
            Self::Catalog(catalog) => (1, *catalog as u8, 0),
            Self::Blob(id, layout) => {
                let flat = u8::from(*layout == Layout::Flat);
                (2, id.as_bytes().first().copied().unwrap_or(0), flat)
            }
            Self::RunRecord => (3, 0, 0),
        }
    }
}

impl Ord for MemberName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank()).then_with(|| match (self, other) {
            (Self::Blob(a, _), Self::Blob(b, _)) => a.cmp(b),
            _ => Ordering::Equal,
        })
    }
}

impl PartialOrd for MemberName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(id, Layout::Sharded) => {
                let first = id.as_bytes().first().copied().unwrap_or(0);
                write!(f, "{first:02x}/{id}")
            }
            Self::Blob(id, Layout::Flat) => id.fmt(f),
            fixed => {
                let name = FIXED.iter().find(|(_, name)| name == fixed);
                f.write_str(name.map_or("", |(name, _)| name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FIXED, MemberName};

    const HEX: &str = "3d0d7e5fb2ce288813306e4d4636395e047a3d28";

    #[test]
    fn names_are_spelled_as_they_are_read() {
        let sharded = format!("3d/{HEX}");
        for name in FIXED.iter().map(|(name, _)| *name).chain([HEX, &sharded]) {
            assert_eq!(MemberName::parse(name.as_bytes()).unwrap().to_string(), name);
        }
    }

    #[test]
    fn other_names_are_none_of_a_bundle() {
        let upper = HEX.to_uppercase();
        for name in [
            "",
            "/",
            "..",
            "../Info.plist",
            "info.plist",
            "Info.plist.backup",
            "Snapshot/Manifest.db",
            &HEX[1..],
            &upper,
            &format!("3D/{upper}"),
            &format!("3e/{HEX}"),
            &format!("3d/3d/{HEX}"),
            &format!("3d/../{HEX}"),
            &format!("3d\\{HEX}"),
            &format!("/3d/{HEX}"),
            &format!("3d/{HEX}0"),
            &format!("3d/{HEX}\0"),
        ] {
            assert_eq!(MemberName::parse(name.as_bytes()), None, "{name}");
        }
    }

    /// Payloads stand in the order of the bytes of their names, whatever is mixed.
    #[test]
    fn payloads_are_ordered_by_their_bytes() {
        let mut names = Vec::new();
        for first in ["00", "01", "3d", "ff"] {
            for rest in ["0", "7", "f"] {
                let hex = format!("{first}{}", rest.repeat(38));
                names.extend([format!("{first}/{hex}"), hex]);
            }
        }
        let mut parsed: Vec<_> =
            names.iter().map(|name| MemberName::parse(name.as_bytes()).unwrap()).collect();
        parsed.sort();
        names.sort();
        let spelled: Vec<_> = parsed.iter().map(ToString::to_string).collect();
        assert_eq!(spelled, names);
        let mut fixed: Vec<_> = FIXED.iter().rev().map(|(_, name)| *name).collect();
        fixed.push(parsed[0]);
        fixed.sort();
        let spelled: Vec<_> = fixed.iter().map(ToString::to_string).collect();
        let mut expected: Vec<_> = FIXED.iter().map(|(name, _)| (*name).to_owned()).collect();
        expected.insert(9, names[0].clone());
        assert_eq!(spelled, expected);
    }
}
