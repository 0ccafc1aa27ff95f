//! What a backup is read and written with, beside the crates that it is made of, in one run.
//!
//! ```text
//! cargo bench --bench primitives                 all of it
//! cargo bench --bench primitives -- --quick      roughly
//! cargo bench --bench primitives -- mbfile       what has this name
//! ```
//!
//! Lanes over several files are measured by `cargo bench -p bkp-kernels`. Only the ratios of one
//! run mean anything. With `BKP_SHARED_DATA` set, the rows of the real unencrypted bundle there are
//! read as well.

#![allow(missing_docs)]

#[path = "primitives/rows.rs"]
mod rows;

use std::convert::Infallible;
use std::hint::black_box;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::time::Duration;

use aes::cipher::{Array, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use aes_gcm::{AeadInOut as _, Aes256Gcm};
use aes_kw::{KeyInit as _, KwAes256};
use bkp_bundle::{MbFile, Patch, RowPatch, mbfile};
use bkp_core::ProtectionClass;
use bkp_crypto::{
    ArchiveKey, CbcReader, CbcWriter, ClassKey, FileKey, KdfParams, Passphrase, Pbkdf2,
    SealOptions, SealWriter, Sealing, WrappedFileKey, WrappedKey, decrypt_in_place,
};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use sha2::{Digest as _, Sha256};

const LENGTHS: [(&str, usize); 3] = [("4 KiB", 4 << 10), ("1 MiB", 1 << 20), ("64 MiB", 64 << 20)];
const KEY: [u8; 32] = [9; 32];

criterion_group! {
    name = primitives;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = key_derivation, hashes, decryption, encryption, sealing, key_wrap, archives
}
criterion_main!(primitives);

/// Calls `run` for each length with a group that counts its bytes.
fn by_length(
    criterion: &mut Criterion,
    name: &str,
    run: impl Fn(&mut BenchmarkGroup<'_, WallTime>, Vec<u8>),
) {
    for (length, len) in LENGTHS {
        let mut group = criterion.benchmark_group(format!("{name}, {length}"));
        group.throughput(Throughput::Bytes(len as u64));
        run(&mut group, (0..=255).cycle().take(len).collect());
    }
}

/// Both stages of a backup's key derivation, of which the second is one twentieth here.
fn key_derivation(criterion: &mut Criterion) {
    const OUTER: NonZeroU32 = NonZeroU32::new(200_000).expect("not zero");
    const INNER: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");
    let kdf = KdfParams {
        outer: Some(Pbkdf2 { salt: vec![7; 20], rounds: OUTER }),
        inner: Pbkdf2 { salt: vec![8; 20], rounds: INNER },
    };
    let passphrase = Passphrase::new("test".to_owned().into());
    let ours = || kdf.derive(&passphrase, &mut |_| ControlFlow::Continue(())).expect("a key");
    let theirs = || {
        let (mut outer, mut key) = ([0; 32], [0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(b"test", &[7; 20], OUTER.get(), &mut outer);
        pbkdf2::pbkdf2_hmac::<sha1::Sha1>(&outer, &[8; 20], INNER.get(), &mut key);
        key
    };
    assert_eq!(ours().fingerprint(), <[u8; 32]>::from(Sha256::digest(theirs())));
    let mut group = criterion.benchmark_group("key derivation, 210,000 rounds");
    group.throughput(Throughput::Elements((OUTER.get() + INNER.get()).into()));
    group.bench_function("KdfParams", |bench| bench.iter(ours));
    group.bench_function("pbkdf2 crate", |bench| bench.iter(theirs));
}

/// One stream of each hash, for which the crates are what we use.
fn hashes(criterion: &mut Criterion) {
    by_length(criterion, "one stream", |group, data| {
        group.bench_function("sha2 crate, SHA-256", |bench| bench.iter(|| Sha256::digest(&data)));
        group.bench_function("sha1 crate", |bench| bench.iter(|| sha1::Sha1::digest(&data)));
    });
}

fn file_key() -> FileKey {
    FileKey::init(|key| key.copy_from_slice(&KEY))
}

/// A payload through a reader, one that is decrypted where it is, and the crate.
fn decryption(criterion: &mut Criterion) {
    by_length(criterion, "aes-256-cbc decryption", |group, data| {
        let (key, len) = (file_key(), data.len());
        let mut piece = vec![0; 256 << 10];
        group.bench_function("CbcReader", |bench| {
            bench.iter(|| {
                let mut reader = CbcReader::new(&data[..], &key);
                while reader.read(&mut piece).expect("memory") > 0 {
                    black_box(&piece);
                }
                reader.ending()
            });
        });
        let mut whole = data;
        group.bench_function("decrypt_in_place", |bench| {
            bench.iter(|| {
                // What looks like padding was cut off the last time.
                whole.resize(len, 1);
                decrypt_in_place(&key, &mut whole)
            });
        });
        whole.resize(len, 1);
        group.bench_function("cbc crate", |bench| {
            bench.iter(|| {
                let cipher =
                    cbc::Decryptor::<aes::Aes256Dec>::new((&KEY).into(), &Array::default());
                let mut cipher = black_box(cipher);
                cipher.decrypt_blocks(Array::slice_as_chunks_mut(&mut whole).0);
            });
        });
    });
}

fn encryption(criterion: &mut Criterion) {
    by_length(criterion, "aes-256-cbc encryption, one stream", |group, mut data| {
        let key = file_key();
        group.bench_function("CbcWriter", |bench| {
            bench.iter(|| {
                let mut writer = CbcWriter::new(io::sink(), &key);
                writer.write_all(&data).expect("a sink");
                writer.finish().expect("a sink")
            });
        });
        group.bench_function("cbc crate", |bench| {
            bench.iter(|| {
                let mut cipher =
                    cbc::Encryptor::<aes::Aes256Enc>::new((&KEY).into(), &Array::default());
                cipher.encrypt_blocks(Array::slice_as_chunks_mut(&mut data).0);
            });
        });
    });
}

/// A sealed stream, on all cores, and the crate on one.
fn sealing(criterion: &mut Criterion) {
    let key = || {
        ArchiveKey::try_init(|key| {
            key.copy_from_slice(&KEY);
            Ok::<_, Infallible>(())
        })
        .expect("bytes")
    };
    by_length(criterion, "aes-256-gcm", |group, mut data| {
        group.bench_function("SealWriter, all cores", |bench| {
            bench.iter(|| {
                let sealing = Sealing::with_key_file(key(), SealOptions::default());
                let sealing = sealing.expect("usual options");
                let mut writer = SealWriter::new(io::sink(), sealing).expect("a sink");
                writer.write_all(&data).expect("a sink");
                writer.finish().expect("a sink")
            });
        });
        let cipher = Aes256Gcm::new((&KEY).into());
        group.bench_function("aes-gcm crate, 1 MiB at a time", |bench| {
            bench.iter(|| {
                for segment in data.chunks_mut(1 << 20) {
                    let nonce = [3; 12].into();
                    let tag = cipher.encrypt_inout_detached(&nonce, &[], segment.into());
                    black_box(tag.expect("a short segment"));
                }
            });
        });
    });
}

/// The key of a file, with the class key expanded once, and each time.
fn key_wrap(criterion: &mut Criterion) {
    let class = ClassKey::random().expect("random bytes");
    let wrapped = class.wrap_file(&file_key());
    let mut group = criterion.benchmark_group("aes key wrap, one file key");
    group.throughput(Throughput::Elements(1));
    let mut theirs = [0; 40];
    KwAes256::new((&KEY).into()).wrap_key(&[5; 32], &mut theirs).expect("room for a key");
    group.bench_function("ClassKey", |bench| {
        bench.iter(|| class.unwrap_file(black_box(&wrapped)).expect("a sound key"));
    });
    group.bench_function("aes-kw crate", |bench| {
        bench.iter(|| {
            let mut key = Box::new([0; 32]);
            let class = KwAes256::new((&KEY).into());
            class.unwrap_key(black_box(&theirs), &mut *key).expect("a sound key");
            key
        });
    });
}

/// MBFile blobs, read and given another key.
fn archives(criterion: &mut Criterion) {
    let made = (0..2_000).map(rows::made).collect();
    let real = rows::real();
    for (name, blobs) in [("made", Some(made)), ("real", real)] {
        let Some(blobs): Option<Vec<Vec<u8>>> = blobs else { continue };
        let mut group = criterion.benchmark_group(format!("mbfile, {} {name} rows", blobs.len()));
        group.throughput(Throughput::Elements(blobs.len() as u64));
        group.bench_function("MbFile::parse", |bench| {
            bench.iter(|| {
                for blob in &blobs {
                    black_box(MbFile::parse(black_box(blob)).expect("a sound blob"));
                }
            });
        });
        group.bench_function("plist crate, read", |bench| {
            bench.iter(|| {
                for blob in &blobs {
                    black_box(rows::read(black_box(blob)));
                }
            });
        });
        let key = WrappedKey::from_bytes([1; 40]);
        let key = Patch::Set(WrappedFileKey { class: ProtectionClass(3), key });
        let patch = RowPatch { key, digest: Patch::Set([2; 20]), ..RowPatch::default() };
        group.bench_function("mbfile::patch", |bench| {
            bench.iter(|| {
                for blob in &blobs {
                    black_box(mbfile::patch(black_box(blob), &patch).expect("a sound blob"));
                }
            });
        });
        group.bench_function("plist crate, read and written", |bench| {
            bench.iter(|| {
                for blob in &blobs {
                    black_box(rows::write(&rows::read(black_box(blob))));
                }
            });
        });
    }
}
