//! Purchase records of apps: `iTunesMetadata` in `Info.plist`. Source: MANAGED.md 4.1.

use std::collections::BTreeMap;

use bkp_bundle::plist_guard::{self, Limits};
use serde::Serialize;

use crate::ManagedError;
use crate::keys::Keys;
use crate::reader::limits;

/// How an app was bought. It proves a licence, and not that the app is managed now.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Purchase {
    /// `itemName`.
    pub name: Option<String>,
    /// `artistName`: its maker.
    pub artist: Option<String>,
    /// `sideLoadedDeviceBasedVPP`: the licence is of the device, bought in volume.
    pub device_licence: Option<bool>,
    /// `AppleID` of the account that bought it.
    pub account: Option<String>,
    /// `purchaseDate`, as it is written.
    pub purchase_date: Option<String>,
    /// `sourceApp`: the program that fetched it.
    pub source_app: Option<String>,
    /// `is-auto-download`.
    pub auto_download: Option<bool>,
}

/// The longest `Info.plist` that is read for purchase records, in bytes. Reading takes as much again
/// in memory; an app's icon and record have some tens of KiB.
pub const INFO_LIMIT: usize = 64 << 20;
/// The longest purchase record.
const RECORD: usize = 1 << 20;

impl Purchase {
    fn read(keys: Keys<'_>) -> Self {
        let download = keys.dict("com.apple.iTunesStore.downloadInfo");
        let account = download.and_then(|download| download.dict("accountInfo"));
        let text = |key| keys.text(key).or_else(|| download.and_then(|d| d.text(key)));
        let date = || {
            let date = keys.0.get("purchaseDate").and_then(plist::Value::as_date);
            date.map(|date| date.to_xml_format())
        };
        Self {
            name: keys.text("itemName"),
            artist: keys.text("artistName"),
            device_licence: keys.bool("sideLoadedDeviceBasedVPP"),
            account: account.and_then(|account| account.text("AppleID")),
            purchase_date: text("purchaseDate").or_else(date),
            source_app: text("sourceApp"),
            auto_download: keys
                .bool("is-auto-download")
                .or_else(|| download.and_then(|d| d.bool("is-auto-download"))),
        }
    }
}

/// Reads the purchase record of every app that has one.
pub(crate) fn read_all(
    info: &[u8],
    problems: &mut Vec<ManagedError>,
) -> BTreeMap<String, Purchase> {
    let mut purchases = BTreeMap::new();
    let root = match plist_guard::read_value(info, &Limits::of(INFO_LIMIT)) {
        Ok(root) => root,
        Err(source) => {
            problems.push(ManagedError::Info { source });
            return purchases;
        }
    };
    let applications = root.as_dictionary().and_then(|root| Keys(root).dict("Applications"));
    for (bundle_id, app) in applications.into_iter().flat_map(|Keys(apps)| apps) {
        let Some(record) = app.as_dictionary().and_then(|app| Keys(app).data("iTunesMetadata"))
        else {
            continue;
        };
        match plist_guard::read_value(record, &limits(RECORD)) {
            Ok(plist::Value::Dictionary(keys)) => {
                purchases.insert(bundle_id.clone(), Purchase::read(Keys(&keys)));
            }
            Ok(_) => {}
            Err(source) => {
                problems.push(ManagedError::Purchase { bundle_id: bundle_id.clone(), source });
            }
        }
    }
    purchases
}
