//! Every kernel that works here, beside the crate it replaces, in one run.
//!
//! ```text
//! cargo bench -p bkp-kernels                 all of them
//! cargo bench -p bkp-kernels -- --quick      roughly
//! cargo bench -p bkp-kernels -- sha1         those of this name
//! ```
//!
//! Sixteen streams of one length each. Long ones are one megabyte again and again, so that memory
//! is not what is measured. Only the ratios of one run mean anything.

#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use aes::Aes256Enc;
use aes::cipher::{Array, BlockModeEncrypt as _, KeyIvInit as _};
use bkp_kernels::{CbcKernel, CbcPiece, HmacSha256Kernel, Sha1Kernel, Sha1Piece, Sha1Stream};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sha1::{Digest as _, Sha1};

const STREAMS: usize = 16;
/// Bytes that one call takes of each stream.
const PIECE: usize = 32 << 10;
const LENGTHS: [(&str, usize); 3] = [("4 KiB", 4 << 10), ("1 MiB", 1 << 20), ("64 MiB", 64 << 20)];

criterion_group! {
    name = kernels;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = rounds, digests, encryption
}
criterion_main!(kernels);

/// PBKDF2's rounds, beside the crate and beside 260 cycles each: 64 `sha256rnds2` of 4 cycles and
/// what is between.
fn rounds(criterion: &mut Criterion) {
    const ROUNDS: u32 = 20_000;
    let mut group = criterion.benchmark_group("pbkdf2-hmac-sha256, 20,000 rounds");
    group.throughput(Throughput::Elements(ROUNDS.into()));
    group.bench_function("260 cycles a round", |bench| {
        bench.iter(|| {
            // A multiplication takes three cycles.
            let mut x = black_box(3_u64);
            for _ in 0..u64::from(ROUNDS) * 260 / 3 {
                x = x.wrapping_mul(x);
            }
            x
        });
    });
    group.bench_function("pbkdf2 crate", |bench| {
        bench.iter(|| {
            let mut key = [0; 32];
            pbkdf2::pbkdf2_hmac::<sha2::Sha256>(black_box(b"test"), &[7; 20], ROUNDS, &mut key);
            key
        });
    });
    for kernel in HmacSha256Kernel::all() {
        group.bench_function(kernel.name(), |bench| {
            bench.iter(|| {
                let (mut last, mut sum) = ([1; 8], [2; 8]);
                kernel.rounds(black_box(&[3; 8]), black_box(&[4; 8]), &mut last, &mut sum, ROUNDS);
                sum
            });
        });
    }
}

/// How often each stream is gone through, and the bytes of one time.
fn shape(len: usize) -> (usize, usize) {
    let buffer = len.min(1 << 20);
    (buffer, len / buffer)
}

fn bytes(len: usize) -> Throughput {
    Throughput::Bytes((STREAMS * len) as u64)
}

fn digests(criterion: &mut Criterion) {
    for (name, len) in LENGTHS {
        let mut group = criterion.benchmark_group(format!("sha1, 16 x {name}"));
        group.throughput(bytes(len));
        let (buffer, again) = shape(len);
        let data = vec![vec![7_u8; buffer]; STREAMS];
        group.bench_function("sha1 crate, one stream", |bench| {
            bench.iter(|| {
                for data in &data {
                    let mut hash = Sha1::new();
                    for _ in 0..again {
                        hash.update(data);
                    }
                    black_box(hash.finalize());
                }
            });
        });
        for kernel in Sha1Kernel::all() {
            group.bench_function(kernel.name(), |bench| {
                bench.iter(|| digest(kernel, &data, buffer, again));
            });
        }
    }
}

fn digest(kernel: Sha1Kernel, data: &[Vec<u8>], buffer: usize, again: usize) {
    let mut streams = [const { Sha1Stream::new() }; STREAMS];
    for time in 0..again {
        for at in (0..buffer).step_by(PIECE) {
            let end = buffer.min(at + PIECE);
            let last = time + 1 == again && end == buffer;
            let mut pieces: Vec<_> = streams
                .iter_mut()
                .zip(data)
                .map(|(stream, data)| Sha1Piece { stream, bytes: &data[at..end], last })
                .collect();
            kernel.update(&mut pieces);
        }
    }
    black_box(streams.map(Sha1Stream::finish));
}

fn encryption(criterion: &mut Criterion) {
    for (name, len) in LENGTHS {
        let mut group = criterion.benchmark_group(format!("aes-256-cbc encryption, 16 x {name}"));
        group.throughput(bytes(len));
        let (buffer, again) = shape(len);
        let mut data = vec![vec![[7_u8; 16]; buffer / 16]; STREAMS];
        group.bench_function("cbc crate, one stream", |bench| {
            bench.iter(|| {
                for data in &mut data {
                    let mut cipher =
                        cbc::Encryptor::<Aes256Enc>::new(&[9; 32].into(), &[0; 16].into());
                    for _ in 0..again {
                        cipher.encrypt_blocks(Array::cast_slice_from_core_mut(data));
                    }
                }
            });
        });
        for kernel in CbcKernel::all() {
            group.bench_function(kernel.name(), |bench| {
                bench.iter(|| encrypt(kernel, &mut data, buffer, again));
            });
        }
    }
}

fn encrypt(kernel: CbcKernel, data: &mut [Vec<[u8; 16]>], buffer: usize, again: usize) {
    let mut streams = [9; STREAMS].map(|key| kernel.start(&[key; 32], &[0; 16]));
    for _ in 0..again {
        for at in (0..buffer).step_by(PIECE) {
            let piece = at / 16..buffer.min(at + PIECE) / 16;
            let mut pieces: Vec<_> = streams
                .iter_mut()
                .zip(&mut *data)
                .map(|(stream, data)| CbcPiece { stream, blocks: &mut data[piece.clone()] })
                .collect();
            kernel.encrypt(&mut pieces);
        }
    }
}
