//! The survey: one walk over the catalog, then the files it found.

use std::collections::{HashMap, HashSet};

use bkp_bundle::{Backup, Bundle, BundlePayloads, BundleRecord, Catalog, Locked, Opened, Unlocked};
use bkp_core::{Domain, Entry, EntryKind, Fault as _, Severity, Source as _};
use plist::Dictionary;
use serde::Serialize;

use crate::audit::Audit;
use crate::book::{self, Shelf};
use crate::computed::{Settings, SettingsOfProfiles};
use crate::enrolment::conclude;
use crate::error::FileName;
use crate::keys::Keys;
use crate::profile::ListedProfile;
use crate::reader::Reader;
use crate::restriction;
use crate::{
    Books, CloudConfiguration, Dates, Enrolment, Exposure, Home, Identity, ManagedApp,
    ManagedError, MdmRecord, Profile, Restriction, RestrictionSource, StateKind, StatePlace, Time,
    stub_name,
};

/// What a backup says of the management of its device.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Survey {
    /// What the facts rest on.
    pub basis: Basis,
    /// Whether the device was supervised; `None` where no management configuration tells.
    pub supervised: Option<bool>,
    /// Whether and how it was enrolled.
    pub enrolment: Enrolment,
    /// The management configuration.
    pub cloud: Option<CloudConfiguration>,
    /// A management configuration that a restore has put aside.
    pub cloud_set_aside: Option<CloudConfiguration>,
    /// What `MDM.plist` says.
    pub mdm: Option<MdmRecord>,
    /// Every profile of which there is a file, in catalog order.
    pub profiles: Vec<Profile>,
    /// Every profile that a `PayloadManifest.plist` lists.
    pub listed_profiles: Vec<ListedProfile>,
    /// Restrictions in force, and where each was read.
    pub restrictions: Vec<Restriction>,
    /// Files of computed settings in which values were found that a profile set.
    pub settings_of_profiles: Vec<SettingsOfProfiles>,
    /// Managed apps by `MDMAppManagement.plist`; `None` where there is none.
    pub managed_apps: Option<Vec<ManagedApp>>,
    /// Managed books.
    pub books: Books,
    /// When profiles were installed and removed, as far as a log says.
    pub profile_events: Vec<ProfileEvent>,
    /// What an unencrypted backup should not hold; empty for an encrypted one.
    pub exposures: Vec<Exposure>,
    /// Which device this is, by every place that states it.
    pub identity: Identity,
    /// When things happened.
    pub dates: Dates,
    /// Every file of management state but those of books, read or not, in catalog order.
    pub files: Vec<StateFile>,
    /// What could not be read, and what is odd.
    #[serde(skip)]
    pub problems: Vec<ManagedError>,
}

/// What the facts of a survey rest on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Files were read.
    Contents,
    /// Files could not be decrypted. Names alone tell which there are.
    Names,
}

/// A file of management state.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StateFile {
    /// The domain.
    pub domain: String,
    /// The path in it.
    pub path: String,
    /// What it is.
    pub kind: StateKind,
    /// The store it belongs to.
    pub home: Home,
    /// Its length in bytes, as the catalog says.
    pub size: u64,
}

/// A line of the log of profiles.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProfileEvent {
    /// `PayloadIdentifier`.
    pub identifier: String,
    /// What was done, such as `install`.
    pub operation: Option<String>,
    /// The process that did it.
    pub process: Option<String>,
    /// When.
    pub time: Option<Time>,
}

/// The most files that are read, and the most events and listed profiles that are kept.
const MOST: usize = 2048;

impl Survey {
    /// Returns the value of a restriction that is yes or no: as profiles set it, else as the system
    /// computed it. `None` where nothing but the default is known.
    #[must_use]
    pub fn restriction(&self, name: &str) -> Option<bool> {
        let named = self.restrictions.iter().filter(|restriction| restriction.name == name);
        named.min_by_key(|restriction| restriction.source)?.value.as_bool()
    }

    /// Returns the enrolment profile, when it is in the backup.
    #[must_use]
    pub fn enrolment_profile(&self) -> Option<&Profile> {
        self.installed().find(|profile| profile.enrolment)
    }

    /// Returns the profiles that are installed.
    pub fn installed(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter().filter(|profile| profile.state == crate::ProfileState::Installed)
    }
}

/// Surveys a backup. Nothing fails: what cannot be read is among the problems.
///
/// One walk over the catalog, then at most 2,048 files of 4 MiB, 64 MiB in all.
#[must_use]
pub fn survey(backup: &Backup<Unlocked>) -> Survey {
    of(backup.bundle(), backup.catalog(), Some(backup.payloads()))
}

/// Surveys a backup that is locked, by names alone; nothing where its catalog is encrypted too.
#[must_use]
pub fn survey_names(backup: &Backup<Locked>) -> Option<Survey> {
    Some(of(backup.bundle(), backup.catalog()?, None))
}

/// Surveys a backup as far as it is opened; nothing where not even names can be read.
#[must_use]
pub fn survey_opened(opened: &Opened) -> Option<Survey> {
    match opened {
        Opened::Unlocked(backup) => Some(survey(backup)),
        Opened::Locked(backup) => survey_names(backup),
    }
}

fn of(bundle: &Bundle, catalog: &Catalog, payloads: Option<&BundlePayloads>) -> Survey {
    let mut walk = Walk::new(bundle);
    let mut found = Vec::new();
    for record in catalog.records() {
        match record {
            Ok(record) => walk.see(record, &mut found),
            Err(source) => walk.unreadable(source),
        }
    }
    let Walk { mut survey, shelf, audit, mut complete } = walk;
    if !bundle.is_encrypted() {
        survey.exposures = audit.finish();
    }
    let mut contents = Contents { survey, shelf, settings: Settings::default() };
    match payloads {
        Some(payloads) => {
            let mut reader = Reader::new(payloads);
            for (file, record) in found {
                complete &= contents.read(file, &record, &mut reader);
            }
        }
        None => {
            contents.survey.basis = Basis::Names;
            for (file, _) in found {
                complete = false;
                contents.unread(file);
            }
        }
    }
    let Contents { mut survey, shelf, settings } = contents;
    survey.books = shelf.finish();
    survey.settings_of_profiles = settings.finish(&survey.profiles);
    finish(&mut survey, complete);
    survey
}

/// What the walk over the catalog finds.
struct Walk {
    survey: Survey,
    shelf: Shelf,
    audit: Audit,
    /// Nothing that may be a sign of management has been missed.
    complete: bool,
}

impl Walk {
    fn new(bundle: &Bundle) -> Self {
        let survey = Survey {
            basis: Basis::Contents,
            supervised: None,
            enrolment: Enrolment::default(),
            cloud: None,
            cloud_set_aside: None,
            mdm: None,
            profiles: Vec::new(),
            listed_profiles: Vec::new(),
            restrictions: Vec::new(),
            settings_of_profiles: Vec::new(),
            managed_apps: None,
            books: Books::default(),
            profile_events: Vec::new(),
            exposures: Vec::new(),
            identity: Identity::of(bundle),
            dates: Dates::of(bundle),
            files: Vec::new(),
            problems: Vec::new(),
        };
        Self { survey, shelf: Shelf::default(), audit: Audit::default(), complete: true }
    }

    fn see(&mut self, record: BundleRecord, found: &mut Vec<(StateFile, BundleRecord)>) {
        let entry = record.as_ref();
        self.audit.see(entry);
        if entry.kind != EntryKind::File {
            return;
        }
        let Some(place) = StatePlace::of(entry.domain.as_bytes(), entry.path.as_bytes()) else {
            return;
        };
        let file = state_file(entry, place);
        let read = if place.kind == StateKind::ManagedBook {
            self.shelf.see(&entry.domain, &entry.path, entry.metadata.size_hint);
            book::is_list(&entry.path)
        } else {
            if self.survey.files.len() == MOST {
                self.survey.problems.push(too_many());
                self.complete = false;
            }
            if self.survey.files.len() <= MOST {
                self.survey.files.push(file.clone());
            }
            is_read(place.kind)
        };
        if read && found.len() < MOST {
            found.push((file, record.without_raw()));
        }
    }

    /// A row that is no entry matters where it could have been one of ours.
    fn unreadable(&mut self, source: bkp_bundle::BundleError) {
        let ours = source.place().map(|place| StatePlace::of(place.domain, place.path).is_some());
        match ours {
            Some(true) => {
                self.complete = false;
                if self.survey.problems.len() < MOST {
                    self.survey.problems.push(ManagedError::Row { source: Box::new(source) });
                }
            }
            // An unfinished row holds nothing. That others are lost is told with the catalog.
            None if source.severity() > Severity::Notice => self.complete = false,
            _ => {}
        }
    }
}

fn too_many() -> ManagedError {
    ManagedError::TooMany { what: "files of management state", limit: MOST }
}

fn state_file(entry: &Entry, StatePlace { kind, home }: StatePlace) -> StateFile {
    StateFile {
        domain: entry.domain.to_string(),
        path: entry.path.to_string(),
        kind,
        home,
        size: entry.metadata.size_hint,
    }
}

/// Returns true for the kinds whose content tells something.
fn is_read(kind: StateKind) -> bool {
    matches!(
        kind,
        StateKind::CloudConfiguration
            | StateKind::CloudConfigurationSetAside
            | StateKind::PayloadManifest
            | StateKind::ProfileTruth
            | StateKind::UserSettings
            | StateKind::Truth
            | StateKind::EffectiveUserSettings
            | StateKind::PublicEffectiveUserSettings
            | StateKind::ProfileEvents
            | StateKind::ProfileStub
            | StateKind::HeldProfile
            | StateKind::PostSetupProfile
            | StateKind::MdmRecord
            | StateKind::MdmApps
    )
}

/// Returns true for the kinds that can be a sign of enrolment.
fn is_sign(kind: StateKind) -> bool {
    matches!(
        kind,
        StateKind::CloudConfiguration
            | StateKind::ProfileStub
            | StateKind::MdmRecord
            | StateKind::MdmApps
            | StateKind::PayloadManifest
    )
}

/// What the contents of files add.
struct Contents {
    survey: Survey,
    shelf: Shelf,
    settings: Settings,
}

impl Contents {
    /// Reads one file. Returns false when a sign of management may be in it and it cannot be read.
    fn read(&mut self, file: StateFile, record: &BundleRecord, reader: &mut Reader<'_>) -> bool {
        match reader.dictionary(record, &mut self.survey.problems) {
            Ok(dictionary) => {
                self.take(file, &dictionary, record.as_ref());
                true
            }
            Err(problem) => {
                let sign = is_sign(file.kind);
                self.survey.problems.push(problem);
                self.unread(file);
                !sign
            }
        }
    }

    /// Takes down that there is a file, and no more.
    fn unread(&mut self, file: StateFile) {
        let profile = matches!(
            file.kind,
            StateKind::ProfileStub | StateKind::HeldProfile | StateKind::PostSetupProfile
        );
        if profile {
            self.survey.profiles.push(Profile::unread(file));
        }
    }

    fn take(&mut self, file: StateFile, dictionary: &Dictionary, entry: &Entry) {
        let keys = Keys(dictionary);
        self.settings.see(&file, keys);
        let survey = &mut self.survey;
        if let Some(source) = RestrictionSource::of(file.kind) {
            return restriction::read(keys, source, file.home, &mut survey.restrictions);
        }
        match file.kind {
            // The system's own store is the one that is in use.
            StateKind::CloudConfiguration
                if file.home == Home::System || survey.cloud.is_none() =>
            {
                survey.cloud = Some(CloudConfiguration::read(keys));
            }
            StateKind::CloudConfigurationSetAside => {
                survey.cloud_set_aside = Some(CloudConfiguration::read(keys));
            }
            StateKind::MdmRecord if file.home == Home::System || survey.mdm.is_none() => {
                let record = MdmRecord::read(keys);
                survey.dates.last_polling_success = record.last_polling_success;
                survey.mdm = Some(record);
            }
            StateKind::MdmApps => {
                let apps = survey.managed_apps.get_or_insert_default();
                apps.extend(ManagedApp::read_all(keys));
            }
            StateKind::PayloadManifest => listed(keys, file.home, &mut survey.listed_profiles),
            StateKind::ProfileEvents => events(keys, &mut survey.profile_events),
            StateKind::ManagedBook => self.shelf.list(keys),
            StateKind::ProfileStub | StateKind::HeldProfile | StateKind::PostSetupProfile => {
                let profile = Profile::read(file, keys);
                if let Some(problem) = misnamed(&profile, entry) {
                    survey.problems.push(problem);
                }
                survey.profiles.push(profile);
            }
            _ => {}
        }
    }
}

/// A stub of today's form whose name does not follow from its identifier.
fn misnamed(profile: &Profile, entry: &Entry) -> Option<ManagedError> {
    let (identifier, file) = (profile.identifier.as_ref()?, entry.path.name()?);
    if profile.file.kind != StateKind::ProfileStub || !file.starts_with(b"profile-") {
        return None;
    }
    let expected = stub_name(identifier);
    let name = FileName::of(entry);
    (file != expected.as_bytes()).then_some(ManagedError::Misnamed { name, expected })
}

/// Takes down what a `PayloadManifest.plist` lists.
fn listed(keys: Keys<'_>, scope: Home, profiles: &mut Vec<ListedProfile>) {
    for (key, hidden) in [("OrderedProfiles", false), ("HiddenProfiles", true)] {
        let room = MOST.saturating_sub(profiles.len());
        profiles.extend(keys.texts(key).into_iter().take(room).map(|identifier| ListedProfile {
            identifier,
            scope,
            hidden,
            has_stub: false,
        }));
    }
}

/// `ProfileEvents[]` of `{profileId: {timestamp, operation, process}}`. Source: MANAGED.md 2.5.
fn events(keys: Keys<'_>, events: &mut Vec<ProfileEvent>) {
    for Keys(profiles) in keys.dicts("ProfileEvents") {
        for (identifier, event) in profiles {
            let Some(event) = event.as_dictionary().map(Keys) else { continue };
            if events.len() == MOST {
                return;
            }
            events.push(ProfileEvent {
                identifier: identifier.clone(),
                operation: event.text("operation"),
                process: event.text("process"),
                time: event.date("timestamp"),
            });
        }
    }
}

/// Draws the conclusions that need all of it.
fn finish(survey: &mut Survey, complete: bool) {
    let cloud = survey.cloud.as_ref();
    survey.supervised = cloud.and_then(|cloud| cloud.is_supervised);
    let stubs: HashSet<(Home, &str)> = survey
        .installed()
        .filter_map(|profile| Some((profile.scope, profile.identifier.as_deref()?)))
        .collect();
    let has: Vec<bool> = survey
        .listed_profiles
        .iter()
        .map(|listed| stubs.contains(&(listed.scope, listed.identifier.as_str())))
        .collect();
    for (listed, has) in survey.listed_profiles.iter_mut().zip(has) {
        listed.has_stub = has;
    }
    // A stub that could not be read may be any of those that are missing.
    if survey.profiles.iter().all(|profile| profile.read) {
        no_stubs(survey);
    }
    set_by(survey);
    survey.books.backup_allowed = survey.restriction("allowEnterpriseBookBackup");
    survey.enrolment = conclude(survey, complete);
}

fn no_stubs(survey: &mut Survey) {
    let list = |home: Home| {
        let is = |f: &&StateFile| f.kind == StateKind::PayloadManifest && f.home == home;
        let file = survey.files.iter().find(is)?;
        let domain = Domain::new(&file.domain).ok()?;
        Some(FileName { domain, path: bkp_core::RelPath::new(&file.path).ok()? })
    };
    let missing = survey.listed_profiles.iter().filter(|listed| !listed.has_stub);
    let problems: Vec<ManagedError> = missing
        .filter_map(|listed| {
            let identifier = listed.identifier.clone();
            Some(ManagedError::NoStub { name: list(listed.scope)?, identifier })
        })
        .collect();
    survey.problems.extend(problems);
}

/// Finds which profile each restriction comes from.
fn set_by(survey: &mut Survey) {
    /// Profiles that are named for one restriction.
    const NAMED: usize = 16;
    let mut setters: HashMap<&str, Vec<&str>> = HashMap::new();
    let profiles = &survey.profiles;
    for profile in profiles.iter().filter(|p| p.state == crate::ProfileState::Installed) {
        let Some(identifier) = profile.identifier.as_deref() else { continue };
        for name in profile.payloads.iter().flat_map(|payload| payload.restrictions.keys()) {
            let setters = setters.entry(name).or_default();
            if setters.len() < NAMED && setters.last() != Some(&identifier) {
                setters.push(identifier);
            }
        }
    }
    for restriction in &mut survey.restrictions {
        if let Some(setters) = setters.get(restriction.name.as_str()) {
            restriction.set_by = setters.iter().map(|&setter| setter.to_owned()).collect();
        }
    }
}
