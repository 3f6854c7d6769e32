//! How far apart recoveries are (RECOV-4): back-off with jitter.
//!
//! A link that is down for a fraction of a second must not use up all attempts within microseconds, and a device that fails
//! again and again must not keep a processor busy. The first recovery comes at once: most failures pass with it.

use core::time::Duration;

/// The time between the end of one recovery and the beginning of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spacing {
    /// Before the second recovery in a row; each later pause is twice as long. The first recovery is not delayed.
    pub first: Duration,
    /// The longest pause, without jitter.
    pub most: Duration,
    /// How much longer a pause may be, in percent, so that slots behind one switch do not all probe at the same moment. A
    /// pause is never shorter than it would be without.
    pub jitter: u8,
}

impl Spacing {
    /// 100 ms, doubled up to 30 s; up to 20 % longer.
    pub const DEFAULT: Self = Self { first: Duration::from_millis(100), most: Duration::from_secs(30), jitter: 20 };
    /// No pause at all: for tests of something else.
    pub const NONE: Self = Self { first: Duration::ZERO, most: Duration::ZERO, jitter: 0 };

    /// The pause before recovery `number`, counted from 1. `seed` decides the jitter: the same gives the same.
    pub fn before(&self, number: u32, seed: u64) -> Duration {
        let Some(doublings) = number.checked_sub(2) else { return Duration::ZERO };
        // 2^32 of the shortest pause there is are 4 s, of one that matters far more than the longest.
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let pause = self.first.saturating_mul(factor).min(self.most);
        let share = mixed(seed ^ u64::from(number)) % (u64::from(self.jitter) + 1);
        // At most 255, so it fits.
        let percent = u32::try_from(share).unwrap_or(0);
        pause.saturating_add((pause / 100).saturating_mul(percent))
    }
}

impl Default for Spacing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The finalizer of splitmix64: neighbouring seeds give unrelated numbers.
const fn mixed(seed: u64) -> u64 {
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn recov_4_pauses_double_up_to_the_longest() {
        let spacing = Spacing { jitter: 0, ..Spacing::DEFAULT };
        let pauses = [1, 2, 3, 4, 10, 11, 100, u32::MAX].map(|number| spacing.before(number, 7).as_millis());
        assert_eq!(pauses, [0, 100, 200, 400, 25_600, 30_000, 30_000, 30_000]);
        assert_eq!(Spacing::NONE.before(9, 7), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn recov_4_jitter_only_lengthens_and_has_a_limit(number in 1_u32.., seed: u64, jitter: u8, first in 0..u64::MAX) {
            let exact = Spacing { first: Duration::from_nanos(first), most: Duration::from_secs(40), jitter: 0 };
            let pause = exact.before(number, seed);
            let spread = Spacing { jitter, ..exact }.before(number, seed);
            prop_assert!(pause <= spread && spread <= pause + pause * u32::from(jitter) / 100);
            prop_assert_eq!(spread, Spacing { jitter, ..exact }.before(number, seed));
        }
    }
}
