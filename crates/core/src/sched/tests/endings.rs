//! Queues that are killed and devices that are lost: one promise per test.

use super::*;

#[test]
fn fence_2_stop_signals_everything_and_late_commits_too() {
    let mut bench = Bench::new(16, 1, 1);
    let queue = bench.queue(0);
    let (running, queued) = (bench.submit(queue), bench.submit(queue));
    let spec = JobSpec { cost: 1, dependencies: 1, restartable: false, ..JobSpec::default() };
    let late = bench.scheduler.reserve(queue, spec).unwrap();
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    assert_eq!(bench.signalled, HashMap::from([(running, Err(FenceError::Lost)), (queued, Err(FenceError::Lost))]));
    assert_eq!(bench.scheduler.reserve(queue, spec).unwrap_err(), SubmitError::Ended(FenceError::Lost));
    bench.scheduler.commit(late, 99, 99);
    bench.drain();
    assert_eq!(bench.signalled[&99], Err(FenceError::Lost));
    // SCHED-2: what the hardware may still read stays owned until it is cut off.
    assert!(!bench.released.contains(&running));
    assert!(bench.released.contains(&queued));
    bench.scheduler.hardware_gone();
    bench.drain();
    assert!(bench.released.contains(&running));
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[test]
fn a_killed_queue_lives_until_its_job_on_the_ring_is_done() {
    let mut bench = Bench::new(16, 1, 1);
    let queue = bench.queue(0);
    let (running, queued) = (bench.submit(queue), bench.submit(queue));
    bench.scheduler.kill_queue(queue);
    bench.drain();
    assert_eq!(bench.signalled, HashMap::from([(queued, Err(FenceError::Canceled))]));
    let spec = JobSpec { cost: 1, dependencies: 0, restartable: false, ..JobSpec::default() };
    assert_eq!(bench.scheduler.reserve(queue, spec).unwrap_err(), SubmitError::StaleQueue);
    bench.complete(0);
    assert_eq!(bench.signalled[&running], Ok(()));
    // All four slots are free again, and the old handle is stale.
    for _ in 0..4 {
        bench.queue(0);
    }
    assert_eq!(bench.scheduler.reserve(queue, spec).unwrap_err(), SubmitError::StaleQueue);
}

#[test]
fn sched_6_a_killed_queue_does_not_run_again() {
    let mut bench = Bench::new(16, 1, 8);
    let (hung, killed) = (bench.queue(0), bench.queue(0));
    bench.submit(hung);
    let (job, _) = bench.submit_spec(killed, spec(0, true)).unwrap();
    bench.drain();
    bench.scheduler.kill_queue(killed);
    bench.pass(TIMEOUT);
    bench.reset(0);
    assert!(bench.running.is_empty());
    assert_eq!(bench.signalled[&job], Err(FenceError::Innocent));
    assert_eq!(bench.free_queues(), 3);
}

#[test]
fn fence_2_a_commit_to_a_killed_queue_signals_at_once_and_frees_it() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let late = bench.scheduler.reserve(queue, spec(2, false)).unwrap();
    let unused = bench.scheduler.reserve(queue, spec(2, false)).unwrap();
    bench.scheduler.kill_queue(queue);
    bench.scheduler.commit(late, 1, 1);
    bench.drain();
    assert_eq!(bench.signalled, HashMap::from([(1, Err(FenceError::Canceled))]));
    assert_eq!(bench.released, [1]);
    bench.scheduler.cancel(unused);
    assert_eq!(bench.free_queues(), 4);
}

#[test]
fn a_killed_queue_that_was_about_to_run_is_freed() {
    let mut bench = Bench::new(16, 1, 1);
    let (busy, queue) = (bench.queue(0), bench.queue(0));
    bench.submit(busy);
    bench.submit(queue);
    bench.scheduler.kill_queue(queue);
    bench.drain();
    bench.complete(0);
    assert_eq!(bench.free_queues(), 3);
}

#[test]
fn fence_2_the_first_reason_to_stop_counts() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let late = bench.scheduler.reserve(queue, spec(0, false)).unwrap();
    bench.scheduler.kill_queue(queue);
    bench.scheduler.lose(FenceError::Lost);
    bench.scheduler.lose(FenceError::Canceled);
    let other = bench.queue(0);
    let refused = bench.scheduler.reserve(other, spec(0, false)).unwrap_err();
    assert_eq!(refused, SubmitError::Ended(FenceError::Lost));
    bench.scheduler.commit(late, 1, 1);
    bench.drain();
    assert_eq!(bench.signalled[&1], Err(FenceError::Lost));
}

#[test]
fn a_lost_device_is_not_given_up_again() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    bench.pass(TIMEOUT);
    bench.fail_reset(0);
    assert!(bench.scheduler.begin_device_reset());
    bench.scheduler.device_reset_done(false);
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    assert!(!bench.gave_up);
}

#[test]
fn fence_2_a_stop_during_a_reset_is_final() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let (job, _) = bench.submit_spec(queue, spec(0, true)).unwrap();
    bench.drain();
    bench.pass(TIMEOUT);
    bench.begin_reset(0);
    bench.scheduler.lose(FenceError::Lost);
    bench.end_reset(0);
    bench.pass(TIMEOUT);
    bench.scheduler.faulted(RingIndex(0), bench.reset_numbers[0], bench.now);
    bench.drain();
    assert_eq!(bench.signalled, HashMap::from([(job, Err(FenceError::Lost))]));
    assert_eq!((bench.resets.len(), bench.gave_up, bench.scheduler.next_deadline()), (1, false, None));
    assert!(bench.running.is_empty());
}

#[test]
fn sched_2_a_stopped_ring_that_finished_everything_reads_nothing_any_more() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let (first, second) = (bench.submit(queue), bench.submit(queue));
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    bench.complete(0);
    assert!(bench.released.is_empty(), "it is not through yet");
    bench.complete(0);
    assert_eq!(bench.released, [first, second]);
}

#[test]
fn sched_2_what_completes_after_the_end_and_before_its_signal_is_not_kept() {
    let mut bench = Bench::new(4, 1, 8);
    let queue = bench.queue(0);
    let job = bench.submit(queue);
    bench.scheduler.tear_down();
    bench.complete(0);
    assert_eq!((bench.signalled[&job], bench.released.as_slice()), (Err(FenceError::Canceled), &[job][..]));
}

#[test]
fn a_closed_queue_goes_at_once_although_others_go_before_it_for_ever() {
    let mut bench = Bench::new(16, 1, 1);
    let high = bench.scheduler.open_queue(RingIndex(0), Priority::High).unwrap();
    bench.submit(high);
    for _ in 0..100 {
        let low = bench.scheduler.open_queue(RingIndex(0), Priority::Low).expect("the last one is closed");
        let canceled = bench.submit(low);
        bench.scheduler.kill_queue(low);
        bench.drain();
        assert_eq!(bench.signalled[&canceled], Err(FenceError::Canceled));
        bench.submit(high);
        bench.complete(0);
    }
}

#[test]
fn sched_2_hardware_gone_before_stop_releases_nothing() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    bench.scheduler.hardware_gone();
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    assert_eq!(bench.signalled.len(), 1);
    assert!(bench.released.is_empty());
}

#[test]
fn sched_2_hardware_gone_releases_also_what_has_not_signalled_yet() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let job = bench.submit(queue);
    bench.scheduler.lose(FenceError::Lost);
    bench.scheduler.hardware_gone();
    bench.drain();
    assert_eq!(bench.signalled[&job], Err(FenceError::Lost));
    assert_eq!(bench.released, [job]);
}

#[test]
fn a_stopped_ring_keeps_no_queue_in_its_ready_list() {
    let mut bench = Bench::new(16, 1, 1);
    let (busy, ready) = (bench.queue(0), bench.queue(0));
    bench.submit(busy);
    // No credits: the second queue stays ready.
    bench.submit(ready);
    bench.scheduler.lose(FenceError::Lost);
    bench.scheduler.hardware_gone();
    bench.drain();
    bench.scheduler.kill_queue(busy);
    bench.scheduler.kill_queue(ready);
    bench.drain();
    assert_eq!((bench.scheduler.job_count(), bench.free_queues()), (0, 4));
}
