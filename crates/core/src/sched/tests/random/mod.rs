//! Random events, against the model after each of them.

mod events;
mod pair;

use proptest::prelude::*;

use super::model::RingIs;
use super::*;
use events::{event, Event, Told};
use pair::Pair;

const JOBS: usize = 12;
const RINGS: usize = 2;
const CREDITS: u32 = 4;
pub(super) const EXTENSIONS: u32 = 1;

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    /// Whatever happens, in any order, each fence signals once and says how its job ended, each payload is released once
    /// the hardware is done with it, and in the end nothing is left. The shell carries out actions now and then, not after each event.
    #[test]
    fn fence_1_and_2_and_4_and_sched_1_and_2_and_4_and_6_and_7_and_11_and_12_hold_for_random_events(
        events in prop::collection::vec((event(), prop::bool::weighted(0.7)), 1..150),
        loses in any::<bool>(),
        event_slots in prop_oneof![2 => Just(None), 1 => Just(Some(1)), 1 => Just(Some(2))],
        unordered in any::<[bool; RINGS]>(),
        firmware in prop_oneof![Just(Firmware::OfEachRing), Just(Firmware::OfTheDevice)],
    ) {
        let mut pair = Pair::new(event_slots, unordered, firmware);
        for (event, drain) in &events {
            pair.apply(event);
            pair.check();
            if *drain {
                pair.drain();
                pair.check();
            }
        }
        let is_dead = |pair: &Pair| pair.model.rings.iter().any(|ring| ring.is == RingIs::Dead);
        if !loses && !is_dead(&pair) {
            pair.finish();
        }
        // Recovery that was in vain before may be given up on the way.
        if loses || is_dead(&pair) {
            pair.lose(FenceError::Lost);
            while !pair.reservations.is_empty() {
                let _ = pair.commit(0);
            }
            pair.drain();
            pair.apply(&Event::HardwareGone);
            for queue in 0..pair.model.queues.len() {
                pair.kill(queue);
            }
        }
        pair.drain();
        pair.check();
        prop_assert_eq!(pair.scheduler.job_count(), 0);
        let free = core::iter::from_fn(|| pair.scheduler.open_queue(RingIndex(0), Priority::Normal).ok()).count();
        prop_assert_eq!(free, 4, "a queue outlived its user");
        (0..pair.model.contexts.len()).for_each(|context| pair.close_context(context));
        let free = core::iter::from_fn(|| pair.scheduler.open_context(1)).count();
        prop_assert_eq!(free, 2, "a context outlived its user");
    }
}
