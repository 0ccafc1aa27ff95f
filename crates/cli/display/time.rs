//! Times.

use std::fmt;

use jiff::Timestamp;

/// Shows seconds since the Unix epoch as RFC 3339 in UTC: `2024-05-01T12:00:00Z`.
///
/// A time outside the years that RFC 3339 can write is shown as `@` and its seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rfc3339(pub(crate) i64);

impl Rfc3339 {
    /// Returns the calendar's form, unless RFC 3339 has none.
    pub(crate) fn timestamp(self) -> Option<Timestamp> {
        /// 0000-01-01T00:00:00Z.
        const FIRST: i64 = -62_167_219_200;
        Timestamp::from_second(self.0).ok().filter(|_| self.0 >= FIRST)
    }

    /// Returns the time right now.
    pub(crate) fn now() -> Self {
        Self(Timestamp::now().as_second())
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.timestamp() {
            Some(timestamp) => write!(f, "{timestamp}"),
            None => write!(f, "@{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rfc3339;

    #[test]
    fn times_are_utc_and_never_fail() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (1_714_564_800, "2024-05-01T12:00:00Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
            (-62_167_219_201, "@-62167219201"),
            (i64::MAX, "@9223372036854775807"),
        ] {
            assert_eq!(Rfc3339(seconds).to_string(), shown);
        }
    }
}
