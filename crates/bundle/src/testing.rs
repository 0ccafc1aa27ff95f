//! What the tests of several modules need.

use std::path::PathBuf;

/// Returns a file of the shared real bundles, or says that the test is skipped.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("BKP_SHARED_DATA") else {
        println!("skipped: BKP_SHARED_DATA is not set");
        return None;
    };
    Some(PathBuf::from(root).join(path))
}

/// A small generator of repeatable noise (xorshift64*).
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }
}

/// Lays out a binary property list from encoded objects, with references and offsets of the
/// given widths.
pub(crate) fn lay_out(objects: &[Vec<u8>], offset_size: usize, ref_size: u8, top: u64) -> Vec<u8> {
    let mut out = b"bplist00".to_vec();
    let mut table = Vec::new();
    for object in objects {
        let at = u64::try_from(out.len()).unwrap().to_be_bytes();
        table.extend_from_slice(&at[8 - offset_size..]);
        out.extend_from_slice(object);
    }
    let table_at = u64::try_from(out.len()).unwrap();
    out.extend_from_slice(&table);
    out.extend_from_slice(&[0; 6]);
    out.extend_from_slice(&[u8::try_from(offset_size).unwrap(), ref_size]);
    out.extend_from_slice(&u64::try_from(objects.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&top.to_be_bytes());
    out.extend_from_slice(&table_at.to_be_bytes());
    out
}
