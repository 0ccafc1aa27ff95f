//! Rules a person writes.

mod builder;
mod entries;
mod file;
mod filter;
mod pattern;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use bkp_core::{Entry, EntryKind, Select, Verdict};

pub use builder::RulesBuilder;
pub use entries::EntryPatterns;
pub use filter::EntryType;
use filter::Filters;
use pattern::Pattern;

use crate::sqlite::database_of;

/// An ordered list of includes and excludes, and filters by size, time, type and app.
///
/// An entry is kept when every filter lets it pass and the last rule that matches it, or the
/// default, keeps it. The patterns are described at the top of this crate.
///
/// As a [`Select`] this judges each row for itself; wrap it in a
/// [`Selection`](crate::Selection) to keep parents with their children.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// What becomes of an entry that no rule matches.
    keep_others: bool,
    filters: Filters,
}

#[derive(Debug)]
struct Rule {
    /// The rule as a rule file would spell it: `+ HomeDomain`.
    text: Box<str>,
    keep: bool,
    pattern: Pattern,
    /// Whether it is for any backup, so that it need not match anything.
    general: bool,
    /// Set once an entry has matched. Relaxed: it is read after the run, and only ever set.
    matched: AtomicBool,
}

/// Why an entry is kept or left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Explanation<'a> {
    /// True when the entry is kept.
    pub keep: bool,
    /// What decided.
    pub reason: Reason<'a>,
}

/// What decided about an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason<'a> {
    /// The last rule that matches the entry.
    Rule {
        /// The rule's place among all rules, counted from 1.
        number: usize,
        /// The rule as a rule file would spell it: `- HomeDomain`.
        text: &'a str,
        /// True when the rule matches the database, of which the entry is a companion by its
        /// name, and not the entry itself.
        through_database: bool,
    },
    /// A filter that the entry does not pass, such as `min-size 4096`.
    Filter(&'a str),
    /// No rule matches.
    Default,
}

impl Rules {
    /// Starts with no rules, which keep everything.
    #[must_use]
    pub fn builder() -> RulesBuilder {
        RulesBuilder::default()
    }

    /// Returns true when there is nothing that could leave an entry out.
    #[must_use]
    pub fn keep_everything(&self) -> bool {
        let Self { rules, keep_others, filters } = self;
        *keep_others && rules.iter().all(|rule| rule.keep) && filters.is_empty()
    }

    /// Says what decides about an entry. Unlike [`judge`](Select::judge) this does not count as a
    /// match for [`unmatched`](Self::unmatched).
    #[must_use]
    pub fn explain(&self, entry: &Entry) -> Explanation<'_> {
        if let Some(filter) = self.filters.stops(entry) {
            return Explanation { keep: false, reason: Reason::Filter(filter) };
        }
        let name = Name::of(entry);
        let decided = self.rules.iter().enumerate().rev().find(|(_, rule)| name.matches(rule));
        match decided {
            None => Explanation { keep: self.keep_others, reason: Reason::Default },
            Some((at, rule)) => Explanation {
                keep: rule.keep,
                reason: Reason::Rule {
                    number: at.saturating_add(1),
                    text: &rule.text,
                    through_database: !rule.pattern.matches_path(name.path),
                },
            },
        }
    }

    /// Returns the rules that matched none of the entries that were judged, in their order: most
    /// often a slip of the pen.
    ///
    /// A rule counts as matched even where a later rule decided, or a filter.
    #[must_use]
    pub fn unmatched(&self) -> Vec<&str> {
        let never = |rule: &&Rule| !rule.general && !rule.matched.load(Ordering::Relaxed);
        self.rules.iter().filter(never).map(|rule| &*rule.text).collect()
    }
}

impl Select for Rules {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        let name = Name::of(entry);
        let mut decided = None;
        for rule in self.rules.iter().rev() {
            // Once decided, the others are tried only until they have matched something.
            let seen = rule.matched.load(Ordering::Relaxed);
            if (decided.is_some() && seen) || !name.matches(rule) {
                continue;
            }
            if !seen {
                rule.matched.store(true, Ordering::Relaxed);
            }
            decided = decided.or(Some(rule));
        }
        if let Some(filter) = self.filters.stops(entry) {
            return Verdict::Drop(Some(filter));
        }
        match decided {
            None if self.keep_others => Verdict::Keep(None),
            None => Verdict::Drop(None),
            Some(rule) if rule.keep => Verdict::Keep(Some(&rule.text)),
            Some(rule) => Verdict::Drop(Some(&rule.text)),
        }
    }
}

/// What a pattern is held against.
struct Name<'e> {
    domain: &'e [u8],
    path: &'e [u8],
    /// The database that the entry would belong to by its name.
    database: Option<&'e [u8]>,
}

impl<'e> Name<'e> {
    fn of(entry: &'e Entry) -> Self {
        let path = entry.path.as_bytes();
        let database = if entry.kind == EntryKind::File { database_of(path) } else { None };
        Self { domain: entry.domain.as_bytes(), path, database }
    }

    fn matches(&self, rule: &Rule) -> bool {
        let pattern = &rule.pattern;
        pattern.matches_domain(self.domain)
            && (pattern.matches_path(self.path)
                || self.database.is_some_and(|database| pattern.matches_path(database)))
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.keep { "kept: " } else { "left out: " })?;
        match self.reason {
            Reason::Rule { number, text, through_database } => {
                write!(f, "rule {number}, \"{text}\"")?;
                f.write_str(if through_database { ", which matches its database" } else { "" })
            }
            Reason::Filter(filter) => f.write_str(filter),
            Reason::Default => f.write_str("no rule matches"),
        }
    }
}
