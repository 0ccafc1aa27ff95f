//! What an administrator gives: a policy file, answers of MDM, profiles.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bkp_bundle::PlistError;
use bkp_bundle::plist_guard::{self, Limits};
use bkp_core::Fault;
use bkp_policy::{
    ConfigurationProfile, InstalledApplicationList, MAX_POLICY_FILE, MAX_PROFILE,
    ManagedApplicationList, OsVersionError, PolicyError, PolicyFile, ProfileFile, Restrictions,
};

/// The longest answer to an MDM command, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// The files and words that an administrator gives. What is given beside a policy file counts
/// before what the file says, but for the target, which both may only name alike.
#[derive(Clone, Debug, Default)]
pub struct GivenFiles<'g> {
    /// The policy file.
    pub policy: Option<&'g Path>,
    /// The serial number of the target.
    pub target_serial: Option<&'g str>,
    /// The UDID of the target.
    pub target_udid: Option<&'g str>,
    /// The target's version of iOS.
    pub target_ios: Option<&'g str>,
    /// A saved answer to `ManagedApplicationList`.
    pub managed_applications: Option<&'g Path>,
    /// A saved answer to `InstalledApplicationList`.
    pub installed_applications: Option<&'g Path>,
    /// Profiles whose restrictions hold, besides those of the policy file.
    pub profiles: &'g [PathBuf],
}

/// What was read of them.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The policy file, with the target that was given.
    pub policy: PolicyFile,
    /// The answer to `ManagedApplicationList`.
    pub managed_applications: Option<ManagedApplicationList>,
    /// The answer to `InstalledApplicationList`.
    pub installed_applications: Option<InstalledApplicationList>,
    /// Restrictions of the profiles, merged.
    pub profile_restrictions: Restrictions,
}

/// Why something that was given cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GivenError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is longer than any of its kind.
    #[error("{} has more than {limit} bytes", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// The limit in force.
        limit: usize,
    },
    /// A file is no property list, or a hostile one.
    #[error("{} is no property list that can be used", path.display())]
    Plist {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: PlistError,
    },
    /// The content cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The version of iOS is none.
    #[error(transparent)]
    Version(#[from] OsVersionError),
}

impl Fault for GivenError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "policy-unreadable",
            Self::TooLong { .. } => "policy-limit",
            Self::Plist { .. } => "bad-plist",
            Self::Policy(error) => error.code(),
            Self::Version(_) => "bad-version",
        }
    }
}

impl Given {
    /// Reads everything that was given. Files that a policy file names are looked for beside it.
    ///
    /// # Errors
    ///
    /// Fails on the first that cannot be read or used. No backup is opened for it.
    pub fn read(files: &GivenFiles<'_>) -> Result<Self, GivenError> {
        let GivenFiles {
            policy,
            target_serial,
            target_udid,
            target_ios,
            managed_applications,
            installed_applications,
            profiles,
        } = files;
        let mut stated = match policy {
            Some(path) => {
                let bytes = read(path, MAX_POLICY_FILE)?;
                PolicyFile::parse(&path.display().to_string(), &bytes)?
            }
            None => PolicyFile::default(),
        };
        stated.target = stated.target.given(*target_serial, *target_udid)?;
        if let Some(version) = target_ios {
            stated.target.ios = Some(version.parse()?);
        }
        let folder = policy.and_then(Path::parent).unwrap_or(Path::new(""));
        let beside = |name: &str| folder.join(name);
        let file = |given: &Option<&Path>, stated: &Option<Box<str>>| {
            given.map(Path::to_owned).or_else(|| stated.as_deref().map(beside))
        };
        let managed = file(managed_applications, &stated.managed_application_list);
        let installed = file(installed_applications, &stated.installed_application_list);
        let answer = |path: &Path| Ok::<_, GivenError>((name(path), plist(path, MAX_ANSWER)?));
        let mut restrictions = Restrictions::default();
        let stated_profiles = stated.profiles.iter().map(|profile| beside(profile));
        for path in stated_profiles.chain(profiles.iter().cloned()) {
            restrictions.tighten(&profile(&path)?.restrictions);
        }
        Ok(Self {
            managed_applications: managed
                .map(|path| {
                    let (name, value) = answer(&path)?;
                    Ok::<_, GivenError>(ManagedApplicationList::from_value(&name, &value)?)
                })
                .transpose()?,
            installed_applications: installed
                .map(|path| {
                    let (name, value) = answer(&path)?;
                    Ok::<_, GivenError>(InstalledApplicationList::from_value(&name, &value)?)
                })
                .transpose()?,
            policy: stated,
            profile_restrictions: restrictions,
        })
    }
}

fn profile(path: &Path) -> Result<ConfigurationProfile, GivenError> {
    let bytes = read(path, MAX_PROFILE)?;
    let file = ProfileFile::read(&name(path), &bytes)?;
    let value = plist_guard::read_value(&file.content, &Limits::of(file.content.len()))
        .map_err(|source| GivenError::Plist { path: path.to_owned(), source })?;
    Ok(ConfigurationProfile::from_value(&name(path), &value)?)
}

fn plist(path: &Path, limit: usize) -> Result<plist::Value, GivenError> {
    let bytes = read(path, limit)?;
    plist_guard::read_value(&bytes, &Limits::of(bytes.len()))
        .map_err(|source| GivenError::Plist { path: path.to_owned(), source })
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn read(path: &Path, limit: usize) -> Result<Vec<u8>, GivenError> {
    let failed = |source| GivenError::Read { path: path.to_owned(), source };
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(most).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(GivenError::TooLong { path: path.to_owned(), limit });
    }
    Ok(bytes)
}
