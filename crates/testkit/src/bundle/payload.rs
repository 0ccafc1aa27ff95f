//! The payload of a regular file: encrypted as a device does it, damaged as the spec says.

use std::io;

use sha1::{Digest as _, Sha1};

use super::{Writer, invalid};
use crate::Seed;
use crate::cipher::{cbc_encrypt, wrap_key};
use crate::entry::{Content, DigestRule, EntrySpec, FileKeyRule, Stored};
use crate::mbfile::DigestForm;

/// A regular file as it is stored.
#[derive(Default)]
pub(super) struct Payload {
    pub(super) content: Vec<u8>,
    /// What belongs on the disk; `None` for nothing.
    pub(super) blob: Option<Vec<u8>>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) digest: Option<(Vec<u8>, DigestForm)>,
    pub(super) intact: bool,
}

impl Writer<'_> {
    /// Encrypts a file's content and damages it as the spec says.
    pub(super) fn payload(
        &self,
        entry: &EntrySpec,
        content: &Content,
        class: u8,
        domain_has_digests: bool,
    ) -> io::Result<Payload> {
        let seed = Seed(self.spec.seed);
        let label = |what: &str| [what.as_bytes(), &entry.domain, b"-", &entry.path].concat();
        let content = match content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Noise(len) => seed.noise(label("content "), *len),
        };
        let padded = !matches!(entry.stored, Stored::Unpadded);
        let (right, key, key_is_right) = match (&self.spec.encryption, &entry.key) {
            (None, _) | (_, FileKeyRule::Omitted) => (content.clone(), None, true),
            (Some(_), rule) => {
                if !padded && content.len() % 16 != 0 {
                    return Err(invalid("only whole blocks can go without padding"));
                }
                let file_key = seed.bytes(label("file key "));
                let blob = cbc_encrypt(&file_key, &content, padded);
                match rule {
                    FileKeyRule::Bytes(bytes) => (blob, Some(bytes.clone()), false),
                    _ => (blob, Some(self.wrap(class.into(), &file_key)?), true),
                }
            }
        };
        let as_stored = if matches!(entry.stored, Stored::Empty) { &[][..] } else { &right[..] };
        let digest = match &entry.digest {
            DigestRule::Device if domain_has_digests => {
                Some((Sha1::digest(as_stored).to_vec(), DigestForm::Reference))
            }
            DigestRule::Device | DigestRule::Omitted => None,
            DigestRule::Present(form) => Some((Sha1::digest(as_stored).to_vec(), *form)),
            DigestRule::Bytes(bytes) => Some((bytes.clone(), DigestForm::Reference)),
        };
        let blob = match &entry.stored {
            Stored::Device | Stored::Unpadded => Some(right.clone()),
            Stored::Missing => None,
            Stored::Empty => Some(Vec::new()),
            Stored::CutTo(len) => Some(right[..right.len().min(*len)].to_vec()),
            Stored::Flipped(at) => {
                let mut blob = right.clone();
                *blob.get_mut(*at).ok_or_else(|| invalid("no such byte to flip"))? ^= 1;
                Some(blob)
            }
            Stored::Bytes(bytes) => Some(bytes.clone()),
        };
        // A blob of no bytes is a right form of an empty file (FORMAT.md 2.6).
        let empty = blob.as_ref().is_some_and(Vec::is_empty) && content.is_empty();
        let intact = key_is_right && (empty || blob.as_ref() == Some(&right));
        Ok(Payload { content, blob, key, digest, intact })
    }

    /// Wraps a key and puts its class before it, little-endian (FORMAT.md 3.2).
    pub(super) fn wrap(&self, class: u32, key: &[u8; 32]) -> io::Result<Vec<u8>> {
        let class_key =
            self.filled.class_keys.get(&class).ok_or_else(|| invalid("no such class"))?;
        let mut out = class.to_le_bytes().to_vec();
        out.extend(wrap_key(class_key, key));
        Ok(out)
    }
}
