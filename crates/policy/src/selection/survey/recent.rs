//! The files that a walk has met last.

use bkp_core::{Domain, Entry};

use crate::selection::Stamp;

/// How many.
const MOST: usize = 256;

/// A ring of files, so that a file can be asked for soon after it was met.
#[derive(Debug, Default)]
pub(super) struct Recent {
    files: Vec<File>,
    next: usize,
}

#[derive(Debug)]
struct File {
    domain: Domain,
    path: Vec<u8>,
    stamp: Stamp,
}

impl Recent {
    /// Takes a file in, in the place of the oldest one if there are many.
    pub(super) fn push(&mut self, entry: &Entry) {
        let (stamp, path) = (Stamp::of(entry), entry.path.as_bytes());
        match self.files.get_mut(self.next) {
            Some(file) => {
                if file.domain != entry.domain {
                    file.domain = entry.domain.clone();
                }
                file.path.clear();
                file.path.extend_from_slice(path);
                file.stamp = stamp;
            }
            None => {
                let domain = entry.domain.clone();
                self.files.push(File { domain, path: path.to_vec(), stamp });
            }
        }
        self.next = self.next.saturating_add(1);
        if self.next >= MOST {
            self.next = 0;
        }
    }

    /// Finds the file of a name that was met last.
    pub(super) fn find(&self, domain: &Domain, path: &[u8]) -> Option<Stamp> {
        let (newer, older) = self.files.split_at_checked(self.next)?;
        let mut newest_first = newer.iter().rev().chain(older.iter().rev());
        let found = newest_first.find(|file| file.path == path && file.domain == *domain);
        found.map(|file| file.stamp)
    }
}

#[cfg(test)]
mod tests {
    use bkp_core::{Domain, Entry, EntryKind, RelPath};

    use super::{MOST, Recent};

    #[test]
    fn the_last_files_are_found_by_their_names() {
        let mut recent = Recent::default();
        let domains = ["a", "b"].map(|name| Domain::new(name).unwrap());
        let size = |recent: &Recent, domain: usize, i: usize| {
            recent.find(&domains[domain], i.to_string().as_bytes()).map(|stamp| stamp.size)
        };
        assert_eq!(size(&recent, 0, 0), None);
        for i in 0..3 * MOST {
            let path = RelPath::new(i.to_string()).unwrap();
            let mut entry = Entry::derive(domains[i % 2].clone(), path, EntryKind::File);
            entry.metadata.size_hint = i as u64;
            recent.push(&entry);
            assert_eq!(size(&recent, i % 2, i), Some(i as u64));
            assert_eq!(size(&recent, 1 - i % 2, i), None);
            let oldest = (i + 1).saturating_sub(MOST);
            assert_eq!(size(&recent, oldest % 2, oldest), Some(oldest as u64));
            if let Some(gone) = oldest.checked_sub(1) {
                assert_eq!(size(&recent, gone % 2, gone), None);
            }
        }
        // Of two of a name the later one counts.
        let mut entry =
            Entry::derive(domains[0].clone(), RelPath::new("700").unwrap(), EntryKind::File);
        entry.metadata.size_hint = 1;
        recent.push(&entry);
        assert_eq!(size(&recent, 0, 700), Some(1));
    }
}
