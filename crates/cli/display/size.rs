//! Sizes for people.

use std::fmt;

/// Shows a number of bytes in IEC units, with three significant digits: `1.43 GiB`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let Self(bytes) = *self;
        if bytes < 1024 {
            return f.pad(&format!("{bytes} B"));
        }
        // In thousandths of the unit, in integers, so that no rounding can reach 1024.
        let mut unit = UNITS[0];
        let mut scale = 1024u128;
        for next in UNITS {
            unit = next;
            if u128::from(bytes) < scale * 1024 {
                break;
            }
            scale *= 1024;
        }
        let milli = u128::from(bytes) * 1000 / scale;
        let (whole, rest) = (milli / 1000, milli % 1000);
        f.pad(&match whole {
            0..10 => format!("{whole}.{:02} {unit}", rest / 10),
            10..100 => format!("{whole}.{} {unit}", rest / 100),
            _ => format!("{whole} {unit}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn units_change_at_their_edges() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (10 * 1024 + 512, "10.5 KiB"),
            (1024 * 1024 - 1, "1023 KiB"),
            (1024 * 1024, "1.00 MiB"),
            (1_535_000_000, "1.42 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), shown);
        }
        assert_eq!(format!("{:>9}", Size(1024)), " 1.00 KiB");
    }
}
