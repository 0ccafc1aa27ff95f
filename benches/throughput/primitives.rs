//! Bare loops over the crates, which is what a job cannot do without.

use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
use std::path::Path;

use aes::cipher::{Array, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use sha1::{Digest as _, Sha1};

use crate::bundles::each_file;

const BUFFER: usize = 256 << 10;

/// Derives a key as a backup of ten million rounds does.
pub(crate) fn derive() {
    let (mut outer, mut key) = ([0; 32], [0; 32]);
    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(b"test", &[7; 20], 10_000_000, &mut outer);
    pbkdf2::pbkdf2_hmac::<Sha1>(&outer, &[8; 20], 10_000, &mut key);
    black_box(key);
}

/// Reads and hashes files until so many bytes are done.
pub(crate) fn digest(folder: &Path, bytes: u64) {
    let mut hash = Sha1::new();
    read(folder, bytes, &mut |piece| hash.update(&*piece));
    black_box(hash.finalize());
}

/// Reads, hashes and decrypts all files, one after another.
pub(crate) fn decrypt(folder: &Path) {
    let mut hash = Sha1::new();
    let mut cipher =
        cbc::Decryptor::<aes::Aes256Dec>::new(&Array::from([9; 32]), &Array::default());
    read(folder, u64::MAX, &mut |piece| {
        hash.update(&*piece);
        cipher.decrypt_blocks(Array::slice_as_chunks_mut(piece).0);
    });
    black_box(hash.finalize());
}

/// Reads and encrypts all files, one after another: one stream on one core.
pub(crate) fn encrypt(folder: &Path) {
    let mut cipher =
        cbc::Encryptor::<aes::Aes256Enc>::new(&Array::from([9; 32]), &Array::default());
    read(folder, u64::MAX, &mut |piece| {
        cipher.encrypt_blocks(Array::slice_as_chunks_mut(piece).0);
    });
}

fn read(folder: &Path, bytes: u64, each: &mut dyn FnMut(&mut [u8])) {
    let mut buffer = vec![0; BUFFER];
    let mut left = bytes;
    each_file(folder, &mut |path| {
        if left == 0 {
            return;
        }
        let mut file = File::open(path).expect("a file");
        loop {
            let n = file.read(&mut buffer).expect("bytes");
            if n == 0 {
                return;
            }
            each(&mut buffer[..n]);
            left = left.saturating_sub(n as u64);
        }
    });
}
