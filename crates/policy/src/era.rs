//! Versions of iOS and iPadOS, as far as restores differ.

use std::fmt;
use std::str::FromStr;

/// A version such as `18.5` or `26.4.1`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OsVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

impl OsVersion {
    /// Returns the first number.
    #[must_use]
    pub fn major(self) -> u16 {
        self.major
    }
}

/// A text is no version of iOS.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no version of iOS: write 18.5 or 26.4.1 (there is no 19 to 25)")]
pub struct OsVersionError {
    /// The text, at most 64 characters of it.
    pub text: Box<str>,
}

impl FromStr for OsVersion {
    type Err = OsVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || OsVersionError { text: text.chars().take(64).collect() };
        let mut numbers = text.split('.').map(|part| {
            let digits = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            if digits { part.parse().map_err(|_| bad()) } else { Err(bad()) }
        });
        let major = numbers.next().ok_or_else(bad)??;
        let minor = numbers.next().transpose()?.unwrap_or(0);
        let patch = numbers.next().transpose()?.unwrap_or(0);
        if numbers.next().is_some() || major == 0 || (19..=25).contains(&major) {
            return Err(bad());
        }
        Ok(Self { major, minor, patch })
    }
}

impl fmt::Display for OsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, patch } = self;
        match patch {
            0 => write!(f, "{major}.{minor}"),
            _ => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

/// How the target's iOS treats management state that a restore brings.
///
/// Only the prediction depends on it. What is left out of a copy never does.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Era {
    /// Not given: the documents are followed, which describe iOS 18 and earlier.
    Unknown,
    /// Up to 18: as Apple's guide describes.
    Classic,
    /// 26.0 to 26.3: an ADE profile may tell devices to ignore the MDM profile of a backup.
    IgnoresProfileOnRequest,
    /// 26.4 and later: such a profile also makes them remove all configuration profiles.
    RemovesProfilesOnRequest,
    /// 27 and later: management state is not restored at all; the device enrols through ADE.
    EnrolsAgain,
}

impl Era {
    /// Returns the era of a version.
    #[must_use]
    pub fn of(version: Option<OsVersion>) -> Self {
        match version.map(|v| (v.major, v.minor)) {
            None => Self::Unknown,
            Some((..=25, _)) => Self::Classic,
            Some((26, ..=3)) => Self::IgnoresProfileOnRequest,
            Some((26, _)) => Self::RemovesProfilesOnRequest,
            Some(_) => Self::EnrolsAgain,
        }
    }

    /// Returns the versions that belong to it.
    #[must_use]
    pub fn versions(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Classic => "18 and earlier",
            Self::IgnoresProfileOnRequest => "26.0 to 26.3",
            Self::RemovesProfilesOnRequest => "26.4 and later 26",
            Self::EnrolsAgain => "27 and later",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Era, OsVersion};

    #[test]
    fn versions_and_their_eras() {
        for (text, era) in [
            ("9.3.6", Era::Classic),
            ("18", Era::Classic),
            ("18.7.1", Era::Classic),
            ("26", Era::IgnoresProfileOnRequest),
            ("26.3.9", Era::IgnoresProfileOnRequest),
            ("26.4", Era::RemovesProfilesOnRequest),
            ("26.12", Era::RemovesProfilesOnRequest),
            ("27.0", Era::EnrolsAgain),
            ("31", Era::EnrolsAgain),
        ] {
            assert_eq!(Era::of(Some(text.parse().unwrap())), era, "{text}");
        }
        assert_eq!(Era::of(None), Era::Unknown);
        assert_eq!("26.4.0".parse::<OsVersion>().unwrap().to_string(), "26.4");
        assert_eq!("9.3.6".parse::<OsVersion>().unwrap().to_string(), "9.3.6");
    }

    #[test]
    fn what_is_no_version() {
        for bad in
            ["", "0", "19", "25.1", "18.", ".5", "18.5.1.2", "18a", "-1", "99999", "+18", "18 "]
        {
            assert!(bad.parse::<OsVersion>().is_err(), "{bad}");
        }
    }
}
