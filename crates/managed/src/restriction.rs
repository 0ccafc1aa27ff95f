//! Restrictions, and where each of them stands. Source: MANAGED.md 1.1, 2.5 and 5.

use plist::Value;
use serde::Serialize;

use crate::keys::{Keys, texts, truth};
use crate::{Home, StateKind};

/// One restriction that is in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Restriction {
    /// Its key, such as `forceEncryptedBackup`.
    pub name: String,
    /// Its value.
    pub value: RestrictionValue,
    /// Where it was read.
    pub source: RestrictionSource,
    /// Which store that file is in.
    pub scope: Home,
    /// Identifiers of the profiles whose payloads name it, as far as stubs tell.
    pub set_by: Vec<String>,
}

/// The value of a restriction.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RestrictionValue {
    /// Of `restrictedBool`.
    Bool(bool),
    /// Of `restrictedValue`.
    Number(i64),
    /// Of `restrictedValue`, not a whole number.
    Real(f64),
    /// Of `union` and `intersection`.
    Texts(Vec<String>),
}

/// The file that a restriction was read from.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub enum RestrictionSource {
    /// What profiles set: all of it is told.
    ProfileTruth,
    /// Computed of profiles, system and user. Only what concerns backups and is not the default is
    /// told of this and the next two.
    Truth,
    /// Computed.
    EffectiveUserSettings,
    /// Computed.
    PublicEffectiveUserSettings,
}

impl RestrictionSource {
    pub(crate) fn of(kind: StateKind) -> Option<Self> {
        Some(match kind {
            StateKind::ProfileTruth => Self::ProfileTruth,
            StateKind::Truth => Self::Truth,
            StateKind::EffectiveUserSettings => Self::EffectiveUserSettings,
            StateKind::PublicEffectiveUserSettings => Self::PublicEffectiveUserSettings,
            _ => return None,
        })
    }
}

/// Restrictions that concern backups, with their defaults. Source: MANAGED.md section 5.
const BACKUP: [(&str, bool); 7] = [
    ("allowCloudBackup", true),
    ("allowEnterpriseBookBackup", true),
    ("allowEnterpriseBookMetadataSync", true),
    ("allowHostPairing", true),
    ("allowManagedAppsCloudSync", true),
    ("forceEncryptedBackup", false),
    ("forceITunesStorePasswordEntry", false),
];

/// The most restrictions that are kept of one file. There are some 200 keys in all.
const MOST: usize = 4096;

pub(crate) fn read(
    keys: Keys<'_>,
    source: RestrictionSource,
    scope: Home,
    restrictions: &mut Vec<Restriction>,
) {
    let mut add = |name: &str, value| {
        restrictions.push(Restriction {
            name: name.to_owned(),
            value,
            source,
            scope,
            set_by: Vec::new(),
        });
    };
    if source != RestrictionSource::ProfileTruth {
        let Some(bools) = keys.dict("restrictedBool") else { return };
        for (name, default) in BACKUP {
            match bools.dict(name).and_then(|entry| entry.bool("value")) {
                Some(value) if value != default => add(name, RestrictionValue::Bool(value)),
                _ => {}
            }
        }
        return;
    }
    let values = |group| {
        let Keys(entries) = keys.dict(group)?;
        Some(entries.iter().filter_map(|(name, entry)| {
            let entry = entry.as_dictionary()?;
            Some((name.as_str(), entry.get("value").or_else(|| entry.get("values"))?))
        }))
    };
    let groups = ["restrictedBool", "restrictedValue", "intersection", "union"];
    let all = groups.into_iter().filter_map(values).flatten();
    for (name, value) in all.take(MOST) {
        if let Some(value) = RestrictionValue::of(value) {
            add(name, value);
        }
    }
}

impl RestrictionValue {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(value) => Some(Self::Bool(*value)),
            Value::Integer(value) => value.as_signed().map(Self::Number),
            Value::Real(value) if value.is_finite() => Some(Self::Real(*value)),
            Value::Array(values) => Some(Self::Texts(texts(values))),
            _ => None,
        }
    }

    /// Returns the value as yes or no, where it is that.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Number(value) => truth(&Value::from(*value)),
            _ => None,
        }
    }
}
