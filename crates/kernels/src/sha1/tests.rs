//! Every kernel that works here, beside FIPS 180 and the `sha1` crate.

use ::sha1::{Digest as _, Sha1};

use super::{Sha1Kernel, Sha1Piece, Sha1Stream};
use crate::testing::Random;

/// Hashes whole messages in calls of at most `step` bytes a stream.
fn hash(kernel: Sha1Kernel, messages: &[Vec<u8>], step: usize, mark_last: bool) -> Vec<[u8; 20]> {
    let mut streams = vec![Sha1Stream::new(); messages.len()];
    let longest = messages.iter().map(Vec::len).max().unwrap_or(0);
    for at in (0..longest.max(1)).step_by(step) {
        let mut pieces: Vec<_> = streams
            .iter_mut()
            .zip(messages)
            // The first call has them all, and later ones those that are not at their end.
            .filter(|(_, message)| at == 0 || at < message.len())
            .map(|(stream, message)| {
                let end = message.len().min(at + step);
                let last = mark_last && end == message.len();
                Sha1Piece { stream, bytes: &message[at.min(end)..end], last }
            })
            .collect();
        kernel.update(&mut pieces);
    }
    streams.into_iter().map(Sha1Stream::finish).collect()
}

/// FIPS 180-1, appendices A and B, and the digest of nothing.
#[test]
fn published_digests() {
    let messages = [&b""[..], b"abc", b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"];
    let known: [[u32; 5]; 3] = [
        [0xda39_a3ee, 0x5e6b_4b0d, 0x3255_bfef, 0x9560_1890, 0xafd8_0709],
        [0xa999_3e36, 0x4706_816a, 0xba3e_2571, 0x7850_c26c, 0x9cd0_d89d],
        [0x8498_3e44, 0x1c3b_d26e, 0xbaae_4aa1, 0xf951_29e5, 0xe546_70f1],
    ];
    // Each in every lane, whichever the others are.
    for rotation in 0..3 {
        let order: Vec<_> = (0..48).map(|n| (n + rotation) % 3).collect();
        let input: Vec<_> = order.iter().map(|&n| messages[n].to_vec()).collect();
        for kernel in Sha1Kernel::all() {
            for mark_last in [true, false] {
                let digests = hash(kernel, &input, 64, mark_last);
                for (&n, digest) in order.iter().zip(digests) {
                    assert_eq!(
                        digest.to_vec(),
                        known[n].map(u32::to_be_bytes).concat(),
                        "{kernel:?}"
                    );
                }
            }
        }
    }
}

fn compare(messages: &[Vec<u8>], step: usize) {
    let theirs: Vec<[u8; 20]> = messages.iter().map(|m| Sha1::digest(m).into()).collect();
    for kernel in Sha1Kernel::all() {
        for mark_last in [true, false] {
            let ours = hash(kernel, messages, step, mark_last);
            assert_eq!(ours, theirs, "{kernel:?}, {} streams by {step}", messages.len());
        }
    }
}

/// Every length around the edges of a block, and all of them together.
#[test]
fn every_length_has_its_padding() {
    let mut random = Random::new(4);
    let messages: Vec<_> = (0..=260).map(|len| random.bytes(len)).collect();
    for step in [1, 7, 63, 64, 65, 128, 1000] {
        compare(&messages, step);
    }
}

/// Any number of streams, so that each number of lanes is busy, of lengths that differ wildly.
#[test]
fn agrees_with_the_sha1_crate() {
    let mut random = Random::new(5);
    for count in 0..=40 {
        let messages: Vec<_> = (0..count)
            .map(|_| {
                let limit = [1, 100, 1_000, 20_000][random.below(4)];
                let len = random.below(limit);
                random.bytes(len)
            })
            .collect();
        let step = 1 + random.below(9_000);
        compare(&messages, step);
    }
}

/// Streams that take the place of others as they end: nothing is taken twice or left out, and a
/// call leaves less than a lane's worth of streams behind.
#[test]
fn lanes_are_kept_busy() {
    let mut random = Random::new(7);
    for kernel in Sha1Kernel::all() {
        for at_once in [1, 3, 15, 16, 17, 24, 40] {
            let messages: Vec<_> = (0..100)
                .map(|_| {
                    let limit = [1, 70, 1_000, 20_000][random.below(4)];
                    let len = random.below(limit);
                    random.bytes(len)
                })
                .collect();
            let step = 1 + random.below(5_000);
            let mut digests = vec![None; messages.len()];
            // Which message, where its piece starts and ends, and its stream.
            let mut open: Vec<(usize, usize, usize, Sha1Stream)> = Vec::new();
            let mut next = 0;
            loop {
                while open.len() < at_once && next < messages.len() {
                    open.push((next, 0, 0, Sha1Stream::new()));
                    next += 1;
                }
                if open.is_empty() {
                    break;
                }
                for (n, start, end, _) in &mut open {
                    if start == end {
                        *end = messages[*n].len().min(*end + step);
                    }
                }
                let mut pieces: Vec<_> = open
                    .iter_mut()
                    .map(|(n, start, end, stream)| {
                        let last = *end == messages[*n].len();
                        Sha1Piece { stream, bytes: &messages[*n][*start..*end], last }
                    })
                    .collect();
                kernel.advance(&mut pieces);
                let left: Vec<_> = pieces.iter().map(|piece| piece.bytes.len()).collect();
                let waiting = left.iter().filter(|&&left| left > 0).count();
                assert!(waiting < kernel.lanes().min(left.len()), "{kernel:?}");
                for ((_, start, end, _), left) in open.iter_mut().zip(left) {
                    *start = *end - left;
                }
                let ended =
                    |&mut (n, start, ..): &mut (usize, usize, _, _)| start == messages[n].len();
                for (n, _, _, stream) in open.extract_if(.., ended) {
                    digests[n] = Some(stream.finish());
                }
            }
            for (message, digest) in messages.iter().zip(digests) {
                let theirs: [u8; 20] = Sha1::digest(message).into();
                assert_eq!(digest, Some(theirs), "{kernel:?} {at_once} by {step}");
            }
        }
    }
}

/// One bit of one lane changes the digest of that lane and of no other.
#[test]
fn lanes_do_not_touch() {
    let mut random = Random::new(6);
    let messages: Vec<_> = (0..16).map(|_| random.bytes(640)).collect();
    for kernel in Sha1Kernel::all() {
        let before = hash(kernel, &messages, 640, true);
        for lane in 0..16 {
            let mut changed = messages.clone();
            changed[lane][random.below(640)] ^= 1 << random.below(8);
            let after = hash(kernel, &changed, 640, true);
            for other in 0..16 {
                assert_eq!(before[other] == after[other], other != lane, "{kernel:?}");
            }
        }
    }
}
