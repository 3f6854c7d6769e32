//! The worker's looks at how the device is. What they mean is [`lifeboat_core::vitals`]'s to say.

use std::sync::Arc;
use std::time::Instant;

use lifeboat_core::Timestamp;
use lifeboat_core::health::{Verdict, judge_presence};
use lifeboat_core::minor::Minor;
use lifeboat_core::recovery::Unready;
use lifeboat_core::unplug::Loss;
use lifeboat_core::vitals::{Health, Vitals, Watch};
use lifeboat_driver::{Driver, DriverError, Identity};
use lifeboat_pci::{ConfigSpace, offset};

use crate::dump::{Reason, Recorder};
use crate::link::Link;
use crate::subsystem::Subsystem;

pub(crate) struct HealthCheck<D: Driver> {
    vitals: Vitals,
    /// What the device was when it was bound.
    info: D::Info,
    config: Arc<dyn ConfigSpace + Send + Sync>,
    /// What time is counted from.
    epoch: Instant,
}

impl<D: Driver> HealthCheck<D> {
    /// Of a device that was just found alive.
    pub(crate) fn new(watch: Watch, minor: Minor, info: D::Info, config: Arc<dyn ConfigSpace + Send + Sync>) -> Self {
        // Devices with other numbers are looked at at other times.
        let seed = minor.0.wrapping_add(1).wrapping_mul(0x9e37_79b9);
        Self { vitals: Vitals::new(watch, Timestamp::default(), seed), info, config, epoch: Instant::now() }
    }

    /// Looks, if it is time. Says when it is next.
    pub(crate) fn look<S: Subsystem<Driver = D>>(&mut self, link: &Link, dumps: &Recorder<S>) -> Option<Instant> {
        let now = Timestamp::new(self.epoch.elapsed());
        if self.vitals.next_deadline()? <= now {
            self.examine(link, dumps, now)?;
        }
        self.epoch.checked_add(self.vitals.next_deadline()?.since_beginning())
    }

    /// `None` if there is nothing to be examined any more.
    fn examine<S: Subsystem<Driver = D>>(&mut self, link: &Link, dumps: &Recorder<S>, now: Timestamp) -> Option<()> {
        let (computed, heartbeat) = match self.ask(link) {
            Ok(answer) => answer,
            // The link has told the bus side; or it has been cut off.
            Err(DriverError::Gone | DriverError::Panicked) => return None,
            Err(error) => {
                tracing::warn!(%error, "a look at the device failed");
                (Verdict::Unsure, None)
            }
        };
        match self.vitals.look(now, computed, heartbeat) {
            Health::Alive { .. } => return self.recognise(link),
            health @ (Health::Suspect { .. } | Health::Unsure { .. }) => {
                tracing::warn!(?health, "the device is suspect");
            }
            health @ Health::Hung { .. } => {
                tracing::error!(?health, "the device answers, and does not go on");
                dumps.failed(Reason::Hung);
                link.lost(Loss::Hung);
            }
            Health::Nonsense => {
                tracing::error!("the device answers nonsense");
                dumps.failed(Reason::Nonsense);
                link.lost(Loss::Nonsense);
            }
            Health::Dead => link.lost(Loss::FellOff),
        }
        Some(())
    }

    /// Whether what answers is the device that was bound, and not another one of its kind in its place (LIFE-8).
    fn recognise(&self, link: &Link) -> Option<()> {
        match link.io(|io| D::identify(io, &self.info, self.vitals.pattern())) {
            Ok(Identity::Other) => {
                tracing::error!("another device is in the place of this one");
                link.lost(Loss::Replaced);
                None
            }
            // The liveness check notices a device that answers strangely.
            _ => Some(()),
        }
    }

    /// What the device computes, and its heartbeat, if it has one. Configuration space may be silent for a while, as it is while a port
    /// recovers: one silence is a suspicion, and what registers say decides.
    fn ask(&self, link: &Link) -> Result<(Verdict, Option<u32>), DriverError> {
        let silent = self.present(link)?;
        if silent != Verdict::Alive {
            let register = link.io(D::presence)?;
            if register != Verdict::Alive {
                return Ok((judge_presence(silent, register), None));
            }
            tracing::warn!("configuration space does not answer, and the device does");
        }
        let pattern = self.vitals.pattern();
        link.io(|io| Ok((D::computes(io, pattern)?, D::heartbeat(io)?)))
    }

    /// Whether configuration space still has the id of the device. "Ask again later" is no answer either.
    fn present(&self, link: &Link) -> Result<Verdict, DriverError> {
        // In a section, so that an unplug that waits for this access can name it.
        link.hardware(|_| {
            Ok(match self.config.read32(offset::ID) {
                Ok(id) if Unready::of(id).is_some() => Verdict::Dead,
                Ok(id) => D::FACTS.judge(id),
                Err(_) => Verdict::Unsure,
            })
        })
    }
}
