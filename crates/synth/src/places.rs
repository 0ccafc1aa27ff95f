//! Where the files of a synthetic backup lie: the domains, the folders, and how often each is met.

use crate::Seed;

/// A folder that files lie in, again and again under another number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Its domain, by its number in [`Places::domains`].
    pub(crate) domain: usize,
    /// The folder's path; `%` stands for a number.
    pub(crate) folder: &'static str,
    /// What the names of files end in.
    pub(crate) extension: &'static str,
    /// The protection class, where it is not the one that is usual for the domain.
    pub(crate) class: Option<u8>,
}

/// All domains and places.
#[derive(Debug)]
pub(crate) struct Places {
    /// The domains of the backup.
    pub(crate) domains: Vec<String>,
    /// Each place with what its weight adds up to, for each band of sizes.
    bands: [Vec<(u32, Place)>; 3],
}

/// A row of the table: domain, folder, extension, class, and the weight among small, middling
/// and large files.
type Line = (&'static str, &'static str, &'static str, Option<u8>, [u32; 3]);

/// System domains. What is large on a phone is media, and media carry no digest (FORMAT.md 2.6).
const SYSTEM: [Line; 18] = [
    ("HomeDomain", "Library/Archive/%", "dat", None, [900, 300, 0]),
    ("HomeDomain", "Library/Mobile Documents/%", "bin", None, [600, 200, 0]),
    ("KeyboardDomain", "Library/Keyboard/%", "dat", None, [60, 5, 0]),
    ("RootDomain", "Library/Caches/%", "bin", None, [40, 5, 0]),
    ("WirelessDomain", "Library/Logs/%", "log", None, [60, 2, 0]),
    ("SystemPreferencesDomain", "SystemConfiguration/%", "bin", None, [30, 0, 0]),
    ("DatabaseDomain", "timezone/%", "bin", None, [20, 0, 0]),
    ("ManagedPreferencesDomain", "mobile/%", "bin", None, [10, 0, 0]),
    ("InstallDomain", "Library/%", "bin", None, [10, 0, 0]),
    ("KeychainDomain", "caches/%", "bin", None, [2, 0, 0]),
    ("HealthDomain", "Health/%", "hfd", Some(2), [20, 20, 0]),
    ("HomeKitDomain", "Library/homed/%", "bin", None, [20, 5, 0]),
    ("CameraRollDomain", "Media/PhotoData/Thumbnails/%", "THM", None, [1200, 20, 0]),
    ("CameraRollDomain", "Media/DCIM/%APPLE", "HEIC", None, [100, 4500, 800]),
    ("CameraRollDomain", "Media/DCIM/%APPLE", "MOV", None, [0, 600, 5000]),
    ("MediaDomain", "Library/SMS/Attachments/%", "jpg", None, [500, 1100, 1700]),
    ("SysContainerDomain-com.example.systemd", "Library/%", "bin", None, [60, 0, 0]),
    (
        "SysSharedContainerDomain-systemgroup.com.example.config",
        "Library/%",
        "bin",
        None,
        [120, 5, 0],
    ),
];

/// Apps, the most used first.
const APPS: [&str; 20] = [
    "chat", "mail", "notes", "maps", "music", "books", "travel", "bank", "camera", "weather",
    "news", "games", "fitness", "recipes", "podcasts", "scanner", "wallet", "files", "draw",
    "radio",
];
/// How many of the apps have a group.
const GROUPS: usize = 10;
/// How many of the apps have an extension.
const EXTENSIONS: usize = 6;

/// Bytes from which on a file is middling, and large.
const MIDDLING: u64 = 64 << 10;
const LARGE: u64 = 8 << 20;

impl Places {
    pub(crate) fn new() -> Self {
        let mut places = Self { domains: Vec::new(), bands: Default::default() };
        for (domain, folder, extension, class, weights) in SYSTEM {
            places.add(domain, folder, extension, class, weights);
        }
        for (app, rank) in APPS.into_iter().zip(2..) {
            let folder = match app {
                // Decomposed, as the device's file system has it (FORMAT.md 2.3).
                "travel" => "Documents/Re\u{301}servations/%",
                _ => "Documents/%",
            };
            let class = (app == "mail").then_some(1);
            let weights = [2000 / rank, 1500 / rank, 1500 / rank];
            places.add(&format!("AppDomain-com.example.{app}"), folder, "dat", class, weights);
        }
        for (app, rank) in APPS.into_iter().zip(2..).take(GROUPS) {
            let domain = format!("AppDomainGroup-group.com.example.{app}");
            let weights = [900 / rank, 900 / rank, 600 / rank];
            places.add(&domain, "Message/Media/%", "jpg", None, weights);
        }
        for (app, rank) in APPS.into_iter().zip(2..).take(EXTENSIONS) {
            let domain = format!("AppDomainPlugin-com.example.{app}.share");
            places.add(&domain, "Library/Caches/%", "bin", None, [100 / rank, 20 / rank, 0]);
        }
        places
    }

    fn add(
        &mut self,
        domain: &str,
        folder: &'static str,
        extension: &'static str,
        class: Option<u8>,
        weights: [u32; 3],
    ) {
        let domain = self.domain(domain).unwrap_or_else(|| {
            self.domains.push(domain.to_owned());
            self.domains.len() - 1
        });
        let place = Place { domain, folder, extension, class };
        for (band, weight) in self.bands.iter_mut().zip(weights) {
            let sum = band.last().map_or(0, |(sum, _)| *sum);
            if weight > 0 {
                band.push((sum + weight, place));
            }
        }
    }

    /// Returns the number of a domain.
    pub(crate) fn domain(&self, name: &str) -> Option<usize> {
        self.domains.iter().position(|domain| domain == name)
    }

    /// Returns the number of one of the apps' domains, in turn.
    pub(crate) fn app(&self, n: usize) -> usize {
        let app = APPS[n % APPS.len()];
        self.domain(&format!("AppDomain-com.example.{app}")).unwrap_or(0)
    }

    /// Chooses where file `n` lies, by its size.
    pub(crate) fn choose(&self, seed: Seed, n: usize, size: u64) -> Place {
        let band = &self.bands[usize::from(size >= MIDDLING) + usize::from(size >= LARGE)];
        let sum = band.last().map_or(1, |(sum, _)| *sum);
        let drawn = u32::from_le_bytes(seed.bytes(format!("bulk place {n}"))) % sum;
        band[band.partition_point(|(sum, _)| *sum <= drawn)].1
    }
}

#[cfg(test)]
mod tests {
    use super::{APPS, LARGE, MIDDLING, Places};
    use crate::Seed;

    #[test]
    fn weights_decide() {
        let places = Places::new();
        let camera = places.domain("CameraRollDomain").unwrap();
        let share = |size| {
            let chosen = (0..2_000).map(|n| places.choose(Seed(1), n, size).domain);
            chosen.filter(|domain| *domain == camera).count()
        };
        let (small, middling, large) = (share(0), share(MIDDLING), share(LARGE));
        assert!((200..500).contains(&small), "{small}");
        assert!((600..1_000).contains(&middling), "{middling}");
        assert!((800..1_100).contains(&large), "{large}");
    }

    #[test]
    fn every_domain_is_there_once() {
        let mut domains = Places::new().domains;
        let count = domains.len();
        domains.sort();
        domains.dedup();
        assert_eq!(domains.len(), count);
        for n in 0..APPS.len() {
            let places = Places::new();
            assert!(places.domains[places.app(n)].starts_with("AppDomain-"));
        }
    }
}
