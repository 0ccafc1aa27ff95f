//! Writes test bundles from the command line.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the program, not the crate")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use bkp_testkit::{BulkSpec, Encryption, SizeMix, Truth, TruthEntry, cases, faults, fixtures};

const USAGE: &str = "\
Writes iOS-style backup bundles for tests. All of them are invented.

  bkp-testkit fixtures DIR            write the committed fixtures below DIR, replacing them
  bkp-testkit cases-write DIR         write the committed one-fault cases into DIR
  bkp-testkit corpus DIR              write the committed seeds of the fuzz targets into DIR
  bkp-testkit cases                   list the cases
  bkp-testkit case NAME DIR [--truth FILE]
                                      write one case; encrypted ones have the password \"test\"
  bkp-testkit bulk DIR [OPTION...]    write a big bundle
      --shape a|b|l                   3,000 files of 1 GiB | 20,000 small files | 200,000 rows
      --files N                       files with a payload
      --total BYTES                   bytes of all payloads
      --dist mixed|small              how sizes are spread
      --rows N                        rows in all, filled up with files that have no payload
      --seed S                        what everything follows from
      --encrypted PASSWORD            encrypt
      --plain                         do not encrypt
      --dpic N                        rounds of the first stage (default 10000)
      --truth FILE                    write what each file holds, as lines of fields

DIR must be new or empty, except for fixtures, cases-write and corpus. Exit codes: 0 done, 1 failed, 2 usage.
";

enum Failure {
    Usage(String),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(what)) => {
            eprintln!("error: {what}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(Failure::Io(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let mut arguments = Arguments(arguments.into_iter());
    match arguments.text("a command")?.as_str() {
        "fixtures" => {
            let dir = arguments.path("a folder")?;
            arguments.end()?;
            Ok(fixtures::write(dir.as_ref())?)
        }
        "cases-write" => {
            let dir = arguments.path("a folder")?;
            arguments.end()?;
            Ok(faults::write(dir.as_ref())?)
        }
        "corpus" => {
            let dir = arguments.path("a folder")?;
            arguments.end()?;
            Ok(faults::seeds::write(dir.as_ref())?)
        }
        "cases" => {
            arguments.end()?;
            for case in cases::all() {
                println!("{:32} {}", case.name, case.about);
            }
            Ok(())
        }
        "case" => case(arguments),
        "bulk" => bulk(arguments),
        "--help" | "-h" | "help" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(Failure::Usage(format!("no command is called {other:?}"))),
    }
}

fn case(mut arguments: Arguments) -> Result<(), Failure> {
    let name = arguments.text("a case")?;
    let dir = arguments.path("a folder")?;
    let mut truth_file = None;
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--truth" => truth_file = Some(arguments.path("a file")?),
            other => return Err(Failure::Usage(format!("no option is called {other:?}"))),
        }
    }
    let case = cases::find(&name)
        .ok_or_else(|| Failure::Usage(format!("no case is called {name:?}; see: cases")))?;
    let truth: Truth = case.spec.write(dir.as_ref())?;
    if let Some(file) = truth_file {
        std::fs::write(file, truth.to_tsv())?;
    }
    Ok(())
}

fn bulk(mut arguments: Arguments) -> Result<(), Failure> {
    let dir = arguments.path("a folder")?;
    let mut spec = BulkSpec { encryption: None, ..BulkSpec::shape_a() };
    let mut truth_file = None;
    let mut dpic = None;
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--shape" => {
                spec = match arguments.text("a, b or l")?.as_str() {
                    "a" => BulkSpec::shape_a(),
                    "b" => BulkSpec::shape_b(),
                    "l" => BulkSpec::shape_l(),
                    other => return Err(Failure::Usage(format!("no shape is called {other:?}"))),
                }
            }
            "--files" => spec.files = arguments.number()?,
            "--total" => spec.total = Some(arguments.number()?),
            "--rows" => spec.rows = arguments.number()?,
            "--seed" => spec.seed = arguments.number()?,
            "--dpic" => dpic = Some(arguments.number()?),
            "--dist" => {
                spec.mix = match arguments.text("mixed or small")?.as_str() {
                    "mixed" => SizeMix::Mixed,
                    "small" => {
                        // Sizes of their own, unless a total is asked for after this.
                        spec.total = None;
                        SizeMix::Small
                    }
                    other => return Err(Failure::Usage(format!("no mix is called {other:?}"))),
                }
            }
            "--encrypted" => spec.encryption = Some(Encryption::new(arguments.text("a password")?)),
            "--plain" => spec.encryption = None,
            "--truth" => truth_file = Some(arguments.path("a file")?),
            other => return Err(Failure::Usage(format!("no option is called {other:?}"))),
        }
    }
    match (&mut spec.encryption, dpic) {
        (_, None) => {}
        (Some(encryption), dpic) => encryption.dpic = dpic,
        (None, Some(_)) => return Err(Failure::Usage("--dpic needs --encrypted".into())),
    }
    let counts = match truth_file {
        None => spec.write(dir.as_ref())?,
        Some(file) => {
            let mut out = BufWriter::new(File::create(file)?);
            out.write_all(TruthEntry::TSV_HEAD.as_bytes())?;
            let counts = spec.write_with(dir.as_ref(), &mut |entry| {
                out.write_all(entry.to_tsv_line().as_bytes())
            })?;
            out.flush()?;
            counts
        }
    };
    println!(
        "{}: {} rows, {} files with a payload, {} bytes",
        Path::new(&dir).display(),
        counts.rows,
        counts.blobs,
        counts.blob_bytes
    );
    Ok(())
}

/// What is left of the command line.
struct Arguments(std::vec::IntoIter<OsString>);

impl Arguments {
    fn path(&mut self, what: &str) -> Result<OsString, Failure> {
        self.0.next().ok_or_else(|| Failure::Usage(format!("{what} is missing")))
    }

    fn text(&mut self, what: &str) -> Result<String, Failure> {
        let argument = self.path(what)?;
        argument.into_string().map_err(|text| Failure::Usage(format!("{text:?} is not {what}")))
    }

    fn option(&mut self) -> Result<Option<String>, Failure> {
        if self.0.len() == 0 { Ok(None) } else { self.text("an option").map(Some) }
    }

    fn number<N: std::str::FromStr>(&mut self) -> Result<N, Failure> {
        let text = self.text("a number")?;
        text.parse().map_err(|_| Failure::Usage(format!("{text:?} is not a number that fits")))
    }

    fn end(&mut self) -> Result<(), Failure> {
        match self.0.next() {
            None => Ok(()),
            Some(more) => Err(Failure::Usage(format!("{more:?} is one argument too many"))),
        }
    }
}
