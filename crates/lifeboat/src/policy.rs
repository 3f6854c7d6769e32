//! How a device is to be driven: plain values, which can be copied, compared and kept.

use std::time::Duration;

use lifeboat_core::recovery::{Budget, Patience, Spacing};
use lifeboat_core::sched::Limits;
use lifeboat_core::vitals::Watch;

use crate::sched::{Options, OptionsError};

/// The shortest [`Policy::driver_limit`]: a thread may be kept from running for some milliseconds.
const SHORTEST_DRIVER_LIMIT: Duration = Duration::from_millis(10);

/// How a device is to be driven. Whoever wants to hear of the device gives [`Listeners`](crate::Listeners), too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long a job may take once it is its ring's oldest. Default 2 s.
    pub job_timeout: Duration,
    /// How many times as long again a job may take if its ring is seen to move from command to command. Default 4.
    pub extensions: u32,
    /// How many resets the jobs of one context may cause: at so many, the context is refused. Default 10.
    pub guilty_limit: u32,
    /// Jobs that one context may have at a time; beyond that EDQUOT. Default: a quarter of those that the device may
    /// have, as [`Options::job_share`](crate::sched::Options::job_share).
    pub job_share: Option<u32>,
    /// The same for queues.
    pub queue_share: Option<u32>,
    /// How long an unplug waits for threads that are still in the driver: calls, interrupt handlers, the worker. The
    /// unplug waits at most so long after the announcement, and as long again when it cuts the hardware off, plus half
    /// a second. Default 5 s.
    pub drain_limit: Duration,
    /// How long one function of the driver, or one section of register access, may last (DRV-3). After that the device
    /// is lost ([`Loss::Crashed`](lifeboat_core::unplug::Loss::Crashed)), the driver is asked nothing more, and
    /// [`UnplugReport::overstay`](crate::UnplugReport::overstay) names the place; or the probe fails. Found after at most
    /// a quarter more. At least 10 ms; default 10 s, which is longer than any access to a register that still comes to
    /// an end.
    pub driver_limit: Duration,
    /// How closely the device is watched. Default: every 2 s, and a heartbeat that stands still for three looks is a
    /// hang.
    pub watch: Watch,
    /// How often a [`Bus`](crate::Bus) binds a device again that the driver gave up. Default: three times, counted
    /// afresh once the device has worked for a minute.
    pub recovery: Budget,
    /// How far apart these recoveries are. Default: the first comes at once, and the pauses before the next are 100 ms,
    /// doubled up to 30 s.
    pub spacing: Spacing,
    /// How long a [`Bus`](crate::Bus) waits for a device that is not ready, or whose link is down. Default: a second for
    /// a silent device, a minute for a device that asks to be asked again, and a minute for a link.
    pub patience: Patience,
    /// Whether calls ask first if there still is a device. Default true. Without this check they run on a lost device as
    /// far as they get, for tests of every such moment (CALL-4); nothing unsafe comes of that.
    pub check_entry: bool,
    /// The most bytes of a dump, as a file. What has no room is left out, the least important first, and counted. Default
    /// 64 KiB; fewer than 4 KiB are taken as 4 KiB, more than 16 MiB as 16 MiB. Memory for two dumps is set aside when
    /// the device is bound.
    pub dump_limit: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            job_timeout: Duration::from_secs(2),
            extensions: 4,
            guilty_limit: 10,
            job_share: None,
            queue_share: None,
            drain_limit: Duration::from_secs(5),
            driver_limit: Duration::from_secs(10),
            watch: Watch::DEFAULT,
            recovery: Budget::default(),
            spacing: Spacing::DEFAULT,
            patience: Patience::DEFAULT,
            check_entry: true,
            dump_limit: 64 << 10,
        }
    }
}

impl Policy {
    /// Refuses limits that are too short to tell anything in. What the scheduler is given is checked there.
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let at_least = |what, value: Duration, least| {
            if value < least { Err(OptionsError::TooShort { what, least }) } else { Ok(()) }
        };
        at_least("watch.period", self.watch.period, Watch::SHORTEST)?;
        at_least("driver_limit", self.driver_limit, SHORTEST_DRIVER_LIMIT)
    }

    /// How a device's scheduler is to be opened, as far as that is known before the device is.
    pub(crate) fn scheduler(&self, name: String) -> Options {
        let defaults = Options::default();
        let (job_timeout, extensions) = (self.job_timeout, self.extensions);
        Options {
            name,
            limits: Limits { job_timeout, extensions, ..defaults.limits },
            guilty_limit: self.guilty_limit,
            job_share: self.job_share,
            queue_share: self.queue_share,
            run_by_submitter: false,
            ..defaults
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_kept_and_compared() {
        let policy = Policy { job_share: Some(7), ..Policy::default() };
        let kept = policy.clone();
        assert_eq!(kept, policy);
        assert_ne!(kept, Policy::default());
    }
}
