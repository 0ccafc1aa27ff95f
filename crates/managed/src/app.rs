//! Apps: what is installed, what is managed, whose plug-ins and groups there are, and how much
//! data each has. Source: MANAGED.md section 4.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use bkp_bundle::{Backup, Bundle, BundlePayloads, BundleRecord, Catalog, Opened, Unlocked};
use bkp_core::{Domain, DomainKind, Entry, EntryKind, Source as _};
use serde::Serialize;

use crate::keys::Keys;
use crate::reader::Reader;
use crate::{Basis, ManagedError, Purchase, purchase};

/// An app that `MDMAppManagement.plist` lists.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ManagedApp {
    /// The bundle id.
    pub bundle_id: String,
    /// `flags`: 1 remove at the end of the enrolment, 4 no backup, 5 both.
    pub flags: Option<i64>,
    /// Bit 1 of the flags.
    pub remove_on_unenrol: Option<bool>,
    /// Bit 4 of the flags.
    pub no_backup: Option<bool>,
    /// `state`, a number of the device's own.
    pub state: Option<i64>,
    /// Whether the state is one of those that look like "not managed any more": 10, 11, 17, 18. It
    /// is not certain what the numbers mean.
    pub state_looks_unmanaged: bool,
    /// `Removable` of `Attributes`.
    pub removable: Option<bool>,
    /// `VPNUUID` of `Attributes`.
    pub vpn_uuid: Option<String>,
    /// `source`: who manages it.
    pub source: Option<String>,
    /// There is a managed configuration.
    pub has_configuration: bool,
}

/// Apps of a backup.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct AppSurvey {
    /// What the facts rest on.
    pub basis: Basis,
    /// The apps, by bundle id.
    pub apps: Vec<App>,
    /// Containers that apps share, by their id.
    pub groups: Vec<Group>,
    /// Plug-ins of which no app is known.
    pub orphan_plugins: Vec<Plugin>,
    /// Bundle ids that only a placeholder's domain names.
    pub placeholders: Vec<String>,
    /// What could not be read.
    #[serde(skip)]
    pub problems: Vec<ManagedError>,
}

/// One app.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct App {
    /// The bundle id.
    pub bundle_id: String,
    /// `Info.plist` lists it under `Installed Applications`.
    pub installed: bool,
    /// `Manifest.plist` names a data container of it.
    pub has_container: bool,
    /// `CFBundleVersion`.
    pub version: Option<String>,
    /// `Path` on the device.
    pub path: Option<String>,
    /// What its own container holds.
    pub data: DataSize,
    /// What the containers of its plug-ins hold.
    pub plugin_data: DataSize,
    /// What `MDMAppManagement.plist` says of it.
    pub managed: Option<ManagedApp>,
    /// Its purchase record.
    pub purchase: Option<Purchase>,
    /// Its preferences hold a managed configuration; `None` where they were not read.
    pub managed_configuration: Option<bool>,
    /// Signs of management and of licences, the strongest first.
    pub signals: Vec<Signal>,
    /// Its plug-ins.
    pub plugins: Vec<Plugin>,
    /// Containers that it may share, by a guess from their names.
    pub groups: Vec<String>,
}

/// How much a container holds, by the catalog.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct DataSize {
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A plug-in of an app.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plugin {
    /// Its bundle id.
    pub bundle_id: String,
    /// What its container holds.
    pub data: DataSize,
}

/// A container that apps share. Backups do not say which: owners are named in what apps are signed
/// with.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// Its id.
    pub group_id: String,
    /// What it holds.
    pub data: DataSize,
    /// Apps whose bundle id begins as the group's id does, at most 16.
    pub candidates: Vec<String>,
    /// What the candidates are worth.
    pub owner: Guess,
}

/// How sure the owner of a group is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Guess {
    /// No app has a name like it.
    #[default]
    Unknown,
    /// One app has. A guess, and nothing to delete by.
    Guess,
    /// Several apps have.
    Ambiguous,
}

/// A sign of management or of a licence. Source: MANAGED.md 4.1, whose numbers these are.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Signal {
    /// 3: `MDMAppManagement.plist` lists it.
    ManagedAppTable,
    /// 4: a licence of the device, bought in volume.
    DeviceLicence,
    /// 4: a licence of a person's account.
    AccountLicence,
    /// 5: installed, and without any record of the store: in-house, ad hoc, or of the system.
    NoStoreRecord,
    /// 6: its preferences hold a managed configuration.
    ManagedConfiguration,
}

/// What may follow from a [`Signal`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SignalStrength {
    /// Strong enough to leave an app's data out.
    Decisive,
    /// To be reported, and no more.
    ReportOnly,
}

impl Signal {
    /// Returns its number in the list of signals, strongest first.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::ManagedAppTable => 3,
            Self::DeviceLicence | Self::AccountLicence => 4,
            Self::NoStoreRecord => 5,
            Self::ManagedConfiguration => 6,
        }
    }

    /// Returns what may follow from it.
    #[must_use]
    pub fn strength(self) -> SignalStrength {
        match self {
            Self::ManagedAppTable => SignalStrength::Decisive,
            _ => SignalStrength::ReportOnly,
        }
    }

    /// Returns the word of machine output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ManagedAppTable => "managed-app-table",
            Self::DeviceLicence => "device-licence",
            Self::AccountLicence => "account-licence",
            Self::NoStoreRecord => "no-store-record",
            Self::ManagedConfiguration => "managed-configuration",
        }
    }
}

impl ManagedApp {
    /// `metadataByBundleID` > bundle id > `{flags, state, Attributes, source, configuration}`.
    pub(crate) fn read_all(keys: Keys<'_>) -> Vec<Self> {
        let Some(Keys(apps)) = keys.dict("metadataByBundleID") else { return Vec::new() };
        apps.iter()
            .filter_map(|(bundle_id, app)| {
                let app = Keys(app.as_dictionary()?);
                let flags = app.int("flags");
                let state = app.int("state");
                let attributes = app.dict("Attributes");
                Some(Self {
                    bundle_id: bundle_id.clone(),
                    flags,
                    remove_on_unenrol: flags.map(|flags| flags & 1 != 0),
                    no_backup: flags.map(|flags| flags & 4 != 0),
                    state,
                    state_looks_unmanaged: matches!(state, Some(10 | 11 | 17 | 18)),
                    removable: attributes.and_then(|attributes| attributes.bool("Removable")),
                    vpn_uuid: attributes.and_then(|attributes| attributes.text("VPNUUID")),
                    source: app.text("source"),
                    has_configuration: app.has("configuration") || app.has("Configuration"),
                })
            })
            .collect()
    }
}

/// Surveys the apps of a backup as far as it is opened; nothing where not even names can be read.
///
/// `managed` is what [`Survey::managed_apps`](crate::Survey::managed_apps) holds. `info` is
/// `Info.plist` as it is stored, of at most [`INFO_LIMIT`](crate::INFO_LIMIT) bytes, for the
/// purchase records of apps; without it there are none. One walk over the catalog, and each app's
/// own preferences.
#[must_use]
pub fn survey_apps(
    opened: &Opened,
    managed: &[ManagedApp],
    info: Option<&[u8]>,
) -> Option<AppSurvey> {
    let bundle = opened.bundle();
    let catalog = opened.catalog()?;
    let payloads = match opened {
        Opened::Unlocked(backup) => Some(backup.payloads()),
        Opened::Locked(_) => None,
    };
    Some(of(bundle, catalog, payloads, managed, info))
}

/// Surveys the apps of a backup that is open, as [`survey_apps`] does.
#[must_use]
pub fn survey_apps_of(
    backup: &Backup<Unlocked>,
    managed: &[ManagedApp],
    info: Option<&[u8]>,
) -> AppSurvey {
    of(backup.bundle(), backup.catalog(), Some(backup.payloads()), managed, info)
}

fn of(
    bundle: &Bundle,
    catalog: &Catalog,
    payloads: Option<&BundlePayloads>,
    managed: &[ManagedApp],
    info: Option<&[u8]>,
) -> AppSurvey {
    let mut problems = Vec::new();
    let mut containers = Containers::default();
    catalog.records().flatten().for_each(|record| containers.see(record));
    let purchases = info.map(|info| purchase::read_all(info, &mut problems)).unwrap_or_default();
    let mut known = Known { apps: BTreeMap::new() };
    known.collect(bundle, managed, purchases);
    let placeholders = containers.owners(DomainKind::AppPlaceholder);
    for id in containers.owners(DomainKind::App) {
        known.app(id);
    }
    for (id, app) in &mut known.apps {
        app.data = containers.size("AppDomain-", id);
    }
    let orphan_plugins = known.plugins(bundle, &containers);
    let groups = known.groups(bundle, &containers);
    if let Some(payloads) = payloads {
        known.preferences(&containers, payloads);
    }
    known.signals(bundle);
    let basis = if payloads.is_some() { Basis::Contents } else { Basis::Names };
    let apps = known.apps.into_values().collect();
    AppSurvey { basis, apps, groups, orphan_plugins, placeholders, problems }
}

/// What the catalog says of containers.
#[derive(Debug, Default)]
struct Containers {
    sizes: HashMap<Domain, DataSize>,
    preferences: HashMap<Domain, BundleRecord>,
}

impl Containers {
    fn see(&mut self, record: BundleRecord) {
        let entry: &Entry = record.as_ref();
        let kind = entry.domain.kind();
        let (DomainKind::App
        | DomainKind::AppGroup
        | DomainKind::AppPlugin
        | DomainKind::AppPlaceholder) = kind
        else {
            return;
        };
        let size = self.sizes.entry(entry.domain.clone()).or_default();
        if entry.kind != EntryKind::File {
            return;
        }
        size.files = size.files.saturating_add(1);
        size.bytes = size.bytes.saturating_add(entry.metadata.size_hint);
        if kind == DomainKind::App && is_own_preferences(entry) {
            self.preferences.insert(entry.domain.clone(), record.without_raw());
        }
    }

    fn size(&self, prefix: &str, id: &str) -> DataSize {
        let domain = Domain::new(format!("{prefix}{id}")).ok();
        domain.and_then(|domain| self.sizes.get(&domain)).copied().unwrap_or_default()
    }

    /// Owners of the domains of a kind, whose names are text, in order.
    fn owners(&self, kind: DomainKind) -> Vec<String> {
        let domains = self.sizes.keys().filter(|domain| domain.kind() == kind);
        let mut owners: Vec<String> = domains
            .filter_map(|domain| Some(std::str::from_utf8(domain.owner()?).ok()?.to_owned()))
            .collect();
        owners.sort_unstable();
        owners
    }
}

/// `Library/Preferences/<bundle id>.plist` of the app's own domain.
fn is_own_preferences(entry: &Entry) -> bool {
    let Some(owner) = entry.domain.owner() else { return false };
    let path = entry.path.as_bytes();
    path.strip_prefix(b"Library/Preferences/")
        .and_then(|name| name.strip_suffix(b".plist"))
        .is_some_and(|name| name == owner)
}

/// The apps while they are put together.
struct Known {
    apps: BTreeMap<String, App>,
}

impl Known {
    fn app(&mut self, bundle_id: String) -> &mut App {
        self.apps
            .entry(bundle_id)
            .or_insert_with_key(|id| App { bundle_id: id.clone(), ..App::default() })
    }

    fn collect(
        &mut self,
        bundle: &Bundle,
        managed: &[ManagedApp],
        purchases: BTreeMap<String, Purchase>,
    ) {
        for container in &bundle.manifest().applications {
            // iOS 9 and earlier may not say what a container is for.
            let class = container.content_class.as_deref();
            if class.is_some_and(|class| class != "Data/Application") {
                continue;
            }
            let id = container.bundle_id.as_ref().unwrap_or(&container.container_id);
            let app = self.app(id.clone());
            app.has_container = true;
            app.version.clone_from(&container.version);
            app.path.clone_from(&container.path);
        }
        for id in bundle.info().map(|info| &info.installed_applications).into_iter().flatten() {
            self.app(id.clone()).installed = true;
        }
        for app in bundle.info().map(|info| &info.applications).into_iter().flatten() {
            self.app(app.bundle_id.clone());
        }
        for (id, purchase) in purchases {
            self.app(id).purchase = Some(purchase);
        }
        for app in managed {
            self.app(app.bundle_id.clone()).managed = Some(app.clone());
        }
    }

    /// Gives plug-ins to the app in whose bundle they lie; returns those of no app.
    fn plugins(&mut self, bundle: &Bundle, containers: &Containers) -> Vec<Plugin> {
        let paths: HashMap<String, String> = self
            .apps
            .values()
            .filter_map(|app| Some((app.path.clone()?, app.bundle_id.clone())))
            .collect();
        let mut orphans = Vec::new();
        for container in &bundle.manifest().applications {
            if container.content_class.as_deref() != Some("Data/PluginKitPlugin") {
                continue;
            }
            let id = &container.container_id;
            let data = containers.size("AppDomainPlugin-", id);
            let plugin = Plugin { bundle_id: id.clone(), data };
            let parent = container.path.as_deref().and_then(app_path);
            let parent = parent.and_then(|path| paths.get(path));
            match parent.and_then(|id| self.apps.get_mut(id)) {
                Some(app) => {
                    let sum = &mut app.plugin_data;
                    sum.files = sum.files.saturating_add(data.files);
                    sum.bytes = sum.bytes.saturating_add(data.bytes);
                    app.plugins.push(plugin);
                }
                None => orphans.push(plugin),
            }
        }
        orphans
    }

    fn groups(&mut self, bundle: &Bundle, containers: &Containers) -> Vec<Group> {
        let listed = bundle.manifest().applications.iter();
        let listed = listed
            .filter(|container| container.content_class.as_deref() == Some("Shared/AppGroup"))
            .map(|container| container.container_id.clone());
        let mut ids: BTreeSet<String> = listed.collect();
        ids.extend(containers.owners(DomainKind::AppGroup));
        let mut groups = Vec::new();
        for group_id in ids {
            let candidates = self.candidates(&group_id);
            let owner = match candidates.len() {
                0 => Guess::Unknown,
                1 => Guess::Guess,
                _ => Guess::Ambiguous,
            };
            for id in &candidates {
                if let Some(app) = self.apps.get_mut(id) {
                    app.groups.push(group_id.clone());
                }
            }
            let data = containers.size("AppDomainGroup-", &group_id);
            groups.push(Group { group_id, data, candidates, owner });
        }
        groups
    }

    /// Apps that the group's id begins with, or whose id begins with the group's, component by
    /// component.
    fn candidates(&self, group_id: &str) -> Vec<String> {
        /// More than this say nothing.
        const MOST: usize = 16;
        let name = group_name(group_id);
        // One component, such as `com`, would fit every app; and no device has names that long.
        if name.split('.').count() < 3 || name.len() > 255 {
            return Vec::new();
        }
        let dots = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
        let above = dots.filter_map(|end| name.get(..end)).filter(|id| self.apps.contains_key(*id));
        let mut candidates: Vec<String> = above.take(MOST).map(str::to_owned).collect();
        let below = format!("{name}.");
        let from = (Bound::Included(below.as_str()), Bound::Unbounded);
        let room = MOST.saturating_sub(candidates.len());
        let ids = self.apps.range::<str, _>(from).map(|(id, _)| id);
        candidates.extend(ids.take_while(|id| id.starts_with(&below)).take(room).cloned());
        candidates
    }

    /// Looks for a managed configuration in each app's preferences. What cannot be read stays
    /// unknown: this is the weakest of all signals.
    fn preferences(&mut self, containers: &Containers, payloads: &BundlePayloads) {
        let mut reader = Reader::new(payloads);
        for (id, app) in &mut self.apps {
            let Ok(domain) = Domain::new(format!("AppDomain-{id}")) else { continue };
            let Some(record) = containers.preferences.get(&domain) else { continue };
            if let Ok(dictionary) = reader.dictionary(record, &mut Vec::new()) {
                let keys = Keys(&dictionary);
                let managed = ["com.apple.configuration.managed", "com.apple.feedback.managed"];
                app.managed_configuration = Some(managed.iter().any(|key| keys.has(key)));
            }
        }
    }

    fn signals(&mut self, bundle: &Bundle) {
        let stored: BTreeSet<&str> = bundle
            .info()
            .map(|info| info.applications.iter().map(|app| app.bundle_id.as_str()).collect())
            .unwrap_or_default();
        for app in self.apps.values_mut() {
            let purchase = app.purchase.as_ref();
            let device = purchase.and_then(|purchase| purchase.device_licence) == Some(true);
            let account = purchase.is_some_and(|purchase| purchase.account.is_some());
            app.signals = [
                (app.managed.is_some(), Signal::ManagedAppTable),
                (device, Signal::DeviceLicence),
                (account && !device, Signal::AccountLicence),
                (
                    // Without any record, the host has written none, and that says nothing.
                    app.installed && !stored.is_empty() && !stored.contains(&*app.bundle_id),
                    Signal::NoStoreRecord,
                ),
                (app.managed_configuration == Some(true), Signal::ManagedConfiguration),
            ]
            .into_iter()
            .filter_map(|(there, signal)| there.then_some(signal))
            .collect();
        }
    }
}

/// Returns the path of the app in whose bundle a plug-in lies.
fn app_path(plugin: &str) -> Option<&str> {
    let end = plugin.find(".app/")?.checked_add(".app".len())?;
    plugin.get(..end)
}

/// Returns a group's id without `group.` and without the ten characters of a team.
fn group_name(id: &str) -> &str {
    let id = match id.split_once('.') {
        Some((team, rest))
            if team.len() == 10
                && team.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) =>
        {
            rest
        }
        _ => id,
    };
    let id = id.strip_prefix("groups.").unwrap_or(id);
    id.strip_prefix("group.").unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::{app_path, group_name};

    #[test]
    fn plug_ins_lie_in_their_app() {
        let app = "/var/containers/Bundle/Application/0186E155/Maps.app";
        assert_eq!(app_path(&format!("{app}/PlugIns/X.appex")), Some(app));
        assert_eq!(app_path("/System/Library/X.framework/PlugIns/Y.appex"), None);
        assert_eq!(app_path(app), None);
    }

    #[test]
    fn groups_are_named_after_their_apps() {
        for (id, name) in [
            ("group.com.example.app", "com.example.app"),
            ("243LU875E5.groups.com.example", "com.example"),
            ("TESTKIT001.group.com.example", "com.example"),
            ("com.example.shared", "com.example.shared"),
            ("lowercase0.com.example", "lowercase0.com.example"),
        ] {
            assert_eq!(group_name(id), name);
        }
    }
}
