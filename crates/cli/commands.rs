//! The subcommands, one file each.

mod apps;
mod cat;
mod completions;
mod decrypt;
mod diff;
mod encrypt;
mod extract;
mod filter;
mod find;
mod generate;
mod inspect;
mod keychain;
mod list;
mod ls;
mod man;
mod pack;
mod plan;
mod profiles;
mod rekey;
mod restore;
mod unpack;
mod verify;

use std::process::ExitCode;

use crate::args::Format;
use crate::error::CommandError;
use crate::ui::Ui;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Inspect(inspect::InspectArgs),
    List(list::ListArgs),
    Ls(ls::LsArgs),
    Find(find::FindArgs),
    Cat(cat::CatArgs),
    Extract(extract::ExtractArgs),
    Verify(verify::VerifyArgs),
    Diff(diff::DiffArgs),
    Keychain(keychain::KeychainArgs),
    Profiles(profiles::ProfilesArgs),
    Apps(apps::AppsArgs),
    Plan(Box<plan::PlanArgs>),
    Restore(Box<restore::RestoreArgs>),
    Filter(filter::FilterCommand),
    Encrypt(encrypt::EncryptArgs),
    Decrypt(decrypt::DecryptArgs),
    Rekey(rekey::RekeyArgs),
    Pack(pack::PackArgs),
    Unpack(unpack::UnpackArgs),
    Generate(generate::GenerateArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Command {
    /// Returns how the answer, and with it errors, are to be written.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Inspect(args) => args.format(),
            Self::List(args) => args.format(),
            Self::Ls(args) => args.format(),
            Self::Find(args) => args.format(),
            Self::Cat(args) => args.format(),
            Self::Extract(args) => args.format(),
            Self::Verify(args) => args.format(),
            Self::Diff(args) => args.format(),
            Self::Keychain(args) => args.format(),
            Self::Profiles(args) => args.format(),
            Self::Apps(args) => args.format(),
            Self::Plan(args) => args.format(),
            Self::Restore(args) => args.format(),
            Self::Filter(args) => args.format(),
            Self::Encrypt(args) => args.format(),
            Self::Decrypt(args) => args.format(),
            Self::Rekey(args) => args.format(),
            Self::Pack(args) => args.format(),
            Self::Unpack(args) => args.format(),
            Self::Generate(args) => args.format(),
            Self::Completions(args) => args.format(),
            Self::Man(args) => args.format(),
        }
    }

    pub(crate) fn run(&self, ui: &Ui) -> Result<ExitCode, CommandError> {
        match self {
            Self::Inspect(args) => inspect::run(args, ui),
            Self::List(args) => list::run(args, ui),
            Self::Ls(args) => ls::run(args, ui),
            Self::Find(args) => find::run(args, ui),
            Self::Cat(args) => cat::run(args, ui),
            Self::Extract(args) => extract::run(args, ui),
            Self::Verify(args) => verify::run(args, ui),
            Self::Diff(args) => diff::run(args, ui),
            Self::Keychain(args) => keychain::run(args, ui),
            Self::Profiles(args) => profiles::run(args, ui),
            Self::Apps(args) => apps::run(args, ui),
            Self::Plan(args) => plan::run(args, ui),
            Self::Restore(args) => restore::run(args, ui),
            Self::Filter(args) => filter::run(args, ui),
            Self::Encrypt(args) => encrypt::run(args, ui),
            Self::Decrypt(args) => decrypt::run(args, ui),
            Self::Rekey(args) => rekey::run(args, ui),
            Self::Pack(args) => pack::run(args, ui),
            Self::Unpack(args) => unpack::run(args, ui),
            Self::Generate(args) => generate::run(args, ui),
            Self::Completions(args) => completions::run(args),
            Self::Man(args) => man::run(args),
        }
    }
}
