//! Which apps' data is left out of a copy, and why.
//!
//! ```text
//! statements about an app, strongest first
//!   1 the administrator: policy file, ManagedApplicationList ─┐
//!   2 a declaration (IncludeInBackup)                         ├─▶ may leave data out
//!   3 MDMAppManagement.plist                                  ─┘
//!   4 licence in the store's metadata ─┐
//!   5 no store metadata                ├─▶ are only reported
//!   6 managed configuration in its preferences ─┘
//!
//! an app that goes ─▶ AppDomain-, AppDomainPlaceholder-
//!                  ─▶ AppDomainPlugin- of its extensions     ─┐ unless an app that stays
//!                  ─▶ AppDomainGroup-, where it is proved     ─┘ owns them as well
//! ```

mod owners;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::tables::{AppType, Assignment};
use crate::{DifferentDevice, Requirement};

pub use owners::GroupOwners;
use owners::{Ownership, groups_of};

/// What says that an app is managed, strongest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Signal {
    /// The policy file.
    PolicyFile,
    /// A saved answer to the MDM command `ManagedApplicationList`.
    ManagedApplicationList,
    /// A declaration `app.managed`.
    Declaration,
    /// `MDMAppManagement.plist` in the backup.
    MdmAppManagement,
    /// The store's metadata tell of a volume licence.
    StoreLicence,
    /// There is no metadata of the store: in-house, ad hoc or a system app.
    NoStoreMetadata,
    /// The app's preferences hold a managed configuration.
    ManagedConfiguration,
}

impl Signal {
    /// Returns how strong the signal is: 1 is the strongest, 6 the weakest.
    #[must_use]
    pub fn strength(self) -> u8 {
        match self {
            Self::PolicyFile | Self::ManagedApplicationList => 1,
            Self::Declaration => 2,
            Self::MdmAppManagement => 3,
            Self::StoreLicence => 4,
            Self::NoStoreMetadata => 5,
            Self::ManagedConfiguration => 6,
        }
    }

    /// Returns true for the signals that may leave data out. A licence proves a purchase, and not
    /// that the app is managed now.
    #[must_use]
    pub fn may_drive(self) -> bool {
        self.strength() <= 3
    }

    /// Returns the name that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PolicyFile => "policy-file",
            Self::ManagedApplicationList => "managed-application-list",
            Self::Declaration => "declaration",
            Self::MdmAppManagement => "mdm-app-management",
            Self::StoreLicence => "store-licence",
            Self::NoStoreMetadata => "no-store-metadata",
            Self::ManagedConfiguration => "managed-configuration",
        }
    }
}

/// Management flags of an app.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct AppFlags {
    /// Bit 1: the app and its data go when the device is unenrolled.
    pub remove_on_unenrol: bool,
    /// Bit 4: its data is not to be backed up.
    pub no_backup: bool,
}

impl AppFlags {
    /// Takes the two bits that have a meaning out of a number; others are passed over.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self { remove_on_unenrol: bits & 1 != 0, no_backup: bits & 4 != 0 }
    }

    /// Returns the number: 0, 1, 4 or 5.
    #[must_use]
    pub fn bits(self) -> u8 {
        u8::from(self.remove_on_unenrol) | (u8::from(self.no_backup) << 2)
    }
}

impl fmt::Display for AppFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bits().fmt(f)
    }
}

/// What one signal says of an app.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AppStatement {
    /// The signal.
    pub signal: Signal,
    /// Whether the app is managed now; none when the signal does not say, or is not understood.
    pub managed: Option<bool>,
    /// The flags, where it states them. A declaration that leaves an app out of backups states
    /// [`no_backup`](AppFlags::no_backup).
    pub flags: Option<AppFlags>,
}

impl AppStatement {
    /// Returns true when data may be left out on the word of this statement.
    #[must_use]
    pub fn drives(&self) -> bool {
        self.signal.may_drive() && self.managed == Some(true) && self.flags.is_some()
    }
}

/// What is known of an app.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AppFacts {
    /// The bundle identifier.
    pub bundle_id: Box<str>,
    /// Whether the app is in the backup's list of installed apps.
    pub installed: bool,
    /// Bundle identifiers of the extensions inside the app, as `Manifest.plist` proves by their
    /// paths.
    pub plugins: Vec<Box<str>>,
    /// All groups that the app's entitlements name; none when they are not known.
    pub groups: Option<Vec<Box<str>>>,
    /// What says whether it is managed, in any order.
    pub statements: Vec<AppStatement>,
    /// Type and licence, where known.
    pub app_type: Option<AppType>,
    /// How it is assigned in MDM, where known.
    pub assignment: Option<Assignment>,
}

impl AppFacts {
    /// Describes an app of which nothing is known but its identifier.
    #[must_use]
    pub fn new(bundle_id: impl Into<Box<str>>) -> Self {
        Self { bundle_id: bundle_id.into(), ..Self::default() }
    }

    /// Returns the statement that decides: the strongest of those that may leave data out and say
    /// whether the app is managed.
    #[must_use]
    pub fn deciding(&self) -> Option<&AppStatement> {
        self.statements
            .iter()
            .filter(|statement| statement.signal.may_drive())
            .filter(|statement| statement.managed == Some(false) || statement.drives())
            .min_by_key(|statement| statement.signal)
    }
}

/// Why an app's data is left out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AppRule {
    /// Flag 1, and the target is another device.
    RemoveOnUnenrol,
    /// Flag 4, or a declaration: its data is not to be in a backup.
    NoBackup,
    /// The backup of all managed apps is disallowed.
    ManagedAppsDisallowed,
}

impl AppRule {
    /// Returns the name that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RemoveOnUnenrol => "app-remove-on-unenrol",
            Self::NoBackup => "app-no-backup",
            Self::ManagedAppsDisallowed => "managed-apps-disallowed",
        }
    }

    /// Returns the statement that the rule follows.
    #[must_use]
    pub fn requirement(self) -> Requirement {
        match self {
            Self::RemoveOnUnenrol => Requirement::new(1, "26"),
            Self::NoBackup => Requirement::new(1, "15"),
            Self::ManagedAppsDisallowed => Requirement::new(1, "12"),
        }
    }
}

/// What the copy is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'p> {
    /// A filter by policy: what should not be in any backup goes, whoever the target is.
    Filter,
    /// A restore to another device: remove-on-unenrol apps go as well.
    Restore(&'p DifferentDevice),
}

/// What is decided about the data of one app.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AppDecision {
    /// The bundle identifier.
    pub bundle_id: Box<str>,
    /// Why the app's data goes; none when it stays.
    pub left_out: Option<AppRule>,
    /// The signal that decided.
    pub signal: Option<Signal>,
    /// The flags that it states.
    pub flags: Option<AppFlags>,
    /// What is only reported.
    pub notes: Vec<AppNote>,
}

/// Something about an app that a person should know.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AppNote {
    /// A signal that may not leave data out says that the app is, or may be, managed.
    WeakSignal(Signal),
    /// A signal that is overruled by a stronger one states other flags, or another state.
    Overruled(Signal),
    /// A signal does not say whether the app is managed now, so nothing is left out for it.
    StateNotKnown(Signal),
    /// A group of the app stays, since an app that stays uses it too.
    GroupShared(Box<str>),
    /// A group of the app stays, since it is not proved that no other app uses it.
    GroupNotProved(Box<str>),
    /// A domain of an extension stays: it belongs to an app that stays as well.
    PluginShared(Box<str>),
}

/// A domain that is left out.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DomainRule {
    /// The app for which it goes.
    pub bundle_id: Box<str>,
    /// Why.
    pub rule: AppRule,
}

/// What is decided about all apps.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct AppDecisions {
    /// App by app, in the order of their identifiers.
    pub apps: Vec<AppDecision>,
    /// The domains that are left out, by name.
    pub domains: BTreeMap<Box<str>, DomainRule>,
}

/// Decides which domains are left out.
///
/// `managed_apps_disallowed` is the restriction that keeps every managed app out of backups.
/// An identifier that occurs twice is one app of which more is known.
#[must_use]
pub fn decide_apps(
    apps: &[AppFacts],
    owners: &[GroupOwners],
    purpose: Purpose<'_>,
    managed_apps_disallowed: bool,
) -> AppDecisions {
    let apps = merged(apps);
    let mut decisions: Vec<_> =
        apps.values().map(|app| decide(app, purpose, managed_apps_disallowed)).collect();
    let gone: BTreeSet<&str> = decisions
        .iter()
        .filter(|decision| decision.left_out.is_some())
        .map(|decision| &*decision.bundle_id)
        .collect();
    let kept_plugins: BTreeSet<&str> = apps
        .values()
        .filter(|app| !gone.contains(&*app.bundle_id))
        .flat_map(|app| app.plugins.iter().map(|plugin| &**plugin))
        .collect();
    let mut domains = BTreeMap::new();
    let mut notes: BTreeMap<&str, Vec<AppNote>> = BTreeMap::new();
    for decision in &decisions {
        let (Some(rule), Some(app)) = (decision.left_out, apps.get(&decision.bundle_id)) else {
            continue;
        };
        let id = &*app.bundle_id;
        let mut leave = |domain: String| {
            let because = || DomainRule { bundle_id: id.into(), rule };
            domains.entry(domain.into_boxed_str()).or_insert_with(because);
        };
        leave(format!("AppDomain-{id}"));
        leave(format!("AppDomainPlaceholder-{id}"));
        for plugin in &app.plugins {
            if kept_plugins.contains(&**plugin) {
                notes.entry(id).or_default().push(AppNote::PluginShared(plugin.clone()));
            } else {
                leave(format!("AppDomainPlugin-{plugin}"));
            }
        }
        for (group, ownership) in groups_of(app, &apps, owners, &gone) {
            let group: Box<str> = group.into();
            match ownership {
                Ownership::OnlyGone => leave(format!("AppDomainGroup-{group}")),
                Ownership::Shared => {
                    notes.entry(id).or_default().push(AppNote::GroupShared(group));
                }
                Ownership::NotProved => {
                    notes.entry(id).or_default().push(AppNote::GroupNotProved(group));
                }
            }
        }
    }
    let mut notes: BTreeMap<Box<str>, Vec<AppNote>> =
        notes.into_iter().map(|(id, notes)| (id.into(), notes)).collect();
    for decision in &mut decisions {
        decision.notes.extend(notes.remove(&decision.bundle_id).unwrap_or_default());
    }
    AppDecisions { apps: decisions, domains }
}

/// Puts together what is known of each app.
fn merged(apps: &[AppFacts]) -> BTreeMap<Box<str>, AppFacts> {
    let mut all: BTreeMap<Box<str>, AppFacts> = BTreeMap::new();
    for app in apps {
        let AppFacts { bundle_id, installed, plugins, groups, statements, app_type, assignment } =
            app;
        let one = all.entry(bundle_id.clone()).or_insert_with(|| AppFacts::new(bundle_id.clone()));
        one.installed |= *installed;
        one.plugins.extend(plugins.iter().cloned());
        one.plugins.sort_unstable();
        one.plugins.dedup();
        if let Some(groups) = groups {
            let known = one.groups.get_or_insert_default();
            known.extend(groups.iter().cloned());
            known.sort_unstable();
            known.dedup();
        }
        one.statements.extend(statements);
        one.app_type = one.app_type.or(*app_type);
        one.assignment = one.assignment.or(*assignment);
    }
    all
}

fn decide(app: &AppFacts, purpose: Purpose<'_>, disallowed: bool) -> AppDecision {
    let deciding = app.deciding().copied();
    let flags = deciding.and_then(|statement| statement.flags);
    let in_force = deciding.filter(AppStatement::drives).and(flags);
    let known_managed = deciding.is_some_and(|statement| statement.managed == Some(true))
        || (deciding.is_none()
            && app
                .statements
                .iter()
                .any(|statement| statement.signal.may_drive() && statement.managed == Some(true)));
    let left_out = match (in_force, purpose) {
        (Some(AppFlags { no_backup: true, .. }), _) => Some(AppRule::NoBackup),
        (Some(AppFlags { remove_on_unenrol: true, .. }), Purpose::Restore(_)) => {
            Some(AppRule::RemoveOnUnenrol)
        }
        _ if disallowed && known_managed => Some(AppRule::ManagedAppsDisallowed),
        _ => None,
    };
    let mut notes = Vec::new();
    for statement in &app.statements {
        let AppStatement { signal, managed, flags } = *statement;
        if Some(*statement) == deciding || (managed == Some(false) && deciding.is_none()) {
            continue;
        }
        if !signal.may_drive() {
            notes.push(AppNote::WeakSignal(signal));
        } else if managed.is_none() {
            notes.push(AppNote::StateNotKnown(signal));
        } else if let Some(by) = deciding
            && (by.managed != managed || (flags.is_some() && by.flags != flags))
        {
            notes.push(AppNote::Overruled(signal));
        }
    }
    let signal = deciding.map(|statement| statement.signal);
    AppDecision { bundle_id: app.bundle_id.clone(), left_out, signal, flags, notes }
}
