// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the looks at one device have shown so far, and when the next one is due.

use core::time::Duration;

use lifeboat_core::health::Verdict;
use lifeboat_core::vitals::{Health, Vitals, Watch};
use lifeboat_core::Timestamp;

use crate::clock::Clock;
use crate::module_parameters;

/// The state of the looks at one device.
pub(crate) struct Watcher {
    vitals: Vitals,
    clock: Clock,
}

impl Watcher {
    /// The watcher of a device that is about to be brought up.
    pub(crate) fn new() -> Self {
        let watch = Watch { period: period().unwrap_or(Watch::DEFAULT.period), ..Watch::DEFAULT };
        // Devices are not bound at the same moment, so each may have the same seed.
        Self { vitals: Vitals::new(watch, Timestamp::default(), 1), clock: Clock::start() }
    }

    /// How long until the next look, or `None` if there is nothing more to be learned.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        Some(self.vitals.next_deadline()?.since_beginning().saturating_sub(self.clock.elapsed()))
    }

    /// What the device is to compute at the next look.
    pub(crate) fn pattern(&self) -> u32 {
        self.vitals.pattern()
    }

    /// Counts a look: what the device computed, and its heartbeat, if it has one.
    pub(crate) fn judge(&mut self, computed: Verdict, heartbeat: Option<u32>) -> Health {
        self.vitals.look(self.clock.now(), computed, heartbeat)
    }

    /// Counts a look that has ended in an error of the bus.
    pub(crate) fn unsure(&mut self) -> Health {
        self.judge(Verdict::Unsure, None)
    }
}

/// The time between two looks, or `None` if the device is not to be looked at.
pub(crate) fn period() -> Option<Duration> {
    let ms = *module_parameters::health_ms.value_ref();
    // A heartbeat that counts milliseconds would be found standing still otherwise.
    (ms > 0).then(|| Duration::from_millis(ms.into()).max(Watch::SHORTEST))
}
