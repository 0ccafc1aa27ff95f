use std::path::PathBuf;

/// What an administrator knows and a backup cannot say.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PolicyArg {
    /// Read what an administrator knows of target, MDM and apps from this TOML file
    #[arg(long, value_name = "FILE", help_heading = "Management")]
    pub(crate) policy: Option<PathBuf>,
}

/// Which device a restore is for, and what is known of it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Management")]
pub(crate) struct TargetArgs {
    /// The serial number of the device to restore to; the policy file may name it instead
    #[arg(long, value_name = "SERIAL")]
    pub(crate) target_serial: Option<String>,

    /// The UDID of that device, which removes doubt
    #[arg(long, value_name = "UDID")]
    pub(crate) target_udid: Option<String>,

    /// The version of iOS on that device, such as 18.5
    #[arg(long, value_name = "VERSION")]
    pub(crate) target_ios: Option<String>,

    #[command(flatten)]
    pub(crate) policy: PolicyArg,

    /// A saved answer to the MDM command ManagedApplicationList
    #[arg(long, value_name = "PLIST")]
    pub(crate) managed_applications: Option<PathBuf>,

    /// A saved answer to the MDM command InstalledApplicationList
    #[arg(long, value_name = "PLIST")]
    pub(crate) installed_applications: Option<PathBuf>,

    /// A profile whose restrictions hold, plain or signed; may be given several times
    #[arg(long, value_name = "MOBILECONFIG")]
    pub(crate) profile: Vec<PathBuf>,
}
