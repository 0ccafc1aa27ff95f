//! What opening a backup and reading its payloads cost, beside the crates they are made of.
//!
//! Figures are processor time of this thread, since other work on the machine must not count.
//! Only the ratios of one run mean anything.
//!
//! ```text
//! cargo bench --bench kdf [kdf | cbc | wrap]
//! ```

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may fail")]

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::time::Instant;

use aes::cipher::{Array, BlockModeDecrypt as _, KeyIvInit as _};
use aes_kw::{KeyInit as _, KwAes256};
use bkp_core::ProtectionClass;
use bkp_crypto::{
    CbcReader, FileKey, KdfParams, Keybag, Passphrase, Pbkdf2, WrappedKey, decrypt_in_place,
};

const MIB: usize = 1 << 20;

fn main() {
    // Cargo passes `--bench`.
    let chosen: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let runs = |name: &str| chosen.is_empty() || chosen.iter().any(|c| c == name);
    if runs("kdf") {
        key_derivation();
    }
    if runs("cbc") {
        payloads();
    }
    if runs("wrap") {
        file_keys();
    }
}

/// Returns the seconds of processor time this thread has had, or of wall time where the system
/// does not tell. It is accurate to some milliseconds, so what is timed takes a good part of a
/// second.
fn seconds(start: Instant) -> f64 {
    fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|stat| stat.split(' ').next()?.parse::<f64>().ok())
        .map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

/// Runs each contender in turn and returns the best time of each.
fn race<const N: usize>(times: usize, mut contenders: [&mut dyn FnMut(); N]) -> [f64; N] {
    let start = Instant::now();
    let mut best = [f64::INFINITY; N];
    for _ in 0..times {
        for (best, run) in best.iter_mut().zip(&mut contenders) {
            let before = seconds(start);
            run();
            *best = best.min(seconds(start) - before);
        }
    }
    best
}

/// Ten million rounds, as every encrypted backup since iOS 10.2 asks for.
///
/// This workspace builds `sha2` so that it wipes its states, which costs the peer a sixth: it makes
/// two hashers a round and ours makes none. Take 0.77, measured without that, for the gain of the safe
/// loop.
///
/// The floor is what the instructions allow: a round is a chain of 64 `sha256rnds2` of 4 cycles, and
/// of 2 times 2 cycles between them. A chain of multiplications, 3 cycles each, tells how long that is.
fn key_derivation() {
    const ROUNDS: NonZeroU32 = NonZeroU32::new(10_000_000).unwrap();
    const ONE: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
    let kdf = KdfParams {
        outer: Some(Pbkdf2 { salt: vec![7; 20], rounds: ROUNDS }),
        inner: Pbkdf2 { salt: vec![8; 20], rounds: ONE },
    };
    const FLOOR: u64 = 260;
    let mut ours = [0; 32];
    let mut theirs = [0; 32];
    let [floor, own, peer] = race(
        5,
        [
            &mut || {
                let mut x = black_box(3_u64);
                for _ in 0..u64::from(ROUNDS.get()) * FLOOR / 3 {
                    x = x.wrapping_mul(x);
                }
                black_box(x);
            },
            &mut || {
                let key = kdf
                    .derive(&Passphrase::new("hashcat".into()), &mut |_| ControlFlow::Continue(()));
                ours = key.unwrap().fingerprint();
            },
            &mut || {
                let mut outer = [0; 32];
                pbkdf2::pbkdf2_hmac::<sha2::Sha256>(b"hashcat", &[7; 20], ROUNDS.get(), &mut outer);
                pbkdf2::pbkdf2_hmac::<sha1::Sha1>(&outer, &[8; 20], ONE.get(), &mut theirs);
            },
        ],
    );
    assert_eq!(ours, <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(theirs)));
    println!(
        "kdf   10 M rounds, best of 5   ours {own:.3} s   pbkdf2 crate {peer:.3} s   ratio {:.3}   \
         {FLOOR} cycles {floor:.3} s   ratio {:.3}",
        own / peer,
        own / floor
    );
}

/// One large payload in memory, many small ones, and one that is decrypted where it is.
fn payloads() {
    let key = [9; 32];
    let file_key = FileKey::init(|k| k.copy_from_slice(&key));
    let new_cipher = || cbc::Decryptor::<aes::Aes256Dec>::new((&key).into(), &Array::default());
    let mut buffer = vec![0; 256 * 1024];
    let mut spare = vec![0; 256 * 1024];
    for (name, len, count) in [
        ("8 x 256 MiB", 256 * MIB, 8),
        ("200,000 x 8 KiB", 8192, 200_000),
        ("2 M x 256 B", 256, 2_000_000),
    ] {
        let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
        let [reader, bare] = race(
            3,
            [
                &mut || {
                    for _ in 0..count {
                        let mut reader = CbcReader::new(&payload[..], &file_key);
                        while reader.read(&mut buffer).unwrap() > 0 {
                            black_box(&buffer);
                        }
                        assert!(reader.ending().is_some());
                    }
                },
                &mut || {
                    for _ in 0..count {
                        let mut cipher = new_cipher();
                        for chunk in payload.chunks(spare.len()) {
                            let out = &mut spare[..chunk.len()];
                            out.copy_from_slice(chunk);
                            cipher.decrypt_blocks(Array::slice_as_chunks_mut(out).0);
                            black_box(&out);
                        }
                    }
                },
            ],
        );
        let rate = |seconds: f64| len as f64 * f64::from(count) / seconds / 1e9;
        println!(
            "cbc   {name:<18}  CbcReader {:.2} GB/s   bare cbc crate {:.2} GB/s   ratio {:.3}",
            rate(reader),
            rate(bare),
            reader / bare
        );
    }

    let times = 8;
    let mut whole: Vec<u8> = vec![1; 192 * MIB];
    let mut bare = whole.clone();
    let [ours, theirs] = race(
        3,
        [
            &mut || {
                for _ in 0..times {
                    whole.resize(192 * MIB, 1);
                    black_box(decrypt_in_place(&file_key, &mut whole));
                }
            },
            &mut || {
                for _ in 0..times {
                    new_cipher().decrypt_blocks(Array::slice_as_chunks_mut(&mut bare).0);
                }
            },
        ],
    );
    let rate = |seconds: f64| (192 * MIB * times) as f64 / seconds / 1e9;
    println!(
        "cbc   192 MiB in place    decrypt_in_place {:.2} GB/s   bare cbc crate {:.2} GB/s   ratio {:.3}",
        rate(ours),
        rate(theirs),
        ours / theirs
    );
}

/// The file keys of a large backup: with the class key expanded once, and each time.
fn file_keys() {
    const COUNT: u32 = 1_000_000;
    let salt = [3; 20];
    let mut passphrase_key = [0; 32];
    pbkdf2::pbkdf2_hmac::<sha1::Sha1>(b"", &salt, 1, &mut passphrase_key);
    let class_key = [4; 32];
    let wrap = |kek: &[u8; 32], key: &[u8; 32]| {
        let mut wrapped = [0; 40];
        KwAes256::new(kek.into()).wrap_key(key, &mut wrapped).unwrap();
        wrapped
    };
    let mut bag = Vec::new();
    let wrapped_class = wrap(&passphrase_key, &class_key);
    for (tag, value) in [
        (b"UUID", &[1; 16][..]),
        (b"SALT", &salt),
        (b"ITER", &[0, 0, 0, 1]),
        (b"UUID", &[2; 16]),
        (b"CLAS", &[0, 0, 0, 3]),
        (b"WRAP", &[0, 0, 0, 2]),
        (b"WPKY", &wrapped_class),
    ] {
        bag.extend_from_slice(tag);
        bag.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        bag.extend_from_slice(value);
    }
    let keys = Keybag::parse(&bag)
        .unwrap()
        .unlock(&Passphrase::empty(), 1, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    let wrapped = wrap(&class_key, &[5; 32]);
    let ours = WrappedKey::from_bytes(wrapped);
    let [kept, again] = race(
        3,
        [
            &mut || {
                for _ in 0..COUNT {
                    black_box(keys.unwrap(ProtectionClass(3), &ours).unwrap());
                }
            },
            &mut || {
                for _ in 0..COUNT {
                    let mut key = Box::new([0; 32]);
                    KwAes256::new((&class_key).into()).unwrap_key(&wrapped, &mut *key).unwrap();
                    black_box(key);
                }
            },
        ],
    );
    let each = |seconds: f64| seconds / f64::from(COUNT) * 1e9;
    println!(
        "wrap  1 M file keys   ClassKeys {:.0} ns each   aes-kw with a new schedule {:.0} ns each   ratio {:.3}",
        each(kept),
        each(again),
        kept / again
    );
}
