use std::path::PathBuf;

use super::SealArgs;

/// Which backup, how an archive of it is opened, and how much work it may ask for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BackupArgs {
    /// The backup's folder, the folder above a single backup, or an archive
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: PathBuf,

    /// Most rounds of key derivation that a backup may ask for [default: 50000000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_kdf_rounds: Option<u64>,

    #[command(flatten)]
    pub(crate) seal: SealArgs,
}
