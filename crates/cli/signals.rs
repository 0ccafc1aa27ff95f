//! SIGINT and SIGTERM: the first asks for a clean stop, the second ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{CommandError, Kind};

/// Tells whether the user wants an end. Cheap to clone and to ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Takes over both signals for the rest of the process.
    pub(crate) fn install() -> io::Result<Self> {
        let stop = Self::default();
        let armed = Arc::new(AtomicBool::new(false));
        for (signal, kind) in [(SIGINT, Kind::Interrupted), (SIGTERM, Kind::Terminated)] {
            // In this order: the first signal finds it unarmed and arms it for the second.
            let status = i32::from(kind as u8);
            flag::register_conditional_shutdown(signal, status, Arc::clone(&armed))?;
            flag::register(signal, Arc::clone(&armed))?;
            flag::register_usize(signal, Arc::clone(&stop.signal), usize::from(kind as u8))?;
        }
        Ok(stop)
    }

    /// Returns true once a signal has come.
    pub(crate) fn requested(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// Returns the failure to end with once a signal has come.
    pub(crate) fn error(&self) -> CommandError {
        if self.signal.load(Ordering::Relaxed) == usize::from(Kind::Terminated as u8) {
            CommandError::new(Kind::Terminated, "terminated", "ended by SIGTERM")
        } else {
            CommandError::new(Kind::Interrupted, "interrupted", "interrupted")
        }
    }

    /// Fails once a signal has come.
    pub(crate) fn check(&self) -> Result<(), CommandError> {
        if self.requested() { Err(self.error()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Stop};
    use std::sync::atomic::Ordering;

    #[test]
    fn each_signal_has_its_exit_code() {
        let stop = Stop::default();
        assert!(stop.check().is_ok());
        stop.signal.store(143, Ordering::Relaxed);
        assert_eq!(stop.check().unwrap_err().kind, Kind::Terminated);
        stop.signal.store(130, Ordering::Relaxed);
        assert_eq!(stop.check().unwrap_err().kind, Kind::Interrupted);
    }
}
