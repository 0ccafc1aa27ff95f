//! Telling of what differs, in its order and so much at a time.

use std::collections::BTreeMap;
use std::io;

use bkp_core::{Domain, Monitor, RelPath};

use super::content::Hashed;
use super::difference::{Aspect, Change, DiffSide, Difference, Evidence};
use super::rows::{Content, Names, Pair};
use super::{BEAT, DiffError, Open, WINDOW};

/// An entry as its row has it, and a hash of its extended attributes.
type Found = (DiffSide, u64);

/// The entries of a window, by name.
type Window = BTreeMap<(Domain, RelPath), (Pair, [Option<Found>; 2])>;

/// Hands over what differs.
pub(super) fn tell(
    sides: [Open<'_>; 2],
    names: &Names,
    pairs: &[Pair],
    hashed: &[Hashed; 2],
    found: &mut dyn FnMut(&Difference) -> io::Result<()>,
    monitor: &dyn Monitor,
) -> Result<(), DiffError> {
    tell_by(WINDOW, sides, names, pairs, hashed, found, monitor)
}

pub(super) fn tell_by(
    limit: usize,
    sides: [Open<'_>; 2],
    names: &Names,
    pairs: &[Pair],
    hashed: &[Hashed; 2],
    found: &mut dyn FnMut(&Difference) -> io::Result<()>,
    monitor: &dyn Monitor,
) -> Result<(), DiffError> {
    let mut told = 0;
    let mut last = None;
    while told < pairs.len() {
        let mut window = Window::new();
        for (at, side) in sides.into_iter().enumerate() {
            gather(at, side, names, pairs, last.as_ref(), limit, &mut window, monitor)?;
        }
        let Some((end, _)) = window.last_key_value() else { break };
        last = Some(end.clone());
        told = told.saturating_add(window.len());
        for ((domain, path), (pair, found_in)) in window {
            let name = pair.name();
            let [mut a, mut b] = found_in;
            for (side, hashed) in [&mut a, &mut b].into_iter().zip(hashed) {
                if let Some((side, _)) = side {
                    side.sha256 = hashed.get(&name).copied();
                }
            }
            let difference = compare(domain, path, &pair, a, b, names.plain());
            found(&difference).map_err(DiffError::Output)?;
        }
    }
    Ok(())
}

/// Walks a catalog and keeps the first entries beyond `last`. Once the window is full its end
/// only ever moves towards its start, so that what was let go in one catalog is not taken from the
/// other.
#[expect(clippy::too_many_arguments, reason = "all of one walk, called from one place")]
fn gather(
    at: usize,
    side: Open<'_>,
    names: &Names,
    pairs: &[Pair],
    last: Option<&(Domain, RelPath)>,
    limit: usize,
    window: &mut Window,
    monitor: &dyn Monitor,
) -> Result<(), DiffError> {
    let mut beat = 0_u64;
    for record in side.catalog.records().filter_map(Result::ok) {
        beat = beat.wrapping_add(1);
        if beat.is_multiple_of(BEAT) && monitor.cancelled() {
            return Err(DiffError::Cancelled);
        }
        let entry = record.as_ref();
        let name = names.name(entry);
        let Ok(pair) = pairs.binary_search_by_key(&name, Pair::name) else { continue };
        let Some(pair) = pairs.get(pair) else { continue };
        // Most rows are passed over in most walks, so names are copied last.
        let key = (&entry.domain, &entry.path);
        if last.is_some_and(|(domain, path)| key <= (domain, path)) {
            continue;
        }
        let end = window.last_key_value().map(|((domain, path), _)| (domain, path));
        if window.len() >= limit && end.is_some_and(|end| key > end) {
            continue;
        }
        let key = (entry.domain.clone(), entry.path.clone());
        let (_, found) = window.entry(key).or_insert_with(|| (*pair, [None, None]));
        // Of several rows of one name the first counts.
        if let Some(place @ None) = found.get_mut(at) {
            let attributes = names.extras(&record, side.catalog).attributes;
            *place = Some((DiffSide::new(entry), attributes));
        }
        if window.len() > limit {
            window.pop_last();
        }
    }
    Ok(())
}

fn compare(
    domain: Domain,
    path: RelPath,
    pair: &Pair,
    a: Option<Found>,
    b: Option<Found>,
    plain: bool,
) -> Difference {
    let evidence = match pair.content {
        Content::None | Content::Read => None,
        Content::SameByDigest | Content::ChangedByDigest => Some(Evidence::Digest),
        Content::SameByHash | Content::ChangedByHash => Some(Evidence::Content),
        Content::Assumed => Some(Evidence::Metadata),
        Content::Unknown => Some(Evidence::Unknown),
    };
    let mut what = Vec::new();
    let change = match (&a, &b) {
        (Some((a, attributes_a)), Some((b, attributes_b))) => {
            what = a.aspects(b);
            let changed = matches!(pair.content, Content::ChangedByDigest | Content::ChangedByHash);
            // Digests of two sorts of stored bytes differ, and say nothing by that.
            let digests = a.digest != b.digest
                && (plain
                    || pair.content == Content::ChangedByDigest
                    || a.digest.is_some() != b.digest.is_some());
            for (aspect, differs) in [
                (Aspect::Content, changed),
                (Aspect::Digest, digests),
                (Aspect::Xattrs, attributes_a != attributes_b),
            ] {
                if differs {
                    what.push(aspect);
                }
            }
            what.sort_unstable();
            Change::Changed
        }
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
    };
    let (a, b) = (a.map(|(side, _)| side), b.map(|(side, _)| side));
    Difference { domain, path, change, what, evidence, a, b }
}
