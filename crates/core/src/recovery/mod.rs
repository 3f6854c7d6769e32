//! Limits on the recovery of a device that fails: how often (RECOV-2), and how far apart (RECOV-4).
//!
//! A recovery that helps may be needed again much later. A recovery that does not help must not be
//! repeated for ever. So a device has a number of attempts, and gets all of them back after it has
//! worked for some time.

mod left_alone;
mod patience;
mod spacing;

use core::time::Duration;

use crate::Timestamp;

pub use left_alone::{GivenUp, Remedy};
pub use patience::{Patience, Unready, RETRY};
pub use spacing::{seed, Spacing};

/// Recovery budget of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Number of recoveries in a row that may fail to last. With 0 a device is never recovered.
    pub attempts: u32,
    /// Time that a device must work after a recovery before earlier failures are forgotten.
    pub grace: Duration,
}

impl Budget {
    /// Three attempts, and a grace of a minute.
    pub const DEFAULT: Self = Self { attempts: 3, grace: Duration::from_secs(60) };
}

impl Default for Budget {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Decision about a device that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Recover the device.
    Recover {
        /// Number of the attempt, from 1.
        attempt: u32,
        /// Earliest start of the recovery: now, or a pause after the end of the last recovery.
        at: Timestamp,
    },
    /// Leave the device alone until somebody replaces it or asks to bind it.
    Wedge,
}

/// Recovery attempts for the device in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attempts {
    budget: Budget,
    spacing: Spacing,
    /// Seed of the jitter.
    seed: u64,
    made: u32,
    /// Number of recoveries since the device last worked for the grace, those that do not count
    /// included.
    rounds: u32,
    /// End of the last recovery.
    over: Option<Timestamp>,
    /// End of the last recovery, if that recovery succeeded and no failure followed.
    recovered: Option<Timestamp>,
    wedged: bool,
    /// Number of outages that were excused.
    outages: u32,
    /// Whether the current recovery is counted in `made`. `false` while no recovery is decided or
    /// running.
    counted: bool,
}

impl Attempts {
    /// Creates a full budget with the default spacing.
    pub const fn new(budget: Budget) -> Self {
        Self::spaced(budget, Spacing::DEFAULT, 0)
    }

    /// Creates a full budget. `seed` decides the jitter of `spacing` and should differ from slot to
    /// slot.
    pub const fn spaced(budget: Budget, spacing: Spacing, seed: u64) -> Self {
        Self {
            budget,
            spacing,
            seed,
            made: 0,
            rounds: 0,
            over: None,
            recovered: None,
            wedged: false,
            outages: 0,
            counted: false,
        }
    }

    /// Decides about a device that has failed. After the first [`Next::Wedge`] all answers are
    /// [`Next::Wedge`].
    pub fn failed(&mut self, now: Timestamp) -> Next {
        self.forget(now);
        self.wedged |= self.made >= self.budget.attempts;
        if self.wedged {
            return Next::Wedge;
        }
        self.made += 1;
        self.counted = true;
        Next::Recover { attempt: self.made, at: self.turn(now) }
    }

    /// Plans a recovery for a reason outside of the device, such as a link that was down. The
    /// recovery is spaced but not counted. Returns the earliest start of the recovery.
    pub fn interrupted(&mut self, now: Timestamp) -> Timestamp {
        self.forget(now);
        self.counted = false;
        self.turn(now)
    }

    /// Declares that the last failure was not the device's fault: the recovery that was decided for
    /// it does not count, unless the recovery has ended. The next pause is as long as if it
    /// counted.
    pub fn excused(&mut self) {
        self.made -= u32::from(self.counted);
        (self.counted, self.wedged) = (false, false);
    }

    /// Reports that the device was away and has come back, although the slot did not report that
    /// its link was down. Such an outage is excused as well, but at most `most` times until the
    /// device has worked for the grace.
    pub fn back(&mut self, most: u32) {
        if self.counted && self.outages < most {
            self.outages += 1;
            self.excused();
        }
    }

    /// Reports that the recovery has ended without success.
    pub fn refused(&mut self, now: Timestamp) {
        self.over = Some(now);
        self.counted = false;
    }

    /// Reports that the recovery has succeeded. The grace of the [`Budget`] begins.
    pub fn recovered(&mut self, now: Timestamp) {
        self.over = Some(now);
        self.recovered = Some(now);
        self.counted = false;
    }

    /// Restores the whole budget: the device was replaced, or an operator asked to bind it.
    pub fn renewed(&mut self) {
        *self = Self::spaced(self.budget, self.spacing, self.seed);
    }

    /// Restores the attempts of a device that has worked for the grace.
    fn forget(&mut self, now: Timestamp) {
        if self.recovered.take().is_some_and(|since| since.plus(self.budget.grace) <= now) {
            (self.made, self.rounds, self.outages) = (0, 0, 0);
        }
    }

    /// Returns the earliest start of the next recovery.
    fn turn(&mut self, now: Timestamp) -> Timestamp {
        self.rounds = self.rounds.saturating_add(1);
        let pause = self.spacing.before(self.rounds, self.seed);
        self.over.map_or(now, |over| over.plus(pause).max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { attempts: 2, grace: Duration::from_secs(10) };

    /// Returns the number of the attempt, if the decision is to recover.
    fn number(next: Next) -> Option<u32> {
        match next {
            Next::Recover { attempt, .. } => Some(attempt),
            Next::Wedge => None,
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::new(Duration::from_secs(seconds))
    }

    #[test]
    fn recov_2_a_device_that_keeps_failing_is_left_alone() {
        let mut attempts = Attempts::new(BUDGET);
        assert_eq!(number(attempts.failed(at(0))), Some(1));
        attempts.recovered(at(1));
        assert_eq!(number(attempts.failed(at(9))), Some(2));
        attempts.recovered(at(10));
        assert_eq!(number(attempts.failed(at(19))), None, "it did not work for long enough");
        assert_eq!(number(attempts.failed(at(1000))), None, "time alone helps nothing");
        attempts.recovered(at(1001));
        assert_eq!(number(attempts.failed(at(2000))), None, "nor does what comes too late");
        attempts.renewed();
        assert_eq!(number(attempts.failed(at(2001))), Some(1));
    }

    #[test]
    fn recov_2_a_device_that_has_worked_has_all_its_attempts_again() {
        let mut attempts = Attempts::new(BUDGET);
        for round in 0..10 {
            assert_eq!(number(attempts.failed(at(100 * round))), Some(1), "the grace has passed");
            attempts.recovered(at(100 * round + 90));
        }
    }

    #[test]
    fn recov_2_a_recovery_that_fails_counts_and_time_without_a_device_does_not() {
        let mut attempts = Attempts::new(BUDGET);
        assert_eq!(number(attempts.failed(at(0))), Some(1));
        assert_eq!(number(attempts.failed(at(500))), Some(2), "it never worked");
        assert_eq!(number(attempts.failed(at(900))), None);
        assert_eq!(number(Attempts::new(Budget { attempts: 0, ..BUDGET }).failed(at(0))), None);
    }

    #[test]
    fn recov_4_the_first_recovery_comes_at_once_and_later_ones_a_pause_after_the_last() {
        let spacing = Spacing { first: Duration::from_secs(1), most: Duration::from_secs(4), jitter: 0 };
        let mut attempts = Attempts::spaced(Budget { attempts: 9, grace: Duration::from_secs(60) }, spacing, 0);
        let mut when = at(100);
        for (attempt, pause) in [(1, 0), (2, 1), (3, 2), (4, 4), (5, 4)] {
            let next = when.plus(Duration::from_secs(pause));
            assert_eq!(attempts.failed(when), Next::Recover { attempt, at: next });
            attempts.refused(next);
            when = next;
        }
        attempts.recovered(when);
        let later = when.plus(Duration::from_secs(59));
        assert_eq!(attempts.failed(later), Next::Recover { attempt: 6, at: later }, "the pause has passed already");
        attempts.recovered(later);
        let much_later = later.plus(Duration::from_secs(60));
        assert_eq!(attempts.failed(much_later), Next::Recover { attempt: 1, at: much_later }, "all is forgotten");
    }

    #[test]
    fn recov_4_what_is_not_the_devices_fault_is_spaced_and_spends_nothing() {
        let mut attempts = Attempts::new(BUDGET);
        let mut now = at(0);
        for round in 0..20 {
            let next = attempts.interrupted(now);
            assert!(round == 0 || now < next, "spaced");
            attempts.recovered(next);
            now = next;
        }
        assert_eq!(number(attempts.failed(now)), Some(1));
        attempts.excused();
        assert_eq!(number(attempts.failed(now)), Some(1), "the one before did not count");
    }
}
