//! `bkp pack`: a backup in one file.

mod contents;
mod output;

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bkp_toolkit::StagingRows;
use bkp_toolkit::archive::{
    ArchiveError, ArchiveFile, ArchiveLimits, MemberName, OpenedArchive, Pack, PackOptions,
    PackPlan, PackedMember, on_threads,
};
use bkp_toolkit::bundle::{ScratchPlace, Storage};
use bkp_toolkit::core::{Hex, Problem};
use bkp_toolkit::restore::{RestoreError, RunArchive, RunItem, RunMember, RunRecord, StagedFile};

use crate::args::{
    BackupArgs, FilterArgs, Format, NewSealArgs, PasswordArgs, RewriteArgs, SealArgs,
};
use crate::destination::refuse_source;
use crate::display::Rfc3339;
use crate::error::{CommandError, Kind};
use crate::open::{self, Found};
use crate::problems::{Item, Tally};
use crate::progress::Progress;
use crate::record::Record;
use crate::rules;
use crate::seal::Secret;
use crate::ui::{self, Ui};
use contents::Contents;
use output::Summary;

/// Pack a backup into one file, plain or sealed
///
/// FILE.zip is a zip that every program opens; FILE.bkpz is the same zip, encrypted and protected
/// from change by a password or a key file of its own. Every other command reads both in place.
/// Files are taken byte for byte, and no password of the backup is needed; with filters a smaller
/// backup is packed, as "filter" makes it. FILE appears at the end, by one rename; beside it
/// FILE.bkp-run.json tells what was done.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct PackArgs {
    /// The backup's folder, the folder above a single backup, or an archive
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,

    /// The file to write, which must be new; "-" is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Replace FILE if it exists
    #[arg(long)]
    overwrite: bool,

    /// Read the archive back before it takes its name, and compare every file
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    rewrite: RewriteArgs,

    /// Most rounds of key derivation that a backup may ask for [default: 50000000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_kdf_rounds: Option<u64>,

    #[command(flatten)]
    seal: NewSealArgs,

    /// Where BACKUP is a sealed archive: read its password from the first line of FILE
    #[arg(long, value_name = "FILE", help_heading = "Sealed archive")]
    source_seal_password_file: Option<PathBuf>,

    /// Where BACKUP is a sealed archive: open it with the key in FILE
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Sealed archive",
        conflicts_with = "source_seal_password_file"
    )]
    source_seal_key_file: Option<PathBuf>,

    #[command(flatten)]
    password: PasswordArgs,

    #[command(flatten)]
    filters: FilterArgs,
}

const AFTER_HELP: &str = "\
Examples:
  bkp pack BACKUP -o backup.zip
  bkp pack BACKUP -o backup.bkpz --seal-password-file seal.txt --verify
  bkp pack BACKUP -o - --exclude 'CameraRollDomain' --password-file pw.txt | ssh host 'cat > b.zip'

Exit codes:
  0 packed                        2 usage, or a bad rule
  3 packed without some items, which are missing or could not be read (listed)
  4 packed, with warnings only    10 not a backup
  12 wrong password               13 a password or key file is needed
  15 key material damaged         20 the archive does not read back
  21 hostile content refused      30 FILE exists
  32 no space left                33 permission denied
  130, 143 interrupted, and nothing is left of FILE";

impl PackArgs {
    pub(crate) fn format(&self) -> Format {
        self.rewrite.format()
    }

    fn backup(&self) -> BackupArgs {
        BackupArgs {
            backup: self.backup.clone(),
            max_kdf_rounds: self.max_kdf_rounds,
            seal: SealArgs {
                seal_password_file: self.source_seal_password_file.clone(),
                seal_key_file: self.source_seal_key_file.clone(),
                ..SealArgs::default()
            },
        }
    }
}

/// Where the archive goes, and whether it is sealed.
#[derive(Clone, Copy, Debug)]
struct Destination<'a> {
    /// None is standard output.
    path: Option<&'a Path>,
    sealed: bool,
}

impl<'a> Destination<'a> {
    /// Reads the options, and refuses what cannot be right.
    fn of(args: &'a PackArgs) -> Result<Self, CommandError> {
        let usage = |message: &str| CommandError::new(Kind::Usage, "usage", message);
        let given = args.seal.to_open().is_given();
        let extension = args.output.extension().unwrap_or_default();
        if args.output == Path::new("-") {
            if args.verify || args.overwrite {
                return Err(usage("standard output can be neither read back nor replaced")
                    .help("leave --verify and --overwrite out, or name a file"));
            }
            if !args.rewrite.dry_run && io::stdout().is_terminal() {
                return Err(
                    usage("an archive is not for a terminal").help("redirect it, or name a file")
                );
            }
            return Ok(Self { path: None, sealed: given });
        }
        if given && extension.eq_ignore_ascii_case("zip") {
            return Err(usage("a sealed archive is no zip").help("name it FILE.bkpz"));
        }
        let sealed = given || extension.eq_ignore_ascii_case("bkpz");
        Ok(Self { path: Some(&args.output), sealed })
    }

    /// Refuses a place where something is, or that is in the source.
    fn check(&self, source: &Path, overwrite: bool) -> Result<(), CommandError> {
        let Some(path) = self.path else { return Ok(()) };
        refuse_source(source, path)?;
        if !overwrite && path.symlink_metadata().is_ok() {
            let path = path.to_owned();
            return Err(CommandError::of_fault(&RestoreError::DestinationExists { path }));
        }
        Ok(())
    }

    /// Says where a large catalog waits, encrypted, until it is written: beside the archive, where
    /// there must be room for it anyway.
    fn scratch(&self, dry_run: bool) -> ScratchPlace {
        match self.path.filter(|_| !dry_run).and_then(Path::parent) {
            Some(folder) if folder.as_os_str().is_empty() => ScratchPlace::folder("."),
            Some(folder) => ScratchPlace::folder(folder),
            None => ScratchPlace::folder(std::env::temp_dir()),
        }
    }

    fn form(&self) -> &'static str {
        if self.sealed { "sealed" } else { "zip" }
    }
}

pub(crate) fn run(args: &PackArgs, ui: &Ui) -> Result<ExitCode, CommandError> {
    let rules = rules::build(&args.filters)?;
    let to = Destination::of(args)?;
    let started = Rfc3339::now();
    let located = std::fs::canonicalize(&args.backup).unwrap_or_else(|_| args.backup.clone());
    to.check(&located, args.overwrite)?;
    let Found { path, bundle, archive: _ } = open::find(&args.backup(), ui)?;
    to.check(&path, args.overwrite)?;
    // For which device a copy was made must not be forgotten on the shelf.
    let staged = bkp_toolkit::staged_for(&path).map_err(|e| CommandError::of_fault(&e))?;
    let dry_run = args.rewrite.dry_run;
    let secret = match to.sealed && !dry_run {
        true => Some(Secret::read(&args.seal, ui)?),
        false => None,
    };
    let progress = Progress::new(ui).doing("packing");
    let scratch = to.scratch(dry_run);
    let mut contents = Contents::of(&bundle, &rules, &args.password, scratch, ui, &progress)?;
    for item in rules::unmatched(&rules) {
        progress.report(item);
    }
    ui.stop.check()?;
    let mut summary = Summary::new(to.form(), &contents, args);
    let mut outer = None;
    if !dry_run {
        let items = progress.so_far();
        let record = |contents: &Contents<'_>, items: &[Item]| {
            let (counts, selection) = (contents.counts, contents.selection.as_ref());
            Record {
                command: "pack",
                started,
                path: &path,
                source_sha256: None,
                counts,
                items,
                selection,
                hashes: None,
                output: None,
                rows: &StagingRows::default(),
                staging: staged.clone(),
            }
            .run(Some(&bundle))
        };
        // What follows from the backup and the choice alone, so that the same backup makes the
        // same archive: no times, no places, no words of this run.
        let mut inner = record(&contents, &items);
        (inner.started, inner.finished) = (String::new(), String::new());
        inner.arguments.clear();
        inner.source.path.clear();
        let job = Job { to, args, ui, progress: &progress, secret };
        let written = job.write(&contents.plan, bundle.storage(), inner)?;
        contents.tell_lost(&written.lost, &progress);
        outer = Some((record(&contents, &progress.so_far()), written));
    }
    summary.counts(contents.counts);
    let problems = progress.finish();
    let tally = Tally::of(&problems, contents.damaged_keys);
    summary.problems = problems;
    if let Some((record, written)) = outer {
        summary.written(&written, args.verify);
        if let Some(path) = to.path {
            let beside = beside(record, &written, to);
            let place = beside.write_beside(path).map_err(|e| CommandError::of_fault(&e))?;
            summary.run_record = Some(place.to_string_lossy().into_owned());
        }
    }
    // Standard output holds the archive and nothing else.
    let result = match to.path {
        Some(_) => {
            let mut out = ui::stdout()?;
            summary.write(&mut out, ui).and_then(|()| out.flush())
        }
        None if dry_run || ui.json_events() => summary.write(&mut io::stderr().lock(), ui),
        None => Ok(()),
    };
    result.map_err(|error| CommandError::stdout(&error))?;
    Ok(tally.exit_code())
}

/// What was written.
struct Written {
    pack: Pack,
    /// Payloads that could not be read.
    lost: Vec<(MemberName, ArchiveError)>,
}

/// Makes the record beside the archive. Beside a sealed one it tells nothing of what is in it:
/// names of members are hashes of paths, which anybody can compare with those of known apps, and
/// hashes of contents with those of known files. The record in the archive has all of it.
fn beside(mut record: RunRecord, written: &Written, to: Destination<'_>) -> RunRecord {
    let packed = &written.pack.members;
    record.archive = Some(RunArchive {
        bytes: Some(written.pack.archive_bytes),
        sha256: written.pack.archive_sha256.map(|sha256| Hex(&sha256).to_string()),
        members: (!to.sealed).then(|| members(packed)),
        ..run_archive(packed, to.form())
    });
    if to.sealed {
        record.items.clear();
        record.left_out.clear();
    }
    record
}

fn run_archive(packed: &[PackedMember], form: &str) -> RunArchive {
    RunArchive {
        form: form.to_owned(),
        files: packed.len() as u64,
        file_bytes: packed.iter().map(|member| member.len).sum(),
        ..RunArchive::default()
    }
}

fn members(packed: &[PackedMember]) -> Vec<RunMember> {
    let member = |member: &PackedMember| RunMember {
        name: member.name.to_string(),
        bytes: member.len,
        sha256: member.sha256,
    };
    packed.iter().map(member).collect()
}

/// Packing, once it is known what.
struct Job<'a> {
    to: Destination<'a>,
    args: &'a PackArgs,
    ui: &'a Ui,
    progress: &'a Progress<'a>,
    secret: Option<Secret>,
}

impl Job<'_> {
    fn write(
        &self,
        plan: &PackPlan,
        source: &Storage,
        record: RunRecord,
    ) -> Result<Written, CommandError> {
        let Some(path) = self.to.path else {
            let fd = ui::stdout()?;
            return self.pack(plan, source, record, fd).map(|(_, written)| written);
        };
        let staged = StagedFile::begin(path, self.args.overwrite);
        let staged = staged.map_err(|error| CommandError::of_fault(&error))?;
        let (_, written) = self.pack(plan, source, record, staged.file())?;
        if self.args.verify {
            self.read_back(staged.file(), &written)?;
        }
        self.ui.stop.check()?;
        staged.finish().map_err(|error| CommandError::of_fault(&error))?;
        Ok(written)
    }

    fn pack<W: Write + Send>(
        &self,
        plan: &PackPlan,
        source: &Storage,
        mut record: RunRecord,
        out: W,
    ) -> Result<(W, Written), CommandError> {
        let seal = self.secret.as_ref().map(|secret| secret.sealing(self.ui, self.progress));
        let seal = seal.transpose()?;
        let form = self.to.form();
        let mut unwritten = None;
        let lost = Mutex::new(Vec::<(MemberName, ArchiveError)>::new());
        let lost_now = || lost.lock().unwrap_or_else(PoisonError::into_inner);
        let mut make_record = |packed: &[PackedMember]| {
            // By their names in the bundle alone: those of the catalog are looked up later.
            let item = |(_, fault): &(_, ArchiveError)| {
                RunItem::of_problem(&Problem { entry: None, fault })
            };
            record.items.extend(lost_now().iter().map(item));
            let members = Some(members(packed));
            record.archive = Some(RunArchive { members, ..run_archive(packed, form) });
            record.to_bytes().unwrap_or_else(|error| {
                unwritten = Some(error);
                Vec::new()
            })
        };
        let mut on_lost = |name, error| lost_now().push((name, error));
        let options = PackOptions {
            seal,
            hash: true,
            hash_archive: true,
            record: Some(&mut make_record),
            lost: Some(&mut on_lost),
        };
        let advance = self.advance("packing", plan.bytes());
        let work = || bkp_toolkit::archive::pack(source, plan, out, options, &advance);
        let done = on_threads(self.args.rewrite.threads, work).and_then(|done| done);
        let (out, pack) = done.map_err(|error| self.failed(&error))?;
        let lost = lost.into_inner().unwrap_or_else(PoisonError::into_inner);
        match unwritten {
            Some(error) => Err(CommandError::of_fault(&error)),
            None => Ok((out, Written { pack, lost })),
        }
    }

    /// Opens what was written, and compares every file with what was packed.
    fn read_back(&self, file: &File, written: &Written) -> Result<(), CommandError> {
        let cannot = |error: io::Error| CommandError::of(Kind::Failed, "cannot-read", &error);
        let file = file.try_clone().and_then(ArchiveFile::of).map_err(cannot)?;
        let opened = OpenedArchive::of(Arc::new(file), ArchiveLimits::default());
        let opened = opened.map_err(|error| self.failed(&error))?;
        let archive = match (&self.secret, opened) {
            (_, OpenedArchive::Plain(archive)) => archive,
            (Some(secret), opened) => secret.open(opened, self.ui)?,
            (None, OpenedArchive::Sealed(_)) => {
                return Err(CommandError::new(Kind::Damaged, "not-written", "it is sealed"));
            }
        };
        let advance = self.advance("reading back", written.pack.bytes);
        let work = || {
            if let Some(check) = archive.check_segments(&|_| self.go())?
                && let Some(&number) = check.first_damaged.first()
            {
                let name = format!("segment {number}").into();
                return Err(ArchiveError::NotWritten { name });
            }
            archive.compare(&written.pack.members, &advance)
        };
        let done = on_threads(self.args.rewrite.threads, work).and_then(|done| done);
        done.map_err(|error| self.failed(&error))
    }

    fn go(&self) -> ControlFlow<()> {
        if self.ui.stop.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Returns what takes the news of bytes.
    fn advance(&self, phase: &'static str, total: u64) -> impl Fn(u64) -> ControlFlow<()> + Sync {
        let done = AtomicU64::new(0);
        move |bytes| {
            let before = done.fetch_add(bytes, Ordering::Relaxed);
            self.progress.bytes(phase, (before.saturating_add(bytes).min(total), total));
            self.go()
        }
    }

    fn failed(&self, error: &ArchiveError) -> CommandError {
        let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        match error {
            _ if self.ui.stop.requested() => self.ui.stop.error(),
            ArchiveError::Io { source, .. } if self.to.path.is_none() && broken(source) => {
                CommandError::stdout(source)
            }
            error => CommandError::of_fault(error),
        }
    }
}
