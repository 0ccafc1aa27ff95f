use std::ffi::OsString;
use std::path::PathBuf;

use super::password::descriptor;

/// What opens a sealed archive. Only one that is sealed is asked about.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(multiple = false)]
pub(crate) struct SealArgs {
    /// Open a sealed archive with the password in the first line of FILE ("-" is standard input)
    ///
    /// This is the password of the archive, not that of the backup in it. Without any of these
    /// options the terminal is asked, where the archive is sealed with a password.
    #[arg(long, value_name = "FILE", help_heading = "Sealed archive")]
    pub(crate) seal_password_file: Option<PathBuf>,

    /// Run CMD with "sh -c" and read the archive's password from the first line it prints
    #[arg(long, value_name = "CMD", help_heading = "Sealed archive")]
    pub(crate) seal_password_command: Option<OsString>,

    /// Read the archive's password from the open file descriptor N
    #[arg(long, value_name = "N", help_heading = "Sealed archive", value_parser = descriptor)]
    pub(crate) seal_password_fd: Option<u32>,

    /// Open a sealed archive with the key in FILE: 32 bytes
    #[arg(long, value_name = "FILE", help_heading = "Sealed archive")]
    pub(crate) seal_key_file: Option<PathBuf>,
}

/// What a new archive is sealed with.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct NewSealArgs {
    /// Seal with the password in the first line of FILE ("-" is standard input)
    ///
    /// Without any of these options FILE.zip is a plain zip, and for FILE.bkpz the terminal is
    /// asked, twice.
    #[arg(long, value_name = "FILE", help_heading = "Seal")]
    pub(crate) seal_password_file: Option<PathBuf>,

    /// Run CMD with "sh -c" and seal with the first line it prints
    #[arg(long, value_name = "CMD", help_heading = "Seal")]
    pub(crate) seal_password_command: Option<OsString>,

    /// Seal with the password from the open file descriptor N
    #[arg(long, value_name = "N", help_heading = "Seal", value_parser = descriptor)]
    pub(crate) seal_password_fd: Option<u32>,

    /// Seal with the key in FILE: 32 random bytes (head -c 32 /dev/urandom > FILE)
    #[arg(long, value_name = "FILE", help_heading = "Seal")]
    pub(crate) seal_key_file: Option<PathBuf>,
}

impl NewSealArgs {
    /// Returns the same sources for opening what was sealed.
    pub(crate) fn to_open(&self) -> SealArgs {
        let Self { seal_password_file, seal_password_command, seal_password_fd, seal_key_file } =
            self.clone();
        SealArgs { seal_password_file, seal_password_command, seal_password_fd, seal_key_file }
    }
}

impl SealArgs {
    /// Returns true when any of the options was given.
    pub(crate) fn is_given(&self) -> bool {
        let Self { seal_password_file, seal_password_command, seal_password_fd, seal_key_file } =
            self;
        seal_password_file.is_some()
            || seal_password_command.is_some()
            || seal_password_fd.is_some()
            || seal_key_file.is_some()
    }
}
