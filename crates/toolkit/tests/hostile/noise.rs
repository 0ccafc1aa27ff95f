//! Repeatable noise, work on two threads, and time that other programs do not take.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A small generator of repeatable noise (xorshift64*).
pub(crate) struct Noise(u64);

impl Noise {
    /// Begins with a seed, which may be any number.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from((self.next() >> 16) % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    pub(crate) fn pick<'t, T>(&mut self, choices: &'t [T]) -> &'t T {
        &choices[self.below(choices.len())]
    }
}

/// Runs something and says how long this thread worked on it.
pub(crate) fn time<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
    };
    let begun = now();
    let result = run();
    (result, now().saturating_sub(begun))
}

/// How often each thing came out.
pub(crate) type Counts = BTreeMap<String, usize>;

/// Runs inputs 0 to `count` on two threads. None may take a second of a processor.
pub(crate) fn sweep(name: &str, count: usize, one: impl Fn(usize) -> String + Sync) -> Counts {
    let half = |first: usize| {
        let mut counts = Counts::new();
        let mut slowest = (Duration::ZERO, 0);
        for n in (first..count).step_by(2) {
            let (outcome, took) = time(|| one(n));
            *counts.entry(outcome).or_default() += 1;
            slowest = slowest.max((took, n));
        }
        (counts, slowest)
    };
    let (counts, (slowest, input)) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let (mut counts, slowest) = half(0);
        let (more, slow) = other.join().unwrap();
        for (outcome, count) in more {
            *counts.entry(outcome).or_default() += count;
        }
        (counts, slowest.max(slow))
    });
    println!("{name}: {count} inputs, the slowest (number {input}) {slowest:?}");
    counts.iter().for_each(|(outcome, count)| println!("  {count:8} {outcome}"));
    assert!(slowest < Duration::from_secs(1), "{name}: input {input} took {slowest:?}");
    assert_eq!(counts.values().sum::<usize>(), count);
    counts
}

/// Runs every input that differs from `sound` in one byte, 255 for each place.
pub(crate) fn each_byte(
    name: &str,
    sound: &[u8],
    one: impl Fn(usize, &[u8]) -> String + Sync,
) -> Counts {
    sweep(&format!("{name}, each byte changed"), sound.len() * 255, |n| {
        let (at, change) = (n / 255, u8::try_from(n % 255 + 1).unwrap());
        let mut bytes = sound.to_vec();
        bytes[at] ^= change;
        one(at, &bytes)
    })
}

/// Runs every prefix, the whole not among them.
pub(crate) fn each_prefix(
    name: &str,
    sound: &[u8],
    one: impl Fn(&[u8]) -> String + Sync,
) -> Counts {
    sweep(&format!("{name}, each prefix"), sound.len(), |len| one(&sound[..len]))
}
