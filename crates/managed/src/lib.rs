//! What a backup says of how its device was managed: enrolment, profiles, restrictions, apps, books.
//!
//! ```text
//! catalog ──▶ files by their names ──▶ property lists, guarded ──▶ Survey     facts as plain data
//! (names)     CloudConfiguration…                                  problems   what could not be read
//!             profile-<sha256>.stub
//!             MDM.plist …
//! Manifest.plist, Info.plist, sizes of the catalog ──────────────▶ AppSurvey  apps, plug-ins, groups
//! ```
//!
//! This crate reads and reports. It decides nothing: what follows from the facts is for
//! `bkp-policy`. It never writes.
//!
//! Three habits:
//!
//! * **Absence is a fact, and so is ignorance.** An unmanaged phone has a
//!   `CloudConfigurationDetails.plist`, an empty `PayloadManifest.plist` and files in
//!   `ManagedPreferencesDomain`. None of them is a sign of management. What a backup does not say is
//!   `None`, never `false`.
//! * **Every conclusion names its evidence.** [`Enrolment::evidence`] holds the file and what it says.
//! * **The files are hostile.** Each is read with a limit of its own and one for all together, and
//!   its property list is checked before it is built. One that cannot be read is a
//!   [`ManagedError`] among the problems, and the survey goes on.
//!
//! Where the layout of these files comes from: MANAGED.md, sections 1, 2, 4, 5, 6 and 11. No real
//! backup of an enrolled device was at hand, so nothing here needs any of the files to be there.

#![forbid(unsafe_code)]
// All of it reads what strangers wrote.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod app;
mod audit;
mod book;
mod cloud;
mod computed;
mod enrolment;
mod error;
mod identity;
mod keys;
mod mdm;
mod place;
mod profile;
mod purchase;
mod reader;
mod restriction;
mod survey;
mod time;

pub use app::{
    App, AppSurvey, DataSize, Group, Guess, ManagedApp, Plugin, Signal, SignalStrength,
    survey_apps, survey_apps_of,
};
pub use audit::{Exposure, ExposureKind, audit};
pub use book::{Book, Books};
pub use cloud::CloudConfiguration;
pub use computed::SettingsOfProfiles;
pub use enrolment::{Enrolment, EnrolmentKind, Evidence};
pub use error::{FileName, ManagedError};
pub use identity::{Dates, Identity};
pub use mdm::{MdmPayload, MdmRecord};
pub use place::{Home, StateKind, StatePlace, stub_name};
pub use profile::{ListedProfile, Payload, Profile, ProfileState};
pub use purchase::{INFO_LIMIT, Purchase};
pub use restriction::{Restriction, RestrictionSource, RestrictionValue};
pub use survey::{Basis, ProfileEvent, StateFile, Survey, survey, survey_names, survey_opened};
pub use time::Time;
