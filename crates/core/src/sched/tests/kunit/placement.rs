//! Who goes first, who goes where, and how much fits.

use std::collections::VecDeque;

use super::mock::Spec;
use super::*;

const PRIORITY: [Priority; PRIORITIES] = [Priority::High, Priority::Normal, Priority::Low];
/// How often the kernel's cases change something, in microseconds: several times per job.
const PERIOD: Duration = Duration::from_micros(350);

#[test]
fn drm_sched_priorities() {
    let mut mock = Mock::new(100, 1, 1);
    let queues = PRIORITY.map(|priority| mock.queue(0, priority));
    for number in 0..100 {
        mock.submit(queues[number % PRIORITIES], job(1000));
    }
    mock.run();
    assert_eq!(starts(&mock), by_priority(100));
    assert_eq!(mock.now, micros(100_000));
    mock.assert_all_done();
}

/// So many jobs, the first of them alone, by priority: the highest first, and one of a lower that was passed by
/// [`PASSES`] times.
fn by_priority(count: usize) -> Vec<usize> {
    let mut left: [VecDeque<usize>; PRIORITIES] =
        core::array::from_fn(|level| (level..count).step_by(PRIORITIES).collect());
    let mut starts = vec![left[0].pop_front().unwrap()];
    let mut passed = [0; PRIORITIES];
    while starts.len() < count {
        let due = (0..PRIORITIES).find(|level| passed[*level] == PASSES && !left[*level].is_empty());
        let level = due.or_else(|| left.iter().position(|jobs| !jobs.is_empty())).unwrap();
        starts.extend(left[level].pop_front());
        passed[level] = 0;
        for lower in level + 1..PRIORITIES {
            passed[lower] = if left[lower].is_empty() { 0 } else { (passed[lower] + 1).min(PASSES) };
        }
    }
    starts
}

/// While they wait, and at every other moment, queues get another priority, which counts from the next start on.
#[test]
fn drm_sched_change_priority() {
    let mut mock = Mock::new(1000, 1, 1);
    let queues = PRIORITY.map(|priority| mock.queue(0, priority));
    let mut priorities = [0, 1, 2];
    let jobs: Vec<usize> = (0..1000).map(|number| mock.submit(queues[number % PRIORITIES], job(1000))).collect();
    let mut turn = 0;
    while jobs.iter().any(|job| mock.result(*job).is_none()) {
        priorities[turn] = (priorities[turn] + 1) % PRIORITIES;
        mock.set_priority(queues[turn], PRIORITY[priorities[turn]]);
        turn = (turn + 1) % PRIORITIES;
        mock.run_until(mock.now.plus(PERIOD));
    }
    assert_eq!(mock.end_of(starts(&mock)[999]), Some(micros(1_000_000)), "the ring was never idle");
    assert_ne!(starts(&mock)[..334], (0..1000).step_by(3).collect::<Vec<_>>(), "the changes counted");
    mock.assert_all_done();
}

#[test]
fn changing_to_and_fro_gains_no_turn_and_no_change_loses_none() {
    let mut mock = Mock::new(16, 1, 1);
    let queues = mock.queues(3);
    let jobs: Vec<usize> = (0..6).map(|number| mock.submit(queues[number % 3], Spec::blocking())).collect();
    // Queue 0 is on the ring, 1 and 2 wait in this order.
    mock.set_priority(queues[1], Priority::Normal);
    mock.move_queue(queues[1], 0);
    mock.advance(0, 1);
    assert_eq!(mock.started.last(), Some(&(jobs[1], 0)));
    // Now it is 2, then 0, then 1.
    mock.set_priority(queues[2], Priority::High);
    mock.set_priority(queues[2], Priority::Normal);
    mock.advance(0, 1);
    mock.advance(0, 1);
    mock.advance(0, 1);
    assert_eq!(starts(&mock)[2..], [jobs[3], jobs[4], jobs[2]]);
    mock.advance(0, 1);
    mock.advance(0, 1);
    mock.assert_all_done();
}

#[test]
fn a_higher_priority_counts_at_once() {
    let mut mock = Mock::new(16, 1, 1);
    let queues = mock.queues(3);
    let jobs: Vec<usize> = (0..3).map(|number| mock.submit(queues[number], Spec::blocking())).collect();
    let late = mock.submit(queues[0], Spec::blocking());
    mock.set_priority(queues[2], Priority::High);
    mock.set_priority(queues[1], Priority::Low);
    (0..4).for_each(|_| assert_eq!(mock.advance(0, 1), 1));
    assert_eq!(starts(&mock), [jobs[0], jobs[2], late, jobs[1]]);
    mock.assert_all_done();
}

/// Primes, so that the pattern of moves does not repeat: 13 queues, 3 rings.
#[test]
fn drm_sched_test_modify_sched() {
    let mut mock = Mock::new(1000, 3, 2);
    let queues: Vec<usize> = (0..13).map(|number| mock.queue(number % 3, Priority::Normal)).collect();
    let jobs: Vec<usize> = (0..1000).map(|number| mock.submit(queues[number % 13], job(1000))).collect();
    let (mut turn, mut ring) = (0, 0);
    while jobs.iter().any(|job| mock.result(*job).is_none()) {
        mock.run_until(mock.now.plus(PERIOD));
        turn = (turn + 1) % queues.len();
        ring = (ring + 1) % 3;
        mock.move_queue(queues[turn], ring);
    }
    for queue in queues {
        let theirs: Vec<_> = mock.started.iter().filter(|(job, _)| mock.queue_of(*job) == queue).collect();
        assert!(theirs.windows(2).all(|pair| mock.end_of(pair[0].0) < mock.end_of(pair[1].0)));
        assert!((0..3).all(|ring| theirs.iter().any(|(_, on)| *on == ring)), "queue {queue} was on every ring");
    }
    assert!(mock.now < micros(500_000), "the rings shared the work: {:?}", mock.now);
    mock.assert_all_done();
}

#[test]
fn a_moved_queue_leaves_on_the_old_ring_what_is_there_and_waits_for_it() {
    let mut mock = Mock::new(16, 2, 2);
    let (queue, other) = (mock.queue(0, Priority::Normal), mock.queue(0, Priority::Normal));
    let jobs: Vec<usize> = (0..4).map(|_| mock.submit(queue, Spec::blocking())).collect();
    let others = mock.submit(other, Spec::blocking());
    mock.move_queue(queue, 1);
    assert_eq!(mock.started, [(jobs[0], 0), (jobs[1], 0)]);
    mock.advance(0, 1);
    assert_eq!(mock.started[2..], [(others, 0)], "the old ring is for others now");
    mock.advance(0, 1);
    assert_eq!(mock.started[3..], [(jobs[2], 1), (jobs[3], 1)]);
    // Back again: it need not wait for jobs on the ring it returns to.
    let (here, there) = (mock.submit(queue, Spec::blocking()), mock.submit(queue, Spec::blocking()));
    mock.move_queue(queue, 0);
    mock.move_queue(queue, 1);
    mock.advance(1, 1);
    assert_eq!(mock.started[5..], [(here, 1)]);
    mock.advance(1, 3);
    assert_eq!(mock.started[6..], [(there, 1)]);
    mock.advance(1, 1);
    mock.advance(0, 1);
    mock.assert_all_done();
}

#[test]
fn a_stale_queue_or_ring_is_refused() {
    let mut mock = Mock::new(4, 2, 1);
    let handle = mock.scheduler.open_queue(RingIndex(0), Priority::Normal).unwrap();
    assert_eq!(mock.scheduler.move_queue(handle, RingIndex(2)), Err(QueueError::NoSuchRing));
    assert_eq!(mock.scheduler.move_queue(handle, RingIndex(1)), Ok(()));
    // A killed queue is closed although its job keeps it alive.
    let queue = mock.queue(0, Priority::Normal);
    let living = mock.handle(queue);
    mock.submit(queue, Spec::blocking());
    for handle in [handle, living] {
        mock.scheduler.kill_queue(handle);
        assert_eq!(mock.scheduler.move_queue(handle, RingIndex(0)), Err(QueueError::StaleQueue));
        assert_eq!(mock.scheduler.set_priority(handle, Priority::High), Err(QueueError::StaleQueue));
    }
    mock.advance(0, 1);
    mock.assert_nothing_left();
}

#[test]
fn drm_sched_test_credits() {
    let mut mock = Mock::new(4, 1, 1);
    let queue = mock.queue(0, Priority::Normal);
    let (first, second) = (mock.submit(queue, Spec::blocking()), mock.submit(queue, Spec::blocking()));
    assert_eq!((mock.scheduled(first), mock.scheduled(second)), (true, false));
    mock.run_until(micros(1_000_000));
    assert!(!mock.scheduled(second), "time makes no credits");
    assert_eq!(mock.advance(0, 2), 1);
    assert_eq!((mock.result(first), mock.scheduled(second)), (Some(Ok(())), true));
    assert_eq!(mock.advance(0, 1), 1);
    mock.assert_all_done();
}

#[test]
fn a_large_job_is_not_overtaken_by_small_ones_for_ever() {
    let mut mock = Mock::new(16, 1, 3);
    let queues = mock.queues(2);
    let small: Vec<usize> = (0..3).map(|_| mock.submit(queues[0], Spec::blocking())).collect();
    let large = mock.submit(queues[1], Spec::blocking().cost(3));
    let later = mock.submit(queues[0], Spec::blocking());
    assert_eq!(mock.advance(0, 2), 2);
    assert_eq!(starts(&mock), small, "what is free is kept for the large one");
    assert_eq!(mock.advance(0, 1), 1);
    assert_eq!((mock.scheduled(large), mock.scheduled(later)), (true, false));
    assert_eq!(mock.advance(0, 1), 1);
    assert_eq!(mock.advance(0, 1), 1);
    mock.assert_all_done();
}
