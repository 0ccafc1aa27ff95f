//! Rules that come with the program, as files of rules.

/// A file of rules that comes with the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Preset {
    /// What it is called.
    pub name: &'static str,
    /// The rules, one a line, as [`RulesBuilder::file`](crate::RulesBuilder::file) reads them.
    pub rules: &'static str,
}

macro_rules! preset {
    ($name:literal) => {
        Preset { name: $name, rules: include_str!(concat!("../presets/", $name, ".rules")) }
    };
}

/// Every preset, by name.
pub const PRESETS: &[Preset] = &[
    preset!("apps"),
    preset!("configuration"),
    preset!("messages"),
    preset!("photos"),
    preset!("without-apps"),
    preset!("without-media"),
];

impl Preset {
    /// Finds a preset by its name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Returns what the preset takes or leaves, in a sentence: its first line, without the `#`.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.rules.lines().next().unwrap_or_default().trim_start_matches('#').trim()
    }
}

#[cfg(test)]
mod tests {
    use bkp_core::{Domain, Entry, EntryKind, RelPath, Select as _};

    use super::{PRESETS, Preset};
    use crate::Rules;

    #[test]
    fn every_preset_is_sorted_told_and_compiles() {
        assert!(PRESETS.is_sorted_by_key(|preset| preset.name));
        for preset in PRESETS {
            assert!(preset.summary().ends_with('.'), "{}", preset.name);
            let rules = Rules::builder().preset(preset).unwrap().build().unwrap();
            assert!(!rules.keep_everything(), "{}", preset.name);
            // A preset is for any backup, so what one backup has not is no slip of the pen.
            assert!(rules.unmatched().is_empty());
        }
        assert!(Preset::find("nonsense").is_none());
    }

    #[test]
    fn presets_take_what_they_say() {
        let kept = |preset: &str, domain: &str, path: &str| {
            let preset = Preset::find(preset).unwrap();
            let rules = Rules::builder().preset(preset).unwrap().build().unwrap();
            let entry = Entry::derive(
                Domain::new(domain).unwrap(),
                RelPath::new(path).unwrap(),
                EntryKind::File,
            );
            rules.judge(&entry).is_keep()
        };
        assert!(kept("messages", "HomeDomain", "Library/SMS/sms.db-wal"));
        assert!(!kept("messages", "HomeDomain", "Library/Notes/notes.db"));
        assert!(kept("without-media", "HomeDomain", "Library/SMS/sms.db"));
        assert!(!kept("without-media", "CameraRollDomain", "Media/DCIM/1.JPG"));
        assert!(kept("apps", "AppDomainGroup-group.x", "a"));
        assert!(!kept("apps", "HomeDomain", "a"));
        assert!(!kept("without-apps", "AppDomain-com.example", "a"));
        assert!(kept("photos", "CameraRollDomain", "Media/PhotoData/Photos.sqlite"));
    }
}
