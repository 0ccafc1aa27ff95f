//! What devices do differently from domain to domain. Source: FORMAT.md 2.6, 2.7 and 6.1.

/// What an entry gets unless something else is said of it.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Owning user.
    pub uid: i32,
    /// Owning group.
    pub gid: i32,
    /// Protection class of files.
    pub class: u8,
    /// Permissions of files, without type bits.
    pub file_mode: u32,
    /// Permissions of directories, without type bits.
    pub directory_mode: u32,
    /// Whether regular files carry a digest.
    pub digest: bool,
}

/// Returns what an entry of this domain gets; a container's root differs from what is in it.
#[must_use]
pub fn defaults(domain: &[u8], is_root: bool) -> Defaults {
    let name = String::from_utf8_lossy(domain);
    let base = Defaults {
        uid: 501,
        gid: 501,
        class: 4,
        file_mode: 0o644,
        directory_mode: 0o755,
        digest: true,
    };
    if name.starts_with("AppDomain") {
        return Defaults { class: 3, digest: false, ..base };
    }
    if name.starts_with("SysContainerDomain") || name.starts_with("SysSharedContainerDomain") {
        let (id, directory_mode) = if is_root { (0, 0o755) } else { (-2, 0) };
        return Defaults { uid: id, gid: id, file_mode: 0, directory_mode, digest: false, ..base };
    }
    let (uid, gid) = match &*name {
        "RootDomain"
        | "SystemPreferencesDomain"
        | "DatabaseDomain"
        | "MobileDeviceDomain"
        | "NetworkDomain"
        | "ProtectedDomain" => (0, 0),
        "ManagedPreferencesDomain" if is_root => (0, 0),
        "KeychainDomain" => (64, 0),
        "WirelessDomain" => (25, 25),
        "InstallDomain" => (33, 33),
        _ => (501, 501),
    };
    let class = if name == "CameraRollDomain" { 3 } else { 4 };
    let digest = !matches!(&*name, "CameraRollDomain" | "MediaDomain");
    Defaults { uid, gid, class, digest, ..base }
}

/// Returns where a folder lies on the device; domains with one root give one place.
#[must_use]
pub fn place(domain: &[u8], path: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match domain {
        b"HomeDomain" | b"KeyboardDomain" | b"MediaDomain" | b"CameraRollDomain"
        | b"TonesDomain" | b"HomeKitDomain" => (b"/var/mobile".to_vec(), path.to_vec()),
        b"HealthDomain" if path.is_empty() => (b"/var/mobile".to_vec(), b"Library".to_vec()),
        b"HealthDomain" => (b"/var/mobile".to_vec(), [b"Library/", path].concat()),
        _ => (domain.to_vec(), path.to_vec()),
    }
}
