//! AES-256-CBC encryption of several payloads at once, each with a key of its own.
//!
//! ```text
//! C[n] = E(K, P[n] ^ C[n-1]),  C[-1] = IV        (NIST SP 800-38A 6.2)
//! ```
//!
//! One payload is a chain: each block waits for the fourteen rounds of the block before. The
//! blocks of other payloads do not, and fill the gaps. Give pieces of 32 to 64 KiB, so that all of
//! them are in the cache; a lane whose piece ends takes the next.

#[cfg(target_arch = "x86_64")]
mod aes_ni;
#[cfg(target_arch = "x86_64")]
mod vaes;

use std::fmt;
use std::mem;

use ::aes::Aes256Enc;
use ::aes::cipher::{Array, BlockModeEncrypt as _, KeyIvInit as _};
use ::cbc::Encryptor;
#[cfg(target_arch = "x86_64")]
use zeroize::Zeroizing;

#[cfg(target_arch = "x86_64")]
use crate::lanes::Lanes;

type Block = [u8; 16];

/// The keys of the rounds of AES-256. Source: FIPS 197, 5.2.
#[cfg(target_arch = "x86_64")]
type RoundKeys = [Block; ROUND_KEYS];

/// How many there are.
#[cfg(target_arch = "x86_64")]
const ROUND_KEYS: usize = 15;

/// One payload under way: its expanded key, which is wiped when dropped, and its last block.
pub struct CbcStream(State);

enum State {
    Portable(Box<Encryptor<Aes256Enc>>),
    /// Made only by a kernel that needs AES-NI, so that it proves that the processor has it.
    #[cfg(target_arch = "x86_64")]
    Expanded {
        // Boxed, so that moving it leaves no copy behind.
        keys: Box<Zeroizing<RoundKeys>>,
        chain: Block,
    },
}

impl fmt::Debug for CbcStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CbcStream([redacted])")
    }
}

/// What one payload takes in one call.
#[derive(Debug)]
pub struct CbcPiece<'p> {
    /// The payload.
    pub stream: &'p mut CbcStream,
    /// Its next blocks: plaintext before, ciphertext after.
    pub blocks: &'p mut [[u8; 16]],
}

/// One way to encrypt payloads, known to work on this processor.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct CbcKernel(Kind);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Portable,
    /// These are made only by [`CbcKernel::all`], where the processor has been asked.
    #[cfg(target_arch = "x86_64")]
    Vaes,
    #[cfg(target_arch = "x86_64")]
    AesNi,
}

impl fmt::Debug for CbcKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl CbcKernel {
    /// The `cbc` crate, one payload after the other.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// Returns every kernel that works here, the best one first.
    pub fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let fast = [
            // Keys are expanded with AES-NI for both.
            (aes_ni::detected() && vaes::detected(), Kind::Vaes),
            (aes_ni::detected(), Kind::AesNi),
        ]
        .into_iter()
        .filter(|&(detected, _)| !cfg!(feature = "force-portable") && detected)
        .map(|(_, kind)| kind);
        #[cfg(not(target_arch = "x86_64"))]
        let fast = std::iter::empty();
        fast.chain([Kind::Portable]).map(Self)
    }

    /// Returns the best kernel that works here.
    #[must_use]
    pub fn detect() -> Self {
        Self::all().next().unwrap_or(Self::PORTABLE)
    }

    /// Names what the kernel is made of.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Vaes => "VAES-512",
            #[cfg(target_arch = "x86_64")]
            Kind::AesNi => "AES-NI",
        }
    }

    /// Returns how many payloads are worked on at once. More pieces than that in one call keep the
    /// lanes busy when their lengths differ; fewer leave some idle.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self.0 {
            Kind::Portable => 1,
            #[cfg(target_arch = "x86_64")]
            Kind::Vaes => vaes::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::AesNi => aes_ni::LANES,
        }
    }

    /// Starts a payload. The caller keeps and wipes `key`.
    #[must_use]
    pub fn start(self, key: &[u8; 32], iv: &[u8; 16]) -> CbcStream {
        CbcStream(match self.0 {
            Kind::Portable => State::Portable(Box::new(Encryptor::new(key.into(), iv.into()))),
            #[cfg(target_arch = "x86_64")]
            Kind::Vaes | Kind::AesNi => {
                let mut keys = Box::new(Zeroizing::new([[0; 16]; ROUND_KEYS]));
                aes_ni::expand(key, &mut keys);
                State::Expanded { keys, chain: *iv }
            }
        })
    }

    /// Encrypts the next blocks of any number of payloads, in place.
    pub fn encrypt(self, pieces: &mut [CbcPiece<'_>]) {
        #[cfg(target_arch = "x86_64")]
        let mut jobs = Vec::with_capacity(pieces.len());
        for CbcPiece { stream, blocks } in pieces {
            match &mut stream.0 {
                State::Portable(cipher) => {
                    cipher.encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
                }
                #[cfg(target_arch = "x86_64")]
                State::Expanded { keys, chain } => jobs.push(Job { keys, chain, blocks }),
            }
        }
        #[cfg(target_arch = "x86_64")]
        match self.0 {
            Kind::Vaes => in_lanes::<{ vaes::LANES }, vaes::Keys>(&mut jobs),
            // Of the portable kernel there is no job here, unless a stream was made by another
            // one, which then has AES-NI.
            Kind::AesNi | Kind::Portable => in_lanes::<{ aes_ni::LANES }, aes_ni::Keys>(&mut jobs),
        }
    }
}

/// Whole blocks of one payload.
#[cfg(target_arch = "x86_64")]
struct Job<'j> {
    keys: &'j RoundKeys,
    chain: &'j mut Block,
    blocks: &'j mut [Block],
}

/// The keys of `N` lanes as a kernel wants them, wiped when dropped.
#[cfg(target_arch = "x86_64")]
trait LaneKeys<const N: usize> {
    /// Makes room for them, in a place that they need not leave.
    fn new() -> Box<Self>;

    /// Sets the keys of one lane.
    fn set(&mut self, lane: usize, keys: &RoundKeys);

    /// Encrypts as many blocks of every lane as the shortest of `blocks` has.
    ///
    /// Called only with jobs, and so only where a processor was asked for what is needed.
    fn encrypt(&self, chains: &mut [Block; N], blocks: [&mut [Block]; N]);
}

/// Blocks done in one run while lanes are idle, whose work goes to a place of this size.
#[cfg(target_arch = "x86_64")]
const IDLE_RUN: usize = 64;

#[cfg(target_arch = "x86_64")]
fn in_lanes<const N: usize, K: LaneKeys<N>>(jobs: &mut [Job<'_>]) {
    if jobs.is_empty() {
        return;
    }
    let mut lanes = Lanes::<N>::new(jobs.iter().map(|job| job.blocks.len()));
    let mut keys = K::new();
    let mut chains = [[0; 16]; N];
    let mut rest: [&mut [Block]; N] = std::array::from_fn(|_| &mut [][..]);
    // Idle lanes cost nothing, since one chain takes as long as all of them.
    let mut idle = Vec::new();
    loop {
        lanes.refill(|lane, item| {
            let job = &mut jobs[item];
            keys.set(lane, job.keys);
            chains[lane] = *job.chain;
            rest[lane] = mem::take(&mut job.blocks);
        });
        let Some(mut run) = lanes.run() else { return };
        if lanes.busy() == 1 {
            break;
        }
        if lanes.busy() < N {
            run = run.min(IDLE_RUN);
            idle.resize(N * IDLE_RUN, [0; 16]);
        }
        let mut spare = idle.chunks_exact_mut(IDLE_RUN);
        let now = rest.each_mut().map(|rest| {
            if rest.is_empty() {
                return spare.next().unwrap_or_default();
            }
            let (now, later) = mem::take(rest).split_at_mut(run);
            *rest = later;
            now
        });
        keys.encrypt(&mut chains, now);
        lanes.advance(run, |lane, item| *jobs[item].chain = chains[lane]);
    }
    for (lane, blocks) in rest.iter_mut().enumerate() {
        if let Some(slot) = lanes.take(lane) {
            let Job { keys, chain, .. } = &mut jobs[slot.item];
            **chain = alone(keys, &chains[lane], blocks);
        }
    }
}

/// Encrypts the blocks of one payload when all others have ended: without lanes to fill, its
/// blocks wait for each other and for nothing else. Returns the last one.
#[cfg(target_arch = "x86_64")]
fn alone(keys: &RoundKeys, chain: &Block, blocks: &mut [Block]) -> Block {
    // The key of AES-256 is the first two keys of its rounds (FIPS 197, 5.2).
    let key = Zeroizing::new(std::array::from_fn::<u8, 32, _>(|i| keys[i / 16][i % 16]));
    let mut cipher = Encryptor::<Aes256Enc>::new((&*key).into(), chain.into());
    cipher.encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
    blocks.last().copied().unwrap_or(*chain)
}

#[cfg(test)]
mod tests;
