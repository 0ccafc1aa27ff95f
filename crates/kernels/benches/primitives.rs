//! Bytes a second of every kernel that works here, beside the crate it replaces, in one run.
//!
//! ```text
//! cargo bench -p bkp-kernels
//! ```
//!
//! Sixteen streams of one length each. Only the ratios of one run mean anything; a row is the best
//! of its runs, which the contenders take in turn. Long runs are counted in processor time of this
//! thread, since other work on the machine must not count; short ones in wall time, since the
//! other is accurate to some milliseconds, and the best of many is not disturbed.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(missing_docs)]

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use aes::Aes256Enc;
use aes::cipher::{Array, BlockModeEncrypt as _, KeyIvInit as _};
use bkp_kernels::{CbcKernel, CbcPiece, HmacSha256Kernel, Sha1Kernel, Sha1Piece, Sha1Stream};
use sha1::{Digest as _, Sha1};

const STREAMS: usize = 16;
/// Bytes that one call takes of each stream.
const PIECE: usize = 32 << 10;

fn main() {
    rounds();
    for (name, len) in [("4 KiB", 4 << 10), ("1 MiB", 1 << 20), ("64 MiB", 64 << 20)] {
        // Long streams are one megabyte again and again, so that memory is not what is measured.
        digests(name, len);
        encryption(name, len);
    }
}

/// Returns the seconds of processor time this thread has had, where the system tells.
fn processor_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds / 1e9)
}

/// Runs each contender in turn and returns the best time of each in seconds.
fn race(times: usize, contenders: &mut [Box<dyn FnMut() + '_>]) -> Vec<f64> {
    let mut best = vec![f64::INFINITY; contenders.len()];
    for _ in 0..times {
        for (best, run) in best.iter_mut().zip(&mut *contenders) {
            let before = processor_time();
            let start = Instant::now();
            run();
            let mut seconds = start.elapsed().as_secs_f64();
            if seconds > 0.1
                && let (Some(before), Some(after)) = (before, processor_time())
            {
                seconds = after - before;
            }
            *best = best.min(seconds);
        }
    }
    best
}

/// PBKDF2's rounds, beside 260 cycles each: 64 `sha256rnds2` of 4 cycles and what is between.
fn rounds() {
    const ROUNDS: u32 = 20_000;
    let mut contenders: Vec<Box<dyn FnMut()>> = vec![Box::new(|| {
        // A multiplication takes three cycles.
        let mut x = black_box(3_u64);
        for _ in 0..u64::from(ROUNDS) * 260 / 3 {
            x = x.wrapping_mul(x);
        }
        black_box(x);
    })];
    for kernel in HmacSha256Kernel::all() {
        contenders.push(Box::new(move || {
            let (mut last, mut sum) = ([1; 8], [2; 8]);
            kernel.rounds(black_box(&[3; 8]), black_box(&[4; 8]), &mut last, &mut sum, ROUNDS);
            black_box(sum);
        }));
    }
    let best = race(200, &mut contenders);
    for (kernel, seconds) in HmacSha256Kernel::all().zip(best.iter().skip(1)) {
        println!(
            "hmac-sha256  {:<9} {:.3} of 260 cycles a round",
            kernel.name(),
            seconds / best[0]
        );
    }
}

/// How often each stream is gone through, and the calls of one time.
fn shape(len: usize) -> (usize, usize) {
    let buffer = len.min(1 << 20);
    (buffer, len / buffer)
}

fn digests(name: &str, len: usize) {
    let (buffer, again) = shape(len);
    let data = vec![vec![7_u8; buffer]; STREAMS];
    let mut contenders: Vec<Box<dyn FnMut()>> = vec![Box::new(|| {
        for data in &data {
            let mut hash = Sha1::new();
            for _ in 0..again {
                hash.update(data);
            }
            black_box(hash.finalize());
        }
    })];
    for kernel in Sha1Kernel::all() {
        let data = &data;
        contenders.push(Box::new(move || {
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
        }));
    }
    let best = race(times(len), &mut contenders);
    let names = Sha1Kernel::all().map(Sha1Kernel::name);
    print("sha1", name, len, "sha1 crate", &best, names);
}

fn encryption(name: &str, len: usize) {
    let (buffer, again) = shape(len);
    let mut theirs = vec![vec![[7_u8; 16]; buffer / 16]; STREAMS];
    let mut ours: Vec<_> = CbcKernel::all().map(|_| theirs.clone()).collect();
    let mut contenders: Vec<Box<dyn FnMut()>> = vec![Box::new(|| {
        for data in &mut theirs {
            let mut cipher = cbc::Encryptor::<Aes256Enc>::new(&[9; 32].into(), &[0; 16].into());
            for _ in 0..again {
                cipher.encrypt_blocks(Array::cast_slice_from_core_mut(data));
            }
        }
    })];
    for (kernel, data) in CbcKernel::all().zip(&mut ours) {
        contenders.push(Box::new(move || {
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
        }));
    }
    let best = race(times(len), &mut contenders);
    let names = CbcKernel::all().map(CbcKernel::name);
    print("cbc encrypt", name, len, "cbc crate", &best, names);
}

/// Short contests are repeated until they mean something.
fn times(len: usize) -> usize {
    if len > 1 << 20 { 2 } else { ((64 << 20) / len).min(200) }
}

#[expect(clippy::cast_precision_loss, reason = "for a person")]
fn print<'n>(
    what: &str,
    name: &str,
    len: usize,
    peer: &'n str,
    best: &[f64],
    names: impl Iterator<Item = &'n str>,
) {
    for (name_of, &seconds) in [peer].into_iter().chain(names).zip(best) {
        println!(
            "{what:<12} 16 x {name:<7} {name_of:<11} {:6.2} GB/s   {:.2} x the crate",
            (STREAMS * len) as f64 / seconds / 1e9,
            best[0] / seconds
        );
    }
}
