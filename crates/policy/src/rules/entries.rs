//! Patterns for entries themselves, as one looks for them.

use bkp_core::{Entry, Select, Verdict};

use super::builder::MOST_RULES;
use super::pattern::{NamePattern, Pattern};
use crate::PolicyError;

/// Patterns of which any may match, each for the entry itself and not for what is below it.
///
/// The syntax is that of the rules, described at the top of this crate, and it is read so:
///
/// * A pattern without `:` and `/` is held against the last component of the path:
///   `*.sqlite` matches `HomeDomain:Library/a.sqlite`. The root of a domain has none.
/// * A pattern with `:` is `DOMAIN:PATH`. A domain without a path, `HomeDomain:`, is all of it.
/// * A pattern with `/` alone is a path from the root of any domain.
///
/// Unlike a rule, a pattern matches neither what is below a directory of that name nor the
/// companions of a database.
#[derive(Debug)]
pub struct EntryPatterns(Vec<EntryPattern>);

#[derive(Debug)]
struct EntryPattern {
    text: Box<str>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Held against the last component.
    Name(NamePattern),
    /// Held against the domain and the path.
    Place(Box<Pattern>),
}

impl EntryPatterns {
    /// Compiles patterns. None at all match everything.
    ///
    /// # Errors
    ///
    /// Fails on the first pattern that does not parse, and on more than 10,000 patterns.
    pub fn new<P: AsRef<str>>(patterns: &[P], ignore_case: bool) -> Result<Self, PolicyError> {
        if patterns.len() > MOST_RULES {
            return Err(PolicyError::TooManyRules { most: MOST_RULES });
        }
        let compile = |pattern: &P| EntryPattern::new(pattern.as_ref(), ignore_case);
        Ok(Self(patterns.iter().map(compile).collect::<Result<_, _>>()?))
    }

    /// Returns true when there are no patterns, so that everything matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the first pattern that matches an entry, as it was written.
    #[must_use]
    pub fn matching(&self, entry: &Entry) -> Option<&str> {
        self.0.iter().find(|pattern| pattern.matches(entry)).map(|pattern| &*pattern.text)
    }
}

impl EntryPattern {
    fn new(text: &str, ignore_case: bool) -> Result<Self, PolicyError> {
        let form = match NamePattern::new(text, ignore_case)? {
            Some(name) => Form::Name(name),
            None => Form::Place(Pattern::of_place(text, ignore_case)?.into()),
        };
        Ok(Self { text: text.into(), form })
    }

    fn matches(&self, entry: &Entry) -> bool {
        match &self.form {
            Form::Name(pattern) => entry.path.name().is_some_and(|name| pattern.matches(name)),
            Form::Place(pattern) => {
                pattern.matches_domain(entry.domain.as_bytes())
                    && pattern.matches_path_itself(entry.path.as_bytes())
            }
        }
    }
}

/// Keeps what any of the patterns matches.
impl Select for EntryPatterns {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        match self.matching(entry) {
            None if !self.is_empty() => Verdict::Drop(None),
            pattern => Verdict::Keep(pattern),
        }
    }
}

#[cfg(test)]
mod tests {
    use bkp_core::{Domain, Entry, EntryKind, RelPath, Select as _};

    use super::EntryPatterns;
    use crate::PolicyError;

    fn entry(name: &str) -> Entry {
        let (domain, path) = name.split_once(':').unwrap();
        Entry::derive(Domain::new(domain).unwrap(), RelPath::new(path).unwrap(), EntryKind::File)
    }

    #[test]
    fn patterns_match_entries_and_nothing_below() {
        for (pattern, matched, not_matched) in [
            (
                "*.sqlite",
                "HomeDomain:a.sqlite AppDomain-x:a/b/c.sqlite",
                "HomeDomain:a.sqlite/b HomeDomain:a.sqlite-wal HomeDomain:a.SQLITE HomeDomain:",
            ),
            ("sms.db", "HomeDomain:Library/SMS/sms.db", "HomeDomain:sms.db/x HomeDomain:xsms.db"),
            ("{a,b}.txt", "HomeDomain:x/a.txt HomeDomain:b.txt", "HomeDomain:c.txt"),
            ("a,b", "HomeDomain:a,b", "HomeDomain:a HomeDomain:b"),
            ("**", "HomeDomain:a HomeDomain:a/b", "HomeDomain:"),
            ("a\\:b", "HomeDomain:x/a:b", "HomeDomain:b HomeDomain:a"),
            (
                "HomeDomain:Library/SMS",
                "HomeDomain:Library/SMS",
                "HomeDomain:Library/SMS/sms.db HomeDomain:Library RootDomain:Library/SMS",
            ),
            (
                "HomeDomain:Library/**/*.db",
                "HomeDomain:Library/a.db HomeDomain:Library/x/y/a.db",
                "HomeDomain:a.db HomeDomain:Library/a.db/x HomeDomain:Library/a.db-wal",
            ),
            ("Home*:", "HomeDomain: HomeDomain:a/b", "RootDomain:a"),
            (
                "Library/*",
                "HomeDomain:Library/a RootDomain:Library/b",
                "HomeDomain:Library HomeDomain:Library/a/b HomeDomain:x/Library/a",
            ),
            ("/Library/a", "HomeDomain:Library/a", "HomeDomain:Library/a/b HomeDomain:x/Library/a"),
            ("Library/SMS/", "HomeDomain:Library/SMS", "HomeDomain:Library/SMS/a"),
        ] {
            let patterns = EntryPatterns::new(&[pattern], false).unwrap();
            for name in matched.split(' ') {
                assert_eq!(patterns.matching(&entry(name)), Some(pattern), "{pattern} {name}");
            }
            for name in not_matched.split(' ') {
                assert_eq!(patterns.matching(&entry(name)), None, "{pattern} {name}");
            }
        }
    }

    #[test]
    fn any_of_several_and_whatever_the_case() {
        let patterns = EntryPatterns::new(&["*.DB", "homedomain:a"], true).unwrap();
        assert_eq!(patterns.matching(&entry("HomeDomain:x/sms.db")), Some("*.DB"));
        assert_eq!(patterns.matching(&entry("HomeDomain:A")), Some("homedomain:a"));
        assert!(!patterns.judge(&entry("HomeDomain:b")).is_keep());
        let none = EntryPatterns::new::<&str>(&[], false).unwrap();
        assert!(none.is_empty() && none.judge(&entry("HomeDomain:b")).is_keep());
    }

    #[test]
    fn what_is_no_pattern() {
        for bad in ["{a", "a[", "a/{b", ":a", "HomeDomain:{"] {
            let error = EntryPatterns::new(&[bad], false).unwrap_err();
            let code = bkp_core::Fault::code(&error);
            assert_eq!(code, "bad-pattern", "{bad}");
        }
        let long = "a".repeat(20_000);
        let error = EntryPatterns::new(&[long], false).unwrap_err();
        assert!(matches!(error, PolicyError::PatternTooLong { .. }));
        let many = vec!["a"; 10_001];
        let error = EntryPatterns::new(&many, false).unwrap_err();
        assert!(matches!(error, PolicyError::TooManyRules { .. }));
    }
}
