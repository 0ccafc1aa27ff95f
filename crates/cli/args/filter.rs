//! `--include` and the rest: which entries take part.

use std::ffi::OsString;
use std::path::PathBuf;

use bkp_toolkit::policy::PRESETS;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, ValueEnum};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// One rule, in the order of the command line, where the last that matches wins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    Include(String),
    Exclude(String),
    IncludeFrom(PathBuf),
    ExcludeFrom(PathBuf),
    /// Lines of `+ GLOB` and `- GLOB`.
    File(PathBuf),
    /// A file of rules that comes with the program, by its name.
    Preset(String),
}

/// What sort of entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TypeArg {
    File,
    Directory,
    Symlink,
}

/// Which entries take part.
///
/// Read by hand, since the order between `--include` and `--exclude` matters, and derived
/// arguments forget it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterArgs {
    pub(crate) rules: Vec<Rule>,
    pub(crate) ignore_case: bool,
    pub(crate) min_size: Option<u64>,
    pub(crate) max_size: Option<u64>,
    /// Seconds since the Unix epoch.
    pub(crate) newer: Option<i64>,
    /// Seconds since the Unix epoch.
    pub(crate) older: Option<i64>,
    pub(crate) types: Vec<TypeArg>,
    pub(crate) bundle_ids: Vec<String>,
}

const HEADING: &str = "Filters";

/// Asks which rule decides about an entry.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ExplainArg {
    /// Say which rule decides about this entry, and do nothing else
    #[arg(long, value_name = "DOMAIN:PATH", help_heading = HEADING)]
    pub(crate) explain: Option<OsString>,
}

impl Args for FilterArgs {
    fn augment_args(command: Command) -> Command {
        let option = |name: &'static str, value: &'static str, help: &'static str| {
            Arg::new(name).long(name).value_name(value).help(help).help_heading(HEADING)
        };
        let many = |name, value, help| option(name, value, help).action(ArgAction::Append);
        let path = clap::value_parser!(PathBuf);
        command
            .arg(many("include", "GLOB", "Take what matches DOMAIN:PATH (* stays within a folder, ** does not)"))
            .arg(many("exclude", "GLOB", "Leave what matches; the last rule that matches decides"))
            .arg(many("include-from", "FILE", "Read globs to include from FILE, one a line").value_parser(path.clone()))
            .arg(many("exclude-from", "FILE", "Read globs to exclude from FILE, one a line").value_parser(path))
            .arg(many("rules", "FILE", "Read rules \"+ GLOB\" and \"- GLOB\" from FILE, one a line").value_parser(clap::value_parser!(PathBuf)))
            .arg(many("preset", "NAME", "Use rules that come with the program").value_parser(presets()))
            .arg(option("ignore-case", "", "Match names whatever their case").short('i').action(ArgAction::SetTrue))
            .arg(option("min-size", "SIZE", "Take files of at least SIZE (10M, 1GiB)").value_parser(parse_size))
            .arg(option("max-size", "SIZE", "Take files of at most SIZE").value_parser(parse_size))
            .arg(option("newer", "TIME", "Take what was modified at TIME or later (2024-05-01, 2024-05-01T12:00:00Z; UTC)").value_parser(parse_time))
            .arg(option("older", "TIME", "Take what was modified before TIME").value_parser(parse_time))
            .arg(many("type", "KIND", "Take only this kind").value_parser(clap::value_parser!(TypeArg)))
            .arg(many("bundle-id", "ID", "Take only the containers of this app"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FilterArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut rules: Vec<(usize, Rule)> = Vec::new();
        collect(matches, "include", Rule::Include, &mut rules);
        collect(matches, "exclude", Rule::Exclude, &mut rules);
        collect(matches, "include-from", Rule::IncludeFrom, &mut rules);
        collect(matches, "exclude-from", Rule::ExcludeFrom, &mut rules);
        collect(matches, "rules", Rule::File, &mut rules);
        collect(matches, "preset", Rule::Preset, &mut rules);
        rules.sort_by_key(|&(at, _)| at);
        Ok(Self {
            rules: rules.into_iter().map(|(_, rule)| rule).collect(),
            ignore_case: matches.get_flag("ignore-case"),
            min_size: matches.get_one("min-size").copied(),
            max_size: matches.get_one("max-size").copied(),
            newer: matches.get_one("newer").copied(),
            older: matches.get_one("older").copied(),
            types: matches.get_many("type").unwrap_or_default().copied().collect(),
            bundle_ids: matches.get_many("bundle-id").unwrap_or_default().cloned().collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The names of the presets, each with what it takes.
fn presets() -> PossibleValuesParser {
    PossibleValuesParser::new(
        PRESETS.iter().map(|preset| PossibleValue::new(preset.name).help(preset.summary())),
    )
}

/// Appends the values of one option with their places on the command line.
fn collect<T: Clone + Send + Sync + 'static>(
    matches: &ArgMatches,
    name: &str,
    rule: impl Fn(T) -> Rule,
    rules: &mut Vec<(usize, Rule)>,
) {
    if matches.value_source(name) == Some(ValueSource::CommandLine) {
        let values = matches.get_many::<T>(name).unwrap_or_default();
        let places = matches.indices_of(name).into_iter().flatten();
        rules.extend(places.zip(values.map(|value| rule(value.clone()))));
    }
}

/// Reads a size: a whole number with an optional unit. `K`, `KB` and `KiB` are all 1024 bytes,
/// as in the other tools of this trade.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "expected a number such as 4096 or 10M")?;
    let power = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(format!("unknown unit \"{unit}\" (expected K, M, G or T)")),
    };
    number.checked_mul(1 << power).ok_or_else(|| "larger than any file".to_owned())
}

/// Reads a date or a time. Without an offset it is UTC.
fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_second());
    }
    let civil = text
        .parse::<DateTime>()
        .or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)))
        .map_err(|_| "expected a date such as 2024-05-01 or 2024-05-01T12:00:00Z")?;
    let zoned = civil.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::{FilterArgs, Rule, TypeArg, parse_size, parse_time};

    fn parse(args: &[&str]) -> Result<FilterArgs, clap::Error> {
        let command = FilterArgs::augment_args(Command::new("x").no_binary_name(true));
        FilterArgs::from_arg_matches(&command.try_get_matches_from(args)?)
    }

    #[test]
    fn rules_keep_the_order_of_the_command_line() {
        let filters = parse(&[
            "--exclude",
            "B",
            "--include",
            "A",
            "--include-from",
            "F",
            "--exclude",
            "C",
            "--include",
            "D",
        ])
        .unwrap();
        assert_eq!(
            filters.rules,
            [
                Rule::Exclude("B".into()),
                Rule::Include("A".into()),
                Rule::IncludeFrom("F".into()),
                Rule::Exclude("C".into()),
                Rule::Include("D".into()),
            ]
        );
        assert!(parse(&[]).unwrap().rules.is_empty());
    }

    #[test]
    fn the_other_filters() {
        let filters = parse(&[
            "--ignore-case",
            "--min-size",
            "10M",
            "--max-size=1GiB",
            "--newer",
            "2024-05-01",
            "--older",
            "2024-05-01T14:00:00+02:00",
            "--type",
            "file",
            "--type",
            "symlink",
            "--bundle-id",
            "com.example.a",
        ])
        .unwrap();
        assert!(filters.ignore_case);
        assert_eq!((filters.min_size, filters.max_size), (Some(10 << 20), Some(1 << 30)));
        assert_eq!((filters.newer, filters.older), (Some(1_714_521_600), Some(1_714_564_800)));
        assert_eq!(filters.types, [TypeArg::File, TypeArg::Symlink]);
        assert_eq!(filters.bundle_ids, ["com.example.a"]);
    }

    #[test]
    fn sizes_and_times_are_checked() {
        for bad in ["", "M", "-1", "1.5G", "10X", "99999999999T", "18446744073709551616"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_size("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_size("4 KiB"), Ok(4096));
        for bad in ["", "yesterday", "2024-13-01", "2024-05-01T25:00:00Z"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_time("2024-05-01T12:00:00"), Ok(1_714_564_800));
    }
}
