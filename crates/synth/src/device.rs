//! Whose backup it is.

use crate::Seed;

/// What a backup says of its device. All of it is invented.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SynthDevice {
    /// The name its owner gave it.
    pub name: &'static str,
    /// The model identifier.
    pub product_type: &'static str,
    /// The model's name.
    pub product_name: &'static str,
    /// The iOS version.
    pub product_version: &'static str,
    /// The iOS build.
    pub build_version: &'static str,
    /// The serial number.
    pub serial_number: String,
    /// The UDID, of the newer form, and of no real device.
    pub udid: String,
    /// The IMEI.
    pub imei: &'static str,
    /// The phone number.
    pub phone_number: &'static str,
    /// When the backup ended, Unix time.
    pub backup_date: i64,
    /// The UUID of the backup's state.
    pub status_uuid: [u8; 16],
    /// The GUID that a host gives to the backup.
    pub guid: [u8; 16],
}

impl SynthDevice {
    pub(crate) fn new(seed: Seed) -> Self {
        let device = u64::from_be_bytes(seed.bytes("bulk device"));
        Self {
            name: "Example iPhone",
            product_type: "iPhone15,2",
            product_name: "iPhone 14 Pro",
            product_version: "17.5.1",
            build_version: "21F90",
            serial_number: format!("SYNTH{:05X}", device >> 44),
            udid: format!("00000000-{device:016X}"),
            imei: "000000000000000",
            phone_number: "+1 (555) 555-0100",
            // 2024-05-20T08:00:00Z
            backup_date: 1_716_192_000,
            status_uuid: seed.uuid("bulk status"),
            guid: seed.bytes("bulk guid"),
        }
    }
}
