//! The worker's looks at how the device is. What they mean is [`lifeboat_core::vitals`]'s to say.

use std::time::Instant;

use lifeboat_core::Timestamp;
use lifeboat_core::unplug::Loss;
use lifeboat_core::vitals::{Health, Vitals, Watch};

use crate::dump::{Reason, Recorder};
use crate::link::Link;

pub(crate) struct HealthCheck {
    vitals: Vitals,
    /// What time is counted from.
    epoch: Instant,
}

impl HealthCheck {
    /// Of a device that was just found alive.
    pub(crate) fn new(watch: Watch, minor: u32) -> Self {
        // Devices with other numbers are looked at at other times.
        let seed = minor.wrapping_add(1).wrapping_mul(0x9e37_79b9);
        Self { vitals: Vitals::new(watch, Timestamp::default(), seed), epoch: Instant::now() }
    }

    /// Looks, if it is time. Says when it is next.
    pub(crate) fn look(&mut self, link: &Link, dumps: &Recorder) -> Option<Instant> {
        let now = Timestamp::new(self.epoch.elapsed());
        if self.vitals.due()? <= now {
            self.examine(link, dumps, now)?;
        }
        self.epoch.checked_add(self.vitals.due()?.since_beginning())
    }

    /// `None` if there is nothing to be examined any more.
    fn examine(&mut self, link: &Link, dumps: &Recorder, now: Timestamp) -> Option<()> {
        let pattern = self.vitals.pattern();
        let read = link.registers(|lb1, _| Ok((lb1.liveness(pattern)?, lb1.heartbeat()?)));
        // If it cannot be read, the link has told the bus side that it is gone; or it has been cut off.
        let (computed, heartbeat) = read.ok()?;
        match self.vitals.look(now, computed, heartbeat) {
            Health::Alive { .. } => {}
            health @ (Health::Suspect { .. } | Health::Unsure) => tracing::warn!(?health, "the device is suspect"),
            health @ Health::Hung { .. } => {
                tracing::error!(?health, "the device answers, and does not go on");
                dumps.failed(Reason::Hung);
                link.lost(Loss::Hung);
            }
            Health::Dead => link.lost(Loss::FellOff),
        }
        Some(())
    }
}
