//! The device that a new bundle is of.

use crate::Application;

/// What the three property lists of a new bundle say of the device.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceDescription {
    /// Its name, as its owner gave it.
    pub name: String,
    /// The product, such as "iPhone 6s Plus".
    pub product_name: String,
    /// The product's identifier, such as "iPhone8,2".
    pub product_type: String,
    /// The version of its system, such as "13.3".
    pub product_version: String,
    /// The build of its system, such as "17C54".
    pub build_version: String,
    /// The serial number.
    pub serial_number: String,
    /// The UDID: 40 lower-case hexadecimal digits, or `8-16` capital ones.
    pub udid: String,
    /// `IMEI`, of devices with a telephone.
    pub imei: Option<String>,
    /// `MEID`, of devices with a telephone.
    pub meid: Option<String>,
    /// `Phone Number`.
    pub phone_number: Option<String>,
    /// The containers of apps, extensions and groups. Rows of others are not restored.
    pub applications: Vec<Application>,
}
