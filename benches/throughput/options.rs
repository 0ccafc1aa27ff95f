//! What the command line asks for.

use std::path::PathBuf;

pub(crate) const GIB: u64 = 1 << 30;

/// How large, how often, and where.
#[derive(Debug)]
pub(crate) struct Options {
    /// Bytes of the largest bundle.
    pub(crate) size: u64,
    pub(crate) rounds: usize,
    /// A hundred times the smallest bundle instead of all else.
    pub(crate) growth: bool,
    /// A folder on a disk, for bundles.
    pub(crate) input: PathBuf,
    /// A folder in memory, for outputs.
    pub(crate) output: Option<PathBuf>,
    /// A file for the tables.
    pub(crate) markdown: Option<PathBuf>,
    quick: bool,
    only: Vec<String>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self {
            size: 4 * GIB,
            rounds: 3,
            growth: false,
            input: env!("CARGO_TARGET_TMPDIR").into(),
            output: None,
            markdown: None,
            quick: false,
            only: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                // Cargo passes it.
                "--bench" => {}
                "--quick" => (options.quick, options.size, options.rounds) = (true, GIB / 10, 1),
                "--growth" => options.growth = true,
                "--size" => options.size = bytes(value()?)?,
                "--rounds" => {
                    options.rounds = value()?.parse().map_err(|e| format!("--rounds: {e}"))?;
                }
                "--only" => options.only.push(value()?.clone()),
                "--input" => options.input = value()?.into(),
                "--output" => options.output = Some(value()?.into()),
                "--markdown" => options.markdown = Some(value()?.into()),
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        if options.rounds == 0 { Err("--rounds: at least one".into()) } else { Ok(options) }
    }

    /// Three sizes, of which the largest is ten times the smallest.
    pub(crate) fn sizes(&self) -> [u64; 3] {
        [self.size / 10, self.size / 3, self.size]
    }

    pub(crate) fn row_counts(&self) -> Vec<u64> {
        if self.quick { vec![2_000, 6_000, 20_000] } else { vec![100_000, 200_000, 1_000_000] }
    }

    /// Files and bytes of the backup that readers by others are measured on as well.
    pub(crate) fn large_files(&self) -> (u64, u64) {
        if self.quick { (300, GIB / 10) } else { (3_000, GIB) }
    }

    /// Small files, of which the creation is most of the work.
    pub(crate) fn small_files(&self) -> u64 {
        if self.quick { 1_000 } else { 20_000 }
    }

    /// Returns true if a row is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.starts_with(only.as_str()))
    }
}

/// Reads a size such as `4GiB`, `400M` or a number of bytes.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => GIB,
        unit => return Err(format!("{text}: no unit {unit}")),
    };
    let number: u64 = digits.parse().map_err(|e| format!("{text}: {e}"))?;
    number.checked_mul(unit).ok_or(format!("{text}: too much"))
}
