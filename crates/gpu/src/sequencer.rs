//! The clock thread: vertical blanks, and device resets.
//!
//! A device reset is begun by whoever asks for it (a register, a function-level reset, the bus) and finished here: it
//! waits for every ring to let go of what it is executing, which takes them well under a millisecond, and then clears the
//! card.

use std::time::{Duration, Instant};

use tracing::debug;

use crate::board::Board;
use crate::config_space::FUNCTION_RESET;
use crate::device::{Phase, ResetEnd, ResetKind};
use crate::faults::{Armed, Condition};
use crate::ring::Ring;

/// How long a reset by the bus waits for the card. Reached only by a fault, or if a thread of the model is starved or stuck.
const BUS_LIMIT: Duration = Duration::from_secs(5);

impl Board {
    /// Begins a device reset. One that is under way already stands for this one too.
    pub(crate) fn begin_device_reset(&self) {
        self.begin_reset(ResetKind::Function);
    }

    /// Begins a reset. `false` if one is under way already.
    fn begin_reset(&self, kind: ResetKind) -> bool {
        if !self.control.begin_reset(kind, || self.rings.iter().for_each(Ring::hold)) {
            return false;
        }
        debug!(?kind, "device reset begins");
        self.seqnos.wake();
        self.control.wake();
        true
    }

    /// A reset by the bus: a function-level reset that does not fail, and is done when this returns. `false` if it was
    /// not done in time. Nothing happens to a card that is gone. Must not be called inside an access, or by a ring.
    pub(crate) fn bus_reset(&self) -> bool {
        let deadline = Instant::now() + BUS_LIMIT;
        loop {
            // A reset of another kind that is under way may fail, so it does not stand for this one.
            let begun = self.begin_reset(ResetKind::Bus);
            self.config_space.reset();
            if !self.wait_for_reset(deadline) {
                return false;
            }
            if begun || !self.presence.is_present() || self.control.lock().stop {
                return true;
            }
        }
    }

    /// A function-level reset as the bus does one: asked for in configuration space, where it can be lost, and waited for.
    /// `false` if it was not done in time. It may fail: the card says so. Must not be called inside an access, or by a ring.
    pub(crate) fn function_reset(&self) -> bool {
        let (at, value) = FUNCTION_RESET;
        self.write_config(at, &[value]);
        self.wait_for_reset(Instant::now() + BUS_LIMIT)
    }

    /// Waits until no reset is under way, the card is gone or it stops. `false` at the deadline.
    fn wait_for_reset(&self, deadline: Instant) -> bool {
        let mut state = self.control.lock();
        while state.phase == Phase::Resetting && self.presence.is_present() && !state.stop {
            if Instant::now() >= deadline {
                return false;
            }
            self.control.wait(&mut state, Some(deadline));
        }
        true
    }

    /// A function-level reset: a device reset that also clears the configuration space.
    pub(crate) fn begin_function_reset(&self) {
        // The rings stop first: they must not be seen reaching for host memory without bus mastering.
        self.begin_device_reset();
        self.config_space.reset();
    }

    /// Begins what another card does that is there instead: it comes from power-on. The caller sees to configuration space.
    pub(crate) fn begin_power_on(&self) {
        if !self.begin_reset(ResetKind::PowerOn) {
            self.control.change_reset(ResetKind::PowerOn);
        }
    }

    /// The clock thread, until the card stops.
    pub(crate) fn keep_time(&self) {
        let mut state = self.control.lock();
        while !state.stop {
            let gone = !self.presence.is_present();
            if state.phase == Phase::Resetting && !gone {
                let kind = state.reset;
                drop(state);
                self.finish_device_reset(kind);
                state = self.control.lock();
                continue;
            }
            let link_up = self.faults.conditions.end_of(Condition::LinkDown).filter(|_| !gone);
            if link_up.is_some_and(|link_up| link_up <= Instant::now()) {
                drop(state);
                self.end_link_down();
                state = self.control.lock();
                continue;
            }
            let next = self.scanout.next_blank().filter(|_| !gone);
            if next.is_some_and(|next| next <= Instant::now()) {
                drop(state);
                let stuck = self.faults.conditions.holds(Condition::StuckScanout);
                self.raise(self.scanout.blank(Instant::now(), stuck));
                state = self.control.lock();
                continue;
            }
            self.control.wait(&mut state, next.into_iter().chain(link_up).min());
        }
    }

    /// Takes its time, unless the card goes or stops.
    pub(crate) fn linger(&self, time: Duration) {
        let Some(until) = Instant::now().checked_add(time) else { return };
        let mut state = self.control.lock();
        while !state.stop && self.presence.is_present() && Instant::now() < until {
            self.control.wait(&mut state, Some(until));
        }
    }

    fn finish_device_reset(&self, kind: ResetKind) {
        if kind == ResetKind::Function {
            self.reset_begins();
            self.linger(self.faults.take_slow_reset());
            if !self.presence.is_present() {
                return;
            }
        }
        // Meanwhile another card may have come.
        let kind = self.control.lock().reset;
        for ring in &self.rings {
            ring.wait_until_parked();
        }
        let end = match kind {
            ResetKind::Function if self.faults.take(Armed::FailedReset) => ResetEnd::Failed,
            ResetKind::Function if self.faults.take(Armed::LyingReset) => ResetEnd::Lied,
            _ => ResetEnd::Done,
        };
        if end == ResetEnd::Lied {
            self.rings.iter().for_each(Ring::die);
        } else {
            self.reset_parts(kind);
        }
        if end == ResetEnd::Done {
            self.faults.end_by_reset();
            self.was_reset();
        }
        self.control.end_reset(end);
        debug!(?end, "device reset ends");
    }

    /// Gives all parts but the control registers their values after a reset. The rings have parked.
    fn reset_parts(&self, kind: ResetKind) {
        self.contexts.reset();
        self.scanout.reset();
        self.interrupts.reset();
        if kind == ResetKind::PowerOn {
            self.fill_vram(0);
        }
        for ring in &self.rings {
            self.seqnos.set(ring.index(), 0);
            ring.power_on();
        }
    }
}
