//! Reading a part of a backup at a time.

use std::fmt;
use std::str::FromStr;

use bkp_core::FileId;

/// Which files are read, chosen by their fileID: the same every time, and spread evenly, since
/// fileIDs are hashes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Subset {
    /// Part `n` of `of` parts, from 1. All parts together are the whole backup.
    Part {
        /// Which part.
        n: u64,
        /// How many there are.
        of: u64,
    },
    /// So many millionths of all files.
    Millionths(u32),
    /// About so many bytes, by what the catalog says of sizes.
    Bytes(u64),
}

/// A text that is no [`Subset`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a part such as 1/10, a percentage such as 2.5%, or a size such as 10G")]
pub struct ParseSubsetError;

const WHOLE: u32 = 1_000_000;

/// Reads `n/t`, `x%` with up to four decimals, or a size: `K`, `KB` and `KiB` are 1024 bytes.
impl FromStr for Subset {
    type Err = ParseSubsetError;

    fn from_str(text: &str) -> Result<Self, ParseSubsetError> {
        if let Some((n, of)) = text.split_once('/') {
            let (n, of) = (number(n)?, number(of)?);
            return if (1..=of).contains(&n) {
                Ok(Self::Part { n, of })
            } else {
                Err(ParseSubsetError)
            };
        }
        if let Some(percent) = text.strip_suffix('%') {
            let (whole, fraction) = percent.split_once('.').unwrap_or((percent, "0"));
            if fraction.len() > 4 {
                return Err(ParseSubsetError);
            }
            let (whole, fraction) = (number(whole)?, number(&format!("{fraction:0<4}"))?);
            let millionths = whole.saturating_mul(10_000).saturating_add(fraction);
            return match u32::try_from(millionths) {
                Ok(n @ 1..=WHOLE) => Ok(Self::Millionths(n)),
                _ => Err(ParseSubsetError),
            };
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let power = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(ParseSubsetError),
        };
        match number(count)?.checked_mul(1 << power) {
            None | Some(0) => Err(ParseSubsetError),
            Some(bytes) => Ok(Self::Bytes(bytes)),
        }
    }
}

/// Reads digits and nothing else; `u64` would take a `+` as well.
fn number(text: &str) -> Result<u64, ParseSubsetError> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseSubsetError);
    }
    text.parse().map_err(|_| ParseSubsetError)
}

impl fmt::Display for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part { n, of } => write!(f, "{n}/{of}"),
            Self::Millionths(n) if n % 10_000 == 0 => write!(f, "{}%", n / 10_000),
            Self::Millionths(n) => {
                let fraction = format!("{:04}", n % 10_000);
                write!(f, "{}.{}%", n / 10_000, fraction.trim_end_matches('0'))
            }
            Self::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

/// A [`Subset`] of a backup whose size is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    All,
    Part {
        rest: u64,
        of: u64,
    },
    /// Ids that begin with less than this.
    Below(u64),
}

impl Choice {
    /// `total` is the bytes of all files.
    pub(super) fn new(subset: Option<Subset>, total: u64) -> Self {
        let below = |part: u64, whole: u64| {
            let share = (u128::from(part) << 64).checked_div(whole.into());
            share.and_then(|share| u64::try_from(share).ok()).map_or(Self::All, Self::Below)
        };
        match subset {
            None => Self::All,
            Some(Subset::Part { n, of }) => Self::Part { rest: n.saturating_sub(1), of },
            Some(Subset::Millionths(n)) => below(n.into(), WHOLE.into()),
            Some(Subset::Bytes(bytes)) => below(bytes, total),
        }
    }

    pub(super) fn takes(self, id: &FileId) -> bool {
        let start = id.as_bytes().first_chunk().map_or(0, |start| u64::from_be_bytes(*start));
        match self {
            Self::All => true,
            Self::Part { rest, of } => start.checked_rem(of) == Some(rest),
            Self::Below(limit) => start < limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use bkp_core::{Domain, FileId, RelPath};

    use super::{Choice, ParseSubsetError, Subset};

    #[test]
    fn texts() {
        for (text, subset) in [
            ("1/10", Subset::Part { n: 1, of: 10 }),
            ("10/10", Subset::Part { n: 10, of: 10 }),
            ("5%", Subset::Millionths(50_000)),
            ("2.5%", Subset::Millionths(25_000)),
            ("0.0001%", Subset::Millionths(1)),
            ("100%", Subset::Millionths(1_000_000)),
            ("500", Subset::Bytes(500)),
            ("10G", Subset::Bytes(10 << 30)),
            ("3MiB", Subset::Bytes(3 << 20)),
        ] {
            assert_eq!(text.parse(), Ok(subset), "{text}");
            assert_eq!(subset.to_string().parse(), Ok(subset), "{text}");
        }
        for text in [
            "",
            "0/10",
            "11/10",
            "1/0",
            "/",
            "1/",
            "0%",
            "101%",
            "100.0001%",
            "0.00001%",
            "-1%",
            "+1%",
            "%",
            "0",
            "G",
            "1X",
            "99999999999T",
            "1/2/3",
            " 1/2",
        ] {
            assert_eq!(text.parse::<Subset>(), Err(ParseSubsetError), "{text}");
        }
    }

    fn ids() -> impl Iterator<Item = FileId> {
        let domain = Domain::new("HomeDomain").unwrap();
        (0..20_000).map(move |n| FileId::of(&domain, &RelPath::new(format!("{n}")).unwrap()))
    }

    #[test]
    fn parts_are_disjoint_and_whole() {
        let parts: Vec<_> =
            (1..=7).map(|n| Choice::new(Some(Subset::Part { n, of: 7 }), 0)).collect();
        for id in ids() {
            assert_eq!(parts.iter().filter(|part| part.takes(&id)).count(), 1);
        }
    }

    #[test]
    fn shares_are_about_right() {
        let taken = |subset, total| {
            let choice = Choice::new(Some(subset), total);
            ids().filter(|id| choice.takes(id)).count()
        };
        for (subset, total) in [(Subset::Millionths(250_000), 0), (Subset::Bytes(1 << 30), 4 << 30)]
        {
            let taken = taken(subset, total);
            assert!((4_700..5_300).contains(&taken), "{taken}");
        }
        assert_eq!(taken(Subset::Millionths(1_000_000), 0), 20_000);
        assert_eq!(taken(Subset::Bytes(100), 50), 20_000);
        assert_eq!(taken(Subset::Bytes(100), 0), 20_000);
    }
}
