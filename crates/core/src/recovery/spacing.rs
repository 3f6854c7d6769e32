//! Back-off with jitter between recoveries (RECOV-4).
//!
//! A link that is down for a fraction of a second must not use up all attempts within microseconds,
//! and a device that fails again and again must not keep a processor busy. The first recovery
//! begins at once, because most failures pass with it.

use core::time::Duration;

/// Parameters of the pause between the end of a recovery and the beginning of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spacing {
    /// Pause before the second recovery in a row. Each later pause is twice as long. The first
    /// recovery begins at once.
    pub first: Duration,
    /// Longest pause, without jitter.
    pub most: Duration,
    /// Jitter in percent: each pause is lengthened by up to this part of itself. Jitter keeps slots
    /// behind one switch from probing at the same moment. It never shortens a pause.
    pub jitter: u8,
}

impl Spacing {
    /// 100 ms, doubled up to 30 s, and lengthened by up to 20 %.
    pub const DEFAULT: Self = Self { first: Duration::from_millis(100), most: Duration::from_secs(30), jitter: 20 };
    /// No pause at all, for tests of other things.
    pub const NONE: Self = Self { first: Duration::ZERO, most: Duration::ZERO, jitter: 0 };

    /// Returns the pause before recovery `number`, counted from 1. `seed` decides the jitter: the
    /// same seed gives the same pause.
    pub fn before(&self, number: u32, seed: u64) -> Duration {
        let Some(doublings) = number.checked_sub(2) else { return Duration::ZERO };
        // Saturating is harmless: 2^32 times the shortest pause of 1 ns is 4 s, and 2^32 times a
        // useful pause is far above `most`.
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let pause = self.first.saturating_mul(factor).min(self.most);
        let share = mixed(seed ^ u64::from(number)) % (u64::from(self.jitter) + 1);
        // `share` is at most 255, so the conversion cannot fail.
        let percent = u32::try_from(share).unwrap_or(0);
        pause.saturating_add((pause / 100).saturating_mul(percent))
    }
}

impl Default for Spacing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Returns a seed for the jitter, from the name of a slot: the same name always gives the same seed
/// (FNV-1a).
pub const fn seed(name: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < name.len() {
        hash = (hash ^ name[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

/// Mixes the bits of a number, as the finalizer of splitmix64 does: neighbouring seeds give
/// unrelated numbers.
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

    #[test]
    fn recov_4_jitter_spreads_slots_over_its_whole_range() {
        let percents = |seed| Spacing::DEFAULT.before(2, seed).as_millis() - 100;
        for percent in 0..=20 {
            assert!((0..1000).any(|seed| percents(seed) == percent), "no slot waits {percent} % longer");
        }
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
