//! Watching over a device that nobody uses, or that only seems to work (HEALTH-2; seed 0).
//!
//! Two signs, and both must be there. Something that only a living device can compute proves the device and the bus to
//! it; a counter that it keeps moving, its heartbeat, proves that it goes on. A device that is slow moves its counter all
//! the same. A device without a heartbeat is watched by what it computes alone: it can be found dead or answering
//! nonsense, and never hung; whether it goes on is left to the time limits of its jobs. Looks are apart by a period that
//! is never quite the same, so that they do not fall in step with what they look at.
//!
//! What answers nonsense, or through errors of the bus, is suspect as one that does not answer is; so many looks in a row
//! make it a failure (HEALTH-4).

use core::time::Duration;

use crate::health::{Heartbeat, Verdict};
use crate::Timestamp;

/// How closely a device is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Time between two looks; each is up to an eighth shorter or longer. At least [`Watch::SHORTEST`].
    pub period: Duration,
    /// Looks in a row with the same heartbeat that make a hang, or with nonsense that make a failure. One may be a
    /// coincidence of coarse clocks, or a disturbance. At least 1; 0 is taken as 1.
    pub stalls: u32,
}

impl Watch {
    /// Looks that are closer would find a heartbeat that counts milliseconds standing still.
    pub const SHORTEST: Duration = Duration::from_millis(5);

    /// Two seconds; three looks.
    pub const DEFAULT: Self = Self { period: Duration::from_secs(2), stalls: 3 };
}

impl Default for Watch {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a look has found, and what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers, and its heartbeat has moved, if it has one.
    Alive {
        /// The heartbeat; `None` if there was none to read.
        heartbeat: Option<u32>,
    },
    /// It answers, and its heartbeat stands still: not for long enough to be sure.
    Suspect {
        /// The heartbeat.
        heartbeat: u32,
        /// Looks in a row at which it stood still.
        stalls: u32,
    },
    /// It answers, and does not go on. Said once; there is no way back for this binding.
    Hung {
        /// Where its heartbeat stands.
        heartbeat: u32,
    },
    /// It is not there. As final.
    Dead,
    /// Something answers that cannot compute what it should, or the bus reports errors: not for long enough to be sure.
    Unsure {
        /// Looks in a row at which it was so.
        looks: u32,
    },
    /// The same, for so long. As final as a hang.
    Nonsense,
}

/// The signs of life of one device, from look to look.
#[derive(Debug, Clone, Copy)]
pub struct Vitals {
    watch: Watch,
    heartbeat: Heartbeat,
    due: Timestamp,
    random: u32,
    /// Looks in a row at which it did not answer as it should.
    unsure: u32,
    /// It was found hung, dead or answering nonsense.
    over: bool,
}

impl Vitals {
    /// A device that was alive at `now`. `seed` makes its looks fall apart from those at other devices.
    pub const fn new(watch: Watch, now: Timestamp, seed: u32) -> Self {
        let random = seed | 1;
        Self { watch, heartbeat: Heartbeat::new(), due: now.plus(watch.period), random, unsure: 0, over: false }
    }

    /// When to look next, or `None` if there is nothing more to be learned.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        (!self.over).then_some(self.due)
    }

    /// What to have the device compute: another thing each time, so that an old answer is not taken for a new one.
    pub const fn pattern(&self) -> u32 {
        self.random
    }

    /// Takes up a look at `now`: what the device computed, and its heartbeat. Without a heartbeat the computation alone
    /// decides; a heartbeat that was read at earlier looks is then neither still nor moving. A look that ended in an
    /// error of the bus is [`Verdict::Unsure`].
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

    /// Seven to nine eighths of the period.
    fn next_period(&mut self) -> Duration {
        // Marsaglia's xorshift: never zero if it began so.
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
}
