//! Who brings the device to rest when its binding ends: the worker, as the last thing it does, so that an unplug waits no
//! longer for an access that stalls than its limit allows; or the unplug itself, if the worker never comes to it, as when a
//! fence callback blocks it.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use crate::link::Link;
use crate::reset;

const NOBODY: u8 = 0;
const UNDER_WAY: u8 = 1;
const ALIVE: u8 = 2;
const NOT_ALIVE: u8 = 3;

/// Whether it is done, and what came of it.
#[derive(Default)]
pub(crate) struct Rest(AtomicU8);

impl Rest {
    /// Stops the device, if nobody else does or has done so. Nothing waits for a device that is dead (HEALTH-3).
    pub(crate) fn bring(&self, link: &Link) {
        if self.0.compare_exchange(NOBODY, UNDER_WAY, SeqCst, SeqCst).is_ok() {
            let alive = reset::stop(link);
            self.0.store(if alive { ALIVE } else { NOT_ALIVE }, SeqCst);
        }
    }

    /// Nobody is to begin with it any more. Whether the device was alive, as far as that is known: one that takes longer
    /// than anybody waits for it is not.
    pub(crate) fn end(&self) -> bool {
        let _ = self.0.compare_exchange(NOBODY, NOT_ALIVE, SeqCst, SeqCst);
        self.0.load(SeqCst) == ALIVE
    }
}
