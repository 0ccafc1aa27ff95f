//! Reading a keybag's items, every one of which may lie.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use bkp_core::ProtectionClass;

use super::layout::{
    CLAS, DPIC, DPSL, DPWT, HMCK, ITER, KTYP, Place, SALT, TYPE, UUID, VERS, WPKY, WRAP,
};
use super::{ClassRecord, Keybag, limits};
use crate::error::{KeybagError, Tag};
use crate::kdf::{KdfParams, Pbkdf2};

impl Keybag {
    /// Reads a keybag. Nothing is derived, so that a keybag with any work factor can be looked at.
    ///
    /// Items that are not known are passed over and can be asked for
    /// ([`unknown_items`](Self::unknown_items)). A class whose `WRAP` is not known is kept.
    ///
    /// # Errors
    ///
    /// Fails when an item runs past the end or has a size it cannot have, when one that counts
    /// once occurs twice, when one that is needed is missing, and beyond [`limits`]. Each says
    /// where.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeybagError> {
        if bytes.len() > limits::KEYBAG {
            return Err(KeybagError::TooLarge { len: bytes.len(), limit: limits::KEYBAG });
        }
        let mut header = Header::default();
        let mut records: Vec<Record<'_>> = Vec::new();
        for (index, item) in (Items { bytes, offset: 0 }).enumerate() {
            if index >= limits::ITEMS {
                return Err(KeybagError::TooManyItems { limit: limits::ITEMS });
            }
            let item = item?;
            if item.tag == UUID && header.uuid.is_some() {
                records.push(Record::new(item));
                continue;
            }
            let slot = match records.last_mut() {
                Some(record) => record.slot(item.tag),
                None => header.slot(item.tag),
            };
            let place = match slot {
                Some(Some(_)) => {
                    return Err(KeybagError::Repeated { tag: item.tag, offset: item.offset });
                }
                Some(slot) => {
                    *slot = Some(item);
                    Place::Known(item.tag)
                }
                None => Place::Unknown(item.tag, item.value.to_vec()),
            };
            match records.last_mut() {
                Some(record) => record.layout.push(place),
                None => header.layout.push(place),
            }
        }
        let classes = finish_records(records)?;
        let Header { vers, kind, uuid, hmck, wrap, salt, iter, dpwt, dpic, dpsl, layout } = header;
        let mut keybag = Self {
            version: int(vers)?,
            bag_type: int(kind)?,
            // Never absent: a class record starts at the second one.
            uuid: uuid.ok_or(KeybagError::NoClasses)?.array()?,
            wrap: int(wrap)?,
            hmck: hmck.map(|hmck| hmck.value.to_vec()),
            kdf: KdfParams {
                outer: match (dpsl, dpic) {
                    (Some(salt), Some(rounds)) => Some(stage(salt, rounds)?),
                    (None, None) => None,
                    (Some(Item { tag, offset, .. }), None) => {
                        return Err(KeybagError::Unpaired { tag, offset, missing: DPIC });
                    }
                    (None, Some(Item { tag, offset, .. })) => {
                        return Err(KeybagError::Unpaired { tag, offset, missing: DPSL });
                    }
                },
                inner: stage(
                    salt.ok_or(KeybagError::Missing { tag: SALT })?,
                    iter.ok_or(KeybagError::Missing { tag: ITER })?,
                )?,
            },
            // Its value means nothing here. Its length does: a longer one could swallow what
            // follows, which would leave a keybag of one stage that no password opens.
            dpwt: int(dpwt)?,
            classes,
            unknown: Vec::new(),
            layout,
        };
        keybag.find_unknown();
        Ok(keybag)
    }
}

/// One tag, length and value.
#[derive(Clone, Copy)]
struct Item<'a> {
    tag: Tag,
    offset: usize,
    value: &'a [u8],
}

impl Item<'_> {
    /// Reads a value of fixed size.
    fn array<const N: usize>(&self) -> Result<[u8; N], KeybagError> {
        let &Self { tag, offset, value } = self;
        value.try_into().map_err(|_| KeybagError::ItemLength {
            tag,
            offset,
            len: value.len(),
            expected: N,
        })
    }

    fn int(&self) -> Result<u32, KeybagError> {
        self.array().map(u32::from_be_bytes)
    }
}

fn int(item: Option<Item<'_>>) -> Result<Option<u32>, KeybagError> {
    item.map(|item| item.int()).transpose()
}

/// Splits bytes into items. After an error there is no telling where the next item starts, and
/// none comes.
struct Items<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, KeybagError>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.offset;
        let rest = self.bytes.get(offset..).filter(|rest| !rest.is_empty())?;
        self.offset = self.bytes.len();
        let head = rest.split_first_chunk::<4>().and_then(|(tag, rest)| {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            Some((Tag(*tag), u32::from_be_bytes(*len), rest))
        });
        let Some((tag, len, rest)) = head else {
            return Some(Err(KeybagError::Truncated { offset, left: rest.len() }));
        };
        let split = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len));
        let Some((value, rest)) = split else {
            return Some(Err(KeybagError::Overrun { tag, offset, len, left: rest.len() }));
        };
        self.offset = self.offset.saturating_sub(rest.len());
        Some(Ok(Item { tag, offset, value }))
    }
}

/// What stands before the second `UUID`.
#[derive(Default)]
struct Header<'a> {
    vers: Option<Item<'a>>,
    kind: Option<Item<'a>>,
    uuid: Option<Item<'a>>,
    hmck: Option<Item<'a>>,
    wrap: Option<Item<'a>>,
    salt: Option<Item<'a>>,
    iter: Option<Item<'a>>,
    dpwt: Option<Item<'a>>,
    dpic: Option<Item<'a>>,
    dpsl: Option<Item<'a>>,
    layout: Vec<Place>,
}

impl<'a> Header<'a> {
    /// Returns where an item belongs, when it belongs here.
    fn slot(&mut self, tag: Tag) -> Option<&mut Option<Item<'a>>> {
        Some(match tag {
            VERS => &mut self.vers,
            TYPE => &mut self.kind,
            UUID => &mut self.uuid,
            HMCK => &mut self.hmck,
            WRAP => &mut self.wrap,
            SALT => &mut self.salt,
            ITER => &mut self.iter,
            DPWT => &mut self.dpwt,
            DPIC => &mut self.dpic,
            DPSL => &mut self.dpsl,
            _ => return None,
        })
    }
}

/// What stands between two `UUID`s after that.
struct Record<'a> {
    uuid: Item<'a>,
    clas: Option<Item<'a>>,
    wrap: Option<Item<'a>>,
    ktyp: Option<Item<'a>>,
    wpky: Option<Item<'a>>,
    layout: Vec<Place>,
}

impl<'a> Record<'a> {
    fn new(uuid: Item<'a>) -> Self {
        let layout = vec![Place::Known(UUID)];
        Self { uuid, clas: None, wrap: None, ktyp: None, wpky: None, layout }
    }

    /// Returns where an item belongs, when it belongs here.
    fn slot(&mut self, tag: Tag) -> Option<&mut Option<Item<'a>>> {
        Some(match tag {
            CLAS => &mut self.clas,
            WRAP => &mut self.wrap,
            KTYP => &mut self.ktyp,
            WPKY => &mut self.wpky,
            _ => return None,
        })
    }
}

fn finish_records(records: Vec<Record<'_>>) -> Result<Vec<ClassRecord>, KeybagError> {
    if records.is_empty() {
        return Err(KeybagError::NoClasses);
    }
    let mut seen = BTreeSet::new();
    let finish = |Record { uuid, clas, wrap, ktyp, wpky, layout }| {
        let clas: Item<'_> =
            clas.ok_or(KeybagError::MissingClass { tag: CLAS, offset: uuid.offset })?;
        let class = ProtectionClass(clas.int()?);
        if !seen.insert(class) {
            return Err(KeybagError::DuplicateClass { tag: CLAS, offset: clas.offset, class });
        }
        let key = wpky.map(|Item { tag, offset, value }| {
            value.try_into().map_err(|_| KeybagError::WrappedKeyLength {
                tag,
                offset,
                len: value.len(),
            })
        });
        Ok(ClassRecord {
            uuid: uuid.array()?,
            class,
            wrap: int(wrap)?,
            key_type: int(ktyp)?,
            key: key.transpose()?,
            layout,
        })
    };
    records.into_iter().map(finish).collect()
}

/// Makes one pass of PBKDF2 of its salt and its count.
fn stage(salt: Item<'_>, rounds: Item<'_>) -> Result<Pbkdf2, KeybagError> {
    let Item { tag, offset, value } = salt;
    if value.len() > limits::SALT {
        let (len, limit) = (value.len(), limits::SALT);
        return Err(KeybagError::LongSalt { tag, offset, len, limit });
    }
    let salt = value.to_vec();
    let Item { tag, offset, .. } = rounds;
    let rounds = NonZeroU32::new(rounds.int()?).ok_or(KeybagError::ZeroRounds { tag, offset })?;
    Ok(Pbkdf2 { salt, rounds })
}
