//! What rows are to reach, and whether they did. Everything is computed from the figures of one run.

use crate::cost::Cost;
use crate::job::Row;
use crate::report::Report;

const MIB: f64 = 1024.0 * 1024.0;

/// What a row is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At most so many times the processor time of what is beside it under this name.
    Cpu(&'static str, f64),
    /// At most so many times its wall time.
    Wall(&'static str, f64),
    /// At most so many times its user time.
    User(&'static str, f64),
    /// At most so many times the user time of the best reader by others.
    PeerUser(f64),
    /// At most so many times the wall time of the best reader by others.
    PeerWall(f64),
    /// At most so many seconds of user time.
    Seconds(f64),
    /// At least so many 10^9 bytes a second of processor time.
    Rate(f64),
    /// Wall time beyond `base` is at most so many key derivations, which are beside it under
    /// `key`, and so many seconds.
    Beyond { base: Option<&'static str>, keys: f64, key: &'static str, seconds: f64 },
    /// At most so many MiB of memory, and the catalog so many times.
    Peak(f64, f64),
    /// It is done at all.
    Done,
}

/// A target and how far a row came.
struct Judged {
    wanted: String,
    /// What it is, and whether that will do; nothing where what it is compared with is not there.
    is: Option<(String, bool)>,
}

impl Target {
    fn judge(self, row: &Row, ours: &Cost) -> Judged {
        let times = |what: &str, name: &str, limit: f64, own: f64, other: Option<f64>| Judged {
            wanted: format!("{what} <= {limit:.2} x {name}"),
            is: other.map(|other| (format!("{:.2}", own / other), own <= limit * other)),
        };
        match self {
            Self::Cpu(name, limit) => {
                times("CPU", name, limit, ours.cpu(), row.of(name).map(Cost::cpu))
            }
            Self::Wall(name, limit) => {
                times("wall", name, limit, ours.wall, row.of(name).map(|cost| cost.wall))
            }
            Self::User(name, limit) => {
                times("user", name, limit, ours.user, row.of(name).map(|cost| cost.user))
            }
            Self::PeerUser(limit) => {
                times("user", "best peer", limit, ours.user, row.best_peer(|cost| cost.user))
            }
            Self::PeerWall(limit) => {
                times("wall", "best peer", limit, ours.wall, row.best_peer(|cost| cost.wall))
            }
            Self::Seconds(limit) => Judged {
                wanted: format!("user <= {limit} s"),
                is: Some((format!("{:.2} s", ours.user), ours.user <= limit)),
            },
            Self::Rate(limit) => {
                let rate = per_second(row.bytes, ours.cpu());
                let is = (row.bytes > 0).then(|| (format!("{rate:.2} GB/s"), rate >= limit));
                Judged { wanted: format!(">= {limit} GB/s a core"), is }
            }
            Self::Beyond { base, keys, key, seconds } => {
                let wall = |name| row.of(name).map(|cost| cost.wall);
                let floor = base.map_or(Some(0.0), wall).zip(wall(key));
                let beyond = floor.map(|(base, key)| ours.wall - base - keys * key);
                let from = base.map(|base| format!("{base} + ")).unwrap_or_default();
                Judged {
                    wanted: format!("wall <= {from}{keys} x {key} + {seconds} s"),
                    is: beyond.map(|is| (format!("{is:+.2} s beyond"), is <= seconds)),
                }
            }
            Self::Peak(mib, catalogs) => {
                let (peak, limit) = (ours.peak / 1024.0, mib + catalogs * mebibytes(row.catalog));
                Judged {
                    wanted: format!("peak <= {limit:.0} MiB"),
                    is: Some((format!("{peak:.0} MiB"), peak <= limit)),
                }
            }
            Self::Done => {
                Judged { wanted: "is done".to_owned(), is: Some(("done".to_owned(), true)) }
            }
        }
    }
}

/// Says of all targets of a row whether they were reached.
pub(crate) fn verdicts(row: &Row, ours: &Cost) -> String {
    let verdicts = row.targets.iter().map(|target| {
        let Judged { wanted, is } = target.judge(row, ours);
        match is {
            Some((is, met)) => format!("{wanted}: {is}, {}", word(met)),
            None => format!("{wanted}: not shown"),
        }
    });
    verdicts.collect::<Vec<_>>().join("; ")
}

fn word(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

/// All targets of a run.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    lines: Vec<String>,
    met: usize,
    missed: usize,
    /// Limits of memory that grow with the catalog, of which the worst is told.
    peaks: Vec<Peak>,
}

/// What a row took of memory, and what it may, in MiB.
#[derive(Debug)]
struct Peak {
    job: String,
    is: f64,
    limit: f64,
}

impl Targets {
    /// Takes the targets of a row.
    pub(crate) fn see(&mut self, section: &str, row: &Row) {
        let Some(ours) = &row.ours else {
            for _ in &row.targets {
                self.add(row.name, section, "not in this build", None);
            }
            return;
        };
        for target in &row.targets {
            if let Target::Peak(mib, catalogs) = target
                && *catalogs > 0.0
            {
                let (is, limit) = (ours.peak / 1024.0, mib + catalogs * mebibytes(row.catalog));
                self.peaks.push(Peak { job: format!("{}: {section}", row.name), is, limit });
                continue;
            }
            let Judged { wanted, is } = target.judge(row, ours);
            self.add(row.name, section, &wanted, is);
        }
    }

    /// Takes a target that is not that of one row.
    pub(crate) fn add(&mut self, job: &str, of: &str, wanted: &str, is: Option<(String, bool)>) {
        let (is, word) = match is {
            Some((is, met)) => {
                if met {
                    self.met += 1;
                } else {
                    self.missed += 1;
                }
                (is, word(met))
            }
            None => (String::new(), "not shown"),
        };
        self.lines.push(format!("| {job} | {of} | {wanted} | {is} | {word} |"));
    }

    pub(crate) fn print(mut self, report: &mut Report) {
        let over = |peak: &Peak| peak.is / peak.limit;
        if let Some(worst) = self.peaks.iter().max_by(|a, b| over(a).total_cmp(&over(b))) {
            let missed = self.peaks.iter().filter(|peak| over(peak) > 1.0).count();
            let wanted = format!("32 MiB + catalog: {:.0} MiB", worst.limit);
            let (of, most) = (self.peaks.len(), worst.is);
            let (job, is) = (worst.job.clone(), format!("{most:.0} MiB; {missed} of {of} over"));
            self.add("memory, the worst", &job, &wanted, Some((is, missed == 0)));
        }
        let Self { lines, met, missed, .. } = self;
        let silent = lines.len() - met - missed;
        report.title(&format!("Targets: {met} met, {missed} missed, {silent} not shown"));
        report.line("| job | on | target | here | |\n|---|---|---|---|---|");
        lines.iter().for_each(|line| report.line(line));
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a person")]
fn per_second(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / seconds / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "for a person")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
