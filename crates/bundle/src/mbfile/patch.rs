//! MBFile archives with a few values changed and everything else as it was.
//!
//! The archive becomes a tree, keys that nobody knows included, and is written by the rules that
//! devices follow (FORMAT.md 2.5). So what a device wrote comes out as the device would have
//! written it, and taking a change back gives the first bytes again.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::write::{inode, key_order, mutable_data, mutable_data_class, place, uid};
use super::{Field, MAX_BLOB, MbFile, MbFileError};
use crate::bplist;
use crate::plist_guard::{Limits, PlistError};
use crate::plist_tree::{Node, Pair};
use crate::row_patch::{Patch, RowPatch};

/// What is read of an archive that is to be changed. A device's has some 60 values.
const LIMITS: Limits = Limits { bytes: MAX_BLOB, nesting: 32, visits: 2048, slack: 1 << 16 };

/// Changes values of an archive.
///
/// Without a change the archive is returned as it is, byte for byte.
///
/// # Errors
///
/// Fails when the blob is no archive of one MBFile, and, other than [`MbFile::parse`], when
/// anything in it is damaged or it holds more than 2,048 values: a part of it could be lost.
pub fn patch(raw: &[u8], patch: &RowPatch) -> Result<Vec<u8>, MbFileError> {
    patched(raw, patch).map(Cow::into_owned)
}

/// Does what [`patch`] does, without a copy where nothing changes.
pub(crate) fn patched<'r>(raw: &'r [u8], patch: &RowPatch) -> Result<Cow<'r, [u8]>, MbFileError> {
    if patch.is_noop() || is_so(&MbFile::parse(raw)?, patch) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut archive = Archive::read(raw)?;
    archive.apply(patch);
    Ok(Cow::Owned(archive.write()))
}

/// Returns true if all that the patch wants is there already.
fn is_so(file: &MbFile<'_>, patch: &RowPatch) -> bool {
    fn same<T>(patch: &Patch<T>, there: Option<&[u8]>, is: impl Fn(&T, &[u8]) -> bool) -> bool {
        match patch {
            Patch::Keep => true,
            Patch::Set(new) => there.is_some_and(|there| is(new, there)),
            Patch::Remove => there.is_none(),
        }
    }
    let RowPatch { key, digest, size, inode, protection } = patch;
    // A field that cannot be read is to be changed, and to go, as well.
    file.bad.is_empty()
        && file.repeated.is_empty()
        && file.unreadable == 0
        && same(key, file.encryption_key, |new, there| new.to_bytes() == *there)
        && same(digest, file.digest, |new, there| new == there)
        && size.is_none_or(|size| file.size == Some(size))
        && inode.is_none_or(|inode| file.inode == Some(inode))
        && protection.is_none_or(|class| file.protection_class == Some(class.0))
}

/// An archive taken apart.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    /// Everything but the objects.
    top: Node<'a>,
    objects: Vec<Node<'a>>,
    root: usize,
}

impl<'a> Archive<'a> {
    pub(super) fn read(raw: &'a [u8]) -> Result<Self, MbFileError> {
        let missing = |what| MbFileError::NotMbFile { what };
        let mut top = Node::read(raw, &LIMITS).map_err(error)?;
        let root = top.get(b"$top").and_then(|roots| roots.get(b"root"));
        let Some(&Node::Uid(root)) = root else { return Err(missing("UID of $top.root")) };
        let root = usize::try_from(root).unwrap_or(usize::MAX);
        let objects = match top.get_mut(b"$objects") {
            Some(Node::Array(objects)) => std::mem::take(objects),
            _ => return Err(missing("array of $objects")),
        };
        let mut archive = Self { top, objects, root };
        for object in &mut archive.objects {
            separate_class_name(object);
        }
        for (key, value) in archive.root_mut().ok_or(missing("root dictionary"))? {
            // Devices archive these two by another call than the other integers.
            if let (b"Size" | b"InodeNumber", &mut Node::Int(number)) = (key.as_ref(), &mut *value)
            {
                *value = Node::Int64(number);
            }
        }
        Ok(archive)
    }

    pub(super) fn write(mut self) -> Vec<u8> {
        if let Some(Node::Array(objects)) = self.top.get_mut(b"$objects") {
            *objects = self.objects;
        }
        bplist::write(&self.top)
    }

    fn apply(&mut self, patch: &RowPatch) {
        let RowPatch { key, digest, size, inode: number, protection } = patch;
        if let Some(size) = *size {
            self.set(Field::Size, Node::Int64(size.into()));
        }
        if let Some(number) = *number {
            self.set(Field::InodeNumber, inode(number));
        }
        if let Some(class) = *protection {
            self.set(Field::ProtectionClass, Node::Int(class.0.into()));
        }
        match digest {
            Patch::Keep => {}
            Patch::Remove => self.remove(Field::Digest),
            Patch::Set(digest) => {
                let digest = || Node::Data(Cow::Owned(digest.to_vec()));
                if let Some(object @ Node::Data(_)) = self.own_object(Field::Digest) {
                    *object = digest();
                } else {
                    let at = self.after(&[Field::RelativePath, Field::Target]);
                    self.insert(at, digest());
                    self.set(Field::Digest, uid(at));
                }
            }
        }
        match key {
            Patch::Keep => {}
            Patch::Remove => self.remove(Field::EncryptionKey),
            Patch::Set(key) => {
                let data = self.own_object(Field::EncryptionKey);
                if let Some(data @ Node::Data(_)) = data.and_then(|o| o.get_mut(b"NS.data")) {
                    *data = Node::Data(Cow::Owned(key.to_bytes().to_vec()));
                } else {
                    let at = self.after(&[Field::RelativePath, Field::Target, Field::Digest]);
                    self.insert(at, Node::Null);
                    let class = match self.objects.iter().position(is_mutable_data_class) {
                        Some(class) => class,
                        None => {
                            let class = at.saturating_add(1);
                            self.insert(class, mutable_data_class());
                            class
                        }
                    };
                    if let Some(wrapper) = self.objects.get_mut(at) {
                        *wrapper = mutable_data(key, uid(class));
                    }
                    self.set(Field::EncryptionKey, uid(at));
                }
            }
        }
    }

    fn root_mut(&mut self) -> Option<&mut Vec<Pair<'a>>> {
        self.objects.get_mut(self.root)?.pairs_mut()
    }

    fn value(&self, field: Field) -> Option<&Node<'a>> {
        self.objects.get(self.root)?.get(field.key().as_bytes())
    }

    /// Returns the index that a field refers to.
    fn reference(&self, field: Field) -> Option<usize> {
        match self.value(field)? {
            Node::Uid(uid) => usize::try_from(*uid).ok().filter(|&at| at < self.objects.len()),
            _ => None,
        }
    }

    /// Returns the object that a field refers to, if nothing else refers to it.
    fn own_object(&mut self, field: Field) -> Option<&mut Node<'a>> {
        let at = self.reference(field)?;
        let mut references = 0_usize;
        for node in self.objects.iter().chain([&self.top]) {
            each_uid(node, &mut |uid| {
                references = references.saturating_add(usize::from(usize::try_from(uid) == Ok(at)));
            });
        }
        self.objects.get_mut(at).filter(|_| references == 1)
    }

    /// Returns the index after the objects of some fields: behind the root, where there is none.
    fn after(&self, fields: &[Field]) -> usize {
        let last = fields.iter().filter_map(|&field| self.reference(field)).max();
        last.unwrap_or(self.root).saturating_add(1).min(self.objects.len())
    }

    /// Puts an object into the table. What comes after it gets other numbers.
    fn insert(&mut self, at: usize, object: Node<'a>) {
        let from = u64::try_from(at).unwrap_or(u64::MAX);
        self.renumber(|uid| if uid >= from { uid.saturating_add(1) } else { uid });
        if self.root >= at {
            self.root = self.root.saturating_add(1);
        }
        self.objects.insert(at, object);
    }

    fn renumber(&mut self, number: impl Fn(u64) -> u64) {
        // A reference beyond the table stays one that leads nowhere.
        let end = u64::try_from(self.objects.len()).unwrap_or(u64::MAX);
        for node in self.objects.iter_mut().chain([&mut self.top]) {
            each_uid_mut(node, &mut |uid| {
                if *uid < end {
                    *uid = number(*uid);
                }
            });
        }
    }

    /// Sets a value of the root, in its place or where a device would have put it.
    fn set(&mut self, field: Field, value: Node<'a>) {
        if matches!(self.value(field), Some(Node::Int(_) | Node::Int64(_))) {
            // Nothing was referred to.
            let root = self.objects.get_mut(self.root);
            if let Some(old) = root.and_then(|root| root.get_mut(field.key().as_bytes())) {
                *old = value;
            }
            return;
        }
        let replaced = self.value(field).is_some();
        // What is added takes nothing away, so nothing is to be swept then.
        let before = if replaced { self.reachable() } else { Vec::new() };
        let Some(root) = self.root_mut() else { return };
        if let Some((_, old)) =
            root.iter_mut().rev().find(|(key, _)| **key == *field.key().as_bytes())
        {
            *old = value;
            self.sweep(&before);
            return;
        }
        let canonical = is_canonical(root);
        let pair = (Cow::Borrowed(field.key().as_bytes()), value);
        let known = |(key, _): &Pair<'_>| place(key_order(false, false), key).is_some();
        if !canonical {
            root.push(pair);
        } else if root.iter().all(known) {
            root.push(pair);
            let order = order_of(root.iter().map(|(key, _)| key.as_ref()));
            root.sort_by_cached_key(|(key, _)| place(order, key));
        } else {
            let mut runs = into_runs(root);
            runs.push(vec![pair]);
            *root = from_runs(runs);
        }
    }

    /// Removes a key of the root, and the objects that only it referred to.
    fn remove(&mut self, field: Field) {
        let before = self.reachable();
        let Some(root) = self.root_mut() else { return };
        let canonical = is_canonical(root);
        root.retain(|(key, _)| **key != *field.key().as_bytes());
        if canonical {
            let runs = into_runs(root);
            *root = from_runs(runs);
        }
        self.sweep(&before);
    }

    /// Tells which objects can be reached from `$top`.
    fn reachable(&self) -> Vec<bool> {
        self.reach(vec![false; self.objects.len()], &self.top)
    }

    /// Follows references from a node and from the objects that are marked already.
    fn reach(&self, mut marks: Vec<bool>, from: &Node<'a>) -> Vec<bool> {
        let mut open: Vec<u64> = Vec::new();
        each_uid(from, &mut |uid| open.push(uid));
        for (object, _) in self.objects.iter().zip(&marks).filter(|(_, marked)| **marked) {
            each_uid(object, &mut |uid| open.push(uid));
        }
        while let Some(uid) = open.pop() {
            let Ok(at) = usize::try_from(uid) else { continue };
            if let (Some(mark @ false), Some(object)) = (marks.get_mut(at), self.objects.get(at)) {
                *mark = true;
                each_uid(object, &mut |uid| open.push(uid));
            }
        }
        marks
    }

    /// Drops the objects that could be reached `before` and now cannot. Those that never could
    /// are kept, with all that they refer to: they are none of ours.
    fn sweep(&mut self, before: &[bool]) {
        let mut keep: Vec<bool> = before.iter().map(|reached| !reached).collect();
        // "$null" stands first by its place and not by a reference.
        if let Some(null) = keep.first_mut() {
            *null = true;
        }
        let keep = self.reach(keep, &self.top);
        if keep.iter().all(|&keep| keep) {
            return;
        }
        let mut next = 0_u64;
        let numbers: Vec<u64> = keep
            .iter()
            .map(|&keep| {
                let number = next;
                next = next.saturating_add(u64::from(keep));
                number
            })
            .collect();
        let number = |uid: u64| {
            usize::try_from(uid).ok().and_then(|at| numbers.get(at)).copied().unwrap_or(uid)
        };
        self.renumber(number);
        self.root = usize::try_from(number(u64::try_from(self.root).unwrap_or(u64::MAX)))
            .unwrap_or(usize::MAX);
        let mut kept = keep.into_iter();
        self.objects.retain(|_| kept.next().unwrap_or(true));
    }
}

/// Lets the name of the class `NSMutableData` be written twice, as devices do.
fn separate_class_name(object: &mut Node<'_>) {
    if is_mutable_data_class(object)
        && let Some(Node::Array(classes)) = object.get_mut(b"$classes")
        && let Some(first) = classes.first_mut()
        && let Node::Text(text) = first
        && **text == *b"NSMutableData"
    {
        *first = Node::OwnText(std::mem::take(text));
    }
}

fn is_mutable_data_class(object: &Node<'_>) -> bool {
    matches!(object.get(b"$classname"), Some(Node::Text(name)) if **name == *b"NSMutableData")
}

/// Calls `each` with every reference in a value.
fn each_uid(node: &Node<'_>, each: &mut dyn FnMut(u64)) {
    match node {
        Node::Uid(uid) => each(*uid),
        Node::Array(items) => items.iter().for_each(|item| each_uid(item, each)),
        Node::Dict(pairs) => pairs.iter().for_each(|(_, value)| each_uid(value, each)),
        _ => {}
    }
}

fn each_uid_mut(node: &mut Node<'_>, each: &mut dyn FnMut(&mut u64)) {
    match node {
        Node::Uid(uid) => each(uid),
        Node::Array(items) => items.iter_mut().for_each(|item| each_uid_mut(item, each)),
        Node::Dict(pairs) => pairs.iter_mut().for_each(|(_, value)| each_uid_mut(value, each)),
        _ => {}
    }
}

/// Returns the order that devices have for these keys.
fn order_of<'k>(mut keys: impl Iterator<Item = &'k [u8]>) -> &'static [&'static str; 16] {
    let (mut digest, mut key) = (false, false);
    for name in &mut keys {
        digest |= name == b"Digest";
        key |= name == b"EncryptionKey";
    }
    key_order(digest, key)
}

/// Returns true if the keys that are known stand in the order that devices have.
fn is_canonical(root: &[Pair<'_>]) -> bool {
    let order = order_of(root.iter().map(|(key, _)| key.as_ref()));
    let places = root.iter().filter_map(|(key, _)| place(order, key));
    places.is_sorted_by(|a, b| a < b)
}

/// Takes the root apart into known keys, each with the unknown ones behind it.
fn into_runs<'a>(root: &mut Vec<Pair<'a>>) -> Vec<Vec<Pair<'a>>> {
    let order = key_order(false, false);
    let mut runs: Vec<Vec<Pair<'a>>> = Vec::with_capacity(root.len());
    for pair in root.drain(..) {
        match runs.last_mut() {
            Some(run) if place(order, &pair.0).is_none() => run.push(pair),
            _ => runs.push(vec![pair]),
        }
    }
    runs
}

/// Puts the root together in the order that devices have.
fn from_runs(mut runs: Vec<Vec<Pair<'_>>>) -> Vec<Pair<'_>> {
    let keys = runs.iter().flatten().map(|(key, _)| key.as_ref());
    let order = order_of(keys);
    // Unknown keys at the front have no place, which sorts before all others.
    runs.sort_by_cached_key(|run| run.first().and_then(|(key, _)| place(order, key)));
    runs.into_iter().flatten().collect()
}

fn error(error: PlistError) -> MbFileError {
    match error {
        PlistError::LimitExceeded { what, limit } => MbFileError::TooMuch { what, limit },
        PlistError::Malformed { what, offset } => MbFileError::Malformed { what, offset },
        _ => MbFileError::NotBinary,
    }
}
