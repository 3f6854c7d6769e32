//! Health watch over a device that is idle, or that only seems to work (HEALTH-2).
//!
//! The watch looks at a device at intervals and expects two signs of life:
//!
//! - The device computes a result that only a living device can compute. This proves that the
//!   device and the bus to the device work.
//! - The device moves a counter, its heartbeat. This proves progress. A slow device moves its
//!   counter, too.
//!
//! A device without a heartbeat is judged by its computation alone. Such a device can be found dead
//! or answering nonsense, but never hung; the time limits of its jobs find a hang.
//!
//! A device that answers nonsense, or answers through bus errors, is suspect. A number of such
//! looks in a row make a failure (HEALTH-4). The interval between two looks varies, so that the
//! looks do not fall in step with periodic work of the device.

use core::time::Duration;

use crate::health::{Heartbeat, Verdict};
use crate::Timestamp;

/// Parameters of the watch over a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Mean time between two looks, at least [`Watch::SHORTEST`]. Each interval is up to an eighth
    /// shorter or longer.
    pub period: Duration,
    /// Number of looks in a row that decide, at least 1; 0 counts as 1. So many looks with the same
    /// heartbeat make a hang, and so many looks with nonsense make a failure. A single such look
    /// may be caused by a coarse clock or a disturbance.
    pub stalls: u32,
}

impl Watch {
    /// Shortest useful period. With a shorter period, a heartbeat that counts milliseconds would
    /// seem to stand still.
    pub const SHORTEST: Duration = Duration::from_millis(5);

    /// A period of two seconds, and three looks.
    pub const DEFAULT: Self = Self { period: Duration::from_secs(2), stalls: 3 };
}

impl Default for Watch {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Result of a look, with the values that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The device answers, and its heartbeat, if it has one, has moved.
    Alive {
        /// Value of the heartbeat, or `None` if no heartbeat was read.
        heartbeat: Option<u32>,
    },
    /// The device answers, and its heartbeat stands still, but not yet for long enough to report a
    /// hang.
    Suspect {
        /// Value of the heartbeat.
        heartbeat: u32,
        /// Number of looks in a row at which the heartbeat stood still.
        stalls: u32,
    },
    /// The device answers but makes no progress. Reported once; the verdict is final for this
    /// binding.
    Hung {
        /// Value at which the heartbeat stands.
        heartbeat: u32,
    },
    /// The device is not there. The verdict is final for this binding.
    Dead,
    /// The device computes wrong results or the bus reports errors, but not yet for long enough to
    /// report a failure.
    Unsure {
        /// Number of such looks in a row.
        looks: u32,
    },
    /// The device has computed wrong results, or the bus has reported errors, at so many looks that
    /// the device counts as failed. The verdict is final for this binding.
    Nonsense,
}

/// Signs of life of one device, kept from look to look.
#[derive(Debug, Clone, Copy)]
pub struct Vitals {
    watch: Watch,
    heartbeat: Heartbeat,
    due: Timestamp,
    random: u32,
    /// Number of looks in a row at which the device did not answer as it should.
    unsure: u32,
    /// Whether a final verdict was reported: dead, hung or nonsense.
    over: bool,
}

impl Vitals {
    /// Creates the watch over a device that was alive at `now`. Different values of `seed` keep the
    /// looks at different devices apart.
    pub const fn new(watch: Watch, now: Timestamp, seed: u32) -> Self {
        let random = seed | 1;
        Self { watch, heartbeat: Heartbeat::new(), due: now.plus(watch.period), random, unsure: 0, over: false }
    }

    /// Returns the time of the next look, or `None` after a final verdict.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        (!self.over).then_some(self.due)
    }

    /// Returns the input for the device's computation. The input differs from look to look, so that
    /// an old result is not taken for a new result.
    pub const fn pattern(&self) -> u32 {
        self.random
    }

    /// Takes the result of a look at `now`: the verdict on the device's computation, and the
    /// heartbeat.
    ///
    /// Without a heartbeat the computation alone decides, and the count of stalls stays as it is. A
    /// look that ended in a bus error is passed as [`Verdict::Unsure`].
    pub fn look(&mut self, now: Timestamp, computed: Verdict, heartbeat: Option<u32>) -> Health {
        self.due = now.plus(self.next_period());
        match computed {
            Verdict::Dead => {
                self.over = true;
                return Health::Dead;
            }
            Verdict::Unsure => {
                self.unsure = self.unsure.saturating_add(1);
                if self.unsure < self.watch.stalls.max(1) {
                    return Health::Unsure { looks: self.unsure };
                }
                self.over = true;
                return Health::Nonsense;
            }
            Verdict::Alive => self.unsure = 0,
        }
        let Some(heartbeat) = heartbeat else { return Health::Alive { heartbeat: None } };
        match self.heartbeat.look(heartbeat) {
            0 => Health::Alive { heartbeat: Some(heartbeat) },
            stalls if stalls < self.watch.stalls => Health::Suspect { heartbeat, stalls },
            _ => {
                self.over = true;
                Health::Hung { heartbeat }
            }
        }
    }

    /// Draws the next interval: seven to nine eighths of the period.
    fn next_period(&mut self) -> Duration {
        // Marsaglia's xorshift. The state is never zero, because it began as an odd number.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let eighth = self.watch.period / 8;
        7 * eighth + (2 * eighth / 256) * (self.random >> 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCH: Watch = Watch { period: Duration::from_millis(800), stalls: 3 };

    fn vitals() -> Vitals {
        Vitals::new(WATCH, Timestamp::default(), 7)
    }

    fn alive(heartbeat: u32) -> Health {
        Health::Alive { heartbeat: Some(heartbeat) }
    }

    #[test]
    fn health_2_a_heartbeat_that_stands_still_for_so_many_looks_is_a_hang_and_a_slow_one_is_not() {
        let mut vitals = vitals();
        let mut look = |heartbeat| vitals.look(Timestamp::default(), Verdict::Alive, Some(heartbeat));
        assert_eq!(look(5), alive(5));
        for beat in 5..50 {
            let expected = if beat == 5 { Health::Suspect { heartbeat: 5, stalls: 1 } } else { alive(beat) };
            assert_eq!(look(beat), expected);
            assert_eq!(look(beat), Health::Suspect { heartbeat: beat, stalls: if beat == 5 { 2 } else { 1 } });
        }
        assert_eq!(look(49), Health::Suspect { heartbeat: 49, stalls: 2 });
        assert_eq!(look(49), Health::Hung { heartbeat: 49 });
        assert_eq!(vitals.next_deadline(), None, "nobody asks it any more");
    }

    #[test]
    fn health_2_a_heartbeat_proves_nothing_if_the_device_does_not_compute() {
        let mut vitals = vitals();
        assert_eq!(vitals.look(Timestamp::default(), Verdict::Unsure, Some(1)), Health::Unsure { looks: 1 });
        assert!(vitals.next_deadline().is_some());
        assert_eq!(vitals.look(Timestamp::default(), Verdict::Dead, Some(2)), Health::Dead);
        assert_eq!(vitals.next_deadline(), None);
    }

    #[test]
    fn health_4_nonsense_at_so_many_looks_in_a_row_is_a_failure_and_one_good_look_forgives() {
        let mut vitals = vitals();
        let mut look = |computed, heartbeat| vitals.look(Timestamp::default(), computed, Some(heartbeat));
        for heartbeat in 0..5 {
            assert_eq!(look(Verdict::Unsure, 9), Health::Unsure { looks: 1 });
            assert_eq!(look(Verdict::Unsure, 9), Health::Unsure { looks: 2 });
            assert_eq!(look(Verdict::Alive, heartbeat), alive(heartbeat));
        }
        assert_eq!(look(Verdict::Unsure, 9), Health::Unsure { looks: 1 });
        assert_eq!(look(Verdict::Unsure, 9), Health::Unsure { looks: 2 });
        assert_eq!(look(Verdict::Unsure, 9), Health::Nonsense);
        assert_eq!(vitals.next_deadline(), None, "nobody asks it any more");
        let mut hasty = Vitals::new(Watch { stalls: 0, ..WATCH }, Timestamp::default(), 7);
        assert_eq!(hasty.look(Timestamp::default(), Verdict::Unsure, None), Health::Nonsense);
    }

    #[test]
    fn health_2_a_device_without_a_heartbeat_is_alive_as_long_as_it_computes() {
        let mut vitals = vitals();
        for round in 0..50 {
            let due = vitals.next_deadline().expect("it is never found hung");
            let health = vitals.look(due, Verdict::Alive, None);
            assert_eq!(health, Health::Alive { heartbeat: None }, "round {round}");
            assert!(vitals.next_deadline() > Some(due));
        }
        assert_eq!(vitals.look(Timestamp::default(), Verdict::Dead, None), Health::Dead);
        assert_eq!(vitals.next_deadline(), None, "nobody asks it any more");
    }

    #[test]
    fn health_4_a_device_without_a_heartbeat_answers_nonsense_as_any_other() {
        let mut vitals = vitals();
        let mut look = |computed| vitals.look(Timestamp::default(), computed, None);
        for _ in 0..5 {
            assert_eq!([look(Verdict::Unsure), look(Verdict::Unsure)], [1, 2].map(|looks| Health::Unsure { looks }));
            assert_eq!(look(Verdict::Alive), Health::Alive { heartbeat: None });
        }
        assert_eq!([look(Verdict::Unsure), look(Verdict::Unsure)], [1, 2].map(|looks| Health::Unsure { looks }));
        assert_eq!(look(Verdict::Unsure), Health::Nonsense);
        assert_eq!(vitals.next_deadline(), None, "nobody asks it any more");
    }

    #[test]
    fn health_2_a_look_without_a_heartbeat_counts_neither_for_a_hang_nor_against_it() {
        let mut vitals = vitals();
        let mut look = |heartbeat| vitals.look(Timestamp::default(), Verdict::Alive, heartbeat);
        assert_eq!(look(Some(5)), alive(5));
        for stalls in 1..3 {
            assert_eq!(look(None), Health::Alive { heartbeat: None });
            assert_eq!(look(Some(5)), Health::Suspect { heartbeat: 5, stalls });
        }
        assert_eq!(look(None), Health::Alive { heartbeat: None });
        assert_eq!(look(Some(5)), Health::Hung { heartbeat: 5 });
    }

    #[test]
    fn health_2_looks_are_a_period_apart_and_never_in_step() {
        let (mut one, mut other) = (vitals(), Vitals::new(WATCH, Timestamp::default(), 1234));
        let (mut same, mut patterns) = (0, [0; 200]);
        for (round, pattern) in (0..).zip(&mut patterns) {
            *pattern = one.pattern();
            let before = one.next_deadline().unwrap();
            assert_eq!(one.look(before, Verdict::Alive, Some(round)), alive(round));
            other.look(before, Verdict::Alive, Some(round));
            let apart = one.next_deadline().unwrap().since_beginning().saturating_sub(before.since_beginning());
            assert!((700..=900).contains(&apart.as_millis()), "{apart:?}");
            same += u32::from(one.next_deadline() == other.next_deadline());
        }
        assert!(same < 10, "two devices are looked at together");
        assert!(patterns.iter().all(|pattern| *pattern != 0 && *pattern != u32::MAX));
        assert!(patterns.windows(2).all(|two| two[0] != two[1]));
    }

    #[test]
    fn patterns_are_marsaglias_sequence_so_none_comes_again_before_all_others() {
        let mut vitals = Vitals::new(WATCH, Timestamp::default(), 1);
        for expected in [1, 270_369, 67_634_689, 2_647_435_461, 307_599_695] {
            assert_eq!(vitals.pattern(), expected);
            vitals.look(Timestamp::default(), Verdict::Alive, None);
        }
    }
}
