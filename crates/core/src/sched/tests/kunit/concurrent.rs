//! Many who submit at the same time.

use std::sync::Mutex;
use std::thread;

use super::mock::Spec;
use super::*;

const WORKERS: usize = 16;
const IN_FLIGHT: usize = 8;

#[test]
fn drm_sched_parallel_submit() {
    let mut mock = Mock::new(WORKERS * IN_FLIGHT, 1, UNLIMITED);
    let queues = mock.queues(WORKERS);
    let mock = Mutex::new(mock);
    let submit = |queue| (0..IN_FLIGHT).map(|_| mock.lock().unwrap().submit(queue, Spec::blocking())).collect();
    let jobs: Vec<Vec<usize>> = thread::scope(|scope| {
        let workers: Vec<_> = queues.iter().map(|queue| scope.spawn(|| submit(*queue))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut mock = mock.into_inner().unwrap();
    assert_eq!(mock.started.len(), WORKERS * IN_FLIGHT, "all are on the ring");
    for (queue, jobs) in queues.into_iter().zip(&jobs) {
        let theirs = starts(&mock).into_iter().filter(|job| mock.queue_of(*job) == queue);
        assert_eq!(theirs.collect::<Vec<_>>(), *jobs);
    }
    assert_eq!(mock.advance(0, WORKERS * IN_FLIGHT), WORKERS * IN_FLIGHT);
    assert_eq!(mock.counts.completions, 1, "one number completes them all");
    mock.assert_all_done();
}

/// Each worker has a second's share in jobs of its own length, and keeps eight of them in flight.
#[test]
fn drm_sched_interleaved_submit() {
    for credits in [1, 2, UNLIMITED] {
        let mut mock = Mock::new(WORKERS * IN_FLIGHT, 1, credits);
        let mut workers = vec![];
        let mut total = 0;
        for (queue, time) in mock.queues(WORKERS).into_iter().zip((1..).map(|length| 100 * length)) {
            let share = 1_000_000 / WORKERS as u64;
            let count = usize::try_from(share / time).unwrap().max(1);
            total += time * count as u64;
            workers.push((queue, time, count, Vec::<usize>::new()));
        }
        loop {
            for (queue, time, count, jobs) in &mut workers {
                let in_flight =
                    |mock: &Mock, jobs: &[usize]| jobs.iter().filter(|job| mock.result(**job).is_none()).count();
                while jobs.len() < *count && in_flight(&mock, jobs) < IN_FLIGHT {
                    jobs.push(mock.submit(*queue, job(*time)));
                }
            }
            let Some((next, _)) = mock.next_completion() else { break };
            mock.run_until(next);
        }
        assert_eq!(mock.now, micros(total), "the ring was never idle");
        for (.., count, jobs) in workers {
            assert_eq!(jobs.len(), count);
            assert!(jobs.windows(2).all(|pair| mock.end_of(pair[0]) < mock.end_of(pair[1])));
        }
        mock.assert_all_done();
    }
}
