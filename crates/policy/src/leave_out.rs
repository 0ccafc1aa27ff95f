//! What a copy leaves out, as the pipeline asks for it.

use std::collections::{BTreeMap, BTreeSet};

use bkp_core::{Domain, Entry, EntryKind, RelPath, Select, Verdict};

use crate::apps::{AppDecisions, AppRule, DomainRule};
use crate::books::{self, is_managed_book};
use crate::strip::{Action, StripRule, StripSet};
use crate::{DifferentDevice, Requirement};

/// Leaves management state, apps and books out of a copy; everything else is kept.
///
/// As a [`Select`] it names the rule and the requirement of everything that it leaves out. What it
/// leaves out besides apps and books it can only have by a [`DifferentDevice`]. A file that another
/// rule of the caller drops or keeps is none of its business: put this after them.
#[derive(Debug)]
pub struct LeaveOut<'p> {
    strip: Option<StripSet<'p>>,
    domains: BTreeMap<Box<str>, (DomainRule, Box<str>)>,
    books: Option<Box<str>>,
    /// What the rules of `strip` are called in a verdict, by their names.
    texts: BTreeMap<&'static str, Box<str>>,
}

/// Why an entry is left out.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Because<'a> {
    /// The name of the rule, stable.
    pub rule: &'static str,
    /// The statement that it follows.
    pub requirement: Requirement,
    /// What it is, or was, for.
    pub why: &'static str,
    /// The app whose data it is.
    pub app: Option<&'a str>,
    /// Rule and requirement as a verdict spells them.
    pub text: &'a str,
}

impl<'p> LeaveOut<'p> {
    /// Leaves out what a filter by policy does: apps and books, whoever the target is.
    #[must_use]
    pub fn for_filter(apps: &AppDecisions, books_disallowed: bool) -> Self {
        Self::of(None, apps, books_disallowed)
    }

    /// Leaves out what does not go to another device.
    pub(crate) fn for_restore(
        proof: &'p DifferentDevice,
        of_profiles: &BTreeSet<(Domain, RelPath)>,
        apps: &AppDecisions,
        books_disallowed: bool,
    ) -> Self {
        let strip = StripSet::new(proof, of_profiles.iter().cloned());
        Self::of(Some(strip), apps, books_disallowed)
    }

    fn of(strip: Option<StripSet<'p>>, apps: &AppDecisions, books_disallowed: bool) -> Self {
        let text = |rule: &str, requirement: Requirement| -> Box<str> {
            format!("{rule} ({requirement})").into()
        };
        let texts = crate::strip::STRIPPED
            .iter()
            .filter_map(|rule| Some((rule.name, text(rule.name, rule.requirement()?))));
        let domains = apps.domains.iter().map(|(domain, rule)| {
            let words = text(rule.rule.name(), rule.rule.requirement());
            (domain.clone(), (rule.clone(), words))
        });
        Self {
            texts: if strip.is_some() { texts.collect() } else { BTreeMap::new() },
            strip,
            domains: domains.collect(),
            books: books_disallowed.then(|| text(books::RULE, books::REQUIREMENT)),
        }
    }

    /// Returns true when nothing can be left out.
    #[must_use]
    pub fn keeps_everything(&self) -> bool {
        let Self { strip, domains, books, texts: _ } = self;
        strip.is_none() && domains.is_empty() && books.is_none()
    }

    /// Says why an entry is left out; none when it stays.
    #[must_use]
    pub fn because(&self, entry: &Entry) -> Option<Because<'_>> {
        let Self { strip, domains, books, texts } = self;
        let Entry { domain, path, kind, .. } = entry;
        if let Ok(name) = std::str::from_utf8(domain.as_bytes())
            && let Some((DomainRule { bundle_id, rule }, text)) = domains.get(name)
        {
            return Some(Because {
                rule: rule.name(),
                requirement: rule.requirement(),
                why: match rule {
                    AppRule::RemoveOnUnenrol => "the app goes with the enrolment it came by",
                    AppRule::NoBackup => "the app's data is not to be in a backup",
                    AppRule::ManagedAppsDisallowed => {
                        "data of managed apps is not to be in a backup"
                    }
                },
                app: Some(bundle_id),
                text,
            });
        }
        if let Some(text) = books
            && is_managed_book(domain, path)
        {
            return Some(Because {
                rule: books::RULE,
                requirement: books::REQUIREMENT,
                why: "managed books are not to be in a backup",
                app: None,
                text,
            });
        }
        // A folder that is named like a profile is none.
        if *kind == EntryKind::Directory {
            return None;
        }
        match strip.as_ref()?.classify(domain, path) {
            Action::Strip(rule) => Some(Because {
                rule: rule.name,
                requirement: rule.requirement()?,
                why: rule.why,
                app: None,
                text: texts.get(rule.name)?,
            }),
            Action::Keep | Action::Report(_) => None,
        }
    }

    /// Returns the rule by which an entry that stays is to be named in the report.
    #[must_use]
    pub fn report(&self, entry: &Entry) -> Option<&'static StripRule> {
        if entry.kind == EntryKind::Directory || self.because(entry).is_some() {
            return None;
        }
        match self.strip.as_ref()?.classify(&entry.domain, &entry.path) {
            Action::Report(rule) => Some(rule),
            Action::Keep | Action::Strip(_) => None,
        }
    }
}

impl Select for LeaveOut<'_> {
    fn judge(&self, entry: &Entry) -> Verdict<'_> {
        match self.because(entry) {
            Some(because) => Verdict::Drop(Some(because.text)),
            None => Verdict::Keep(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use bkp_core::{Domain, Entry, EntryKind, RelPath, Select as _, Verdict};

    use super::LeaveOut;
    use crate::apps::{AppFacts, AppFlags, AppStatement, Purpose, Signal, decide_apps};
    use crate::identity::tests_support::different;

    fn entry(domain: &str, path: &str, kind: EntryKind) -> Entry {
        Entry::derive(Domain::new(domain).unwrap(), RelPath::new(path).unwrap(), kind)
    }

    const D1: &str = "SysSharedContainerDomain-systemgroup.com.apple.configurationprofiles";

    #[test]
    fn verdicts_name_rule_and_requirement() {
        let proof = different();
        let app = AppFacts {
            statements: vec![AppStatement {
                signal: Signal::PolicyFile,
                managed: Some(true),
                flags: Some(AppFlags::from_bits(1)),
            }],
            ..AppFacts::new("com.example.mail")
        };
        let apps = decide_apps(&[app], &[], Purpose::Restore(&proof), false);
        let leave = LeaveOut::for_restore(&proof, &[].into(), &apps, true);
        let cases = [
            (D1, "Library/ConfigurationProfiles/MDM.plist", Some("enrolment (001-24)")),
            (D1, "Library/ConfigurationProfiles/UserSettings.plist", None),
            ("AppDomain-com.example.mail", "Documents/x", Some("app-remove-on-unenrol (001-26)")),
            ("AppDomain-com.example.mail2", "Documents/x", None),
            ("BooksDomain", "Managed/x.epub", Some("managed-books-disallowed (001-16)")),
            ("KeychainDomain", "keychain-backup.plist", None),
        ];
        for (domain, path, rule) in cases {
            let expected = rule.map_or(Verdict::Keep(None), |rule| Verdict::Drop(Some(rule)));
            assert_eq!(leave.judge(&entry(domain, path, EntryKind::File)), expected, "{path}");
        }
        let folder = entry(D1, "Library/ConfigurationProfiles/profile-x", EntryKind::Directory);
        assert!(leave.judge(&folder).is_keep());
        let reported = entry(D1, "Library/ConfigurationProfiles/Truth.plist", EntryKind::File);
        assert_eq!(leave.report(&reported).unwrap().name, "computed-settings");
        assert!(leave.judge(&reported).is_keep());
    }

    /// A filter has no proof, so it can touch no profile.
    #[test]
    fn a_filter_strips_no_profile() {
        let leave = LeaveOut::for_filter(&decide_apps(&[], &[], Purpose::Filter, true), true);
        assert!(!leave.keeps_everything());
        let book = entry("BooksDomain", "Managed/x.epub", EntryKind::File);
        assert!(!leave.judge(&book).is_keep());
        let profile = entry(D1, "Library/ConfigurationProfiles/profile-x.stub", EntryKind::File);
        assert!(leave.judge(&profile).is_keep() && leave.report(&profile).is_none());
        assert!(
            LeaveOut::for_filter(&decide_apps(&[], &[], Purpose::Filter, true), false)
                .keeps_everything()
        );
    }
}
