//! The driver's part of a probe, on a thread of its own.
//!
//! No thread can be made to return. If the driver's code does not, the thread is left behind, with all that the code may
//! use: memory of rings, windows, the function. The probe fails, and the bus goes on.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use lifeboat_core::overstay::Overstay;
use lifeboat_driver::DriverError;

use crate::ProbeError;
use crate::link::Link;

/// How an attempt has failed.
pub(crate) struct Failed {
    pub(crate) error: ProbeError,
    /// The thread is still in the driver's code.
    pub(crate) abandoned: bool,
}

impl From<ProbeError> for Failed {
    fn from(error: ProbeError) -> Self {
        Self { error, abandoned: false }
    }
}

/// Runs `f`, a bus callback on this link. `f` is left behind if the watchdog finds that the driver's code lasts for too
/// long, and only while it is in that code.
pub(crate) fn attempt<T: Send + 'static>(
    link: &Link,
    limit: Duration,
    f: impl FnOnce() -> Result<T, ProbeError> + Send + 'static,
) -> Result<T, Failed> {
    let (answer, answered) = channel();
    let act = move || {
        // Nobody may wait any more.
        let _ = answer.send(f());
    };
    thread::Builder::new().name("lifeboat-probe".to_owned()).spawn(act).map_err(|_| ProbeError::NoMemory)?;
    loop {
        match answered.recv_timeout(Overstay::pause(limit)) {
            Ok(result) => return Ok(result?),
            Err(RecvTimeoutError::Timeout) if link.abandons_callback() => {
                return Err(Failed { error: DriverError::Stuck.into(), abandoned: true });
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ProbeError::from(DriverError::Panicked).into()),
        }
    }
}
