use super::{BackupArgs, Format, JsonArg, PasswordArgs};

/// What every command takes that reads a backup and answers with one document.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) backup: BackupArgs,

    #[command(flatten)]
    json: JsonArg,

    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

impl ReadArgs {
    pub(crate) fn format(&self) -> Format {
        self.json.format()
    }
}
