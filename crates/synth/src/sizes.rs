//! How long the files are.

use crate::Seed;

/// How the sizes of files are spread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SizeMix {
    /// Log-normal with a heavy tail, as on a real phone: most are small, most bytes are in few.
    Mixed,
    /// Evenly between 200 and 16,384 bytes.
    Small,
}

/// Every so many of the mixed files is empty, as a few are on every device.
const EMPTY: usize = 61;

/// Draws `count` sizes; with a total they are scaled so that their sum is that total exactly.
pub(crate) fn draw(seed: Seed, mix: SizeMix, count: usize, total: Option<u64>) -> Vec<u64> {
    let mut sizes: Vec<u64> = (0..count)
        .map(|n| {
            let bytes: [u8; 16] = seed.bytes(format!("bulk size {n}"));
            let (a, b) = bytes.split_at(8);
            let (a, b) = (unit(a), unit(b));
            match mix {
                SizeMix::Small => whole(200.0 + a * 16_184.0),
                // Box and Muller's transform gives the normal deviate.
                SizeMix::Mixed if n % EMPTY == EMPTY - 1 => 0,
                SizeMix::Mixed => {
                    let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
                    whole((9.5 + 2.3 * normal).exp())
                }
            }
        })
        .collect();
    let Some(total) = total else { return sizes };
    let sum: u64 = sizes.iter().sum();
    if sum == 0 {
        return sizes;
    }
    for size in &mut sizes {
        let scaled = u128::from(*size) * u128::from(total) / u128::from(sum);
        *size = u64::try_from(scaled).unwrap_or(u64::MAX);
    }
    // What rounding took goes to the largest, which notices it least.
    let scaled: u64 = sizes.iter().sum();
    if let Some(largest) = sizes.iter_mut().max() {
        *largest += total - scaled;
    }
    sizes
}

/// Makes a number above 0 and up to 1 of eight bytes.
fn unit(bytes: &[u8]) -> f64 {
    let word = bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    ((word >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// Cuts to a whole number of at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floats saturate, and these are positive"
)]
fn whole(value: f64) -> u64 {
    (value as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::{SizeMix, draw};
    use crate::Seed;

    #[test]
    fn totals_are_exact() {
        let cases = [(1, 5), (10, 3), (10, 0), (10, 1 << 20), (3_000, 1 << 30), (200, u64::MAX)];
        for (count, total) in cases {
            let sizes = draw(Seed(1), SizeMix::Mixed, count, Some(total));
            assert_eq!((sizes.len(), sizes.iter().sum::<u64>()), (count, total));
        }
    }

    #[test]
    fn mixes_have_their_shape() {
        let small = draw(Seed(1), SizeMix::Small, 5_000, None);
        assert!(small.iter().all(|size| (200..=16_384).contains(size)));
        let mean = small.iter().sum::<u64>() / 5_000;
        assert!((8_000..8_600).contains(&mean), "{mean}");
        let mut mixed = draw(Seed(1), SizeMix::Mixed, 5_000, None);
        mixed.sort_unstable();
        assert_eq!(mixed.iter().filter(|size| **size == 0).count(), 5_000 / super::EMPTY);
        // The median of exp(N(9.5, 2.3)) is exp(9.5) = 13,360.
        assert!((12_000..15_000).contains(&mixed[2_500]), "{}", mixed[2_500]);
        let top: u64 = mixed[4_750..].iter().sum();
        assert!(top * 2 > mixed.iter().sum::<u64>(), "one file in twenty holds half");
    }
}
