//! The calls of the system at which runs are disturbed, and what may go wrong with each.

use std::fmt;

/// What happens at a call, in strace's words.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum What {
    /// SIGKILL before the call is made.
    Kill,
    /// This error, once.
    Once(&'static str),
    /// This error, from then on: a full disk stays full.
    FromThenOn(&'static str),
    /// Nothing is done, and nothing is what it says it did.
    Nothing,
}

/// Calls that change a file system, at which a run is killed. Between two of them nothing
/// changes that could be found later. The last one is the end of the process.
pub(super) const KILLED_AT: &[&str] = &[
    "open",
    "openat",
    "openat2",
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "copy_file_range",
    "sendfile",
    "splice",
    "ioctl",
    "ftruncate",
    "fallocate",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "fsync",
    "fdatasync",
    "syncfs",
    "sync_file_range",
    "chmod",
    "fchmod",
    "fchmodat",
    "utimensat",
    "fchown",
    "fchownat",
    "fsetxattr",
    "close",
    "flock",
    "exit_group",
];

/// Calls and what may go wrong with them.
pub(super) fn failures(call: &str) -> &'static [What] {
    use What::{FromThenOn, Nothing, Once};
    match call {
        "open" | "openat" | "openat2" => &[
            Once("EIO"),
            Once("EACCES"),
            Once("EMFILE"),
            Once("EINTR"),
            Once("ENOSPC"),
            FromThenOn("EMFILE"),
            FromThenOn("ENOSPC"),
        ],
        "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" => &[
            Once("EIO"),
            Once("ENOSPC"),
            Once("EDQUOT"),
            Once("EINTR"),
            Nothing,
            FromThenOn("ENOSPC"),
            FromThenOn("EDQUOT"),
            FromThenOn("EIO"),
        ],
        "copy_file_range" | "sendfile" | "splice" => &[
            Once("EIO"),
            Once("ENOSPC"),
            Once("EDQUOT"),
            Once("EINTR"),
            Once("EXDEV"),
            Nothing,
            FromThenOn("ENOSPC"),
            FromThenOn("EXDEV"),
            FromThenOn("EOPNOTSUPP"),
        ],
        "ioctl" => &[Once("EIO"), Once("ENOSPC"), Once("EOPNOTSUPP"), Once("EXDEV")],
        "read" | "pread64" | "readv" | "preadv" => &[Once("EIO"), Once("EINTR"), FromThenOn("EIO")],
        "getdents64" => &[Once("EIO"), Once("EINTR")],
        "statx" | "newfstatat" | "fstat" | "lseek" => &[Once("EIO"), Once("EACCES")],
        "ftruncate" | "fallocate" => {
            &[Once("EIO"), Once("ENOSPC"), Once("EDQUOT"), Once("EINTR"), FromThenOn("EOPNOTSUPP")]
        }
        "link" | "linkat" | "symlink" | "symlinkat" | "mkdir" | "mkdirat" => {
            &[Once("EIO"), Once("EACCES"), Once("ENOSPC"), Once("EDQUOT"), FromThenOn("ENOSPC")]
        }
        "rename" | "renameat" | "renameat2" => {
            &[Once("EIO"), Once("EACCES"), Once("ENOSPC"), Once("EXDEV"), FromThenOn("EIO")]
        }
        "unlink" | "unlinkat" | "rmdir" => &[Once("EIO"), Once("EACCES"), FromThenOn("EIO")],
        "fsync" | "fdatasync" | "syncfs" | "sync_file_range" => {
            &[Once("EIO"), Once("ENOSPC"), Once("EDQUOT"), Once("EINTR"), FromThenOn("EIO")]
        }
        "chmod" | "fchmod" | "fchmodat" | "utimensat" | "fchown" | "fchownat" | "fsetxattr" => {
            &[Once("EIO"), Once("EPERM"), FromThenOn("EPERM")]
        }
        "close" => &[Once("EIO"), Once("ENOSPC"), Once("EDQUOT"), Once("EINTR")],
        "flock" => &[Once("EWOULDBLOCK"), Once("ENOLCK"), Once("EINTR")],
        // Other errors it does not have, and the standard library takes them for the end.
        "getrandom" => &[Once("EINTR"), Once("ENOSYS"), Once("EPERM"), FromThenOn("ENOSYS")],
        "clone3" => &[Once("EAGAIN"), FromThenOn("EAGAIN")],
        _ => &[],
    }
}

/// Further calls that may fail, besides those at which a run is killed.
pub(super) const FAILING: &[&str] = &[
    "read",
    "pread64",
    "readv",
    "preadv",
    "getdents64",
    "statx",
    "newfstatat",
    "fstat",
    "lseek",
    "getrandom",
    "clone3",
];

impl What {
    /// Spells it for `-e inject`.
    pub(super) fn words(self, call: &str, number: u32) -> String {
        match self {
            Self::Kill => format!("inject={call}:signal=KILL:when={number}"),
            Self::Once(error) => format!("inject={call}:error={error}:when={number}"),
            Self::FromThenOn(error) => format!("inject={call}:error={error}:when={number}+"),
            Self::Nothing => format!("inject={call}:retval=0:when={number}"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("killed"),
            Self::Once(error) => f.write_str(error),
            Self::FromThenOn(error) => write!(f, "{error} from then on"),
            Self::Nothing => f.write_str("nothing done"),
        }
    }
}
