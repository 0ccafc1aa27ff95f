//! What is looked for, as far as the catalog can tell.

use bkp_toolkit::core::{Entry, EntryKind, Select, Verdict};
use bkp_toolkit::policy::{EntryPatterns, Rules};

use crate::args::FilterArgs;
use crate::error::{CommandError, Kind};
use crate::explain::Explained;
use crate::rules;

/// Patterns and filters; an entry must pass all of them.
#[derive(Debug)]
pub(super) struct Query {
    rules: Rules,
    patterns: EntryPatterns,
    larger: Option<u64>,
    smaller: Option<u64>,
    /// Whether the content decides in the end, which only files have.
    by_content: bool,
}

impl Query {
    pub(super) fn new(
        patterns: &[String],
        filters: &FilterArgs,
        (larger, smaller): (Option<u64>, Option<u64>),
        by_content: bool,
    ) -> Result<Self, CommandError> {
        let rules = rules::build(filters)?;
        let patterns = EntryPatterns::new(patterns, filters.ignore_case)
            .map_err(|error| CommandError::of_fault(&error))?;
        if let (Some(larger), Some(smaller)) = (larger, smaller)
            && larger.saturating_add(1) >= smaller
        {
            let message = format!("no size is larger than {larger} and smaller than {smaller}");
            return Err(CommandError::new(Kind::Usage, "bad-filter", message));
        }
        Ok(Self { rules, patterns, larger, smaller, by_content })
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Says what decides about an entry.
    pub(super) fn explain(&self, entry: &Entry) -> Explained {
        let rules = Explained::from(&self.rules.explain(entry));
        if !rules.keep {
            return rules;
        }
        if let Some(filter) = self.stops(entry) {
            return Explained { keep: false, text: format!("left out: {filter}") };
        }
        let by = match self.patterns.matching(entry) {
            None if !self.patterns.is_empty() => {
                return Explained { keep: false, text: "left out: no pattern matches".to_owned() };
            }
            None => rules.text,
            Some(pattern) => format!("kept: the pattern \"{pattern}\" matches"),
        };
        let then = if self.by_content { "; its content decides" } else { "" };
        Explained { keep: true, text: format!("{by}{then}") }
    }

    /// Returns the filter of this command that stops an entry. What is no file has no size.
    fn stops(&self, entry: &Entry) -> Option<String> {
        let size = (entry.kind == EntryKind::File).then_some(entry.metadata.size_hint);
        match (self.larger, self.smaller, size) {
            (Some(larger), _, size) if size.is_none_or(|size| size <= larger) => {
                Some(format!("larger {larger}"))
            }
            (_, Some(smaller), size) if size.is_none_or(|size| size >= smaller) => {
                Some(format!("smaller {smaller}"))
            }
            _ if self.by_content && size.is_none() => Some("only files have content".to_owned()),
            _ => None,
        }
    }
}

impl Select for Query {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        // First, so that every rule is held against every entry, and one that never matches is
        // told.
        match self.rules.judge(entry) {
            Verdict::Keep(_) if self.stops(entry).is_some() => Verdict::Drop(None),
            Verdict::Keep(_) => self.patterns.judge(entry),
            verdict => verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use bkp_toolkit::core::{Domain, Entry, EntryKind, RelPath, Select as _};

    use super::Query;
    use crate::args::FilterArgs;

    fn entry(path: &str, kind: EntryKind, size: u64) -> Entry {
        let domain = Domain::new("HomeDomain").unwrap();
        let mut entry = Entry::derive(domain, RelPath::new(path).unwrap(), kind);
        entry.metadata.size_hint = size;
        entry
    }

    fn query(patterns: &[&str], sizes: (Option<u64>, Option<u64>), by_content: bool) -> Query {
        let patterns: Vec<String> = patterns.iter().map(|&p| p.to_owned()).collect();
        Query::new(&patterns, &FilterArgs::default(), sizes, by_content).unwrap()
    }

    #[test]
    fn sizes_are_exclusive_and_of_files() {
        let query = query(&[], (Some(10), Some(20)), false);
        for (size, kept) in [(10, false), (11, true), (19, true), (20, false)] {
            let entry = entry("a", EntryKind::File, size);
            assert_eq!(query.judge(&entry).is_keep(), kept, "{size}");
            assert_eq!(query.explain(&entry).keep, kept, "{size}");
        }
        assert!(!query.judge(&entry("a", EntryKind::Directory, 15)).is_keep());
        let none = FilterArgs::default();
        for (larger, smaller) in [(10, 11), (10, 10), (20, 10), (u64::MAX, u64::MAX)] {
            assert!(Query::new(&[], &none, (Some(larger), Some(smaller)), false).is_err());
        }
    }

    #[test]
    fn explanations_name_what_decided() {
        let file = entry("Library/a.db", EntryKind::File, 5);
        for (query, text) in [
            (query(&[], (None, None), false), "kept: no rule matches"),
            (query(&["*.db"], (None, None), false), "kept: the pattern \"*.db\" matches"),
            (query(&["*.txt"], (None, None), false), "left out: no pattern matches"),
            (query(&["*.db"], (Some(5), None), false), "left out: larger 5"),
            (query(&["*.db"], (None, Some(5)), false), "left out: smaller 5"),
            (
                query(&["*.db"], (None, None), true),
                "kept: the pattern \"*.db\" matches; its content decides",
            ),
        ] {
            let explained = query.explain(&file);
            assert_eq!(explained.text, text);
            assert_eq!(explained.keep, query.judge(&file).is_keep());
        }
        let folder = entry("Library", EntryKind::Directory, 0);
        let explained = query(&[], (None, None), true).explain(&folder);
        assert_eq!(explained.text, "left out: only files have content");
    }
}
