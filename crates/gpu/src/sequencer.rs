//! The clock thread: vertical blanks, and device resets.
//!
//! A device reset is begun by whoever asks for it (a register, a function-level reset) and finished here: it waits for
//! every ring to let go of what it is executing, which takes them well under a millisecond, and then clears the card.

use std::time::Instant;

use tracing::debug;

use crate::board::Board;
use crate::device::Phase;
use crate::faults::Armed;
use crate::ring::Ring;

impl Board {
    /// Begins a device reset. One that is under way already stands for this one too.
    pub(crate) fn begin_device_reset(&self) {
        if !self.control.begin_reset(|| self.rings.iter().for_each(Ring::hold)) {
            return;
        }
        debug!("device reset begins");
        self.seqnos.wake();
        self.control.wake();
    }

    /// A function-level reset: a device reset that also clears the configuration space.
    pub(crate) fn begin_function_reset(&self) {
        // The rings stop first: they must not be seen reaching for host memory without bus mastering.
        self.begin_device_reset();
        self.config_space.reset();
    }

    /// The clock thread, until the card stops.
    pub(crate) fn keep_time(&self) {
        let mut state = self.control.lock();
        while !state.stop {
            let gone = !self.presence.is_present();
            if state.phase == Phase::Resetting && !gone {
                drop(state);
                self.finish_device_reset();
                state = self.control.lock();
                continue;
            }
            let next = self.scanout.next_blank().filter(|_| !gone);
            if next.is_some_and(|next| next <= Instant::now()) {
                drop(state);
                self.interrupts.raise(self, self.scanout.blank(Instant::now()));
                state = self.control.lock();
                continue;
            }
            self.control.wait(&mut state, next);
        }
    }

    fn finish_device_reset(&self) {
        self.reset_begins();
        for ring in &self.rings {
            ring.wait_until_parked();
        }
        self.contexts.reset();
        self.scanout.reset();
        self.interrupts.reset();
        self.faults.set_slow(std::time::Duration::ZERO);
        let failed = self.faults.take(Armed::FailedReset);
        for ring in &self.rings {
            self.seqnos.set(ring.index(), 0);
            ring.power_on();
        }
        self.control.end_reset(failed);
        debug!(failed, "device reset ends");
    }
}
