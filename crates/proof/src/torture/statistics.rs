//! How long things took: exact up to many, in little memory.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use lifeboat_cli::run::report::microseconds;

/// Durations, each rounded to about 1 %: so that a run of any length needs the same memory.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    /// How many there were of each rounded length.
    counts: BTreeMap<u64, u64>,
    total: u64,
    max: u64,
}

/// How long something took, in microseconds; 0 if it never happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// Half of all took no longer.
    pub median: u64,
    /// Ninety-nine of a hundred took no longer.
    pub p99: u64,
    /// The longest, exact.
    pub max: u64,
}

impl Durations {
    /// One more.
    pub fn add(&mut self, duration: Duration) {
        let microseconds = microseconds(duration);
        *self.counts.entry(rounded(microseconds)).or_default() += 1;
        self.total += 1;
        self.max = self.max.max(microseconds);
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// All together.
    pub fn merge(&mut self, other: &Self) {
        for (length, count) in &other.counts {
            *self.counts.entry(*length).or_default() += count;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// Their distribution.
    pub fn distribution(&self) -> Distribution {
        Distribution { median: self.quantile(50), p99: self.quantile(99), max: self.max }
    }

    /// The shortest length that so many of a hundred do not exceed.
    fn quantile(&self, percent: u64) -> u64 {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut so_far = 0;
        for (length, count) in &self.counts {
            so_far += count;
            if so_far >= rank {
                return (*length).min(self.max);
            }
        }
        self.max
    }
}

/// With its seven leading bits, rounded up: no more than 1/64 too long.
fn rounded(value: u64) -> u64 {
    let dropped = (u64::BITS - value.leading_zeros()).saturating_sub(7);
    let step = 1_u64 << dropped;
    value.div_ceil(step).saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(microseconds: impl IntoIterator<Item = u64>) -> Durations {
        let mut durations = Durations::default();
        microseconds.into_iter().for_each(|length| durations.add(Duration::from_micros(length)));
        durations
    }

    #[test]
    fn small_numbers_are_exact() {
        assert_eq!(of([]).distribution(), Distribution::default());
        assert_eq!(of([7]).distribution(), Distribution { median: 7, p99: 7, max: 7 });
        assert_eq!(of(1..=100).distribution(), Distribution { median: 50, p99: 99, max: 100 });
        assert_eq!(of([3, 1, 2]).distribution(), Distribution { median: 2, p99: 3, max: 3 });
    }

    #[test]
    fn large_ones_are_right_to_two_digits_and_take_little_memory() {
        let durations = of(1..=100_000);
        let Distribution { median, p99, max } = durations.distribution();
        assert!((50_000..50_800).contains(&median) && (99_000..=100_000).contains(&p99), "{median} {p99}");
        assert_eq!((max, durations.count()), (100_000, 100_000));
        assert!(durations.counts.len() < 1_000, "{}", durations.counts.len());
        assert_eq!(of([u64::MAX / 1000]).distribution().median, u64::MAX / 1000, "never beyond the longest");
    }

    #[test]
    fn parts_together_are_as_the_whole() {
        let mut parts = of((1..=1000).step_by(2));
        parts.merge(&of((2..=1000).step_by(2)));
        assert_eq!(parts.distribution(), of(1..=1000).distribution());
    }
}
