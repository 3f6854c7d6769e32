//! Limits for polling hardware, on a machine that may be busy.
//!
//! A clock alone is no limit: on a busy machine the polling thread may sleep for much longer than it
//! wants to, and find the limit passed at its second look. So looks count, too. A pause between two
//! looks is charged as it was meant, with some grace, and a long look as a part of the limit; the last
//! look begins after all of the limit was charged (HEALTH-5). On an idle machine this is the clock's
//! time.

use core::time::Duration;

use crate::Timestamp;

/// What a pause is charged at most, in pauses as they were meant: timers are coarse. At a tenth of a millisecond a limit of 200 ms
/// has so 200 looks.
const LONGEST_PAUSE: u32 = 10;
/// Looks that are had at least, however long each takes, besides the last one.
const SLOW_LOOKS: u32 = 4;

/// The time that is left for one wait.
#[derive(Debug, Clone, Copy)]
pub struct Polling {
    left: Duration,
    longest_pause: Duration,
    longest_look: Duration,
    /// When the look or the pause that goes on began.
    since: Timestamp,
}

impl Polling {
    /// A wait of `limit` that begins at `now` with a look, with pauses of `pause` between looks.
    #[must_use]
    pub fn new(limit: Duration, pause: Duration, now: Timestamp) -> Self {
        let (longest_pause, longest_look) = (pause.saturating_mul(LONGEST_PAUSE), limit / SLOW_LOOKS);
        Self { left: limit, longest_pause, longest_look, since: now }
    }

    /// A look begins. Says whether it is the last one.
    pub fn begin_look(&mut self, now: Timestamp) -> bool {
        self.charge(now, self.longest_pause);
        self.left.is_zero()
    }

    /// The look has ended, and a pause begins.
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

    /// Looks until the last one, each of which and each pause before which takes so long.
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
                // A clock that stands still would make it long.
                (Duration::from_micros(look), Duration::from_micros(pause.max(1000)))
            });
            prop_assert!(took >= LIMIT);
            prop_assert!(count <= 202, "{}", count);
        }
    }
}
