//! A readable tree of a backup.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::Hashes;
use bkp_bundle::{Backup, BundleError, Unlocked};
use bkp_core::{
    Entry, EntryKind, Fault as _, Identity, Longest, Monitor, Problem, Report, RunError,
    RunOptions, Select, Severity, Transform,
};
use bkp_restore::{ExtractDir, Extracted, Naming, RestoreError, TwinsWalk};

/// How a tree is to be written.
#[derive(Clone, Debug)]
pub struct ExtractOptions {
    /// The folder to make. It must be new or empty, unless `overwrite` is set.
    pub target: PathBuf,
    /// What entries are called.
    pub names: NamePolicy,
    /// Whether a folder that is not empty is written into, and files of the same name make way.
    pub overwrite: bool,
    /// Worker threads; one for each core when absent.
    pub threads: Option<NonZeroUsize>,
    /// Takes the SHA-256 of every file on its way, when there is one.
    pub hashes: Option<Hashes>,
}

/// What entries are called on the disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NamePolicy {
    /// As on the device, except for what some disk cannot hold; that is written as `%XX`.
    #[default]
    Portable,
    /// As on the device, byte for byte.
    Raw,
    /// By fileID, as in the backup.
    Hashed,
}

/// Why a tree was not written.
pub type ExtractError = RunError<BundleError, RestoreError>;

/// Decrypts the chosen entries into a folder, on every core.
///
/// The folder appears whole at the end, by one rename, unless it is overwritten in place. An
/// entry that cannot be read or written is a problem for the monitor and is counted; the run goes
/// on. When this fails, nothing is left of what it wrote, except in a folder that is overwritten.
///
/// # Errors
///
/// Fails when the folder cannot be made or is not empty, when the disk is full, when the catalog
/// cannot be listed, and when the monitor cancels.
pub fn extract(
    backup: &Backup<Unlocked>,
    select: &dyn Select,
    options: &ExtractOptions,
    monitor: &dyn Monitor,
) -> Result<Report<Extracted>, ExtractError> {
    let ExtractOptions { target, names, overwrite, threads, hashes } = options;
    let mut run = RunOptions::default();
    if let Some(threads) = *threads {
        run.threads = threads;
    }
    // One walk finds the names that need care and the files to begin with.
    let mut twins = (*names == NamePolicy::Portable).then(TwinsWalk::new);
    let mut longest = Longest::new(run.longest_first);
    for record in backup.catalog().records() {
        let record = record.ok();
        if let (Some(twins), Some(record)) = (&mut twins, &record) {
            twins.see(record.as_ref());
        }
        longest.see(record, select);
        if monitor.cancelled() {
            return Err(RunError::Cancelled);
        }
    }
    let naming = match names {
        NamePolicy::Portable => Naming::Portable(twins.map(TwinsWalk::finish).unwrap_or_default()),
        NamePolicy::Raw => Naming::Raw,
        NamePolicy::Hashed => Naming::Hashed,
    };
    let mut written = bkp_restore::ExtractOptions::default();
    written.naming = naming;
    written.overwrite = *overwrite;
    let sink = ExtractDir::create(target, written).map_err(RunError::Sink)?;
    let transform: &dyn Transform = match hashes {
        Some(hashes) => hashes,
        None => &Identity,
    };
    let mut report =
        bkp_core::run_longest_first(backup, select, transform, sink, longest, &run, monitor)?;
    // Links are made last of all, after they were counted.
    for late in &report.summary.late {
        let entry = Entry::derive(late.domain.clone(), late.path.clone(), EntryKind::File);
        monitor.problem(Problem { entry: Some(&entry), fault: &late.error });
        match late.error.severity() {
            Severity::Notice => report.notices += 1,
            Severity::Damage => report.damaged += 1,
            Severity::Failure => {
                report.failed += 1;
                report.done = report.done.saturating_sub(1);
            }
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bkp_core::Everything;
    use bkp_testkit::cases;

    use super::{ExtractOptions, NamePolicy, extract};
    use crate::testing::{Codes, open};

    #[test]
    fn a_sound_bundle_gives_every_file_its_bytes() {
        for (spec, names) in [
            (cases::encrypted_db(100), NamePolicy::Raw),
            (cases::plain_mbdb(), NamePolicy::Raw),
            (cases::encrypted_mbdb(), NamePolicy::Portable),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let truth = spec.write(&dir.path().join("backup")).unwrap();
            let target = dir.path().join("out");
            let options =
                ExtractOptions { target, names, overwrite: false, threads: None, hashes: None };
            let backup = open(&dir.path().join("backup"));
            let codes = Codes::default();
            let report = extract(&backup, &Everything, &options, &codes).unwrap();
            assert_eq!(codes.0.into_inner().unwrap(), Vec::<&str>::new());
            assert_eq!(report.done, report.listed);
            assert_eq!(report.listed, truth.counts.rows as u64);
            for entry in truth.entries.iter().filter(|entry| entry.kind == 1) {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let path = options.target.join(text(&entry.domain)).join(text(&entry.path));
                assert_eq!(std::fs::read(&path).unwrap().len() as u64, entry.len, "{path:?}");
            }
        }
    }

    #[test]
    fn hostile_rows_leave_the_rest_of_the_disk_alone() {
        let dir = tempfile::tempdir().unwrap();
        cases::hostile_rows().write(&dir.path().join("backup")).unwrap();
        let cage = dir.path().join("a/b/c/d");
        std::fs::create_dir_all(&cage).unwrap();
        let backup = open(&dir.path().join("backup"));
        for names in [NamePolicy::Raw, NamePolicy::Portable, NamePolicy::Hashed] {
            let target = cage.join(format!("{names:?}"));
            let options =
                ExtractOptions { target, names, overwrite: false, threads: None, hashes: None };
            let report = extract(&backup, &Everything, &options, &Codes::default()).unwrap();
            assert!(report.failed > 30 && report.done > 10, "{report:?}");
            if names != NamePolicy::Hashed {
                let last = options.target.join("HomeDomain/last.txt");
                assert_eq!(std::fs::read(last).unwrap(), b"after all of these");
            }
        }
        let names = |path: &Path| {
            let mut names: Vec<_> = std::fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(dir.path()), ["a", "backup"]);
        assert_eq!(names(&dir.path().join("a")), ["b"]);
        assert_eq!(names(&cage), ["Hashed", "Portable", "Raw"]);
        for name in ["bkp-escape", "escape-relative", "escape-absolute"] {
            assert!(!Path::new("/var/tmp").join(name).exists());
        }
    }
}
