//! Bare loops over the crates, which is what a job cannot do without. Each runs in a process of its
//! own, as the command does that it is beside: `--floor NAME ARGUMENTS`.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use aes::cipher::{Array, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use bkp_crypto::{KdfParams, Passphrase, Pbkdf2, SealOptions, Sealing};
use sha1::{Digest as _, Sha1};

use crate::place::{PASSWORD, each_file};

const BUFFER: usize = 256 << 10;
type Encryptor = cbc::Encryptor<aes::Aes256Enc>;
type Decryptor = cbc::Decryptor<aes::Aes256Dec>;

/// Runs one of them.
pub(crate) fn run(args: &[String]) {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match args.as_slice() {
        ["crate-key", rounds] => crate_key(number(rounds)),
        ["key", rounds] => key(number(rounds)),
        ["seal-key"] => seal_key(),
        ["cycles", cycles] => count(number(cycles)),
        ["digest", folder, bytes] => digest(folder.as_ref(), number(bytes)),
        ["decrypt", folder] => decrypt(folder.as_ref()),
        ["encrypt", from, to, list] => streams(false, from.as_ref(), to.as_ref(), list.as_ref()),
        ["recrypt", from, to, list] => streams(true, from.as_ref(), to.as_ref(), list.as_ref()),
        args => panic!("no such floor: {args:?}"),
    }
}

/// Derives a key as a backup of so many rounds does, with the crate.
fn crate_key(rounds: u64) {
    let rounds = u32::try_from(rounds).expect("few rounds");
    let (mut outer, mut key) = ([0; 32], [0; 32]);
    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(PASSWORD.as_bytes(), &[7; 20], rounds, &mut outer);
    pbkdf2::pbkdf2_hmac::<Sha1>(&outer, &[8; 20], 10_000, &mut key);
    black_box(key);
}

/// Derives a key as a backup of so many rounds does, with our kernel and nothing else.
fn key(rounds: u64) {
    let stage = |salt, rounds| {
        let rounds = u32::try_from(rounds).ok().and_then(NonZeroU32::new).expect("few rounds");
        Pbkdf2 { salt: vec![salt; 20], rounds }
    };
    let kdf = KdfParams { outer: Some(stage(7, rounds)), inner: stage(8, 10_000) };
    let passphrase = Passphrase::new(PASSWORD.to_owned().into());
    black_box(kdf.derive(&passphrase, &mut |_| ControlFlow::Continue(())).expect("a key"));
}

/// Derives the key of a sealed archive.
fn seal_key() {
    let passphrase = Passphrase::new(PASSWORD.to_owned().into());
    let go = &mut |_| ControlFlow::Continue(());
    black_box(Sealing::with_passphrase(&passphrase, SealOptions::default(), go).expect("a key"));
}

/// Takes so many cycles of the processor: a chain of multiplications, three cycles each.
fn count(cycles: u64) {
    let mut x = black_box(3_u64);
    for _ in 0..cycles / 3 {
        x = x.wrapping_mul(x);
    }
    black_box(x);
}

/// Reads and hashes files until so many bytes are done.
fn digest(folder: &Path, bytes: u64) {
    let mut hash = Sha1::new();
    read(folder, bytes, &mut |piece| hash.update(&*piece));
    black_box(hash.finalize());
}

/// Reads, hashes and decrypts all files, one after another.
fn decrypt(folder: &Path) {
    let mut hash = Sha1::new();
    let mut cipher = Decryptor::new(&Array::from([9; 32]), &Array::default());
    read(folder, u64::MAX, &mut |piece| {
        hash.update(&*piece);
        cipher.decrypt_blocks(Array::slice_as_chunks_mut(piece).0);
    });
    black_box(hash.finalize());
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

/// A payload, and whether its row carries a digest.
struct Blob {
    name: PathBuf,
    len: u64,
    hashed: bool,
}

/// Writes every payload of a list under a key of its own, one stream on each core: the longest
/// first, hashed where our writer hashes it. `again` decrypts it before.
fn streams(again: bool, from: &Path, to: &Path, list: &Path) {
    let list = fs::read_to_string(list).expect("a list");
    let mut blobs: Vec<Blob> = list.lines().map(|line| Blob::new(from, line)).collect();
    blobs.sort_by_key(|blob| std::cmp::Reverse(blob.len));
    fs::create_dir(to).expect("a folder");
    for shard in 0..=255 {
        fs::create_dir(to.join(format!("{shard:02x}"))).expect("a folder");
    }
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut buffer = vec![0; BUFFER + 16];
                while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    stream(again, blob, from, to, &mut buffer);
                }
            });
        }
    });
}

impl Blob {
    /// Reads a line: an id, and 1 where there is a digest.
    fn new(from: &Path, line: &str) -> Self {
        let (id, digest) = line.split_once(' ').expect("two words");
        let name = Path::new(&id[..2]).join(id);
        let len = fs::metadata(from.join(&name)).expect("a payload").len();
        Self { name, len, hashed: digest == "1" }
    }
}

fn stream(again: bool, blob: &Blob, from: &Path, to: &Path, buffer: &mut [u8]) {
    let mut input = File::open(from.join(&blob.name)).expect("a payload");
    let mut output = File::create(to.join(&blob.name)).expect("a new file");
    let mut cipher =
        Encryptor::new(&Array::from([blob.len.to_le_bytes()[0]; 32]), &Array::default());
    let mut before = again.then(|| Decryptor::new(&Array::from([9; 32]), &Array::default()));
    let mut hash = blob.hashed.then(Sha1::new);
    loop {
        let mut filled = 0;
        while filled < BUFFER {
            match input.read(&mut buffer[filled..BUFFER]).expect("bytes") {
                0 => break,
                n => filled += n,
            }
        }
        let last = filled < BUFFER;
        // Padding is there already where there was ciphertext.
        if last && !again {
            let padding = 16 - filled % 16;
            buffer[filled..filled + padding].fill(u8::try_from(padding).expect("at most 16"));
            filled += padding;
        }
        let piece = &mut buffer[..filled];
        if let Some(cipher) = &mut before {
            cipher.decrypt_blocks(Array::slice_as_chunks_mut(piece).0);
        }
        cipher.encrypt_blocks(Array::slice_as_chunks_mut(piece).0);
        if let Some(hash) = &mut hash {
            hash.update(&*piece);
        }
        output.write_all(piece).expect("bytes are written");
        if last {
            break;
        }
    }
    black_box(hash.map(Sha1::finalize));
}
