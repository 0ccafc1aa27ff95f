//! Groups of options that several commands share.

mod backup;
mod filter;
mod output;
mod password;
mod read;
mod rewrite;
mod seal;
mod target;

pub(crate) use backup::BackupArgs;
pub(crate) use filter::{ExplainArg, FilterArgs, Rule, TypeArg, parse_size};
pub(crate) use output::{Format, GlobalArgs, JsonArg, ListingArgs, ProgressWhen};
pub(crate) use password::{NewPasswordArgs, PasswordArgs};
pub(crate) use read::ReadArgs;
pub(crate) use rewrite::RewriteArgs;
pub(crate) use seal::{NewSealArgs, SealArgs};
pub(crate) use target::{PolicyArg, TargetArgs};
