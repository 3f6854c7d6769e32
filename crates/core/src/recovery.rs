//! How often a device that fails is recovered (RECOV-2).
//!
//! A recovery that helps may be needed again one day; one that does not help is not repeated for ever. So there is a number of
//! attempts, and a time: a device that has worked for so long has all its attempts again.

use core::time::Duration;

use crate::Timestamp;

/// How patient to be with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Recoveries in a row that may fail to last. 0: a device is never recovered.
    pub attempts: u32,
    /// How long a device must work, from its recovery on, until what was before is forgotten.
    pub grace: Duration,
}

impl Budget {
    /// Three attempts; a minute.
    pub const DEFAULT: Self = Self { attempts: 3, grace: Duration::from_secs(60) };
}

impl Default for Budget {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What is to become of a device that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Recover it. The number of the attempt, from 1.
    Recover(u32),
    /// Leave it alone until somebody replaces it, or asks for it.
    Wedge,
}

/// The attempts made for the device in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attempts {
    budget: Budget,
    made: u32,
    /// When the last recovery was over.
    recovered: Option<Timestamp>,
    wedged: bool,
}

impl Attempts {
    /// None made yet.
    pub const fn new(budget: Budget) -> Self {
        Self { budget, made: 0, recovered: None, wedged: false }
    }

    /// The device has failed, also in its recovery. Once this has said [`Next::Wedge`], it goes on saying so.
    pub fn failed(&mut self, now: Timestamp) -> Next {
        if self.recovered.take().is_some_and(|since| since.plus(self.budget.grace) <= now) {
            self.made = 0;
        }
        self.wedged |= self.made >= self.budget.attempts;
        if self.wedged {
            return Next::Wedge;
        }
        self.made += 1;
        Next::Recover(self.made)
    }

    /// The recovery is over, and the device works: from now on it is seen for how long.
    pub fn recovered(&mut self, now: Timestamp) {
        self.recovered = Some(now);
    }

    /// The device was replaced, or somebody who knows wants it back: it has all its attempts again.
    pub fn renewed(&mut self) {
        *self = Self::new(self.budget);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { attempts: 2, grace: Duration::from_secs(10) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::new(Duration::from_secs(seconds))
    }

    #[test]
    fn recov_2_a_device_that_keeps_failing_is_left_alone() {
        let mut attempts = Attempts::new(BUDGET);
        assert_eq!(attempts.failed(at(0)), Next::Recover(1));
        attempts.recovered(at(1));
        assert_eq!(attempts.failed(at(9)), Next::Recover(2));
        attempts.recovered(at(10));
        assert_eq!(attempts.failed(at(19)), Next::Wedge, "it did not work for long enough");
        assert_eq!(attempts.failed(at(1000)), Next::Wedge, "time alone helps nothing");
        attempts.recovered(at(1001));
        assert_eq!(attempts.failed(at(2000)), Next::Wedge, "nor does what comes too late");
        attempts.renewed();
        assert_eq!(attempts.failed(at(2001)), Next::Recover(1));
    }

    #[test]
    fn recov_2_a_device_that_has_worked_has_all_its_attempts_again() {
        let mut attempts = Attempts::new(BUDGET);
        for round in 0..10 {
            assert_eq!(attempts.failed(at(100 * round)), Next::Recover(1), "the grace has passed");
            attempts.recovered(at(100 * round + 90));
        }
    }

    #[test]
    fn recov_2_a_recovery_that_fails_counts_and_time_without_a_device_does_not() {
        let mut attempts = Attempts::new(BUDGET);
        assert_eq!(attempts.failed(at(0)), Next::Recover(1));
        assert_eq!(attempts.failed(at(500)), Next::Recover(2), "it never worked");
        assert_eq!(attempts.failed(at(900)), Next::Wedge);
        assert_eq!(Attempts::new(Budget { attempts: 0, ..BUDGET }).failed(at(0)), Next::Wedge);
    }
}
