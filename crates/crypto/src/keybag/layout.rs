//! The items of a keybag in their order, and writing them.
//!
//! What was parsed is written as it was, byte for byte: the values stand in the keybag's fields,
//! and the order of the items, with those that are not known, stands here.

use std::borrow::Cow;

use super::{ClassRecord, Keybag, UnknownItem};
use crate::error::Tag;

pub(super) const VERS: Tag = Tag(*b"VERS");
pub(super) const TYPE: Tag = Tag(*b"TYPE");
pub(super) const UUID: Tag = Tag(*b"UUID");
pub(super) const HMCK: Tag = Tag(*b"HMCK");
pub(super) const WRAP: Tag = Tag(*b"WRAP");
pub(super) const SALT: Tag = Tag(*b"SALT");
pub(super) const ITER: Tag = Tag(*b"ITER");
pub(super) const DPWT: Tag = Tag(*b"DPWT");
pub(super) const DPIC: Tag = Tag(*b"DPIC");
pub(super) const DPSL: Tag = Tag(*b"DPSL");
pub(super) const CLAS: Tag = Tag(*b"CLAS");
pub(super) const KTYP: Tag = Tag(*b"KTYP");
pub(super) const WPKY: Tag = Tag(*b"WPKY");

/// The bytes before an item's value.
const HEAD: usize = 8;

/// One item of a header or of a class record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// The value is in the field that goes with the tag.
    Known(Tag),
    /// The value is carried along.
    Unknown(Tag, Vec<u8>),
}

impl Place {
    fn tag(&self) -> Tag {
        let (Self::Known(tag) | Self::Unknown(tag, _)) = self;
        *tag
    }

    fn is(&self, tag: Tag) -> bool {
        matches!(self, Self::Known(known) if *known == tag)
    }
}

/// The items of a header as devices write it (FORMAT.md 3).
pub(super) fn header(outer_stage: bool) -> Vec<Place> {
    let tags = [VERS, TYPE, UUID, HMCK, WRAP, SALT, ITER];
    let mut places = tags.map(Place::Known).to_vec();
    set_outer_stage(&mut places, outer_stage);
    places
}

/// The items of a class record as devices write it (FORMAT.md 3).
pub(super) fn record() -> Vec<Place> {
    [UUID, CLAS, WRAP, KTYP, WPKY].map(Place::Known).to_vec()
}

/// Makes room in a header for the items of a first derivation stage, or takes it away.
///
/// Where all three items are, they stay. Where some are, the three stand at the first one's
/// place; where none is, behind the second stage.
pub(super) fn set_outer_stage(header: &mut Vec<Place>, outer_stage: bool) {
    const STAGE: [Tag; 3] = [DPWT, DPIC, DPSL];
    let of_stage = |place: &Place| STAGE.iter().any(|&tag| place.is(tag));
    let there = header.iter().filter(|place| of_stage(place)).count();
    if outer_stage && there == STAGE.len() {
        return;
    }
    let first = header.iter().position(of_stage);
    header.retain(|place| !of_stage(place));
    if outer_stage {
        let behind = header.iter().rposition(|place| place.is(SALT) || place.is(ITER));
        let at = first.or(behind.map(|index| index + 1)).unwrap_or(header.len());
        header.splice(at..at, STAGE.map(Place::Known));
    }
}

impl Keybag {
    /// Writes the keybag. For one that was parsed these are the bytes it was parsed from, always.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (place, value) in self.items() {
            bytes.extend_from_slice(&place.tag().0);
            // None is longer: it was parsed, or is a number, a name, a key or a checked salt.
            let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(&value);
        }
        bytes
    }

    /// Finds the items that are not known, and where they stand.
    pub(super) fn find_unknown(&mut self) {
        let mut offset = 0;
        let mut unknown = Vec::new();
        for (place, value) in self.items() {
            let len = value.len();
            if let &Place::Unknown(tag, _) = place {
                unknown.push(UnknownItem { tag, offset, len });
            }
            offset += HEAD + len;
        }
        self.unknown = unknown;
    }

    fn items(&self) -> impl Iterator<Item = (&Place, Cow<'_, [u8]>)> {
        let header = self.layout.iter().map(|place| (place, self.value(place)));
        let records = self
            .classes
            .iter()
            .flat_map(|record| record.layout.iter().map(|place| (place, record.value(place))));
        header.chain(records)
    }

    fn value<'a>(&'a self, place: &'a Place) -> Cow<'a, [u8]> {
        let tag = match place {
            Place::Known(tag) => *tag,
            Place::Unknown(_, value) => return Cow::Borrowed(value),
        };
        let outer = self.kdf.outer.as_ref();
        match tag {
            VERS => int(self.version),
            TYPE => int(self.bag_type),
            UUID => Cow::Borrowed(&self.uuid),
            HMCK => bytes(self.hmck.as_deref()),
            WRAP => int(self.wrap),
            SALT => Cow::Borrowed(&self.kdf.inner.salt),
            ITER => int(Some(self.kdf.inner.rounds.get())),
            DPWT => int(self.dpwt),
            DPIC => int(outer.map(|outer| outer.rounds.get())),
            DPSL => bytes(outer.map(|outer| &outer.salt[..])),
            _ => bytes(None),
        }
    }
}

impl ClassRecord {
    fn value<'a>(&'a self, place: &'a Place) -> Cow<'a, [u8]> {
        let tag = match place {
            Place::Known(tag) => *tag,
            Place::Unknown(_, value) => return Cow::Borrowed(value),
        };
        match tag {
            UUID => Cow::Borrowed(&self.uuid),
            CLAS => int(Some(self.class.0)),
            WRAP => int(self.wrap),
            KTYP => int(self.key_type),
            WPKY => bytes(self.key.as_ref().map(|key| &key[..])),
            _ => bytes(None),
        }
    }
}

/// Returns a number as it is written.
fn int(value: Option<u32>) -> Cow<'static, [u8]> {
    Cow::Owned(present(value).to_be_bytes().to_vec())
}

fn bytes(value: Option<&[u8]>) -> Cow<'_, [u8]> {
    Cow::Borrowed(present(value))
}

/// A layout names an item only where the field of it is filled.
fn present<T: Default>(value: Option<T>) -> T {
    debug_assert!(value.is_some(), "an item without a value");
    value.unwrap_or_default()
}
