//! When code that must not last has lasted for too long.
//!
//! A watchdog looks who is inside, again and again, with a pause between two looks. It cannot see when a visitor came
//! in, only that the same visitor is still inside. A visitor that a watchdog has found at [`Overstay::LOOKS`] looks has
//! been inside for the whole limit. The looks are what is counted, and not the clock: a process that was stopped for a
//! minute comes back to visitors that have had no time either, and that minute is one pause (HEALTH-5).

use core::time::Duration;

/// How often the watchdog has found one visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overstay(u32);

impl Overstay {
    /// Looks at which a visitor is found before it is said to overstay. Four pauses lie between them: fewer would let a
    /// single pause that took too long count for much of the limit, and more would wake the watchdog more often.
    pub const LOOKS: u32 = 5;

    /// The pause between two looks: from the end of the one to the beginning of the next.
    #[must_use]
    pub fn pause(limit: Duration) -> Duration {
        limit / (Self::LOOKS - 1)
    }

    /// A visitor that the last look has not found.
    #[must_use]
    pub const fn first() -> Self {
        Self(1)
    }

    /// The next look has found the visitor again. Says whether it overstays.
    pub fn seen_again(&mut self) -> bool {
        self.0 = self.0.saturating_add(1);
        self.0 >= Self::LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drv_3_a_visitor_overstays_when_the_pauses_between_its_looks_are_the_limit() {
        for limit in [Duration::from_secs(10), Duration::from_millis(3), Duration::MAX] {
            let mut visitor = Overstay::first();
            let mut inside = Duration::ZERO;
            while !visitor.seen_again() {
                inside += Overstay::pause(limit);
            }
            inside += Overstay::pause(limit);
            // Up to the rounding of a division by four.
            assert!(limit.saturating_sub(inside) < Duration::from_nanos(4) && inside <= limit, "{limit:?} {inside:?}");
        }
    }

    #[test]
    fn drv_3_one_pause_however_long_is_no_overstay() {
        let mut visitor = Overstay::first();
        assert!(!visitor.seen_again(), "the machine slept between two looks");
    }

    #[test]
    fn drv_3_a_visitor_that_overstays_does_so_from_then_on() {
        let mut visitor = Overstay(u32::MAX);
        assert!(visitor.seen_again());
        assert!(visitor.seen_again());
    }
}
