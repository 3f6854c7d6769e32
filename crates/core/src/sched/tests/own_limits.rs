//! What a ring or a job has of its own: credits, and a time limit (SCHED-11).

use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A bench whose rings have these credits; `None` is a ring without a number of its own.
fn rings(credits: &[Option<u32>], of_all: u32) -> Bench {
    let mut stores = stores([16, 4, credits.len(), 2]);
    stores.rings = credits.iter().map(|own| own.map_or_else(RingSlot::default, RingSlot::with_credits)).collect();
    Bench { scheduler: Scheduler::new(stores, Limits::new(of_all, TIMEOUT)), ..Bench::new(1, 1, 1) }
}

fn job(cost: u32, time_limit: Option<Duration>) -> JobSpec {
    JobSpec { cost, time_limit, ..JobSpec::default() }
}

#[test]
fn sched_11_each_ring_has_its_own_credits() {
    let mut bench = rings(&[None, Some(1), Some(5)], 2);
    let queues = [bench.queue(0), bench.queue(1), bench.queue(2)];
    for queue in queues {
        for _ in 0..7 {
            let _ = bench.submit_spec(queue, job(1, None));
        }
    }
    bench.drain();
    let on = |bench: &Bench, ring| bench.running.iter().filter(|(on, ..)| *on == RingIndex(ring)).count();
    assert_eq!([0, 1, 2].map(|ring| on(&bench, ring)), [2, 1, 2], "16 places: 7 and 7 and 2 jobs");
    bench.complete(1);
    assert_eq!([0, 1, 2].map(|ring| on(&bench, ring)), [2, 1, 2], "what completes on a ring is the ring's");
}

#[test]
fn sched_11_a_job_is_measured_by_the_ring_of_its_queue() {
    let mut bench = rings(&[None, Some(1), Some(5), Some(0)], 2);
    for (ring, most) in [(0, 2), (1, 1), (2, 5), (3, 1)] {
        let queue = bench.queue(ring);
        assert_eq!(bench.submit_spec(queue, job(most + 1, None)), Err(SubmitError::TooLarge), "ring {ring}");
        bench.submit_spec(queue, job(most, None)).unwrap();
    }
    bench.drain();
    assert_eq!(bench.running.len(), 4);
}

#[test]
fn sched_11_a_queue_is_not_moved_to_a_ring_that_its_jobs_do_not_fit() {
    let mut bench = rings(&[Some(3), Some(2)], 1);
    let queue = bench.queue(0);
    let move_to = |bench: &mut Bench, ring| bench.scheduler.move_queue(queue, RingIndex(ring));
    // Reserved, waiting and running jobs count alike: each of them may have to go to the new ring.
    let reservation = bench.scheduler.reserve(queue, job(3, None)).unwrap();
    assert_eq!(move_to(&mut bench, 1), Err(QueueError::TooLarge));
    bench.scheduler.cancel(reservation);
    assert_eq!(move_to(&mut bench, 1), Ok(()));
    assert_eq!(move_to(&mut bench, 0), Ok(()));
    bench.submit_spec(queue, job(3, None)).unwrap();
    assert_eq!(move_to(&mut bench, 1), Err(QueueError::TooLarge));
    bench.drain();
    assert_eq!(move_to(&mut bench, 1), Err(QueueError::TooLarge));
    bench.complete(0);
    assert_eq!(move_to(&mut bench, 1), Ok(()));
    bench.submit_spec(queue, job(2, None)).unwrap();
    bench.drain();
    bench.complete(1);
}

#[test]
fn sched_11_a_job_with_a_limit_of_its_own_is_judged_by_it() {
    for (own, judged) in [(Some(TIMEOUT / 4), TIMEOUT / 4), (Some(HOUR), HOUR), (None, TIMEOUT)] {
        let mut bench = Bench::new(4, 1, 4);
        let queue = bench.queue(0);
        bench.submit_spec(queue, job(1, own)).unwrap();
        bench.drain();
        assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(judged)));
        bench.pass(judged.checked_sub(Duration::from_nanos(1)).unwrap());
        assert!(bench.resets.is_empty(), "{own:?}");
        bench.pass(Duration::from_nanos(1));
        assert_eq!(bench.resets.len(), 1, "{own:?}");
    }
}

#[test]
fn sched_11_the_limit_of_a_job_counts_from_when_the_hardware_has_it_and_it_is_the_oldest() {
    let mut bench = Bench::new(4, 1, 4);
    let queue = bench.queue(0);
    bench.submit_spec(queue, job(1, Some(HOUR))).unwrap();
    bench.submit_spec(queue, job(1, Some(TIMEOUT))).unwrap();
    let mut runs = vec![];
    while let Some(Action::Run { seqno, .. }) = bench.scheduler.poll_action() {
        runs.push(seqno);
    }
    assert_eq!(bench.scheduler.next_deadline(), None, "the hardware has neither");
    bench.now = bench.now.plus(TIMEOUT);
    bench.scheduler.started(RingIndex(0), runs[1], bench.now);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(HOUR)));
    // The younger one waits for longer than it may take.
    bench.pass(HOUR / 2);
    bench.scheduler.hw_done(RingIndex(0), runs[0], bench.now);
    bench.drain();
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    bench.pass(TIMEOUT);
    assert_eq!(bench.resets.len(), 1);
}

#[test]
fn sched_11_each_extension_is_as_long_as_the_limit_of_the_job() {
    let mut bench = Bench::with(4, 1, Limits { extensions: 1, ..Limits::new(4, TIMEOUT) });
    let queue = bench.queue(0);
    bench.submit_spec(queue, job(1, Some(HOUR))).unwrap();
    bench.drain();
    bench.pass(HOUR);
    assert!(bench.scheduler.still_running(RingIndex(0), bench.now));
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(HOUR)));
}

proptest! {
    /// The next deadline is the earliest of all rings', each that of its oldest job.
    #[test]
    fn sched_11_the_next_deadline_is_that_of_the_oldest_jobs(
        jobs in proptest::collection::vec((0_u8..3, proptest::option::of(1_u64..1000)), 1..16),
        done in proptest::collection::vec(0_u8..3, 0..8),
    ) {
        let mut bench = Bench::new(16, 3, 16);
        let queues = [bench.queue(0), bench.queue(1), bench.queue(2)];
        let mut limits = [const { vec![] }; 3];
        for (ring, own) in jobs {
            let own = own.map(Duration::from_millis);
            bench.submit_spec(queues[usize::from(ring)], job(1, own)).unwrap();
            limits[usize::from(ring)].push(own.unwrap_or(TIMEOUT));
        }
        bench.drain();
        let mut since = [bench.now; 3];
        for ring in done {
            bench.now = bench.now.plus(Duration::from_nanos(1));
            if !limits[usize::from(ring)].is_empty() {
                limits[usize::from(ring)].remove(0);
                since[usize::from(ring)] = bench.now;
                bench.complete(ring);
            }
            let due = limits.iter().zip(since).filter_map(|(limits, since)| Some(since.plus(*limits.first()?)));
            prop_assert_eq!(bench.scheduler.next_deadline(), due.min());
        }
    }
}
