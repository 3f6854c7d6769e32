//! Faults that last: which of them hold at this moment, and until when.
//!
//! Each ends by itself: after its time, or with a reset of the device that succeeds. Whoever is about to do what a fault
//! forbids asks [`Conditions::holds`]; so no thread has to end anything, but for the link, whose end is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What every register reads under [`Fault::Garbage`](crate::Fault::Garbage).
pub(crate) const GARBAGE: u32 = 0xbadf_1235;

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// For this time, whatever is reset meanwhile.
    For(Duration),
    /// Until the next reset of the device that succeeds, of whatever kind.
    UntilReset,
}

/// What holds for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    LinkDown,
    Garbage,
    SilentBars,
    SilentConfig,
    StuckScanout,
    NoInterrupts,
    InterruptStorm,
    DeadDoorbell,
}

impl Condition {
    const COUNT: usize = Self::DeadDoorbell as usize + 1;
}

/// Until when each condition holds.
pub(crate) struct Conditions {
    epoch: Instant,
    /// Nanoseconds from `epoch`, or one of the two below.
    ends: [AtomicU64; Condition::COUNT],
}

/// It does not hold.
const OFF: u64 = 0;
/// It holds until a reset.
const UNTIL_RESET: u64 = u64::MAX;

impl Default for Conditions {
    fn default() -> Self {
        Self { epoch: Instant::now(), ends: Default::default() }
    }
}

impl Conditions {
    /// Begins a condition. One that holds already lasts until the later of both ends.
    pub(crate) fn begin(&self, condition: Condition, lasts: Lasts) {
        let end = match lasts {
            Lasts::For(time) => nanos(self.epoch.elapsed().saturating_add(time)).min(UNTIL_RESET - 1),
            Lasts::UntilReset => UNTIL_RESET,
        };
        self.ends[condition as usize].fetch_max(end, Ordering::AcqRel);
    }

    /// Whether a condition holds now. Cheap as long as it does not: every access asks.
    pub(crate) fn holds(&self, condition: Condition) -> bool {
        match self.ends[condition as usize].load(Ordering::Acquire) {
            OFF => false,
            UNTIL_RESET => true,
            end => nanos(self.epoch.elapsed()) < end,
        }
    }

    /// When the condition ends or has ended by time, if it was begun so and not [taken back](Self::end).
    pub(crate) fn end_of(&self, condition: Condition) -> Option<Instant> {
        match self.ends[condition as usize].load(Ordering::Acquire) {
            OFF | UNTIL_RESET => None,
            end => self.epoch.checked_add(Duration::from_nanos(end)),
        }
    }

    /// Ends a condition, however long it was to last.
    pub(crate) fn end(&self, condition: Condition) {
        self.ends[condition as usize].store(OFF, Ordering::Release);
    }

    /// Ends a condition that lasts until a reset.
    pub(crate) fn end_unless_timed(&self, condition: Condition) {
        let end = &self.ends[condition as usize];
        // If it is another value, it has an end of its own.
        let _ = end.compare_exchange(UNTIL_RESET, OFF, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Ends all conditions that last until a reset.
    pub(crate) fn end_by_reset(&self) {
        for end in &self.ends {
            let _ = end.compare_exchange(UNTIL_RESET, OFF, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Ends all conditions but that of the link, which is none of the card's: another card is there.
    pub(crate) fn end_by_swap(&self) {
        for end in &self.ends[Condition::LinkDown as usize + 1..] {
            end.store(OFF, Ordering::Release);
        }
    }
}

/// A time in nanoseconds; the longest there is if it is longer.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_ends_by_time_or_by_a_reset_and_not_by_the_other() {
        let conditions = Conditions::default();
        assert!(!conditions.holds(Condition::Garbage));
        conditions.begin(Condition::Garbage, Lasts::UntilReset);
        conditions.begin(Condition::NoInterrupts, Lasts::For(Duration::from_hours(1)));
        conditions.begin(Condition::SilentBars, Lasts::For(Duration::ZERO));
        assert!(conditions.holds(Condition::Garbage) && conditions.holds(Condition::NoInterrupts));
        assert!(!conditions.holds(Condition::SilentBars), "its time is over");
        assert!(!conditions.holds(Condition::SilentConfig), "nobody began it");
        conditions.end_by_reset();
        assert!(!conditions.holds(Condition::Garbage));
        assert!(conditions.holds(Condition::NoInterrupts));
        conditions.end_by_swap();
        assert!(!conditions.holds(Condition::NoInterrupts));
    }

    #[test]
    fn of_two_ends_the_later_one_counts() {
        let conditions = Conditions::default();
        conditions.begin(Condition::Garbage, Lasts::For(Duration::MAX));
        conditions.begin(Condition::Garbage, Lasts::For(Duration::ZERO));
        assert!(conditions.holds(Condition::Garbage));
        conditions.end_unless_timed(Condition::Garbage);
        assert!(conditions.holds(Condition::Garbage), "it has a time");
        conditions.end(Condition::Garbage);
        assert!(!conditions.holds(Condition::Garbage));
    }
}
