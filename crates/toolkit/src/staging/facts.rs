//! From what a survey found to the facts that a plan rests on.

use std::collections::BTreeSet;

use bkp_bundle::Bundle;
use bkp_core::{Domain, Fault as _, RelPath, Severity};
use bkp_managed::{
    AppSurvey, EnrolmentKind, ManagedApp, Payload, Profile, ProfileState, StateKind, StatePlace,
    Survey,
};
use bkp_policy::tables::AppType;
use bkp_policy::{
    Acme, AdeState, AppFacts, AppFlags, AppStatement, DeviceFacts, Enrolment, Facts, ProfileFacts,
    Restrictions, Server, Signal, SourceIdentity,
};

/// Translates a survey.
pub(super) fn of(bundle: &Bundle, survey: &Survey, apps: &AppSurvey) -> Facts {
    let identity = &survey.identity;
    let text = |stated: &Option<String>| stated.as_deref().map(Into::into);
    let dates = &survey.dates;
    Facts {
        source: SourceIdentity {
            info_serial: text(&identity.info_serial_number),
            info_unique_identifier: text(&identity.info_unique_identifier),
            info_target_identifier: text(&identity.info_target_identifier),
            lockdown_serial: text(&identity.manifest_serial_number),
            lockdown_udid: text(&identity.manifest_unique_device_id),
        },
        encrypted: bundle.is_encrypted(),
        made: dates.last_backup.or(dates.manifest).or(dates.status).map(|time| time.0),
        device: device(survey),
        apps: apps.apps.iter().map(app).collect(),
        managed_books: survey.books.files,
    }
}

fn device(survey: &Survey) -> DeviceFacts {
    let cloud = survey.cloud.as_ref();
    let returns = cloud.and_then(|cloud| cloud.is_return_to_service) == Some(true);
    let enrolment = match survey.enrolment.kind {
        _ if returns => Enrolment::SharedIpad,
        EnrolmentKind::None => Enrolment::None,
        EnrolmentKind::Profile => Enrolment::Profile,
        EnrolmentKind::Ade => Enrolment::Ade,
        EnrolmentKind::AccountDriven => Enrolment::AccountDriven,
        EnrolmentKind::SharedIpad => Enrolment::SharedIpad,
        _ => Enrolment::Unknown,
    };
    let settings = survey.settings_of_profiles.iter().filter_map(|found| {
        Some((Domain::new(&found.file.domain).ok()?, RelPath::new(&found.file.path).ok()?))
    });
    DeviceFacts {
        enrolment,
        supervised: survey.supervised,
        ade: ade(survey),
        cloud_configuration: survey.files.iter().any(|f| f.kind == StateKind::CloudConfiguration),
        server: server(survey),
        profiles: survey.profiles.iter().map(profile).collect(),
        restrictions: Restrictions {
            allow_enterprise_book_backup: survey.restriction("allowEnterpriseBookBackup"),
            force_encrypted_backup: survey.restriction("forceEncryptedBackup"),
            allow_managed_app_backup: None,
        },
        settings_of_profiles: settings.collect::<BTreeSet<_>>(),
    }
}

/// Whether the source is managed through ADE. What cannot be read is unknown, and then counts as
/// yes.
fn ade(survey: &Survey) -> AdeState {
    let says = [&survey.cloud, &survey.cloud_set_aside]
        .into_iter()
        .flatten()
        .any(|cloud| cloud.source == Some(1) || cloud.is_mandatory == Some(true));
    if says || survey.enrolment.kind == EnrolmentKind::Ade {
        return AdeState::Yes;
    }
    let is_cloud = |kind| {
        matches!(kind, StateKind::CloudConfiguration | StateKind::CloudConfigurationSetAside)
    };
    let unread = survey.problems.iter().any(|problem| {
        problem.severity() > Severity::Notice
            && problem
                .place()
                .and_then(|place| StatePlace::of(place.domain, place.path))
                .is_some_and(|place| is_cloud(place.kind))
    });
    let there = survey.files.iter().any(|file| file.kind == StateKind::CloudConfiguration);
    if unread || (there && survey.cloud.is_none()) { AdeState::Unknown } else { AdeState::No }
}

/// Intune is known by its addresses, and by the identifier of its enrolment profile.
fn server(survey: &Survey) -> Option<Server> {
    const HOSTS: [&str; 2] = ["manage.microsoft.com", "manage.microsoft.us"];
    let enrolment = &survey.enrolment;
    if enrolment.profile.as_deref() == Some("Microsoft.Profiles.MDM") {
        return Some(Server::Intune);
    }
    let url = enrolment.server_url.as_deref()?;
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    // What stands before an @ is no host.
    let host = authority.rsplit('@').next()?.split(':').next()?.to_ascii_lowercase();
    let of_intune = HOSTS.iter().any(|known| {
        host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    });
    Some(if of_intune { Server::Intune } else { Server::Other })
}

fn profile(profile: &Profile) -> ProfileFacts {
    let installed = profile.state == ProfileState::Installed;
    let name = profile.file.path.rsplit('/').next().unwrap_or_default();
    let identity = profile.mdm_identity();
    let is_enrolment = installed && profile.enrolment;
    let acme = if installed && identity.is_some_and(|id| id.hardware_bound == Some(true)) {
        Acme::MdmIdentity
    } else if installed && profile.acme_hardware_bound == Some(true) {
        Acme::Elsewhere
    } else {
        Acme::None
    };
    ProfileFacts {
        identifier: profile.identifier.as_deref().unwrap_or(name).into(),
        is_enrolment,
        acme,
        certificate_expires: is_enrolment
            .then(|| identity.and_then(|id| id.expiry).or(profile.certificate_expiry))
            .flatten()
            .map(|time| time.0),
        brought: match installed {
            true => profile.payloads.iter().filter_map(brought).collect(),
            false => Vec::new(),
        },
    }
}

/// What stays behind on a device when the profile of this payload goes.
fn brought(payload: &Payload) -> Option<Box<str>> {
    let what = match payload.payload_type.as_deref()? {
        "com.apple.font" => "font",
        "com.apple.webClip.managed" => "web clip",
        kind if kind.starts_with("com.apple.security.") => "certificate",
        _ => return None,
    };
    let name = payload.brings.as_deref().or(payload.display_name.as_deref());
    Some(name.map_or(what.into(), |name| format!("{what} {name:?}").into()))
}

fn app(app: &bkp_managed::App) -> AppFacts {
    let weak = |signal| AppStatement { signal, managed: None, flags: None };
    let mut statements: Vec<AppStatement> = app.managed.iter().map(of_table).collect();
    statements.extend(app.signals.iter().filter_map(|signal| match signal {
        bkp_managed::Signal::DeviceLicence => Some(weak(Signal::StoreLicence)),
        bkp_managed::Signal::NoStoreRecord => Some(weak(Signal::NoStoreMetadata)),
        bkp_managed::Signal::ManagedConfiguration => Some(weak(Signal::ManagedConfiguration)),
        // The table is above, and the licence of a person's account is a purchase like any.
        _ => None,
    }));
    let licence = app.purchase.as_ref().and_then(|purchase| purchase.device_licence);
    AppFacts {
        installed: app.installed,
        plugins: app.plugins.iter().map(|plugin| plugin.bundle_id.as_str().into()).collect(),
        statements,
        app_type: (licence == Some(true)).then_some(AppType::StoreDeviceLicence),
        ..AppFacts::new(app.bundle_id.as_str())
    }
}

/// A state that looks like "not managed any more" is not certain: such an app is only reported.
fn of_table(app: &ManagedApp) -> AppStatement {
    AppStatement {
        signal: Signal::MdmAppManagement,
        managed: (!app.state_looks_unmanaged).then_some(true),
        flags: app.flags.and_then(|flags| u64::try_from(flags).ok()).map(AppFlags::from_bits),
    }
}
