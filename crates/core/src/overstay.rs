//! Detects code that must leave soon and has stayed for too long.
//!
//! A watchdog scans the open sections again and again, with a pause between two scans. A scan does
//! not show when a visitor entered, only that the same visitor is still inside. So a visitor that
//! is found by [`Overstay::LOOKS`] successive scans has been inside for the whole limit.
//!
//! The scans are counted, and the clock is not read. A process that was stopped for a minute
//! continues with visitors that had no processor time either, and the whole minute is only one
//! pause (HEALTH-5).

use core::time::Duration;

/// Number of successive scans that found one visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overstay(u32);

impl Overstay {
    /// Number of scans that must find a visitor before it is reported. Four pauses lie between five
    /// scans. With fewer scans a single slow pause would count for a large part of the limit; more
    /// scans would wake the watchdog more often.
    pub const LOOKS: u32 = 5;

    /// Returns the pause between two scans: from the end of one scan to the beginning of the next.
    #[must_use]
    pub fn pause(limit: Duration) -> Duration {
        limit / (Self::LOOKS - 1)
    }

    /// Creates the count of a visitor that the previous scan did not find.
    #[must_use]
    pub const fn first() -> Self {
        Self(1)
    }

    /// Counts another scan that found the visitor. Returns whether the visitor has overstayed.
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
            // The difference is the rounding of a division by four.
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
