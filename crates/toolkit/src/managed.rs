//! What `bkp profiles`, `bkp apps` and the management part of `bkp inspect` tell.

mod exposed;
#[cfg(test)]
mod tests;

use std::io::{self, Read as _};

use bkp_bundle::{Opened, Storage};
use bkp_core::{Monitor, Problem};
use bkp_managed::{
    AppSurvey, Basis, Evidence, INFO_LIMIT, ManagedApp, ManagedError, Profile, Restriction, Survey,
};
use serde::Serialize;

pub(crate) use exposed::exposed;

/// The management part of an inspection.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ManagementFacts {
    /// What the facts rest on: contents of files, or names alone.
    pub basis: Basis,
    /// Whether the device was supervised; nothing where the backup does not tell.
    pub supervised: Option<bool>,
    /// Whether it was enrolled; nothing where that cannot be told.
    pub enrolled: Option<bool>,
    /// `none`, `profile`, `ade`, `account-driven`, `shared-ipad` or `unknown`.
    pub enrolment: &'static str,
    /// Whether the enrolment itself is in the backup.
    pub enrolment_in_backup: bool,
    /// The organisation, where it is known.
    pub organization: Option<String>,
    /// What the enrolment was concluded from.
    pub evidence: Vec<Evidence>,
    /// Every profile.
    pub profiles: Vec<Profile>,
    /// Restrictions in force.
    pub restrictions: Vec<Restriction>,
    /// Managed apps, as far as the backup lists them.
    pub managed_apps: Vec<ManagedApp>,
    /// Managed books.
    pub managed_books: usize,
}

impl ManagementFacts {
    pub(crate) fn of(survey: Survey) -> (Self, Vec<ManagedError>) {
        let facts = Self {
            basis: survey.basis,
            supervised: survey.supervised,
            enrolled: survey.enrolment.enrolled,
            enrolment: survey.enrolment.kind.name(),
            enrolment_in_backup: survey.enrolment.in_backup,
            organization: survey.enrolment.organization,
            evidence: survey.enrolment.evidence,
            profiles: survey.profiles,
            restrictions: survey.restrictions,
            managed_apps: survey.managed_apps.unwrap_or_default(),
            managed_books: survey.books.count,
        };
        (facts, survey.problems)
    }
}

/// The profiles of a backup, and all else that it says of management.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct ProfileListing {
    /// 1.
    pub schema_version: u32,
    /// `profiles`.
    pub kind: &'static str,
    /// The facts.
    #[serde(flatten)]
    pub survey: Survey,
}

/// The apps of a backup.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct AppListing {
    /// 1.
    pub schema_version: u32,
    /// `apps`.
    pub kind: &'static str,
    /// The facts.
    #[serde(flatten)]
    pub survey: AppSurvey,
}

/// Lists the profiles of a backup and its other facts of management; nothing where not even names
/// can be read. The monitor is told what could not be read.
#[must_use]
pub fn profiles(opened: &Opened, monitor: &dyn Monitor) -> Option<ProfileListing> {
    let survey = bkp_managed::survey_opened(opened)?;
    tell(&survey.problems, monitor);
    Some(ProfileListing { schema_version: 1, kind: "profiles", survey })
}

/// Lists the apps of a backup; nothing where not even names can be read. `info` is what
/// [`stored_info_plist`] gives. The monitor is told what could not be read.
#[must_use]
pub fn apps(opened: &Opened, info: Option<&[u8]>, monitor: &dyn Monitor) -> Option<AppListing> {
    let managed = bkp_managed::survey_opened(opened)?;
    // What of the rest cannot be read is not about apps.
    let of_apps = |problem: &&ManagedError| {
        bkp_core::Fault::place(*problem)
            .is_some_and(|place| place.path.ends_with(b"/MDMAppManagement.plist"))
    };
    let problems = managed.problems.iter().filter(of_apps);
    problems.for_each(|problem| monitor.problem(Problem { entry: None, fault: problem }));
    let table = managed.managed_apps.unwrap_or_default();
    let survey = bkp_managed::survey_apps(opened, &table, info)?;
    tell(&survey.problems, monitor);
    Some(AppListing { schema_version: 1, kind: "apps", survey })
}

fn tell(problems: &[ManagedError], monitor: &dyn Monitor) {
    for problem in problems {
        monitor.problem(Problem { entry: None, fault: problem });
    }
}

/// Reads `Info.plist` of a backup as it is stored, for the purchase records of apps; nothing where
/// there is none.
///
/// # Errors
///
/// Fails when it cannot be read, is no regular file, or is longer than
/// [`INFO_LIMIT`](bkp_managed::INFO_LIMIT) bytes.
pub fn stored_info_plist(storage: &Storage) -> io::Result<Option<Vec<u8>>> {
    let file = match storage.open("Info.plist") {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(INFO_LIMIT).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > INFO_LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Some(bytes))
}
