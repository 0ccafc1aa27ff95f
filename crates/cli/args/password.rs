use std::ffi::OsString;
use std::path::PathBuf;

/// Where the password comes from. Never the password itself: the arguments of a process can be
/// read by every user of the machine.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of FILE ("-" is standard input)
    ///
    /// Without any of these options the variables BKP_PASSWORD_FILE and then BKP_PASSWORD are
    /// looked at; the latter is the weakest way, since other processes of the same user can read
    /// it. Last, the terminal is asked.
    #[arg(long, value_name = "FILE", help_heading = "Password")]
    pub(crate) password_file: Option<PathBuf>,

    /// Run CMD with "sh -c" and read the password from the first line it prints
    #[arg(long, value_name = "CMD", help_heading = "Password")]
    pub(crate) password_command: Option<OsString>,

    /// Read the password from the open file descriptor N
    #[arg(long, value_name = "N", help_heading = "Password", value_parser = descriptor)]
    pub(crate) password_fd: Option<u32>,

    /// The password is empty
    #[arg(long, help_heading = "Password")]
    pub(crate) password_empty: bool,
}

/// Where the password of a new backup comes from.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct NewPasswordArgs {
    /// Read the new password from the first line of FILE ("-" is standard input)
    ///
    /// Without any of these options the terminal is asked, twice.
    #[arg(long, value_name = "FILE", help_heading = "New password")]
    pub(crate) new_password_file: Option<PathBuf>,

    /// Run CMD with "sh -c" and read the new password from the first line it prints
    #[arg(long, value_name = "CMD", help_heading = "New password")]
    pub(crate) new_password_command: Option<OsString>,

    /// Read the new password from the open file descriptor N
    #[arg(long, value_name = "N", help_heading = "New password", value_parser = descriptor)]
    pub(crate) new_password_fd: Option<u32>,

    /// Give the new backup an empty password; must be said twice
    #[arg(long, action = clap::ArgAction::Count, help_heading = "New password")]
    pub(crate) new_password_empty: u8,
}

pub(super) fn descriptor(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(1 | 2) => Err("it is for output".to_owned()),
        Ok(fd) => Ok(fd),
        Err(_) => Err("not a number of a file descriptor".to_owned()),
    }
}
