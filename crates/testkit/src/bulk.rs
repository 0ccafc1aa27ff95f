//! Big bundles for benchmarks: written as a stream, no payload is ever held.
//!
//! ```text
//! BulkSpec ──▶ bkp_synth::Plan: entry n is a function of n
//!                │ lanes: thread t makes entries t, t + T, t + 2T …: blob, digest, key, archive
//!                ▼
//!              the calling thread takes them in order, adds folders, fills Manifest.db
//! ```
//!
//! So the bytes do not depend on the number of threads, and at most a few thousand entries are
//! between the two.

mod content;
mod lane;

use std::fs;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use aes::cipher::{Array, BlockModeEncrypt, KeyIvInit};
use bkp_synth::{Digests, Filler, Plan, PlanError, Planned, SizeMix, SynthSpec};
use rusqlite::Connection;

use crate::cipher::pad;
use crate::manifest_db::{
    CREATE_FILES, CREATE_PROPERTIES, INSERT, IndexSet, SETUP, finish_header, sqlite,
};
use crate::spec::{BundleSpec, Encryption};
use crate::truth::{Counts, Truth, TruthEntry};
use crate::{DeviceFacts, EntrySpec, KeychainItem, KeychainSpec, Seed, file_id};

use self::content::{CHUNK, Contents};
use self::lane::{Lane, Made, Watch, archive};

/// Entries that a lane may be ahead of the catalog.
const AHEAD: usize = 1_024;

/// A big bundle with a Manifest.db.
#[derive(Clone, Debug)]
pub struct BulkSpec {
    /// What everything follows from.
    pub seed: u64,
    /// Regular files with a payload.
    pub files: usize,
    /// Bytes of all payloads together, before encryption; `None` leaves the sizes as they are
    /// drawn.
    pub total: Option<u64>,
    /// How the sizes are spread.
    pub mix: SizeMix,
    /// Rows in all. Files, links and directories count; what is missing is filled up. Fewer than
    /// those need means just those.
    pub rows: usize,
    /// What the rows are filled up with.
    pub filler: Filler,
    /// Whether payloads are zeros that take no space on the disk. Unencrypted bundles only.
    pub sparse: bool,
    /// Whether one of the files is a keychain.
    pub keychain: bool,
    /// How the bundle is encrypted; `None` for an unencrypted one.
    pub encryption: Option<Encryption>,
    /// How many threads make payloads; `None` for one on each processor. The bytes do not depend
    /// on it.
    pub threads: Option<NonZeroUsize>,
}

/// How far the writing of a big bundle is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BulkProgress {
    /// Payloads are written.
    Payloads {
        /// Entries that are done.
        entries: u64,
        /// Bytes of content that are done.
        bytes: u64,
    },
    /// The catalog is put into its place.
    Catalog {
        /// Bytes of it that are done.
        bytes: u64,
    },
}

impl BulkSpec {
    /// Shape A: 3,000 files of very mixed sizes, 1 GiB together.
    #[must_use]
    pub fn shape_a() -> Self {
        Self {
            seed: 1,
            files: 3_000,
            total: Some(1 << 30),
            mix: SizeMix::Mixed,
            rows: 0,
            filler: Filler::MissingFiles,
            sparse: false,
            keychain: true,
            encryption: Some(Encryption::new("test")),
            threads: None,
        }
    }

    /// Shape B: 20,000 files of 0.2 to 16 KiB.
    #[must_use]
    pub fn shape_b() -> Self {
        Self { files: 20_000, total: None, mix: SizeMix::Small, ..Self::shape_a() }
    }

    /// Shape L: 200,000 rows, of which 1,000 have a small payload and the rest none.
    #[must_use]
    pub fn shape_l() -> Self {
        Self { files: 1_000, rows: 200_000, ..Self::shape_b() }
    }

    /// Says what [`write`](Self::write) would write, and writes nothing.
    ///
    /// # Errors
    ///
    /// Fails with [`io::ErrorKind::InvalidInput`] when the spec contradicts itself.
    pub fn plan(&self) -> io::Result<Counts> {
        Ok(self.counts(&self.planned()?))
    }

    /// Writes the bundle into `dir`, which must be new or empty.
    ///
    /// # Errors
    ///
    /// Fails when the folder is not empty, when a file cannot be written, and with
    /// [`io::ErrorKind::InvalidInput`] when the spec contradicts itself.
    pub fn write(&self, dir: &Path) -> io::Result<Counts> {
        self.run(dir, &|_| ControlFlow::Continue(()), None)
    }

    /// Writes the bundle and tells `each` of every file with a payload.
    ///
    /// Costs a SHA-256 of all content more than [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and when `each` fails.
    pub fn write_with(
        &self,
        dir: &Path,
        each: &mut dyn FnMut(&TruthEntry) -> io::Result<()>,
    ) -> io::Result<Counts> {
        self.run(dir, &|_| ControlFlow::Continue(()), Some(each))
    }

    /// Writes the bundle and tells `watch` how far it is, from any thread and often. When `watch`
    /// breaks, the writing ends, and what is there is no bundle.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and with [`io::ErrorKind::Interrupted`] when `watch` breaks.
    pub fn write_watched(
        &self,
        dir: &Path,
        watch: &(dyn Fn(BulkProgress) -> ControlFlow<()> + Sync),
    ) -> io::Result<Counts> {
        self.run(dir, watch, None)
    }

    fn run(
        &self,
        dir: &Path,
        watch: &(dyn Fn(BulkProgress) -> ControlFlow<()> + Sync),
        mut each: Option<Each<'_>>,
    ) -> io::Result<Counts> {
        let plan = self.planned()?;
        let truth = self.frame(&plan, dir)?;
        for folder in 0..=255u8 {
            fs::create_dir_all(dir.join(format!("{folder:02x}")))?;
        }
        let plain = tempfile::NamedTempFile::new_in(dir)?;
        let db = Connection::open(plain.path()).map_err(sqlite)?;
        db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            .and_then(|()| db.execute_batch("PRAGMA cache_size = -131072;"))
            .and_then(|()| db.execute_batch(SETUP))
            .and_then(|()| db.execute_batch(CREATE_FILES))
            .and_then(|()| db.execute_batch("BEGIN"))
            .map_err(sqlite)?;
        let watch = Watch::new(watch);
        let contents = Contents::new(&plan);
        let class_keys = self.encryption.is_some().then_some(&truth.class_keys);
        let hash = each.is_some();
        let lane = Lane { plan: &plan, dir, class_keys, contents: &contents, watch: &watch, hash };
        let mut insert = db.prepare(INSERT).map_err(sqlite)?;
        self.lanes(&lane, |made| {
            if let (Some(each), Some(truth)) = (&mut each, &made.truth) {
                each(truth)?;
            }
            let Made { planned, id, archive, truth: _ } = made;
            let domain = &plan.domains()[planned.domain];
            insert
                .execute((id, domain, planned.path, lane::kind(&planned.node), archive))
                .map_err(sqlite)
                .map(drop)
        })?;
        drop(insert);
        watch.tell(BulkProgress::Catalog { bytes: 0 })?;
        db.execute_batch("COMMIT")
            .and_then(|()| db.execute_batch(IndexSet::Old.create()))
            .and_then(|()| db.execute_batch(CREATE_PROPERTIES))
            .and_then(|()| db.execute_batch("PRAGMA user_version = 2"))
            .map_err(sqlite)?;
        db.close().map_err(|(_, error)| sqlite(error))?;
        seal(plain.path(), &dir.join("Manifest.db"), truth.manifest_key.as_ref(), &watch)?;
        Ok(self.counts(&plan))
    }

    fn planned(&self) -> io::Result<Plan> {
        let Self { seed, files, total, mix, rows, filler, sparse, .. } = *self;
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
        if sparse && self.encryption.is_some() {
            return Err(invalid("ciphertext is never sparse"));
        }
        let spec =
            SynthSpec { seed, files, total, mix, rows, filler, digests: Digests::ByDomain, sparse };
        let keychain = self.keychain.then(|| keychain(Seed(seed)));
        Plan::new(&spec, keychain).map_err(|error| match error {
            PlanError::Database(error) => sqlite(error),
            error => io::Error::new(io::ErrorKind::InvalidInput, error),
        })
    }

    fn counts(&self, plan: &Plan) -> Counts {
        let counts = plan.counts();
        Counts {
            rows: counts.rows,
            files: counts.files,
            directories: counts.directories,
            symlinks: counts.symlinks,
            other: 0,
            content_bytes: counts.bytes,
            blobs: counts.files - counts.missing,
            blob_bytes: match self.encryption {
                Some(_) => counts.padded_bytes,
                None => counts.bytes,
            },
        }
    }

    /// Writes the property lists and returns the keys: those of a bundle with this seed and
    /// nothing but the roots of the domains. Its catalog is replaced in the end.
    fn frame(&self, plan: &Plan, dir: &Path) -> io::Result<Truth> {
        let device = plan.device();
        let frame = BundleSpec::new(self.seed).with(|spec| {
            spec.encryption = self.encryption.clone();
            spec.device = DeviceFacts {
                udid: device.udid,
                serial_number: device.serial_number,
                ..DeviceFacts::ios17()
            };
            let roots = plan.domains().iter();
            spec.entries = roots.map(|domain| EntrySpec::directory(domain.as_str(), "")).collect();
        });
        frame.write(dir)
    }

    /// Makes the entries on all lanes and gives the rows to `row` in catalog order.
    fn lanes(
        &self,
        lane: &Lane<'_>,
        mut row: impl FnMut(Made) -> io::Result<()>,
    ) -> io::Result<()> {
        let all = match self.threads {
            Some(threads) => threads,
            None => thread::available_parallelism()?,
        };
        thread::scope(|scope| {
            let lanes: Vec<mpsc::Receiver<io::Result<Made>>> = (0..all.get())
                .map(|first| {
                    let (send, receive) = mpsc::sync_channel(AHEAD);
                    scope.spawn(move || {
                        let mut chunk = Vec::with_capacity(CHUNK + 16);
                        for n in (first..).step_by(all.get()) {
                            let made = lane.make(n, &mut chunk);
                            let failed = made.is_err();
                            // Nobody listens any more once all rows are there.
                            if send.send(made).is_err() || failed {
                                break;
                            }
                        }
                    });
                    receive
                })
                .collect();
            // When this ends the receivers go, and with them the threads.
            for planned in lane.plan.rows() {
                let gone = |gone| Err(io::Error::other(gone));
                row(match planned.number {
                    Some(n) => lanes[n % all].recv().unwrap_or_else(gone)?,
                    None => folder(lane.plan, planned),
                })?;
            }
            Ok(())
        })
    }
}

type Each<'e> = &'e mut dyn FnMut(&TruthEntry) -> io::Result<()>;

/// Makes the row of a folder above an entry.
fn folder(plan: &Plan, planned: Planned) -> Made {
    let id = file_id(&plan.domains()[planned.domain], &planned.path);
    let archive = archive(&planned).encode();
    Made { id, archive, truth: None, planned }
}

fn keychain(seed: Seed) -> Vec<u8> {
    let items = (0..24u32).map(|n| {
        let secret = crate::hex(&seed.bytes::<12>(format!("bulk secret {n}")));
        KeychainItem::password(6 + n % 6, "example.com", format!("account{n}"), secret)
    });
    let spec = KeychainSpec { items: items.collect(), ..KeychainSpec::default() };
    spec.contents(&BundleSpec::new(seed.0))
}

/// Copies the finished database into its place, encrypted when there is a key.
fn seal(from: &Path, to: &Path, key: Option<&[u8; 32]>, watch: &Watch<'_>) -> io::Result<()> {
    let mut from = BufReader::with_capacity(CHUNK, File::open(from)?);
    let mut to = BufWriter::with_capacity(CHUNK, File::create(to)?);
    let mut cipher = key.map(|key| cbc::Encryptor::<aes::Aes256>::new(key.into(), &[0; 16].into()));
    let mut done = 0;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK + 16);
        from.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)?;
        if done == 0 {
            finish_header(&mut chunk);
        }
        done += chunk.len() as u64;
        watch.tell(BulkProgress::Catalog { bytes: done })?;
        // Only the last chunk is short; one of no bytes still gets its padding.
        let last = chunk.len() < CHUNK;
        if let Some(cipher) = &mut cipher {
            if last {
                chunk = pad(chunk);
            }
            let (blocks, _) = Array::slice_as_chunks_mut(&mut chunk);
            cipher.encrypt_blocks(blocks);
        }
        to.write_all(&chunk)?;
        if last {
            return to.flush();
        }
    }
}

#[cfg(test)]
mod tests;
