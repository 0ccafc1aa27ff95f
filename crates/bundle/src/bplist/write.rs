//! Binary property lists, written as a device's own library writes them.
//!
//! Objects are numbered in pre-order: a container, its keys, its values. Equal scalars are one
//! object and containers are not shared; a device shares some that are one object in its memory,
//! which nobody can tell from the values. References are as wide as the number of objects needs,
//! offsets as wide as the offset table's place needs, integers as narrow as 1, 2 or 4 unsigned
//! bytes, or else 8 signed ones. Source: FORMAT.md 2.5, rules 1 and 2.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::MAGIC;
use crate::plist_tree::Node;

/// How many objects there is room for from the start: an MBFile archive has some 50, and there
/// may be a million of them.
const USUAL: usize = 64;

/// Encodes a tree.
pub(crate) fn write(root: &Node<'_>) -> Vec<u8> {
    let mut numbering = Numbering {
        objects: Vec::with_capacity(USUAL),
        known: HashMap::with_capacity_and_hasher(USUAL, RandomState::default()),
        references: Vec::with_capacity(USUAL),
        spans: Vec::new(),
    };
    numbering.add(root);
    let Numbering { objects, references, spans, .. } = numbering;
    let count = to_u64(objects.len());
    let ref_size = width(count);

    let mut out = Vec::with_capacity(USUAL.saturating_mul(16));
    out.extend_from_slice(MAGIC);
    let mut offsets = Vec::with_capacity(objects.len());
    let mut spans = spans.into_iter();
    for object in &objects {
        offsets.push(to_u64(out.len()));
        object.encode(&mut out);
        // Containers were numbered, and their references noted, in this order.
        if let Object::Node(Node::Array(_) | Node::Dict(_)) = object {
            let span = spans.next().and_then(|span| references.get(span));
            for &reference in span.unwrap_or_default() {
                push_be(&mut out, to_u64(reference), ref_size);
            }
        }
    }
    let table_at = to_u64(out.len());
    let offset_size = width(table_at);
    for offset in offsets {
        push_be(&mut out, offset, offset_size);
    }
    out.extend_from_slice(&[0; 6]);
    // Widths are 1 to 8.
    out.extend([offset_size, ref_size].map(|width| u8::try_from(width).unwrap_or(8)));
    for number in [count, 0, table_at] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out
}

/// An object of the table: a value, or a key, which is a string.
enum Object<'n> {
    Node(&'n Node<'n>),
    Key(&'n [u8]),
}

/// What makes two scalars one object.
#[derive(Eq, Hash, PartialEq)]
enum Identity<'n> {
    Null,
    Bool(bool),
    Int(i128),
    Int64(i128),
    Real(u64),
    Date(u64),
    Data(&'n [u8]),
    Text(&'n [u8]),
    Uid(u64),
}

struct Numbering<'n> {
    objects: Vec<Object<'n>>,
    /// Most of the time that writing takes is spent here. The keys are drawn for each run, so that
    /// no file can be made to collide.
    known: HashMap<Identity<'n>, usize, RandomState>,
    /// The references of all containers.
    references: Vec<usize>,
    /// Which of them are those of each container, in the order of the containers.
    spans: Vec<Range<usize>>,
}

impl<'n> Numbering<'n> {
    /// Numbers a value and what is in it. The walk that made the tree limits its depth.
    fn add(&mut self, node: &'n Node<'n>) -> usize {
        let identity = match node {
            Node::Null => Identity::Null,
            Node::Bool(value) => Identity::Bool(*value),
            Node::Int(value) => Identity::Int(*value),
            Node::Int64(value) => Identity::Int64(*value),
            Node::Real(value) => Identity::Real(value.to_bits()),
            Node::Date(value) => Identity::Date(value.to_bits()),
            Node::Data(bytes) => Identity::Data(bytes),
            Node::Text(text) => Identity::Text(text),
            Node::Uid(value) => Identity::Uid(*value),
            Node::OwnText(_) => return self.push(Object::Node(node)),
            Node::Array(items) => {
                let (number, places) = self.open(node, items.len());
                for (place, item) in places.zip(items) {
                    let reference = self.add(item);
                    self.refer(place, reference);
                }
                return number;
            }
            Node::Dict(pairs) => {
                let (number, mut places) = self.open(node, pairs.len().saturating_mul(2));
                // `zip` asks the keys first, so no place is lost at their end.
                for ((key, _), place) in pairs.iter().zip(&mut places) {
                    let reference = self.share(Identity::Text(key), Object::Key(key));
                    self.refer(place, reference);
                }
                for ((_, value), place) in pairs.iter().zip(places) {
                    let reference = self.add(value);
                    self.refer(place, reference);
                }
                return number;
            }
        };
        self.share(identity, Object::Node(node))
    }

    fn push(&mut self, object: Object<'n>) -> usize {
        let number = self.objects.len();
        self.objects.push(object);
        number
    }

    fn share(&mut self, identity: Identity<'n>, object: Object<'n>) -> usize {
        let next = self.objects.len();
        let number = *self.known.entry(identity).or_insert(next);
        if number == next {
            self.objects.push(object);
        }
        number
    }

    /// Numbers a container. Returns its number and the places of its references.
    fn open(&mut self, node: &'n Node<'n>, children: usize) -> (usize, Range<usize>) {
        let start = self.references.len();
        let places = start..start.saturating_add(children);
        // What is in its children comes behind.
        self.references.resize(places.end, 0);
        self.spans.push(places.clone());
        (self.push(Object::Node(node)), places)
    }

    fn refer(&mut self, place: usize, reference: usize) {
        if let Some(there) = self.references.get_mut(place) {
            *there = reference;
        }
    }
}

impl Object<'_> {
    /// Writes a scalar, or the marker and the length of a container.
    fn encode(&self, out: &mut Vec<u8>) {
        let node = match self {
            Self::Key(key) => return text(out, key),
            Self::Node(node) => node,
        };
        match node {
            Node::Null => out.push(0x00),
            Node::Bool(value) => out.push(if *value { 0x09 } else { 0x08 }),
            Node::Int(value) | Node::Int64(value) => integer(out, *value),
            Node::Real(value) => {
                out.push(0x23);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Node::Date(value) => {
                out.push(0x33);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Node::Data(bytes) => {
                marker(out, 0x40, bytes.len());
                out.extend_from_slice(bytes);
            }
            Node::Text(bytes) | Node::OwnText(bytes) => text(out, bytes),
            Node::Uid(value) => {
                let width = width(*value);
                // 1, 2, 4 or 8 bytes, and the marker says one less.
                out.push(0x80 | u8::try_from(width.saturating_sub(1)).unwrap_or(7));
                push_be(out, *value, width);
            }
            Node::Array(items) => marker(out, 0xa0, items.len()),
            Node::Dict(pairs) => marker(out, 0xd0, pairs.len()),
        }
    }
}

/// Writes a kind and a count: in one byte, or with an integer after it.
fn marker(out: &mut Vec<u8>, kind: u8, count: usize) {
    match u8::try_from(count) {
        Ok(count) if count < 15 => out.push(kind | count),
        _ => {
            out.push(kind | 15);
            integer(out, i128::from(to_u64(count)));
        }
    }
}

fn integer(out: &mut Vec<u8>, value: i128) {
    if let Ok(value) = u32::try_from(value) {
        let width = width(value.into());
        out.push(match width {
            1 => 0x10,
            2 => 0x11,
            _ => 0x12,
        });
        push_be(out, value.into(), width);
    } else if let Ok(value) = i64::try_from(value) {
        out.push(0x13);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0x14);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Writes ASCII as it is and the rest of Unicode as UTF-16. Bytes that are no UTF-8 are kept as
/// they are: no string of a device has any.
fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_ascii()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        marker(out, 0x60, text.encode_utf16().count());
        for unit in text.encode_utf16() {
            out.extend_from_slice(&unit.to_be_bytes());
        }
    } else {
        marker(out, 0x50, bytes.len());
        out.extend_from_slice(bytes);
    }
}

/// Returns how many bytes a number takes: 1, 2, 4 or 8.
fn width(value: u64) -> usize {
    match value {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// Writes the last 1, 2, 4 or 8 bytes of a number.
fn push_be(out: &mut Vec<u8>, value: u64, width: usize) {
    let bytes = value.to_be_bytes();
    // Lengths that are known when this is compiled need no call.
    match (width, bytes) {
        (1, [.., a]) => out.push(a),
        (2, [.., a, b]) => out.extend_from_slice(&[a, b]),
        (4, [.., a, b, c, d]) => out.extend_from_slice(&[a, b, c, d]),
        _ => out.extend_from_slice(&bytes),
    }
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
