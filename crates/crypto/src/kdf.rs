//! From a passphrase to a key: PBKDF2 with HMAC (RFC 8018, RFC 2104), once or twice.
//!
//! ```text
//! HMAC(K, m)  = H((K ^ opad) || H((K ^ ipad) || m))
//! U1          = HMAC(P, salt || INT(i))        Uj = HMAC(P, Uj-1)
//! block i     = U1 ^ U2 ^ ... ^ Urounds
//! ```
//!
//! The loop is our own because the user waits for it on every open. Both halves of HMAC start
//! with one block that depends on the passphrase alone, so their states are computed once. What
//! is left of a round is two compressions, each of one block of which only the digest changes. For
//! SHA-256, which has nearly all rounds, `bkp-kernels` does them.

use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::slice;

use bkp_kernels::HmacSha256Kernel;
use sha1::block_api::compress as compress_sha1;
use sha2::block_api::compress256;
use zeroize::Zeroizing;

use crate::error::{Cancelled, RandomError};
use crate::random::SystemRandom;
use crate::secret::{Key as _, Passphrase, PassphraseKey};

/// The most PBKDF2 rounds, both stages together, that are worth doing without being asked.
///
/// Devices ask for 10,010,000. A keybag can ask for 2^33, which is minutes.
pub const DEFAULT_KDF_LIMIT: u64 = 50_000_000;

/// Rounds between two calls of the progress callback.
const STRIDE: u32 = 50_000;

/// The bytes of a compression block, in SHA-1 and in SHA-256.
const BLOCK: usize = 64;

/// The salts and work factors of a keybag. Source: FORMAT.md 3.1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KdfParams {
    /// `DPSL` and `DPIC`: PBKDF2-HMAC-SHA256, done first.
    ///
    /// Absent before iOS 10.2 and in unencrypted backups; its presence, and not a version
    /// number, decides.
    pub outer: Option<Pbkdf2>,
    /// `SALT` and `ITER`: PBKDF2-HMAC-SHA1 of what the first stage gave, or of the passphrase.
    pub inner: Pbkdf2,
}

/// One pass of PBKDF2.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pbkdf2 {
    /// The salt.
    pub salt: Vec<u8>,
    /// The rounds.
    pub rounds: NonZeroU32,
}

/// How far a derivation is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KdfProgress {
    /// The rounds done, in both stages together.
    pub done: u64,
    /// The rounds to do, in both stages together.
    pub total: u64,
}

/// Receives progress, and stops the derivation by returning [`ControlFlow::Break`].
pub type OnProgress<'a> = &'a mut dyn FnMut(KdfProgress) -> ControlFlow<()>;

impl KdfParams {
    /// The `ITER` of every keybag that a device writes. Source: FORMAT.md 3.
    pub const DEVICE_ROUNDS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();

    /// The `DPIC` of encrypted backups from iOS 10.2 on. Source: FORMAT.md 3.
    pub const DEVICE_OUTER_ROUNDS: NonZeroU32 = NonZeroU32::new(10_000_000).unwrap();

    /// The bytes of a salt that a device writes.
    const FRESH_SALT: usize = 20;

    /// Makes new salts of random bytes, for the given work factors.
    ///
    /// `outer` is the first stage, which only encrypted backups from iOS 10.2 on have.
    ///
    /// # Errors
    ///
    /// Fails when the system has no random bytes to give.
    pub fn fresh(inner: NonZeroU32, outer: Option<NonZeroU32>) -> Result<Self, RandomError> {
        let stage = |rounds| {
            let salt = SystemRandom::bytes::<{ Self::FRESH_SALT }>()?.to_vec();
            Ok(Pbkdf2 { salt, rounds })
        };
        Ok(Self { outer: outer.map(stage).transpose()?, inner: stage(inner)? })
    }

    /// Returns the rounds both stages ask for together, to be held against a limit.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        let outer = self.outer.as_ref().map_or(0, |outer| outer.rounds.get());
        u64::from(outer) + u64::from(self.inner.rounds.get())
    }

    /// Derives the key that unwraps the class keys.
    ///
    /// `progress` is called at the start, then after every 50,000 rounds or sooner, and at the
    /// end. There is no limit here: [`rounds`](Self::rounds) is to be checked before.
    ///
    /// # Errors
    ///
    /// Fails when `progress` asks to stop.
    pub fn derive(
        &self,
        passphrase: &Passphrase,
        progress: OnProgress<'_>,
    ) -> Result<PassphraseKey, Cancelled> {
        let Self { outer, inner } = self;
        let mut meter = Meter { done: 0, total: self.rounds(), progress };
        meter.advance(0)?;
        let mut stretched = Zeroizing::new([0; 32]);
        let secret = match outer {
            Some(Pbkdf2 { salt, rounds }) => {
                // The output is one block of SHA-256.
                pbkdf2::<Sha256, 8>(
                    passphrase.expose(),
                    salt,
                    *rounds,
                    &mut *stretched,
                    &mut |n| meter.advance(u64::from(n)),
                )?;
                &stretched[..]
            }
            None => passphrase.expose(),
        };
        PassphraseKey::try_init(|key| {
            // The output is two blocks of SHA-1, each of which costs all rounds.
            let mut halves = 0_u64;
            pbkdf2::<Sha1, 5>(secret, &inner.salt, inner.rounds, key, &mut |n| {
                let before = halves / 2;
                halves += u64::from(n);
                meter.advance(halves / 2 - before)
            })
        })
    }
}

/// Derives thirty-two bytes by one pass of PBKDF2-HMAC-SHA256.
pub(crate) fn pbkdf2_sha256(
    passphrase: &Passphrase,
    salt: &[u8],
    rounds: NonZeroU32,
    out: &mut [u8; 32],
    progress: OnProgress<'_>,
) -> Result<(), Cancelled> {
    let mut meter = Meter { done: 0, total: u64::from(rounds.get()), progress };
    meter.advance(0)?;
    let tick = &mut |n| meter.advance(u64::from(n));
    pbkdf2::<Sha256, 8>(passphrase.expose(), salt, rounds, out, tick)
}

/// Counts rounds for the caller.
struct Meter<'a> {
    done: u64,
    total: u64,
    progress: OnProgress<'a>,
}

impl Meter<'_> {
    fn advance(&mut self, rounds: u64) -> Result<(), Cancelled> {
        self.done += rounds;
        match (self.progress)(KdfProgress { done: self.done, total: self.total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Cancelled),
        }
    }
}

/// A hash of the SHA-1 and SHA-2 family with a 64-byte block and a state of `W` words, all of
/// which are its digest.
trait Compress<const W: usize> {
    /// The state before the first block.
    const START: [u32; W];

    /// Takes blocks into the state.
    fn compress(state: &mut [u32; W], blocks: &[[u8; BLOCK]]);

    /// Does rounds of which `last` is the digest before and after, and `sum` takes each.
    fn hmac_rounds(
        inner: &[u32; W],
        outer: &[u32; W],
        last: &mut [u32; W],
        sum: &mut [u32; W],
        rounds: u32,
    );
}

/// SHA-1, FIPS 180-4.
struct Sha1;

impl Compress<5> for Sha1 {
    const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

    fn compress(state: &mut [u32; 5], blocks: &[[u8; BLOCK]]) {
        compress_sha1(state, blocks);
    }

    fn hmac_rounds(
        inner: &[u32; 5],
        outer: &[u32; 5],
        last: &mut [u32; 5],
        sum: &mut [u32; 5],
        rounds: u32,
    ) {
        // Both hashes of a round take the same block but for the digest: padding, then the
        // length in bits of the first block and the digest.
        let mut message = Zeroizing::new([0; BLOCK]);
        message[20] = 0x80;
        message[BLOCK - 8..].copy_from_slice(&bits(BLOCK + 20));
        let mut state = Zeroizing::new(*last);
        for _ in 0..rounds {
            put(&mut message, &state);
            *state = *inner;
            compress_sha1(&mut state, slice::from_ref(&*message));
            put(&mut message, &state);
            *state = *outer;
            compress_sha1(&mut state, slice::from_ref(&*message));
            for (sum, word) in sum.iter_mut().zip(state.iter()) {
                *sum ^= word;
            }
        }
        *last = *state;
    }
}

/// SHA-256, FIPS 180-4.
struct Sha256;

impl Compress<8> for Sha256 {
    const START: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    fn compress(state: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
        compress256(state, blocks);
    }

    fn hmac_rounds(
        inner: &[u32; 8],
        outer: &[u32; 8],
        last: &mut [u32; 8],
        sum: &mut [u32; 8],
        rounds: u32,
    ) {
        HmacSha256Kernel::detect().rounds(inner, outer, last, sum, rounds);
    }
}

/// Fills `out` with PBKDF2-HMAC of hash `H`.
///
/// `tick` is told of rounds as they are done, at most [`STRIDE`] at a time; every block of `out`
/// costs all rounds.
fn pbkdf2<H: Compress<W>, const W: usize>(
    secret: &[u8],
    salt: &[u8],
    rounds: NonZeroU32,
    out: &mut [u8],
    tick: &mut dyn FnMut(u32) -> Result<(), Cancelled>,
) -> Result<(), Cancelled> {
    let hmac = Hmac::<H, W>::new(secret);
    let mut salted = Vec::with_capacity(salt.len() + 4);
    for (index, chunk) in (1_u32..).zip(out.chunks_mut(4 * W)) {
        salted.clear();
        salted.extend_from_slice(salt);
        salted.extend_from_slice(&index.to_be_bytes());
        let mut block = hmac.first_round(&salted);
        tick(1)?;
        let mut left = rounds.get() - 1;
        while left > 0 {
            let now = left.min(STRIDE);
            hmac.more_rounds(&mut block, now);
            left -= now;
            tick(now)?;
        }
        for (to, word) in chunk.chunks_mut(4).zip(block.sum.iter()) {
            to.copy_from_slice(&word.to_be_bytes()[..to.len()]);
        }
    }
    Ok(())
}

/// One block of PBKDF2's output on its way.
struct Block<const W: usize> {
    /// `Uj` of the last round done.
    last: Zeroizing<[u32; W]>,
    /// `U1 ^ ... ^ Uj`.
    sum: Zeroizing<[u32; W]>,
}

/// The states of HMAC's two hashes after the block that holds the secret.
struct Hmac<H, const W: usize> {
    inner: Zeroizing<[u32; W]>,
    outer: Zeroizing<[u32; W]>,
    hash: PhantomData<H>,
}

impl<H: Compress<W>, const W: usize> Hmac<H, W> {
    fn new(secret: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        if secret.len() > BLOCK {
            put(&mut key, &finish::<H, W>(H::START, 0, secret));
        } else {
            key[..secret.len()].copy_from_slice(secret);
        }
        let state_after = |pad: u8| {
            let block = Zeroizing::new(key.map(|byte| byte ^ pad));
            let mut state = Zeroizing::new(H::START);
            H::compress(&mut state, slice::from_ref(&*block));
            state
        };
        Self { inner: state_after(0x36), outer: state_after(0x5c), hash: PhantomData }
    }

    /// Does the first round, whose message is as long as the salt.
    fn first_round(&self, salted: &[u8]) -> Block<W> {
        let inner = finish::<H, W>(*self.inner, BLOCK, salted);
        let mut digest = Zeroizing::new([0; BLOCK]);
        put(&mut digest, &inner);
        let last = finish::<H, W>(*self.outer, BLOCK, &digest[..4 * W]);
        Block { sum: last.clone(), last }
    }

    /// Does `rounds` more rounds, all messages of which are one digest long.
    fn more_rounds(&self, block: &mut Block<W>, rounds: u32) {
        let Block { last, sum } = block;
        H::hmac_rounds(&self.inner, &self.outer, last, sum, rounds);
    }
}

/// Writes a digest at the start of a block.
#[inline(always)]
fn put<const W: usize>(block: &mut [u8; BLOCK], digest: &[u32; W]) {
    for (to, word) in block.as_chunks_mut::<4>().0.iter_mut().zip(digest) {
        *to = word.to_be_bytes();
    }
}

/// Ends a hash whose first `before` bytes, whole blocks, are in `state` already.
fn finish<H: Compress<W>, const W: usize>(
    state: [u32; W],
    before: usize,
    message: &[u8],
) -> Zeroizing<[u32; W]> {
    let mut state = Zeroizing::new(state);
    let (blocks, rest) = message.as_chunks::<BLOCK>();
    H::compress(&mut state, blocks);
    // One block more, or two where the padding and the length do not fit behind the rest.
    let mut tail = Zeroizing::new([[0; BLOCK]; 2]);
    let ends = if rest.len() < BLOCK - 8 { 1 } else { 2 };
    tail[0][..rest.len()].copy_from_slice(rest);
    tail[0][rest.len()] = 0x80;
    tail[ends - 1][BLOCK - 8..].copy_from_slice(&bits(before + message.len()));
    H::compress(&mut state, &tail[..ends]);
    state
}

/// Returns a length in bits as a hash's last block carries it.
fn bits(bytes: usize) -> [u8; 8] {
    (bytes as u64 * 8).to_be_bytes()
}

#[cfg(test)]
mod tests;
