//! Times.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::{TimeZone, TimeZoneDatabase};

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

/// Shows a time in a zone, as RFC 3339 with the zone's offset: `2024-05-01T14:00:00+02:00`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InZone<'z> {
    pub(crate) time: Rfc3339,
    pub(crate) zone: &'z TimeZone,
}

impl fmt::Display for InZone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, zone } = *self;
        match time.timestamp() {
            Some(timestamp) if *zone != TimeZone::UTC => {
                let offset = zone.to_offset(timestamp);
                // The first hours of the year 0 are in the year before it elsewhere.
                if offset.to_datetime(timestamp).year() < 0 {
                    return time.fmt(f);
                }
                write!(f, "{}", timestamp.display_with_offset(offset))
            }
            _ => time.fmt(f),
        }
    }
}

/// Reads a time zone: `local`, `utc`, an offset, or a name of the IANA Time Zone Database.
///
/// The database of the system is asked first, since it may know of newer laws, and then the one
/// that comes with the program. Strings such as `UTC+2` are refused: by POSIX they mean two hours
/// west of Greenwich, and by the look of them two hours east.
pub(crate) fn parse_zone(text: &str) -> Result<TimeZone, String> {
    const EXPECTED: &str = "expected a name such as Europe/Berlin, an offset such as +02:00, \
                            \"local\" or \"utc\"";
    if text.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    if text.eq_ignore_ascii_case("local") {
        return TimeZone::try_system()
            .map_err(|_| "the time zone of this machine cannot be told; name one".to_owned());
    }
    let found = if text.starts_with(['+', '-']) {
        DateTimeParser::new().parse_time_zone(text)
    } else {
        jiff::tz::db().get(text).or_else(|_| TimeZoneDatabase::bundled().get(text))
    };
    found.map_err(|_| format!("no such time zone; {EXPECTED}"))
}

#[cfg(test)]
mod tests {
    use jiff::tz::{TimeZone, TimeZoneDatabase};

    use super::{InZone, Rfc3339, parse_zone};

    #[test]
    fn zones_by_name_and_by_offset() {
        for (zone, seconds, shown) in [
            ("utc", 1_714_564_800, "2024-05-01T12:00:00Z"),
            ("UTC", 0, "1970-01-01T00:00:00Z"),
            ("Europe/Berlin", 1_714_564_800, "2024-05-01T14:00:00+02:00"),
            ("europe/berlin", 1_704_067_200, "2024-01-01T01:00:00+01:00"),
            ("Asia/Kathmandu", 1_704_067_200, "2024-01-01T05:45:00+05:45"),
            ("+02:00", 0, "1970-01-01T02:00:00+02:00"),
            ("-03:30", 0, "1969-12-31T20:30:00-03:30"),
            ("Europe/Berlin", i64::MAX, "@9223372036854775807"),
            ("-03:30", -62_167_219_200, "0000-01-01T00:00:00Z"),
        ] {
            let zone_found = parse_zone(zone).unwrap();
            let shown_in = InZone { time: Rfc3339(seconds), zone: &zone_found };
            assert_eq!(shown_in.to_string(), shown, "{zone}");
        }
    }

    /// What a machine without a database of its own falls back to.
    #[test]
    fn zones_come_with_the_program() {
        let zone = TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
        let shown = InZone { time: Rfc3339(1_714_564_800), zone: &zone };
        assert_eq!(shown.to_string(), "2024-05-01T14:00:00+02:00");
    }

    #[test]
    fn what_is_no_zone() {
        for bad in ["", "Mars/Olympus", "UTC+2", "+25:99", "02:00", "../../etc/localtime", "a\0b"] {
            let error = parse_zone(bad).unwrap_err();
            assert!(error.contains("no such time zone"), "{bad}: {error}");
        }
        assert_eq!(parse_zone("+00:00").unwrap(), TimeZone::fixed(jiff::tz::Offset::UTC));
    }

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
