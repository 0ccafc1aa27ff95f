//! What the tests of this crate share: hexadecimal, published vectors, random bytes.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use aes::cipher::{Array, BlockModeEncrypt as _, KeyIvInit as _};
use serde_json::Value;

/// Spells bytes in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads hexadecimal digits of either case.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of digits");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Reads thirty-two bytes.
pub(crate) fn unhex32(text: &str) -> [u8; 32] {
    unhex(text).try_into().unwrap()
}

/// Returns a file of published vectors, or says that the test is skipped.
pub(crate) fn vectors(name: &str) -> Option<Value> {
    let Some(root) = std::env::var_os("BKP_SHARED_DATA") else {
        println!("skipped: BKP_SHARED_DATA is not set, so there is no vectors/{name}");
        return None;
    };
    let path = PathBuf::from(root).join("vectors").join(name);
    Some(serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
}

/// Returns the string of a field.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

/// Returns the bytes a field spells.
pub(crate) fn bytes(value: &Value, field: &str) -> Vec<u8> {
    unhex(text(value, field))
}

/// Returns the tests of a Wycheproof file, each with its group.
pub(crate) fn wycheproof(file: &Value) -> Vec<(&Value, &Value)> {
    let groups = file["testGroups"].as_array().unwrap();
    let tests: Vec<_> = groups
        .iter()
        .flat_map(|group| group["tests"].as_array().unwrap().iter().map(move |test| (group, test)))
        .collect();
    assert_eq!(Some(tests.len() as u64), file["numberOfTests"].as_u64());
    tests
}

/// A small generator of the same numbers on every run (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}

/// Writes tag-length-value items as a keybag has them.
pub(crate) fn items<'a>(items: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (tag, value) in items {
        assert_eq!(tag.len(), 4);
        bytes.extend_from_slice(tag.as_bytes());
        bytes.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

/// Does nothing with progress.
pub(crate) fn silent(_: crate::KdfProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Encrypts as a payload is, padded or, when whole blocks are given, not.
pub(crate) fn encrypt(key: &[u8; 32], iv: &[u8; 16], plain: &[u8], pad: bool) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    if pad {
        let n = 16 - plain.len() % 16;
        bytes.resize(plain.len() + n, u8::try_from(n).unwrap());
    }
    assert!(bytes.len().is_multiple_of(16));
    let mut cipher = cbc::Encryptor::<aes::Aes256Enc>::new(key.into(), iv.into());
    cipher.encrypt_blocks(Array::slice_as_chunks_mut(&mut bytes).0);
    bytes
}
