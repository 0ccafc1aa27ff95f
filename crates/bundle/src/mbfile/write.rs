//! MBFile archives, written as a device writes them.
//!
//! ```text
//! $objects: "$null", root, path, target or digest, { NS.data: key }, class NSMutableData,
//!           xattrs, class MBFile            each where there is one, in this order
//! ```
//!
//! Source: FORMAT.md 2.5.

use std::borrow::Cow;

use bkp_core::{Entry, EntryKind};
use bkp_crypto::WrappedFileKey;

use crate::bplist;
use crate::plist_tree::{Node, Pair};

/// Writes the archive of an entry that no catalog has a row of yet.
///
/// The digest is taken from the argument and not from the entry, since it is of the payload as it
/// was stored now. The protection class is the entry's own, or else the key's. A mode without
/// type bits gets those of the entry's kind, and only files have a size.
///
/// `xattrs` is a binary property list of names and values, as [`MbFile`](super::MbFile) gives it.
#[must_use]
pub fn encode(
    entry: &Entry,
    key: Option<&WrappedFileKey>,
    digest: Option<&[u8; 20]>,
    xattrs: Option<&[u8]>,
) -> Vec<u8> {
    // A place is kept for the root, which comes before the objects that it refers to.
    let mut objects = vec![Node::text("$null"), Node::Null];
    let mut push = |object| {
        objects.push(object);
        uid(objects.len().saturating_sub(1))
    };
    let path = push(Node::text(entry.path.as_bytes()));
    let target = match &entry.kind {
        EntryKind::Symlink(target) => Some(push(Node::text(target))),
        _ => None,
    };
    let digest = digest.map(|digest| push(Node::Data(Cow::Borrowed(digest))));
    let wrapper = key.map(|_| push(Node::Null));
    let data_class = key.map(|_| push(mutable_data_class()));
    let xattrs = xattrs.map(|xattrs| push(Node::Data(Cow::Borrowed(xattrs))));
    let class = push(Node::dict([
        ("$classname", Node::text("MBFile")),
        ("$classes", Node::Array(vec![Node::text("MBFile"), Node::text("NSObject")])),
    ]));
    if let (Some(key), Some(Node::Uid(wrapper)), Some(class)) = (key, &wrapper, data_class) {
        put(&mut objects, *wrapper, mutable_data(key, class));
    }

    let metadata = &entry.metadata;
    let size = if entry.kind == EntryKind::File { metadata.size_hint } else { 0 };
    let protection = entry.protection.or(key.map(|key| key.class)).map_or(0, |class| class.0);
    let order = key_order(digest.is_some(), key.is_some());
    let int = |value: i64| Some(Node::Int(value.into()));
    let mut root: Vec<Pair<'_>> = [
        ("LastModified", int(metadata.modified)),
        ("Flags", int(metadata.flags.into())),
        ("ExtendedAttributes", xattrs),
        ("GroupID", int(metadata.gid.into())),
        ("Target", target),
        ("$class", Some(class)),
        ("LastStatusChange", int(metadata.changed)),
        ("RelativePath", Some(path)),
        ("Birth", int(metadata.born)),
        ("EncryptionKey", wrapper),
        ("Size", Some(Node::Int64(size.into()))),
        ("InodeNumber", Some(inode(metadata.inode))),
        ("Mode", int(mode(entry).into())),
        ("UserID", int(metadata.uid.into())),
        ("Digest", digest),
        ("ProtectionClass", int(protection.into())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((Cow::Borrowed(key.as_bytes()), value?)))
    .collect();
    root.sort_by_key(|(key, _)| place(order, key));
    put(&mut objects, 1, Node::Dict(root));
    bplist::write(&Node::dict([
        ("$version", Node::Int(100_000)),
        ("$archiver", Node::text("NSKeyedArchiver")),
        ("$top", Node::dict([("root", Node::Uid(1))])),
        ("$objects", Node::Array(objects)),
    ]))
}

/// Returns `st_mode` with type bits, whether the entry has them or not.
pub(crate) fn mode(entry: &Entry) -> u32 {
    const TYPE: u32 = 0o170_000;
    let kind = match entry.kind {
        EntryKind::Directory => 0o040_000,
        EntryKind::Symlink(_) => 0o120_000,
        _ => 0o100_000,
    };
    let mode = entry.metadata.mode;
    if mode & TYPE == 0 { mode | kind } else { mode }
}

/// Makes the value of `InodeNumber`, which is signed in an archive.
pub(super) fn inode(inode: u64) -> Node<'static> {
    Node::Int64(inode.cast_signed().into())
}

pub(super) fn uid(index: usize) -> Node<'static> {
    Node::Uid(u64::try_from(index).unwrap_or(u64::MAX))
}

/// Archives bytes as `NSMutableData`.
pub(super) fn mutable_data(key: &WrappedFileKey, class: Node<'static>) -> Node<'static> {
    Node::dict([("NS.data", Node::Data(Cow::Owned(key.to_bytes().to_vec()))), ("$class", class)])
}

/// Describes the class. Devices write its name twice.
pub(super) fn mutable_data_class() -> Node<'static> {
    Node::dict([
        ("$classname", Node::text("NSMutableData")),
        (
            "$classes",
            Node::Array(vec![
                Node::OwnText(Cow::Borrowed(b"NSMutableData")),
                Node::text("NSData"),
                Node::text("NSObject"),
            ]),
        ),
    ])
}

fn put<'a>(objects: &mut [Node<'a>], reference: u64, object: Node<'a>) {
    if let Some(slot) = usize::try_from(reference).ok().and_then(|index| objects.get_mut(index)) {
        *slot = object;
    }
}

/// Returns where a key stands in an order.
pub(super) fn place(order: &[&str], key: &[u8]) -> Option<usize> {
    order.iter().position(|name| name.as_bytes() == key)
}

/// Returns the order of the root's keys, which depends on which of two there are. Keys that a
/// device left out are skipped. Source: FORMAT.md 2.5, rule 3.
pub(super) fn key_order(digest: bool, key: bool) -> &'static [&'static str; 16] {
    const PLAIN: [&str; 16] = [
        "LastModified",
        "Flags",
        "ExtendedAttributes",
        "GroupID",
        "Target",
        "$class",
        "LastStatusChange",
        "RelativePath",
        "Birth",
        "EncryptionKey",
        "Size",
        "InodeNumber",
        "Mode",
        "UserID",
        "Digest",
        "ProtectionClass",
    ];
    const KEY: [&str; 16] = [
        "LastModified",
        "Flags",
        "ExtendedAttributes",
        "GroupID",
        "Target",
        "$class",
        "LastStatusChange",
        "RelativePath",
        "Birth",
        "EncryptionKey",
        "Size",
        "Mode",
        "UserID",
        "Digest",
        "InodeNumber",
        "ProtectionClass",
    ];
    const BOTH: [&str; 16] = [
        "LastModified",
        "ProtectionClass",
        "Flags",
        "GroupID",
        "ExtendedAttributes",
        "Target",
        "$class",
        "LastStatusChange",
        "RelativePath",
        "Birth",
        "EncryptionKey",
        "Size",
        "Mode",
        "UserID",
        "Digest",
        "InodeNumber",
    ];
    match (digest, key) {
        (_, false) => &PLAIN,
        (false, true) => &KEY,
        (true, true) => &BOTH,
    }
}
