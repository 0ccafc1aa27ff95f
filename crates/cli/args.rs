//! Groups of options that several commands share.

mod backup;
mod filter;
mod output;
mod password;

pub(crate) use backup::BackupArgs;
pub(crate) use filter::{FilterArgs, Rule, TypeArg, parse_size};
pub(crate) use output::{Format, GlobalArgs, JsonArg, ProgressWhen};
pub(crate) use password::PasswordArgs;
