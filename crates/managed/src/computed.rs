//! Computed settings, and what in them comes from profiles. Source: MANAGED.md 1.1, 2.5 and 9.
//!
//! Devices compute `EffectiveUserSettings.plist` and its like from three sources: the user's own
//! choices, parts of the system, and profiles. A value is taken for a profile's when a profile set
//! it and the user did not choose the same.

use plist::{Dictionary, Value};
use serde::Serialize;

use crate::keys::Keys;
use crate::{Profile, ProfileState, StateFile, StateKind};

/// A file of computed settings in which values were found that a profile set.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SettingsOfProfiles {
    /// The file.
    pub file: StateFile,
    /// The restrictions, at most 64 of them.
    pub names: Vec<String>,
}

/// The most restrictions that are named for one file.
const MOST: usize = 64;
/// Restrictions stand in these dictionaries, each under its name.
const GROUPS: [&str; 4] = ["restrictedBool", "restrictedValue", "intersection", "union"];

/// Files of settings while a survey reads them.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    computed: Vec<(StateFile, Dictionary)>,
    of_profiles: Vec<Dictionary>,
    of_users: Vec<Dictionary>,
}

impl Settings {
    /// Takes down a file, if it is one of those.
    pub(crate) fn see(&mut self, file: &StateFile, keys: Keys<'_>) {
        let kept = || {
            let groups = GROUPS.into_iter().filter_map(|group| {
                Some((group.to_owned(), Value::Dictionary(keys.dict(group)?.0.clone())))
            });
            groups.collect::<Dictionary>()
        };
        match file.kind {
            StateKind::ProfileTruth => self.of_profiles.push(kept()),
            StateKind::UserSettings => self.of_users.push(kept()),
            StateKind::EffectiveUserSettings
            | StateKind::PublicEffectiveUserSettings
            | StateKind::Truth => self.computed.push((file.clone(), kept())),
            _ => {}
        }
    }

    /// Finds the files that hold values of profiles, by the merged restrictions and by the stubs of
    /// installed profiles.
    pub(crate) fn finish(self, profiles: &[Profile]) -> Vec<SettingsOfProfiles> {
        let Self { computed, of_profiles, of_users } = self;
        let installed = profiles.iter().filter(|p| p.state == ProfileState::Installed);
        let stated = installed.flat_map(|profile| &profile.payloads);
        let stated: Vec<(&str, bool)> = stated
            .flat_map(|payload| &payload.restrictions)
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let chosen = |group: &str, name: &str, value: &Value| {
            of_users.iter().any(|user| find(user, group, name) == Some(value))
        };
        let set = |group: &str, name: &str, value: &Value| {
            let merged = of_profiles.iter().filter_map(|profiles| find(profiles, group, name));
            let mut merged = merged.filter(|set| shares(group, value, set));
            let by_stub = || {
                group == "restrictedBool"
                    && stated.iter().any(|(n, v)| *n == name && value.as_boolean() == Some(*v))
            };
            merged.next().is_some() || by_stub()
        };
        let of_file = |(file, settings): (StateFile, Dictionary)| {
            let mut names = Vec::new();
            for group in GROUPS {
                let Some(entries) = Keys(&settings).dict(group) else { continue };
                for (name, entry) in entries.0 {
                    let Some(value) = value_of(entry) else { continue };
                    if names.len() < MOST && set(group, name, value) && !chosen(group, name, value)
                    {
                        names.push(name.clone());
                    }
                }
            }
            (!names.is_empty()).then_some(SettingsOfProfiles { file, names })
        };
        computed.into_iter().filter_map(of_file).collect()
    }
}

/// Whether a computed value holds what a profile set. A union grows by what others add to it.
fn shares(group: &str, computed: &Value, set: &Value) -> bool {
    match (group, computed.as_array(), set.as_array()) {
        ("union", Some(computed), Some(set)) => set.iter().any(|value| computed.contains(value)),
        _ => computed == set,
    }
}

fn find<'d>(settings: &'d Dictionary, group: &str, name: &str) -> Option<&'d Value> {
    value_of(Keys(settings).dict(group)?.0.get(name)?)
}

fn value_of(entry: &Value) -> Option<&Value> {
    let entry = entry.as_dictionary()?;
    entry.get("value").or_else(|| entry.get("values"))
}

#[cfg(test)]
mod tests {
    use plist::{Dictionary, Value};

    use super::{GROUPS, Settings};
    use crate::keys::Keys;
    use crate::{Home, StateFile, StateKind};

    fn file(kind: StateKind) -> StateFile {
        let (domain, path) = ("HomeDomain".into(), format!("{kind:?}"));
        StateFile { domain, path, kind, home: Home::User, size: 0 }
    }

    fn settings(group: &str, name: &str, value: Value) -> Dictionary {
        let entry = Dictionary::from_iter([("value", value)]);
        let group = (group, Value::Dictionary(Dictionary::from_iter([(name, Value::from(entry))])));
        Dictionary::from_iter([group])
    }

    fn found(
        computed: &Dictionary,
        profile: &Dictionary,
        user: Option<&Dictionary>,
    ) -> Vec<String> {
        let mut all = Settings::default();
        all.see(&file(StateKind::EffectiveUserSettings), Keys(computed));
        all.see(&file(StateKind::ProfileTruth), Keys(profile));
        if let Some(user) = user {
            all.see(&file(StateKind::UserSettings), Keys(user));
        }
        all.finish(&[]).into_iter().flat_map(|found| found.names).collect()
    }

    #[test]
    fn a_value_is_a_profiles_when_it_set_it_and_the_user_did_not() {
        for group in GROUPS {
            let of = |value: i64| settings(group, "x", Value::Array(vec![value.into(), 9.into()]));
            assert_eq!(found(&of(1), &of(1), None), ["x"], "{group}");
            assert_eq!(found(&of(1), &of(1), Some(&of(2))), ["x"], "{group}");
            assert!(found(&of(1), &of(1), Some(&of(1))).is_empty(), "{group}");
            let other = settings(group, "x", Value::Array(vec![5.into()]));
            assert!(found(&of(1), &other, None).is_empty(), "{group}");
            assert!(found(&of(1), &settings(group, "y", 1.into()), None).is_empty(), "{group}");
            assert!(found(&of(1), &Dictionary::new(), None).is_empty(), "{group}");
        }
        // A union holds a part of what the profile set.
        let union = |values: &[i64]| {
            let values = values.iter().map(|value| Value::from(*value)).collect();
            settings("union", "x", Value::Array(values))
        };
        assert_eq!(found(&union(&[1, 2, 3]), &union(&[3, 4]), None), ["x"]);
        let text = settings("restrictedBool", "x", "no dictionary".into());
        assert_eq!(found(&text, &text, None), ["x"]);
    }
}
