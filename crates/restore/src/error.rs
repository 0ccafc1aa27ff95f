//! Why something could not be put on a disk.

use std::io;
use std::path::{Path, PathBuf};

use bkp_bundle::CatalogWriteError;
use bkp_core::{Fault, ProtectionClass, Severity};
use bkp_crypto::{FileKeyError, RandomError};
use rustix::io::Errno;

/// A tree, or one entry of it, could not be written.
///
/// Paths of entries are relative to the destination, as they are stored there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The system refused something, for a reason that has no variant of its own.
    #[error("cannot {action} {}", path.display())]
    System {
        /// What was tried: `create`, `write`, `rename` and the like.
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The disk is full, or the quota is used up. Ends a run.
    #[error("no space left to {action} {}", path.display())]
    NoSpace {
        /// What was tried.
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system does not let this user write here, or nobody.
    #[error("not permitted to {action} {}", path.display())]
    PermissionDenied {
        /// What was tried.
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A payload broke off while it was read. Nothing of the file was left behind.
    #[error("cannot read the payload of {}", path.display())]
    SourceRead {
        /// The file that was being written.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another entry, or something that was there before, has this name. It was left as it is.
    #[error("{} is there already", path.display())]
    NameCollision {
        /// The name.
        path: PathBuf,
    },
    /// Something above an entry is a symbolic link, which is never followed.
    #[error("{} is below a symbolic link", path.display())]
    ThroughSymlink {
        /// The entry.
        path: PathBuf,
    },
    /// Something above an entry is no directory.
    #[error("{} is below something that is no directory", path.display())]
    ParentNotDirectory {
        /// The entry.
        path: PathBuf,
    },
    /// The root of a domain is a directory, and the catalog says otherwise.
    #[error("{} is the root of a domain and no directory in the catalog", path.display())]
    RootNotDirectory {
        /// The root.
        path: PathBuf,
    },
    /// The destination has something in it.
    #[error("{} exists and is not empty", path.display())]
    DestinationNotEmpty {
        /// The destination.
        path: PathBuf,
    },
    /// The file to be written exists.
    #[error("{} exists", path.display())]
    DestinationExists {
        /// The destination.
        path: PathBuf,
    },
    /// The destination exists and is no directory.
    #[error("{} exists and is not a directory", path.display())]
    DestinationNotDirectory {
        /// The destination.
        path: PathBuf,
    },
    /// The destination is the root of a file system, beside which nothing can be staged.
    #[error("{} is a mount point: name a new folder in it", path.display())]
    DestinationIsMountPoint {
        /// The destination.
        path: PathBuf,
    },
    /// The directory that the destination is to be in does not exist.
    #[error("{} does not exist, so nothing can be created in it", path.display())]
    ParentMissing {
        /// The directory.
        path: PathBuf,
    },
    /// Another run is writing the same destination.
    #[error("another run is writing {}", path.display())]
    InUse {
        /// The folder that the other run has locked.
        path: PathBuf,
    },
    /// Something stands where this run would stage its output, and no run of ours left it.
    #[error("{} is in the way and was not made by this program: move it away", path.display())]
    PartialNotOurs {
        /// What is in the way.
        path: PathBuf,
    },
    /// A file's mode says that it is of another kind. The kind of its row was believed.
    #[error("the mode {mode:o} of {} is not that of a {kind}", path.display())]
    ModeContradictsKind {
        /// The entry.
        path: PathBuf,
        /// The mode in the catalog.
        mode: u32,
        /// The kind in the catalog.
        kind: &'static str,
    },
    /// A row cannot be held by the new catalog. It is left out of it.
    #[error("the new catalog cannot hold this row")]
    Row {
        /// Why.
        #[source]
        source: CatalogWriteError,
    },
    /// The new catalog cannot be made.
    #[error("cannot make {name}")]
    Catalog {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        source: CatalogWriteError,
    },
    /// A file's key cannot be wrapped, because the keybag has no key of its class.
    #[error("cannot wrap a file key for protection class {class}")]
    ClassKey {
        /// The class.
        class: ProtectionClass,
        /// Why.
        #[source]
        source: FileKeyError,
    },
    /// The system gave no random bytes.
    #[error("cannot draw a file key")]
    Random {
        /// Why.
        #[source]
        source: RandomError,
    },
    /// A mode or a time could not be set; the bytes are in place.
    #[error("cannot set the mode or times of {}", path.display())]
    Metadata {
        /// The entry.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl RestoreError {
    /// Sorts a system's error by what can be done about it.
    pub(crate) fn system(action: &'static str, path: &Path, error: impl Into<io::Error>) -> Self {
        let (source, path) = (error.into(), path.to_owned());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { action, path, source }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::PermissionDenied { action, path, source }
            }
            _ => Self::System { action, path, source },
        }
    }

    /// Returns a closure for `map_err`.
    pub(crate) fn on<'p>(
        action: &'static str,
        path: &'p Path,
    ) -> impl Fn(Errno) -> Self + Copy + 'p {
        move |error| Self::system(action, path, error)
    }
}

impl Fault for RestoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::System { .. } => "cannot-create",
            Self::NoSpace { .. } => "no-space",
            Self::PermissionDenied { .. } => "permission-denied",
            Self::SourceRead { .. } => "source-read",
            Self::NameCollision { .. } => "name-collision",
            Self::ThroughSymlink { .. } => "through-symlink",
            Self::ParentNotDirectory { .. } => "parent-not-directory",
            Self::RootNotDirectory { .. } => "root-not-directory",
            Self::DestinationNotEmpty { .. } => "destination-not-empty",
            Self::DestinationExists { .. } => "destination-exists",
            Self::DestinationNotDirectory { .. } => "destination-not-directory",
            Self::DestinationIsMountPoint { .. } => "destination-mount-point",
            Self::ParentMissing { .. } => "parent-missing",
            Self::InUse { .. } => "destination-in-use",
            Self::PartialNotOurs { .. } => "partial-in-the-way",
            Self::ModeContradictsKind { .. } => "mode-kind-mismatch",
            Self::Metadata { .. } => "metadata-not-set",
            Self::Row { source } | Self::Catalog { source, .. } => source.code(),
            Self::ClassKey { .. } => "key-wrap-failed",
            Self::Random { .. } => "no-random",
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::ModeContradictsKind { .. } | Self::Metadata { .. } => Severity::Notice,
            _ => Severity::Failure,
        }
    }
}
