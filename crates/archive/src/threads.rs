//! How many threads work on an archive.

use std::num::NonZeroUsize;

use crate::ArchiveError;

/// Does `work` on so many threads: packing, unpacking and checking use all of those they are run
/// on. One for each processor when the number is absent.
///
/// # Errors
///
/// Fails when the system starts no more threads. The pool that is started without being asked for
/// ends the process in that case.
pub fn on_threads<R: Send>(
    threads: Option<NonZeroUsize>,
    work: impl FnOnce() -> R + Send,
) -> Result<R, ArchiveError> {
    let threads = threads.map_or(0, NonZeroUsize::get);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    Ok(pool.map_err(|source| ArchiveError::Threads { source })?.install(work))
}
