//! What one context may have of what all need (SCHED-9).

use proptest::prelude::*;

use super::*;
use crate::errno::Errno;
use crate::share::Share;

const SHARES: Shares = Shares { jobs: share(4), own_jobs: 2, queues: share(3), own_queues: 1 };

const fn share(limit: u32) -> Share {
    match Share::new(limit) {
        Some(share) => share,
        None => Share::ALL,
    }
}

/// Ten places for jobs and six for queues, of which four and two are set aside for two contexts.
fn bench() -> Bench {
    let mut bench = Bench::new(10, 1, 100);
    bench.scheduler = Scheduler::with_shares(stores([10, 6, 1, 2]), Limits::new(100, TIMEOUT), SHARES);
    bench
}

fn fill(bench: &mut Bench, queue: QueueId) -> (usize, SubmitError) {
    let mut count = 0;
    loop {
        match bench.submit_spec(queue, spec(1, false)) {
            Ok(_) => count += 1,
            Err(error) => return (count, error),
        }
    }
}

#[test]
fn sched_9_a_context_that_fills_its_share_locks_out_nobody() {
    let mut bench = bench();
    let [greedy, modest] = [(); 2].map(|()| bench.scheduler.open_context(5).unwrap());
    let queues =
        [greedy, modest].map(|context| bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal).unwrap());
    assert_eq!(fill(&mut bench, queues[0]), (4, SubmitError::OverShare));
    assert_eq!(Errno::from(SubmitError::OverShare), Errno::EDQUOT);
    assert_eq!(fill(&mut bench, queues[1]), (4, SubmitError::OverShare));
    // What is withdrawn counts no more.
    bench.scheduler.kill_queue(queues[0]);
    bench.drain();
    assert_eq!(bench.scheduler.open_queue_of(greedy, RingIndex(0), Priority::Normal).map(|_| ()), Ok(()));
}

#[test]
fn sched_9_what_is_set_aside_for_contexts_nobody_else_gets() {
    let mut bench = bench();
    let ours = bench.scheduler.open_queue(RingIndex(0), Priority::Normal).unwrap();
    assert_eq!(fill(&mut bench, ours), (6, SubmitError::Full));
    let more = core::iter::from_fn(|| bench.scheduler.open_queue(RingIndex(0), Priority::Normal).ok()).count();
    assert_eq!(more, 3, "two of six are set aside");
    for _ in 0..2 {
        let context = bench.scheduler.open_context(5).unwrap();
        let queue = bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal).unwrap();
        assert_eq!(bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal), Err(QueueError::Full));
        assert_eq!(fill(&mut bench, queue), (2, SubmitError::Full));
    }
}

#[test]
fn sched_9_a_context_has_a_share_of_queues() {
    let mut bench = bench();
    let context = bench.scheduler.open_context(5).unwrap();
    let open = |bench: &mut Bench| bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal);
    let queues: Vec<QueueId> = core::iter::from_fn(|| open(&mut bench).ok()).collect();
    assert_eq!((queues.len(), open(&mut bench)), (3, Err(QueueError::OverShare)));
    assert_eq!(Errno::from(QueueError::OverShare), Errno::EDQUOT);
    bench.scheduler.kill_queue(queues[0]);
    assert!(open(&mut bench).is_ok());
}

proptest! {
    /// However greedy all others are, a context that has less than what is set aside for it is let in; and places are
    /// neither lost nor made.
    #[test]
    fn sched_9_a_context_can_always_go_on(
        steps in prop::collection::vec((0..5usize, 0..3u8), 1..200),
    ) {
        let shares = Shares { jobs: share(6), own_jobs: 2, queues: share(2), own_queues: 1 };
        let mut scheduler = Scheduler::with_shares(stores([14, 9, 1, 4]), Limits::new(100, TIMEOUT), shares);
        let contexts: Vec<_> = (0..4).map(|_| scheduler.open_context(5).unwrap()).collect();
        let mut queues: Vec<Vec<QueueId>> = vec![vec![]; 5];
        let mut places: Vec<Vec<Reservation>> = vec![vec![]; 5];
        for (party, step) in steps {
            let context = contexts.get(party);
            match step {
                0 => {
                    let opened = match context {
                        Some(context) => scheduler.open_queue_of(*context, RingIndex(0), Priority::Normal),
                        None => scheduler.open_queue(RingIndex(0), Priority::Normal),
                    };
                    let held = queues[party].len();
                    prop_assert!(context.is_none() || held >= 1 || opened.is_ok(), "its own queue");
                    prop_assert!(context.is_none() || held < 2 || opened == Err(QueueError::OverShare));
                    queues[party].extend(opened);
                }
                1 => {
                    let Some(queue) = queues[party].first() else { continue };
                    let reserved = scheduler.reserve(*queue, spec(0, false));
                    let held = places[party].len();
                    prop_assert!(context.is_none() || held >= 2 || reserved.is_ok(), "its own job");
                    prop_assert!(context.is_none() || held < 6 || matches!(reserved, Err(SubmitError::OverShare)));
                    places[party].extend(reserved);
                }
                _ => {
                    if let Some(place) = places[party].pop() {
                        scheduler.cancel(place);
                    } else if let Some(queue) = queues[party].pop() {
                        scheduler.kill_queue(queue);
                    }
                }
            }
        }
        let taken: usize = places.iter().map(Vec::len).sum();
        prop_assert_eq!(scheduler.job_count(), taken);
        places.into_iter().flatten().for_each(|place| scheduler.cancel(place));
        queues.into_iter().flatten().for_each(|queue| scheduler.kill_queue(queue));
        let fresh = Scheduler::with_shares(stores([14, 9, 1, 4]), Limits::new(100, TIMEOUT), shares);
        prop_assert_eq!((&scheduler.job_places, &scheduler.queue_places), (&fresh.job_places, &fresh.queue_places));
    }
}

#[test]
fn sched_9_what_cannot_be_set_aside_for_all_is_shared_out() {
    let shares = Shares { jobs: share(9), own_jobs: 8, queues: share(3), own_queues: 4 };
    let mut bench = Bench::new(10, 1, 100);
    bench.scheduler = Scheduler::with_shares(stores([10, 6, 1, 2]), Limits::new(100, TIMEOUT), shares);
    let contexts = [(); 2].map(|()| bench.scheduler.open_context(5).unwrap());
    let queues =
        contexts.map(|context| bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal).unwrap());
    assert_eq!(queues.map(|queue| fill(&mut bench, queue)), [(5, SubmitError::Full); 2]);
}
