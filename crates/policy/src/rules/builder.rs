//! Collecting rules before they are compiled.

use std::sync::atomic::AtomicBool;

use super::filter::{EntryType, Filters};
use super::pattern::Pattern;
use super::{Rule, Rules, file};
use crate::{PolicyError, Preset};

/// The most rules of one run. A file of rules is read by people; each may cost a regular
/// expression.
pub(super) const MOST_RULES: usize = 10_000;

/// Collects rules and filters, and compiles them.
///
/// The order of rules is the order of the calls, whether they come from arguments or files.
#[derive(Clone, Debug, Default)]
pub struct RulesBuilder {
    rules: Vec<Written>,
    ignore_case: bool,
    min_size: Option<u64>,
    max_size: Option<u64>,
    newer: Option<i64>,
    older: Option<i64>,
    types: Vec<EntryType>,
    bundle_ids: Vec<Box<str>>,
}

/// A rule before it is compiled.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) keep: bool,
    pub(super) pattern: Box<str>,
    /// The file and the line, for rules that came from a file.
    pub(super) origin: Option<(Box<str>, usize)>,
    /// Whether it is for any backup, so that it need not match anything.
    pub(super) general: bool,
}

impl RulesBuilder {
    /// Adds a rule that keeps what the pattern matches.
    #[must_use]
    pub fn include(self, pattern: impl Into<Box<str>>) -> Self {
        self.rule(true, pattern.into())
    }

    /// Adds a rule that leaves out what the pattern matches.
    #[must_use]
    pub fn exclude(self, pattern: impl Into<Box<str>>) -> Self {
        self.rule(false, pattern.into())
    }

    fn rule(mut self, keep: bool, pattern: Box<str>) -> Self {
        self.rules.push(Written { keep, pattern, origin: None, general: false });
        self
    }

    /// Adds the rules of a file, given by its name for messages and its content.
    ///
    /// A line is `+ PATTERN`, `- PATTERN`, empty, or a comment after `#`. Blanks at the end of a
    /// pattern are dropped unless the last is escaped with `\`.
    ///
    /// # Errors
    ///
    /// Fails on the first line that is none of these, with its number. The patterns themselves
    /// are checked by [`build`](Self::build).
    pub fn file(mut self, name: &str, content: &[u8]) -> Result<Self, PolicyError> {
        for rule in file::lines(name, content) {
            if self.rules.len() >= MOST_RULES {
                return Err(PolicyError::TooManyRules { most: MOST_RULES });
            }
            self.rules.push(rule?);
        }
        Ok(self)
    }

    /// Adds the rules of a preset. They are not reported as [unmatched](Rules::unmatched).
    ///
    /// # Errors
    ///
    /// Fails when there are too many rules.
    pub fn preset(mut self, preset: &Preset) -> Result<Self, PolicyError> {
        let own = self.rules.len();
        self = self.file(preset.name, preset.rules.as_bytes())?;
        self.rules.iter_mut().skip(own).for_each(|rule| rule.general = true);
        Ok(self)
    }

    /// Compares patterns and bundle identifiers without regard to case. ASCII letters only.
    #[must_use]
    pub fn ignore_case(mut self, yes: bool) -> Self {
        self.ignore_case = yes;
        self
    }

    /// Leaves out files of fewer bytes, by the size that the catalog states. Directories and
    /// links count as 0 bytes.
    #[must_use]
    pub fn min_size(mut self, bytes: u64) -> Self {
        self.min_size = Some(bytes);
        self
    }

    /// Leaves out files of more bytes, by the size that the catalog states.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// Leaves out what was last modified before this time, in seconds since the Unix epoch.
    #[must_use]
    pub fn newer(mut self, time: i64) -> Self {
        self.newer = Some(time);
        self
    }

    /// Leaves out what was last modified at this time or later, in seconds since the Unix epoch.
    #[must_use]
    pub fn older(mut self, time: i64) -> Self {
        self.older = Some(time);
        self
    }

    /// Leaves out every other type. Given more than once, any of the types passes.
    #[must_use]
    pub fn entry_type(mut self, kind: EntryType) -> Self {
        self.types.push(kind);
        self
    }

    /// Leaves out what does not belong to the app of this bundle identifier. Given more than
    /// once, any of the apps passes.
    ///
    /// To an app belong its container, the stand-in of an app that is not installed yet, and
    /// the containers of its extensions: those whose identifier is the app's, or the app's and
    /// `.` and more. Group containers carry identifiers of their own, from which no app can be
    /// told, so a group passes only when its own identifier is given.
    #[must_use]
    pub fn bundle_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.bundle_ids.push(id.into());
        self
    }

    /// Compiles the rules.
    ///
    /// # Errors
    ///
    /// Fails on the first pattern that does not parse, on a range of sizes or times that nothing
    /// can be in, and on more than 10,000 rules.
    pub fn build(self) -> Result<Rules, PolicyError> {
        let Self { rules, ignore_case, min_size, max_size, newer, older, types, bundle_ids } = self;
        if rules.len() > MOST_RULES {
            return Err(PolicyError::TooManyRules { most: MOST_RULES });
        }
        if let (Some(min), Some(max)) = (min_size, max_size)
            && min > max
        {
            return Err(PolicyError::EmptyRange { what: "size", from: min.into(), to: max.into() });
        }
        if let (Some(from), Some(to)) = (newer, older)
            && from >= to
        {
            return Err(PolicyError::EmptyRange { what: "time", from: from.into(), to: to.into() });
        }
        let size = |name, size: Option<u64>| Some((size?, format!("{name} {}", size?).into()));
        let time = |name, time: Option<i64>| Some((time?, format!("{name} {}", time?).into()));
        let types_words = format!("type {}", join(types.iter().map(|kind| kind.name())));
        let ids_words = format!("bundle-id {}", join(bundle_ids.iter().map(|id| &**id)));
        let ids: Vec<_> = bundle_ids.into_iter().map(|id| id.into_boxed_bytes()).collect();
        let filters = Filters {
            min_size: size("min-size", min_size),
            max_size: size("max-size", max_size),
            newer: time("newer", newer),
            older: time("older", older),
            types: (!types.is_empty()).then(|| (types, types_words.into())),
            bundle_ids: (!ids.is_empty()).then(|| (ids, ids_words.into())),
            ignore_case,
        };
        let keep_others = rules.first().is_none_or(|first| !first.keep);
        let rules = rules
            .into_iter()
            .map(|rule| rule.compile(ignore_case))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Rules { rules, keep_others, filters })
    }
}

impl Written {
    fn compile(self, ignore_case: bool) -> Result<Rule, PolicyError> {
        let Self { keep, pattern, origin, general } = self;
        let text = format!("{} {pattern}", if keep { '+' } else { '-' }).into();
        match (Pattern::new(&pattern, ignore_case), origin) {
            (Ok(pattern), _) => {
                Ok(Rule { text, keep, pattern, general, matched: AtomicBool::new(false) })
            }
            (Err(error), None) => Err(error),
            (Err(error), Some((file, line))) => {
                Err(PolicyError::Line { file, line, source: error.into() })
            }
        }
    }
}

fn join<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.collect::<Vec<_>>().join(",")
}
