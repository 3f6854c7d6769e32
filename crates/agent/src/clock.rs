//! Clocks: the wall clock is read once, and a clock that nobody can set counts on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifeboat_recovery_policy::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use crate::sensor::Moment;

/// Clock of a daemon: never goes back, and counts time in suspend.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Wall time at which the machine booted, by the wall clock at the start of the daemon.
    boot: Timestamp,
}

/// Reads the wall clock.
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since)
}

fn count(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl Clock {
    /// Starts the clock, no earlier than at `newest`: the newest record of the journal.
    pub fn start(newest: Timestamp) -> Self {
        let now = wall().max(newest);
        let up = u64::try_from(count(ClockId::Boottime).as_millis()).unwrap_or(u64::MAX);
        Self { boot: Timestamp::from_millis(now.as_millis().saturating_sub(up)) }
    }

    /// Returns the time at which the machine booted.
    pub fn boot(self) -> Timestamp {
        self.boot
    }

    /// Returns the time.
    pub fn now(self) -> Timestamp {
        self.boot.plus(count(ClockId::Boottime))
    }

    /// Returns the time for sensors.
    pub fn moment(self) -> Moment {
        Moment { wall: self.now(), uptime: count(ClockId::Monotonic) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_starts_no_earlier_than_the_journal_ends() {
        let newest = wall().plus(Duration::from_hours(1));
        let clock = Clock::start(newest);
        assert!(clock.now() >= newest);
        assert!(clock.boot() < clock.now());
    }
}
