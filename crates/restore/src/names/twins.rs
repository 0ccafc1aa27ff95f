//! Finding names that differ in the catalog and would be one on a disk.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, DefaultHasher, Hasher as _, RandomState};

use bkp_core::{Domain, Entry, RelPath, Source};

use super::fold;

/// The names of a catalog that a disk without case, or one that composes accents, would take for
/// one another: `Photo.JPG` and `photo.jpg`, `é` and `e` with an accent.
///
/// Made by a walk of the whole catalog, whatever a run takes of it, so that a name does not
/// depend on a filter. Keeps two 64-bit numbers for each name during the walk, and afterwards one
/// for each name that has a twin. The numbers are hashes under a key drawn at random; when two
/// meet by chance, a name is written longer than need be.
#[derive(Debug, Default)]
pub struct Twins {
    keys: RandomState,
    ambiguous: HashSet<u64>,
}

impl Twins {
    /// Walks the catalog of a source. Rows that cannot be read are passed over; the run itself
    /// reports them.
    ///
    /// # Errors
    ///
    /// Fails when the catalog cannot be listed.
    pub fn of_source<S: Source>(source: &S) -> Result<Self, S::Error> {
        let mut walk = TwinsWalk::new();
        source.records()?.flatten().for_each(|record| walk.see(record.as_ref()));
        Ok(walk.finish())
    }

    /// Walks a list of entries.
    pub fn of_entries<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Self {
        let mut walk = TwinsWalk::new();
        entries.into_iter().for_each(|entry| walk.see(entry));
        walk.finish()
    }

    /// Returns true when no name has a twin.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ambiguous.is_empty()
    }

    /// Says of the domain and of every component of the path, outermost first, whether it has a
    /// twin.
    pub(super) fn of<'n>(
        &'n self,
        domain: &'n Domain,
        path: &'n RelPath,
    ) -> impl Iterator<Item = (&'n [u8], bool)> {
        let mut hasher = (!self.is_empty()).then(|| self.keys.build_hasher());
        std::iter::once(domain.as_bytes()).chain(path.components()).map(move |component| {
            let twin = hasher.as_mut().is_some_and(|hasher| {
                fold::hash(component, hasher);
                self.ambiguous.contains(&hasher.finish())
            });
            (component, twin)
        })
    }
}

/// A walk under way, for callers that walk the catalog for other reasons too.
#[derive(Debug, Default)]
pub struct TwinsWalk {
    twins: Twins,
    /// The first spelling of each folded name, both hashed. The name is hashed with everything
    /// above it, the spelling alone.
    spellings: HashMap<u64, u64>,
    /// The domain and the directory of the last entry, and the state of the hasher there: most
    /// entries are neighbours.
    last: Option<(Domain, Vec<u8>, DefaultHasher)>,
}

impl TwinsWalk {
    /// Starts with the one name at the root that is ours.
    #[must_use]
    pub fn new() -> Self {
        let mut walk = Self::default();
        let mut hasher = walk.twins.keys.build_hasher();
        walk.note(super::MAP.as_bytes(), &mut hasher);
        walk
    }

    /// Ends the walk.
    #[must_use]
    pub fn finish(self) -> Twins {
        self.twins
    }

    /// Takes the next entry of the catalog. Every entry must be shown.
    pub fn see(&mut self, entry: &Entry) {
        let path = entry.path.as_bytes();
        let (directory, _) = super::split(path);
        let known = self.last.as_ref().filter(|(domain, above, _)| {
            !path.is_empty() && *domain == entry.domain && above == directory
        });
        if let (Some((_, _, hasher)), Some(name)) = (known, entry.path.name()) {
            let mut hasher = hasher.clone();
            self.note(name, &mut hasher);
            return;
        }
        let mut hasher = self.twins.keys.build_hasher();
        self.note(entry.domain.as_bytes(), &mut hasher);
        let mut above = hasher.clone();
        for component in entry.path.components() {
            above = hasher.clone();
            self.note(component, &mut hasher);
        }
        if !path.is_empty() {
            self.last = Some((entry.domain.clone(), directory.to_vec(), above));
        }
    }

    fn note(&mut self, component: &[u8], hasher: &mut DefaultHasher) {
        fold::hash(component, hasher);
        let name = hasher.finish();
        let spelling = self.twins.keys.hash_one(component);
        if *self.spellings.entry(name).or_insert(spelling) != spelling {
            self.twins.ambiguous.insert(name);
        }
    }
}
