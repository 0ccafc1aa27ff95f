//! What a catalog holds, in numbers.

use std::collections::HashMap;

use bkp_bundle::Catalog;
use bkp_core::{Domain, EntryKind, Fault as _};
use serde::Serialize;

use super::{Warning, chain};

/// What a catalog holds.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CatalogFacts {
    /// `manifest.db` or `manifest.mbdb`.
    pub format: &'static str,
    /// Rows that name an entry.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Domains.
    pub domains: usize,
    /// Bytes of all files, as the catalog says.
    pub bytes: u64,
    /// Rows that cannot be read.
    pub unreadable: u64,
    /// Every domain, the largest first.
    pub by_domain: Vec<DomainFacts>,
}

/// One domain of a catalog.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DomainFacts {
    /// The domain.
    pub domain: String,
    /// Rows.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Bytes of all files, as the catalog says.
    pub bytes: u64,
}

impl CatalogFacts {
    pub(super) fn of(catalog: &Catalog, warnings: &mut Vec<Warning>) -> Self {
        let mut domains: HashMap<Domain, DomainFacts> = HashMap::new();
        let mut problems: Vec<(&'static str, u64, String)> = Vec::new();
        let (mut files, mut directories, mut symlinks) = (0, 0, 0);
        let (mut entries, mut bytes, mut unreadable) = (0, 0_u64, 0);
        for record in catalog.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    unreadable += 1;
                    match problems.iter_mut().find(|(code, ..)| *code == error.code()) {
                        Some((_, count, _)) => *count += 1,
                        None => problems.push((error.code(), 1, chain(&error))),
                    }
                    continue;
                }
            };
            let entry = record.as_ref();
            entries += 1;
            let facts = domains.entry(entry.domain.clone()).or_insert_with(|| DomainFacts {
                domain: entry.domain.to_string(),
                entries: 0,
                files: 0,
                bytes: 0,
            });
            facts.entries += 1;
            match entry.kind {
                EntryKind::File => {
                    files += 1;
                    facts.files += 1;
                    facts.bytes = facts.bytes.saturating_add(entry.metadata.size_hint);
                    bytes = bytes.saturating_add(entry.metadata.size_hint);
                }
                EntryKind::Directory => directories += 1,
                _ => symlinks += 1,
            }
        }
        warnings.extend(problems.into_iter().map(|(code, count, first)| Warning {
            code: code.into(),
            message: match count {
                1 => first,
                _ => format!("{count} rows, the first: {first}"),
            },
        }));
        let count = domains.len();
        let mut by_domain: Vec<_> = domains.into_values().collect();
        by_domain.sort_unstable_by(|a, b| b.bytes.cmp(&a.bytes).then(a.domain.cmp(&b.domain)));
        let format = catalog.format();
        Self {
            format,
            entries,
            files,
            directories,
            symlinks,
            domains: count,
            bytes,
            unreadable,
            by_domain,
        }
    }
}
