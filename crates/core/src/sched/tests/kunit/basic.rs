//! One job, queues of jobs, chains of them, and users who leave.

use super::mock::Spec;
use super::*;
use crate::errno::Errno;

#[test]
fn drm_sched_basic_submit() {
    let mut mock = Mock::new(4, 1, UNLIMITED);
    let queue = mock.queue(0, Priority::Normal);
    let job = mock.submit(queue, Spec::blocking());
    assert!(mock.scheduled(job));
    mock.run_until(micros(1_000_000));
    assert_eq!(mock.result(job), None, "nothing completes by itself");
    assert!(!mock.is_released(job));
    assert_eq!(mock.advance(0, 1), 1);
    assert_eq!(mock.result(job), Some(Ok(())));
    assert!(mock.is_released(job));
    mock.assert_all_done();
}

/// The kernel's `drm_sched_basic_test`: 100 jobs of 1 ms, spread over the queues, each after the one before or not.
fn basic_test(queues: usize, chained: bool) {
    for credits in [1, 3, UNLIMITED] {
        let mut mock = Mock::new(100, 1, credits);
        let queues = mock.queues(queues);
        let mut last = None;
        for number in 0..100 {
            let spec = job(1000).after(last.filter(|_| chained));
            last = Some(mock.submit(queues[number % queues.len()], spec));
        }
        mock.run();
        // In order of submission, which is that of turns, each right after the other.
        assert_eq!(starts(&mock), (0..100).collect::<Vec<_>>());
        for (number, job) in (1..).zip(0..100) {
            assert_eq!(mock.end_of(job), Some(micros(number * 1000)));
        }
        assert_eq!(mock.counts.dependencies, if chained { 99 } else { 0 });
        mock.assert_all_done();
    }
}

#[test]
fn drm_sched_basic_queue() {
    basic_test(1, false);
}

#[test]
fn drm_sched_basic_chain() {
    basic_test(1, true);
}

#[test]
fn drm_sched_basic_multi() {
    basic_test(4, false);
}

#[test]
fn drm_sched_basic_inter_dependent() {
    basic_test(4, true);
}

#[test]
fn drm_sched_basic_entity_cleanup() {
    let mut mock = Mock::new(100, 1, UNLIMITED);
    let queues = mock.queues(4);
    let mut last = None;
    for number in 0..100 {
        last = Some(mock.submit(queues[number % 4], job(1000).after(last)));
    }
    while mock.result(50).is_none() {
        mock.run_until(mock.now.plus(Duration::from_millis(1)));
    }
    // Half of the jobs are still pending when all users leave; one of them is on the ring.
    assert_eq!(starts(&mock), (0..=51).collect::<Vec<_>>());
    for queue in queues {
        mock.kill(queue);
    }
    for job in 52..100 {
        assert_eq!((mock.result(job), mock.is_released(job)), (Some(Err(FenceError::Canceled)), true));
    }
    assert_eq!((mock.result(51), mock.is_released(51)), (None, false), "the ring reads it");
    mock.run();
    assert!((0..=51).all(|job| mock.result(job) == Some(Ok(()))));
    assert_eq!(mock.now, micros(52_000));
    mock.assert_nothing_left();
}

#[test]
fn drm_sched_basic_cancel() {
    let mut mock = Mock::new(4, 1, UNLIMITED);
    let queue = mock.queue(0, Priority::Normal);
    let job = mock.submit(queue, Spec::blocking());
    assert!(mock.scheduled(job));
    mock.kill(queue);
    assert_eq!(mock.result(job), None, "the ring may still complete it");
    mock.scheduler.lose(FenceError::Canceled);
    mock.drain();
    assert_eq!(mock.result(job), Some(Err(FenceError::Canceled)));
    assert_eq!(Errno::from(mock.result(job).unwrap().unwrap_err()), Errno::ECANCELED);
    assert!(!mock.is_released(job), "the ring may still read it");
    mock.scheduler.hardware_gone();
    mock.drain();
    assert!(mock.is_released(job));
    mock.assert_nothing_left();
}
