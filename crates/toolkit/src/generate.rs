//! A synthetic bundle: a plan of `bkp-synth`, written as any other bundle is.
//!
//! ```text
//! Plan ──▶ PlanSource ──▶ driver ──▶ BundleWriter ──▶ Manifest.db, payloads, property lists
//!           rows, bytes               keys, digests
//! ```
//!
//! Names, sizes and bytes follow from the seed. Keys do not: those of an encrypted bundle are
//! random like the keys of any other.

mod source;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bkp_bundle::{
    Application, CatalogKind, DeviceDescription, InfoPlist, ManifestPlist, NewInfo, NewManifest,
    NewStatus, PlistError, StatusPlist,
};
use bkp_core::{
    Entry, Everything, Identity, Monitor, Problem, ProtectionClass, Report, RunError, RunOptions,
    Severity, Stage, run,
};
use bkp_crypto::{
    FileKey, FileKeyError, KdfParams, KdfProgress, Keybag, Passphrase, RandomError, ReissueError,
};
use bkp_restore::{
    BundlePlan, BundleSummary, BundleWriter, CatalogForm, PayloadForm, RestoreError,
};
use bkp_synth::{Plan, SynthDevice};

pub use source::PlanFault;
use source::PlanSource;

/// The class of the catalog's key on devices. Source: FORMAT.md 2.4.
const MANIFEST_CLASS: ProtectionClass = ProtectionClass(4);

/// The keybag of every bundle here that is not encrypted, so that its bytes follow from the seed.
///
/// Made once by [`Keybag::generate_plain`]. It is under the empty password, as all such keybags
/// are, and its keys open nothing.
const PLAIN_KEYBAG: &[u8] = include_bytes!("generate/plain.keybag");

/// How a synthetic bundle is encrypted.
#[derive(Debug)]
pub struct GenerateLock<'p> {
    /// The password.
    pub passphrase: &'p Passphrase,
    /// Rounds of the first stage of the key derivation: ten million when absent, as devices
    /// write. The second has [`KdfParams::DEVICE_ROUNDS`].
    pub kdf_rounds: Option<NonZeroU32>,
}

/// Where a synthetic bundle is written and how.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// The folder to make. It must be new or empty.
    pub target: PathBuf,
    /// Worker threads; one for each core when absent. No byte depends on it.
    pub threads: Option<NonZeroUsize>,
}

/// Why no bundle was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The run itself failed.
    #[error(transparent)]
    Run(Box<RunError<PlanFault, RestoreError>>),
    /// An entry could not be written. The monitor was told which and why.
    #[error("an entry could not be written, and the others alone are not what was planned")]
    Incomplete,
    /// Ciphertext has no stretches of zeros.
    #[error("an encrypted bundle is never sparse")]
    SparseEncrypted,
    /// A property list could not be made.
    #[error("cannot make {name}")]
    Plist {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        source: PlistError,
    },
    /// The keybag could not be made.
    #[error("cannot make the keybag")]
    Keybag {
        /// Why.
        #[source]
        source: ReissueError,
    },
    /// The catalog's key cannot be wrapped.
    #[error("cannot wrap the key of the catalog")]
    ManifestKey {
        /// Why.
        #[source]
        source: FileKeyError,
    },
    /// The system gave no random bytes.
    #[error("cannot draw a key")]
    Random {
        /// Why.
        #[source]
        source: RandomError,
    },
}

/// Writes the bundle that a plan describes.
///
/// The summary counts files that the plan lists without content as
/// [`without_payload`](BundleSummary::without_payload), and nothing else.
///
/// # Errors
///
/// Fails when the plan is sparse and the bundle is to be encrypted, when `progress` ends the
/// derivation or `monitor` the run, and when anything at all cannot be written. Only a row that
/// the catalog cannot hold is found out after the bundle is in place; nothing is left otherwise.
pub fn generate(
    plan: &Plan,
    lock: Option<&GenerateLock<'_>>,
    options: &GenerateOptions,
    progress: &mut dyn FnMut(KdfProgress) -> ControlFlow<()>,
    monitor: &dyn Monitor,
) -> Result<BundleSummary, GenerateError> {
    let GenerateOptions { target, threads } = options;
    let mut run_options = RunOptions::default();
    if let Some(threads) = *threads {
        run_options.threads = threads;
    }
    let bundle = match lock {
        None => plain(plan)?,
        Some(_) if plan.is_sparse() => return Err(GenerateError::SparseEncrypted),
        Some(lock) => encrypted(plan, lock, progress)?,
    };
    let sink = create(target, bundle)?;
    let watch = Watch { monitor, missing: AtomicU64::new(0), broken: AtomicU64::new(0) };
    let source = PlanSource::new(plan);
    let report = run(&source, &Everything, &Identity, sink, &run_options, &watch);
    let Watch { missing, broken, .. } = watch;
    let incomplete = broken.into_inner() > 0;
    match report {
        Err(RunError::Cancelled) if incomplete && !monitor.cancelled() => {
            Err(GenerateError::Incomplete)
        }
        Err(error) => Err(GenerateError::Run(Box::new(error))),
        Ok(Report { summary, failed, .. }) => {
            for late in &summary.late {
                monitor.problem(Problem { entry: None, fault: &late.error });
            }
            let whole = !incomplete && failed == missing.into_inner() && summary.late.is_empty();
            if whole { Ok(summary) } else { Err(GenerateError::Incomplete) }
        }
    }
}

fn create(target: &Path, bundle: BundlePlan) -> Result<BundleWriter, GenerateError> {
    BundleWriter::create(target, bundle)
        .map_err(|error| GenerateError::Run(Box::new(RunError::Sink(error))))
}

fn plain(plan: &Plan) -> Result<BundlePlan, GenerateError> {
    Ok(BundlePlan {
        kind: CatalogKind::Db,
        payloads: if plan.is_sparse() { PayloadForm::Sparse } else { PayloadForm::Plain },
        catalog: CatalogForm::New(None),
        link: false,
        files: plists(plan, PLAIN_KEYBAG, None)?,
    })
}

fn encrypted(
    plan: &Plan,
    lock: &GenerateLock<'_>,
    progress: &mut dyn FnMut(KdfProgress) -> ControlFlow<()>,
) -> Result<BundlePlan, GenerateError> {
    let random = |source| GenerateError::Random { source };
    let GenerateLock { passphrase, kdf_rounds } = lock;
    let outer = kdf_rounds.unwrap_or(KdfParams::DEVICE_OUTER_ROUNDS);
    let kdf = KdfParams::fresh(KdfParams::DEVICE_ROUNDS, Some(outer)).map_err(random)?;
    let (keybag, keys) = Keybag::generate(Keybag::CURRENT_VERSION, kdf, passphrase, progress)
        .map_err(|source| GenerateError::Keybag { source })?;
    let key = FileKey::random().map_err(random)?;
    let wrapped =
        keys.wrap(MANIFEST_CLASS, &key).map_err(|source| GenerateError::ManifestKey { source })?;
    Ok(BundlePlan {
        kind: CatalogKind::Db,
        payloads: PayloadForm::Encrypted(Arc::new(keys)),
        catalog: CatalogForm::New(Some(key)),
        link: false,
        files: plists(plan, &keybag.to_bytes(), Some(wrapped.to_bytes()))?,
    })
}

/// Makes the three property lists. A bundle with a manifest key is encrypted.
fn plists(
    plan: &Plan,
    keybag: &[u8],
    manifest_key: Option<[u8; 44]>,
) -> Result<Vec<(&'static str, Vec<u8>)>, GenerateError> {
    let synth = plan.device();
    let device = &describe(plan, &synth);
    let (catalog, date) = (CatalogKind::Db, synth.backup_date);
    let manifest = NewManifest {
        device,
        catalog,
        // One second before the backup ended.
        date: date - 1,
        encrypted: manifest_key.is_some(),
        was_passcode_set: true,
        keybag,
        manifest_key,
    };
    let info = NewInfo { device, date, guid: synth.guid, itunes_version: "12.13.2.3" };
    let info = InfoPlist::compose(&info)
        .map_err(|source| GenerateError::Plist { name: "Info.plist", source })?;
    let status = NewStatus { uuid: synth.status_uuid, date, catalog };
    Ok(vec![
        ("Manifest.plist", ManifestPlist::compose(&manifest)),
        ("Info.plist", info),
        ("Status.plist", StatusPlist::compose(&status)),
    ])
}

fn describe(plan: &Plan, device: &SynthDevice) -> DeviceDescription {
    let mut applications: Vec<_> =
        plan.domains().iter().filter_map(|domain| container(plan, domain)).collect();
    applications.sort_by(|a, b| a.container_id.cmp(&b.container_id));
    DeviceDescription {
        name: device.name.to_owned(),
        product_name: device.product_name.to_owned(),
        product_type: device.product_type.to_owned(),
        product_version: device.product_version.to_owned(),
        build_version: device.build_version.to_owned(),
        serial_number: device.serial_number.clone(),
        udid: device.udid.clone(),
        imei: Some(device.imei.to_owned()),
        meid: None,
        phone_number: Some(device.phone_number.to_owned()),
        applications,
    }
}

/// Describes the container that a domain is, if it is one. Source: FORMAT.md 1.3.
fn container(plan: &Plan, domain: &str) -> Option<Application> {
    let (kind, id) = domain.split_once('-')?;
    let name = id.rsplit('.').next().unwrap_or(id);
    let folder: String = plan.seed().uuid(id).iter().map(|byte| format!("{byte:02X}")).collect();
    let folder = format!("/var/containers/Bundle/Application/{folder}");
    let (class, version, path) = match kind {
        "AppDomain" => ("Data/Application", Some("1.0"), Some(format!("{folder}/{name}.app"))),
        "AppDomainPlugin" => {
            let path = format!("{folder}/Example.app/PlugIns/{name}.appex");
            ("Data/PluginKitPlugin", None, Some(path))
        }
        "AppDomainGroup" => ("Shared/AppGroup", None, None),
        _ => return None,
    };
    let mut application = Application::default();
    application.container_id = id.to_owned();
    application.bundle_id = Some(id.to_owned());
    application.version = version.map(str::to_owned);
    application.content_class = Some(class.to_owned());
    application.path = path;
    Some(application)
}

/// Keeps from the monitor what is missing on purpose, and ends the run at anything else.
struct Watch<'m> {
    monitor: &'m dyn Monitor,
    missing: AtomicU64,
    broken: AtomicU64,
}

impl Monitor for Watch<'_> {
    fn advanced(&self, stage: Stage, entry: &Entry, bytes: u64) {
        self.monitor.advanced(stage, entry, bytes);
    }

    fn problem(&self, problem: Problem<'_>) {
        let fault: &dyn Error = problem.fault;
        if matches!(fault.downcast_ref(), Some(PlanFault::Missing)) {
            self.missing.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if problem.fault.severity() > Severity::Notice {
            self.broken.fetch_add(1, Ordering::Relaxed);
        }
        self.monitor.problem(problem);
    }

    fn cancelled(&self) -> bool {
        self.broken.load(Ordering::Relaxed) > 0 || self.monitor.cancelled()
    }
}
