//! Jobs that wait for one another: every order that is allowed comes to an end.

use proptest::prelude::*;

use super::*;
use crate::errno::Errno;

#[test]
fn sched_8_a_job_waits_for_another_of_any_queue() {
    let mut bench = Bench::new(16, 2, 8);
    let queues = [bench.queue(0), bench.queue(1)];
    let (first, handle) = bench.submit_spec(queues[0], spec(0, false)).unwrap();
    let second = bench.scheduler.reserve(queues[1], spec(0, false)).unwrap();
    assert_eq!(bench.scheduler.wait_for(&second, handle), Ok(true));
    let waiting = second.job();
    bench.scheduler.commit(second, 7, 7);
    bench.drain();
    assert_eq!(bench.running(), [first]);
    bench.complete(0);
    assert!(bench.running.is_empty(), "the shell says when the fence has signalled");
    bench.scheduler.dependency_done(waiting, bench.signalled[&first]);
    bench.drain();
    assert_eq!(bench.running(), [7]);
    // What has ended is not waited for.
    let third = bench.scheduler.reserve(queues[1], spec(0, false)).unwrap();
    assert_eq!(bench.scheduler.wait_for(&third, handle), Ok(false));
    bench.scheduler.commit(third, 8, 8);
    bench.drain();
    assert_eq!(bench.running(), [7, 8]);
}

#[test]
fn sched_8_a_wait_that_could_close_a_circle_is_refused() {
    let mut bench = Bench::new(16, 2, 8);
    let queues = [bench.queue(0), bench.queue(1)];
    let [one, other] = queues.map(|queue| bench.scheduler.reserve(queue, spec(0, false)).unwrap());
    let refused = bench.scheduler.wait_for(&one, other.job());
    assert_eq!(refused.map_err(Errno::from), Err(Errno::EDEADLK));
    assert_eq!(bench.scheduler.wait_for(&one, one.job()), Err(SubmitError::Cycle));
    // In the order of their commits the same two are fine, and the refusals have left nothing behind.
    let first = bench.scheduler.commit(one, 1, 1);
    assert_eq!(bench.scheduler.wait_for(&other, first), Ok(true));
    let second = bench.scheduler.commit(other, 2, 2);
    bench.drain();
    bench.complete(0);
    bench.scheduler.dependency_done(second, Ok(()));
    bench.drain();
    bench.complete(1);
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[test]
fn more_waits_than_can_be_counted_are_waited_for() {
    let mut bench = Bench::new(16, 2, 8);
    let queues = [bench.queue(0), bench.queue(1)];
    let (_, running) = bench.submit_spec(queues[0], spec(0, false)).unwrap();
    let job = bench.scheduler.reserve(queues[1], spec(u32::MAX, false)).unwrap();
    assert_eq!(bench.scheduler.wait_for(&job, running), Ok(true));
    bench.scheduler.commit(job, 9, 9);
    bench.drain();
    assert_eq!(bench.running.len(), 1);
}

#[test]
fn a_canceled_reservation_that_is_told_to_wait_does_not() {
    let mut bench = Bench::new(16, 2, 8);
    let queues = [bench.queue(0), bench.queue(1)];
    let (_, running) = bench.submit_spec(queues[0], spec(0, false)).unwrap();
    let job = bench.scheduler.reserve(queues[1], spec(1, false)).unwrap();
    bench.scheduler.dependency_done(job.job(), Err(FenceError::Lost));
    assert_eq!(bench.scheduler.wait_for(&job, running), Ok(true));
    bench.scheduler.commit(job, 9, 9);
    bench.drain();
    assert_eq!(bench.signalled[&9], Err(FenceError::Canceled));
}

proptest! {
    /// SCHED-8: whoever waits for whom, in however many queues on however many rings, and in whatever order
    /// reservations are committed: what is not refused comes to an end, since no circle can be closed.
    #[test]
    fn sched_8_no_waits_that_are_accepted_stop_the_device(
        jobs in prop::collection::vec((0..4usize, prop::collection::vec(0..12usize, 0..4), any::<usize>()), 1..12),
    ) {
        let mut bench = Bench::new(16, 2, 2);
        let queues = [0, 1, 0, 1].map(|ring| bench.queue(ring));
        let reserve = |(queue, ..): &(usize, _, _)| bench.scheduler.reserve(queues[*queue], spec(0, true)).unwrap();
        let mut reserved: Vec<_> = jobs.iter().map(reserve).enumerate().collect();
        let handles: Vec<JobId> = reserved.iter().map(|(_, reservation)| reservation.job()).collect();
        // Who waits for each job.
        let mut waiters = vec![vec![]; jobs.len()];
        for (_, _, place) in &jobs {
            let (number, reservation) = reserved.swap_remove(place % reserved.len());
            for other in jobs[number].1.iter().map(|other| other % jobs.len()) {
                match bench.scheduler.wait_for(&reservation, handles[other]) {
                    Ok(pending) => {
                        prop_assert!(pending, "nothing has run yet");
                        waiters[other].push(handles[number]);
                    }
                    Err(error) => prop_assert_eq!(error, SubmitError::Cycle),
                }
            }
            let fence = u32::try_from(number).unwrap();
            bench.scheduler.commit(reservation, fence, fence);
        }
        let mut ended = 0;
        loop {
            bench.drain();
            for ring in [0, 1] {
                if bench.running.iter().any(|(on, ..)| *on == RingIndex(ring)) {
                    bench.complete(ring);
                }
            }
            if bench.signalled.len() == ended {
                break;
            }
            ended = bench.signalled.len();
            for (number, waiters) in waiters.iter_mut().enumerate() {
                if bench.signalled.contains_key(&u32::try_from(number).unwrap()) {
                    waiters.drain(..).for_each(|waiter| bench.scheduler.dependency_done(waiter, Ok(())));
                }
            }
        }
        prop_assert_eq!(ended, jobs.len(), "some wait for one another");
        prop_assert_eq!(bench.scheduler.job_count(), 0);
    }
}
