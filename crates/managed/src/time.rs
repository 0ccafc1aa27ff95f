//! Times.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// Seconds since the Unix epoch. Serialised as RFC 3339 in UTC, and as null where no calendar holds
/// the second.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Time(pub i64);

impl Time {
    /// Takes the date of a property list, down to whole seconds.
    pub(crate) fn of(date: plist::Date) -> Option<Self> {
        let time = SystemTime::from(date);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).ok().map(Self),
            Err(before) => {
                let before = before.duration();
                let seconds = i64::try_from(before.as_secs()).ok()?;
                // Down, not towards zero.
                let part = i64::from(before.subsec_nanos() > 0);
                seconds.checked_neg()?.checked_sub(part).map(Self)
            }
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => serializer.collect_str(&time),
            Err(_) => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::Time;

    #[test]
    fn whole_seconds_down() {
        for (time, seconds) in [
            (UNIX_EPOCH, 0),
            (UNIX_EPOCH + Duration::from_millis(1_900), 1),
            (UNIX_EPOCH - Duration::from_millis(100), -1),
            (UNIX_EPOCH - Duration::from_secs(5), -5),
        ] {
            assert_eq!(Time::of(plist::Date::from(time)), Some(Time(seconds)));
        }
    }

    #[test]
    fn as_machines_read_it() {
        let json = |time| serde_json::to_string(&Time(time)).unwrap();
        assert_eq!(json(1_716_192_000), "\"2024-05-20T08:00:00Z\"");
        assert_eq!(json(i64::MAX), "null");
    }
}
