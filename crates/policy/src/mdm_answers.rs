//! Saved answers to MDM commands: which apps an MDM server manages on a device.
//!
//! Both are property lists, which the caller parses with limits; see
//! [`ProfileFile`](crate::ProfileFile) for why.

use std::collections::BTreeMap;

use plist::{Dictionary, Value};

use crate::PolicyError;
use crate::apps::{AppFlags, AppStatement, Signal};

/// The answer to the MDM command `ManagedApplicationList`. Source: Apple's device-management
/// schema, `mdm/commands/application.managed.list.yaml`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ManagedApplicationList {
    /// The UDID of the device that answered.
    pub udid: Option<Box<str>>,
    /// The apps, by bundle identifier. Apps that declarations manage are not among them.
    pub apps: BTreeMap<Box<str>, ManagedApplication>,
}

/// An app of a [`ManagedApplicationList`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ManagedApplication {
    /// `Status`, as it is spelled.
    pub status: Box<str>,
    /// `ManagementFlags`.
    pub flags: AppFlags,
}

impl ManagedApplication {
    /// Returns whether the app is managed now, by its status; none for a status that does not
    /// say, for one of an installation under way, and for one that is not known.
    #[must_use]
    pub fn managed(&self) -> Option<bool> {
        match &*self.status {
            "Managed"
            | "ManagedButUninstalled"
            | "PromptingForUpdate"
            | "PromptingForUpdateLogin"
            | "ValidatingUpdate"
            | "Updating"
            | "UpdateRejected" => Some(true),
            "UserInstalledApp" | "UserRejected" | "ManagementRejected" => Some(false),
            _ => None,
        }
    }

    /// Returns what this says of the app.
    #[must_use]
    pub fn statement(&self) -> AppStatement {
        AppStatement {
            signal: Signal::ManagedApplicationList,
            managed: self.managed(),
            flags: Some(self.flags),
        }
    }
}

impl ManagedApplicationList {
    /// Reads a parsed answer.
    ///
    /// # Errors
    ///
    /// Fails when this is no such answer, when the device answered with an error, and when an app
    /// has no status or no flags. `name` is what errors call the file.
    pub fn from_value(name: &str, value: &Value) -> Result<Self, PolicyError> {
        const KEY: &str = "ManagedApplicationList";
        let answer = answer(name, value, KEY)?;
        let bad = |what| PolicyError::NotAnAnswer { file: name.into(), command: KEY, what };
        let list = answer
            .get(KEY)
            .and_then(Value::as_dictionary)
            .ok_or_else(|| bad("has no dictionary of that name"))?;
        let mut apps = BTreeMap::new();
        for (bundle_id, app) in list {
            let app = app.as_dictionary().ok_or_else(|| bad("has an app that is no dictionary"))?;
            let status = text(app, "Status").ok_or_else(|| bad("has an app without Status"))?;
            let flags = app
                .get("ManagementFlags")
                .and_then(Value::as_unsigned_integer)
                .ok_or_else(|| bad("has an app without ManagementFlags"))?;
            let flags = AppFlags::from_bits(flags);
            apps.insert(bundle_id.as_str().into(), ManagedApplication { status, flags });
        }
        Ok(Self { udid: text(answer, "UDID"), apps })
    }
}

/// The answer to the MDM command `InstalledApplicationList`.
///
/// It does not say which apps are managed. It tells licences, and that an app is installed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InstalledApplicationList {
    /// The UDID of the device that answered.
    pub udid: Option<Box<str>>,
    /// The apps, by bundle identifier.
    pub apps: BTreeMap<Box<str>, InstalledApplication>,
}

/// An app of an [`InstalledApplicationList`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct InstalledApplication {
    /// `Name`.
    pub name: Option<Box<str>>,
    /// `DeviceBasedVPP`: the device has the volume licence.
    pub device_licence: Option<bool>,
    /// `AppStoreVendable`: the app came from the store.
    pub from_store: Option<bool>,
}

impl InstalledApplicationList {
    /// Reads a parsed answer.
    ///
    /// # Errors
    ///
    /// Fails when this is no such answer, when the device answered with an error, and when an app
    /// has no identifier. `name` is what errors call the file.
    pub fn from_value(name: &str, value: &Value) -> Result<Self, PolicyError> {
        const KEY: &str = "InstalledApplicationList";
        let answer = answer(name, value, KEY)?;
        let bad = |what| PolicyError::NotAnAnswer { file: name.into(), command: KEY, what };
        let list = answer
            .get(KEY)
            .and_then(Value::as_array)
            .ok_or_else(|| bad("has no array of that name"))?;
        let mut apps = BTreeMap::new();
        for app in list {
            let app = app.as_dictionary().ok_or_else(|| bad("has an app that is no dictionary"))?;
            let id = text(app, "Identifier").ok_or_else(|| bad("has an app without Identifier"))?;
            let flag = |key| app.get(key).and_then(Value::as_boolean);
            let installed = InstalledApplication {
                name: text(app, "Name"),
                device_licence: flag("DeviceBasedVPP"),
                from_store: flag("AppStoreVendable"),
            };
            apps.insert(id, installed);
        }
        Ok(Self { udid: text(answer, "UDID"), apps })
    }
}

fn answer<'v>(
    name: &str,
    value: &'v Value,
    command: &'static str,
) -> Result<&'v Dictionary, PolicyError> {
    let bad = |what| Err(PolicyError::NotAnAnswer { file: name.into(), command, what });
    let Some(answer) = value.as_dictionary() else { return bad("is no dictionary") };
    match answer.get("Status").and_then(Value::as_string) {
        None | Some("Acknowledged") => Ok(answer),
        Some("NotNow") => bad("says that the device could not answer then (NotNow)"),
        Some(_) => bad("says that the command failed"),
    }
}

fn text(dictionary: &Dictionary, key: &str) -> Option<Box<str>> {
    dictionary.get(key).and_then(Value::as_string).map(Into::into)
}

#[cfg(test)]
mod tests {
    use plist::Value;

    use super::{InstalledApplicationList, ManagedApplicationList};
    use crate::PolicyError;

    fn value(xml: &str) -> Value {
        let whole = format!("<plist version=\"1.0\">{xml}</plist>");
        Value::from_reader_xml(whole.as_bytes()).unwrap()
    }

    fn managed(app: &str) -> Value {
        value(&format!(
            "<dict><key>Status</key><string>Acknowledged</string><key>UDID</key><string>U</string>\
             <key>ManagedApplicationList</key><dict><key>com.example.app</key>{app}</dict></dict>"
        ))
    }

    #[test]
    fn states_and_flags() {
        for (status, flags, managed_now, bits) in [
            ("Managed", 0, Some(true), 0),
            ("Managed", 1, Some(true), 1),
            ("ManagedButUninstalled", 4, Some(true), 4),
            ("Updating", 5, Some(true), 5),
            ("Managed", 13, Some(true), 5),
            ("PromptingForUpdate", 1, Some(true), 1),
            ("PromptingForUpdateLogin", 1, Some(true), 1),
            ("ValidatingUpdate", 1, Some(true), 1),
            ("UpdateRejected", 1, Some(true), 1),
            ("UserRejected", 1, Some(false), 1),
            ("UserInstalledApp", 1, Some(false), 1),
            ("ManagementRejected", 5, Some(false), 5),
            ("Unknown", 1, None, 1),
            ("Failed", 1, None, 1),
            ("Installing", 1, None, 1),
            ("SomethingNew", 5, None, 5),
        ] {
            let xml = format!(
                "<dict><key>Status</key><string>{status}</string>\
                 <key>ManagementFlags</key><integer>{flags}</integer></dict>"
            );
            let list = ManagedApplicationList::from_value("x", &managed(&xml)).unwrap();
            assert_eq!(list.udid.as_deref(), Some("U"));
            let app = &list.apps["com.example.app"];
            assert_eq!((app.managed(), app.flags.bits()), (managed_now, bits), "{status}");
            assert_eq!(app.statement().drives(), managed_now == Some(true));
        }
    }

    #[test]
    fn what_is_no_answer() {
        for (answer, words) in [
            (value("<array/>"), "is no dictionary"),
            (value("<dict/>"), "has no dictionary of that name"),
            (
                value("<dict><key>Status</key><string>NotNow</string></dict>"),
                "says that the device could not answer then (NotNow)",
            ),
            (
                value("<dict><key>Status</key><string>Error</string></dict>"),
                "says that the command failed",
            ),
            (managed("<string>x</string>"), "has an app that is no dictionary"),
            (managed("<dict/>"), "has an app without Status"),
            (
                managed("<dict><key>Status</key><string>Managed</string></dict>"),
                "has an app without ManagementFlags",
            ),
            (
                managed(
                    "<dict><key>Status</key><string>Managed</string>\
                     <key>ManagementFlags</key><integer>-1</integer></dict>",
                ),
                "has an app without ManagementFlags",
            ),
        ] {
            match ManagedApplicationList::from_value("x", &answer) {
                Err(PolicyError::NotAnAnswer { what, .. }) => assert_eq!(what, words),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn installed_apps_and_their_licences() {
        let list = |app: &str| {
            InstalledApplicationList::from_value(
                "x",
                &value(&format!(
                    "<dict><key>InstalledApplicationList</key><array>{app}</array></dict>"
                )),
            )
        };
        let one = list(
            "<dict><key>Identifier</key><string>com.example.app</string>\
             <key>DeviceBasedVPP</key><true/><key>AppStoreVendable</key><true/></dict>",
        )
        .unwrap();
        let app = &one.apps["com.example.app"];
        assert_eq!((app.device_licence, app.from_store), (Some(true), Some(true)));
        assert!(list("<dict/>").is_err());
        assert!(list("<string>x</string>").is_err());
        assert!(list("").unwrap().apps.is_empty());
        assert!(InstalledApplicationList::from_value("x", &managed("<dict/>")).is_err());
    }
}
