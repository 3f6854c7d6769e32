//! Time limits for polling hardware, on a machine that may be busy.
//!
//! A clock alone is not enough: on a busy machine the polling thread may sleep much longer than
//! intended, and find the limit passed at its second look. So this module charges time to the limit
//! with upper bounds. A pause between two looks is charged with at most a few times its intended
//! length. A long look is charged with at most a part of the limit. The last look begins after the
//! whole limit was charged (HEALTH-5). On an idle machine the charged time is the time of the
//! clock.

use core::time::Duration;

use crate::Timestamp;

/// Upper bound of the charge for a pause, in intended pauses, because timers are coarse. With
/// pauses of 0.1 ms, a limit of 200 ms allows at least 200 looks.
const LONGEST_PAUSE: u32 = 10;
/// Smallest number of looks besides the last, however long each look takes.
const SLOW_LOOKS: u32 = 4;

/// Remaining time of one wait.
#[derive(Debug, Clone, Copy)]
pub struct Polling {
    left: Duration,
    longest_pause: Duration,
    longest_look: Duration,
    /// Beginning of the current look or pause.
    since: Timestamp,
}

impl Polling {
    /// Creates a wait of `limit` that begins at `now` with a look. The caller intends to pause for
    /// `pause` between two looks.
    #[must_use]
    pub fn new(limit: Duration, pause: Duration, now: Timestamp) -> Self {
        let (longest_pause, longest_look) = (pause.saturating_mul(LONGEST_PAUSE), limit / SLOW_LOOKS);
        Self { left: limit, longest_pause, longest_look, since: now }
    }

    /// Begins a look. Returns whether this look is the last.
    pub fn begin_look(&mut self, now: Timestamp) -> bool {
        self.charge(now, self.longest_pause);
        self.left.is_zero()
    }

    /// Ends a look and begins a pause.
    pub fn look_done(&mut self, now: Timestamp) {
        self.charge(now, self.longest_look);
    }

    fn charge(&mut self, now: Timestamp, at_most: Duration) {
        let took = now.since_beginning().saturating_sub(self.since.since_beginning());
        self.left = self.left.saturating_sub(took.min(at_most));
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);
    const PAUSE: Duration = Duration::from_micros(100);

    /// Polls until the last look. `took` returns the duration of a look and of the pause after it.
    /// Returns the number of looks and the time that all of them took.
    fn looks(mut took: impl FnMut() -> (Duration, Duration)) -> (u32, Duration) {
        let mut now = Timestamp::new(Duration::from_secs(5));
        let began = now;
        let mut polling = Polling::new(LIMIT, PAUSE, now);
        for look in 1.. {
            let last = polling.begin_look(now);
            let (look_took, paused) = took();
            now = now.plus(look_took);
            if last {
                return (look, now.since_beginning().saturating_sub(began.since_beginning()));
            }
            polling.look_done(now);
            now = now.plus(paused);
        }
        unreachable!()
    }

    #[test]
    fn health_5_a_machine_that_is_idle_has_the_time_of_its_clock() {
        let (count, took) = looks(|| (Duration::from_micros(1), Duration::from_micros(160)));
        assert!(count > 1000, "{count}");
        assert!(took >= LIMIT && took < LIMIT + Duration::from_millis(1), "{took:?}");
    }

    #[test]
    fn health_5_a_thread_that_hardly_runs_looks_as_often_as_it_needs() {
        // Each pause takes as long as the whole limit.
        let (count, _) = looks(|| (Duration::from_micros(1), LIMIT));
        assert!((200..=202).contains(&count), "{count}");
    }

    #[test]
    fn health_5_one_slow_look_is_not_the_last_and_many_are_not_for_ever() {
        let mut first = true;
        let (count, _) = looks(|| {
            let slow = core::mem::take(&mut first);
            (if slow { 5 * LIMIT } else { Duration::ZERO }, PAUSE)
        });
        assert!(count > 1000, "{count}");
        let (count, took) = looks(|| (5 * LIMIT, PAUSE));
        assert_eq!(count, SLOW_LOOKS + 1);
        assert!(took < 26 * LIMIT, "{took:?}");
    }

    proptest! {
        #[test]
        fn health_5_the_last_look_begins_when_the_limit_has_passed_and_comes(
            times in proptest::collection::vec((0_u64..1_000_000, 0_u64..1_000_000), 1..50),
        ) {
            let mut next = times.iter().cycle();
            let (count, took) = looks(|| {
                let (look, pause) = next.next().map_or((0, 0), |(look, pause)| (*look, *pause));
                // With a clock that stands still the loop would run for very long.
                (Duration::from_micros(look), Duration::from_micros(pause.max(1000)))
            });
            prop_assert!(took >= LIMIT);
            prop_assert!(count <= 202, "{}", count);
        }
    }
}
